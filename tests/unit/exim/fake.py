"""A host of plain files with an Exim whose answers come from a description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from conbool_tui.host import Host
from conbool_tui.runner import CommandResult

OPTIONS = {
    "acl_not_smtp": "",
    "acl_not_smtp_mime": "",
    "acl_smtp_connect": "",
    "acl_smtp_data": "acl_check_data",
    "acl_smtp_helo": "",
    "acl_smtp_mail": "",
    "acl_smtp_mime": "",
    "acl_smtp_quit": "",
    "acl_smtp_rcpt": "acl_check_rcpt",
    "daemon_smtp_ports": "smtp",
    "exim_group": "exim",
    "exim_user": "exim",
    "local_interfaces": "<; ::0 ; 0.0.0.0",
    "message_body_visible": "500",
    "primary_hostname": "mx.example.com",
    "tls_advertise_hosts": "*",
    "tls_try_verify_hosts": "",
}
LISTS = {
    "local_domains": "domainlist local_domains = @ : localhost : example.com : lsearch;/etc/exim/virtual",
    "relay_to_domains": "domainlist relay_to_domains = relayed.example",
    "relay_from_hosts": "hostlist relay_from_hosts = <; 127.0.0.1 ; ::1 ; 192.0.2.0/24 ; 2001:db8::/32 ; /etc/exim/relays",
}
ROUTERS = {
    "relayed": {"driver": "manualroute", "domains": "+relay_to_domains", "transport": "remote_smtp"},
    "dnslookup": {"driver": "dnslookup", "domains": "! +local_domains", "transport": "remote_smtp"},
    "localuser": {"driver": "accept", "check_local_user": "", "transport": "local_delivery"},
}
TRANSPORTS = {
    "remote_smtp": {"driver": "smtp", "helo_data": "mail.example.com", "dkim_domain": "example.com"},
    "local_delivery": {"driver": "appendfile", "directory": "$home/Maildir", "maildir_format": ""},
}
PLAIN = """\
domainlist local_domains = @ : localhost : example.com
acl_smtp_rcpt = acl_check_rcpt
acl_smtp_data = acl_check_data
begin acl
acl_check_rcpt:
  accept
acl_check_data:
  accept
begin routers
relayed:
  driver = manualroute
# Everything else goes out.
dnslookup:
  driver = dnslookup
localuser:
  driver = accept
begin transports
remote_smtp:
  driver = smtp
begin retry
*  *  F,2h,15m
"""


@dataclass
class Exim:
    """What the fake Exim says.

    Attributes:
        version, support, config: for ``-bV``; ``error`` instead, with status 1.
        options, lists: for ``-bP``.
        routers, transports: options by name.
        retry: whether ``-brt`` knows a rule.
    """

    version: str = "4.96"
    support: str = "IPv6 GnuTLS DANE DKIM Event OCSP Content_Scanning"
    config: str = "/etc/exim/exim.conf"
    error: str = ""
    options: Mapping[str, str] = field(default_factory=lambda: dict(OPTIONS))
    lists: Mapping[str, str] = field(default_factory=lambda: dict(LISTS))
    routers: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: dict(ROUTERS))
    transports: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: dict(TRANSPORTS))
    retry: bool = True


class EximHost(Host):
    """A host below a temporary folder; its commands are answered, never started."""

    def __init__(self, root: Path, exim: Optional[Exim] = None, *, installed: bool = True) -> None:
        super().__init__(str(root))
        self.exim = exim or Exim()
        self.installed = installed
        self.put(self.exim.config if self.exim.config.startswith("/etc/") else "/etc/exim/exim.conf", PLAIN)
        self.put("/etc/exim/virtual", "# domains\nexample.org: yes\n")

    def put(self, path: str, text: str) -> None:
        """Write a file with its folders."""
        target = Path(self.root, path.lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def which(self, name: str) -> Optional[str]:
        return "/usr/sbin/exim" if self.installed and name == "exim" else None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        words = list(argv[1:])
        if self.exim.error:
            return CommandResult(tuple(argv), 1, b"", self.exim.error.encode())
        return CommandResult(tuple(argv), 0, self._answer(words).encode(), b"")

    def _answer(self, words: Sequence[str]) -> str:
        exim = self.exim
        if words == ["-bV"]:
            return (
                f"Exim version {exim.version} #2 built 27-May-2026 16:52:26\nSupport for: {exim.support}\n"
                f"Configuration file is {exim.config}\n"
            )
        if words[0] == "-bP" and words[1] in ("routers", "transports"):
            drivers = exim.routers if words[1] == "routers" else exim.transports
            found = []
            for name, options in drivers.items():
                found.append(f"{name} {words[1][:-1]}:")
                found += [f"{key} = {value}" if value else key for key, value in options.items()]
                found.append("no_unseen\n")
            return "\n".join(found)
        if words[0] == "-bP" and words[1].startswith("+"):
            return exim.lists.get(words[1][1:], f'no list called "{words[1][1:]}" exists') + "\n"
        if words[0] == "-bP":
            return "".join(f"{name} = {exim.options[name]}\n" for name in words[1:] if name in exim.options)
        if words[0] == "-be":
            name = words[1].partition(":")[2].rstrip("}")
            return exim.lists[name].partition(" = ")[2] + "\n"
        if words[0] == "-brt":
            return "Retry rule: *  F,2h,15m;\n" if exim.retry else "No retry information found\n"
        raise AssertionError(f"unexpected command: {words}")
