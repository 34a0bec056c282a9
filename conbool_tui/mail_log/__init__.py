"""Who handed mail to port 25 in the last days, read from the mail log of a Postfix host."""

from conbool_tui.mail_log.senders import read_senders

__all__ = ["read_senders"]
