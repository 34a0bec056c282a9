"""Our rules in the running packet filter, as the transaction handles them: look, judge, put in force, put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.firewall.rules import EDITED
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import LiveTarget
from conbool_tui.transaction.journal import Kind

if TYPE_CHECKING:
    from conbool_tui.firewall.driver import LiveRules

LiveFor = Callable[[Host, str], "LiveRules"]
"""Gives the driver of a ``LiveTarget`` by its name."""


def real_live(host: Host, name: str) -> LiveRules:
    """The driver for a live target of this host. Raises ConboolError for a name this version does not know."""
    from conbool_tui.firewall import make_live

    return make_live(host, name)


def changed_rules(target: LiveTarget) -> CheckFailedError:
    """The error for rules that are not as they were when the plan was made."""
    return CheckFailedError(
        f"The firewall rules ({target.name}) were changed between plan and apply.",
        "The plan was made for the old rules, and somebody's edit would be lost.",
        "Run again: the new plan starts from the rules as they are now.",
    )


def check_rules(driver: LiveRules, target: LiveTarget) -> None:
    """Make sure that the rules are as planned. Raises CheckFailedError, ConboolError."""
    if driver.read() != target.before:
        raise changed_rules(target)


def judge_rules(driver: LiveRules, target: LiveTarget, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
    """What the firewall's own tool says about the new rules. Raises ConboolError."""
    return driver.judge(target.after, files)


def _same(now: Optional[str], wanted: Optional[str]) -> bool:
    """Whether rules are those that were wanted; what somebody had edited into them by hand cannot be put again, and is not missed."""
    if now is None or wanted is None:
        return now == wanted
    plain = "".join(line for line in wanted.splitlines(keepends=True) if not line.startswith(EDITED))
    return now in (wanted, plain)


def settled(driver: LiveRules, rules: Optional[str]) -> list[Problem]:
    """Whether ``rules`` are in force; a second try where the owner rewrote them meanwhile. Raises ConboolError."""
    if _same(driver.read(), rules):
        return []
    problems = driver.put(rules)
    if problems or _same(driver.read(), rules):
        return problems
    return [Problem(f"The firewall does not show the rules it was given ({driver.name})")]


def half_put(entries: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether the journal announces rules that were never noted as in force: what is there now is our own half-done work."""
    last = ""
    for entry in entries:
        if entry.get("path") == name and entry["do"] in (Kind.PUT, Kind.PUT_BACK, Kind.IN_FORCE):
            last = entry["do"]
    return last in (Kind.PUT, Kind.PUT_BACK)


def announced(entries: Sequence[Mapping[str, Any]], targets: Sequence[LiveTarget]) -> list[LiveTarget]:
    """The targets whose rules were touched, newest first."""
    names = {entry.get("path") for entry in entries if entry["do"] == Kind.PUT}
    return [target for target in reversed(targets) if target.name in names]


def put_back(
    driver: LiveRules,
    target: LiveTarget,
    *,
    half: bool,
    announce: Callable[[Callable[[], None]], None],
) -> bool:
    """Put the rules from before in force again, unless somebody changed ours since.

    Args:
        half: the rules there now are our own half-done work.
        announce: does what it is given, with a journal line before.

    Returns:
        False when the rules were edited since; nothing was done then.

    Raises:
        ConboolError: it did not work.
    """
    try:
        now = driver.read()
    except ConboolError:
        if not half:
            raise
    else:
        if _same(now, target.before):
            return True
        if not half and now not in (target.after, None):
            return False
    announce(lambda: _put(driver, target.before))
    return True


def _put(driver: LiveRules, rules: Optional[str]) -> None:
    problems = driver.put(rules)
    problems = problems and driver.put(rules)
    problems = problems or settled(driver, rules)
    if problems:
        told = "; ".join(item.text + (f" ({item.detail})" if item.detail else "") for item in problems)
        raise ConboolError(f"the firewall rules could not be put back: {told}")
