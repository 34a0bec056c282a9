"""The value of one key of ours in a file's content: parameter, service option, marked block, tagged lines or the whole file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, Optional, Union

from conbool_tui import text_blocks
from conbool_tui.firewall import tagged_lines
from conbool_tui.plan import Change, ChangeKind
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.postfix_config.value_lists import splitter
from conbool_tui.transaction.record import Record

Key = tuple[str, str]
"""A path (or the name of a set of firewall rules) and a key in it; an empty key is the whole of it."""


class TaggedText:
    """A text file in which only the lines with our tag are ours (``firewall.tagged_lines``)."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @classmethod
    def parse(cls, data: bytes) -> TaggedText:
        """Any bytes are such a file."""
        return cls(data)

    def get(self, tag: str) -> Optional[str]:
        """Our lines, None when there are none."""
        return tagged_lines.get(self._data, tag)

    def put(self, tag: str, value: Optional[str]) -> None:
        """Replace our lines."""
        self._data = tagged_lines.put(self._data, tag, value)

    def copy(self) -> TaggedText:
        """An independent copy."""
        return TaggedText(self._data)

    def to_bytes(self) -> bytes:
        """The file's content."""
        return self._data


class BlockText:
    """A text file in which only our marked blocks are ours (``text_blocks``)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        text_blocks.ids(data)

    @classmethod
    def parse(cls, data: bytes) -> BlockText:
        """Raises ConfigTextError: markers do not pair up."""
        return cls(data)

    def get(self, block_id: str) -> Optional[str]:
        """The lines of a block, None when it is not there."""
        return text_blocks.get(self._data, block_id)

    def put(self, block_id: str, value: Optional[str]) -> None:
        """Replace a block's lines, or take the block out."""
        self._data = text_blocks.put(self._data, block_id, value)

    def copy(self) -> BlockText:
        """An independent copy."""
        return BlockText(self._data)

    def to_bytes(self) -> bytes:
        """The file's content."""
        return self._data


Text = Union[MainCf, MasterCf, TaggedText, BlockText]
"""A file's content, read so that it can be asked for single keys."""
_PARSERS: Mapping[ChangeKind, Callable[[bytes], Text]] = {
    ChangeKind.PARAMETER: MainCf.parse,
    ChangeKind.LINES: TaggedText.parse,
    ChangeKind.BLOCK: BlockText.parse,
}


def parser_of(kind: ChangeKind) -> Callable[[bytes], Text]:
    """How a file is read in which such changes are made; it raises ConfigTextError."""
    return _PARSERS.get(kind, MasterCf.parse)


def key_of(change: Change) -> Key:
    """What a change sets."""
    return change.path, change.key


def value_of(text: Text, change: Change) -> Optional[str]:
    """The value of a change's key; None: not there."""
    if isinstance(text, (MainCf, TaggedText, BlockText)):
        return text.get(change.key)
    if change.kind is ChangeKind.SERVICE_BLOCK:
        return text.block(change.key)
    name, kind, option = change.key.rsplit("/", 2)
    service = text.service(name, kind)
    return None if service is None else service.option(option)


def value_in(data: Optional[bytes], change: Change) -> Optional[str]:
    """The same of a content, which for a whole file is the value. Raises ConfigTextError."""
    if data is None or change.kind is ChangeKind.FILE:
        return text_of(data)
    return value_of(parser_of(change.kind)(data), change)


def values_of(record: Record, change: Change) -> tuple[Optional[str], Optional[str]]:
    """The values of a change's key before and after it was made. Raises ConfigTextError."""
    if change.kind is ChangeKind.FIREWALL:
        return change.before, change.after
    for entry in record.entries:
        if entry.path == change.path:
            before = None if entry.before is None else entry.before.data
            after = None if entry.after is None else entry.after.data
            return value_in(before, change), value_in(after, change)
    return None, None


def same_meaning(change: Change, one: Optional[str], other: Optional[str]) -> bool:
    """Whether the mail system reads the same from both; how a list is laid out does not count."""
    split = splitter(change.key.rsplit("/", 1)[-1])
    lists = change.kind in (ChangeKind.PARAMETER, ChangeKind.SERVICE_OPTION)
    if one is None or other is None or split is None or not lists:
        return one == other
    return split(one) == split(other)


def text_of(data: Optional[bytes]) -> Optional[str]:
    """A content as text; every byte survives."""
    return None if data is None else data.decode("utf-8", "surrogateescape")


def bytes_of(text: Optional[str]) -> Optional[bytes]:
    """The content that ``text_of`` made the text from."""
    return None if text is None else text.encode("utf-8", "surrogateescape")
