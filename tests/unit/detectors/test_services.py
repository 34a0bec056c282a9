from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.facts import ContentFilter, Service
from detectors.postfix import services as subject
from tests.unit.postfix_config.corpus import corpus_params

AMAVIS = """\
smtp      inet  n       -       y       -       -       smtpd
pickup    unix  n       -       y       60      1       pickup
submission inet n       -       y       -       -       smtpd
  -o smtpd_sasl_auth_enable=yes
  -o content_filter=amavis:[127.0.0.1]:10026
smtp-amavis unix - - y - 2 smtp
127.0.0.1:10025 inet n - - - - smtpd
  -o content_filter=
  -o smtpd_sasl_auth_enable=yes
[::1]:10027 inet n - - - - smtpd
"""

POSTSCREEN = """\
smtp      inet  n       -       y       -       1       postscreen
smtpd     pass  -       -       y       -       -       smtpd
465       inet  n       -       y       -       -       smtpd
2525      inet  n       -       y       -       -       smtpd
2626      inet  n       -       y       -       -       smtpd
  -o { smtpd_sasl_auth_enable = yes }
"""

OURS = """\
smtp      inet  n       -       y       -       -       smtpd
127.0.0.1:10025 inet n - y - - smtpd
  -o content_filter=
127.0.0.1:10026 inet n - y - - smtpd
  -o syslog_name=postfix/conbool-split
  -o content_filter=
conbool-cleanup unix n - y - 0 cleanup
"""


def read(text: str, **parameters: str) -> tuple[Service, ...]:
    return subject.read_services(text.encode(), {"compatibility_level": "3.6", **parameters})


def test_roles_with_a_content_filter() -> None:
    found = read(AMAVIS)
    parameters = {"content_filter": "smtp-amavis:[127.0.0.1]:10024"}
    assert subject.port_25_services(found) == ("smtp/inet",)
    assert subject.submission_services(found, parameters) == ("submission/inet",)
    assert subject.content_filters(found, parameters) == (
        ContentFilter("main.cf", "smtp-amavis:[127.0.0.1]:10024", ("127.0.0.1:10025/inet",)),
        ContentFilter("submission/inet", "amavis:[127.0.0.1]:10026", ("127.0.0.1:10025/inet",)),
    )


def test_filter_of_one_service_comes_back_by_loopback() -> None:
    found = read(AMAVIS.replace("  -o content_filter=\n", ""))
    (only,) = subject.content_filters(found, {})
    assert only.reentry == ("127.0.0.1:10025/inet", "[::1]:10027/inet")


def test_pipe_filter_comes_back_by_pickup() -> None:
    text = (
        "smtp inet n - y - - smtpd\n  -o content_filter=check:dummy\npickup unix n - y 60 1 pickup\n"
        "check unix - n n - 10 pipe flags=Rq user=filter argv=/usr/bin/check -f ${sender} -- ${recipient}\n"
    )
    assert subject.content_filters(read(text), {}) == (
        ContentFilter("smtp/inet", "check:dummy", ("pickup/unix",)),
    )


def test_our_own_services_are_not_the_admins() -> None:
    found = read(OURS)
    (only,) = subject.content_filters(found, {"content_filter": "scan:[127.0.0.1]:10024"})
    assert only.reentry == ("127.0.0.1:10025/inet",)


def test_postscreen() -> None:
    found = read(POSTSCREEN)
    assert subject.has_postscreen(found)
    assert subject.port_25_services(found) == ("smtpd/pass",)
    assert subject.submission_services(found, {}) == ("465/inet", "2626/inet")
    # SASL switched on in main.cf makes every public service one for submission, port 25 apart.
    parameters = {"smtpd_sasl_auth_enable": "yes"}
    assert subject.submission_services(found, parameters) == ("465/inet", "2525/inet", "2626/inet")


def test_smtpd_pass_without_postscreen_is_nothing() -> None:
    assert subject.port_25_services(read("smtp inet n - y - - smtpd\nsmtpd pass - - y - - smtpd\n")) == (
        "smtp/inet",
    )


@pytest.mark.parametrize("name", ["25", "192.0.2.1:smtp", "[2001:db8::1]:25", "mx.example.com:25"])
def test_port_25_by_other_names(name: str) -> None:
    assert subject.port_25_services(read(f"{name} inet n - y - - smtpd\n")) == (f"{name}/inet",)


@pytest.mark.parametrize(
    ("level", "chroot"),
    [("0", True), ("", True), ("1", False), ("2", False), ("3.6", False), ("3.10", False)],
)
def test_default_of_the_chroot_column(level: str, chroot: bool) -> None:
    (one, two, three) = subject.read_services(
        b"a unix - - - - - smtp\nb unix - - y - - smtp\nc unix - - n - - smtp\n",
        {"compatibility_level": level},
    )
    assert (one.chroot, two.chroot, three.chroot) == (chroot, True, False)


def test_options_in_every_notation() -> None:
    (one,) = read("smtp inet n - y - - smtpd -v -oa=1\n  -o { b = x y, z }\n  -o c=\n  -o a=2\n")
    assert (one.option("a"), one.option("b"), one.option("c"), one.option("d")) == ("2", "x y, z", "", None)
    assert one.command == "smtpd"


def test_proxy_filter_and_milters() -> None:
    text = AMAVIS.replace(
        "-       -       smtpd\npickup",
        "-       -       smtpd\n -o smtpd_proxy_filter=$scan\n -o smtpd_milters=$more\npickup",
    )
    found = read(text)
    parameters = {
        "scan": "127.0.0.1:10024",
        "smtpd_milters": "inet:localhost:8891, { unix:/m, default_action=accept }",
    }
    parameters.update({"non_smtpd_milters": "inet:localhost:8891", "more": "inet:localhost:8892"})
    assert subject.proxy_filters(found, parameters) == (
        ContentFilter("smtp/inet", "127.0.0.1:10024", ("127.0.0.1:10025/inet", "[::1]:10027/inet")),
    )
    assert subject.milters(found, parameters) == ("inet:localhost:8891", "unix:/m", "inet:localhost:8892")


@pytest.mark.parametrize("path", corpus_params("master"))
def test_real_files(path: Path) -> None:
    found = subject.read_services(path.read_bytes(), {"compatibility_level": "2"})
    subject.content_filters(found, {"content_filter": "x:y"})
    subject.milters(found, {})
    servers = [service for service in found if service.type == "inet" and service.command == "smtpd"]
    public = set(subject.port_25_services(found))
    users = set(subject.submission_services(found, {}))
    assert not public & users
    named = {service.id for service in servers if service.name in ("smtp", "25")}
    assert named <= public
    assert {
        service.id for service in servers if service.name in ("submission", "smtps", "587", "465")
    } <= users
