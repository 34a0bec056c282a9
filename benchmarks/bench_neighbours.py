"""The installed package beside other terminal programs: sizes, first paint warm and cold, memory; all in one run.

The packages lie on a disk, not in the memory that machines of the laboratory usually live in: only so there is a cold start.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import Mounts
from tests.lab.postfix import PostfixMachine, PostfixSite
from tests.lab.roots import ensure_root, postfix_spec

from . import neighbours
from .bench_first_paint import LIMIT, ONE_WIDGET, ONE_WIDGET_TEXT, WIZARD_TEXT, first_paint
from .figures import Figure, Report, number
from .processes import rounds

SUITE = "bookworm"
HOME = "/usr/lib/conbool-tui"
GROUP = "beside other programs, at 80x24 on Debian 12"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Program:
    """One of them. ``packages``: the Debian packages it comes with; ``folders``: where else its files are, on this host."""

    name: str
    argv: Sequence[str]
    text: str
    packages: Sequence[str] = ()
    folders: Sequence[Path] = ()
    download: int = 0


class BareMachine(PostfixMachine):
    """A Postfix machine without the checkout's own program."""

    def _product_binds(self) -> list[tuple[str, str, bool]]:
        return []


@dataclass(frozen=True)
class Bench:
    """The machine with all programs, and the root it lies on."""

    machine: BareMachine
    root: Path
    programs: Sequence[Program]


@pytest.fixture(scope="module")
def bench(bench_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    spec = postfix_spec(SUITE, extra=("whiptail", "network-manager"))
    posting = neighbours.posting()
    tree, download = neighbours.ours(tmp_path_factory.mktemp("ours"))
    home = tree / HOME.lstrip("/")
    mounts = Mounts([(str(home), HOME, True), (str(posting), "/opt/posting", True)])
    machine = bench_lab.machine(BareMachine, spec, mounts=mounts)
    site = PostfixSite()
    machine.set_up(site, bench_lab.authority.issue(machine.place.hostname))
    machine.start()
    machine.write("/usr/bin/conbool-tui", (tree / "usr/bin/conbool-tui").read_bytes(), 0o755)
    # As our own program is started, so that only the program differs.
    body = f"import sys; sys.path[:0] = ['{HOME}/vendor']\n{ONE_WIDGET}"
    machine.write("/opt/one-widget.py", body)
    machine.write("/etc/NetworkManager/conf.d/lab.conf", "[keyfile]\nunmanaged-devices=*\n")
    machine.shell("mkdir -p /run/dbus; dbus-daemon --system --fork; NetworkManager; nm-online -s -q || true")
    neighbours.compile_for(machine, HOME, "/opt/posting")
    newt = ("libnewt0.52", "libslang2", "libpopt0")
    return Bench(
        machine,
        ensure_root(spec),
        (
            Program("whiptail", ["whiptail", "--msgbox", "nothing else", "10", "60"], "nothing else", ("whiptail", *newt)),
            Program("nmtui", ["nmtui"], "Please select an option", ("network-manager", *newt)),
            Program("posting", ["env", "PYTHONPATH=/opt/posting", "python3", "-c", "from posting.__main__ import cli; cli()"],
                    "Collection", folders=(posting,), download=int((posting / "downloaded").read_text())),
            Program("one widget", ["python3", "-I", "-S", "-X", "utf8", "/opt/one-widget.py"], ONE_WIDGET_TEXT,
                    folders=(home / "vendor",)),
            Program("conbool-tui", ["conbool-tui"], WIZARD_TEXT, folders=(tree,), download=download),
        ),
    )  # fmt: skip


def installed_size(bench: Bench, program: Program) -> str:
    """As text: Debian's own figure for its packages (KiB), ours counted, and the byte code."""
    if program.packages:
        said = bench.machine.shell("dpkg-query -W -f '${Installed-Size}\\n' " + " ".join(program.packages))
        return number(sum(map(int, said.split())) / 1024, "MiB")
    found = sum(map(neighbours.size, program.folders)) / MIB
    made = sum(map(neighbours.compiled, program.folders)) / MIB
    return f"{number(found, 'MiB')} + {number(made, 'MiB')} byte code"


def test_beside_other_programs(bench: Bench, report: Report) -> None:
    def paint(program: Program) -> dict[str, float]:
        return dict(first_paint(bench.machine, program.argv, program.text))

    for program in bench.programs:
        paint(program)
    warm: dict[str, list[dict[str, float]]] = {program.name: [] for program in bench.programs}
    for turn in range(rounds(9)):
        for program in bench.programs if turn % 2 else reversed(bench.programs):
            warm[program.name].append(paint(program))
    cold: dict[str, list[float]] = {program.name: [] for program in bench.programs}
    for _ in range(rounds(3)):
        for program in bench.programs:
            neighbours.evict(bench.root / "usr", *program.folders)
            cold[program.name].append(paint(program)["seconds"])

    for program in bench.programs:
        samples = warm[program.name]
        seconds = statistics.median(sample["seconds"] for sample in samples)
        memory = statistics.median(sample["memory"] for sample in samples)
        processor = statistics.median(sample["processor"] for sample in samples)
        text = (
            f"warm {number(seconds * 1000, 'ms')}, cold {number(statistics.median(cold[program.name]) * 1000, 'ms')}, "
            f"processor {number(processor * 1000, 'ms')}, memory {number(memory / MIB, 'MiB')}, installed {installed_size(bench, program)}"
        )
        if program.download:
            text += f", download {number(program.download / MIB, 'MiB')}"
        report.add(Figure(GROUP, program.name, "", text))
    ratios = {
        what: [mine[what] / other[what] for mine, other in zip(warm["conbool-tui"], warm["one widget"])]
        for what in ("seconds", "processor")
    }
    ratio = {what: statistics.median(found) for what, found in ratios.items()}
    for what, text, limit in (
        ("seconds", "first paint, against one widget", f"<= {LIMIT:g}"),
        ("processor", "processor time until then, against one widget", ""),
    ):
        spread = (min(ratios[what]), max(ratios[what]))
        report.add(Figure(GROUP, text, "", "", ratio[what], spread, limit, ratio[what] <= LIMIT))
    assert ratio["seconds"] <= LIMIT, ratio
