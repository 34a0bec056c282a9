"""Hypothesis strategies: hosts as admins leave them behind, and answers."""

from __future__ import annotations

from typing import NamedTuple, Optional

from hypothesis import strategies as st

from conbool_tui.answers import Answers, Inbound, Markers, Scope, SmartHost, Spam
from conbool_tui.facts import PostfixFacts

from .facts_builder import MAIN, MASTER, TABLE_TYPES, facts_for

TABLES = ("regexp:/etc/postfix/a", "pcre:/etc/postfix/conbool-checks", "hash:/etc/postfix/c")
CHECKS = st.one_of(
    st.none(),
    st.lists(st.sampled_from(TABLES), max_size=3, unique=True).map(", ".join),
    st.just("$my_checks, regexp:/etc/postfix/a"),
    st.just("inline:{ {X-A=REJECT no, never}, {X-B=HOLD} } regexp:/etc/postfix/a"),
)
INHERITED = st.one_of(st.none(), st.just("$header_checks"), st.just("regexp:/etc/postfix/mime"), st.just(""))
RESTRICTIONS = st.lists(
    st.sampled_from(
        [
            "permit_mynetworks",
            "permit_sasl_authenticated",
            "check_client_access hash:/etc/postfix/clients",
            "check_sender_access inline:{example.com=OK, {example.org=REJECT not you}}",
            "check_policy_service { inet:127.0.0.1:10023, timeout=10s }",
            "warn_if_reject reject_unknown_client_hostname",
            "warn_if_reject reject_unauth_destination",
            "reject_unauth_pipelining",
            "reject_rbl_client zen.example.org",
            "$my_restrictions",
        ]
    ),
    max_size=4,
    unique=True,
)
ENDINGS = st.sampled_from(
    [
        (),
        ("permit",),
        ("reject_unauth_destination",),
        ("reject_unauth_destination", "permit"),
        ("defer_unauth_destination",),
        ("reject",),
        ("REJECT_UNAUTH_DESTINATION",),
    ]
)
LISTS = st.one_of(
    st.none(),
    st.builds(
        lambda items, end, comma: comma.join([*items, *end]),
        RESTRICTIONS,
        ENDINGS,
        st.sampled_from([", ", " ", ",\n    # Why.\n    ", "\n\t"]),
    ),
)
SINGLE = {
    "relayhost": [
        "",
        "[smtp.provider.example]:587",
        "[mail.conbool.com]:25",
        "mail.conbool.com",
        "[mail.conbool.com.other.example]",
    ],
    "default_transport": ["smtp", "smtp:[smtp.provider.example]:25"],
    "transport_maps": ["hash:/etc/postfix/transport", "$my_transport, inline:{ {b.example=smtp:[x]:25} }"],
    "sender_dependent_default_transport_maps": ["hash:/etc/postfix/sender_transport"],
    "sender_dependent_relayhost_maps": ["hash:/etc/postfix/sender_relay, hash:/etc/postfix/more"],
    "smtpd_restriction_classes": ["mine, yours"],
    "smtp_header_checks": ["regexp:/etc/postfix/smtp_checks"],
    "receive_override_options": ["no_address_mappings", "no_header_body_checks,no_milters"],
    "smtp_tls_security_level": ["may", "encrypt", "dane"],
    "smtp_tls_CAfile": ["/etc/ssl/ca.pem"],
    "smtpd_sasl_auth_enable": ["yes"],
    "cleanup_service_name": ["my-cleanup"],
    "smtpd_proxy_filter": ["127.0.0.1:10024"],
    "inet_protocols": ["ipv4", "ipv6"],
    "mynetworks": ["127.0.0.0/8 192.0.2.0/24", "!192.0.2.7 192.0.2.0/24 hash:/etc/postfix/networks"],
    "postscreen_access_list": ["permit_mynetworks, cidr:/etc/postfix/postscreen_access.cidr"],
    "smtpd_delay_reject": ["no"],
    "smtpd_tls_ask_ccert": ["yes"],
    "smtpd_tls_loglevel": ["2"],
    "smtpd_tls_security_level": ["may", "encrypt"],
}
OVERRIDES = [
    "-o smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination",
    "-o { smtpd_recipient_restrictions = check_client_access hash:/etc/postfix/clients, reject }",
    "-o { smtpd_data_restrictions = permit_mynetworks, reject_unauth_pipelining }",
    "-o smtpd_sender_restrictions=",
    "-o smtpd_client_restrictions=",
    "-o smtpd_client_restrictions=permit_mynetworks,reject",
    "-o { smtpd_client_restrictions = reject_rbl_client zen.example.org, $my_restrictions }",
    "-o smtpd_delay_reject=no",
    "-o smtpd_sasl_auth_enable=yes",
    "-o smtpd_tls_ask_ccert=no",
    "-o receive_override_options=no_header_body_checks",
    "-o receive_override_options=no_address_mappings",
    "-o cleanup_service_name=my-cleanup",
    "-o content_filter=",
    "-o content_filter=scan:[127.0.0.1]:10024",
]
MY_CLEANUP = [
    "",
    "  -o header_checks=pcre:/etc/postfix/own\n",
    "  -o { header_checks = pcre:/etc/postfix/own, regexp:/etc/postfix/two }\n  -o mime_header_checks=\n",
]
PORT_25 = ["smtp      inet", "25        inet", "192.0.2.1:smtp inet"]


class Site(NamedTuple):
    """A generated host, short to read when a test fails."""

    main: str
    master: str
    pcre: bool

    def facts(self) -> PostfixFacts:
        """Its facts."""
        types = TABLE_TYPES if self.pcre else TABLE_TYPES - {"pcre"}
        return facts_for(self.main, self.master, table_types=types)


@st.composite
def hosts(draw: st.DrawFn) -> Site:
    """A Postfix host before Conbool came."""
    lines = [
        MAIN,
        "my_checks = regexp:/etc/postfix/b\n",
        "my_restrictions = reject_unknown_sender_domain\n",
        "my_transport = hash:/etc/postfix/t\n",
        "smtpd_tls_cert_file = /etc/ssl/certs/mx1.pem\n",
    ]

    def put(name: str, value: Optional[str]) -> None:
        if value is not None:
            lines.append(f"{name} = {value}".rstrip() + "\n")

    put("header_checks", draw(CHECKS))
    put("mime_header_checks", draw(INHERITED))
    put("nested_header_checks", draw(INHERITED))
    for kind in ("client", "data", "end_of_data", "helo", "recipient", "relay", "sender"):
        put(f"smtpd_{kind}_restrictions", draw(LISTS))
    for name in draw(st.lists(st.sampled_from(sorted(SINGLE)), unique=True, max_size=4)):
        put(name, draw(st.sampled_from(SINGLE[name])))
    behind, screened = draw(st.booleans()), draw(st.booleans())
    if behind:
        put("content_filter", "scan:[127.0.0.1]:10024")
    overrides = draw(
        st.lists(
            st.sampled_from(OVERRIDES),
            unique_by=lambda text: text.split("=")[0].split("{ ")[-1].split()[-1],
            max_size=3,
        )
    )
    master = MASTER.replace("smtp      inet", draw(st.sampled_from(PORT_25)), 1)
    if screened:
        master = MASTER.replace("smtp      inet", "smtpd     pass", 1)
        tail = draw(st.sampled_from(["", "  -o postscreen_access_list=permit_mynetworks\n"]))
        master += "smtp inet n - y - 1 postscreen\n" + tail
    head, _, tail = master.partition("\n")
    master = head + "\n" + "".join(f"  {one}\n" for one in overrides) + tail
    if draw(st.booleans()):
        master += "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"
        master += draw(
            st.sampled_from(
                [
                    "",
                    "  -o cleanup_service_name=my-cleanup\n",
                    "  -o receive_override_options=no_header_body_checks\n",
                ]
            )
        )
    if behind:
        master += "127.0.0.1:10025 inet n - n - - smtpd\n  -o content_filter=\n"
        master += draw(
            st.sampled_from(
                ["", "  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks\n"]
            )
        )
    master += "my-cleanup unix n - y - 0 cleanup\n" + draw(st.sampled_from(MY_CLEANUP))
    return Site("".join(lines), master, draw(st.booleans()))


@st.composite
def some_answers(draw: st.DrawFn) -> Answers:
    """Complete answers."""
    mode = draw(st.sampled_from(["domains", "everything", "senders"]))
    networks = draw(st.sampled_from([(), ("198.51.100.0/24",), ("198.51.100.0/24", "2001:db8:c::/48")]))
    return Answers(
        domains=("example.com", "a-b.de", "a.b.de"),
        smart_host=draw(
            st.sampled_from(
                [
                    SmartHost(),
                    SmartHost(ca_file="/etc/ssl/conbool.pem"),
                    SmartHost(client_certificate="/etc/ssl/me.pem", client_key="/etc/ssl/me.key"),
                ]
            )
        ),
        scope=Scope(mode=mode, senders=("alice@example.com", "@example.org") if mode == "senders" else ()),
        conbool_networks=networks,
        inbound=Inbound(
            return_mode=draw(st.sampled_from(["hand_back", "conbool_delivers"])),
            restrict_port_25=bool(networks) and draw(st.booleans()),
            extra_networks=draw(st.sampled_from([(), ("203.0.113.0/28", "2001:db8:e::/48")])),
        ),
        markers=Markers(
            trust=draw(st.sampled_from(["local", "conbool"])),
            released=draw(st.sampled_from(["X-Conbool-Released", "X-Out"])),
            spam=draw(st.sampled_from([("X-Conbool-Flag", "X-Conbool-Spam"), ("X-Spammy",), ()])),
        ),
        spam=Spam(action=draw(st.sampled_from(["folder", "header", "none"]))),
    )
