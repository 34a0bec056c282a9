"""Which services come up at boot or run now: by systemd when it runs, else by the links it and sysvinit read at boot. Read only."""

from __future__ import annotations

import re
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

_UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def enabled(host: Host, name: str) -> bool:
    """True when the service comes up at boot: a link in a .wants or .requires folder, an rc link, or an OpenRC link. Raises HostError."""
    top = "/etc/systemd/system"
    unit = f"{name}.service"
    if host.is_link(f"{top}/{unit}") and host.link_target(f"{top}/{unit}") == "/dev/null":
        return False
    for folder in host.listdir(top):
        if folder.endswith((".wants", ".requires")) and host.lstat(f"{top}/{folder}/{unit}") is not None:
            return True
    if host.has_systemd():
        return False
    for level in "2345S":
        if any(re.fullmatch(rf"S\d\d{re.escape(name)}", link) for link in host.listdir(f"/etc/rc{level}.d")):
            return True
    return any(
        host.lstat(f"/etc/runlevels/{level}/{name}") is not None for level in ("sysinit", "boot", "default")
    )


def active(host: Host, name: str) -> bool:
    """True when systemd says that the service is active; False where systemd does not run. Raises HostError."""
    if not host.has_systemd() or host.which("systemctl") is None:
        return False
    return host.run(["systemctl", "is-active", "--quiet", f"{name}.service"]).ok


def unit_text(host: Host, name: str) -> Optional[str]:
    """The service's unit file as systemd reads it; None when there is none."""
    for folder in _UNIT_FOLDERS:
        path = f"{folder}/{name}.service"
        try:
            if host.is_file(path):
                return host.read_text(path)
        except ConboolError:
            continue
    return None


def programs(host: Host, *names: str) -> dict[str, str]:
    """The paths of those programs that are installed."""
    return {name: path for name in names if (path := host.which(name)) is not None}
