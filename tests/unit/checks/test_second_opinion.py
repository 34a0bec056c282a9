"""posttls-finger: which settings it is given, what its lines mean, and what the two opinions together say."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conbool_tui.answers import SmartHost
from conbool_tui.checks import posttls_finger
from conbool_tui.checks.posttls_finger import arguments, read, second_opinion
from conbool_tui.checks.transport_tls import TransportTls, transport_tls
from conbool_tui.errors import HostError
from conbool_tui.findings import Status
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult, run_command
from tests.unit.cli import samples

PEER = "mail.conbool.com[192.0.2.25]:25"
VERIFIED = (
    f"posttls-finger: Verified TLS connection established to {PEER}: TLSv1.3 with cipher X (256/256 bits)"
)
MISMATCH = f"posttls-finger: server certificate verification failed for {PEER}: num=62:hostname mismatch"
# Lines of Postfix 3.5, 3.7 and 3.10.
OUTPUTS = [
    (VERIFIED, True, f"Verified TLS connection established to {PEER}"),
    (
        f"{MISMATCH}\nposttls-finger: Untrusted TLS connection established to {PEER}: TLSv1.3",
        False,
        "hostname mismatch",
    ),
    (
        f"posttls-finger: {PEER}: subjectAltName: other\nposttls-finger: Trusted TLS connection established to {PEER}: T",
        False,
        "the name does not match (Trusted TLS connection)",
    ),
    (
        f"posttls-finger: certificate verification failed for {PEER}: untrusted issuer /O=Nobody's\n"
        f"posttls-finger: Untrusted TLS connection established to {PEER}: T",
        False,
        "untrusted issuer /O=Nobody's",
    ),
    (
        "posttls-finger: Failed to establish session to [a]:26 via a: connect to a[::1]:26: Connection refused",
        False,
        "Failed to establish session to [a]:26 via a: connect to a[::1]:26: Connection refused",
    ),
    (
        "posttls-finger: Destination address lookup failed: Host or domain name not found.",
        False,
        "Destination address lookup failed: Host or domain name not found.",
    ),
    ("posttls-finger: warning: DNSSEC validation may be unavailable\n", False, "there is no TLS connection"),
]


@pytest.mark.parametrize(("output", "verified", "reason"), OUTPUTS)
def test_lines(output: str, verified: bool, reason: str) -> None:
    opinion = read(output)
    assert (opinion.verified, opinion.reason) == (verified, reason)
    assert not [line for line in opinion.lines if "DNSSEC" in line or line.startswith("posttls-finger")]


def host(folder: Path, output: str, status: int = 0) -> Host:
    """A host whose posttls-finger prints ``output``."""
    program = folder / "usr/sbin/posttls-finger"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {status}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

    class Here(Host):
        """Runs the program without chroot(2)."""

        def run(self, argv: Sequence[str], **more: Any) -> CommandResult:
            return run_command([str(folder) + argv[0], *argv[1:]], **more)

    return Here(str(folder))


@pytest.mark.parametrize(
    ("output", "ours", "status", "words"),
    [
        (VERIFIED, "", Status.OK, "agrees: Verified"),
        (
            MISMATCH,
            "not for mail.conbool.com.",
            Status.OK,
            "agrees that it cannot be used: hostname mismatch",
        ),
        (VERIFIED, "It has expired.", Status.WARN, "would deliver"),
        (MISMATCH, "", Status.WARN, "posttls-finger does not: hostname mismatch"),
        ("", "", Status.NOT_TESTED, "said nothing"),
        ("", "no STARTTLS.", Status.OK, "there is no TLS connection"),
    ],
)
def test_both(tmp_path: Path, output: str, ours: str, status: Status, words: str) -> None:
    finding = second_opinion(host(tmp_path, output), SmartHost(), TransportTls(), "/etc/postfix", ours)
    assert (finding.id, finding.status) == ("smart-host.second-opinion", status)
    assert words in finding.summary
    if finding.status is Status.WARN and ours:
        assert ours in finding.summary
    assert finding.detail.startswith("$ /usr/sbin/posttls-finger -c -l secure ")
    assert (finding.remedy != "") is (status is not Status.OK)


def test_not_installed(tmp_path: Path) -> None:
    finding = second_opinion(Host(str(tmp_path)), SmartHost(), TransportTls(), "/etc/postfix", "")
    assert finding.status is Status.NOT_TESTED
    assert "not installed" in finding.summary


def test_it_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise HostError("It did not finish within 45 seconds.", "", "Run it by hand.")

    made = host(tmp_path, "")
    monkeypatch.setattr(made, "run", hang)
    finding = second_opinion(made, SmartHost(), TransportTls(), "/etc/postfix", "")
    assert (finding.status, finding.remedy) == (Status.NOT_TESTED, "Run it by hand.")
    assert posttls_finger._TOTAL < 60


def test_it_gets_the_settings_of_the_transport(tmp_path: Path) -> None:
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).touch()
    wanted = SmartHost(
        "in.example", 2525, tls_name="name.example", client_certificate="/c.pem", client_key="/k.pem"
    )
    facts = samples.postfix(
        system_ca_file="/etc/ca.pem",
        expanded={
            "inet_protocols": "ipv4",
            "smtp_host_lookup": "dns, native",
            "smtp_tls_mandatory_protocols": ">=TLSv1.2",
            "smtp_tls_mandatory_ciphers": "high",
            "smtp_tls_CApath": "/etc/ssl/certs",
        },
    )
    argv = " ".join(arguments(Host(str(tmp_path)), wanted, transport_tls(wanted, facts)))
    assert argv.endswith(
        "-h dns,native -p >=TLSv1.2 -g high -F /etc/ca.pem -P /etc/ssl/certs -k /c.pem -K /k.pem "
        "[in.example]:2525 name.example"
    )
    missing = SmartHost(client_certificate="/none.pem", client_key="/k.pem")
    assert "-k" not in arguments(Host(str(tmp_path)), missing, transport_tls(missing, facts))


def test_settings() -> None:
    facts = samples.postfix(
        system_ca_file="/etc/ca.pem",
        expanded={"smtp_tls_CAfile": "/own.pem", "smtp_tls_CApath": "/dir", "smtp_tls_cert_file": "/c.pem"},
    )
    inherited = transport_tls(SmartHost(), facts)
    assert (inherited.ca_file, inherited.ca_path) == ("/own.pem", "/dir")
    assert (inherited.certificate, inherited.key, inherited.lookup) == ("/c.pem", "/c.pem", "dns")
    given = transport_tls(SmartHost(ca_file="/ca", client_certificate="/mine", client_key="/key"), facts)
    assert (given.ca_file, given.ca_path, given.certificate, given.key) == ("/ca", None, "/mine", "/key")
    bare = transport_tls(SmartHost(), samples.postfix(system_ca_file="/etc/ca.pem", expanded={}))
    assert (bare.ca_file, bare.certificate) == ("/etc/ca.pem", None)
    chain = transport_tls(SmartHost(), samples.postfix(expanded={"smtp_tls_chain_files": "/both.pem"}))
    assert (chain.certificate, chain.key) == ("/both.pem", "/both.pem")
    assert (bare.server_name, transport_tls(SmartHost(), None).server_name) == (False, True)
    assert transport_tls(SmartHost(ca_file="/ca"), None).ca_file == "/ca"
