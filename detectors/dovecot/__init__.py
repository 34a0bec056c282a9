"""The detector for Dovecot: reads with doveconf(1) and the files themselves, writes nothing."""

from __future__ import annotations

from detectors.dovecot.detector import DovecotDetector

__all__ = ["DovecotDetector"]
