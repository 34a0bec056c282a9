"""The plan of a docker-mailserver's configuration volume."""

from __future__ import annotations

import dataclasses
import posixpath
from pathlib import Path
from typing import Any

import pytest

from conbool_tui import answers_file, text_blocks
from conbool_tui.answers import Answers
from conbool_tui.answers_file import AnswerError
from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.image import rendered
from conbool_tui.docker_mailserver.script import HOOK
from conbool_tui.facts import FileText
from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
from conbool_tui.plan import ChangeKind, Plan, Step
from conbool_tui.planners.docker_mailserver import plan_docker_mailserver
from conbool_tui.planners.docker_mailserver.user_patches import place
from conbool_tui.planners.docker_mailserver.values import relative, service_options
from conbool_tui.planners.postfix.desired import Desired, Setting
from conbool_tui.postfix_config import MainCf, MasterCf

from .test_detect import COMPOSE, detect, write


def answers(**more: Any) -> Answers:
    """Answers as from a file."""
    text = "domains: [example.com]\nconbool_networks: [198.51.100.0/24]\n"
    return dataclasses.replace(answers_file.load(text.encode(), "answers.yaml"), **more)


def facts_of(root: Path, **files: str) -> DockerMailserverFacts:
    """An installation without docker."""
    host = write(
        root, **{"compose__yaml": COMPOSE, "mailserver__env": "ENABLE_AMAVIS=1\n", "config_S_x": "", **files}
    )
    found = detect(host).docker_mailserver
    assert found is not None
    return found


def applied(facts: DockerMailserverFacts, plan: Plan) -> DockerMailserverFacts:
    """The same installation with the plan's files."""
    files = dict(facts.files)
    for target in plan.files:
        if target.after is None:
            files.pop(target.path)
        else:
            files[target.path] = FileText(target.path, target.after)
    return dataclasses.replace(facts, files=files)


def page(plan: Plan, name: str) -> bytes:
    """A file of our folder."""
    return next(target.after or b"" for target in plan.files if target.path.endswith(f"/conbool/{name}"))


def test_only_our_folder_and_one_block(tmp_path: Path) -> None:
    """Everything is below the volume's folder conbool, but for the block in user-patches.sh; the second plan is empty."""
    facts = facts_of(tmp_path)
    plan = plan_docker_mailserver(facts, answers())
    outside = [target for target in plan.files if not target.path.startswith("/srv/mail/config/conbool/")]
    assert [target.path for target in outside] == ["/srv/mail/config/user-patches.sh"]
    assert outside[0].after == b"#!/bin/bash\n" + text_blocks.put(b"", "conbool", HOOK)
    assert (plan.instance, plan.config_directory) == ("mail", "/srv/mail/config")
    assert "docker compose -f /srv/mail/compose.yaml up -d --force-recreate mailserver" in plan.reload
    assert plan_docker_mailserver(applied(facts, plan), answers()).empty
    assert {change.path for change in plan.changes} == {target.path for target in plan.files}


def test_other_answers_take_out_what_they_do_not_need(tmp_path: Path) -> None:
    """spam.action none: the tables and the rule for flagged mail go, the one for released mail stays."""
    facts = facts_of(tmp_path)
    first = applied(facts, plan_docker_mailserver(facts, answers()))
    plain = answers(spam=dataclasses.replace(answers().spam, action="none"))
    plan = plan_docker_mailserver(first, plain)
    gone = {posixpath.basename(target.path) for target in plan.files if target.after is None}
    assert "spam" in gone
    script = page(plan, names.SIEVE).decode()
    assert ("INBOX" in script, ":create" in script) == (True, False)
    assert plan_docker_mailserver(applied(first, plan), plain).empty


def test_the_amavis_way_back_gets_the_checks(tmp_path: Path) -> None:
    """The re-entry of the content filter looks for markers; port 25 itself must not, or marked mail would escape the filter."""
    options = page(plan_docker_mailserver(facts_of(tmp_path), answers()), names.OPTIONS).decode()
    assert "127.0.0.1:10025/inet/cleanup_service_name=" in options
    assert not [
        line
        for line in options.splitlines()
        if "=" in line and any(char in line for char in " \t") and line[0] != "#"
    ]


def test_values_follow_the_containers_own(tmp_path: Path) -> None:
    """What only gets something added is written with the container's own value in it."""
    main = MainCf.parse(page(plan_docker_mailserver(facts_of(tmp_path), answers()), names.PARAMETERS))
    assert names.BASE in (main.get("header_checks") or "")
    assert relative("header_checks", "pcre:/a, pcre:/b", "pcre:/b") == "pcre:/a, @BASE@"
    assert relative("smtpd_relay_restrictions", "a, x, b", "a, b") == "a, x, b"
    assert relative("header_checks", "pcre:/a", None) == "pcre:/a"
    assert relative("default_transport", "smtp:x", "smtp:x") == "smtp:x"


def test_options_without_white_space() -> None:
    """``postconf -P`` refuses white space: commas in lists, a parameter for the rest."""
    wanted = Desired()
    for name, value in (
        ("smtpd_client_restrictions", "check_client_access cidr:/x, reject"),
        ("header_checks", "inline:{ {a = b c} }"),
    ):
        wanted.options[("smtpd", "pass", name)] = Setting(value, Step.B, "", "")
    options, parameters = service_options(wanted)
    assert options == {
        "smtpd/pass/smtpd_client_restrictions": "check_client_access,cidr:/x,reject",
        "smtpd/pass/header_checks": "$conbool_smtpd_pass_header_checks",
    }
    assert parameters == {"conbool_smtpd_pass_header_checks": "inline:{ {a = b c} }"}


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (b"#!/bin/bash\npostconf -e x=y\n", None),
        (b"#!/bin/bash\nif true; then\n  exit 1\nfi\nexit 0\n", b"exit 0"),
        (b"exec something\r\n", b"exec something\r"),
        (b"exiting=1\n", None),
    ],
)
def test_the_block_comes_before_a_line_that_leaves(text: bytes, before: bytes | None) -> None:
    """At the end of the admin's script, or before it ends by itself."""
    assert place(text) == before


def test_a_relay_to_the_smart_host_is_switched_off(tmp_path: Path) -> None:
    """In the environment file, by a block, when it is set there; the Postfix of a container that was made with it is corrected, too."""
    facts = facts_of(
        tmp_path, mailserver__env="# keep\nRELAY_HOST='Mail.Conbool.Com' # this\nDEFAULT_RELAY_HOST=\n"
    )
    plan = plan_docker_mailserver(facts, answers())
    target = next(target for target in plan.files if target.path == "/srv/mail/mailserver.env")
    assert target.before is not None
    assert target.after is not None
    assert target.after.startswith(target.before)
    assert b"\nRELAY_HOST=\n" in target.after
    main = MainCf.parse(page(plan, names.PARAMETERS))
    assert (main.get("sender_dependent_relayhost_maps"), main.get("smtp_tls_security_level")) == ("", "may")
    after = dataclasses.replace(
        applied(facts, plan), environment={"RELAY_HOST": "", "DEFAULT_RELAY_HOST": ""}
    )
    assert plan_docker_mailserver(after, answers()).empty


def test_a_file_with_credentials_is_neither_shown_nor_changed(tmp_path: Path) -> None:
    """Then the admin is told what to change and where."""
    facts = facts_of(
        tmp_path, mailserver__env="DEFAULT_RELAY_HOST=[mail.conbool.com]:25\nRELAY_PASSWORD=topsecret\n"
    )
    plan = plan_docker_mailserver(facts, answers())
    assert not [target for target in plan.files if target.path.endswith(".env")]
    assert "topsecret" not in repr(plan)
    told = [notice.text for notice in plan.notices if "DEFAULT_RELAY_HOST names" in notice.text]
    assert told
    assert "/srv/mail/mailserver.env" in told[0]
    inline = COMPOSE + "    environment: ['DEFAULT_RELAY_HOST=[mail.conbool.com]:25']\n"
    told = [
        note.text
        for note in plan_docker_mailserver(facts_of(tmp_path, compose__yaml=inline), answers()).notices
    ]
    assert [text for text in told if "/srv/mail/compose.yaml:10, which is not changed here" in text]


def test_files_the_container_cannot_see(tmp_path: Path) -> None:
    """A client certificate must be in a volume; its path is translated."""
    facts = facts_of(tmp_path)
    smart_host = dataclasses.replace(
        answers().smart_host,
        client_certificate="/srv/mail/config/tls/c.pem",
        client_key="/srv/mail/config/tls/k.pem",
    )
    services = MasterCf.parse(
        page(plan_docker_mailserver(facts, answers(smart_host=smart_host)), names.SERVICES)
    )
    one = services.service("conbool-smarthost", "unix")
    assert one is not None
    assert one.option("smtp_tls_cert_file") == "/tmp/docker-mailserver/tls/c.pem"
    outside = dataclasses.replace(answers().smart_host, ca_file="/etc/ssl/own.pem")
    with pytest.raises(AnswerError) as error:
        plan_docker_mailserver(facts, answers(smart_host=outside))
    assert error.value.key == "smart_host.ca_file"


@pytest.mark.parametrize("major", [0, 10, 11, 12, 13, 14, 15])
def test_every_release_can_be_planned(tmp_path: Path, major: int) -> None:
    """With and without the content filter, with the admin's own settings on top."""
    for amavis in ("0", "1"):
        main, master = rendered(
            major,
            {"ENABLE_AMAVIS": amavis, "ENABLE_RSPAMD": "1"},
            "mx.example.com",
            b"max_idle =\n  90s\n",
            b"smtpd/pass/x=y z\n",
        )
        assert MainCf.parse(main).get("max_idle") == "90s"
        service = MasterCf.parse(master).service("smtpd", "pass")
        assert service is not None
        assert service.option("x") == "y z"
    compose = COMPOSE.replace(":15.1.0", f":{major}.0.0" if major else ":latest")
    plan = plan_docker_mailserver(facts_of(tmp_path, compose__yaml=compose), answers())
    kinds = {change.kind for change in plan.changes}
    assert kinds == {ChangeKind.FILE, ChangeKind.PARAMETER, ChangeKind.SERVICE_BLOCK, ChangeKind.BLOCK}


def test_a_user_patches_file_mounted_by_itself(tmp_path: Path) -> None:
    """The container runs that one, whatever lies in the volume."""
    mounted = COMPOSE.replace(
        "      - ./state", "      - ./own.sh:/tmp/docker-mailserver/user-patches.sh:ro\n      - ./state"
    )
    facts = facts_of(
        tmp_path,
        compose__yaml=mounted,
        own__sh="#!/bin/bash\n: mine\nexit 0\n",
        **{"config_S_user-patches__sh": "# not used\n"},
    )
    (target,) = [one for one in plan_docker_mailserver(facts, answers()).files if "/conbool/" not in one.path]
    assert (target.path, target.before) == ("/srv/mail/own.sh", b"#!/bin/bash\n: mine\nexit 0\n")
    assert target.after is not None
    assert target.after.endswith(b"# END conbool-tui conbool\nexit 0\n")


RSPAMD = "/srv/mail/config/rspamd/override.d/settings.conf"


def rspamd_facts(root: Path, **files: str) -> DockerMailserverFacts:
    facts = facts_of(root, **files)
    return dataclasses.replace(facts, environment={**facts.environment, "ENABLE_RSPAMD": "1"})


def test_the_containers_rspamd_spares_released_mail(tmp_path: Path) -> None:
    own = "partner {\n  ip = 203.0.113.200;\n}\n"
    facts = rspamd_facts(tmp_path, config_S_rspamd_S_override__d_S_settings__conf=own)
    plan = plan_docker_mailserver(facts, answers(conbool_networks=("198.51.100.0/24",)))
    (target,) = [one for one in plan.files if one.path == RSPAMD]
    assert target.before == own.encode()
    text = (target.after or b"").decode()
    assert text.startswith(own)
    assert '"198.51.100.0/24"' in text
    assert "X-Conbool-Released" in text
    (change,) = [one for one in plan.changes if one.path == RSPAMD]
    assert (change.kind, change.step) == (ChangeKind.BLOCK, Step.D)
    # Without rspamd the rule goes, and nothing of the admin's with it.
    there = FileText(RSPAMD, target.after or b"")
    facts = dataclasses.replace(facts, files={**facts.files, RSPAMD: there}, environment={})
    (target,) = [
        one
        for one in plan_docker_mailserver(facts, answers(conbool_networks=("198.51.100.0/24",))).files
        if one.path == RSPAMD
    ]
    assert target.after == own.encode()


def test_a_header_alone_spares_nothing(tmp_path: Path) -> None:
    plan = plan_docker_mailserver(rspamd_facts(tmp_path), answers(conbool_networks=()))
    assert RSPAMD not in [one.path for one in plan.files]
    assert any("still scores released mail" in one.text for one in plan.notices)
