"""Does the packet filter do with port 25 what the answers want? Judged by our own rules as they are in force."""

from __future__ import annotations

from conbool_tui.allowed import allowed_networks
from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallFacts, MtaFacts
from conbool_tui.findings import Finding, Status
from conbool_tui.firewall import rules as our_rules
from conbool_tui.networks import Network

_ID = "firewall"
_APPLY = "Apply the answers again: conbool-tui plan shows what that changes."


def firewall_findings(facts: FirewallFacts, mta: MtaFacts, answers: Answers) -> list[Finding]:
    """The finding ``firewall``: owner, and whether our rules in force are those the answers ask for (guide step B)."""
    inbound = answers.inbound
    owner = f"The firewall's rules are owned by: {facts.owner.value} ({facts.evidence.rstrip('.')})."
    wanted = inbound.restrict_port_25 and inbound.firewall == "auto"
    if facts.unusable and (wanted or facts.rules is not None):
        return [
            Finding(
                _ID,
                Status.NOT_TESTED,
                f"Whether the firewall closes port 25 cannot be told. {facts.unusable}",
                owner,
                facts.remedy,
            )
        ]
    if not wanted:
        if facts.rules is None:
            return [Finding(_ID, Status.OK, f"{owner} No rule of ours is in force, as the answers want it.")]
        return [
            Finding(
                _ID,
                Status.WARN,
                "Our rules for port 25 are in force, and the answers do not ask for them.",
                facts.rules,
                _APPLY,
            )
        ]
    unlisted = mta.unlisted_networks
    if unlisted:
        text = f"The firewall was left alone: {', '.join(unlisted)} names own networks of {mta.title} that cannot be listed."
        return [
            Finding(
                _ID,
                Status.NOT_TESTED,
                text,
                owner,
                f"{mta.title} itself refuses everybody who is not listed.",
            )
        ]
    return [_compared(facts, our_rules.rules(allowed_networks(mta, answers)), owner)]


def _compared(facts: FirewallFacts, expected: our_rules.Rules, owner: str) -> Finding:
    if facts.rules is None:
        return Finding(
            _ID,
            Status.WARN,
            "Everybody can connect to port 25: no rule of ours is in force in the firewall.",
            owner,
            f"Postfix itself still refuses everybody who is not listed. {_APPLY}",
        )
    try:
        found = our_rules.wanted(facts.rules)
    except ConboolError:
        found = None
    if found is None or found.text() != facts.rules:
        return Finding(
            _ID,
            Status.WARN,
            "Our rules for port 25 were edited by hand in the firewall.",
            facts.rules,
            _APPLY,
        )
    shut_out = [network for network in expected.allowed if not _covered(network, found)]
    if shut_out:
        shown = ", ".join(str(network) for network in shut_out[:5])
        return Finding(
            _ID,
            Status.FAIL,
            f"The firewall refuses networks that the answers let in: {shown}{' and more' if len(shut_out) > 5 else ''}.",
            facts.rules,
            _APPLY,
        )
    if set(found.allowed) != set(expected.allowed):
        return Finding(
            _ID,
            Status.WARN,
            "The firewall lets in networks that the answers do not list.",
            facts.rules,
            _APPLY,
        )
    return Finding(
        _ID,
        Status.OK,
        f"The firewall ({facts.owner.value}) lets {len(found.allowed)} networks connect to port 25 and refuses others.",
        facts.rules,
    )


def _covered(network: Network, found: our_rules.Rules) -> bool:
    return our_rules.merged((*found.allowed, network)).allowed == found.allowed
