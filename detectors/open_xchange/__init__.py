"""The detector for OX App Suite, and how it goes together with the Postfix on the same host."""

from __future__ import annotations

from detectors.open_xchange.detector import OpenXchangeDetector
from detectors.open_xchange.together import together

__all__ = ["OpenXchangeDetector", "together"]
