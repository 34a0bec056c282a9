"""Sendmail's files as data: sendmail.cf, access maps, and the way networks are written in them. Pure."""

from conbool_tui.sendmail_config.access import AccessLine, access_lines, network_of
from conbool_tui.sendmail_config.cf import CfFile, Named, differences, parse_cf
from conbool_tui.sendmail_config.prefixes import TooManyPrefixesError, prefixes

__all__ = [
    "AccessLine",
    "CfFile",
    "Named",
    "TooManyPrefixesError",
    "access_lines",
    "differences",
    "network_of",
    "parse_cf",
    "prefixes",
]
