"""Every answer as a flat list, read off the one declaration in ``answers``: the base of answers file, flags,
JSON schema and wizard fields.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union, get_origin, get_type_hints

from conbool_tui.answer_forms import RECORD_TYPES, SECONDS, SHORTEST_PREFIX
from conbool_tui.answers import Answers, DnsExpectation

Path = tuple[str, ...]

SCHEMA_ID = "urn:conbool-tui:answers"

FLAG_PREFIX = "answer:"
"""Starts the name under which a parsed flag is kept, so that no answer can collide with another option."""


class Kind(str, enum.Enum):
    """How an answer is built up."""

    TEXT = "text"
    NUMBER = "number"
    SWITCH = "switch"
    LIST = "list"
    MAPPING = "mapping"
    RECORDS = "records"


@dataclass(frozen=True)
class AnswerField:
    """One answer: where it is (``path``), how it is built, and everything its declaration says."""

    path: Path
    kind: Kind
    optional: bool
    default: Any
    help: str
    step: str
    label: str
    choices: tuple[str, ...]
    example: Any
    form: str

    @property
    def key(self) -> str:
        """The dotted key: ``smart_host.port``."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """The command-line flag: ``--smart-host-port``."""
        return "--" + "-".join(self.path).replace("_", "-")


_KINDS: Mapping[object, tuple[Kind, bool]] = {
    str: (Kind.TEXT, False),
    Union[str, None]: (Kind.TEXT, True),
    int: (Kind.NUMBER, False),
    bool: (Kind.SWITCH, False),
    tuple[str, ...]: (Kind.LIST, False),
    tuple[DnsExpectation, ...]: (Kind.RECORDS, False),
}


def _kind(hint: object) -> tuple[Kind, bool]:
    """How a declared type is built up, and whether it may be absent."""
    return (Kind.MAPPING, False) if get_origin(hint) is Mapping else _KINDS[hint]


def _collect(model: Any, prefix: Path) -> list[AnswerField]:
    """The fields of a dataclass and of the dataclasses in it, in the order of their declaration."""
    hints = get_type_hints(model)
    found: list[AnswerField] = []
    for item in dataclasses.fields(model):
        path = (*prefix, item.name)
        hint = hints[item.name]
        if dataclasses.is_dataclass(hint):
            found.extend(_collect(hint, path))
            continue
        kind, optional = _kind(hint)
        default = item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
        data = item.metadata
        found.append(
            AnswerField(
                path,
                kind,
                optional,
                default,
                data["help"],
                data["step"],
                data["label"],
                data["choices"],
                data["example"],
                data["form"],
            )
        )
    return found


FIELDS: tuple[AnswerField, ...] = tuple(_collect(Answers, ()))
BY_PATH: Mapping[Path, AnswerField] = {item.path: item for item in FIELDS}
SECTIONS: frozenset[Path] = frozenset(item.path[:-1] for item in FIELDS if len(item.path) > 1)


def field(key: str) -> AnswerField:
    """The declaration of a dotted key. Raises KeyError."""
    return BY_PATH[tuple(key.split("."))]


def value_of(answers: Answers, path: Path) -> Any:
    """The value of one answer."""
    value: Any = answers
    for name in path:
        value = getattr(value, name)
    return value


def with_value(answers: Answers, path: Path, value: Any) -> Answers:
    """A copy of the answers with one value replaced, unchecked."""
    return _replaced(answers, path, value)  # type: ignore[no-any-return]


def _replaced(model: Any, path: Path, value: Any) -> Any:
    if len(path) == 1:
        return dataclasses.replace(model, **{path[0]: value})
    return dataclasses.replace(model, **{path[0]: _replaced(getattr(model, path[0]), path[1:], value)})


def help_with_choices(item: AnswerField) -> str:
    """The help text followed by the allowed words and the default, where they say more than the help."""
    parts = [item.help]
    if item.choices and not all(choice in item.help for choice in item.choices):
        parts.append(f"One of: {', '.join(item.choices)}.")
    if item.kind is Kind.SWITCH:
        parts.append(f"Default: {'true' if item.default else 'false'}.")
    elif item.kind is Kind.LIST and item.default:
        parts.append(f"Default: {', '.join(item.default)}.")
    elif isinstance(item.default, (str, int)):
        parts.append(f"Default: {item.default}.")
    return " ".join(parts)


# --- JSON schema ----------------------------------------------------------------------------------

_FORM_PATTERNS: Mapping[str, str] = {
    "domain": r"^[^@*\s/:]+(\.[^@*\s/:]+)+\.?$",
    "host": r"^[^@*\s/:]+(\.[^@*\s/:]+)+\.?$",
    "relay": r"^[^@*\s/:]+(\.[^@*\s/:]+)+\.?$",
    "network": r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
    "address": r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$",
    "selector": r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$",
    "sender": r"^[^@*\s]*@[^@*\s]+\.[^@*\s]+$",
    "header": r"^[!-9;-~]{1,76}$",
    "loop header": r"^[!-9;-~]{1,76}$",
    "file": r"^/[^\s]*[^\s/]$",
    "instance": r"^(-|[A-Za-z0-9][A-Za-z0-9_.-]*)$",
}


def json_schema() -> dict[str, Any]:
    """The answers file's JSON schema (draft 2020-12). The program itself checks more than a schema can
    say.
    """
    schema = _section_schema(())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "conbool-tui answers",
        "description": (
            "Answers for conbool-tui plan, apply and check. Network prefixes must be at least "
            f"/{SHORTEST_PREFIX[4]} (IPv4) or /{SHORTEST_PREFIX[6]} (IPv6)."
        ),
        **schema,
    }


def _section_schema(prefix: Path) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for item in FIELDS:
        if item.path[: len(prefix)] != prefix:
            continue
        name = item.path[len(prefix)]
        if len(item.path) == len(prefix) + 1:
            properties[name] = _field_schema(item)
        elif name not in properties:
            properties[name] = _section_schema((*prefix, name))
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _field_schema(item: AnswerField) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": item.help}
    one: dict[str, Any] = {"type": "string"}
    if item.form in _FORM_PATTERNS:
        one["pattern"] = _FORM_PATTERNS[item.form]
    if item.choices:
        one = {"enum": list(item.choices)}
    if item.kind is Kind.TEXT:
        schema.update(one)
        if item.optional:
            schema["type"] = ["string", "null"]
    elif item.kind is Kind.NUMBER:
        smallest, largest = SECONDS if item.form == "seconds" else (1, 65535)
        schema.update({"type": "integer", "minimum": smallest, "maximum": largest})
    elif item.kind is Kind.SWITCH:
        schema["type"] = "boolean"
    elif item.kind is Kind.LIST:
        schema.update({"type": "array", "items": one})
        # Networks that are given twice are merged.
        if item.form != "network":
            schema["uniqueItems"] = True
    elif item.kind is Kind.MAPPING:
        schema.update({"type": "object", "additionalProperties": one})
    else:
        record = {
            "type": {"enum": list(RECORD_TYPES)},
            "name": {"type": "string"},
            "matches": {"type": "string", "format": "regex"},
        }
        schema.update(
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": list(record),
                    "properties": record,
                },
            }
        )
    default = list(item.default) if isinstance(item.default, tuple) else item.default
    schema["default"] = dict(default) if isinstance(default, dict) else default
    return schema
