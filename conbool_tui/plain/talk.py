"""Asking: numbered choices, yes and no, texts, words, and long lists; help, back and leaving at every question.

Whatever cannot be used is told, and the question is asked again; nothing given before is lost by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from conbool_tui.plain.console import Console, Text
from conbool_tui.plain.keyboard import Keyboard
from screens.texts.asked import Asked
from screens.texts.lines import Line
from screens.texts.saving import type_word, word_missing
from screens.texts.topics import LINE_MODE, TOPICS

PROMPT = "> "
PAGE = 40
"""Lines said without asking whether to go on."""
ROWS = 15
"""Entries of a list said at a time."""
LONGEST = 4095
"""Characters of a line; of a longer one the terminal drops the end without a word (termios(3), canonical mode)."""
ENTER = "(Enter)"
CHOSEN = "(chosen, Enter keeps it)"
_TICK = 1.0
_PAGER = "Enter: more, a: all of it, s: no more."
_HELP, _MORE_HELP, _BACK, _LEAVE = ("?",), ("??",), ("<", "b"), ("q",)


Tick = Callable[[], bool]


class BackError(Exception):
    """One question or one level back."""


@dataclass(frozen=True)
class Option:
    """One of several: what stands for it in the program, its text, and why it cannot be chosen (empty when it can)."""

    value: str
    text: str
    reason: str = ""


class Talk:
    """A conversation over a keyboard and a console.

    Args:
        leave: called for q; returns when the admin stays.
    """

    def __init__(self, console: Console, keyboard: Keyboard, leave: Callable[[], None]) -> None:
        self._console = console
        self._keyboard = keyboard
        self._leave = leave
        self.topic = "general"
        """What help is about."""

    # --- saying

    def say(self, *lines: Text) -> None:
        """Say lines. Raises GoneError."""
        self._console.say_all(lines)

    def heading(self, text: str) -> None:
        """Say where we are, set off by a blank line."""
        self.say("", text)

    def page(self, lines: Sequence[Text]) -> None:
        """Say lines, and after many ask whether to go on. Raises GoneError."""
        texts = self._console.wrapped(lines)
        done, everything = 0, len(texts) <= PAGE + PAGE // 2
        while done < len(texts):
            upto = len(texts) if everything else min(done + PAGE, len(texts))
            self._console.say_all(texts[done:upto])
            done = upto
            if done == len(texts):
                return
            try:
                answer = self._page_answer(f"Lines 1 to {done} of {len(texts)}. {_PAGER}")
            except BackError:
                return
            if answer == "s":
                return
            everything = answer == "a"

    def _page_answer(self, question: str) -> str:
        while True:
            answer = self._line(lambda: self.say(question)).strip().lower()
            if answer in ("", "a", "s"):
                return answer
            self.say(f"x {_quoted(answer)} is no answer here.")

    # --- asking

    def choose(
        self,
        ask: Sequence[Text],
        options: Sequence[Option],
        *,
        enter: str,
        about: Sequence[Text] = (),
        kept: bool = False,
        fresh: bool = False,
        tick: Optional[Tick] = None,
        keys: Optional[dict[str, str]] = None,
    ) -> str:
        """One of the options, by number, by its text or by its word.

        Args:
            ask: the question.
            enter: the value Enter alone stands for.
            about: what help says about the question.
            kept: Enter keeps what was chosen earlier (else it takes the likely choice).
            fresh: the answer has consequences: what was typed before the question was there does not count, and no beginning of a word.
            tick: called once a second while nothing comes; True when it said something. Whatever it raises ends the question.
            keys: further words, and the values they stand for.

        Raises:
            BackError: one step back.
            GoneError: nobody is there any more.
        """

        def show() -> None:
            self.say(*ask)
            for number, option in enumerate(options, 1):
                reason = f" (not now: {option.reason})" if option.reason else ""
                taken = option.value == enter and not reason
                note = f" {CHOSEN if kept else ENTER}" if taken else ""
                self.say(Line(f"  {number}  {option.text}{note}{reason}", hang=5))

        refused = False
        while True:
            text = self._line(show, about=about, fresh=fresh, tick=tick, shown=refused).strip()
            refused = True
            option = _found(options, text, enter, keys or {}, whole=fresh)
            if option is None:
                self.say(f"x {_quoted(text)} is no choice. Type a number from 1 to {len(options)}.")
            elif option.reason:
                self.say(f"! {option.text}: {option.reason}")
            else:
                return option.value

    def menu(
        self,
        options: Sequence[Option],
        *,
        enter: str,
        fresh: bool = False,
        tick: Optional[Tick] = None,
    ) -> str:
        """What to do next. Raises as ``choose``."""
        return self.choose(["", "What next?"], options, enter=enter, fresh=fresh, tick=tick)

    def yes_or_no(self, ask: Sequence[Text], now: bool, *, about: Sequence[Text] = ()) -> bool:
        """Yes or no, Enter keeps what it is. Raises as ``choose``."""
        options = (Option("yes", "yes"), Option("no", "no"))
        keys = {"y": "yes", "n": "no"}
        enter = "yes" if now else "no"
        return self.choose(ask, options, enter=enter, about=about, kept=True, keys=keys) == "yes"

    def asked(self, asked: Asked) -> bool:
        """A question whose no is harmless, and what its answers mean. Going back is no. Raises GoneError."""
        self.heading(asked.question)
        self.page([*asked.lines])
        try:
            if asked.word:
                self._keyboard.forget()
                typed = self._line(
                    lambda: self.say(f"{type_word(asked.word)}. Anything else is: {asked.no}.")
                )
                if typed.strip().lower() != asked.word:
                    self.say(f"! {asked.yes}: {word_missing(asked.word)}")
                    return False
            options = (Option("no", asked.no), Option("yes", asked.yes))
            return self.choose([""], options, enter="no", fresh=True) == "yes"
        except BackError:
            return False

    def text(self, ask: Sequence[Text], *, about: Sequence[Text] = ()) -> str:
        """What is typed, without blanks around it. Raises as ``choose``."""
        return unquoted(self._line(lambda: self.say(*ask), about=about).strip())

    def lines(self, ask: Sequence[Text], *, about: Sequence[Text] = (), until_empty: bool) -> str:
        """What is typed or pasted in one or more lines.

        Args:
            until_empty: an empty line ends it; else only lines that come at once belong together.

        Raises: as ``choose``.
        """
        found = [self._line(lambda: self.say(*ask), about=about)]
        if not found[0].strip():
            return ""
        while True:
            # A pasted list may have empty lines; the one that ends it is typed after it.
            if not until_empty and not self._keyboard.more(_PASTED):
                break
            line = self._keyboard.read()
            if line is None or (until_empty and not line.strip() and not self._keyboard.more(_PASTED)):
                break
            if len(line) >= LONGEST:
                self._too_long()
                return self.lines(ask, about=about, until_empty=until_empty)
            found.append(line)
        return unquoted("\n".join(found).strip())

    def rows(self, ask: Sequence[Text], rows: Sequence[str], hint: str, *, about: Sequence[Text] = ()) -> str:
        """Say the entries of a list with their numbers, a few at a time, and return what is typed about them.

        Raises: as ``choose``.
        """
        self.say(*ask)
        first = 0
        found: Optional[list[int]] = None
        while True:
            listed = range(len(rows)) if found is None else found
            shown = listed[first : first + ROWS]
            for index in shown:
                self.say(Line(f"  {index + 1}  {rows[index]}", hang=5))
            rest = len(listed) - first - len(shown)
            first += len(shown)
            if rest:
                self.say(f"  and {rest:,} more; m lists more of them, /word those with the word in it")

            def show() -> None:
                self.say(hint)

            text = self._line(show, about=about).strip()
            if text.startswith("/"):
                word = text[1:].strip().lower()
                found, first = [index for index, row in enumerate(rows) if word in row.lower()], 0
                self.say(f"{len(found):,} of {len(rows):,}:")
            elif text.lower() == "m" and rest:
                continue
            elif text.lower() == "m":
                found, first = None, 0
            else:
                return text

    # --- one line

    def _line(
        self,
        show: Callable[[], None],
        *,
        about: Sequence[Text] = (),
        fresh: bool = False,
        tick: Optional[Tick] = None,
        shown: bool = False,
    ) -> str:
        if fresh:
            self._keyboard.forget()
        while True:
            if not shown:
                show()
            shown = False
            self._console.ask(PROMPT)
            line = self._keyboard.read(_TICK if tick else None)
            while line is None:
                if tick is not None and tick():
                    self._console.ask(PROMPT)
                line = self._keyboard.read(_TICK)
            word = line.strip().lower()
            if word in _HELP:
                self.help(about)
            elif word in _MORE_HELP:
                self._help_lines(LINE_MODE)
            elif word in _BACK:
                raise BackError
            elif word in _LEAVE:
                self._leave()
            elif len(line) >= LONGEST:
                self._too_long()
            elif any(not char.isprintable() and char != "\t" for char in line):
                self.say("x There are control characters in it (an arrow key?). Nothing was taken over.")
            else:
                return line

    def _too_long(self) -> None:
        self._keyboard.forget()
        self.say(
            f"x The line has more than the {LONGEST:,} characters that a terminal hands over at once, and its end is missing.",
            "Nothing was taken over. Use several lines, or a file where one can be loaded.",
        )

    def help(self, about: Sequence[Text]) -> None:
        """What is said about the question, then about the step."""
        self.say("Help", *about)
        self._help_lines((*TOPICS.get(self.topic, ()), "?? explains how to answer."))

    def _help_lines(self, entries: Sequence[str]) -> None:
        self.page(entries)


_BEGINNING = 3
"""Letters that are enough for an option when no other begins with them."""
_PASTED = 0.2
"""Seconds after which what comes was not pasted together with what came before."""


def unquoted(text: str) -> str:
    """The text without the backslash that keeps it from being a command."""
    return text[1:] if text.startswith("\\") else text


def _found(
    options: Sequence[Option], text: str, enter: str, keys: dict[str, str], *, whole: bool
) -> Optional[Option]:
    """The option that is meant. ``whole``: the beginning of its text is not enough."""
    wanted = text.lower()
    if not wanted:
        return next((option for option in options if option.value == enter), None)
    if wanted.isdecimal():
        return options[int(wanted) - 1] if 0 < int(wanted) <= len(options) else None
    wanted = keys.get(wanted, wanted)
    for option in options:
        if wanted in (option.value.lower(), option.text.lower()):
            return option
    if whole or len(wanted) < _BEGINNING:
        return None
    begun = [option for option in options if option.text.lower().startswith(wanted)]
    return begun[0] if len(begun) == 1 else None


def _quoted(text: str) -> str:
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'
