"""The transaction itself: prepare without touching anything, go live step by step, commit; or roll back.

Every live effect is announced in the journal first. Order of writing (why: no reader may meet a reference
to something that is not there): new files, then files by the mail system's rank (tables, master.cf,
main.cf), then files that count by being there and go away, then reload, then the firewall's rules, then
all other files that go away. Taking back runs the ranks the other way round and opens the firewall first.
Between master.cf and main.cf nothing uses the new services yet; a main.cf written first would name
transports that do not run.

A change that must be confirmed does not end with a commit: a guard process, started before anything is
touched, takes it back when its time is over, or at once when this process dies before it got that far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    HostError,
    RollbackIncompleteError,
    RolledBackError,
)
from conbool_tui.host import FileState, Host
from conbool_tui.mail_system import MailSystem, Problem, counts_by_presence, rebuild
from conbool_tui.plan import LiveTarget, Plan
from conbool_tui.receipt import Progress, ProgressSink, Receipt
from conbool_tui.support.credentials import hide_credentials
from conbool_tui.transaction import live
from conbool_tui.transaction import record as records
from conbool_tui.transaction.deadline import Deadline
from conbool_tui.transaction.guarding import Guard, StartGuard, start_process
from conbool_tui.transaction.journal import Entry, Journal, Kind
from conbool_tui.transaction.merge import Conflict, take_back
from conbool_tui.transaction.receipts import receipt_of
from conbool_tui.transaction.record import FileEntry, Record
from conbool_tui.transaction.signals import Signals, Stopped
from conbool_tui.transaction.store import Store

if TYPE_CHECKING:
    from conbool_tui.firewall.driver import LiveRules

Observer = Callable[[str], None]
"""Called around every step with its name (``before``, ``announced`` or ``done``, the kind, the path); the
tests inject failures there.
"""

LIVE_KINDS = frozenset((Kind.FOLDER, Kind.WRITE, Kind.REMOVE, Kind.RELOAD, Kind.PUT))


class ProblemsError(ConboolError):
    """The mail system or the firewall refused; ``problems`` says what."""

    def __init__(self, what: str, problems: list[Problem]) -> None:
        parts = [problem.text + (f" ({problem.detail})" if problem.detail else "") for problem in problems]
        super().__init__(f"{what}: {'; '.join(parts)}")
        self.problems = problems


@dataclass
class Tools:
    """What every transaction works with."""

    host: Host
    store: Store
    system: MailSystem
    progress: Optional[ProgressSink] = None
    observer: Optional[Observer] = None
    signals: Signals = dataclasses.field(default_factory=Signals)
    live_for: live.LiveFor = live.real_live
    start_guard: StartGuard = start_process
    probe_networks: Sequence[str] = ()
    _drivers: dict[str, LiveRules] = dataclasses.field(default_factory=dict, init=False)

    def live(self, name: str) -> LiveRules:
        """The driver of a live target; always the same object, because drivers may remember what they read."""
        if name not in self._drivers:
            self._drivers[name] = self.live_for(self.host, name)
        return self._drivers[name]

    def tell(self, progress: Progress) -> None:
        """Report progress. A watcher whose terminal is gone (OSError) is no reason to stop."""
        if self.progress is not None:
            try:
                self.progress(progress)
            except OSError:
                self.progress = None


class Work:
    """One transaction over one record.

    Args:
        tools: host, store, mail system and who watches.
        record: the change; its folder is made by ``begin``.
    """

    def __init__(self, tools: Tools, record: Record) -> None:
        self.tools = tools
        self.host = tools.host
        self.system = tools.system
        self.record = record
        self.backward = record.backward
        self.journal = Journal(tools.host, tools.store.folder(record.id))
        self.rules: tuple[LiveTarget, ...] = record.plan.live if tools.host.live else ()
        self.confirm_within = record.plan.confirm_within if tools.host.live else 0
        self.touched = False
        self.rolling = False
        self._guard_process: Optional[Guard] = None
        self._begun = False
        self._committed = False
        self._folder_times: dict[str, tuple[int, int]] = {}
        self._total = 6 + len(record.entries) + len(self.rules) + (2 if self.confirm_within else 0)
        self._done = 0

    # --- telling ---------------------------------------------------------------------------------------

    def tell(self, phase: str, text: str) -> None:
        """Report progress."""
        self._done = min(self._done + 1, self._total)
        try:
            self.tools.tell(Progress(phase, text, self._done, self._total))
        except Exception:
            # A watcher that fails stops the way forward, never the way back.
            if not self.rolling:
                raise
            self.tools.progress = None

    def _observe(self, moment: str, do: str, path: str) -> None:
        if self.tools.observer is not None:
            self.tools.observer(f"{moment} {do} {path}".rstrip())

    def _step(self, do: str, text: str, effect: Optional[Callable[[], None]] = None, **fields: Any) -> None:
        path = str(fields.get("path", ""))
        self._observe("before", do, path)
        try:
            self.journal.append(do, text, **fields)
        except ConboolError:
            # Bringing back is the same however often it is done, so a full disk below the journal must not
            # stop it.
            if not self.rolling or do == Kind.ROLLED_BACK:
                raise
        self._observe("announced", do, path)
        if effect is not None:
            effect()
        self._observe("done", do, path)

    # --- the way forward -------------------------------------------------------------------------------

    def run(
        self,
        *,
        judge: Callable[[], list[Problem]],
        reload: bool,
        health: Callable[[], list[Problem]],
        judge_rules: Callable[[], list[Problem]] = list,
        message: Callable[[], str] = lambda: "",
    ) -> Receipt:
        """Do it all. A change that must be confirmed is left waiting for that (state UNCONFIRMED).

        Args:
            judge: what the mail system says about the staged configuration.
            reload: whether a running mail system is to read the files.
            health: whether it is well afterwards; problems roll back.
            judge_rules: what the firewall says about the new rules.
            message: what to record with the commit.

        Raises:
            CheckFailedError, HostError, NeedsRootError: it cannot begin; nothing was changed.
            RolledBackError: it failed and the old state is back.
            RollbackIncompleteError: it failed and the old state is not completely back.
        """
        try:
            self._begin(reload)
            self._prepare(judge, judge_rules)
            if self.confirm_within:
                self._start_guard()
            if self.backward:
                self._put_rules()
            self._write()
            self._remove(read_by_presence=True)
            if reload:
                self._reload()
            elif mail_files(self.record.plan):
                self._rebuild()
            if not self.backward:
                self._put_rules()
            self._remove(read_by_presence=False)
            if reload or self.rules:
                self._health(health if reload else list)
            self.tools.signals.check()
            if self.confirm_within:
                self._await(message())
            else:
                self._step(Kind.COMMIT, "Everything is done.", self._mark_committed, message=message())
                self.tell("done", f"Change {self.record.id} is recorded.")
        except BaseException as error:  # whatever it was, the old state comes back first
            if self._committed or self._commit_is_written():
                return self._receipt()
            if not self.touched:
                raise self._abandon(error) from error
            raise RollBack(self, reason_of(error), running=reload).after_failure() from error
        return self._receipt()

    def _mark_committed(self) -> None:
        self._committed = True

    def _commit_is_written(self) -> bool:
        """Whether the journal says that all is done though writing it failed (the disk took the line, not its sync): the next start would
        believe it, so nothing may be taken back."""
        with contextlib.suppress(ConboolError):
            entries = self.journal.read()
            return bool(entries) and entries[-1]["do"] == Kind.COMMIT
        return False

    # --- confirmation ----------------------------------------------------------------------------------

    def _start_guard(self) -> None:
        self.tell("confirm", "Starting the process that takes the change back unless it is confirmed.")
        if self._guard_process is None:
            self._guard_process = Guard(
                self.host,
                self.tools.store,
                self.record.id,
                self.tools.start_guard,
                self.tools.signals.check,
            )
        self._observe("before", "start guard", "")
        pid = self._guard_process.start()
        self._step(Kind.GUARD, "A process that takes the change back by itself is ready.", pid=pid)

    def _await(self, message: str) -> None:
        """Leave the change waiting; from here on the guard, a confirmation or the next start decides."""
        if self._guard_process is None or not self._guard_process.alive():
            self._start_guard()
        networks = list(self.tools.probe_networks)
        moment = ""
        with contextlib.suppress(ConboolError):
            moment = self.system.moment() if networks else ""
        self.tools.signals.check()
        deadline = Deadline.start(self.host, self.confirm_within)
        self._step(
            Kind.AWAIT,
            f"Everything is done; it is taken back at {deadline.by} unless it is confirmed.",
            self._mark_committed,
            **deadline.fields(),
            by_probe=bool(networks),
            networks=networks,
            moment=moment,
            message=message,
        )
        self.tell("confirm", f"Change {self.record.id} waits for confirmation until {deadline.by}.")

    def _receipt(self) -> Receipt:
        return receipt_of(self.host, self.tools.store.path, self.record.id)

    def _begin(self, reload: bool) -> None:
        plan = self.record.plan
        self._observe("before", "create record", "")
        self.tools.store.create(self.record.id)
        self._begun = True
        self._step(
            Kind.BEGIN,
            "Undo of " + self.record.undo_of if self.record.undo_of else "Apply a plan",
            format=1,
            system=plan.system,
            instance=plan.instance,
            config_directory=plan.config_directory,
            also=[dataclasses.asdict(one) for one in plan.also],
            undo_of=self.record.undo_of,
            titles=[change.title for change in plan.changes],
            files=[entry.path for entry in self.record.entries],
            reloads=reload,
            commands=list(plan.reload),
            rules=[target.name for target in self.rules],
            confirm_within=self.confirm_within,
        )

    def _prepare(self, judge: Callable[[], list[Problem]], judge_rules: Callable[[], list[Problem]]) -> None:
        self.tell("backup", "Keeping a copy of every file.")
        records.save(self.tools.store, self.record)
        self._step(Kind.BACKED_UP, "Every file is kept with owner, mode, times and attributes.")
        self.tools.signals.check()
        self.tell("judge", "Letting the mail system judge a staged copy.")
        problems = judge()
        if problems:
            raise ProblemsError("The mail system's own tools refuse the new configuration", problems)
        problems = judge_rules()
        if problems:
            raise ProblemsError("The firewall's own tool refuses the new rules", problems)
        self._step(Kind.JUDGED, "The staged copy is valid.")
        self.tools.signals.check()
        self.tell("stage", "Writing the new contents beside the files.")
        self._stage()
        self.tools.signals.check()

    def _stage(self) -> None:
        staged = [(entry, self._staged(entry)) for entry in self.record.entries if entry.after is not None]
        for _, path in staged:
            folder = posixpath.dirname(path)
            if folder not in self._folder_times:
                info = self.host.stat(folder)
                self._folder_times[folder] = (info.st_atime_ns, info.st_mtime_ns)
        self._step(
            Kind.STAGE, "New contents are written beside the files.", temporary=[path for _, path in staged]
        )
        for entry, path in staged:
            after = entry.after
            assert after is not None
            times = (after.atime_ns, after.mtime_ns) if entry.keep_times else None
            self._observe("before", "stage file", entry.path)
            self.host.write_new(path, after.data or b"", after, times=times)
            self._observe("done", "stage file", entry.path)

    def _staged(self, entry: FileEntry) -> str:
        folder = posixpath.dirname(entry.resolved)
        while not self.host.is_dir(folder):
            folder = posixpath.dirname(folder)
        return posixpath.join(folder, f".conbool-{self.record.id}-{self.record.entries.index(entry) + 1}")

    def ordered(self, *, backward: bool) -> list[FileEntry]:
        """The entries in the order of writing."""

        def rank(entry: FileEntry) -> tuple[int, int]:
            absent = entry.after if backward is not self.backward else entry.before
            value = self.system.write_rank(entry.path)
            return (0 if absent is None else 1, -value if backward else value)

        return sorted(self.record.entries, key=rank)

    def _write(self) -> None:
        staged = {entry.path: self._staged(entry) for entry in self.record.entries if entry.after is not None}
        for entry in self.ordered(backward=self.backward):
            if entry.after is None:
                continue
            self.tools.signals.check()
            self._guard(entry)
            self._make_folders(posixpath.dirname(entry.resolved))
            self.tell("write", f"Writing {entry.path}.")
            self.touched = True
            self._step(
                Kind.WRITE,
                f"Put the new {posixpath.basename(entry.path)} in place.",
                partial(self.host.move, staged[entry.path], entry.resolved),
                path=entry.path,
                before=None if entry.before is None else records.checksum(entry.before.data or b""),
                after=records.checksum(entry.after.data or b""),
            )

    def _guard(self, entry: FileEntry) -> None:
        """The last look before a file is replaced: an edit made since the check is not overwritten."""
        now = self.host.capture(entry.resolved)
        if (None if now is None else now.data) != (None if entry.before is None else entry.before.data):
            raise changed_meanwhile(entry.path)

    def _make_folders(self, folder: str) -> None:
        missing = []
        while not self.host.is_dir(folder):
            missing.append(folder)
            folder = posixpath.dirname(folder)
        for path in reversed(missing):
            self.touched = True
            self._step(Kind.FOLDER, "Create a folder.", partial(self.host.make_folder, path), path=path)

    def _reload(self) -> None:
        self.tools.signals.check()
        self.tell("reload", "Reloading the mail system.")
        problems: list[Problem] = []
        self._step(
            Kind.RELOAD, "The mail system reads the files.", lambda: problems.extend(self.system.reload())
        )
        if problems:
            raise ProblemsError("The mail system could not be reloaded", problems)

    def _rebuild(self) -> None:
        """What is built from the files follows them also where nothing runs that could be reloaded."""
        problems = rebuild(self.system) if self.host.live else []
        if problems:
            raise ProblemsError("What is built from the files could not be built anew", problems)

    def _put_rules(self) -> None:
        for target in self.rules:
            if target.before == target.after:
                continue
            self.tools.signals.check()
            driver = self.tools.live(target.name)
            live.check_rules(driver, target)
            self.tell("firewall", f"Putting the firewall rules in force ({target.name}).")
            self.touched = True
            problems: list[Problem] = []
            self._step(
                Kind.PUT,
                "Put the new rules in force.",
                partial(_collect, problems, driver, target.after),
                path=target.name,
                before=target.before,
                after=target.after,
            )
            if problems:
                raise ProblemsError(f"The firewall did not take the rules ({target.name})", problems)
            self._step(Kind.IN_FORCE, "The new rules are in force.", path=target.name)

    def _remove(self, *, read_by_presence: bool) -> None:
        for entry in self.record.entries:
            if counts_by_presence(self.system, entry.path) is not read_by_presence:
                continue
            if entry.after is None and entry.before is not None:
                self.tools.signals.check()
                self._guard(entry)
                self.touched = True
                self.tell("write", f"Removing {entry.path}.")
                self._step(
                    Kind.REMOVE,
                    "Remove a file that is not used any more.",
                    partial(self.host.remove, entry.resolved),
                    path=entry.path,
                    before=records.checksum(entry.before.data or b""),
                    after=None,
                )
        for folder in sorted(self.record.removed_folders, key=len, reverse=True):
            if not read_by_presence and self.host.is_dir(folder) and not self.host.listdir(folder):
                self.touched = True
                self._step(
                    Kind.REMOVE,
                    "Remove an empty folder of ours.",
                    partial(self.host.remove, folder),
                    path=folder,
                )

    def _health(self, health: Callable[[], list[Problem]]) -> None:
        self.tools.signals.check()
        self.tell("health", "Looking whether all is well.")
        self._step(Kind.HEALTH, "The mail system is asked whether it is well, the firewall what it does.")
        for target in self.rules:
            problems = live.settled(self.tools.live(target.name), target.after)
            if problems:
                raise ProblemsError("The firewall is not as it should be after the change", problems)
        problems = health()
        if problems:
            raise ProblemsError("The mail system is not well after the change", problems)

    # --- nothing live touched yet ----------------------------------------------------------------------

    def _abandon(self, error: BaseException) -> BaseException:
        """Leave no trace beside the record: the error to raise instead."""
        reason = reason_of(error)
        self.clean_staged([self._staged(entry) for entry in self.record.entries if entry.after is not None])
        if self._begun:
            try:
                self.journal.append(
                    Kind.ROLLED_BACK, "Nothing was changed.", message=f"{reason} Nothing was changed."
                )
            except ConboolError:
                # Without room for one more line the record goes: it describes nothing that happened.
                with contextlib.suppress(ConboolError):
                    self.tools.store.discard(self.record.id)
        if isinstance(error, (ProblemsError, HostError)):
            why = error.why or "The mail configuration is as it was."
            return CheckFailedError(
                f"{error.what} Nothing was changed.", why, error.todo or "Repair that and run again."
            )
        if isinstance(error, ConboolError):
            return error
        if isinstance(error, (Stopped, KeyboardInterrupt, SystemExit)):
            return RolledBackError(
                f"The change did not begin: {reason}. Nothing was changed.", "", "Run again when you like."
            )
        return RolledBackError(
            f"The change did not begin: {reason} Nothing was changed.", "", "Please report this."
        )

    def clean_staged(self, paths: list[str]) -> None:
        """Remove temporary files of ours and give their folders their times back."""
        for path in paths:
            with contextlib.suppress(ConboolError):
                if self.host.lstat(path) is not None:
                    self.host.remove(path)
        if not self.touched:
            for folder, (atime, mtime) in self._folder_times.items():
                with contextlib.suppress(ConboolError):
                    self.host.set_times(folder, atime, mtime)


@dataclass(frozen=True)
class Leftover:
    """Something a rollback could not do, and the command that does it by hand."""

    what: str
    command: str


class RollBack:
    """Bring back what was before a change that did not finish. May be run again and again, also after a
    crash in itself.

    Args:
        work: the transaction.
        reason: why, one sentence.
        running: whether the mail system was to be reloaded by the change.
        accept: take a file or rules with later edits, and a mail system that is not well, as they are.
        may_start: start a mail system that does not run; no while the system goes down.
    """

    def __init__(
        self, work: Work, reason: str, *, running: bool, accept: bool = False, may_start: bool = True
    ) -> None:
        self.work = work
        self.host = work.host
        self.reason = reason
        self.running = running
        self.accept = accept
        self.may_start = may_start
        self.left: list[Leftover] = []
        self._failed: set[str] = set()
        self.conflicts: list[Conflict] = []

    def after_failure(self) -> ConboolError:
        """Roll back and give the error to raise."""
        self.run()
        change = self.work.record.id
        if not self.left:
            return RolledBackError(
                f"Change {change} failed and the old state is back. {sentence(self.reason)}",
                "The mail system works as before.",
                "Repair the cause and run again.",
            )
        versions = [line for conflict in self.conflicts for line in conflict.lines()]
        return RollbackIncompleteError(
            f"Change {change} failed and could not be taken back completely. {sentence(self.reason)}",
            "\n".join([*(item.what for item in self.left), *versions]),
            "Finish by hand:\n" + "\n".join(dict.fromkeys(f"  {item.command}" for item in self.left)),
        )

    def run(self) -> None:
        """Do it, noting what could not be done."""
        work = self.work
        work.touched = work.rolling = True
        work.tell("rollback", f"Taking back: {self.reason}")
        self._try("", lambda: work._step(Kind.ROLLBACK, "Bring the old state back.", reason=self.reason))
        entries = work.journal.read()
        announced = {entry["path"] for entry in entries if entry["do"] in (Kind.WRITE, Kind.REMOVE)}
        staged = [path for entry in entries if entry["do"] == Kind.STAGE for path in entry["temporary"]]
        rules = live.announced(entries, work.rules)
        for target in rules:
            self._try(target.name, partial(self._restore_rules, target, entries))
        failed = set(self._failed)
        work.clean_staged(staged)
        changed = [entry for entry in work.ordered(backward=not work.backward) if entry.path in announced]
        for entry in changed:
            if entry.before is not None or counts_by_presence(work.system, entry.path):
                self._try(entry.path, partial(self._restore, entry))
        if self.running:
            self._try_system(self._reload)
        elif self.host.live and changed:
            self._try("", work._rebuild)
        for entry in changed:
            if entry.before is None:
                self._try(entry.path, partial(self._restore, entry))
        for line in reversed([entry for entry in entries if entry["do"] == Kind.FOLDER]):
            self._try(line["path"], partial(self._remove_folder, line["path"]))
        for target in rules:
            # A firewall's tool may have read its files again before they were back.
            if target.name not in failed:
                self._try(target.name, partial(self._restore_rules, target, work.journal.read()))
        if self.running and not self.left:
            self._try_system(self._health)
        self._end()

    def _end(self) -> None:
        journal = self.work.journal
        if self.left:
            message = sentence(self.reason) + " Left to do: " + "; ".join(item.what for item in self.left)
            with contextlib.suppress(ConboolError):
                journal.append(Kind.INCOMPLETE, "Not everything is back.", message=message)
            return
        self._try(
            "",
            lambda: self.work._step(
                Kind.ROLLED_BACK, "The old state is back.", message=sentence(self.reason)
            ),
        )
        self.work.tell("rollback", "The old state is back.")

    def _try(self, path: str, action: Callable[[], None]) -> None:
        """One failing file must not keep the others from coming back."""
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - noted, told at the end
            entry = next((item for item in self.work.record.entries if item.path == path), None)
            what = f"{path or 'journal'}: {reason_of(error)}"
            self.left.append(Leftover(what, self._by_hand(entry, path)))
            self._failed.add(path)

    def _by_hand(self, entry: Optional[FileEntry], path: str) -> str:
        if entry is None:
            ours = not path or any(target.name == path for target in self.work.rules)
            return f"conbool-tui undo {self.work.record.id}" if ours else f"rmdir {path}"
        if entry.before is None:
            return f"rm {entry.path}"
        name = records.blob_name(self.work.record.entries, entry, "before")
        return f"cat {self.work.tools.store.folder(self.work.record.id)}/{name} > {entry.path}"

    def _restore(self, entry: FileEntry) -> None:
        now = self.host.capture(entry.path)
        data = None if now is None else now.data
        before = None if entry.before is None else entry.before.data
        after = None if entry.after is None else entry.after.data
        if data == before:
            return
        merged = take_back(self.work.record.plan.changes, entry.path, before, after, data)
        if merged.conflicts:
            if self.accept:
                return
            self.conflicts.extend(merged.conflicts)
            raise ConboolError(
                "it was edited meanwhile and is left as it is: "
                + "; ".join(f"{item.key or 'the whole file'} differs" for item in merged.conflicts)
            )
        if merged.data == data:
            return
        self._put_back(entry, now, merged.data, exact=merged.data == before)

    def _put_back(
        self, entry: FileEntry, now: Optional[FileState], data: Optional[bytes], *, exact: bool
    ) -> None:
        resolved = self.host.resolve(entry.path)

        def effect() -> None:
            if data is None:
                self.host.remove(resolved)
                return
            temporary = posixpath.join(posixpath.dirname(resolved), f".conbool-{self.work.record.id}-back")
            with contextlib.suppress(ConboolError):
                self.host.remove(temporary)
            like = entry.before if exact or now is None else now
            times = (
                (entry.before.atime_ns, entry.before.mtime_ns) if exact and entry.before is not None else None
            )
            self.host.write_new(temporary, data, like, times=times)
            self.host.move(temporary, resolved)

        if data is not None:
            self.work._make_folders(posixpath.dirname(resolved))
        self.work._step(Kind.RESTORE, "Bring the old content back.", effect, path=entry.path)

    def _restore_rules(self, target: LiveTarget, entries: Sequence[Entry]) -> None:
        driver = self.work.tools.live(target.name)

        def announce(effect: Callable[[], None]) -> None:
            self.work._step(Kind.PUT_BACK, "Put the old rules in force.", effect, path=target.name)
            self.work._step(Kind.IN_FORCE, "The old rules are in force.", path=target.name)

        half = live.half_put(entries, target.name)
        if live.put_back(driver, target, half=half, announce=announce) or self.accept:
            return
        self.conflicts.append(Conflict(target.name, "", target.before, target.after, driver.read()))
        raise ConboolError("the rules were edited meanwhile and are left as they are")

    def _remove_folder(self, path: str) -> None:
        if self.host.is_dir(path) and not self.host.listdir(path):
            self.work._step(
                Kind.RESTORE, "Remove a folder of ours.", lambda: self.host.remove(path), path=path
            )

    def _try_system(self, action: Callable[[], list[Problem]]) -> None:
        """Reload or ask; a second try, because processes started under the failed configuration may still
        be dying of it.
        """
        problems: list[Problem] = []
        try:
            problems = action()
            if problems:
                problems = self._reload() or action()
        except BaseException as error:  # noqa: BLE001 - noted, told at the end
            problems = [Problem(reason_of(error))]
        for problem in () if self.accept else problems:
            text = problem.text + (f" ({problem.detail})" if problem.detail else "")
            self.left.append(
                Leftover(text, "; ".join(self.work.record.plan.reload) or "reload the mail system")
            )

    def _reload(self) -> list[Problem]:
        self.work._step(Kind.RELOAD, "The mail system reads the old files.")
        if self.work.system.running():
            return self.work.system.reload()
        return self.work.system.start() if self.may_start else []

    def _health(self) -> list[Problem]:
        if not self.may_start and not self.work.system.running():
            return []
        return self.work.system.health(bare(self.work.record.plan))


def _collect(problems: list[Problem], driver: LiveRules, rules: Optional[str]) -> None:
    problems.extend(driver.put(rules))


def mail_files(plan: Plan) -> Mapping[str, Optional[bytes]]:
    """The plan's files that the mail systems read (those below their configuration directories), with their new contents."""
    tops = tuple(posixpath.normpath(one.config_directory) + "/" for one in plan.target.all)
    return {
        target.path: target.after for target in plan.files if posixpath.normpath(target.path).startswith(tops)
    }


def bare(plan: Plan) -> Plan:
    """The plan without what only holds when it is applied: its ports."""
    return dataclasses.replace(plan, health_ports=())


def changed_meanwhile(path: str) -> CheckFailedError:
    """The error for a file that is not as it was when the plan was made."""
    return CheckFailedError(
        f"{path} was changed between plan and apply.",
        "The plan was made for its old content, and somebody's edit would be lost.",
        "Run again: the new plan starts from the file as it is now.",
    )


def sentence(text: str) -> str:
    """Text that ends like a sentence."""
    return text if text.endswith((".", "!", "?")) else text + "."


def reason_of(error: BaseException) -> str:
    """An exception in words for people."""
    if isinstance(error, ConboolError):
        return sentence(error.what)
    if isinstance(error, KeyboardInterrupt):
        return "it was stopped from the keyboard"
    if isinstance(error, MemoryError):
        return "memory ran out"
    return hide_credentials(str(error)) or type(error).__name__
