"""The shared corpus of real configuration files: $CONBOOL_CORPUS, or shared/corpus beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PATTERNS = ("postfix-{}/*", "templated/postfix-{}/*", "docker-mailserver/**/*{}.cf", "decoys/*")


def corpus_root() -> Path:
    named = os.environ.get("CONBOOL_CORPUS")
    return Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "corpus"


def corpus_files(kind: str) -> list[Path]:
    """The files of one kind ("main" or "master"), sorted; empty when there is no corpus here."""
    root = corpus_root()
    found = {path for pattern in _PATTERNS for path in root.glob(pattern.format(kind)) if path.is_file()}
    return sorted(found)


def corpus_params(kind: str) -> list[object]:
    """One pytest parameter per file; a single skipped one, with the reason, when there is no corpus here."""
    files = corpus_files(kind)
    if not files:
        reason = f"no corpus of real files at {corpus_root()} (set CONBOOL_CORPUS)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no-corpus")]
    root = corpus_root()
    return [pytest.param(path, id=str(path.relative_to(root))) for path in files]
