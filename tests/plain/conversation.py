"""The wizard in lines over a false session, answered from a list; what was said is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Optional, Union

import pytest

from conbool_tui.answers import Answers
from conbool_tui.plain.app import _walk, run_plain
from conbool_tui.plain.console import Console
from conbool_tui.plain.keyboard import GoneError
from conbool_tui.plain.run import Run
from conbool_tui.wizard_state import WizardState
from tests.tui.fake import FakeSession

Answer = Union[str, Callable[[], Optional[str]]]
CHANGE = "20250102-0304-a1"


class Script:
    """A keyboard that gives these answers and then is gone. A function is called when its turn comes; None stands for a second in
    which nothing is typed.
    """

    def __init__(self, *answers: Answer, lost: bool = True) -> None:
        self._answers: Iterator[Answer] = iter(answers)
        self._lost = lost
        self.left = len(answers)
        self.ahead: list[str] = []
        self.forgotten = 0
        self.heard: Callable[[str], object] = lambda line: None

    def read(self, timeout: Optional[float] = None) -> Optional[str]:
        for answer in self._answers:
            self.left -= 1
            line = answer() if callable(answer) else answer
            if line is not None:
                self.heard(line)
            return line
        raise GoneError

    def more(self, timeout: float) -> bool:
        return False

    def forget(self) -> None:
        self.forgotten += 1

    def lost(self) -> bool:
        return self._lost and self.left == 0


class Conversation:
    """One run, from beginning to end."""

    def __init__(
        self,
        session: FakeSession,
        *answers: Answer,
        given: Optional[Answers] = None,
        width: int = 10_000,
        lost: bool = False,
    ) -> None:
        self.session = session
        self.keyboard = Script(*answers, lost=lost)
        self.parts: list[str] = []
        self.keyboard.heard = lambda line: self.parts.append(f"{line}\n")
        console = Console(self.parts.append, lambda: width)
        made: list[Run] = []

        def walked(run: Run) -> None:
            made.append(run)
            _walk(run)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("conbool_tui.plain.app._walk", walked)
            self.code = run_plain(lambda: session, given, console=console, keyboard=self.keyboard)
        self.state: WizardState = made[0].state

    @property
    def text(self) -> str:
        """Everything that was said and answered."""
        return "".join(self.parts)

    @property
    def flat(self) -> str:
        """The same in one line."""
        return " ".join(self.text.split())

    def after(self, words: str) -> str:
        """What came after these words, in one line."""
        _, found, rest = self.text.partition(words)
        assert found, f"{words!r} was not said:\n{self.text}"
        return " ".join(rest.split())


def keep(count: int) -> tuple[str, ...]:
    """Enter, so many times."""
    return ("",) * count


WELCOME: tuple[str, ...] = ("",)
PREREQUISITES: tuple[str, ...] = (*keep(2), "")
SMART_HOST: tuple[str, ...] = (*keep(7), "")
INBOUND: tuple[str, ...] = (*keep(6), "")
LOOP: tuple[str, ...] = (*keep(5), "")
RELEASE: tuple[str, ...] = (*keep(1), "")
SCOPE: tuple[str, ...] = (*keep(1), "")
TO_SMART_HOST: tuple[str, ...] = (*WELCOME, *PREREQUISITES)
TO_INBOUND: tuple[str, ...] = (*TO_SMART_HOST, *SMART_HOST)
AFTER_INBOUND: tuple[str, ...] = (*LOOP, *RELEASE, *SCOPE)
TO_REVIEW: tuple[str, ...] = (*TO_INBOUND, *INBOUND, *AFTER_INBOUND)
APPLY: tuple[str, ...] = ("", "Apply now")
