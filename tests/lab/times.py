"""About how long the tests take, so that workers start with the longest; a number that is out of date costs time, nothing else."""

from __future__ import annotations

import pytest

# Seconds for one test of a module, with its share of the module's machines. What comes first runs on each release,
# so that the roots of all of them are built at the same time.
SECONDS = {
    "test_build": 3.5,
    "test_checks": 2.5,
    "test_cli": 0.7,
    "test_confirm": 12.0,
    "test_countdown_owners": 37.0,
    "test_deb_life": 30.0,
    "test_detached": 8.0,
    "test_detect_postfix": 1.8,
    "test_dns": 0.6,
    "test_docker_mailserver": 3.0,
    "test_dovecot": 7.0,
    "test_editor_postconf": 4.4,
    "test_exim_inbound": 8.0,
    "test_exim_routes": 4.0,
    "test_exim_scopes": 5.0,
    "test_failing_calls": 130.0,
    "test_firewall": 4.6,
    "test_firewall_firewalld": 19.0,
    "test_firewall_ufw": 6.9,
    "test_header_tables": 0.2,
    "test_hostile": 5.0,
    "test_killed": 85.0,
    "test_lab_selftest": 0.6,
    "test_lint": 12.0,
    "test_open_xchange": 10.0,
    "test_other_server": 5.0,
    "test_postfix_inbound": 14.0,
    "test_postfix_more": 6.3,
    "test_postfix_routes": 0.3,
    "test_postfix_scopes": 7.1,
    "test_random_sequences": 43.0,
    "test_release_upgrade": 60.0,
    "test_rpm_dependencies": 2.5,
    "test_rpm_life": 20.0,
    "test_sendmail_dovecot": 12.0,
    "test_sendmail_inbound": 12.0,
    "test_sendmail_more": 4.0,
    "test_sendmail_rhel_shape": 12.0,
    "test_sendmail_routes": 0.4,
    "test_senders": 3.5,
    "test_spam_filters": 20.0,
    "test_step_b": 11.6,
    "test_systemd": 16.0,
    "test_terminals": 2.0,
    "test_transaction_exim": 14.0,
    "test_transaction_postfix": 5.2,
    "test_transaction_sendmail": 3.0,
    "test_undo_sequences": 19.0,
    "test_wizard": 13.0,
}
OTHERS = 10.0


def seconds(item: pytest.Item) -> float:
    """What a test will take, about."""
    return SECONDS.get(item.path.stem, OTHERS)
