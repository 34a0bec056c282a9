"""Our rules in nftables' words (nft(8)): one table of our own with two sets and one chain. Pure.

The chain looks at packets just before the filter chains of everybody else. What it refuses is refused; what it lets through goes on to them.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.firewall.rules import EDITED, PORT, TAG, Rules, merged
from conbool_tui.networks import Network

TABLE = "conbool"
RULES_FILE = "/etc/nftables.d/conbool.nft"
# As a pattern, because nft refuses the whole file when a plainly named include is absent.
INCLUDE = f'include "/etc/nftables.d/conbool.nf[t]" # {TAG}'
UNIT = "conbool-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"

_PRIORITY = -10
_SETS = {"ip": "conbool4", "ip6": "conbool6"}
_FLAGS = ("fin", "syn", "rst", "ack")


def load_text(rules: Rules) -> str:
    """What ``nft -f`` loads, in one transaction and any number of times, to put exactly these rules in force."""
    return (
        f"{remove_text()}table inet {TABLE} {{\n"
        + _set("conbool4", "ipv4_addr", [str(network) for network in rules.ipv4])
        + _set("conbool6", "ipv6_addr", [str(network) for network in rules.ipv6])
        + f"\tchain input {{\n\t\ttype filter hook input priority {_PRIORITY}; policy accept;\n"
        + "".join(
            f'\t\tiifname != "lo" tcp dport {PORT} tcp flags & ({" | ".join(_FLAGS)}) == syn '
            f'{family} saddr != @{name} reject with tcp reset comment "{TAG}"\n'
            for family, name in _SETS.items()
        )
        + "\t}\n}\n"
    )


def update_text(before: Rules, after: Rules) -> str:
    """What ``nft -f`` loads, in one transaction, to go from one list to another where our table stands as it was put.

    Networks on both lists are not touched: when the whole table is replaced, the kernel now and then refuses a packet that it looks at
    in that very moment, because the old set is already empty for it.
    """
    commands = []
    for verb, goes, stays in (("delete", before, after), ("add", after, before)):
        kept = set(stays.allowed)
        rest = [network for network in goes.allowed if network not in kept]
        for name, version in (("conbool4", 4), ("conbool6", 6)):
            elements = ", ".join(str(network) for network in rest if network.version == version)
            if elements:
                commands.append(f"{verb} element inet {TABLE} {name} {{ {elements} }}\n")
    return "".join(commands)


def remove_text() -> str:
    """What ``nft -f`` loads to have no table of ours; no error when there is none."""
    return f"add table inet {TABLE}\ndelete table inet {TABLE}\n"


def file_text(rules: Rules) -> str:
    """The file that brings the rules back at boot."""
    return (
        f"# Written by {TAG}: who may connect to port {PORT}. `conbool-tui undo` takes it back.\n"
        f"{load_text(rules)}"
    )


def unit_text(nft: str) -> str:
    """The systemd unit (systemd.service(5)) that loads ``RULES_FILE`` at boot, before the network is up, where no service does."""
    return (
        f"# Written by {TAG}. `conbool-tui undo` takes it back.\n"
        "[Unit]\n"
        "Description=Conbool: who may connect to port 25\n"
        "DefaultDependencies=no\n"
        "Wants=network-pre.target\n"
        "Before=network-pre.target shutdown.target\n"
        "Conflicts=shutdown.target\n"
        "After=local-fs.target nftables.service netfilter-persistent.service iptables.service ip6tables.service\n"
        f"ConditionPathExists={RULES_FILE}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        f"ExecStart={nft} -f {RULES_FILE}\n"
        "\n"
        "[Install]\n"
        "WantedBy=sysinit.target\n"
    )


def includes_rules_file(configuration: str) -> bool:
    """True when the configuration includes ``RULES_FILE`` by a line that is not ours, after its last ``flush ruleset``."""
    found = False
    for line in configuration.splitlines():
        statement = line.split("#", 1)[0]
        if re.search(r"\bflush\s+ruleset\b", statement):
            found = False
        match = re.match(r"""\s*include\s+["']([^"']+)["']""", statement)
        if match and not line.rstrip().endswith(f"# {TAG}"):
            pattern = posixpath.join("/etc", match.group(1))
            # A plainly named include would break the load of the whole file once ours is taken out.
            if "*" in pattern or "?" in pattern or "[" in pattern:
                same_folder = posixpath.dirname(pattern) == posixpath.dirname(RULES_FILE)
                found = found or (same_folder and fnmatch.fnmatchcase(RULES_FILE, pattern))
    return found


def live_text(listing: str) -> Optional[str]:
    """The canonical text of our table in the output of ``nft -j list table inet conbool`` (libnftables-json(5)).

    What differs from ``load_text`` is told in lines that begin with ``EDITED``. None when the listing has no such table.

    Raises:
        ConboolError: the listing cannot be understood.
    """
    try:
        found = [item for item in json.loads(listing)["nftables"] if "metainfo" not in item]
    except (ValueError, KeyError, TypeError):
        raise ConboolError(
            "What nft lists cannot be read.",
            "So it cannot be told which rules are in force.",
            f"Run `nft -j list table inet {TABLE}` by hand.",
        ) from None
    if not any("table" in item for item in found):
        return None
    networks: list[Network] = []
    edits: list[str] = []
    rules: list[Any] = []
    names = set()
    for item in found:
        for kind, value in item.items():
            if kind == "rule":
                rules.append(value)
            elif kind == "set" and value.get("name") in _SETS.values():
                names.add(value["name"])
                try:
                    networks += [
                        network for element in value.get("elem", []) for network in _element(element)
                    ]
                except (ValueError, KeyError, TypeError, IndexError):
                    edits.append(f"set {value['name']} holds something else than networks")
            elif kind == "chain":
                names.add(value.get("name"))
                have = tuple(value.get(key) for key in ("name", "type", "hook", "prio", "policy"))
                if have != ("input", "filter", "input", _PRIORITY, "accept"):
                    edits.append(f"chain {value.get('name')} is not as it was put")
            elif kind != "table":
                edits.append(f"{kind} {value.get('name', '')} is not ours".replace("  ", " "))
    edits += [f"{name} is missing" for name in ("conbool4", "conbool6", "input") if name not in names]
    if [_meaning(rule) for rule in rules] != [("conbool-tui", family) for family in _SETS]:
        edits.append("the rules of chain input are not as they were put")
    return merged(networks).text() + "".join(f"{EDITED}{edit}\n" for edit in edits)


def looks_like_ours(listing: str) -> bool:
    """True when a table of that name has a rule with our tag or a set of ours, or nothing in it at all."""
    items = [
        item for item in json.loads(listing)["nftables"] if "metainfo" not in item and "table" not in item
    ]
    return not items or any(
        item.get("rule", {}).get("comment") == TAG or item.get("set", {}).get("name") in _SETS.values()
        for item in items
    )


def _set(name: str, type_: str, elements: list[str]) -> str:
    lines = [f"\tset {name} {{", f"\t\ttype {type_}", "\t\tflags interval"]
    if elements:
        lines += ["\t\telements = {", ",\n".join(f"\t\t\t{element}" for element in elements), "\t\t}"]
    return "\n".join([*lines, "\t}"]) + "\n"


def _element(element: Any) -> Iterator[Network]:
    if isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    if isinstance(element, str):
        yield ipaddress.ip_network(element)
    elif "prefix" in element:
        yield ipaddress.ip_network(f"{element['prefix']['addr']}/{element['prefix']['len']}")
    else:
        first, last = (ipaddress.ip_address(address) for address in element["range"])
        yield from ipaddress.summarize_address_range(first, last)


def _meaning(rule: Any) -> Any:
    """(tag, family) for a rule of ours exactly as it was put, else something that compares unequal to that."""
    try:
        interface, port, flags, source, verdict = rule["expr"]
        family = source["match"]["left"]["payload"]["protocol"]
        mask = set(_words(flags["match"]["left"]))
        same = (
            rule["chain"] == "input"
            and interface == {"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}
            and port == {"match": {"op": "==", "left": _payload("tcp", "dport"), "right": PORT}}
            and (flags["match"]["op"], flags["match"]["right"]) == ("==", "syn")
            and mask == {*_FLAGS, "tcp", "flags"}
            and source
            == {"match": {"op": "!=", "left": _payload(family, "saddr"), "right": f"@{_SETS[family]}"}}
            and verdict == {"reject": {"type": "tcp reset"}}
        )
        return (rule["comment"], family) if same else None
    except (KeyError, TypeError, ValueError):
        return None


def _payload(protocol: str, field: str) -> Any:
    return {"payload": {"protocol": protocol, "field": field}}


def _words(value: Any) -> Iterator[str]:
    """Every word in an expression; releases of nft nest the flags of a mask differently."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _words(part)
    elif isinstance(value, list):
        for part in value:
            yield from _words(part)
