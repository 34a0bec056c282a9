"""Planner for Exim: facts and answers in, a plan out."""

from conbool_tui.planners.exim.planner import plan_exim

__all__ = ["plan_exim"]
