"""Hosts that are set up in unusual ways: what a senior admin would ask about, answered with real mail."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from . import messages
from .lab import CONBOOL, STRANGER, Lab
from .messages import Message
from .postfix import CONTENT_FILTER, PASSWORD, SCANNER_PORT, PostfixMachine, PostfixSite
from .product import apply_answers, plan_answers

OUT_A, OUT_B = "friend@outside-a.example", "friend@outside-b.example"
LOOP, RELEASED = "X-Conbool-example-com: true", "X-Conbool-Released: yes"

Make = Callable[..., PostfixMachine]


@pytest.fixture
def make(suite: str, lab: Lab) -> Make:
    """Make a machine of this release with the site's settings and apply answers to it; twice is nothing new."""

    def build(site: PostfixSite, shell: str = "", **answers: Any) -> PostfixMachine:
        machine = lab.postfix(suite, site)
        if shell:
            machine.shell(shell + "; touch -d '1 hour ago' /etc/postfix/*.cf; postfix reload")
        apply_answers(lab, machine, **answers)
        again = plan_answers(lab, machine, **answers)
        assert again.returncode == 0, again.stdout
        return machine

    return build


def send(lab: Lab, machine: PostfixMachine, message: Message, *to: str, **more: Any) -> Message:
    """Send and insist that it was accepted."""
    sent = lab.send(machine, message, to, **more)
    assert sent.accepted, sent.replies
    return message


def box(machine: PostfixMachine, user: str) -> str:
    """The name ``Lab.where`` gives a mailbox of the machine."""
    return f"{machine.place.hostname.split('.')[0]}:{user}"


def test_message_of_the_largest_size_passes_the_lanes(lab: Lab, make: Make) -> None:
    """Every station adds a Received header; a message once accepted must not become too large by that."""
    machine = make(PostfixSite(main={"message_size_limit": "100000"}))
    message = messages.plain()
    for lines in range(1390, 1350, -1):
        message = messages.build([LOOP, RELEASED], (b"x" * 70 + b"\r\n") * lines)
        if lab.send(machine, message, [OUT_A, "alice@example.com"]).accepted:
            break
    assert len(message.raw) > 98_000
    lab.expect(message, "outside_a", box(machine, "alice"))


def test_entries_of_transport_maps_mean_the_same_in_the_lane(lab: Lab, make: Make) -> None:
    """A colon alone is no route, a domain is not its subdomains, and a dot in front is just these."""
    for name in ("sub.outside-b.example", "plain.example", "sub.gateway.example"):
        lab.dns.zone.add(name, "MX", "10 mx.outside-b.example.")
    machine = make(
        PostfixSite(
            main={
                "transport_maps": "$routes",
                "routes": "texthash:/etc/postfix/routes, texthash:/etc/postfix/more",
            },
            files={
                "/etc/postfix/routes": "outside-b.example smtp:[smtp.provider.example]:25\nplain.example :\n",
                "/etc/postfix/more": ".gateway.example smtp:[smtp.provider.example]:25\n",
            },
        )
    )
    routed = send(lab, machine, messages.loop(), OUT_B)
    below = send(lab, machine, messages.loop(), "friend@sub.outside-b.example")
    plain = send(lab, machine, messages.loop(), "friend@plain.example")
    dotted = send(lab, machine, messages.loop(), "friend@sub.gateway.example")
    lab.expect(routed, "provider")
    lab.expect(below, "outside_b")
    lab.expect(plain, "outside_b")
    lab.expect(dotted, "provider")


@pytest.mark.parametrize("mode", ["domains", "everything"])
def test_route_without_a_transport_name(lab: Lab, make: Make, mode: str) -> None:
    """``:[gateway]`` names a next hop and no transport (transport(5)): it is the way of all mail to that domain.

    The smart host's certificate is not asked of the gateway, and a colon alone is no entry at all.
    """
    for name in ("partner.example", "plain.example"):
        lab.dns.zone.add(name, "MX", "10 mx.outside-b.example.")
    machine = make(
        PostfixSite(
            main={
                "transport_maps": "texthash:/etc/postfix/routes",
                "relay_domains": "relayed.example",
                "smtp_tls_policy_maps": "inline:{{mail.conbool.com=none} {[mail.conbool.com]:25=none}}",
            },
            files={
                "/etc/postfix/routes": "partner.example :[smtp.provider.example]:25\nplain.example :\n"
                "relayed.example :[backend.lab.invalid]\n"
            },
        ),
        scope={"mode": mode},
    )
    lab.provider.certificate = "none"
    lab.conbool.certificate = "self_signed"
    try:
        routed = send(lab, machine, messages.plain(), "x@partner.example")
        marked = send(lab, machine, messages.loop(), "x@partner.example")
        relayed = send(lab, machine, messages.plain(), "x@relayed.example")
        waiting = send(lab, machine, messages.plain(), "x@plain.example")
        mixed = send(lab, machine, messages.loop(), "x@partner.example", OUT_A, "x@relayed.example")
        lab.expect(routed, "provider")
        lab.expect(marked, "provider")
        lab.expect(relayed, "backend")
        lab.expect(mixed, "provider", "outside_a", "backend")
        assert not lab.conbool.find(waiting.token)
        assert any("certificate" in reason for reason in machine.delay_reasons())
    finally:
        lab.conbool.certificate = lab.provider.certificate = "good"
    machine.flush()
    lab.expect(waiting, "conbool")


def test_aliases_are_expanded_once_where_the_filter_comes_first(lab: Lab, make: Make) -> None:
    """no_address_mappings before the filter: Conbool's mail, which skips the filter, needs its aliases too."""
    machine = make(
        PostfixSite(
            content_filter=True,
            virtual_aliases={
                "info@example.org": "alice@example.com",
                "both@example.org": f"bob@example.com, {OUT_A}",
            },
            main={"always_bcc": "carol@example.com"},
        ),
        shell="postconf -P smtp/inet/receive_override_options=no_address_mappings",
    )
    trusted = send(
        lab, machine, messages.plain(), "info@example.org", sender="x@elsewhere.example", source=CONBOOL
    )
    both = send(lab, machine, messages.plain(), "both@example.org", source=CONBOOL)
    marked = send(lab, machine, messages.loop(), "both@example.org")
    lab.expect(trusted, box(machine, "alice"), box(machine, "carol"))
    lab.expect(both, box(machine, "bob"), box(machine, "carol"), "outside_a")
    lab.expect(marked, box(machine, "bob"), box(machine, "carol"), "outside_a")
    assert machine.scanned(trusted.token) == 0
    assert machine.scanned(marked.token) == 1


def test_copies_for_the_archive_are_made_once(lab: Lab, make: Make) -> None:
    machine = make(
        PostfixSite(
            main={
                "always_bcc": "carol@example.com",
                "recipient_bcc_maps": "inline:{{alice@example.com=bob@example.com}}",
            }
        )
    )
    message = send(lab, machine, messages.build([LOOP, RELEASED]), "alice@example.com", OUT_A)
    lab.expect(message, "outside_a", *(box(machine, user) for user in ("alice", "bob", "carol")))


def test_before_queue_filter(lab: Lab, suite: str) -> None:
    """smtpd takes no FILTER action where it hands mail to a proxy filter; Conbool is recognised all the same."""
    reentry = "\n".join(line for line in CONTENT_FILTER.splitlines() if "content_filter" not in line)
    reentry = reentry.replace("no_header_body_checks,", "") + "\n  -o smtpd_proxy_filter=\n"
    for trust in ("local", "conbool"):
        machine = lab.postfix(suite, PostfixSite(master=reentry))
        machine.start_scanner()
        machine.shell(
            f"postconf -P smtp/inet/smtpd_proxy_filter=127.0.0.1:{SCANNER_PORT}"
            "; touch -d '1 hour ago' /etc/postfix/*.cf; postfix reload"
        )
        apply_answers(lab, machine, markers={"trust": trust})
        assert plan_answers(lab, machine, markers={"trust": trust}).returncode == 0
        back = send(lab, machine, messages.plain(), OUT_A, source=CONBOOL)
        plain = send(lab, machine, messages.plain(), OUT_A)
        loop = send(lab, machine, messages.loop(), OUT_A)
        forged = send(
            lab,
            machine,
            messages.build([f"X-Conbool-Origin: handed-over {machine.place.hostname}", RELEASED]),
            "alice@example.com",
            sender="x@elsewhere.example",
            source=STRANGER,
        )
        lab.expect(back, "outside_a")
        lab.expect(plain, "conbool")
        lab.expect(loop, "outside_a" if trust == "local" else "conbool")
        lab.expect(forged, box(machine, "alice"))
        stored = [one for one in machine.mailbox("alice") if forged.token.encode() in one.raw]
        assert not stored[0].headers("X-Conbool-Released")
        assert [machine.scanned(one.token) for one in (back, plain, loop, forged)] == [1, 1, 1, 1]


def test_cleanup_service_that_port_25_and_submission_share(lab: Lab, make: Make) -> None:
    """Its own header checks stay in force for both; only submission loses its markers."""
    machine = make(
        PostfixSite(
            submission=True,
            master="pre-cleanup unix n - y - 0 cleanup\n  -o header_checks=regexp:/etc/postfix/own\n",
            files={"/etc/postfix/own": "/^X-Mark:/ PREPEND X-Mine: seen\n"},
        ),
        shell="postconf -P smtp/inet/cleanup_service_name=pre-cleanup submission/inet/cleanup_service_name=pre-cleanup",
    )
    login: dict[str, Any] = {"port": 587, "tls": True, "auth": ("alice@example.com", PASSWORD)}
    loop = send(lab, machine, messages.build([LOOP, "X-Mark: 1"]), OUT_A)
    forged = send(lab, machine, messages.build([LOOP, "X-Mark: 1"]), OUT_A, **login)
    lab.expect(loop, "outside_a")
    lab.expect(forged, "conbool")
    for found in (lab.outside_a.find(loop.token)[0], lab.conbool.find(forged.token)[0]):
        assert found.headers("X-Mine") == ["seen"]


def test_relayhost_with_wrapped_tls_does_not_stop_direct_delivery(lab: Lab, make: Make) -> None:
    """Wrapper mode and strict TLS were meant for the provider, not for every MX host."""
    machine = make(
        PostfixSite(
            main={
                "relayhost": "[smtp.provider.example]:465",
                "smtp_tls_wrappermode": "yes",
                "smtp_tls_security_level": "secure",
            }
        )
    )
    loop = send(lab, machine, messages.loop(), OUT_A)
    plain = send(lab, machine, messages.plain(), OUT_A)
    lab.outside_b.certificate = "none"
    try:
        bare = send(lab, machine, messages.loop(), OUT_B)
        lab.expect(bare, "outside_b")
    finally:
        lab.outside_b.certificate = "good"
    lab.expect(loop, "outside_a")
    lab.expect(plain, "conbool")


def test_sasl_on_port_25_cannot_forge_markers(lab: Lab, make: Make) -> None:
    """Neither from outside nor from the server's own network, whatever the list permits first."""
    machine = make(
        PostfixSite(
            submission=True,
            main={
                "smtpd_data_restrictions": "permit_sasl_authenticated, permit_mynetworks, reject_unauth_pipelining"
            },
        ),
        shell="postconf -F smtp/inet/chroot=n; postconf -P smtp/inet/smtpd_sasl_auth_enable=yes",
    )
    login: dict[str, Any] = {"tls": True, "auth": ("alice@example.com", PASSWORD)}
    outside = send(lab, machine, messages.build([LOOP]), OUT_A, source=STRANGER, **login)
    inside = send(lab, machine, messages.build([LOOP]), OUT_A, **login)
    nobody = send(lab, machine, messages.build([LOOP]), OUT_A)
    lab.expect(outside, "conbool")
    lab.expect(inside, "conbool")
    lab.expect(nobody, "outside_a")


def test_ways_to_name_port_25_and_early_refusals(lab: Lab, make: Make) -> None:
    """The service is called 25, has lists of its own, and smtpd_delay_reject is off."""
    machine = make(
        PostfixSite(main={"smtpd_delay_reject": "no", "smtpd_client_restrictions": "permit_mynetworks"}),
        shell="postconf -MX smtp/inet; postconf -M '25/inet=25 inet n - y - - smtpd "
        "-o smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination -o smtpd_data_restrictions='",
    )
    back = send(lab, machine, messages.plain(), OUT_A, source=CONBOOL, sender="ALICE@Example.COM")
    refused = lab.send(machine, messages.plain(), [OUT_A], source=STRANGER)
    forged = send(
        lab,
        machine,
        messages.build([RELEASED]),
        "alice@example.com",
        sender="x@elsewhere.example",
        source=STRANGER,
    )
    lab.expect(back, "outside_a")
    assert not refused.accepted
    lab.expect(forged, box(machine, "alice"))
    stored = [one for one in machine.mailbox("alice") if forged.token.encode() in one.raw]
    assert not stored[0].headers("X-Conbool-Released")


def test_ipv6_only(lab: Lab, make: Make) -> None:
    lab.dns.zone.add("six.example", "MX", "10 mx.outside-b.example.")
    machine = make(PostfixSite(inet_protocols="ipv6"), conbool_networks=["2001:db8:c::/48"])
    loop = send(lab, machine, messages.loop(), OUT_B, source=machine.place.neighbour6)
    plain = send(lab, machine, messages.plain(), OUT_B, source=machine.place.neighbour6)
    lab.expect(loop, "outside_b")
    lab.expect(plain, "conbool")


def test_hostile_content_type_is_only_a_long_header(lab: Lab, make: Make) -> None:
    """With pcre of the older releases an unbounded pattern ends cleanup with a signal."""
    machine = make(PostfixSite())
    for filling in (
        b" a=b;\r\n" * 14_000,
        b' a="b;c";\r\n' * 9_000,
        b' "\\a\\a\\a\\a\\a\\a\\a\\a\\a\\a\\a\\a";\r\n' * 3_000,
    ):
        message = messages.build((), mime=("MIME-Version: 1.0",))
        hostile = message.raw.replace(
            b"MIME-Version", b"Content-Type: text/calendar;\r\n" + filling + b" x\r\nMIME-Version", 1
        )
        sent = lab.send(machine, hostile, [OUT_A])
        assert sent.accepted, sent.replies
        lab.expect(message.token, "conbool")
    assert "killed by signal" not in machine.log()


def test_addresses_in_unicode_pass_the_lanes(lab: Lab, make: Make) -> None:
    """SMTPUTF8 (RFC 6531)."""
    machine = make(PostfixSite())
    utf8 = messages.build([LOOP, "Subject: Grüße".encode()])
    sent = lab.send(machine, utf8, ["jörg@outside-a.example"], options=("SMTPUTF8", "BODY=8BITMIME"))
    assert sent.accepted, sent.replies
    lab.expect(utf8, "outside_a")


def test_notes_of_other_servers_about_the_client_end_here(lab: Lab, make: Make) -> None:
    """Mail from Conbool may bring an X-Conbool-Origin of somebody else; it would spoil the loop protection later."""
    machine = make(PostfixSite())
    message = messages.build(["X-Conbool-Origin: untrusted", LOOP])
    send(lab, machine, message, "alice@example.com", sender="x@elsewhere.example", source=CONBOOL)
    lab.expect(message, box(machine, "alice"))
    stored = [one for one in machine.mailbox("alice") if message.token.encode() in one.raw]
    assert not stored[0].headers("X-Conbool-Origin")
    assert stored[0].headers("X-Conbool-example-com") == ["true"]
    machine.sendmail(stored[0].raw, [OUT_A], sender="alice@example.com")
    lab.expect(message, box(machine, "alice"), "outside_a")
