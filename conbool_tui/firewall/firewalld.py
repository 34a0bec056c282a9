"""Our rules in firewalld: rich rules of two priorities that nobody else uses, in every zone that new connections can come in through.

Runtime and permanent configuration are changed alike, never by ``--reload``: that drops every rule the admin made at runtime only. It is
also why no ipset is used: firewalld takes a new one into the running configuration by reloading alone (``--new-ipset`` exists with
``--permanent`` only). Rich rules carry no comment, so the priorities are our mark.

Source: firewall-cmd(1), firewalld.richlanguage(5) (priorities need firewalld 0.7), firewalld.zone(5).
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from conbool_tui.errors import ConboolError, HostError
from conbool_tui.facts import FirewallFacts
from conbool_tui.firewall.rules import EDITED, PORT, Rules, merged, wanted
from conbool_tui.mail_system import Problem
from conbool_tui.networks import Network

if TYPE_CHECKING:
    from conbool_tui.host import Host

ACCEPT_PRIORITY = -25252
"""Priority of the rules that let the listed networks in: lower goes first."""
REFUSE_PRIORITY = -25251

TOOL = "firewall-cmd"
OFFLINE_TOOL = "firewall-offline-cmd"
ZONE_FILES = "/etc/firewalld/zones"
NOT_RUNNING = 252
"""Exit status of firewall-cmd when the daemon, or the message bus to it, does not run."""

_RULES_PER_CALL = 200
_CALL_TIMEOUT = 300.0
_HEADER = re.compile(r"^(\S+)(?: \((.*)\))?$")
_PRIORITY = re.compile(r'^rule priority="(-?\d+)"')
_ACCEPT = re.compile(
    rf'^rule priority="{ACCEPT_PRIORITY}" family="ipv[46]" source address="([^"]+)"'
    rf' port port="{PORT}" protocol="tcp" accept$'
)
_SHUT_TARGETS = ("DROP", "%%REJECT%%", "REJECT")
_OPENINGS = ("services", "ports", "protocols", "source-ports", "forward-ports")


@dataclass(frozen=True)
class Zone:
    """One zone as ``--list-all-zones`` shows it. ``ours`` are the rich rules with our priorities, ``bound`` the interfaces it has."""

    name: str
    active: bool
    target: str
    bound: tuple[str, ...]
    opens: bool
    ours: tuple[str, ...]


def zones(text: str) -> dict[str, Zone]:
    """Read ``--list-all-zones``."""
    found: dict[str, Zone] = {}
    name, active = "", False
    values: dict[str, str] = {}
    rich: list[str] = []

    def finish() -> None:
        if name:
            mine = [rule for rule in rich if _priority(rule) in (ACCEPT_PRIORITY, REFUSE_PRIORITY)]
            found[name] = Zone(
                name,
                active,
                values.get("target", "default"),
                tuple(values.get("interfaces", "").split()),
                any(values.get(key) for key in _OPENINGS) or len(mine) < len(rich),
                tuple(mine),
            )

    for line in text.splitlines():
        if not line.strip():
            continue
        if not line[0].isspace():
            finish()
            header = _HEADER.match(line.strip())
            name = header.group(1) if header else ""
            active = bool(header and header.group(2) and "active" in header.group(2).split(", "))
            values, rich = {}, []
        elif line.strip().startswith("rule "):
            rich.append(line.strip())
        else:
            key, _, value = line.strip().partition(":")
            values[key] = value.strip()
    finish()
    return found


def mattering(found: Mapping[str, Zone], default: str) -> tuple[list[str], list[str]]:
    """Names of the zones our rules belong in, and of the active ones that are left as they are.

    Ours: the default zone and every active one. Left: a zone with the target ACCEPT that is not the default one, since the admin said
    that whoever is in it is trusted; and a zone of sources that nothing may come in through (a block list).
    """
    ours: list[str] = []
    left: list[str] = []
    for name, zone in sorted(found.items()):
        if name == default:
            ours.append(name)
        elif zone.active:
            shut = zone.target in _SHUT_TARGETS and not zone.bound and not zone.opens
            (left if zone.target == "ACCEPT" or shut else ours).append(name)
    return ours, left


def rich_rules(rules: Optional[Rules]) -> list[str]:
    """``rules`` as rich rules, as firewalld prints them: first those that let in, then the refusals."""
    if rules is None:
        return []
    where = f'port port="{PORT}" protocol="tcp"'
    return [
        *(
            f'rule priority="{ACCEPT_PRIORITY}" family="ipv{network.version}" source address="{network}" {where} accept'
            for network in rules.allowed
        ),
        *(
            f'rule priority="{REFUSE_PRIORITY}" family="ipv{version}" {where} reject type="tcp-reset"'
            for version in (4, 6)
        ),
    ]


def calls(zone: str, before: Iterable[str], after: Iterable[str], permanent: bool) -> list[list[str]]:
    """The commands that take one zone from the rich rules ``before`` to ``after``.

    A refusal comes after everybody who is let in, and goes before them, so that no listed network is ever refused in between.
    """
    old, new = list(dict.fromkeys(before)), list(dict.fromkeys(after))
    gone = [rule for rule in old if rule not in set(new)]
    come = [rule for rule in new if rule not in set(old)]
    found: list[list[str]] = []
    for verb, batch in (
        ("remove", [rule for rule in gone if _priority(rule) == REFUSE_PRIORITY]),
        ("add", sorted(come, key=_priority)),
        ("remove", [rule for rule in gone if _priority(rule) != REFUSE_PRIORITY]),
    ):
        for start in range(0, len(batch), _RULES_PER_CALL):
            argv = [TOOL, *(["--permanent"] if permanent else []), f"--zone={zone}"]
            argv += [f"--{verb}-rich-rule={rule}" for rule in batch[start : start + _RULES_PER_CALL]]
            found.append(argv)
    return found


def commands(before: Optional[str], after: Optional[str], facts: FirewallFacts) -> list[str]:
    """The commands ``FirewalldRules.put`` runs, for people: each as one shell command, a rich rule a line.

    Args:
        before: canonical text of our rules now.
        after: what they become.
        facts: from ``detectors.firewall.firewalld``; its details name the zones.

    Raises:
        ConboolError: a text is not canonical.
    """
    old, new = rich_rules(wanted(before)), rich_rules(wanted(after))
    names = dict(facts.details).get("zones", "").split()
    argvs = [argv for side in (True, False) for name in names for argv in calls(name, old, new, side)]
    return [_shell(argv) for argv in argvs]


def _shell(argv: Sequence[str]) -> str:
    head = [word for word in argv if "-rich-rule=" not in word]
    rules = [word.split("=", 1) for word in argv if "-rich-rule=" in word]
    return " \\\n    ".join([shlex.join(head), *(f"{option}={shlex.quote(rule)}" for option, rule in rules)])


def _priority(rule: str) -> int:
    found = _PRIORITY.match(rule)
    return int(found.group(1)) if found else 0


@dataclass(frozen=True)
class Look:
    """How firewalld is: its zones at runtime (None: the daemon does not run), and our permanent rich rules of the zones ``names``, those
    that have rules of ours or should have them."""

    default: str
    runtime: Optional[Mapping[str, Zone]]
    permanent: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """The zones that have rules of ours or should have them."""
        return sorted(self.permanent)

    def ours(self, name: str, permanent: bool) -> tuple[str, ...]:
        """Our rich rules in one zone."""
        if permanent:
            return self.permanent.get(name, ())
        zone = (self.runtime or {}).get(name)
        return zone.ours if zone is not None else ()


def look(host: Host) -> Optional[Look]:
    """Ask firewalld; None when it is not installed.

    Raises:
        HostError: firewalld's tools failed.
    """
    if host.which(TOOL) is None:
        return None
    listed = host.run([TOOL, "--list-all-zones"])
    names = _zones_with_permanent_rules(host)
    if listed.returncode == NOT_RUNNING:
        if host.which(OFFLINE_TOOL) is None:
            return None
        return Look("", None, {name: _permanent(host, [OFFLINE_TOOL], name) for name in names})
    if not listed.ok:
        raise _failed([TOOL, "--list-all-zones"], listed.error_text())
    runtime = zones(listed.text())
    default = _ask(host, [TOOL, "--get-default-zone"]).strip()
    names |= {zone.name for zone in runtime.values() if zone.ours} | set(mattering(runtime, default)[0])
    return Look(default, runtime, {name: _permanent(host, [TOOL, "--permanent"], name) for name in names})


def _zones_with_permanent_rules(host: Host) -> set[str]:
    """Listing every permanent zone takes firewalld long; those with rules of ours are among those that have a file of their own."""
    found = set()
    for name in host.listdir(ZONE_FILES):
        if name.endswith(".xml"):
            text = host.read_text(f"{ZONE_FILES}/{name}")
            if any(f'priority="{number}"' in text for number in (ACCEPT_PRIORITY, REFUSE_PRIORITY)):
                found.add(name[: -len(".xml")])
    return found


def _permanent(host: Host, argv: Sequence[str], zone: str) -> tuple[str, ...]:
    lines = [line.strip() for line in _ask(host, [*argv, f"--zone={zone}", "--list-rich-rules"]).splitlines()]
    return tuple(line for line in lines if _priority(line) in (ACCEPT_PRIORITY, REFUSE_PRIORITY))


class FirewalldRules:
    """``LiveRules`` for firewalld."""

    name = "firewall:firewalld"

    def __init__(self, host: Host) -> None:
        self._host = host

    def read(self) -> Optional[str]:
        """Our rules in all zones, runtime and permanent. See ``LiveRules.read``."""
        if not self._host.live:
            return None
        found = look(self._host)
        return None if found is None else text_of(found)

    def judge(self, rules: Optional[str], files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Would firewalld take them? See ``LiveRules.judge``."""
        try:
            target = wanted(rules)
            return [] if target is None else self._obstacles(look(self._host))
        except ConboolError as error:
            return [_problem(error)]

    def put(self, rules: Optional[str]) -> list[Problem]:
        """Change every zone, permanent and then runtime. See ``LiveRules.put``."""
        try:
            target = wanted(rules)
            found = look(self._host) if self._host.live else None
            if found is None and target is None:
                return []
            problems = self._obstacles(found) if target is not None else []
            if problems or found is None:
                return problems
            self._change(found, rich_rules(target))
        except ConboolError as error:
            return [_problem(error)]
        return []

    def _obstacles(self, found: Optional[Look]) -> list[Problem]:
        if found is None:
            return [Problem("firewalld is not installed any more.", f"{TOOL} was not found.")]
        if found.runtime is None:
            return [
                Problem(
                    "firewalld is not running, so no rule can be put in force.",
                    "Start it (`systemctl start firewalld`) and see what `firewall-cmd --state` says.",
                )
            ]
        return []

    def _change(self, found: Look, want: Sequence[str]) -> None:
        """Bring every zone to ``want``; when it does not come out so, every zone goes back to what it was."""
        names = found.names
        try:
            for permanent in (True, False):
                if permanent or found.runtime is not None:
                    for name in names:
                        self._zone(name, found.ours(name, permanent), want, permanent, found)
            # firewall-cmd reports success when one rule of many was taken.
            now = look(self._host)
            wrong = [] if now is None else _differences(now, names, want)
            if wrong:
                raise HostError(
                    f"firewalld did not take all rules for port 25: {wrong[0]}.",
                    "Port 25 would not be as it was asked for.",
                    "Look at firewalld's log (`journalctl -u firewalld`).",
                )
        except ConboolError as error:
            self._back(found, names, error)
            raise

    def _back(self, found: Look, names: Sequence[str], cause: ConboolError) -> None:
        try:
            now = look(self._host)
            if now is None:
                raise HostError(f"{TOOL} is gone.")
            for permanent in (True, False):
                if permanent or now.runtime is not None:
                    for name in names:
                        self._zone(
                            name, now.ours(name, permanent), found.ours(name, permanent), permanent, now
                        )
        except ConboolError as error:
            raise HostError(
                f"{cause.what} The rules could not be brought back either: {error.what}",
                "Runtime and permanent configuration may differ now.",
                "Look at `firewall-cmd --list-all-zones` and the same with --permanent.",
            ) from None

    def _zone(self, name: str, old: Sequence[str], new: Sequence[str], permanent: bool, found: Look) -> None:
        for argv in calls(name, old, new, permanent):
            if found.runtime is None:
                argv = [OFFLINE_TOOL, *(word for word in argv[1:] if word != "--permanent")]
            _ask(self._host, argv)


def text_of(found: Look) -> Optional[str]:
    """Our rules as text, with a line for everything that is not the same in all zones, runtime and permanent."""
    names = found.names
    sides = [True] if found.runtime is None else [True, False]
    every = [rule for name in names for side in sides for rule in found.ours(name, side)]
    if not every:
        return None
    networks: list[Network] = []
    for rule in every:
        match = _ACCEPT.match(rule)
        if match:
            try:
                networks.append(ipaddress.ip_network(match.group(1)))
            except ValueError:
                continue
    rules = merged(networks)
    notes = _differences(found, names, rich_rules(rules))
    if found.runtime is None:
        notes.append("firewalld is not running, so the rules are not in force")
    return rules.text() + "".join(f"{EDITED}{note}\n" for note in notes)


def _differences(found: Look, names: Sequence[str], want: Sequence[str]) -> list[str]:
    """What is not as it should be, zone by zone, in words."""
    wrong = []
    expected = {_key(rule) for rule in want}
    for name in names:
        for permanent in [True] if found.runtime is None else [True, False]:
            side = "permanent" if permanent else "runtime"
            have = {_key(rule) for rule in found.ours(name, permanent)}
            wrong += [f"zone {name}, {side}: without {rule}" for rule in sorted(expected - have)]
            wrong += [f"zone {name}, {side}: with {rule}" for rule in sorted(have - expected)]
    return wrong


def _key(rule: str) -> str:
    """A rich rule of ours so that two ways of writing an address compare equal."""
    match = _ACCEPT.match(rule)
    if match:
        try:
            network = str(ipaddress.ip_network(match.group(1)))
        except ValueError:
            return rule
        return rule.replace(f'"{match.group(1)}"', f'"{network}"')
    return rule


def _ask(host: Host, argv: Sequence[str]) -> str:
    done = host.run(argv, timeout=_CALL_TIMEOUT)
    if not done.ok:
        raise _failed(argv, done.error_text())
    return done.text()


def _failed(argv: Sequence[str], error: str) -> HostError:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    told = lines[-1].rstrip(".") if lines else "no reason was given"
    shown = " ".join(word for word in argv if "-rich-rule=" not in word)
    return HostError(
        f"{shown} failed: {told}.",
        "firewalld decides who may connect, so nothing was changed that it did not take.",
        "Look at `firewall-cmd --state` and at firewalld's log (`journalctl -u firewalld`).",
    )


def _problem(error: ConboolError) -> Problem:
    return Problem(error.what, " ".join(part for part in (error.why, error.todo) if part))
