"""Sequences of apply, edits, apply with other answers and undo on a real Postfix, with postconf(1) as the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from . import messages
from .lab import Lab
from .postfix import PostfixMachine, PostfixSite
from .product import write_answers
from .releases import in_turns

pytestmark = in_turns

MAIN = "/etc/postfix/main.cf"
FOREIGN = "someone@outside-a.example"
FIRST: dict[str, Any] = {"conbool_networks": ["198.51.100.0/24"]}
SECOND: dict[str, Any] = {"conbool_networks": ["198.51.100.0/24"], "scope": {"mode": "everything"}}
THIRD: dict[str, Any] = {
    "conbool_networks": ["198.51.100.128/25"],
    "inbound": {"return_mode": "conbool_delivers"},
}
SEQUENCES = {
    "one": ("apply 1", "edit", "undo 1"),
    "in order": ("apply 1", "edit", "apply 2", "undo 2", "undo 1"),
    "older first": ("apply 1", "apply 2", "edit", "undo 1", "undo 2"),
    "undo of undo": ("apply 1", "undo 1", "edit", "redo", "apply 3", "undo 3", "undo 1"),
    "three": ("apply 1", "edit", "apply 2", "apply 3", "undo 3", "undo 1", "undo 2"),
}


class Server:
    """A server, its changes, and what Postfix read at first."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        self.ids: dict[str, str] = {}
        self.last = ""
        self.postponed: list[str] = []

    def reading(self) -> tuple[list[str], list[str]]:
        """postconf -n and postconf -M, without layout."""
        machine = self.machine
        return (
            sorted(" ".join(line.split()) for line in machine.shell("postconf -n").splitlines()),
            sorted(" ".join(line.split()) for line in machine.shell("postconf -Mf").splitlines()),
        )

    def apply(self, number: str) -> None:
        answers = (FIRST, SECOND, THIRD)[int(number) - 1]
        name = write_answers(self.lab, self.machine, **answers)
        done = self.machine.conbool("apply", "--yes", "--json", "--answers", name)
        assert done.returncode == 0, done.stderr
        self.ids[number] = json.loads(done.stdout)["receipt"]["id"]

    def undo(self, change_id: str, *flags: str) -> None:
        done = self.machine.conbool("undo", change_id, "--yes", "--json", *flags)
        if done.returncode == 5 and not flags:
            assert "set by change" in done.stderr, done.stderr
            self.undo(change_id, "--put-back")
            return
        if done.returncode == 3:
            # A later change uses what this one made: it has to go first.
            assert " refers to " in done.stderr, done.stderr
            assert "Take back" in done.stderr, done.stderr
            self.postponed.append(change_id)
            return
        assert done.returncode == 0, done.stderr
        self.last = json.loads(done.stdout)["receipt"]["id"]

    def do(self, step: str) -> None:
        word, _, number = step.partition(" ")
        if word == "apply":
            self.apply(number)
        elif word == "undo":
            self.undo(self.ids[number])
        elif word == "redo":
            self.undo(self.last)
        else:
            self.machine.shell(
                f"printf '# a note of the admin\\nbounce_queue_lifetime = 2d\\n' | cat - {MAIN} > /root/edited; "
                f"cat /root/edited > {MAIN}; postfix reload"
            )

    def delivers(self) -> bool:
        message = messages.plain()
        assert self.lab.send(self.machine, message, FOREIGN, helo="desk.example.com").accepted
        return bool(self.lab.wait_delivered(message))


@pytest.fixture
def server(lab_ready: None) -> Iterator[Server]:
    with Lab() as lab:
        yield Server(lab, lab.postfix("bookworm", PostfixSite(inet_protocols="ipv4")))


@pytest.mark.parametrize("steps", SEQUENCES.values(), ids=list(SEQUENCES))
def test_nothing_of_ours_is_left_and_everything_of_the_admins(server: Server, steps: Sequence[str]) -> None:
    settings, services = server.reading()
    for step in steps:
        server.do(step)
    waiting, server.postponed = server.postponed, []
    for change_id in waiting:
        server.undo(change_id)
    assert not server.postponed
    edited = "edit" in steps
    now_settings, now_services = server.reading()
    assert now_services == services
    limit = ["bounce_queue_lifetime = 2d"]
    assert [line for line in now_settings if line not in limit] == [
        line for line in settings if line not in limit
    ]
    assert (limit[0] in now_settings) is edited
    assert (b"# a note of the admin\n" in server.machine.read(MAIN)) is edited
    assert not server.machine.exists("/etc/postfix/conbool")
    assert server.machine.shell("postconf -n 2>&1 >/dev/null") == ""
    assert server.delivers()
