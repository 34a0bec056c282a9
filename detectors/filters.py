"""Finds spam filters. Whether mail passes them is told by the mail system's own configuration."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from conbool_tui.errors import ConboolError
from conbool_tui.facts_filters import FilterFacts
from conbool_tui.host import Host
from conbool_tui.planners.filters import names
from detectors.postfix.files import read_file

_RSPAMD = ("/etc/rspamd", "/usr/local/etc/rspamd")
_SPAMASSASSIN = ("/etc/spamassassin", "/etc/mail/spamassassin", "/usr/local/etc/mail/spamassassin")


def find_filters(host: Host) -> tuple[FilterFacts, ...]:
    """The filters that are installed. Never raises: one that cannot be read counts as absent."""
    found = []
    for name, program, folders, file in (
        (names.RSPAMD, "rspamadm", _RSPAMD, names.RSPAMD_FILE),
        (names.SPAMASSASSIN, "spamassassin", _SPAMASSASSIN, names.SPAMASSASSIN_FILE),
    ):
        try:
            folder = next((one for one in folders if host.is_dir(one)), "")
            if not folder or host.which(program) is None:
                continue
            path = posixpath.join(folder, file)
            text = read_file(host, path) if host.exists(path) else None
            found.append(FilterFacts(name, folder, path, text, name in _daemons(host)))
        except ConboolError:
            continue
    return tuple(found)


def _daemons(host: Host) -> Iterator[str]:
    if not host.live:
        return
    try:
        running = {one.name for one in host.processes()}
    except (ConboolError, OSError, RuntimeError, LookupError):
        return
    if "rspamd" in running:
        yield names.RSPAMD
    if running & names.SPAMASSASSIN_DAEMONS:
        yield names.SPAMASSASSIN
