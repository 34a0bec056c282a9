"""Passwords are taken out of what is logged, listed and bundled; files of the admin are written where others may write, too."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conbool_tui import keyboard, log, render
from conbool_tui.errors import ConboolError, HostError
from conbool_tui.host import Host
from conbool_tui.support.credentials import hide_assignments, hide_credentials, is_password
from tests.unit.cli import samples

CANARY = "canary-77f0"
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's files")

SHOWN = (
    f"smtp_sasl_password_maps = static:alice:{CANARY}",
    f"smtp_sasl_password_maps = inline:{{ {{[smart.example]:587 = user:{CANARY}}}, {{other = two:{CANARY}}} }}",
    f"smtp_sasl_password_maps = inline:{{smart.example=user:{CANARY}}}",
    f"  -o smtp_sasl_password_maps=inline:{{smart.example=user:{CANARY}}}",
    f"smtp_sasl_password_maps =\n    inline:{{\n      {{ [a.example] = user:{CANARY} }},\n      {{ b = u:{CANARY} }}\n    }}",
    # The middle of such a value, as a difference shows it.
    f"@@ -7,3 +7,4 @@\n       {{ [a.example]:587 = user:{CANARY} }},\n+relayhost = x",
    f"inline:{{ {{[smart.example]:587 = user:{CANARY}",
    f"proxy_read_maps = unix:passwd.byname inline:{{ {{h = u:{CANARY}}} }} static:5000",
    f"/etc/postfix/main.cf: unused parameter: ldapfoo_bind_pw={CANARY}",
    f"/etc/postfix/main.cf: unused parameter: mysqlfoo_password={CANARY}",
    f"db_pass = {CANARY}",
    f"passphrase: {CANARY}",
    f"mysql://mail:{CANARY}@db.example/x",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}",
    f"ValueError: bad line: smtp_sasl_password = '{CANARY}'",
)


@pytest.mark.parametrize("text", SHOWN)
def test_nothing_that_says_password_keeps_it(text: str) -> None:
    assert CANARY in text
    assert CANARY not in hide_credentials(text)
    assert CANARY not in hide_credentials(f"before\n{text}\nafter")


@pytest.mark.parametrize("text", SHOWN)
def test_what_stands_around_it_stays(text: str) -> None:
    made = hide_credentials(f"relayhost = a.example\n{text}\nmynetworks = 127.0.0.0/8")
    assert made.startswith("relayhost = a.example\n")
    if "END" in text or "BEGIN" not in text:
        assert made.endswith("\nmynetworks = 127.0.0.0/8"), made


@pytest.mark.parametrize(
    "text",
    [
        "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd",
        "smtp_sasl_password_maps=$config_directory/sasl",
        "virtual_uid_maps = static:5000",
        "relay_domains = inline:{example.com=OK, example.org=OK}",
        "local_recipient_maps = proxy:unix:passwd.byname $alias_maps",
        "virtual_alias_maps = mysql:/etc/postfix/mysql-virtual.cf",
    ],
)
def test_names_of_tables_stay(text: str) -> None:
    assert hide_credentials(text) == text


def test_only_assignments() -> None:
    text = "relay_domains = inline:{a=b:c}; bind_token=xyz"
    assert hide_assignments(text) == "relay_domains = inline:{a=b:c}; bind_token=(secret)"


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("smtp_sasl_password_maps", "static:a:b", True),
        ("smtp_sasl_password_maps", "hash:/etc/postfix/sasl_passwd", False),
        ("ldapfoo_bind_pw", "x", True),
        ("mysqlfoo_password", "x", True),
        ("mysqlfoo_password", "", False),
        ("smtp_sasl_password_result_delimiter", ":", False),
        ("myhostname", "mx.example", False),
    ],
)
def test_settings_that_are_passwords(name: str, value: str, wanted: bool) -> None:
    assert is_password(name, value) is wanted


def test_detection_shows_no_password_wherever_it_is_repeated() -> None:
    """Other settings contain it ($name), and postconf(1) warns about it."""
    table = f"inline:{{ {{[smart.example]:587 = user:{CANARY}}} }}"
    parameters = {"smtp_sasl_password_maps": table, "my_bind_pw": f"{CANARY}-2", "short_password": "yes"}
    expanded = {**parameters, "proxy_read_maps": f"hash:/etc/aliases {table} static:5000", "biff": "yes"}
    warning = f"/etc/postfix/main.cf: unused parameter: my_bind_pw={CANARY}-2"
    facts = samples.facts(parameters=parameters, expanded=expanded, warnings=(warning,))
    shown = render.facts_json(facts)
    assert CANARY not in str(shown)
    found = shown["detections"][0]["postfix"]
    assert found["expanded"]["biff"] == "yes"
    assert found["expanded"]["proxy_read_maps"] == "hash:/etc/aliases (hidden) static:5000"
    assert found["parameters"]["short_password"] == "(hidden)"
    assert CANARY not in render.detect_text(facts)


@pytest.fixture
def machine(tmp_path: Path) -> Host:
    (tmp_path / "var/log").mkdir(parents=True)
    return Host(str(tmp_path))


@as_root
def test_the_log_keeps_no_password(machine: Host) -> None:
    log.record(machine, f"failed\nTraceback ...\nOSError: mysql://u:{CANARY}@h my_password={CANARY}")
    text = machine.read_text(log.FILE)
    assert "failed" in text
    assert CANARY not in text


# --- files in folders that others may write ------------------------------------------------------------------------


def test_a_file_of_the_admin_replaces_one(tmp_path: Path) -> None:
    place = tmp_path / "answers.yaml"
    place.write_text("old")
    place.chmod(0o644)
    keyboard.write(str(place), b"new")
    assert place.read_bytes() == b"new"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["answers.yaml"]


def test_own_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/name").symlink_to("other")
    keyboard.write(str(tmp_path / "link/name"), b"new")
    assert (tmp_path / "real/other").read_bytes() == b"new"


def test_a_pipe_is_neither_written_nor_read(tmp_path: Path) -> None:
    place = str(tmp_path / "pipe")
    os.mkfifo(place)
    for action in (
        lambda: keyboard.write(place, b"new"),
        lambda: keyboard.read(place),
        lambda: Host(str(tmp_path)).capture("/pipe"),
        lambda: Host(str(tmp_path)).read_from("/pipe", 0, 1),
        lambda: Host(str(tmp_path)).append_synced("/pipe", b"new"),
    ):
        with pytest.raises(HostError):
            action()
    assert os.listdir(tmp_path) == ["pipe"]


@as_root
@pytest.mark.parametrize("place", ["last", "above", "dangling"])
def test_links_of_others_are_not_followed(tmp_path: Path, place: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("old")
    link = tmp_path / "link"
    link.symlink_to({"last": victim / "file", "above": victim, "dangling": victim / "new"}[place])
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(HostError, match="symbolic link of another user"):
        keyboard.write(str(link / "file" if place == "above" else link), b"new")
    assert (victim / "file").read_text() == "old"
    assert os.listdir(victim) == ["file"]


def test_nothing_stays_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "answers.yaml").write_text("old")
    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(ConboolError, match="No space left"):
        keyboard.write(str(tmp_path / "answers.yaml"), b"new")
    assert os.listdir(tmp_path) == ["answers.yaml"]
    assert (tmp_path / "answers.yaml").read_text() == "old"
