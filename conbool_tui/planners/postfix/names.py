"""Every name this planner puts into a Postfix configuration, in one place, so that our own settings are
recognised later.
"""

from __future__ import annotations

import re

FOLDER = "conbool"
"""Folder below the configuration directory that holds all our tables."""

TABLE_PREFIX = "$config_directory/" + FOLDER + "/"
"""How our tables are named in main.cf: a staged copy of the directory then reads its own tables."""

SMART_HOST_TRANSPORT = "conbool-smarthost"
DIRECT_TRANSPORT = "conbool-direct"
REINJECT_TRANSPORT = "conbool-reinject"
GATE_CLEANUP = "conbool-gate-cleanup"
SPLIT_CLEANUP = "conbool-split-cleanup"
ARRIVALS_CLEANUP = "conbool-arrivals-cleanup"
RELEASED_CLEANUP = "conbool-released-cleanup"
UNTRUSTED_CLEANUP = "conbool-untrusted-cleanup"
HAND_BACK_CLASS = "conbool_hand_back"
ORIGIN_CLASS = "conbool_origin"
INBOUND_CLASS = "conbool_inbound"
OTHERS_CLASS = "conbool_others"
ADMITTED_CLASS = "conbool_admitted"
RELAY_CLASS = "conbool_relay"
RECIPIENT_CLASS = "conbool_recipient"
CLASSES = (
    ORIGIN_CLASS,
    HAND_BACK_CLASS,
    RELAY_CLASS,
    RECIPIENT_CLASS,
    INBOUND_CLASS,
    OTHERS_CLASS,
    ADMITTED_CLASS,
)

ORIGIN_HEADER = "X-Conbool-Origin"
"""Added at port 25 to mail of clients whose markers are not believed; it never leads to the smart host
bypass, only to the marker's removal.
"""

TRANSPORTS = (SMART_HOST_TRANSPORT, DIRECT_TRANSPORT, REINJECT_TRANSPORT)
_CLEANUPS = re.compile(r"conbool-(.+-)?cleanup")

SENDERS = "senders"
ARRIVALS = "arrivals.cidr"
ORIGIN = "origin.cidr"
HAND_BACK_CLIENTS = "hand_back_clients.cidr"
RELAY_CLIENTS = "relay_clients.cidr"
RECIPIENT_CLIENTS = "recipient_clients.cidr"
PORT_25_CLIENTS = "port_25_clients.cidr"
EXTRA_CLIENTS = "extra_clients.cidr"
POSTSCREEN_CLIENTS = "postscreen_clients.cidr"
TRUSTED_CLIENTS = "trusted_clients.cidr"
SENDER_DOMAIN = "sender_domain"
HAND_BACK_DOMAINS = "hand_back_domains"
MARKERS = "markers"
SPAM = "spam"
CALENDAR = "calendar"
GATE_CHECKS = "gate_checks"
SPLIT_CHECKS = "split_checks"
RELEASED_CHECKS = "released_checks"
UNTRUSTED_CHECKS = "untrusted_checks"
DROP_MARKERS = "drop_markers"
DROP_ORIGIN = "drop_origin"
AUTHENTICATED = "authenticated"
MANUAL_ROUTE = "manual_route"
GATEWAY_ROUTE = "gateway_route"
SMART_HOST_TLS = "smart_host_tls"
GATEWAY_TLS = "gateway_tls"
PREVIOUS = "previous"
OWN_ROUTE = "own_route"

SYSLOG_PREFIX = "postfix/conbool-"


def is_ours(text: str) -> bool:
    """True when a value refers to one of our tables, services or classes.

    Whole names are compared: an admin's own file may well be called ``/etc/postfix/conbool-checks``.
    """
    return (
        TABLE_PREFIX in text
        or text.partition(":")[0] in TRANSPORTS
        or _CLEANUPS.fullmatch(text) is not None
        or text in CLASSES
    )
