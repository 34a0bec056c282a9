"""Machines with Debian's Postfix and Dovecot: Postfix hands mail over by LMTP or dovecot-lda, Dovecot files it."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from .cache import LabError
from .lab import Lab
from .machine import Machine
from .postfix import PostfixMachine, PostfixSite
from .roots import dovecot_spec

LMTP_SOCKET = "/var/spool/postfix/private/dovecot-lmtp"
LOG = "/var/log/dovecot.log"
SITE_FILE = "/etc/dovecot/conf.d/95-site.conf"
LDA = "/usr/lib/dovecot/dovecot-lda"

_COMMON = f"""ssl = no
log_path = {LOG}
service lmtp {{
  unix_listener {LMTP_SOCKET} {{
    mode = 0600
    user = postfix
    group = postfix
  }}
}}
"""
_PLUGIN = {
    "2.3": "protocol {0} {{\n  mail_plugins = $mail_plugins sieve\n}}\n",
    "2.4": "protocol {0} {{\n  mail_plugins {{\n    sieve = yes\n  }}\n}}\n",
}
_SYSTEM_USERS = {
    "2.3": "mail_location = maildir:~/Maildir\nauth_username_format = %Ln\n",
    "2.4": "mail_driver = maildir\nmail_path = ~/Maildir\nmail_inbox_path =\n",
}
_VIRTUAL_USERS = {
    "2.3": """mail_location = maildir:/var/mail/vhosts/%d/%n
first_valid_uid = 1000
userdb {
  driver = static
  args = uid=5000 gid=5000 home=/var/mail/vhosts/%d/%n/home allow_all_users=yes
}
""",
    "2.4": """mail_driver = maildir
mail_path = /var/mail/vhosts/%{user | domain}/%{user | username}
mail_home = /var/mail/vhosts/%{user | domain}/%{user | username}/home
mail_inbox_path =
protocol lmtp {
  auth_username_format = %{user | lower}
}
userdb static {
  userdb_static_allow_all_users = yes
  fields {
    uid = 5000
    gid = 5000
  }
}
""",
}
USERS = ("alice", "bob", "carol", "dave")


@dataclass(frozen=True)
class DovecotSite:
    """What stands behind Postfix.

    Attributes:
        virtual: True for virtual mailboxes (one user id for all), False for the machine's own users.
        delivery: ``lmtp`` or ``lda``.
        plugin: whether the Sieve plugin is on for that delivery.
        junk: the name of the folder with the special use \\Junk.
        config: more text for the site's file in conf.d.
        files: more files by path, written after the site's file.
        scripts: active Sieve scripts of users.
        postfix: what Postfix serves; its domains' users are alice, bob, carol and dave.
    """

    virtual: bool = False
    delivery: str = "lmtp"
    plugin: bool = True
    junk: str = "Junk"
    config: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    postfix: PostfixSite = field(default_factory=lambda: PostfixSite(mailboxes=()))

    def whole(self) -> PostfixSite:
        """The Postfix site with the way to Dovecot in it."""
        main: dict[str, Optional[str]] = dict(self.postfix.main)
        site = dataclasses.replace(self.postfix, main=main)
        if self.virtual:
            main["virtual_transport"] = "lmtp:unix:private/dovecot-lmtp"
            mailboxes = [f"{user}@{domain}" for domain in site.local for user in USERS]
            return dataclasses.replace(site, local=(), mailboxes=(*mailboxes, *site.mailboxes))
        if self.delivery == "lda":
            main["mailbox_command"] = f'{LDA} -f "$SENDER" -a "$RECIPIENT"'
        else:
            main["mailbox_transport"] = "lmtp:unix:private/dovecot-lmtp"
        return site


class DovecotPart(Machine):
    """The Dovecot of a machine, behind whichever MTA."""

    dovecot_site: DovecotSite
    syntax: str

    def set_up_dovecot(self, site: DovecotSite) -> None:
        """Write the site's configuration beside Debian's. Dovecot must not run yet."""
        self.dovecot_site = site
        self.syntax = "2.4" if self.spec.suite == "trixie" else "2.3"
        text = _COMMON + (_VIRTUAL_USERS if site.virtual else _SYSTEM_USERS)[self.syntax]
        if site.plugin:
            text += _PLUGIN[self.syntax].format(site.delivery)
        # dovecot-lda writes there as the user it delivers for.
        self.write(LOG, "", 0o666)
        self.write(SITE_FILE, text + site.config, 0o644)
        if site.junk != "Junk":
            path = "/etc/dovecot/conf.d/15-mailboxes.conf"
            self.write(path, self.read_text(path).replace("mailbox Junk {", f'mailbox "{site.junk}" {{'))
        for path, content in site.files.items():
            self.write(path, content, 0o644)
        for user, script in site.scripts.items():
            self.user_script(user, script)
        self.dovecot_start()

    def user_script(self, user: str, script: Optional[str]) -> None:
        """Give a user (alice, or alice@example.com) an active Sieve script, or take it away."""
        path = self.home(user) + "/.dovecot.sieve"
        if script is None:
            self.path(path).unlink(missing_ok=True)
            return
        if "@" in user:
            folder = self.merged / self.home(user).lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            for one in (folder, folder.parent, folder.parent.parent):
                os.chown(one, 5000, 5000)
            self.write(path, script, 0o644, (5000, 5000))
        else:
            self.write(path, script, 0o644, (1001 + USERS.index(user), 1001 + USERS.index(user)))

    def home(self, user: str) -> str:
        """Where Dovecot looks for a user's own script."""
        if "@" in user:
            name, domain = user.split("@")
            return f"/var/mail/vhosts/{domain}/{name}/home"
        return f"/home/{user}"

    # -- Dovecot

    def dovecot_start(self) -> None:
        """Start Dovecot and wait until it takes mail."""
        # Its processes keep the standard streams open, so they must not be pipes.
        done = self.run(["/bin/sh", "-c", "exec dovecot </dev/null >/run/start.log 2>&1; "])
        if done.returncode:
            said = self.run(["cat", "/run/start.log"]).stdout
            raise LabError(f"Dovecot did not start:\n{said}{self.dovecot_log()}")
        deadline = time.monotonic() + 60
        while not self.exists(LMTP_SOCKET):
            if time.monotonic() > deadline:
                raise LabError(f"Dovecot makes no LMTP socket:\n{self.dovecot_log()}")
            time.sleep(0.02)

    def dovecot_stop(self) -> None:
        """Stop Dovecot and wait for its end."""
        self.run(["doveadm", "stop"], check=True)

    def dovecot_running(self) -> bool:
        """Whether the master process runs."""
        return self.run(["doveadm", "service", "status", "lmtp"]).returncode == 0

    def doveconf(self, *options: str) -> str:
        """What doveconf prints, without the line that names the time or the machine."""
        return self.run(["doveconf", *(options or ("-n",))], check=True).stdout

    def dovecot_log(self) -> str:
        """Dovecot's log so far."""
        return self.read_text(LOG) if self.exists(LOG) else ""


class DovecotMachine(DovecotPart, PostfixMachine):
    """A machine with Postfix and Dovecot."""

    def log(self) -> str:
        """Both logs, for the text of a failed test."""
        return super().log() + "".join(f"dovecot: {line}\n" for line in self.dovecot_log().splitlines()[-30:])


def dovecot(
    lab: Lab,
    suite: str = "bookworm",
    site: Optional[DovecotSite] = None,
    *,
    sieve_package: bool = True,
    extra_packages: Sequence[str] = (),
    start: bool = True,
) -> DovecotMachine:
    """A machine of the lab with Postfix and Dovecot, set up as ``site`` says and running.

    Args:
        lab: where it stands.
        suite: bookworm (Dovecot 2.3) or trixie (2.4).
        site: what it serves.
        sieve_package: False for a host without the package dovecot-sieve.
        extra_packages: more Debian packages.
        start: False leaves Postfix stopped.
    """
    site = site or DovecotSite()
    spec = dovecot_spec(suite, sieve=sieve_package, extra=extra_packages)
    machine = lab.machine(DovecotMachine, spec)
    whole = site.whole()
    machine.set_up(whole, lab.authority.issue(machine.place.hostname))
    for domain in whole.hosted:
        lab.dns.zone.set(domain, "MX", "10 in.conbool.com.")
    machine.set_up_dovecot(site)
    if start:
        machine.start()
    return machine
