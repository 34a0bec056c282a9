"""The TLS settings Postfix uses towards the smart host: those of the answers, and the host's own for the rest."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Optional

from conbool_tui.answers import SmartHost
from conbool_tui.facts import MtaFacts, PostfixFacts

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
ALL_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class TransportTls:
    """What a delivery to the smart host is made with (postconf(5), the smtp_ parameters).

    Attributes:
        ca_file: file of trusted CAs (path inside the host's root), None when there is none.
        ca_path: directory of trusted CAs, likewise.
        system_too: OpenSSL's own default CAs count besides (tls_append_default_CA).
        certificate: file of our certificate and chain, None when none is offered.
        key: file of its key.
        server_name: the expected name is sent before the certificate comes (SNI, RFC 6066); Postfix sends none to
            servers verified by CA (smtp_tls_servername, which the planned transport leaves empty).
        families: the address families spoken, in this order.
        lookup: how names become addresses (smtp_host_lookup); empty: not Postfix.
        protocols: smtp_tls_mandatory_protocols.
        ciphers: smtp_tls_mandatory_ciphers.
    """

    ca_file: Optional[str] = None
    ca_path: Optional[str] = None
    system_too: bool = False
    certificate: Optional[str] = None
    key: Optional[str] = None
    server_name: bool = True
    families: tuple[int, ...] = ALL_FAMILIES
    lookup: str = ""
    protocols: str = ""
    ciphers: str = ""


def transport_tls(
    wanted: SmartHost, postfix: Optional[PostfixFacts], mta: Optional[MtaFacts] = None
) -> TransportTls:
    """The settings of the planned transport: what the answers leave open is inherited from main.cf, or the system's own."""
    if postfix is None:
        bundle = mta.system_ca_file if mta is not None else None
        return TransportTls(
            ca_file=wanted.ca_file or bundle, certificate=wanted.client_certificate, key=_key_of(wanted)
        )

    def value(name: str) -> Optional[str]:
        found = postfix.expanded.get(name, "").strip()
        return None if found in ("", "none") else found

    certificate, key = wanted.client_certificate, _key_of(wanted)
    if certificate is None:
        chain = (value("smtp_tls_chain_files") or "").replace(",", " ").split()
        certificate = chain[0] if len(chain) == 1 else value("smtp_tls_cert_file")
        key = certificate if len(chain) == 1 else value("smtp_tls_key_file") or certificate
    return TransportTls(
        ca_file=wanted.ca_file or value("smtp_tls_CAfile") or postfix.system_ca_file,
        ca_path=None if wanted.ca_file else value("smtp_tls_CApath"),
        system_too=value("tls_append_default_CA") == "yes",
        certificate=certificate,
        key=key,
        server_name=False,
        families=_families(postfix),
        lookup=value("smtp_host_lookup") or "dns",
        protocols=value("smtp_tls_mandatory_protocols") or "",
        ciphers=value("smtp_tls_mandatory_ciphers") or "",
    )


def _key_of(wanted: SmartHost) -> Optional[str]:
    return wanted.client_key or wanted.client_certificate


def _families(postfix: PostfixFacts) -> tuple[int, ...]:
    """The address families Postfix uses (inet_protocols, postconf(5))."""
    spoken = postfix.expanded.get("inet_protocols", "all").replace(",", " ").split()
    chosen = tuple(_FAMILIES[word] for word in spoken if word in _FAMILIES)
    return chosen or ALL_FAMILIES
