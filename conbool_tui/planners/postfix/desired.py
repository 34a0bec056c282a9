"""The configuration as it must be: tables, parameters, service blocks and options, computed from facts
and answers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.facts import PostfixFacts, Service
from conbool_tui.plan import Notice, Step
from conbool_tui.planners.postfix import header_tables, names, services
from conbool_tui.planners.postfix.lists import (
    REFUSING,
    insert_before,
    join_list,
    refuses,
    split_list,
    split_restrictions,
)
from conbool_tui.planners.postfix.ports import lane_ports
from conbool_tui.planners.postfix.previous import Record, Recorded, base_list, base_scalar
from conbool_tui.planners.postfix.sources import Source, find_sources, option_base

_STRICT_LEVELS = frozenset({"encrypt", "dane-only", "fingerprint", "verify", "secure"})
_HEADING = "# Written by conbool-tui; run conbool-tui to change it.\n"


@dataclass(frozen=True)
class Setting:
    """A parameter's wanted value (None: the host's own default) with what the admin should read about it."""

    value: Optional[str]
    step: Step
    title: str
    reason: str


@dataclass(frozen=True)
class Table:
    """One of our table files."""

    text: str
    step: Step
    title: str
    reason: str


@dataclass(frozen=True)
class Block:
    """One marked block of master.cf."""

    text: str
    step: Step
    title: str
    reason: str


@dataclass
class Desired:
    """Everything wanted, collected part by part."""

    settings: dict[str, Setting] = field(default_factory=dict)
    options: dict[tuple[str, str, str], Setting] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    record: dict[str, Recorded] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    ports: tuple[int, ...] = ()


class Designer:
    """Computes ``Desired`` for one instance, one method per part of the design."""

    def __init__(self, facts: PostfixFacts, answers: Answers, record: Record) -> None:
        self.facts = facts
        self.answers = answers
        self.record = record
        self.wanted = Desired()
        self.domains = tuple(dict.fromkeys(domain.lower() for domain in answers.domains))
        self.sources = find_sources(facts, record)
        self.hostname = facts.expanded.get("myhostname", "") or "localhost"
        ipv6_only = "ipv6" in split_list(
            facts.expanded.get("inet_protocols", "")
        ) and "ipv4" not in split_list(facts.expanded.get("inet_protocols", ""))
        self.loopback = (
            services.Loopback("[::1]", "[::1]/128")
            if ipv6_only
            else services.Loopback("127.0.0.1", "127.0.0.0/8")
        )
        self.patterns = "pcre" if "pcre" in facts.table_types else "regexp"
        self.columns = services.Columns(
            smtp=self._chroot("smtp", "unix"),
            smtpd=self._smtpd_chroot(),
            cleanup=self._chroot("cleanup", "unix"),
        )
        port_25 = [source for source in self.sources if source.service.id in facts.port_25_services]
        public = ("main.cf", *facts.port_25_services)
        self.proxied = any(one.where in public for one in facts.proxy_filters)
        # Where port 25 leaves aliases and canonical names to the way back from a content filter, mail that
        # skips the filter has to be mapped in a lane of its own.
        unmapped = any("no_address_mappings" in source.overrides for source in port_25)
        roles: tuple[str, ...] = ("gate", "split", "released", "untrusted")
        if unmapped and answers.conbool_networks and not self.proxied:
            roles = (*roles, "arrivals")
        ports = lane_ports(facts, roles)
        self.gate_port, self.split_port = ports["gate"], ports["split"]
        self.released_port, self.untrusted_port = ports["released"], ports["untrusted"]
        self.arrivals_port = ports.get("arrivals")
        self.wanted.ports = tuple(ports[role] for role in roles)

    # --- the host as it is without us -----------------------------------------------------------------------

    def _chroot(self, name: str, type: str) -> str:
        service = self.facts.service(name, type)
        return "y" if service is not None and service.chroot else "n"

    def _smtpd_chroot(self) -> str:
        for identity in self.facts.port_25_services:
            name, _, kind = identity.rpartition("/")
            service = self.facts.service(name, kind)
            if service is not None:
                return "y" if service.chroot else "n"
        return "n"

    def current(self, name: str) -> Optional[str]:
        """The explicit value now, ours included."""
        return self.facts.parameters.get(name, "") if name in self.facts.explicit else None

    def own_scalar(self, name: str) -> Optional[str]:
        """The admin's explicit value of a single-valued parameter."""
        return base_scalar(self.current(name), self.record.get(name), blank_is_ours=name == "relayhost")

    def own_list(self, name: str) -> Optional[str]:
        """The admin's explicit value of a list parameter."""
        return base_list(self.current(name), self.record.get(name))

    def default_of(self, name: str) -> str:
        """The value in force when the parameter is not set."""
        recorded = self.record.get(name)
        if recorded is not None and not recorded.explicit:
            return recorded.value
        if name in self.facts.explicit:
            return ""
        return self.facts.expanded.get(name, self.facts.parameters.get(name, ""))

    def table(self, name: str, *, patterns: bool = False, kind: str = "texthash") -> str:
        """How one of our tables is named in a parameter."""
        return f"{self.patterns if patterns else kind}:{names.TABLE_PREFIX}{name}"

    # --- collecting -----------------------------------------------------------------------------------------

    def _set(self, name: str, value: Optional[str], step: Step, title: str, reason: str) -> None:
        self.wanted.settings[name] = Setting(value, step, title, reason)

    def _table(self, name: str, lines: Sequence[str], step: Step, title: str, reason: str) -> None:
        self.wanted.tables[name] = Table(
            _HEADING + "".join(line + "\n" for line in lines), step, title, reason
        )

    def _notice(self, level: str, text: str, step: Optional[Step] = None) -> None:
        self.wanted.notices.append(Notice(level, text, step))

    # --- step A ---------------------------------------------------------------------------------------------

    def smart_host(self) -> None:
        """Step A: the transport that leads to the smart host, and an old hand-made relayhost to it taken
        out.
        """
        smart_host = self.answers.smart_host
        parameters = self.facts.parameters
        # A CA directory alone is read inside the chroot jail, where it may be stale; a file is read
        # before chroot(2).
        has_ca_file = bool(parameters.get("smtp_tls_CAfile", "").strip())
        has_ca = has_ca_file or bool(parameters.get("smtp_tls_CApath", "").strip())
        ca_file = smart_host.ca_file or (None if has_ca_file else self.facts.system_ca_file)
        own_checks = self.facts.parameters.get("smtp_header_checks", "").strip()
        checks = join_list([self.table(names.DROP_ORIGIN, patterns=True), *split_list(own_checks)])
        # Both speak for other servers: the first is read where no policy table is, the second is a name.
        cleared = [
            name
            for name in ("smtp_tls_per_site", "smtp_tls_servername")
            if self.facts.parameters.get(name, "").strip()
        ]
        self._table(
            names.DROP_ORIGIN,
            header_tables.drop_headers([names.ORIGIN_HEADER]),
            Step.A,
            "Local notes are removed from mail to the smart host",
            "A note about the client must not come back with the mail.",
        )
        self.wanted.blocks["smart-host"] = Block(
            services.smart_host_service(self.columns, smart_host, ca_file, checks, cleared),
            Step.A,
            f"Delivery service for {smart_host.host}",
            (
                f"Mail goes to {smart_host.next_hop} without MX lookup, only over TLS with a "
                f"certificate for {smart_host.expected_name}; else it waits in the queue."
            ),
        )
        if not ca_file and not has_ca:
            self._notice(
                "warn",
                (
                    "No CA bundle was found on this system: the smart host's certificate "
                    "cannot be verified and mail would stay queued. Give smart_host.ca_file."
                ),
                Step.A,
            )
        relayhost = self.own_scalar("relayhost")
        if relayhost and self._is_smart_host(relayhost):
            self._set(
                "relayhost",
                "",
                Step.A,
                "The old relayhost to the smart host is taken out",
                (
                    f"relayhost = {relayhost} would send bounces, forwarded mail and other "
                    "exempted mail there too; the new service replaces it."
                ),
            )
            self._remember("relayhost", relayhost)
            level = self.facts.expanded.get("smtp_tls_security_level", "").strip().lower()
            if level in _STRICT_LEVELS:
                self._notice(
                    "warn",
                    f"smtp_tls_security_level = {level} now holds for all hosts that mail outside the scope "
                    "goes "
                    "to directly; mail to those without TLS waits in the queue. The usual level is may.",
                    Step.A,
                )
        elif relayhost:
            mode = self.answers.scope.mode
            text = (
                f"relayhost = {relayhost} stays and keeps carrying what does not go to Conbool; "
                f"its SASL settings are not used towards {smart_host.host}."
            )
            if mode == "everything":
                text = (
                    f"relayhost = {relayhost} is kept for bounces; all other outbound mail now "
                    f"goes to {smart_host.host}."
                )
            self._notice("note", text, Step.A)

    def _is_smart_host(self, hops: str) -> bool:
        """True when one of the next hops is the smart host, written in any way: ``[host]:port``, ``host``."""
        wanted = self.answers.smart_host.host.lower()
        for hop in split_list(hops):
            host = (
                hop.lower().partition("]")[0].lstrip("[")
                if hop.startswith("[")
                else hop.lower().partition(":")[0]
            )
            if host == wanted:
                return True
        return False

    def _direct_security(self) -> Optional[str]:
        """The TLS level for delivery to anybody's MX; None keeps the host's own.

        A level above opportunistic that stands beside a relayhost was meant for that relayhost: most of the
        world's MX hosts would fail it.
        """
        level = self.facts.expanded.get("smtp_tls_security_level", "").strip().lower()
        if not level:
            return "may"
        has_relay = bool((self.own_scalar("relayhost") or "").strip())
        return "may" if has_relay and level in _STRICT_LEVELS else None

    def _split_recipients(self) -> str:
        """The lane's decision per recipient, with the table that tells a route from a mere exception."""
        own = self.facts.expanded.get("transport_maps", "")
        if own:
            self._table(
                names.MANUAL_ROUTE,
                ["/[^:]/\tOK"],
                Step.C,
                "What is a route of your own",
                "An entry of transport_maps that is only a colon says: the usual way.",
            )
        return services.split_recipients(split_list(own), self.table(names.MANUAL_ROUTE, kind="regexp"))

    # --- scope ----------------------------------------------------------------------------------------------

    def scope(self) -> None:
        """Scope: who uses the smart host. Sender-dependent default transports (postconf(5)) leave hosted
        domains and transport_maps alone.
        """
        name = "sender_dependent_default_transport_maps"
        route = f"{names.SMART_HOST_TRANSPORT}:{self.answers.smart_host.next_hop}"
        mode = self.answers.scope.mode
        own = self.own_list(name)
        own_items = split_list(own or "")
        default_transport = (
            self.own_scalar("default_transport") or self.default_of("default_transport") or "smtp"
        )
        if mode == "everything":
            null = self.facts.parameters.get("empty_address_default_transport_maps_lookup_key") or "<>"
            lines = [f"{null}\t{default_transport if ':' in default_transport else default_transport + ':'}"]
            kept = [*own_items, self.table(names.SENDERS)]
            old_routes = split_list(self.facts.parameters.get("sender_dependent_relayhost_maps", ""))
            if old_routes:
                self._table(
                    names.OWN_ROUTE,
                    [f"/./\t{default_transport if ':' in default_transport else default_transport + ':'}"],
                    Step.SCOPE,
                    "Senders with a relayhost of their own keep it",
                    "They are listed in sender_dependent_relayhost_maps.",
                )
                kept += [
                    f"pipemap:{{{table},{self.table(names.OWN_ROUTE, kind='regexp')}}}"
                    for table in old_routes
                ]
                self._notice(
                    "note", f"Senders in {', '.join(old_routes)} keep their own relayhost.", Step.SCOPE
                )
            self._set(
                "default_transport",
                route,
                Step.SCOPE,
                "All outbound mail uses the smart host",
                "Scope is everything; hosted domains and transport_maps keep their way.",
            )
            self._remember("default_transport", self.own_scalar("default_transport"))
            title, reason = (
                "Bounces do not use the smart host",
                "Mail with the null sender is excluded by the guide (step C).",
            )
            value = join_list(kept)
        else:
            senders = (
                self.answers.scope.senders
                if mode == "senders"
                else tuple("@" + domain for domain in self.domains)
            )
            lines = [f"{sender}\t{route}" for sender in dict.fromkeys(one.lower() for one in senders)]
            title = "Senders that use the smart host"
            reason = "All other senders, and bounces, keep their present route."
            value = join_list([self.table(names.SENDERS), *own_items])
            if own_items:
                self._notice(
                    "note",
                    (
                        f"Entries for whole addresses in {', '.join(own_items)} win over a "
                        "domain in the new table."
                    ),
                    Step.SCOPE,
                )
        self._table(names.SENDERS, lines, Step.SCOPE, title, reason)
        self._set(name, value, Step.SCOPE, title, reason)
        self._remember(name, own)
        if self.facts.transport_catch_all:
            self._notice(
                "warn",
                (
                    f"transport_maps sends everything to {self.facts.transport_catch_all} ('*' "
                    "entry), which wins over the smart host. Remove that entry if mail shall "
                    "use Conbool."
                ),
                Step.SCOPE,
            )
        hosted = frozenset(self.facts.domains.all())
        if mode == "domains" and hosted:
            foreign = [domain for domain in self.domains if domain not in hosted]
            if foreign:
                shown = ", ".join(foreign[:5]) + (" …" if len(foreign) > 5 else "")
                self._notice(
                    "warn", f"Not hosted on this server as far as it can be told: {shown}.", Step.SCOPE
                )

    # --- step C: the lane -----------------------------------------------------------------------------------

    def lane(self) -> None:
        """Step C: the split lane, its entrances and the removal of markers that are not to be believed."""
        answers, loopback = self.answers, self.loopback
        to_untrusted = services.filter_action(loopback, self.untrusted_port)
        to_split = services.always(services.filter_action(loopback, self.split_port))
        released, spam = answers.markers.released, answers.markers.spam
        clear_fallback = (
            "" if self._is_smart_host(self.facts.expanded.get("smtp_fallback_relay", "")) else None
        )
        recipients = self._split_recipients()

        self._table(
            names.GATE_CHECKS,
            header_tables.origin_rule(header_tables.UNTRUSTED, self.hostname, to_untrusted),
            Step.C,
            "Who is not believed",
            "A marker from such a client is removed and leads nowhere.",
        )
        arrivals = ""
        if self.arrivals_port is not None:
            arrivals = services.lane_service(
                self.columns,
                loopback,
                self.arrivals_port,
                "arrivals",
                names.ARRIVALS_CLEANUP,
                to_split,
                mapped=False,
            ) + services.cleanup_service(self.columns, names.ARRIVALS_CLEANUP, "arrivals", "")
        self.wanted.blocks["lane"] = Block(
            services.direct_service(self.columns, self._direct_security(), clear_fallback)
            + services.reinject_service(self.columns, loopback)
            + services.lane_service(
                self.columns, loopback, self.gate_port, "gate", names.GATE_CLEANUP, to_split
            )
            + services.cleanup_service(
                self.columns, names.GATE_CLEANUP, "gate", self.table(names.GATE_CHECKS, patterns=True)
            )
            + services.lane_service(
                self.columns, loopback, self.split_port, "split", names.SPLIT_CLEANUP, recipients
            )
            + services.cleanup_service(
                self.columns,
                names.SPLIT_CLEANUP,
                "split",
                join_list(
                    [
                        self.table(names.DROP_ORIGIN, patterns=True),
                        self.table(names.SPLIT_CHECKS, patterns=True),
                    ]
                ),
            )
            + arrivals,
            Step.C,
            "The lane for mail that must not go to the smart host",
            "It takes one recipient at a time: hosted ones to their mailbox, others to their own MX.",
        )
        self._table(
            names.UNTRUSTED_CHECKS,
            [
                *header_tables.keep_headers(spam),
                *header_tables.drop_conbool_headers([released, *self.loop_headers()]),
            ],
            Step.C,
            "Markers that are not believed are removed",
            "A stranger's marker must not lead past the smart host or a spam filter.",
        )
        self.wanted.blocks["untrusted"] = Block(
            services.lane_service(
                self.columns, loopback, self.untrusted_port, "untrusted", names.UNTRUSTED_CLEANUP, "permit"
            )
            + services.cleanup_service(
                self.columns,
                names.UNTRUSTED_CLEANUP,
                "untrusted",
                self.table(names.UNTRUSTED_CHECKS, patterns=True),
            ),
            Step.C,
            "The lane that removes false markers",
            "After it the message takes the normal route.",
        )
        self._set(
            f"{names.REINJECT_TRANSPORT}_destination_recipient_limit",
            "1",
            Step.C,
            "One recipient at a time through the lane",
            "The lane decides per recipient.",
        )
        self._origin()
        self._arrivals()

    def released_lane(self) -> None:
        """Step D: released mail gets the same bypass and loses a spam flag."""
        to_released = services.filter_action(self.loopback, self.released_port)
        recipients = self._split_recipients()
        self._table(
            names.SPLIT_CHECKS,
            header_tables.released_rule(self.answers.markers.released, to_released),
            Step.D,
            "Released mail has a lane of its own",
            "There its spam flag is taken off.",
        )
        self._table(
            names.RELEASED_CHECKS,
            ["/^X-Spam-Flag:/ IGNORE"],
            Step.D,
            "Released mail is not spam",
            "Somebody released it by hand; the spam flag is taken off.",
        )
        self.wanted.blocks["released"] = Block(
            services.lane_service(
                self.columns,
                self.loopback,
                self.released_port,
                "released",
                names.RELEASED_CLEANUP,
                recipients,
            )
            + services.cleanup_service(
                self.columns,
                names.RELEASED_CLEANUP,
                "released",
                self.table(names.RELEASED_CHECKS, patterns=True),
            ),
            Step.D,
            f"The lane for released mail ({self.answers.markers.released}: yes)",
            "Same way past the smart host, without a spam flag.",
        )

    def loop_headers(self) -> tuple[str, ...]:
        """Every domain's loop header, each once."""
        return tuple(dict.fromkeys(self.answers.loop_header(domain) for domain in self.domains))

    def _arrivals(self) -> None:
        """Mail from Conbool's addresses enters the lane by address, and is relayed back out for hosted
        senders only.
        """
        networks = self.answers.conbool_networks
        arrival = services.filter_action(self.loopback, self.arrivals_port or self.split_port)
        if self.proxied:
            # smtpd(8) takes no FILTER action where it hands mail to a proxy filter (access(5)).
            arrival = "PREPEND " + header_tables.origin_note(header_tables.HANDED_OVER, self.hostname)
        data_checks: list[str] = []
        if networks:
            self._table(
                names.ARRIVALS,
                [f"{network}\t{arrival}" for network in networks],
                Step.C,
                "Conbool's addresses",
                "Mail they hand over never goes back to the smart host, whatever its headers.",
            )
            data_checks.append(f"check_client_access {self.table(names.ARRIVALS, kind='cidr')}")
        else:
            self._notice(
                "warn",
                (
                    "conbool_networks is empty: mail from Conbool cannot be recognised, so its "
                    "markers are not believed and what it hands back is not relayed."
                ),
                Step.C,
            )
        origin = [f"check_client_access {self.table(names.ORIGIN, kind='cidr')}"]
        if self.answers.markers.trust == "local":
            origin.insert(0, "permit_mynetworks")
        self._class(
            names.ORIGIN_CLASS,
            join_list(origin),
            "Who is not believed is noted",
            "The note leads a marked message to the station that removes the marker.",
        )

        if self._authenticates():
            self._table(
                names.AUTHENTICATED,
                ["/./\tPREPEND " + header_tables.origin_note(header_tables.UNTRUSTED, self.hostname)],
                Step.C,
                "Who authenticates on port 25 is not believed",
                "An account, wherever it logs in from, must not be able to forge a marker.",
            )
            data_checks.insert(0, f"check_sasl_access {self.table(names.AUTHENTICATED, kind='regexp')}")

        def merge(own: Sequence[str]) -> Sequence[str]:
            if self.answers.markers.trust != "local":
                # This class permits nobody, so it cannot cut the list short, but a permit of the list could
                # cut off the class.
                return [*data_checks, names.ORIGIN_CLASS, *own]
            stop = next((index for index, item in enumerate(own) if item == "permit"), len(own))
            return [*data_checks, *own[:stop], names.ORIGIN_CLASS, *own[stop:]]

        self._restriction(
            "smtpd_data_restrictions",
            merge,
            Step.C,
            "Who brought the message",
            "Conbool is recognised by address; markers from strangers are noted as not to be believed.",
        )
        if networks and self.answers.inbound.return_mode == "hand_back":
            self._hand_back(networks)

    def _origin(self) -> None:
        note = header_tables.origin_note(header_tables.UNTRUSTED, self.hostname)
        lines = [f"{network}\tDUNNO" for network in self.answers.conbool_networks]
        lines += [f"{everyone}\tPREPEND {note}" for everyone in ("0.0.0.0/0", "::/0")]
        self._table(
            names.ORIGIN,
            lines,
            Step.C,
            "Clients whose markers are not believed",
            "Everybody but Conbool and, with markers.trust = local, this server's own networks.",
        )

    def _hand_back(self, networks: Sequence[str]) -> None:
        """Conbool may relay for hosted sender domains, exactly those: the sender's domain is cut out
        before the look-up, so that subdomains do not match.
        """
        self._table(
            names.HAND_BACK_CLIENTS,
            [f"{network}\t{names.HAND_BACK_CLASS}" for network in networks],
            Step.C,
            "Who may hand mail back",
            "Conbool's addresses.",
        )
        self._table(
            names.SENDER_DOMAIN,
            ["/^.+@([^@]+)$/\t$1"],
            Step.C,
            "The domain of a sender address",
            "Subdomains of a hosted domain must not match.",
        )
        self._table(
            names.HAND_BACK_DOMAINS,
            [f"{domain}\tOK" for domain in self.domains],
            Step.C,
            "Sender domains relayed for Conbool",
            "Mail with any other sender from Conbool is not relayed.",
        )
        cut = self.table(names.SENDER_DOMAIN, kind="regexp")
        exact = f"pipemap:{{{cut},{self.table(names.HAND_BACK_DOMAINS)}}}"
        self._class(
            names.HAND_BACK_CLASS,
            f"check_sender_access {exact}",
            "Hand-back for hosted senders",
            "return_mode is hand_back: outbound mail comes back from Conbool for delivery.",
        )
        check = f"check_client_access {self.table(names.HAND_BACK_CLIENTS, kind='cidr')}"
        title, reason = (
            "Conbool may relay for hosted senders",
            (
                "Only from Conbool's addresses and only for hosted sender domains; everybody "
                "else is refused as before."
            ),
        )
        for name in ("smtpd_relay_restrictions", "smtpd_recipient_restrictions"):
            self._restriction(
                name,
                lambda own: insert_before(own, check, REFUSING),
                Step.C,
                title,
                reason,
                only_refusing=True,
            )
        trusted = f"check_client_access {self.table(names.TRUSTED_CLIENTS, kind='cidr')}"
        if self._restriction(
            "smtpd_sender_restrictions", lambda own: [trusted, *own], Step.C, title, reason, only_set=True
        ):
            self._table(
                names.TRUSTED_CLIENTS,
                [f"{network}\tOK" for network in networks],
                Step.C,
                "Conbool is no forger",
                "Rules against forged senders must not stop what Conbool hands back.",
            )

    def _class(self, name: str, value: str, title: str, reason: str) -> None:
        """Define a restriction class (RESTRICTION_CLASS_README) and make it known."""
        self._set(name, value, Step.C, title, reason)
        own = self.own_list("smtpd_restriction_classes")
        classes = [one for one in (names.ORIGIN_CLASS, names.HAND_BACK_CLASS) if one in self.wanted.settings]
        self._set(
            "smtpd_restriction_classes",
            join_list([*split_list(own or ""), *classes]),
            Step.C,
            "Restriction classes for Conbool",
            "Postfix must know their names.",
        )
        self._remember("smtpd_restriction_classes", own)

    def _authenticates(self) -> bool:
        """True when a service of port 25 offers SASL."""
        found = [one for one in self.sources if one.service.id in self.facts.port_25_services]
        return any(
            (
                one.service.option("smtpd_sasl_auth_enable")
                or self.facts.expanded.get("smtpd_sasl_auth_enable")
            )
            == "yes"
            for one in found
        )

    def _seen(self, entries: Sequence[str]) -> tuple[str, ...]:
        """The entries with those that are a ``$name`` replaced by what the name holds."""
        found: list[str] = []
        for entry in entries:
            value = self.facts.expanded.get(entry.strip("${}()"), "") if entry.startswith("$") else entry
            found += split_restrictions(value)
        return tuple(found)

    def _restriction(
        self,
        name: str,
        merge: object,
        step: Step,
        title: str,
        reason: str,
        *,
        only_refusing: bool = False,
        only_set: bool = False,
    ) -> bool:
        """Merge into an smtpd restriction list where the port-25 service reads it: in main.cf, or in its
        own -o option. True when it was.
        """
        assert callable(merge)
        in_main = merged = False
        for identity in self.facts.port_25_services:
            service_name, _, kind = identity.rpartition("/")
            service = self.facts.service(service_name, kind)
            if service is None:
                continue
            if service.option(name) is None:
                in_main = True
                continue
            own_text = base_list(service.option(name), self.record.get(f"{service.id}/{name}")) or ""
            own = split_restrictions(own_text)
            if (only_refusing and not refuses(self._seen(own))) or (only_set and not own):
                continue
            self.wanted.options[(service_name, kind, name)] = Setting(
                join_list(merge(own)), step, f"{title} ({service.id})", reason
            )
            self._remember(f"{service.id}/{name}", own_text)
            merged = True
        if not in_main:
            return merged
        own_value = self.own_list(name)
        in_force = own_value if own_value is not None else self.default_of(name)
        if "${" in in_force and own_value is None:
            in_force = self.facts.expanded.get(name, "")
        visible = split_restrictions(in_force)
        expanded = (
            visible if own_value is None else split_restrictions(self.facts.expanded.get(name, in_force))
        )
        if (only_refusing and not refuses(expanded)) or (only_set and not visible):
            return merged
        self._set(name, join_list(merge(visible)), step, title, reason)
        self._remember(name, own_value, default=join_list(visible))
        return True

    # --- steps C and D: header checks -----------------------------------------------------------------------

    def header_checks(self) -> None:
        """Steps C and D: markers, calendaring and the spam flag, at every entrance where they belong."""
        action = services.filter_action(self.loopback, self.gate_port)
        markers = self.answers.markers
        self._table(
            names.MARKERS,
            [
                *header_tables.marker_rules(self.loop_headers(), markers.released, action),
                *(
                    header_tables.origin_rule(header_tables.HANDED_OVER, self.hostname, action)
                    if self.proxied
                    else []
                ),
            ],
            Step.C,
            "Markers of mail that has been through Conbool",
            "Such mail never goes to the smart host again.",
        )
        self._table(
            names.CALENDAR,
            header_tables.calendar_rule(action),
            Step.C,
            "Calendaring",
            "Invitations and replies (text/calendar with a method) do not use the smart host.",
        )
        self._table(
            names.DROP_MARKERS,
            header_tables.drop_conbool_headers([markers.released, *self.loop_headers()]),
            Step.C,
            "Markers from submission are removed",
            "Authenticated users must not be able to forge them.",
        )
        spam: list[str] = []
        if self.answers.spam.action != "none" and markers.spam:
            spam = [self.table(names.SPAM, patterns=True)]
            self._table(
                names.SPAM,
                header_tables.spam_rules(markers.spam),
                Step.C,
                "Mail that Conbool flagged",
                "It gets X-Spam-Flag: YES, which mailbox servers and mail programs file by.",
            )
            if self.answers.spam.action == "folder":
                self._notice(
                    "note",
                    (
                        "Filing into a folder is the mailbox server's work: it sees "
                        "X-Spam-Flag: YES and the Conbool headers."
                    ),
                    Step.C,
                )

        own = self.own_list("header_checks")
        own_mime, own_nested = (
            self._inherited("mime_header_checks", own),
            self._inherited("nested_header_checks", own),
        )
        behind_filter = any(source.scanned for source in self.sources)
        main_markers = [] if behind_filter else [self.table(names.MARKERS, patterns=True)]
        main_calendar = [] if behind_filter else [self.table(names.CALENDAR, patterns=True)]
        checks = [*main_markers, *spam, *split_list(own or "")]
        mime = [*split_list(own_mime), *main_calendar]
        if checks != list(split_list(own or "")):
            self._set(
                "header_checks",
                join_list(checks),
                Step.C,
                "Header checks",
                "Ours come first; the existing ones stay.",
            )
            self._remember("header_checks", own)
            self._set(
                "nested_header_checks",
                own_nested,
                Step.C,
                "Headers of attached messages stay unchecked by us",
                "A marker in an attached message is no marker; without this they would follow header_checks.",
            )
            self._remember(
                "nested_header_checks",
                self._explicit_inherited("nested_header_checks", own),
                default="$header_checks",
            )
            self._set(
                "mime_header_checks",
                join_list(mime),
                Step.C,
                "Checks of MIME headers",
                (
                    "Existing checks come first, so that an attachment rule cannot be passed "
                    "by calling a file a calendar."
                ),
            )
            self._remember(
                "mime_header_checks",
                self._explicit_inherited("mime_header_checks", own),
                default="$header_checks",
            )
        self._cleanups(
            behind_filter, spam, split_list(own or ""), split_list(own_mime), split_list(own_nested)
        )
        if (
            any("no_mime_input_processing" in source.overrides for source in self.sources)
            or self.facts.parameters.get("disable_mime_input_processing", "no") == "yes"
        ):
            self._notice(
                "warn",
                (
                    "MIME processing is switched off (disable_mime_input_processing): calendar "
                    "parts inside a message are not seen."
                ),
                Step.C,
            )

    def _explicit_inherited(self, name: str, own_header_checks: Optional[str]) -> Optional[str]:
        """The admin's explicit value of a parameter whose default is $header_checks."""
        current, recorded = self.current(name), self.record.get(name)
        if current is None:
            return None
        without = base_list(current, None)
        if recorded is not None:
            before = self.record.get("header_checks")
            meant = recorded.value if recorded.explicit else "$header_checks"
            for checks in (own_header_checks or "", before.value if before is not None else ""):
                if split_list(without or "") == _resolved(meant, checks):
                    return recorded.value if recorded.explicit else None
        return current if without == current else (without or "")

    def _inherited(self, name: str, own_header_checks: Optional[str]) -> str:
        """The checks in force, with ``$header_checks`` written out: ours must not come along with it."""
        explicit = self._explicit_inherited(name, own_header_checks)
        return join_list(
            _resolved("$header_checks" if explicit is None else explicit, own_header_checks or "")
        )

    def _cleanups(
        self,
        behind_filter: bool,
        spam: Sequence[str],
        own: Sequence[str],
        own_mime: Sequence[str],
        own_nested: Sequence[str],
    ) -> None:
        """Give every entrance whose header checks must differ from main.cf a cleanup service of its own.

        It takes over the options of the cleanup service the entrance had, which other entrances may share.
        """
        made: dict[str, str] = {}
        drop_pickup = self.answers.markers.trust == "conbool"
        flagged_before = behind_filter and any(one.scanned and not one.bare for one in self.sources)
        for source in self.sources:
            drop = source.submission or (drop_pickup and source.service.command == "pickup")
            ours = not source.scanned
            base = self.facts.service(source.cleanup, "unix")
            shadowed = base is not None and any(base.option(name) is not None for name in _CHECKS)
            if not drop and not (ours and (behind_filter or source.bare or shadowed)):
                continue
            host_checks, host_mime, host_nested = _checks_of(base, own, own_mime, own_nested)
            checks = [self.table(names.DROP_MARKERS, patterns=True)] if drop else []
            checks += [self.table(names.MARKERS, patterns=True)] if ours and not drop else []
            mime = [] if source.bare else list(host_mime)
            mime += [self.table(names.CALENDAR, patterns=True)] if ours else []
            if not source.bare:
                checks += [*([] if drop or flagged_before else spam), *host_checks]
            if drop:
                title = f"Markers are removed at {source.service.id}"
                reason = "Who authenticates must not be able to forge a marker."
            elif behind_filter:
                title = f"Header checks behind the content filter ({source.service.id})"
                reason = "Mail is scanned first; only then may a marker send it past the smart host."
            else:
                title = f"Header checks at {source.service.id}"
                reason = "This entrance does not use the header checks of main.cf."
            name = (
                "conbool"
                + ("-submission" if drop else "")
                + ("-scanned" if source.scanned else "")
                + ("-bare" if source.bare else "")
                + (f"-{source.cleanup}" if source.cleanup != "cleanup" else "")
                + "-cleanup"
            )
            self._option(source, "cleanup_service_name", name, title, reason)
            made[name] = self._cleanup_text(
                name, base, checks, mime, "" if source.bare else join_list(host_nested), source.bare
            )
            if source.bare and (ours or drop):
                overrides = ",".join(source.overrides)
                self._option(source, "receive_override_options", overrides, title, reason)
        if made:
            self.wanted.blocks["cleanup"] = Block(
                "".join(made.values()),
                Step.C,
                "Cleanup services with their own header checks",
                "Entrances differ in whom they believe and in what was scanned already.",
            )

    def _cleanup_text(
        self,
        name: str,
        base: Optional[Service],
        checks: Sequence[str],
        mime: Sequence[str],
        nested: str,
        bare: bool,
    ) -> str:
        options = [
            ("syslog_name", names.SYSLOG_PREFIX + "checks"),
            ("header_checks", join_list(checks)),
            ("mime_header_checks", join_list(mime)),
            ("nested_header_checks", nested),
        ]
        if bare:
            options.append(("body_checks", ""))
        chroot = self.columns.cleanup
        if base is not None:
            chroot = "y" if base.chroot else "n"
            ours = {option for option, _ in options}
            options += [(one.name, one.value) for one in base.options if one.name not in ours]
        return services.entry(f"{name} unix n - {chroot} - 0 cleanup", options)

    def _option(self, source: Source, name: str, value: str, title: str, reason: str) -> None:
        service = source.service
        self.wanted.options[(service.name, service.type, name)] = Setting(value, Step.C, title, reason)
        own = option_base(service, name, self.record)
        self._remember(f"{service.id}/{name}", own, default=self.facts.parameters.get(name, ""))

    def _remember(self, key: str, own: Optional[str], default: str = "") -> None:
        """Write down the admin's own value; for one that was not set, the default then in force."""
        self.wanted.record[key] = Recorded(
            own if own is not None else (default or self._default_note(key)), own is not None
        )

    def _default_note(self, key: str) -> str:
        return "" if "/" in key else self.default_of(key)


_CHECKS = ("header_checks", "mime_header_checks", "nested_header_checks")


def _resolved(value: str, header_checks: str) -> tuple[str, ...]:
    """The items of a value, with those of ``header_checks`` in the place of ``$header_checks``."""
    found: list[str] = []
    for item in split_list(value):
        inner = (
            split_list(header_checks)
            if item.strip("${}()") == "header_checks" and item[0] == "$"
            else (item,)
        )
        found += inner
    return tuple(found)


def _checks_of(
    cleanup: Optional[Service], own: Sequence[str], mime: Sequence[str], nested: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """The header, MIME and nested checks of a cleanup service without us; ``own``, ``mime`` and ``nested``
    are those of main.cf.
    """
    if cleanup is None:
        return tuple(own), tuple(mime), tuple(nested)
    text = cleanup.option("header_checks")
    header = tuple(own) if text is None else split_list(text)
    found = [header]
    for name, inherited in (("mime_header_checks", mime), ("nested_header_checks", nested)):
        value = cleanup.option(name)
        if value is not None:
            found.append(_resolved(value, join_list(header)))
        elif text is not None and tuple(inherited) == tuple(own):
            # Its default is $header_checks, which in this service means the service's own.
            found.append(header)
        else:
            found.append(tuple(inherited))
    return tuple(found)
