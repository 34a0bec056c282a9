"""What all screens share: header, key bar, moving about, leaving, and work in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Optional, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from screens import work
from screens.flow import FlowStep, after, counter
from screens.texts.lines import Line
from screens.widgets.button import Button
from screens.widgets.field import TextBox
from screens.widgets.lines import Hint, Text

if TYPE_CHECKING:
    from conbool_tui.app import WizardApp
    from conbool_tui.errors import ConboolError
    from conbool_tui.facts import HostFacts
    from conbool_tui.plan import Plan
    from conbool_tui.receipt import Progress, ProgressSink
    from screens.widgets.choice import Choice


WIDE = 120


class BaseScreen(Screen[Any]):
    """A screen with a title line, a body, a line of buttons and a line of keys.

    A button with the id ``do-next`` calls ``do_next``; a job named ``look`` ends in
    ``done_look(result, error)``.
    """

    DEFAULT_CSS = """
    BaseScreen, BaseScreen:ansi { background: ansi_default; color: ansi_default; overflow: hidden; }
    BaseScreen #title { height: 1; }
    BaseScreen #body { height: 1fr; padding: 0 1; }
    BaseScreen #notice { height: auto; padding: 0 1; }
    BaseScreen #buttons { height: 1; }
    BaseScreen #keys { height: 1; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - Textual declares the type
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("escape", "back", show=False),
        Binding("f1,question_mark", "help", show=False),
        Binding("f10,q", "app.leave", show=False),
    ]
    AUTO_FOCUS = ""
    help_topic = "general"

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, work.Job] = {}
        self._clock: Optional[Timer] = None
        self._notice_then: Sequence[Line] = ()

    @property
    def wizard(self) -> WizardApp:
        """The application."""
        return cast("WizardApp", self.app)

    # --- layout

    def compose(self) -> ComposeResult:
        """Title, body, notice, buttons, keys."""
        yield Text(id="title")
        with Vertical(id="body"):
            yield from self.body()
        yield Text(id="notice")
        with Horizontal(id="buttons"):
            yield from self.buttons()
        yield Text(id="keys")

    def title_text(self) -> str:
        """What the title line says."""
        raise NotImplementedError

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        raise NotImplementedError

    def buttons(self) -> Sequence[Button]:
        """The buttons of the bottom line."""
        return ()

    def first_focus(self) -> Optional[str]:
        """Selector of the widget that has the focus first: the safest likely choice."""
        return None

    def on_mount(self) -> None:
        """Fill what is known and set the focus."""
        self.query_one("#title", Text).show([Line(self.title_text(), "bar")])
        selector = self.first_focus()
        if selector:
            self.query_one(selector).focus()
        self.opened()
        self.call_after_refresh(self._settle)
        # Scrolling and other widgets move the focused row after it got the focus.
        self.screen_layout_refresh_signal.subscribe(self, self._follow_row, immediate=True)

    def _follow_row(self, screen: object) -> None:
        before = self.app.cursor_position
        place = getattr(self.focused, "place_cursor", None)
        if place is not None:
            place()
            if self.app.cursor_position != before and self.focused is not None:
                self.focused.refresh()

    def opened(self) -> None:
        """Called once, when the widgets are there. (Textual calls every class's own ``on_mount``; this one
        can be overridden.)
        """

    def _settle(self) -> None:
        self._update_keys()
        self.place_cursor()

    def on_screen_resume(self) -> None:
        """The screen is on top, for the first time or again."""
        self.call_after_refresh(self._settle)
        self.resumed()

    def resumed(self) -> None:
        """Called whenever the screen comes to the top."""

    # --- keys

    def hints(self) -> list[Hint]:
        """The keys that mean something now, the most useful first."""
        keys: list[Hint] = list(getattr(self.focused, "keys", ()))
        keys.append(("Tab", "Move"))
        keys.append(("Esc", "Back"))
        typing = isinstance(self.focused, TextBox)
        keys.append(("F1", "Help"))
        keys.append(("F10" if typing else "q", "Leave"))
        return keys[:5] if len(keys) > 5 else keys

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the keys of the widget that has the focus now."""
        self.say(self._notice_then)
        self._notice_then = ()
        self.call_after_refresh(self._settle)
        self.focus_moved(event.widget)

    def focus_moved(self, widget: Widget) -> None:
        """Called when another widget has the focus."""

    def _update_keys(self) -> None:
        if self.is_attached and self.is_mounted:
            text = "   ".join(f"{key} {what}" for key, what in self.hints())
            self.query_one("#keys", Text).show([Line(" " + text, "dim")])

    def place_cursor(self) -> None:
        """Move the terminal's cursor to the focused row."""
        place = getattr(self.focused, "place_cursor", None)
        if place is not None:
            place()
            assert self.focused is not None
            self.focused.refresh()

    def say(self, lines: Sequence[Line]) -> None:
        """Show a notice above the buttons; it goes when the focus moves."""
        self.query_one("#notice", Text).show(lines)

    def say_at(self, widget: Widget, lines: Sequence[Line]) -> None:
        """Move the focus and show a notice about the widget it goes to."""
        if widget.has_focus:
            self.say(lines)
        else:
            self._notice_then = lines
            widget.focus()

    # --- acting

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Call the method the button's id names."""
        event.stop()
        name = (event.button.id or "").replace("do-", "do_", 1).replace("-", "_")
        action: Callable[[], None] = getattr(self, name)
        action()

    def on_button_refused(self, event: Button.Refused) -> None:
        """Say why a button cannot act."""
        event.stop()
        self.say([Line(f"! {event.button.label}: {event.button.reason}", "warn")])

    def on_choice_refused(self, event: Choice.Refused) -> None:
        """Say why an option cannot be chosen."""
        event.stop()
        self.say([Line(f"! {event.value}: {event.owner.reason(event.value)}", "warn")])

    def set_reason(self, name: str, reason: str) -> None:
        """Disable the button ``do-<name>`` with a reason, or enable it with an empty one."""
        self.query_one(f"#do-{name}", Button).reason = reason

    def action_back(self) -> None:
        """One level back."""
        self.wizard.go_back()

    def action_help(self) -> None:
        """Explain this screen."""
        self.wizard.show_help(self.help_topic)

    def do_back(self) -> None:
        """The Back button."""
        self.action_back()

    def do_leave(self) -> None:
        """The Leave button."""
        self.wizard.action_leave()

    def do_history(self) -> None:
        """The History button."""
        self.wizard.show_history()

    # --- work

    def run_job(
        self, name: str, text: str, call: Callable[[work.Reporter], Any], *, shielded: bool = False
    ) -> work.Job:
        """Do something in a thread; a job of the same name that still runs is given up. ``text`` empty: no
        sign on the screen.
        """
        self.cancel_job(name)
        job = work.Job(name, text, shielded=shielded)
        self._jobs[name] = job
        if text and self._clock is None:
            self._clock = self.set_interval(1.0, self._tick)
        return work.start(job, self, call)

    def cancel_job(self, name: str) -> None:
        """Stop waiting for a job; its result is dropped."""
        job = self._jobs.pop(name, None)
        if job is not None:
            job.cancelled = True
        self._stop_clock()

    def job(self, name: str) -> Optional[work.Job]:
        """The running job of that name."""
        return self._jobs.get(name)

    def _tick(self) -> None:
        for job in self._jobs.values():
            if job.text:
                self.waiting(job)

    def _stop_clock(self) -> None:
        if self._clock is not None and not any(job.text for job in self._jobs.values()):
            self._clock.stop()
            self._clock = None

    def waiting(self, job: work.Job) -> None:
        """Called once a second while a job with a text runs."""

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Called when a running job got on."""

    def on_job_progress(self, event: work.JobProgress) -> None:
        """Pass progress on, unless the job was given up."""
        event.stop()
        if self._jobs.get(event.job.name) is event.job:
            self.progressed(event.job, event.progress)

    def arrived(self, job: work.Job, item: Any) -> None:
        """Called with one piece of a running job's result."""

    def on_job_item(self, event: work.JobItem) -> None:
        """Pass a piece on, unless the job was given up."""
        event.stop()
        if self._jobs.get(event.job.name) is event.job:
            self.arrived(event.job, event.item)

    def on_job_done(self, event: work.JobDone) -> None:
        """Call the method for the job's end, unless it was given up."""
        event.stop()
        if self._jobs.get(event.job.name) is not event.job:
            return
        del self._jobs[event.job.name]
        self._stop_clock()
        finish: Callable[[Any, Optional[ConboolError]], None] = getattr(self, f"done_{event.job.name}")
        finish(event.result, event.error)


class WizardScreen(BaseScreen):
    """A screen on the wizard's way, with its place in the table of steps."""

    def __init__(self, step: FlowStep) -> None:
        super().__init__()
        self.step = step
        self.help_topic = step.id

    def title_text(self) -> str:
        """``Step 3 of 11 - name``."""
        return f" conbool-tui   {counter(self.step)}"

    def go_on(self) -> None:
        """Show the next step."""
        following = after(self.step)
        if following is not None:
            self.wizard.go_to(following)

    # --- planning

    def request_plan(self, text: str = "") -> None:
        """Work out the plan for the answers as they stand, in a thread; ``planned`` gets it."""
        state, session = self.wizard.state, self.wizard.session
        answers, known, stale = state.draft.answers(), state.facts, state.stale

        def call(report: ProgressSink) -> tuple[Plan, Optional[HostFacts]]:
            facts = session.detect(answers.instance) if stale else known
            return session.plan(answers, facts), facts

        self.run_job("plan", text, call)

    def done_plan(self, result: Any, error: Optional[ConboolError]) -> None:
        """Keep the facts the plan was made from."""
        if error is not None:
            self.planned(None, error)
            return
        plan, self.wizard.state.facts = result
        self.wizard.state.stale = False
        self.planned(plan, None)

    def planned(self, plan: Optional[Plan], error: Optional[ConboolError]) -> None:
        """Called with the plan, or with the reason why there is none."""


def elapsed_text(job: work.Job) -> str:
    """What a waiting line says."""
    return f"{job.text} ({job.elapsed} s)"
