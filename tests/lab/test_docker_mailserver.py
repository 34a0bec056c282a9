"""docker-mailserver: the plan of its configuration volume on a Postfix that was rendered as docker-mailserver does it, with real mail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

import pytest
import yaml

from conbool_tui.docker_mailserver.script import SCRIPT

from . import messages
from .docker_mailserver import CONFIG, MOUNT, PROJECT, SIEVE, DockerMailserverMachine, DockerSite
from .lab import CONBOOL, STRANGER, Lab
from .messages import Message
from .roots import dovecot_spec, postfix_spec
from .snapshot import differences

pytestmark = pytest.mark.lab

OUT = "friend@outside-a.example"
LOOP, RELEASED = "X-Conbool-example-com: true", "X-Conbool-Released: yes"
PATCHES = '#!/bin/bash\n# The admin\'s own.\npostconf -e "smtpd_tls_auth_only = yes"\nexit 0\n'


def make(lab: Lab, site: DockerSite) -> DockerMailserverMachine:
    """A running installation."""
    spec = dovecot_spec("bookworm") if site.dovecot else postfix_spec("bookworm")
    machine = lab.machine(DockerMailserverMachine, spec)
    machine.set_up_docker(site, lab.authority.issue(machine.place.hostname))
    for domain in machine.site.hosted:
        lab.dns.zone.set(domain, "MX", "10 in.conbool.com.")
    machine.start()
    return machine


def conbool(lab: Lab, machine: DockerMailserverMachine, command: str, *flags: str, **changes: Any) -> Any:
    """Run a command with answers for docker-mailserver; the completed process."""
    answers = {key: value for key, value in lab.answers(machine, **changes).items() if key != "domains"}
    answers.setdefault("inbound", {})
    machine.write("/root/answers.yaml", yaml.safe_dump(answers), 0o600)
    return machine.conbool(
        "--mail-system", "docker-mailserver", command, "--answers", "/root/answers.yaml", *flags
    )


def meaning(machine: DockerMailserverMachine) -> str:
    """What the Postfix in the container is set to."""
    return machine.shell("postconf -n; postconf -M; postconf -P")


@pytest.fixture(scope="module")
def applied(module_lab: Lab) -> tuple[Lab, DockerMailserverMachine, str]:
    """An installation with Amavis and an admin's own user-patches.sh, after ``apply``; what Postfix was set to before."""
    machine = make(module_lab, DockerSite(config={"user-patches.sh": PATCHES}, dovecot=True))
    before = meaning(machine)
    done = conbool(module_lab, machine, "apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr + machine.log()[-2000:]
    return module_lab, machine, before


@dataclass(frozen=True)
class Case:
    """One message, where it must go, and how often the content filter sees it."""

    name: str
    build: Callable[[], Message]
    places: Sequence[str]
    scanned: int = 1
    sender: str = "alice@example.com"
    source: str = ""
    recipients: Sequence[str] = (OUT,)


def marked(*headers: str) -> Callable[[], Message]:
    """A plain message with these header lines."""
    return lambda: messages.build(headers)


CASES = [
    Case("plain", messages.plain, ("conbool",)),
    Case("other hosted domain", messages.plain, ("conbool",), sender="info@example.org"),
    Case("not hosted", messages.plain, ("outside_a",), sender="x@elsewhere.example"),
    Case("null sender", messages.plain, ("outside_a",), sender=""),
    Case("loop", marked(LOOP), ("outside_a",)),
    Case("released", marked(RELEASED), ("outside_a",)),
    Case(
        "loop to hosted and outside",
        marked(LOOP),
        ("mx1:alice@example.com", "outside_a"),
        recipients=("alice@example.com", OUT),
    ),
    Case("calendar", messages.calendar, ("outside_a",)),
    Case("hosted", messages.plain, ("mx1:alice@example.com",), recipients=("alice@example.com",)),
    Case(
        "from Conbool",
        messages.plain,
        ("mx1:alice@example.com",),
        scanned=0,
        source=CONBOOL,
        sender="x@elsewhere.example",
        recipients=("alice@example.com",),
    ),
    Case(
        "flagged by Conbool",
        marked("X-Conbool-Flag: YES"),
        ("mx1:alice@example.com/Junk",),
        scanned=0,
        source=CONBOOL,
        sender="x@elsewhere.example",
        recipients=("alice@example.com",),
    ),
    Case(
        "released by Conbool",
        marked(RELEASED, "X-Conbool-Flag: YES"),
        ("mx1:alice@example.com",),
        scanned=0,
        source=CONBOOL,
        sender="x@elsewhere.example",
        recipients=("alice@example.com",),
    ),
    Case(
        "from a stranger with a marker",
        marked(RELEASED, "X-Conbool-Flag: YES"),
        ("mx1:alice@example.com",),
        source=STRANGER,
        sender="x@elsewhere.example",
        recipients=("alice@example.com",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_route(applied: tuple[Lab, DockerMailserverMachine, str], case: Case) -> None:
    """Each kind of message goes where the guide says, through the content filter."""
    lab, machine, _ = applied
    message = case.build()
    lab.send(machine, message, case.recipients, sender=case.sender, source=case.source)
    lab.expect(message, *case.places)
    assert machine.scanned(message.token) == case.scanned


def test_smart_host_over_verified_tls(applied: tuple[Lab, DockerMailserverMachine, str]) -> None:
    """The name in the certificate counts: with another one the mail waits."""
    lab, machine, _ = applied
    message = messages.plain()
    lab.send(machine, message, OUT)
    lab.expect(message, "conbool")
    assert "Verified TLS connection established to mail.conbool.com" in machine.log()


def test_a_new_container_is_set_up_alike(applied: tuple[Lab, DockerMailserverMachine, str]) -> None:
    """user-patches.sh brings the same settings into a new container, and nothing is left to plan."""
    lab, machine, _ = applied
    live = meaning(machine)
    assert "conbool-tui" not in machine.recreate()
    assert meaning(machine) == live
    planned = conbool(lab, machine, "plan")
    assert planned.returncode == 0, planned.stdout
    message = messages.plain()
    lab.send(machine, message, OUT)
    lab.expect(message, "conbool")


def test_undo_leaves_nothing(applied: tuple[Lab, DockerMailserverMachine, str]) -> None:
    """Another plan on top, an edit of the admin's, then both changes taken back in the running container, mail in the queue included."""
    lab, machine, before = applied
    files = machine.read_text(f"{CONFIG}/user-patches.sh")
    changed = conbool(
        lab, machine, "apply", "--yes", scope={"mode": "senders", "senders": ["alice@example.com"]}
    )
    assert changed.returncode == 0, changed.stderr
    other = messages.plain()
    lab.send(machine, other, OUT, sender="info@example.org")
    lab.expect(other, "outside_a")
    assert machine.read_text(f"{CONFIG}/user-patches.sh") == files
    machine.write(
        f"{CONFIG}/user-patches.sh", "# A later line.\n".join(files.partition("exit 0\n")[::2]) + "exit 0\n"
    )
    lab.dns.zone.set("waiting.example", "MX", "10 mx.waiting.example.")
    lab.dns.zone.host("mx.waiting.example", "203.0.113.250")
    waiting = messages.loop()
    lab.send(machine, waiting, "x@waiting.example")
    lab.settle()
    assert "refused" in " ".join(machine.delay_reasons())
    machine.shell("postconf -e 'message_size_limit = 12345678'; touch -d '1 hour ago' /etc/postfix/main.cf")
    for _ in range(2):
        undone = machine.conbool("--mail-system", "docker-mailserver", "undo", "--yes")
        assert undone.returncode == 0, undone.stdout + undone.stderr
    lines = [line for line in meaning(machine).splitlines() if not line.startswith("message_size_limit")]
    assert lines == before.splitlines()
    assert not machine.exists(f"{CONFIG}/conbool")
    assert machine.shell(f"ls {SIEVE}/before") == ""
    assert machine.read_text(f"{CONFIG}/user-patches.sh") == PATCHES.replace(
        "exit 0\n", "# A later line.\nexit 0\n"
    )
    assert not [name for name in machine.shell("ls -A /etc/postfix").split() if "conbool" in name]
    message = messages.plain()
    lab.send(machine, message, OUT)
    lab.expect(message, "outside_a")
    # What waited for a service that is gone goes the usual way now.
    machine.flush()
    lab.settle()
    (reason,) = machine.delay_reasons()
    assert "refused" in reason
    machine.drop_queue()


def test_what_fails_leaves_everything_as_it_was(applied: tuple[Lab, DockerMailserverMachine, str]) -> None:
    """A reload that fails, a volume that cannot be written, a volume that this user may not read, a container that does not answer."""
    lab, machine, before = applied
    message_size = "message_size_limit = 12345678"
    if machine.exists(f"{CONFIG}/conbool"):
        assert machine.conbool("--mail-system", "docker-mailserver", "undo", "--yes").returncode == 0
    tree = machine.snapshot(CONFIG)

    def unchanged() -> None:
        lines = [line for line in meaning(machine).splitlines() if line != message_size]
        assert lines == before.splitlines()
        assert not [line for line in differences(tree, machine.snapshot(CONFIG)) if ": mtime_ns " not in line]

    machine.write("/etc/lab-broken", "")
    failed = conbool(lab, machine, "apply", "--yes")
    machine.path("/etc/lab-broken").unlink()
    # The old files are back; taking them up was refused, too, and is done by whatever reloads next.
    assert failed.returncode in (4, 5), failed.stderr
    assert "broken" in failed.stderr
    machine.shell(f"bash -s <<'X'\n{SCRIPT}\nX\npostfix reload")
    unchanged()
    machine.shell(f"mount --bind {CONFIG} {CONFIG}; mount -o remount,bind,ro {CONFIG}")
    failed = conbool(lab, machine, "apply", "--yes")
    machine.shell(f"umount {CONFIG}")
    assert failed.returncode == 3, failed.stderr
    assert "read-only" in failed.stderr.lower()
    unchanged()
    machine.shell(f"chmod 700 {CONFIG}")
    looked = machine.run(
        ["conbool-tui", "--mail-system", "docker-mailserver", "plan", "--domains", "example.com"],
        user="alice",
    )
    machine.shell(f"chmod 755 {CONFIG}")
    assert looked.returncode in (3, 77)
    assert CONFIG in " ".join(looked.stderr.split())
    machine.write("/etc/lab-running", "false\n")
    planned = conbool(lab, machine, "plan")
    machine.write("/etc/lab-running", "true\n")
    assert planned.returncode in (2, 3)
    unchanged()


@pytest.mark.parametrize("version", ["11.3.1", "13.3.1"])
def test_without_docker(lab: Lab, version: str) -> None:
    """Files only: planned for what the release sets up, with a relay host of the admin's; a new container brings it in force; undo and another
    new container take it away."""
    site = DockerSite(
        version=version,
        amavis=version.startswith("13"),
        relay="[mail.conbool.com]:25",
        docker=False,
        config={
            "postfix-main.cf": "smtputf8_enable = no\n# A comment.\nmax_idle =\n   90s",
            "postfix-master.cf": "# Lines.\nsmtpd/pass/smtpd_discard_ehlo_keywords=chunking\n",
        },
    )
    machine = make(lab, site)
    before = meaning(machine)
    tree = machine.snapshot(PROJECT)
    planned = conbool(lab, machine, "plan")
    assert planned.returncode == 2
    assert f"docker compose -f {PROJECT}/compose.yaml up -d --force-recreate mailserver" in planned.stdout
    applied = conbool(lab, machine, "apply", "--yes")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert meaning(machine) == before
    assert conbool(lab, machine, "plan").returncode == 0
    environment = machine.read_text(f"{PROJECT}/mailserver.env")
    assert environment.index("DEFAULT_RELAY_HOST=\n") > environment.index("DEFAULT_RELAY_HOST=[mail")
    # The release's own restrictions are not known to the letter without a container: the new one says so.
    assert "docker-mailserver sets smtpd_recipient_restrictions to something else" in machine.recreate()
    for message, place in ((messages.plain(), "conbool"), (messages.loop(), "outside_a")):
        lab.send(machine, message, OUT)
        lab.expect(message, place)
        assert machine.scanned(message.token) == int(site.amavis)
    undone = machine.conbool("--mail-system", "docker-mailserver", "undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    # A folder in which a file came and went has another time.
    assert not [line for line in differences(tree, machine.snapshot(PROJECT)) if ": mtime_ns " not in line]
    machine.recreate()
    assert meaning(machine) == before


def test_port_25_behind_postscreen(lab: Lab) -> None:
    """Closed to strangers, also through postscreen; and nothing changes when the new settings are refused in the container."""
    machine = make(lab, DockerSite(amavis=False))
    closed = {
        "relay_host": "mx1.example.com",
        "restrict_port_25": True,
        "close_despite_mx": True,
        "confirm_within": 600,
    }
    done = conbool(lab, machine, "apply", "--yes", inbound=closed)
    assert done.returncode in (0, 2), done.stdout + done.stderr
    confirmed = machine.conbool("--mail-system", "docker-mailserver", "confirm")
    assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
    refused = lab.send(
        machine, messages.plain(), "alice@example.com", sender="x@elsewhere.example", source=STRANGER
    )
    assert not refused.accepted
    message = messages.plain()
    lab.send(machine, message, "alice@example.com", sender="x@elsewhere.example", source=CONBOOL, tls=True)
    lab.expect(message, "mx1:alice@example.com")
    live, tree = meaning(machine), machine.snapshot(CONFIG)
    # The container's Postfix loses a table type that the plan needs: the judge must see it.
    machine.shell(
        "mv /usr/sbin/postmap /usr/sbin/postmap.lab; printf '#!/bin/sh\\necho broken >&2; exit 1\\n' >/usr/sbin/postmap; chmod 755 /usr/sbin/postmap"
    )
    failed = conbool(lab, machine, "apply", "--yes")
    assert failed.returncode == 3
    assert "cannot be used" in failed.stderr
    assert (meaning(machine), machine.snapshot(CONFIG)) == (live, tree)
    assert json.loads(machine.read_text("/etc/lab-container.json"))[0]["Mounts"][0]["Destination"] == MOUNT
