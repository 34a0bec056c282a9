"""Names of everything this planner makes, and where it stands in each layout."""

from __future__ import annotations

from conbool_tui.facts_exim import EximDriver

FOLDER = "conbool"
DOMAINS, SENDERS, LOOP_KEYS = "domains", "senders", "loopkeys"
DATA_FILES = (DOMAINS, SENDERS, LOOP_KEYS)

PREFIX = "conbool_"
SMART_HOST_ROUTER, SMART_HOST_TRANSPORT = "conbool_smarthost", "conbool_smtp"
DIRECT_ROUTER, DIRECT_TRANSPORT = "conbool_direct", "conbool_direct_smtp"
JUNK_ROUTER, JUNK_TRANSPORT = "conbool_junk", "conbool_junk_maildir"

ACLS = {
    "acl_smtp_mail": "acl_conbool_mail",
    "acl_smtp_rcpt": "acl_conbool_rcpt",
    "acl_smtp_data": "acl_conbool_data",
    "acl_not_smtp": "acl_conbool_not_smtp",
    "acl_smtp_mime": "acl_conbool_mime",
    "acl_not_smtp_mime": "acl_conbool_not_smtp_mime",
    "acl_smtp_quit": "acl_conbool_quit",
}
"""Our ACL for each option."""

MACROS = {
    "acl_smtp_mail": "MAIN_ACL_CHECK_MAIL",
    "acl_smtp_rcpt": "MAIN_ACL_CHECK_RCPT",
    "acl_smtp_data": "MAIN_ACL_CHECK_DATA",
}
"""Debian's macros that hold the names of its ACLs."""

MAIN, ACL, ROUTER, JUNK, TRANSPORT = "main", "acl", "router", "router-junk", "transport"
PARTS = (TRANSPORT, ACL, MAIN, ROUTER, JUNK)
"""The pieces of text; also the ids of the marked blocks."""

SPLIT_FILES = {
    MAIN: "conf.d/main/001_conbool-tui",
    ACL: "conf.d/acl/05_conbool-tui",
    ROUTER: "conf.d/router/199_conbool-tui",
    JUNK: "conf.d/router/890_conbool-tui",
    TRANSPORT: "conf.d/transport/20_conbool-tui",
}
"""After the admin's 000_localmacros; before Debian's 200 (remote mail) and 900 (local users). No dot: update-exim4.conf(8) skips
names with one."""

HEADING = "# Written by conbool-tui; run conbool-tui to change it.\n"


def is_ours(driver: EximDriver) -> bool:
    """Whether a router or transport is one of ours."""
    return driver.name.startswith(PREFIX)
