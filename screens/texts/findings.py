"""The one sentence the findings add up to."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.findings import Finding, Status
from screens.texts.lines import Line, finding_lines, status_line

TESTING = "Testing: TLS to the smart host, and SMTP on port 25 of this server"
FINDINGS = "Findings"
WITH_TRANSCRIPT = "Findings and transcript"
STOPPED = Line("? NOT TESTED  Stopped. Test again when you like.", "note")
_DRIFT = "drift"
REACHABLE = "SMTP reachable"


def verdict(findings: Sequence[Finding]) -> Line:
    """The words of the Setup Assistant when nothing failed and port 25 answered; else how many checks
    failed or were not possible.
    """
    failed = sum(finding.status is Status.FAIL for finding in findings)
    if failed:
        return status_line(Status.FAIL, f"{failed} of {len(findings)} checks failed; see what to do below.")
    if any(
        finding.status is Status.OK and REACHABLE.lower() in finding.summary.lower() for finding in findings
    ):
        return status_line(
            Status.OK, f"{REACHABLE}. The next screen says what to type into the Setup Assistant."
        )
    return status_line(Status.NOT_TESTED, "Nothing failed, but it could not be shown that SMTP is reachable.")


def all_lines(findings: Sequence[Finding], *, with_detail: bool = False) -> list[Line]:
    """The sentence, and every finding; with the transcripts when wanted."""
    lines = [verdict(findings), Line("")]
    for finding in findings:
        lines.extend(finding_lines(finding, with_detail=with_detail))
    return lines


def edited(findings: Sequence[Finding]) -> bool:
    """Whether something is not as it was applied."""
    return any(finding.id == _DRIFT and finding.status is Status.FAIL for finding in findings)
