"""Detection on real Postfix, run with the machine's own Python inside the machine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from conbool_tui.facts import Outcome
from conbool_tui.host import Host
from detectors import detect_host

from . import messages
from .lab import STRANGER, Lab
from .machine import APP, Machine
from .postfix import PostfixMachine, PostfixSite
from .roots import bare_spec
from .snapshot import differences

VERSIONS = {"bullseye": "3.5", "bookworm": "3.7", "trixie": "3.10"}
ENVIRONMENT = {
    "PYTHONPATH": f"{APP}/app:{APP}/vendor",
    "PYTHONPYCACHEPREFIX": f"{APP}/bytecode",
}
# Prints every fact but the settings as JSON, with the seconds that detection took.
PROBE = """
import dataclasses, json, os, sys, time
from conbool_tui.host import Host
from detectors import detect_host

def spent():
    return sum(os.times()[:4])

begin, used = time.perf_counter(), spent()
found = detect_host(Host("/"), sys.argv[1] if len(sys.argv) > 1 else None)
seconds, cpu = time.perf_counter() - begin, spent() - used

def plain(value):
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return dict(value)

json.dump({"seconds": seconds, "cpu": cpu, "found": found}, sys.stdout, default=plain)
"""


@dataclass(frozen=True)
class Found:
    """One run of the detector: seconds by the clock, and of processor time with all its commands."""

    seconds: float
    cpu: float
    detection: dict[str, Any]
    port_25_owner: str

    @property
    def facts(self) -> dict[str, Any]:
        assert self.detection["outcome"] == "present", self.detection["summary"] + self.detection["reason"]
        facts: dict[str, Any] = self.detection["postfix"]
        return facts

    @property
    def broken(self) -> str:
        """Why it is broken; there must be a remedy, and never a defect of ours."""
        assert self.detection["outcome"] == "broken", self.detection["summary"]
        assert not self.detection["summary"].startswith("The search for")
        assert self.detection["remedy"]
        return str(self.detection["reason"])


def probe(machine: Machine, *arguments: str, user: str = "root", prefix: Sequence[str] = ()) -> Found:
    """Run the detector on the machine."""
    argv = [*prefix, "python3", "-X", "utf8", "-c", PROBE, *arguments]
    done = machine.run(argv, env=ENVIRONMENT, user=user)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    detection = next(one for one in data["found"]["detections"] if one["system"] == "postfix")
    return Found(data["seconds"], data["cpu"], detection, data["found"]["port_25_owner"])


@pytest.fixture(scope="module")
def machine(module_lab: Lab, suite: str) -> PostfixMachine:
    """A machine with a content filter, submission and relay domains; its Postfix runs."""
    site = PostfixSite(
        submission=True,
        content_filter=True,
        relay={"relay.example": "smtp:[192.0.2.40]"},
        main={"smtpd_milters": "inet:localhost:8891"},
    )
    return module_lab.postfix(suite, site)


@contextmanager
def changed(machine: PostfixMachine, script: str) -> Iterator[None]:
    """Change the configuration with a shell script, and put everything back afterwards; nothing is
    reloaded."""
    machine.shell("rm -rf /root/kept && cp -a /etc/postfix /root/kept")
    try:
        machine.shell(script)
        yield
    finally:
        machine.shell("rm -rf /etc/postfix && cp -a /root/kept /etc/postfix")


def edit(**settings: str) -> str:
    """The shell command that sets parameters."""
    return "postconf -e " + " ".join(shlex.quote(f"{name}={value}") for name, value in settings.items())


# --- present


def test_a_normal_host(machine: PostfixMachine, suite: str) -> None:
    found = probe(machine)
    facts = found.facts
    assert facts["version"].startswith(VERSIONS[suite] + ".")
    assert (facts["config_directory"], facts["instance"]) == ("/etc/postfix", "-")
    assert facts["instances"] == [
        {"name": "-", "group": "", "enabled": True, "config_directory": "/etc/postfix"}
    ]
    host = machine.place.hostname
    assert facts["domains"] == {
        "mydestination": ["example.com", host],
        "virtual_alias": ["example.org"],
        "virtual_mailbox": ["example.net"],
        "relay": ["relay.example"],
        "unlisted": [],
        "host_names": [host],
    }
    assert facts["running"] is True
    assert facts["port_25_owner"] == found.port_25_owner == "postfix"
    assert {item["port"] for item in facts["listeners"]} == {25, 587, 10024, 10025}
    assert facts["port_25_services"] == ["smtp/inet"]
    assert facts["submission_services"] == ["submission/inet"]
    assert facts["content_filters"] == [
        {"where": "main.cf", "value": "smtp-scanner:[127.0.0.1]:10024", "reentry": ["127.0.0.1:10025/inet"]}
    ]
    assert facts["milters"] == ["inet:localhost:8891"]
    assert facts["postscreen"] is False
    assert facts["tls_files"]["smtpd_tls_cert_file"] == f"/etc/ssl/certs/{host}.pem"
    assert facts["system_ca_file"] == "/etc/ssl/certs/ca-certificates.crt"
    assert facts["transport_catch_all"] is None
    assert [text for text in facts["warnings"] if "disable_dns_lookups" not in text] == []
    assert sorted(facts["files"]) == ["/etc/postfix/main.cf", "/etc/postfix/master.cf"]


def test_settings_are_postconfs_own(machine: PostfixMachine) -> None:
    facts = probe(machine).facts
    for flags, key in (("", "parameters"), ("-x", "expanded")):
        printed = machine.shell(f"postconf {flags} 2>/dev/null")
        lines = [f"{name} = {value}".rstrip() for name, value in facts[key].items()]
        wanted = [line.rstrip() for line in printed.splitlines() if not line.startswith("process_id = ")]
        assert sorted(lines) == sorted(wanted)
    names = machine.shell("postconf -n 2>/dev/null | cut -d= -f1").split()
    assert facts["explicit"] == sorted(names)
    types = set(machine.shell("postconf -m").split())
    assert set(facts["table_types"]) == {name for name in types if "." not in name}


def test_services_are_postconfs_own(machine: PostfixMachine) -> None:
    facts = probe(machine).facts
    printed = [line.split() for line in machine.shell("postconf -M").splitlines()]
    assert [(item["name"], item["type"], item["command"]) for item in facts["services"]] == [
        (words[0], words[1], words[7]) for words in printed
    ]
    assert [item["chroot"] for item in facts["services"]] == [words[4] == "y" for words in printed]


@pytest.mark.parametrize("level", ["0", "2"])
def test_default_of_the_chroot_column_is_what_master_does(machine: PostfixMachine, level: str) -> None:
    # qmgr and pickup always run; whether their root is the queue directory is the truth about the column.
    script = f"{edit(compatibility_level=level)}; postconf -F pickup/unix/chroot=- qmgr/unix/chroot=n"
    with changed(machine, script):
        machine.run(["postfix", "stop"], check=True)
        machine.postfix_start()
        services = {
            item["name"] + "/" + item["type"]: item["chroot"] for item in probe(machine).facts["services"]
        }
        roots = machine.shell(
            "for name in pickup qmgr; do for dir in /proc/[0-9]*; do"
            ' if [ "$(cat $dir/comm)" = $name ]; then echo $name $(readlink $dir/root); fi; done; done'
        )
        seen = {line.split()[0]: line.split()[1] == "/var/spool/postfix" for line in roots.splitlines()}
        assert seen == {"pickup": level == "0", "qmgr": False}
        assert (services["pickup/unix"], services["qmgr/unix"]) == (seen["pickup"], seen["qmgr"])
    machine.run(["postfix", "stop"], check=True)
    machine.postfix_start()


def test_postscreen(machine: PostfixMachine) -> None:
    script = (
        "postconf -M -X smtp/inet && postconf -M -e 'smtp/inet=smtp inet n - y - 1 postscreen'"
        " 'smtpd/pass=smtpd pass - - y - - smtpd'"
    )
    with changed(machine, script):
        facts = probe(machine).facts
        assert facts["postscreen"] is True
        assert facts["port_25_services"] == ["smtpd/pass"]


def test_nothing_is_written(machine: PostfixMachine) -> None:
    before = {name: machine.snapshot(name) for name in ("/etc", "/var/lib/postfix")}
    queue = machine.shell("find /var/spool/postfix -xdev -printf '%p %m %u %s %C@\\n' | sort")
    probe(machine)
    for name, snapshot in before.items():
        assert differences(snapshot, machine.snapshot(name)) == []
    assert machine.shell("find /var/spool/postfix -xdev -printf '%p %m %u %s %C@\\n' | sort") == queue


def test_without_root(machine: PostfixMachine) -> None:
    found = probe(machine, user="alice")
    assert found.facts["running"] is True
    assert found.port_25_owner == "unknown"
    assert found.facts["domains"]["virtual_alias"] == ["example.org"]
    assert found.cpu < 1.0
    with changed(machine, "chmod 600 /etc/postfix/main.cf"):
        reason = probe(machine, user="alice").broken
        assert "/etc/postfix/main.cf cannot be read" in reason


def test_without_proc(machine: PostfixMachine) -> None:
    script = 'umount -l /proc && exec "$@"'
    found = probe(machine, prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
    assert found.facts["running"] is True
    assert found.port_25_owner == ""


def test_another_root(machine: PostfixMachine) -> None:
    inside = probe(machine).facts
    found = detect_host(Host(str(machine.path("/"))))
    detection = found.get("postfix")
    assert detection is not None
    assert detection.outcome is Outcome.PRESENT
    facts = detection.postfix
    assert facts is not None
    assert dict(facts.parameters) == inside["parameters"]
    assert list(facts.domains.all()) == list(
        dict.fromkeys(
            inside["domains"][name][index]
            for name in ("mydestination", "virtual_alias", "virtual_mailbox", "relay")
            for index in range(len(inside["domains"][name]))
        )
    )
    assert (facts.running, facts.listeners, found.port_25_owner) == (False, (), "")


# --- domains


def test_ten_thousand_domains(machine: PostfixMachine) -> None:
    database = machine.postconf("default_database_type")
    script = f"""
        cd /etc/postfix
        seq -f 'd%g.example x' 1 10000 >many; postmap {database}:/etc/postfix/many
        seq -f 'm%g.example' 1 10000 >list
        seq -f 't%g.example x' 1 10000 >text
        """ + edit(
        virtual_mailbox_domains=f"{database}:/etc/postfix/many",
        mydestination="$myhostname, example.com, !m7.example, /etc/postfix/list",
        relay_domains="texthash:/etc/postfix/text, inline:{i.example=1}",
        transport_maps=f"{database}:/etc/postfix/many",
    )
    with changed(machine, script):
        found = min((probe(machine) for _ in range(3)), key=lambda item: item.cpu)
    domains = found.facts["domains"]
    assert sorted(domains["virtual_mailbox"]) == sorted(f"d{number}.example" for number in range(1, 10001))
    wanted = ["example.com", *(f"m{number}.example" for number in range(1, 10001) if number != 7)]
    assert domains["mydestination"] == [*wanted, machine.place.hostname]
    assert sorted(domains["relay"]) == sorted(
        ["i.example", *(f"t{number}.example" for number in range(1, 10001))]
    )
    assert domains["unlisted"] == []
    print(f"3 times 10,000 domains: {found.seconds:.3f} s by the clock, {found.cpu:.3f} s of processor time")
    # Processor time, because the clock also counts what else this machine does.
    assert found.cpu < 0.6, found


def test_every_local_table_type_is_listed_and_the_rest_named(machine: PostfixMachine) -> None:
    indexed = [
        name for name in ("hash", "btree", "lmdb", "cdb") if name in machine.shell("postconf -m").split()
    ]
    assert len(indexed) >= 3
    lines = ["cd /etc/postfix"]
    lines += [
        f"printf '{name}.example x\\nuser@{name}.example x\\n' >in-{name}; postmap {name}:in-{name}"
        for name in indexed
    ]
    lines.append("printf '/^pattern/ x\\n' >pattern; printf 'user = x\\n' >sql.cf")
    tables = ", ".join(f"{name}:/etc/postfix/in-{name}" for name in indexed)
    lines.append(
        edit(
            relay_domains=tables + ", regexp:/etc/postfix/pattern, .sub.example",
            virtual_alias_maps=f"proxy:{indexed[1]}:/etc/postfix/in-{indexed[1]}",
            virtual_alias_domains="$virtual_alias_maps",
        )
    )
    with changed(machine, "\n".join(lines)):
        domains = probe(machine).facts["domains"]
    assert domains["relay"] == [f"{name}.example" for name in indexed]
    assert domains["virtual_alias"] == [f"{indexed[1]}.example"]
    assert domains["unlisted"] == [
        "relay_domains: regexp:/etc/postfix/pattern",
        "relay_domains: .sub.example (every subdomain)",
    ]


def test_postfix_agrees_about_negation_and_order(machine: PostfixMachine, module_lab: Lab) -> None:
    # Postfix itself is asked: it refuses to relay a stranger's mail for what is not in relay_domains.
    names = (
        "out.example",
        "in.example",
        "also-out.example",
        "also-in.example",
        "note.example",
        "last.example",
        "tail.example",
    )
    listed = "!out.example, in.example, /etc/postfix/list, out.example, !!last.example # tail.example"
    settings = edit(
        relay_domains=listed,
        content_filter="",
        smtpd_milters="",
    )
    text = "!also-out.example\\n  also-in.example # note.example\\n# more.example\\n"
    script = f"printf '{text}' >/etc/postfix/list; {settings}; postfix reload"
    with changed(machine, script):
        domains = probe(machine).facts["domains"]["relay"]
        accepted = [name for name in names if _accepts(module_lab, machine, "x@" + name)]
        machine.drop_queue()
    machine.run(["postfix", "reload"], check=True)
    assert sorted(domains) == sorted(accepted)
    assert "in.example" in accepted
    assert "out.example" not in accepted


def _accepts(lab: Lab, machine: PostfixMachine, recipient: str) -> bool:
    """Whether the machine takes a stranger's mail for a recipient."""
    return lab.send(
        machine, messages.plain(), recipient, sender="x@outside-a.example", source=STRANGER
    ).accepted


def test_catch_all_transport(machine: PostfixMachine) -> None:
    database = machine.postconf("default_database_type")
    script = (
        f"printf '* smtp:[192.0.2.30]\\n' >/etc/postfix/all; postmap {database}:/etc/postfix/all; "
        + edit(transport_maps=f"inline:{{x.example=local:}}, proxy:{database}:/etc/postfix/all")
    )
    with changed(machine, script):
        assert probe(machine).facts["transport_catch_all"] == "smtp:[192.0.2.30]"


# --- broken


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (edit(message_size_limit="abc"), "message_size_limit"),
        (edit(mail_owner="nobody-there"), "nobody-there"),
        ("echo 'no equals sign' >>/etc/postfix/main.cf", "no equals sign"),
        ("mv /etc/postfix/main.cf /etc/postfix/gone", "/etc/postfix/main.cf is missing"),
        ("mv /etc/postfix/master.cf /etc/postfix/gone", "/etc/postfix/master.cf is missing"),
        ("echo 'short inet n' >>/etc/postfix/master.cf", "field"),
        ("echo 'x xinet n - n - - smtpd' >>/etc/postfix/master.cf", "xinet"),
        ("rm /etc/postfix/virtual.*", "virtual_alias_maps"),
        (edit(header_checks="pcre:/etc/postfix/none"), "/etc/postfix/none does not exist"),
    ],
)
def test_broken(machine: PostfixMachine, script: str, reason: str) -> None:
    with changed(machine, script):
        found = probe(machine)
    assert reason in found.broken


def test_stopped_postfix_and_a_stranger_on_port_25(machine: PostfixMachine) -> None:
    machine.run(["postfix", "stop"], check=True)
    stranger = None
    try:
        found = probe(machine)
        assert (found.facts["running"], found.port_25_owner) == (False, "")
        stranger = machine.popen(["sh", "-c", "echo $$ >/run/stranger.pid; exec python3 -m http.server 25"])
        machine.wait_port(25)
        found = probe(machine)
        assert found.facts["running"] is False
        assert found.port_25_owner == "python3"
    finally:
        if stranger is not None:
            machine.shell("kill $(cat /run/stranger.pid)")
            stranger.wait()
        machine.postfix_start()


# --- managed, instances, absent


@pytest.mark.parametrize(
    ("script", "name", "evidence"),
    [
        ("touch /etc/iredmail-release", "iRedMail", "/etc/iredmail-release"),
        ("mkdir -p /usr/local/psa; echo 18 >/usr/local/psa/version", "Plesk", "/usr/local/psa/version"),
        ("sed -i '1i # Ansible managed' /etc/postfix/main.cf", "Ansible", "/etc/postfix/main.cf"),
    ],
)
def test_managed(machine: PostfixMachine, script: str, name: str, evidence: str) -> None:
    with changed(machine, script):
        detection = probe(machine).detection
        machine.shell("rm -rf /etc/iredmail-release /usr/local/psa")
    assert (detection["outcome"], detection["managed_by"], detection["evidence"]) == (
        "managed",
        name,
        evidence,
    )
    assert detection["postfix"]["version"]


def test_two_instances(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, PostfixSite())
    machine.shell(
        "postmulti -e init; postmulti -I postfix-out -G mta -e create;"
        " postconf -c /etc/postfix-out -e myhostname=out.example.com master_service_disable=;"
        " sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix-out/master.cf;"
        " postmulti -i postfix-out -e enable; postmulti -i postfix-out -p start"
    )
    machine.wait_port(2525)
    first = probe(machine).facts
    assert first["instance"] == "-"
    assert [(item["name"], item["config_directory"]) for item in first["instances"]] == [
        ("-", "/etc/postfix"),
        ("postfix-out", "/etc/postfix-out"),
    ]
    second = probe(machine, "postfix-out").facts
    assert (second["instance"], second["config_directory"]) == ("postfix-out", "/etc/postfix-out")
    assert second["parameters"]["myhostname"] == "out.example.com"
    assert sorted(second["files"]) == ["/etc/postfix-out/main.cf", "/etc/postfix-out/master.cf"]
    assert (first["running"], second["running"]) == (True, True)
    assert first["port_25_owner"] == "postfix"
    assert second["port_25_owner"] == "postfix (another instance)"
    assert (first["port_25_services"], second["port_25_services"]) == (["smtp/inet"], [])
    by_user = probe(machine, user="alice").facts
    assert by_user["instances"] == first["instances"]
    assert "'third'" in probe(machine, "third").broken
    machine.shell("postmulti -i postfix-out -p stop")
    assert probe(machine, "postfix-out").facts["running"] is False


def test_no_postfix(lab: Lab) -> None:
    machine = lab.machine(Machine, bare_spec("bookworm"))
    detection = probe(machine).detection
    assert (detection["outcome"], detection["postfix"]) == ("absent", None)
