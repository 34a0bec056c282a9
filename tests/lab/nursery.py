"""Workers that a program inside the machine starts without waiting for an interpreter each time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from .machine import APP
from .postfix import PostfixMachine

PATIENCE = 60.0


class Nursery:
    """A Python program of the machine that answers each order, one line of JSON, with another."""

    def __init__(
        self,
        machine: PostfixMachine,
        path: str,
        program: str,
        arguments: Sequence[str],
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        machine.write(path, program)
        self._process = machine.popen(
            ["python3", "-X", "utf8", path, *arguments],
            env={
                "PYTHONPATH": f"{APP}/app:{APP}/vendor",
                "PYTHONPYCACHEPREFIX": f"{APP}/bytecode",
                **(env or {}),
            },
            stderr=subprocess.STDOUT,
        )
        self.pid = self._process.pid

    def ask(self, order: Mapping[str, Any]) -> Any:
        """Give an order and wait for the answer. Raises AssertionError: the program ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        try:
            return json.loads(line)
        except ValueError:
            rest = line + self._process.stdout.read()
            raise AssertionError(f"no worker could be started:\n{rest.decode(errors='replace')}") from None

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
