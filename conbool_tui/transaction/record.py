"""What the store keeps of one change: the whole plan and every file before and after."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

from conbool_tui.errors import CheckFailedError
from conbool_tui.host import FileState, Host
from conbool_tui.mail_system import MailTarget
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Notice, Plan, Step
from conbool_tui.transaction.store import Store

FILES = "files.json"
PLAN = "plan.json"

Contents = Callable[[int, str], Optional[bytes]]
"""The content of a plan's file, by its number and the side (before, after)."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a change. ``before`` or ``after`` None: not there.

    ``links`` are the symbolic links met on the way from ``path`` to ``resolved``, each with its text.
    ``keep_times``: the times of ``after`` are to be set (an undo gives a file its old times back), else
    the file gets the time of writing.
    """

    path: str
    resolved: str
    links: tuple[tuple[str, str], ...]
    before: Optional[FileState]
    after: Optional[FileState]
    keep_times: bool = False


@dataclass(frozen=True)
class Record:
    """One change as kept in the store. ``backward``: it takes something back, which turns the order of
    writing round.
    """

    id: str
    plan: Plan
    entries: tuple[FileEntry, ...]
    folders: tuple[str, ...]
    undo_of: str = ""
    removed_folders: tuple[str, ...] = ()
    backward: bool = False

    @property
    def target(self) -> MailTarget:
        """The mail system this change belongs to."""
        return target_of(self.plan)


def target_of(plan: Plan) -> MailTarget:
    """The mail system a plan is for."""
    return plan.target


def checksum(data: bytes) -> str:
    """SHA-256 in hexadecimal, as sha256sum(1) prints it."""
    return hashlib.sha256(data).hexdigest()


def blob_name(entries: tuple[FileEntry, ...], entry: FileEntry, side: str) -> str:
    """Where the content of one side is kept, relative to the change's folder."""
    return f"{side}/{entries.index(entry) + 1:03d}-{posixpath.basename(entry.path)}"


def save(store: Store, record: Record) -> None:
    """Write plan, manifest and contents, each synced. Raises HostError."""
    manifest: list[dict[str, Any]] = []
    for entry in record.entries:
        sides: dict[str, Any] = {}
        for side, state in (("before", entry.before), ("after", entry.after)):
            sides[side] = None
            if state is not None:
                name = blob_name(record.entries, entry, side)
                store.save(record.id, name, state.data or b"")
                sides[side] = _state_to_json(name, state)
        manifest.append(
            {
                "path": entry.path,
                "resolved": entry.resolved,
                "links": [list(link) for link in entry.links],
                "keep_times": entry.keep_times,
                **sides,
            }
        )
    document = {
        "files": manifest,
        "folders": list(record.folders),
        "removed_folders": list(record.removed_folders),
        "undo_of": record.undo_of,
        "backward": record.backward,
    }
    store.save(record.id, FILES, _dump(document))
    store.save(record.id, PLAN, _dump(plan_to_json(record.plan)))


def load(store: Store, change_id: str) -> Record:
    """Read a change back, its contents verified against their checksums.

    Raises:
        CheckFailedError: the record is damaged.
        HostError: it cannot be read.
    """
    try:
        document = json.loads(store.load(change_id, FILES))
        entries = tuple(_entry_from_json(store, change_id, item) for item in document["files"])
        contents = {entry.path: entry for entry in entries}
        document_of_plan = json.loads(store.load(change_id, PLAN))
        plan = plan_from_json(document_of_plan, _contents(document_of_plan, contents))
        return Record(
            change_id,
            plan,
            entries,
            tuple(document["folders"]),
            document["undo_of"],
            tuple(document["removed_folders"]),
            bool(document["backward"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(store, change_id, str(error)) from None


def load_plan(host: Host, state_dir: str, change_id: str) -> Plan:
    """The plan of a recorded change. Raises as ``load``."""
    return load(Store(host, state_dir), change_id).plan


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values; contents of files as checksums, their bytes lie beside it."""
    document = dataclasses.asdict(dataclasses.replace(plan, files=()))
    document["files"] = [
        {
            "path": target.path,
            "mode": f"{target.mode:04o}",
            "generated": target.generated,
            "before": None if target.before is None else checksum(target.before),
            "after": None if target.after is None else checksum(target.after),
        }
        for target in plan.files
    ]
    return document


def plan_from_json(document: Mapping[str, Any], content: Contents) -> Plan:
    """The plan of ``plan_to_json``. Raises ValueError, KeyError or TypeError: it is none."""
    return Plan(
        system=document["system"],
        instance=document["instance"],
        config_directory=document["config_directory"],
        changes=tuple(
            Change(**{**item, "kind": ChangeKind(item["kind"]), "step": Step(item["step"])})
            for item in document["changes"]
        ),
        files=tuple(
            FileTarget(
                item["path"],
                content(number, "before"),
                content(number, "after"),
                int(item["mode"], 8),
                bool(item.get("generated", False)),
            )
            for number, item in enumerate(document["files"])
        ),
        notices=tuple(
            Notice(item["level"], item["text"], None if item["step"] is None else Step(item["step"]))
            for item in document["notices"]
        ),
        reload=tuple(document["reload"]),
        health_ports=tuple(document["health_ports"]),
        # Not in records of the first version.
        live=tuple(LiveTarget(**item) for item in document.get("live", ())),
        confirm_within=int(document.get("confirm_within", 0)),
        answers=str(document.get("answers", "")),
        ask_again=str(document.get("ask_again", "")),
        also=targets_from_json(document.get("also", ())),
    )


def targets_from_json(items: Sequence[Mapping[str, Any]]) -> tuple[MailTarget, ...]:
    """The further mail systems of a change. Raises KeyError or TypeError: they are none."""
    return tuple(MailTarget(item["system"], item["instance"], item["config_directory"]) for item in items)


def _contents(document: Mapping[str, Any], entries: Mapping[str, FileEntry]) -> Contents:
    def content(number: int, side: str) -> Optional[bytes]:
        entry = entries[document["files"][number]["path"]]
        state = entry.before if side == "before" else entry.after
        return None if state is None else state.data

    return content


def _state_to_json(name: str, state: FileState) -> dict[str, Any]:
    return {
        "content": name,
        "sha256": checksum(state.data or b""),
        "mode": f"{state.mode:04o}",
        "uid": state.uid,
        "gid": state.gid,
        "mtime_ns": state.mtime_ns,
        "atime_ns": state.atime_ns,
        "xattrs": {
            key: base64.b64encode(value).decode("ascii") for key, value in sorted(state.xattrs.items())
        },
    }


def _entry_from_json(store: Store, change_id: str, item: Mapping[str, Any]) -> FileEntry:
    def state(side: str) -> Optional[FileState]:
        saved = item[side]
        if saved is None:
            return None
        data = store.load(change_id, saved["content"])
        if checksum(data) != saved["sha256"]:
            raise _damaged(store, change_id, f"{saved['content']} does not match its checksum")
        xattrs = {key: base64.b64decode(value) for key, value in saved["xattrs"].items()}
        mode = int(saved["mode"], 8)
        return FileState(data, mode, saved["uid"], saved["gid"], saved["mtime_ns"], saved["atime_ns"], xattrs)

    links = tuple((link[0], link[1]) for link in item["links"])
    return FileEntry(
        item["path"], item["resolved"], links, state("before"), state("after"), item["keep_times"]
    )


def _damaged(store: Store, change_id: str, detail: str) -> CheckFailedError:
    return CheckFailedError(
        f"The record of change {change_id} is damaged: {detail}.",
        "Nothing can be taken back from a record that is not whole.",
        f"Look at {store.folder(change_id)}; its folder before/ holds the files' contents before the change.",
    )


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=True, default=str).encode("ascii") + b"\n"
