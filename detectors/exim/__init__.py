"""Detection of Exim (4.94 and later): Debian's two layouts, and a configuration that Exim reads as it stands."""

from detectors.exim.detector import EximDetector, read_facts

__all__ = ["EximDetector", "read_facts"]
