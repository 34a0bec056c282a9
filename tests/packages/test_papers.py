"""What the packages say about the program: manual page, completion, change logs, and the file that starts it."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import conbool_tui
from conbool_tui.commands.parser import make_parser

from .built import CHECKOUT

BUILDER = CHECKOUT / "packaging/packages"
FILES = CHECKOUT / "packaging/files"
MOMENT = 1_700_000_000


@pytest.fixture(scope="module")
def builder() -> Iterator[Path]:
    """The builder's modules, which import each other by their plain names."""
    sys.path.insert(0, str(BUILDER))
    yield BUILDER
    sys.path.remove(str(BUILDER))


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


def every_parser() -> dict[str, argparse.ArgumentParser]:
    parser = make_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {"": parser, **action.choices}
    raise AssertionError("no commands")


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}


def test_manual_page_has_every_command_and_option(builder: Path) -> None:
    text = module("manual").page(MOMENT)
    plain = re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-")
    parsers = every_parser()
    for name, parser in parsers.items():
        assert not name or f".SS {name}" in plain
        for flag in flags_of(parser):
            assert re.search(rf"(?m)^(-h, )?{re.escape(flag)}\b", plain), flag
    for code in (0, 1, 2, 3, 4, 5, 64, 75, 77):
        assert f".TP\n{code}\n" in plain
    assert "2023-11-14" in text
    assert not re.search(r"[^\x00-\x7f]", text)
    # A line that begins so would be taken for a request.
    assert not re.search(r"(?m)^'", text)
    assert set(re.findall(r"(?m)^\.([A-Z]+)", text)) <= {"TH", "SH", "SS", "TP", "PP", "IP", "B", "I"}


def test_manual_page_has_no_options_that_are_gone(builder: Path) -> None:
    plain = module("manual").page(MOMENT).replace("\\-", "-").replace("\\fB", "")
    known = {flag for parser in every_parser().values() for flag in flags_of(parser)}
    assert set(re.findall(r"(?m)^(--[a-z0-9-]+)", plain)) <= known


def completed(script: str, *words: str) -> set[str]:
    """What bash offers for the last of ``words``."""
    line = " ".join(f"'{word}'" for word in words)
    program = f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _conbool_tui; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


def test_completion_offers_what_the_parser_knows(builder: Path) -> None:
    script = module("manual").completion()
    parsers = every_parser()
    for name, parser in parsers.items():
        words = ["conbool-tui", *([name] if name else []), "--"]
        assert completed(script, *words) == flags_of(parser), name
    assert completed(script, "conbool-tui", "") >= set(parsers) - {""}
    assert completed(script, "conbool-tui", "--json", "hi") == {"history"}


def test_completion_of_values(builder: Path, tmp_path: Path) -> None:
    script = f"cd '{tmp_path}'\n" + module("manual").completion()
    (tmp_path / "my answers.yaml").touch()
    (tmp_path / "folder").mkdir()
    assert completed(script, "conbool-tui", "plan", "--answers", "my") == {"my answers.yaml"}
    assert completed(script, "conbool-tui", "--root", "") == {"folder"}
    assert completed(script, "conbool-tui", "apply", "--scope-mode", "e") == {"everything"}
    assert completed(script, "conbool-tui", "networks", "my") == {"my answers.yaml"}


def test_change_logs_have_every_release_and_line(builder: Path) -> None:
    releases = module("project").releases()
    assert releases[0].version == conbool_tui.__version__
    count = len(re.findall(r"(?m)^- ", (CHECKOUT / "CHANGELOG.md").read_text("utf-8")))
    assert count == sum(len(release.lines) for release in releases)
    debian, rpm = module("documents").debian_changelog(MOMENT), module("documents").rpm_changelog(MOMENT)
    assert len(re.findall(r"(?m)^  \* ", debian)) == len(re.findall(r"(?m)^- ", rpm)) == count
    assert debian.startswith(f"conbool-tui ({conbool_tui.__version__}) ")
    assert re.search(
        r"(?m)^ -- .+ <.+>  [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$", debian
    )


@pytest.mark.parametrize("name", ["conbool-tui.sh", "maintain.sh", "deb/postinst", "deb/prerm", "deb/postrm"])
def test_scripts_are_plain_shell(name: str) -> None:
    text = (FILES / name).read_text("utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", str(FILES / name)], check=False).returncode == 0


# --- start.py -------------------------------------------------------------------------------------


@pytest.fixture
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", FILES / "start.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_newest_python_first(start: ModuleType) -> None:
    names = [
        "python3",
        "python3.8",
        "python3.11",
        "python3.9",
        "python3.12-config",
        "python3.6m",
        "xpython3.13",
    ]
    assert start.newest_first(names) == ["python3.11", "python3.9"]


def test_an_old_python_goes_on_with_the_newest_one_that_starts(tmp_path: Path) -> None:
    for name, status in (("python3.12", None), ("python3.11", 7), ("python3.9", 8)):
        path = tmp_path / name
        # The newest is there and cannot be started: half removed, or of another processor.
        path.write_text("" if status is None else f'#!/bin/sh\necho "$*"\nexit {status}\n')
        path.chmod(0o644 if status is None else 0o755)
    program = f"import sys; sys.path.insert(0, {str(FILES)!r}); import start; sys.exit(start.other_python(sys.argv[2:], sys.argv[1]))"
    argv = [sys.executable, "-B", "-c", program, str(tmp_path), "run", "detect"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert done.stdout == f"-I -S -X utf8 {FILES}/start.py run detect\n"


def test_without_a_python_that_is_new_enough(
    start: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "python3.8").write_text("")
    assert start.other_python(["run"], str(tmp_path)) == 69
    told = capsys.readouterr().err
    assert "3.9 or newer" in told
    assert "python3.12" in told


def test_launcher_without_any_python(tmp_path: Path) -> None:
    script = tmp_path / "conbool-tui"
    script.write_text((FILES / "conbool-tui.sh").read_text().replace("/usr/bin/", f"{tmp_path}/"))
    done = subprocess.run(["sh", str(script), "detect"], capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert "3.9 or newer" in done.stderr


def test_settings_of_textual_are_dropped(start: ModuleType) -> None:
    environment = {"TEXTUAL_DRIVER": "evil:Driver", "TERM": "xterm", "TEXTUAL_PRESS": "q"}
    start.drop_foreign_settings(environment)
    assert environment == {"TERM": "xterm"}


# --- release check --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A committed checkout with only what the check reads."""
    shutil.copytree(BUILDER, tmp_path / "packaging/packages", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "conbool_tui").mkdir()
    (tmp_path / "conbool_tui/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "## [1.2.0] - 2026-11-20\n\n- New.\n\n## [1.1.9] - 2026-01-02\n\n- Old.\n"
    )
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def release_check(folder: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(folder / "packaging/packages/release_check.py")]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_what_can_be_released(checkout: Path) -> None:
    done = release_check(checkout)
    assert (done.returncode, done.stdout) == (0, "Version 1.2.0 can be tagged v1.2.0.\n"), done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("CHANGELOG.md", "2026-11-20", "unreleased", "has no day"),
        ("CHANGELOG.md", "- New.\n", "", "says nothing"),
        ("CHANGELOG.md", "[1.1.9]", "[1.3.0]", "do not fall"),
        ("conbool_tui/__init__.py", "1.2.0", "1.3.0", "does not begin with version 1.3.0"),
        ("CHANGELOG.md", "New", "Newer", "not committed"),
    ],
)
def test_what_cannot_be_released(checkout: Path, file: str, old: str, new: str, told: str) -> None:
    path = checkout / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = release_check(checkout)
    assert done.returncode == 3
    assert told in done.stderr


def test_a_version_is_released_once(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.0")
    assert "exists already" in release_check(checkout).stderr
