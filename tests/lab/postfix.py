"""Machines with Debian's Postfix, set up the way an admin would have done it before Conbool came."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from .cache import LabError
from .certs import KeyPair
from .machine import Machine

SCANNER = Path(__file__).with_name("scanner.py")
SCANNER_PORT, REENTRY_PORT = 10024, 10025
PASSWORD = "correct horse"

SUBMISSION = """
submission inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_recipient_restrictions=
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
"""

CONTENT_FILTER = f"""
smtp-scanner unix -     -       n       -       2       smtp
  -o smtp_send_xforward_command=yes
  -o disable_dns_lookups=yes
  -o smtp_tls_security_level=none
127.0.0.1:{REENTRY_PORT} inet n -  n       -       -       smtpd
  -o content_filter=
  -o mynetworks=127.0.0.0/8
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o smtpd_delay_reject=no
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_relay_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_data_restrictions=
  -o smtpd_end_of_data_restrictions=
  -o smtpd_tls_security_level=none
  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks
"""

# Settings that Debian's script for the chroot and Postfix's own checks look at.
_MATTER_AT_START = frozenset(
    ("queue_directory", "data_directory", "smtp_tls_CApath", "smtpd_tls_CApath", "local_recipient_maps")
)


@dataclass(frozen=True)
class PostfixSite:
    """What a Postfix host serves and how it is set up.

    Attributes:
        local: domains in mydestination; their users are alice, bob, carol, dave.
        virtual_aliases: addresses of virtual alias domains (named by them alone) and where they lead.
        mailboxes: addresses of virtual mailbox domains (named by them alone).
        relay: relay domains and their next hops (transport(5)).
        aliases: entries of /etc/aliases.
        forwards: ``.forward`` files by user.
        main: more main.cf settings; they replace those of the lab, and None leaves Debian's own.
        master: text added to master.cf.
        files: more files, by path, written before ``postmap`` runs.
        postmap: tables (paths) to compile.
        submission: port 587 with TLS and Cyrus sasldb; every user's password is ``PASSWORD``.
        content_filter: an after-queue scanner on port 10024 with its re-entry on 10025.
        inet_protocols: ``all`` or ``ipv4``.
    """

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
    main: Mapping[str, Optional[str]] = field(default_factory=dict)
    master: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    postmap: Sequence[str] = ()
    submission: bool = False
    content_filter: bool = False
    inet_protocols: str = "all"

    @property
    def hosted(self) -> list[str]:
        """Every hosted domain."""
        named = [address.split("@")[1] for address in [*self.virtual_aliases, *self.mailboxes]]
        return sorted({*self.local, *named, *self.relay})


class PostfixMachine(Machine):
    """A machine with Postfix; ``Lab.postfix`` makes and starts one."""

    site: PostfixSite
    busy_queues = tuple(f"/var/spool/postfix/{name}" for name in ("maildrop", "incoming", "active"))
    more_certificates = ("/var/spool/postfix/etc/ssl/certs",)
    _scanner: Optional[subprocess.Popen[bytes]] = None

    def set_up(self, site: PostfixSite, certificate: KeyPair) -> None:
        """Write the site's configuration over Debian's. Postfix must not run yet."""
        self.site = site
        name = self.place.hostname
        certificate_file, key_file = f"/etc/ssl/certs/{name}.pem", f"/etc/ssl/private/{name}.key"
        self.write(certificate_file, certificate.certificate, 0o644)
        self.write(key_file, certificate.key, 0o640)
        database = self.shell("postconf -h default_database_type").strip()
        tables: dict[str, Mapping[str, str]] = {}
        network6 = "[" + self.place.network6.replace("/", "]/")
        settings: dict[str, Optional[str]] = {
            "myhostname": name,
            "mydestination": ", ".join(["$myhostname", *site.local, "localhost"]),
            "mynetworks": f"127.0.0.0/8 [::1]/128 {self.place.network4} {network6}",
            "inet_protocols": site.inet_protocols,
            "home_mailbox": "Maildir/",
            "mailbox_command": "",
            "smtpd_tls_cert_file": certificate_file,
            "smtpd_tls_key_file": key_file,
            "maillog_file": "/var/log/mail.log",
            "smtp_tls_loglevel": "1",
            "message_size_limit": "50000000",
            # Debian's own value ends with defer_unauth_destination, which answers 454 instead of 554.
            "smtpd_relay_restrictions": "permit_mynetworks permit_sasl_authenticated"
            " reject_unauth_destination",
        }
        if site.virtual_aliases:
            settings["virtual_alias_domains"] = ", ".join(_domains(site.virtual_aliases))
            settings["virtual_alias_maps"] = f"{database}:/etc/postfix/virtual"
            tables["/etc/postfix/virtual"] = site.virtual_aliases
        if site.mailboxes:
            settings["virtual_mailbox_domains"] = ", ".join(_domains(site.mailboxes))
            settings["virtual_mailbox_maps"] = f"{database}:/etc/postfix/vmailbox"
            settings["virtual_mailbox_base"] = "/var/mail/vhosts"
            settings["virtual_uid_maps"] = settings["virtual_gid_maps"] = "static:5000"
            tables["/etc/postfix/vmailbox"] = {
                address: "{1}/{0}/".format(*address.split("@")) for address in site.mailboxes
            }
            (self.merged / "var/mail/vhosts").mkdir(exist_ok=True)
            os.chown(self.merged / "var/mail/vhosts", 5000, 5000)
        if site.relay:
            settings["relay_domains"] = ", ".join(site.relay)
            settings["transport_maps"] = f"{database}:/etc/postfix/transport"
            tables["/etc/postfix/transport"] = site.relay
        if site.content_filter:
            settings["content_filter"] = f"smtp-scanner:[127.0.0.1]:{SCANNER_PORT}"
        settings.update(site.main)
        for path, entries in tables.items():
            self.write(path, "".join(f"{key} {value}\n" for key, value in entries.items()), 0o644)
        for path, text in site.files.items():
            self.write(path, text)
        self.append("/etc/aliases", "".join(f"{key}: {value}\n" for key, value in site.aliases.items()))
        for user, address in site.forwards.items():
            self.write(f"/home/{user}/.forward", address + "\n")
        master = (SUBMISSION if site.submission else "") + (CONTENT_FILTER if site.content_filter else "")
        self.append("/etc/postfix/master.cf", master + site.master)
        script = ["chgrp ssl-cert " + key_file]
        script += [f"chown {user}: /home/{user}/.forward" for user in site.forwards]
        if site.submission:
            script += self._sasl()
        pairs = [f"{key}={value}" for key, value in settings.items() if value is not None]
        script.append("postconf -e " + " ".join(map(shlex.quote, pairs)))
        compiled = [*tables, *site.postmap]
        # Postfix waits before it compiles a file that has just been written.
        aged = ["/etc/aliases", "/etc/postfix/main.cf", "/etc/postfix/master.cf", *compiled]
        script.append("touch -d '1 hour ago' " + " ".join(map(shlex.quote, aged)))
        script += [f"postmap {shlex.quote(path)}" for path in compiled]
        script.append("newaliases")
        self.shell("\n".join(script))

    def _sasl(self) -> list[str]:
        self.write(
            "/etc/postfix/sasl/smtpd.conf",
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n",
            0o644,
        )
        password = shlex.quote(PASSWORD)
        lines = [
            f"printf %s {password} | saslpasswd2 -p -c -u {self.site.local[0]} {user}"
            for user in self.spec.users
        ]
        # The sasl group may read the database; only the submission service, which is not chrooted, uses it.
        return [*lines, "chgrp postfix /etc/sasldb2", "chmod 640 /etc/sasldb2"]

    def start(self) -> None:
        """Start the scanner, if the site has one, and Postfix; returns when port 25 answers.

        The root has been through the checks and copies of a start already (``roots.POSTFIX_PREPARATION``): they are
        left out, for which Postfix has a way of its own, unless the site's settings would change their outcome.
        """
        if self.site.content_filter:
            self.start_scanner()
        if not self.site.master and _MATTER_AT_START.isdisjoint(self.site.main):
            spool = "/var/spool/postfix"
            copies = f"for name in hosts resolv.conf; do cp /etc/$name {spool}/etc/$name; done"
            self._start(f"{copies}; touch {spool}/quick-start", 25)
        else:
            self.postfix_start()

    # -- Postfix

    def postfix_start(self, port: int = 25) -> None:
        """Start Postfix as Debian does without systemd; ``port`` 0 does not wait for a listener.

        Raises:
            LabError: it did not start; the text has what it printed and the end of its log.
        """
        # From Debian 13 on, `postfix start` fills the chroot itself, through its post-install script.
        script = "/usr/lib/postfix/configure-instance.sh"
        self._start(f"grep -qs {script} /usr/lib/postfix/sbin/post-install || {script} -", port)

    def _start(self, preparation: str, port: int) -> None:
        done = self.run(["/bin/sh", "-e", "-c", f"{preparation}; postfix start"])
        if done.returncode:
            raise LabError(f"Postfix did not start:\n{done.stdout}{done.stderr}{self.log()[-3000:]}")
        if port:
            self.wait_port(port)

    def postfix_stop(self) -> None:
        """Stop Postfix and wait for its end."""
        self.run(["postfix", "stop"], check=True)

    def postfix_running(self) -> bool:
        """Whether the master daemon runs."""
        return self.run(["postfix", "status"]).returncode == 0

    def postconf(self, name: str) -> str:
        """The value of a main.cf parameter, not expanded."""
        return self.run(["postconf", "-h", name], check=True).stdout.rstrip("\n")

    def configure(self, settings: Mapping[str, Optional[str]]) -> None:
        """Change main.cf with ``postconf`` (None removes a parameter) and reload."""
        pairs = [f"{name}={value}" for name, value in settings.items() if value is not None]
        gone = [name for name, value in settings.items() if value is None]
        if pairs:
            self.run(["postconf", "-e", *pairs], check=True)
        if gone:
            self.run(["postconf", "-X", *gone], check=True)
        # Every Postfix program waits a second or more for a main.cf that has just been written.
        self.shell("touch -d '1 hour ago' /etc/postfix/main.cf; postfix reload")

    def queue(self) -> list[dict[str, Any]]:
        """The messages in the queue as ``postqueue -j`` prints them (sender, recipients, delay reasons)."""
        lines = self.run(["postqueue", "-j"], check=True).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def delay_reasons(self) -> list[str]:
        """Why queued recipients wait."""
        return [
            str(recipient.get("delay_reason", ""))
            for message in self.queue()
            for recipient in message.get("recipients", [])
        ]

    def flush(self) -> None:
        """Ask for another delivery attempt of everything, as ``postqueue -f``."""
        self.run(["postqueue", "-f"], check=True)

    def drop_queue(self) -> None:
        """Delete every queued message."""
        self.run(["postsuper", "-d", "ALL"], check=True)

    def log(self) -> str:
        """Postfix's log so far."""
        return self.read_text("/var/log/mail.log") if self.exists("/var/log/mail.log") else ""

    # -- the content filter

    def start_scanner(self) -> None:
        """Start the after-queue scanner on its port."""
        self.write("/usr/local/lib/lab/scanner.py", SCANNER.read_bytes(), 0o755)
        argv = [
            "python3",
            "/usr/local/lib/lab/scanner.py",
            str(SCANNER_PORT),
            str(REENTRY_PORT),
            "/var/log/scanner.log",
        ]
        self._scanner = self.popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait_port(SCANNER_PORT)

    def scanned(self, token: str) -> int:
        """How often the scanner saw the message with this token."""
        log = self.read_text("/var/log/scanner.log") if self.exists("/var/log/scanner.log") else ""
        return sum(token in line for line in log.splitlines())

    def close(self) -> None:
        super().close()
        if self._scanner is not None:
            self._scanner.wait()


def _domains(addresses: Any) -> list[str]:
    return sorted({str(address).split("@")[1] for address in addresses})
