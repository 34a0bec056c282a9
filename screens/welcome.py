"""Welcome: what was found on this server, and where to begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from textual.app import ComposeResult
from textual.containers import Vertical

from conbool_tui.errors import ConboolError, RollbackIncompleteError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from screens import looking, work
from screens.base import WizardScreen, elapsed_text
from screens.dialogs import Question
from screens.flow import FlowStep
from screens.looking import Found, Waiting
from screens.texts import actions
from screens.texts.asked import close_change
from screens.texts.countdown import outcome_line
from screens.texts.detection import (
    INTRO,
    LOOKING,
    WHICH_INSTANCE,
    WHICH_SYSTEM,
    host_lines,
    instance_text,
    system_text,
    unfinished_lines,
)
from screens.texts.drift import drift_news
from screens.texts.history import ended_lines, message_lines, missed_lines
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.choice import Choice, Option
from screens.widgets.lines import Text, TextPane

if TYPE_CHECKING:
    pass

WATCH_EVERY = 1.0
"""Seconds between two looks whether another process has ended its work."""


class WelcomeScreen(WizardScreen):
    """Detection with its outcomes; what ended while nobody watched, and recovery of a change that a crash cut off, come first."""

    DEFAULT_CSS = """
    WelcomeScreen #intro { margin-bottom: 1; }
    WelcomeScreen #which { height: auto; }
    WelcomeScreen #found { height: 1fr; }
    WelcomeScreen #do-differs { display: none; }
    WelcomeScreen.-differs #do-differs { display: block; }
    WelcomeScreen.-differs #do-recover { display: none; }
    WelcomeScreen #do-close { display: none; }
    WelcomeScreen.-stuck #do-close { display: block; }
    WelcomeScreen.-stuck #do-start { display: none; }
    """

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._instance: Optional[str] = None
        self._chosen = False
        self._news: list[Line] = []
        self._stuck: Optional[ConboolError] = None
        self._looked_at_edits = False
        self._covered = False
        self._missed: Optional[Receipt] = None

    def body(self) -> ComposeResult:
        """Introduction, a choice where there is one, and what was found."""
        yield Text(
            [Line(INTRO)],
            id="intro",
        )
        yield Vertical(id="which")
        yield TextPane("This server", [Line(f"{LOOKING} ...", "dim")], id="found")

    def buttons(self) -> Sequence[Button]:
        """Start, and what else can be done from here."""
        wait = "still looking at this server"
        return (
            button(actions.START, "start", wait),
            button(actions.RECOVER, "recover", "no change is unfinished"),
            button(actions.LEAVE_AS_IS, "close"),
            button(actions.EDITED_SINCE, "differs"),
            button(actions.SEARCH_AGAIN, "search"),
            button(actions.HISTORY, "history"),
            button(actions.LEAVE, "leave"),
        )

    def first_focus(self) -> Optional[str]:
        """Start."""
        return "#do-start"

    def opened(self) -> None:
        """Begin to look as soon as the first picture is on the screen."""
        given = self.wizard.state.start_answers
        self._instance = given.instance if given is not None else None
        self._chosen = self._instance is not None
        self.call_after_refresh(self.look)

    # --- looking

    def look(self) -> None:
        """Detect in a thread."""
        instance, source = self._instance, self.wizard

        def call(report: ProgressSink) -> Union[Found, Waiting]:
            return looking.look(source.open_session(), instance)

        self.set_reason("start", "still looking at this server")
        self._stuck = None
        self.remove_class("-stuck")
        self.run_job("look", LOOKING, call)

    def waiting(self, job: work.Job) -> None:
        """Show that it is still going on."""
        self.query_one("#found", TextPane).show([Line(elapsed_text(job), "dim")])

    def _tell(self, missed: Optional[Receipt]) -> list[Line]:
        """What ended while nobody watched."""
        return [] if missed is None else missed_lines(missed)

    def _shown(self, missed: Optional[Receipt]) -> None:
        """The text is there; what is below another screen has not been read."""
        self._covered = self.app.screen is not self
        self._missed = missed
        if not self._covered:
            self._told(missed)

    def _told(self, missed: Optional[Receipt]) -> None:
        """It was on the screen: it need not be said again."""
        self.wizard.state.told = True
        session = self.wizard.session

        def call(report: ProgressSink) -> None:
            # What came since has not been on any screen.
            if missed is not None and session.unseen() == missed:
                session.seen()

        if missed is not None:
            self.run_job("seen", "", call)

    def done_seen(self, nothing: Any, error: Optional[ConboolError]) -> None:
        """It is only said again when this could not be noted."""

    def _ask_about(self, receipt: Receipt, missed: Optional[Receipt]) -> None:
        """Keep or take back first; then look."""
        from screens.confirm import ConfirmScreen

        def settled(outcome: Optional[Receipt]) -> None:
            if outcome is not None:
                self._news = [outcome_line(outcome), *message_lines(outcome)]
                self.look()

        self.wizard.state.unconfirmed = receipt
        answers = self.wizard.state.start_answers
        screen = ConfirmScreen(receipt, answers, self._tell(missed), lambda: self._told(missed))
        self.app.push_screen(screen, settled)

    def done_look(self, found: Union[Found, Waiting, None], error: Optional[ConboolError]) -> None:
        """Show what was found."""
        pane = self.query_one("#found", TextPane)
        if isinstance(found, Waiting):
            pane.show([Line(f"Change {found.receipt.id} waits for confirmation.", "warn")])
            self._ask_about(found.receipt, found.missed)
            return
        if error is not None or found is None:
            pane.show(error_lines(error or ConboolError("Nothing was found out.")))
            self.set_reason("start", "this server could not be looked at")
            return
        self.wizard.state.found(found.facts, found.target, found.unfinished, self._instance, found.domains)
        lines: list[Line] = self._tell(found.missed) or ([*self._news, Line("")] if self._news else [])
        self._news = []
        if found.unfinished is not None:
            lines.extend([*unfinished_lines(found.unfinished), Line("")])
        lines.extend(drift_news(found.drift))
        lines.extend(host_lines(found.facts, found.target))
        if found.obstacle is not None and found.obstacle_is_news:
            lines.extend([Line(""), *error_lines(found.obstacle)])
        pane.show(lines, keep_place=False)
        self._ask_which(found.facts, found.target)
        self._set_reasons(found)
        self.set_class(bool(found.drift), "-differs")
        self.call_after_refresh(self._refocus)
        self.call_after_refresh(self._shown, found.missed)

    def _refocus(self) -> None:
        """A button that is not there any more had the focus."""
        if self.focused is None or not self.focused.display:
            self.query_one("#do-start").focus()

    def _set_reasons(self, found: Found) -> None:
        if found.unfinished is not None and found.unfinished.state is ChangeState.RUNNING:
            self.set_reason("recover", "another process is working on that change")
            self.set_reason("start", "another process is changing this server just now")
            self._watch_soon(found.unfinished.id)
            return
        if found.unfinished is not None:
            self.set_reason("recover", "")
            self.set_reason("start", "recover the unfinished change first")
            self.query_one("#do-recover").focus()
            return
        self.set_reason("recover", "no change is unfinished")
        if found.target is None:
            self.set_reason("start", "there is no mail system to set up, see above")
        elif self._needs_choice(found.target):
            self.set_reason("start", "choose a Postfix instance first")
        else:
            self.set_reason("start", "")

    # --- a change that another process works on

    def _watch_soon(self, change_id: str) -> None:
        self.set_timer(WATCH_EVERY, lambda: self._watch(change_id))

    def _watch(self, change_id: str) -> None:
        """Look whether it has ended, in a thread."""
        session = self.wizard.session

        def call(report: ProgressSink) -> Union[str, Receipt, None]:
            return looking.how_ended(session, change_id)

        if self.job("look") is None:
            self.run_job("watch", "", call)

    def done_watch(self, ended: Union[str, Receipt, None], error: Optional[ConboolError]) -> None:
        """Wait on, or look again at what it left."""
        if error is None and isinstance(ended, str):
            self._watch_soon(ended)
            return
        if isinstance(ended, Receipt):
            self._news = ended_lines(ended)
        self.look()

    # --- several systems or instances

    def _needs_choice(self, target: Detection) -> bool:
        return looking.needs_instance(target) and not self._chosen

    def _ask_which(self, facts: HostFacts, target: Optional[Detection]) -> None:
        place = self.query_one("#which", Vertical)
        if place.children:
            return
        present = [detection for detection in facts.choices if detection.outcome is Outcome.PRESENT]
        if len(present) > 1:
            options = [Option(item.system, system_text(item)) for item in present]
            chosen = self.wizard.session.mail_system or ""
            question = WHICH_SYSTEM
            asked = Choice(options, chosen, id="system")
        elif target is not None and self._needs_choice(target) and target.postfix is not None:
            options = [Option(item.name, instance_text(item)) for item in target.postfix.instances]
            question = WHICH_INSTANCE
            asked = Choice(options, "", id="instance")
        else:
            return
        place.mount(Text([Line(question, "title")]), asked)
        self.call_after_refresh(asked.focus)

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Look again at what was chosen."""
        event.stop()
        if event.owner.id == "system":
            self.wizard.session.mail_system = event.value
        else:
            self._instance, self._chosen = event.value, True
        self.look()

    # --- buttons

    def do_start(self) -> None:
        """On to the first step."""
        self.go_on()

    def do_search(self) -> None:
        """Look again."""
        self.query_one("#found", TextPane).show([Line(f"{LOOKING} ...", "dim")])
        self.look()

    def do_differs(self) -> None:
        """What differs from what was applied."""
        from screens.drift import DriftScreen

        self._looked_at_edits = True
        self.app.push_screen(DriftScreen())

    def resumed(self) -> None:
        """What was below another screen can be read now; what differs may be another thing."""
        super().resumed()
        if self._covered:
            self.call_after_refresh(self._shown, self._missed)
        if self._looked_at_edits:
            self._looked_at_edits = False
            self.call_after_refresh(self.look)

    def do_recover(self) -> None:
        """Put the old state back."""
        self._recover(accept=False)

    def do_close(self) -> None:
        """Ask, then leave what was edited as it is."""
        unfinished, stuck = self.wizard.state.unfinished, self._stuck
        if unfinished is None or stuck is None:
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._recover(accept=True)

        self.app.push_screen(Question.of(close_change(unfinished, stuck)), answered)

    def _recover(self, *, accept: bool) -> None:
        session = self.wizard.session

        def call(report: ProgressSink) -> Optional[Receipt]:
            return session.recover(report, accept=accept)

        for name in ("recover", "close", "search"):
            self.set_reason(name, "the recovery is under way")
        self.wizard.shield(self.run_job("recover", "Putting the old files back", call, shielded=True))

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Show how far the recovery is."""
        self.query_one("#found", TextPane).show([Line(f"{job.text}: {progress.text}")])

    def done_recover(self, receipt: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended, and look again."""
        for name in ("recover", "close", "search"):
            self.set_reason(name, "")
        if error is not None:
            self.wizard.state.failure = error
            self.query_one("#found", TextPane).show(error_lines(error), keep_place=False)
            self._stuck = error if isinstance(error, RollbackIncompleteError) else None
            self.set_class(self._stuck is not None, "-stuck")
            if self.focused is None or not self.focused.display:
                self.query_one("#do-recover").focus()
            return
        if receipt is not None:
            self.wizard.state.changed_host(receipt)
            self._news = ended_lines(receipt)
        self.look()

    def action_back(self) -> None:
        """There is nothing before this screen: Esc asks to leave."""
        self.wizard.action_leave()
