"""Route a mail server's mail through the Conbool service: detect, plan, apply, prove, undo."""

__version__ = "0.1.0"
