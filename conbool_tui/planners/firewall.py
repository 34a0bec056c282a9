"""Facts about the packet filter + the listed networks -> what changes in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall import iptables_text, nft_text, tagged_lines
from conbool_tui.firewall import rules as our_rules
from conbool_tui.firewall.rules import PORT, PREFIX, TAG, Rules, live_name
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Notice, Step

_REASON = (
    "Mail that is handed in past Conbool is not filtered; only Conbool and the listed networks need port 25."
)
_BOOT_REASON = "So that the rules are there again after a reboot."
_GONE_REASON = "Port 25 is no longer to be restricted in the firewall."
_WORDS = {
    FirewallOwner.NFTABLES: "nftables",
    FirewallOwner.IPTABLES: "iptables",
    FirewallOwner.NOTHING: "a table of our own",
    FirewallOwner.UFW: "ufw",
    FirewallOwner.FIREWALLD: "firewalld",
}


@dataclass(frozen=True)
class FirewallPart:
    """The firewall's share of a plan. ``confirm_within``: seconds, 0 when nobody is newly shut out."""

    changes: tuple[Change, ...] = ()
    files: tuple[FileTarget, ...] = ()
    live: tuple[LiveTarget, ...] = ()
    notices: tuple[Notice, ...] = ()
    confirm_within: int = 0


@dataclass(frozen=True)
class _Edit:
    """A file as it must become; ``kind`` FILE or LINES, ``data`` None when the file goes."""

    path: str
    kind: ChangeKind
    data: Optional[bytes]
    title: str
    mode: int = 0o644


def plan_firewall(
    facts: FirewallFacts, networks: Sequence[str], wanted: bool, confirm_within: int
) -> FirewallPart:
    """What has to change so that only ``networks`` can connect to port 25, or so that no rule of ours is left.

    Args:
        facts: the packet filter as it was found.
        networks: CIDR or plain addresses: Conbool's and the listed ones.
        wanted: False takes our rules out.
        confirm_within: seconds in which somebody must confirm when the rules shut out more than before.

    Returns:
        An empty part when everything is as wanted, or when the firewall must be left alone (then with a notice).

    Raises:
        ValueError: something in ``networks`` is no network.
    """
    target = our_rules.rules(networks) if wanted else None
    if facts.unusable:
        return FirewallPart(notices=_unusable(facts, wanted))
    if target is not None and not target.allowed:
        text = "No network is listed, so closing port 25 in the firewall would shut out Conbool too: it is left as it is."
        return FirewallPart(notices=(Notice("warn", text, Step.B),))
    details = dict(facts.details)
    if target is not None and facts.owner is FirewallOwner.IPTABLES and details.get("ipv6") == "off":
        target = our_rules.merged(target.ipv4)

    live = _live(facts, target)
    edits = _edits(facts, target)
    changes: list[Change] = []
    files: list[FileTarget] = []
    for edit in edits:
        before = facts.files[edit.path].data if edit.path in facts.files else None
        if before != edit.data:
            changes.append(_file_change(edit, before))
            files.append(FileTarget(edit.path, before, edit.data, edit.mode))
    changes += [_live_change(facts, one) for one in live]
    return FirewallPart(
        changes=tuple(changes),
        files=tuple(files),
        live=tuple(live),
        notices=_notices(facts, details) if changes and target is not None else (),
        confirm_within=confirm_within if any(_tightens(one) for one in live) else 0,
    )


# --- what becomes of each thing


def _live(facts: FirewallFacts, target: Optional[Rules]) -> list[LiveTarget]:
    after = None if target is None else target.text()
    found = []
    if facts.rules != after:
        found.append(LiveTarget(live_name(facts.owner), facts.rules, after))
    # Rules with a former owner keep refusing by the old list, so they go whatever is wanted.
    return found + [LiveTarget(name, rules, None) for name, rules in facts.left_over if rules]


def _edits(facts: FirewallFacts, target: Optional[Rules]) -> list[_Edit]:
    """Every file that has to do with our rules, as it must become; in the order of writing."""
    found: list[_Edit] = []
    left_over = {name for name, _ in facts.left_over}
    owner = facts.owner
    nft = owner in (FirewallOwner.NFTABLES, FirewallOwner.NOTHING)
    if nft or live_name(FirewallOwner.NFTABLES) in left_over:
        found += _nft_edits(facts, target if nft else None)
    if owner is FirewallOwner.IPTABLES or live_name(FirewallOwner.IPTABLES) in left_over:
        found += _iptables_edits(facts, target if owner is FirewallOwner.IPTABLES else None)
    return found


def _nft_edits(facts: FirewallFacts, target: Optional[Rules]) -> list[_Edit]:
    found = []
    details = dict(facts.details)
    if target is not None:
        data = nft_text.file_text(target).encode()
        found.append(
            _Edit(nft_text.RULES_FILE, ChangeKind.FILE, data, "The rules are written to a file of our own")
        )
    elif nft_text.RULES_FILE in facts.files:
        found.append(_Edit(nft_text.RULES_FILE, ChangeKind.FILE, None, "The file with our rules goes"))
    ours = nft_text.INCLUDE.encode()
    configurations = {path for path, file in facts.files.items() if ours in file.data}
    if facts.owner is FirewallOwner.NFTABLES:
        configurations.add(details["configuration"])
    for path in sorted(configurations):
        data = facts.files[path].data
        included = nft_text.includes_rules_file(data.decode("utf-8", "replace"))
        line = (
            None
            if target is None or included or facts.owner is FirewallOwner.NOTHING
            else nft_text.INCLUDE + "\n"
        )
        title = "nftables loads our rules at boot" if line else "nftables no longer loads our rules"
        found.append(_Edit(path, ChangeKind.LINES, tagged_lines.put(data, TAG, line), title))
    if target is not None and facts.owner is FirewallOwner.NOTHING:
        unit = nft_text.unit_text(facts.tools.get("nft", "/usr/sbin/nft")).encode()
        found.append(
            _Edit(nft_text.UNIT_FILE, ChangeKind.FILE, unit, "A systemd unit loads our rules at boot")
        )
    elif nft_text.UNIT_FILE in facts.files:
        found.append(_Edit(nft_text.UNIT_FILE, ChangeKind.FILE, None, "The systemd unit of our rules goes"))
    return found


def _iptables_edits(facts: FirewallFacts, target: Optional[Rules]) -> list[_Edit]:
    found = []
    details = dict(facts.details)
    places = {path: 6 if path.endswith(("6", "/ip6tables")) else 4 for path in facts.files}
    if facts.owner is FirewallOwner.IPTABLES:
        places[details["rules4"]] = 4
        if details.get("ipv6") != "off":
            places[details["rules6"]] = 6
    for path, family in sorted(places.items()):
        if not path.startswith(("/etc/iptables/", "/etc/sysconfig/ip")):
            continue
        before = facts.files[path].data if path in facts.files else None
        if target is None and before is None:
            continue
        lines = None
        if target is not None and (family == 4 or details.get("ipv6") != "off"):
            lines = "".join(f"{line}\n" for line in iptables_text.file_lines(target, family))
        title = f"iptables loads our rules for IPv{family} at boot" if lines else f"{path} loses our rules"
        data: Optional[bytes] = tagged_lines.put(before or b"", TAG, lines)
        if before and not data:
            data = None
        # What iptables-save(8) writes is for root's eyes, as netfilter-persistent has it.
        found.append(_Edit(path, ChangeKind.LINES, data, title, 0o640))
    return found


# --- how it reads


def _file_change(edit: _Edit, before: Optional[bytes]) -> Change:
    whole = edit.kind is ChangeKind.FILE
    old = _shown(before) if whole else tagged_lines.get(before or b"", TAG)
    new = _shown(edit.data) if whole else tagged_lines.get(edit.data or b"", TAG)
    if whole or before is None:
        undo = f"{edit.path} is removed." if before is None else f"{edit.path} gets its old content back."
    else:
        undo = "Our lines are taken out." if old is None else "Our old lines come back."
        undo += " Everything else in the file stays."
    return Change(
        kind=edit.kind,
        step=Step.B,
        title=edit.title,
        reason=_GONE_REASON if new is None else _BOOT_REASON,
        path=edit.path,
        key="" if whole else TAG,
        before=old,
        after=new,
        undo=undo,
    )


def _live_change(facts: FirewallFacts, target: LiveTarget) -> Change:
    owner = FirewallOwner(target.name[len(PREFIX) :])
    if target.after is None:
        title = f"Our rules for port {PORT} are taken out of the firewall ({_WORDS[owner]})"
        reason = _GONE_REASON
        if owner is not facts.owner:
            reason = f"They are left over from the time before {facts.owner.value} owned the firewall, and would go by the old list."
    else:
        title = f"Only Conbool and the listed networks can connect to port {PORT} ({_WORDS[owner]})"
        reason = _REASON
    if target.before is None:
        undo = "Our rules are taken out; everybody can connect to port 25 as before."
    else:
        undo = "Our rules from before come back."
    return Change(
        kind=ChangeKind.FIREWALL,
        step=Step.B,
        title=title,
        reason=reason,
        path=target.name,
        key="",
        before=_preview(facts, owner, None, target.before) if target.before is not None else None,
        after=_preview(facts, owner, target.before, target.after) if target.after is not None else None,
        undo=undo,
    )


def _preview(facts: FirewallFacts, owner: FirewallOwner, before: Optional[str], after: Optional[str]) -> str:
    """What is loaded, in the words of the owner's tool."""
    if owner in (FirewallOwner.UFW, FirewallOwner.FIREWALLD):
        from conbool_tui.firewall import firewalld, ufw

        tool = ufw if owner is FirewallOwner.UFW else firewalld
        return "".join(f"{line}\n" for line in tool.commands(before, after, facts))
    target = our_rules.wanted(after)
    assert target is not None
    if owner is FirewallOwner.IPTABLES:
        shown = [
            f"# {tool}-restore --noflush\n{_iptables_preview(target, family)}" for family, tool in _TOOLS
        ]
        return "".join(shown[:1] if dict(facts.details).get("ipv6") == "off" else shown)
    return nft_text.load_text(target)


_TOOLS = ((4, "iptables"), (6, "ip6tables"))


def _iptables_preview(target: Rules, family: int) -> str:
    return iptables_text.put_text(target, family, "")


def _unusable(facts: FirewallFacts, wanted: bool) -> tuple[Notice, ...]:
    if not wanted and facts.rules is None:
        return ()
    text = f"The firewall is left as it is. {facts.unusable}"
    if facts.remedy:
        text += f" {facts.remedy}"
    return (Notice("warn", text, Step.B),)


def _notices(facts: FirewallFacts, details: Mapping[str, str]) -> tuple[Notice, ...]:
    found = []
    if details.get("at boot") == "no":
        found.append(
            "The service nftables does not start at boot, so neither your rules nor ours come back after one: "
            "`systemctl enable nftables` changes that."
        )
    if details.get("other back end"):
        found.append(
            f"Besides the rules that iptables shows there are others: {details['other back end']}. Both decide; ours go where "
            "iptables points to."
        )
    if facts.owner is FirewallOwner.FIREWALLD and details.get("left"):
        found.append(
            f"Zones left as they are: {details['left']}. Whoever is in them is trusted or shut out already."
        )
    if facts.owner is FirewallOwner.UFW and details.get("ipv6") == "no":
        found.append("ufw lets no IPv6 in at all (IPV6=no), so listed IPv6 networks cannot connect either.")
    if details.get("other rules"):
        found.append(
            f"Rules are in force that no known service loads ({details['other rules']}). If what loads them empties the whole "
            "rule set (`nft flush ruleset`), ours are gone too: run `conbool-tui check` after the next boot."
        )
    return tuple(Notice("warn", text, Step.B) for text in found)


def _tightens(target: LiveTarget) -> bool:
    """True when somebody who can connect to port 25 now cannot afterwards."""
    after = our_rules.wanted(target.after)
    if after is None:
        return False
    try:
        before = our_rules.wanted(target.before)
    except ConboolError:
        return True
    if before is None or before.text() != target.before:
        return True
    return set(our_rules.merged((*before.allowed, *after.allowed)).allowed) != set(after.allowed)


def _shown(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "replace")
