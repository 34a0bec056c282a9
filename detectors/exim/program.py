"""Asking Exim itself: every value comes from the program, with macros and conditions resolved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.facts_exim import EximDriver
from conbool_tui.host import Host

PROGRAMS = ("exim4", "exim")
OPTIONS = (
    "acl_not_smtp",
    "acl_not_smtp_mime",
    "acl_smtp_connect",
    "acl_smtp_data",
    "acl_smtp_helo",
    "acl_smtp_mail",
    "acl_smtp_mime",
    "acl_smtp_predata",
    "acl_smtp_quit",
    "acl_smtp_rcpt",
    "daemon_smtp_ports",
    "exim_group",
    "exim_user",
    "local_interfaces",
    "log_file_path",
    "message_body_visible",
    "pid_file_path",
    "primary_hostname",
    "qualify_domain",
    "spool_directory",
    "strict_acl_vars",
    "tls_advertise_hosts",
    "tls_certificate",
    "tls_try_verify_hosts",
    "tls_verify_hosts",
)
_NOISE = re.compile(r"^(?:LOG: |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d )")


@dataclass(frozen=True)
class Build:
    """What ``exim -bV`` tells."""

    version: str
    features: frozenset[str]
    config_file: str


class Tools:
    """Exim's program on a host.

    Args:
        host: the machine.
        program: its path.
        config: another configuration to read (``-C``); the host's own by default.
    """

    def __init__(self, host: Host, program: str, config: str = "") -> None:
        self.host = host
        self.program = program
        self.config = config

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = 60) -> tuple[bool, str, str]:
        """Whether it ended well, what it printed, and what it complained about. Raises HostError."""
        options = ["-C", self.config] if self.config else []
        done = self.host.run([self.program, *options, *arguments], stdin=stdin, timeout=timeout)
        return done.ok, done.text(), done.error_text()

    def build(self) -> Build:
        """Version and features; the configuration is read on the way.

        Raises:
            CheckFailedError: Exim refuses its configuration; the text is Exim's own.
        """
        ok, text, error = self.run("-bV")
        version = re.search(r"^Exim version (\S+)", text, re.MULTILINE)
        if not ok or version is None:
            raise CheckFailedError(
                f"Exim refuses its configuration: {said(error or text)}",
                "",
                "Repair it until `exim -bV` prints no error.",
            )
        support = re.search(r"^Support for: (.*)$", text, re.MULTILINE)
        place = re.search(r"^Configuration file is (\S+)", text, re.MULTILINE)
        words = support.group(1).split() if support else []
        return Build(version.group(1), frozenset(words), place.group(1) if place else "")

    def options(self, names: Sequence[str] = OPTIONS) -> dict[str, str]:
        """Main options by name; one that this Exim does not know is left out."""
        _, text, _ = self.run("-bP", *names)
        return dict(pair for line in text.split("\n") if (pair := _assignment(line)) is not None)

    def drivers(self, kind: str) -> tuple[EximDriver, ...]:
        """All ``routers`` or ``transports``, in their order."""
        _, text, _ = self.run("-bP", kind)
        found: list[EximDriver] = []
        options: dict[str, str] = {}
        for line in text.split("\n"):
            head = re.match(rf"(\S+) {kind.rstrip('s')}:$", line.strip())
            if head:
                options = {}
                found.append(EximDriver(head.group(1), options))
            elif found and (pair := _assignment(line)) is not None:
                options[pair[0]] = pair[1]
        return tuple(found)

    def named_list(self, name: str) -> Optional[str]:
        """The text of a named list, None when there is none of that name."""
        _, text, _ = self.run("-bP", f"+{name}")
        match = re.search(rf"^\w*list {re.escape(name)}\s*=\s*(.*)$", text, re.MULTILINE | re.DOTALL)
        return match.group(1).strip() if match else None

    def expand(self, text: str) -> Optional[str]:
        """What a string expands to (``-be``), None when that fails."""
        ok, out, _ = self.run("-be", text)
        return out.rstrip("\n") if ok and not out.startswith("Failed:") else None

    def retries(self, domain: str) -> bool:
        """Whether a retry rule covers mail to ``domain`` (``-brt``): without one a first failure is final."""
        _, text, _ = self.run("-brt", domain)
        return "Retry rule" in text


def find_program(host: Host) -> Optional[str]:
    """The path of Exim's program, None when it is not installed."""
    for name in PROGRAMS:
        try:
            path = host.which(name)
        except (ConboolError, OSError):
            continue
        if path is not None:
            return path
    return None


def said(text: str) -> str:
    """The sentence that matters of what Exim printed."""
    lines = [_NOISE.sub("", line.strip()) for line in text.split("\n") if line.strip()]
    for number, line in enumerate(lines):
        if "xim configuration error" in line:
            return " ".join(lines[number : number + 2]).strip()
    return lines[-1] if lines else "no reason given"


def _assignment(line: str) -> Optional[tuple[str, str]]:
    """``name = value``, ``name`` or ``no_name`` as Exim prints options."""
    name, equals, value = line.strip().partition(" =")
    name = name.lstrip("*")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return None
    if equals:
        return name, value.strip()
    return (name[3:], "false") if name.startswith("no_") else (name, "true")
