"""Properties of the three-way take-back: random later edits survive, our keys go."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conbool_tui.plan import Change, ChangeKind, Step
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.transaction import UndoConflictError
from conbool_tui.transaction.merge import take_back
from tests.unit.transaction.rig import MAIN, MASTER, Rig

NAMES = ["myhostname", "biff", "relayhost", "smtp_tls_policy_maps", "mynetworks", "header_checks", "zzz"]
VALUES = st.sampled_from(["", "a", "no", "yes, b", "$myhostname c", "texthash:/x", "ü"])
LINES = st.one_of(
    st.builds(lambda n, v: f"{n} = {v}", st.sampled_from(NAMES), VALUES),
    st.sampled_from(["# comment", "", "  continued", "#biff = x", "biff=no"]),
)


def text(lines: list[str], end: bool) -> bytes:
    data = "\n".join(lines).encode()
    return data + b"\n" if end and lines else data


@settings(max_examples=300, deadline=None)
@given(
    base_lines=st.lists(LINES, max_size=8),
    end=st.booleans(),
    ours=st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), VALUES), min_size=1, max_size=3),
    theirs=st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), VALUES), max_size=3),
    position=st.integers(0, 12),
    note=st.booleans(),
)
def test_main_cf(
    base_lines: list[str],
    end: bool,
    ours: dict[str, str | None],
    theirs: dict[str, str | None],
    position: int,
    note: bool,
) -> None:
    base = text(base_lines, end)
    applied = MainCf.parse(base)
    put(applied, ours)
    # A plan names nothing that it leaves as it was.
    ours = {name: value for name, value in ours.items() if MainCf.parse(base).get(name) != value}
    changes = [
        Change(ChangeKind.PARAMETER, Step.A, "", "", MAIN, name, MainCf.parse(base).get(name), value, "")
        for name, value in ours.items()
    ]
    later = MainCf.parse(applied.to_bytes())
    put(later, theirs)
    now = later.to_bytes()
    if note:
        lines = now.split(b"\n")
        lines.insert(min(position, len(lines)), b"# the admin's note")
        now = b"\n".join(lines)
    result = take_back(changes, MAIN, base, applied.to_bytes(), now)
    before, current = MainCf.parse(base), MainCf.parse(now)
    assert result.data is not None
    if result.conflicts:
        assert result.data == now
        for conflict in result.conflicts:
            if conflict.key:
                assert current.get(conflict.key) not in (applied.get(conflict.key), before.get(conflict.key))
        return
    after = MainCf.parse(result.data)
    for name in ours:
        assert after.get(name) == before.get(name)
    for name in set(current.names()) - set(ours):
        assert after.get(name) == current.get(name)
    assert set(after.names()) <= set(before.names()) | set(current.names())
    if note:
        assert b"# the admin's note" in result.data
    if now == applied.to_bytes():
        assert result.data == base


def put(text: MainCf, values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            text.remove(name)
        else:
            text.set(name, value)


def test_block_edited_by_the_admin_is_a_conflict() -> None:
    base = b"smtp inet n - y - - smtpd\n"
    master = MasterCf.parse(base)
    master.add_block("lane", "a unix - - y - - smtp\n")
    ours = master.to_bytes()
    change = Change(
        ChangeKind.SERVICE_BLOCK, Step.A, "", "", MASTER, "lane", None, "a unix - - y - - smtp\n", ""
    )
    result = take_back([change], MASTER, base, ours, ours.replace(b"- - smtp\n# END", b"- 5 smtp\n# END"))
    assert [conflict.key for conflict in result.conflicts] == ["lane"]
    kept = take_back([change], MASTER, base, ours, ours + b"mine unix - - y - - smtp\n")
    assert kept.data == base + b"mine unix - - y - - smtp\n"


EDITS = st.lists(
    st.sampled_from(
        [
            ("/etc/postfix/main.cf", b"biff = no\n", b"biff = yes\n"),
            ("/etc/postfix/main.cf", b"# main\n", b"# main, edited\nmynetworks = 10.0.0.0/8\n"),
            ("/etc/postfix/main.cf", b"myhostname", b"\nmyhostname"),
            ("/etc/postfix/main.cf", b"relayhost = [mail.conbool.com]:25\n", b"relayhost = [mine]\n"),
            ("/etc/postfix/master.cf", b"pickup unix n - y 60", b"pickup unix n - n 30"),
            ("/etc/postfix/master.cf", b"=encrypt\n", b"=encrypt\n  -o smtpd_sasl_auth_enable=yes\n"),
            ("/etc/postfix/master.cf", b"=encrypt\n", b"=none\n"),
            ("/etc/postfix/untouched", b"\x00", b"\x01"),
        ]
    ),
    max_size=5,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits=EDITS)
def test_apply_edit_undo(edits: list[tuple[str, bytes, bytes]]) -> None:
    """After undo every edit is there and nothing of ours; or undo names the conflict and nothing changes."""
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder, "root"))
        before = {path: rig.data(path) for path in (MAIN, MASTER)}
        rig.apply()
        done = []
        for path, old, new in edits:
            place = rig.host.real(path)
            data = place.read_bytes()
            if old in data:
                place.write_bytes(data.replace(old, new, 1))
                done.append((path, old, new))
        edited = rig.tree(folder_times=True)
        clash = {b"relayhost = [mine]\n", b"=none\n"} & {new for _, _, new in done}
        if clash:
            with pytest.raises(UndoConflictError) as caught:
                rig.undo()
            named = {conflict.key for conflict in caught.value.conflicts}
            assert named <= {"relayhost", "smtp/inet/smtpd_tls_security_level"}
            assert rig.tree(folder_times=True) == edited
            return
        rig.undo()
        assert b"conbool" not in rig.data(MAIN)
        assert b"conbool" not in rig.data(MASTER)
        for path in (MAIN, MASTER):
            expected = before[path]
            for where, old, new in done:
                if where == path:
                    if b"=encrypt" in old:
                        old, new = old.replace(b"encrypt", b"may"), new.replace(b"encrypt", b"may")
                    expected = expected.replace(old, new, 1)
            assert rig.data(path) == expected


# --- tagged lines ------------------------------------------------------------------------------------------

CONF = "/etc/nftables.conf"
THEIRS = b"flush ruleset\ntable inet filter {\n}\n"
LINE = 'include "/etc/nftables.d/conbool.nf[t]" # conbool-tui\n'
OURS = THEIRS + LINE.encode()


def lines_change(before: Optional[str] = None, after: Optional[str] = LINE) -> Change:
    return Change(ChangeKind.LINES, Step.B, "t", "r", CONF, "conbool-tui", before, after, "u")


def test_our_lines_go_and_everything_else_stays() -> None:
    assert take_back([lines_change()], CONF, THEIRS, OURS, OURS).data == THEIRS
    now = b"# a note\n" + OURS.replace(b"filter", b"mine") + b"define x = 1\n"
    merged = take_back([lines_change()], CONF, THEIRS, OURS, now)
    assert merged.conflicts == ()
    assert merged.data == b"# a note\n" + THEIRS.replace(b"filter", b"mine") + b"define x = 1\n"


def test_removed_lines_come_back() -> None:
    merged = take_back([lines_change(LINE, None)], CONF, OURS, THEIRS, b"# a note\n" + THEIRS)
    assert merged.data == b"# a note\n" + OURS


def test_edited_lines_are_a_conflict() -> None:
    now = OURS.replace(b"nf[t]", b"nft")
    merged = take_back([lines_change()], CONF, THEIRS, OURS, now)
    assert merged.data == now
    (conflict,) = merged.conflicts
    assert (conflict.key, conflict.base, conflict.ours) == ("conbool-tui", None, LINE)
    assert conflict.now is not None
    assert "nft" in conflict.now


def test_lines_that_are_gone_already() -> None:
    now = b"# a note\n" + THEIRS
    assert take_back([lines_change()], CONF, THEIRS, OURS, now).data == now


def test_a_file_that_we_created_and_others_wrote_into_stays_with_their_lines() -> None:
    ours = LINE.encode()
    assert take_back([lines_change()], CONF, None, ours, ours).data is None
    assert take_back([lines_change()], CONF, None, ours, b"theirs\n" + ours).data == b"theirs\n"
    merged = take_back([lines_change()], CONF, None, ours, b"theirs\n" + ours.replace(b"nf[t]", b"nft"))
    assert [conflict.key for conflict in merged.conflicts] == [""]


def test_bytes_that_are_no_text_survive() -> None:
    strange = b"\xff\x00 no text\n"
    now = strange + OURS
    assert take_back([lines_change()], CONF, THEIRS, OURS, now).data == strange + THEIRS
