"""master.cf: read services, change one ``-o`` of one service, add and remove marked blocks of whole services.

How Postfix reads a service (master(5)): a logical line of at least eight fields, separated by blank, tab, CR.
White space inside braces does not separate. An argument that starts with ``{`` loses its braces and the white
space inside them. Options end at the first argument that does not start with ``-``; what follows belongs to
the command (pipe(8), spawn(8)).

Quirks a reader of :class:`ServiceOption` should know:

* ``-o name=value``, ``-oname=value``, ``-o { name = value }`` and ``-vo name=value`` are all overrides.
* ``-o name = value`` is not: the daemon gets the argument ``name`` and dies of it. It is listed by
  :meth:`MasterCf.problems`.
* ``-o name=a, b`` sets ``name`` to ``a,``; ``b`` ends the options.
* ``-o{ name = value }`` is not either: only a brace at the start of an argument groups for the daemon.
* Of two overrides of one parameter the later counts; of two entries with the same name and type the later
  counts (master(8) warns).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

from conbool_tui.postfix_config.blocks import (
    append_block,
    block_ids,
    check_block_id,
    cut_block,
    find_block,
    is_marker,
)
from conbool_tui.postfix_config.errors import ConfigTextError
from conbool_tui.postfix_config.lines import (
    LF,
    WHITESPACE,
    LogicalLine,
    content,
    decode,
    encode,
    end_line,
    is_skipped,
    line_end_style,
    logical_lines,
    smallest_change,
    splice,
    split_name_value,
    split_physical,
    starts_with_space,
    unend_line,
)
from conbool_tui.postfix_config.main_cf import check_parameter_name, check_value

_SEPARATORS = b" \t\r\n"
_PLAIN_OUTSIDE, _PLAIN_INSIDE = re.compile(rb"[^{} \t\r\n]+"), re.compile(rb"[^{}]+")
_FIELDS = 8
# Options of the daemons that take an argument (their getopt string), -o apart: -i -m -n -s -t.
_WITH_ARGUMENT = b"imnst"


@dataclass(frozen=True)
class ServiceOption:
    """One ``-o name=value`` of a service."""

    name: str
    value: str


@dataclass(frozen=True)
class ServiceEntry:
    """One service of master.cf, its columns as written (``-`` is the default).

    Attributes:
        args: what follows the command, as the daemon gets it: braces around an argument taken off.
        options: the ``-o`` overrides among the arguments, in order, duplicates included.
        line: number of the physical line it starts in, from 1.
    """

    name: str
    type: str
    private: str
    unpriv: str
    chroot: str
    wakeup: str
    maxproc: str
    command: str
    args: tuple[str, ...]
    options: tuple[ServiceOption, ...]
    line: int

    def option(self, name: str) -> Optional[str]:
        """The value the service overrides ``name`` with (the last one counts), or None."""
        for option in reversed(self.options):
            if option.name == name:
                return option.value
        return None


@dataclass(frozen=True)
class _Token:
    """An argument: its place in the joined text as written, and the text the daemon gets."""

    start: int
    end: int
    text: bytes
    inner: int
    """Joined offset of ``text``."""


@dataclass(frozen=True)
class _Override:
    """Where an override stands in the joined text: from its ``-`` (or the ``o`` of ``-vo``) to its end."""

    name: bytes
    value: bytes
    start: int
    end: int
    argument: int
    """Start of the argument's written form, braces included; behind the ``o`` in ``-oname=value``."""
    value_start: int
    braced: bool


@dataclass(frozen=True)
class _Service:
    logical: LogicalLine
    tokens: tuple[_Token, ...]
    overrides: tuple[_Override, ...]
    options_end: int
    """Joined offset behind the last option (or the command): the only place where another option may go."""
    faults: tuple[str, ...]


class MasterCf:
    """The text of a master.cf, editable per override and per marked block.

    Any bytes can be parsed; what Postfix would refuse is kept and listed by :meth:`problems`.
    """

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    @classmethod
    def parse(cls, data: bytes) -> MasterCf:
        """Read the bytes of a master.cf. Never raises; ``parse(data).to_bytes() == data``."""
        return cls(split_physical(data))

    def to_bytes(self) -> bytes:
        """The file with the changes made so far."""
        return b"".join(self._lines)

    def copy(self) -> MasterCf:
        """An independent copy, for "before and after"."""
        return MasterCf(list(self._lines))

    def services(self) -> tuple[ServiceEntry, ...]:
        """All services in file order, duplicates included; a line with fewer than eight fields is none."""
        return tuple(_entry(service) for service in _services(self._lines))

    def service(self, name: str, type: str) -> Optional[ServiceEntry]:
        """The service of this name and type (of duplicates the last, which master(8) uses), or None."""
        found = self._find(name, type)
        return None if found is None else _entry(found)

    def problems(self) -> tuple[str, ...]:
        """What Postfix would refuse or skip in this file, and damaged marker lines; one sentence each."""
        result = []
        for logical in logical_lines(self._lines):
            where = f"line {logical.pieces[0] + 1}"
            if logical.ignored:
                result.append(f"{where}: indented text that continues nothing is ignored by Postfix")
                continue
            service = _read_service(logical)
            if service is None:
                result.append(f"{where}: fewer than eight fields")
            else:
                result.extend(f"{where}: {fault}" for fault in service.faults)
        for block_id in block_ids(self._lines):
            try:
                find_block(self._lines, block_id)
            except ConfigTextError as error:
                result.append(error.what)
        return tuple(result)

    def set_option(self, name: str, type: str, option: str, value: str) -> None:
        """Make ``value`` the service's override of the parameter ``option``.

        An override that is there is changed in place (the last one, if it is repeated) and keeps its way of
        writing; a new one gets a line of its own behind the last option, before arguments of the command.
        Where such arguments follow on the same line, it is put between them and the last option. A value with
        white space is written ``-o { name = value }``.

        Raises:
            ConfigTextError: no such service, a name or value that would break the file, or an option that
                cannot be written without changing anything else.
        """
        raw_name = check_parameter_name(option)
        raw_value = check_value(value, f"value of {option}")
        if _unclosed(raw_value):
            raise ConfigTextError(
                f"The value of {option} has a '{{' without its '}}'.",
                "Postfix would read the rest of the service as part of the value.",
                "Pair up the braces.",
            )
        found = self._require(name, type)
        old = next((o for o in reversed(found.overrides) if o.name == raw_name), None)
        if old is not None and old.value == raw_value:
            return
        if old is None:
            candidates = [_insert(self._lines, found, _written(raw_name, raw_value))]
        else:
            candidates = _change(self._lines, found, old, raw_value)
        wanted = [(o.name, o.value) for o in found.overrides]
        if old is None:
            wanted.append((raw_name, raw_value))
        else:
            wanted[found.overrides.index(old)] = (raw_name, raw_value)
        for lines in candidates:
            if _differs_only_in(self._lines, lines, found, wanted):
                self._lines = lines
                return
        raise ConfigTextError(
            f"-o {option} cannot be written to the service {name}/{type} with this value.",
            "Postfix would read something else, for example because braces do not pair up.",
            "Choose another value or change master.cf by hand.",
        )

    def remove_option(self, name: str, type: str, option: str) -> None:
        """Take every override of ``option`` out of the service; nothing happens when there is none.

        A line that held nothing else goes with it.

        Raises:
            ConfigTextError: no such service, or the option cannot be removed without changing anything else.
        """
        found = self._require(name, type)
        raw_name = encode(option, "name")
        wanted = [(o.name, o.value) for o in found.overrides if o.name != raw_name]
        if len(wanted) == len(found.overrides):
            return
        lines = _cut(
            self._lines, found.logical, [(o.start, o.end) for o in found.overrides if o.name == raw_name]
        )
        if not _differs_only_in(self._lines, lines, found, wanted):
            raise ConfigTextError(
                f"-o {option} cannot be removed from the service {name}/{type}.",
                "Postfix would read something else.",
                f"Change line {found.logical.pieces[0] + 1} of master.cf by hand.",
            )
        self._lines = lines

    def block(self, block_id: str) -> Optional[str]:
        """The lines of a marked block (each ended by LF), or None when there is no such block.

        Raises:
            ConfigTextError: the block's markers do not pair up.
        """
        check_block_id(block_id)
        block = find_block(self._lines, block_id)
        if block is None:
            return None
        return decode(b"".join(unend_line(line) + LF for line in self._lines[block.begin + 1 : block.end]))

    def block_ids(self) -> tuple[str, ...]:
        """The ids of all marked blocks, in file order; blocks with damaged markers included."""
        return block_ids(self._lines)

    def add_block(self, block_id: str, text: str) -> None:
        """Add a marked block of whole services at the end of the file.

        Args:
            block_id: a word that names the block.
            text: lines separated by LF (the file's own line end is used), at least one service.

        Raises:
            ConfigTextError: the id is taken or no word, its markers are damaged, or ``text`` is not made of
                whole services.
        """
        check_block_id(block_id)
        body = _block_body(text)
        if find_block(self._lines, block_id) is not None:
            raise ConfigTextError(
                f"master.cf already has a block '{block_id}'.",
                "Two blocks of one name could not be told apart.",
                "Replace the block instead of adding it.",
            )
        self._lines = append_block(self._lines, block_id, body, line_end_style(self._lines))

    def replace_block(self, block_id: str, text: str) -> None:
        """Replace the lines of a marked block, where it stands.

        Raises:
            ConfigTextError: no such block, damaged markers, an indented line behind the block, or ``text`` is
                not made of whole services.
        """
        body = _block_body(text)
        block = find_block(self._lines, block_id)
        if block is None:
            raise self._no_block(block_id)
        self._check_nothing_continues(block_id, block.end)
        style = line_end_style(self._lines)
        new = [line + style for line in body]
        self._lines = [*self._lines[: block.begin + 1], *new, *self._lines[block.end :]]

    def remove_block(self, block_id: str) -> None:
        """Take a marked block out of the file, markers included: the exact inverse of :meth:`add_block`.

        Raises:
            ConfigTextError: no such block, damaged markers, or an indented line behind the block.
        """
        check_block_id(block_id)
        block = find_block(self._lines, block_id)
        if block is None:
            raise self._no_block(block_id)
        self._check_nothing_continues(block_id, block.end)
        self._lines = cut_block(self._lines, block)

    def _no_block(self, block_id: str) -> ConfigTextError:
        return ConfigTextError(
            f"master.cf has no block '{block_id}'.",
            "There is nothing to change.",
            "Look whether its marker lines were removed by hand.",
        )

    def _check_nothing_continues(self, block_id: str, end: int) -> None:
        # A comment does not end a service: an indented line below the END marker belongs to the block's last
        # service, and without the block it would join the service above.
        for index in range(end + 1, len(self._lines)):
            if is_skipped(self._lines[index]):
                continue
            if starts_with_space(self._lines[index]):
                where = f"Line {index + 1} of master.cf"
                raise ConfigTextError(
                    f"{where} is indented: it continues the last service of the block '{block_id}'.",
                    "Without the block it would change another service.",
                    "Move the line above the block's END marker, or remove it.",
                )
            return

    def _find(self, name: str, service_type: str) -> Optional[_Service]:
        for service in reversed(_services(self._lines)):
            if (decode(service.tokens[0].text), decode(service.tokens[1].text)) == (name, service_type):
                return service
        return None

    def _require(self, name: str, service_type: str) -> _Service:
        found = self._find(name, service_type)
        if found is None:
            raise ConfigTextError(
                f"master.cf has no service {name}/{service_type}.",
                "There is nothing to change.",
                "Check the name and the type (postconf -M lists them).",
            )
        return found


def _services(lines: Sequence[bytes]) -> list[_Service]:
    found = [_read_service(logical) for logical in logical_lines(lines) if not logical.ignored]
    return [service for service in found if service is not None]


def _entry(service: _Service) -> ServiceEntry:
    texts = [decode(token.text) for token in service.tokens]
    name, service_type, private, unpriv, chroot, wakeup, maxproc, command = texts[:_FIELDS]
    return ServiceEntry(
        name=name,
        type=service_type,
        private=private,
        unpriv=unpriv,
        chroot=chroot,
        wakeup=wakeup,
        maxproc=maxproc,
        command=command,
        args=tuple(texts[_FIELDS:]),
        options=tuple(ServiceOption(decode(o.name), decode(o.value)) for o in service.overrides),
        line=service.logical.pieces[0] + 1,
    )


def _tokens(text: bytes) -> list[_Token]:
    """Split at separators outside braces; take the braces off an argument that is one balanced group."""
    tokens = []
    at = 0
    while at < len(text):
        if text[at] in _SEPARATORS:
            at += 1
            continue
        start, level = at, 0
        while at < len(text) and (level > 0 or text[at] not in _SEPARATORS):
            plain = (_PLAIN_INSIDE if level else _PLAIN_OUTSIDE).match(text, at)
            if plain:
                at = plain.end()
                continue
            level = level + 1 if text[at] == ord("{") else max(0, level - 1)
            at += 1
        raw = text[start:at]
        if raw.startswith(b"{") and _closing_brace(raw) == len(raw) - 1:
            inside = raw[1:-1].lstrip(WHITESPACE)
            tokens.append(_Token(start, at, inside.rstrip(WHITESPACE), at - 1 - len(inside)))
        else:
            tokens.append(_Token(start, at, raw, start))
    return tokens


def _unclosed(value: bytes) -> bool:
    """Whether a brace is still open at the end; a closing one too many is plain text."""
    level = 0
    for byte in value:
        if byte == ord("{"):
            level += 1
        elif byte == ord("}") and level > 0:
            level -= 1
    return level > 0


def _closing_brace(raw: bytes) -> int:
    """Index of the brace that closes the one ``raw`` starts with, or -1."""
    level = 0
    for index, byte in enumerate(raw):
        if byte == ord("{"):
            level += 1
        elif byte == ord("}"):
            level -= 1
            if level == 0:
                return index
    return -1


def _read_service(logical: LogicalLine) -> Optional[_Service]:
    tokens = _tokens(logical.text)
    if len(tokens) < _FIELDS:
        return None
    overrides: list[_Override] = []
    unpaired = [t.text for t in tokens[_FIELDS:] if t.inner == t.start and t.text.startswith(b"{")]
    faults = [f"{decode(text)}: the braces do not pair up" for text in unpaired]
    end = tokens[_FIELDS - 1].end
    index = _FIELDS
    while index < len(tokens):
        token = tokens[index]
        if not token.text.startswith(b"-") or token.text in (b"-", b"--"):
            break
        end = token.end
        index += 1
        for letter in range(1, len(token.text)):
            if token.text[letter] not in b"o" + _WITH_ARGUMENT:
                continue
            rest = token.text[letter + 1 :]
            if rest:
                argument = _Token(token.inner + letter + 1, token.end, rest, token.inner + letter + 1)
            elif index < len(tokens):
                argument = tokens[index]
                end = argument.end
                index += 1
            else:
                faults.append(f"-{chr(token.text[letter])} without its argument")
                break
            if token.text[letter] == ord("o"):
                # "-vo name=value": the -v in front is no part of the override.
                start = token.start if letter == 1 else token.inner + letter
                override = _read_override(argument, start, logical.joined)
                if override is None:
                    faults.append(f"-o {decode(argument.text)}: not of the form name=value")
                else:
                    overrides.append(override)
            break
    return _Service(logical, tuple(tokens), tuple(overrides), end, tuple(faults))


def _read_override(argument: _Token, start: int, joined: bytes) -> Optional[_Override]:
    pair = split_name_value(argument.text)
    if pair is None:
        return None
    braced = joined[argument.start] == ord("{") and argument.inner != argument.start
    value_start = argument.inner + pair.start
    return _Override(pair.name, pair.value, start, argument.end, argument.start, value_start, braced)


def _written(name: bytes, value: bytes) -> bytes:
    """An override as text: braces only where the value needs them."""
    if any(byte in WHITESPACE for byte in value):
        return b"-o { " + name + b" = " + value + b" }"
    return b"-o " + name + b"=" + value


def _insert(lines: list[bytes], service: _Service, text: bytes) -> list[bytes]:
    """A new override behind the last option."""
    logical, at = service.logical, service.options_end
    line, column = _place(lines, logical, at)
    physical = lines[line]
    if content(physical)[column:].strip(WHITESPACE):
        span = splice(lines, logical, at, at, b" " + text)
        return span.apply(lines)
    result = list(lines)
    new = _indentation(lines, service) + text
    if physical.endswith(LF):
        result.insert(line + 1, new + physical[len(unend_line(physical)) :])
    else:
        # The file keeps ending without a line end; remove_option takes the added one back.
        result[line] = end_line(physical, line_end_style(lines))
        result.insert(line + 1, new)
    return result


def _place(lines: Sequence[bytes], logical: LogicalLine, at: int) -> tuple[int, int]:
    """Physical line and column of the text that ends at the joined offset ``at``."""
    for line in logical.pieces:
        length = len(content(lines[line]))
        if at <= length:
            return line, at
        at -= length
    raise AssertionError("an offset behind the end of its logical line")


def _indentation(lines: Sequence[bytes], service: _Service) -> bytes:
    """The indentation of the service's last override line, or two blanks."""
    for line in reversed(service.logical.pieces[1:]):
        text = content(lines[line])
        indent = text[: len(text) - len(text.lstrip(b" \t"))]
        if indent and text[len(indent) :].startswith(b"-o"):
            return indent
    return b"  "


def _change(lines: list[bytes], service: _Service, old: _Override, value: bytes) -> list[list[bytes]]:
    """Ways to change an override, best first: the value alone, then its whole argument."""
    logical = service.logical
    result = []
    needs_braces = any(byte in WHITESPACE for byte in value)
    if old.braced or not needs_braces:
        ends = old.value_start + len(old.value)
        start, stop, new = smallest_change(lines, logical, old.value_start, ends, value)
        result.append(splice(lines, logical, start, stop, new).apply(lines))
    # Behind the "-v" of "-vo" the new argument needs a blank of its own.
    joint = b"" if logical.joined[old.start] == ord("-") else b" "
    result.append(splice(lines, logical, old.start, old.end, joint + _written(old.name, value)).apply(lines))
    return result


def _cut(lines: Sequence[bytes], logical: LogicalLine, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """The file without the joined ranges and the white space that separated them; lines left empty go."""
    result = list(lines)
    gone: list[int] = []
    offset = 0
    for line in logical.pieces:
        text = content(lines[line])
        length = len(text)
        for start, end in sorted(ranges, reverse=True):
            left, right = max(start - offset, 0), min(end - offset, length)
            if left < right:
                text = _cut_words(text, left, right)
        offset += length
        if not text.strip(WHITESPACE):
            gone.append(line)
        else:
            result[line] = text + (LF if lines[line].endswith(LF) else b"")
    last = len(result) - 1
    if last in gone and not lines[last].endswith(LF):
        # A file that ends without a line end still does when its last line goes.
        keep = next((i for i in range(last, -1, -1) if i not in gone), None)
        if keep is not None:
            result[keep] = unend_line(result[keep])
    return [line for index, line in enumerate(result) if index not in gone]


def _cut_words(text: bytes, left: int, right: int) -> bytes:
    head, tail = text[:left], text[right:]
    if not head.strip(WHITESPACE):
        # The first words of a continuation line: its indentation must stay.
        return text[: len(text) - len(text.lstrip(WHITESPACE))] + tail.lstrip(WHITESPACE)
    return head.rstrip(WHITESPACE) + tail


def _differs_only_in(
    before: Sequence[bytes], after: Sequence[bytes], changed: _Service, wanted: list[tuple[bytes, bytes]]
) -> bool:
    """Whether one service differs, in nothing but its overrides, and these are as wanted."""
    old, new = logical_lines(before), logical_lines(after)
    at = old.index(changed.logical)
    others = [line.joined for n, line in enumerate(old) if n != at]
    if len(old) != len(new) or others != [line.joined for n, line in enumerate(new) if n != at]:
        return False
    service = _read_service(new[at])
    return (
        service is not None
        and [(o.name, o.value) for o in service.overrides] == wanted
        and _others(service) == _others(changed)
    )


def _others(service: _Service) -> list[bytes]:
    """The words of a service that are no part of an override; of ``-vo`` the ``-v``."""
    words = []
    for token in service.tokens:
        start = next(
            (o.start for o in service.overrides if o.start < token.end and token.start < o.end), None
        )
        if start is None:
            words.append(token.text)
        elif token.start < start:
            words.append(service.logical.joined[token.start : start])
    return words


# The same texts come again with every plan of a session.
@lru_cache(maxsize=32)
def _block_body(text: str) -> tuple[bytes, ...]:
    """The lines of a block's text, checked to be whole services."""
    raw = encode(text, "block")
    lines = split_physical(raw if raw.endswith(LF) else raw + LF)
    logical = logical_lines(lines)
    if b"\r" in raw or b"\0" in raw or any(is_marker(line) for line in lines):
        raise ConfigTextError(
            "The block contains a CR or NUL character or one of our marker lines.",
            "It would not read back as written.",
            "Give plain lines separated by LF.",
        )
    if not logical or logical[0].ignored or any(_read_service(line) is None for line in logical):
        raise ConfigTextError(
            "The block is not made of whole services.",
            "Postfix would refuse it, or it would continue the service above.",
            "Start each service in the first column, with all eight fields.",
        )
    return tuple(content(line) for line in lines)
