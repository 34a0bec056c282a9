"""A mail server that this program does not know (OpenSMTPD): named by who owns port 25, never changed, and checked like any other."""

from __future__ import annotations

import json

import pytest

from .lab import Lab
from .machine import Machine
from .product import write_answers
from .releases import one_release
from .roots import COMMON_PACKAGES, RootSpec

pytestmark = [pytest.mark.lab, one_release]
CONFIGURATION = """\
pki "mx1" cert "/etc/ssl/mx.pem"
pki "mx1" key "/etc/ssl/mx.key"
listen on 0.0.0.0 port 25 tls pki "mx1"
action "local" maildir
match from any for domain "example.com" action "local"
"""


def test_open_smtpd(lab: Lab, suite: str) -> None:
    packages = (*COMMON_PACKAGES, "opensmtpd")
    machine = lab.machine(Machine, RootSpec(suite, packages))
    pair = lab.authority.issue(machine.place.hostname)
    machine.write("/etc/ssl/mx.pem", pair.certificate, 0o644)
    machine.write("/etc/ssl/mx.key", pair.key, 0o600)
    machine.write("/etc/smtpd.conf", CONFIGURATION, 0o644)
    machine.shell("smtpd")
    machine.wait_port()
    before = machine.snapshot("/etc")

    said = machine.conbool("detect")
    assert said.returncode == 0, said.stderr
    for words in ("OpenSMTPD (process smtpd) listens on port 25", "calendar parts", "postfix: not found"):
        assert words in " ".join(said.stdout.split()), said.stdout
    other = {
        one["system"]: one for one in json.loads(machine.conbool("detect", "--json").stdout)["detections"]
    }["other"]
    assert other["mta"]["title"] == "OpenSMTPD"
    assert {one["key"] for one in other["mta"]["capabilities"]} >= {"changes", "loop protection by header"}

    answers = write_answers(lab, machine, domains=["example.com"])
    for command in (("plan",), ("apply", "--yes")):
        done = machine.conbool(*command, "--answers", answers)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "OpenSMTPD cannot be set up by this program; nothing is changed" in done.stderr
        assert "mail.conbool.com, port 25: that very host (no MX lookup)" in " ".join(done.stderr.split())
    assert machine.snapshot("/etc") == before

    done = machine.conbool("check", "--json", "--answers", answers)
    found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
    assert {
        name: found[name]["status"] for name in ("smart-host.chain", "smart-host.name", "smtp.reachable")
    } == {
        "smart-host.chain": "OK",
        "smart-host.name": "OK",
        "smtp.reachable": "OK",
    }, done.stdout
    assert any(name.startswith("dns") for name in found)
