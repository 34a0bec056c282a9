"""Welcome: what was found on this server, and where to begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from textual.app import ComposeResult
from textual.containers import Vertical

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from screens import work
from screens.base import WizardScreen, elapsed_text
from screens.flow import FlowStep
from screens.texts.countdown import outcome_line
from screens.texts.detection import host_lines, unfinished_lines
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.choice import Choice, Option
from screens.widgets.lines import Text, TextPane

LOOKING = "Looking at this server; nothing is changed"


@dataclass(frozen=True)
class Waiting:
    """A change of an earlier run waits for confirmation; nothing else matters before that is decided."""

    receipt: Receipt


@dataclass(frozen=True)
class Found:
    """What one look at the host brought."""

    facts: HostFacts
    target: Optional[Detection]
    obstacle: Optional[ConboolError]
    unfinished: Optional[Receipt]
    domains: tuple[str, ...] = ()


class WelcomeScreen(WizardScreen):
    """Detection with its outcomes; recovery of a change that a crash cut off comes first."""

    DEFAULT_CSS = """
    WelcomeScreen #intro { margin-bottom: 1; }
    WelcomeScreen #which { height: auto; }
    WelcomeScreen #found { height: 1fr; }
    """

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._instance: Optional[str] = None
        self._chosen = False
        self._news: list[Line] = []

    def body(self) -> ComposeResult:
        """Introduction, a choice where there is one, and what was found."""
        yield Text(
            [Line("Routes this server's mail through Conbool. Nothing changes before you say so.")],
            id="intro",
        )
        yield Vertical(id="which")
        yield TextPane("This server", [Line(f"{LOOKING} ...", "dim")], id="found")

    def buttons(self) -> Sequence[Button]:
        """Start, and what else can be done from here."""
        wait = "still looking at this server"
        return (
            button("Start", "start", wait),
            button("Recover", "recover", "no change is unfinished"),
            button("Search again", "search"),
            button("History", "history"),
            button("Leave", "leave"),
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
            session = source.open_session()
            waiting = session.unconfirmed()
            if waiting is not None:
                return Waiting(waiting)
            unfinished = session.unfinished()
            facts = session.detect(instance)
            try:
                target = session.target(facts)
            except ConboolError as error:
                return Found(facts, None, error, unfinished)
            try:
                domains = session.complete(Answers(instance=instance), facts).domains
            except ConboolError:
                domains = ()
            return Found(facts, target, None, unfinished, domains)

        self.set_reason("start", "still looking at this server")
        self.run_job("look", LOOKING, call)

    def waiting(self, job: work.Job) -> None:
        """Show that it is still going on."""
        self.query_one("#found", TextPane).show([Line(elapsed_text(job), "dim")])

    def _ask_about(self, receipt: Receipt) -> None:
        """Keep or take back first; then look."""
        from screens.confirm import ConfirmScreen

        def settled(outcome: Optional[Receipt]) -> None:
            if outcome is not None:
                self._news = [
                    outcome_line(outcome),
                    *([Line(f"  {outcome.message}")] if outcome.message else []),
                ]
                self.look()

        self.wizard.state.unconfirmed = receipt
        self.app.push_screen(ConfirmScreen(receipt, self.wizard.state.start_answers), settled)

    def done_look(self, found: Union[Found, Waiting, None], error: Optional[ConboolError]) -> None:
        """Show what was found."""
        pane = self.query_one("#found", TextPane)
        if isinstance(found, Waiting):
            pane.show([Line(f"Change {found.receipt.id} waits for confirmation.", "warn")])
            self._ask_about(found.receipt)
            return
        if error is not None or found is None:
            pane.show(error_lines(error or ConboolError("Nothing was found out.")))
            self.set_reason("start", "this server could not be looked at")
            return
        self.wizard.state.found(found.facts, found.target, found.unfinished, self._instance, found.domains)
        lines: list[Line] = [*self._news, Line("")] if self._news else []
        if found.unfinished is not None:
            lines.extend([*unfinished_lines(found.unfinished), Line("")])
        lines.extend(host_lines(found.facts, found.target))
        if found.obstacle is not None and self._is_news(found.facts, found.obstacle):
            lines.extend([Line(""), *error_lines(found.obstacle)])
        pane.show(lines)
        self._ask_which(found.facts, found.target)
        self._set_reasons(found)

    def _is_news(self, facts: HostFacts, obstacle: ConboolError) -> bool:
        """The obstacle is told already where it is only that the one mail system is absent, broken or
        managed.
        """
        present = [detection for detection in facts.detections if detection.outcome is Outcome.PRESENT]
        return bool(present)

    def _set_reasons(self, found: Found) -> None:
        if found.unfinished is not None and found.unfinished.state is ChangeState.RUNNING:
            self.set_reason("recover", "another process is working on that change")
            self.set_reason("start", "another process is changing this server; search again later")
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

    # --- several systems or instances

    def _needs_choice(self, target: Detection) -> bool:
        return target.postfix is not None and len(target.postfix.instances) > 1 and not self._chosen

    def _ask_which(self, facts: HostFacts, target: Optional[Detection]) -> None:
        place = self.query_one("#which", Vertical)
        if place.children:
            return
        present = [detection for detection in facts.detections if detection.outcome is Outcome.PRESENT]
        if len(present) > 1:
            options = [Option(item.system, f"{item.system}: {item.summary}") for item in present]
            chosen = self.wizard.session.mail_system or ""
            question = "Several mail systems are here. Which one is to be set up?"
            asked = Choice(options, chosen, id="system")
        elif target is not None and self._needs_choice(target) and target.postfix is not None:
            options = [
                Option(
                    item.name,
                    f"{item.name}: {item.config_directory}" + ("" if item.enabled else " (switched off)"),
                )
                for item in target.postfix.instances
            ]
            question = "Several Postfix instances are here. Which one is to be set up?"
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

    def do_recover(self) -> None:
        """Put the old state back."""
        session = self.wizard.session

        def call(report: ProgressSink) -> Optional[Receipt]:
            return session.recover(report)

        self.set_reason("recover", "the recovery is under way")
        self.wizard.shield(self.run_job("recover", "Putting the old files back", call, shielded=True))

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Show how far the recovery is."""
        self.query_one("#found", TextPane).show([Line(f"{job.text}: {progress.text}")])

    def done_recover(self, receipt: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended, and look again."""
        if error is not None:
            self.wizard.state.failure = error
            self.query_one("#found", TextPane).show(error_lines(error))
            self.set_reason("recover", "")
            return
        if receipt is not None:
            self.wizard.state.changed_host(receipt)
        self.look()

    def action_back(self) -> None:
        """There is nothing before this screen: Esc asks to leave."""
        self.wizard.action_leave()
