"""What this Exim cannot do as asked: told before anything is planned."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts_exim import EximFacts
from conbool_tui.planners.exim.own import local_lists, own_value, remote_router, seat

OLDEST = (4, 94)
_NEEDED = ("acl_smtp_mail", "acl_smtp_rcpt", "acl_smtp_data", "acl_not_smtp")


def check(facts: EximFacts, answers: Answers) -> None:
    """Raises UsageError for answers and CheckFailedError for a host that cannot be worked with."""
    _answers(facts, answers)
    if facts.version_tuple < OLDEST:
        raise CheckFailedError(
            f"Exim {facts.version} is too old.",
            "The design needs Exim 4.94 or newer.",
            "Update the mail server's operating system first.",
        )
    if not facts.tls_library:
        raise CheckFailedError(
            "This Exim is built without TLS.",
            "Mail to the smart host must travel over TLS.",
            "Install a package of Exim with TLS (Debian: exim4-daemon-heavy).",
        )
    if facts.options.get("strict_acl_vars") == "true":
        raise CheckFailedError(
            "strict_acl_vars is on.",
            "With it a router that asks for a variable that was not set is skipped, and mail would go out around the smart host.",
            "Remove the line strict_acl_vars from the main section of Exim's configuration, if your ACLs do not need it.",
        )
    if not facts.retry_rule:
        raise CheckFailedError(
            "Exim has no retry rule for mail.conbool.com.",
            "Without one the first failed attempt is final: mail would bounce instead of waiting in the queue.",
            "Add to the section `begin retry`:  * * F,2h,15m; G,16h,1h,1.5; F,4d,6h",
        )
    if not local_lists(facts):
        raise CheckFailedError(
            "The domains that are delivered here cannot be told.",
            "There is no domain list local_domains, and mail for hosted recipients must never go to the smart host.",
            "Name them in the main section:  domainlist local_domains = example.com : example.org",
        )
    _acls(facts)
    if facts.config_file and remote_router(facts) is None and not facts.generated:
        raise CheckFailedError(
            "No router takes mail for remote domains.",
            "The new router must come right before it, so that the others keep their mail.",
            "Add a router for remote mail (driver = dnslookup, domains = ! +local_domains), or look at `exim -bP routers`.",
        )


def _answers(facts: EximFacts, answers: Answers) -> None:
    inbound = answers.inbound
    if not answers.domains:
        raise UsageError(
            "No hosted domain is known.",
            "Markers and scope are per domain.",
            "Name them: domains: [example.com] or --domains example.com.",
        )
    if inbound.restrict_port_25 and not answers.conbool_networks:
        raise UsageError(
            "conbool_networks is empty, and inbound.restrict_port_25 is true.",
            "Port 25 would be closed to Conbool as well, and no mail would come in.",
            "Name Conbool's addresses: conbool_networks: [...] or --conbool-networks.",
        )
    if answers.scope.mode == "senders" and not answers.scope.senders:
        raise UsageError(
            "No sender is listed.", "scope.mode is senders.", "Name them: scope.senders or --scope-senders."
        )
    asks = own_value(facts, "tls_try_verify_hosts", ("+conbool_hosts",))
    if inbound.peer_certificate == "require" and asks not in ("", "*"):
        raise CheckFailedError(
            f"inbound.peer_certificate is require, and tls_try_verify_hosts is {asks}.",
            "Exim asks only those hosts for a certificate, and Conbool's mail would be refused without one.",
            "Add Conbool's networks to tls_try_verify_hosts, set it to *, or remove it.",
        )
    if inbound.restrict_port_25 or inbound.peer_certificate == "require":
        _offers_tls(facts)
    needs_event = answers.smart_host.expected_name.lower() != answers.smart_host.host.lower()
    if needs_event and "Event" not in facts.features:
        raise CheckFailedError(
            "smart_host.tls_name: this Exim is built without events.",
            "It can only check the certificate for the smart host's own name.",
            "Leave tls_name out, or install a package of Exim with events (Debian: exim4-daemon-heavy).",
        )


def _offers_tls(facts: EximFacts) -> None:
    if not split_list(facts.options.get("tls_advertise_hosts", "*")):
        raise CheckFailedError(
            "Exim does not offer STARTTLS (tls_advertise_hosts is empty).",
            "TLS is demanded from Conbool, and no mail would come in.",
            "Debian: put MAIN_TLS_ENABLE = yes before the main section (README.Debian, TLS); else set tls_advertise_hosts = *"
            " with tls_certificate and tls_privatekey.",
        )


def _acls(facts: EximFacts) -> None:
    """An ACL that is no name, or whose text is nowhere to be found, cannot get our statements in front."""
    for option in (*_NEEDED, "acl_smtp_mime", "acl_not_smtp_mime"):
        if option in facts.options and seat(facts, option) is None:
            value = facts.options[option]
            raise CheckFailedError(
                f"{option} = {value}: the text of that ACL was not found.",
                "Our statements have to stand at its head.",
                f"Let {option} name an ACL of the section `begin acl` (one line {value.split()[0] if value else option}:), or write "
                "the ACL into the configuration file instead of an include with a computed name.",
            )


def passed_over(facts: EximFacts) -> tuple[str, ...]:
    """ACLs before MAIL that may judge who connects: their options, where our statement can be put at their head."""
    return tuple(
        option
        for option in ("acl_smtp_connect", "acl_smtp_helo")
        if facts.options.get(option, "") in facts.labels and facts.options.get(option)
    )
