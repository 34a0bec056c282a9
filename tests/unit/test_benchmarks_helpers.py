"""The benchmarks' own arithmetic: a wrong ratio would make every limit worthless."""

from __future__ import annotations

import os
import time

import pytest

from benchmarks import processes
from benchmarks.figures import Pairs, Report, alternate
from benchmarks.names import many_domains, many_senders
from conbool_tui import answer_forms


def test_runs_alternate_and_pairs_stay_together() -> None:
    order: list[str] = []

    def run(name: str) -> dict[str, float]:
        order.append(name)
        return {"seconds": float(len(order))}

    found = alternate(3, lambda: run("base"), lambda: run("ours"))
    assert order == ["base", "ours", "ours", "base", "base", "ours"]
    assert found["seconds"] == Pairs((1.0, 4.0, 5.0), (2.0, 3.0, 6.0))


def test_ratio_is_the_median_of_the_pairs_not_the_pair_of_medians() -> None:
    pairs = Pairs((1.0, 10.0, 100.0), (2.0, 11.0, 90.0))
    assert pairs.ratio == pytest.approx(1.1)
    assert min(pairs.ratios) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("ratio", "at_least", "at_most", "held"),
    [(0.95, 0.95, None, True), (0.94, 0.95, None, False), (2.0, None, 2.0, True), (2.1, None, 2.0, False)],
)
def test_limits(ratio: float, at_least: float, at_most: float, held: bool) -> None:
    report = Report()
    figure = report.pairs("g", "t", Pairs((1.0,), (ratio,)), "s", at_least=at_least, at_most=at_most)
    assert figure.held is held
    assert ("BROKEN" in "\n".join(report.lines())) is not held


def test_table_keeps_groups_together_and_aligned() -> None:
    report = Report()
    for group, text in (("one", "a"), ("two", "b"), ("one", "c")):
        report.pairs(group, text, Pairs((1.0,), (1234.5,)), "ms", scale=2)
    lines = report.lines()
    assert [line.split()[0] for line in lines[1:]] == ["one", "a", "c", "two", "b"]
    assert lines[2].split() == ["a", "2.00", "ms", "2469", "ms", "1234.500", "1234.500", "to", "1234.500"]


def test_process_table_line_with_an_odd_name() -> None:
    tail = "S 7 1 1 0 -1 0 0 0 0 0 11 12 300 100 20 0 1 0 5 0 0"
    ticks = os.sysconf("SC_CLK_TCK")
    expected = processes.Process(42, 7, "a) (b", 400 / ticks)
    assert processes.parse_stat(f"42 (a) (b) {tail}") == expected


def test_cpu_time_of_a_living_process_is_seen() -> None:
    before, end = processes.own_cpu(os.getpid()), time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert 0.05 < processes.own_cpu(os.getpid()) - before < 5
    assert os.getpid() in [process.pid for process in processes.below(os.getppid())]


def test_names_are_valid_and_different() -> None:
    domains = list(many_domains(2000))
    assert len(set(domains)) == 2000
    assert [answer_forms.domain(domain) for domain in domains] == domains
    senders = list(many_senders(2000))
    assert len(set(senders)) == 2000
    assert [answer_forms.sender(sender) for sender in senders] == senders
