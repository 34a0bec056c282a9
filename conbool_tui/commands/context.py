"""What every sub-command is given: the session, the options, and where to write. Standard output is data,
standard error is talk.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import select
import sys
import time
from dataclasses import dataclass
from typing import Any, Optional

from conbool_tui import answers_file, keyboard, log, render, site_config
from conbool_tui.answers import Answers
from conbool_tui.answers_file import Tree
from conbool_tui.answers_schema import FIELDS, FLAG_PREFIX
from conbool_tui.errors import ConboolError, UsageError
from conbool_tui.receipt import Progress, Receipt
from conbool_tui.session import Session

STDIN_NAMES = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


@dataclass(frozen=True)
class Context:
    """One run of one sub-command."""

    session: Session
    options: argparse.Namespace

    @property
    def wants_json(self) -> bool:
        """True when standard output is to be JSON."""
        return bool(getattr(self.options, "json", False))

    def data(self, text: str) -> None:
        """Write to standard output."""
        sys.stdout.write(text)

    def data_json(self, value: Any) -> None:
        """Write one JSON document to standard output."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")

    def data_bytes(self, data: bytes) -> None:
        """Write bytes to standard output as they are; on a terminal with control characters escaped."""
        if sys.stdout.isatty():
            sys.stdout.write(render.printable(data.decode("utf-8", "surrogateescape"), keep="\n\t"))
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def say(self, text: str) -> None:
        """Write a line to standard error; a closed or full terminal never stops the work."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text if text.endswith("\n") else text + "\n")
            sys.stderr.flush()

    def progress(self, progress: Progress) -> None:
        """Show one step of a running transaction. Raises OSError: the terminal is gone, so nobody will hear how it ends."""
        try:
            sys.stderr.write(f"[{progress.done}/{progress.total}] {render.printable(progress.text)}\n")
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise

    def report(self, receipt: Receipt, what: str) -> None:
        """Write down and show what a change came to.

        Args:
            receipt: the change.
            what: the command that was given.
        """
        log.record(self.session.host, f"{what}: {receipt.id} {receipt.state.value}")
        if self.wants_json:
            self.data_json({"changed": True, "receipt": render.json_value(receipt)})
        else:
            self.data(render.receipt_text(receipt))

    def tell_unseen(self) -> None:
        """Say, once, how a change ended while nobody watched."""
        with contextlib.suppress(ConboolError):
            receipt = self.session.unseen()
            if receipt is not None:
                self.say(render.paragraph(render.unseen_text(receipt)))
                self.session.seen()

    def confirmed(self, question: str, instead: str) -> bool:
        """Ask on the terminal.

        Args:
            question: without the final question mark's choices.
            instead: the flag or command that answers it in advance.

        Raises:
            UsageError: there is no terminal to ask on.
        """
        if sys.stdin is None or not sys.stdin.isatty() or reads_stdin(self.options):
            raise UsageError(
                "There is no terminal to ask on.",
                "Nothing is changed without a yes, and nothing was changed.",
                f"Look at the plan, then add {instead}.",
            )
        return self.typed(f"{question} [y/N]").lower() in ("y", "yes")

    def typed(self, question: str) -> str:
        """What is typed on the terminal after ``question``; only after ``confirmed`` found one to ask on."""
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def typed_until(self, question: str, deadline: float) -> Optional[str]:
        """As ``typed``, but None when nothing came until ``deadline`` (seconds of ``time.monotonic``)."""
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        ready, _, _ = select.select([sys.stdin], [], [], max(0.0, deadline - time.monotonic()))
        return sys.stdin.readline().strip() if ready else None


def reads_stdin(options: argparse.Namespace) -> bool:
    """True when the answers come from standard input."""
    return getattr(options, "answers", None) in STDIN_NAMES or getattr(options, "list", None) in STDIN_NAMES


def flags_given(options: argparse.Namespace) -> Tree:
    """The answers given as flags. Raises AnswerError."""
    tree: Tree = {}
    for item in FIELDS:
        texts: Optional[list[str]] = getattr(options, FLAG_PREFIX + item.key, None)
        if texts is not None:
            tree[item.path] = answers_file.from_text(item, texts, item.flag)
    if options.instance is not None:
        tree[("instance",)] = answers_file.Given(options.instance, "--instance")
    return tree


def answers_given(context: Context) -> Optional[Answers]:
    """The answers from flags, file and site defaults, the former winning; None when neither flags nor a file were given.

    Raises:
        UsageError: the file cannot be read, or an answer cannot be used.
    """
    flags = flags_given(context.options)
    tree: Tree = {}
    if context.options.answers is not None:
        source, data = _read(context.options.answers)
        tree = answers_file.read(data, source)
    elif not set(flags) - {("instance",)}:
        return None
    return answers_file.build(answers_file.merged(site_config.load(context.session.host), tree, flags))


def required_answers(context: Context) -> Answers:
    """The answers from flags, file and site defaults. Raises UsageError as ``answers_given``, and when neither was given."""
    answers = answers_given(context)
    if answers is None:
        raise UsageError(
            f"conbool-tui {context.options.command} needs answers.",
            "They say what is to be set up; nothing is guessed.",
            "Give --answers FILE or flags such as --domains example.com; conbool-tui answers --example "
            "prints a file to start from.",
        )
    return answers


def _read(name: str) -> tuple[str, bytes]:
    """The answers file's name for messages, and its content. Raises UsageError."""
    if name in STDIN_NAMES:
        return "standard input", piped("plan --answers -", "--answers -")
    try:
        return name, keyboard.read(name)
    except ConboolError as error:
        raise UsageError(
            f"The answers file {error.what}", error.why, "Give --answers the name of a readable file."
        ) from None


def piped(example: str, option: str = "-") -> bytes:
    """Everything on standard input.

    Args:
        example: the rest of a command line that shows how it is meant.
        option: what asked for standard input.

    Raises:
        UsageError: it is a terminal.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            f"{option} reads standard input, and nothing is piped in.", "", f"Write … | conbool-tui {example}"
        )
    return sys.stdin.buffer.read()
