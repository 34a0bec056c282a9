"""Real packets for the firewall tests: machines with listeners, probes from every kind of client, and the product's drivers inside.

machine = firewall_machine(lab, "bookworm", ("nftables",))
assert probe(lab, machine, "stranger", 25, 6) == "open"
live = Driver(machine, "firewall:nftables")
assert live.put(LISTED_RULES) == []
assert picture(lab, machine) == CLOSED
"""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional

from conbool_tui.firewall.rules import rules

from .lab import CONBOOL, CONBOOL6, CONBOOL_NETWORK4, CONBOOL_NETWORK6, STRANGER, STRANGER6, Lab
from .machine import APP, Machine
from .roots import postfix_spec

LISTED, LISTED6 = "203.0.113.77", "2001:db8:1157::77"
LISTED_NETWORK4, LISTED_NETWORK6 = "203.0.113.72/29", "2001:db8:1157::/48"
PORTS = (25, 22, 587)
FAMILIES = (4, 6)

# local is a client on the machine itself, over loopback.
SOURCES: Mapping[str, tuple[str, str]] = {
    "conbool": (CONBOOL, CONBOOL6),
    "listed": (LISTED, LISTED6),
    "stranger": (STRANGER, STRANGER6),
    "local": ("127.0.0.1", "::1"),
}

NETWORKS = (CONBOOL_NETWORK4, CONBOOL_NETWORK6, LISTED_NETWORK4, LISTED_NETWORK6)
LISTED_RULES = rules(NETWORKS).text()

Picture = dict[tuple[str, int, int], str]

_LISTENERS = """
import socket, threading
def greet(server, port):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=echo, args=(connection, port), daemon=True).start()
def echo(connection, port):
    try:
        with connection:
            connection.sendall(b"%d\\n" % port)
            while connection.recv(1):
                connection.sendall(b".")
    except OSError:
        pass
threads = []
for port in PORTS:
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    threads.append(threading.Thread(target=greet, args=(server, port)))
    threads[-1].start()
"""

_PYTHON = {
    "PYTHONPATH": f"{APP}/app:{APP}/vendor",
    "PYTHONPYCACHEPREFIX": f"{APP}/bytecode",
}


def firewall_machine(lab: Lab, suite: str, packages: Sequence[str] = ()) -> Machine:
    """A started machine with the packages of one firewall and with something that listens at ``PORTS`` over IPv4 and IPv6.

    Its root is the one the mail servers with this firewall have, so that only one is built.
    """
    machine = lab.machine(Machine, postfix_spec(suite, extra=packages))
    listen(machine)
    return machine


def listen(machine: Machine, ports: Sequence[int] = PORTS) -> None:
    """Start listeners; each sends its port's number and then a dot for every byte. They end with the machine."""
    machine.popen(["python3", "-c", f"PORTS = {tuple(ports)!r}\n{_LISTENERS}"], stdout=-3, stderr=-3)
    for port in ports:
        machine.wait_port(port)


# --- packets


def probe(lab: Lab, machine: Machine, source: str, port: int, family: int, *, timeout: float = 2.0) -> str:
    """What a new connection meets: ``open`` (data went both ways), ``refused`` (a TCP reset came) or ``filtered``.

    Args:
        lab: where the client is.
        machine: the server.
        source: a key of ``SOURCES`` or an address of the lab's internet.
        port: the server's port.
        family: 4 or 6.
        timeout: seconds after which a connection that does not come about counts as ``filtered``.
    """
    known = SOURCES.get(source)
    client = known[family == 6] if known else source
    if source == "local":
        server, namespace = client, machine.netns
    else:
        server, namespace = (machine.place.ipv6 if family == 6 else machine.place.ipv4), lab.inet
    # The server sends a reset also when nothing listens, so the tests' listeners must be up.
    return namespace.call(lambda: _attempt(client, server, port, timeout))


def _attempt(client: str, server: str, port: int, timeout: float) -> str:
    try:
        with socket.create_connection((server, port), timeout, (client, 0)) as connection:
            # The kernel answers at once or never; the listener needs its turn on a busy machine.
            connection.settimeout(60)
            connection.sendall(b"x")
            received = b""
            while not received.endswith(b"."):
                piece = connection.recv(64)
                if not piece:
                    raise AssertionError(f"the listener at port {port} closed after {received!r}")
                received += piece
            assert received == b"%d\n." % port, received
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "filtered"
    except OSError as error:
        if error.errno in (errno.EHOSTUNREACH, errno.EACCES, errno.ENETUNREACH):
            return "filtered"
        raise


def picture(
    lab: Lab,
    machine: Machine,
    *,
    sources: Sequence[str] = tuple(SOURCES),
    ports: Sequence[int] = PORTS,
    families: Sequence[int] = FAMILIES,
) -> Picture:
    """``probe`` from everywhere to every port over both families, all at once: (source, port, family) -> state."""
    keys = [(source, port, family) for source in sources for port in ports for family in families]
    with ThreadPoolExecutor(len(keys)) as pool:
        return dict(zip(keys, pool.map(lambda key: probe(lab, machine, *key), keys)))


def expected(stranger_25: str = "refused", **others: str) -> Picture:
    """Everything open but port 25 for a stranger; ``others`` sets more sources' port 25, as in ``listed="refused"``."""
    states = {"stranger": stranger_25, **others}
    return {
        (source, port, family): states.get(source, "open") if port == 25 else "open"
        for source in SOURCES
        for port in PORTS
        for family in FAMILIES
    }


OPEN = expected("open")
CLOSED = expected("refused")


@dataclass
class Watched:
    """What a ``watching`` saw."""

    attempts: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def watching(
    lab: Lab, machine: Machine, source: str = "stranger", ports: Sequence[int] = (22, 587)
) -> Iterator[Watched]:
    """New connections to ``ports`` again and again while the body runs, and one that stays open all the time.

    Afterwards ``failures`` names everything that was not open; ``attempts`` is at least one for each port and family.
    """
    seen = Watched()
    stop = threading.Event()
    client4, client6 = SOURCES[source]
    standing = [
        lab.connect(client, server, port)
        for client, server in ((client4, machine.place.ipv4), (client6, machine.place.ipv6))
        for port in ports
    ]

    def look() -> None:
        while True:
            last = stop.is_set()
            for port in ports:
                for family in FAMILIES:
                    state = probe(lab, machine, source, port, family)
                    seen.attempts += 1
                    if state != "open":
                        seen.failures.append(f"port {port} over IPv{family}: {state}")
            if last:
                return
            stop.wait(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        for connection in standing:
            with connection:
                try:
                    connection.settimeout(60)
                    connection.sendall(b"x")
                    text = b""
                    while not text.endswith(b"."):
                        piece = connection.recv(64)
                        if not piece:
                            raise OSError("closed")
                        text += piece
                except OSError as error:
                    seen.failures.append(f"a connection that was open before broke: {error}")


# --- the product inside the machine


def product(
    machine: Machine,
    script: str,
    argument: Any = None,
    *,
    timeout: float = 120,
    user: str = "root",
    prefix: Sequence[str] = (),
) -> Any:
    """Run Python code with the product on its path inside the machine, as root.

    ``argument`` is there as ``argument``, ``host`` is ``Host("/")``, and what the code leaves in ``result`` comes back (JSON both ways).

    Raises:
        AssertionError: the code failed; the text is its standard error.
    """
    text = (
        "import json, sys\nfrom conbool_tui.host import Host\n"
        'host, argument, result = Host("/"), json.load(sys.stdin), None\n'
        f"{script}\njson.dump(result, sys.stdout)\n"
    )
    done = machine.run(
        [*prefix, "python3", "-X", "utf8", "-c", text],
        input=json.dumps(argument),
        env=_PYTHON,
        timeout=timeout,
        user=user,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Driver:
    """A ``LiveRules`` that works inside the machine. Problems come back as texts."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name

    def _do(self, expression: str, argument: Any = None) -> Any:
        return product(
            self.machine,
            "import base64\n"
            "from conbool_tui.errors import ConboolError\n"
            "from conbool_tui.firewall import make_live\n"
            f"live = make_live(host, {self.name!r})\n"
            f"result = {expression}",
            argument,
        )

    def read(self) -> Optional[str]:
        """Our rules in force."""
        found = self._do("live.read()")
        assert found is None or isinstance(found, str)
        return found

    def judge(self, text: Optional[str], files: Optional[Mapping[str, Optional[bytes]]] = None) -> list[str]:
        """What the owner objects to."""
        packed = {
            path: None if data is None else data.decode("latin-1") for path, data in (files or {}).items()
        }
        return list(
            self._do(
                "[(problem.text + ' ' + problem.detail).strip() for problem in live.judge(argument[0], "
                "{path: None if data is None else data.encode('latin-1') for path, data in argument[1].items()})]",
                [text, packed],
            )
        )

    def put(self, text: Optional[str]) -> list[str]:
        """Put rules in force; what went wrong."""
        return list(
            self._do(
                "[(problem.text + ' ' + problem.detail).strip() for problem in live.put(argument)]", text
            )
        )


def firewall_facts(machine: Machine, *, user: str = "root", prefix: Sequence[str] = ()) -> dict[str, Any]:
    """What the product's detection says inside the machine; ``files`` maps paths to texts."""
    found = product(
        machine,
        "from detectors.firewall import find_firewall\n"
        "facts = find_firewall(host)\n"
        "result = dict(owner=facts.owner.value, evidence=facts.evidence, rules=facts.rules, tools=dict(facts.tools),\n"
        "    unusable=facts.unusable, remedy=facts.remedy, details=[list(pair) for pair in facts.details],\n"
        "    files={path: file.data.decode('latin-1') for path, file in facts.files.items()})",
        user=user,
        prefix=prefix,
    )
    assert isinstance(found, dict)
    return found


def apply_plan(machine: Machine, networks: Sequence[str] = NETWORKS, wanted: bool = True) -> dict[str, Any]:
    """Do inside the machine what a plan of the firewall planner says: judge, write its files, put its live rules.

    Stands for the transaction, without journal and undo. Returns the plan's titles, notices and files' paths, and the problems met.
    """
    found = product(
        machine,
        "import posixpath\n"
        "from conbool_tui.firewall import make_live\n"
        "from conbool_tui.planners.firewall import plan_firewall\n"
        "from detectors.firewall import find_firewall\n"
        "facts = find_firewall(host)\n"
        "part = plan_firewall(facts, argument[0], argument[1], 60)\n"
        "files = {file.path: file.after for file in part.files}\n"
        "problems = []\n"
        "for target in part.live:\n"
        "    problems += make_live(host, target.name).judge(target.after, files)\n"
        "if not problems:\n"
        "    for file in part.files:\n"
        "        if file.after is None:\n"
        "            host.remove(file.path)\n"
        "        else:\n"
        "            if not host.exists(posixpath.dirname(file.path)):\n"
        "                host.make_folder(posixpath.dirname(file.path))\n"
        "            host.write_atomic(file.path, file.after, host.capture(file.path), mode=file.mode)\n"
        "    for target in part.live:\n"
        "        problems += make_live(host, target.name).put(target.after)\n"
        "result = dict(titles=[change.title for change in part.changes], files=[file.path for file in part.files],\n"
        "    notices=[notice.text for notice in part.notices], live=[target.name for target in part.live],\n"
        "    confirm_within=part.confirm_within,\n"
        "    problems=[(problem.text + ' ' + problem.detail).strip() for problem in problems])",
        [list(networks), wanted],
    )
    assert isinstance(found, dict)
    return found
