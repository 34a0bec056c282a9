"""Our firewall rules as shell commands, for the script that does a plan by hand. Pure."""

from __future__ import annotations

from typing import Optional

from conbool_tui.facts import FirewallOwner
from conbool_tui.firewall import iptables_text, nft_text
from conbool_tui.firewall.rules import PREFIX, TAG

_TOOLS = {4: "iptables", 6: "ip6tables"}
_MARK = "-restore --noflush\n"


def commands(name: str, preview: Optional[str]) -> str:
    """POSIX shell commands that put the rules of one live target in force, or take ours out.

    Args:
        name: the live target, ``firewall:ufw``.
        preview: what the plan shows for it (``Change.after``); None when our rules go.
    """
    owner = FirewallOwner(name[len(PREFIX) :])
    if owner in (FirewallOwner.NFTABLES, FirewallOwner.NOTHING):
        text = _here(preview if preview is not None else nft_text.remove_text(), "nft -f -")
        if owner is FirewallOwner.NOTHING:
            verb = "disable" if preview is None else "enable"
            text += f"systemctl daemon-reload\nsystemctl {verb} {nft_text.UNIT}\n"
        return text
    if owner is FirewallOwner.IPTABLES:
        return _iptables(preview)
    if preview is not None:
        return preview
    shown = "ufw status numbered" if owner is FirewallOwner.UFW else "firewall-cmd --list-all-zones"
    return (
        f"say 'Remove the rules for port 25 that carry the comment or priority of {TAG} by hand: {shown}'\n"
    )


def _here(text: str, command: str) -> str:
    return f"{command} <<'RULES'\n{text}RULES\n"


def _iptables(preview: Optional[str]) -> str:
    if preview is None:
        chain = iptables_text.CHAIN
        lines = [
            f"{tool} -w -D {iptables_text.JUMP} && {tool} -w -F {chain} && {tool} -w -X {chain} || :\n"
            for tool in _TOOLS.values()
        ]
        return "".join(lines)
    parts = preview.split("# ")[1:]
    return "".join(
        _here(part.partition(_MARK)[2], f"{part.partition(_MARK)[0]}-restore --noflush") for part in parts
    )
