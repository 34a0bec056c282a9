"""The Postfix planner. ``plan_postfix`` is its entrance, ``desired_postfix`` the one for systems that keep Postfix's settings in files of
their own; the modules beside it each hold one idea of the design.
"""

from conbool_tui.planners.postfix.planner import desired_postfix, plan_postfix

__all__ = ["desired_postfix", "plan_postfix"]
