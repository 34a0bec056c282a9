"""The rule of rspamd's settings module for released mail."""

from __future__ import annotations

from conbool_tui.answers import Answers


def rspamd_rule(answers: Answers) -> str:
    """A rule of rspamd's settings module: no action for any score. Virus scanners and other forced actions stay."""
    networks = ", ".join(f'"{network}"' for network in answers.conbool_networks)
    actions = ("reject", "add header", "rewrite subject", "greylist", "soft reject")
    lines = "".join(f'      "{action}" = null;\n' for action in actions)
    return (
        "conbool_released {\n  priority = high;\n"
        f"  ip = [{networks}];\n"
        f'  header = {{ "{answers.markers.released}" = "/^\\s*yes\\s*$/i"; }}\n'
        f"  apply {{\n    actions {{\n{lines}    }}\n  }}\n}}\n"
    )
