"""Answers held against this host: what is missing is filled in, what cannot work here is refused, what is unusual is told."""

from __future__ import annotations

import ipaddress

from conbool_tui import answer_forms
from conbool_tui.answers import Answers
from conbool_tui.answers_file import AnswerError
from conbool_tui.facts import PostfixFacts
from conbool_tui.plan import Notice, Step

_LOCAL_NAMES = frozenset(("localhost", "localhost.localdomain"))


def default_domains(facts: PostfixFacts) -> tuple[str, ...]:
    """The hosted domains an admin means when saying nothing: those found, without localhost, this machine's
    own name and bare host names.
    """
    own_name = facts.expanded.get("myhostname", facts.parameters.get("myhostname", "")).lower()
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


def check_protocols(answers: Answers, facts: PostfixFacts) -> None:
    """Networks of an address family that Postfix does not speak (inet_protocols, postconf(5)). Raises
    AnswerError.
    """
    spoken = {
        word.strip().lower() for word in facts.expanded.get("inet_protocols", "all").replace(",", " ").split()
    }
    if "all" in spoken or not spoken:
        return
    lists = (
        ("conbool_networks", answers.conbool_networks),
        ("inbound.extra_networks", answers.inbound.extra_networks),
    )
    for key, networks in lists:
        for network in networks:
            family = f"ipv{ipaddress.ip_network(network).version}"
            if family not in spoken:
                raise AnswerError(
                    key,
                    f"{key}: {network} is {family.replace('ipv', 'IPv')}, and this Postfix speaks only "
                    f"{' and '.join(sorted(spoken))}.",
                    "No connection from there can ever arrive (inet_protocols in main.cf).",
                    f"Remove {network}, or let Postfix speak both: postconf inet_protocols shows the value.",
                )


def notices(answers: Answers, facts: PostfixFacts) -> tuple[Notice, ...]:
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
