"""Answers from YAML, from flags and back: everything is checked here, and every refusal names the key and
where it was found.

The YAML is read as a tree of nodes, not as Python values: that keeps line numbers, finds keys given twice,
and leaves words such as ``no`` or ``1e3`` the text that was written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import gc
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import yaml

from conbool_tui import answer_forms, long_lists
from conbool_tui.answer_forms import FormError, shown
from conbool_tui.answers import Answers, DnsExpectation
from conbool_tui.answers_schema import (
    BY_PATH,
    FIELDS,
    SECTIONS,
    AnswerField,
    Kind,
    Path,
    help_with_choices,
    value_of,
    with_value,
)
from conbool_tui.errors import UsageError

_LARGEST = 32 * 1024 * 1024
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
)
_NULL = "tag:yaml.org,2002:null"
_YES = frozenset(("true", "yes", "on", "1"))
_NO = frozenset(("false", "no", "off", "0"))
# What a list without an example of its own may hold.
_SAMPLES = {"network": ("198.51.100.0/24",)}
_SEE_EXAMPLE = "conbool-tui answers --example prints every key with its meaning."


class AnswerError(UsageError):
    """An answer cannot be used. ``key`` is its dotted key, empty when the file as a whole is meant."""

    def __init__(self, key: str, what: str, why: str = "", todo: str = "") -> None:
        super().__init__(what, why, todo)
        self.key = key


@dataclass(frozen=True)
class Given:
    """One value as it was given: text, None, a list of these, or pairs of these; ``origin`` says where (may
    be empty).
    """

    value: Any
    origin: str = ""


Tree = dict[Path, Given]


# --- entry points ---------------------------------------------------------------------------------


def load(data: bytes, source: str) -> Answers:
    """The answers in a YAML file.

    Args:
        data: the file's content.
        source: its name, for messages.

    Raises:
        AnswerError: not YAML, an unknown or repeated key, a value that cannot be, or a required key missing.
    """
    return build(read(data, source))


def build(given: Mapping[Path, Given]) -> Answers:
    """The answers made of what was given; everything else has its default. Raises AnswerError."""
    answers = Answers()
    with _collector_paused():
        for path, item in given.items():
            answers = with_value(answers, path, _convert(BY_PATH[path], item))
    _check_together(answers, given)
    return answers


def checked(answers: Answers) -> Answers:
    """The same answers in their normal spelling, refused as if they had been read from a file. Raises
    AnswerError.
    """
    return build({item.path: _given_back(item, value_of(answers, item.path)) for item in FIELDS})


def parse_value(item: AnswerField, text: str) -> Any:
    """One answer from what was typed on the command line or in a field of the wizard; lists are separated by
    commas. Raises AnswerError.
    """
    return _convert(item, from_text(item, [text], ""))


def format_value(item: AnswerField, value: Any) -> str:
    """One answer as it would be typed; ``parse_value`` reads it back."""
    if value is None:
        return ""
    if item.kind is Kind.SWITCH:
        return "yes" if value else "no"
    if item.kind is Kind.LIST:
        return ", ".join(value)
    if item.kind is Kind.MAPPING:
        return ", ".join(f"{key}={entry}" for key, entry in value.items())
    if item.kind is Kind.RECORDS:
        return "\n".join(f"{record.type}:{record.name}:{record.matches}" for record in value)
    return str(value)


def from_text(item: AnswerField, texts: Sequence[str], origin: str) -> Given:
    """What was typed for one answer (each text one use of its flag) in the shape the file would have. Raises
    AnswerError.
    """
    if item.kind is Kind.RECORDS:
        records = []
        for line in (line for text in texts for line in text.split("\n") if line.strip()):
            parts = line.strip().split(":", 2)
            if len(parts) != 3:
                raise _refused(
                    item.key,
                    origin,
                    f"{shown(line)} is no record; write TYPE:NAME:PATTERN, such as MX:example.com:conbool.",
                )
            records.append(
                Given(
                    [
                        (Given(name), Given(part, origin))
                        for name, part in zip(("type", "name", "matches"), parts)
                    ],
                    origin,
                )
            )
        return Given(records, origin)
    if item.kind in (Kind.LIST, Kind.MAPPING):
        pieces = [piece.strip() for text in texts for piece in text.replace("\n", ",").split(",")]
        pieces = [piece for piece in pieces if piece]
        if item.kind is Kind.LIST:
            return Given([Given(piece, origin) for piece in pieces], origin)
        pairs = []
        for piece in pieces:
            key, equals, value = piece.partition("=")
            if not equals:
                raise _refused(item.key, origin, f"{shown(piece)} is no pair; write {'DOMAIN=HEADER'}.")
            pairs.append((Given(key.strip(), origin), Given(value.strip(), origin)))
        return Given(pairs, origin)
    text = texts[-1].strip()
    return Given(None if item.optional and not text else text, origin)


def dump(answers: Answers) -> str:
    """The answers as YAML that ``load`` reads back equal; only what differs from the defaults, and always
    the domains.
    """
    tree: dict[str, Any] = {}
    for item in FIELDS:
        value = value_of(answers, item.path)
        if value == item.default and item.key != "domains":
            continue
        target = tree
        for name in item.path[:-1]:
            target = target.setdefault(name, {})
        target[item.path[-1]] = _plain(value)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100)


def example() -> str:
    """An answers file with every key, its meaning as a comment, and example values where the default is
    empty.
    """
    lines = [
        "# Answers for conbool-tui: plan, apply and check read them with --answers FILE.",
        "# Every key may be left out; the value shown is the default unless it says example.",
        "",
    ]
    section: Path = ()
    for item in FIELDS:
        if item.path[:-1] != section:
            section = item.path[:-1]
            if section:
                lines.append(f"{section[-1]}:")
        indent = "  " * len(section)
        note = help_with_choices(item)
        value = item.default
        if item.example is not None and not item.default:
            value = item.example
            note += " (example)"
        lines.extend(textwrap.wrap(note, 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "))
        lines.append(f"{indent}{item.path[-1]}: {_flow(value)}")
        if not section:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# --- reading YAML ---------------------------------------------------------------------------------


def read(data: bytes, source: str) -> Tree:
    """What a YAML file gives, by path, with the line of every value. Raises AnswerError."""
    if len(data) > _LARGEST:
        raise AnswerError(
            "",
            f"{source} is larger than {_LARGEST // 1024 // 1024} MiB.",
            "That is no answers file.",
            _SEE_EXAMPLE,
        )
    try:
        with _collector_paused():
            root = long_lists.compose(data)
    except yaml.YAMLError as error:
        raise AnswerError(
            "", f"{source} is no YAML: {_yaml_reason(error)}", "", _yaml_advice(data, error)
        ) from None
    except RecursionError:
        raise AnswerError("", f"{source} is nested far too deeply.", "", _SEE_EXAMPLE) from None
    if root is None or (root.tag == _NULL and root.value == ""):
        return {}
    with _collector_paused():
        return _Reader(source).top(root)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking through a hundred thousand new entries again and again, which
    takes as long as making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Reader:
    """Turns YAML nodes into the tree of given values."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.seen: set[int] = set()

    def top(self, root: yaml.Node) -> Tree:
        if not isinstance(root, yaml.MappingNode):
            raise AnswerError(
                "",
                f"{self.source} holds no keys; an answers file is made of lines such as domains: "
                "[example.com].",
                "",
                _SEE_EXAMPLE,
            )
        tree: Tree = {}
        self.section(root, (), tree)
        return tree

    def origin(self, node: yaml.Node) -> str:
        return f"{self.source}, line {node.start_mark.line + 1}"

    def once(self, node: yaml.Node, key: str) -> None:
        """Refuse tags of other programs, and aliases: a node met twice, or one inside itself."""
        if node.tag not in _TAGS:
            raise _refused(
                key, self.origin(node), f"has the YAML tag {shown(node.tag)}; tags are not possible here."
            )
        if not isinstance(node, yaml.ScalarNode):
            if id(node) in self.seen:
                raise _refused(
                    key, self.origin(node), "is an alias (*name) of another value; write the value itself."
                )
            self.seen.add(id(node))

    def pairs(self, node: yaml.MappingNode, prefix: str) -> Iterable[tuple[str, yaml.ScalarNode, yaml.Node]]:
        self.once(node, prefix)
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refused(prefix, self.origin(key_node), "has a key that is no word.")
            name = key_node.value
            dotted = f"{prefix}.{name}" if prefix else name
            line = key_node.start_mark.line + 1
            if name in lines:
                raise AnswerError(
                    dotted,
                    f"{dotted}: given twice, in line {lines[name]} and line {line} of {self.source}.",
                    "Only one of them could count.",
                    "Remove one.",
                )
            lines[name] = line
            yield name, key_node, value_node

    def section(self, node: yaml.MappingNode, prefix: Path, tree: Tree) -> None:
        for name, key_node, value_node in self.pairs(node, ".".join(prefix)):
            path = (*prefix, name)
            key = ".".join(path)
            if path in BY_PATH:
                item = BY_PATH[path]
                given = self.value(value_node, key)
                if given.value is None and item.kind in (Kind.LIST, Kind.MAPPING, Kind.RECORDS):
                    continue
                tree[path] = given
            elif path in SECTIONS:
                if isinstance(value_node, yaml.MappingNode):
                    self.section(value_node, path, tree)
                elif value_node.tag != _NULL:
                    inside = ", ".join(item.path[-1] for item in FIELDS if item.path[:-1] == path)
                    raise _refused(key, self.origin(value_node), f"must hold keys of its own: {inside}.")
            else:
                raise AnswerError(
                    key, f"{key}: unknown key{_nearest(path)} ({self.origin(key_node)})", "", _SEE_EXAMPLE
                )

    def value(self, node: yaml.Node, key: str) -> Given:
        self.once(node, key)
        origin = self.origin(node)
        if isinstance(node, yaml.SequenceNode):
            return Given([self.value(child, key) for child in node.value], origin)
        if isinstance(node, yaml.MappingNode):
            self.seen.discard(id(node))
            return Given(
                [
                    (Given(name, self.origin(key_node)), self.value(child, key))
                    for name, key_node, child in self.pairs(node, key)
                ],
                origin,
            )
        return Given(None if node.tag == _NULL else node.value, origin)


def _nearest(path: Path) -> str:
    """``; did you mean …?`` for an unknown key, or only a full stop."""
    prefix, name = path[:-1], path[-1]
    siblings = {
        item.path[len(prefix)]
        for item in FIELDS
        if item.path[: len(prefix)] == prefix and len(item.path) > len(prefix)
    }
    close = difflib.get_close_matches(name.lower().replace("-", "_"), sorted(siblings), 1, 0.6)
    if close:
        return f"; did you mean {'.'.join((*prefix, close[0]))}?"
    names: dict[str, str] = {}
    for item in reversed(FIELDS):
        names[item.path[-1]] = item.key
        names[item.key] = item.key
        names[item.key.replace(".", "_")] = item.key
    for section in SECTIONS:
        names[section[-1]] = ".".join(section)
    close = difflib.get_close_matches(name.lower().replace("-", "_"), list(names), 1, 0.7)
    return f"; did you mean {names[close[0]]}?" if close else "."


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return f"{where}{problem}."


def _yaml_advice(data: bytes, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    lines = data.split(b"\n")
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else b""
    if b"\t" in line:
        return "YAML is indented with blanks, never with tabs."
    if b"@" in line:
        return 'A word that begins with @ needs quotes in YAML: "@example.com".'
    if b"*" in line:
        return "A word that begins with * is an alias in YAML; wildcards are not possible here anyway."
    return _SEE_EXAMPLE


# --- from what was given to values ----------------------------------------------------------------


def _refused(key: str, origin: str, message: str) -> AnswerError:
    where = f" ({origin})" if origin else ""
    return AnswerError(key, f"{key}: {message}{where}", "", "")


def _convert(item: AnswerField, given: Given) -> Any:
    """The value of one answer. Raises AnswerError."""
    if item.kind is Kind.LIST:
        return _list(item, given)
    if item.kind is Kind.MAPPING:
        return _mapping(item, given)
    if item.kind is Kind.RECORDS:
        return _records(item, given)
    if isinstance(given.value, list):
        raise _refused(item.key, given.origin, "takes one value, not several.")
    if given.value is None:
        if item.optional:
            return None
        raise _refused(
            item.key,
            given.origin,
            f"has no value; leave the key away for the default ({_flow(item.default)}).",
        )
    if item.kind is Kind.SWITCH:
        word = str(given.value).lower()
        if word not in _YES | _NO:
            raise _refused(item.key, given.origin, f"{shown(given.value)} is neither true nor false.")
        return word in _YES
    return _one(item, given)


def _one(item: AnswerField, given: Given, key: str = "") -> Any:
    """One value in its form and, where only some words are allowed, among them. Raises AnswerError."""
    key = key or item.key
    if not isinstance(given.value, str):
        raise _refused(
            key,
            given.origin,
            "must be a single word or text." if given.value is not None else "has an empty entry.",
        )
    if item.choices:
        if given.value not in item.choices:
            close = difflib.get_close_matches(given.value.lower(), item.choices, 1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise _refused(
                key,
                given.origin,
                f"{shown(given.value)} is not possible; one of {', '.join(item.choices)}{hint}",
            )
        return given.value
    try:
        return answer_forms.FORMS[item.form](given.value)
    except FormError as error:
        raise _refused(key, given.origin, f"{shown(given.value)} {error}") from None


def _entries(item: AnswerField, given: Given, wanted: str) -> list[Any]:
    if not isinstance(given.value, list):
        raise _refused(item.key, given.origin, f"must be {wanted}.")
    return given.value


class _Normal(tuple[str, ...]):
    """A list whose entries have been checked for the key ``key``: checking a hundred thousand again shows."""

    key: str


def _list(item: AnswerField, given: Given) -> tuple[str, ...]:
    if isinstance(given.value, _Normal) and given.value.key == item.key:
        return given.value
    wanted = f"a list, such as {_flow(list(item.example or item.default or _SAMPLES[item.form]))}"
    entries = _entries(item, given, wanted)
    found: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, Given):
            raise _refused(item.key, given.origin, f"must be {wanted}.")
        value = _one(item, entry)
        folded = value.lower()
        if folded in found and item.form != "network":
            raise _refused(item.key, entry.origin, f"{shown(entry.value)} is listed twice.")
        found[folded] = value
    normal = _Normal(answer_forms.merged(found.values())[0] if item.form == "network" else found.values())
    normal.key = item.key
    return normal


def _mapping(item: AnswerField, given: Given) -> dict[str, str]:
    wanted = f"pairs, such as {_flow(dict(item.example))}"
    found: dict[str, str] = {}
    for entry in _entries(item, given, wanted):
        if not isinstance(entry, tuple):
            raise _refused(item.key, given.origin, f"must be {wanted}.")
        name, value = entry
        try:
            domain = answer_forms.domain(name.value)
        except FormError as error:
            raise _refused(item.key, name.origin, f"{shown(name.value)} {error}") from None
        if domain in found:
            raise _refused(item.key, name.origin, f"{domain} is listed twice.")
        found[domain] = _one(item, value, f"{item.key}.{domain}")
    return found


def _records(item: AnswerField, given: Given) -> tuple[DnsExpectation, ...]:
    wanted = "a list of records, such as [{type: MX, name: example.com, matches: conbool}]"
    forms = {
        "type": answer_forms.record_type,
        "name": answer_forms.record_name,
        "matches": answer_forms.pattern,
    }
    found: list[DnsExpectation] = []
    for entry in _entries(item, given, wanted):
        if (
            not isinstance(entry, Given)
            or not isinstance(entry.value, list)
            or not all(isinstance(pair, tuple) for pair in entry.value)
        ):
            raise _refused(item.key, given.origin, f"must be {wanted}.")
        values: dict[str, str] = {}
        for name, value in entry.value:
            if name.value not in forms:
                close = difflib.get_close_matches(name.value, list(forms), 1)
                hint = (
                    f"; did you mean {item.key}.{close[0]}?"
                    if close
                    else f"; a record has {', '.join(forms)}."
                )
                raise _refused(f"{item.key}.{name.value}", name.origin, f"unknown key{hint}")
            if not isinstance(value.value, str):
                raise _refused(f"{item.key}.{name.value}", value.origin, "must be a single text.")
            try:
                values[name.value] = forms[name.value](value.value)
            except FormError as error:
                raise _refused(
                    f"{item.key}.{name.value}", value.origin, f"{shown(value.value)} {error}"
                ) from None
        for name in forms:
            if name not in values:
                raise _refused(
                    f"{item.key}.{name}", entry.origin, f"is missing; every record has {', '.join(forms)}."
                )
        record = DnsExpectation(**values)
        if record in found:
            raise _refused(item.key, entry.origin, f"{record.type} {record.name} is listed twice.")
        found.append(record)
    return tuple(found)


# --- what must hold between answers ---------------------------------------------------------------


def _missing(key: str, why: str) -> AnswerError:
    item = BY_PATH[tuple(key.split("."))]
    return AnswerError(
        key, f"{key} is missing.", why, f"Give {key} in the answers file, or {item.flag} on the command line."
    )


def _check_together(answers: Answers, given: Mapping[Path, Given]) -> None:
    """What one answer demands of another. Raises AnswerError."""

    def origin(key: str) -> str:
        found = given.get(tuple(key.split(".")))
        return found.origin if found is not None else ""

    smart_host = answers.smart_host
    if answers.inbound.restrict_port_25 and not answers.conbool_networks:
        raise _missing(
            "conbool_networks",
            "inbound.restrict_port_25 closes port 25 to everybody else, so Conbool's addresses must be "
            "known.",
        )
    private = [network for network in answers.conbool_networks if answer_forms.is_private(network)]
    if private and not answers.inbound.private_networks:
        item = BY_PATH[("inbound", "private_networks")]
        names = ", ".join(private[:5]) + (f" and {len(private) - 5} more" if len(private) > 5 else "")
        where = origin("conbool_networks")
        raise AnswerError(
            "conbool_networks",
            f"conbool_networks: {names} is private address space{f' ({where})' if where else ''}.",
            "Conbool sends from public addresses, and whoever has one of these in your own network would be taken "
            "for Conbool.",
            "Write the addresses shown in the Setup Assistant; your own networks belong into "
            f"inbound.extra_networks. If these are meant, give {item.key}: true in the answers file, or {item.flag} "
            "on the command line.",
        )
    if answers.scope.mode == "senders" and not answers.scope.senders:
        raise _missing(
            "scope.senders",
            "With scope.mode senders only the listed senders use the smart host, and none is listed.",
        )
    if smart_host.client_certificate and not smart_host.client_key:
        raise _missing(
            "smart_host.client_key",
            "smart_host.client_certificate is given, and a certificate is of no use without its key.",
        )
    if smart_host.client_key and not smart_host.client_certificate:
        raise _missing(
            "smart_host.client_certificate",
            "smart_host.client_key is given, and a key is of no use without its certificate.",
        )
    if smart_host.host.replace(".", "").isdigit() and smart_host.tls_name is None:
        raise _missing(
            "smart_host.tls_name", "smart_host.host is an address, and certificates are checked by name."
        )
    for domain in answers.markers.loop_headers:
        if answers.domains and domain not in answers.domains:
            close = difflib.get_close_matches(domain, answers.domains, 1)
            hint = f"; did you mean {close[0]}?" if close else "; add it to domains, or remove it here."
            raise _refused(
                "markers.loop_headers", origin("markers.loop_headers"), f"{domain} is not among domains{hint}"
            )
    known: dict[str, str] = {answers.markers.released.lower(): "markers.released"}
    for name in answers.markers.spam:
        if name.lower() in known:
            raise _refused(
                "markers.spam",
                origin("markers.spam"),
                f"{shown(name)} is {known[name.lower()]} already; the two mean opposite things.",
            )
        known[name.lower()] = "markers.spam"
    for domain, name in answers.markers.loop_headers.items():
        if name.lower() in known:
            raise _refused(
                "markers.loop_headers",
                origin("markers.loop_headers"),
                f"{shown(name)} for {domain} is {known[name.lower()]} already.",
            )
    both = list(answers.conbool_networks + answers.inbound.extra_networks)
    for first, second in answer_forms.overlaps(both):
        raise _refused(
            "inbound.extra_networks",
            origin("inbound.extra_networks"),
            f"{first} and {second} overlap (conbool_networks and inbound.extra_networks); mail from there "
            "would be both Conbool's and not.",
        )


# --- printing -------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A value as YAML's own types."""
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, DnsExpectation):
        return dataclasses.asdict(value)
    return value


def _flow(value: Any) -> str:
    """A value in YAML's one-line style."""
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _given_back(item: AnswerField, value: Any) -> Given:
    """A value as if it had been read."""
    if item.kind is Kind.LIST:
        if isinstance(value, _Normal) and value.key == item.key:
            return Given(value)
        return Given([Given(entry) for entry in value])
    if item.kind is Kind.MAPPING:
        return Given([(Given(key), Given(entry)) for key, entry in value.items()])
    if item.kind is Kind.RECORDS:
        return Given(
            [
                Given([(Given(name), Given(text)) for name, text in dataclasses.asdict(entry).items()])
                for entry in value
            ]
        )
    if item.kind is Kind.SWITCH:
        return Given("true" if value else "false")
    return Given(None if value is None else str(value))


def merged(*trees: Optional[Mapping[Path, Given]]) -> Tree:
    """Several sources laid over each other, the later ones winning per key."""
    result: Tree = {}
    for tree in trees:
        result.update(tree or {})
    return result
