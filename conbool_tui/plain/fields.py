"""One question of a guide step: what is asked, what it is now, and taking over what is typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.plain.console import Text
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import Option
from conbool_tui.wizard_state import FIELDS, NO, YES, FieldError, convert, split_list
from screens.pasting import pasted_networks
from screens.texts import questions
from screens.texts.inbound import firewall_lines
from screens.texts.lines import Line
from screens.texts.questions import DOMAINS, FIREWALL, LOOP_HEADERS

EMPTY = "-"
NOTHING = "(nothing)"
_SHOWN = 6
_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
_EDIT = re.compile(r"([+-])\s*(.+)", re.DOTALL)


def ask(run: Run, key: str) -> None:
    """Ask one question until its answer has the form of the field.

    Raises:
        BackError: one question back; what was answered before stays.
    """
    if key == DOMAINS:
        _ask_domains(run)
    elif key == LOOP_HEADERS:
        _ask_loop_headers(run)
    elif FIELDS[key].choices:
        _ask_choice(run, key)
    elif is_switch(key):
        ask_switch(run, key)
    else:
        _ask_text(run, key)


def is_switch(key: str) -> bool:
    """Whether a question is one of yes and no."""
    return isinstance(_default(key), bool)


def is_list(key: str) -> bool:
    """Whether an answer is a list."""
    return isinstance(_default(key), tuple)


def _default(key: str) -> object:
    value: object = Answers()
    for part in key.split("."):
        value = getattr(value, part)
    return value


def present(run: Run, key: str) -> str:
    """The answer as it stands, in short."""
    draft = run.state.draft
    if key == DOMAINS:
        return _some(draft.chosen_domains, "domains")
    if key == LOOP_HEADERS:
        return _some([draft.loop_header(domain) for domain in draft.chosen_domains], "headers")
    text = draft.text(key)
    if is_list(key) and text.strip():
        return _some(split_list(text), "entries")
    return text or questions.placeholder(key, run.state) or NOTHING


def _some(items: Sequence[str], noun: str) -> str:
    if len(items) <= _SHOWN:
        return ", ".join(items) or NOTHING
    return f"{len(items):,} {noun}: {', '.join(items[:_SHOWN])} and {len(items) - _SHOWN:,} more"


def about(key: str) -> list[str]:
    """What help says about a question."""
    spec = FIELDS[key]
    example = spec.example
    if isinstance(example, tuple):
        example = ", ".join(example)
    return [spec.help, *([f"Example: {example}"] if isinstance(example, str) else [])]


def _heading(key: str) -> list[str]:
    """The name of a question and what it means; said once when the one begins with the other."""
    name, meaning = questions.label(key), about(key)
    return meaning if meaning[0].startswith(name) else [name, *meaning]


def tell(run: Run, error: FieldError) -> None:
    """Say what is wrong."""
    run.talk.say(Line(f"x {error.what} {error.todo}", hang=2))


# --- kinds of questions


def ask_switch(run: Run, key: str, reason: Optional[FieldError] = None) -> None:
    """Yes or no. ``reason``: why it is asked. Raises BackError."""
    draft = run.state.draft
    why: list[Text] = [Line(f"! {reason}", hang=2)] if reason else []
    lines = ["", *why, *_heading(key)]
    answer = run.talk.yes_or_no(lines, draft.text(key) == YES, about=about(key))
    draft.set(key, YES if answer else NO)


def _ask_choice(run: Run, key: str) -> None:
    state = run.state
    reasons = questions.refusals(key, state)
    options = [
        Option(word, questions.choice_text(key, word, state), reasons.get(word, ""))
        for word in FIELDS[key].choices
    ]
    found = firewall_lines(state.facts.firewall if state.facts else None) if key == FIREWALL else []
    now = state.draft.text(key)
    lines: list[Text] = ["", questions.caption(key) or questions.label(key), *found]
    chosen = run.talk.choose(lines, options, enter=now, about=about(key), kept=True)
    state.draft.set(key, chosen)


def _ask_text(run: Run, key: str) -> None:
    draft, spec = run.state.draft, FIELDS[key]
    networks = spec.form == "network"
    how = ["Type or paste them in one or more lines; an empty line ends them."] if networks else []
    lines = ["", *_heading(key), *how]
    while True:
        ask = [*lines, f"Now: {present(run, key)}"]
        if is_list(key):
            typed = run.talk.lines(ask, about=about(key), until_empty=networks)
        else:
            typed = run.talk.text(ask, about=about(key))
        lines = [questions.label(key)]
        if not typed:
            error = draft.misspelt(key)
        elif is_list(key):
            error = _take_list(run, key, typed)
        else:
            error = _take_text(run, key, typed)
        if error is not None:
            tell(run, error)
            continue
        # What is wrong only together with other answers is told here and asked again before the next step.
        error = draft.error(key)
        if error is not None:
            tell(run, error)
        return


def _take_text(run: Run, key: str, typed: str) -> Optional[FieldError]:
    draft, before = run.state.draft, run.state.draft.text(key)
    draft.set(key, "" if typed == EMPTY else typed)
    error = draft.misspelt(key)
    if error is not None:
        draft.set(key, before)
    return error


def _take_list(run: Run, key: str, typed: str) -> Optional[FieldError]:
    """Take over the entries that can be used; the error names the others."""
    draft, form = run.state.draft, FIELDS[key].form
    if typed == EMPTY:
        draft.set(key, "")
        return None
    edit = _EDIT.fullmatch(typed)
    sign, text = edit.groups() if edit else ("", typed)
    if form == "network":
        text = pasted_networks(text) or text
    good, bad = [], []
    for item in split_list(text):
        try:
            good.append(str(convert(form, item)))
        except FieldError as error:
            bad.append(error)
    listed = split_list(draft.text(key))
    if sign == "-":
        listed = [item for item in listed if item not in good]
    elif sign == "+":
        listed = list(dict.fromkeys((*listed, *good)))
    elif good or not bad:
        listed = good
    draft.set(key, ", ".join(listed))
    if not bad:
        return None
    told = " ".join(str(error) for error in bad[:3]) + (f" And {len(bad) - 3} more." if len(bad) > 3 else "")
    kept = "The others were taken over" if good else "Nothing was taken over"
    return FieldError(told, f"{kept}; Enter keeps the list as it is now, + in front adds to it.")


# --- lists with rows

_DOMAINS_HINT = "Numbers take in or leave out (3, or 3-7), names are added, Enter goes on."
_HEADERS_HINT = "A number edits that header, Enter goes on."


def _ask_domains(run: Run) -> None:
    draft = run.state.draft
    lines: list[Text] = ["", *_heading(DOMAINS)]
    lines.extend(questions.unlisted_lines(run.state))
    while True:
        names = list(draft.domains)
        rows = [
            f"{name}: {'taken in' if draft.domains[name] else 'left out'}"
            + ("" if draft.is_detected(name) else f"  {questions.ADDED}")
            for name in names
        ]
        count = f"{len(draft.chosen_domains):,} of {len(names):,} taken in" if names else "no domain yet"
        typed = run.talk.rows([*lines, f"Now: {count}"], rows, _DOMAINS_HINT, about=about(DOMAINS))
        lines = [questions.label(DOMAINS)]
        if not typed:
            error = draft.error(DOMAINS)
            if error is not None:
                tell(run, error)
            return
        try:
            chosen = numbers(typed, len(names))
            for index in chosen:
                draft.choose_domain(names[index], not draft.domains[names[index]])
            if not chosen:
                draft.add_domains(typed)
        except FieldError as error:
            tell(run, error)


def _ask_loop_headers(run: Run) -> None:
    draft = run.state.draft
    lines: list[Text] = ["", questions.caption(LOOP_HEADERS), *about(LOOP_HEADERS)]
    while True:
        domains = draft.chosen_domains
        rows = [f"{domain}  {draft.loop_header(domain)}" for domain in domains]
        typed = run.talk.rows(lines, rows, _HEADERS_HINT, about=about(LOOP_HEADERS))
        lines = [questions.caption(LOOP_HEADERS)]
        if not typed:
            return
        for index in picked(run, typed, len(domains), _HEADERS_HINT):
            _ask_header(run, domains[index])


def _ask_header(run: Run, domain: str) -> None:
    draft = run.state.draft
    while True:
        ask = [f"{questions.label(LOOP_HEADERS)}, {domain}", f"Now: {draft.loop_header(domain)}"]
        typed = run.talk.text(ask, about=about(LOOP_HEADERS))
        if not typed:
            return
        try:
            draft.set_loop_header(domain, "" if typed == EMPTY else typed)
            return
        except FieldError as error:
            tell(run, error)


def picked(run: Run, typed: str, count: int, hint: str) -> list[int]:
    """The places (from 0) that were typed; none after telling why they are none. ``hint``: what can be typed."""
    try:
        found = numbers(typed, count)
        if not found:
            raise FieldError(f'"{typed}" is no number of the list.', hint)
    except FieldError as error:
        tell(run, error)
        return []
    return found


def numbers(text: str, count: int) -> list[int]:
    """The places (from 0) of numbers and ranges (from 1) in a list; empty when the text is none.

    Raises:
        FieldError: a number is not in the list.
    """
    parts = [_NUMBERS.fullmatch(part) for part in split_list(text)]
    found: list[int] = []
    for part in parts:
        if part is None:
            return []
        first, last = int(part[1]), int(part[2] or part[1])
        if not 0 < first <= last <= count:
            raise FieldError(f"{part[0]} is not in the list.", f"Its numbers go from 1 to {count}.")
        found.extend(range(first - 1, last))
    return list(dict.fromkeys(found))
