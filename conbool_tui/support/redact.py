"""Take out of a text whatever says who somebody is: mail addresses, domains, IP addresses, credentials, keys.

The same name gets the same replacement everywhere, so that a reader can still follow it; which name it was is written down nowhere.
When in doubt something is taken out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from conbool_tui.answers_schema import FIELDS
from conbool_tui.support.credentials import hide_credentials

KEPT_DOMAINS = ("conbool.com", "postfix.org", "python.org")
"""Names that say nothing about the host: these, and every name below them."""

# Last labels that make a dotted word a file or a unit; none of them is a top level domain.
_FILE_SUFFIXES = frozenset(
    (
        *(
            "bak",
            "cfg",
            "cnf",
            "conf",
            "crt",
            "csr",
            "db",
            "deb",
            "der",
            "dpkg-dist",
            "dpkg-new",
            "dpkg-old",
            "gz",
            "ini",
        ),
        *(
            "json",
            "jsonl",
            "key",
            "lmdb",
            "local",
            "lock",
            "log",
            "map",
            "mount",
            "nft",
            "old",
            "p12",
            "path",
            "pem",
            "pfx",
        ),
        *(
            "pid",
            "pyc",
            "rpm",
            "rules",
            "sav",
            "service",
            "sieve",
            "sock",
            "socket",
            "sql",
            "svg",
            "tar",
            "timer",
            "tmp",
        ),
        *("txt", "whl", "xml", "xz", "yaml", "yml", "zst", "v4", "v6"),
    )
)
# These are both; a single dot below a folder makes a program file of them.
_PROGRAM_SUFFIXES = frozenset(("py", "sh", "so"))
_FILES = frozenset(("main.cf", "master.cf", "dynamicmaps.cf", "multi-user.target", "plan.diff"))
# Words with a dot inside: the answers' keys, and what findings are called.
_OWN_WORDS = frozenset(
    (
        *(item.key for item in FIELDS),
        *(f"dns.{name}" for name in ("mx", "spf", "dmarc", "dkim", "txt", "expected")),
        *(
            f"smtp.{name}"
            for name in (
                "certificate",
                "greeting",
                "reachable",
                "recipient",
                "relay",
                "relay-host",
                "starttls",
            )
        ),
        *(
            f"smart-host.{name}"
            for name in ("chain", "connect", "greeting", "name", "resolve", "second-opinion", "starttls")
        ),
        "prerequisites.confirmed",
    )
)
_HEADERS = frozenset(("released", "flag", "spam", "origin"))

_MAIL_ADDRESS = re.compile(r"(?<![\w.+-])([\w.!#$%&'*+/=?^`{|}~-]+)@((?:[\w-]+\.)+[\w-]+)")
_DOMAIN = re.compile(r"(?<![\w@-])\.?((?:[\w-]+\.)+[^\W\d_][\w-]*)(?![\w-])")
_LOOP_HEADER = re.compile(r"\b(x-conbool-)([\w-]+)", re.IGNORECASE)
_WORD = re.compile(r"(?<![\w.-])[\w-]+(?![\w-]|\.\w)")
_IPV4 = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])((?:[0-9A-Fa-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}))(?![\w:])"
)


class Redactor:
    """Remembers which replacement a name got.

    Args:
        names: domains and host names known to be the host's own; they go also where they do not look like names (one label, hyphens
            for dots).
        secrets: values known to be secret; they go wherever they stand.
    """

    def __init__(self, names: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._count: dict[str, int] = {}
        self._secrets = sorted({value for value in secrets if len(value) >= 4}, key=len, reverse=True)
        known = {name.lower().strip(".") for name in names if len(name) >= 3}
        self._known = {name for name in known if not _kept(name)}
        self._words = {name: name for name in self._known if "." not in name}
        self._words.update({name.replace(".", "-"): name for name in self._known if "." in name})

    def _replacement(self, kind: str, value: str) -> str:
        key = (kind, value.lower())
        if key not in self._given:
            self._count[kind] = self._count.get(kind, 0) + 1
            self._given[key] = f"{kind}-{self._count[kind]}"
        return self._given[key]

    def text(self, text: str) -> str:
        """The text without what must not be told."""
        for secret in self._secrets:
            text = text.replace(secret, "(secret)")
        text = hide_credentials(text)
        text = _MAIL_ADDRESS.sub(self._mail_address, text)
        text = _LOOP_HEADER.sub(self._loop_header, text)
        text = _DOMAIN.sub(self._domain, text)
        text = _IPV6.sub(self._address, text)
        text = _IPV4.sub(self._address, text)
        return _WORD.sub(self._word, text)

    def _word(self, match: re.Match[str]) -> str:
        """A word that is a known name without dots, or a known domain with hyphens for its dots."""
        name = self._words.get(match.group(0).lower())
        if name is None:
            return match.group(0)
        return self._replacement("domain" if "." in name else "host", name)

    def _mail_address(self, match: re.Match[str]) -> str:
        user, domain = match.group(1), match.group(2)
        return f"{self._replacement('user', user)}@{self._name(domain)}"

    def _loop_header(self, match: re.Match[str]) -> str:
        if match.group(2).lower() in _HEADERS:
            return match.group(0)
        return f"{match.group(1)}{self._replacement('domain', match.group(2).replace('-', '.'))}"

    def _domain(self, match: re.Match[str]) -> str:
        name = match.group(1)
        around = (
            match.string[match.start(1) - 1 : match.start(1)],
            match.string[match.end() : match.end() + 1],
        )
        if name.lower() not in self._known and _is_no_domain(name, *around):
            return match.group(0)
        return match.group(0)[: -len(name)] + self._name(name)

    def _name(self, name: str) -> str:
        return name if _kept(name) else f"{self._replacement('domain', name)}.invalid"

    def _address(self, match: re.Match[str]) -> str:
        text = match.group(1)
        try:
            found = ipaddress.ip_address(text)
        except ValueError:
            return text
        if found.is_loopback or found.is_unspecified:
            return text
        return self._replacement(f"ipv{found.version}", str(found))


def _is_no_domain(name: str, before: str, after: str) -> bool:
    """True for a file's name or one of the program's own words; ``before`` and ``after`` are the characters around it."""
    last = name.rpartition(".")[2].lower()
    if last in _PROGRAM_SUFFIXES:
        return before == "/" and after != "/" and name.count(".") == 1
    return last in _FILE_SUFFIXES or name.lower() in _OWN_WORDS or name.lower() in _FILES


def _kept(name: str) -> bool:
    lowered = name.lower()
    return any(lowered == kept or lowered.endswith("." + kept) for kept in KEPT_DOMAINS)
