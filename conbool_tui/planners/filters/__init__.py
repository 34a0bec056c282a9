"""The planner for spam filters: mail that was released from quarantine is not scored away (guide step D). Pure."""

from __future__ import annotations

from conbool_tui.planners.filters.planner import plan_filters

__all__ = ["plan_filters"]
