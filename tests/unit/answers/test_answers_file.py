"""The answers file: what it refuses, and in which words."""

from __future__ import annotations

import pytest

from conbool_tui import answers_file
from conbool_tui.answers import Answers, Markers, Prerequisites, Scope, SmartHost
from conbool_tui.answers_file import AnswerError
from conbool_tui.answers_schema import FIELDS, field, value_of
from conbool_tui.errors import ExitCode


def load(text: str) -> Answers:
    return answers_file.load(text.encode(), "answers.yaml")


def refused(text: str) -> AnswerError:
    with pytest.raises(AnswerError) as caught:
        load(text)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


def test_empty_files_are_all_defaults() -> None:
    for text in ("", "# nothing\n", "---\n", "{}", "domains:\nsmart_host:\n"):
        assert load(text) == Answers()


def test_values_arrive() -> None:
    answers = load(
        "domains: [Example.COM, bücher.example]\n"
        "smart_host: {port: 2525, ca_file: /etc/ca.pem}\n"
        "scope: {mode: senders, senders: ['@Example.com']}\n"
        "conbool_networks: [198.51.100.7, 2001:DB8::/48]\n"
        "inbound: {restrict_port_25: yes, relay_host: MX1.example.com}\n"
        "markers: {loop_headers: {EXAMPLE.com: X-Conbool-example-com}, spam: []}\n"
        "spam: {folder: no}\n"
        "dns_expectations: [{type: mx, name: _dmarc.Example.com, matches: 'a|b'}]\n"
    )
    assert answers.domains == ("example.com", "xn--bcher-kva.example")
    assert (answers.smart_host.port, answers.smart_host.ca_file) == (2525, "/etc/ca.pem")
    assert answers.scope == Scope("senders", ("@example.com",))
    assert answers.conbool_networks == ("198.51.100.7/32", "2001:db8::/48")
    assert answers.inbound.restrict_port_25
    assert answers.inbound.relay_host == "mx1.example.com"
    assert answers.markers == Markers(loop_headers={"example.com": "X-Conbool-example-com"}, spam=())
    # YAML 1.1 would read a boolean here.
    assert answers.spam.folder == "no"
    assert answers.dns_expectations[0].type == "MX"
    assert answers.dns_expectations[0].name == "_dmarc.example.com"


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("scope: {mod: domains}", "scope.mod", "did you mean scope.mode?"),
        ("domain: [a.example]", "domain", "did you mean domains?"),
        ("smart-host: {}", "smart-host", "did you mean smart_host?"),
        ("port: 25", "port", "did you mean smart_host.port?"),
        ("client_key: /k", "client_key", "did you mean smart_host.client_key?"),
        ("inbound: {relayhost: a.b}", "inbound.relayhost", "did you mean inbound.relay_host?"),
        ("zzz: 1", "zzz", "unknown key."),
        (
            "dns_expectations: [{typ: MX, name: a.b, matches: c}]",
            "dns_expectations.typ",
            "dns_expectations.type?",
        ),
    ],
)
def test_unknown_keys_name_the_nearest(text: str, key: str, hint: str) -> None:
    error = refused(text)
    assert error.key == key
    assert error.what.startswith(f"{key}: unknown key")
    assert hint in error.what
    assert "answers.yaml, line 1" in error.what


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", ["no YAML", "line 2"]),
        ("\tdomains: []", ["no YAML"]),
        ("- a\n- b", ["holds no keys"]),
        ("text", ["holds no keys"]),
        ("a: 1\n---\nb: 2", ["no YAML"]),
        ("domains: [a.example]\ndomains: [b.example]", ["domains: given twice", "line 1", "line 2"]),
        ("smart_host:\n  port: 25\n  port: 26", ["smart_host.port: given twice", "line 2", "line 3"]),
        ("domains: &a [a.example]\nconbool_networks: *a", ["conbool_networks", "alias"]),
        ("domains: &a [*a]", ["alias"]),
        ("domains: !!python/object:os.system [a]", ["domains: has the YAML tag"]),
        ("smart_host: !x {port: 25}", ["smart_host: has the YAML tag"]),
        ("smart_host: {host: !!python/name:os.system x}", ["tag"]),
        ("domains: a.example", ["domains: must be a list", "[example.com]"]),
        ("domains: {a: b}", ["domains: must be a list"]),
        ("domains: [[a.example]]", ["domains", "single word"]),
        ("domains: [null]", ["domains", "empty entry"]),
        ("domains: [a.example, A.example]", ["A.example", "listed twice"]),
        ("domains: ['*.a.example']", ["wildcards"]),
        ("smart_host: mail.conbool.com", ["smart_host: must hold keys of its own", "host"]),
        ("smart_host: {port: 0}", ["smart_host.port", '"0"', "1 to 65535"]),
        ("smart_host: {port: true}", ["smart_host.port", '"true"']),
        ("smart_host: {port: }", ["smart_host.port: has no value", "(25)"]),
        ("smart_host: {host: [a.b]}", ["smart_host.host: takes one value"]),
        ("scope: {mode: sender}", ["scope.mode", "domains, everything, senders", "did you mean senders?"]),
        ("scope: {senders: ['example.com']}", ["scope.senders", '"@example.com"']),
        ("inbound: {restrict_port_25: maybe}", ["inbound.restrict_port_25", "neither true nor false"]),
        ("conbool_networks: [0.0.0.0/0]", ["conbool_networks", "whole Internet"]),
        (
            "conbool_networks: [16.0.0.0/8]\ninbound: {extra_networks: [16.1.0.0/16]}",
            ["inbound.extra_networks: 16.0.0.0/8 and 16.1.0.0/16 overlap", "line 2"],
        ),
        ("inbound: {extra_networks: x}", ["inbound.extra_networks: must be a list", "[198.51.100.0/24]"]),
        ("inbound: {close_despite_mx: perhaps}", ["inbound.close_despite_mx", "neither true nor false"]),
        ("inbound: {close_despite_mx: }", ["inbound.close_despite_mx: has no value", "(false)"]),
        ("inbound: {private_networks: [10.0.0.0/8]}", ["inbound.private_networks: takes one value"]),
        ("inbound: {public_addresses: [mx1.example.com]}", ["inbound.public_addresses", "no IP address"]),
        ("inbound: {public_addresses: [203.0.113.0/24]}", ["inbound.public_addresses", "203.0.113.7"]),
        ("inbound: {public_addresses: [127.0.0.1]}", ["inbound.public_addresses", "no other host can reach"]),
        ("inbound: {public_addresses: ['fe80::1%eth0']}", ["inbound.public_addresses", "interface"]),
        ("inbound: {public_addresses: ['2001:db8::7', 2001:DB8:0::7]}", ["listed twice"]),
        ("inbound: {public_addresses: 203.0.113.7}", ["must be a list", "[203.0.113.7]"]),
        ("inbound: {confirm_within: 9}", ["inbound.confirm_within", '"9"', "10 to 3600"]),
        ("inbound: {confirm_within: 3601}", ["inbound.confirm_within", "10 to 3600"]),
        ("inbound: {confirm_within: 1m}", ["inbound.confirm_within", "whole seconds"]),
        ("inbound: {confirm_within: }", ["inbound.confirm_within: has no value", "(60)"]),
        ("prerequisites: {four_checks_green: green}", ["prerequisites.four_checks_green", "neither true"]),
        ("prerequisites: {dkim_selectors: [a b]}", ["prerequisites.dkim_selectors", "no DKIM selector"]),
        ("prerequisites: {dkim_selectors: ['']}", ["prerequisites.dkim_selectors", "no DKIM selector"]),
        ("prerequisites: {dkim_selectors: conbool}", ["must be a list", "[conbool]"]),
        ("prerequisites: {dkim_selectors: [s1, S1]}", ["listed twice"]),
        ("prerequisites: yes", ["prerequisites: must hold keys", "dkim_selectors"]),
        ("prerequisite: {}", ["did you mean prerequisites?"]),
        ("inbound: {confirm: 60}", ["did you mean inbound.confirm_within?"]),
        ("markers: {released: 'Released: yes'}", ["markers.released", "no header name"]),
        ("markers: {loop_headers: [a]}", ["markers.loop_headers: must be pairs"]),
        ("markers: {loop_headers: {'*': X-A}}", ["markers.loop_headers", "wildcards"]),
        ("markers: {loop_headers: {a.example: 'X A'}}", ["markers.loop_headers.a.example", "no header name"]),
        (
            "domains: [example.com]\nmarkers: {loop_headers: {exmaple.com: X-A}}",
            ["exmaple.com is not among domains", "did you mean example.com?"],
        ),
        ("markers: {released: X-Conbool-Flag}", ["markers.spam", "markers.released already"]),
        ("dns_expectations: [{type: MX, name: a.b}]", ["dns_expectations.matches: is missing"]),
        ("dns_expectations: [{type: MX, name: a.b, matches: '('}]", ["no regular expression"]),
        ("dns_expectations: [{type: XX, name: a.b, matches: c}]", ["record type", "MX"]),
        ("instance: 'a b'", ["instance", "postmulti"]),
    ],
)
def test_bad_values(text: str, words: list[str]) -> None:
    error = refused(text)
    for word in words:
        assert word in "\n".join(error.lines()), error.lines()


@pytest.mark.parametrize(
    ("text", "key", "flag"),
    [
        ("inbound: {restrict_port_25: true}", "conbool_networks", "--conbool-networks"),
        ("scope: {mode: senders}", "scope.senders", "--scope-senders"),
        ("smart_host: {client_certificate: /c.pem}", "smart_host.client_key", "--smart-host-client-key"),
        (
            "smart_host: {client_key: /k.pem}",
            "smart_host.client_certificate",
            "--smart-host-client-certificate",
        ),
        ("smart_host: {host: 192.0.2.1}", "smart_host.tls_name", "--smart-host-tls-name"),
    ],
)
def test_missing_keys_name_key_and_flag(text: str, key: str, flag: str) -> None:
    error = refused(text)
    assert error.key == key
    assert f"{key} is missing" in error.what
    assert key in error.todo
    assert flag in error.todo


@pytest.mark.parametrize(
    ("networks", "wanted"),
    [
        (["16.0.0.0/8", "16.1.0.0/16"], ("16.0.0.0/8",)),
        (["16.1.0.0/16", "16.0.0.0/8"], ("16.0.0.0/8",)),
        (["198.51.100.7", "198.51.100.7/32"], ("198.51.100.7/32",)),
        (["2001:db8::/32", "198.51.100.0/24", "2001:DB8:0::/32"], ("2001:db8::/32", "198.51.100.0/24")),
    ],
)
@pytest.mark.parametrize("key", ["conbool_networks", "inbound.extra_networks"])
def test_networks_are_merged(networks: list[str], wanted: tuple[str, ...], key: str) -> None:
    section, _, name = key.rpartition(".")
    line = f"{name}: {networks}"
    answers = load(f"{section}: {{{line}}}" if section else line)
    found = value_of(answers, field(key).path)
    assert found == wanted
    assert load(answers_file.dump(answers)) == answers
    assert answers_file.parse_value(field(key), ", ".join(networks)) == wanted


@pytest.mark.parametrize(
    ("networks", "named"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("172.20.1.1", "172.20.1.1/32"),
        ("198.51.100.0/24, 192.168.0.0/16", "192.168.0.0/16"),
        ("100.64.0.0/10", "100.64.0.0/10"),
        ("'fd00:1::/32'", "fd00:1::/32"),
        # A part of it is private.
        ("172.0.0.0/8", "172.0.0.0/8"),
    ],
)
def test_private_ranges_must_be_meant(networks: str, named: str) -> None:
    text = f"conbool_networks: [{networks}]\n"
    error = refused(text)
    assert error.key == "conbool_networks"
    assert f"conbool_networks: {named} is private address space (answers.yaml, line 1)." in error.what
    assert "inbound.private_networks: true" in error.todo
    assert "--inbound-private-networks" in error.todo
    assert named in load(text + "inbound: {private_networks: true}").conbool_networks
    assert load(f"inbound: {{extra_networks: [{networks}]}}").inbound.extra_networks


@pytest.mark.parametrize(
    "network", ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "100.128.0.0/9", "11.0.0.0/8"]
)
def test_public_and_documentation_ranges_are_not_private(network: str) -> None:
    assert load(f"conbool_networks: ['{network}']").conbool_networks == (network,)


def test_new_values_arrive() -> None:
    answers = load(
        "prerequisites: {four_checks_green: true, dkim_selectors: [Conbool, s1._sub]}\n"
        "inbound: {close_despite_mx: on, private_networks: 1, public_addresses: [203.0.113.7, 2001:DB8:0::7], "
        "confirm_within: 120}\n"
    )
    assert answers.prerequisites == Prerequisites(True, ("conbool", "s1._sub"))
    inbound = answers.inbound
    assert (inbound.close_despite_mx, inbound.private_networks) == (True, True)
    assert inbound.public_addresses == ("203.0.113.7", "2001:db8::7")
    assert inbound.confirm_within == 120
    assert load(answers_file.dump(answers)) == answers


def test_other_encodings_and_binary() -> None:
    for data in (b"domains: [\xff]", b"\x00\x01", b"domains: [b\xfccher.example]"):
        with pytest.raises(AnswerError, match="no YAML"):
            answers_file.load(data, "f")
    assert answers_file.load("\ufeffdomains: [a.example]".encode(), "f").domains == ("a.example",)
    assert answers_file.load("domains: [a.example]".encode("utf-16"), "f").domains == ("a.example",)


def test_deep_nesting_is_a_message() -> None:
    with pytest.raises(AnswerError):
        answers_file.load(b"domains: " + b"[" * 5000, "f")


def test_at_signs_are_explained() -> None:
    assert "quotes" in refused("scope: {senders: [@example.com]}").todo


def test_answers_made_by_a_program_are_checked_too() -> None:
    with pytest.raises(AnswerError, match="smart_host"):
        answers_file.checked(Answers(smart_host=SmartHost(port=70000)))
    with pytest.raises(AnswerError, match="domains"):
        answers_file.checked(Answers(domains=("a\nb.example",)))
    assert answers_file.checked(Answers(domains=("A.example",))).domains == ("a.example",)


def test_typed_values() -> None:
    assert answers_file.parse_value(field("domains"), " a.example,\n b.example ,") == (
        "a.example",
        "b.example",
    )
    assert answers_file.parse_value(field("smart_host.ca_file"), "  ") is None
    assert answers_file.parse_value(field("inbound.restrict_port_25"), "Yes") is True
    assert answers_file.parse_value(field("markers.loop_headers"), "a.example=X-A") == {"a.example": "X-A"}
    (record,) = answers_file.parse_value(field("dns_expectations"), "TXT:a.example:v=spf1 a:b, c")
    assert record.matches == "v=spf1 a:b, c"
    with pytest.raises(AnswerError):
        answers_file.parse_value(field("markers.loop_headers"), "a.example")
    with pytest.raises(AnswerError):
        answers_file.parse_value(field("dns_expectations"), "TXT:a.example")
    for item in FIELDS:
        if item.kind.value != "records" and item.default != ():
            text = answers_file.format_value(item, item.default)
            assert answers_file.parse_value(item, text) == item.default


def test_a_hundred_thousand_senders_are_quick() -> None:
    import time

    senders = tuple(f"user{number}@example{number % 100}.com" for number in range(100_000))
    answers = Answers(domains=("example.com",), scope=Scope("senders", senders))
    begin = time.process_time()
    assert answers_file.checked(answers) == answers
    assert time.process_time() - begin < 3.0
