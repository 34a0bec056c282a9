"""The editor reads main.cf and master.cf as Postfix's own postconf does, and its changes show there and nowhere else.

Real Postfix 3.5, 3.7 and 3.10 are the judges. All files of one suite go through one chroot call: a call costs more than a file.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.postfix_config import MainCf, MasterCf, main_cf_changes
from tests.lab.roots import SUITES, ensure_root, postfix_spec
from tests.unit.postfix_config.corpus import corpus_files

EMPTY_MASTER = b"smtp inet n - n - - smtpd\n"

# A host name and a loopback interface, without which postconf asks the DNS or gives up.
_ENTER = """
set -e
hostname mx1.example.com
ip link set lo up
mount --bind "$1" "$2/mnt"
exec chroot "$2" /bin/sh -c "$3"
"""
# Each answer in a file of its own: warnings must never get into what is parsed. postconf sleeps a second before it dies of a
# bad file, so some directories are asked about at a time.
_ASK = """
ask() {
    for what in $WHAT; do
        postconf -c "$1" -$what >"$1/out.$what" 2>"$1/err.$what" </dev/null
        echo $? >"$1/status.$what"
    done
}
count=0
for dir in /mnt/*/; do
    ask "$dir" &
    count=$((count + 1))
    test $((count % 48)) -ne 0 || wait
done
wait
"""


@dataclass(frozen=True)
class Main:
    """What postconf -n says about a main.cf; values as printed, see :func:`printed`."""

    accepted: bool
    values: Mapping[bytes, bytes]
    errors: bytes


@dataclass(frozen=True)
class Master:
    """What postconf -M and -P say about a master.cf: the eight columns, and name/type/parameter = value."""

    accepted: bool
    columns: tuple[tuple[bytes, ...], ...]
    overrides: Counter[bytes]
    errors: bytes


def printed(value: bytes) -> bytes:
    """How postconf prints a value: white space collapsed, but for VT and FF, which separate nothing."""
    return b" ".join(re.split(rb"[ \t\r\n]+", value)).strip(b" ")


def shown_in_warning(text: bytes) -> bytes:
    """How Postfix prints a text in a log line."""
    return re.sub(rb"[^ -~]", b"?", text)


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line]


def _main(folder: Path) -> Main:
    values = {}
    # A parameter Postfix does not know and nothing refers to is not listed, but warned about with name and value.
    for line in _lines(folder / "err.n"):
        found = re.fullmatch(rb"postconf: warning: [^ ]*/main\.cf: unused parameter: (.*?)=(.*)", line)
        if found:
            values[found[1]] = found[2]
    for line in _lines(folder / "out.n"):
        name, _, value = line.partition(b" =")
        # Set by -c, not by the file.
        if name != b"config_directory":
            values[name] = value.strip(b" ")
    return Main((folder / "status.n").read_text() == "0\n", values, (folder / "err.n").read_bytes())


def _master(folder: Path) -> Master:
    columns = tuple(tuple(line.split()[:8]) for line in _lines(folder / "out.M"))
    errors = (folder / "err.M").read_bytes() + (folder / "err.P").read_bytes()
    accepted = (folder / "status.M").read_text() == "0\n"
    return Master(accepted, columns, Counter(_lines(folder / "out.P")), errors)


class Judge:
    """postconf of one Debian suite."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        self._calls = 0

    def main(self, files: Mapping[str, bytes]) -> dict[str, Main]:
        """Let postconf read each main.cf."""
        folders = self._ask("n", {key: (data, EMPTY_MASTER) for key, data in files.items()})
        return {key: _main(folder) for key, folder in folders.items()}

    def master(self, files: Mapping[str, bytes]) -> dict[str, Master]:
        """Let postconf read each master.cf."""
        folders = self._ask("M P", {key: (b"", data) for key, data in files.items()})
        return {key: _master(folder) for key, folder in folders.items()}

    def _ask(self, what: str, files: Mapping[str, tuple[bytes, bytes]]) -> dict[str, Path]:
        self._calls += 1
        work = self._scratch / str(self._calls)
        folders = {}
        for number, (key, contents) in enumerate(files.items()):
            folders[key] = work / f"{number:05d}"
            folders[key].mkdir(parents=True)
            for name, data in zip(("main.cf", "master.cf"), contents):
                path = folders[key] / name
                path.write_bytes(data)
                # Postfix waits until a configuration file is some seconds old, in case it is still being written.
                os.utime(path, (1_600_000_000, 1_600_000_000))
        # The root is a read-only layer for everybody: the work directory is mounted into it in a namespace of our own.
        subprocess.run(
            ["unshare", "--mount", "--net", "--uts", "--propagation", "private", "/bin/sh", "-c"]
            + [_ENTER, "sh", str(work), str(self._root), _ASK],
            check=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "WHAT": what},
        )
        return folders
