"""The Postfix planner. ``plan_postfix`` is its one entrance; the modules beside it each hold one idea of
the design.
"""

from conbool_tui.planners.postfix.planner import plan_postfix

__all__ = ["plan_postfix"]
