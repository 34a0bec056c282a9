"""About how long the tests take, so that workers start with the longest; a number that is out of date costs time, nothing else."""

from __future__ import annotations

import pytest

# Seconds for one test of a module, with its share of the module's machines. What comes first runs on each release,
# so that the roots of all of them are built at the same time.
SECONDS = {
    "test_build": 20.0,
    "test_checks": 1.9,
    "test_cli": 0.7,
    "test_confirm": 6.0,
    "test_countdown_owners": 27.0,
    "test_deb_life": 60.0,
    "test_detached": 5.0,
    "test_detect_postfix": 1.1,
    "test_dns": 0.6,
    "test_editor_postconf": 4.4,
    "test_failing_calls": 50.0,
    "test_firewall": 2.3,
    "test_firewall_firewalld": 25.0,
    "test_firewall_ufw": 3.8,
    "test_header_tables": 0.2,
    "test_killed": 60.0,
    "test_lab_selftest": 0.6,
    "test_postfix_inbound": 11.3,
    "test_postfix_more": 5.3,
    "test_postfix_routes": 0.3,
    "test_postfix_scopes": 6.2,
    "test_random_sequences": 60.0,
    "test_senders": 8.0,
    "test_step_b": 13.5,
    "test_transaction_postfix": 3.7,
    "test_undo_sequences": 11.3,
    "test_wizard": 8.6,
}
OTHERS = 10.0


def seconds(item: pytest.Item) -> float:
    """What a test will take, about."""
    return SECONDS.get(item.path.stem, OTHERS)
