"""Join the firewall's part to the mail system's plan (guide step B): one plan, one change, one undo."""

from __future__ import annotations

import dataclasses

from conbool_tui.allowed import allowed_networks
from conbool_tui.answers import Answers
from conbool_tui.facts import HostFacts, MtaFacts
from conbool_tui.plan import Notice, Plan, Step


def with_firewall(plan: Plan, facts: HostFacts, mta: MtaFacts, answers: Answers) -> Plan:
    """The plan with what the firewall's owner must do. Unchanged when nothing was found that could be asked."""
    from conbool_tui.planners.firewall import plan_firewall

    if facts.firewall is None:
        return plan
    inbound = answers.inbound
    wanted = inbound.restrict_port_25 and inbound.firewall == "auto"
    useless = mta.unavailable("inbound.firewall: auto")
    if wanted and useless:
        wanted = False
        plan = dataclasses.replace(plan, notices=(*plan.notices, Notice("note", useless, Step.B)))
    unlisted = mta.unlisted_networks if wanted else ()
    if unlisted:
        text = (
            f"The firewall is left alone: {', '.join(unlisted)} names own networks of {mta.title} that cannot be listed, and a "
            f"firewall rule would cut them off. {mta.title} itself refuses everybody else."
        )
        return dataclasses.replace(plan, notices=(*plan.notices, Notice("warn", text, Step.B)))
    part = plan_firewall(facts.firewall, allowed_networks(mta, answers), wanted, inbound.confirm_within)
    return dataclasses.replace(
        plan,
        changes=plan.changes + part.changes,
        files=plan.files + part.files,
        live=plan.live + part.live,
        notices=(*plan.notices, *part.notices),
        confirm_within=max(plan.confirm_within, part.confirm_within),
    )
