"""What the wizard holds between its screens: the answers being edited, and what is pending. No Textual, no
I/O.

A field is declared in ``answers`` only; here its text is converted and checked as the admin types.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional, Union

from conbool_tui import answer_forms
from conbool_tui.answers import Answers, Inbound, Markers, Prerequisites, Scope, SmartHost, Spam
from conbool_tui.errors import ConboolError, ExitCode
from conbool_tui.findings import Finding, Status
from conbool_tui.mta import mta_facts
from conbool_tui.receipt import ChangeState, Receipt, time_left

if TYPE_CHECKING:
    from conbool_tui.checks.dns_model import DomainReport
    from conbool_tui.facts import Detection, HostFacts, MtaFacts
    from conbool_tui.plan import Plan
    from conbool_tui.present_senders import SenderReport

YES, NO = "yes", "no"
"""How the draft writes the answer to a question of yes or no."""

_SEPARATORS = re.compile(r"[\s,;]+")


class FieldError(ValueError):
    """A text that is no value of its field: what is wrong, and what to type instead."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what} {todo}")
        self.what = what
        self.todo = todo


@dataclass(frozen=True)
class FieldSpec:
    """One answer as the wizard shows it, read from the declaration in ``answers``."""

    key: str
    label: str
    help: str
    step: str
    choices: tuple[str, ...]
    example: object
    form: str


def _collect(owner: type, prefix: str = "") -> Iterable[FieldSpec]:
    for item in dataclasses.fields(owner):
        if "help" in item.metadata:
            meta = item.metadata
            yield FieldSpec(
                prefix + item.name,
                meta["label"],
                meta["help"],
                meta["step"],
                meta["choices"],
                meta["example"],
                meta["form"],
            )


FIELDS: Mapping[str, FieldSpec] = {
    spec.key: spec
    for owner, prefix in (
        (Answers, ""),
        (Prerequisites, "prerequisites."),
        (SmartHost, "smart_host."),
        (Scope, "scope."),
        (Inbound, "inbound."),
        (Markers, "markers."),
        (Spam, "spam."),
    )
    for spec in _collect(owner, prefix)
}


# --- conversion of one text -----------------------------------------------------------------------


def split_list(text: str) -> list[str]:
    """The items of a list typed with blanks, commas, semicolons or line ends between them."""
    return [item for item in _SEPARATORS.split(text) if item]


def convert(form: str, text: str) -> Union[str, int]:
    """One value of a form of ``answer_forms`` in its normal spelling.

    Raises:
        FieldError: it does not have that form.
    """
    text = text.strip()
    try:
        return answer_forms.FORMS[form](text)
    except answer_forms.FormError as error:
        what, _, todo = str(error).partition("; ")
        subject = answer_forms.shown(text) if text else "The field"
        raise FieldError(f"{subject} {what.rstrip('.')}.", todo[:1].upper() + todo[1:]) from None


def convert_list(form: str, text: str) -> tuple[str, ...]:
    """The values of a list, each once; of networks those that lie in no other.

    Raises:
        FieldError: one does not have the form.
    """
    values = tuple(dict.fromkeys(str(convert(form, item)) for item in split_list(text)))
    return answer_forms.merged(values)[0] if form == "network" else values


# --- the draft ------------------------------------------------------------------------------------

_TEXT_KEYS = (
    "prerequisites.four_checks_green",
    "prerequisites.dkim_selectors",
    "smart_host.host",
    "smart_host.port",
    "smart_host.tls_name",
    "smart_host.ca_file",
    "smart_host.client_certificate",
    "smart_host.client_key",
    "scope.mode",
    "scope.senders",
    "conbool_networks",
    "inbound.restrict_port_25",
    "inbound.extra_networks",
    "inbound.firewall",
    "inbound.relay_host",
    "inbound.return_mode",
    "inbound.close_despite_mx",
    "inbound.private_networks",
    "inbound.public_addresses",
    "inbound.confirm_within",
    "inbound.peer_certificate",
    "markers.trust",
    "markers.released",
    "markers.spam",
    "spam.action",
    "spam.folder",
)
_GROUPS = ("prerequisites", "smart_host", "scope", "inbound", "markers", "spam")
_ONLY_CLOSED = ("inbound.confirm_within",)


class Draft:
    """The answers while they are edited: texts as typed, so that nothing is lost by going back with an
    error on the screen.

    Args:
        answers: where to begin.
        detected: hosted domains found on the host that are meant when the admin names none.
        others: further names the host takes mail for, offered but not chosen.
    """

    def __init__(
        self, answers: Optional[Answers] = None, detected: Sequence[str] = (), others: Sequence[str] = ()
    ) -> None:
        base = answers or Answers()
        self._base = base
        self._texts = {key: _text(_get(base, key)) for key in _TEXT_KEYS}
        chosen = base.domains or tuple(detected)
        offered = dict.fromkeys((*detected, *chosen, *(name for name in others if _is_domain(name))))
        self._domains = {domain: domain in chosen for domain in offered}
        detected = (*detected, *others)
        self._detected = frozenset(detected)
        self._loop_headers = dict(base.markers.loop_headers)
        self.instance = base.instance
        self._kept = self.snapshot()

    # domains

    @property
    def domains(self) -> Mapping[str, bool]:
        """Every domain offered, with whether it is chosen."""
        return self._domains

    @property
    def chosen_domains(self) -> tuple[str, ...]:
        """The domains that are chosen, in the order shown."""
        return tuple(domain for domain, chosen in self._domains.items() if chosen)

    def is_detected(self, domain: str) -> bool:
        """True when the domain was found on the host, False when the admin added it."""
        return domain in self._detected

    def choose_domain(self, domain: str, chosen: bool) -> None:
        """Take a domain in or leave it out."""
        self._domains[domain] = chosen

    def add_domains(self, text: str) -> tuple[str, ...]:
        """Add the domains in ``text`` and choose them.

        Raises:
            FieldError: one is no domain; then none is added.
        """
        names = convert_list("domain", text)
        for name in names:
            self._domains[name] = True
        return names

    # loop headers

    def loop_header(self, domain: str) -> str:
        """The loop header of ``domain``: as typed, else the default."""
        return self._loop_headers.get(domain) or Answers().loop_header(domain)

    def set_loop_header(self, domain: str, text: str) -> None:
        """Give ``domain`` its own loop header; the default again when empty.

        Raises:
            FieldError: it is no header name.
        """
        name = str(convert("loop header", text)) if text.strip() else ""
        if not name or name == Answers().loop_header(domain):
            self._loop_headers.pop(domain, None)
        else:
            self._loop_headers[domain] = name

    # texts

    def text(self, key: str) -> str:
        """The text of a field as typed."""
        return self._texts[key]

    def set(self, key: str, text: str) -> None:
        """Replace the text of a field."""
        if key not in self._texts:
            raise KeyError(key)
        self._texts[key] = text

    @property
    def closes_port_25(self) -> bool:
        """True when port 25 is to be closed to everybody but Conbool and the extra networks."""
        return self._texts["inbound.restrict_port_25"] == YES

    @property
    def networks(self) -> frozenset[str]:
        """The networks typed so far that may connect to port 25 when it is closed to others."""
        answers = self.answers()
        return frozenset((*answers.conbool_networks, *answers.inbound.extra_networks))

    def lets_in(self, address: str) -> bool:
        """True when the networks typed so far let this address connect to port 25."""
        found = ipaddress.ip_address(address)
        return any(found in ipaddress.ip_network(network) for network in self.networks)

    def let_in(self, address: str, chosen: bool) -> None:
        """Add a single address to the extra networks, or take it out again."""
        listed = split_list(self._texts["inbound.extra_networks"])
        own = (address, str(ipaddress.ip_network(address)))
        kept = [item for item in listed if item not in own]
        self._texts["inbound.extra_networks"] = ", ".join([*kept, address] if chosen else kept)

    def error(self, key: str) -> Optional[FieldError]:
        """What is wrong with a field, None when it can be used."""
        if key == "domains":
            if not self.chosen_domains:
                return FieldError(
                    "No hosted domain is chosen.",
                    "Choose at least one, or type one to add it.",
                )
            return None
        if key == "markers.loop_headers" or (key == "scope.senders" and self.text("scope.mode") != "senders"):
            return None
        if key == "spam.folder" and self.text("spam.action") != "folder":
            return None
        if key in _ONLY_CLOSED and not self.closes_port_25:
            return None
        try:
            value = self._convert(key)
        except FieldError as error:
            return error
        if key == "conbool_networks" and not value and self.closes_port_25:
            return FieldError(
                "Conbool's addresses are missing.",
                "Type them, as the Setup Assistant shows them, or leave port 25 open: closed, it would be shut "
                "for Conbool too.",
            )
        if key == "inbound.extra_networks":
            return self._overlap(value)
        is_address = self._texts["smart_host.host"].strip().replace(".", "").isdigit()
        if key == "smart_host.tls_name" and not value and is_address:
            return FieldError("The smart host is an address.", "Type the name its certificate must carry.")
        if key == "scope.senders" and not value:
            return FieldError(
                "No sender is listed.", "Type at least one address or @domain, or choose another mode."
            )
        if (
            key == "smart_host.client_key"
            and not value
            and self._texts["smart_host.client_certificate"].strip()
        ):
            return FieldError(
                "The certificate's key is missing.",
                "Type the path of its key file, or clear the certificate.",
            )
        if (
            key == "smart_host.client_certificate"
            and not value
            and self._texts["smart_host.client_key"].strip()
        ):
            return FieldError(
                "The key's certificate is missing.",
                "Type the path of its certificate file, or clear the key.",
            )
        return None

    def misspelt(self, key: str) -> Optional[FieldError]:
        """What is wrong with the text of a field by itself, whatever the other fields hold."""
        try:
            self._convert(key)
        except FieldError as error:
            return error
        return None

    def _overlap(self, extra: object) -> Optional[FieldError]:
        listed = self.answers().conbool_networks
        assert isinstance(extra, tuple)
        for first, second in answer_forms.overlaps([*listed, *extra]):
            told = f"{first} and {second} overlap." if first != second else f"{first} is there twice."
            return FieldError(told, "Conbool's addresses may connect already: list them above only.")
        return None

    def errors(self, keys: Optional[Iterable[str]] = None) -> dict[str, FieldError]:
        """Every error among ``keys`` (all fields when not given), in their order."""
        found = {}
        for key in keys if keys is not None else ("domains", *_TEXT_KEYS):
            error = self.error(key)
            if error is not None:
                found[key] = error
        return found

    def answers(self) -> Answers:
        """The answers as they stand; a field with an error counts as not edited, so that a preview of the
        others stays possible.
        """
        values: dict[str, dict[str, object]] = {group: {} for group in ("", *_GROUPS)}
        for key in _TEXT_KEYS:
            group, _, name = key.rpartition(".")
            values[group][name] = self._value(key)
        values["markers"]["loop_headers"] = {
            domain: header for domain, header in self._loop_headers.items() if self._domains.get(domain)
        }
        changes: dict[str, object] = dict(values[""])
        for group in _GROUPS:
            changes[group] = dataclasses.replace(getattr(self._base, group), **values[group])
        changes["domains"] = self.chosen_domains
        changes["instance"] = self.instance
        return dataclasses.replace(self._base, **changes)  # type: ignore[arg-type]  # names and types come from the fields themselves

    def _convert(self, key: str) -> object:
        spec, text = FIELDS[key], self._texts[key]
        declared = _get(Answers(), key)
        if isinstance(declared, bool):
            return text == YES
        if isinstance(declared, tuple):
            return convert_list(spec.form, text)
        if declared is None and not text.strip():
            return None
        return text if spec.choices else convert(spec.form, text)

    def _value(self, key: str) -> object:
        try:
            return self._convert(key)
        except FieldError:
            return _get(self._base, key)

    # pending

    def snapshot(self) -> object:
        """Everything typed so far, to compare."""
        return (dict(self._texts), dict(self._domains), dict(self._loop_headers), self.instance)

    def keep(self) -> None:
        """Remember the present texts as saved or applied."""
        self._kept = self.snapshot()

    @property
    def changed(self) -> bool:
        """True when something was edited since it was last saved or applied."""
        return self.snapshot() != self._kept


def _is_domain(name: str) -> bool:
    try:
        return answer_forms.domain(name) == name
    except answer_forms.FormError:
        return False


def _get(answers: Answers, key: str) -> object:
    value: object = answers
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


# --- times ----------------------------------------------------------------------------------------


def seconds_left(moment: str, now: float) -> int:
    """The time left (``receipt.time_left``) in whole seconds, the one that has begun counted in."""
    return math.ceil(time_left(moment, now))


def now_utc() -> datetime.datetime:
    """This moment."""
    return datetime.datetime.now(datetime.timezone.utc)


def clock_time(moment: str) -> str:
    """The time of day of a moment of a receipt: ``14:03:20 UTC``."""
    return f"{moment.partition('T')[2][:8]} UTC"


# --- the whole wizard -----------------------------------------------------------------------------


@dataclass
class NameService:
    """What name service publishes, as far as it was looked up in this run.

    Attributes:
        asked: domains, selectors and expectations that were asked for.
        reports: what came back so far, by domain.
        seconds: how long it took; None while it still runs or when it was stopped.
    """

    asked: tuple[object, ...]
    reports: dict[str, DomainReport] = field(default_factory=dict)
    seconds: Optional[int] = None

    @staticmethod
    def key(answers: Answers) -> tuple[object, ...]:
        """What a look-up for these answers asks for."""
        return (answers.domains, answers.prerequisites.dkim_selectors, answers.dns_expectations)

    def count(self, status: Status) -> int:
        """How many domains have this status."""
        return sum(report.status is status for report in self.reports.values())


class WizardState:
    """What one run of the wizard knows and has done. Changed only by the thread of the screens.

    Args:
        answers: where to begin, for example from an answers file.
    """

    def __init__(self, answers: Optional[Answers] = None) -> None:
        self.start_answers = answers
        self.facts: Optional[HostFacts] = None
        self.detection: Optional[Detection] = None
        self.unfinished: Optional[Receipt] = None
        self.unconfirmed: Optional[Receipt] = None
        self.told = False
        """Whether Welcome has said what ended while nobody watched."""
        self._in_force_again: dict[str, str] = {}
        self.name_service: Optional[NameService] = None
        self._senders: Optional[SenderReport] = None
        self._senders_for: frozenset[str] = frozenset()
        self.draft = Draft(answers)
        self.stale = False
        self.plan: Optional[Plan] = None
        self.receipts: list[Receipt] = []
        self.findings: Optional[list[Finding]] = None
        self.tested_at = now_utc()
        """When the last test began."""
        self.failure: Optional[ConboolError] = None
        self.saved_to = ""

    @property
    def mta(self) -> Optional[MtaFacts]:
        """What is known of the mail system to work on, None until one is found."""
        return mta_facts(self.detection)

    @property
    def _worked_on(self) -> Optional[tuple[str, str]]:
        """Which mail system and instance that is."""
        detection = self.detection
        if detection is None or self.mta is None:
            return None
        return detection.system, detection.postfix.instance if detection.postfix is not None else ""

    @property
    def known_senders(self) -> Optional[SenderReport]:
        """Who hands mail to port 25 today; None when that was not read, or a network was taken out since."""
        return self._senders if self._senders_for <= self.draft.networks else None

    def keep_senders(self, report: SenderReport) -> None:
        """Keep what was read from the mail log for the answers as they stand."""
        self._senders, self._senders_for = report, self.draft.networks

    def found(
        self,
        facts: HostFacts,
        detection: Optional[Detection],
        unfinished: Optional[Receipt] = None,
        instance: Optional[str] = None,
        domains: Sequence[str] = (),
    ) -> None:
        """Take over what one look at the host brought.

        ``domains`` are those meant when the admin names none. Answers already edited are kept when it is the
        same mail system and instance as before.
        """
        before = self._worked_on
        self.facts, self.detection, self.unfinished, self.stale = facts, detection, unfinished, False
        mta = self.mta
        if mta is None:
            return
        if before != self._worked_on:
            self.draft = Draft(self._starting_from(facts), domains, mta.domains.all())
            self.name_service = self._senders = None
        if instance is not None and self.draft.instance != instance:
            self.draft.instance = instance
            self.draft.keep()

    def _starting_from(self, facts: HostFacts) -> Optional[Answers]:
        """The answers to begin with. A firewall that cannot be used is left alone from the start, so that what is
        shown is what is saved.
        """
        if facts.firewall is None or not facts.firewall.unusable:
            return self.start_answers
        given = self.start_answers or Answers()
        return dataclasses.replace(given, inbound=dataclasses.replace(given.inbound, firewall="none"))

    def take_answers(self, answers: Answers) -> None:
        """Begin again with other answers, those of a change in force; facts are read again."""
        self.start_answers = answers
        self.draft = Draft(answers, (), self.mta.domains.all() if self.mta else ())
        self.name_service = self._senders = None
        self.stale = True

    def changed_host(self, receipt: Receipt, *, in_force_again: str = "") -> None:
        """Take note of a change, an undo or a recovery, or of how a change ended that waited for confirmation:
        facts read before it no longer hold. ``in_force_again``: the change that an undo of its undo brought back.
        """
        self.failure = None
        if in_force_again:
            self._in_force_again[receipt.id] = in_force_again
        self.receipts = [*(item for item in self.receipts if item.id != receipt.id), receipt]
        self.stale = True
        if receipt.state is ChangeState.UNCONFIRMED:
            self.unconfirmed = receipt
        elif self.unconfirmed is not None and self.unconfirmed.id == receipt.id:
            self.unconfirmed = None

    @property
    def pending(self) -> str:
        """What would be lost or left undone by leaving now, in one sentence; empty when nothing."""
        if self.unconfirmed is not None:
            return (
                f"Change {self.unconfirmed.id} waits for confirmation. It is taken back by itself at "
                f"{clock_time(self.unconfirmed.confirm_by)} unless you run: conbool-tui confirm"
            )
        if self.unfinished is not None and self.unfinished.state is not ChangeState.RUNNING:
            return f"Change {self.unfinished.id} is unfinished and has not been recovered."
        if self.draft.changed:
            return "Your answers have been neither applied nor saved."
        return ""

    @property
    def last_applied(self) -> Optional[Receipt]:
        """The newest change this run made that still stands."""
        for receipt in reversed(self.receipts):
            if (
                receipt.state is ChangeState.APPLIED
                and not receipt.undo_of
                and not self.taken_back(receipt.id)
            ):
                return receipt
        return None

    def taken_back(self, change_id: str) -> bool:
        """Whether this run has taken a change back, and not put it in force again since."""
        taken = False
        for receipt in self.receipts:
            if self._in_force_again.get(receipt.id) == change_id:
                taken = False
            elif receipt.undo_of == change_id and receipt.state is ChangeState.APPLIED:
                taken = True
        return taken

    @property
    def exit_code(self) -> int:
        """Exit code of the run (``ExitCode``): that of the last failed change, then of the last failed
        check.
        """
        if self.failure is not None:
            return self.failure.exit_code
        if self.findings is not None and any(finding.status is Status.FAIL for finding in self.findings):
            return ExitCode.CHECK_FAILED
        return ExitCode.DONE

    def farewell(self, state_dir: str, log: str) -> list[str]:
        """The lines that stay in the scrollback: what changed, its ID, how to undo it, where the journal
        is.
        """
        lines = []
        for receipt in self.receipts:
            if receipt.undo_of:
                state = "" if receipt.state is ChangeState.APPLIED else f" ({receipt.state.value})"
                again = self._in_force_again.get(receipt.id)
                what = f"In force again: change {again}" if again else f"Undone: change {receipt.undo_of}"
                lines.append(f"{what}{state}, recorded as {receipt.id}.")
                continue
            lines.append(
                f"Change {receipt.id}: {receipt.state.value}, {_count(receipt.files, 'file')}"
                f"{_below(receipt.files)}."
            )
        if self.unconfirmed is not None:
            if self.unconfirmed.id not in {receipt.id for receipt in self.receipts}:
                lines.append(f"Change {self.unconfirmed.id}: {self.unconfirmed.state.value}.")
            lines.append(
                f"It is taken back at {clock_time(self.unconfirmed.confirm_by)} unless you run: conbool-tui confirm"
            )
        if self.last_applied is not None:
            lines.append(f"Take it back: conbool-tui undo {self.last_applied.id}")
        if self.failure is not None:
            lines.extend(self.failure.lines())
        if not self.receipts and self.failure is None and self.unconfirmed is None:
            lines.append("Nothing was changed.")
        if self.saved_to:
            lines.append(f"Answers: {self.saved_to} (conbool-tui apply --answers {self.saved_to})")
        if self.receipts or self.failure is not None:
            lines.append(f"Journal and backups: {state_dir}; log: {log}")
        return lines


def _below(paths: Sequence[str]) -> str:
    """The folder that holds all of several files; a long list of names would drown the undo command."""
    if not paths:
        return ""
    return " below " + (posixpath.commonpath(paths) if len(paths) > 1 else posixpath.dirname(paths[0]))


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")
