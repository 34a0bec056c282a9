"""The editor reads main.cf and master.cf as Postfix's own postconf does, and its changes show there and nowhere else.

Real Postfix 3.5, 3.7 and 3.10 are the judges. All files of one suite go through one chroot call: a call costs more than a file.
"""

from __future__ import annotations

import os
import random
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
Files = Mapping[str, tuple[bytes, bytes]]

# Each answer in a file of its own: warnings must never get into what is parsed.
_ASK = """
for dir in /mnt/*/; do
    for what in n M P; do
        postconf -c "$dir" -$what >"$dir/out.$what" 2>"$dir/err.$what" </dev/null
        echo $? >"$dir/status.$what"
    done
done
"""


@dataclass(frozen=True)
class Answer:
    """What postconf says about one configuration directory."""

    main_ok: bool
    main: Mapping[bytes, bytes]
    master_ok: bool
    entries: tuple[tuple[bytes, ...], ...]
    overrides: Counter[bytes]
    errors: bytes


def _pairs(lines: list[bytes], separator: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(separator) for line in lines)
    return {name.rstrip(): value.strip(b" ") for name, _, value in pairs}


def _answer(folder: Path) -> Answer:
    # An unknown parameter that nothing refers to is not listed; postconf warns about it with its name and value.
    warned = [
        line.partition(b": unused parameter: ")[2]
        for line in (folder / "err.n").read_bytes().split(b"\n")
        if b": unused parameter: " in line and b"/main.cf: " in line
    ]
    listed = [line for line in (folder / "out.n").read_bytes().split(b"\n") if line]
    return Answer(
        main_ok=(folder / "status.n").read_text().strip() == "0",
        main={**_pairs(warned, b"="), **_pairs(listed, b"=")},
        master_ok=(folder / "status.M").read_text().strip() == "0",
        entries=tuple(
            tuple(line.split()[:8]) for line in (folder / "out.M").read_bytes().split(b"\n") if line
        ),
        overrides=Counter(line for line in (folder / "out.P").read_bytes().split(b"\n") if line),
        errors=(folder / "err.n").read_bytes() + (folder / "err.M").read_bytes(),
    )


class Judge:
    """postconf of one Debian suite."""

    def __init__(self, suite: str, root: Path, scratch: Path) -> None:
        self.suite = suite
        self._root = root
        self._scratch = scratch

    def ask(self, files: Files) -> dict[str, Answer]:
        """Let postconf read each (main.cf, master.cf)."""
        names = {}
        work = self._scratch / str(len(list(self._scratch.iterdir())))
        for number, (key, (main, master)) in enumerate(files.items()):
            folder = work / f"{number:05d}"
            folder.mkdir(parents=True)
            (folder / "main.cf").write_bytes(main)
            (folder / "master.cf").write_bytes(master)
            names[key] = folder
        # The root is a read-only layer for everybody: the work directory is mounted into it in a namespace of our own.
        subprocess.run(
            ["unshare", "--mount", "--net", "--uts", "--propagation", "private", "/bin/sh", "-c"]
            + ['hostname mx1.example.com && mount --bind "$1" "$2/mnt" && exec chroot "$2" /bin/sh -c "$3"', "sh"]
            + [str(work), str(self._root), _ASK],
            check=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )
        return {key: _answer(folder) for key, folder in names.items()}
