"""Our rich rules in firewalld's zones, against a daemon of ours that speaks firewall-cmd's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import pytest

from conbool_tui.errors import ConboolError, HostError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall import firewalld
from conbool_tui.firewall.firewalld import calls, commands, mattering, rich_rules, zones
from conbool_tui.firewall.rules import EDITED, rules
from conbool_tui.host import Host, Process
from conbool_tui.runner import CommandResult
from detectors.firewall.firewalld import find

TEXT = rules(["198.51.100.0/24", "2001:db8:c::/48"]).text()
OURS = rich_rules(rules(["198.51.100.0/24", "2001:db8:c::/48"]))
OWN = 'rule priority="-5" family="ipv4" source address="203.0.113.200" drop'

LISTING = """block
  target: %%REJECT%%
  interfaces:
  sources:
  services:
  rich rules:

docker (active)
  target: ACCEPT
  interfaces: docker0
  sources:
  services:
  rich rules:

drop (active)
  target: DROP
  interfaces:
  sources: ipset:bad
  services:
  rich rules:

dropped (active)
  target: DROP
  interfaces: eth1
  sources:
  rich rules:

partners (active)
  target: DROP
  interfaces:
  sources: 10.0.0.0/8
  services: smtp
  rich rules:

public (default, active)
  target: default
  interfaces: eth0
  sources:
  services: ssh smtp
  ports: 587/tcp
  forward: yes
  rich rules:
\trule priority="-25252" family="ipv4" source address="198.51.100.0/24" port port="25" protocol="tcp" accept
\trule priority="-25251" family="ipv4" port port="25" protocol="tcp" reject type="tcp-reset"
\trule family="ipv4" source address="10.0.0.1" accept
"""


def test_zones_are_read_with_both_kinds_of_headers() -> None:
    found = zones(LISTING)
    assert set(found) == {"block", "docker", "drop", "dropped", "partners", "public"}
    assert [name for name, zone in found.items() if zone.active] == [
        "docker",
        "drop",
        "dropped",
        "partners",
        "public",
    ]
    assert found["public"].bound == ("eth0",)
    assert len(found["public"].ours) == 2
    assert zones(LISTING.replace("public (default, active)", "public (active)"))["public"].active
    assert not found["block"].active
    assert zones("") == {}


def test_trusted_and_shut_out_zones_are_left() -> None:
    found = zones(LISTING)
    assert mattering(found, "public") == (["dropped", "partners", "public"], ["docker", "drop"])
    # Who made a zone that accepts everything the default did not mean everybody to be trusted with mail.
    assert "docker" in mattering(found, "docker")[0]
    assert "block" in mattering(found, "block")[0]


def test_nobody_listed_is_refused_in_between() -> None:
    def verbs(argvs: list[list[str]]) -> list[str]:
        return [
            f"{word.split('-')[2]} {'accept' if word.endswith('accept') else 'refuse'}"
            for argv in argvs
            for word in argv
            if "-rich-rule=" in word
        ]

    assert verbs(calls("public", [], OURS, False)) == ["add accept", "add accept", "add refuse", "add refuse"]
    assert verbs(calls("public", OURS, [], False)) == [
        "remove refuse",
        "remove refuse",
        "remove accept",
        "remove accept",
    ]
    other = rich_rules(rules(["203.0.113.0/24"]))
    assert verbs(calls("public", OURS, other, False)) == ["add accept", "remove accept", "remove accept"]
    assert calls("public", OURS, OURS, True) == []


def test_long_lists_go_in_batches_with_the_refusal_last() -> None:
    many = rich_rules(
        rules(
            [f"10.{number}.0.0/24" for number in range(250)]
            + [f"10.0.{number * 2}.0/24" for number in range(1, 100)]
        )
    )
    argvs = calls("public", [], many, True)
    assert [len(argv) - 3 for argv in argvs] == [200, 151]
    assert all(argv[:3] == ["firewall-cmd", "--permanent", "--zone=public"] for argv in argvs)
    assert "reject" in argvs[-1][-1]


def test_commands_are_shell_lines() -> None:
    facts = FirewallFacts(FirewallOwner.FIREWALLD, "", details=(("zones", "public work"),))
    shown = commands(None, TEXT, facts)
    assert len(shown) == 4
    assert shown[0].splitlines()[0] == "firewall-cmd --permanent --zone=public \\"
    assert shown[2].splitlines()[0] == "firewall-cmd --zone=public \\"
    assert '--add-rich-rule=\'rule priority="-25252"' in shown[0]
    assert commands(TEXT, TEXT, facts) == []
    with pytest.raises(ConboolError):
        commands("nonsense", None, facts)


class FakeHost(Host):
    """A host with a firewalld of ours: zones with rich rules, runtime and permanent."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.alive = True
        self.admin = True
        self.programs = {"firewall-cmd", "firewall-offline-cmd"}
        self.state = 0
        self.version = "1.3.3"
        self.active = ["public"]
        self.sides: dict[bool, dict[str, list[str]]] = {
            side: {"home": [], "public": [OWN], "trusted": []} for side in (False, True)
        }
        self.fail: Optional[str] = None
        self.ignore: Optional[str] = None
        self.changes: list[list[str]] = []

    @property
    def live(self) -> bool:
        return self.alive

    @property
    def is_root(self) -> bool:
        return self.admin

    def which(self, name: str) -> Optional[str]:
        return f"/usr/bin/{name}" if name in self.programs else None

    def processes(self) -> tuple[Process, ...]:
        return (Process(7, "firewalld", ()),) if self.state == 0 else ()

    def listdir(self, path: str) -> list[str]:
        return [f"{name}.xml" for name, have in self.sides[True].items() if have] + ["old.xml.old"]

    def read_text(self, path: str) -> str:
        return "\n".join(self.sides[True][Path(path).stem])

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

        offline = argv[0] == "firewall-offline-cmd"
        if not offline and self.state:
            return result(self.state, error="FirewallD is not running\n")
        line = " ".join(argv)
        if self.fail and self.fail in line:
            self.fail = None
            return result(13, error="Warning: odd\nError: COMMAND_FAILED: broken\n")
        permanent = offline or "--permanent" in argv
        if "--state" in argv:
            return result(0, "running\n")
        if "--version" in argv:
            return result(0, self.version + "\n")
        if "--get-default-zone" in argv:
            return result(0, "public\n")
        side = self.sides[permanent]
        if "--list-all-zones" in argv:
            return result(0, "\n".join(self._zone(name, side[name]) for name in side))
        zone = next(word.split("=", 1)[1] for word in argv if word.startswith("--zone="))
        if "--list-rich-rules" in argv:
            return result(0, "\n".join(side[zone]) + "\n")
        self.changes.append(list(argv))
        for word in argv:
            if self.ignore and self.ignore in word:
                self.ignore = None
            elif word.startswith("--add-rich-rule="):
                side[zone].append(word.split("=", 1)[1])
            elif word.startswith("--remove-rich-rule="):
                side[zone].remove(word.split("=", 1)[1])
        return result(0, "success\n")

    def _zone(self, name: str, rich: list[str]) -> str:
        head = f"{name} (active)" if name in self.active else name
        target = "ACCEPT" if name == "trusted" else "default"
        lines = [head, f"  target: {target}", "  interfaces: eth0", "  services: ssh", "  rich rules: "]
        return "\n".join([*lines, *(f"\t{rule}" for rule in rich)]) + "\n"

    def enable(self) -> None:
        path = Path(self.root + "/etc/systemd/system/multi-user.target.wants/firewalld.service")
        path.parent.mkdir(parents=True)
        path.symlink_to("/lib/systemd/system/firewalld.service")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def copy(host: FakeHost) -> Any:
    return {side: {name: list(have) for name, have in zones.items()} for side, zones in host.sides.items()}


def test_put_read_and_remove(host: FakeHost) -> None:
    live = firewalld.FirewalldRules(host)
    before = copy(host)
    assert live.read() is None
    assert live.judge(TEXT, {}) == []
    assert live.put(TEXT) == []
    assert live.read() == TEXT
    assert host.sides[True]["public"] == host.sides[False]["public"] == [OWN, *OURS]
    done = len(host.changes)
    assert live.put(TEXT) == []
    assert len(host.changes) == done
    found = find(host)
    assert found is not None
    assert found.rules == TEXT
    assert dict(found.details) == {"version": "1.3.3", "default": "public", "zones": "public", "left": ""}
    assert live.put(None) == []
    assert live.read() is None
    assert copy(host) == before
    assert not any("reload" in word for argv in host.changes for word in argv)


@pytest.mark.parametrize(
    ("permanent", "zone", "rule"),
    [(True, "public", OURS[0]), (False, "public", OURS[-1]), (True, "home", None), (False, "public", None)],
)
def test_sides_and_zones_that_differ_are_told_and_mended(
    host: FakeHost, permanent: bool, zone: str, rule: Optional[str]
) -> None:
    live = firewalld.FirewalldRules(host)
    assert live.put(TEXT) == []
    if rule is None:
        host.sides[permanent][zone].append(
            'rule priority="-25252" family="ipv4" source address="0.0.0.0/0" accept'
        )
    else:
        host.sides[permanent][zone].remove(rule)
    text = live.read()
    assert text is not None
    assert text.startswith(TEXT)
    assert f"{EDITED}zone {zone}, {'permanent' if permanent else 'runtime'}: " in text
    assert live.put(text) == []
    assert live.read() == TEXT


def test_zone_that_comes_later_is_told(host: FakeHost) -> None:
    live = firewalld.FirewalldRules(host)
    assert live.put(TEXT) == []
    host.active = ["home", "public", "trusted"]
    text = live.read()
    assert text is not None
    assert "zone home, runtime: without" in text
    assert "trusted" not in text
    assert live.put(TEXT) == []
    host.active = ["public"]
    assert live.read() == TEXT


def test_an_address_written_otherwise_is_no_difference(host: FakeHost) -> None:
    live = firewalld.FirewalldRules(host)
    assert live.put(TEXT) == []
    old = host.sides[False]["public"].index(OURS[1])
    host.sides[False]["public"][old] = OURS[1].replace("2001:db8:c::/48", "2001:DB8:C:0::/48")
    assert live.read() == TEXT


@pytest.mark.parametrize(
    "fail", ["firewall-cmd --permanent --zone=public --add", "firewall-cmd --zone=public --add"]
)
def test_a_failing_tool_takes_all_back(host: FakeHost, fail: str) -> None:
    before = copy(host)
    host.fail = fail
    problems = firewalld.FirewalldRules(host).put(TEXT)
    assert len(problems) == 1
    assert problems[0].text.endswith("--zone=public failed: Error: COMMAND_FAILED: broken.")
    assert copy(host) == before


@pytest.mark.parametrize("ignore", [OURS[0], OURS[-1]])
def test_success_without_the_rule_is_noticed_and_taken_back(host: FakeHost, ignore: str) -> None:
    before = copy(host)
    host.ignore = ignore
    problems = firewalld.FirewalldRules(host).put(TEXT)
    assert "did not take all rules" in problems[0].text
    assert copy(host) == before


def test_failing_to_take_back_is_told_as_well(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.fail = "firewall-cmd --zone=public --add"
    real = host.run

    def run(argv: Sequence[str], **more: Any) -> CommandResult:
        if any(word.startswith("--remove") for word in argv):
            raise HostError("The bus is gone.")
        return real(argv, **more)

    monkeypatch.setattr(host, "run", run)
    problems = firewalld.FirewalldRules(host).put(TEXT)
    assert "COMMAND_FAILED" in problems[0].text
    assert "The bus is gone." in problems[0].text
    assert "--permanent" in problems[0].detail


def test_stopped_daemon(host: FakeHost) -> None:
    live = firewalld.FirewalldRules(host)
    before = copy(host)
    assert live.put(TEXT) == []
    host.state = 252
    host.sides[False] = copy(host)[True]
    text = live.read()
    assert text is not None
    assert "not running" in text
    assert "not running" in live.put(TEXT)[0].text
    assert "not running" in live.judge(TEXT, {})[0].text
    assert live.judge(None, {}) == []
    assert live.put(None) == []
    assert host.sides[True] == before[True]
    assert live.read() is None


def test_tool_gone_and_nonsense(host: FakeHost) -> None:
    live = firewalld.FirewalldRules(host)
    assert live.put("nonsense")
    assert live.judge("nonsense", {})
    assert host.changes == []
    host.programs.clear()
    assert live.read() is None
    assert live.put(None) == []
    assert "not installed" in live.put(TEXT)[0].text
    assert "not installed" in live.judge(TEXT, {})[0].text
    assert find(host) is None


def test_who_owns(host: FakeHost) -> None:
    host.version = "0.6.3"
    found = find(host)
    assert found is not None
    assert "too old" in found.unusable
    assert found.remedy
    host.admin = False
    found = find(host)
    assert found is not None
    assert "root" in found.unusable
    host.admin = True
    host.state = 251
    found = find(host)
    assert found is not None
    assert "does not work" in found.unusable
    host.state = 252
    assert find(host) is None
    host.enable()
    found = find(host)
    assert found is not None
    assert "not running" in found.unusable
    assert found.evidence == "firewalld is installed"
    host.state, host.version, host.fail = 0, "2.3.1", "--list-all-zones"
    found = find(host)
    assert found is not None
    assert "COMMAND_FAILED" in found.unusable
    host.alive = False
    found = find(host)
    assert found is not None
    assert "This system is not running" in found.unusable
    assert firewalld.FirewalldRules(host).read() is None
