"""Where the program keeps its own things, as paths inside the host's root."""

from __future__ import annotations

DEFAULT_STATE_DIR = "/var/lib/conbool-tui"
"""Lock, journals and backups."""
