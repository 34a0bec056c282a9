"""Who owns the packet filter, on a host of plain files whose commands answer from a description."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import pytest

from conbool_tui.facts import FirewallOwner
from conbool_tui.firewall import nft_text
from conbool_tui.firewall.rules import rules
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult
from detectors import detect_host
from detectors.firewall import find_firewall

WANTS = "etc/systemd/system/multi-user.target.wants"
CONF = "flush ruleset\ntable inet filter {\n}\n"
EMPTY: dict[str, Any] = {"nftables": [{"metainfo": {}}]}


@dataclass
class Says:
    """What commands answer: standard output by the joined command, or a message on standard error with status 1."""

    programs: Sequence[str] = ("nft", "systemctl")
    outputs: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    active: Sequence[str] = ()
    systemd: bool = True
    root: bool = True


class FakeHost(Host):
    def __init__(self, root: Path, says: Says) -> None:
        super().__init__(str(root))
        self.says = says

    @property
    def live(self) -> bool:
        return True

    @property
    def is_root(self) -> bool:
        return self.says.root

    def which(self, name: str) -> Optional[str]:
        return f"/usr/sbin/{name}" if name in self.says.programs else None

    def has_systemd(self) -> bool:
        return self.says.systemd

    def processes(self) -> tuple[Any, ...]:
        return ()

    def addresses(self) -> tuple[str, ...]:
        return ("192.0.2.70",)

    def run(self, argv: Sequence[str], **_: Any) -> CommandResult:
        command = " ".join(argv)
        if command in self.says.errors:
            return CommandResult(tuple(argv), 1, b"", self.says.errors[command].encode())
        if argv[:2] == ["systemctl", "is-active"]:
            name = argv[-1].removesuffix(".service")
            return CommandResult(tuple(argv), 0 if name in self.says.active else 3, b"", b"")
        default = json.dumps(EMPTY) if argv[0] == "nft" else ""
        if command == "nft -j list table inet conbool" and command not in self.says.outputs:
            return CommandResult(tuple(argv), 1, b"", b"Error: No such file or directory\n")
        return CommandResult(tuple(argv), 0, self.says.outputs.get(command, default).encode(), b"")


def host(tmp_path: Path, says: Optional[Says] = None, **contents: str) -> FakeHost:
    for name, text in contents.items():
        write(tmp_path, {"conf": "etc/nftables.conf"}.get(name, name), text)
    return FakeHost(tmp_path, says or Says())


def write(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def enable(root: Path, unit: str) -> None:
    path = root / WANTS / f"{unit}.service"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f"/lib/systemd/system/{unit}.service")


def test_nothing(tmp_path: Path) -> None:
    found = find_firewall(host(tmp_path, conf=CONF))
    assert (found.owner, found.unusable, found.rules) == (FirewallOwner.NOTHING, "", None)


def test_nftables_is_enabled(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    found = find_firewall(host(tmp_path, conf=CONF))
    assert (found.owner, found.unusable) == (FirewallOwner.NFTABLES, "")
    assert set(found.files) == {"/etc/nftables.conf"}
    assert dict(found.details) == {"configuration": "/etc/nftables.conf", "at boot": "yes"}


def test_nftables_is_active_but_not_enabled(tmp_path: Path) -> None:
    found = find_firewall(host(tmp_path, Says(active=("nftables",)), conf=CONF))
    assert found.owner is FirewallOwner.NFTABLES
    assert dict(found.details)["at boot"] == "no"


def test_nftables_was_loaded_without_a_service(tmp_path: Path) -> None:
    tables = {"nftables": [{"table": {"family": "inet", "name": "filter"}}]}
    says = Says(systemd=False, outputs={"nft -j list tables": json.dumps(tables)})
    assert find_firewall(host(tmp_path, says, conf=CONF)).owner is FirewallOwner.NFTABLES
    other = CONF.replace("inet filter", "inet mine")
    assert find_firewall(host(tmp_path, says, conf=other)).owner is FirewallOwner.NOTHING


def test_the_unit_names_the_configuration(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    write(tmp_path, "etc/nft/main.conf", CONF)
    write(
        tmp_path,
        "etc/systemd/system/nftables.service",
        "[Service]\nExecStart=/usr/sbin/nft -f /etc/nft/main.conf\n",
    )
    assert dict(find_firewall(host(tmp_path)).details)["configuration"] == "/etc/nft/main.conf"


def test_nftables_without_its_configuration(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    found = find_firewall(host(tmp_path))
    assert found.owner is FirewallOwner.NFTABLES
    assert "/etc/nftables.conf is missing" in found.unusable
    assert found.remedy


def test_a_masked_service_is_not_enabled(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    (tmp_path / "etc/systemd/system/nftables.service").symlink_to("/dev/null")
    assert find_firewall(host(tmp_path, conf=CONF)).owner is FirewallOwner.NOTHING


PROGRAMS = ("nft", "systemctl", "iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save")


def persistent(root: Path) -> None:
    write(root, "usr/share/netfilter-persistent/plugins.d/15-ip4tables")
    write(root, "etc/iptables/rules.v4", "*filter\nCOMMIT\n")
    write(root, "proc/sys/net/ipv6/x")


def test_iptables_persistent(tmp_path: Path) -> None:
    persistent(tmp_path)
    says = Says(
        programs=(*PROGRAMS, "netfilter-persistent"),
        outputs={"iptables-restore --version": "iptables-restore v1.8.9 (nf_tables)\n"},
    )
    assert find_firewall(host(tmp_path, says)).owner is FirewallOwner.NOTHING
    enable(tmp_path, "netfilter-persistent")
    found = find_firewall(host(tmp_path, says))
    assert (found.owner, found.unusable) == (FirewallOwner.IPTABLES, "")
    assert dict(found.details)["back end"] == "nf_tables"
    assert dict(found.details)["rules6"] == "/etc/iptables/rules.v6"
    assert set(found.files) == {"/etc/iptables/rules.v4"}


def test_iptables_services(tmp_path: Path) -> None:
    enable(tmp_path, "iptables")
    write(tmp_path, "etc/sysconfig/iptables", "*filter\nCOMMIT\n")
    found = find_firewall(host(tmp_path, Says(programs=PROGRAMS)))
    assert found.owner is FirewallOwner.IPTABLES
    assert dict(found.details)["rules4"] == "/etc/sysconfig/iptables"
    assert dict(found.details)["back end"] == "legacy"
    assert dict(found.details)["ipv6"] == "off"


def test_iptables_without_its_programs(tmp_path: Path) -> None:
    enable(tmp_path, "iptables")
    found = find_firewall(host(tmp_path))
    assert found.owner is FirewallOwner.IPTABLES
    assert "iptables-restore is missing" in found.unusable


@pytest.mark.parametrize("unit", ["shorewall", "ferm", "csf", "pve-firewall"])
def test_other_managers(tmp_path: Path, unit: str) -> None:
    enable(tmp_path, "nftables")
    enable(tmp_path, unit)
    found = find_firewall(host(tmp_path, conf=CONF))
    assert found.owner is FirewallOwner.UNKNOWN
    assert unit in found.unusable
    assert found.remedy


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".dockerenv", ""),
        ("run/.containerenv", ""),
        ("run/systemd/container", "docker\n"),
        ("proc/1/environ", "PATH=/bin\0container=podman\0"),
        ("proc/self/status", "Name:\tx\nCapEff:\t00000000a80425fb\n"),
    ],
)
def test_containers(tmp_path: Path, path: str, text: str) -> None:
    enable(tmp_path, "nftables")
    write(tmp_path, path, text)
    found = find_firewall(host(tmp_path, conf=CONF))
    assert found.owner is FirewallOwner.CONTAINER
    assert found.unusable
    assert found.remedy


@pytest.mark.parametrize(
    ("path", "text"),
    [("run/systemd/container", "lxc\n"), ("proc/self/status", "CapEff:\t000001ffffffffff\n")],
)
def test_a_container_with_a_packet_filter_of_its_own_is_a_host(tmp_path: Path, path: str, text: str) -> None:
    write(tmp_path, path, text)
    assert find_firewall(host(tmp_path)).owner is FirewallOwner.NOTHING


def test_a_kernel_that_refuses(tmp_path: Path) -> None:
    says = Says(errors={"nft list tables": "Operation not permitted (you must be root)\n"})
    assert find_firewall(host(tmp_path, says)).owner is FirewallOwner.CONTAINER


def test_a_firewall_that_cannot_be_read_is_data(tmp_path: Path) -> None:
    says = Says(errors={"nft -j list table inet conbool": "internal:0:0-0: Error: Out of memory\n"})
    found = find_firewall(host(tmp_path, says))
    assert found.owner is FirewallOwner.UNKNOWN
    assert "Out of memory" in found.unusable
    assert found.remedy


def test_a_defect_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(FakeHost, "listdir", broken)
    found = find_firewall(host(tmp_path))
    assert found.owner is FirewallOwner.UNKNOWN
    assert "a defect" in found.unusable


def test_nothing_needs_nft_and_systemd(tmp_path: Path) -> None:
    assert "nft" in find_firewall(host(tmp_path, Says(programs=("systemctl",)))).unusable
    assert "systemd" in find_firewall(host(tmp_path, Says(systemd=False))).unusable


def chain(table: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "chain": {"family": "ip", "table": table, "name": name, "type": "filter", "hook": "input", **more}
    }


def jump(table: str, name: str, target: str) -> dict[str, Any]:
    return {"rule": {"family": "ip", "table": table, "chain": name, "expr": [{"jump": {"target": target}}]}}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], ""),
        ([chain("filter", "INPUT", policy="accept")], ""),
        ([chain("filter", "INPUT", policy="drop")], "ip filter INPUT"),
        ([chain("filter", "INPUT"), jump("filter", "INPUT", "f2b-sshd")], ""),
        ([chain("filter", "INPUT"), jump("filter", "INPUT", "mine")], "ip filter INPUT"),
        ([chain("f2b-table", "f2b-chain"), jump("f2b-table", "f2b-chain", "x")], ""),
        ([chain("conbool", "input", policy="drop")], ""),
    ],
)
def test_rules_that_no_service_loads(tmp_path: Path, items: list[Any], told: str) -> None:
    says = Says(outputs={"nft -j list ruleset": json.dumps({"nftables": items})})
    found = find_firewall(host(tmp_path, says))
    assert found.owner is FirewallOwner.NOTHING
    assert dict(found.details).get("other rules", "") == told


def test_what_is_left_with_a_former_owner(tmp_path: Path) -> None:
    persistent(tmp_path)
    enable(tmp_path, "netfilter-persistent")
    write(tmp_path, nft_text.RULES_FILE.lstrip("/"), "...")
    listing = {"nftables": [{"table": {"family": "inet", "name": "conbool"}}]}
    says = Says(
        programs=(*PROGRAMS, "netfilter-persistent"),
        outputs={"nft -j list table inet conbool": json.dumps(listing)},
    )
    found = find_firewall(host(tmp_path, says))
    assert found.owner is FirewallOwner.IPTABLES
    ((name, text),) = found.left_over
    assert name == "firewall:nftables"
    assert "edited" in text
    assert nft_text.RULES_FILE in found.files


def test_a_former_owner_whose_tool_fails_is_not_in_the_way(tmp_path: Path) -> None:
    persistent(tmp_path)
    enable(tmp_path, "netfilter-persistent")
    says = Says(
        programs=(*PROGRAMS, "netfilter-persistent"),
        errors={"nft -j list table inet conbool": "Error: Protocol not supported\n"},
    )
    found = find_firewall(host(tmp_path, says))
    assert (found.owner, found.unusable, found.left_over) == (FirewallOwner.IPTABLES, "", ())


def test_our_line_in_a_configuration_nobody_loads(tmp_path: Path) -> None:
    found = find_firewall(host(tmp_path, conf=CONF + nft_text.INCLUDE + "\n"))
    assert found.owner is FirewallOwner.NOTHING
    assert set(found.files) == {"/etc/nftables.conf"}


def test_iptables_lines_left_behind(tmp_path: Path) -> None:
    persistent(tmp_path)
    write(tmp_path, "etc/iptables/rules.v4", "*filter\n:CONBOOL-SMTP - [0:0]\nCOMMIT\n")
    enable(tmp_path, "nftables")
    found = find_firewall(host(tmp_path, Says(programs=PROGRAMS), conf=CONF))
    assert found.owner is FirewallOwner.NFTABLES
    assert found.left_over == (("firewall:iptables-persistent", ""),)


def test_without_root(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    says = Says(root=False, errors={"nft -j list table inet conbool": "Operation not permitted"})
    found = find_firewall(host(tmp_path, says, conf=CONF))
    assert found.unusable
    assert "sudo" in found.remedy or "root" in found.remedy


def test_another_root_is_read_only(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    write(tmp_path, "etc/nftables.conf", CONF)
    write(tmp_path, "usr/sbin/nft")
    found = find_firewall(Host(str(tmp_path)))
    assert found.owner is FirewallOwner.NFTABLES
    assert found.rules is None
    assert "not running" in found.unusable


def test_the_whole_host_knows_its_firewall_and_addresses(tmp_path: Path) -> None:
    facts = detect_host(host(tmp_path))
    assert facts.firewall is not None
    assert facts.firewall.owner is FirewallOwner.NOTHING
    assert facts.addresses == ("192.0.2.70",)


def test_addresses_of_this_machine_leave_loopback_out() -> None:
    addresses = Host("/").addresses()
    assert not any(address.startswith(("127.", "fe80")) or address == "::1" for address in addresses)
    assert Host("/tmp").addresses() == ()


def test_our_own_rules_are_in_the_facts(tmp_path: Path) -> None:
    enable(tmp_path, "nftables")
    listing: Any = {
        "nftables": [
            {"table": {"family": "inet", "name": "conbool"}},
            {"set": {"name": "conbool4", "elem": ["192.0.2.1"]}},
        ]
    }
    says = Says(outputs={"nft -j list table inet conbool": json.dumps(listing)})
    found = find_firewall(host(tmp_path, says, conf=CONF))
    assert found.rules is not None
    assert found.rules.startswith(rules(["192.0.2.1"]).text())
