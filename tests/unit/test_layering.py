"""The architecture of pyproject.toml's contracts, and the rules no linter knows."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("conbool_tui", "screens", "detectors")
# The only doors to Textual: the wizard's application and its screens.
NEEDS_TEXTUAL = re.compile(r"(conbool_tui\.app|screens)(\.|$)")


def product_files() -> list[Path]:
    return sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tracked_files() -> list[Path]:
    """What is in the commit or would be added to it; everything below the root when this is no checkout."""
    listing = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout: no list of files to look through")
    paths = [ROOT / os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def imported_afterwards(modules: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Import ``modules`` in a fresh interpreter; which of ``wanted`` came along."""
    program = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps([name for name in json.loads(sys.argv[2]) if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(list(modules)), json.dumps(list(wanted))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_wizard_imports_textual() -> None:
    names = [module_name(path) for path in product_files()]
    free = [name for name in names if not NEEDS_TEXTUAL.match(name) and not name.endswith("__main__")]
    assert "conbool_tui.cli" in free
    assert "detectors.postfix" in free
    assert imported_afterwards(free, ["textual"]) == []


def test_the_probe_sees_textual_when_it_is_imported() -> None:
    assert imported_afterwards(["textual.app"], ["textual"]) == ["textual"]


def test_command_line_starts_without_the_slow_libraries() -> None:
    """They cost up to 80 ms each (dns.resolver); ``--version`` and bad usage must not pay for them."""
    assert imported_afterwards(["conbool_tui.cli"], ["textual", "psutil", "dns.resolver", "sh"]) == []


@pytest.mark.parametrize("path", product_files(), ids=module_name)
def test_parses_as_the_oldest_python(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), str(path), feature_version=(3, 9))
    code = [node for node in tree.body if not _is_docstring(node)]
    if not any(isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AnnAssign)) for node in code):
        return
    assert any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and "annotations" in [alias.name for alias in node.names]
        for node in code
    ), "needs: from __future__ import annotations"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize("path", product_files(), ids=module_name)
def test_no_dataclass_options_newer_than_the_oldest_python(path: Path) -> None:
    """``slots`` and ``kw_only`` came with Python 3.10 and fail only when the module is imported there."""
    newer = {"slots", "kw_only"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == "dataclass"
        ):
            used = newer & {keyword.arg for keyword in node.keywords if keyword.arg}
            assert not used, f"line {node.lineno}: {', '.join(sorted(used))}"


@pytest.mark.parametrize("path", product_files(), ids=module_name)
def test_files_are_opened_by_the_host_only(path: Path) -> None:
    if module_name(path) in {"conbool_tui.host", "conbool_tui.runner"}:
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", f"line {node.lineno}: go through conbool_tui.host.Host"


def test_nothing_of_the_developers_machine_is_in_the_tree() -> None:
    # Written in two parts, so that this file does not find itself.
    parts = [("/wo", "rk/"), ("/ro", "ot/.py"), ("py", "pi.org"), ("python", "hosted"), (" --index", "-url")]
    forbidden = ["".join(pair) for pair in parts]
    hits = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "replace")
        hits += [f"{path.relative_to(ROOT)}: {word}" for word in forbidden if word in text]
    assert hits == []
