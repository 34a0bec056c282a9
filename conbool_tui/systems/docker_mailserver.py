"""The running side of docker-mailserver: its container is asked and told through the docker command.

A running container takes the settings up in place, without a restart: the script of the volume is run in it, and Postfix reloads. So no mail
in the queue is at risk, and taking a change back is the same call. Where no container runs, the files wait for the next one.
"""

from __future__ import annotations

import base64
import posixpath
import time
from collections.abc import Mapping
from typing import Optional

from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.script import SCRIPT
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Plan
from conbool_tui.postfix_config import MasterCf
from conbool_tui.runner import CommandResult

_OF_THE_COPY = frozenset(("config_directory",))
_PATIENCE = 20.0
_PAUSE = 0.5
# 127.0.0.1, or ::1 where Postfix speaks no IPv4.
_GREETING = 'exec 3<>"/dev/tcp/$2/$1" && IFS= read -r -t 8 line <&3 && printf "%s\\n" "$line"'
# The volume has our settings, and they are in force; or neither.
_AGREE = (
    f"a=0 b=0; [ ! -f {names.CONFIG_MOUNT}/{names.FOLDER}/{names.PARAMETERS} ] || a=1; "
    f"[ ! -f {names.POSTFIX}/conbool-base/main.cf ] || b=1; [ $a = $b ]"
)
# A FILTER action is kept with the message (as ``conbool_tui.systems.postfix_queue`` says): one that names a service of ours which is gone.
_REQUEUE = (
    f'[ ! -f {names.POSTFIX}/conbool-base/main.cf ] || exit 0; cd "$(postconf -hx queue_directory)"/deferred || exit 0; '
    "LC_ALL=C grep -rlaE 'L.conbool-(direct|reinject):' . | sed 's|.*/||' | postsuper -r - 2>/dev/null; "
    # pickup(8) looks once a minute by itself.
    "postkick public pickup W"
)
# rspamd reads its settings anew; nothing where it does not run.
_RSPAMD = "supervisorctl status rspamd >/dev/null 2>&1 && supervisorctl signal HUP rspamd"
# A copy of the container's configuration with the candidate on top of it, in the container's own /tmp.
_JUDGE = r"""set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/ours" "$work/postfix" "$work/before" || exit 1
cp -rp @POSTFIX@/main.cf @POSTFIX@/master.cf "$work/postfix/" || exit 1
if [ -d @POSTFIX@/conbool-base ]; then cp -rp @POSTFIX@/conbool-base "$work/postfix/"; fi
file() { mkdir -p "$(dirname "$work/ours/$1")" && base64 -d >"$work/ours/$1"; }
@FILES@
export CONBOOL_SOURCE="$work/ours" CONBOOL_POSTFIX="$work/postfix" CONBOOL_SIEVE="$work/none/before"
bash "$work/ours/@SCRIPT@" base "$work/before" || exit 1
bash "$work/ours/@SCRIPT@" auto || exit 1
echo "=== before"; postconf -c "$work/before" -n
echo "=== after"; postconf -c "$work/postfix" -n
echo "=== services before"; postconf -c "$work/before" -M
echo "=== services after"; postconf -c "$work/postfix" -M
echo "=== tables"
for table in "$work/postfix/conbool"/*; do
  case $table in *.cidr) kind=cidr;; *_checks|*/markers|*/spam|*/calendar|*/drop_*) kind=@PATTERNS@;; *) continue;; esac
  said=$(postmap -c "$work/postfix" -q 192.0.2.1 "$kind:$table" 2>&1 >/dev/null) || true
  if [ -n "$said" ]; then echo "${table##*/}: $said"; fi
done
echo "=== end"
"""


class DockerMailserverSystem:
    """One docker-mailserver container.

    Args:
        host: the docker host.
        config_directory: the configuration volume as a path of the host.
        container: the container's name.
    """

    name = names.SYSTEM

    def __init__(self, host: Host, config_directory: str, container: str) -> None:
        self._host = host
        self._config = config_directory
        self._container = container
        self._greeted = False

    def running(self) -> bool:
        """Whether the container runs; False also where docker cannot be asked."""
        if not self._host.live or self._host.which("docker") is None:
            return False
        try:
            result = self._host.run(
                ["docker", "inspect", "--format", "{{.State.Running}}", self._container], timeout=20
            )
        except ConboolError:
            return False
        return result.ok and result.text().strip() == "true"

    def write_rank(self, path: str) -> int:
        """user-patches.sh last: it runs the script, which reads all the others. Parameters show that the folder is complete."""
        return {names.USER_PATCHES: 3, names.PARAMETERS: 2, names.SCRIPT: 1}.get(posixpath.basename(path), 0)

    def ready(self, plan: Plan) -> list[Problem]:
        """The volume is there; a running container has bash and a Postfix that can be read."""
        if not self._host.is_dir(self._config):
            return [Problem(f"The configuration volume {self._config} is not there", "")]
        if not self.running():
            return []
        result = self._exec("postconf -n >/dev/null && postconf -M >/dev/null")
        if not result.ok:
            return [Problem(f"The Postfix in the container {self._container} cannot be read", _last(result))]
        self._greeted = self._banner(25) is not None
        return []

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """In a running container: the script on a copy of its configuration; only what is planned may differ. Elsewhere the files are only
        read: the container that will use them is not there."""
        if not self.running():
            return self._read(files)
        ours = self._candidate(files)
        if names.PARAMETERS not in ours:
            return []
        pages = "\n".join(
            f"file '{name}' <<'CONBOOL_FILE' || exit 1\n{base64.encodebytes(data).decode('ascii')}CONBOOL_FILE"
            for name, data in sorted(ours.items())
        )
        patterns = "pcre" if b"pcre:" in ours[names.PARAMETERS] else "regexp"
        text = (
            _JUDGE.replace("@POSTFIX@", names.POSTFIX)
            .replace("@SCRIPT@", names.SCRIPT)
            .replace("@PATTERNS@", patterns)
            .replace("@FILES@", pages)
        )
        result = self._run(["bash", "-s"], text.encode())
        parts = _parts(result.text())
        if not result.ok or "end" not in parts:
            return [Problem("The container's Postfix cannot read the new configuration", _last(result))]
        return _compared(ours, parts)

    def reload(self) -> list[Problem]:
        """Run the script in a running container and reload its Postfix; nothing where none runs."""
        if not self.running():
            return []
        result = self._run(["bash", "-s"], SCRIPT.encode(), timeout=120)
        if not result.ok:
            return [Problem(f"The settings could not be put in force in {self._container}", _last(result))]
        result = self._exec("postfix reload")
        if not result.ok:
            return [Problem(f"`postfix reload` in {self._container} failed", _last(result))]
        self._exec(_RSPAMD)
        return []

    def start(self) -> list[Problem]:
        """Start Postfix in the container again: rollback needs that when a configuration killed it."""
        if not self.running():
            return []
        result = self._exec("postfix status || supervisorctl restart postfix")
        return [] if result.ok else [Problem(f"Postfix in {self._container} does not start", _last(result))]

    def health(self, plan: Plan) -> list[Problem]:
        """Within 20 seconds: Postfix runs in the container, port 25 greets if it did, and the plan's ports greet.
        Then mail that waits for a service of ours which is gone is put into the queue anew.

        Files are removed after the reload. When our folder is among them, the container is told now.
        """
        if not self.running():
            return []
        if not self._exec(_AGREE).ok:
            problems = self.reload()
            if problems:
                return problems
        deadline = time.monotonic() + _PATIENCE
        while True:
            problems = self._ailments(plan)
            if not problems:
                # What cannot be put in again is no reason to take the configuration back.
                self._exec(_REQUEUE)
                # A settings file of ours that is gone went after the reload.
                self._exec(_RSPAMD)
            if not problems or time.monotonic() > deadline:
                return problems
            time.sleep(_PAUSE)

    def moment(self) -> str:
        """Nothing: the log inside the container is not read."""
        return ""

    def served(self, moment: str) -> list[str]:
        """Nobody: it cannot be told, so only a person confirms."""
        return []

    # --- details -------------------------------------------------------------------------------------------

    def _ailments(self, plan: Plan) -> list[Problem]:
        if not self._exec("postfix status").ok:
            return [Problem(f"Postfix does not run in the container {self._container}")]
        if self._greeted and self._banner(25) is None:
            return [Problem(f"Port 25 in the container {self._container} does not greet any more")]
        for port in plan.health_ports:
            if self._banner(port) is None:
                return [
                    Problem(f"The service on port {port} in the container {self._container} does not greet")
                ]
        return []

    def _banner(self, port: int) -> Optional[str]:
        for address in ("127.0.0.1", "::1"):
            result = self._run(["bash", "-c", _GREETING, "bash", str(port), address], timeout=15)
            text = result.text().strip()
            if result.ok and text.startswith("220"):
                return text
        return None

    def _exec(self, command: str) -> CommandResult:
        return self._run(["bash", "-c", command])

    def _run(self, argv: list[str], stdin: bytes = b"", *, timeout: float = 60) -> CommandResult:
        return self._host.run(["docker", "exec", "-i", self._container, *argv], stdin=stdin, timeout=timeout)

    def _candidate(self, files: Mapping[str, Optional[bytes]]) -> dict[str, bytes]:
        """Our folder as it will be, by name."""
        top = posixpath.join(self._config, names.FOLDER)
        found: dict[str, bytes] = {}
        if self._host.is_dir(top):
            for path in self._host.walk(top):
                if self._host.is_file(path):
                    found[posixpath.relpath(path, top)] = self._host.read_bytes(path)
        for path, data in files.items():
            if not path.startswith(top + "/"):
                continue
            name = posixpath.relpath(path, top)
            if data is None:
                found.pop(name, None)
            else:
                found[name] = data
        return found

    def _read(self, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Whether our own pages are complete and can be read."""
        ours = self._candidate(files)
        if names.PARAMETERS not in ours:
            return []
        missing = [name for name in (names.OPTIONS, names.SERVICES, names.SCRIPT) if name not in ours]
        problems = [Problem(f"{names.FOLDER}/{name} would be missing") for name in missing]
        if not missing:
            problems += [
                Problem(f"{names.FOLDER}/{names.SERVICES}: {text}")
                for text in MasterCf.parse(ours[names.SERVICES]).problems()
            ]
        return problems


def _parts(text: str) -> dict[str, str]:
    found = {}
    for part in text.split("=== ")[1:]:
        name, _, rest = part.partition("\n")
        found[name.strip()] = rest
    return found


def _settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\n"))
    return {name.strip(): " ".join(value.split()) for name, equals, value in pairs if equals}


def _names(page: bytes) -> set[str]:
    lines = (line.strip() for line in page.decode("utf-8", "surrogateescape").split("\n"))
    return {line.partition("=")[0].strip() for line in lines if line and not line.startswith("#")}


def _compared(ours: Mapping[str, bytes], parts: Mapping[str, str]) -> list[Problem]:
    """What differs although our pages do not name it."""
    planned = _names(ours[names.PARAMETERS])
    before, after = _settings(parts["before"]), _settings(parts["after"])
    problems = [
        Problem(f"The parameter {name} would change although the plan does not name it")
        for name in sorted({*before, *after} - planned - _OF_THE_COPY)
        if before.get(name) != after.get(name)
    ]
    problems += [
        Problem(f"The container's Postfix does not know the planned parameter {name}")
        for name in sorted(planned - set(after))
    ]
    services = {f"{one.name}/{one.type}" for one in MasterCf.parse(ours[names.SERVICES]).services()}
    services |= {name.rpartition("/")[0] for name in _names(ours.get(names.OPTIONS, b""))}
    old, new = (_services(parts[f"services {word}"]) for word in ("before", "after"))
    problems += [
        Problem(f"The service {name} would change although the plan does not name it")
        for name in sorted({*old, *new} - services)
        if old.get(name) != new.get(name)
    ]
    tables = [line for line in parts["tables"].split("\n") if line.strip()]
    return problems + [Problem("A table cannot be used", line) for line in tables[:5]]


def _services(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in MasterCf.parse(text.encode("utf-8", "surrogateescape")).services():
        columns = (one.private, one.unpriv, one.chroot, one.wakeup, one.maxproc, one.command, one.args)
        found.setdefault(f"{one.name}/{one.type}", []).append(repr(columns))
    return found


def _last(result: CommandResult) -> str:
    lines = [line.strip() for line in result.error_text().split("\n") if line.strip()]
    lines = [line for line in lines if "compatib" not in line]
    return "; ".join(lines[-3:]) if lines else f"it ended with {result.returncode}"
