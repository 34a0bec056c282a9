"""The installed program on terminals and in locales of many kinds: through its launcher, with the distribution's Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import Mounts
from tests.lab.releases import ONE
from tests.tui.test_terminal import Terminal

from .server import PackagedMachine, server

pytestmark = [
    pytest.mark.lab,
    pytest.mark.parametrize(
        "suite", [pytest.param(ONE, marks=pytest.mark.xdist_group("packages-terminals"))], indirect=True
    ),
]
LOCALES = "/srv/locales"
LATIN = "de_DE.ISO-8859-1"


@pytest.fixture(scope="module")
def machine(module_lab: Lab, suite: str, deb: Path) -> PackagedMachine:
    """A server with the package, and a folder with a locale that is not UTF-8."""
    one = server(module_lab, suite, Mounts([("/usr/share/i18n", "/usr/share/i18n", False)]))
    one.install(deb)
    one.shell(f"mkdir {LOCALES}; localedef -f ISO-8859-1 -i de_DE {LOCALES}/{LATIN} || true")
    return one


@pytest.fixture
def opened() -> Iterator[list[Terminal]]:
    terminals: list[Terminal] = []
    yield terminals
    for terminal in terminals:
        terminal.close()


def test_the_locale_is_there(machine: PackagedMachine) -> None:
    environment = {"LOCPATH": LOCALES, "LC_ALL": LATIN}
    assert machine.run(["locale", "charmap"], env=environment).stdout == "ISO-8859-1\n"
    assert machine.run(["locale", "charmap"], env={"LC_ALL": LATIN}).stdout != "ISO-8859-1\n"


@pytest.mark.parametrize(
    ("environment", "flags", "plain"),
    [
        ({}, (), False),
        ({"TERM": "screen"}, (), False),
        ({"TERM": "vt100"}, (), True),
        ({"TERM": "linux"}, (), True),
        ({}, ("--ascii",), True),
        ({"LANG": ""}, (), True),
        ({"LANG": "C"}, (), True),
        ({"LANG": "", "LC_ALL": LATIN}, (), True),
        ({"LANG": LATIN, "LOCPATH": LOCALES}, (), True),
        ({"LANG": "de_DE.UTF-8"}, (), False),
        ({"NO_COLOR": "1"}, (), False),
    ],
    ids=lambda value: (
        "-".join(value if isinstance(value, tuple) else map("=".join, value.items()))
        if isinstance(value, (dict, tuple))
        else None
    ),
)
def test_it_can_be_read_everywhere(
    machine: PackagedMachine,
    opened: list[Terminal],
    environment: dict[str, str],
    flags: tuple[str, ...],
    plain: bool,
) -> None:
    command = machine.command(["conbool-tui", *flags], {"TERM": "xterm-256color", **environment})
    terminal = Terminal(command=command)
    opened.append(terminal)
    terminal.until("OK  Postfix")
    assert terminal.raw.isascii() is plain
    text = terminal.text()
    assert "> [ Start ]" in text
    assert "( Recover )" in text, "what cannot be used now differs by its brackets"
    assert "\\u" not in text
    assert ("+ OK" if plain else "\u2713 OK") in text
    terminal.send("\x1b[21~")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"TERM": ""}, {"TERM": "dumb", "LANG": LATIN}], ids=str
)
def test_without_a_screen_it_asks_in_lines(
    machine: PackagedMachine, opened: list[Terminal], environment: dict[str, str]
) -> None:
    terminal = Terminal(command=machine.command(["conbool-tui"], environment))
    opened.append(terminal)
    terminal.until("Postfix 3.")
    assert b"\x1b" not in terminal.raw, "nothing is placed or coloured"
    assert terminal.raw.isascii()
    terminal.send("\x04")
    assert terminal.end() == 0
