"""Nothing secret leaves the backups, and no unprivileged user can lead the store astray."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conbool_tui import log
from conbool_tui.errors import CheckFailedError, ConboolError, HostError
from conbool_tui.host import Host
from conbool_tui.transaction import journal_text
from tests.unit.transaction.rig import MAIN, MAIN_BEFORE, STATE, Rig

SECRET = "canary-5ec7e7"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


def with_secret(rig: Rig) -> None:
    line = f"smtp_sasl_password_maps = static:me:{SECRET}\n".encode()
    rig.put("/srv/conf/main.cf", MAIN_BEFORE + line, 0o640)


def test_secrets_stay_in_the_backups(rig: Rig) -> None:
    """A whole main.cf may hold passwords: only before/ and after/ may."""
    with_secret(rig)
    change = rig.apply()
    rig.host.real(MAIN).write_bytes(rig.data(MAIN).replace(b"[mail.conbool.com]:25", b"[other.example]"))
    with pytest.raises(ConboolError) as caught:
        rig.undo()
    assert SECRET not in "\n".join(caught.value.lines())
    assert SECRET not in journal_text(rig.host, STATE, change.id)
    rig.undo(choices={(MAIN, "relayhost"): "put back"})
    found = []
    for folder, _, names in os.walk(rig.root / STATE.lstrip("/")):
        for name in names:
            place = Path(folder, name)
            assert stat.S_IMODE(place.stat().st_mode) == 0o600
            if SECRET.encode() in place.read_bytes():
                found.append(place.parent.name)
    assert set(found) == {"before", "after"}


def test_a_file_that_conflicts_as_a_whole_shows_nothing_secret(rig: Rig) -> None:
    with_secret(rig)
    rig.apply()
    rig.host.real(MAIN).unlink()
    with pytest.raises(ConboolError) as caught:
        rig.undo()
    assert SECRET not in "\n".join(caught.value.lines())


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_any_umask(rig: Rig, mask: int) -> None:
    old = os.umask(mask)
    try:
        rig.apply()
        rig.undo()
    finally:
        os.umask(old)
    for folder, folders, names in os.walk(rig.root / STATE.lstrip("/")):
        for name in folders:
            assert stat.S_IMODE(os.lstat(Path(folder, name)).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.lstat(Path(folder, name)).st_mode) & ~0o600 == 0


@as_root
@pytest.mark.parametrize("what", ["writable", "foreign"])
def test_a_state_directory_below_somebody_elses_folder_is_refused(rig: Rig, what: str) -> None:
    """Who may rename the folder could put another one with backups of his own in its place."""
    parent = rig.root / "var/lib"
    if what == "writable":
        parent.chmod(0o777)
    else:
        os.chown(parent, NOBODY, NOBODY)
    before = rig.tree()
    with pytest.raises(CheckFailedError, match="var/lib"):
        rig.apply()
    assert rig.tree() == before
    assert not (rig.root / STATE.lstrip("/")).exists()


@as_root
def test_a_sticky_parent_is_safe(rig: Rig) -> None:
    (rig.root / "var/lib").chmod(0o1777)
    rig.apply()


# --- the log -----------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Host:
    (tmp_path / "var/log").mkdir(parents=True)
    return Host(str(tmp_path))


@as_root
def test_the_log_is_private(machine: Host) -> None:
    old = os.umask(0)
    try:
        assert log.record(machine, "text") == log.FILE
    finally:
        os.umask(old)
    assert stat.S_IMODE(machine.stat(log.FILE).st_mode) == 0o600
    assert stat.S_IMODE(machine.stat(log.FOLDER).st_mode) & 0o027 == 0


@as_root
@pytest.mark.parametrize("trick", ["linked folder", "linked file", "foreign folder", "writable folder"])
def test_a_log_that_leads_elsewhere_is_not_written(machine: Host, tmp_path: Path, trick: str) -> None:
    folder, victim = tmp_path / "var/log/conbool-tui", tmp_path / "victim"
    victim.mkdir()
    (victim / "conbool-tui.log").write_text("")
    if trick == "linked folder":
        os.symlink("../../victim", folder)
    else:
        folder.mkdir(mode=0o750)
    if trick == "linked file":
        os.symlink("../../../victim/conbool-tui.log", folder / "conbool-tui.log")
    if trick == "foreign folder":
        os.chown(folder, NOBODY, NOBODY)
    if trick == "writable folder":
        folder.chmod(0o777)
    assert log.record(machine, "text") is None
    assert (victim / "conbool-tui.log").read_text() == ""


# --- faithful files on real file systems -------------------------------------------------------------------


@pytest.fixture
def disk(rig: Rig) -> Iterator[Path]:
    """A small tmpfs below /srv/conf, where main.cf really lies."""
    place = rig.root / "srv/conf"
    content = (place / "main.cf").read_bytes()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=False)
    if done.returncode:
        pytest.skip("no mounts here")
    try:
        (place / "main.cf").write_bytes(content)
        (place / "main.cf").chmod(0o640)
        yield place
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=False)
        subprocess.run(["umount", str(place)], check=True)


@as_root
def test_a_file_on_another_file_system_than_its_neighbours(rig: Rig, disk: Path) -> None:
    os.chown(disk / "main.cf", 7, 8)
    before = rig.tree()
    rig.apply()
    info = (disk / "main.cf").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (7, 8, 0o640)
    rig.undo()
    assert rig.tree() == before


@as_root
def test_a_full_file_system_below_one_file(rig: Rig, disk: Path) -> None:
    plan = rig.plan()
    fill(disk)
    before = rig.tree()
    with pytest.raises(CheckFailedError, match="No space left"):
        rig.apply(plan)
    assert rig.tree() == before


def fill(disk: Path) -> None:
    with open(disk / "filler", "wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"\0" * 4096)


@as_root
def test_a_read_only_mount_below_one_file(rig: Rig, disk: Path) -> None:
    plan = rig.plan()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    before = rig.tree()
    with pytest.raises(CheckFailedError, match="Read-only"):
        rig.apply(plan)
    assert rig.tree() == before


@as_root
def test_attributes_and_access_lists_survive(rig: Rig, disk: Path) -> None:
    """An ACL is the attribute system.posix_acl_access: version 2, then tag, rights and id of each entry."""
    acl = b"\x02\x00\x00\x00" + b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, rights, who in (
            (1, 6, 0xFFFFFFFF),
            (2, 4, 1234),
            (4, 4, 0xFFFFFFFF),
            (16, 4, 0xFFFFFFFF),
            (32, 0, 0xFFFFFFFF),
        )
    )
    place = disk / "main.cf"
    wanted = {"system.posix_acl_access": acl, "trusted.conbool": b"t", "security.conbool": b"s"}
    done = {}
    for name, value in wanted.items():
        try:
            os.setxattr(place, name, value)
            done[name] = value
        except OSError:
            continue
    if not done:
        pytest.skip("no attributes here")
    rig.apply()
    assert {name: os.getxattr(place, name) for name in done} == done
    rig.undo()
    assert {name: os.getxattr(place, name) for name in done} == done


@as_root
def test_the_undo_of_a_full_file_system_leaves_the_applied_state(rig: Rig, disk: Path) -> None:
    rig.apply()
    fill(disk)
    before = rig.tree()
    with pytest.raises((CheckFailedError, HostError), match="No space left"):
        rig.undo()
    assert rig.tree() == before
    (disk / "filler").unlink()
    rig.undo()
    assert b"mail.conbool.com" not in rig.data(MAIN)
