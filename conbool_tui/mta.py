"""What a detection says of its mail transfer agent in words that hold for every one. Pure."""

from __future__ import annotations

from typing import Optional

from conbool_tui.facts import Detection, MtaFacts


def mta_facts(detection: Optional[Detection]) -> Optional[MtaFacts]:
    """The neutral half of a detection; None when nothing could be read of an MTA."""
    if detection is None:
        return None
    if detection.mta is None and detection.postfix is not None:
        # The planners load when they are needed: the wizard's first picture must not wait for them.
        from conbool_tui.planners.postfix.mta import mta_of

        return mta_of(detection.postfix)
    if detection.mta is None and detection.sendmail is not None:
        from conbool_tui.planners import sendmail

        return sendmail.mta_of(detection.sendmail)
    if detection.mta is None and detection.exim is not None:
        from conbool_tui.planners.exim import mta as exim

        return exim.mta_of(detection.exim)
    return detection.mta
