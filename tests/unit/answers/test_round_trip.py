"""dump and load are each other's inverse; the example and the schema agree with the loader."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conbool_tui import answers_file
from conbool_tui.answers import (
    Answers,
    DnsExpectation,
    Inbound,
    Markers,
    Prerequisites,
    Scope,
    SmartHost,
    Spam,
)
from conbool_tui.answers_file import AnswerError
from conbool_tui.answers_schema import FIELDS, json_schema, value_of

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
DOMAIN = st.builds(lambda a, b: f"{a}.{b}", LABEL, st.sampled_from(["example", "test", "xn--bcher-kva"]))
HEADER = st.from_regex(r"X-[!-9;-~]{1,30}", fullmatch=True)
PATH = st.from_regex(r"/[a-zA-Z0-9._/-]{0,20}[a-zA-Z0-9]", fullmatch=True)
SENDER = st.builds(
    lambda a, b: f"{a}@{b}", st.sampled_from(["", "alice", "o'neil", "a+b", "#x", "null", "1e3"]), DOMAIN
)
SELECTOR = st.from_regex(r"[a-z0-9_]([a-z0-9_.-]{0,8}[a-z0-9])?", fullmatch=True).filter(
    lambda text: ".." not in text and ".-" not in text and "-." not in text
)
ADDRESS = st.integers(1, 254).map(lambda number: f"203.0.113.{number}") | st.integers(1, 0xFFFF).map(
    lambda number: f"2001:db8::{number:x}"
)
TEXT = st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1, max_size=20)


def unique(items: st.SearchStrategy[str], limit: int = 4) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, max_size=limit, unique_by=str.lower).map(tuple)


def networks(prefix: int, limit: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    four = st.integers(0, 255).map(lambda number: f"{prefix}.{number}.0.0/16")
    six = st.integers(1, 0xFFFF).map(lambda number: f"2001:{prefix:x}:{number:x}::/48")
    return st.lists(four | six, max_size=limit, unique=True).map(tuple)


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    domains = draw(unique(DOMAIN))
    senders = draw(unique(SENDER))
    modes = ["domains", "everything", *(["senders"] if senders else [])]
    pair = draw(st.sampled_from([(None, None), ("/c.pem", "/k.pem")]))
    private = draw(st.booleans())
    conbool = draw(networks(10 if private else 20))
    names = draw(st.lists(HEADER, min_size=1, max_size=6, unique_by=str.lower))
    keys = list(domains or ("other.example",))[: len(names) - 1]
    loop = dict(zip(keys, names[1:]))
    spam = tuple(name for name in names[1 + len(loop) :])
    record = st.builds(DnsExpectation, st.sampled_from(["A", "MX", "TXT"]), DOMAIN, TEXT.map(re.escape))
    return Answers(
        domains=domains,
        smart_host=SmartHost(
            draw(DOMAIN), draw(st.integers(1, 65535)), draw(st.none() | DOMAIN), draw(st.none() | PATH), *pair
        ),
        scope=Scope(draw(st.sampled_from(modes)), senders),
        conbool_networks=conbool,
        inbound=Inbound(
            restrict_port_25=draw(st.booleans()) and bool(conbool),
            extra_networks=draw(networks(30)),
            firewall=draw(st.sampled_from(["auto", "none"])),
            relay_host=draw(st.none() | DOMAIN),
            return_mode=draw(st.sampled_from(["hand_back", "conbool_delivers"])),
            close_despite_mx=draw(st.booleans()),
            private_networks=private,
            public_addresses=draw(unique(ADDRESS)),
            confirm_within=draw(st.integers(10, 3600)),
            peer_certificate=draw(st.sampled_from(["log", "require"])),
        ),
        prerequisites=Prerequisites(draw(st.booleans()), draw(unique(SELECTOR))),
        markers=Markers(draw(st.sampled_from(["local", "conbool"])), loop, names[0], spam),
        spam=Spam(draw(st.sampled_from(["folder", "header", "none"])), draw(TEXT)),
        dns_expectations=tuple(draw(st.lists(record, max_size=2, unique=True))),
        instance=draw(st.none() | st.sampled_from(["-", "postfix-out", "1"])),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers())
def test_dump_loads_back_equal(value: Answers) -> None:
    text = answers_file.dump(value)
    assert answers_file.load(text.encode(), "dump") == value
    assert answers_file.checked(value) == value
    validate(yaml.safe_load(text), json_schema())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_load_or_are_refused(data: bytes) -> None:
    try:
        loaded = answers_file.load(data, "any")
    except AnswerError:
        return
    assert answers_file.checked(loaded) == loaded


def test_example_names_every_key_and_loads() -> None:
    text = answers_file.example()
    loaded = answers_file.load(text.encode(), "example")
    document = yaml.safe_load(text)
    validate(document, json_schema())
    for item in FIELDS:
        node: Any = document
        for name in item.path:
            assert name in node, item.key
            node = node[name]
        assert value_of(loaded, item.path) == (
            item.example if item.example is not None and not item.default else item.default
        )
    assert max(len(line) for line in text.splitlines()) <= 100
    for item in FIELDS:
        assert item.help.split(".")[0].split(":")[0] in re.sub(r"\s*\n\s*#", "", text), item.key


def test_flags_are_unique_and_follow_the_keys() -> None:
    flags = [item.flag for item in FIELDS]
    assert len(set(flags)) == len(flags)
    assert "--smart-host-host" in flags
    assert "--conbool-networks" in flags
    assert "--inbound-restrict-port-25" in flags
    new = ("confirm-within", "public-addresses", "private-networks", "close-despite-mx")
    assert {f"--inbound-{name}" for name in new} <= set(flags)
    assert {"--prerequisites-four-checks-green", "--prerequisites-dkim-selectors"} <= set(flags)


@pytest.mark.parametrize(
    "document",
    [
        {"domain": []},
        {"domains": "a.example"},
        {"scope": {"mode": "all"}},
        {"smart_host": {"port": 0}},
        {"smart_host": {"port": "25"}},
        {"conbool_networks": ["mail.conbool.com"]},
        {"markers": {"released": "X Y"}},
        {"dns_expectations": [{"type": "MX", "name": "a"}]},
        {"inbound": {"restrict_port_25": "yes"}},
        {"inbound": {"confirm_within": 9}},
        {"inbound": {"confirm_within": 3601}},
        {"inbound": {"confirm_within": "60"}},
        {"inbound": {"public_addresses": ["mx1.example.com"]}},
        {"inbound": {"public_addresses": ["203.0.113.0/24"]}},
        {"inbound": {"public_addresses": ["abcdef"]}},
        {"inbound": {"public_addresses": ["203.0.113.7", "203.0.113.7"]}},
        {"inbound": {"private_networks": 1}},
        {"prerequisites": {"four_checks_green": "yes"}},
        {"prerequisites": {"dkim_selectors": ["a b"]}},
        {"prerequisites": {"dkim_selectors": ["*"]}},
        {"prerequisites": {"selectors": []}},
    ],
)
def test_schema_refuses(document: Any) -> None:
    with pytest.raises(AssertionError):
        validate(document, json_schema())


def test_schema_lets_networks_repeat() -> None:
    document = {
        "conbool_networks": ["198.51.100.0/24"] * 2,
        "inbound": {"extra_networks": ["192.0.2.0/24"] * 2},
    }
    validate(document, json_schema())
    answers = answers_file.load(yaml.safe_dump(document).encode(), "file")
    assert answers.conbool_networks == ("198.51.100.0/24",)


def test_every_declared_field_is_in_the_schema() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    count = 0
    for item in FIELDS:
        node = schema
        for name in item.path:
            node = node["properties"][name]
        assert node["description"] == item.help
        validate(list(item.default) if isinstance(item.default, tuple) else item.default, node)
        count += 1
    assert count == sum(
        len(dataclasses.fields(getattr(Answers(), field.name)))
        if dataclasses.is_dataclass(getattr(Answers(), field.name))
        else 1
        for field in dataclasses.fields(Answers)
    )


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
NOTES = {"$schema", "$id", "title", "description", "default", "format"}


def validate(value: Any, schema: Any) -> None:
    """The part of JSON schema that ours uses; an unknown keyword fails, so that nothing is passed over."""
    known = {
        "type",
        "enum",
        "pattern",
        "properties",
        "additionalProperties",
        "items",
        "uniqueItems",
        "required",
        "minimum",
        "maximum",
    }
    assert set(schema) <= known | NOTES, set(schema) - known - NOTES
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        fits = [
            isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))
            for name in names
        ]
        assert any(fits), (value, names)
    if "enum" in schema:
        assert value in schema["enum"], (value, schema["enum"])
    if isinstance(value, str) and "pattern" in schema:
        assert re.search(schema["pattern"], value), (value, schema["pattern"])
    if isinstance(value, int) and "minimum" in schema:
        assert schema["minimum"] <= value <= schema["maximum"], value
    if isinstance(value, list):
        for entry in value:
            validate(entry, schema.get("items", {}))
        assert not schema.get("uniqueItems") or len(value) == len({str(entry) for entry in value})
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            assert name in value, name
        for name, entry in value.items():
            if name in schema.get("properties", {}):
                validate(entry, schema["properties"][name])
            else:
                more = schema.get("additionalProperties", True)
                assert more is not False, name
                if isinstance(more, dict):
                    validate(entry, more)
