"""Sendmail: is it here, is it really Sendmail, and how is it set up. Read only."""

from detectors.sendmail.detector import SendmailDetector

__all__ = ["SendmailDetector"]
