"""Lossless editor for Postfix main.cf and master.cf: every byte that is not asked for stays."""

from __future__ import annotations

from conbool_tui.postfix_config.errors import ConfigTextError
from conbool_tui.postfix_config.main_cf import MainCf, Occurrence, main_cf_changes
from conbool_tui.postfix_config.master_cf import MasterCf, ServiceEntry, ServiceOption

__all__ = [
    "ConfigTextError",
    "MainCf",
    "MasterCf",
    "Occurrence",
    "ServiceEntry",
    "ServiceOption",
    "main_cf_changes",
]
