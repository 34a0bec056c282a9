"""Files a plan builds on, as they are now, and the certificate files that are in use."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FileText
from conbool_tui.host import Host
from detectors.postfix.values import split_list

OWN_FOLDER = "conbool"
# Where Debian and Alpine, Fedora and RHEL, older RHEL, SUSE, Alpine's own path and FreeBSD keep the bundle
# of all trusted authorities.
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
)
_TLS_SUFFIXES = (
    "cert_file",
    "key_file",
    "eccert_file",
    "eckey_file",
    "dcert_file",
    "dkey_file",
    "chain_files",
    "CAfile",
    "CApath",
)
TLS_PARAMETERS = tuple(f"{side}_tls_{suffix}" for side in ("smtpd", "smtp") for suffix in _TLS_SUFFIXES)


def read_file(host: Host, path: str) -> FileText:
    """A file with its owner and mode. Raises HostError, NeedsRootError."""
    data = host.read_bytes(path)
    info = host.stat(path)
    return FileText(path, data, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def read_own_files(host: Host, config_directory: str) -> dict[str, FileText]:
    """Every regular file below the conbool folder of the configuration directory. Raises as read_file."""
    folder = f"{config_directory}/{OWN_FOLDER}"
    if not host.is_dir(folder):
        return {}
    return {path: read_file(host, path) for path in host.walk(folder) if host.is_file(path)}


def tls_files(parameters: Mapping[str, str]) -> dict[str, str]:
    """Certificate, key and authority files by parameter, those that are set; a list of chain files stays a
    list."""
    found = {}
    for name in TLS_PARAMETERS:
        value = parameters.get(name, "")
        if value and value != "none":
            found[name] = value
    return found


def missing_tls_files(host: Host, files: Mapping[str, str]) -> list[str]:
    """A sentence for each of them that does not exist."""
    found = []
    for name, value in files.items():
        paths = split_list(value) if name.endswith("chain_files") else [value]
        for path in paths:
            try:
                if path.startswith("/") and not host.exists(path):
                    found.append(f"{name} names {path}, which does not exist")
            except (ConboolError, OSError):
                continue
    return found


def system_ca_file(host: Host) -> Optional[str]:
    """The operating system's bundle of trusted authorities, None when no known place has one."""
    for path in _CA_FILES:
        try:
            if host.is_file(path):
                return path
        except (ConboolError, OSError):
            continue
    return None
