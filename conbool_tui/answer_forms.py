"""What a single answer may look like: one function per form, each returning the value in its one normal
spelling.

The forms are named in the metadata of ``answers``; the answers file, the command line and the wizard all
come through here, so that a value means the same wherever it was typed.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from typing import Callable, Union

from conbool_tui.networks import PRIVATE, Network

SHORTEST_PREFIX = {4: 8, 6: 16}
SECONDS = (10, 3600)
RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TLSA", "TXT")

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_PLAIN_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
# The domain part is _PLAIN_DOMAIN's.
_PLAIN_SENDER = re.compile(
    r"(?:[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)?@"
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_RECORD_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z"
)
_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_FTEXT = re.compile(r"[!-9;-~]+\Z")
_INSTANCE = re.compile(r"(?:-|[A-Za-z0-9][A-Za-z0-9_.-]*)\Z")
_FILE_CHARACTERS_REFUSED = frozenset("\"'`$,;{}()<>|&*?[]\\")
# Unicode's full stops that IDNA (RFC 3490, section 3.1) takes as label separators.
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
# Letters that IDNA 2003 would map away and IDNA 2008 (RFC 5894, section 7.2) keeps: mapping them names
# somebody else's domain.
_DEVIATIONS = frozenset("\u00df\u03c2")
_OWNED_HEADERS = frozenset(
    (
        "bcc",
        "cc",
        "content-transfer-encoding",
        "content-type",
        "date",
        "delivered-to",
        "dkim-signature",
        "from",
        "message-id",
        "mime-version",
        "received",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
    )
)
_HEADER_LENGTH = 76
# RFC 1122, section 3.2.1.3, and RFC 1112, section 4: masks lie here when they are taken for addresses.
_NO_HOSTS = (ipaddress.IPv4Network("0.0.0.0/8"), ipaddress.IPv4Network("240.0.0.0/4"))
# RFC 1918, 6598 and 4193; ipaddress's own is_private also says yes to the documentation networks.


class FormError(ValueError):
    """A value does not have its form; the message says why and, where it helps, what to write instead."""


def shown(value: object) -> str:
    """The value as it can be shown in a message: on one line, printable, not endless."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return f'"{text[:80]}…"' if len(text) > 80 else f'"{text}"'


def domain(text: str) -> str:
    """A mail domain in lower case, internationalised names as A-labels (RFC 5890). Raises FormError."""
    if _PLAIN_DOMAIN.match(text) and len(text) <= 253 and "xn--" not in text:
        return text
    if not text:
        raise FormError("is empty; write a domain such as example.com.")
    if "@" in text:
        raise FormError(
            f"is no domain: it holds an @; write {shown(text.rpartition('@')[2])} for the domain alone."
        )
    if "*" in text:
        raise FormError("is no domain: wildcards are not possible here; list every domain.")
    name = _ascii_name(text)
    if "." not in name:
        raise FormError("is no mail domain: it has no dot.")
    return name


def host(text: str) -> str:
    """A full host name in lower case, internationalised names as A-labels. Raises FormError."""
    if not text:
        raise FormError("is empty; write a full host name such as mx1.example.com.")
    if "@" in text or "*" in text or "/" in text:
        raise FormError("is no host name; write a full name such as mx1.example.com.")
    if text.startswith("[") or re.search(r":\d+\Z", text):
        raise FormError("is no host name; write the name alone, without brackets and without a port.")
    name = _ascii_name(text)
    if "." not in name:
        raise FormError("is no full host name: it has no dot.")
    return name


def relay(text: str) -> str:
    """A smart host: a full host name or an IPv4 address. Raises FormError."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return host(text)


def port(text: str) -> int:
    """A TCP port, 1 to 65535. Raises FormError."""
    if not re.match(r"[0-9]{1,5}\Z", text) or not 1 <= int(text) <= 65535:
        raise FormError("is no port; ports are whole numbers from 1 to 65535.")
    return int(text)


def address(text: str) -> str:
    """A single IPv4 or IPv6 address in its shortest spelling. Raises FormError."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise FormError("is no IP address; write one such as 203.0.113.7 or 2001:db8::7.") from None
    if "%" in text:
        raise FormError("names an interface; write the address alone.")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        raise FormError("is an IPv4 address in IPv6 clothes; write it as IPv4.")
    if found.is_loopback or found.is_multicast or found.is_unspecified or found.is_link_local:
        raise FormError("is an address that no other host can reach.")
    return str(found)


def seconds(text: str) -> int:
    """A time a person needs to answer, 10 to 3600 seconds. Raises FormError."""
    shortest, longest = SECONDS
    if not re.match(r"[0-9]{1,4}\Z", text) or not shortest <= int(text) <= longest:
        raise FormError(f"is no usable time; write whole seconds from {shortest} to {longest}.")
    return int(text)


def selector(text: str) -> str:
    """A DKIM selector (RFC 6376, section 3.1), in lower case. Raises FormError."""
    name = text.lower().rstrip(".")
    if len(name) > 200 or not _RECORD_NAME.match(name):
        raise FormError("is no DKIM selector; write the name before ._domainkey, such as conbool.")
    return name


def network(text: str) -> str:
    """An IPv4 or IPv6 network in CIDR notation in its shortest spelling; a single address stands for itself.
    Raises FormError.
    """
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise FormError(
            "is no network; write an address with a prefix length, such as 198.51.100.0/24."
        ) from None
    if "%" in text:
        raise FormError("names an interface; write the network alone.")
    if "/" in text and not text.rpartition("/")[2].isdigit():
        raise FormError(f"has a mask; write it with a prefix length: {interface.network}.")
    found: Network = interface.network
    if found.prefixlen < SHORTEST_PREFIX[found.version]:
        if found.prefixlen == 0:
            raise FormError(
                "is the whole Internet: everybody would be taken for Conbool. Write Conbool's own networks."
            )
        raise FormError(
            f"is far too large: a prefix shorter than /{SHORTEST_PREFIX[found.version]} cannot be one "
            "service's network. Write Conbool's own networks."
        )
    if interface.ip != found.network_address:
        raise FormError(
            f"has bits set behind its prefix; write {found} for the network or {interface.ip} for the one "
            "address."
        )
    if isinstance(interface, ipaddress.IPv6Interface) and interface.ip.ipv4_mapped is not None:
        raise FormError("is an IPv4 address in IPv6 clothes; write it as IPv4.")
    if found.is_loopback or found.is_multicast or found.is_unspecified:
        raise FormError("is a loopback, multicast or unspecified address; no other host sends from it.")
    if any(found.overlaps(block) for block in _NO_HOSTS if block.version == found.version):
        raise FormError("is no address of a host; a mask is written as a prefix length, such as /24.")
    return str(found)


def sender(text: str) -> str:
    """A sender address or ``@domain``, in lower case as Postfix looks it up. Raises FormError."""
    if _PLAIN_SENDER.match(text) and text.index("@") <= 64 and len(text) <= 253 and "xn--" not in text:
        return text
    local, at, name = text.rpartition("@")
    if not at:
        raise FormError(
            f"is no sender; write an address such as alice@example.com, or {shown('@' + text)} for a whole "
            "domain."
        )
    if "*" in local or "*" in name:
        raise FormError("is no sender: wildcards are not possible; write @example.com for a whole domain.")
    if local and (not _DOT_ATOM.match(local) or len(local) > 64):
        raise FormError(
            "is no sender: the part before the @ is no plain mailbox name (RFC 5321: letters, digits and "
            "signs, no blanks or quotes)."
        )
    return f"{local.lower()}@{domain(name)}"


def header(text: str) -> str:
    """A header field's name (RFC 5322 section 2.2: printable ASCII without colon). Raises FormError."""
    if text.endswith(":"):
        raise FormError(f"is no header name; leave the colon away: {shown(text[:-1])}.")
    if not _FTEXT.match(text):
        raise FormError(
            "is no header name; a name is printable ASCII without blanks and colons (RFC 5322), such as "
            "X-Conbool-Flag."
        )
    if len(text) > _HEADER_LENGTH:
        raise FormError(f"is too long for a header name ({len(text)} characters, at most {_HEADER_LENGTH}).")
    if text.lower() in _OWNED_HEADERS:
        raise FormError("is a header every message has; it cannot tell Conbool's mail from other mail.")
    return text


def file(text: str) -> str:
    """Absolute path of a file, of characters that every mail system takes unquoted. Raises FormError."""
    if not text.startswith("/") or text.endswith("/"):
        raise FormError("is no absolute file name; write it from the root, such as /etc/ssl/certs/mail.pem.")
    for char in text:
        if not char.isprintable() or char.isspace() or char in _FILE_CHARACTERS_REFUSED:
            raise FormError(
                f"holds {char!r}, which mail systems treat specially in file names; give the file another "
                "name."
            )
    return text


def folder(text: str) -> str:
    """A mailbox folder. Raises FormError."""
    if not text or text != text.strip() or not text.isprintable() or len(text) > 200:
        raise FormError("is no folder name; write one such as Junk, without blanks at its ends.")
    return text


def instance(text: str) -> str:
    """Name of a Postfix instance as ``postmulti -l`` shows it; ``-`` is the default one. Raises FormError."""
    if not _INSTANCE.match(text):
        raise FormError("is no instance name; postmulti -l lists them, - is the default one.")
    return text


def record_type(text: str) -> str:
    """A DNS record type. Raises FormError."""
    if text.upper() not in RECORD_TYPES:
        raise FormError(f"is no record type known here; possible are {', '.join(RECORD_TYPES)}.")
    return text.upper()


def record_name(text: str) -> str:
    """A DNS name, in which underscores are allowed (RFC 8552). Raises FormError."""
    name = text.lower().rstrip(".")
    if len(name) > 253 or not _RECORD_NAME.match(name):
        if text.isascii():
            raise FormError("is no DNS name.")
        return domain(text)
    return name


def pattern(text: str) -> str:
    """A regular expression. Raises FormError."""
    try:
        re.compile(text)
    except re.error as error:
        raise FormError(f"is no regular expression: {error}.") from None
    return text


def text(text: str) -> str:
    """Any printable text. Raises FormError."""
    if not text.isprintable():
        raise FormError("holds characters that cannot be printed.")
    return text


FORMS: dict[str, Callable[[str], Union[str, int]]] = {
    "domain": domain,
    "host": host,
    "relay": relay,
    "port": port,
    "network": network,
    "address": address,
    "seconds": seconds,
    "selector": selector,
    "sender": sender,
    "header": header,
    "loop header": header,
    "file": file,
    "folder": folder,
    "instance": instance,
    "text": text,
}


def is_private(network: str) -> bool:
    """True for a network (in normal spelling) of which a part is address space of one's own: RFC 1918, carrier-grade NAT
    (RFC 6598), unique local IPv6 (RFC 4193). Documentation networks are not.
    """
    found = ipaddress.ip_network(network)
    return any(found.overlaps(block) for block in PRIVATE if block.version == found.version)


def merged(networks: Iterable[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Networks (in normal spelling) without those that are there twice or lie in another, in the order given.

    Neighbours are not joined: the list stays the one the admin knows, and no prefix gets shorter.

    Returns:
        What stays, and pairs of what was left out and what it lies in (the same text for a duplicate).
    """
    given = list(networks)
    parsed = [ipaddress.ip_network(item) for item in given]
    order = sorted(
        range(len(given)),
        key=lambda index: (
            parsed[index].version,
            int(parsed[index].network_address),
            parsed[index].prefixlen,
            index,
        ),
    )
    kept: set[int] = set()
    dropped: dict[int, int] = {}
    last = -1
    for index in order:
        if last >= 0 and parsed[last].overlaps(parsed[index]):
            dropped[index] = last
        else:
            kept.add(index)
            last = index
    return (
        tuple(given[index] for index in range(len(given)) if index in kept),
        tuple((given[index], given[dropped[index]]) for index in sorted(dropped)),
    )


def overlaps(networks: list[str]) -> list[tuple[str, str]]:
    """Pairs of networks (in normal spelling) of which one lies in the other or is the same, in the order
    given.
    """
    found: list[tuple[str, str]] = []
    parsed = [ipaddress.ip_network(item) for item in networks]
    order = sorted(
        range(len(parsed)),
        key=lambda index: (
            parsed[index].version,
            int(parsed[index].network_address),
            parsed[index].prefixlen,
        ),
    )
    wide: list[int] = []
    for index in order:
        current = parsed[index]
        while wide and not parsed[wide[-1]].overlaps(current):
            wide.pop()
        if wide:
            first, second = sorted((wide[-1], index))
            found.append((networks[first], networks[second]))
        wide.append(index)
    return found


def _ascii_name(text: str) -> str:
    """A host or domain name as A-labels in lower case. Raises FormError."""
    dotted = text.translate(_DOTS)
    if dotted.endswith(".") and len(dotted) > 1:
        dotted = dotted[:-1]
    try:
        ipaddress.ip_address(dotted.strip("[]"))
    except ValueError:
        pass
    else:
        raise FormError("is an IP address, not a name.")
    labels = []
    for label in dotted.split("."):
        if not label:
            raise FormError("is no name: there is nothing between two dots, or it begins with one.")
        encoded = _ascii_label(label)
        if len(encoded) > 63:
            raise FormError(f"is no name: {shown(label)} is longer than 63 characters.")
        if not _LABEL.match(encoded):
            raise FormError(f"is no name: {shown(label)} is not made of letters, digits and inner hyphens.")
        labels.append(encoded)
    if labels[-1].isdigit():
        raise FormError("is no name: its last part is a number.")
    name = ".".join(labels)
    if len(name) > 253:
        raise FormError(f"is no name: it has {len(name)} characters, at most 253 are possible.")
    return name


def _ascii_label(label: str) -> str:
    """One label as ASCII: kept, or encoded as an A-label. Raises FormError."""
    lowered = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).lower())
    if lowered.isascii():
        if lowered.startswith("xn--"):
            _check_a_label(lowered)
        return lowered
    for char in lowered:
        if unicodedata.category(char)[0] not in "LMN" and char not in "-\u00b7\u30fb":
            raise FormError(f"is no name: {char!r} is not allowed in a domain.")
    if unicodedata.category(lowered[0])[0] == "M":
        raise FormError(f"is no name: {shown(label)} begins with a combining mark.")
    if not _DEVIATIONS.intersection(lowered):
        from encodings.idna import nameprep

        try:
            lowered = nameprep(lowered)
        except UnicodeError:
            raise FormError(f"is no name: {shown(label)} is not allowed in a domain.") from None
    return "xn--" + lowered.encode("punycode").decode("ascii")


def _check_a_label(label: str) -> None:
    """Refuse an A-label that is not the encoding of any name. Raises FormError."""
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, OverflowError, ValueError):
        decoded = ""
    if not decoded or decoded.isascii() or ("xn--" + decoded.encode("punycode").decode("ascii")) != label:
        raise FormError(f"is no name: {shown(label)} is no encoded international name.")
