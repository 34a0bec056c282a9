"""Addresses of names within a time limit: as programs of this system see them, and as name service publishes them."""

from __future__ import annotations

import queue
import socket
import threading
import time
from dataclasses import dataclass
from typing import Union

from conbool_tui.checks.limits import Limits

_SLICE = 0.2


class NoAddressError(Exception):
    """A name has no address; ``kind`` is missing, timeout, broken (name service fails) or loop."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True)
class Published:
    """What name service publishes for a name: the names it leads through (CNAME, itself first), and addresses."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    trouble: str = ""


def system_addresses(name: str, port: int, limits: Limits) -> list[tuple[int, str]]:
    """Address family and address of ``name``, as getaddrinfo(3) gives them (/etc/hosts included).

    The library has no time limit of its own, so it is asked in a thread that is left alone when it takes too long.

    Raises:
        NoAddressError: no address, or no answer in time.
        CancelledError: the check was ended.
    """
    answers: queue.Queue[Union[list[tuple[int, str]], OSError]] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            answers.put([(int(entry[0]), str(entry[4][0])) for entry in found])
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError(socket.EAI_NONAME, "it cannot be a host name"))

    allowed = limits.allowance()
    deadline = time.monotonic() + allowed
    threading.Thread(target=ask, daemon=True, name="resolver").start()
    while True:
        limits.go_on()
        try:
            answer = answers.get(timeout=max(0.0, min(_SLICE, deadline - time.monotonic())))
        except queue.Empty:
            if time.monotonic() < deadline:
                continue
            text = f"the name servers did not answer within {round(allowed, 1):g} seconds"
            raise NoAddressError("timeout", text) from None
        break
    if isinstance(answer, OSError):
        kind = "broken" if answer.errno == socket.EAI_AGAIN else "missing"
        raise NoAddressError(kind, answer.strerror or str(answer))
    return list(dict.fromkeys(answer))


def published(name: str, limits: Limits) -> Published:
    """What name service says about ``name``, without /etc/hosts: others have only that.

    Raises:
        NoAddressError: no address is published, or it could not be found out.
        CancelledError: the check was ended.
    """
    import dns.exception
    import dns.rdatatype
    import dns.resolver

    names: list[str] = [name]
    addresses: list[str] = []
    troubles: list[NoAddressError] = []
    try:
        resolver = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        raise NoAddressError("broken", "no name server is set in /etc/resolv.conf") from None
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        allowed = limits.allowance()
        try:
            answer = resolver.resolve(name, kind, lifetime=allowed, search=False)
        except dns.resolver.NXDOMAIN:
            raise NoAddressError("missing", "the name does not exist") from None
        except dns.resolver.NoAnswer:
            continue
        except dns.exception.Timeout:
            text = f"the name servers did not answer within {round(allowed, 1):g} seconds"
            troubles.append(NoAddressError("timeout", text))
        except dns.resolver.NoNameservers as error:
            loop = "CNAME" in str(error) or "chain" in str(error).lower()
            troubles.append(
                NoAddressError("broken", "name service fails" + (" (CNAME loop)" if loop else ""))
            )
        except dns.exception.DNSException as error:
            troubles.append(NoAddressError("broken", str(error) or type(error).__name__))
        else:
            names += [str(entry[0]).rstrip(".") for entry in answer.chaining_result.cnames]
            addresses += [str(record) for record in answer]
    if not addresses:
        if troubles:
            raise troubles[0]
        raise NoAddressError("missing", "it has neither an A nor an AAAA record")
    trouble = troubles[0].text if troubles else ""
    return Published(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses)), trouble)
