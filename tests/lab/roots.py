"""Debian roots for machines: built once by debootstrap, kept in the cache, only used as a read-only layer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Optional

from .cache import LabError, cache_dir, locked
from .mirror import find_mirror, proxy_environment

SUITES = ("bullseye", "bookworm", "trixie")
# What becomes the next release, with the newest Python and Postfix.
COMING = "sid"
BUILDER_VERSION = 2

# What every machine has, whatever its mail system: the product's Python and the tools tests look with.
COMMON_PACKAGES = ("python3", "ca-certificates", "openssl", "iproute2", "procps", "netbase")

POSTFIX_PACKAGES = (
    "postfix",
    "postfix-pcre",
    "postfix-lmdb",
    "sasl2-bin",
    "libsasl2-modules",
    "ssl-cert",
)

DOVECOT_PACKAGES = ("dovecot-core", "dovecot-lmtpd", "dovecot-imapd", "dovecot-sieve")
# Both filters a mail server may have before its mailboxes, on one machine; spamass-milter brings spamd.
FILTER_PACKAGES = ("rspamd", "spamassassin", "spamd", "spamc", "spamass-milter")

POSTFIX_PRESEED = (
    "postfix postfix/main_mailer_type select Internet Site",
    "postfix postfix/mailname string mx1.example.com",
)

# What the first start of Postfix would do on every machine: its directories, and the files in its chroot.
POSTFIX_PREPARATION = ("/usr/lib/postfix/configure-instance.sh - || true", "postfix check")

SENDMAIL_PACKAGES = (
    "sendmail-bin",
    "sendmail-cf",
    "sensible-mda",
    "procmail",
    "m4",
    "make",
    "sasl2-bin",
    "libsasl2-modules",
    "busybox",
)

USERS = ("alice", "bob", "carol", "dave")


@dataclass(frozen=True)
class RootSpec:
    """What a root holds; two equal specs share one cached root.

    Attributes:
        suite: Debian code name.
        packages: Debian packages on top of minbase (recommended packages are left out).
        preseed: lines for debconf-set-selections.
        users: login users with a home directory, uid 1001 and up.
        tweaks: shell commands run in the finished root, for whatever packages cannot say.
    """

    suite: str
    packages: Sequence[str] = field(default_factory=tuple)
    preseed: Sequence[str] = field(default_factory=tuple)
    users: Sequence[str] = USERS
    tweaks: Sequence[str] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """The name in the cache: suite and a hash over everything that shapes the root."""
        text = json.dumps([BUILDER_VERSION, asdict(self)], sort_keys=True, default=list)
        return f"{self.suite}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def postfix_spec(suite: str, *, pcre: bool = True, extra: Sequence[str] = ()) -> RootSpec:
    """A root with Debian's Postfix as an admin gets it from ``apt install postfix`` ("Internet Site").

    Args:
        suite: Debian code name.
        pcre: False for a host whose Postfix has no pcre tables.
        extra: more packages.
    """
    wanted = tuple(name for name in POSTFIX_PACKAGES if pcre or name != "postfix-pcre")
    return RootSpec(
        suite, COMMON_PACKAGES + wanted + tuple(extra), POSTFIX_PRESEED, tweaks=POSTFIX_PREPARATION
    )


def dovecot_spec(suite: str, *, sieve: bool = True, extra: Sequence[str] = ()) -> RootSpec:
    """A root with Debian's Postfix and Dovecot.

    Args:
        suite: Debian code name.
        sieve: False for a host without the Sieve plugin (package dovecot-sieve).
        extra: more packages.
    """
    wanted = tuple(name for name in DOVECOT_PACKAGES if sieve or name != "dovecot-sieve")
    return postfix_spec(suite, extra=(*wanted, *extra))


def sendmail_spec(suite: str, *, extra: Sequence[str] = ()) -> RootSpec:
    """A root with Debian's Sendmail and what builds its configuration; its logger is busybox's.

    Args:
        suite: Debian code name.
        extra: more packages.
    """
    return RootSpec(suite, COMMON_PACKAGES + SENDMAIL_PACKAGES + tuple(extra))


def exim_spec(suite: str, *, heavy: bool = True) -> RootSpec:
    """A root with Debian's Exim, unconfigured; ``heavy``: the daemon that is built with content scanning."""
    daemon = "exim4-daemon-heavy" if heavy else "exim4-daemon-light"
    return RootSpec(suite, (*COMMON_PACKAGES, "exim4-base", "exim4-config", daemon))


def bare_spec(suite: str) -> RootSpec:
    """A root without any mail system."""
    return RootSpec(suite, COMMON_PACKAGES)


def layer_below(spec: RootSpec) -> Optional[RootSpec]:
    """The root that ``spec`` is built on top of, so that what many share is installed once; None for the lowest."""
    lowest = RootSpec(spec.suite, users=())
    known = (
        postfix_spec(spec.suite, extra=DOVECOT_PACKAGES),
        postfix_spec(spec.suite),
        postfix_spec(spec.suite, pcre=False),
        sendmail_spec(spec.suite),
        bare_spec(spec.suite),
    )
    for one in known:
        count = len(one.packages)
        fits = (
            len(spec.packages) > count
            and tuple(spec.packages[:count]) == tuple(one.packages)
            and one.users == spec.users
            and set(one.preseed) <= set(spec.preseed)
            and set(one.tweaks) <= set(spec.tweaks)
        )
        if fits:
            return one
    return lowest if spec != lowest else None


def ensure_root(spec: RootSpec) -> Path:
    """The directory of the cached root, built first when it is not there (one to three minutes).

    Raises:
        LabError: no root rights, no debootstrap, no mirror for the suite, or the build failed (with its log).
    """
    path = cache_dir("roots") / spec.name
    if path.is_dir():
        return path
    with locked(spec.name):
        if not path.is_dir():
            _build(spec, path)
    return path


def _build(spec: RootSpec, path: Path) -> None:
    if os.geteuid() != 0:
        raise LabError("Building a Debian root needs root: run it with sudo.")
    below = layer_below(spec)
    started = time.monotonic()
    print(f"lab: building root {path.name} ...", file=sys.stderr, flush=True)
    target = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        if below is None:
            _bootstrap(spec.suite, target)
        else:
            run_logged(
                ["cp", "-a", "--reflink=auto", f"{ensure_root(below)}/.", str(target)],
                f"copy of {below.name}",
            )
            _customise(spec, below, target)
        os.chmod(target, 0o755)
        target.rename(path)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    print(
        f"lab: root {path.name} ready after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True
    )


def _bootstrap(suite: str, target: Path) -> None:
    if shutil.which("debootstrap") is None:
        raise LabError("debootstrap is missing: run `apt-get install debootstrap`, then try again.")
    mirror = find_mirror(suite)
    script = suite if Path("/usr/share/debootstrap/scripts", suite).exists() else "sid"
    run_logged(
        # A mount namespace of its own, so that a killed build leaves no mounts behind.
        ["unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase"]
        + [f"--keyring={mirror.keyring}", suite, str(target), mirror.uri]
        + ["/usr/share/debootstrap/scripts/" + script],
        f"debootstrap of {suite}",
        proxy_environment(),
    )
    (target / "etc/apt/sources.list").write_text(f"deb {mirror.uri} {suite} main\n")
    (target / "etc/apt/apt.conf.d/90lab").write_text(
        # An archived suite's Release file is past its date; its signature is still checked.
        'Acquire::Check-Valid-Until "false";\nAPT::Install-Recommends "false";\nAcquire::Languages "none";\n'
    )
    (target / "etc/dpkg/dpkg.cfg.d/90lab").write_text(
        "force-unsafe-io\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n"
    )
    _clean(target)


def _customise(spec: RootSpec, below: RootSpec, target: Path) -> None:
    policy = target / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", target / "etc/resolv.conf")
    (target / "etc/hostname").write_text("mx1\n")
    (target / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    (target / "etc/mailname").write_text("mx1.example.com\n")
    lines = ["set -e", "mount -t proc proc /proc"]
    if spec.preseed:
        (target / "tmp/preseed").write_text("\n".join(spec.preseed) + "\n")
        lines += ["debconf-set-selections /tmp/preseed", "rm /tmp/preseed"]
    for number, user in enumerate(spec.users):
        if user not in below.users:
            lines.append(f"useradd --create-home --uid {1001 + number} --shell /bin/bash {user}")
    more = [name for name in spec.packages if name not in below.packages]
    if more:
        lines.append("apt-get -q update")
        lines.append("apt-get -q -y install " + " ".join(more))
    lines += [tweak for tweak in spec.tweaks if tweak not in below.tweaks]
    run_logged(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        + ["chroot", str(target), "/bin/sh", "-c", "\n".join(lines)],
        f"installation of {' '.join(more) or 'nothing'} in {spec.suite}",
        {
            **proxy_environment(),
            "DEBIAN_FRONTEND": "noninteractive",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "HOME": "/root",
        },
    )
    policy.unlink()
    _clean(target)


def _clean(target: Path) -> None:
    for part in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(target / part, ignore_errors=True)
    (target / "var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
    (target / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)


def run_logged(argv: Sequence[str], what: str, environment: Optional[Mapping[str, str]] = None) -> None:
    """Run a long command quietly. Raises LabError with the end of what it printed: it failed."""
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            check=False,
        )
        if done.returncode:
            log.seek(0)
            tail = log.read().decode("utf-8", "replace").splitlines()[-25:]
            raise LabError(f"The {what} failed with status {done.returncode}:\n" + "\n".join(tail))
