"""The command line as a program: exit codes, streams, messages."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from conbool_tui import cli, log, site_config
from conbool_tui.answers import Answers
from conbool_tui.commands import parser
from conbool_tui.commands.context import Context
from conbool_tui.commands.wizard import in_lines
from conbool_tui.errors import (
    CheckFailedError,
    ExitCode,
    LockedError,
    RollbackIncompleteError,
    RolledBackError,
)
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, ProgressSink, Receipt
from conbool_tui.session import Session
from tests.unit.cli import samples

ROOT = Path(__file__).resolve().parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
RECEIPT = Receipt(
    "20260101-000000-abcd", "postfix", ChangeState.APPLIED, "2026-01-01T00:00:00Z", "", ("One",), ()
)


def run(
    *args: str, stdin: Optional[str] = "", cwd: str = str(ROOT), **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "conbool_tui", *args],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
        timeout=60,
    )


class FakeSession(Session):
    """A session whose mail system exists only here."""

    planned: Plan = samples.plan()
    planned_for: Optional[Answers] = None
    applied = 0
    error: Optional[Exception] = None
    findings: tuple[Finding, ...] = ()

    def plan(self, answers: Answers, facts: Any = None) -> Plan:
        type(self).planned_for = answers
        return type(self).planned

    def apply(
        self, plan: Plan, progress: Optional[ProgressSink] = None, *, by_probe: bool = False
    ) -> Receipt:
        type(self).applied += 1
        if self.error is not None:
            raise self.error
        return RECEIPT

    def unfinished(self) -> Optional[Receipt]:
        return None

    def check(
        self,
        answers: Optional[Answers] = None,
        progress: Optional[ProgressSink] = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Finding]:
        type(self).planned_for = answers
        return list(self.findings)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeSession]:
    made = type("Made", (FakeSession,), {"applied": 0, "planned": samples.plan()})
    monkeypatch.setattr("conbool_tui.session.Session", made)
    monkeypatch.setattr(log, "record", lambda host, text: None)
    return made


# --- parsing


def test_version_before_and_after() -> None:
    for args in (["--version"], ["detect", "--version"]):
        done = run(*args)
        assert (done.returncode, done.stdout[:12]) == (0, "conbool-tui ")


def test_global_options_before_and_after(
    session: type[FakeSession], capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (
        [
            "--mail-system",
            "postfix",
            "--instance",
            "out",
            "--state-dir",
            "/s",
            "plan",
            "--domains",
            "a.example",
        ],
        [
            "plan",
            "--domains",
            "a.example",
            "--mail-system",
            "postfix",
            "--instance",
            "out",
            "--state-dir",
            "/s",
        ],
    ):
        options = parser.parse(argv)
        assert (options.mail_system, options.instance, options.state_dir, options.root) == (
            "postfix",
            "out",
            "/s",
            "/",
        )
        assert cli.main(argv) == ExitCode.PENDING
        assert session.planned_for is not None
        assert session.planned_for.instance == "out"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nonsense"], ["nonsense", "detect"]),
        (["plan"], ["needs answers", "--answers FILE", "--domains"]),
        (["plan", "--instance", "x"], ["needs answers"]),
        (["plan", "--domian", "a.example"], ["--domian", "did you mean --domains?"]),
        (["plan", "--answers"], ["expected one argument"]),
        (["plan", "--answers", "/does/not/exist"], ["/does/not/exist", "No such file"]),
        (["plan", "--answers", "/"], ["answers file"]),
        (["plan", "--answers", "-", "--script", "--diff"], ["not allowed"]),
        (["plan", "--domains", "localhost"], ["domains", "no dot", "--domains"]),
        (["plan", "--smart-host-port", "70000"], ["smart_host.port", "--smart-host-port"]),
        (["plan", "--inbound-restrict-port-25"], ["conbool_networks is missing", "--conbool-networks"]),
        (["plan", "--scope-mode", "all"], ["scope.mode", "everything"]),
        (["--root", "/does/not/exist", "detect"], ["/does/not/exist"]),
    ],
)
def test_usage_errors(args: list[str], words: list[str]) -> None:
    done = run(*args)
    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    flat = " ".join(done.stderr.split())
    for word in words:
        assert word in flat
    assert "Traceback" not in done.stderr


def test_flags_win_over_the_file(session: type[FakeSession], tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("domains: [a.example]\nsmart_host: {port: 2525}\nmarkers: {spam: [X-A]}\n")
    argv = [
        "plan",
        "--answers",
        str(file),
        "--domains",
        "b.example, c.example",
        "--domains",
        "d.example",
        "--markers-spam",
        "",
    ]
    assert cli.main(argv) == ExitCode.PENDING
    assert session.planned_for is not None
    assert session.planned_for.domains == ("b.example", "c.example", "d.example")
    assert session.planned_for.smart_host.port == 2525
    assert session.planned_for.markers.spam == ()


def test_answers_from_standard_input() -> None:
    done = run("plan", "--answers", "-", stdin="domains: [localhost]")
    assert done.returncode == ExitCode.USAGE
    assert "standard input, line 1" in " ".join(done.stderr.split())


# --- plan and apply


def test_plan_formats(session: type[FakeSession], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--domains", "a.example"]) == ExitCode.PENDING
    assert "Step A" in capfd.readouterr().out
    assert cli.main(["plan", "--domains", "a.example", "--json"]) == ExitCode.PENDING
    assert json.loads(capfd.readouterr().out)["system"] == "postfix"
    assert cli.main(["plan", "--domains", "a.example", "--script"]) == ExitCode.PENDING
    assert capfd.readouterr().out.startswith("#!/bin/sh\n")
    session.planned = samples.EMPTY
    assert cli.main(["plan", "--domains", "a.example"]) == ExitCode.DONE


def test_plan_diff_is_raw_bytes(
    session: type[FakeSession], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.main(["plan", "--domains", "a.example", "--diff"]) == ExitCode.PENDING
    assert b" # caf\xe9\n" in capfdbinary.readouterr().out


@as_root
def test_apply_without_a_terminal_refuses(
    session: type[FakeSession], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.main(["apply", "--domains", "a.example"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert session.applied == 0
    assert out == ""
    assert "Step A" in err
    assert "--yes" in err


@as_root
def test_apply_with_yes(session: type[FakeSession], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["apply", "--domains", "a.example", "--yes"]) == ExitCode.DONE
    out, err = capsys.readouterr()
    assert session.applied == 1
    assert "conbool-tui undo 20260101-000000-abcd" in out
    assert "Step A" in err
    assert cli.main(["apply", "--domains", "a.example", "--yes", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["receipt"]["id"] == RECEIPT.id
    session.planned = samples.EMPTY
    assert cli.main(["apply", "--domains", "a.example", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"changed": False, "receipt": None}
    assert session.applied == 2


@as_root
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CheckFailedError("a"), 3),
        (RolledBackError("a"), 4),
        (RollbackIncompleteError("a", "b", "c"), 5),
        (LockedError("a"), 75),
    ],
)
def test_failures_have_their_codes(
    session: type[FakeSession], capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    session.error = error
    assert cli.main(["apply", "--domains", "a.example", "--yes", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == code


def test_check_fails_with_three(session: type[FakeSession], capsys: pytest.CaptureFixture[str]) -> None:
    session.findings = (Finding("a", Status.OK, "Good."), Finding("b", Status.WARN, "Hm."))
    assert cli.main(["check"]) == ExitCode.DONE
    assert session.planned_for is None
    session.findings += (Finding("c", Status.FAIL, "Bad."),)
    assert cli.main(["check", "--json"]) == ExitCode.CHECK_FAILED
    capsys_out = capsys.readouterr().out
    assert json.loads(capsys_out[capsys_out.index("{") :])["findings"][2]["status"] == "FAIL"


def test_unexpected_errors_show_no_traceback(
    session: type[FakeSession], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def broken(context: Context) -> int:
        raise KeyError("inside")

    def record(host: Host, text: str) -> str:
        written.append(text)
        return "/var/log/x.log"

    monkeypatch.setitem(cli._COMMANDS, "detect", broken)
    monkeypatch.setattr(log, "record", record)
    assert cli.main(["detect"]) == ExitCode.UNEXPECTED
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "KeyError" in err
    assert "/var/log/x.log" in err
    assert "Traceback" in written[0]


def test_interrupt(
    session: type[FakeSession], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(context: Context) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, "detect", interrupted)
    assert cli.main(["detect"]) == 130
    assert capsys.readouterr().err == "conbool-tui: interrupted.\n"


def test_a_reader_that_goes_away() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "conbool_tui", "answers"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 141
    assert error == b""


# --- without the wizard


def test_no_textual_without_the_wizard(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['textual'] = None\n"
        "from conbool_tui.cli import main\n"
        "assert main(['answers']) == 0\n"
        "assert main(['detect', '--root', sys.argv[1]]) == 0\n"
        "assert not [name for name in sys.modules if name.startswith(('textual.', 'rich', 'screens'))]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_wizard_without_a_terminal() -> None:
    done = run()
    assert done.returncode == ExitCode.USAGE
    flat = " ".join(done.stderr.split())
    assert "ssh -t" in flat
    assert "sudo conbool-tui" in flat
    assert "conbool-tui apply --answers FILE" in flat
    assert done.stdout == ""


def in_terminal(argv: list[str], typed: bytes = b"", **env: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; its exit code and everything it wrote."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(argv[0], argv, {**os.environ, **env})
    out = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
            if typed and b"[y/N]" in out:
                os.write(master, typed)
                typed = b""
    os.close(master)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), out.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("flag", "environment", "site", "lines"),
    [
        (False, {"TERM": "xterm"}, "", False),
        (True, {"TERM": "xterm"}, "plain: false", True),
        (False, {"TERM": "dumb"}, "", True),
        (False, {"TERM": "dumb", "CONBOOL_PLAIN": "0"}, "plain: false", True),
        (False, {}, "", True),
        (False, {"TERM": "unknown"}, "", True),
        (False, {"TERM": "xterm", "CONBOOL_PLAIN": "1"}, "plain: false", True),
        (False, {"TERM": "xterm", "CONBOOL_PLAIN": "no", "ACCESSIBLE": "1"}, "plain: true", False),
        (False, {"TERM": "xterm", "ACCESSIBLE": "1"}, "", True),
        (False, {"TERM": "xterm", "ACCESSIBLE": ""}, "", False),
        (False, {"TERM": "xterm"}, "plain: true", True),
        (False, {"TERM": "xterm"}, "plain: no", False),
    ],
)
def test_when_the_wizard_asks_in_lines(
    flag: bool,
    environment: dict[str, str],
    site: str,
    lines: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TERM", "CONBOOL_PLAIN", "ACCESSIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / site_config.FILE.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(site)
    assert in_lines(Host(str(tmp_path)), flag=flag) is lines


def test_plain_is_for_the_wizard_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--plain", "detect"]) == ExitCode.USAGE
    assert "--plain is for the wizard" in capsys.readouterr().err


def test_lines_without_a_terminal_are_refused_like_the_screens() -> None:
    done = run("--plain")
    assert done.returncode == ExitCode.USAGE
    assert "conbool-tui apply --answers FILE" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "args", [["apply", "--answers", "/does/not/exist"], ["undo"], ["apply", "--yes", "--domains", "x"]]
)
def test_changes_need_root_first(
    args: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    assert cli.main(args) == ExitCode.NEEDS_ROOT
    assert "sudo" in capsys.readouterr().err


@as_root
def test_asking_on_a_terminal(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from tests.unit.cli.test_command_line import FakeSession\n"
        "from conbool_tui import cli, log, session\n"
        "session.Session = FakeSession\n"
        "log.record = lambda host, text: None\n"
        "code = cli.main(['apply', '--domains', 'a.example'])\n"
        "print('applied', FakeSession.applied)\n"
        "sys.exit(code)\n"
    )
    for typed, code, applied in (
        (b"y\n", 0, 1),
        (b"n\n", 2, 0),
        (b"\n", 2, 0),
        (b"\x04", 2, 0),
        (b"\x03", 130, 0),
    ):
        found = in_terminal([sys.executable, "-c", script], typed, PYTHONPATH=str(ROOT))
        assert (found[0], f"applied {applied}" in found[1]) == (code, True), (typed, found)


# --- the log


@as_root
def test_log(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    (tmp_path / "var/log").mkdir(parents=True)
    old = os.umask(0o000)
    try:
        assert log.record(host, "first\nsecond") == log.FILE
    finally:
        os.umask(old)
    file = tmp_path / log.FILE.lstrip("/")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o750
    lines = file.read_text().splitlines()
    assert lines[0].endswith("Z first")
    assert lines[1] == "    second"
    file.write_bytes(b"x" * 100 + b"\n" + b"line\n" * 300_000)
    log.record(host, "newest")
    assert file.stat().st_size < 300_000
    assert file.read_text().startswith("line\n")
    assert file.read_text().endswith("Z newest\n")


@as_root
def test_log_never_stops_the_work(tmp_path: Path) -> None:
    assert log.record(Host(str(tmp_path)), "no /var/log here") is None


def test_without_arguments_the_options_are_the_parsers_own() -> None:
    """The wizard's first picture does not wait for the parser; so its short way must not differ."""
    assert vars(cli._options([])) == vars(parser.parse([]))
