"""Facts about the packet filter and a list of networks: what the plan then says."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from conbool_tui.facts import FileText, FirewallFacts, FirewallOwner
from conbool_tui.firewall import nft_text, tagged_lines
from conbool_tui.firewall.rules import EDITED, TAG, rules
from conbool_tui.plan import ChangeKind, FileTarget, LiveTarget, Step
from conbool_tui.planners.firewall import FirewallPart, plan_firewall

CONF = "/etc/nftables.conf"
V4, V6 = "/etc/iptables/rules.v4", "/etc/iptables/rules.v6"
NETWORKS = ("203.0.113.0/24", "2001:db8:c::/48")
TEXT = rules(NETWORKS).text()
WIDER = rules([*NETWORKS, "192.0.2.0/24"]).text()
SAVED = b"*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"


def files(**contents: bytes) -> dict[str, FileText]:
    paths = {"conf": CONF, "rules": nft_text.RULES_FILE, "unit": nft_text.UNIT_FILE, "v4": V4, "v6": V6}
    return {paths[name]: FileText(paths[name], data) for name, data in contents.items()}


NFTABLES = FirewallFacts(
    FirewallOwner.NFTABLES,
    "the service nftables is enabled",
    files=files(conf=b"flush ruleset\n"),
    tools={"nft": "/usr/sbin/nft"},
    details=(("configuration", CONF), ("at boot", "yes")),
)
IPTABLES = FirewallFacts(
    FirewallOwner.IPTABLES,
    "iptables-persistent is enabled",
    files=files(v4=SAVED, v6=SAVED),
    details=(("rules4", V4), ("rules6", V6), ("ipv6", "on"), ("back end", "nf_tables")),
)
NOTHING = FirewallFacts(FirewallOwner.NOTHING, "nothing found", tools={"nft": "/usr/bin/nft"})
OWNERS = {"nftables": NFTABLES, "iptables": IPTABLES, "nothing": NOTHING}


def plan(facts: FirewallFacts, networks: tuple[str, ...] = NETWORKS, wanted: bool = True) -> FirewallPart:
    return plan_firewall(facts, networks, wanted, 60)


def after(facts: FirewallFacts, part: FirewallPart) -> FirewallFacts:
    """The facts once the part was applied."""
    kept = dict(facts.files)
    for target in part.files:
        kept.pop(target.path, None)
        if target.after is not None:
            kept[target.path] = FileText(target.path, target.after)
    live: Optional[str] = facts.rules
    for one in part.live:
        if one.name == f"firewall:{facts.owner.value}":
            assert one.before == facts.rules
            live = one.after
    return replace(facts, files=kept, rules=live)


def file(part: FirewallPart, path: str) -> FileTarget:
    (found,) = [target for target in part.files if target.path == path]
    return found


@pytest.mark.parametrize("owner", OWNERS)
def test_closing_again_and_taking_back(owner: str) -> None:
    facts = OWNERS[owner]
    part = plan(facts)
    assert part.live == (LiveTarget(f"firewall:{facts.owner.value}", None, TEXT),)
    assert part.confirm_within == 60
    assert {change.step for change in part.changes} == {Step.B}
    assert all(change.title and change.reason and change.undo for change in part.changes)
    assert part.changes[-1].kind is ChangeKind.FIREWALL

    closed = after(facts, part)
    assert plan(closed) == FirewallPart()

    back = plan(closed, wanted=False)
    assert back.confirm_within == 0
    opened = after(closed, back)
    assert opened.files == facts.files
    assert opened.rules is None
    assert plan(opened, wanted=False) == FirewallPart()


def test_nftables_gets_a_file_and_one_line() -> None:
    part = plan(NFTABLES)
    assert [target.path for target in part.files] == [nft_text.RULES_FILE, CONF]
    assert file(part, CONF).after == b"flush ruleset\n" + nft_text.INCLUDE.encode() + b"\n"
    lines = next(change for change in part.changes if change.path == CONF)
    assert (lines.kind, lines.key, lines.before, lines.after) == (
        ChangeKind.LINES,
        TAG,
        None,
        nft_text.INCLUDE + "\n",
    )
    live = part.changes[-1]
    assert live.before is None
    assert live.after == nft_text.load_text(rules(NETWORKS))


def test_a_configuration_that_includes_the_folder_is_left_alone() -> None:
    facts = replace(NFTABLES, files=files(conf=b'flush ruleset\ninclude "/etc/nftables.d/*.nft"\n'))
    assert [target.path for target in plan(facts).files] == [nft_text.RULES_FILE]


def test_nothing_gets_a_unit() -> None:
    part = plan(NOTHING)
    unit = file(part, nft_text.UNIT_FILE).after
    assert unit is not None
    assert b"ExecStart=/usr/bin/nft -f /etc/nftables.d/conbool.nft\n" in unit


def test_iptables_gets_lines_in_both_files() -> None:
    part = plan(IPTABLES)
    assert [target.path for target in part.files] == [V4, V6]
    shown = part.changes[-1].after
    assert shown is not None
    assert "# iptables-restore --noflush\n*filter\n" in shown
    assert "# ip6tables-restore --noflush\n*filter\n" in shown
    assert "-s 2001:db8:c::/48" not in (tagged_lines.get(file(part, V4).after or b"", TAG) or "")


def test_iptables_without_a_file_for_ipv6_makes_one_and_removes_it() -> None:
    facts = replace(IPTABLES, files=files(v4=SAVED))
    part = plan(facts)
    assert file(part, V6).before is None
    assert file(part, V6).mode == 0o640
    closed = after(facts, part)
    assert after(closed, plan(closed, wanted=False)).files == facts.files


def test_iptables_where_the_kernel_has_no_ipv6() -> None:
    details = tuple((key, "off" if key == "ipv6" else value) for key, value in IPTABLES.details)
    part = plan(replace(IPTABLES, files=files(v4=SAVED), details=details))
    assert [target.path for target in part.files] == [V4]
    assert part.live[0].after == rules(NETWORKS[:1]).text()


@pytest.mark.parametrize(
    ("before", "seconds"),
    [
        (None, 60),
        (WIDER, 60),
        (rules(["203.0.113.0/25"]).text(), 0),
        (rules(["203.0.113.0/24"]).text() + f"{EDITED}something\n", 60),
        (rules(["203.0.112.0/23", "2001:db8:c::/48"]).text(), 60),
        (TEXT, 0),
    ],
)
def test_who_is_newly_shut_out_needs_a_confirmation(before: Optional[str], seconds: int) -> None:
    assert plan(replace(NFTABLES, rules=before)).confirm_within == seconds


def test_an_unusable_firewall_is_left_alone_and_told() -> None:
    facts = replace(NFTABLES, unusable="It is somebody else's.", remedy="Ask them.")
    part = plan(facts)
    assert (part.changes, part.files, part.live) == ((), (), ())
    assert [notice.level for notice in part.notices] == ["warn"]
    assert "It is somebody else's. Ask them." in part.notices[0].text
    assert plan(facts, wanted=False) == FirewallPart()
    assert plan(replace(facts, rules=TEXT), wanted=False).notices


def test_an_empty_list_never_closes_the_port() -> None:
    part = plan(NFTABLES, ())
    assert (part.changes, part.live) == ((), ())
    assert part.notices


def test_nonsense_is_no_network() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        plan(NFTABLES, ("nonsense",))


def test_rules_of_a_former_owner_go() -> None:
    left = files(conf=b"x\n" + nft_text.INCLUDE.encode() + b"\n", rules=b"...", unit=b"...")
    facts = replace(IPTABLES, files={**IPTABLES.files, **left}, left_over=(("firewall:nftables", WIDER),))
    part = plan(facts)
    assert part.live[1] == LiveTarget("firewall:nftables", WIDER, None)
    assert file(part, CONF).after == b"x\n"
    assert file(part, nft_text.RULES_FILE).after is None
    assert file(part, nft_text.UNIT_FILE).after is None

    left = files(v4=file(plan(IPTABLES), V4).after or b"", v6=SAVED)
    facts = replace(
        NFTABLES, files={**NFTABLES.files, **left}, left_over=(("firewall:iptables-persistent", ""),)
    )
    part = plan(facts)
    assert file(part, V4).after == SAVED
    assert [one.name for one in part.live] == ["firewall:nftables"]


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (
            replace(NFTABLES, details=(("configuration", CONF), ("at boot", "no"))),
            "systemctl enable nftables",
        ),
        (replace(NOTHING, details=(("other rules", "ip filter INPUT"),)), "ip filter INPUT"),
        (
            replace(IPTABLES, details=(*IPTABLES.details, ("other back end", "the legacy one"))),
            "the legacy one",
        ),
    ],
)
def test_what_the_admin_should_know(facts: FirewallFacts, word: str) -> None:
    part = plan(facts)
    assert any(word in notice.text for notice in part.notices)
    assert plan(after(facts, part)).notices == ()


@pytest.mark.parametrize("owner", [FirewallOwner.UFW, FirewallOwner.FIREWALLD])
def test_other_owners_show_their_own_commands(owner: FirewallOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    module = importlib.import_module(f"conbool_tui.firewall.{owner.value}")
    monkeypatch.setattr(module, "commands", lambda before, after, facts: [f"close {before} {len(after)}"])
    part = plan(FirewallFacts(owner, "it is active"))
    assert part.changes[-1].after == f"close None {len(TEXT)}\n"
    assert part.live == (LiveTarget(f"firewall:{owner.value}", None, TEXT),)
    assert part.files == ()
