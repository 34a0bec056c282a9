"""Guide step B: who may hand mail to this server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Optional

from textual.app import ComposeResult

from conbool_tui.errors import ConboolError
from conbool_tui.present_senders import SenderReport
from conbool_tui.receipt import Progress
from conbool_tui.wizard_state import YES, FieldError
from screens import work
from screens.flow import FlowStep
from screens.senders import SendersScreen, read_senders
from screens.step import StepScreen
from screens.texts import actions, questions
from screens.texts.inbound import firewall_lines
from screens.texts.lines import Line
from screens.texts.questions import CLOSE, DESPITE, EXTRA, FIREWALL, NETWORKS, PRIVATE, SWITCHES
from screens.texts.senders import READING, cut_off_line
from screens.widgets.button import Button, button
from screens.widgets.choice import Toggle
from screens.widgets.field import Field, field_id
from screens.widgets.lines import Text

_JOB = "senders"


class StepBScreen(StepScreen):
    """Conbool's addresses, closing port 25 and who stays let in, the relay host, who delivers."""

    field_keys: ClassVar[tuple[str, ...]] = questions.KEYS["inbound"]

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._asked: dict[str, FieldError] = {}
        self._log_error: Optional[ConboolError] = None
        self._before: dict[str, str] = {}

    def form(self) -> ComposeResult:
        """Addresses first: everything else rests on them."""
        state = self.wizard.state
        firewall = state.facts.firewall if state.facts else None
        yield self.field(NETWORKS)
        yield self.toggle(PRIVATE)
        yield Text(id="ask-private_networks")
        yield self.toggle(CLOSE)
        yield Text(id="cut-off")
        yield self.toggle(DESPITE)
        yield Text(id="ask-close_despite_mx")
        yield self.field(EXTRA)
        yield self.caption(FIREWALL, id="firewall-caption")
        yield self.choice(FIREWALL)
        yield Text(firewall_lines(firewall), id="firewall-found")
        for key in ("inbound.confirm_within", "inbound.relay_host", "inbound.public_addresses"):
            yield self.field(key)
        for key in ("inbound.return_mode", "inbound.peer_certificate"):
            yield self.caption(key)
            yield self.choice(key)

    def buttons(self) -> Sequence[Button]:
        """Next, and what helps to fill the fields."""
        return (
            button(actions.NEXT, "next"),
            button(actions.BACK, "back"),
            button(actions.LOAD_LIST, "load"),
            button(actions.WHO_IS_CUT_OFF, "senders"),
            button(actions.HISTORY, "history"),
        )

    def first_focus(self) -> Optional[str]:
        """Conbool's addresses."""
        return f"#{field_id('conbool_networks')} TextBox"

    def opened(self) -> None:
        """Show what matters now."""
        super().opened()
        self._show()

    def on_screen_suspend(self) -> None:
        """Note what the fields hold while another screen is on top."""
        self._before = {field.spec.key: self.draft.text(field.spec.key) for field in self.query(Field)}

    def resumed(self) -> None:
        """Other screens fill these fields, too."""
        super().resumed()
        self.call_after_refresh(self._take_over)

    def _take_over(self) -> None:
        for field in self.query(Field):
            text = self.draft.text(field.spec.key)
            # The draft follows the keyboard a moment later: only what another screen changed may replace what the box has.
            if self._before.get(field.spec.key, text) != text and field.box.value != text:
                field.box.value = text
                self.edited(field.spec.key)
        self._before = {}
        self._show_cut_off()

    # --- what is shown

    def _show(self) -> None:
        closing = self.draft.closes_port_25
        extra = bool(self.draft.text(EXTRA).strip())
        shown = {
            field_id(EXTRA): closing or extra,
            field_id(FIREWALL): closing,
            "firewall-caption": closing,
            "firewall-found": closing,
            field_id("inbound.confirm_within"): closing,
        }
        for key in SWITCHES:
            there = key in self._asked or self.draft.text(key) == YES
            shown[field_id(key)] = shown[_ask_id(key)] = there
        for name, there in shown.items():
            self.query_one(f"#{name}").set_class(not there, "-off")
        self._show_cut_off()

    def edited(self, key: str) -> None:
        """What is shown depends on what is chosen."""
        super().edited(key)
        self._show()

    def switched(self, owner: Toggle, value: bool) -> None:
        """Closing the port asks who would be cut off."""
        super().switched(owner, value)
        if owner.id == field_id(CLOSE) and value and self.wizard.state.known_senders is None:
            self._read_log()

    # --- switches that are shown when the plan asks for them

    def _mark_refused(self, error: ConboolError) -> None:
        asked = questions.asked_for(error, self.draft)
        if not asked:
            super()._mark_refused(error)
            return
        for key, told in asked.items():
            self._asked[key] = self._refused[key] = told
            self.query_one(f"#{_ask_id(key)}", Text).show([Line(f"    ! {self._asked[key]}", "warn", 6)])
        self._show()

    def planned(self, plan: Any, error: Optional[ConboolError]) -> None:
        """A switch nobody asks for any more goes away unless it is on."""
        if error is None:
            for key in self._asked:
                self.query_one(f"#{_ask_id(key)}", Text).show(())
            self._asked.clear()
            self._show()
        super().planned(plan, error)

    # --- who would be cut off

    def _read_log(self) -> None:
        self.run_job(_JOB, READING, read_senders(self.wizard))
        self._show_cut_off()

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        super().waiting(job)
        if job.name == _JOB:
            self._show_cut_off()

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """The seconds are enough."""

    def done_senders(self, report: Optional[SenderReport], error: Optional[ConboolError]) -> None:
        """Keep what was read."""
        if report is not None:
            self.wizard.state.keep_senders(report)
        self._log_error = error
        self._show_cut_off()

    def _show_cut_off(self) -> None:
        text, job = self.query_one("#cut-off", Text), self.job(_JOB)
        report = self.wizard.state.known_senders
        text.set_class(not self.draft.closes_port_25, "-off")
        if job is not None:
            lines = [Line(f"    Who would be cut off? {job.text} ({job.elapsed} s)", "dim")]
        else:
            line = cut_off_line(report, self.draft.lets_in, self._log_error)
            lines = [Line(f"    {line.text}", line.kind, 6)]
        text.show(lines)

    def do_senders(self) -> None:
        """The list of present senders."""
        self.cancel_job(_JOB)
        self.app.push_screen(SendersScreen())

    def do_load(self) -> None:
        """Fill a field from a list file."""
        from screens.load import LoadListScreen

        self.app.push_screen(LoadListScreen())

    def action_back(self) -> None:
        """Reading the log is given up."""
        if not self.has_class("-large"):
            self.cancel_job(_JOB)
        super().action_back()


def _ask_id(key: str) -> str:
    return "ask-" + key.rpartition(".")[2]
