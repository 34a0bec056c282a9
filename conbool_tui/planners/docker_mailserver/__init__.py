"""The planner for docker-mailserver: the Postfix design, written down in the configuration volume."""

from conbool_tui.planners.docker_mailserver.planner import plan_docker_mailserver

__all__ = ["plan_docker_mailserver"]
