from __future__ import annotations

import time
from pathlib import Path

from conbool_tui.facts import HostedDomains
from detectors.postfix.domains import read_domains
from detectors.postfix.parameters import Tools
from detectors.postfix.tables import TableReader, text_keys
from tests.unit.detectors.fake import Answers, FakeHost


def domains(host: FakeHost, **parameters: str) -> HostedDomains:
    settings = {"myhostname": "mx.example.com", "mydomain": "example.com", **parameters}
    return read_domains(host, settings, TableReader(Tools(host, "/etc/postfix")))


def test_literals_and_the_machines_own_names(tmp_path: Path) -> None:
    found = domains(
        FakeHost(tmp_path),
        mydestination="MX.example.com, Example.COM localhost.example.com, localhost, localhost.localdomain,"
        " box, [192.0.2.1] web.localdomain",
        relay_domains="example.com,partner.example",
    )
    assert found.mydestination == ("example.com", "mx.example.com")
    assert found.host_names == ("mx.example.com",)
    assert found.relay == ("example.com", "partner.example")
    assert found.all() == ("example.com", "mx.example.com", "partner.example")
    assert found.unlisted == ()


def test_tables_are_listed_and_addresses_are_no_domains(tmp_path: Path) -> None:
    keys = ("a.example", "@b.example", "info@a.example", "postmaster", "B.Example")
    host = FakeHost(tmp_path, Answers(tables={"hash:/etc/postfix/virtual": keys, "lmdb:/v": ("c.example",)}))
    found = domains(
        host, virtual_alias_domains="hash:/etc/postfix/virtual", virtual_mailbox_domains="proxy:lmdb:/v"
    )
    assert found.virtual_alias == ("a.example", "b.example")
    assert found.virtual_mailbox == ("c.example",)
    assert len(host.commands) == 2


def test_one_table_in_two_classes_is_read_once(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, Answers(tables={"hash:/v": ("a.example",)}))
    found = domains(
        host,
        virtual_alias_domains="hash:/v",
        virtual_mailbox_domains="hash:/v",
        relay_domains="proxy:hash:/v",
    )
    assert found.all() == ("a.example",)
    assert len(host.commands) == 1


def test_inline_union_and_fail_tables(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, Answers(tables={"hash:/v": ("v.example",)}))
    found = domains(
        host,
        relay_domains="inline:{a.example=x, {b.example = y z}}, fail:oops,"
        " unionmap:{hash:/v, inline:{c.example=1}}",
    )
    assert found.relay == ("a.example", "b.example", "v.example", "c.example")
    assert found.unlisted == ()


def test_what_cannot_be_listed_is_named(tmp_path: Path) -> None:
    found = domains(
        FakeHost(tmp_path),
        virtual_mailbox_domains="proxy:mysql:/etc/postfix/sql.cf, pgsql:/p.cf",
        relay_domains="static:all, pcre:/p, regexp:/r, ldap:/l, tcp:127.0.0.1:99, .sub.example,"
        " pipemap:{hash:/a,hash:/b}",
        virtual_alias_domains="unionmap:{mysql:/m.cf, inline:{a.example=1}}",
        mydestination="/etc/postfix/missing, hash:/nowhere",
    )
    assert found.all() == ()
    assert found.unlisted == (
        "mydestination: /etc/postfix/missing (/etc/postfix/missing cannot be read: No such file or "
        "directory.)",
        "mydestination: hash:/nowhere",
        "virtual_alias_domains: unionmap:{mysql:/m.cf, inline:{a.example=1}}",
        "virtual_mailbox_domains: proxy:mysql:/etc/postfix/sql.cf",
        "virtual_mailbox_domains: pgsql:/p.cf",
        "relay_domains: static:all",
        "relay_domains: pcre:/p",
        "relay_domains: regexp:/r",
        "relay_domains: ldap:/l",
        "relay_domains: tcp:127.0.0.1:99",
        "relay_domains: .sub.example (every subdomain)",
        "relay_domains: pipemap:{hash:/a,hash:/b}",
    )


def test_the_first_match_decides(tmp_path: Path) -> None:
    host = FakeHost(
        tmp_path, Answers(tables={"hash:/all": ("a.example", "b.example", "c.example", "d.example")})
    )
    host.put("/etc/postfix/not", "b.example\n# c.example\n!d.example\n")
    found = domains(host, relay_domains="!a.example, !/etc/postfix/not, hash:/all, !c.example, !!e.example")
    assert found.relay == ("d.example", "c.example", "e.example")


def test_files_are_lists_again(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, Answers(tables={"hash:/t": ("t.example",)}))
    host.put(
        "/etc/postfix/domains",
        "a.example b.example,\n  # a comment, with.example\n!c.example hash:/t\r\n/etc/postfix/more\n",
    )
    host.put("/etc/postfix/more", "c.example\nd.example\n")
    assert domains(host, relay_domains="/etc/postfix/domains").relay == (
        "a.example",
        "b.example",
        "t.example",
        "d.example",
    )


def test_files_that_name_each_other_end(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.put("/a", "a.example /b")
    host.put("/b", "b.example /a")
    found = domains(host, relay_domains="/a")
    assert found.relay == ("a.example", "b.example")
    assert found.unlisted == ("relay_domains: /b (files that name each other)",)


def test_source_text_stands_in_for_an_index_that_cannot_be_opened(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.put(
        "/etc/postfix/virtual",
        '# list\nA.example anything\n  continued.example\n"b.example" x\n\nc.example\tx\n',
    )
    assert domains(host, virtual_alias_domains="cdb:/etc/postfix/virtual").virtual_alias == (
        "a.example",
        "b.example",
        "c.example",
    )


def test_what_follows_a_number_sign_is_a_comment_in_a_list_too(tmp_path: Path) -> None:
    found = domains(FakeHost(tmp_path), relay_domains="a.example b#.example, # c.example d.example")
    assert found.relay == ("a.example",)


def test_text_keys() -> None:
    assert text_keys('a b\n c d\n#e f\n"g h" i\nJ\n') == ["a", "g h", "j"]


def test_bad_bytes_are_no_domains(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.put("/list", "a.example\n\udcff\udcfe.example\nпример.рф\n\x00.example\n")
    assert domains(host, relay_domains="/list").relay == ("a.example", "пример.рф")


def test_ten_thousand_domains_need_one_command_and_little_time(tmp_path: Path) -> None:
    names = tuple(f"d{number}.example" for number in range(10_000))
    host = FakeHost(tmp_path, Answers(tables={"hash:/v": names}))
    begin = time.perf_counter()
    found = domains(
        host,
        mydestination=", ".join(names),
        virtual_mailbox_domains="hash:/v",
        relay_domains="/list !x.example",
    )
    spent = time.perf_counter() - begin
    assert found.mydestination == names
    assert found.virtual_mailbox == names
    assert len(host.commands) == 1
    assert spent < 1.0
