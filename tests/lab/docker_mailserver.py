"""A machine that is docker host and docker-mailserver container in one: its Postfix is rendered the way docker-mailserver does it.

The files are made after the project's documentation and its public layout; its own scripts do not run here. What they do to Postfix is done
with the same tools in the same order: the image's main.cf and master.cf, the admin's postfix-main.cf through ``postconf -n``, his
postfix-master.cf line by line through ``postconf -P`` (before version 15 the other way round), then user-patches.sh. ``docker`` is a small
program that runs ``docker exec`` commands right here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from .certs import KeyPair
from .dovecot import DovecotMachine, DovecotSite
from .postfix import REENTRY_PORT, SCANNER_PORT, PostfixSite

PROJECT = "/srv/mail"
CONFIG = f"{PROJECT}/docker-data/dms/config"
MOUNT = "/tmp/docker-mailserver"

COMPOSE = """\
# The mail server.
services:
  mailserver:
    image: ghcr.io/docker-mailserver/docker-mailserver:{version}
    container_name: mailserver
    hostname: mx1.example.com
    env_file: mailserver.env   # all settings
    ports:
      - "25:25"
      - "587:587"
    volumes:
      - ./docker-data/dms/mail-data/:/var/mail/
      - ./docker-data/dms/mail-state/:/var/mail-state/
      - ./docker-data/dms/config/:/tmp/docker-mailserver/
    restart: always
"""
ENVIRONMENT = """\
# -----------------------------------------------
# --- General -----------------------------------
OVERRIDE_HOSTNAME=
ENABLE_AMAVIS={amavis}
ENABLE_OPENDKIM=0
ENABLE_OPENDMARC=0
ENABLE_POLICYD_SPF=0
ENABLE_QUOTAS=0
PERMIT_DOCKER=container
# empty => no relay
DEFAULT_RELAY_HOST={relay}
"""
MAIN = """\
smtpd_banner = $myhostname ESMTP
biff = no
append_dot_mydomain = no
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mydestination = $myhostname, localhost.$mydomain, localhost
relayhost = {relay}
mynetworks = 127.0.0.0/8 [::1]/128 [fe80::]/64 {networks}
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
smtpd_tls_chain_files = {key} {certificate}
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtp_tls_CApath = /etc/ssl/certs
smtpd_helo_required = yes
smtpd_delay_reject = yes
smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname, permit
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
smtpd_recipient_restrictions = permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination,
  reject_unauth_pipelining, reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname
smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, reject_unauth_pipelining
smtpd_sender_restrictions = $dms_smtpd_sender_restrictions
dms_smtpd_sender_restrictions = permit_sasl_authenticated, permit_mynetworks
disable_vrfy_command = yes
virtual_mailbox_domains = /etc/postfix/vhost
virtual_mailbox_maps = texthash:/etc/postfix/vmailbox
virtual_alias_maps = texthash:/etc/postfix/virtual
virtual_mailbox_base = /var/mail/vhosts
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
milter_default_action = accept
smtpd_milters =
non_smtpd_milters =
header_checks = pcre:/etc/postfix/maps/header_checks.pcre
smtp_header_checks = pcre:/etc/postfix/maps/sender_header_filter.pcre
compatibility_level = 2
maillog_file = /var/log/mail.log
"""
MASTER = """\
smtp       inet n       -       n       -       1       postscreen
smtpd      pass -       -       n       -       -       smtpd
tlsproxy   unix -       -       n       -       0       tlsproxy
dnsblog    unix -       -       n       -       0       dnsblog
submission inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
  -o cleanup_service_name=sender-cleanup
pickup    unix  n       -       y       60      1       pickup
  -o content_filter=
  -o receive_override_options=no_header_body_checks
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
rewrite   unix  -       -       y       -       -       trivial-rewrite
bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
verify    unix  -       -       y       -       1       verify
flush     unix  n       -       y       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
showq     unix  n       -       y       -       -       showq
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
discard   unix  -       -       y       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       y       -       1       anvil
scache    unix  -       -       y       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
sender-cleanup unix n   -       -       -       0       cleanup
  -o syslog_name=postfix/sender-cleanup
  -o header_checks=pcre:/etc/postfix/maps/sender_header_filter.pcre
"""
AMAVIS = f"""
smtp-amavis     unix    -       -       n       -       2       smtp
  -o smtp_data_done_timeout=1200
  -o smtp_send_xforward_command=yes
  -o disable_dns_lookups=yes
  -o max_use=20
  -o smtp_tls_security_level=none

127.0.0.1:{REENTRY_PORT} inet    n       -       n       -       -       smtpd
  -o content_filter=
  -o local_recipient_maps=
  -o relay_recipient_maps=
  -o smtpd_restriction_classes=
  -o smtpd_delay_reject=no
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_data_restrictions=reject_unauth_pipelining
  -o smtpd_end_of_data_restrictions=
  -o mynetworks=127.0.0.0/8
  -o smtpd_error_sleep_time=0
  -o smtpd_soft_error_limit=1001
  -o smtpd_hard_error_limit=1000
  -o smtpd_client_connection_count_limit=0
  -o smtpd_client_connection_rate_limit=0
  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters
  -o smtp_tls_security_level=none
"""
SIEVE = "/usr/lib/dovecot/sieve-global"
SIEVE_SETTINGS = f"plugin {{\n  sieve_before = {SIEVE}/before/\n  sieve_after = {SIEVE}/after/\n}}\n"
DOCKER = """#!/bin/bash
# Stands in for docker: the "container" is this machine itself.
echo "docker $*" >>/var/log/docker-calls.log
case $1 in
  ps) [ -f /etc/lab-container.json ] && echo "c0ffee ghcr.io/docker-mailserver/docker-mailserver:15.1.0" ;;
  inspect)
    [ -f /etc/lab-container.json ] || exit 1
    if [ "$2" = --format ]; then echo "$(cat /etc/lab-running)"; else cat /etc/lab-container.json; fi ;;
  exec)
    [ "$(cat /etc/lab-running)" = true ] || { echo "Error response from daemon: container is not running" >&2; exit 1; }
    shift
    while [ "${1#-}" != "$1" ]; do shift; done
    [ "$1" = mailserver ] || { echo "Error: No such container: $1" >&2; exit 1; }
    shift
    [ -f /etc/lab-broken ] && [ "$*" = "bash -c postfix reload" ] && { echo "Error response from daemon: broken" >&2; exit 1; }
    exec "$@" ;;
  *) echo "unknown command $1" >&2; exit 1 ;;
esac
exit 0
"""
RENDER_MAIN = f"""
if [ -f {MOUNT}/postfix-main.cf ]; then
  cat {MOUNT}/postfix-main.cf >>/etc/postfix/main.cf
  touch -d '2 seconds ago' /etc/postfix/main.cf
  postconf -n >/tmp/postfix-main-new.cf 2>/dev/null
  mv /tmp/postfix-main-new.cf /etc/postfix/main.cf
  touch -d '2 seconds ago' /etc/postfix/main.cf
fi
"""
RENDER_MASTER = f"""
if [ -f {MOUNT}/postfix-master.cf ]; then
  while read -r LINE; do
    if [[ $LINE =~ ^[0-9a-z] ]]; then postconf -P "$LINE"; fi
  done <{MOUNT}/postfix-master.cf
fi
"""


@dataclass(frozen=True)
class DockerSite:
    """How the installation is set up.

    Attributes:
        version: the image's tag.
        accounts: addresses with a mailbox.
        amavis: the content filter on port 10024 with its way back on 10025.
        relay: DEFAULT_RELAY_HOST.
        config: more files of the configuration volume, by name.
        docker: the docker program is there.
        dovecot: Dovecot takes the mail by LMTP and runs the global scripts as the image does; else virtual(8) keeps it.
    """

    version: str = "15.1.0"
    accounts: tuple[str, ...] = ("alice@example.com", "info@example.org")
    amavis: bool = True
    relay: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    docker: bool = True
    dovecot: bool = False


class DockerMailserverMachine(DovecotMachine):
    """A machine with docker-mailserver; ``docker_mailserver`` makes one."""

    docker_site: DockerSite

    def set_up_docker(self, site: DockerSite, certificate: KeyPair) -> None:
        """Write the project's files and the container's, and render its Postfix once."""
        self.docker_site = site
        domains = tuple(dict.fromkeys(address.split("@")[1] for address in site.accounts))
        self.site = PostfixSite(
            local=(), virtual_aliases={}, mailboxes=site.accounts, content_filter=site.amavis, master=AMAVIS
        )
        major = int(site.version.split(".")[0])
        name = self.place.hostname
        self.write(f"/etc/dms/tls/{name}.pem", certificate.certificate, 0o644)
        self.write(f"/etc/dms/tls/{name}.key", certificate.key, 0o600)
        self.write(f"{PROJECT}/compose.yaml", COMPOSE.format(version=site.version))
        self.write(f"{PROJECT}/mailserver.env", ENVIRONMENT.format(amavis=int(site.amavis), relay=site.relay))
        accounts = "".join(f"{address}|{{SHA512-CRYPT}}$6$secret\n" for address in site.accounts)
        self.write(f"{CONFIG}/postfix-accounts.cf", accounts, 0o640)
        for page, text in site.config.items():
            self.write(f"{CONFIG}/{page}", text)
        networks = f"{self.place.network4} [" + self.place.network6.replace("/", "]/")
        main = MAIN.format(
            relay=site.relay,
            networks=networks,
            key=f"/etc/dms/tls/{name}.key",
            certificate=f"/etc/dms/tls/{name}.pem",
        )
        filtered = f"content_filter = smtp-amavis:[127.0.0.1]:{SCANNER_PORT}\n" if site.amavis else ""
        if site.dovecot:
            filtered += "virtual_transport = lmtp:unix:private/dovecot-lmtp\n"
        self.write("/opt/lab-image/main.cf", f"{main}myhostname = {name}\nmydomain = example.com\n{filtered}")
        self.write("/opt/lab-image/master.cf", MASTER + (AMAVIS if site.amavis else ""))
        self.write("/etc/postfix/maps/header_checks.pcre", "/^X-Lab-Refused:/ REJECT\n")
        self.write("/etc/postfix/maps/sender_header_filter.pcre", "/^X-Lab-Private:/ IGNORE\n")
        self.write("/etc/postfix/vhost", "".join(domain + "\n" for domain in domains))
        lines = (f"{one} {one.split('@')[1]}/{one.split('@')[0]}/\n" for one in site.accounts)
        self.write("/etc/postfix/vmailbox", "".join(lines))
        self.write("/etc/postfix/virtual", "")
        order = RENDER_MASTER + RENDER_MAIN if major >= 15 else RENDER_MAIN + RENDER_MASTER
        self.write(
            "/opt/lab-image/render",
            "#!/bin/bash\ncp /opt/lab-image/main.cf /opt/lab-image/master.cf /etc/postfix/\nrm -rf /etc/postfix/conbool*\n"
            f"touch -d '1 hour ago' /etc/postfix/main.cf /etc/postfix/master.cf\n{order}"
            f"if [ -f {MOUNT}/user-patches.sh ]; then /bin/bash {MOUNT}/user-patches.sh; fi\n",
            0o755,
        )
        container = {
            "Name": "/mailserver",
            "State": {"Running": True},
            "Config": {
                "Image": f"ghcr.io/docker-mailserver/docker-mailserver:{site.version}",
                "Hostname": "mx1",
                "Domainname": "example.com",
                "Env": [f"DMS_RELEASE=v{site.version}"],
                "Labels": {
                    "com.docker.compose.project.config_files": f"{PROJECT}/compose.yaml",
                    "com.docker.compose.service": "mailserver",
                    "com.docker.compose.project": "mail",
                },
            },
            "Mounts": [
                {"Source": CONFIG, "Destination": MOUNT},
                {"Source": f"{PROJECT}/docker-data/dms/mail-state", "Destination": "/var/mail-state"},
            ],
        }
        if site.docker:
            self.write("/usr/local/bin/docker", DOCKER, 0o755)
            self.write("/etc/lab-container.json", json.dumps([container]))
            self.write("/etc/lab-running", "true\n")
        self.shell(
            f"mkdir -p /var/mail/vhosts {CONFIG} && chown 5000:5000 /var/mail/vhosts && ln -sfn {CONFIG} {MOUNT}; newaliases"
        )
        self.render()
        if site.dovecot:
            for folder in ("before", "after"):
                self.path(f"{SIEVE}/{folder}").mkdir(parents=True)
            self.set_up_dovecot(DovecotSite(virtual=True, config=SIEVE_SETTINGS))

    def render(self) -> str:
        """What a new container does to Postfix before it starts; returns what was printed."""
        done = self.run(["/opt/lab-image/render"], check=True)
        return done.stdout + done.stderr

    def recreate(self) -> str:
        """A new container in the place of the old one, with the same queue."""
        self.postfix_stop()
        said = self.render()
        self.postfix_start()
        return said
