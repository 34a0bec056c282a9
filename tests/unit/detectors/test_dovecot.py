"""Dovecot as it is found: from what doveconf prints, and from where its configuration includes what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui import doveconf
from conbool_tui.facts import Outcome
from conbool_tui.facts_dovecot import DovecotFacts, SpecialFolder
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult
from detectors.dovecot import DovecotDetector, folders, places
from detectors.dovecot.detector import before_scripts

# As printed by doveconf -n of 2.3.19 and 2.4.1, shortened.
OLD = r"""# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf
mail_location = maildir:~/Maildir
namespace inbox {
  inbox = yes
  location =
  mailbox Drafts {
    special_use = \Drafts
  }
  mailbox "Junk E-mail" {
    special_use = \Junk
  }
  mailbox Spam {
    auto = subscribe
    special_use = \Junk
  }
  prefix = INBOX.
  separator = .
}
namespace {
  location = maildir:%%h/Maildir
  mailbox Junk {
    special_use = \Junk
  }
  prefix = Shared.%%u.
  type = shared
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_before = /etc/dovecot/first.sieve
  sieve_before2 = dict:proxy::sieve_before;name=active
  sieve_before4 = /etc/dovecot/never.sieve
}
protocols = " imap lmtp"
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
  }
}
ssl_key = # hidden, use -P to show it
protocol lmtp {
  mail_plugins = " sieve"
}
"""
NEW = r"""# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
dovecot_config_version = 2.4.0
protocols {
  imap = yes
  lmtp = yes
  pop3 = no
}
namespace inbox {
  inbox = yes
  mailbox Junk {
    special_use = "\\Junk"
  }
}
service lmtp {
  unix_listener lmtp {
  }
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
  }
}
sieve_script first {
  path = /etc/dovecot/first.sieve
  type = before
}
sieve_script personal {
  path = ~/.dovecot.sieve
}
mailbox Junk {
  sieve_script spam {
    path = /x.sieve
    type = before
  }
}
"""


class DovecotHost(Host):
    """A host of plain files whose Dovecot answers from texts."""

    def __init__(self, root: Path, version: str, reading: str, *, sieve: bool = True, says: str = "") -> None:
        super().__init__(str(root))
        self.version, self.reading, self.sieve, self.says = version, reading, sieve, says
        self.put("/etc/dovecot/dovecot.conf", "!include conf.d/*.conf\n!include_try local.conf\n")
        self.put("/etc/dovecot/conf.d/10-mail.conf", "")
        if sieve:
            self.put("/usr/lib/dovecot/modules/lib90_sieve_plugin.so", "")

    def put(self, path: str, text: str) -> None:
        """Write a file."""
        place = Path(self.root, path.lstrip("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def which(self, name: str) -> Optional[str]:
        """Everything is installed, but not always sievec."""
        return None if name == "sievec" and not self.sieve else f"/usr/bin/{name}"

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        """What doveconf and dovecot would print."""
        if argv[0] == "dovecot":
            return CommandResult(tuple(argv), 0, self.version.encode() + b"\n", b"")
        if self.says:
            return CommandResult(tuple(argv), 89, b"", self.says.encode())
        if "protocol=lmtp" in argv:
            text = (
                "mail_plugins {\n  sieve = yes\n}\n"
                if self.version.startswith("2.4")
                else "mail_plugins =  sieve\n"
            )
        elif "-n" in argv:
            text = self.reading
        else:
            text = ""
        return CommandResult(tuple(argv), 0, text.encode(), b"")


def facts(host: Host) -> DovecotFacts:
    """What was found, which must be a Dovecot."""
    found = DovecotDetector().detect(host, None)
    assert found.outcome is Outcome.PRESENT, found
    assert found.role == "mailbox"
    assert found.dovecot is not None
    return found.dovecot


def test_dovecot_2_3(tmp_path: Path) -> None:
    found = facts(DovecotHost(tmp_path, "2.3.19.1 (9b53102964)", OLD))
    assert (found.version, found.syntax) == ("2.3.19.1", "2.3")
    assert found.protocols == ("imap", "lmtp")
    assert found.sieve_for == ("lmtp",)
    # A missing number ends the sequence.
    assert found.before_scripts == ("/etc/dovecot/first.sieve", "dict:proxy::sieve_before;name=active")
    assert found.junk == (SpecialFolder("INBOX.Spam", True), SpecialFolder("INBOX.Junk E-mail"))
    assert found.prefix == "INBOX."
    assert found.lmtp_sockets == ("lmtp", "/var/spool/postfix/private/dovecot-lmtp")
    assert found.activation == "/etc/dovecot/conf.d/99-conbool.conf"


def test_dovecot_2_4(tmp_path: Path) -> None:
    found = facts(DovecotHost(tmp_path, "2.4.1-4 (7d8c0e5759)", NEW))
    assert (found.version, found.syntax) == ("2.4.1", "2.4")
    assert found.protocols == ("imap", "lmtp")
    assert found.before_scripts == ("first",)
    assert found.junk == (SpecialFolder("Junk"),)
    assert found.prefix == ""
    assert found.activation == "/etc/dovecot/conf.d/00-conbool.conf"


def test_without_the_sieve_package(tmp_path: Path) -> None:
    found = facts(DovecotHost(tmp_path, "2.3.19.1", OLD, sieve=False))
    assert (found.sieve_installed, found.sieve_for) == (False, ())


def test_broken_in_its_own_words(tmp_path: Path) -> None:
    says = (
        "doveconf: Fatal: Error in configuration file /etc/dovecot/dovecot.conf line 3: Unknown setting: fo\n"
    )
    found = DovecotDetector().detect(DovecotHost(tmp_path, "2.3.19.1", OLD, says=says), None)
    assert found.outcome is Outcome.BROKEN
    assert "line 3: Unknown setting: fo" in found.reason
    assert (found.role, found.dovecot) == ("mailbox", None)


def test_too_old(tmp_path: Path) -> None:
    found = DovecotDetector().detect(DovecotHost(tmp_path, "2.2.36 (x)", OLD), None)
    assert found.outcome is Outcome.BROKEN
    assert "too old" in found.reason


def test_absent(tmp_path: Path) -> None:
    found = DovecotDetector().detect(Host(str(tmp_path)), None)
    assert (found.outcome, found.role) == (Outcome.ABSENT, "mailbox")


@pytest.mark.parametrize(
    ("syntax", "where", "text", "path", "before"),
    [
        ("2.3", "local.conf", "plugin {\n sieve_before = /x\n}\n", "dovecot.conf", ""),
        ("2.3", "local.conf", "# sieve_before = /x\n", "conf.d/99-conbool.conf", ""),
        ("2.3", "conf.d/zz.conf", "plugin {\n sieve_before = /x\n}\n", "dovecot.conf", ""),
        ("2.3", "conf.d/90-sieve.conf", "plugin {\n sieve_before = /x\n}\n", "conf.d/99-conbool.conf", ""),
        ("2.4", "conf.d/90-sieve.conf", "sieve_script x {\n}\n", "conf.d/00-conbool.conf", ""),
        ("2.4", "conf.d/00-a.conf", "sieve_script x {\n}\n", "dovecot.conf", "!include conf.d/*.conf"),
    ],
)
def test_where_our_settings_stand(
    tmp_path: Path, syntax: str, where: str, text: str, path: str, before: str
) -> None:
    host = DovecotHost(tmp_path, "2.3.19.1", OLD)
    host.put(f"/etc/dovecot/{where}", text)
    found = places.find(host, "/etc/dovecot/dovecot.conf", syntax)
    assert (found.path, found.before) == (f"/etc/dovecot/{path}", before)


def test_one_file_without_includes(tmp_path: Path) -> None:
    host = DovecotHost(tmp_path, "2.4.1", NEW)
    text = "# head\ndovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n\nprotocols = imap\n"
    host.put("/etc/dovecot/dovecot.conf", text)
    assert places.find(host, "/etc/dovecot/dovecot.conf", "2.4").before == "protocols = imap"
    assert places.find(host, "/etc/dovecot/dovecot.conf", "2.3").before == ""


def test_a_namespace_without_prefix_takes_every_name() -> None:
    reading = doveconf.parse(
        "namespace a {\n inbox = yes\n prefix = INBOX/\n}\nnamespace b {\n prefix =\n}\n"
    )
    assert folders.prefix(folders.namespaces(reading)) == ""
    assert folders.prefix(()) == ""


def test_imapsieve_scripts_run_elsewhere() -> None:
    assert before_scripts(doveconf.parse(NEW), "2.4") == ("first",)
    assert before_scripts(doveconf.parse("plugin {\n  sieve = x\n}\n"), "2.3") == ()
