"""How the mail system stood before an undo, and what that means afterwards."""

from __future__ import annotations

from conbool_tui.errors import ConboolError
from conbool_tui.mail_system import MailSystem, Problem
from conbool_tui.plan import Plan
from conbool_tui.transaction.record import Record
from conbool_tui.transaction.work import Tools, bare, mail_files, reason_of, sentence


class SystemState:
    """How the mail system stood before the undo: what was wrong already is no reason to refuse it."""

    def __init__(self, tools: Tools, plan: Plan) -> None:
        self._system: MailSystem = tools.system
        self._host = tools.host
        self._plan = plan
        self._notes: list[str] = []
        self._concerned = bool(mail_files(plan))
        self.running = tools.host.live and self._concerned and self._runs()
        # ready() also remembers what the system says now, for the comparison afterwards.
        self._was_well = self.running and not self._ready() and not self._ask(bare(plan))

    def _runs(self) -> bool:
        try:
            return self._system.running()
        except ConboolError:
            return False

    def _ready(self) -> list[Problem]:
        try:
            return self._system.ready(self._plan)
        except ConboolError as error:
            return [Problem(reason_of(error))]

    def _ask(self, plan: Plan) -> list[Problem]:
        try:
            return self._system.health(plan)
        except ConboolError as error:
            return [Problem(reason_of(error))]

    def health_after(self) -> list[Problem]:
        """Problems that are new; old ones become a note."""
        problems = self._ask(self._plan)
        if problems and not self._was_well:
            self._notes.append(
                "The mail system was not well before and is not now: " + sentence(problems[0].text)
            )
            return []
        return problems

    def message(self, record: Record) -> str:
        """What the admin should know beside the success."""
        notes = list(self._notes)
        if self._host.live and self._concerned and not self.running:
            notes.append("The mail system was not running: its files are back, nothing was reloaded.")
        kept = [folder for folder in record.removed_folders if self._host.is_dir(folder)]
        notes.extend(f"{folder} was kept: it holds files that are not ours." for folder in kept)
        merged = [entry.path for entry in record.entries if not entry.keep_times and entry.after is not None]
        notes.extend(f"Later edits in {path} were kept." for path in merged)
        return " ".join(notes)
