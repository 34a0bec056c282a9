from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.errors import HostError, NeedsRootError
from conbool_tui.facts import (
    ContentFilter,
    Detection,
    HostFacts,
    Listener,
    Outcome,
    PostfixFacts,
    PostfixInstance,
)
from conbool_tui.host import Host, Process
from detectors import DETECTORS, detect_host
from detectors.listening import owner_of_port
from detectors.postfix.instances import parse_instances
from detectors.postfix.parameters import parse_settings
from tests.unit.detectors.fake import MASTER_CF, Answers, FakeHost


def detect(host: Host, instance: Optional[str] = None) -> Detection:
    found = detect_host(host, instance).get("postfix")
    assert found is not None
    return found


def facts(host: Host, instance: Optional[str] = None) -> PostfixFacts:
    found = detect(host, instance)
    assert found.outcome is Outcome.PRESENT, (found.summary, found.reason)
    assert found.postfix is not None
    return found.postfix


def test_registry() -> None:
    names = [detector.name for detector in DETECTORS]
    assert names[0] == "postfix"
    assert len(set(names)) == len(names)


# --- absent


def test_absent(tmp_path: Path) -> None:
    found = detect(Host(str(tmp_path)))
    assert found.outcome is Outcome.ABSENT
    assert found.postfix is None
    assert found.system == "postfix"


def test_leftover_configuration_is_absent_and_said(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, installed=False).set_up()
    found = detect(host)
    assert found.outcome is Outcome.ABSENT
    assert found.evidence == "/etc/postfix/main.cf"
    assert "postconf" in found.reason


# --- present


def test_present(tmp_path: Path) -> None:
    settings = {
        "mydestination": "$myhostname, example.com, localhost",
        "content_filter": "scan:[127.0.0.1]:10024",
        "smtpd_milters": "inet:localhost:8891",
        "smtpd_tls_cert_file": "/etc/cert.pem",
        "smtp_tls_CApath": "/etc/ssl/certs",
        "smtp_tls_key_file": "",
        "transport_maps": "regexp:/etc/postfix/r, hash:/etc/postfix/transport",
    }
    answers = Answers(settings, catch_all={"hash:/etc/postfix/transport": "smtp:[192.0.2.1]\n"})
    host = FakeHost(tmp_path, answers)
    host.set_up(master_cf=MASTER_CF + "127.0.0.1:10025 inet n - y - - smtpd\n -o content_filter=\n")
    for path in ("/etc/postfix/r", "/etc/postfix/transport.db", "/etc/ssl/certs/ca-certificates.crt"):
        host.put(path)
    host.put("/etc/postfix/conbool/deep/table.cf", "x")
    found = facts(host)
    assert detect(host).summary == "Postfix 3.7.11 in /etc/postfix, not running, 2 hosted domains."
    assert found.version_tuple == (3, 7, 11)
    assert (found.config_directory, found.instance) == ("/etc/postfix", "-")
    assert found.instances == (PostfixInstance("-", "", True, "/etc/postfix"),)
    assert found.parameters["mydestination"] == settings["mydestination"]
    assert found.expanded["mydestination"] == "mx.example.com, example.com, localhost"
    assert found.explicit == frozenset(settings)
    assert {"hash", "pcre"} <= found.table_types
    assert found.default_database_type == "hash"
    assert found.domains.mydestination == ("example.com", "mx.example.com")
    assert found.content_filters == (
        ContentFilter("main.cf", "scan:[127.0.0.1]:10024", ("127.0.0.1:10025/inet",)),
    )
    assert found.milters == ("inet:localhost:8891",)
    assert dict(found.tls_files) == {
        "smtpd_tls_cert_file": "/etc/cert.pem",
        "smtp_tls_CApath": "/etc/ssl/certs",
    }
    assert found.system_ca_file == "/etc/ssl/certs/ca-certificates.crt"
    assert found.transport_catch_all == "smtp:[192.0.2.1]"
    assert sorted(found.files) == [
        "/etc/postfix/conbool/deep/table.cf",
        "/etc/postfix/main.cf",
        "/etc/postfix/master.cf",
    ]
    assert found.files["/etc/postfix/conbool/deep/table.cf"].data == b"x"
    assert not found.running
    assert not found.postscreen
    assert found.warnings == ("smtpd_tls_cert_file names /etc/cert.pem, which does not exist",)


def test_owner_and_mode_of_files(tmp_path: Path) -> None:
    host = FakeHost(tmp_path).set_up()
    os.chmod(tmp_path / "etc/postfix/main.cf", 0o640)
    text = facts(host).files["/etc/postfix/main.cf"]
    assert (text.mode, text.uid, text.gid) == (0o640, os.geteuid(), os.getegid())


def test_linked_main_cf_is_read_by_its_own_name(tmp_path: Path) -> None:
    host = FakeHost(tmp_path).set_up()
    (tmp_path / "etc/postfix/main.cf").rename(tmp_path / "etc/real.cf")
    (tmp_path / "etc/postfix/main.cf").symlink_to("/etc/real.cf")
    host.put("/etc/real.cf", "a = b\n")
    assert facts(host).files["/etc/postfix/main.cf"].data == b"a = b\n"


def test_warnings_of_the_tools_are_kept_and_not_parsed(tmp_path: Path) -> None:
    warning = "postconf: warning: /etc/postfix/main.cf: unused parameter: typo=1\n"
    found = facts(FakeHost(tmp_path, Answers(warning=warning)).set_up())
    assert found.warnings == ("/etc/postfix/main.cf: unused parameter: typo=1",)
    assert "typo" not in found.parameters


def test_few_commands(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, Answers({"transport_maps": "hash:/etc/postfix/t"})).set_up()
    host.put("/etc/postfix/t.db")
    facts(host)
    assert len([words for words in host.commands if words[0].startswith("post")]) <= 7


@pytest.mark.parametrize(
    ("answers", "expected", "warned"),
    [
        ({}, None, False),
        ({"catch_all": {"hash:/t": "relay:[b]\nmore\n"}}, "relay:[b]", False),
        ({"failing": {"postmap -q * hash:/t": "postmap: fatal: open database /t.db: corrupt"}}, None, True),
        ({"failing": {"postmap -q * hash:/t": "timeout"}}, None, True),
    ],
)
def test_catch_all(
    tmp_path: Path, answers: dict[str, dict[str, str]], expected: Optional[str], warned: bool
) -> None:
    host = FakeHost(tmp_path, Answers({"transport_maps": "proxy:hash:/t"}, **answers)).set_up()  # type: ignore[arg-type]
    host.put("/t.db")
    found = facts(host)
    assert found.transport_catch_all == expected
    assert any("catch-all" in text for text in found.warnings) is warned


# --- broken


@pytest.mark.parametrize(
    ("failing", "text"),
    [
        ({"postconf": "postconf: fatal: open /etc/postfix/main.cf: Permission denied"}, "Permission denied"),
        ({"postconf -x": "timeout"}, "did not finish"),
        ({"postconf -n": "it just failed"}, "it just failed"),
        ({"postconf -m": ""}, "status 1"),
        (
            {"postconf -M": "postconf: fatal: /etc/postfix/master.cf: line 9: bad transport type: xinet"},
            "bad transport type",
        ),
        (
            {"postmap -q conbool-tui static:yes": "postmap: fatal: bad number: message_size_limit = abc"},
            "message_size_limit",
        ),
        ({"postmap -q conbool-tui static:yes": "timeout"}, "did not finish"),
    ],
)
def test_tools_that_refuse(tmp_path: Path, failing: dict[str, str], text: str) -> None:
    found = detect(FakeHost(tmp_path, Answers(failing=failing)).set_up())
    assert found.outcome is Outcome.BROKEN
    assert text in found.reason
    assert found.remedy


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    host = FakeHost(tmp_path).set_up()
    (tmp_path / "etc/postfix" / name).unlink()
    found = detect(host)
    assert found.outcome is Outcome.BROKEN
    assert found.reason == f"/etc/postfix/{name} is missing."
    assert found.remedy


def test_unreadable_file(tmp_path: Path) -> None:
    class Closed(FakeHost):
        def read_bytes(self, path: str) -> bytes:
            raise NeedsRootError(
                f"{path} cannot be read: Permission denied.", "No right to it.", "Run with sudo."
            )

    host = Closed(tmp_path)
    host.set_up()
    found = detect(host)
    assert (found.outcome, found.remedy) == (Outcome.BROKEN, "Run with sudo.")
    assert "/etc/postfix/main.cf cannot be read" in found.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("smtp inet n - y - smtpd\n", "fewer than eight fields"),
        ("", "no service"),
        ("# nothing\n\n", "no service"),
    ],
)
def test_master_cf_that_cannot_work(tmp_path: Path, text: str, reason: str) -> None:
    found = detect(FakeHost(tmp_path).set_up(master_cf=text))
    assert found.outcome is Outcome.BROKEN
    assert reason in found.reason
    assert found.remedy
    assert found.postfix is not None


@pytest.mark.parametrize(
    ("parameter", "value", "missing"),
    [
        ("virtual_alias_maps", "hash:/etc/postfix/virtual", "/etc/postfix/virtual.db"),
        ("header_checks", "pcre:/etc/postfix/header", "/etc/postfix/header"),
        ("virtual_mailbox_domains", "proxy:mysql:/etc/postfix/sql.cf", "/etc/postfix/sql.cf"),
        ("smtpd_recipient_restrictions", "permit, { check_recipient_access lmdb:/x, y }", "/x.lmdb"),
    ],
)
def test_missing_table_that_stops_mail(tmp_path: Path, parameter: str, value: str, missing: str) -> None:
    found = detect(FakeHost(tmp_path, Answers({parameter: value})).set_up())
    assert found.outcome is Outcome.BROKEN
    assert parameter in found.reason
    assert missing in found.reason
    assert found.remedy
    assert found.postfix is not None


def test_missing_table_in_a_service(tmp_path: Path) -> None:
    text = (
        MASTER_CF
        + "587 inet n - y - - smtpd\n -o { smtpd_client_restrictions = check_client_access hash:/gone }\n"
    )
    found = detect(FakeHost(tmp_path).set_up(master_cf=text))
    assert found.outcome is Outcome.BROKEN
    assert "/gone.db" in found.reason


@pytest.mark.parametrize(
    "settings",
    [
        {"alias_maps": "hash:/etc/aliases"},
        {"smtp_sasl_password_maps": "hash:/gone"},
    ],
)
def test_missing_table_that_does_not_stop_all_mail(tmp_path: Path, settings: dict[str, str]) -> None:
    (warning,) = facts(FakeHost(tmp_path, Answers(settings)).set_up()).warnings
    assert next(iter(settings)) in warning
    assert "does not exist" in warning


def test_caches_that_postfix_makes_are_not_missed(tmp_path: Path) -> None:
    settings = {"smtp_tls_session_cache_database": "btree:/var/lib/postfix/smtp_scache"}
    assert facts(FakeHost(tmp_path, Answers(settings)).set_up()).warnings == ()


def test_too_old(tmp_path: Path) -> None:
    found = detect(FakeHost(tmp_path, Answers({"mail_version": "3.3.22"})).set_up())
    assert found.outcome is Outcome.BROKEN
    assert "too old" in found.reason
    assert "3.3.22" in found.reason
    assert found.remedy
    assert facts(FakeHost(tmp_path, Answers({"mail_version": "3.4.0-RC1"})).set_up()).version_tuple[:2] == (
        3,
        4,
    )


def test_a_defect_in_a_detector_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Defect:
        name = "defect"

        def detect(self, host: Host, instance: Optional[str]) -> Detection:
            raise ZeroDivisionError("oops")

    monkeypatch.setattr("detectors.DETECTORS", (Defect(), *DETECTORS))
    found = detect_host(FakeHost(tmp_path).set_up())
    assert [item.outcome for item in found.detections][:2] == [Outcome.BROKEN, Outcome.PRESENT]
    assert "oops" in found.detections[0].reason


@pytest.mark.parametrize(
    "noise", [b"\0\xff\xfe = \n", b"\xef\xbb\xbfmyhostname = x\n", b"=\n" * 1000, b"{" * 5000, b"!" * 50]
)
def test_bad_bytes_never_raise(tmp_path: Path, noise: bytes) -> None:
    text = noise.decode("utf-8", "surrogateescape")
    values = {
        "mydestination": text.strip("\n"),
        "smtpd_milters": text.strip("\n"),
        "transport_maps": text.strip("\n"),
    }
    host = FakeHost(tmp_path, Answers({name: value.replace("\n", " ") for name, value in values.items()}))
    host.set_up(main_cf=text, master_cf=text + MASTER_CF)
    found = detect_host(host)
    assert isinstance(found, HostFacts)
    assert not any(item.summary.startswith("The search for") for item in found.detections)


# --- instances


def test_instances(tmp_path: Path) -> None:
    host = FakeHost(
        tmp_path, Answers({"multi_instance_directories": "/etc/postfix-out, /etc/postfix-gone"})
    ).set_up()
    host.put(
        "/etc/postfix-out/main.cf",
        "multi_instance_name = postfix-out\nmulti_instance_group = mta\nmulti_instance_enable = yes\n",
    )
    found = facts(host)
    assert found.instance == "-"
    assert found.instances == (
        PostfixInstance("-", "", True, "/etc/postfix"),
        PostfixInstance("postfix-out", "mta", True, "/etc/postfix-out"),
        PostfixInstance("-", "", False, "/etc/postfix-gone"),
    )


@pytest.mark.parametrize("wanted", ["postfix-out", "/etc/postfix-out"])
def test_another_instance(tmp_path: Path, wanted: str) -> None:
    host = FakeHost(tmp_path, Answers({"multi_instance_directories": "/etc/postfix-out"})).set_up()
    host.put("/etc/postfix-out/main.cf", "multi_instance_name = postfix-out\n")
    host.put("/etc/postfix-out/master.cf", MASTER_CF)
    detect(host, wanted)
    assert ("postconf", "-c", "/etc/postfix-out") in host.commands


def test_unknown_instance(tmp_path: Path) -> None:
    found = detect(FakeHost(tmp_path).set_up(), "nope")
    assert found.outcome is Outcome.BROKEN
    assert "'nope'" in found.reason
    assert "/etc/postfix" in found.remedy


def test_parse_instances() -> None:
    text = "-          -       y   /etc/postfix\npostfix-out  mta  n   /etc/postfix out\njunk\n"
    assert parse_instances(text) == (
        PostfixInstance("-", "", True, "/etc/postfix"),
        PostfixInstance("postfix-out", "mta", False, "/etc/postfix out"),
    )


def test_parse_settings() -> None:
    assert parse_settings("a = b = c\nempty =\nnothing\nprocess_id = 7\n") == {"a": "b = c", "empty": ""}


# --- running and port 25


def live(tmp_path: Path, pid_file: Optional[str], processes: tuple[Process, ...]) -> FakeHost:
    host = FakeHost(tmp_path).set_up()
    host.acts_live = True
    host.running = processes
    if pid_file is not None:
        host.put("/var/spool/postfix/pid/master.pid", pid_file)
    return host


MASTER = Process(77, "master", ("/usr/lib/postfix/sbin/master", "-w"))


@pytest.mark.parametrize(
    ("pid_file", "processes", "running"),
    [
        ("             77\n", (MASTER,), True),
        ("             78\n", (MASTER,), False),
        ("77\n", (Process(77, "bash", ("bash",)),), False),
        ("77\n", (), False),
        (None, (MASTER,), False),
        ("", (MASTER,), True),
        ("", (MASTER, Process(78, "master", MASTER.command)), False),
        ("garbage", (Process(5, "master", ("/usr/bin/salt/master",)),), False),
    ],
)
def test_running(
    tmp_path: Path, pid_file: Optional[str], processes: tuple[Process, ...], running: bool
) -> None:
    assert facts(live(tmp_path, pid_file, processes)).running is running


@pytest.mark.parametrize("running", [True, False])
def test_running_without_a_process_table(tmp_path: Path, running: bool) -> None:
    class NoProc(FakeHost):
        def processes(self) -> tuple[Process, ...]:
            raise FileNotFoundError("/proc/stat")

        def listeners(self) -> tuple[Listener, ...]:
            raise IndexError("list index out of range")

    host = NoProc(tmp_path, Answers(failing={} if running else {"postfix status": "not running"}))
    host.set_up()
    host.acts_live = True
    host.put("/var/spool/postfix/pid/master.pid", "12\n")
    assert facts(host).running is running
    assert facts(host).port_25_owner == ""


def test_port_25_owner(tmp_path: Path) -> None:
    host = live(tmp_path, "77\n", (MASTER,))
    host.sockets = (Listener("0.0.0.0", 25, 77, "master"), Listener("::", 25, 77, "master"))
    found = detect_host(host)
    assert found.port_25_owner == "postfix"
    assert found.listeners == host.sockets


def test_port_25_owner_of_a_host_without_postfix(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, installed=False)
    host.sockets = (Listener("0.0.0.0", 25, 9, "exim4"),)
    found = detect_host(host)
    assert (found.port_25_owner, found.listeners) == ("exim4", host.sockets)


@pytest.mark.parametrize(
    ("sockets", "owner"),
    [
        ([], ""),
        ([(24, 77, "master")], ""),
        ([(25, 77, "master")], "postfix"),
        ([(25, 99, "smtpd")], "postfix"),
        ([(25, 78, "master")], "postfix (another instance)"),
        ([(25, 5, "exim4"), (25, 77, "master")], "postfix, exim4"),
        ([(25, None, "")], "unknown"),
    ],
)
def test_owner_of_port(sockets: list[tuple[int, Optional[int], str]], owner: str) -> None:
    listeners = [Listener("0.0.0.0", port, pid, name) for port, pid, name in sockets]
    assert owner_of_port(listeners, 25, 77) == owner


def test_host_error_is_told_whole(tmp_path: Path) -> None:
    class Stuck(FakeHost):
        def is_dir(self, path: str) -> bool:
            raise HostError("stuck", "why", "todo")

    host = Stuck(tmp_path)
    host.set_up()
    found = detect(host)
    assert (found.outcome, found.reason, found.remedy) == (Outcome.BROKEN, "stuck", "todo")
