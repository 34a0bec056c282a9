"""Temporary folders: private, gone afterwards, and swept when the run that made one was killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conbool_tui.host import Host
from conbool_tui.transaction.store import Store


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for name in ("run", "tmp", "var/lib/conbool-tui"):
        (tmp_path / name).mkdir(parents=True)
    return Host(str(tmp_path))


def killed_in_it(host: Host) -> str:
    """A folder whose process was killed; its path."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        with host.private_folder() as path:
            host.write_new(f"{path}/main.cf", b"x")
            os.write(writer, path.encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    with os.fdopen(reader) as stream:
        return stream.read()


def test_private_and_gone_afterwards(host: Host) -> None:
    with host.private_folder() as path:
        assert path.startswith("/run/conbool-")
        assert host.stat(path).st_mode & 0o7777 == 0o700
        host.write_new(f"{path}/main.cf", b"x")
    assert host.listdir("/run") == []
    with pytest.raises(RuntimeError), host.private_folder():
        raise RuntimeError
    assert host.listdir("/run") == []


def test_the_next_parent(host: Host, tmp_path: Path) -> None:
    (tmp_path / "run").rmdir()
    with host.private_folder() as path:
        assert path.startswith("/tmp/conbool-")


def test_what_a_killed_run_left_is_swept(host: Host) -> None:
    left = killed_in_it(host)
    assert host.listdir(left) == ["main.cf"]
    with host.private_folder() as used:
        Store(host, "/var/lib/conbool-tui").sweep()
        assert not host.exists(left)
        assert host.is_dir(used)
    host.sweep_private()


def test_what_is_not_ours_stays(host: Host, tmp_path: Path) -> None:
    name = "conbool-0123456789abcdef"
    (tmp_path / "tmp/conbool-notes").mkdir()
    (tmp_path / "run" / name).write_text("a file")
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/file").write_text("x")
    (tmp_path / "tmp" / name).symlink_to("/keep")
    if os.geteuid() == 0:
        foreign = tmp_path / "tmp/conbool-fedcba9876543210"
        foreign.mkdir()
        os.chown(foreign, 12345, 12345)
    before = sorted(map(str, tmp_path.rglob("*")))
    host.sweep_private()
    assert sorted(map(str, tmp_path.rglob("*"))) == before
