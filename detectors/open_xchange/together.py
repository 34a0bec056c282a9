"""Open-Xchange with the Postfix on the same host is one mail system; without one it is told where its mail system is."""

from __future__ import annotations

import dataclasses

from conbool_tui.facts import Detection, Outcome
from conbool_tui.facts_open_xchange import MailService, OpenXchangeFacts

_POSTFIX = "postfix"


def together(detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
    """The detections with Open-Xchange taking over the Postfix it hands its mail to."""
    postfix = next((one for one in detections if one.system == _POSTFIX), None)
    return tuple(
        one if one.open_xchange is None else _joined(one, one.open_xchange, postfix) for one in detections
    )


def _joined(detection: Detection, facts: OpenXchangeFacts, postfix: Detection | None) -> Detection:
    if postfix is None or postfix.outcome is Outcome.ABSENT or facts.smtp.here is False:
        return dataclasses.replace(detection, reason=elsewhere(facts), remedy=_where(facts))
    return dataclasses.replace(
        detection,
        outcome=postfix.outcome,
        summary=f"{detection.summary.rstrip('.')}; {postfix.summary}",
        reason=postfix.reason,
        remedy=postfix.remedy,
        managed_by=postfix.managed_by,
        evidence=postfix.evidence or f"{facts.directory}/etc",
        role="mta",
        covers=(_POSTFIX,),
        postfix=postfix.postfix,
        mta=postfix.mta,
    )


def elsewhere(facts: OpenXchangeFacts) -> str:
    """Why there is nothing to set up on this host."""
    return f"Open-Xchange hands its users' mail to {_named(facts.smtp)}, which is not this host's Postfix."


def _where(facts: OpenXchangeFacts) -> str:
    return (
        f"Run conbool-tui on {_named(facts.smtp)} for the smart host, loops and releases, and on {_named(facts.imap)} "
        "(--mail-system dovecot) for the Sieve script; or take the script from `conbool-tui open-xchange sieve`."
    )


def _named(service: MailService) -> str:
    return service.host or "the server of each user's account"
