"""A disposable machine: an overlay on a cached root, with namespaces and a process 1 of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message as Parsed
from pathlib import Path
from typing import IO, Optional, Union

from . import vendor
from .cache import LabError
from .messages import body_digest, parse
from .netns import Namespace, is_leftover, unique_name
from .roots import RootSpec, ensure_root
from .snapshot import Entry, snapshot

INIT = Path(__file__).with_name("init.py")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
APP = "/usr/lib/conbool-tui"
LAUNCHER = f"""#!/bin/sh
export PYTHONPATH={APP}/app:{APP}/vendor PYTHONPYCACHEPREFIX={APP}/bytecode
exec python3 -X utf8 -m conbool_tui "$@"
"""

Completed = subprocess.CompletedProcess


@dataclass(frozen=True)
class Stored:
    """One message in a mailbox, as the machine's delivery agent wrote it."""

    mailbox: str
    folder: str
    raw: bytes

    @property
    def message(self) -> Parsed:
        """The parsed message."""
        return parse(self.raw)

    @property
    def body_sha256(self) -> str:
        """sha256 of the body with CRLF line ends."""
        return body_digest(self.raw)

    def headers(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [str(value) for value in self.message.get_all(name, [])]


@dataclass(frozen=True)
class Place:
    """Where a machine sits in the lab's internet.

    Attributes:
        hostname: fully qualified.
        ipv4, ipv6: its addresses.
        prefix4, prefix6: lengths of its networks.
        neighbour4, neighbour6: a client in the same network, for mynetworks.
    """

    hostname: str
    ipv4: str
    ipv6: str
    prefix4: int
    prefix6: int
    neighbour4: str
    neighbour6: str
    network4: str
    network6: str
    nameserver: str = "192.0.2.53"


@dataclass
class Mounts:
    """More directories of this host to show inside: (host path, machine path, writable)."""

    binds: list[tuple[str, str, bool]] = field(default_factory=list)


def sweep() -> None:
    """Unmount and remove what killed runs left in the temporary directory."""
    for path in Path(tempfile.gettempdir()).glob("conlab-*"):
        if is_leftover(path.name):
            _remove(path)


def _remove(work: Path) -> None:
    for _ in range(3):
        subprocess.run(["umount", "--recursive", str(work)], capture_output=True, check=False)
        if not os.path.ismount(work):
            break
        subprocess.run(["umount", "--lazy", "--recursive", str(work)], capture_output=True, check=False)
    if not os.path.ismount(work):
        shutil.rmtree(work, ignore_errors=True)


class Machine:
    """A running machine. Use it as a context manager, or call ``close``.

    Attributes:
        place: name and addresses.
        netns: its network namespace.
        merged: its root directory as seen from the host (without /proc, /dev, /run and /tmp).
    """

    # The directories whose files are mail on its way, in the order mail takes through them.
    busy_queues: Sequence[str] = ()
    # More directories with a link for each root certificate, where they exist.
    more_certificates: Sequence[str] = ()
    # More for the plan of ``init.py``.
    boot_plan: Mapping[str, object] = {}

    def __init__(
        self, spec: RootSpec, place: Place, netns: Namespace, mounts: Optional[Mounts] = None
    ) -> None:
        self.spec = spec
        self.place = place
        self.netns = netns
        lower = ensure_root(spec)
        self._work = Path(tempfile.gettempdir(), unique_name("machine"))
        self._work.mkdir(0o755)
        self._init: Optional[subprocess.Popen[bytes]] = None
        self._pid = 0
        self.merged = self._work / "root"
        try:
            self._mount(lower)
            self._configure()
            self._boot(self._product_binds() + (mounts.binds if mounts else []))
        except BaseException:
            self.close()
            raise

    # -- life

    def _mount(self, lower: Path) -> None:
        _host("mount", "-t", "tmpfs", "-o", "mode=755", "conlab", str(self._work))
        for name in ("upper", "overlay", "root"):
            (self._work / name).mkdir()
        options = f"lowerdir={lower},upperdir={self._work}/upper,workdir={self._work}/overlay"
        _host("mount", "-t", "overlay", "-o", options, "conlab", str(self.merged))

    def _configure(self) -> None:
        short = self.place.hostname.split(".")[0]
        etc = self.merged / "etc"
        (etc / "hostname").write_text(short + "\n")
        (etc / "hosts").write_text(
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
            f"{self.place.ipv4} {self.place.hostname} {short}\n"
            f"{self.place.ipv6} {self.place.hostname} {short}\n"
        )
        (etc / "resolv.conf").unlink(missing_ok=True)
        (etc / "resolv.conf").write_text(
            f"nameserver {self.place.nameserver}\noptions timeout:2 attempts:2\n"
        )
        (etc / "mailname").write_text(self.place.hostname + "\n")

    def _product_binds(self) -> list[tuple[str, str, bool]]:
        binds = [(str(vendor.ensure_vendor()), APP + "/vendor", False)]
        binds.append((str(vendor.byte_code_dir(self.spec.suite)), APP + "/bytecode", True))
        for package in ("conbool_tui", "screens", "detectors"):
            source = vendor.CHECKOUT / package
            if source.is_dir():
                binds.append((str(source), f"{APP}/app/{package}", False))
        launcher = self.merged / "usr/bin/conbool-tui"
        launcher.write_text(LAUNCHER)
        launcher.chmod(0o755)
        return binds

    def _boot(self, binds: Sequence[tuple[str, str, bool]]) -> None:
        for source, target, _ in binds:
            point = Path(str(self.merged) + target)
            if os.path.isdir(source):
                point.mkdir(parents=True, exist_ok=True)
            else:
                point.parent.mkdir(parents=True, exist_ok=True)
                point.touch()
        plan = {"root": str(self.merged), "hostname": self.place.hostname.split(".")[0], "binds": list(binds)}
        # Process 1 ends when the pipe to its standard input closes, so it cannot outlive this process.
        self._init = subprocess.Popen(
            self._boot_command({**plan, **self.boot_plan}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._init.stdout is not None
        assert self._init.stderr is not None
        line = self._init.stdout.readline()
        if not line:
            raise LabError(
                "The machine did not start:\n" + self._init.stderr.read().decode("utf-8", "replace")
            )
        self._pid = int(line)

    def _boot_command(self, plan: Mapping[str, object]) -> list[str]:
        """What becomes, in namespaces of its own, the machine's process 1."""
        unshare = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=SIGKILL"]
        init = [sys.executable, "-I", "-S", str(INIT), json.dumps(plan)]
        return ["nsenter", "--net=" + self.netns.path, *unshare, "--propagation", "private", *init]

    def close(self) -> None:
        """End every process of the machine and remove its files."""
        if self._init is not None:
            for stream in (self._init.stdin, self._init.stdout, self._init.stderr):
                if stream is not None:
                    stream.close()
            try:
                self._init.wait(5)
            except subprocess.TimeoutExpired:
                self._init.kill()
                self._init.wait()
            self._init = None
        _remove(self._work)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- commands

    def command(
        self,
        argv: Sequence[str],
        env: Optional[Mapping[str, str]] = None,
        cwd: str = "/root",
        user: str = "root",
    ) -> list[str]:
        """The command line for this host that runs ``argv`` inside the machine."""
        enter = ["nsenter", "--target", str(self._pid), "--mount", "--pid", "--net", "--uts", "--ipc", "--"]
        pairs = [f"{name}={value}" for name, value in {**ENVIRONMENT, **(env or {})}.items()]
        become = ["runuser", "-u", user, "--"] if user != "root" else []
        return enter + ["env", "-i", "-C", cwd, *pairs, *become, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        input: Union[str, bytes, None] = None,
        timeout: float = 180,
        env: Optional[Mapping[str, str]] = None,
        cwd: str = "/root",
        user: str = "root",
        check: bool = False,
    ) -> Completed[str]:
        """Run a command and return its status, standard output and standard error (as text).

        Raises:
            subprocess.TimeoutExpired: it took longer than ``timeout`` seconds, and was killed; the exception
                has what it had printed.
            LabError: with ``check``, when the status is not 0.
        """
        data = input.encode() if isinstance(input, str) else input
        process = self.popen(
            argv, env=env, cwd=cwd, user=user, stdin=subprocess.DEVNULL if data is None else None
        )
        try:
            out, err = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            self.kill(process)
            out, err = process.communicate()
            raise subprocess.TimeoutExpired(list(argv), timeout, out, err) from None
        done = subprocess.CompletedProcess(
            list(argv), process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        )
        if check and done.returncode:
            raise LabError(f"`{' '.join(argv)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Optional[Mapping[str, str]] = None,
        cwd: str = "/root",
        user: str = "root",
        stdin: Union[int, IO[bytes], None] = None,
        stdout: Union[int, IO[bytes]] = subprocess.PIPE,
        stderr: Union[int, IO[bytes]] = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own; it ends with the machine at the latest."""
        return subprocess.Popen(
            self.command(argv, env, cwd, user),
            stdin=subprocess.PIPE if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what ``popen`` started, with its children, and wait for its end."""
        # Not nsenter itself: it has to collect its child, which nobody else would do.
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(process.pid):
                with suppress(OSError, IndexError):
                    group = (entry / "stat").read_text().rpartition(")")[2].split()[2]
                    if group == str(process.pid):
                        os.kill(int(entry.name), signal.SIGKILL)
        process.wait(10)

    def shell(self, script: str, timeout: float = 180) -> str:
        """Run a shell script that must succeed and return what it prints."""
        return self.run(["/bin/sh", "-e", "-c", script], timeout=timeout, check=True).stdout

    def attach(self, argv: Sequence[str], env: Optional[Mapping[str, str]] = None) -> int:
        """Run a command on this process's terminal and return its status."""
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.call(self.command(argv, env))
        finally:
            signal.signal(signal.SIGINT, previous)

    def conbool(
        self,
        *args: str,
        input: Union[str, bytes, None] = None,
        timeout: float = 180,
        env: Optional[Mapping[str, str]] = None,
    ) -> Completed[str]:
        """Run ``conbool-tui`` with the machine's own Python, from this checkout."""
        return self.run(["conbool-tui", *args], input=input, timeout=timeout, env=env)

    # -- files

    def path(self, name: Union[str, Path]) -> Path:
        """The host's path of a file of the machine; links are followed inside the machine's root."""
        todo = [part for part in str(name).split("/") if part not in ("", ".")]
        here = self.merged
        for _ in range(400):
            if not todo:
                return here
            part = todo.pop(0)
            if part == "..":
                here = here.parent if here != self.merged else here
                continue
            if (here / part).is_symlink():
                target = os.readlink(here / part)
                todo = [piece for piece in target.split("/") if piece not in ("", ".")] + todo
                here = self.merged if target.startswith("/") else here
                continue
            here = here / part
        raise LabError(f"{name}: too many symbolic links")

    def exists(self, name: str) -> bool:
        """Whether a file exists."""
        return self.path(name).exists()

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        return self.path(name).read_bytes()

    def read_text(self, name: str) -> str:
        """A file's text."""
        return self.read(name).decode("utf-8", "replace")

    def write(
        self,
        name: str,
        data: Union[str, bytes],
        mode: Optional[int] = None,
        owner: Optional[tuple[int, int]] = None,
    ) -> None:
        """Write a file, with its directories, in place; mode and (uid, gid) when given."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        if owner is not None:
            os.chown(path, *owner)
        if mode is not None:
            path.chmod(mode)

    def append(self, name: str, data: str) -> None:
        """Add text to the end of a file."""
        with open(self.path(name), "a") as handle:
            handle.write(data)

    def snapshot(self, name: str) -> dict[str, Entry]:
        """The state of a directory tree, for ``snapshot.differences``."""
        return snapshot(self.path(name))

    def small_disk(self, name: str, size: str) -> None:
        """Put a tmpfs of ``size`` (``64k``) over a directory, with a copy of what is in it, to be filled up.

        Only commands inside the machine see it; ``read``, ``write`` and ``snapshot`` see what is below.
        """
        self.shell(
            f"d=$(mktemp -d); mount -t tmpfs -o size={size} lab $d; cp -a {name}/. $d; "
            f"mount --bind $d {name}; umount $d"
        )

    def trust(self, name: str, pem: bytes) -> None:
        """Add a root certificate to the machine's CA bundle the way ``update-ca-certificates`` would."""
        self.write(f"/usr/local/share/ca-certificates/{name}.crt", pem)
        with open(self.path("/etc/ssl/certs/ca-certificates.crt"), "ab") as bundle:
            bundle.write(pem)
        digest = self.shell(
            f"openssl x509 -noout -subject_hash -in /usr/local/share/ca-certificates/{name}.crt"
        ).strip()
        link = self.merged / "etc/ssl/certs" / f"{name}.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(f"/usr/local/share/ca-certificates/{name}.crt")
        hashed = self.merged / "etc/ssl/certs" / f"{digest}.0"
        hashed.unlink(missing_ok=True)
        hashed.symlink_to(f"{name}.pem")
        for directory in map(self.path, self.more_certificates):
            if directory.is_dir():
                (directory / f"{name}.pem").write_bytes(pem)
                (directory / f"{digest}.0").unlink(missing_ok=True)
                (directory / f"{digest}.0").symlink_to(f"{name}.pem")

    # -- network

    def listening(self) -> set[int]:
        """The TCP ports something listens on (proc(5), net/tcp: state 0A)."""
        lines = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{self._pid}/net/{table}").read_text().splitlines()[1:]
        ]
        return {int(words[1].rpartition(":")[2], 16) for words in lines if words[3] == "0A"}

    def wait_port(self, port: int = 25, timeout: float = 60) -> None:
        """Wait until something listens at a port; no connection is made, so no log shows it.

        Raises:
            TimeoutError: nothing did within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while port not in self.listening():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.place.hostname}: nothing listens at port {port} after {timeout} s")
            time.sleep(0.02)

    # -- mail

    def sendmail(
        self, raw: bytes, recipients: Sequence[str], *, sender: Optional[str] = None, user: str = "alice"
    ) -> Completed[str]:
        """Hand a message to the sendmail command as a local user; ``sender`` "" is the null sender."""
        argv = ["/usr/sbin/sendmail", "-i"]
        if sender is not None:
            argv += ["-f", sender or "<>"]
        return self.run([*argv, "--", *recipients], input=raw.replace(b"\r\n", b"\n"), user=user, check=True)

    def mailbox(self, name: str) -> list[Stored]:
        """The messages of a local user or a virtual mailbox (a name with @), subfolders included."""
        if "@" in name:
            user, domain = name.split("@", 1)
            top = self.merged / "var/mail/vhosts" / domain / user
        else:
            top = self.merged / "home" / name / "Maildir"
        return list(_maildir(top, name))

    def mailboxes(self) -> list[Stored]:
        """Every message of every mailbox."""
        names = [path.parent.name for path in (self.merged / "home").glob("*/Maildir")]
        vhosts = self.merged / "var/mail/vhosts"
        names += [f"{path.name}@{path.parent.name}" for path in vhosts.glob("*/*") if path.is_dir()]
        return [stored for name in sorted(names) for stored in self.mailbox(name)]

    def busy(self) -> bool:
        """Whether mail is on its way through the machine; deferred and held mail rests."""
        for queue in self.busy_queues:
            for _, _, files in os.walk(self.merged / queue.lstrip("/")):
                if files:
                    return True
        return False


def _maildir(top: Path, mailbox: str) -> list[Stored]:
    found = []
    for folder in sorted(path.parent for path in top.rglob("new")) if top.is_dir() else []:
        name = "INBOX" if folder == top else folder.name.lstrip(".")
        for part in ("new", "cur"):
            paths = [path for path in sorted((folder / part).glob("*")) if stat.S_ISREG(path.lstat().st_mode)]
            found += [Stored(mailbox, name, path.read_bytes()) for path in paths]
    return found


def _host(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
