"""Whether this checkout can be released: version and change log agree and are dated, nothing is uncommitted, the tag is new."""

from __future__ import annotations

import subprocess
import sys

import project
from vendored import BuildError


def _git(*arguments: str) -> str:
    argv = ["git", "-c", f"safe.directory={project.ROOT}", "-C", str(project.ROOT), *arguments]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def troubles() -> list[str]:
    """What stands in the way, one sentence each. Raises BuildError: version, change log or git cannot be read."""
    found = []
    newest, *older = project.releases()
    if newest.day is None:
        found.append(f"CHANGELOG.md: version {newest.version} has no day; write it instead of unreleased.")
    if not newest.lines:
        found.append(f"CHANGELOG.md: version {newest.version} says nothing.")
    found += [
        f"CHANGELOG.md: the older version {one.version} has no day." for one in older if one.day is None
    ]
    numbers = [tuple(map(int, one.version.split("."))) for one in (newest, *older)]
    if numbers != sorted(set(numbers), reverse=True):
        found.append("CHANGELOG.md: the versions do not fall from top to bottom.")
    if _git("status", "--porcelain"):
        found.append("There are changes that are not committed; a package must be made of a commit.")
    if _git("tag", "--list", f"v{newest.version}").strip():
        found.append(
            f"The tag v{newest.version} exists already; raise __version__ in conbool_tui/__init__.py."
        )
    return found


def main() -> int:
    """Print what stands in the way; 0 when nothing does, 3 else."""
    try:
        found = troubles()
    except BuildError as error:
        found = [str(error)]
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"Version {project.version()} can be tagged v{project.version()}.")
    return 3 if found else 0


if __name__ == "__main__":
    sys.exit(main())
