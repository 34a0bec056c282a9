"""Answers held against this host: what is missing is filled in, what cannot work here is refused, what is unusual is told."""

from __future__ import annotations

import ipaddress

from conbool_tui import answer_forms
from conbool_tui.answers import Answers, Inbound, Markers, Scope, Spam
from conbool_tui.answers_file import AnswerError
from conbool_tui.facts import MtaFacts, PostfixFacts
from conbool_tui.plan import Notice, Step

_PROTOCOLS = {"Postfix": " (inet_protocols in main.cf: postconf inet_protocols shows the value)"}
_LOCAL_NAMES = frozenset(("localhost", "localhost.localdomain"))


def default_domains(facts: MtaFacts) -> tuple[str, ...]:
    """The hosted domains an admin means when saying nothing: those found, without localhost, this machine's
    own name and bare host names.
    """
    own_name = facts.host_name.lower()
    found = []
    for name in facts.domains.all():
        lowered = name.lower().rstrip(".")
        if lowered == own_name or lowered in _LOCAL_NAMES or lowered.startswith("localhost."):
            continue
        try:
            found.append(answer_forms.domain(lowered))
        except answer_forms.FormError:
            continue
    return tuple(dict.fromkeys(found))


def check_instance(answers: Answers, facts: PostfixFacts) -> None:
    """Several instances: one must be named, and it must exist. Raises AnswerError."""
    names = [instance.name for instance in facts.instances]
    listed = ", ".join(f"{instance.name} ({instance.config_directory})" for instance in facts.instances)
    if answers.instance is None:
        if len(names) > 1:
            raise AnswerError(
                "instance",
                f"This host has {len(names)} Postfix instances: {listed}.",
                "Each has its own configuration, and only one can be changed at a time.",
                "Give instance in the answers file, or --instance NAME on the command line.",
            )
        return
    if names and answers.instance not in names:
        raise AnswerError(
            "instance",
            f"There is no Postfix instance {answers.instance}.",
            f"This host has: {listed}.",
            "Give --instance one of these names.",
        )
    if names and facts.instance != answers.instance:
        raise AnswerError(
            "instance",
            f"Postfix instance {facts.instance} was looked at, and the answers name {answers.instance}.",
            "A plan is made for the instance that was read.",
            f"Detect again with --instance {answers.instance}.",
        )


def check_protocols(answers: Answers, facts: MtaFacts) -> None:
    """Networks of an address family that the mail system does not speak. Raises AnswerError."""
    lists = (
        ("conbool_networks", answers.conbool_networks),
        ("inbound.extra_networks", answers.inbound.extra_networks),
    )
    for key, networks in lists:
        for network in networks:
            version = ipaddress.ip_network(network).version
            if version not in facts.families:
                spoken = " and ".join(f"IPv{one}" for one in facts.families)
                raise AnswerError(
                    key,
                    f"{key}: {network} is IPv{version}, and this {facts.title} speaks only {spoken}.",
                    f"No connection from there can ever arrive{_PROTOCOLS.get(facts.title, '')}.",
                    f"Remove {network}, or let {facts.title} speak both.",
                )


def check_capabilities(answers: Answers, facts: MtaFacts) -> None:
    """Answers that this mail system cannot put into effect. Defaults are nobody's wish: plans say what becomes of them. Raises AnswerError."""
    for key, value, default in (
        ("scope.mode", answers.scope.mode, Scope().mode),
        ("markers.trust", answers.markers.trust, Markers().trust),
        ("inbound.peer_certificate", answers.inbound.peer_certificate, Inbound().peer_certificate),
        ("inbound.return_mode", answers.inbound.return_mode, Inbound().return_mode),
        ("inbound.restrict_port_25", str(answers.inbound.restrict_port_25).lower(), "false"),
        ("spam.action", answers.spam.action, Spam().action),
    ):
        reason = facts.unavailable(f"{key}: {value}")
        if reason and value != default:
            raise AnswerError(
                key,
                f"{key}: {value} is not possible with this {facts.title}.",
                f"{reason.rstrip('.')}.",
                f"Choose another value for {key}; conbool-tui detect --json lists what can be done (capabilities).",
            )


def notices(answers: Answers, facts: MtaFacts) -> tuple[Notice, ...]:
    """What the admin should know about answers that are allowed and unusual."""
    found: list[Notice] = []
    private = [item for item in answers.conbool_networks if answer_forms.is_private(item)]
    if private:
        names = ", ".join(private)
        text = f"{names} in conbool_networks is private address space, as private_networks says."
        found.append(Notice("note", text, Step.C))
    hosted = {name.lower().rstrip(".") for name in facts.domains.all()}
    unknown = [name for name in answers.domains if name not in hosted]
    if unknown and not facts.domains.unlisted:
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        found.append(
            Notice(
                "warn", f"{shown}: not among the domains hosted on this server. Check the spelling.", Step.A
            )
        )
    return tuple(found)
