"""The packages themselves: the same bytes wherever they are built, and what is in them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

import conbool_tui

from . import built
from .built import CHECKOUT, MACHINE

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("packages-build")]

LOCK = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (CHECKOUT / "packaging/vendor.lock").read_text("utf-8")))
WHEELS = set(re.findall(r"sha256:([0-9a-f]{64})", (CHECKOUT / "packaging/vendor.lock").read_text("utf-8")))
HOME = "usr/lib/conbool-tui"
DOC = "usr/share/doc/conbool-tui"


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def tree(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the .deb installs."""
    folder = tmp_path_factory.mktemp("deb")
    said("dpkg-deb", "--extract", str(deb), str(folder))
    return folder


@pytest.fixture(scope="module")
def rpm_tree(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the .rpm installs."""
    folder = tmp_path_factory.mktemp("rpm-tree")
    archive = folder / "rpm.tar"
    with open(rpm, "rb") as source, open(archive, "wb") as output:
        subprocess.run(["rpm2archive", "-n", "-"], stdin=source, stdout=output, check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="tar")
    archive.unlink()
    return folder


def test_the_same_bytes_from_another_place_and_another_mood(every_package: Path, tmp_path: Path) -> None:
    other = tmp_path / "another place" / "checkout"
    built.copy_checkout(other)
    for path in other.rglob("*"):
        path.chmod(0o700)
    (tmp_path / "temporary").mkdir()
    again = built.build(
        tmp_path / "out",
        checkout=other,
        machines=(MACHINE, built.OTHER_MACHINE),
        mask=0o077,
        TZ="Asia/Tokyo",
        LC_ALL="C",
        PYTHONHASHSEED="4711",
        TMPDIR=str(tmp_path / "temporary"),
    )
    assert len(again) == 4
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in again} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in every_package.iterdir()
    }


def test_the_other_processor_gets_the_same_program_and_its_own_library(
    every_package: Path, tree: Path, tmp_path: Path
) -> None:
    (package,) = every_package.glob({"x86_64": "*_arm64.deb", "aarch64": "*_amd64.deb"}[MACHINE])
    said("dpkg-deb", "--extract", str(package), str(tmp_path))

    def files(top: Path) -> dict[str, bytes]:
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    here, there = files(tree), files(tmp_path)
    assert set(here) == set(there)
    library = f"{HOME}/vendor/psutil/_psutil_linux.abi3.so"
    differ = {name for name in here if here[name] != there[name]}
    metadata = {name for name in differ if name.endswith(".dist-info/WHEEL")}
    assert differ - metadata == {library, f"{DOC}/sbom.cdx.json"}
    # elf(5): e_machine is 62 for x86-64 and 183 for AArch64.
    machines = {"x86_64": 62, "aarch64": 183}
    assert int.from_bytes(here[library][18:20], "little") == machines[MACHINE]
    assert int.from_bytes(there[library][18:20], "little") == machines[built.OTHER_MACHINE]


def test_both_packages_install_the_same_program(tree: Path, rpm_tree: Path) -> None:
    def files(top: Path) -> dict[str, bytes]:
        found = {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items()}

    debian, other = files(tree), files(rpm_tree)
    assert {name for name in debian if name not in other} == {
        f"{DOC}/changelog.gz",
        "usr/share/lintian/overrides/conbool-tui",
    }
    assert {name for name in other if name not in debian} == set()
    assert {name for name in other if other[name] != debian[name]} == set()


def test_names_and_what_is_needed(deb: Path, rpm: Path) -> None:
    version = conbool_tui.__version__
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
    assert deb.name == f"conbool-tui_{version}_{architecture}.deb"
    assert rpm.name == f"conbool-tui-{version}-1.{MACHINE}.rpm"
    fields = said("dpkg-deb", "--field", str(deb))
    assert f"\nVersion: {version}\n" in fields
    assert "python3 (>= 3.9) | python3.9" in fields
    needed = said("rpm", "-qp", "--requires", str(rpm)).splitlines()
    assert "python(abi) >= 3.9" in needed
    # Nothing but Python, the C library, and what runs the scripts.
    known = (
        r"python\(abi\)|lib(c|pthread)\.so|rpmlib\(|/bin/sh|findutils|config\(conbool-tui\)|rtld\(|ld-linux"
    )
    assert [line for line in needed if not re.match(known, line)] == []
    provided = said("rpm", "-qp", "--provides", str(rpm))
    bundled = dict(re.findall(r"bundled\(python3-(.+?)\) = (\S+)", provided))
    assert bundled == LOCK
    assert [line for line in provided.splitlines() if not re.match(r"bundled|config|conbool-tui", line)] == []


def test_settings_survive_upgrades_and_nothing_belongs_to_others(deb: Path, rpm: Path) -> None:
    settings = {"/etc/conbool-tui/config.yaml", "/etc/logrotate.d/conbool-tui"}
    assert set(said("dpkg-deb", "--info", str(deb), "conffiles").split()) == settings
    assert set(said("rpm", "-qp", "--configfiles", str(rpm)).split()) == settings
    flags = said("rpm", "-qp", "--queryformat", "[%{FILENAMES} %{FILEFLAGS:fflags}\\n]", str(rpm))
    assert {line.split()[0] for line in flags.splitlines() if line.endswith(" cn")} == settings
    owners = said("rpm", "-qp", "--queryformat", "[%{FILEUSERNAME}:%{FILEGROUPNAME}\\n]", str(rpm))
    assert set(owners.split()) == {"root:root"}
    listed = said("dpkg-deb", "--contents", str(deb)).splitlines()
    assert {line.split()[1] for line in listed} == {"root/root"}
    assert {line.split()[0] for line in listed} <= {"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"}
    assert "drwx------" in said("rpm", "-qp", "--list", "--verbose", str(rpm))


def test_checksums_of_all_files(deb: Path, tree: Path) -> None:
    lines = said("dpkg-deb", "--info", str(deb), "md5sums").splitlines()
    sums = {line[34:]: line[:32] for line in lines}
    files = {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}
    assert sums == {name: hashlib.md5(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_no_byte_code_and_no_trace_of_the_build(tree: Path) -> None:
    names = [path.name for path in tree.rglob("*")]
    assert not [name for name in names if name == "__pycache__" or name.endswith((".pyc", ".pyi"))]
    assert not [name for name in names if name in ("RECORD", "INSTALLER", "direct_url.json")]
    compiled = [str(path.relative_to(tree / HOME)) for path in tree.rglob("*.so")]
    assert compiled == ["vendor/psutil/_psutil_linux.abi3.so"]
    places = (str(CHECKOUT).encode(), b"conbool-tui-packages-", b"/site-packages/")
    own = [path for path in tree.rglob("*") if path.is_file() and "vendor" not in path.parts]
    assert [path for path in own for place in places if place in path.read_bytes()] == []


def test_every_library_is_in_the_papers(tree: Path) -> None:
    bill = json.loads((tree / DOC / "sbom.cdx.json").read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["version"] == conbool_tui.__version__
    listed = {item["purl"]: item for item in bill["components"]}
    assert set(listed) == {f"pkg:pypi/{name}@{version}" for name, version in LOCK.items()}
    assert {item["hashes"][0]["content"] for item in listed.values()} <= WHEELS
    papers = (tree / DOC / "copyright").read_text("utf-8")
    patterns = {
        pattern
        for block in re.findall(r"(?m)^Files: ((?:.+\n)(?: .+\n)*)", papers)
        for pattern in block.split()
    }
    vendor = tree / HOME / "vendor"
    for entry in vendor.iterdir():
        name = f"{HOME}/vendor/{entry.name}"
        assert (f"{name}/*" if entry.is_dir() else name) in patterns, entry.name
    flowing = " ".join(re.sub(r"(?m)^ \.$", "", papers).split())
    for licence in (path for path in vendor.rglob("LICENSE*") if path.is_file()):
        for paragraph in licence.read_text("utf-8").split("\n\n"):
            assert " ".join(paragraph.split()) in flowing, licence


def test_every_file_of_the_program_is_there(tree: Path) -> None:
    for package in ("conbool_tui", "screens", "detectors"):
        source = {path.relative_to(CHECKOUT) for path in (CHECKOUT / package).rglob("*.py")}
        assert source == {
            path.relative_to(tree / HOME / "app") for path in (tree / HOME / "app" / package).rglob("*.py")
        }
