"""The laboratory itself: does it deliver, record, refuse and isolate as the other tests rely on?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import messages
from .dns import Zone
from .lab import CONBOOL, CONBOOL6, SINKS, STRANGER, STRANGER6, Lab
from .machine import Machine
from .mirror import deb822_sources, one_line_sources
from .netns import is_leftover, owner_tag
from .postfix import PASSWORD, PostfixMachine, PostfixSite
from .roots import bare_spec, postfix_spec
from .snapshot import differences
from .vendor import CHECKOUT

FOREIGN = "someone@outside-a.example"
VERSIONS = {"bullseye": "3.5", "bookworm": "3.7", "trixie": "3.10"}
PYTHONS = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}


@pytest.fixture(scope="module")
def shared(lab_ready: None, suite: str) -> Iterator[tuple[Lab, PostfixMachine]]:
    """One lab with one stock machine per release."""
    with Lab() as lab:
        yield lab, lab.postfix(suite, PostfixSite(submission=True, forwards={"carol": "c@outside-b.example"}))


def test_versions(shared: tuple[Lab, PostfixMachine], suite: str) -> None:
    machine = shared[1]
    assert machine.postconf("mail_version").startswith(VERSIONS[suite] + ".")
    assert machine.run(["python3", "--version"], check=True).stdout.startswith(f"Python {PYTHONS[suite]}.")
    assert "pcre" in machine.run(["postconf", "-m"], check=True).stdout.split()


def test_delivery_by_mx_is_recorded(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    message = messages.plain()
    assert lab.send(machine, message, FOREIGN, helo="desk.example.com").accepted
    assert lab.wait_delivered(message) == ["outside_a"]
    (record,) = lab.outside_a.find(message.token)
    assert record.peer == machine.place.ipv4
    assert record.helo == "mx1.example.com"
    assert record.tls is not None
    assert record.tls.version == "TLSv1.3"
    assert record.tls.client_name is None
    assert (record.sender, record.recipients) == ("alice@example.com", (FOREIGN,))
    assert record.body_sha256 == message.body_sha256
    assert record.headers("Message-ID") == [f"<{message.token}@lab.invalid>"]
    assert record.auth_user is None
    assert lab.dns.asked("outside-a.example", "MX")
    assert lab.dns.asked("outside-a.example", "MX")[0].source == machine.place.ipv4


@pytest.mark.parametrize("make", [messages.eight_bit, messages.large], ids=["8bit", "5MB"])
def test_bodies_arrive_unchanged(shared: tuple[Lab, PostfixMachine], make: object) -> None:
    assert callable(make)
    lab, machine = shared
    message = make()
    assert lab.send(machine, message, FOREIGN).accepted
    (record,) = lab.outside_a.wait(token=message.token)
    assert record.body_sha256 == message.body_sha256
    if message.options:
        assert "BODY=8BITMIME" in record.mail_options


def test_a_changed_body_has_another_digest() -> None:
    message = messages.plain()
    assert messages.body_digest(message.raw + b".") != message.body_sha256
    assert messages.body_digest(message.raw.replace(b"\r\n", b"\n")) == message.body_sha256


def test_stranger_may_not_relay(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    sent = lab.send(machine, messages.plain(), FOREIGN, source=STRANGER)
    assert sent.code == 554
    assert not sent.accepted
    assert list(sent.refused) == [FOREIGN]


@pytest.mark.parametrize("source", [CONBOOL, CONBOOL6, STRANGER, STRANGER6, "neighbour4", "neighbour6"])
def test_source_addresses_are_seen(shared: tuple[Lab, PostfixMachine], source: str) -> None:
    lab, machine = shared
    address = getattr(machine.place, source) if source.startswith("neighbour") else source
    message = messages.plain()
    assert lab.send(machine, message, "alice@example.com", source=address).accepted
    lab.expect(message, "mx1:alice")
    (stored,) = [one for one in machine.mailbox("alice") if message.token.encode() in one.raw]
    assert f"[{'IPv6:' if ':' in address else ''}{address}]" in stored.headers("Received")[0]


def test_every_class_of_domain(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    message = messages.plain()
    to = [
        "bob@example.com",
        "info@example.org",
        "sales@example.net",
        "carol@example.com",
        "x@outside-b.example",
    ]
    assert not lab.send(machine, message, to).refused
    lab.expect(message, "mx1:bob", "mx1:alice", "mx1:sales@example.net", "outside_b", "outside_b")


def test_bounce_reaches_the_sender(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    message = messages.plain()
    lab.outside_b.refuse("rcpt", "550 5.1.1 unknown")
    try:
        assert lab.send(machine, message, "nobody@outside-b.example", sender="dave@example.com").accepted
        lab.expect(message, "mx1:dave")
    finally:
        lab.outside_b.accept()
    (bounce,) = machine.mailbox("dave")
    assert bounce.headers("Return-Path") == ["<>"]


def test_sendmail_command(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    message = messages.plain()
    machine.sendmail(message.raw, [FOREIGN])
    (record,) = lab.outside_a.wait(token=message.token)
    assert record.sender == "alice@mx1.example.com"
    null = messages.plain()
    machine.sendmail(null.raw, [FOREIGN], sender="")
    assert lab.outside_a.wait(token=null.token)[0].sender == ""


def test_submission_needs_the_password(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    message = messages.plain()
    wrong = lab.send(
        machine, message, FOREIGN, source=STRANGER, port=587, tls=True, auth=("alice@example.com", "x")
    )
    assert wrong.code == 535
    without = lab.send(machine, message, FOREIGN, source=STRANGER, port=587, tls=True)
    assert without.code == 554
    right = lab.send(
        machine, message, FOREIGN, source=STRANGER, port=587, tls=True, auth=("alice@example.com", PASSWORD)
    )
    assert right.accepted
    assert right.tls == "TLSv1.3"
    lab.expect(message, "outside_a")


@pytest.mark.parametrize("kind", ["wrong_name", "expired", "self_signed", "untrusted", "none"])
def test_bad_certificates_keep_mail_queued(shared: tuple[Lab, PostfixMachine], kind: str) -> None:
    lab, machine = shared
    machine.configure({"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "hostname"})
    lab.outside_a.certificate = kind
    message = messages.plain()
    try:
        assert lab.send(machine, message, FOREIGN).accepted
        lab.expect(message)
        assert len(machine.queue()) == 1
        (reason,) = machine.delay_reasons()
        word = "TLS is required" if kind == "none" else "Server certificate not"
        assert word in reason
        lab.outside_a.certificate = "good"
        machine.flush()
        lab.expect(message, "outside_a")
        assert machine.queue() == []
    finally:
        lab.outside_a.certificate = "good"
        machine.configure({"smtp_tls_security_level": "may", "smtp_tls_secure_cert_match": None})
        machine.drop_queue()


def test_client_certificate_is_recorded(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    name = machine.place.hostname
    files = {
        "smtp_tls_cert_file": f"/etc/ssl/certs/{name}.pem",
        "smtp_tls_key_file": f"/etc/ssl/private/{name}.key",
    }
    machine.configure(files)
    try:
        message = messages.plain()
        assert lab.send(machine, message, FOREIGN).accepted
        (record,) = lab.outside_a.wait(token=message.token)
        assert record.tls is not None
        assert record.tls.client_name == name
        listed = machine.shell(f"openssl x509 -noout -fingerprint -sha256 -in /etc/ssl/certs/{name}.pem")
        assert record.tls.client_sha256 == listed.strip().split("=")[1].replace(":", "").lower()
    finally:
        machine.configure(dict.fromkeys(files))


def test_nothing_leads_out(shared: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = shared
    for namespace in (lab.inet, machine.netns):
        for family in ("-4", "-6"):
            routes = subprocess.run(
                ["ip", "-n", namespace.name, family, "route", "show", "default"],
                capture_output=True,
                check=True,
            ).stdout
            assert routes == b""
        # 9.9.9.9 is nobody's business: the kernel itself says that there is no way.
        with pytest.raises(OSError, match="unreachable"):
            namespace.call(lambda: socket.create_connection(("9.9.9.9", 53), 2))
    links = subprocess.run(
        ["ip", "-n", lab.inet.name, "-br", "link"], capture_output=True, text=True, check=True
    )
    names = {line.split("@")[0].split()[0] for line in links.stdout.splitlines()}
    assert names <= {"lo", "m0"}


def test_provider_records_auth(lab: Lab) -> None:
    site = PostfixSite(
        main={
            "relayhost": "[smtp.provider.example]:25",
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_password_maps": "texthash:/etc/postfix/sasl_passwd",
            "smtp_sasl_security_options": "noanonymous",
        },
        files={"/etc/postfix/sasl_passwd": "[smtp.provider.example]:25 customer:secret\n"},
    )
    machine = lab.postfix("bookworm", site)
    message = messages.plain()
    lab.send(machine, message, FOREIGN)
    lab.expect(message, "provider")
    assert lab.provider.received[0].auth_user == "customer"


def test_content_filter_scans_once(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, PostfixSite(content_filter=True))
    message = messages.eight_bit()
    assert lab.send(machine, message, [FOREIGN, "alice@example.com"]).accepted
    lab.expect(message, "outside_a", "mx1:alice")
    (record,) = lab.outside_a.received
    assert record.headers("X-Scanned") == ["yes"]
    assert record.body_sha256 == message.body_sha256
    assert machine.scanned(message.token) == 1


def test_sink_down_and_refusing(lab: Lab) -> None:
    machine = lab.postfix("bookworm")
    lab.outside_a.down()
    message = messages.plain()
    lab.send(machine, message, FOREIGN)
    lab.expect(message)
    assert "refused" in machine.delay_reasons()[0]
    lab.outside_a.up()
    lab.outside_a.refuse("data", "451 4.3.0 later")
    machine.flush()
    deadline = time.monotonic() + 60
    while "451 4.3.0 later" not in machine.delay_reasons()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lab.outside_a.accept()
    machine.flush()
    lab.expect(message, "outside_a")


def test_name_service_trouble(lab: Lab) -> None:
    machine = lab.postfix("bookworm")
    lab.dns.trouble("outside-a.example", "SERVFAIL")
    message = messages.plain()
    lab.send(machine, message, FOREIGN)
    lab.expect(message)
    assert "try again" in machine.delay_reasons()[0]
    lab.dns.repair()
    machine.flush()
    lab.expect(message, "outside_a")
    assert lab.dns.asked("mail.conbool.com") == []


def test_without_pcre(lab: Lab) -> None:
    machine = lab.postfix("bookworm", pcre=False)
    types = machine.run(["postconf", "-m"], check=True).stdout.split()
    assert "pcre" not in types
    assert "regexp" in types


def test_two_machines_talk(lab: Lab) -> None:
    first = lab.postfix("bookworm")
    second = lab.postfix("bullseye", PostfixSite(local=("second.example",), virtual_aliases={}, mailboxes=()))
    lab.dns.zone.set("second.example", "MX", f"10 {second.place.hostname}.")
    message = messages.plain()
    lab.send(first, message, "bob@second.example")
    lab.expect(message, "mx2:bob")


def test_expect_fails_on_a_wrong_place(lab: Lab) -> None:
    machine = lab.postfix("bookworm")
    message = messages.plain()
    lab.send(machine, message, FOREIGN)
    lab.expect(message, "outside_a")
    with pytest.raises(AssertionError, match="found at \\['outside_a'\\]"):
        lab.expect(message, "outside_b", timeout=3)
    with pytest.raises(AssertionError, match="expected at \\[\\]"):
        lab.expect(message)
    with pytest.raises(AssertionError):
        lab.expect(message, "outside_a", "outside_a", timeout=3)


def test_machine_basics(lab: Lab) -> None:
    machine = lab.machine(Machine, bare_spec("bookworm"))
    assert machine.run(["sh", "-c", "cat; exit 3"], input="hello").returncode == 3
    assert machine.run(["cat"], input="hello").stdout == "hello"
    assert machine.run(["cat"]).stdout == ""
    assert machine.run(["hostname"]).stdout == "mx1\n"
    assert machine.run(["id", "-un"], user="alice").stdout == "alice\n"
    with pytest.raises(subprocess.TimeoutExpired) as slow:
        machine.run(["sh", "-c", "echo begun; sleep 600"], timeout=5)
    assert slow.value.stdout == b"begun\n"
    assert "sleep" not in machine.run(["ps", "-e"]).stdout
    machine.shell("ln -s /etc/hostname /etc/link")
    assert machine.read("/etc/link") == b"mx1\n"
    before = machine.snapshot("/etc")
    assert differences(before, machine.snapshot("/etc")) == []
    machine.shell("chmod 600 /etc/hostname; touch /etc/new")
    assert [line.split(":")[0] for line in differences(before, machine.snapshot("/etc"))] == [
        ".",
        "hostname",
        "new",
    ]
    machine.small_disk("/srv", "64k")
    assert machine.run(["dd", "if=/dev/zero", "of=/srv/x", "bs=1k", "count=100"]).returncode == 1


def test_the_product_can_be_imported(shared: tuple[Lab, PostfixMachine]) -> None:
    script = "import textual, rich, dns.resolver, psutil, yaml, sh; psutil.pids(); print(textual.__file__)"
    launcher = shared[1].read_text("/usr/bin/conbool-tui").replace("-m conbool_tui", f"-c '{script}'")
    printed = shared[1].run(["sh", "-c", launcher], check=True).stdout
    assert printed.startswith("/usr/lib/conbool-tui/vendor/textual/")
    assert shared[1].run(["touch", "/usr/lib/conbool-tui/app/conbool_tui/x"]).returncode != 0


def test_leftovers_are_recognised() -> None:
    tag = owner_tag()
    pid, start = tag.split("-")
    assert not is_leftover(f"conlab-{tag}-1-inet")
    assert is_leftover(f"conlab-{pid}-{int(start) + 1}-1-inet")
    assert is_leftover("conlab-4194304-5-1-inet")
    assert not is_leftover("somebody-else")


def test_killed_run_is_swept(lab_ready: None) -> None:
    script = (
        "import os, signal\n"
        "from tests.lab.lab import Lab\n"
        "lab = Lab(); machine = lab.postfix('bookworm')\n"
        "print(lab.inet.name, machine._work, machine._pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=CHECKOUT)
    namespace, work, pid = done.stdout.split()
    deadline = time.monotonic() + 60
    while Path("/proc", pid).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path("/proc", pid).exists()
    with Lab():
        assert not Path("/run/netns", namespace).exists()
        assert not Path(work).exists()


@pytest.mark.parametrize(("ci", "status", "word"), [("", 0, "skipped"), ("true", 1, "has to run")])
def test_without_root_it_skips_but_fails_in_ci(ci: str, status: int, word: str) -> None:
    script = (
        "import os, sys, pytest; os.geteuid = lambda: 1000\n"
        f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '{Path(__file__)}::test_machine_basics']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, "CI": ci},
        check=False,
    )
    assert (done.returncode, word in done.stdout) == (status, True), done.stdout
    assert "sudo" in done.stdout


def test_a_killed_demo_run_cleans_up(lab_ready: None) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.demo", "headless"], stdout=subprocess.PIPE, cwd=CHECKOUT, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "\n"
    mark = f"conlab-{process.pid}-"
    assert [path for path in Path("/run/netns").iterdir() if path.name.startswith(mark)]
    process.terminate()
    process.stdout.read()
    assert process.wait(60) == 128 + 15
    assert not [path for path in Path("/run/netns").iterdir() if path.name.startswith(mark)]
    assert mark not in Path("/proc/mounts").read_text()


def test_apt_sources_are_understood() -> None:
    one = (
        "# deb http://no/ x main\ndeb-src http://b x y\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ bookworm main\n"
    )
    assert list(one_line_sources(one)) == [("http://a.example/debian", "/k.gpg")]
    two = (
        "Types: deb deb-src\nURIs: http://a.example/debian\n http://b.example/debian/\nSuites: bookworm\n"
        "Signed-By: /k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://c.example\n\nTypes: deb-src\nURIs: http://d.example\n"
    )
    assert list(deb822_sources(two)) == [
        ("http://a.example/debian", "/k.gpg"),
        ("http://b.example/debian", "/k.gpg"),
    ]


def test_specs_have_names_of_their_own() -> None:
    names = {
        spec.name
        for spec in (postfix_spec("bookworm"), postfix_spec("bookworm", pcre=False), bare_spec("trixie"))
    }
    assert len(names) == 3
    assert postfix_spec("trixie").name == postfix_spec("trixie").name


def test_zone_knows_what_exists() -> None:
    zone = Zone()
    zone.host("a.b.example", "192.0.2.1")
    assert zone.exists("b.example")
    assert not zone.exists("c.example")
    assert len({spec.name for spec in SINKS}) == len(SINKS)
