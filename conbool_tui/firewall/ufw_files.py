"""ufw's rule files (/etc/ufw/user.rules and user6.rules) as text: find our rules, put others in their place. Pure.

ufw keeps each rule as a tuple line with the rule in words, followed by the lines for iptables-restore(8) that it stands for; it reads
the former and loads the latter. Within one file a rule is known by everything but its action and its comment: of two rules that differ
in nothing else ufw keeps one, whatever it is asked to do, and says so with exit status 0.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.firewall.rules import PORT, TAG, Rules
from conbool_tui.networks import Network

COMMENT = TAG.encode().hex()
BEGIN = "### RULES ###"

_TUPLE = "### tuple ### "
# In a file that ufw has not rewritten yet, lines of other chains follow the last rule at once.
_RULE_LINE = re.compile(r"-[AI] ufw6?-user-(?:input|output|forward|logging-\w+)\s")


@dataclass(frozen=True)
class Family:
    """One address family as ufw and iptables name it. ``halves`` are the two networks that together are everybody."""

    number: int
    path: str
    chain: str
    jump: str
    list_program: str
    load_program: str
    everybody: str
    halves: tuple[str, str]


IPV4 = Family(
    4,
    "/etc/ufw/user.rules",
    "ufw-user-input",
    "ufw-before-input",
    "iptables",
    "iptables-restore",
    "0.0.0.0/0",
    ("0.0.0.0/1", "128.0.0.0/1"),
)
IPV6 = Family(
    6,
    "/etc/ufw/user6.rules",
    "ufw6-user-input",
    "ufw6-before-input",
    "ip6tables",
    "ip6tables-restore",
    "::/0",
    ("::/1", "8000::/1"),
)
FAMILIES = (IPV4, IPV6)


@dataclass(frozen=True)
class Rule:
    """One rule of ours: who may come in (``allow``) or is refused (``reject``), by source and destination as ufw writes them."""

    action: str
    source: str
    destination: str

    def words(self) -> str:
        """The rule in ufw's words, as they stand in a tuple line."""
        return f"{self.action} tcp {PORT} {self.destination} any {self.source} in"

    def match(self, family: Family) -> str:
        """The rule as ``iptables -S`` prints it, without the chain."""
        parts = []
        if self.source != family.everybody:
            parts.append(f"-s {_with_length(self.source)}")
        if self.destination != family.everybody:
            parts.append(f"-d {_with_length(self.destination)}")
        return " ".join([*parts, f"-p tcp -m tcp --dport {PORT}", self._target()])

    def line(self, family: Family) -> str:
        """The line for iptables-restore(8) that ufw makes of the rule."""
        parts = [f"-A {family.chain} -p tcp"]
        if self.destination != family.everybody:
            parts.append(f"-d {self.destination}")
        parts.append(f"--dport {PORT}")
        if self.source != family.everybody:
            parts.append(f"-s {self.source}")
        return " ".join([*parts, self._target()])

    def command(self, family: Family) -> str:
        """The rule as arguments of ufw(8)."""
        source = "any" if self.source == family.everybody else self.source
        destination = "any" if self.destination == family.everybody else self.destination
        return f"{self.action} proto tcp from {source} to {destination} port {PORT} comment {TAG}"

    def _target(self) -> str:
        return "-j ACCEPT" if self.action == "allow" else "-j REJECT --reject-with tcp-reset"


@dataclass(frozen=True)
class Entry:
    """One rule of the file, ours or the admin's; its lines are ``first`` up to but not including ``end``."""

    first: int
    end: int
    words: tuple[str, ...]
    comment: str
    lines: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """True when it carries our comment."""
        return self.comment == COMMENT

    @property
    def rule(self) -> Optional[Rule]:
        """It as a rule like ours; None when it is of another kind."""
        if len(self.words) != 7:
            return None
        action, protocol, port, destination, source_port, source, direction = self.words
        if (protocol, port, source_port, direction) != ("tcp", str(PORT), "any", "in"):
            return None
        return Rule(action, source, destination)

    @property
    def opens_port(self) -> bool:
        """True when it lets somebody in and names port 25, alone, in a list or in a range."""
        if len(self.words) < 6 or self.words[0].split("_")[0] not in ("allow", "limit"):
            return False
        if self.words[1] not in ("tcp", "any") or self.words[-1].split("_")[0] == "out":
            return False
        for part in self.words[2].split(","):
            low, _, high = part.partition(":")
            if low.isdigit() and int(low) <= PORT <= int(high if high.isdigit() else low):
                return True
        return False


def entries(text: str) -> list[Entry]:
    """Every rule of the file in its order."""
    found: list[Entry] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        if not lines[number].startswith(_TUPLE):
            number += 1
            continue
        first = number - 1 if number and not lines[number - 1].strip() else number
        words, _, comment = lines[number][len(_TUPLE) :].partition(" comment=")
        end = number + 1
        while end < len(lines) and _RULE_LINE.match(lines[end]):
            end += 1
        found.append(Entry(first, end, tuple(words.split()), comment.strip(), tuple(lines[number + 1 : end])))
        number = end
    return found


def well_formed(text: str) -> bool:
    """True when it has the place where ufw's rules begin."""
    return BEGIN in text.splitlines()


def made(rules: Rules, family: Family, others: Iterable[Entry]) -> list[Rule]:
    """What ``rules`` are for one family, in order: who may come in, then everybody else refused.

    Everybody is written as two halves, since a plain rule for port 25 may be the admin's. Where the admin has a rule like ours all the
    same, ours is split by destination.
    """
    taken = {(entry.rule.source, entry.rule.destination) for entry in others if entry.rule is not None}
    found: list[Rule] = []
    for action, source in [
        *(("allow", _name(network)) for network in (rules.ipv4 if family.number == 4 else rules.ipv6)),
        *(("reject", half) for half in family.halves),
    ]:
        if (source, family.everybody) in taken:
            found.extend(Rule(action, source, half) for half in family.halves)
        else:
            found.append(Rule(action, source, family.everybody))
    return found


def with_rules(text: str, family: Family, rules: Optional[Rules]) -> str:
    """The file with exactly ``rules`` of ours, above all others; everything else byte for byte as it was."""
    lines = text.splitlines(keepends=True)
    known = entries(text)
    gone = {number for entry in known if entry.ours for number in range(entry.first, entry.end)}
    kept = [line for number, line in enumerate(lines) if number not in gone]
    if rules is None:
        return "".join(kept)
    new = [
        f"\n{_TUPLE}{rule.words()} comment={COMMENT}\n{rule.line(family)}\n"
        for rule in made(rules, family, (entry for entry in known if not entry.ours))
    ]
    place = next(number for number, line in enumerate(kept) if line.strip() == BEGIN) + 1
    return "".join([*kept[:place], *new, *kept[place:]])


@dataclass(frozen=True)
class Meaning:
    """What our rules of one file say. ``wrong`` names, for people, everything we would not have written."""

    networks: tuple[Network, ...] = ()
    wrong: tuple[str, ...] = ()


def meaning(text: str, family: Family) -> Meaning:
    """Read our rules back."""
    found = entries(text)
    ours = [entry for entry in found if entry.ours]
    wrong: list[str] = []
    networks: list[Network] = []
    refused: set[str] = set()
    for entry, source in _joined(ours, family, wrong):
        if entry.words[0] == "allow":
            if refused:
                wrong.append(f"'{' '.join(entry.words)}' stands below the refusal")
            networks.append(ipaddress.ip_network(source))
        else:
            refused.add(source)
    if ours:
        wrong.extend(f"nobody of {half} is refused" for half in family.halves if half not in refused)
        wrong.extend(f"{source} is refused" for source in sorted(refused) if source not in family.halves)
        last = found.index(ours[-1])
        wrong.extend(
            f"'{' '.join(entry.words)}' stands above our rules"
            for entry in found[:last]
            if not entry.ours and entry.opens_port
        )
    return Meaning(tuple(networks), tuple(wrong))


def _joined(ours: Sequence[Entry], family: Family, wrong: list[str]) -> list[tuple[Entry, str]]:
    """Our rules with the source each one stands for; two that were split by destination count once, what is not like ours goes to
    ``wrong``."""
    found: list[tuple[Entry, str]] = []
    halves: dict[tuple[str, str], set[str]] = {}
    for entry in ours:
        rule = entry.rule
        if rule is None or rule.action not in ("allow", "reject") or not _readable(rule.source):
            wrong.append(f"'{' '.join(entry.words)}' is not a rule of this program")
            continue
        if entry.lines != (rule.line(family),):
            wrong.append(f"the lines below '{rule.words()}' say something else")
        if rule.destination == family.everybody:
            found.append((entry, rule.source))
            continue
        seen = halves.setdefault((rule.action, rule.source), set())
        seen.add(rule.destination)
        if seen == set(family.halves):
            found.append((entry, rule.source))
    for (action, source), seen in halves.items():
        if seen != set(family.halves):
            wrong.append(f"{action} of {source} is there for only some of the server's addresses")
    return found


def _readable(source: str) -> bool:
    try:
        ipaddress.ip_network(source)
    except ValueError:
        return False
    return True


def _name(network: Network) -> str:
    """A network as ufw writes it: a single host without a length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _with_length(source: str) -> str:
    """A network as iptables prints it: always with a length."""
    return str(ipaddress.ip_network(source))
