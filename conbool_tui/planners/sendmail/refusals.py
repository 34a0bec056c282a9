"""What this program cannot or must not change: each refusal with the exact lines and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.answers import Answers
from conbool_tui.answers_file import AnswerError
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.facts_sendmail import SendmailFacts
from conbool_tui.sendmail_config import Named

_HOOKS = (
    "Local_check_relay",
    "Local_check_mail",
    "Local_check_rcpt",
    "Local_tls_server",
    "Local_tls_rcpt",
    "check_eoh",
)
_NEEDED = ("EnvFromSMTP", "HdrFromSMTP", "EnvToSMTP", "CanonAddr", "ParseRecipient")


def check(facts: SendmailFacts, answers: Answers, headers: Sequence[str], client_certificate: bool) -> None:
    """Everything that keeps a plan from being made.

    Raises:
        CheckFailedError: this Sendmail cannot be changed by this program as it is.
        UsageError, AnswerError: the answers ask for what cannot be.
    """
    _configuration(facts)
    _collisions(facts, headers, client_certificate)
    _answers(facts, answers)


def _configuration(facts: SendmailFacts) -> None:
    if facts.source is None:
        raise CheckFailedError(
            f"This Sendmail has no sendmail.mc beside {facts.cf}.",
            "The rules are written into sendmail.mc, and m4 builds sendmail.cf from it. A sendmail.cf that was edited by hand is not changed.",
            f"Write a sendmail.mc that gives the same configuration (cf/README; compare with `diff` until only comments differ), put it "
            f"at {facts.cf[:-3]}.mc, then start again.",
        )
    if facts.build_error:
        raise CheckFailedError(facts.build_error, "No sendmail.cf can be built.", facts.build_remedy)
    if facts.drift:
        raise CheckFailedError(
            f"{facts.cf} is not what {facts.source} gives.",
            "It was edited by hand, or not built since sendmail.mc was changed; building it anew would lose that:\n"
            + "\n".join(map(_shown, facts.drift)),
            f"Lines with - are only in {facts.cf}: bring them into {facts.source} (LOCAL_CONFIG, LOCAL_RULESETS), or build it: "
            f"make -C {facts.config_directory}.",
        )
    missing = [name for name in _NEEDED if name not in facts.rulesets]
    if missing:
        raise CheckFailedError(
            f"{facts.source} has no MAILER(`smtp'), or is made with FEATURE(`nullclient'): {', '.join(missing)} is not there.",
            "All mail leaves through SMTP mailers, whose rules are used here.",
            f"Add MAILER(`local')dnl and MAILER(`smtp')dnl to {facts.source}, build sendmail.cf, then start again.",
        )
    if "STARTTLS" not in facts.flags:
        raise CheckFailedError(
            f"Sendmail {facts.version} is built without STARTTLS.",
            "Mail for the smart host must be encrypted.",
            "Install your distribution's own Sendmail package.",
        )
    if facts.catch_all:
        raise CheckFailedError(
            "The mailertable has a default entry, which wins over the smart host.",
            facts.catch_all,
            "Take that line out (for what it did, use define(`SMART_HOST', `…') in sendmail.mc: mail outside the scope keeps going "
            "there), run makemap, then start again.",
        )


def _collisions(facts: SendmailFacts, headers: Sequence[str], client_certificate: bool) -> None:
    found: list[Named] = []
    hooks = [*_HOOKS, *(["tls_clt_features"] if client_certificate else [])]
    found += [facts.rulesets[name] for name in hooks if name in facts.rulesets]
    found += [one for name, one in facts.rulesets.items() if name.lower().startswith("conbool")]
    found += [
        facts.headers[name.lower()] for name in (*headers, "Content-Type") if name.lower() in facts.headers
    ]
    found += [one for name, one in facts.mailers.items() if name.lower() == "conbool"]
    if not found:
        return
    lines = "\n".join(
        f"{facts.cf} (built from {facts.source}) line {one.number}: {one.name}: {_shown(one.text)}"
        for one in sorted(found, key=lambda one: one.number)
    )
    raise CheckFailedError(
        "Rules of your own stand where this program's rules must go.",
        f"Sendmail knows one ruleset or header check of a name only, and a second one would change or replace yours:\n{lines}",
        f"Take these out of {facts.source}, or do what they do in another place (the access map, a milter), build sendmail.cf, then start again.",
    )


def _shown(text: str) -> str:
    return text.replace("\t", "  ")


def _answers(facts: SendmailFacts, answers: Answers) -> None:
    if not answers.domains:
        raise UsageError(
            "No hosted domain is known.",
            "Markers and scope are per domain.",
            "Name them: domains: [example.com] or --domains example.com.",
        )
    if answers.scope.mode == "senders" and not answers.scope.senders:
        raise UsageError(
            "No sender is listed.", "scope.mode is senders.", "Name them: scope.senders or --scope-senders."
        )
    if answers.inbound.restrict_port_25 and not answers.conbool_networks:
        raise UsageError(
            "conbool_networks is empty, and inbound.restrict_port_25 is true.",
            "Port 25 would be closed to Conbool as well, and no mail would come in.",
            "Name Conbool's addresses: conbool_networks: [...] or --conbool-networks.",
        )
    demands = answers.inbound.restrict_port_25 or answers.inbound.peer_certificate == "require"
    if demands and answers.conbool_networks and not facts.offers_tls:
        raise AnswerError(
            "inbound.restrict_port_25",
            "This Sendmail offers no STARTTLS, and Conbool's mail must come over TLS.",
            "confSERVER_CERT and confSERVER_KEY are not set in sendmail.mc, so all mail from Conbool would be refused.",
            "Give Sendmail a certificate first (define(`confSERVER_CERT', `…'), confSERVER_KEY, confCACERT), then start again.",
        )
    for path in (
        answers.smart_host.ca_file,
        answers.smart_host.client_certificate,
        answers.smart_host.client_key,
    ):
        if path and not all(char.isalnum() or char in "/._-+@~" for char in path):
            raise AnswerError(
                "smart_host",
                f"{path} has characters that sendmail.mc cannot hold.",
                "m4 and Sendmail give a meaning to quotes, commas, blanks and dollar signs.",
                "Use a path of letters, digits and . _ - + @ ~ only.",
            )
