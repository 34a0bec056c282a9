"""What a mail system cannot do is refused before anything is planned, and cannot be chosen in the wizard, with its reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from conbool_tui.answers import Answers, Inbound, Markers, Scope, Spam
from conbool_tui.answers_file import AnswerError
from conbool_tui.facts import Capability, Detection, HostFacts, Outcome
from conbool_tui.host import Host
from conbool_tui.planners.postfix.mta import mta_of
from conbool_tui.session import Session
from conbool_tui.wizard_state import FIELDS, WizardState
from screens.texts import questions
from tests.unit.cli import samples

WHY = "its rules are decided before that is known"
CASES = {
    "scope.mode: senders": Answers(scope=Scope("senders", ("alice@example.com",))),
    "markers.trust: conbool": Answers(markers=Markers(trust="conbool")),
    "inbound.peer_certificate: require": Answers(inbound=Inbound(peer_certificate="require")),
    "inbound.return_mode: conbool_delivers": Answers(inbound=Inbound(return_mode="conbool_delivers")),
    "spam.action: header": Answers(spam=Spam(action="header")),
}


def limited(*keys: str) -> HostFacts:
    """A host whose mail system cannot do these."""
    limits = tuple(Capability(key, False, WHY) for key in keys)
    mta = dataclasses.replace(mta_of(samples.postfix()), capabilities=limits)
    return HostFacts((Detection("postfix", Outcome.PRESENT, "", postfix=samples.postfix(), mta=mta),))


@pytest.mark.parametrize("key", CASES)
def test_refused_with_the_reason(tmp_path: Path, key: str) -> None:
    session = Session(Host(str(tmp_path)))
    answers = dataclasses.replace(CASES[key], domains=("example.com",))
    with pytest.raises(AnswerError) as caught:
        session.complete(answers, limited(key))
    assert caught.value.key == key.split(":")[0]
    assert f"{key} is not possible with this Postfix." in caught.value.what
    assert WHY in caught.value.why
    others = [one for one in CASES if one != key]
    assert session.complete(answers, limited(*others)).domains == ("example.com",)


@pytest.mark.parametrize("key", CASES)
def test_cannot_be_chosen(key: str) -> None:
    name, _, word = key.partition(": ")
    state = WizardState()
    facts = limited(key)
    state.found(facts, facts.detections[0])
    assert questions.refusals(name, state) == {word: WHY}
    assert word in FIELDS[name].choices
    state.found(limited(), limited().detections[0])
    assert questions.refusals(name, state) == {}


def test_a_default_is_nobodys_wish(tmp_path: Path) -> None:
    """What nobody asked for is no reason to refuse: the plan says what becomes of it."""
    session = Session(Host(str(tmp_path)))
    assert session.complete(Answers(domains=("example.com",)), limited("spam.action: folder")).domains
