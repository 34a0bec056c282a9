"""Machines with Debian's Sendmail, set up the way an admin would have done it before Conbool came."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cache import LabError
from .certs import KeyPair
from .machine import Machine
from .postfix import PASSWORD

DAEMON_PID = "/run/sendmail/mta/sendmail.pid"
QUEUE = "/var/spool/mqueue"

# Debian's own lines listen on the loopback interface only. A socket of family inet6 takes IPv4 clients, too.
LISTENERS = """\
DAEMON_OPTIONS(`Family=inet6, Name=MTA, Port=smtp')dnl
DAEMON_OPTIONS(`Family=inet6, Name=MSA, Port=submission, M=Ea')dnl
"""

# What a shared test machine must not do: hold mail back because others make the load high, or count clients.
PATIENT = """\
define(`confQUEUE_LA', `900')dnl
define(`confREFUSE_LA', `900')dnl
define(`confDELAY_LA', `900')dnl
define(`confCONNECTION_RATE_THROTTLE', `0')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
"""

TLS = """\
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl
define(`confSERVER_CERT', `{certificate}')dnl
define(`confSERVER_KEY', `{key}')dnl
define(`confTLS_SRV_OPTIONS', `V')dnl
"""

AUTH = """\
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl
define(`confAUTH_OPTIONS', `p')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
"""

# Debian's limits for each client, which a test reaches in a second.
_LIMITS = re.compile(
    r"^(GreetPause|ClientRate|ClientConn):\s.*\n|^Connect:(192\.0\.2|198\.51\.100|203\.0\.113)\s.*\n", re.M
)
_DELIVERING = frozenset(
    ("sendmail", "sendmail-mta", "sendmail-msp", "procmail", "sensible-mda", "mail.local")
)


@dataclass(frozen=True)
class SendmailSite:
    """What a Sendmail host serves and how it is set up.

    Attributes:
        local: domains in local-host-names; their users are alice, bob, carol, dave.
        virtual: entries of virtusertable; the domains named by them alone are hosted, too.
        relay: relay domains and their next hops (mailertable).
        aliases: entries of /etc/aliases.
        forwards: ``.forward`` files by user.
        features: lines of sendmail.mc before the mailers.
        rules: lines of sendmail.mc after the mailers.
        access: more lines of the access map.
        files: more files, by path.
        tls: whether port 25 offers STARTTLS.
        auth: whether port 587 takes users (each with ``PASSWORD``).
        limits: keep Debian's pauses and limits for clients.
        listeners: the DAEMON_OPTIONS lines; empty keeps Debian's own.
    """

    local: Sequence[str] = ("example.com",)
    virtual: Mapping[str, str] = field(
        default_factory=lambda: {
            "info@example.org": "alice@example.com",
            "list@example.org": "bob@example.com",
            "sales@example.net": "carol",
        }
    )
    relay: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    forwards: Mapping[str, str] = field(default_factory=dict)
    features: str = ""
    rules: str = ""
    access: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    tls: bool = True
    auth: bool = False
    limits: bool = False
    listeners: str = LISTENERS

    @property
    def hosted(self) -> list[str]:
        """Every hosted domain."""
        return sorted({*self.local, *(address.split("@")[1] for address in self.virtual), *self.relay})


class SendmailMachine(Machine):
    """A machine with Sendmail; ``Lab.sendmail`` makes and starts one."""

    site: SendmailSite

    def set_up(self, site: SendmailSite, certificate: KeyPair) -> None:
        """Write the site's configuration over Debian's. Sendmail must not run yet."""
        self.site = site
        name = self.place.hostname
        certificate_file, key_file = f"/etc/mail/tls/{name}.pem", f"/etc/mail/tls/{name}.key"
        self.write(certificate_file, certificate.certificate, 0o644)
        self.write(key_file, certificate.key, 0o600)
        self._source(site, certificate_file, key_file)
        self.write("/etc/mail/local-host-names", "\n".join(["localhost", name, *site.local]) + "\n")
        access = self.read_text("/etc/mail/access")
        access = access if site.limits else _LIMITS.sub("", access)
        networks = [self.place.network4.rsplit("/")[0], *()]
        base = networks[0].rsplit(".", 1)
        own = [f"Connect:{base[0]}.{int(base[1]) + number}\tRELAY\n" for number in range(32)]
        prefix = self.place.network6.split("::/")[0].removesuffix(":0")
        groups = [group.lstrip("0") or "0" for group in prefix.split(":")]
        own.append(f"Connect:IPv6:{':'.join(groups + ['0'] * (4 - len(groups)))}\tRELAY\n")
        self.write("/etc/mail/access", access + "".join(own) + site.access)
        self.write("/etc/mail/virtusertable", "".join(f"{key}\t{to}\n" for key, to in site.virtual.items()))
        self.write("/etc/mail/mailertable", "".join(f"{key}\t{to}\n" for key, to in site.relay.items()))
        self.write("/etc/mail/relay-domains", "".join(f"{domain}\n" for domain in site.relay))
        self.append("/etc/aliases", "".join(f"{key}: {value}\n" for key, value in site.aliases.items()))
        for user, address in site.forwards.items():
            self.write(f"/home/{user}/.forward", address + "\n", 0o644)
        self.write("/etc/procmailrc", "DROPPRIVS=yes\nMAILDIR=$HOME/Maildir\nDEFAULT=$HOME/Maildir/\n", 0o644)
        for path, text in site.files.items():
            self.write(path, text)
        script = [f"chown {user}: /home/{user}/.forward" for user in site.forwards]
        if site.auth:
            script += self._sasl()
        script += ["mkdir -p /run/sendmail/mta /run/sendmail/msp /run/sendmail/stampdir"]
        script += ["chown root:smmsp /run/sendmail/mta", "chown smmsp:smmsp /run/sendmail/msp"]
        script += [self.rebuild_script]
        self.shell("\n".join(script))

    rebuild_script = """
cd /etc/mail
m4 sendmail.mc > sendmail.cf.new
{ echo "### /etc/mail/sendmail.mc ###"; sed -e 's/^/# /' sendmail.mc; } >> sendmail.cf.new
mv sendmail.cf.new sendmail.cf
chown root:smmsp sendmail.cf
for map in access virtusertable mailertable; do
  makemap hash $map.db < $map
  chown root:smmsp $map.db
  chmod 640 $map.db
done
sendmail -bi > /dev/null
"""

    def _source(self, site: SendmailSite, certificate: str, key: str) -> None:
        """sendmail.mc: Debian's own with the site's lines."""
        text = self.read_text("/etc/mail/sendmail.mc")
        lines = [
            line
            for line in text.split("\n")
            if not re.match(r"MASQUERADE_AS|FEATURE\(`(allmasquerade|masquerade_envelope)", line)
            and not (site.listeners and line.startswith("DAEMON_OPTIONS"))
        ]
        at = lines.index("MAILER_DEFINITIONS")
        added = site.listeners + ("" if site.limits else PATIENT)
        added += TLS.format(certificate=certificate, key=key) if site.tls else ""
        added += AUTH if site.auth else ""
        added += "FEATURE(`virtusertable')dnl\nVIRTUSER_DOMAIN_FILE(`/etc/mail/virtual-domains')dnl\n"
        added += "FEATURE(`mailertable')dnl\n" + site.features
        domains = {address.split("@")[1] for address in site.virtual} - set(site.local)
        self.write("/etc/mail/virtual-domains", "".join(f"{domain}\n" for domain in sorted(domains)))
        self.write(
            "/etc/mail/sendmail.mc",
            "\n".join([line for line in lines[:at] if site.limits or "greet_pause" not in line])
            + "\n"
            + added
            + "\n".join(lines[at:])
            + site.rules,
        )

    def _sasl(self) -> list[str]:
        text = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
        self.write("/etc/sasl2/Sendmail.conf", text, 0o644)
        password, domain = shlex.quote(PASSWORD), self.site.local[0]
        lines = [f"printf %s {password} | saslpasswd2 -p -c -u {domain} {user}" for user in self.spec.users]
        return ["mkdir -p /etc/sasl2", *lines, "chmod 600 /etc/sasldb2"]

    def start(self) -> None:
        """Start the log and Sendmail; returns when port 25 answers."""
        self.run(["busybox", "syslogd", "-O", "/var/log/mail.log"], check=True)
        self.sendmail_start()

    # -- Sendmail

    def sendmail_start(self) -> None:
        """Start the daemon as Debian's init script does.

        Raises:
            LabError: it did not start; the text has what it printed and the end of its log.
        """
        done = self.run(["/etc/init.d/sendmail", "start"])
        if done.returncode:
            raise LabError(f"Sendmail did not start:\n{done.stdout}{done.stderr}{self.log()[-3000:]}")
        self.wait_port(25)

    def sendmail_stop(self) -> None:
        """Stop the daemon and wait for its end."""
        self.run(["/etc/init.d/sendmail", "stop"], check=True)

    def sendmail_running(self) -> bool:
        """Whether the daemon runs."""
        return self.run(["pgrep", "-f", "sendmail: MTA: accepting"]).returncode == 0

    def rebuild(self) -> None:
        """Build sendmail.cf and the maps from their sources, as ``make -C /etc/mail`` does, and reload."""
        self.shell(self.rebuild_script)
        self.reload()

    def reload(self) -> None:
        """Have the daemon read its files again."""
        # The old daemon listens until it executes itself anew, with another process id.
        self.shell(
            f"old=$(head -1 {DAEMON_PID}); kill -HUP $old; "
            f"until new=$(head -1 {DAEMON_PID} 2>/dev/null) && [ $new != $old ] "
            "&& grep -q 'accepting connections' /proc/$new/cmdline; do sleep 0.05; done"
        )

    def queue(self) -> list[dict[str, Any]]:
        """The messages in the queue: sender, recipients, and why they wait (the ``M`` and ``R`` lines of qf files)."""
        found = []
        for path in sorted((self.merged / QUEUE.lstrip("/")).rglob("qf*")):
            try:
                lines = path.read_text("utf-8", "replace").split("\n")
            except OSError:
                continue
            reasons = [line[1:] for line in lines if line.startswith("M")]
            addresses = [line.partition(":")[2].strip("<>") for line in lines if line.startswith("R")]
            sender = next((line[1:].strip("<>") for line in lines if line.startswith("S")), "")
            people = [{"address": one, "delay_reason": (reasons or [""])[0]} for one in addresses]
            found.append({"queue_id": path.name[2:], "sender": sender, "recipients": people})
        return found

    def delay_reasons(self) -> list[str]:
        """Why queued recipients wait."""
        return [str(one["delay_reason"]) for message in self.queue() for one in message["recipients"]]

    def flush(self) -> None:
        """Try to deliver everything once more, and wait for the end of that."""
        self.run(["/usr/sbin/sendmail", "-Am", "-qf"], check=True)

    def drop_queue(self) -> None:
        """Delete every queued message."""
        self.shell(f"find {QUEUE} -type f -delete")

    def log(self) -> str:
        """Sendmail's log so far."""
        return self.read_text("/var/log/mail.log") if self.exists("/var/log/mail.log") else ""

    def busy(self) -> bool:
        """Whether any process serves a client or delivers: the daemon alone does not count."""
        space = os.readlink(f"/proc/{self._pid}/ns/pid_for_children")
        count = 0
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if (entry / "comm").read_text().strip() not in _DELIVERING:
                    continue
                if os.readlink(entry / "ns/pid") != space:
                    continue
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if b"accepting connections" not in title and b"Queue control" not in title:
                count += 1
        return count > 0
