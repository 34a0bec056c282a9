"""The files of a mail log, rotated and compressed ones included, and their content in pieces of bounded size."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename, dirname, join, splitext
from typing import Any, Callable, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

PIECE = 1024 * 1024
"""Bytes read, or made by a decompressor, at a time."""

_COMPRESSED_PIECE = 256 * 1024
_LONGEST_LINE = 64 * 1024
_DEFAULTS = (
    "/var/log/mail.log",
    "/var/log/maillog",
    "/var/log/mail/mail.log",
    "/var/log/mail",
    "/var/log/mail.info",
)
_CATCH_ALL = ("/var/log/syslog", "/var/log/messages")
_RSYSLOG = "/etc/rsyslog.conf"
_RSYSLOG_FOLDER = "/etc/rsyslog.d"
_CONFIGURATION_LIMIT = 1024 * 1024
# Numbers, dates (logrotate's dateext, `postfix logrotate`'s date and time), and what compresses.
_ROTATED = r"(?:[.-]\d{1,4}|[.-]\d{8}(?:[-_T]?\d{2,6})?|[.-]\d{4}-\d\d-\d\d(?:[-_T]\d{2,6})?|[.-]\d{9,10})?"
_PACKED = r"(\.gz|\.bz2|\.xz|\.zst|\.lz4|\.lzma|\.Z|\.lzo)?"
_RULE = re.compile(
    r"\s*([A-Za-z0-9_*,.;=!-]+)\s+(?:-?(/[^\s;]+)|action\(.*\bfile=\"(/[^\"]+)\".*\))", re.IGNORECASE
)
_INFO = frozenset(("*", "debug", "info"))


@dataclass(frozen=True)
class LogFile:
    """One file: ``written`` is when it was written last (seconds since 1970), ``packed`` its compression's suffix or empty."""

    path: str
    size: int
    written: float
    packed: str


class UnreadableError(Exception):
    """A file's content cannot be had; the text says why, as the end of a sentence."""


def candidates(host: Host, maillog_file: str) -> tuple[str, ...]:
    """Paths where the log may be, the likeliest first.

    Postfix's own ``maillog_file`` (postlogd(8)), what rsyslog's rules say about ``mail.info`` (rsyslog.conf(5)), the distributions'
    usual names, and last the files that hold everything.
    """
    found = [maillog_file] if maillog_file.startswith("/") and not maillog_file.startswith("/dev/") else []
    mail, everything = _rsyslog_rules(host)
    return tuple(dict.fromkeys([*found, *mail, *_DEFAULTS, *everything, *_CATCH_ALL]))


def _rsyslog_rules(host: Host) -> tuple[list[str], list[str]]:
    """Files that rules send mail's lines to: by the facility's name, and by ``*``."""
    mail: list[str] = []
    everything: list[str] = []
    try:
        paths = [_RSYSLOG, *(join(_RSYSLOG_FOLDER, name) for name in host.listdir(_RSYSLOG_FOLDER))]
    except ConboolError:
        paths = [_RSYSLOG]
    for path in paths:
        if not path.endswith(".conf"):
            continue
        try:
            text = host.read_from(path, 0, _CONFIGURATION_LIMIT).decode("utf-8", "replace")
        except ConboolError:
            continue
        for line in text.split("\n"):
            rule = _RULE.match(line)
            if rule is None:
                continue
            named, general = _selected(rule.group(1).lower())
            if named or general:
                (mail if named else everything).append(rule.group(2) or rule.group(3))
    return mail, everything


def _selected(selector: str) -> tuple[bool, bool]:
    """Whether a selector takes ``mail.info`` by the facility's name, and whether by ``*``; later parts win."""
    named = general = False
    for part in selector.split(";"):
        facilities, _, priority = part.partition(".")
        takes = priority.lstrip("=") in _INFO and priority != "=debug"
        for facility in facilities.split(","):
            if facility == "mail":
                named, general = takes, False
            elif facility == "*" and not named:
                general = takes
    return named, general


def log_files(host: Host, base: str, oldest: float) -> tuple[LogFile, ...]:
    """The log ``base`` and its rotated files, oldest first; those written last before ``oldest`` are left out.

    Raises:
        ConboolError: the folder cannot be read.
    """
    stem, extension = splitext(basename(base))
    plain = re.compile(
        rf"(?:{re.escape(basename(base))}{_ROTATED}|{re.escape(stem)}{_ROTATED}{re.escape(extension)}){_PACKED}\Z"
    )
    folder = dirname(base)
    names = {name: match for name in host.listdir(folder) if (match := plain.match(name)) is not None}
    found: list[LogFile] = []
    for name, match in names.items():
        packed = match.group(1) or ""
        # While a file is being compressed both are there.
        if packed and name[: -len(packed)] in names:
            continue
        path = join(folder, name)
        try:
            if not host.is_file(path):
                continue
            info = host.stat(path)
        except ConboolError:
            continue
        if info.st_size and info.st_mtime >= oldest:
            found.append(LogFile(path, info.st_size, info.st_mtime, packed))
    return tuple(sorted(found, key=lambda one: (one.written, one.path)))


def blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes cut at line ends; a line longer than 64 KiB, which no mail log has, is left out."""
    rest = b""
    skipping = False
    for piece in pieces:
        end = piece.rfind(b"\n")
        if end < 0:
            rest += piece
            if len(rest) > _LONGEST_LINE:
                rest, skipping = b"", True
            continue
        block = rest + piece[: end + 1]
        rest = piece[end + 1 :]
        if skipping:
            block = block[block.find(b"\n") + 1 :]
            skipping = False
        if block:
            yield block
    if rest and not skipping:
        yield rest


def read_pieces(host: Host, file: LogFile, moved: Callable[[int], None]) -> Iterator[bytes]:
    """A file's content, decompressed, at most ``PIECE`` bytes at a time.

    Args:
        moved: is told how many bytes of the file have been read so far.

    Raises:
        UnreadableError: it cannot be read, or not to its end; what came before is good.
    """
    decompressor = None if not file.packed else _opener(file.packed)
    step = PIECE if decompressor is None else _COMPRESSED_PIECE
    offset = 0
    unpack = None
    while offset < file.size:
        try:
            data = host.read_from(file.path, offset, min(step, file.size - offset))
        except ConboolError as error:
            raise UnreadableError(error.what.rpartition(": ")[2].rstrip(".")) from None
        if not data:
            raise UnreadableError("it became shorter while it was read")
        offset += len(data)
        if decompressor is None:
            moved(offset)
            yield data
            continue
        if unpack is None:
            unpack = _Unpacker(decompressor)
        for piece in unpack.feed(data):
            moved(offset)
            yield piece
    if unpack is not None and not unpack.whole:
        raise UnreadableError("its compressed data ends too early")


class _Gzip:
    """A gzip member as the bz2 and lzma modules' decompressors look."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, limit: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, limit)


class _Unpacker:
    """Compressed pieces in, plain pieces of bounded size out; files of several members are one text."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._member: Optional[Any] = None
        self._done = False

    @property
    def whole(self) -> bool:
        """True when the last member ended."""
        return self._done

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises UnreadableError."""
        while data:
            if self._member is None:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member, self._done = self._make(), False
            try:
                plain = self._member.decompress(data, PIECE)
                if plain:
                    yield plain
                while not self._member.eof and not self._member.needs_input:
                    plain = self._member.decompress(b"", PIECE)
                    if not plain:
                        break
                    yield plain
            except _damage() as error:
                raise UnreadableError(f"its compressed data is damaged ({error})") from None
            if not self._member.eof:
                return
            data, self._member, self._done = self._member.unused_data, None, True


def _damage() -> tuple[type[Exception], ...]:
    """What decompressors raise."""
    common = (zlib.error, OSError, EOFError, MemoryError)
    try:
        import lzma
    except ImportError:
        return common
    return (*common, lzma.LZMAError)


def _opener(packed: str) -> Callable[[], Any]:
    """What makes a decompressor. Raises UnreadableError."""
    makers: Mapping[str, Callable[[], Any]] = {".gz": _gzip, ".bz2": _bz2, ".xz": _xz, ".lzma": _xz}
    maker = makers.get(packed)
    if maker is None:
        raise UnreadableError(f"this program cannot unpack {packed[1:]} files")
    try:
        maker()
    except ImportError:
        raise UnreadableError(f"this system's Python cannot unpack {packed[1:]} files") from None
    return maker


def _gzip() -> Any:
    return _Gzip()


def _bz2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Any:
    import lzma

    # xz -9, the most that compresses logs, needs 65 MiB.
    return lzma.LZMADecompressor(memlimit=80 * 1024 * 1024)
