"""Products and tools that own the mail configuration: recognised by the files they leave, named with the
file that says so.

A product that *rewrites* the configuration (on its next save, update, restart or run) makes the host
MANAGED: a change by hand would be lost or would break its next run. A product that only *set it up once*
leaves the files to the admin: then it is a note.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host


@dataclass(frozen=True)
class Product:
    """One product: the files that give it away (any of them), whether it rewrites the mail configuration,
    why we say so, and where a lasting change belongs."""

    name: str
    evidence: tuple[str, ...]
    rewrites: bool
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Manager:
    """Who manages the mail configuration of this host, and the file that says so."""

    name: str
    evidence: str
    reason: str
    remedy: str


PRODUCTS: tuple[Product, ...] = (
    Product(
        "docker-mailserver",
        ("/etc/dms-settings", "/usr/local/bin/start-mailserver.sh", "/usr/local/bin/helpers/index.sh"),
        True,
        "Its start script builds main.cf and master.cf anew whenever the container starts.",
        "Run conbool-tui on the docker host: it works on the configuration volume.",
    ),
    Product(
        "Mailcow",
        (
            "/opt/mailcow-dockerized/mailcow.conf",
            "/opt/postfix/conf/extra.cf",
            "/opt/postfix/conf/allow_mailcow_local.regexp",
        ),
        True,
        "Its Postfix runs in a container, whose start script joins main.cf with extra.cf and writes the "
        "result back.",
        "Put the change into data/conf/postfix/extra.cf below the Mailcow folder.",
    ),
    Product(
        "Zimbra",
        ("/opt/zimbra/conf/localconfig.xml", "/opt/zimbra/bin/zmcontrol"),
        True,
        "zmconfigd rewrites main.cf from LDAP every minute.",
        "Use zmprov, zmlocalconfig and the templates below /opt/zimbra/conf.",
    ),
    Product(
        "Proxmox Mail Gateway",
        ("/var/lib/pmg/templates/main.cf.in", "/etc/pmg/pmg.conf", "/usr/bin/pmgconfig"),
        True,
        "pmgconfig generates main.cf and master.cf from templates at every change in its web interface.",
        "Put the change into template overrides below /etc/pmg/templates.",
    ),
    Product(
        "iRedMail",
        ("/etc/iredmail-release", "/opt/iredmail/custom/postfix"),
        True,
        "iRedMail owns main.cf and master.cf: its platform deploys them anew, and its upgrade steps "
        "replace settings in them.",
        "Put the change into /opt/iredmail/custom/postfix (Easy, Enterprise) or follow its relay guide.",
    ),
    Product(
        "Plesk",
        ("/usr/local/psa/version", "/etc/psa/psa.conf"),
        True,
        "Plesk rewrites main.cf and master.cf when mail settings are saved, on updates and with `plesk "
        "repair mail`.",
        "Set the smart host in Plesk (Tools & Settings, Mail Server Settings).",
    ),
    Product(
        "cPanel",
        ("/usr/local/cpanel/version", "/usr/local/cpanel/cpanel"),
        True,
        "cPanel runs Exim and builds its configuration from /etc/exim.conf.local at every update.",
        "Use WHM's Exim Configuration Manager.",
    ),
    Product(
        "DirectAdmin",
        ("/usr/local/directadmin/conf/directadmin.conf", "/usr/local/directadmin/directadmin"),
        True,
        "DirectAdmin runs Exim; CustomBuild writes exim.conf anew at every update.",
        "Use the exim custom files of CustomBuild.",
    ),
    Product(
        "YunoHost",
        ("/etc/yunohost/installed", "/usr/bin/yunohost"),
        True,
        "`yunohost tools regen-conf postfix` writes main.cf and master.cf from its own templates, also on "
        "updates.",
        "Set the relay in YunoHost (settings, email) or use a conf_regen hook.",
    ),
    Product(
        "ISPConfig",
        (
            "/usr/local/ispconfig/server/lib/config.inc.php",
            "/usr/local/ispconfig/interface/lib/config.inc.php",
        ),
        True,
        "Its updater reconfigures services from templates: main.cf keys and the whole master.cf are "
        "written anew.",
        "Put the change into /usr/local/ispconfig/server/conf-custom and ISPConfig's mail settings.",
    ),
    Product(
        "Mail-in-a-Box",
        ("/etc/mailinabox.conf",),
        True,
        "Its setup runs again at every update and sets the Postfix settings back to its own.",
        "Mail-in-a-Box does not support local changes; use its own relay setting if the version has one.",
    ),
    Product(
        "Univention Corporate Server",
        (
            "/etc/univention/templates/files/etc/postfix/main.cf.d",
            "/etc/univention/templates/info/univention-mail-postfix.info",
        ),
        True,
        "The configuration registry writes main.cf and master.cf from templates when any of its mail "
        "variables changes.",
        "Use `ucr set mail/relayhost=…` and /etc/postfix/main.cf.local.",
    ),
    Product(
        "Zentyal",
        ("/usr/share/zentyal/stubs/mail/main.cf.mas", "/etc/zentyal/mail.conf"),
        True,
        "Zentyal writes main.cf from stubs whenever the mail module is saved or restarted.",
        "Put a changed stub below /etc/zentyal/stubs/mail.",
    ),
    Product(
        "Synology MailPlus",
        ("/var/packages/MailPlus-Server/INFO", "/var/packages/MailServer/INFO"),
        True,
        "The package generates the Postfix configuration from its own settings.",
        "Set the SMTP relay in the package's own interface.",
    ),
    Product(
        "HestiaCP",
        ("/usr/local/hestia/conf/hestia.conf",),
        True,
        "HestiaCP runs Exim and replaces its configuration on upgrades.",
        "Use its SMTP relay setting.",
    ),
    Product(
        "VestaCP",
        ("/usr/local/vesta/conf/vesta.conf",),
        True,
        "VestaCP runs Exim and replaces its configuration on upgrades.",
        "Change its Exim template.",
    ),
    Product(
        "NixOS",
        ("/etc/NIXOS",),
        True,
        "The system configuration builds main.cf and master.cf; the files live in the read-only store.",
        "Put the change into services.postfix of the system configuration.",
    ),
    Product(
        "Modoboa",
        ("/srv/modoboa/instance/manage.py", "/srv/modoboa/instance/instance/settings.py"),
        False,
        "its installer wrote the Postfix configuration once; Modoboa itself changes only its database",
    ),
    Product(
        "Froxlor",
        ("/var/www/html/froxlor/lib/userdata.inc.php", "/var/www/froxlor/lib/userdata.inc.php"),
        False,
        "it shows the Postfix configuration to the admin or writes it on request only; its cron job "
        "changes database tables",
    ),
    Product(
        "Virtualmin",
        ("/etc/webmin/virtual-server/config",),
        False,
        "it sets single parameters and map entries and leaves the rest of main.cf alone",
    ),
    Product(
        "Webmin",
        ("/etc/webmin/postfix/config", "/etc/webmin/miniserv.conf"),
        False,
        "it changes what the admin saves in it and nothing by itself",
    ),
    Product(
        "CyberPanel",
        ("/usr/local/CyberCP/CyberCP/settings.py", "/etc/cyberpanel/machineIP"),
        False,
        "its installer wrote the Postfix configuration; updates touch single parameters, so look again "
        "after each update",
    ),
    Product(
        "Kolab",
        ("/etc/kolab/kolab.conf",),
        False,
        "setup-kolab wrote the Postfix configuration once; running it again would overwrite changes",
    ),
)

_TOOLS = {
    "ansible": "Ansible",
    "puppet": "Puppet",
    "salt": "Salt",
    "saltstack": "Salt",
    "chef": "Chef",
    "cfengine": "CFEngine",
    "bcfg2": "Bcfg2",
    "rudder": "Rudder",
    "propellor": "Propellor",
    "pyinfra": "pyinfra",
    "cdist": "cdist",
    "bundlewrap": "BundleWrap",
    "terraform": "Terraform",
    "univention-config-registry": "Univention Corporate Server",
    "e-smith": "e-smith (NethServer, SME Server)",
}
_TOOL = "|".join(sorted((re.escape(name) for name in _TOOLS), key=len, reverse=True))
_MADE = (
    r"(?:managed|maintained|controlled|generated|auto-?generated|deployed|written|created|built|provided"
    r"|installed|configured|overwritten)"
)
_HEADERS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?P<tool>{_TOOL})[ -]+(?:is\s+)?(?:managed|controlled|generated|maintained)\b",
        rf"\b{_MADE}\b.{{0,60}}?\b(?:by|with|via|using|from)\b.{{0,30}}?\b(?P<tool>{_TOOL})\b",
        rf"\b(?:under|in)\s+(?P<tool>{_TOOL})(?:'s)?\s+(?:control|management)\b",
    )
)
# A block that a tool keeps inside a file leaves the rest of the file to the admin.
_BLOCK = re.compile(r"\b(?:BEGIN|END)\b.*\bBLOCK\b|\bNOT\s+(?:managed|maintained)\b", re.IGNORECASE)
_WARNING = re.compile(
    r"\b(?:do not (?:edit|modify|change)|(?:automatically |auto-?)generated|will be (?:overwritten|lost))\b",
    re.IGNORECASE,
)
_HEADER_LINES = 40
_SUSE_GENERATOR = re.compile(r'^\s*MAIL_CREATE_CONFIG\s*=\s*"?yes', re.MULTILINE | re.IGNORECASE)


def find(host: Host, configuration: Sequence[str]) -> Optional[Manager]:
    """Who rewrites the mail configuration of this host, None when nobody is known to.

    Args:
        host: the machine.
        configuration: the mail system's files, whose own comments may name a configuration management tool.
    """
    for product in PRODUCTS:
        if product.rewrites:
            evidence = _first_there(host, product.evidence)
            if evidence:
                return Manager(product.name, evidence, product.reason, product.remedy)
    for path in configuration:
        tool = tool_in_header(_text(host, path))
        if tool is not None:
            return Manager(
                tool,
                path,
                f"A comment in {path} says that {tool} manages it; its next run would undo changes.",
                f"Make the change where {tool} keeps this file.",
            )
    return None


def notes(host: Host) -> tuple[str, ...]:
    """A sentence for each product that set up the mail configuration but does not rewrite it, and for SUSE's
    generator when it is on."""
    found = []
    for product in PRODUCTS:
        if not product.rewrites:
            evidence = _first_there(host, product.evidence)
            if evidence:
                found.append(f"{product.name} is installed ({evidence}): {product.reason}.")
    if _SUSE_GENERATOR.search(_text(host, "/etc/sysconfig/mail")):
        found.append(
            "/etc/sysconfig/mail has MAIL_CREATE_CONFIG on: `config.postfix` sets parameters of main.cf"
            " from it; set it to no."
        )
    return tuple(found)


def header_warning(text: str) -> Optional[str]:
    """A comment that says a file is generated without naming a known tool, None when there is none."""
    for line in _comments(text):
        if _WARNING.search(line) and not _BLOCK.search(line):
            return line
    return None


def tool_in_header(text: str) -> Optional[str]:
    """The configuration management tool that a comment among the first lines says manages the whole file."""
    for line in _comments(text):
        if _BLOCK.search(line):
            continue
        for pattern in _HEADERS:
            match = pattern.search(line)
            if match is not None:
                return _TOOLS[match.group("tool").lower()]
    return None


def _comments(text: str) -> list[str]:
    """The comments at the top of a file; one that ends in ``by`` or the like is joined with the next."""
    found: list[str] = []
    for line in text.split("\n", _HEADER_LINES)[:_HEADER_LINES]:
        if not line.lstrip().startswith("#"):
            continue
        comment = line.strip("# \t\r")
        if found and found[-1].endswith((" by", " with", " via", " using")):
            found[-1] += " " + comment
        else:
            found.append(comment)
    return found


def _first_there(host: Host, paths: Sequence[str]) -> str:
    """The first path that exists, empty when none does."""
    for path in paths:
        try:
            if host.exists(posixpath.normpath(path)):
                return path
        except (ConboolError, OSError):
            continue
    return ""


def _text(host: Host, path: str) -> str:
    """A file's text, empty when it cannot be read."""
    try:
        return host.read_text(path) if host.is_file(path) else ""
    except (ConboolError, OSError):
        return ""
