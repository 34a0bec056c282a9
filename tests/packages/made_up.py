"""Made-up RPM repositories: packages of the names and Provides that Enterprise Linux has, with nothing in them.

Left out is what no solver needs for our package, and modular metadata: the python38 and python39 modules of EL 8.
"""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MACHINE = platform.machine()
_GLIBC: tuple[str, ...] = (
    "2.2.5",
    "2.3",
    "2.3.2",
    "2.3.4",
    "2.4",
    "2.5",
    "2.6",
    "2.7",
    "2.8",
    "2.9",
    "2.10",
    "2.11",
    "2.12",
)
_GLIBC += ("2.13", "2.14", "2.15", "2.16", "2.17", "2.18", "2.22", "2.25", "2.26", "2.27", "2.28")


@dataclass(frozen=True)
class Package:
    """One package. ``links``: symbolic links in it, by path."""

    name: str
    version: str
    provides: Sequence[str] = ()
    requires: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """Its spec file."""
        lines = [f"Name: {self.name}", f"Version: {self.version}", "Release: 1"]
        lines += ["Summary: Stand-in", "License: MIT", "AutoReqProv: no"]
        lines += [f"Provides: {name}" for name in self.provides]
        lines += [f"Requires: {name}" for name in self.requires]
        lines += ["%description", "Stand-in.", "%install"]
        lines += [f"mkdir -p $(dirname %{{buildroot}}{path})" for path in self.links]
        lines += [f"ln -s {target} %{{buildroot}}{path}" for path, target in self.links.items()]
        return "\n".join([*lines, "%files", *self.links, ""])


def _c_library() -> list[str]:
    """What the C library of Enterprise Linux 8 (2.28) provides of all that programs ask for."""
    names = [
        f"{library}({version})(64bit)"
        for library in ("libc.so.6", "libpthread.so.0", "libm.so.6", "libdl.so.2")
        for version in ("", *(f"GLIBC_{number}" for number in _GLIBC))
    ]
    return ["rtld(GNU_HASH)", *names]


BASE = (
    Package("glibc", "2.28", _c_library()),
    Package("bash", "4.4", ("/bin/sh", "/bin/bash")),
    Package("findutils", "4.6"),
)


def python(version: str, name: str = "", links: Mapping[str, str] | None = None) -> Package:
    """A Python of Enterprise Linux: python3.12 and the like, unless it has another name."""
    return Package(
        name or f"python{version}", f"{version}.8", (f"python(abi) = {version}",), ("glibc",), links or {}
    )


EL8 = (*BASE, python("3.6", "platform-python"))
EL8_APPSTREAM = (Package("python36", "3.6.8", (), ("platform-python",)), python("3.11"), python("3.12"))
EL9 = (*BASE, python("3.9", "python3"))
EL9_APPSTREAM = (python("3.11"), python("3.12"))


def build(package: Package, folder: Path) -> Path:
    """Make a package file."""
    top = folder / f".build-{package.name}"
    top.mkdir(parents=True)
    spec = top / "stand-in.spec"
    spec.write_text(package.spec)
    argv = ["rpmbuild", "-bb", "--quiet", "--target", f"{MACHINE}-unknown-linux", "--nodeps"]
    for name, value in {
        "_topdir": top,
        "_rpmdir": folder,
        "_tmppath": top,
        "_dbpath": top / "db",
        "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    }.items():
        argv += ["--define", f"{name} {value}"]
    done = subprocess.run([*argv, str(spec)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"{package.name}-{package.version}-1.{MACHINE}.rpm"


def repository(folder: Path, packages: Sequence[Package]) -> Path:
    """A repository with these packages."""
    for package in packages:
        build(package, folder)
    done = subprocess.run(
        ["createrepo_c", "--quiet", "--excludes", ".build-*", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@dataclass(frozen=True)
class Solver:
    """The real dnf over made-up repositories and a system of its own; nothing of this host is read or changed."""

    system: Path
    repositories: Sequence[Path]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dnf."""
        settings = self.system / "dnf.conf"
        settings.write_text("[main]\n")
        argv = [
            "dnf",
            f"--installroot={self.system}",
            "--releasever=8",
            f"--config={settings}",
            "--nogpgcheck",
        ]
        argv += ["--disableplugin=*", f"--forcearch={MACHINE}", f"--setopt=reposdir={self.system}/no-repos"]
        argv += [f"--setopt=cachedir={self.system}/cache", "--setopt=module_platform_id=platform:el8"]
        argv += [f"--repofrompath=made-up-{path.name},file://{path}" for path in self.repositories]
        return subprocess.run(
            [*argv, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "COLUMNS": "200",
                "HOME": "/root",
            },
            check=False,
        )

    def solve(self, package: Path) -> set[str]:
        """The names of all that would come with a package file."""
        done = self.run("install", "--assumeno", str(package))
        assert "Operation aborted" in done.stderr, done.stdout + done.stderr
        return set(re.findall(rf"(?m)^ (\S+)\s+{MACHINE}\s", done.stdout))
