"""Judge a sendmail.cf before it is live: would Sendmail start with it, and do our rules decide as they must?

Sendmail accepts a call of a ruleset that does not exist, and a mailer that is not there, without a word; so its address test mode
(``-bt``) is asked what it would do with mail. No name is looked up for that, and nothing live is touched.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.facts_sendmail import BLOCK_ID
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.sendmail_config import parse_cf
from conbool_tui.systems.sendmail_build import ENDINGS, SendmailBuild
from detectors.sendmail.program import answered

# What our block says itself; everything else must be as before.
_OURS = frozenset(("CACertFile", "CACertPath", "SetCertAltnames"))
_MEMBER = re.compile(r"^`?C\{(Conbool\w+)\}(\S+?)'?$", re.M)


def judge(
    host: Host, program: str, build: SendmailBuild, files: Mapping[str, Optional[bytes]]
) -> list[Problem]:
    """Problems of the candidate sendmail.cf among ``files``; empty when it is valid. Raises HostError: a tool is missing or hangs."""
    candidate = files.get(build.cf)
    source = files.get(build.source)
    if candidate is None:
        return []
    text = candidate.decode("utf-8", "surrogateescape")
    with host.private_folder() as folder:
        place = posixpath.join(folder, "sendmail.cf")
        kind, access = parse_cf(text).map_file("access") or ("", "")
        changed = access + ENDINGS.get(kind, "") if access else ""
        if changed and files.get(changed) is not None:
            host.write_new(
                posixpath.join(folder, "access") + ENDINGS[kind], files[changed] or b"", mode=0o600
            )
            text = re.sub(
                rf"(?m)^(Kaccess .*){re.escape(access)}$", lambda found: found[1] + folder + "/access", text
            )
        host.write_new(place, text.encode("utf-8", "surrogateescape"), mode=0o600)
        problems = _refusals(host, program, place, build.cf)
        if problems:
            return problems
        problems = _other_options(host, build.cf, text)
        if not problems and source is not None:
            block = text_blocks.get(source, BLOCK_ID)
            if block is not None:
                problems = _parts(build.cf, text, block) or _decisions(host, program, place, block)
        return problems


def _refusals(host: Host, program: str, place: str, cf: str) -> list[Problem]:
    """What Sendmail says while it reads the file."""
    result = host.run([program, "-C", place, "-bt"])
    said = [line.strip() for line in (result.text() + "\n" + result.error_text()).split("\n")]
    wrong = [
        line
        for line in said
        if re.search(r"line \d+:|cannot|unknown|[Uu]nsafe", line) and "WARNING: local host name" not in line
    ]
    if result.ok and not [line for line in wrong if "line " in line]:
        return []
    shown = [line.replace(place, cf) for line in wrong] or [f"it ended with {result.returncode}"]
    return [Problem("Sendmail refuses the new configuration", text) for text in shown[:5]]


def _other_options(host: Host, cf: str, text: str) -> list[Problem]:
    before, after = parse_cf(host.read_text(cf)), parse_cf(text)
    names = {
        name
        for name in {*before.options, *after.options}
        if before.options.get(name) != after.options.get(name)
    }
    return [
        Problem(
            f"The option {name} would change although the plan does not name it",
            after.options.get(name, "(not set)"),
        )
        for name in sorted(names - _OURS)
    ]


def _parts(cf: str, text: str, block: str) -> list[Problem]:
    """Everything that our rules name is there: Sendmail does not say so when it is not."""
    found = parse_cf(text)
    named = set(re.findall(r'\$>"?(\w+)"?', block)) | {"ConboolEnvFrom", "HdrFromSMTP"}
    problems = [
        Problem(f"{cf} would have no ruleset {name}")
        for name in sorted(named)
        if name not in found.rulesets and name not in ("A", "D")
    ]
    mailer = found.mailers.get("conbool")
    if (
        mailer is None
        or "S=ConboolEnvFrom/HdrFromSMTP" not in mailer.text
        or "{conbool_via}" not in mailer.text
    ):
        problems.append(Problem(f"{cf} would have no mailer conbool with its rules"))
    return problems


def _decisions(host: Host, program: str, place: str, block: str) -> list[Problem]:
    """What the rules decide about sample mail."""
    members: dict[str, list[str]] = {}
    for name, member in _MEMBER.findall(block):
        members.setdefault(name, []).append(member)
    scope = members.get("ConboolScope", [])
    sender = next((one if "@" in one else f"probe@{one}" for one in scope), "probe@conbool-probe.invalid")
    hidden = _masqueraded(host, program, place, sender, scope)
    if hidden:
        return [hidden]
    header = re.search(r"H(X-\S+?): \$>ConboolLoop", block)
    questions = [
        # (what is asked, what the answer must hold, what it is about)
        (f".Df{sender}", "", ""),
        (
            "Parse1 joe < @ conbool-probe.invalid . >",
            "$# conbool $@ conbool-probe . invalid",
            "mail in scope does not get the new mailer",
        ),
        (f"ConboolRoute {sender.replace('@', ' < @ ')} . >", "", ""),
        (
            "Local_tls_rcpt joe@conbool-probe.invalid",
            "$# error",
            "mail in scope could go to another host than the smart host",
        ),
    ]
    if scope:
        questions += [
            (".Dfprobe@elsewhere.invalid", "", ""),
            (
                "Parse1 joe < @ conbool-probe.invalid . >",
                "!$# conbool",
                "mail outside the scope would go to the smart host",
            ),
            (f".Df{sender}", "", ""),
        ]
    networks = members.get("ConboolNet", [])
    client = _address(networks[0]) if networks else "127.0.0.1"
    trusted = bool(networks) or "SConboolOwn" in block
    if header and trusted:
        questions += [
            (f".D{{client_addr}}{client}", "", ""),
            ("ConboolLoop true", "OK", "the loop header's ruleset is missing"),
            (f"ConboolRoute {sender.replace('@', ' < @ ')} . >", "", ""),
            (
                "Local_tls_rcpt joe@conbool-probe.invalid",
                "!$# error",
                "marked mail would go to the smart host again",
            ),
            (".D{conbool_skip}", "", ""),
        ]
    questions += [(f"ConboolTrust {client}", "OK" if networks else "", "mail from Conbool is not recognised")]
    result = host.run(
        [program, "-C", place, "-bt"], stdin="".join(f"{question}\n" for question, _, _ in questions).encode()
    )
    answers = ["\n".join(lines) for lines in answered(result.text())]
    problems = []
    for number, (question, wanted, trouble) in enumerate(questions):
        last = (answers[number] if number < len(answers) else "").split("\n")[-1]
        got = " ".join(last.partition("returns:")[2].split())
        if trouble and (wanted[1:] in got if wanted.startswith("!") else wanted not in got):
            problems.append(
                Problem(
                    f"The new rules decide wrongly: {trouble}", f"{question} gives {got or last or 'nothing'}"
                )
            )
    return problems


def _masqueraded(host: Host, program: str, place: str, sender: str, scope: list[str]) -> Optional[Problem]:
    """Whether the host's own masquerading takes a sample sender out of scope: the rules look at senders as others see them."""
    user, _, domain = sender.partition("@")
    result = host.run([program, "-C", place, "-bt"], stdin=f"EnvFromSMTP {user} < @ {domain} . >\n".encode())
    found = re.findall(r"EnvFromSMTP +returns: *\S+ < @ (.+?)(?: \.)? >", result.text())
    seen = found[-1].replace(" ", "").lower() if found else domain
    if not scope or seen == domain.lower() or seen in scope or f"{user}@{seen}" in scope:
        return None
    return Problem(
        f"Sendmail rewrites {sender} to {user}@{seen} (MASQUERADE_AS), which is not in scope",
        f"add {seen} to domains, as registered at Conbool, or take example {domain} out of the masquerading".replace(
            "example ", ""
        ),
    )


def _address(prefix: str) -> str:
    """An address of a network written as a prefix."""
    if prefix.startswith("IPv6:"):
        groups = prefix[len("IPv6:") :].split(":")
        return "IPv6:" + ":".join(groups + ["1"] * (8 - len(groups)))
    octets = prefix.split(".")
    return ".".join(octets + ["1"] * (4 - len(octets)))
