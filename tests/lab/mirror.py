"""Which Debian mirror to build roots from: the one this machine's own apt uses."""

from __future__ import annotations

import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .cache import LabError

DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Mirror:
    """A mirror that serves a suite: ``uri`` without a trailing slash, ``keyring`` that signs it."""

    uri: str
    keyring: str


def one_line_sources(text: str) -> Iterator[tuple[str, str]]:
    """The (URI, keyring or "") pairs of a sources.list file (sources.list(5), one-line style)."""
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) < 3 or words[0] != "deb":
            continue
        keyring = ""
        if words[1].startswith("["):
            end = next((i for i, word in enumerate(words) if word.endswith("]")), None)
            if end is None or len(words) < end + 3:
                continue
            for option in " ".join(words[1 : end + 1]).strip("[] ").split():
                if option.lower().startswith("signed-by="):
                    keyring = option.split("=", 1)[1].split(",")[0]
            words = words[end:]
        yield words[1].rstrip("/"), keyring


def deb822_sources(text: str) -> Iterator[tuple[str, str]]:
    """The (URI, keyring or "") pairs of a ``.sources`` file (sources.list(5), deb822 style)."""
    for stanza in text.replace("\r", "").split("\n\n"):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                fields[last] = fields.get(last, "") + " " + line.strip()
            elif ":" in line:
                last, value = line.split(":", 1)
                last = last.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        keyring = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield uri.rstrip("/"), keyring if keyring.startswith("/") else ""


def host_sources(etc_apt: Path = Path("/etc/apt")) -> list[tuple[str, str]]:
    """Every (URI, keyring) of this machine's apt sources, in order and without repetitions."""
    found: dict[tuple[str, str], None] = {}
    main = etc_apt / "sources.list"
    if main.is_file():
        found.update(dict.fromkeys(one_line_sources(main.read_text(errors="replace"))))
    parts = etc_apt / "sources.list.d"
    for path in sorted(parts.glob("*")) if parts.is_dir() else []:
        text = path.read_text(errors="replace") if path.suffix in (".list", ".sources") else ""
        parse = one_line_sources if path.suffix == ".list" else deb822_sources
        found.update(dict.fromkeys(parse(text)))
    return list(found)


def proxy_environment() -> dict[str, str]:
    """The proxies apt uses here, as ``http_proxy`` and ``https_proxy`` for tools that do not ask apt."""
    environment: dict[str, str] = {}
    for scheme in ("http", "https"):
        if os.environ.get(scheme + "_proxy"):
            environment[scheme + "_proxy"] = os.environ[scheme + "_proxy"]
            continue
        answer = subprocess.run(
            ["apt-config", "shell", "P", f"Acquire::{scheme}::Proxy"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        value = shlex.split(answer)[0].split("=", 1)[1] if "=" in answer else ""
        if value and value != "DIRECT":
            environment[scheme + "_proxy"] = value
    return environment


def serves(uri: str, suite: str, proxies: Mapping[str, str]) -> Optional[str]:
    """None when ``uri`` has ``suite``, else the reason why not."""
    handler = urllib.request.ProxyHandler({name.split("_")[0]: value for name, value in proxies.items()})
    try:
        with urllib.request.build_opener(handler).open(f"{uri}/dists/{suite}/Release", timeout=30) as answer:
            head = answer.read(4096).decode("utf-8", "replace")
    except (urllib.error.URLError, OSError, ValueError) as error:
        return str(error)
    if "Origin: Debian\n" not in head or f"Codename: {suite}\n" not in head:
        return "it is not a Debian archive of that suite"
    return None


def find_mirror(suite: str) -> Mirror:
    """The first mirror of this machine that serves ``suite``.

    ``CONBOOL_LAB_MIRROR`` (a URI) goes before apt's sources, for machines that are not Debian and for suites
    that have moved to an archive.

    Raises:
        LabError: no source serves the suite, or there is no keyring to check it with.
    """
    override = os.environ.get("CONBOOL_LAB_MIRROR", "").rstrip("/")
    candidates = ([(override, "")] if override else []) + host_sources()
    proxies = proxy_environment()
    tried = []
    for uri, keyring in candidates:
        if not uri.startswith(("http://", "https://", "file:/")):
            continue
        why_not = serves(uri, suite, proxies)
        if why_not is None:
            keyring = keyring if keyring and os.path.exists(keyring) else DEFAULT_KEYRING
            if not os.path.exists(keyring):
                raise LabError(
                    f"Debian {suite} cannot be verified without {keyring}: install debian-archive-keyring."
                )
            return Mirror(uri, keyring)
        tried.append(f"  {uri}: {why_not}")
    raise LabError(
        f"None of this machine's apt sources serves Debian {suite}, so its root cannot be built:\n"
        + "\n".join(tried or ["  (no http, https or file source found)"])
        + "\nSet CONBOOL_LAB_MIRROR to a mirror or archive that has it."
    )
