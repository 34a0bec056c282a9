"""A session over the fake machine, whose workers are real processes with fake systems."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.host import Host
from conbool_tui.plan import Plan
from conbool_tui.session import Session
from conbool_tui.transaction.jobs import WORKER, Job
from conbool_tui.transaction.store import Store
from conbool_tui.worker import Told, Worker
from tests.unit.transaction.rig import STATE, FakeRules, Rig

PATIENCE = 30.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"never came: {what}")
        time.sleep(0.01)


class WorkerRig(Rig):
    """The machine with workers that can be told to do something in the middle of their work."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        (root / "var/log").mkdir()
        self.workers: list[int] = []
        self.at: Optional[str] = None
        self.deed: Callable[[], object] = lambda: None
        self.before_begin: Callable[[], None] = lambda: None
        self.session = self.new_session()

    def new_session(self) -> Session:
        return Session(self.host, STATE, start_worker=self.start_worker)

    def order(self, at: str, deed: Callable[[], object]) -> None:
        """Have the first worker that gets to a step do something there."""
        self.at, self.deed = at, deed
        (self.root / "done").unlink(missing_ok=True)

    def start_worker(self, host: Host, state_dir: str, job_id: str) -> None:
        """A worker in a process of its own."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                # As exec(2) would: else it would hold the caller's locks.
                os.closerange(3, 256)
                told = Told()
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                signal.signal(signal.SIGINT, told.note)
                signal.signal(signal.SIGTERM, told.note)
                self.before_begin()

                def observer(step: str) -> None:
                    done = self.root / "done"
                    if step == self.at and not done.exists():
                        done.touch()
                        self.deed()

                Worker(
                    host, state_dir, job_id, self.system_for, FakeRules, self.guard, told, observer
                ).serve()
                code = 0
            finally:
                os._exit(code)
        self.workers.append(pid)
        (self.root / "workers").write_text("\n".join(map(str, self.workers)))

    def apply_it(self, plan: Optional[Plan] = None, confirm: int = 0) -> object:
        return self.session.apply(plan or self.live_plan(confirm))

    def jobs(self) -> list[Job]:
        store = Store(self.host, STATE)
        return [Job(store, name) for name in self.host.listdir(store.jobs)]

    def worker_pid(self) -> int:
        """The worker that is at it now."""
        found: list[int] = []

        def there() -> bool:
            found.extend(filter(None, [job.pid() for job in self.jobs() if not job.free(WORKER)]))
            return bool(found)

        until(there, "the worker")
        return found[-1]

    def idle(self) -> bool:
        return all(job.free(WORKER) for job in self.jobs())

    def mark(self, name: str) -> Callable[[], None]:
        """A deed: say that it got here, and wait until ``go``."""

        def deed() -> None:
            (self.root / name).touch()
            end = time.monotonic() + PATIENCE
            while not (self.root / "go").exists() and time.monotonic() < end:
                time.sleep(0.01)

        return deed

    def reached(self, name: str) -> None:
        until((self.root / name).exists, name)

    def go(self) -> None:
        (self.root / "go").touch()

    def caller(self, work: Callable[[], object]) -> int:
        """Another process as the caller; its process id."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.setsid()
                work()
                code = 0
            except SystemExit as error:
                code = int(str(error.code))
            except KeyboardInterrupt:
                code = 130
            except BaseException as error:
                (self.root / "error").write_text(f"{type(error).__name__}: {error}")
                code = 99
            finally:
                os._exit(code)
        return pid

    def end_of(self, pid: int) -> int:
        """Exit code (or minus the signal) of a caller."""
        found: list[int] = []

        def gone() -> bool:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                found.append(os.waitstatus_to_exitcode(status))
            return bool(ended)

        until(gone, "the caller's end")
        return found[0]

    def close(self) -> None:
        self.go()
        for pid in self.workers:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self.end_guards()
