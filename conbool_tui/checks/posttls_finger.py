"""Postfix's own TLS client, posttls-finger(1), as a second opinion on the smart host.

It uses Postfix's code for name lookup, chain and name, so it sees what a delivery would see.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Optional

from conbool_tui.answers import SmartHost
from conbool_tui.checks.transport_tls import TransportTls
from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host

ID = "smart-host.second-opinion"
_PROGRAM = "posttls-finger"
_STEP, _TOTAL = 10, 45.0
_ESTABLISHED = re.compile(r"(Verified|Trusted|Untrusted|Anonymous) TLS connection established")
_REASON = re.compile(
    r"(?:verification failed for [^ ]+: (?:num=[0-9]+:)?(?P<verify>.+)|(?P<session>Failed to establish .+)"
    r"|(?P<lookup>Destination address lookup failed: .+)|(?P<library>cannot load .+))"
)
# It asks for the root zone's signatures first and complains when there are none; nothing here depends on them.
_NOISE = ("DNSSEC validation may be unavailable", "reason: dnssec_probe")


@dataclass(frozen=True)
class Opinion:
    """What posttls-finger found: ``verified`` when a delivery would be made, else the ``reason``."""

    verified: bool
    reason: str
    lines: tuple[str, ...]


def second_opinion(
    host: Host, wanted: SmartHost, settings: TransportTls, config_directory: str, ours: str
) -> Finding:
    """The finding ``smart-host.second-opinion``.

    Args:
        host: the running Postfix host.
        wanted: the answers of step A.
        settings: the TLS settings of the transport.
        config_directory: of the Postfix instance (MAIL_CONFIG, postconf(1)).
        ours: why our own look refuses the smart host; empty when it would be used.
    """
    program = _find(host)
    if program is None:
        return Finding(
            ID,
            Status.NOT_TESTED,
            f"No second opinion: {_PROGRAM} is not installed.",
            remedy="It comes with Postfix 2.11 and newer; on some systems it is in a package of its own.",
        )
    argv = [program, *arguments(host, wanted, settings)]
    try:
        done = host.run(argv, timeout=_TOTAL, env={"MAIL_CONFIG": config_directory})
    except ConboolError as error:
        return Finding(
            ID, Status.NOT_TESTED, f"No second opinion: {error.what}", f"$ {shlex.join(argv)}", error.todo
        )
    output = done.stdout.decode("utf-8", "replace") + "\n" + done.error_text()
    opinion = read(output)
    detail = "\n".join([f"$ {shlex.join(argv)}", *opinion.lines])
    if opinion.verified and not ours:
        return Finding(ID, Status.OK, f"{_PROGRAM} agrees: {opinion.reason}", detail)
    if not opinion.verified and ours:
        return Finding(ID, Status.OK, f"{_PROGRAM} agrees that it cannot be used: {opinion.reason}", detail)
    if opinion.verified:
        return Finding(
            ID,
            Status.WARN,
            f"{_PROGRAM} would deliver ({opinion.reason}), this check would not: {ours}",
            detail,
            "Postfix decides about mail. Compare the addresses in both transcripts (a smart host of several servers "
            "can have one that is wrong), and run the check again.",
        )
    if not opinion.lines:
        return Finding(
            ID,
            Status.NOT_TESTED,
            f"No second opinion: {_PROGRAM} ended with {done.returncode} and said nothing.",
            detail,
            "Run the command of the transcript by hand.",
        )
    return Finding(
        ID,
        Status.WARN,
        f"This check accepts the smart host, {_PROGRAM} does not: {opinion.reason}",
        detail,
        "Postfix decides about mail, so it would wait in the queue. It reads name service without /etc/hosts "
        "(smtp_host_lookup) and has TLS settings of its own (smtp_tls_mandatory_protocols, "
        "smtp_tls_mandatory_ciphers): compare the transcripts.",
    )


def arguments(host: Host, wanted: SmartHost, settings: TransportTls) -> list[str]:
    """The arguments for a look with the same settings as the transport's."""
    found = ["-c", "-l", "secure", "-t", str(_STEP), "-T", str(_STEP), "-o", "dnssec_probe="]
    for flag, value in (
        ("-h", settings.lookup.replace(" ", "")),
        ("-p", settings.protocols),
        ("-g", settings.ciphers),
        ("-F", settings.ca_file),
        ("-P", settings.ca_path),
    ):
        if value:
            found += [flag, value]
    # A certificate that is not there would end the program; its own finding tells about it.
    pair = (settings.certificate, settings.key)
    if pair[0] is not None and pair[1] is not None and all(path and host.is_file(path) for path in pair):
        found += ["-k", pair[0], "-K", pair[1]]
    return [*found, wanted.next_hop, wanted.expected_name]


def read(output: str) -> Opinion:
    """What the program's lines say; its exit status is 0 whatever it finds."""
    lines = []
    for line in output.splitlines():
        text = line.strip()
        text = text[len(_PROGRAM) + 2 :] if text.startswith(_PROGRAM + ": ") else text
        if text and not any(noise in text for noise in _NOISE):
            lines.append("".join(char if char.isprintable() else "?" for char in text))
    established: Optional[str] = None
    reasons: list[str] = []
    for line in lines:
        if _ESTABLISHED.search(line):
            established = line
        found = _REASON.search(line)
        if found is not None:
            reasons.append(next(text for text in found.groups() if text))
    if established is not None and "Verified TLS" in established:
        return Opinion(True, established.partition(": ")[0] or established, tuple(lines))
    if established is not None and not reasons:
        reasons.append(f"the name does not match ({established.partition(' TLS')[0]} TLS connection)")
    if not reasons:
        reasons.append(lines[-1] if lines else "there is no TLS connection")
    return Opinion(False, reasons[-1], tuple(lines))


def _find(host: Host) -> Optional[str]:
    for name in (_PROGRAM, "/usr/lib/postfix/sbin/" + _PROGRAM, "/usr/libexec/postfix/" + _PROGRAM):
        if name.startswith("/"):
            if host.is_file(name):
                return name
        else:
            found = host.which(name)
            if found is not None:
                return found
    return None
