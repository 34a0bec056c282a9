"""Sendmail: facts and answers in, a plan out."""

from conbool_tui.planners.sendmail.mta import mta_of
from conbool_tui.planners.sendmail.planner import plan_sendmail

__all__ = ["mta_of", "plan_sendmail"]
