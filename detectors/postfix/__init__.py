"""The detector for Postfix: reads with Postfix's own tools and the files themselves, writes nothing."""

from __future__ import annotations

from detectors.postfix.detector import PostfixDetector

__all__ = ["PostfixDetector"]
