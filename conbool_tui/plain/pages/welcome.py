"""Welcome: what was found on this server, and where to begin."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError, RollbackIncompleteError
from conbool_tui.facts import Detection
from conbool_tui.plain.pages import confirm, drift, history
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option, Tick
from conbool_tui.receipt import Progress, Receipt
from screens import looking
from screens.flow import FlowStep
from screens.looking import Found, Waiting
from screens.texts import actions, asked
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

RECOVERING = "Putting the old files back"


class _EndedError(Exception):
    """The change that another process worked on has ended."""


class Welcome:
    """The first step. What ended while nobody watched, and recovery of a change that a crash cut off, come first."""

    def __init__(self, run: Run, step: FlowStep) -> None:
        self._run = run
        self._step = step
        given = run.state.start_answers
        self._instance: Optional[str] = given.instance if given is not None else None
        self._chosen = self._instance is not None
        self._news: list[Line] = []
        self._stuck: Optional[ConboolError] = None

    def show(self) -> None:
        """Look, tell, and offer what leads on; returns when the next step comes. Raises GoneError, LeftError."""
        self._run.title(self._step)
        self._run.talk.say(INTRO)
        while not self._look_and_ask():
            self._run.talk.topic = self._step.id

    # --- looking

    def _look_and_ask(self) -> bool:
        """Whether the next step comes; else this one looks again."""
        run = self._run
        try:
            found = run.jobs.run(LOOKING, lambda report: looking.look(run.session, self._instance))
        except ConboolError as error:
            run.talk.say(*error_lines(error))
            return self._menu(None)
        if isinstance(found, Waiting):
            self._confirm(found)
            return False
        self._tell(found)
        if self._which(found):
            return False
        return self._menu(found)

    def _confirm(self, found: Waiting) -> None:
        """Keep or take back first; then look."""
        run, receipt = self._run, found.receipt
        run.talk.say(f"Change {receipt.id} waits for confirmation.")
        run.state.unconfirmed = receipt
        run.talk.say(*([] if found.missed is None else missed_lines(found.missed)))
        self._seen(found.missed)
        outcome = confirm.confirm(run, receipt, run.state.start_answers)
        self._news = [outcome_line(outcome), *message_lines(outcome)]

    def _tell(self, found: Found) -> None:
        run = self._run
        run.state.found(found.facts, found.target, found.unfinished, self._instance, found.domains)
        news = [*self._news, Line("")] if self._news else []
        lines = news if found.missed is None else missed_lines(found.missed)
        self._news = []
        if found.unfinished is not None:
            lines = [*lines, *unfinished_lines(found.unfinished), Line("")]
        lines = [*lines, *drift_news(found.drift), *host_lines(found.facts, found.target)]
        if found.obstacle is not None and found.obstacle_is_news:
            lines = [*lines, Line(""), *error_lines(found.obstacle)]
        run.talk.say("", "This server")
        run.talk.page(lines)
        self._seen(found.missed)

    def _seen(self, missed: Optional[Receipt]) -> None:
        """It was said: it need not be said again; what came since has not been."""
        run = self._run
        run.state.told = True
        if missed is not None and run.session.unseen() == missed:
            run.session.seen()

    # --- several systems or instances

    def _which(self, found: Found) -> bool:
        """Ask which one is meant; whether one was chosen, so that it is looked at."""
        if len(found.present) > 1 and not self._run.session.mail_system:
            options = [Option(item.system, system_text(item)) for item in found.present]
            chosen = self._choose(WHICH_SYSTEM, options)
            if chosen:
                self._run.session.mail_system = chosen
            return bool(chosen)
        if found.target is not None and self._needs_choice(found.target):
            assert found.target.postfix is not None
            options = [Option(item.name, instance_text(item)) for item in found.target.postfix.instances]
            chosen = self._choose(WHICH_INSTANCE, options)
            if chosen:
                self._instance, self._chosen = chosen, True
            return bool(chosen)
        return False

    def _choose(self, question: str, options: list[Option]) -> str:
        try:
            return self._run.talk.choose(["", question], options, enter="")
        except BackError:
            return ""

    def _needs_choice(self, target: Detection) -> bool:
        return looking.needs_instance(target) and not self._chosen

    # --- what to do next

    def _options(self, found: Optional[Found]) -> list[Option]:
        unfinished = found.unfinished if found else None
        recover = "no change is unfinished"
        if found is None:
            start = "this server could not be looked at"
        elif found.running:
            start = "another process is changing this server just now"
            recover = "another process is working on that change"
        elif unfinished is not None:
            start, recover = "recover the unfinished change first", ""
        elif found.target is None:
            start = "there is no mail system to set up, see above"
        else:
            start = "choose a Postfix instance first" if self._needs_choice(found.target) else ""
        first = (
            Option("close", actions.LEAVE_AS_IS)
            if self._stuck is not None
            else Option("start", actions.START, start)
        )
        differs = [Option("differs", actions.EDITED_SINCE)] if found is not None and found.drift else []
        return [
            first,
            Option("recover", actions.RECOVER, recover),
            *differs,
            Option("search", actions.SEARCH_AGAIN),
            Option("history", actions.HISTORY),
            Option("leave", actions.LEAVE),
        ]

    def _menu(self, found: Optional[Found]) -> bool:
        run = self._run
        while True:
            run.talk.topic = self._step.id
            options = self._options(found)
            able = [option.value for option in options if not option.reason]
            enter = next((value for value in ("start", "recover") if value in able), "search")
            watch = self._watch(found) if found is not None and found.running else None
            try:
                chosen = run.talk.menu(options, enter=enter, tick=watch)
            except _EndedError:
                return False
            except BackError:
                # There is nothing before this step.
                chosen = "leave"
            if chosen == "start":
                return True
            if chosen == "leave":
                run.leave()
            elif chosen == "history":
                history.history(run)
                if run.state.stale:
                    return False
            elif chosen == "search":
                return False
            elif chosen == "differs":
                drift.drift(run)
                return False
            elif self._recover(accept=chosen == "close"):
                return False

    def _watch(self, found: Found) -> Tick:
        """Looks whether another process has ended its work."""
        run = self._run

        def tick() -> bool:
            assert found.unfinished is not None
            ended = looking.how_ended(run.session, found.unfinished.id)
            if isinstance(ended, str):
                return False
            self._news = [] if ended is None else ended_lines(ended)
            raise _EndedError

        return tick

    def _recover(self, *, accept: bool) -> bool:
        """Put the old state back, or leave what was edited as it is; whether it did."""
        run, unfinished = self._run, self._run.state.unfinished
        if accept:
            assert unfinished is not None
            assert self._stuck is not None
            if not run.talk.asked(asked.close_change(unfinished, self._stuck)):
                return False
        try:
            receipt = run.session.recover(run.teller(_step_line), accept=accept)
        except ConboolError as error:
            run.state.failure = error
            self._stuck = error if isinstance(error, RollbackIncompleteError) else None
            run.talk.say(*error_lines(error))
            return False
        self._stuck = None
        if receipt is not None:
            run.state.changed_host(receipt)
            self._news = ended_lines(receipt)
        return True


def _step_line(progress: Progress) -> Line:
    return Line(f"{RECOVERING}: {progress.text}")
