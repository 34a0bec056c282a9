"""The shape of a guide step: form, help of the field, live preview of what this step adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Optional

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from conbool_tui.errors import ConboolError
from conbool_tui.plan import Plan
from conbool_tui.wizard_state import FIELDS, NO, YES, Draft, FieldError
from screens import glyphs, work
from screens.base import WIDE, WizardScreen, elapsed_text
from screens.flow import FlowStep
from screens.texts import actions, questions
from screens.texts.diffs import NOT_IN_PREVIEW, PREVIEW, step_lines
from screens.texts.lines import Line, error_lines
from screens.texts.summary import WORKING
from screens.widgets.button import Button, button
from screens.widgets.choice import Choice, Option, Toggle
from screens.widgets.field import Field, TextBox, field_id
from screens.widgets.lines import Hint, Text, TextPane

DEBOUNCE = 0.3
_BARS = 3


class Form(VerticalScroll, inherit_bindings=False):
    """Scrolls with the focus only: the arrow keys move between the fields."""


class StepScreen(WizardScreen):
    """A form over some of the answers. Subclasses name their fields and yield their widgets in ``form``."""

    DEFAULT_CSS = """
    StepScreen #main { height: 1fr; layout: vertical; }
    StepScreen #left { height: auto; }
    StepScreen #form { height: auto; overflow-y: auto; scrollbar-size: 0 0; }
    StepScreen #more { height: 1; display: none; }
    StepScreen #about { height: 2; }
    StepScreen #preview { height: 1fr; min-height: 3; }
    StepScreen.-large.-narrow #left { display: none; }
    StepScreen.-wide #main { layout: horizontal; }
    StepScreen.-wide #left { width: 1fr; height: 1fr; }
    StepScreen.-wide #about { height: auto; margin-top: 1; }
    StepScreen.-wide #preview { width: 1fr; height: 1fr; margin: 0 0 0 2; }
    StepScreen .intro { margin-bottom: 1; }
    StepScreen .caption { height: 1; }
    StepScreen .-off { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "enlarge", show=False)]
    field_keys: ClassVar[tuple[str, ...]] = ()
    lists: ClassVar[dict[str, str]] = {}
    """Lists by widget id, with the answer each belongs to."""

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._delay: Optional[Timer] = None
        self._told: dict[str, FieldError] = {}
        self._refused: dict[str, FieldError] = {}
        self._left: Optional[str] = None
        self._before_large: Optional[Widget] = None

    @property
    def draft(self) -> Draft:
        """The answers being edited."""
        return self.wizard.state.draft

    # --- layout

    def body(self) -> ComposeResult:
        """Form and field help, with the preview below or beside."""
        with Container(id="main"):
            with Container(id="left"):
                with Form(id="form", can_focus=False):
                    yield from self.form()
                yield Text(id="more")
                yield Text(id="about")
            yield TextPane(self.preview_title(), [Line(f"{WORKING} ...", "dim")], id="preview")

    def form(self) -> ComposeResult:
        """The step's fields."""
        raise NotImplementedError

    def buttons(self) -> Sequence[Button]:
        """Next and Back."""
        return (
            button(actions.NEXT, "next"),
            button(actions.BACK, "back"),
            button(actions.HISTORY, "history"),
        )

    def field(self, key: str) -> Field:
        """The input of an answer."""
        placeholder = questions.placeholder(key, self.wizard.state)
        return Field(FIELDS[key], self.draft.text(key), placeholder=placeholder, label=questions.label(key))

    def choice(self, key: str) -> Choice:
        """The radio buttons of an answer."""
        state = self.wizard.state
        reasons = questions.refusals(key, state)
        options = [
            Option(word, questions.choice_text(key, word, state), reasons.get(word, ""))
            for word in FIELDS[key].choices
        ]
        return Choice(options, self.draft.text(key), id=field_id(key))

    def toggle(self, key: str) -> Toggle:
        """The check box of an answer."""
        return Toggle(questions.label(key), self.draft.text(key) == YES, id=field_id(key))

    def caption(self, key: str, *, id: Optional[str] = None) -> Text:
        """The line above the choices of an answer."""
        return Text([Line(f"  {questions.caption(key)}")], classes="caption", id=id)

    def preview_title(self) -> str:
        """Title of the preview."""
        return PREVIEW

    def hints(self) -> list[Hint]:
        """The usual keys, with the one that enlarges the preview."""
        keys = super().hints()
        larger = ("F4", "Form" if self.has_class("-large") else "Preview")
        return [*keys[:-3], larger, *keys[-3:]] if keys[0][0] != "Tab" else [larger, *keys]

    def opened(self) -> None:
        """Ask for the first preview."""
        super().opened()
        form = self.query_one("#form", Form)
        self.watch(form, "scroll_y", self._show_more, init=False)
        self.watch(form, "virtual_size", self._show_more, init=False)
        self.refresh_preview(now=True)

    def on_resize(self, event: events.Resize) -> None:
        """The form takes what it needs, but leaves room for the preview below it."""
        rows = event.size.height - _BARS
        narrow = event.size.width < WIDE
        self.query_one("#form").styles.max_height = max(4, rows * 11 // 20 if narrow else rows - 3)
        self._show_more()

    def _show_more(self) -> None:
        self.call_after_refresh(self._draw_more)

    def _draw_more(self) -> None:
        self.place_cursor()
        form, more = self.query_one("#form", Form), self.query_one("#more", Text)
        above, below = form.scroll_y > 0, form.scroll_y < form.max_scroll_y
        more.display = above or below
        where = " and ".join(name for name, there in (("above", above), ("below", below)) if there)
        more.show([Line(f"  (more fields {where}: arrows or Tab)", "dim")])

    # --- editing

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep what is typed."""
        event.stop()
        self.typed_in(event.input, event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Act on Enter."""
        event.stop()
        self.entered(event.input, event.value)

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Keep the chosen word."""
        event.stop()
        self.chose(event.owner, event.value)

    def on_toggle_changed(self, event: Toggle.Changed) -> None:
        """Keep yes or no."""
        event.stop()
        self.switched(event.owner, event.value)

    def switched(self, owner: Toggle, value: bool) -> None:
        """Keep yes or no."""
        for key in self.field_keys:
            if field_id(key) == owner.id:
                self.draft.set(key, YES if value else NO)
                self.edited(key)

    def typed_in(self, box: Input, text: str) -> None:
        """Keep what is typed; an error already told disappears as soon as it is mended."""
        field = _field_of(box)
        if field is not None and self.draft.text(field.spec.key) != text:
            self.draft.set(field.spec.key, text)
            self.edited(field.spec.key)

    def entered(self, box: Input, text: str) -> None:
        """Enter goes to the next field, and tells an error of this one."""
        field = _field_of(box)
        if field is not None:
            self.tell(field.spec.key)
            self.focus_next()

    def chose(self, owner: Choice, word: str) -> None:
        """Keep the chosen word."""
        for key in self.field_keys:
            if field_id(key) == owner.id:
                self.draft.set(key, word)
                self.edited(key)

    def edited(self, key: str) -> None:
        """Called after every edit."""
        self._refused.clear()
        self.say(())
        for other in list(self._told):
            self.tell(other)
        self.refresh_preview()

    def focus_moved(self, widget: Widget) -> None:
        """Show the help of the field that has the focus, and tell the error of the one left."""
        here = self._key_of(widget)
        if self._left is not None and self._left != here:
            self.tell(self._left)
        self._left = here
        about = self.query_one("#about", Text)
        if here is None:
            about.show([Line("")])
            return
        spec = FIELDS[here]
        tail = f" Example: {spec.example}" if isinstance(spec.example, str) else ""
        about.show([Line(f"{glyphs.current().note} {spec.help}{tail}", "note")])

    def _key_of(self, widget: Widget) -> Optional[str]:
        if widget.id in self.lists:
            return self.lists[widget.id]
        names = {node.id for node in widget.ancestors_with_self}
        return next((key for key in self.field_keys if field_id(key) in names), None)

    def tell(self, key: str) -> Optional[FieldError]:
        """Show or clear the error of a field."""
        error = self.draft.error(key) or self._refused.get(key)
        self.show_error(key, error)
        return error

    def show_error(self, key: str, error: Optional[FieldError]) -> None:
        """Draw an error beside its field."""
        if error is None:
            self._told.pop(key, None)
        else:
            self._told[key] = error
        for field in self.query(f"#{field_id(key)}").results(Field):
            field.tell(error)

    def _target(self, key: str) -> Widget:
        widget = self.query(f"#{field_id(key)}").first()
        return widget.box if isinstance(widget, Field) else widget

    # --- preview

    def refresh_preview(self, *, now: bool = False) -> None:
        """Work out the plan again, shortly after the last key."""
        if self._delay is not None:
            self._delay.stop()
            self._delay = None
        if now:
            self._plan()
        else:
            self._delay = self.set_timer(DEBOUNCE, self._plan)

    def _plan(self) -> None:
        self.request_plan(WORKING)

    def waiting(self, job: work.Job) -> None:
        """A plan that must ask name service first may take its time."""
        if job.name == "plan":
            self.query_one("#preview", TextPane).show([Line(elapsed_text(job), "dim")])

    def planned(self, plan: Optional[Plan], error: Optional[ConboolError]) -> None:
        """Show what this step adds, or why that cannot be said."""
        pane = self.query_one("#preview", TextPane)
        if error is not None or plan is None:
            error = error or ConboolError("There is no plan.")
            pane.show(error_lines(error))
            self._mark_refused(error)
            return
        lines = step_lines(plan, self.step.guide_step) if self.step.guide_step is not None else []
        if self.draft.errors(self.field_keys):
            lines = [NOT_IN_PREVIEW, *lines]
        pane.show(lines)

    def _mark_refused(self, error: ConboolError) -> None:
        """An error that names one of the fields here is shown beside it, and keeps Next from going on."""
        for key in questions.refused(self.field_keys, error):
            self._refused[key] = FieldError(error.what, error.todo)
            self.tell(key)

    def action_enlarge(self) -> None:
        """Give the preview the whole screen, or take it back."""
        if not self.has_class("-large"):
            self._before_large = self.focused
        self.toggle_class("-large")
        if self.has_class("-large"):
            self.query_one("#preview").focus()
        elif self._before_large is not None:
            self._before_large.focus()

    def action_back(self) -> None:
        """Out of the large preview first."""
        if self.has_class("-large"):
            self.action_enlarge()
        else:
            super().action_back()

    # --- going on

    def do_next(self) -> None:
        """Go on when every field can be used; else to the first that cannot."""
        self.collect()
        wrong = [key for key in self.field_keys if self.tell(key) is not None]
        if wrong:
            error = self._told[wrong[0]]
            mark = glyphs.current().fail
            self.say_at(
                self._target(wrong[0]), [Line(f"{mark} {FIELDS[wrong[0]].label}: {error.what}", "fail")]
            )
            return
        self.go_on()

    def collect(self) -> None:
        """Take over what is typed but not yet entered; for steps with lists."""


def _field_of(box: Input) -> Optional[Field]:
    for ancestor in box.ancestors:
        if isinstance(ancestor, Field):
            return ancestor
    return None


def typed(box: TextBox) -> str:
    """Text of a box without blanks around it."""
    return box.value.strip()
