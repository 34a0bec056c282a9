"""The answers being edited, and the picture: without Textual."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conbool_tui import mail_flow
from conbool_tui.answers import Answers, Inbound, Scope, SmartHost
from conbool_tui.facts import PostfixFacts
from conbool_tui.planners.postfix.mta import mta_of
from conbool_tui.wizard_state import FIELDS, Draft, FieldError
from screens import glyphs
from tests.tui.fake import postfix_facts, with_filter


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("smart_host.host", " Mail.Conbool.COM. ", "mail.conbool.com"),
        ("smart_host.port", " 2525 ", 2525),
        ("smart_host.ca_file", "  ", None),
        ("smart_host.tls_name", "Mail.Example", "mail.example"),
        ("conbool_networks", "198.51.100.0/24,203.0.113.7\n2001:db8::/32;198.51.100.0/24",
         ("198.51.100.0/24", "203.0.113.7/32", "2001:db8::/32")),
        ("conbool_networks", "198.51.100.128/25, 198.51.100.0/24", ("198.51.100.0/24",)),
        ("markers.released", " X-Released ", "X-Released"),
        ("markers.spam", "X-A X-B", ("X-A", "X-B")),
        ("spam.folder", " Junk Mail ", "Junk Mail"),
    ],
)  # fmt: skip
def test_texts_become_values(key: str, text: str, value: object) -> None:
    draft = Draft(detected=("example.com",))
    draft.set(key, text)
    assert draft.error(key) is None
    found: object = draft.answers()
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("smart_host.host", "", "The field is empty. Write a full host name"),
        ("smart_host.host", "[mail.conbool.com]", "without brackets"),
        ("smart_host.host", "mail.conbool.com:25", "without a port"),
        ("smart_host.port", "0", "1 to 65535"),
        ("smart_host.port", "٢٥", "1 to 65535"),
        ("smart_host.client_certificate", "cert.pem", "from the root"),
        ("conbool_networks", "0.0.0.0/0", "whole Internet"),
        ("conbool_networks", "198.51.100.7/24", "write 198.51.100.0/24"),
        ("conbool_networks", "mail.conbool.com", "is no network"),
        ("markers.released", "X Conbool", "is no header name"),
        ("markers.spam", "Subject", "every message has"),
    ],
)
def test_wrong_texts_say_what_is_wrong_and_change_no_answer(key: str, text: str, told: str) -> None:
    draft = Draft(detected=("example.com",))
    before = draft.answers()
    draft.set(key, text)
    error = draft.error(key)
    assert error is not None
    assert told.lower() in str(error).lower()
    assert draft.answers() == before


def test_only_domains_meant_by_default_are_chosen() -> None:
    draft = Draft(detected=("example.com",), others=("example.com", "mx1.example.com", "localhost", "$odd"))
    assert dict(draft.domains) == {"example.com": True, "mx1.example.com": False}
    with pytest.raises(FieldError):
        draft.add_domains("ok.example alice@example.com")
    assert "ok.example" not in draft.domains, "all or none"
    draft.add_domains("B\u00fccher.example")
    assert draft.chosen_domains == ("example.com", "xn--bcher-kva.example")


def test_an_address_as_smart_host_needs_a_certificate_name() -> None:
    draft = Draft(detected=("example.com",))
    draft.set("smart_host.host", "192.0.2.1")
    assert set(draft.errors()) == {"smart_host.tls_name"}
    draft.set("smart_host.tls_name", "mail.conbool.com")
    assert not draft.errors()


def test_a_draft_without_edits_gives_back_its_answers() -> None:
    given = Answers(
        domains=("example.com",),
        smart_host=SmartHost(port=2525),
        scope=Scope("senders", ("@example.com",)),
        conbool_networks=("198.51.100.0/24",),
        inbound=Inbound(restrict_port_25=True, extra_networks=("192.0.2.0/24",)),
    )
    draft = Draft(given, ("example.com", "example.org"))
    assert draft.answers() == given
    assert not draft.changed


def test_a_field_with_an_error_does_not_spoil_the_others() -> None:
    draft = Draft(detected=("example.com",))
    draft.set("smart_host.host", "[bad")
    draft.set("smart_host.port", "26")
    assert draft.answers().smart_host == SmartHost(port=26)
    assert set(draft.errors()) == {"smart_host.host"}
    assert draft.changed
    draft.keep()
    assert not draft.changed


def test_loop_headers_are_kept_only_where_they_differ() -> None:
    draft = Draft(detected=("a.example", "b.example"))
    draft.set_loop_header("a.example", "X-Conbool-a-example")
    draft.set_loop_header("b.example", "X-Mine")
    assert dict(draft.answers().markers.loop_headers) == {"b.example": "X-Mine"}
    draft.choose_domain("b.example", False)
    assert dict(draft.answers().markers.loop_headers) == {}
    draft.choose_domain("b.example", True)
    assert draft.loop_header("b.example") == "X-Mine"
    draft.set_loop_header("b.example", " ")
    assert draft.loop_header("b.example") == "X-Conbool-b-example"


def test_a_certificate_needs_its_key_and_the_other_way_round() -> None:
    draft = Draft(detected=("example.com",))
    draft.set("smart_host.client_key", "/k.pem")
    assert set(draft.errors()) == {"smart_host.client_certificate"}
    draft.set("smart_host.client_certificate", "/c.pem")
    draft.set("smart_host.client_key", "")
    assert set(draft.errors()) == {"smart_host.client_key"}


def test_every_declared_answer_is_known_with_its_help() -> None:
    assert {"domains", "smart_host.host", "scope.mode", "markers.trust", "spam.folder"} <= set(FIELDS)
    for spec in FIELDS.values():
        assert spec.help.endswith(".") or ":" in spec.help or "(" in spec.help, spec
        assert spec.label


# --- the picture


@pytest.mark.parametrize("mode", ["domains", "everything", "senders"])
@pytest.mark.parametrize("arrows", [mail_flow.Arrows(), glyphs.UNICODE.arrows], ids=["ascii", "unicode"])
@pytest.mark.parametrize("facts", [postfix_facts(), with_filter()], ids=["plain", "filter"])
def test_the_picture_fits_and_names_every_way(
    mode: str, arrows: mail_flow.Arrows, facts: PostfixFacts
) -> None:
    long = "a-very-long-name." * 5 + "example.com"
    answers = Answers(
        domains=("example.com", long),
        scope=Scope(mode, ("alice@" + long, "@example.net")),
        smart_host=SmartHost(host=long),
        conbool_networks=("198.51.100.0/24",),
    )
    for hops in (mail_flow.hops_before(mta_of(facts)), mail_flow.hops_after(mta_of(facts), answers)):
        lines = mail_flow.picture(hops, arrows)
        assert max(map(len, lines)) <= mail_flow.WIDTH
        for hop in hops:
            assert any(line.startswith(hop.sender[:20]) for line in lines)
        if arrows == mail_flow.Arrows():
            assert "\n".join(lines).isascii()


def test_the_picture_shows_who_changes_the_way_and_who_does_not() -> None:
    facts = mta_of(with_filter())
    before = "\n".join(mail_flow.picture(mail_flow.hops_before(facts)))
    assert "users, programs           --> Postfix + filter --> [smtp.provider.example]:587" in before.replace(
        "---", "--"
    )
    after = mail_flow.picture(mail_flow.hops_after(facts, Answers(domains=("example.com",))))
    secure = [line for line in after if "==>" in line]
    assert len(secure) == 1
    assert secure[0].startswith("@example.com")
    assert secure[0].endswith("mail.conbool.com:25")
    others = next(line for line in after if line.startswith("all other senders"))
    assert others.endswith("[smtp.provider.example]:587")
    everything = mail_flow.picture(mail_flow.hops_after(facts, Answers(scope=Scope("everything"))))
    assert not any("provider" in line for line in everything)


# --- what may be loaded before the first picture


def test_the_application_loads_nothing_heavy() -> None:
    code = (
        "import sys, conbool_tui.app, screens.welcome;"
        "heavy = {'sh', 'psutil', 'yaml', 'dns', 'conbool_tui.session', 'conbool_tui.host',"
        " 'conbool_tui.planners', 'conbool_tui.checks.dns_model',"
        " 'conbool_tui.runner', 'rich.syntax', 'rich.traceback', 'rich.markdown',"
        " 'textual.widgets._data_table',"
        " 'textual.widgets._markdown', 'textual.widgets._text_area', 'screens.step', 'screens.review'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_state_and_the_picture_load_without_textual() -> None:
    code = (
        "import sys, conbool_tui.wizard_state, conbool_tui.mail_flow, screens.texts.summary,"
        " screens.texts.detection, screens.texts.diffs, screens.texts.history, screens.texts.findings,"
        " screens.texts.topics, screens.flow;"
        "print('textual' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
