"""The command line's words: sub-commands, global options, and one flag for every answer."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn, Optional

from conbool_tui import __version__
from conbool_tui.answers_schema import FIELDS, FLAG_PREFIX, AnswerField, Kind, help_with_choices
from conbool_tui.errors import UsageError
from conbool_tui.places import DEFAULT_STATE_DIR

_EXIT_CODES = """\
exit codes:
  0 done or nothing to do       1 unexpected error      2 changes pending
  3 a check failed              4 failed, rolled back   5 rollback incomplete
  64 usage or invalid answers   75 another run works    77 needs root
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are ours: exit code 64, and the nearest known flag."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(_sentence(message), "", f"{self.prog} --help lists what is possible.")

    def known_flags(self) -> list[str]:
        """Every long flag this parser knows."""
        return [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _global_options(parser: argparse.ArgumentParser, *, first: bool) -> None:
    """The options that may stand before and after the sub-command; only the first place has defaults."""

    def default(value: Optional[str]) -> Optional[str]:
        return value if first else argparse.SUPPRESS

    group = parser.add_argument_group("global options")
    group.add_argument(
        "--root",
        metavar="DIR",
        default=default("/"),
        help="work on the system mounted at DIR: files only, no reload",
    )
    group.add_argument(
        "--mail-system",
        metavar="NAME",
        default=default(None),
        help="the mail system to work on, when several are present",
    )
    group.add_argument(
        "--instance",
        metavar="NAME",
        default=default(None),
        help="the Postfix instance to work on, when there are several",
    )
    group.add_argument(
        "--state-dir",
        metavar="DIR",
        default=default(DEFAULT_STATE_DIR),
        help=f"journal and backups (default: {DEFAULT_STATE_DIR})",
    )
    group.add_argument(
        "--ascii",
        action="store_true",
        default=False if first else argparse.SUPPRESS,
        help="draw the wizard with ASCII characters only (by itself on TERM=linux, vt*, ansi and without a UTF-8 locale)",
    )
    group.add_argument("--version", action="version", version=f"conbool-tui {__version__}")


def _answer_options(parser: argparse.ArgumentParser) -> None:
    """``--answers`` and one flag for every answer, from the one declaration."""
    parser.add_argument("--answers", metavar="FILE", help="the answers file (YAML); - reads standard input")
    group = parser.add_argument_group(
        "answers", "each overrides the same key of the file; lists are separated by commas"
    )
    for item in FIELDS:
        if item.key != "instance":
            _answer_option(group, item)


def _answer_option(group: argparse._ArgumentGroup, item: AnswerField) -> None:
    metavar = {
        Kind.NUMBER: "NUMBER",
        Kind.LIST: "A,B",
        Kind.MAPPING: "DOMAIN=HEADER,…",
        Kind.RECORDS: "TYPE:NAME:PATTERN",
    }.get(item.kind, item.form.upper().replace(" ", "-"))
    text = help_with_choices(item).replace("%", "%%")
    dest = FLAG_PREFIX + item.key
    if item.kind is Kind.SWITCH:
        group.add_argument(
            item.flag, dest=dest, action="append", nargs="?", const="true", metavar="true|false", help=text
        )
    else:
        shown = "|".join(item.choices) if item.choices else metavar
        group.add_argument(item.flag, dest=dest, action="append", metavar=shown, help=text)


def make_parser() -> _Parser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="conbool-tui",
        description="Route this mail server's mail through Conbool. Without a command the wizard opens.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="the wizard in lines: numbered choices and nothing redrawn, for screen readers and simple terminals",
    )
    _global_options(parser, first=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def add(name: str, help: str) -> _Parser:
        made: _Parser = commands.add_parser(name, help=help, description=_sentence(help), allow_abbrev=False)
        _global_options(made, first=False)
        return made

    detect = add("detect", "show what was found on this server")
    plan = add("plan", "show what would be done; changes nothing (exit 2: changes pending)")
    apply = add("apply", "do it, after showing it and asking")
    check = add(
        "check", "check the way to Conbool and back, and drift from what was applied (exit 3: a check failed)"
    )
    undo = add("undo", "take a change back")
    accept = add(
        "accept", "keep what differs from what was applied: checks are content, and undo leaves it alone"
    )
    confirm = add("confirm", "keep a change of port 25 or the firewall that waits for confirmation")
    networks = add("networks", "replace Conbool's addresses in what was applied, from a list file")
    history = add("history", "list recorded changes")
    support = add(
        "support-bundle", "collect versions, detection, plan, journals and log without names and secrets"
    )
    answers = add("answers", "print an example answers file, or its JSON schema")
    open_xchange = add(
        "open-xchange",
        "print tenants, their domains, or the Sieve script for a mailbox server that is elsewhere",
    )
    for made in (detect, apply, check, undo, accept, confirm, networks, history):
        made.add_argument("--json", action="store_true", help="print JSON")
    for made in (plan, apply, check, support, open_xchange):
        _answer_options(made)
    form = plan.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the whole plan as JSON")
    form.add_argument("--diff", action="store_true", help="print the differences of all files")
    form.add_argument("--script", action="store_true", help="print a shell script that does the same by hand")
    for made in (apply, undo, accept, networks, history, support):
        made.add_argument("--yes", action="store_true", help="do not ask")
    for made in (apply, networks):
        made.add_argument(
            "--wait",
            action="store_true",
            help="with --yes: wait until the change is confirmed (exit 0) or taken back (exit 4)",
        )
    apply.add_argument(
        "--recorded",
        action="store_true",
        help="with the answers of what is in force, to set again what was edited since",
    )
    for flag, text in (
        ("--keep-mine", "leave what was edited since as it is"),
        ("--put-back", "give what was edited since its value from before us"),
    ):
        undo.add_argument(
            flag,
            metavar="FILE:KEY",
            action="append",
            nargs="?",
            const="",
            help=f"{text}: all of it, or one key",
        )
    undo.add_argument(
        "--accept",
        action="store_true",
        help="close a change that was cut off: files edited meanwhile stay as they are",
    )
    history.add_argument(
        "--prune",
        action="store_true",
        help="remove records that nothing can be taken back from any more, after asking",
    )
    history.add_argument(
        "--keep",
        metavar="N",
        type=int,
        default=0,
        help="with --prune: the newest N records stay (default: 0)",
    )
    support.add_argument(
        "--output", metavar="FILE", help="the archive to write (default: in the current folder)"
    )
    support.add_argument(
        "--show", action="store_true", help="print everything that would be in it; write nothing"
    )
    check.add_argument("--transcript", metavar="FILE", help="also write all SMTP dialogs to FILE (mode 0600)")
    confirm.add_argument(
        "id", metavar="ID", nargs="?", help="the change to keep (default: the one that waits)"
    )
    networks.add_argument(
        "list",
        metavar="FILE",
        help="one network or address a line, # starts a comment; - reads standard input",
    )
    undo.add_argument("id", metavar="ID", nargs="?", help="the change to take back (default: the newest)")
    history.add_argument("--show", metavar="ID", help="print the journal of one change instead")
    _open_xchange_options(open_xchange)
    form = answers.add_mutually_exclusive_group()
    form.add_argument("--example", action="store_true", help="an annotated example (the default)")
    form.add_argument("--schema", action="store_true", help="the JSON schema")
    return parser


def _open_xchange_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("contexts", "domains", "sieve"),
        help="contexts: list them; domains: of the contexts chosen, for the answers; sieve: the script, or install it for one account",
    )
    parser.add_argument(
        "--list", metavar="FILE", help="what listcontext --csv printed; - reads standard input"
    )
    parser.add_argument(
        "--context", metavar="ID", action="append", help="a context to take the domains of (repeatable)"
    )
    parser.add_argument(
        "--users", metavar="FILE", action="append", help="what listuser -c ID --csv printed (repeatable)"
    )
    parser.add_argument(
        "--account", metavar="NAME", help="install the script for this one account, over ManageSieve"
    )
    parser.add_argument(
        "--server", metavar="HOST[:PORT]", help="the ManageSieve server (default: the one Open-Xchange uses)"
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="the account's password (default: asked for); - reads standard input",
    )
    parser.add_argument("--remove", action="store_true", help="with --account: take the script away again")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options. Raises UsageError; exits for --help and --version."""
    parser = make_parser()
    options, rest = parser.parse_known_args(argv)
    if options.plain and options.command:
        raise UsageError(
            f"--plain is for the wizard, not for conbool-tui {options.command}.",
            "",
            "Leave it out: commands write plain lines anyway.",
        )
    if rest:
        used = parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and options.command in action.choices:
                used = action.choices[options.command]
        hints = []
        for word in rest:
            close = (
                difflib.get_close_matches(word.partition("=")[0], used.known_flags(), 1, 0.6)
                if word.startswith("-")
                else []
            )
            hints.append(f"{word} (did you mean {close[0]}?)" if close else word)
        raise UsageError(
            f"Not understood: {', '.join(hints)}.", "", f"{used.prog} --help lists what is possible."
        )
    return options
