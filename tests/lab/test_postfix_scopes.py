"""Scopes, existing routes and content filters on real Postfix: what was there before keeps its way."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from . import messages
from .lab import CONBOOL, STRANGER, Lab
from .messages import Message
from .postfix import PASSWORD, PostfixMachine, PostfixSite
from .product import apply_answers, plan_answers

OUT_A, OUT_B = "friend@outside-a.example", "friend@outside-b.example"
LOOP, RELEASED = "X-Conbool-example-com: true", "X-Conbool-Released: yes"

Make = Callable[..., PostfixMachine]


@pytest.fixture
def make(suite: str, lab: Lab) -> Make:
    """Make a machine of this release with the site's settings and apply answers to it."""

    def build(site: PostfixSite, *, pcre: bool = True, **answers: Any) -> PostfixMachine:
        machine = lab.postfix(suite, site, pcre=pcre)
        apply_answers(lab, machine, **answers)
        return machine

    return build


def place(machine: PostfixMachine, user: str) -> str:
    """The name ``Lab.where`` gives a mailbox of the machine."""
    return f"{machine.place.hostname.split('.')[0]}:{user}"


def send(lab: Lab, machine: PostfixMachine, message: Message, *to: str, **more: Any) -> Message:
    """Send and insist that it was accepted."""
    sent = lab.send(machine, message, to, **more)
    assert sent.accepted, sent.replies
    return message


def test_scope_everything(lab: Lab, make: Make) -> None:
    """All outbound mail uses the smart host; bounces, markers, hosted domains and senders with their own relayhost do not."""
    machine = make(
        PostfixSite(
            main={"sender_dependent_relayhost_maps": "$default_database_type:/etc/postfix/own_relay"},
            files={
                "/etc/postfix/own_relay": "special@elsewhere.example [smtp.provider.example]:25\n@viaprovider.example [smtp.provider.example]:25\n"
            },
            postmap=("/etc/postfix/own_relay",),
            relay={"relayed.example": "smtp:[backend.lab.invalid]"},
        ),
        scope={"mode": "everything"},
    )
    foreign = send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example")
    hosted = send(lab, machine, messages.plain(), OUT_A)
    null = send(lab, machine, messages.plain(), OUT_A, sender="")
    loop = send(lab, machine, messages.loop(), OUT_A, "alice@example.com")
    relayed = send(lab, machine, messages.plain(), "x@relayed.example")
    local = send(lab, machine, messages.plain(), "alice@example.com")
    own = send(lab, machine, messages.plain(), OUT_A, sender="special@elsewhere.example")
    own_domain = send(lab, machine, messages.plain(), OUT_A, sender="y@viaprovider.example")
    lab.expect(foreign, "conbool")
    lab.expect(hosted, "conbool")
    lab.expect(null, "outside_a")
    lab.expect(loop, "outside_a", place(machine, "alice"))
    lab.expect(relayed, "backend")
    lab.expect(local, place(machine, "alice"))
    lab.expect(own, "provider")
    lab.expect(own_domain, "provider")
    assert plan_answers(lab, machine, scope={"mode": "everything"}).returncode == 0


def test_scope_senders(lab: Lab, make: Make) -> None:
    """Only the listed senders use the smart host."""
    machine = make(PostfixSite(), scope={"mode": "senders", "senders": ["Alice@example.com", "@example.net"]})
    listed = send(lab, machine, messages.plain(), OUT_A, sender="alice@example.com")
    domain = send(lab, machine, messages.plain(), OUT_A, sender="sales@example.net")
    other = send(lab, machine, messages.plain(), OUT_A, sender="bob@example.com")
    loop = send(lab, machine, messages.loop(), OUT_A, sender="alice@example.com")
    lab.expect(listed, "conbool")
    lab.expect(domain, "conbool")
    lab.expect(other, "outside_a")
    lab.expect(loop, "outside_a")


def test_scope_can_be_narrowed_and_the_old_route_comes_back(lab: Lab, make: Make) -> None:
    machine = make(
        PostfixSite(main={"default_transport": "smtp:[smtp.provider.example]:25"}),
        scope={"mode": "everything"},
    )
    first = send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example")
    lab.expect(first, "conbool")
    apply_answers(lab, machine)
    assert machine.postconf("default_transport") == "smtp:[smtp.provider.example]:25"
    foreign = send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example")
    hosted = send(lab, machine, messages.plain(), OUT_A)
    lab.expect(foreign, "provider")
    lab.expect(hosted, "conbool")
    assert plan_answers(lab, machine).returncode == 0


def test_relayhost_of_another_provider_with_sasl(lab: Lab, make: Make) -> None:
    """The provider keeps what is not in scope, with its login; the smart host never sees a login."""
    machine = make(
        PostfixSite(
            main={
                "relayhost": "[smtp.provider.example]:25",
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": "static:user:secret",
                "smtp_sasl_security_options": "",
                "smtp_tls_security_level": "may",
                "smtp_tls_policy_maps": "texthash:/etc/postfix/tls_policy",
            },
            files={
                "/etc/postfix/tls_policy": "[mail.conbool.com]:25 none\n[smtp.provider.example]:25 encrypt\n"
            },
        )
    )
    hosted = send(lab, machine, messages.plain(), OUT_A)
    foreign = send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example")
    loop = send(lab, machine, messages.loop(), OUT_A)
    lab.expect(hosted, "conbool")
    lab.expect(foreign, "provider")
    lab.expect(loop, "outside_a")
    taken = lab.conbool.find(hosted.token)[0]
    assert taken.auth_user is None
    assert taken.tls is not None
    assert lab.provider.find(foreign.token)[0].auth_user == "user"


def test_guide_snippets_done_by_hand_are_replaced(lab: Lab, make: Make) -> None:
    """An admin who followed the public guide has relayhost set; bounces and foreign senders must not go there."""
    machine = make(
        PostfixSite(main={"relayhost": "[mail.conbool.com]:25", "smtp_tls_security_level": "encrypt"})
    )
    hosted = send(lab, machine, messages.plain(), OUT_A)
    null = send(lab, machine, messages.plain(), OUT_A, sender="")
    lab.expect(hosted, "conbool")
    lab.expect(null, "outside_a")
    assert plan_answers(lab, machine).returncode == 0


def test_manual_routes_win_over_the_smart_host_and_over_the_lane(lab: Lab, make: Make) -> None:
    machine = make(
        PostfixSite(
            main={"transport_maps": "texthash:/etc/postfix/routes"},
            files={"/etc/postfix/routes": "outside-b.example smtp:[smtp.provider.example]:25\n"},
        )
    )
    plain = send(lab, machine, messages.plain(), OUT_B)
    loop = send(lab, machine, messages.loop(), OUT_A, OUT_B)
    lab.expect(plain, "provider")
    lab.expect(loop, "outside_a", "provider")


def test_existing_header_checks_and_restrictions_stay_in_force(lab: Lab, make: Make) -> None:
    machine = make(
        PostfixSite(
            main={
                "header_checks": "regexp:/etc/postfix/my_checks",
                "smtpd_recipient_restrictions": "check_recipient_access inline:{{blocked@example.com=REJECT blocked here}}, permit_mynetworks, reject_unauth_destination",
                "smtpd_sender_restrictions": "check_client_access inline:{{192.0.2.84=DUNNO}}, check_sender_access inline:{{example.com=permit_mynetworks}}, reject_unknown_sender_domain",
                "smtpd_data_restrictions": "reject_unauth_pipelining, permit",
            },
            files={
                "/etc/postfix/my_checks": "/^Subject:.*forbidden/ REJECT no such subject\n/^X-Mark:/ PREPEND X-Mine: seen\n"
            },
            submission=True,
        )
    )
    forbidden = messages.build(["Subject: forbidden"])
    refused = lab.send(machine, forbidden, [OUT_A])
    assert refused.code == 550
    assert "no such subject" in refused.last.text
    for port, more in ((25, {}), (587, {"tls": True, "auth": ("alice@example.com", PASSWORD)})):
        mark = messages.build(["X-Mark: 1"])
        sent = lab.send(machine, mark, [OUT_A], port=port, **more)  # type: ignore[arg-type]
        assert sent.accepted, sent.replies
        lab.expect(mark, "conbool")
        assert lab.conbool.find(mark.token)[0].headers("X-Mine") == ["seen"]
    inner = send(lab, machine, messages.attached(messages.build([LOOP])), OUT_A)
    lab.expect(inner, "conbool")
    blocked = lab.send(machine, messages.plain(), ["blocked@example.com"])
    assert blocked.code == 554
    stranger = lab.send(machine, messages.build([LOOP]), [OUT_A], source=STRANGER)
    assert not stranger.accepted
    back = send(lab, machine, messages.plain(), OUT_A, source=CONBOOL)
    lab.expect(back, "outside_a")
    assert plan_answers(lab, machine).returncode == 0


def test_without_pcre(lab: Lab, make: Make) -> None:
    """Debian's Postfix has no pcre tables unless a package is added."""
    machine = make(PostfixSite(), pcre=False)
    plain = send(lab, machine, messages.plain(), OUT_A)
    loop = send(lab, machine, messages.loop(form="folded"), OUT_A)
    calendar = send(lab, machine, messages.calendar("capitals"), OUT_A)
    released = send(lab, machine, messages.released(form="trailing"), "alice@example.com", OUT_A)
    lab.expect(plain, "conbool")
    lab.expect(loop, "outside_a")
    lab.expect(calendar, "outside_a")
    lab.expect(released, "outside_a", place(machine, "alice"))


def test_conbool_only_is_believed(lab: Lab, make: Make) -> None:
    """markers.trust = conbool: neither a neighbour nor a local command can make mail skip the smart host."""
    machine = make(PostfixSite(), markers={"trust": "conbool"})
    neighbour = send(lab, machine, messages.loop(), OUT_A)
    command = messages.released()
    machine.sendmail(command.raw, [OUT_A], sender="alice@example.com")
    conbool = send(lab, machine, messages.loop(), OUT_A, source=CONBOOL)
    lab.expect(neighbour, "conbool")
    lab.expect(command, "conbool")
    lab.expect(conbool, "outside_a")
    taken = lab.conbool.find(neighbour.token)[0]
    assert not taken.headers("X-Conbool-example-com")
    assert not taken.headers("X-Conbool-Origin")


def test_conbool_delivers_itself(lab: Lab, make: Make) -> None:
    """return_mode = conbool_delivers: nothing is relayed for Conbool."""
    machine = make(PostfixSite(), inbound={"return_mode": "conbool_delivers"})
    refused = lab.send(machine, messages.plain(), [OUT_A], source=CONBOOL)
    assert refused.code == 554
    inbound = send(
        lab, machine, messages.plain(), "alice@example.com", sender="x@elsewhere.example", source=CONBOOL
    )
    lab.expect(inbound, place(machine, "alice"))


def test_behind_a_content_filter(lab: Lab, make: Make) -> None:
    """Everything not from Conbool is scanned exactly once, then routed right."""
    machine = make(PostfixSite(content_filter=True, submission=True))
    alice = place(machine, "alice")
    expected = {
        "plain": (send(lab, machine, messages.plain(), OUT_A), ["conbool"]),
        "large": (send(lab, machine, messages.large(), OUT_A), ["conbool"]),
        "loop": (send(lab, machine, messages.loop(), OUT_A, "alice@example.com"), [alice, "outside_a"]),
        "released": (
            send(lab, machine, messages.released(), OUT_A, "alice@example.com"),
            [alice, "outside_a"],
        ),
        "calendar": (send(lab, machine, messages.calendar("part"), OUT_A), ["outside_a"]),
        "null": (send(lab, machine, messages.plain(), OUT_A, sender=""), ["outside_a"]),
        "foreign": (send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example"), ["outside_a"]),
        "stranger": (
            send(
                lab,
                machine,
                messages.build([RELEASED]),
                "alice@example.com",
                sender="x@elsewhere.example",
                source=STRANGER,
            ),
            [alice],
        ),
        "submission": (
            send(
                lab,
                machine,
                messages.build([LOOP]),
                OUT_A,
                port=587,
                tls=True,
                auth=("alice@example.com", PASSWORD),
            ),
            ["conbool"],
        ),
    }
    for name, (message, places) in expected.items():
        lab.expect(message, *places)
        assert machine.scanned(message.token) == 1, name
    for sink in (lab.conbool, lab.outside_a):
        for name in ("plain", "calendar", "loop"):
            for taken in sink.find(expected[name][0].token):
                assert taken.headers("X-Scanned") == ["yes"]
                assert taken.body_sha256 == expected[name][0].body_sha256
    trusted = send(
        lab,
        machine,
        messages.build(["X-Conbool-Flag: YES"]),
        "alice@example.com",
        sender="x@elsewhere.example",
        source=CONBOOL,
    )
    back = send(lab, machine, messages.plain(), OUT_A, source=CONBOOL)
    lab.expect(trusted, alice)
    lab.expect(back, "outside_a")
    assert machine.scanned(trusted.token) == machine.scanned(back.token) == 0
    flagged = [stored for stored in machine.mailbox("alice") if trusted.token.encode() in stored.raw]
    assert flagged[0].headers("X-Spam-Flag") == ["YES"]
    stranger = [
        stored for stored in machine.mailbox("alice") if expected["stranger"][0].token.encode() in stored.raw
    ]
    assert not stranger[0].headers("X-Conbool-Released")
    command = messages.loop()
    machine.sendmail(command.raw, [OUT_A], sender="alice@example.com")
    lab.expect(command, "outside_a")
    assert machine.scanned(command.token) == 1
    assert plan_answers(lab, machine).returncode == 0


def test_client_certificate_is_offered(lab: Lab, make: Make) -> None:
    pair = lab.authority.issue("mx1.example.com")

    machine = make(
        PostfixSite(
            files={"/etc/ssl/offer.pem": pair.certificate.decode(), "/etc/ssl/offer.key": pair.key.decode()}
        ),
        smart_host={
            "host": "mail.conbool.com",
            "client_certificate": "/etc/ssl/offer.pem",
            "client_key": "/etc/ssl/offer.key",
        },
    )
    message = send(lab, machine, messages.plain(), OUT_A)
    lab.expect(message, "conbool")
    tls = lab.conbool.find(message.token)[0].tls
    assert tls is not None
    assert tls.client_name == "mx1.example.com"


def test_postscreen_host(lab: Lab, make: Make) -> None:
    machine = make(
        PostfixSite(
            main={"postscreen_access_list": "permit_mynetworks", "postscreen_greet_action": "ignore"},
            files={"/etc/postfix/make-postscreen": "x\n"},
        ),
    )
    machine.shell(
        "postconf -M 'smtp/inet=smtp inet n - y - 1 postscreen' 'smtpd/pass=smtpd pass - - y - - smtpd'"
        " 'tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy' 'dnsblog/unix=dnsblog unix - - y - 0 dnsblog' && postfix reload"
    )
    apply_answers(lab, machine)
    back = send(lab, machine, messages.plain(), OUT_A, source=CONBOOL)
    loop = send(lab, machine, messages.loop(), OUT_A)
    plain = send(lab, machine, messages.plain(), OUT_A)
    lab.expect(back, "outside_a")
    lab.expect(loop, "outside_a")
    lab.expect(plain, "conbool")
