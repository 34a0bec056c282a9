"""Names of spam filters and of what is ours in their configuration."""

from __future__ import annotations

RSPAMD, SPAMASSASSIN = "rspamd", "spamassassin"
RSPAMD_FILE = "local.d/settings.conf"
SPAMASSASSIN_FILE = "conbool.cf"
BLOCK = "released"
SPAMASSASSIN_DAEMONS = frozenset(("spamd", "amavisd", "amavisd-new", "amavis"))
TITLES = {RSPAMD: "rspamd", SPAMASSASSIN: "SpamAssassin"}
