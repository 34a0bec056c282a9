"""Every name this planner puts into a Dovecot configuration."""

from __future__ import annotations

import posixpath

FOLDER = "conbool"
"""Folder below the configuration directory that holds our script."""

# Not shorter: its compiled form is made elsewhere, at a path of the same length.
SCRIPT = "conbool-before.sieve"
BLOCK = "sieve"
SECTION = "conbool"
"""The name of our ``sieve_script`` section (Dovecot 2.4)."""


def script(config_directory: str) -> str:
    """The path of our Sieve script."""
    return posixpath.join(config_directory, FOLDER, SCRIPT)


def binary(config_directory: str) -> str:
    """The path of its compiled form; Dovecot looks for it there."""
    return script(config_directory).rpartition(".")[0] + ".svbin"


def activation(config_directory: str, syntax: str) -> str:
    """The file that makes Dovecot run the script: last in conf.d for 2.3, where the last value counts, first for 2.4, where the first
    section runs first."""
    number = "99" if syntax == "2.3" else "00"
    return posixpath.join(config_directory, "conf.d", f"{number}-conbool.conf")
