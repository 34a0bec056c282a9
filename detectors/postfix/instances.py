"""Postfix instances on one host (MULTI_INSTANCE_README)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.facts import PostfixInstance
from conbool_tui.host import Host
from conbool_tui.postfix_config import MainCf

PRIMARY = "-"


def read_instances(host: Host, primary: Mapping[str, str]) -> tuple[PostfixInstance, ...]:
    """All instances, the primary one first.

    ``postmulti -l`` is asked only when ``multi_instance_directories`` names more than the primary one; where
    it fails (it wants root from Postfix 3.10 on) the instances' main.cf files are read instead.

    Args:
        host: the machine.
        primary: the expanded parameters of the primary instance.
    """
    own = PostfixInstance(
        primary.get("multi_instance_name") or PRIMARY,
        primary.get("multi_instance_group", ""),
        True,
        primary.get("config_directory", "/etc/postfix"),
    )
    directories = primary.get("multi_instance_directories", "").replace(",", " ").split()
    if not directories:
        return (own,)
    if host.is_root:
        try:
            result = host.run(("postmulti", "-l"), timeout=20.0)
        except ConboolError:
            pass
        else:
            listed = parse_instances(result.text()) if result.ok else ()
            if listed:
                return listed
    return (own, *(_from_main_cf(host, directory) for directory in directories))


def _from_main_cf(host: Host, directory: str) -> PostfixInstance:
    """An instance as its own main.cf describes it."""
    try:
        settings = MainCf.parse(host.read_bytes(f"{directory}/main.cf"))
    except ConboolError:
        return PostfixInstance(PRIMARY, "", False, directory)
    return PostfixInstance(
        settings.get("multi_instance_name") or PRIMARY,
        settings.get("multi_instance_group") or "",
        settings.get("multi_instance_enable") == "yes",
        directory,
    )


def parse_instances(text: str) -> tuple[PostfixInstance, ...]:
    """``name group enabled config_directory`` lines; ``-`` stands for no name and no group."""
    found = []
    for line in text.split("\n"):
        words = line.split(None, 3)
        if len(words) == 4 and words[3].startswith("/"):
            found.append(
                PostfixInstance(
                    words[0], "" if words[1] == "-" else words[1], words[2] == "y", words[3].rstrip()
                )
            )
    return tuple(found)


def choose(instances: Sequence[PostfixInstance], wanted: str) -> PostfixInstance:
    """The instance with that name or configuration directory.

    Raises:
        CheckFailedError: there is none.
    """
    for instance in instances:
        if wanted in (instance.name, instance.config_directory):
            return instance
    names = (
        ", ".join(f"{item.name} ({item.config_directory})" for item in instances)
        or "none is known (postmulti -l fails)"
    )
    raise CheckFailedError(
        f"There is no Postfix instance {wanted!r}.",
        "Every instance has its own configuration; the wrong one must not be touched.",
        f"Choose one of: {names}.",
    )


def name_of(instances: Sequence[PostfixInstance], config_directory: str) -> Optional[str]:
    """The name of the instance with that configuration directory."""
    for instance in instances:
        if instance.config_directory.rstrip("/") == config_directory.rstrip("/"):
            return instance.name
    return None
