"""Whether the lab can run on this machine."""

from __future__ import annotations

import os
import shutil

TOOLS = ("debootstrap", "unshare", "nsenter", "ip", "mount")


def why_not() -> str:
    """Why the lab cannot run here, or an empty string."""
    if os.geteuid() != 0:
        return "the lab needs root (namespaces, mounts): run it with sudo, or in a privileged container"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"missing: {', '.join(missing)}; run `apt-get install debootstrap iproute2 util-linux mount`"
    return ""
