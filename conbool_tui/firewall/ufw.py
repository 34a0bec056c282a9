"""Our rules in ufw: as ufw's own rules, so that ``ufw status`` shows them, ``ufw delete`` removes them and ufw.service loads them at boot.

They are written into ufw's rule files under ufw's lock and put in force by one iptables-restore(8) for each family, which changes our
rules and nothing else, at once. Not by calling ufw for each rule: a call takes a fifth of a second and more, so a list of 200 networks
would be half in force for a minute, and after a kill for good.

Source: ufw(8), ufw-framework(8), iptables-restore(8), iptables-extensions(8) REJECT.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from conbool_tui.errors import ConboolError, HostError
from conbool_tui.facts import FirewallFacts
from conbool_tui.firewall.rules import EDITED, PORT, Rules, merged, wanted
from conbool_tui.firewall.ufw_files import (
    FAMILIES,
    Entry,
    Family,
    Rule,
    entries,
    made,
    meaning,
    well_formed,
    with_rules,
)
from conbool_tui.mail_system import Problem

if TYPE_CHECKING:
    from conbool_tui.host import Host

CONFIGURATION = "/etc/ufw/ufw.conf"
DEFAULTS = "/etc/default/ufw"
LOCK = "/run/ufw.lock"
LOCK_WAIT = 20.0
"""Seconds to wait for a ufw command that is running."""
XTABLES_WAIT = 5
"""Seconds iptables may wait for another program's work on the rules (``-w``)."""


def setting(host: Host, path: str, name: str) -> str:
    """A setting of one of ufw's shell-like files, in lower case; empty when it is not there.

    Raises:
        HostError: the file cannot be read.
    """
    found = ""
    if host.exists(path):
        for line in host.read_text(path).splitlines():
            key, equals, value = line.partition("=")
            if equals and key.strip() == name:
                found = value.strip().strip("\"'").lower()
    return found


def enabled(host: Host) -> bool:
    """True when ufw is switched on (``ufw enable``). Raises HostError."""
    return setting(host, CONFIGURATION, "ENABLED") == "yes"


def uses_ipv6(host: Host) -> bool:
    """True when ufw handles IPv6; if not, it lets none in at all. Raises HostError."""
    return setting(host, DEFAULTS, "IPV6") == "yes"


def live_rules(host: Host, family: Family) -> Optional[list[str]]:
    """The rules in force in ufw's chain for the admin's rules, as ``iptables -S`` prints them, without the chain; None when ufw's chains
    are not in force.

    Raises:
        HostError: iptables failed.
    """
    if host.which(family.list_program) is None:
        return None
    done = host.run([family.list_program, "-w", str(XTABLES_WAIT), "-S"])
    if not done.ok:
        raise HostError(
            f"{family.list_program} could not list the rules in force: {_last(done.error_text())}.",
            "Without them it cannot be told whether port 25 is closed.",
            f"Run `{family.list_program} -S` by hand to see what is wrong.",
        )
    lines = done.text().splitlines()
    if f"-A INPUT -j {family.jump}" not in lines or f"-N {family.chain}" not in lines:
        return None
    begin = f"-A {family.chain} "
    return [_plain(line[len(begin) :]) for line in lines if line.startswith(begin)]


def commands(before: Optional[str], after: Optional[str], facts: FirewallFacts) -> list[str]:
    """The change as commands of ufw, for people; running them gives the rule files that ``UfwRules.put`` writes, rule for rule.

    Args:
        before: canonical text of our rules now.
        after: what they become.
        facts: from ``detectors.firewall.ufw``; its details say how many rules the admin has and which are like ours.

    Raises:
        ConboolError: a text is not canonical.
    """
    old, new = wanted(before), wanted(after)
    details = dict(facts.details)
    taken = details.get("same", "").split()
    found: list[str] = []
    ours4 = 0
    for family in FAMILIES:
        if family.number == 6 and details.get("ipv6") == "no":
            continue
        have = _made(old, family, taken)
        want = _made(new, family, taken)
        admin = int(details.get(f"rules{family.number}", "0"))
        refusals = [rule for rule in want if rule.action == "reject" and rule not in have]
        allows = [rule for rule in want if rule.action == "allow" and rule not in have]
        found += [f"ufw prepend {rule.command(family)}" for rule in reversed(allows)]
        # ufw counts the IPv6 rules on from the IPv4 ones, and inserts nowhere but above a rule that is there.
        above = len([rule for rule in want if rule.action == "allow"])
        offset = ours4 + int(details.get("rules4", "0")) if family.number == 6 else 0
        for number, rule in enumerate(refusals):
            how = f"insert {offset + above + number + 1} " if admin else ""
            found.append(f"ufw {how}{rule.command(family)}")
        gone = [rule for rule in have if rule not in want]
        for rule in sorted(gone, key=lambda one: one.action != "reject"):
            found.append(f"ufw delete {rule.command(family)}")
        if family.number == 4:
            ours4 = len(want)
    return found


def _made(rules: Optional[Rules], family: Family, taken: Sequence[str]) -> list[Rule]:
    if rules is None:
        return []
    others = [
        Entry(0, 0, tuple(Rule("allow", source, family.everybody).words().split()), "", ())
        for source in taken
    ]
    return made(rules, family, others)


@dataclass(frozen=True)
class _State:
    """One family now: its rule file (None: absent) and what is in force (None: not in force, or nobody needs to know)."""

    family: Family
    text: Optional[str]
    live: Optional[list[str]]

    def ours(self) -> list[str]:
        """What our rules of the file are in force, as ``live`` writes it."""
        found = entries(self.text or "")
        return [entry.rule.match(self.family) for entry in found if entry.ours and entry.rule is not None]

    def consistent(self) -> bool:
        """True when our rules of the file are in force in their order, with nothing between or above that opens the port and is in no
        file."""
        if self.live is None:
            return True
        want = self.ours()
        found = entries(self.text or "")
        last = max((number for number, entry in enumerate(found) if entry.ours), default=0)
        rules = [entry.rule for entry in found[:last] if not entry.ours]
        admin = {rule.match(self.family) for rule in rules if rule is not None}
        for line in self.live:
            if not want:
                break
            if line == want[0]:
                want.pop(0)
            elif f" --dport {PORT} -j ACCEPT" in line and line not in admin:
                return False
        return not want

    def swap(self, old: Sequence[str], new: Sequence[str]) -> str:
        """Input for iptables-restore(8) that takes ``old`` out and puts ``new`` on top, in one step."""
        chain = self.family.chain
        lines = [f"-D {chain} {match}" for match in old]
        lines += [f"-I {chain} {number} {match}" for number, match in enumerate(new, 1)]
        return "\n".join(["*filter", *lines, "COMMIT", ""])


class UfwRules:
    """``LiveRules`` for ufw."""

    name = "firewall:ufw"

    def __init__(self, host: Host) -> None:
        self._host = host

    def read(self) -> Optional[str]:
        """Our rules: those in ufw's files, and whether they are in force. See ``LiveRules.read``."""
        states = self._states()
        found = [meaning(state.text, state.family) for state in states if state.text]
        if not any(one.networks or one.wrong for one in found):
            return None
        notes = [note for one in found for note in one.wrong]
        if self._host.live:
            if not enabled(self._host):
                notes.append("ufw is switched off, so the rules are not in force")
            else:
                notes += [
                    f"over IPv{state.family.number} the rules in force are not those in {state.family.path}"
                    for state in states
                    if self._in_use(state.family) and not (state.live is not None and state.consistent())
                ]
        rules = merged(network for one in found for network in one.networks)
        return rules.text() + "".join(f"{EDITED}{note}\n" for note in notes)

    def judge(self, rules: Optional[str], files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Would ufw take them? See ``LiveRules.judge``."""
        try:
            target = wanted(rules)
            states = self._states()
            problems = self._obstacles(target, states)
            if problems:
                return problems
            for state in states:
                if state.text is None or state.live is None:
                    continue
                after = _State(state.family, with_rules(state.text, state.family, target), state.live)
                self._load(state.family, state.swap([], after.ours()), test=True)
        except ConboolError as error:
            return [_problem(error)]
        return []

    def put(self, rules: Optional[str]) -> list[Problem]:
        """Write the rule files and put the rules in force. See ``LiveRules.put``."""
        try:
            target = wanted(rules)
            if target is None and not any(self._host.exists(family.path) for family in FAMILIES):
                return []
            with self._locked():
                states = self._states()
                problems = self._obstacles(target, states)
                if not problems:
                    self._change(states, target)
                return problems
        except ConboolError as error:
            return [_problem(error)]

    # --- how it is now

    def _in_use(self, family: Family) -> bool:
        return family.number == 4 or uses_ipv6(self._host)

    def _states(self) -> list[_State]:
        on = self._host.live and enabled(self._host)
        found = []
        for family in FAMILIES:
            text = self._host.read_text(family.path) if self._host.exists(family.path) else None
            live = live_rules(self._host, family) if on and self._in_use(family) else None
            found.append(_State(family, text, live))
        return found

    def _obstacles(self, target: Optional[Rules], states: Sequence[_State]) -> list[Problem]:
        """Why nothing can be done; found before anything is touched."""
        problems: list[Problem] = []
        for state in states:
            family = state.family
            if state.text is None:
                if target is not None and self._in_use(family):
                    problems.append(Problem(f"{family.path} is not there, so ufw has no place for rules."))
                continue
            if target is None and not any(entry.ours for entry in entries(state.text)):
                continue
            if target is not None and not well_formed(state.text):
                problems.append(
                    Problem(f"{family.path} is not as ufw writes it: it has no line '### RULES ###'.")
                )
            try:
                self._host.probe_writable(self._host.resolve(family.path))
            except ConboolError as error:
                problems.append(_problem(error))
            if target is not None and self._host.live and self._in_use(family) and state.live is None:
                problems.append(
                    Problem(
                        "ufw is not in force: it is switched off, or its chains are not loaded.",
                        "Look at `ufw status`; `ufw enable` or `ufw reload` brings it back, or else a restart of the server.",
                    )
                )
                break
        return problems

    # --- how it becomes

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold ufw's own lock, so that no ufw command writes the files meanwhile."""
        if not self._host.live:
            yield
            return
        try:
            handle = self._host.lock_record(LOCK, LOCK_WAIT)
        except BlockingIOError:
            raise HostError(
                f"Another ufw command holds {LOCK}.",
                "Two programs that write ufw's rules at once would lose one of the changes.",
                "Wait until it has ended, then try again.",
            ) from None
        try:
            yield
        finally:
            self._host.unlock(handle)

    def _change(self, states: Sequence[_State], target: Optional[Rules]) -> None:
        """From ``states`` to ``target``; when a step fails, all steps before it are taken back.

        The files are first when rules come and last when they go: whoever is stopped in between leaves rules in the files that are not
        in force, which ``read`` tells from both ends.
        """
        steps = []
        for state in states:
            if state.text is None:
                continue
            after = _State(state.family, with_rules(state.text, state.family, target), state.live)
            if after.text != state.text or not state.consistent():
                steps.append((state, after))
        done: list[tuple[_State, _State, bool]] = []
        order = [(pair, True) for pair in steps] if target is not None else []
        order += [(pair, False) for pair in steps]
        order += [(pair, True) for pair in steps] if target is None else []
        try:
            for (old, new), is_file in order:
                if is_file:
                    self._write(new)
                else:
                    self._enforce(old, new)
                done.append((old, new, is_file))
        except ConboolError as error:
            self._back(done, error)
            raise

    def _back(self, done: Sequence[tuple[_State, _State, bool]], cause: ConboolError) -> None:
        """Take steps back, the last one first."""
        try:
            for old, new, is_file in reversed(done):
                if is_file:
                    self._write(old)
                elif old.live is not None:
                    now = _State(new.family, new.text, live_rules(self._host, new.family))
                    self._enforce(now, old)
        except ConboolError as error:
            raise HostError(
                f"{cause.what} The rules could not be brought back either: {error.what}",
                "The rules in force and ufw's files may differ now.",
                "Run `ufw reload`, then look at `ufw status`.",
            ) from None

    def _write(self, state: _State) -> None:
        path = state.family.path
        data = (state.text or "").encode("utf-8", "surrogateescape")
        if self._host.read_bytes(path) != data:
            self._host.write_atomic(path, data, self._host.capture(path))

    def _enforce(self, old: _State, new: _State) -> None:
        """Make the rules in force those of ``new``."""
        if old.live is None:
            return
        if old.consistent():
            self._load(old.family, old.swap(old.ours(), new.ours()))
        else:
            # What is in force is not what the files say, so only the whole of them is certain: ufw loads them in just this way.
            self._load(new.family, new.text or "")

    def _load(self, family: Family, text: str, *, test: bool = False) -> None:
        argv = [family.load_program, "-w", str(XTABLES_WAIT), "--noflush", *(["--test"] if test else [])]
        done = self._host.run(argv, stdin=text.encode("utf-8", "surrogateescape"))
        if not done.ok:
            raise HostError(
                f"{family.load_program} did not take the rules for port 25: {_last(done.error_text())}.",
                "The rules in force are as they were.",
                "Run `ufw status` and try again; another program may have been changing rules.",
            )


def _problem(error: ConboolError) -> Problem:
    return Problem(error.what, " ".join(part for part in (error.why, error.todo) if part))


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[0].strip().rstrip(".") if lines else "no reason was given"


def _plain(line: str) -> str:
    """A line of ``iptables -S`` with addresses written our way."""
    words = line.split(" ")
    for number, word in enumerate(words[:-1]):
        if word in ("-s", "-d"):
            with contextlib.suppress(ValueError):
                words[number + 1] = str(ipaddress.ip_network(words[number + 1]))
    return " ".join(words)
