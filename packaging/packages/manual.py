"""The manual page and the completion of the shell, from the command line's own parser: they cannot say what it does not do."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

import project

SECTION = "8"


def _parser() -> argparse.ArgumentParser:
    from conbool_tui.commands.parser import make_parser

    return make_parser()


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The sub-commands by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its options with a flag, without --help."""
    for action in parser._actions:
        if action.option_strings and not isinstance(action, argparse._HelpAction):
            yield action


ENVIRONMENT = (
    (
        "CONBOOL_PLAIN",
        "1: the wizard asks in lines, as with --plain; 0: it does not, whatever ACCESSIBLE and the site defaults say.",
    ),
    ("ACCESSIBLE", "1: the same as CONBOOL_PLAIN=1."),
    (
        "TERM",
        "Not set, dumb or unknown: the wizard asks in lines. sudo keeps TERM and usually no other of these variables: use --plain, or "
        "plain: true in the site defaults.",
    ),
)


# --- manual page ----------------------------------------------------------------------------------


def _roff(text: str) -> str:
    """Plain text for troff: its escapes, dashes that stay dashes, and no line that looks like a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...")
    return re.sub(r"^(?=[.'])", "\\\\&", escaped, flags=re.MULTILINE)


def _value(action: argparse.Action) -> str:
    """The value an option takes, in the form of a synopsis."""
    if action.nargs == 0:
        return ""
    shown = str(action.metavar or (action.dest or "").upper())
    if action.choices and action.metavar is None:
        shown = "|".join(str(choice) for choice in action.choices)
    marked = f"\\fI{_roff(shown)}\\fP"
    return f"[{marked}]" if action.nargs == "?" else marked


def _option(action: argparse.Action) -> list[str]:
    flags = ", ".join(f"\\fB{_roff(flag)}\\fP" for flag in action.option_strings)
    value = _value(action)
    help_text = (action.help or "").replace("%%", "%")
    return [
        ".TP",
        f"{flags} {value}".rstrip(),
        _roff(help_text[:1].upper() + help_text[1:].rstrip(".") + "."),
    ]


def _synopsis(name: str, parser: argparse.ArgumentParser, shared: set[str]) -> str:
    words = [f"\\fB{_roff(name)}\\fP"]
    for action in options(parser):
        if action.option_strings[0] in shared or str(action.dest).startswith("answer:"):
            continue
        words.append(f"[{_roff(action.option_strings[0])} {_value(action)}".rstrip() + "]")
    words += [_value(action) for action in parser._actions if not action.option_strings]
    return " ".join(words)


def page(now: int) -> str:
    """The manual page, dated ``now`` (seconds since 1970)."""
    parser = _parser()
    shared = {action.option_strings[0] for action in options(parser)}
    day = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%d")
    lines = [
        f'.TH CONBOOL\\-TUI {SECTION} "{day}" "conbool\\-tui {project.version()}" "System Administration"',
        ".SH NAME",
        f"conbool\\-tui \\- {_roff(project.SUMMARY)}",
        ".SH SYNOPSIS",
        ".B conbool\\-tui",
        "[\\fIglobal options\\fP] [\\fIcommand\\fP [\\fIoptions\\fP]]",
        ".SH DESCRIPTION",
    ]
    for text in project.DESCRIPTION:
        lines += [_roff(text), ".PP"]
    lines += [
        _roff(
            "Without a command the wizard opens; it needs a terminal and root. With --plain it asks in lines, with numbered choices and "
            "nothing redrawn, for screen readers and simple terminals. Standard output is data, standard error is talk."
        ),
        ".SH COMMANDS",
    ]
    answers: dict[str, argparse.Action] = {}
    for name, command in commands(parser).items():
        lines += [".SS " + _synopsis(name, command, shared), _roff(command.description or "")]
        for action in options(command):
            if str(action.dest).startswith("answer:"):
                answers.setdefault(action.option_strings[0], action)
            elif action.option_strings[0] not in shared:
                lines += _option(action)
        if any(str(action.dest).startswith("answer:") for action in options(command)):
            lines += [".PP", "And one option for every answer: see ANSWERS."]
    lines += [
        ".SH GLOBAL OPTIONS",
        _roff("They may stand before and after the command; --plain stands without one."),
    ]
    for action in options(parser):
        lines += _option(action)
    lines += [
        ".TP",
        "\\fB\\-h\\fP, \\fB\\-\\-help\\fP",
        "Show the options, of one command when given after it.",
        ".SH ANSWERS",
        _roff(
            "Each overrides the same key of the answers file; lists are separated by commas. An answer is taken from:"
        ),
    ]
    for number, source in enumerate(
        (
            "the option on the command line, or what is entered in the wizard",
            "the answers file (--answers FILE)",
            "the site defaults in /etc/conbool-tui/config.yaml",
            "the program's own default",
        ),
        1,
    ):
        lines += [f".IP {number}. 4", _roff(source)]
    for action in answers.values():
        lines += _option(action)
    lines += [".SH EXIT STATUS"]
    for code, meaning in _exit_codes(parser.epilog or ""):
        lines += [".TP", f"\\fB{code}\\fP", _roff(meaning[:1].upper() + meaning[1:] + ".")]
    lines += [".SH ENVIRONMENT"]
    for name, meaning in ENVIRONMENT:
        lines += [".TP", f"\\fB{_roff(name)}\\fP", _roff(meaning)]
    lines += [".SH FILES"]
    for path, meaning in (
        (
            "/etc/conbool-tui/config.yaml",
            "Site defaults, in the form of an answers file; plain: true lets the wizard ask in lines.",
        ),
        (
            "/var/lib/conbool-tui",
            "Lock, journals and backups (mode 0700). They stay when the package is purged.",
        ),
        ("/var/log/conbool-tui/conbool-tui.log", "What was done and what went wrong."),
        (
            "/usr/share/doc/conbool-tui/sbom.cdx.json",
            "The libraries inside, with versions and checksums (CycloneDX).",
        ),
    ):
        lines += [".TP", f".I {_roff(path)}", _roff(meaning)]
    lines += [
        ".SH SEE ALSO",
        "\\fBpostconf\\fP(1), \\fBpostfix\\fP(1), \\fBnft\\fP(8)",
    ]
    return "\n".join(lines) + "\n"


def _exit_codes(epilog: str) -> list[tuple[str, str]]:
    """The pairs of code and meaning in the parser's epilog, in rising order."""
    found = re.findall(r"(\d+) ([a-z].*?)(?=\s{2,}|\n|$)", epilog)
    return sorted(found, key=lambda pair: int(pair[0]))


# --- completion -----------------------------------------------------------------------------------


def completion() -> str:
    """Completion for bash: commands, their options, and the words or files that an option takes."""
    parser = _parser()
    every = {"": parser, **commands(parser)}
    files: set[str] = set()
    folders: set[str] = set()
    words: dict[str, tuple[str, ...]] = {}
    for one in every.values():
        for action in options(one):
            for flag in action.option_strings:
                shown = str(action.metavar or "")
                if action.choices:
                    words[flag] = tuple(str(choice) for choice in action.choices)
                elif "|" in shown:
                    words[flag] = tuple(shown.split("|"))
                elif shown == "DIR":
                    folders.add(flag)
                elif shown == "FILE" or shown.endswith("-PATH") or shown == "PATH":
                    files.add(flag)
    offers = [
        f"{flag}) _conbool_tui_offer -W {_quoted(offered)}; return ;;"
        for flag, offered in sorted(words.items())
    ]
    for kind, flags in (("-f", files), ("-d", folders)):
        if flags:
            offers.append(f"{'|'.join(sorted(flags))}) _conbool_tui_offer {kind}; return ;;")
    for name, one in every.items():
        flags = {flag for action in options(one) for flag in action.option_strings} | {"--help"}
        offered = [*(() if name else [command for command in every if command]), *sorted(flags)]
        # A command that is given a file by its place.
        takes_file = any(not action.option_strings and action.metavar == "FILE" for action in one._actions)
        offers.append(f"at:{name}) _conbool_tui_offer {'-f ' if takes_file else ''}-W {_quoted(offered)} ;;")
    names = "|".join(name for name in every if name)
    return _COMPLETION.format(names=names, offers="\n        ".join(offers))


def _quoted(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))


# First what the option before the cursor takes; when it takes nothing that is known, what the command takes.
_COMPLETION = """\
# Completion of conbool-tui for bash.
_conbool_tui_offer() {{
    mapfile -t COMPREPLY < <(compgen "$@" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
_conbool_tui() {{
    local command="" one
    for one in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$one" in
        {names})
            command=$one
            break
            ;;
        esac
    done
    for one in "${{COMP_WORDS[COMP_CWORD-1]}}" "at:$command"; do
        case "$one" in
        {offers}
        esac
    done
}}
complete -o filenames -F _conbool_tui conbool-tui
"""
