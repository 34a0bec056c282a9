"""Our rules in iptables' words (iptables(8), iptables-extensions(8)): one chain of our own, and one jump to it from INPUT. Pure.

``meaning`` reads a line whatever way its options are ordered, so that what iptables-save printed compares equal to what was written.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from conbool_tui.firewall.rules import EDITED, PORT, TAG, Rules, merged
from conbool_tui.networks import Network

CHAIN = "CONBOOL-SMTP"

_COMMENT = f"-m comment --comment {TAG}"
JUMP = f"INPUT -p tcp -m tcp --dport {PORT} --tcp-flags FIN,SYN,RST,ACK SYN {_COMMENT} -j {CHAIN}"
_DECLARATION = f":{CHAIN} - [0:0]"
_LOOPBACK = f"-A {CHAIN} -i lo {_COMMENT} -j RETURN"
_REFUSE = f"-A {CHAIN} -p tcp {_COMMENT} -j REJECT --reject-with tcp-reset"

_COUNTERS = re.compile(r"^\[\d+:\d+\]\s+")
_OURS = re.compile(
    rf"^(?::{CHAIN}\s|(?:\[\d+:\d+\]\s+)?-[AI]\s+(?:{CHAIN}\s|.*\s(?:-j|-g|--jump|--goto)\s+{CHAIN}(?:\s|$)))"
)
_WORDS = {
    "--jump": "-j",
    "--source": "-s",
    "--src": "-s",
    "--protocol": "-p",
    "--in-interface": "-i",
    "--destination-port": "--dport",
}


@dataclass(frozen=True)
class Line:
    """One line of ours. ``kind``: declare, jump, loopback, allow, refuse or other; ``text`` is how we write it."""

    kind: str
    text: str
    network: Optional[Network] = None


def chain_lines(rules: Rules, family: int) -> list[str]:
    """What stands in our chain for one family, 4 or 6: loopback and the listed networks go on to the owner's rules, others are refused."""
    networks = rules.ipv4 if family == 4 else rules.ipv6
    return [_LOOPBACK, *(_allow(network) for network in networks), _REFUSE]


def file_lines(rules: Rules, family: int) -> list[str]:
    """Every line of ours in a file of iptables-restore(8): the chain, the jump, the chain's rules."""
    return [_DECLARATION, f"-A {JUMP}", *chain_lines(rules, family)]


def is_ours(line: str) -> bool:
    """True for a line of a file of iptables-restore(8) that declares, fills or jumps to our chain."""
    return _OURS.match(line) is not None


def meaning(line: str) -> Line:
    """What a line of ours says; for a line ``is_ours`` accepts."""
    plain = _COUNTERS.sub("", line.strip())
    if plain.startswith(":"):
        return Line("declare", _DECLARATION)
    try:
        chain, options = _options(shlex.split(plain))
    except ValueError:
        return Line("other", plain)
    found: Optional[Line] = None
    source = options.get("-s")
    if (chain, options) == _JUMP_MEANS:
        found = Line("jump", f"-A {JUMP}")
    elif (chain, options) == _LOOPBACK_MEANS:
        found = Line("loopback", _LOOPBACK)
    elif (chain, options) == _REFUSE_MEANS:
        found = Line("refuse", _REFUSE)
    elif source and options == {"-s": source, "--comment": TAG, "-j": "RETURN"} and chain == CHAIN:
        try:
            network = ipaddress.ip_network(source)
            found = Line("allow", _allow(network), network)
        except ValueError:
            pass
    return found or Line("other", plain)


def canonical(lines: Iterable[str]) -> list[str]:
    """Lines of ours in the order in which ``file_lines`` has them, without counters, as ``file_lines`` writes them."""
    order = {"declare": 0, "jump": 1}
    said = [meaning(line) for line in lines]
    return [line.text for line in sorted(said, key=lambda line: order.get(line.kind, 2))]


def table_lines(saved: str, table: str = "filter") -> list[str]:
    """The lines of one table in the output of iptables-save(8), without ``*table`` and COMMIT."""
    found: list[str] = []
    inside = False
    for line in saved.splitlines():
        if line.startswith("*"):
            inside = line[1:].strip() == table
        elif line.strip() == "COMMIT":
            inside = False
        elif inside and line and not line.startswith("#"):
            found.append(line)
    return found


def live_text(saved: dict[int, str]) -> Optional[str]:
    """The canonical text of our rules in the output of iptables-save(8), by family; None when none of them has any.

    What differs from ``file_lines`` is told in lines that begin with ``EDITED``.
    """
    networks: list[Network] = []
    edits: list[str] = []
    present = []
    for family, text in sorted(saved.items()):
        lines = table_lines(text)
        ours = [meaning(line) for line in lines if is_ours(line)]
        present.append(bool(ours))
        networks += [line.network for line in ours if line.network is not None]
        edits += [f"IPv{family}: {edit}" for edit in _edits(lines, ours)]
    if not any(present):
        return None
    rules = merged(networks)
    for family in saved:
        # A network between others that overlaps them says nothing new, but it is not what was put.
        have = [network for network in networks if network.version == family]
        if have != list(rules.ipv4 if family == 4 else rules.ipv6):
            edits.append(f"IPv{family}: the listed networks were changed by hand")
    return rules.text() + "".join(f"{EDITED}{edit}\n" for edit in edits)


def put_text(rules: Rules, family: int, saved: str) -> str:
    """What ``iptables-restore --noflush`` needs to put exactly these rules in force, given what iptables-save(8) prints now.

    Only our chain is declared, which empties it, and the jump is moved only when it is not where it belongs.
    """
    lines = [f":{CHAIN} - [0:0]", *chain_lines(rules, family)]
    if not _jump_stands(table_lines(saved)):
        lines += [*_delete_jumps(saved), f"-I {JUMP.replace('INPUT', 'INPUT 1', 1)}"]
    return _restore(lines)


def take_text(saved: str) -> Optional[str]:
    """What ``iptables-restore --noflush`` needs to take our rules out; None when there are none."""
    if not any(is_ours(line) for line in table_lines(saved)):
        return None
    lines = _delete_jumps(saved)
    if any(line.startswith(f":{CHAIN} ") for line in table_lines(saved)):
        lines += [f"-F {CHAIN}", f"-X {CHAIN}"]
    return _restore(lines)


def _restore(lines: Iterable[str]) -> str:
    return "*filter\n" + "".join(f"{line}\n" for line in lines) + "COMMIT\n"


def _delete_jumps(saved: str) -> list[str]:
    """Commands that take out every jump to our chain, wherever it stands and however it was edited."""
    found = []
    for line in table_lines(saved):
        if is_ours(line) and not line.startswith(":"):
            plain = _COUNTERS.sub("", line)
            if not plain.startswith(f"-A {CHAIN} ") or f"-j {CHAIN}" in plain:
                found.append("-D" + plain[2:])
    return found


def _edits(lines: list[str], ours: list[Line]) -> list[str]:
    kinds = [line.kind for line in ours]
    body = [kind for kind in kinds if kind not in ("declare", "jump")]
    found = [f"not as it was put: {line.text}" for line in ours if line.kind == "other"]
    if not ours:
        found.append("our rules are missing")
    elif "jump" not in kinds:
        found.append(f"nothing jumps to {CHAIN}")
    elif not _jump_stands(lines):
        found.append("our jump is not the first rule of INPUT that can let port 25 in")
    allows = len(body) - 2
    complete = body == ["loopback", *["allow"] * allows, "refuse"] and kinds.count("declare") == 1
    if ours and "other" not in kinds and not complete:
        found.append(f"rules of {CHAIN} are missing, doubled or in another order")
    return found


def _jump_stands(lines: list[str]) -> bool:
    """True when INPUT jumps to our chain exactly once and nothing before that can accept a connection to port 25."""
    jumps = 0
    for line in lines:
        plain = _COUNTERS.sub("", line)
        if is_ours(line) and not plain.startswith((":", f"-A {CHAIN} ")):
            if meaning(line).kind != "jump":
                return False
            jumps += 1
        elif plain.startswith("-A INPUT ") and not jumps and _may_accept(plain):
            return False
    return jumps == 1


def _may_accept(line: str) -> bool:
    """False for a rule that surely accepts no new connection to port 25: other programs may put such rules before ours."""
    try:
        _, options = _options(shlex.split(line))
    except ValueError:
        return True
    target = options.get("-j", "")
    # fail2ban puts its jumps on top; its chains only refuse or return.
    if target in ("", "DROP", "REJECT", "LOG", "NFLOG", "RETURN") or target.startswith("f2b-"):
        return False
    if options.get("-p", "tcp") not in ("tcp", "all") or options.get("-i") == "lo":
        return False
    states = options.get("--ctstate", options.get("--state", ""))
    if states and not set(states.split(",")) & {"NEW", "INVALID", "UNTRACKED"}:
        return False
    port = options.get("--dport", "")
    return not (port.isdigit() and int(port) != PORT)


def _allow(network: Network) -> str:
    return f"-A {CHAIN} -s {network} {_COMMENT} -j RETURN"


def _options(words: list[str]) -> tuple[str, dict[str, str]]:
    """The chain of ``-A chain options`` and the options by name, without the names of the modules."""
    if len(words) < 2 or words[0] not in ("-A", "-I"):
        raise ValueError(words)
    options: dict[str, str] = {}
    negate = ""
    index = 2
    while index < len(words):
        word = words[index]
        index += 1
        if word == "!":
            negate = "! "
            continue
        if not word.startswith("-"):
            raise ValueError(word)
        values = []
        while index < len(words) and not words[index].startswith("-") and words[index] != "!":
            values.append(words[index])
            index += 1
        if word in ("-m", "--match"):
            continue
        name = _WORDS.get(word, word)
        value = " ".join(values)
        if name == "--syn":
            name, value = "--tcp-flags", "FIN,SYN,RST,ACK SYN"
        if name == "--tcp-flags":
            value = " ".join(",".join(sorted(part.split(","))) for part in value.split())
        if negate + name in options:
            raise ValueError(word)
        options[negate + name] = value
        negate = ""
    return words[1], options


_JUMP_MEANS = _options(shlex.split(f"-A {JUMP}"))
_LOOPBACK_MEANS = _options(shlex.split(_LOOPBACK))
_REFUSE_MEANS = _options(shlex.split(_REFUSE))
