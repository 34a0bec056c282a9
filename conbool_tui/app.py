"""The wizard's application: keys and looks for all screens, moving between them, signals, and the end of a
run.

Imports neither the session nor anything it needs (sh, psutil, yaml, dns, ssl): those load in a thread after
the first picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import ClassVar, Optional, Union, cast

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError, ExitCode
from conbool_tui.wizard_state import WizardState
from screens import glyphs
from screens.base import BaseScreen
from screens.dialogs import Question, SaveScreen, TooSmallScreen, TypedQuestion
from screens.flow import FLOW, FlowStep
from screens.painting import Painter
from screens.ports import WizardSession
from screens.texts import asked
from screens.work import Job

MIN_COLUMNS = 60
MIN_ROWS = 18
TERMINAL_GONE = 129
_POLL_SECONDS = 1.0

SessionSource = Union[WizardSession, Callable[[], WizardSession]]


class WizardApp(App[int], inherit_bindings=False):
    """All screens of one run.

    Args:
        source: the session, or a function that makes it; it is called in a thread after the first picture.
        answers: where the fields begin, for example from an answers file.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "conbool-tui"
    CSS = "* { scrollbar-size: 0 0; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+l", "redraw", show=False, priority=True),
    ]

    def __init__(self, source: SessionSource, answers: Optional[Answers] = None) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.state = WizardState(answers)
        self._source = source
        self._session: Optional[WizardSession] = None
        self._session_lock = threading.Lock()
        self._shielded: Optional[Job] = None
        self._shielded_here = False
        self.ended_by: Optional[int] = None
        self.painter = Painter()

    def get_driver_class(self) -> type[Driver]:
        """Our own on a terminal; Textual's own where it is told which (tests without a terminal)."""
        from screens.driver import TerminalDriver

        found = super().get_driver_class()
        return TerminalDriver if issubclass(TerminalDriver, found) else found

    def _display(self, screen: Screen[object], renderable: Optional[RenderableType]) -> None:
        # Textual calls this with every repaint, of whatever size.
        drawn = self._running and not self._closed and not self.is_headless and self._driver is not None
        if renderable is None or self._batch_count or not drawn:
            super()._display(screen, renderable)
            return
        picture = screen._compositor.render_strips()
        cursor = screen.outer_size.clamp_offset(self.cursor_position)
        super()._display(screen, cast("Optional[RenderableType]", self.painter.update(picture, cursor)))

    # --- the session

    def open_session(self) -> WizardSession:
        """The session; made at the first call, which must come from a thread because it may load modules."""
        with self._session_lock:
            if self._session is None:
                self._session = self._source() if callable(self._source) else self._source
            return self._session

    @property
    def session(self) -> WizardSession:
        """The session once the first look at the host has made it."""
        assert self._session is not None
        return self._session

    @property
    def opened(self) -> bool:
        """Whether the session was made."""
        return self._session is not None

    @property
    def shielded_job(self) -> Optional[Job]:
        """A change being written right now."""
        job = self._shielded
        return job if job is not None and job.thread is not None and job.thread.is_alive() else None

    def wait_for_change(self) -> None:
        """Wait until this process writes no change; one that a process of its own writes goes on without this one."""
        job = self.shielded_job
        if job is not None and job.thread is not None and not self.only_watches:
            job.thread.join()

    @property
    def only_watches(self) -> bool:
        """Whether what is under way is done by a process of its own."""
        return self._session is not None and self._session.detached and not self._shielded_here

    def leave_watching(self, code: int) -> None:
        """End at once, with a line in the log, when a change is being written by a process of its own."""
        if self.shielded_job is None or not self.only_watches:
            return
        from conbool_tui import log
        from conbool_tui.host import Host

        log.record(
            Host("/"),
            "wizard: ended while a change is under way (the terminal went away, or it was told to end); "
            "its worker goes on by itself, conbool-tui history shows the outcome",
        )
        # The thread that watches would keep the process until the worker ends.
        os._exit(code)

    def shield(self, job: Job, *, here: bool = False) -> None:
        """Let nothing cut off this job: neither leaving nor a lost terminal.

        Args:
            here: this process does the work itself, whoever writes changes otherwise.
        """
        self._shielded, self._shielded_here = job, here

    def _on_signal(self, number: int) -> None:
        # run_wizard waits for a change that this process writes once the screens are gone; its outcome is in
        # the journal.
        self.ended_by = number
        self.exit(128 + number)

    # --- moving about

    def on_mount(self) -> None:
        """Show the first screen, and leave in order when a signal asks for it; Textual itself would be
        killed with the terminal in disorder.
        """
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGHUP, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    loop.add_signal_handler(number, self._on_signal, number)
        self.push_screen(FLOW[0].build())

    def go_to(self, step: FlowStep) -> None:
        """Show a step on top of the present one; Back returns to it."""
        self.push_screen(step.build())

    def go_to_id(self, name: str) -> None:
        """Show the step of that id."""
        self.go_to(next(step for step in FLOW if step.id == name))

    def go_back(self) -> None:
        """One level back; from the first screen that means asking to leave."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.action_leave()

    def show_help(self, topic: str) -> None:
        """Help on a topic."""
        from screens.help import HelpScreen

        self.push_screen(HelpScreen(topic))

    def show_history(self) -> None:
        """The list of changes."""
        from screens.history import HistoryScreen

        self.push_screen(HistoryScreen())

    def ask_save(self) -> None:
        """Ask where to save the answers."""
        self.push_screen(SaveScreen())

    def action_redraw(self) -> None:
        """Paint everything anew, over what others (wall, the kernel) have written on the terminal."""
        self.painter.forget()
        self.screen.refresh()

    # --- leaving

    def action_leave(self) -> None:
        """Leave; asks when something would be lost, refuses while a change is being written."""
        if self.shielded_job is not None:
            if isinstance(self.screen, BaseScreen):
                self.screen.action_back()
            return
        if isinstance(self.screen, Question) and not isinstance(self.screen, TypedQuestion):
            return
        if not self.state.pending:
            self.exit(self.state.exit_code)
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self.exit(self.state.exit_code)

        self.push_screen(Question.of(asked.leave(self.state)), answered)

    def _fatal_error(self) -> None:
        # Textual would print a traceback with local variables; the admin gets a sentence from run_wizard
        # instead.
        self._close_messages_no_wait()

    @property
    def fault(self) -> Optional[BaseException]:
        """The unforeseen error that ended the run."""
        return self._exception

    # --- terminal

    def on_resize(self, event: events.Resize) -> None:
        """Ask for a larger terminal while it is too small."""
        small = event.size.width < MIN_COLUMNS or event.size.height < MIN_ROWS
        shown = isinstance(self.screen, TooSmallScreen)
        if small and not shown:
            self.push_screen(TooSmallScreen(MIN_COLUMNS, MIN_ROWS))
        elif shown and not small:
            self.pop_screen()


def run_wizard(session: SessionSource, answers: Optional[Answers] = None, *, ascii: bool = False) -> int:
    """Run the wizard in the terminal and say in the scrollback what it did.

    Args:
        session: the session, or a function that makes it; with a function nothing slow is loaded before the
            first picture.
        answers: where the fields begin.
        ascii: draw with ASCII alone, whatever the terminal seems to be able to show.

    Returns:
        The exit code (``ExitCode``), or 128 and the number of the signal that ended the run.

    Raises:
        Exception: an unforeseen error ended the run; the terminal is in order and the summary has been said.
    """
    if ascii or glyphs.terminal_wants_ascii():
        from screens.driver import write_only_ascii

        glyphs.use(glyphs.ASCII)
        write_only_ascii()
    app = WizardApp(session, answers)
    guard = _Guard(app)
    try:
        code = app.run(mouse=False)
    finally:
        guard.stop()
    app.wait_for_change()
    if app.ended_by is not None:
        app.leave_watching(128 + app.ended_by)
        return 128 + app.ended_by
    _tell_unseen(app)
    state_dir = log_file = ""
    if app.state.receipts or app.state.failure or app.state.unconfirmed:
        from conbool_tui.log import FILE

        state_dir, log_file = app.open_session().state_dir, FILE
    for line in app.state.farewell(state_dir, log_file):
        print(line, file=sys.stderr)
    if app.fault is not None:
        raise app.fault
    return code if code is not None else ExitCode.UNEXPECTED


def _tell_unseen(app: WizardApp) -> None:
    """Note what was on the screens as seen; say here how a change ended while nobody watched when no screen came to that."""
    if not app.opened:
        return
    from conbool_tui import render

    session = app.open_session()
    with contextlib.suppress(ConboolError):
        missed = None if app.state.told else session.unseen()
        if missed is not None:
            print(render.paragraph(render.unseen_text(missed)), file=sys.stderr)
        session.seen()


class _Guard:
    """Ends the program when its terminal goes away, but never in the middle of a change.

    Textual takes end-of-file on a lost terminal for "no key yet", forever and at full speed, when no SIGHUP
    comes with it; so a thread asks the terminal itself.
    """

    def __init__(self, app: WizardApp) -> None:
        self._app = app
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, name="terminal", daemon=True).start()

    def stop(self) -> None:
        """Stop asking."""
        self._stopped.set()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(0, 0)
        while not self._stopped.wait(_POLL_SECONDS):
            if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
                self._app.wait_for_change()
                self._app.leave_watching(TERMINAL_GONE)
                os._exit(TERMINAL_GONE)
