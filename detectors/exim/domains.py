"""Hosted domains and own networks, from Exim's named lists."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts import HostedDomains
from conbool_tui.host import Host

LOCAL_LISTS = ("local_domains", "virtual_domains", "hosted_domains")
RELAY_LISTS = ("relay_to_domains", "relay_domains")
HOST_LISTS = ("relay_from_hosts", "relay_hosts")
_NAME = re.compile(r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_FILE_TYPES = frozenset(("lsearch", "partial-lsearch", "nwildlsearch", "wildlsearch"))
_LIMIT = 100_000


def read_domains(host: Host, lists: dict[str, str], host_name: str) -> HostedDomains:
    """The hosted domains.

    Args:
        host: the machine, for files that lists name.
        lists: the expanded text of each named domain list.
        host_name: Exim's primary_hostname, which ``@`` stands for.
    """
    own = host_name.lower()
    unlisted: list[str] = []
    local: list[str] = []
    relay: list[str] = []
    for name, text in lists.items():
        if name in LOCAL_LISTS:
            local += _domains(host, split_list(text), own, unlisted)
        elif name in RELAY_LISTS:
            relay += _domains(host, split_list(text), own, unlisted)
    local = sorted(dict.fromkeys(local), key=lambda name: name == own)
    hosts = tuple(name for name in local if name == own)
    return HostedDomains(
        mydestination=tuple(local),
        relay=tuple(name for name in dict.fromkeys(relay) if name not in local),
        unlisted=tuple(dict.fromkeys(unlisted)),
        host_names=hosts,
    )


def _domains(host: Host, items: Iterable[str], own: str, unlisted: list[str]) -> list[str]:
    found: list[str] = []
    for item in items:
        low = item.lower()
        if low.startswith("+"):
            # listnamed has resolved what it could; a list that it could not is named, not guessed.
            unlisted.append(item)
        elif low in ("@", "@[]", "localhost", "@mx_any", "@mx_primary", "@mx_secondary"):
            if low == "@" and "." in own:
                found.append(own)
        elif _NAME.fullmatch(low):
            if not low.startswith("localhost."):
                found.append(low)
        else:
            names = _listed(host, item)
            if names is None:
                unlisted.append(item)
            else:
                found += names
    return found


def _listed(host: Host, item: str) -> Optional[list[str]]:
    """The names that a file or folder lists, None when that cannot be told."""
    kind, semicolon, path = item.partition(";")
    kind, path = kind.strip(), path.strip()
    try:
        if not semicolon and item.startswith("/"):
            return _names(_first_words(host.read_text(item)))
        if semicolon and kind == "dsearch" and path.startswith("/"):
            return _names(host.listdir(path))
        if semicolon and kind in _FILE_TYPES and path.startswith("/"):
            return _names(_first_words(host.read_text(path)))
    except (ConboolError, OSError):
        return None
    return None


def _first_words(text: str) -> list[str]:
    """The keys of a file: what stands before a colon or blank in each line that begins one."""
    lines = text.split("\n")[:_LIMIT]
    keys = [line.strip().strip('"') for line in lines if line[:1].strip() and not line.startswith("#")]
    return [re.split(r"[:\s]", key, maxsplit=1)[0] for key in keys]


def _names(words: Iterable[str]) -> list[str]:
    return [word.lower() for word in words if _NAME.fullmatch(word.lower())]


def read_networks(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a host list names: networks without loopback (CIDR), and items that name none by themselves."""
    listed: list[str] = []
    unlisted: list[str] = []
    for item in split_list(text):
        if item in ("localhost", "@", "@[]"):
            continue
        try:
            network = ipaddress.ip_network(item.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            unlisted.append(item)
            continue
        if not network.is_loopback:
            listed.append(str(network))
    return tuple(dict.fromkeys(listed)), tuple(dict.fromkeys(unlisted))
