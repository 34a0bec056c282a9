"""Files of every kind, on real file systems: what apply and undo must keep, what they must refuse, and that mail flows with it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import messages
from .faults import OUT, STATE, inside
from .lab import Lab
from .machine import Completed
from .postfix import PostfixMachine
from .product import write_answers
from .releases import ONE
from .snapshot import Entry, differences, snapshot

pytestmark = pytest.mark.xdist_group("file-kinds")
POSTFIX = "/etc/postfix"
MAIN = f"{POSTFIX}/main.cf"
LABEL = b"system_u:object_r:postfix_etc_t:s0\0"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access list as the attribute holds it (acl(5), version 2): tag, rights and user or group of each entry."""
    packed = (
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, rights, who in entries
    )
    return b"\x02\0\0\0" + b"".join(packed)


NOBODY_IN_PARTICULAR = 0xFFFFFFFF
# The owner, user 1234, the group, the mask, others.
ACCESS = acl(
    (1, 6, NOBODY_IN_PARTICULAR),
    (2, 4, 1234),
    (4, 4, NOBODY_IN_PARTICULAR),
    (16, 4, NOBODY_IN_PARTICULAR),
    (32, 4, NOBODY_IN_PARTICULAR),
)
DEFAULT = acl(
    (1, 7, NOBODY_IN_PARTICULAR),
    (2, 7, 1234),
    (4, 5, NOBODY_IN_PARTICULAR),
    (16, 7, NOBODY_IN_PARTICULAR),
    (32, 5, NOBODY_IN_PARTICULAR),
)


class Rig:
    """A Postfix machine whose configuration lies wherever a test puts it."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        self.answers = write_answers(lab, machine)
        self.inside = inside(machine)

    def file(self, path: str) -> Path:
        """The host's name of a file as the machine sees it, mounts included; no symbolic link of the machine may be on the way."""
        return self.inside / path.lstrip("/")

    def tree(self, path: str = POSTFIX) -> dict[str, Entry]:
        return snapshot(self.file(path))

    def apply(self, expect: int = 0) -> Completed[str]:
        return self._run(expect, "apply", "--yes", "--answers", self.answers)

    def undo(self, expect: int = 0) -> Completed[str]:
        return self._run(expect, "undo", "--yes")

    def _run(self, expect: int, *args: str) -> Completed[str]:
        done = self.machine.conbool(*args)
        assert done.returncode == expect, f"{done.returncode} {done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def mail(self, place: str) -> None:
        """An ordinary message goes there, once."""
        message = messages.plain()
        assert self.lab.send(self.machine, message, OUT, helo="desk.example.com").accepted
        self.lab.expect(message, place)

    def there_and_back(self, top: str = POSTFIX) -> None:
        """Apply and undo; everything but content and times stays in between, and all of it afterwards."""
        before = self.tree(top)
        self.apply()
        during = self.tree(top)
        assert [name for name in before if faithful(before[name]) != faithful(during.get(name))] == []
        assert before != during
        self.mail("conbool")
        self.undo()
        self.same(before, top)

    def same(self, before: dict[str, Entry], top: str = POSTFIX) -> None:
        """The tree is as it was, and Postfix works with it."""
        folders = tuple(name for name, entry in before.items() if entry.kind == "directory")
        assert differences(before, self.tree(top), ignore_mtime=folders) == []
        assert self.machine.postfix_running()
        self.mail("outside_a")

    def refused(self, words: str, top: str = POSTFIX) -> None:
        """Apply says so with exit code 3, and nothing is touched."""
        before = self.tree(top)
        self._said(words, self.apply(3))
        self.same(before, top)

    @staticmethod
    def _said(words: str, done: Completed[str]) -> None:
        said = " ".join(done.stderr.split())
        assert re.search(words, said), said

    def kept(self, words: str, top: str = POSTFIX) -> None:
        """Undo says so with exit code 3, and what was applied stays."""
        before = self.tree(top)
        self._said(words, self.undo(3))
        assert differences(before, self.tree(top)) == []
        self.mail("conbool")

    @contextlib.contextmanager
    def mounted(self, point: str, *options: str) -> Iterator[None]:
        """Something is mounted there."""
        self.machine.run(["mkdir", "-p", point], check=True)
        self.machine.run(["mount", *options, point], check=True)
        try:
            yield
        finally:
            # A daemon on its way out may still hold a table open.
            self.machine.run(["umount", "--lazy", point], check=True)

    @contextlib.contextmanager
    def ext4(self, point: str) -> Iterator[None]:
        """A disk of its own, with the file system most servers have."""
        image = self.machine.path("/var/tmp") / "disk"
        subprocess.run(["truncate", "-s", "8M", str(image)], check=True)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        found = subprocess.run(
            ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
        )
        device = found.stdout.strip()
        try:
            self.machine.run(["mknod", device, "b", "7", device.replace("/dev/loop", "")], check=True)
            with self.mounted(point, device):
                yield
        finally:
            self.machine.run(["rm", "-f", device])
            subprocess.run(["losetup", "--detach", device], check=True)
            image.unlink()

    @contextlib.contextmanager
    def moved(self, path: str, to: str) -> Iterator[None]:
        """That file or folder lies elsewhere, and a symbolic link leads there."""
        self.machine.shell(f"mkdir -p $(dirname {to}); mv {path} {to}; ln -s {to} {path}")
        try:
            yield
        finally:
            self.machine.shell(f"rm {path}; mv {to} {path}; postfix reload")


def faithful(entry: Entry | None) -> object:
    """What a change of the content leaves alone."""
    return entry and (entry.kind, entry.mode, entry.uid, entry.gid, entry.xattrs)


@pytest.fixture(scope="module")
def rig(module_lab: Lab) -> Rig:
    return Rig(module_lab, module_lab.postfix(ONE))


def marked(place: Path) -> dict[str, bytes]:
    """Put every kind of attribute on a file: what it has then."""
    os.setxattr(place, "user.note", b"\0keep")
    os.setxattr(place, "trusted.note", b"for root")
    # Without SELinux it is an attribute like any other.
    os.setxattr(place, "security.selinux", LABEL)
    os.setxattr(place, "system.posix_acl_access", ACCESS)
    return {name: os.getxattr(place, name) for name in os.listxattr(place)}


def test_owner_mode_lists_attributes_and_links_survive(rig: Rig) -> None:
    """The folder is a link to another disk, main.cf in it one to a third; both have everything a file can have."""
    with (
        rig.ext4("/srv/disk"),
        rig.mounted("/srv/more", "-t", "tmpfs", "lab"),
        rig.moved(POSTFIX, "/srv/disk/postfix"),
        rig.moved("/srv/disk/postfix/main.cf", "/srv/more/main.cf"),
    ):
        folder, main = rig.file("/srv/disk/postfix"), rig.file("/srv/more/main.cf")
        master = folder / "master.cf"
        os.setxattr(folder, "system.posix_acl_default", DEFAULT)
        os.setxattr(folder, "security.selinux", LABEL)
        times = [(place, os.stat(place).st_mtime_ns) for place in (main, master)]
        os.chown(main, 0, 5)
        main.chmod(0o664)
        master.chmod(0o600)
        try:
            had = marked(main), marked(master)
            assert {"user.note", "trusted.note", "security.selinux", "system.posix_acl_access"} <= set(had[0])
            for place, moment in times:
                os.utime(place, ns=(moment, moment))
            alone = snapshot(main)
            rig.there_and_back("/srv/disk/postfix")
            assert differences(alone, snapshot(main)) == []
            assert had == tuple(
                {name: os.getxattr(place, name) for name in os.listxattr(place)} for place in (main, master)
            )
            links = [
                rig.machine.run(["readlink", path]).stdout for path in (POSTFIX, "/srv/disk/postfix/main.cf")
            ]
            assert links == ["/srv/disk/postfix\n", "/srv/more/main.cf\n"]
        finally:
            for place in (main, master):
                for name in os.listxattr(place):
                    os.removexattr(place, name)
                os.chown(place, 0, 0)
                place.chmod(0o644)
            os.removexattr(folder, "system.posix_acl_default")
            os.removexattr(folder, "security.selinux")


def test_new_files_inherit_no_access_list(rig: Rig) -> None:
    """A default list of the folder must not open to others what is written beside it, nor shut it for Postfix."""
    with rig.ext4("/srv/disk"), rig.moved(POSTFIX, "/srv/disk/postfix"):
        folder = rig.file("/srv/disk/postfix")
        old = set(rig.tree("/srv/disk/postfix"))
        os.setxattr(folder, "system.posix_acl_default", DEFAULT)
        rig.apply()
        tree = rig.tree("/srv/disk/postfix")
        fresh = {name: tree[name] for name in set(tree) - old if tree[name].kind == "file"}
        assert len(fresh) > 3
        assert {(entry.mode, entry.uid, entry.gid, entry.xattrs) for entry in fresh.values()} == {
            (0o644, 0, 0, ())
        }
        rig.mail("conbool")
        rig.undo()
        assert set(rig.tree("/srv/disk/postfix")) == old
        os.removexattr(folder, "system.posix_acl_default")


@pytest.mark.parametrize("flag", ["i", "a"])
def test_immutable_and_append_only(rig: Rig, flag: str) -> None:
    with rig.ext4("/srv/disk"), rig.moved(POSTFIX, "/srv/disk/postfix"):
        main = str(rig.file("/srv/disk/postfix/main.cf"))
        subprocess.run(["chattr", f"+{flag}", main], check=True)
        try:
            rig.refused("main.cf cannot be written: Operation not permitted.*chattr", "/srv/disk/postfix")
        finally:
            subprocess.run(["chattr", f"-{flag}", main], check=True)
        if flag == "a":
            return
        before = rig.tree("/srv/disk/postfix")
        rig.apply()
        for place in (main, str(Path(main).parent)):
            subprocess.run(["chattr", "+i", place], check=True)
            try:
                rig.kept("Operation not permitted.*chattr", "/srv/disk/postfix")
            finally:
                subprocess.run(["chattr", "-i", place], check=True)
        rig.undo()
        rig.same(before, "/srv/disk/postfix")


def test_hard_links_are_refused(rig: Rig) -> None:
    """Replaced, the other name would keep the old content, and nobody could tell which of both was meant."""
    other = rig.file("/root/other")
    os.link(rig.machine.path(MAIN), rig.machine.path("/root") / "other")
    try:
        rig.refused("2 names.*-samefile /etc/postfix/main.cf")
        assert other.samefile(rig.file(MAIN))
    finally:
        other.unlink()
    before = rig.tree()
    rig.apply()
    os.link(rig.machine.path(MAIN), rig.machine.path("/root") / "other")
    try:
        rig.kept("2 names.*-samefile /etc/postfix/main.cf")
    finally:
        other.unlink()
    rig.undo()
    rig.same(before)


def test_a_mounted_file_is_refused(rig: Rig) -> None:
    """rename(2) does not replace what something is mounted on (EBUSY)."""
    rig.machine.shell(f"cp -a {MAIN} /root/main.cf; mount --bind /root/main.cf {MAIN}")
    try:
        rig.refused("a mount of its own")
    finally:
        rig.machine.shell(f"umount {MAIN}; rm /root/main.cf")


def test_a_mounted_folder(rig: Rig) -> None:
    rig.machine.shell(f"cp -a {POSTFIX} /srv/postfix; mount --bind /srv/postfix {POSTFIX}")
    try:
        rig.there_and_back()
    finally:
        rig.machine.shell(f"umount --lazy {POSTFIX}; rm -r /srv/postfix; postfix reload")


def test_read_only_mounts(rig: Rig) -> None:
    rig.machine.shell(f"mount --bind {POSTFIX} {POSTFIX}")
    read_only, writable = (f"mount -o remount,bind,{how} {POSTFIX}" for how in ("ro", "rw"))
    try:
        rig.machine.shell(read_only)
        rig.refused("Read-only file system.*remount it writable")
        rig.machine.shell(writable)
        before = rig.tree()
        rig.apply()
        rig.machine.shell(read_only)
        rig.kept("Read-only file system.*remount it writable")
        rig.machine.shell(writable)
        rig.undo()
        rig.same(before)
    finally:
        rig.machine.shell(f"umount --lazy {POSTFIX}; postfix reload")


@pytest.mark.parametrize("place", [POSTFIX, STATE])
def test_full_file_systems(rig: Rig, place: str) -> None:
    """Of the mail system's files, and of the backups."""
    rig.machine.shell(f"rm -rf {STATE}; mkdir -m 700 {STATE}")
    rig.machine.small_disk(place, "900k")
    filled = f"cat /dev/zero > {place}/filler 2> /dev/null || true"
    try:
        rig.machine.shell(filled)
        rig.refused("No space left on device.*Make room")
        rig.machine.shell(f"rm {place}/filler")
        before = rig.tree()
        rig.apply()
        rig.machine.shell(filled)
        rig.kept("No space left on device.*Make room")
        rig.machine.shell(f"rm {place}/filler")
        rig.undo()
        rig.same(before)
    finally:
        rig.machine.shell(f"umount --lazy {place}; postfix reload")


def test_no_umask_changes_anything(rig: Rig) -> None:
    """Modes of all that is written, while it is applied and after it was taken back."""
    seen = []
    for mask in ("022", "000", "077", "777"):
        rig.machine.shell(f"rm -rf {STATE} /var/log/conbool-tui")
        found = []
        for args in (f"apply --yes --answers {rig.answers}", "undo --yes"):
            rig.machine.shell(f"umask {mask}; conbool-tui {args}", timeout=180)
            found.append({top: modes(rig.tree(top)) for top in (POSTFIX, STATE, "/var/log/conbool-tui")})
        seen.append(found)
    assert seen[1:] == seen[:1] * 3
    private = {**seen[0][1][STATE], **seen[0][1]["/var/log/conbool-tui"]}
    assert {mode & 0o027 for mode, _, _ in private.values()} == {0}
    rig.mail("outside_a")


def modes(tree: dict[str, Entry]) -> dict[str, tuple[int, int, int]]:
    """Mode, owner and group by path; ids of changes are numbered."""
    ids = sorted(set(re.findall(r"\d{8}-\d{6}-[0-9a-f]{4}", " ".join(tree))))
    found = {}
    for name, entry in tree.items():
        for number, change in enumerate(ids):
            name = name.replace(change, str(number))
        found[name] = (entry.mode, entry.uid, entry.gid)
    return found
