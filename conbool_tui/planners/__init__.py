"""Planners: facts and answers in, a plan out. Pure functions; nothing here touches the machine."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import Detection
from conbool_tui.plan import Plan


def plan_mail_system(detection: Detection, answers: Answers) -> Plan:
    """The plan for the mail system that was found.

    Raises:
        CheckFailedError, UsageError: it cannot be set up like this, with the reason and what to do.
    """
    if detection.postfix is not None:
        from conbool_tui.planners.postfix import plan_postfix

        plan = plan_postfix(detection.postfix, answers)
        if detection.open_xchange is None:
            return plan
        from conbool_tui.planners.open_xchange import with_open_xchange

        return with_open_xchange(plan, detection.open_xchange, answers)
    if detection.system == "other" and detection.mta is not None:
        from conbool_tui.planners.by_hand import by_hand

        raise by_hand(detection.mta, answers)
    if detection.docker_mailserver is not None:
        from conbool_tui.planners.docker_mailserver import plan_docker_mailserver

        return plan_docker_mailserver(detection.docker_mailserver, answers)
    if detection.sendmail is not None:
        from conbool_tui.planners.sendmail import plan_sendmail

        return plan_sendmail(detection.sendmail, answers)
    if detection.exim is not None:
        from conbool_tui.planners.exim import plan_exim

        return plan_exim(detection.exim, answers)
    raise CheckFailedError(
        f"{detection.system} was found, and this version cannot plan for it.",
        "",
        "Look for a newer version of conbool-tui.",
    )
