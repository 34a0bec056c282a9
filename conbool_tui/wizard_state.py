"""What the wizard holds between its screens: the answers being edited, and what is pending. No Textual, no
I/O.

A field is declared in ``answers`` only; here its text is converted and checked as the admin types.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional, Union

from conbool_tui.answers import Answers, Inbound, Markers, Scope, SmartHost, Spam
from conbool_tui.errors import ConboolError, ExitCode
from conbool_tui.facts import Detection, HostFacts, PostfixFacts
from conbool_tui.findings import Finding, Status
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, Receipt

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_HEADER = re.compile(r"[!-9;-~]+\Z")  # ftext of RFC 5322, section 3.6.8
_LOCAL_PART = re.compile(r"[^\s@<>,;:\"\\()\[\]]{1,64}\Z")
_SEPARATORS = re.compile(r"[\s,;]+")
MAX_NAME = 253

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


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
            )


FIELDS: Mapping[str, FieldSpec] = {
    spec.key: spec
    for owner, prefix in (
        (Answers, ""),
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


def host_name(text: str) -> str:
    """A host name (RFC 1123), lower case, without final dot.

    Raises:
        FieldError: it is none.
    """
    name = text.strip().rstrip(".").lower()
    if not name:
        raise FieldError("A name is missing.", "Type a host name, for example mail.conbool.com.")
    if name.startswith("["):
        raise FieldError(
            "Brackets are not part of the name.", "Type the name alone; no MX lookup is made anyway."
        )
    if ":" in name:
        raise FieldError(
            "A colon is not part of a name.", "Type the name here and the port in its own field."
        )
    name = _ascii_name(name)
    labels = name.split(".")
    if len(name) > MAX_NAME or not all(_LABEL.match(label) for label in labels):
        raise FieldError(f"{_short(text)} is not a host name.", "Use letters, digits, hyphens and dots.")
    return name


def domain_name(text: str) -> str:
    """A mail domain, lower case, international names in their xn-- form.

    Raises:
        FieldError: it is none.
    """
    if "@" in text:
        raise FieldError(f"{_short(text)} is an address.", "Type the part behind the @.")
    name = host_name(text)
    last = name.rsplit(".", 1)[-1]
    if "." not in name or last.isdigit():
        raise FieldError(f"{_short(text)} is not a mail domain.", "Type it in full, for example example.com.")
    return name


def port_number(text: str) -> int:
    """A TCP port.

    Raises:
        FieldError: it is none.
    """
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()) or not 1 <= int(stripped) <= 65535:
        raise FieldError(
            f"{_short(text) or 'Nothing'} is not a port.",
            "Type a number from 1 to 65535; the service uses 25.",
        )
    return int(stripped)


def file_path(text: str) -> Optional[str]:
    """An absolute path, or None when nothing is typed.

    Raises:
        FieldError: it is relative.
    """
    path = text.strip()
    if not path:
        return None
    if not path.startswith("/") or path.endswith("/"):
        raise FieldError(
            f"{_short(path)} is not the full path of a file.",
            "Begin with a slash, for example /etc/ssl/private/mail.pem.",
        )
    return path


def header_name(text: str) -> str:
    """The name of a header field (RFC 5322, section 2.2).

    Raises:
        FieldError: it is none.
    """
    name = text.strip().rstrip(":")
    if not _HEADER.match(name):
        raise FieldError(
            f"{_short(text) or 'Nothing'} is not a header name.",
            "Type a name without blanks, for example X-Conbool-Released.",
        )
    return name


def folder_name(text: str) -> str:
    """A mailbox folder's name.

    Raises:
        FieldError: it is empty or holds characters no mail server takes.
    """
    name = text.strip()
    if not name or any(ord(char) < 32 or char in '"\\' for char in name):
        raise FieldError(
            "This is not a folder name.", "Type the folder's name as users see it, for example Junk."
        )
    return name


def sender_pattern(text: str) -> str:
    """A sender: an address or @domain; the domain in lower case.

    Raises:
        FieldError: it is neither.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at:
        raise FieldError(
            f"{_short(text)} has no @.",
            "Type an address (alice@example.com) or a whole domain (@example.com).",
        )
    if local and not _LOCAL_PART.match(local):
        raise FieldError(
            f"{_short(text)} is not an address.",
            "Type it without name and brackets, for example alice@example.com.",
        )
    return f"{local}@{domain_name(domain)}"


def networks(items: Sequence[str]) -> tuple[str, ...]:
    """Addresses and networks in CIDR form, each once.

    Raises:
        FieldError: one is no network, has host bits, is everything, or lies inside another.
    """
    found: list[Network] = []
    for item in items:
        network = _network(item)
        for other in found:
            if network.version == other.version and network.overlaps(other) and network != other:
                raise FieldError(f"{network} and {other} overlap.", "Keep the larger one only.")
        if network not in found:
            found.append(network)
    return tuple(str(network) for network in found)


def _network(item: str) -> Network:
    try:
        network = ipaddress.ip_network(item, strict=False)
    except ValueError:
        raise FieldError(
            f"{_short(item)} is not an address.", "Type addresses or networks such as 198.51.100.0/24."
        ) from None
    if network.prefixlen == 0:
        raise FieldError(
            f"{item} is every address there is.", "Type only the addresses shown in the Setup Assistant."
        )
    if "/" in item and ipaddress.ip_interface(item).ip != network.network_address:
        raise FieldError(
            f"{item} is an address inside a network.",
            f"Type {network}, or the address without /{network.prefixlen}.",
        )
    return network


def _ascii_name(name: str) -> str:
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        raise FieldError(
            f"{_short(name)} is not a domain name.", "Use letters, digits, hyphens and dots."
        ) from None


def _short(text: str) -> str:
    text = "".join(char if char.isprintable() else "?" for char in text.strip())
    return text if len(text) <= 40 else text[:38] + ".."


# --- the draft ------------------------------------------------------------------------------------

_CONVERT: Mapping[str, Callable[[str], object]] = {
    "smart_host.host": host_name,
    "smart_host.port": port_number,
    "smart_host.tls_name": lambda text: host_name(text) if text.strip() else None,
    "smart_host.ca_file": file_path,
    "smart_host.client_certificate": file_path,
    "smart_host.client_key": file_path,
    "scope.mode": lambda text: text,
    "scope.senders": lambda text: tuple(dict.fromkeys(sender_pattern(item) for item in split_list(text))),
    "conbool_networks": lambda text: networks(split_list(text)),
    "markers.trust": lambda text: text,
    "markers.released": header_name,
    "markers.spam": lambda text: tuple(dict.fromkeys(header_name(item) for item in split_list(text))),
    "spam.action": lambda text: text,
    "spam.folder": folder_name,
}


class Draft:
    """The answers while they are edited: texts as typed, so that nothing is lost by going back with an
    error on the screen.

    Args:
        answers: where to begin.
        detected: hosted domains found on the host, offered and chosen unless ``answers`` names its own.
    """

    def __init__(self, answers: Optional[Answers] = None, detected: Sequence[str] = ()) -> None:
        base = answers or Answers()
        self._base = base
        self._texts = {key: _text(_get(base, key)) for key in _CONVERT}
        chosen = base.domains or tuple(detected)
        self._domains = {domain: domain in chosen for domain in dict.fromkeys((*detected, *chosen))}
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
        names = tuple(domain_name(item) for item in split_list(text))
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
        if not text.strip() or header_name(text) == Answers().loop_header(domain):
            self._loop_headers.pop(domain, None)
        else:
            self._loop_headers[domain] = header_name(text)

    # texts

    def text(self, key: str) -> str:
        """The text of a field as typed."""
        return self._texts[key]

    def set(self, key: str, text: str) -> None:
        """Replace the text of a field."""
        if key not in self._texts:
            raise KeyError(key)
        self._texts[key] = text

    def error(self, key: str) -> Optional[FieldError]:
        """What is wrong with a field, None when it can be used."""
        if key == "domains":
            if not self.chosen_domains:
                return FieldError(
                    "No hosted domain is chosen.",
                    "Choose at least one with Space, or type one and press Enter.",
                )
            return None
        if key == "markers.loop_headers" or (key == "scope.senders" and self.text("scope.mode") != "senders"):
            return None
        if key == "spam.folder" and self.text("spam.action") != "folder":
            return None
        try:
            value = _CONVERT[key](self._texts[key])
        except FieldError as error:
            return error
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

    def errors(self, keys: Optional[Iterable[str]] = None) -> dict[str, FieldError]:
        """Every error among ``keys`` (all fields when not given), in their order."""
        found = {}
        for key in keys if keys is not None else ("domains", *_CONVERT):
            error = self.error(key)
            if error is not None:
                found[key] = error
        return found

    def answers(self) -> Answers:
        """The answers as they stand; a field with an error counts as not edited, so that a preview of the
        others stays possible.
        """
        values: dict[str, dict[str, object]] = {
            "": {},
            "smart_host": {},
            "scope": {},
            "markers": {},
            "spam": {},
        }
        for key in _CONVERT:
            group, _, name = key.rpartition(".")
            values[group][name] = self._value(key)
        values["markers"]["loop_headers"] = {
            domain: header for domain, header in self._loop_headers.items() if self._domains.get(domain)
        }
        changes: dict[str, object] = dict(values[""])
        for group in ("smart_host", "scope", "markers", "spam"):
            changes[group] = dataclasses.replace(getattr(self._base, group), **values[group])
        changes["domains"] = self.chosen_domains
        changes["instance"] = self.instance
        return dataclasses.replace(self._base, **changes)  # type: ignore[arg-type]  # names and types come from the fields themselves

    def _value(self, key: str) -> object:
        try:
            return _CONVERT[key](self._texts[key])
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


def _get(answers: Answers, key: str) -> object:
    value: object = answers
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


# --- the whole wizard -----------------------------------------------------------------------------


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
        self.draft = Draft(answers)
        self.stale = False
        self.plan: Optional[Plan] = None
        self.receipts: list[Receipt] = []
        self.findings: Optional[list[Finding]] = None
        self.failure: Optional[ConboolError] = None
        self.saved_to = ""

    @property
    def postfix(self) -> Optional[PostfixFacts]:
        """Facts of the Postfix to work on, None until one is found."""
        return self.detection.postfix if self.detection else None

    def found(
        self,
        facts: HostFacts,
        detection: Optional[Detection],
        unfinished: Optional[Receipt],
        instance: Optional[str],
    ) -> None:
        """Take over what one look at the host brought.

        Answers already edited are kept when it is the same mail system and instance as before.
        """
        before = self.postfix
        self.facts, self.detection, self.unfinished, self.stale = facts, detection, unfinished, False
        after = self.postfix
        if after is None:
            return
        if before is None or before.instance != after.instance:
            self.draft = Draft(self.start_answers, after.domains.all())
        if instance is not None and self.draft.instance != instance:
            self.draft.instance = instance
            self.draft.keep()

    def changed_host(self, receipt: Receipt) -> None:
        """Take note of a change, an undo or a recovery: facts read before it no longer hold."""
        self.failure = None
        self.receipts.append(receipt)
        self.stale = True

    @property
    def pending(self) -> str:
        """What would be lost or left undone by leaving now, in one sentence; empty when nothing."""
        if self.unfinished is not None:
            return f"Change {self.unfinished.id} is unfinished and has not been recovered."
        if self.draft.changed:
            return "Your answers have been neither applied nor saved."
        return ""

    @property
    def last_applied(self) -> Optional[Receipt]:
        """The newest change this run made that still stands."""
        undone = {receipt.undo_of for receipt in self.receipts if receipt.undo_of}
        for receipt in reversed(self.receipts):
            if receipt.state is ChangeState.APPLIED and not receipt.undo_of and receipt.id not in undone:
                return receipt
        return None

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

    def farewell(self, state_dir: str) -> list[str]:
        """The lines that stay in the scrollback: what changed, its ID, how to undo it, where the journal
        is.
        """
        lines = []
        for receipt in self.receipts:
            if receipt.undo_of:
                lines.append(
                    f"Undone: change {receipt.undo_of} ({receipt.state.value}), recorded as {receipt.id}."
                )
                continue
            lines.append(
                f"Change {receipt.id}: {receipt.state.value}, {_count(receipt.files, 'file')}: "
                + ", ".join(receipt.files)
            )
        if self.last_applied is not None:
            lines.append(f"Take it back: conbool-tui undo {self.last_applied.id}")
        if self.failure is not None:
            lines.extend(self.failure.lines())
        if not self.receipts and self.failure is None:
            lines.append("Nothing was changed.")
        if self.saved_to:
            lines.append(f"Answers: {self.saved_to} (conbool-tui apply --answers {self.saved_to})")
        if self.receipts or self.failure is not None:
            lines.append(f"Journal and backups: {state_dir}")
        return lines


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")
