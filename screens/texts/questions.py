"""The questions of the guide's steps: their order, and the words around them. What is asked is declared in ``answers``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.wizard_state import FIELDS, YES, Draft, FieldError, WizardState
from screens.texts.inbound import RETURN, firewall_words, peer_words
from screens.texts.lines import Line

GREEN = "prerequisites.four_checks_green"
SELECTORS = "prerequisites.dkim_selectors"
NETWORKS = "conbool_networks"
PRIVATE = "inbound.private_networks"
CLOSE = "inbound.restrict_port_25"
DESPITE = "inbound.close_despite_mx"
EXTRA = "inbound.extra_networks"
FIREWALL = "inbound.firewall"
LOOP_HEADERS = "markers.loop_headers"
DOMAINS = "domains"

KEYS: Mapping[str, tuple[str, ...]] = {
    "prerequisites": (GREEN, SELECTORS),
    "smart-host": (
        "smart_host.host",
        "smart_host.port",
        "smart_host.tls_name",
        "smart_host.ca_file",
        "smart_host.client_certificate",
        "smart_host.client_key",
        DOMAINS,
    ),
    "inbound": (
        NETWORKS,
        PRIVATE,
        CLOSE,
        DESPITE,
        EXTRA,
        FIREWALL,
        "inbound.confirm_within",
        "inbound.relay_host",
        "inbound.public_addresses",
        "inbound.return_mode",
        "inbound.peer_certificate",
    ),
    "loop": ("markers.trust", LOOP_HEADERS, "markers.spam", "spam.action", "spam.folder"),
    "release": ("markers.released",),
    "scope": ("scope.mode", "scope.senders"),
}
"""What each step asks, by the step's id, in order."""

SWITCHES = (DESPITE, PRIVATE)
"""Asked only where the plan wants them confirmed."""
ONLY_CLOSED = (EXTRA, FIREWALL, "inbound.confirm_within")
"""Asked only when port 25 is to be closed."""
LOAD_TARGETS = (NETWORKS, EXTRA)

TRUST = {
    "local": "Conbool, this server's own networks and programs on it",
    "conbool": "Conbool's addresses only",
}
ACTION = {
    "folder": "goes to a mailbox folder (Sieve)",
    "header": "gets X-Spam-Flag: YES",
    "none": "is left as it is",
}
MODES = {
    "domains": "Senders of the hosted domains (recommended)",
    "everything": "All outgoing mail, forwarded mail too",
    "senders": "Only the senders listed below",
}

_LABELS = {
    GREEN: "All four DNS checks are green in the Setup Assistant",
    PRIVATE: "These private ranges are meant",
    DESPITE: "Close although mail still comes here",
    "inbound.confirm_within": "Take back after (s)",
    "inbound.relay_host": "Relay host name",
    LOOP_HEADERS: "Header of the row",
}
_CAPTIONS = {
    FIREWALL: "Firewall:",
    "inbound.return_mode": "Who delivers outbound mail:",
    "inbound.peer_certificate": "Conbool's client certificate:",
    "markers.trust": "Headers are believed from:",
    LOOP_HEADERS: "Loop header of each domain:",
    "spam.action": "Flagged mail:",
}
_PLACEHOLDERS = {
    SELECTORS: "(none; for example conbool)",
    "smart_host.tls_name": "(same as the smart host)",
    "smart_host.ca_file": "(the system's own)",
    "smart_host.client_certificate": "(none)",
    "smart_host.client_key": "(none)",
    NETWORKS: "(from the Setup Assistant, with commas)",
    EXTRA: "(none; scanners, branch offices)",
    "scope.senders": "alice@example.com, @example.org",
}
_KEY = re.compile(r"\A[a-z0-9_.]+: ")
_NO_REASONS: Mapping[str, str] = MappingProxyType({})

PREREQUISITES = (
    "What name service publishes today. Which values are right for you only Conbool's Setup Assistant knows: look "
    "there, too."
)
RELEASE = (
    "Mail released from Conbool's quarantine must reach the inbox: not through Conbool a second time, and not into the "
    "spam folder. Conbool marks it with this header, value yes."
)
SCOPE = "Whose mail goes to Conbool? All other mail keeps the way it takes now."
ALWAYS_DIRECT = "Calendar invitations and mail with an empty sender (bounces) always go direct."
IT_REPLACES = "It replaces:"
ADDED = "(added)"


def label(key: str) -> str:
    """The name of a question's field."""
    return _LABELS.get(key, FIELDS[key].label)


def caption(key: str) -> str:
    """The line above a question with several choices, empty when it has none."""
    return _CAPTIONS.get(key, "")


def placeholder(key: str, state: WizardState) -> str:
    """What an empty field means."""
    if key == "inbound.relay_host":
        name = state.mta.host_name if state.mta else ""
        return f"({name})" if name else ""
    if key == "inbound.public_addresses":
        own = ", ".join(state.facts.addresses[:2]) if state.facts else ""
        return f"(its own: {own})" if own else "(its own)"
    if key == "spam.folder":
        dovecot = _dovecot(state)
        if dovecot is None:
            return "(Junk)"
        from conbool_tui.planners.dovecot import spam_folder

        return f"({spam_folder(dovecot, Answers())})"
    return _PLACEHOLDERS.get(key, "")


def _dovecot(state: WizardState) -> Optional[DovecotFacts]:
    """The Dovecot of this host when it could file mail at delivery."""
    found = state.facts.get("dovecot") if state.facts else None
    return (
        found.dovecot if found is not None and found.dovecot is not None and found.dovecot.sieve_for else None
    )


def _action_words(state: WizardState) -> Mapping[str, str]:
    """What becomes of flagged mail here."""
    if _dovecot(state) is not None:
        return ACTION
    return {**ACTION, "folder": "goes to a mailbox folder (no Sieve here: as below)"}


def meanings(key: str, state: WizardState) -> Mapping[str, str]:
    """What each word that can be chosen means on this host."""
    if key == FIREWALL:
        return firewall_words(state.facts.firewall if state.facts else None, state.mta)
    return {
        "markers.trust": TRUST,
        "spam.action": _action_words(state),
        "scope.mode": MODES,
        "inbound.return_mode": RETURN,
        "inbound.peer_certificate": peer_words(state.mta),
    }[key]


def refusals(key: str, state: WizardState) -> Mapping[str, str]:
    """Why a word cannot be chosen on this host."""
    if key == FIREWALL:
        firewall = state.facts.firewall if state.facts else None
        return {"auto": firewall.unusable} if firewall is not None and firewall.unusable else _NO_REASONS
    mta = state.mta
    if mta is None:
        return _NO_REASONS
    return {word: reason for word in FIELDS[key].choices if (reason := mta.unavailable(f"{key}: {word}"))}


def choice_text(key: str, word: str, state: WizardState) -> str:
    """A word with its meaning, the meanings of all words in one column."""
    width = max(len(other) for other in FIELDS[key].choices)
    return f"{word:<{width}}  {meanings(key, state)[word]}"


def refused(keys: Sequence[str], error: ConboolError) -> list[str]:
    """The questions among ``keys`` that an error of the plan names."""
    return [key for key in keys if key in error.what]


def asked_for(error: ConboolError, draft: Draft) -> dict[str, FieldError]:
    """The switches the plan wants confirmed, with what it says about each; empty when it fails for other reasons."""
    told = " ".join(error.lines())
    return {
        key: FieldError(_KEY.sub("", error.what), error.why)
        for key in SWITCHES
        if key in told and draft.text(key) != YES
    }


def unlisted_lines(state: WizardState) -> list[Line]:
    """Domains that only the admin knows."""
    unlisted = state.mta.domains.unlisted if state.mta else ()
    if not unlisted:
        return []
    return [Line(f"! Domains in {', '.join(unlisted)} cannot be listed; please add them.", "warn")]


def addresses_line(state: WizardState) -> Line:
    """Conbool's addresses where they are only read."""
    networks = state.draft.answers().conbool_networks
    if not networks:
        return Line(
            "! Conbool's addresses are not known: mail from there is told by its headers only.", "warn"
        )
    shown = ", ".join(networks[:2]) + (f" and {len(networks) - 2} more" if len(networks) > 2 else "")
    return Line(f"  Conbool's addresses   {shown} (edit them in step B)", "dim")
