"""Machines with Debian's Exim, set up the way an admin would have done it before Conbool came."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cache import LabError
from .certs import KeyPair
from .machine import Machine

PASSWORD = "correct horse"
SPOOL = "/var/spool/exim4"
LAYOUTS = ("split", "template", "plain")

AUTHENTICATORS = f"""
lab_plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth3}}{{{PASSWORD}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""

VIRTUAL_ROUTERS = """
lab_aliases:
  driver = redirect
  domains = lsearch;/etc/exim4/virtual_domains
  data = ${lookup{$local_part@$domain}lsearch{/etc/exim4/virtual}}
  forbid_file
  forbid_pipe

lab_mailboxes:
  driver = accept
  domains = lsearch;/etc/exim4/virtual_domains
  address_data = ${lookup{$local_part@$domain}lsearch{/etc/exim4/vmailbox}{$value}fail}
  transport = lab_mailbox

lab_nobody:
  driver = redirect
  domains = lsearch;/etc/exim4/virtual_domains
  allow_fail
  data = :fail: Unknown user
"""

VIRTUAL_TRANSPORT = """
lab_mailbox:
  driver = appendfile
  directory = $address_data
  create_directory
  maildir_format
  envelope_to_add
  return_path_add
  user = 5000
  group = 5000
"""

PLAIN = """# /etc/exim4/exim4.conf of mx1: written by hand, after Exim's own example.
primary_hostname = {name}
domainlist local_domains = @ : localhost : {local}
domainlist relay_to_domains = {relay}
hostlist   relay_from_hosts = <; 127.0.0.1 ; ::1 ; {networks}

acl_smtp_rcpt = acl_check_rcpt
acl_smtp_data = acl_check_data

qualify_domain = {first}
never_users = root
host_lookup =
local_from_check = false
local_sender_retain = true
untrusted_set_sender = *
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
exim_path = /usr/sbin/exim4
log_selector = +tls_certificate_verified +tls_peerdn
keep_environment =
{main}
# -----------------------------------------------------------------
begin acl

acl_check_rcpt:
  accept  hosts         = :
  deny    message       = Restricted characters in address
          domains       = +local_domains
          local_parts   = ^[.] : ^.*[@%!/|]
  accept  local_parts   = postmaster
          domains       = +local_domains
  accept  hosts         = +relay_from_hosts
          control       = submission/sender_retain
  accept  authenticated = *
          control       = submission/sender_retain
  require message       = relay not permitted
          domains       = +local_domains : +relay_to_domains
  require verify        = recipient
  accept

acl_check_data:
  deny    message       = maximum allowed line length is 998 octets
          condition     = ${{if > {{$max_received_linelength}}{{998}}}}
  accept
{acl}
begin routers

{first_routers}
relayed:
  driver = manualroute
  domains = +relay_to_domains
  route_data = ${{lookup{{$domain}}lsearch{{/etc/exim4/hubbed_hosts}}}}
  transport = remote_smtp

{remote}
{routers}
system_aliases:
  driver = redirect
  allow_fail
  allow_defer
  data = ${{lookup{{$local_part}}lsearch{{/etc/aliases}}}}
  file_transport = address_file
  pipe_transport = address_pipe

userforward:
  driver = redirect
  check_local_user
  file = $home/.forward
  no_verify
  no_expn
  check_ancestor
  file_transport = address_file
  pipe_transport = address_pipe
  reply_transport = address_reply

localuser:
  driver = accept
  check_local_user
  transport = local_delivery
  cannot_route_message = Unknown user

begin transports

remote_smtp:
  driver = smtp

local_delivery:
  driver = appendfile
  directory = $home/Maildir
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add

address_pipe:
  driver = pipe
  return_output

address_file:
  driver = appendfile

address_reply:
  driver = autoreply
{transports}
begin retry

*                      *           F,2h,15m; G,16h,1h,1.5; F,4d,6h

begin rewrite
{rewrite}
begin authenticators
{auth}"""

DNS_ROUTER = """dnslookup:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote_smtp
  ignore_target_hosts = 0.0.0.0 : 127.0.0.0/8
  no_more
"""

SMARTHOST_ROUTER = """smarthost:
  driver = manualroute
  domains = ! +local_domains
  transport = remote_smtp
  route_list = * {host} byname
  no_more
"""


@dataclass(frozen=True)
class EximSite:
    """What an Exim host serves and how it is set up.

    Attributes:
        layout: split (conf.d), template (Debian's one file) or plain (a hand-written exim4.conf).
        local: domains of local users alice, bob, carol, dave.
        virtual_aliases: addresses of virtual domains and where they lead, through a router of the admin's.
        mailboxes: addresses with a mailbox below /var/mail/vhosts, in virtual domains.
        relay: relay domains and the host behind each (hubbed_hosts).
        aliases: entries of /etc/aliases.
        forwards: ``.forward`` files by user.
        smarthost: everything outbound goes there (dc_smarthost), empty for MX delivery.
        delivery: dc_localdelivery.
        main, acl, first_routers, routers, transports, rewrite: more text of the admin's in these sections.
        macros: definitions before everything else (split and template).
        settings: more lines of update-exim4.conf.conf.
        files: more files, by path.
        submission: ports 587 and 465, where every user's password is ``PASSWORD``.
    """

    layout: str = "split"
    local: Sequence[str] = ("example.com",)
    virtual_aliases: Mapping[str, str] = field(
        default_factory=lambda: {
            "info@example.org": "alice@example.com",
            "list@example.org": "bob@example.com",
        }
    )
    mailboxes: Sequence[str] = ("sales@example.net",)
    relay: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    forwards: Mapping[str, str] = field(default_factory=dict)
    smarthost: str = ""
    delivery: str = "maildir_home"
    main: str = ""
    acl: str = ""
    first_routers: str = ""
    routers: str = ""
    transports: str = ""
    rewrite: str = ""
    macros: str = ""
    settings: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    submission: bool = False

    @property
    def virtual(self) -> list[str]:
        """The virtual domains."""
        return sorted({address.split("@")[1] for address in [*self.virtual_aliases, *self.mailboxes]})

    @property
    def hosted(self) -> list[str]:
        """Every hosted domain."""
        return sorted({*self.local, *self.virtual, *self.relay})


class EximMachine(Machine):
    """A machine with Exim; ``Lab.exim`` makes and starts one."""

    site: EximSite

    def set_up(self, site: EximSite, certificate: KeyPair) -> None:
        """Write the site's configuration over Debian's. Exim must not run yet."""
        self.site = site
        name = self.place.hostname
        certificate_file, key_file = "/etc/exim4/exim.crt", "/etc/exim4/exim.key"
        self.write(certificate_file, certificate.certificate, 0o644)
        self.write(key_file, certificate.key, 0o640)
        self.write("/etc/exim4/virtual_domains", "".join(f"{one}\n" for one in site.virtual))
        self.write("/etc/exim4/virtual", _pairs(site.virtual_aliases))
        boxes = {one: "/var/mail/vhosts/{1}/{0}/".format(*one.split("@")) for one in site.mailboxes}
        self.write("/etc/exim4/vmailbox", _pairs(boxes))
        (self.merged / "var/mail/vhosts").mkdir(exist_ok=True)
        os.chown(self.merged / "var/mail/vhosts", 5000, 5000)
        if site.relay:
            self.write("/etc/exim4/hubbed_hosts", _pairs(site.relay))
        if not self.exists("/etc/aliases"):
            self.write("/etc/aliases", "postmaster: root\n")
        self.append("/etc/aliases", _pairs(site.aliases))
        for user, address in site.forwards.items():
            self.write(f"/home/{user}/.forward", address + "\n")
        for path, text in site.files.items():
            self.write(path, text)
        self._write_layout(certificate_file, key_file)
        script = [f"chgrp Debian-exim {key_file}"]
        script += [f"chown {user}: /home/{user}/.forward" for user in site.forwards]
        script += [f"install -d -o {user} -g {user} -m 700 /home/{user}/Maildir" for user in self.spec.users]
        script += [
            f"install -d -o {user} -g {user} -m 700 /home/{user}/Maildir/{part}"
            for user in self.spec.users
            for part in ("cur", "new", "tmp")
        ]
        self.shell("\n".join([*script, f"echo {shlex.quote(name)} > /etc/mailname"]))

    def _write_layout(self, certificate: str, key: str) -> None:
        site, place = self.site, self.place
        networks = f"{place.network4} ; {place.network6}"
        ports = "daemon_smtp_ports = 25 : 587 : 465\ntls_on_connect_ports = 465\n" if site.submission else ""
        auth = AUTHENTICATORS if site.submission else ""
        routers = site.routers + VIRTUAL_ROUTERS
        if site.layout == "plain":
            text = PLAIN.format(
                name=place.hostname,
                first=site.local[0],
                local=" : ".join([*site.local, *site.virtual]),
                relay=" : ".join(site.relay),
                networks=networks,
                certificate=certificate,
                key=key,
                main=ports + site.main,
                acl=site.acl,
                first_routers=site.first_routers,
                remote=SMARTHOST_ROUTER.format(host=site.smarthost) if site.smarthost else DNS_ROUTER,
                routers=routers,
                transports=VIRTUAL_TRANSPORT + site.transports,
                rewrite=site.rewrite,
                auth=auth,
            )
            self.write("/etc/exim4/exim4.conf", text, 0o644)
            return
        kind = "smarthost" if site.smarthost else "internet"
        self.write(
            "/etc/exim4/update-exim4.conf.conf",
            f"dc_eximconfig_configtype='{kind}'\n"
            f"dc_other_hostnames='{';'.join([*site.local, *site.virtual])}'\n"
            "dc_local_interfaces=''\ndc_readhost=''\n"
            f"dc_relay_domains='{';'.join(site.relay)}'\ndc_minimaldns='false'\n"
            f"dc_relay_nets='{networks}'\ndc_smarthost='{site.smarthost}'\nCFILEMODE='644'\n"
            f"dc_use_split_config='{str(site.layout == 'split').lower()}'\ndc_hide_mailname='false'\n"
            f"dc_mailname_in_oh='true'\ndc_localdelivery='{site.delivery}'\n" + site.settings,
            0o644,
        )
        macros = (
            f"MAIN_TLS_ENABLE = yes\nMAIN_TLS_CERTIFICATE = {certificate}\nMAIN_TLS_PRIVATEKEY = {key}\n"
            f"MAIN_HARDCODE_PRIMARY_HOSTNAME = {place.hostname}\nMAIN_HOST_LOOKUP =\n"
            f"MAIN_QUALIFY_DOMAIN = {site.local[0]}\n" + site.macros
        )
        sections = {
            "acl": ("begin acl", site.acl),
            "router": ("begin routers", site.first_routers),
            "transport": ("begin transports", VIRTUAL_TRANSPORT + site.transports),
            "rewrite": ("begin rewrite", site.rewrite),
            "auth": ("begin authenticators", auth),
        }
        if site.layout == "split":
            self.write("/etc/exim4/conf.d/main/000_localmacros", macros + ports + site.main, 0o644)
            for folder, (_, text) in sections.items():
                if text:
                    self.write(f"/etc/exim4/conf.d/{folder}/05_lab", text, 0o644)
            self.write("/etc/exim4/conf.d/router/350_lab", routers, 0o644)
            return
        self.write("/etc/exim4/exim4.conf.localmacros", macros + ports + site.main, 0o644)
        template = self.read_text("/etc/exim4/exim4.conf.template")
        for line, text in sections.values():
            template = template.replace(f"\n{line}\n", f"\n{line}\n{text}\n", 1)
        before = "### router/400_exim4-config_system_aliases"
        if before not in template:
            raise LabError(f"Debian's exim4.conf.template has no line {before!r} any more")
        self.write(
            "/etc/exim4/exim4.conf.template", template.replace(before, f"{routers}\n{before}", 1), 0o644
        )

    # -- Exim

    def start(self, port: int = 25) -> None:
        """Start Exim as Debian's own script does; returns when port 25 answers.

        Raises:
            LabError: it did not start; the text has what it printed and the end of its log.
        """
        done = self.run(["/etc/init.d/exim4", "start"])
        if done.returncode:
            raise LabError(f"Exim did not start:\n{done.stdout}{done.stderr}{self.log()[-3000:]}")
        if port:
            self.wait_port(port)

    def stop(self) -> None:
        """Stop Exim and wait for its end."""
        self.run(["/etc/init.d/exim4", "stop"], check=True)

    def reload(self) -> None:
        """Let Debian's own script build the configuration and have the daemon read it."""
        self.run(["/etc/init.d/exim4", "reload"], check=True)

    def running(self) -> bool:
        """Whether the daemon runs."""
        with suppress(OSError, ValueError):
            pid = int((self._proc.parent / "run/exim4/exim.pid").read_text())
            return (self._proc / str(pid) / "comm").read_text() == "exim4\n"
        return False

    def option(self, name: str) -> str:
        """What ``exim -bP`` says about something."""
        return self.run(["exim4", "-bP", *name.split()], check=True).stdout.rstrip("\n")

    @property
    def _proc(self) -> Path:
        """The machine's own /proc."""
        return Path(f"/proc/{self._pid}/root/proc")

    def busy(self) -> bool:
        """Whether anything but the daemon itself is at work: a connection, a delivery, a queue runner."""
        running = 0
        for path in self._proc.glob("[0-9]*/comm"):
            with suppress(OSError):
                running += path.read_text() in ("exim4\n", "exim\n")
        return running > 1

    def queue(self) -> list[dict[str, Any]]:
        """The messages in the queue: id, sender, recipients with the reason they wait for."""
        found: list[dict[str, Any]] = []
        for line in self.run(["exim4", "-bp"], check=True).stdout.splitlines():
            head = re.match(r"\s*\S+\s+\S+\s+(\S+)\s+<(.*)>(.*)$", line)
            if head:
                frozen = "frozen" in head.group(3)
                found.append(
                    {"id": head.group(1), "sender": head.group(2), "frozen": frozen, "recipients": []}
                )
            elif line.strip() and not line.strip().startswith("D "):
                reason = self._message_log(found[-1]["id"])
                found[-1]["recipients"].append({"address": line.strip(), "delay_reason": reason})
        return found

    def _message_log(self, message: str) -> str:
        path = self.path(f"{SPOOL}/msglog/{message}")
        return path.read_text() if path.exists() else ""

    def delay_reasons(self) -> list[str]:
        """Why queued recipients wait."""
        return [str(one["delay_reason"]) for message in self.queue() for one in message["recipients"]]

    def flush(self) -> None:
        """Try everything again, whatever the retry times say, as ``exim -qff``."""
        self.run(["exim4", "-qff"], check=True)

    def drop_queue(self) -> None:
        """Delete every queued message."""
        for message in self.queue():
            self.run(["exim4", "-Mrm", message["id"]], check=True)

    def log(self) -> str:
        """Exim's logs so far: the main one, and what it was in panic about."""
        names = [f"/var/log/exim4/{name}log" for name in ("main", "panic")]
        return "".join(self.read_text(name) for name in names if self.exists(name))

    def panics(self) -> str:
        """The panic log: empty as long as the configuration has no mistake that shows only when mail comes."""
        name = "/var/log/exim4/paniclog"
        return self.read_text(name) if self.exists(name) else ""


def _pairs(entries: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in entries.items())
