"""What name service publishes about the hosted domains: asked in parallel, judged, and told as findings.

Expected values differ from customer to customer, so only the ``dns_expectations`` of the answers can fail; everything else is shown,
and doubted where a mail domain normally looks different.
"""

from __future__ import annotations

from conbool_tui.checks.dns.client import NameServers
from conbool_tui.checks.dns.report import findings
from conbool_tui.checks.dns.spelling import shown_name
from conbool_tui.checks.dns.survey import look_up, mx_reports

__all__ = ["NameServers", "findings", "look_up", "mx_reports", "shown_name"]
