"""Site defaults: what is read, what is refused, and what wins over what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conbool_tui import answers_file, site_config
from conbool_tui.answers import Answers
from conbool_tui.errors import ExitCode, UsageError
from conbool_tui.host import Host

SHIPPED = Path(__file__).parents[2] / "packaging/files/config.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / site_config.FILE.lstrip("/")
    path.parent.mkdir(parents=True)
    return path


def refused(root: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        site_config.answers(Host(str(root)))
    assert caught.value.exit_code == ExitCode.USAGE
    assert site_config.FILE in " ".join(caught.value.lines())
    return caught.value


def test_no_file_and_a_file_without_keys_are_the_programs_defaults(tmp_path: Path, file: Path) -> None:
    host = Host(str(tmp_path))
    assert site_config.load(host) == {}
    for text in ("", "# only a comment\n\n  # one more\n", "---\n", SHIPPED.read_text("utf-8")):
        file.write_text(text)
        assert site_config.load(host) == {}
        assert site_config.answers(host) == Answers()


def test_the_shipped_file_is_read_without_yaml(tmp_path: Path, file: Path) -> None:
    file.write_bytes(SHIPPED.read_bytes())
    program = (
        "import sys\nfrom conbool_tui import site_config\nfrom conbool_tui.host import Host\n"
        "site_config.answers(Host(sys.argv[1]))\nprint('yaml' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_the_shipped_examples_can_be_used(tmp_path: Path, file: Path) -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# conbool_networks"))
    file.write_text("\n".join(line[2:] for line in lines[start:]) + "\n")
    assert site_config.answers(Host(str(tmp_path))).conbool_networks == ("198.51.100.0/24",)


def test_what_wins_over_what(tmp_path: Path, file: Path) -> None:
    file.write_text("smart_host: {host: site.example.com, port: 2525}\nconbool_networks: [198.51.100.0/24]\n")
    site = site_config.load(Host(str(tmp_path)))
    given = answers_file.read(b"smart_host: {host: file.example.com}\n", "answers.yaml")
    merged = answers_file.build(answers_file.merged(site, given))
    assert merged.smart_host.host == "file.example.com"
    assert merged.smart_host.port == 2525
    assert merged.conbool_networks == ("198.51.100.0/24",)
    assert merged.scope == Answers().scope


def test_answers_that_need_each_other_may_come_from_two_places(tmp_path: Path, file: Path) -> None:
    file.write_text("inbound: {restrict_port_25: true}\n")
    given = answers_file.read(b"conbool_networks: [198.51.100.0/24]\n", "answers.yaml")
    merged = answers_file.build(answers_file.merged(site_config.load(Host(str(tmp_path))), given))
    assert merged.inbound.restrict_port_25


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("smarthost: {host: x.example.com}\n", "did you mean smart_host"),
        ("smart_host: {port: many}\n", "many"),
        ("- a list\n", "holds no keys"),
        ("smart_host: [\n", "no YAML"),
    ],
)
def test_mistakes_are_told_with_the_files_name(tmp_path: Path, file: Path, text: str, told: str) -> None:
    file.write_text(text)
    assert told in " ".join(refused(tmp_path).lines())


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, file: Path, mode: int) -> None:
    file.write_text("smart_host: {host: evil.example.com}\n")
    file.chmod(mode)
    assert "others" in refused(tmp_path).what


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(tmp_path: Path, file: Path) -> None:
    file.write_text("smart_host: {host: evil.example.com}\n")
    os.chown(file, 12345, 0)
    assert "others" in refused(tmp_path).what


def test_what_is_no_file_is_refused(tmp_path: Path, file: Path) -> None:
    file.mkdir()
    assert "no file" in refused(tmp_path).what


# --- the key that no answers file has


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain: true\n", True),
        ("plain : yes  # for the screen reader\n", True),
        ("plain: ON\r\ninbound: {confirm_within: 120}\r\n", True),
        ("plain: false\n", False),
        ("# plain: true\n", False),
        ("inbound:\n  confirm_within: 120\n", False),
    ],
)
def test_lines_are_asked_for(tmp_path: Path, file: Path, text: str, wanted: bool) -> None:
    file.write_text(text)
    host = Host(str(tmp_path))
    assert site_config.plain(host) is wanted
    assert site_config.answers(host).inbound.confirm_within == (120 if "120" in text else 60)


def test_without_a_file_nobody_asks_for_lines(tmp_path: Path) -> None:
    assert site_config.plain(Host(str(tmp_path))) is False


@pytest.mark.parametrize("text", ["plain: maybe\n", "plain:\n", "plain: true\nplain: true\n"])
def test_a_key_that_says_neither_is_refused(tmp_path: Path, file: Path, text: str) -> None:
    file.write_text(text)
    error = refused(tmp_path)
    assert "plain: " in error.what
    with pytest.raises(UsageError):
        site_config.plain(Host(str(tmp_path)))


def test_the_key_keeps_the_lines_of_the_others(tmp_path: Path, file: Path) -> None:
    file.write_text("plain: true\n\nsmart_hots: {}\n")
    assert "line 3" in refused(tmp_path).what


def test_an_answers_file_has_no_such_key() -> None:
    with pytest.raises(UsageError, match="plain: unknown key"):
        answers_file.read(b"plain: true\n", "answers.yaml")
