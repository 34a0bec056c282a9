"""Files that Sendmail's tools make from others: sendmail.cf by m4, the access map by makemap(8)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import CheckFailedError
from conbool_tui.host import Host
from conbool_tui.plan import FileTarget
from conbool_tui.sendmail_config import differences, parse_cf
from detectors.sendmail.build import m4_output, with_trailer

ENDINGS = {"hash": ".db", "btree": ".db", "cdb": ".cdb"}


class SendmailBuild:
    """Builds beside the live files, in a folder that only root can enter.

    Args:
        host: the machine.
        cf: path of sendmail.cf; its source lies beside it.
    """

    def __init__(self, host: Host, cf: str) -> None:
        self._host = host
        self.cf = cf
        self.source = cf[: -len(".cf")] + ".mc"

    def targets(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
        """As MailSystem.generate. Raises CheckFailedError: a tool refuses."""
        found = [self._built_cf(files.get(self.source)), *self._built_map(files)]
        return tuple(target for target in found if target is not None)

    def _built_cf(self, planned: Optional[bytes]) -> Optional[FileTarget]:
        source = planned if planned is not None else self._host.read_bytes(self.source)
        live = self._host.read_bytes(self.cf) if self._host.is_file(self.cf) else None
        built = with_trailer(m4_output(self._host, self.source, source), live or b"", self.source, source)
        texts = [(data or b"").decode("utf-8", "surrogateescape") for data in (live, built)]
        if live is not None and not differences(*texts):
            return None
        return FileTarget(self.cf, live, built, generated=True)

    def _built_map(self, files: Mapping[str, Optional[bytes]]) -> list[Optional[FileTarget]]:
        """The access map, when its text is among the files; without files, when it is not what its text gives."""
        kind, text = parse_cf(self._host.read_text(self.cf)).map_file("access") or ("", "")
        if not text or (files and text not in files) or not self._host.is_file(text):
            return []
        if kind not in ENDINGS:
            raise CheckFailedError(
                f"The access map has the type {kind}.",
                "This program makes hash, btree and cdb maps.",
                "Use FEATURE(`access_db', `hash …').",
            )
        path = text + ENDINGS[kind]
        planned = files.get(text)
        data = planned if planned is not None else self._host.read_bytes(text)
        live = self._host.read_bytes(path) if self._host.is_file(path) else None
        with self._host.private_folder() as folder:
            built = self.make_map(kind, data, posixpath.join(folder, "map"))
            if live is not None and self._dump(kind, text) == self._dump(kind, posixpath.join(folder, "map")):
                return []
        return [FileTarget(path, live, built, 0o640, generated=True)]

    def make_map(self, kind: str, data: bytes, place: str) -> bytes:
        """A map made at ``place`` (without its ending), and its bytes. Raises CheckFailedError: makemap refuses the text."""
        result = self._host.run(["makemap", kind, place], stdin=data)
        if not result.ok:
            lines = [line.strip() for line in result.error_text().split("\n") if line.strip()]
            raise CheckFailedError(
                f"makemap refuses the access map: {(lines or ['no reason given'])[-1].replace(place, 'access')}",
                "A key that stands there twice, or a line without a value, keeps a map from being made.",
                "Repair the line in the access map, then run again.",
            )
        return self._host.read_bytes(place + ENDINGS[kind])

    def _dump(self, kind: str, place: str) -> Optional[list[str]]:
        result = self._host.run(["makemap", "-u", kind, place])
        return sorted(result.text().split("\n")) if result.ok else None
