"""The private copy under the name by which the systems know it; detectors read one, too, so it is made in ``conbool_tui.staging``."""

from __future__ import annotations

from conbool_tui.staging import StagedCopy

__all__ = ["StagedCopy"]
