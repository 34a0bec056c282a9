"""Figures of a benchmark run: pairs measured in turn, their ratios, and the table at the end."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

Sample = Mapping[str, float]


@dataclass(frozen=True)
class Pairs:
    """The same quantity of two subjects, measured in turn; ``base`` and ``ours`` of one index belong together."""

    base: tuple[float, ...]
    ours: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over base, pair by pair: what slows the whole computer down for a while cancels out."""
        return tuple(ours / base for base, ours in zip(self.base, self.ours))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


def alternate(rounds: int, base: Callable[[], Sample], ours: Callable[[], Sample]) -> dict[str, Pairs]:
    """Run two subjects in the order A B, B A, A B, ... and pair what they return, by name.

    Args:
        rounds: how many pairs.
        base: one run of what is compared with.
        ours: one run of what is judged; returns the same names.
    """
    found: list[tuple[Sample, Sample]] = []
    for number in range(rounds):
        if number % 2:
            second = ours()
            found.append((base(), second))
        else:
            first = base()
            found.append((first, ours()))
    return {
        name: Pairs(tuple(one[name] for one, _ in found), tuple(other[name] for _, other in found))
        for name in found[0][0]
    }


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        group: the benchmark it belongs to.
        text: what was measured.
        base: the measure of comparison, as text with unit; empty when there is none.
        ours: what was measured, as text with unit.
        ratio: ours over base.
        spread: smallest and largest ratio of a pair.
        limit: as text, such as ``>= 0.95``; empty for a figure that is only reported.
        held: whether the limit was kept.
    """

    group: str
    text: str
    base: str
    ours: str
    ratio: Optional[float] = None
    spread: Optional[tuple[float, float]] = None
    limit: str = ""
    held: bool = True


@dataclass
class Report:
    """The figures of one run."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> Figure:
        """Take a figure."""
        self.figures.append(figure)
        return figure

    def pairs(
        self,
        group: str,
        text: str,
        pairs: Pairs,
        unit: str,
        *,
        scale: float = 1.0,
        at_least: Optional[float] = None,
        at_most: Optional[float] = None,
    ) -> Figure:
        """Take pairs, judged by their median ratio."""
        limit, held = "", True
        if at_least is not None:
            limit, held = f">= {at_least:g}", pairs.ratio >= at_least
        elif at_most is not None:
            limit, held = f"<= {at_most:g}", pairs.ratio <= at_most
        base, ours = (number(statistics.median(side) * scale, unit) for side in (pairs.base, pairs.ours))
        spread = (min(pairs.ratios), max(pairs.ratios))
        return self.add(Figure(group, text, base, ours, pairs.ratio, spread, limit, held))

    def lines(self) -> list[str]:
        """The table."""
        rows = [("", "base", "ours", "ratio", "of single pairs", "limit", "")]
        groups: list[str] = []
        for figure in self.figures:
            if figure.group not in groups:
                groups.append(figure.group)
        for group in groups:
            rows.append((group, "", "", "", "", "", ""))
            for figure in (one for one in self.figures if one.group == group):
                ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
                spread = "" if figure.spread is None else "{:.3f} to {:.3f}".format(*figure.spread)
                verdict = "" if not figure.limit else "kept" if figure.held else "BROKEN"
                rows.append(
                    ("  " + figure.text, figure.base, figure.ours, ratio, spread, figure.limit, verdict)
                )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return [_row(row, widths) for row in rows]


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])]
    return "  ".join([*cells, row[-1]]).rstrip()


def number(value: float, unit: str) -> str:
    """A value with three significant digits and its unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f} {unit}"


def machine() -> str:
    """The computer in one line: processors, memory, kernel."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    name = models[0] if models else platform.machine()
    return f"{len(models) or '?'} x {name}, {memory:.0f} GiB, Linux {platform.release()}"
