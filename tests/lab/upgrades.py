"""What apt needs to take a root to the next release: downloaded once, kept in the cache, used without a network."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .cache import LabError, cache_dir, locked
from .mirror import find_mirror, proxy_environment
from .roots import RootSpec, ensure_root, run_logged

_SCRIPT = """\
set -e
mount -t tmpfs -o mode=755 upgrade "$work"
mkdir "$work/upper" "$work/overlay" "$work/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/overlay" upgrade "$work/root"
cp /etc/resolv.conf "$work/root/etc/resolv.conf"
cp "$target/sources.list" "$work/root/etc/apt/sources.list"
mount --bind "$target/lists" "$work/root/var/lib/apt/lists"
mount --bind "$target/archives" "$work/root/var/cache/apt/archives"
chroot "$work/root" apt-get -q update
chroot "$work/root" apt-get -q -y --download-only full-upgrade
"""


def ensure_upgrade(spec: RootSpec, suite: str) -> Path:
    """A directory with ``sources.list``, ``lists`` and ``archives`` for a full upgrade of a root to a release.

    Raises:
        LabError: no mirror has the release, or apt failed (with its log).
    """
    path = cache_dir("upgrades") / f"{spec.name}-{suite}"
    with locked(path.name):
        if not path.is_dir():
            _download(spec, suite, path)
    return path


def _download(spec: RootSpec, suite: str, path: Path) -> None:
    lower = ensure_root(spec)
    target = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        (target / "sources.list").write_text(f"deb {find_mirror(suite).uri} {suite} main\n")
        for name in ("lists/partial", "archives/partial"):
            (target / name).mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="conbool-upgrade-") as work:
            run_logged(
                ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _SCRIPT],
                f"download of the upgrade from {spec.suite} to {suite}",
                {
                    **proxy_environment(),
                    "work": work,
                    "lower": str(lower),
                    "target": str(target),
                    "DEBIAN_FRONTEND": "noninteractive",
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "LC_ALL": "C",
                },
            )
        if not list((target / "archives").glob("*.deb")):
            raise LabError(f"apt found nothing to upgrade from {spec.suite} to {suite}.")
        target.chmod(0o755)
        target.rename(path)
    finally:
        shutil.rmtree(target, ignore_errors=True)
