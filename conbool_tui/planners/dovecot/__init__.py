"""The planner for Dovecot: one Sieve script that runs before all others, and what makes it run. Pure."""

from __future__ import annotations

from conbool_tui.planners.dovecot.planner import plan_dovecot
from conbool_tui.planners.dovecot.script import sieve_script, spam_folder, unchecked_script

__all__ = ["plan_dovecot", "sieve_script", "spam_folder", "unchecked_script"]
