"""Our rules in ufw's files and in force, on files and listings as ufw and iptables write them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.errors import ConboolError, HostError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall import ufw
from conbool_tui.firewall.rules import EDITED, rules
from conbool_tui.firewall.ufw_files import IPV4, IPV6, Family, entries, made, meaning, with_rules
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult
from detectors.firewall.ufw import find

WANTED = rules(["198.51.100.0/24", "203.0.113.7", "2001:db8:c::/48"])
TEXT = WANTED.text()
COMMENT = "636f6e626f6f6c2d747569"

FRESH = """*filter
:ufw-user-input - [0:0]
### RULES ###
-A ufw-user-limit -m limit --limit 3/minute -j LOG --log-prefix "[UFW LIMIT BLOCK] "
COMMIT
"""
USED = """*filter
:ufw-user-input - [0:0]
### RULES ###

### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --set
-A ufw-user-input -p tcp --dport 22 -j ufw-user-limit-accept

### tuple ### allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in comment=6d61696c20c3a9
-A ufw-user-input -p tcp --dport 25 -j ACCEPT

### tuple ### allow tcp 25,465 0.0.0.0/0 any 0.0.0.0/0 Postfix - in_eth0
-A ufw-user-input -p tcp -m multiport --dports 25,465 -i eth0 -j ACCEPT

### END RULES ###

### LOGGING ###
### END LOGGING ###
COMMIT
"""


@pytest.mark.parametrize("text", [FRESH, USED, USED.rstrip("\n"), USED.replace("\n\n### END", "\n### END")])
def test_rules_come_and_go_without_a_trace(text: str) -> None:
    there = with_rules(text, IPV4, WANTED)
    assert there != text
    assert meaning(there, IPV4).wrong == ()
    assert [str(network) for network in meaning(there, IPV4).networks] == [
        "198.51.100.0/24",
        "203.0.113.7/32",
    ]
    assert with_rules(there, IPV4, WANTED) == there
    assert with_rules(there, IPV4, None) == text
    assert [entry.ours for entry in entries(there)].index(False) == 4 if text != FRESH else True


def test_lines_are_those_ufw_writes() -> None:
    there = with_rules(FRESH, IPV4, rules(["198.51.100.0/24"]))
    assert there.splitlines()[2:12] == [
        "### RULES ###",
        "",
        f"### tuple ### allow tcp 25 0.0.0.0/0 any 198.51.100.0/24 in comment={COMMENT}",
        "-A ufw-user-input -p tcp --dport 25 -s 198.51.100.0/24 -j ACCEPT",
        "",
        f"### tuple ### reject tcp 25 0.0.0.0/0 any 0.0.0.0/1 in comment={COMMENT}",
        "-A ufw-user-input -p tcp --dport 25 -s 0.0.0.0/1 -j REJECT --reject-with tcp-reset",
        "",
        f"### tuple ### reject tcp 25 0.0.0.0/0 any 128.0.0.0/1 in comment={COMMENT}",
        "-A ufw-user-input -p tcp --dport 25 -s 128.0.0.0/1 -j REJECT --reject-with tcp-reset",
    ]


def test_admins_rule_like_ours_splits_ours() -> None:
    own = "\n### tuple ### deny tcp 25 0.0.0.0/0 any 203.0.113.7 in\n-A ufw-user-input -p tcp --dport 25 -s 203.0.113.7 -j DROP\n"
    text = FRESH.replace("### RULES ###\n", "### RULES ###\n" + own)
    there = with_rules(text, IPV4, WANTED)
    assert "allow tcp 25 0.0.0.0/1 any 203.0.113.7 in" in there
    assert "allow tcp 25 128.0.0.0/1 any 203.0.113.7 in" in there
    assert "allow tcp 25 0.0.0.0/0 any 203.0.113.7 in" not in there
    assert meaning(there, IPV4).wrong == ()
    assert meaning(there, IPV4).networks == WANTED.ipv4
    assert with_rules(there, IPV4, None) == text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("-s 0.0.0.0/1 -j REJECT --reject-with tcp-reset", "-s 0.0.0.0/1 -j ACCEPT", "say something else"),
        (
            "reject tcp 25 0.0.0.0/0 any 128.0.0.0/1",
            "reject tcp 26 0.0.0.0/0 any 128.0.0.0/1",
            "not a rule of this program",
        ),
        (
            "reject tcp 25 0.0.0.0/0 any 128.0.0.0/1",
            "deny tcp 25 0.0.0.0/0 any 128.0.0.0/1",
            "nobody of 128.0.0.0/1",
        ),
        ("allow tcp 25 0.0.0.0/0 any 203.0.113.7", "allow tcp 25 0.0.0.0/1 any 203.0.113.7", "only some"),
        ("allow tcp 25 0.0.0.0/0 any 203.0.113.7", "allow tcp 25 0.0.0.0/0 any nonsense", "not a rule"),
        (
            "allow tcp 25 0.0.0.0/0 any 203.0.113.7",
            "reject tcp 25 0.0.0.0/0 any 203.0.113.7",
            "203.0.113.7 is refused",
        ),
    ],
)
def test_edited_rules_are_named(old: str, new: str, told: str) -> None:
    there = with_rules(USED, IPV4, WANTED)
    assert old in there
    assert any(told in note for note in meaning(there.replace(old, new), IPV4).wrong)


def test_order_counts() -> None:
    there = with_rules(FRESH, IPV4, rules(["198.51.100.0/24"]))
    blocks = there.split("\n\n")
    blocks[1], blocks[2] = blocks[2], blocks[1]
    assert any("below the refusal" in note for note in meaning("\n\n".join(blocks), IPV4).wrong)


@pytest.mark.parametrize(
    ("words", "opens"),
    [
        ("allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow_log tcp 25,465 0.0.0.0/0 any 0.0.0.0/0 Postfix - in", True),
        ("limit any 20:30 0.0.0.0/0 any 0.0.0.0/0 in_eth0", True),
        ("allow any any 0.0.0.0/0 any 10.0.0.5 in", False),
        ("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow udp 25 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 out", False),
        ("route:allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("deny tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow", False),
    ],
)
def test_what_stands_above_counts_when_it_opens_the_port(words: str, opens: bool) -> None:
    there = with_rules(FRESH, IPV4, WANTED).replace(
        "### RULES ###\n", f"### RULES ###\n\n### tuple ### {words}\n-A ufw-user-input -j RETURN\n", 1
    )
    assert bool(meaning(there, IPV4).wrong) is opens


def test_hosts_have_no_length_and_ipv6_its_own_halves() -> None:
    assert [rule.source for rule in made(WANTED, IPV4, ())] == [
        "198.51.100.0/24",
        "203.0.113.7",
        "0.0.0.0/1",
        "128.0.0.0/1",
    ]
    assert [rule.source for rule in made(WANTED, IPV6, ())] == ["2001:db8:c::/48", "::/1", "8000::/1"]


# --- commands


def facts(**details: str) -> FirewallFacts:
    return FirewallFacts(FirewallOwner.UFW, "", details=tuple(details.items()))


def test_commands_count_ipv6_rules_on_from_ipv4() -> None:
    shown = ufw.commands(None, TEXT, facts(ipv6="yes", rules4="3", rules6="2"))
    end = "to any port 25 comment conbool-tui"
    assert shown == [
        f"ufw prepend allow proto tcp from 203.0.113.7 {end}",
        f"ufw prepend allow proto tcp from 198.51.100.0/24 {end}",
        f"ufw insert 3 reject proto tcp from 0.0.0.0/1 {end}",
        f"ufw insert 4 reject proto tcp from 128.0.0.0/1 {end}",
        f"ufw prepend allow proto tcp from 2001:db8:c::/48 {end}",
        f"ufw insert 9 reject proto tcp from ::/1 {end}",
        f"ufw insert 10 reject proto tcp from 8000::/1 {end}",
    ]
    bare = ufw.commands(None, TEXT, facts(ipv6="no", rules4="0"))
    assert bare[-1] == f"ufw reject proto tcp from 128.0.0.0/1 {end}"
    assert not any(":" in line for line in bare)


def test_commands_take_away_refusals_first_and_only_what_is_gone() -> None:
    gone = ufw.commands(TEXT, None, facts(ipv6="no", rules4="3"))
    assert [line.split()[2] for line in gone] == ["reject", "reject", "allow", "allow"]
    fewer = ufw.commands(
        TEXT, rules(["198.51.100.0/24", "2001:db8:c::/48"]).text(), facts(ipv6="yes", rules4="3", rules6="2")
    )
    assert fewer == ["ufw delete allow proto tcp from 203.0.113.7 to any port 25 comment conbool-tui"]
    assert ufw.commands(TEXT, TEXT, facts(ipv6="yes")) == []
    with pytest.raises(ConboolError):
        ufw.commands("nonsense", None, facts())


# --- the driver on a host that is not there


class FakeHost(Host):
    """A host with files below a folder and an iptables of ours: one chain for each family, changed the way iptables-restore does."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.alive = True
        self.admin = True
        self.programs = {
            "ufw",
            *(family.list_program for family in (IPV4, IPV6)),
            *(family.load_program for family in (IPV4, IPV6)),
        }
        self.chains: dict[str, Optional[list[str]]] = {IPV4.list_program: [], IPV6.list_program: []}
        self.broken: set[str] = set()
        self.loads = 0
        self.write("/etc/ufw/ufw.conf", "# /etc/ufw/ufw.conf\nENABLED=yes\nLOGLEVEL=low\n")
        self.write("/etc/default/ufw", 'IPV6="yes"\n')
        self.write(IPV4.path, USED)
        self.write(IPV6.path, FRESH.replace("ufw-", "ufw6-"))
        (root / "run").mkdir()

    def write(self, path: str, text: str) -> None:
        real = Path(self.root + path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)

    @property
    def live(self) -> bool:
        return self.alive

    @property
    def is_root(self) -> bool:
        return self.admin

    @property
    def user_id(self) -> int:
        return 1000

    def which(self, name: str) -> Optional[str]:
        return f"/usr/sbin/{name}" if name in self.programs else None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        def result(code: int, out: str = "", error: str = "") -> CommandResult:
            return CommandResult(tuple(argv), code, out.encode(), error.encode())

        if argv[0] in self.broken:
            return result(1, error=f"{argv[0]}: line 3 failed.\n")
        family = IPV4 if argv[0].startswith("iptables") else IPV6
        chain = self.chains[family.list_program]
        if argv[0] == family.list_program:
            if chain is None:
                return result(0, "-P INPUT ACCEPT\n")
            head = ["-P INPUT DROP", f"-N {family.chain}", f"-A INPUT -j {family.jump}"]
            return result(0, "\n".join([*head, *(f"-A {family.chain} {line}" for line in chain)]) + "\n")
        self.loads += "--test" not in argv
        new = list(chain or [])
        for line in stdin.decode().splitlines():
            words = line.split(" ", 3)
            if words[0] == "-D":
                new.remove(line.split(" ", 2)[2])
            elif words[0] == "-I" and words[1] == family.chain:
                new.insert(int(words[2]) - 1, words[3])
            elif words[0] == f":{family.chain}":
                new = []
            elif words[0] == "-A" and words[1] == family.chain:
                new += self._as_listed(family, stdin.decode(), line)
        if "--test" not in argv:
            self.chains[family.list_program] = new
        return result(0)

    def _as_listed(self, family: Family, text: str, line: str) -> list[str]:
        found = [entry.rule for entry in entries(text) if entry.lines == (line,) and entry.rule is not None]
        return [found[0].match(family)] if found else [line.split(" ", 2)[2]]


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_put_read_and_remove(host: FakeHost) -> None:
    live = ufw.UfwRules(host)
    before = host.read_bytes(IPV4.path), host.read_bytes(IPV6.path)
    host.chains[IPV4.list_program] = ["-p tcp -m tcp --dport 25 -j ACCEPT"]
    assert live.read() is None
    assert live.judge(TEXT, {}) == []
    assert host.loads == 0
    assert live.put(TEXT) == []
    assert live.read() == TEXT
    assert host.loads == 2
    assert live.put(TEXT) == []
    assert host.loads == 2
    found = find(host)
    assert found is not None
    assert found.rules == TEXT
    assert dict(found.details) == {"ipv6": "yes", "rules4": "3", "rules6": "0", "same": "0.0.0.0/0"}
    assert live.put(None) == []
    assert live.read() is None
    assert (host.read_bytes(IPV4.path), host.read_bytes(IPV6.path)) == before
    assert host.chains[IPV4.list_program] == ["-p tcp -m tcp --dport 25 -j ACCEPT"]


def test_text_of_an_edited_read_can_be_put_again(host: FakeHost) -> None:
    live = ufw.UfwRules(host)
    assert live.put(TEXT) == []
    host.chains[IPV6.list_program] = []
    edited = live.read()
    assert edited is not None
    assert edited.startswith(TEXT)
    assert f"{EDITED}over IPv6 the rules in force are not those in {IPV6.path}\n" in edited
    assert live.put(edited) == []
    assert live.read() == TEXT


@pytest.mark.parametrize("coming", [True, False])
@pytest.mark.parametrize("broken", [IPV4.load_program, IPV6.load_program])
def test_a_failing_load_takes_all_back(host: FakeHost, coming: bool, broken: str) -> None:
    live = ufw.UfwRules(host)
    if not coming:
        assert live.put(TEXT) == []
    before = (
        host.read_bytes(IPV4.path),
        host.read_bytes(IPV6.path),
        {key: list(value or []) for key, value in host.chains.items()},
    )
    host.broken.add(broken)
    problems = live.put(TEXT if coming else None)
    assert [problem.text for problem in problems] == [
        f"{broken} did not take the rules for port 25: {broken}: line 3 failed."
    ]
    assert (host.read_bytes(IPV4.path), host.read_bytes(IPV6.path), host.chains) == before


def test_a_failure_of_taking_back_is_told_as_well(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.broken.add(IPV6.load_program)
    real, writes = host.write_atomic, []

    def write(path: str, data: bytes, *rest: object, **more: object) -> None:
        writes.append(path)
        if len(writes) > 2:
            raise HostError(f"{path} cannot be written: No space left on device.")
        real(path, data, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(host, "write_atomic", write)
    problems = ufw.UfwRules(host).put(TEXT)
    assert "line 3 failed" in problems[0].text
    assert "No space left" in problems[0].text
    assert "ufw reload" in problems[0].detail


def test_lock_of_a_running_ufw_is_respected(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ufw, "LOCK_WAIT", 0.1)
    path = host.root + ufw.LOCK
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import fcntl; f = open({path!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        problems = ufw.UfwRules(host).put(TEXT)
        assert problems[0].text == "Another ufw command holds /run/ufw.lock."
        assert host.read_text(IPV4.path) == USED
    finally:
        holder.communicate(b"\n")
    assert ufw.UfwRules(host).put(TEXT) == []
    with open(path, "w") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_files_not_in_ufws_form_are_left_alone(host: FakeHost) -> None:
    host.write(IPV4.path, "nonsense\n")
    live = ufw.UfwRules(host)
    assert "not as ufw writes it" in live.judge(TEXT, {})[0].text
    assert "not as ufw writes it" in live.put(TEXT)[0].text
    assert host.read_text(IPV4.path) == "nonsense\n"
    assert live.put(None) == []
    Path(host.root + IPV6.path).unlink()
    assert any("is not there" in problem.text for problem in live.put(TEXT))


def test_a_text_that_is_no_rules_is_refused(host: FakeHost) -> None:
    assert ufw.UfwRules(host).put("nonsense\n")
    assert ufw.UfwRules(host).judge("nonsense\n", {})
    assert host.read_text(IPV4.path) == USED


def test_mounted_system_gets_files_only(host: FakeHost) -> None:
    host.alive = False
    host.broken |= host.programs
    Path(host.root + "/run").rmdir()
    live = ufw.UfwRules(host)
    assert live.put(TEXT) == []
    assert live.read() == TEXT
    found = find(host)
    assert found is not None
    assert found.rules == TEXT
    assert live.put(None) == []
    assert live.read() is None


def test_iptables_that_cannot_list_raises(host: FakeHost) -> None:
    host.broken.add(IPV4.list_program)
    with pytest.raises(HostError, match="could not list the rules in force"):
        ufw.UfwRules(host).read()
    found = find(host)
    assert found is not None
    assert "could not list" in found.unusable
    assert found.remedy


def test_who_owns(host: FakeHost) -> None:
    host.admin = False
    found = find(host)
    assert found is not None
    assert "root" in found.unusable
    host.admin = True
    host.chains[IPV6.list_program] = None
    found = find(host)
    assert found is not None
    assert "IPv6 are not in force" in found.unusable
    host.write("/etc/default/ufw", "IPV6=no\n")
    found = find(host)
    assert found is not None
    assert found.unusable == ""
    host.programs.discard("iptables-restore")
    found = find(host)
    assert found is not None
    assert "iptables-restore is missing" in found.unusable
    host.write("/etc/ufw/ufw.conf", "ENABLED=no\n")
    assert find(host) is None
    host.write("/etc/ufw/ufw.conf", "ENABLED=yes\n")
    host.programs.discard("ufw")
    assert find(host) is None
