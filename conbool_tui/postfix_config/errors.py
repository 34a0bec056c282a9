"""The refusal of the editor: a text that would break a configuration file is never written."""

from __future__ import annotations

from conbool_tui.errors import ConboolError


class ConfigTextError(ConboolError, ValueError):
    """A name, value or block would break the file, or a marked block of the file is damaged.

    The file object is left as it was before the call that raised this.
    """
