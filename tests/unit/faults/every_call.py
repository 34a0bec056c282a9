"""Run apply (or undo) once for every system call that writes, with that call failing; meant to run with the library preloaded.

Usage: every_call.py apply|undo FOLDER ERRNO once|lasting. Prints one JSON object a line: the call's number, its name, how the run
ended, and what the machine looks like after the next start of the program.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from conbool_tui.errors import ConboolError
from tests.unit.transaction.rig import MAIN, Rig

Tree = dict[str, tuple[object, ...]]


def plain(rig: Rig) -> Tree:
    """The tree by paths below the root."""
    cut = len(str(rig.root))
    return {name[cut:]: value for name, value in rig.tree().items()}


def contents(rig: Rig) -> dict[str, object]:
    """What the files hold and who may read them; the times of files that were written again are their own."""
    return {name: value[:4] for name, value in plain(rig).items()}


def states(folder: Path, what: str) -> tuple[dict[str, object], dict[str, object]]:
    """What the machine looks like when nothing was done, and when everything was."""
    rig = Rig(folder)
    if what == "undo":
        rig.apply()
    before = contents(rig)
    if what == "undo":
        rig.undo()
    else:
        rig.apply()
    return before, contents(rig)


def attempt(folder: Path, what: str, number: int, code: int, lasting: bool, log: Path) -> dict[str, Any]:
    """One run with call ``number`` failing."""
    rig = Rig(folder)
    if what == "undo":
        rig.apply()
    os.environ.update(FAULT_AT=str(number), FAULT_ERRNO=str(code), FAULT_LOG=str(log))
    if lasting:
        os.environ["FAULT_LASTS"] = "1"
    os.environ["FAULT_BELOW"] = str(rig.root)
    result: dict[str, Any] = {"number": number, "trouble": ""}
    try:
        (rig.undo if what == "undo" else rig.apply)()
        result["end"] = "done"
    except ConboolError as error:
        result["end"] = type(error).__name__
        result["told"] = error.lines()
    except BaseException:
        result["end"] = "traceback"
        result["trouble"] = traceback.format_exc()
    os.environ["FAULT_AT"] = "0"
    result["at_once"] = contents(rig)
    if lasting:
        # What cannot be removed from a file system that takes nothing any more goes at the next start.
        result["at_once"] = {
            name: value for name, value in result["at_once"].items() if "/.conbool" not in name
        }
    try:
        rig.recover()
    except BaseException:
        result["trouble"] += traceback.format_exc()
    result["state"] = contents(rig)
    result["loaded"] = rig.system.loaded == rig.data(MAIN)
    result["leftovers"] = [
        str(path) for top in ("etc", "srv") for path in (rig.root / top).rglob(".conbool*")
    ]
    return result


def forked(work: Any) -> Any:
    """The result of a function that runs in a child, so that its environment and its counter end with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            json.dump(work(), out, default=repr)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as source:
        text = source.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def main(what: str, folder: str, code: int, how: str) -> None:
    """Every call in turn, until a run meets fewer calls than the number that should fail."""
    top = Path(folder)
    old, new = forked(lambda: states(top / "good", what))
    number = 0
    while True:
        number += 1
        log = top / f"log-{number}"
        found = forked(partial(attempt, top / f"run-{number}", what, number, code, how == "lasting", log))
        calls = log.read_text().splitlines() if log.exists() else []
        reached = len(calls) >= number
        found["call"] = calls[number - 1].split(" ", 2)[2] if reached else ""
        for moment in ("at_once", "state"):
            found[moment] = "old" if found[moment] == old else "new" if found[moment] == new else "neither"
        print(json.dumps(found), flush=True)
        if not reached:
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
