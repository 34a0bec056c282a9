"""The Postfix of a docker-mailserver container without this program's part: asked in the container, or known from its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.docker_mailserver import image, names
from conbool_tui.docker_mailserver.script import SCRIPT
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import FileText, HostedDomains, PostfixFacts
from conbool_tui.host import Host
from conbool_tui.postfix_config import MainCf
from detectors.postfix import files, services
from detectors.postfix.parameters import parse_settings
from detectors.postfix.values import is_domain

_MARK = "=== conbool-tui "
_READ = (
    "set -u\n"
    "work=$(mktemp -d) || exit 1\n"
    "trap 'rm -rf \"$work\"' EXIT\n"
    "cat >\"$work/apply.sh\" <<'CONBOOL_SCRIPT'\n" + SCRIPT + "CONBOOL_SCRIPT\n"
    f'bash "$work/apply.sh" base "$work" || exit 1\n'
    f"etc={names.POSTFIX}\n"
    f'echo "{_MARK}force"; cmp -s $etc/main.cf $etc/conbool-base/applied/main.cf &&'
    " cmp -s $etc/master.cf $etc/conbool-base/applied/master.cf && echo yes\n"
    f'echo "{_MARK}raw"; postconf -c "$work" || exit 1\n'
    f'echo "{_MARK}expanded"; postconf -c "$work" -x\n'
    f'echo "{_MARK}explicit"; postconf -c "$work" -n\n'
    f'echo "{_MARK}types"; postconf -c "$work" -m\n'
    f'echo "{_MARK}main"; cat "$work/main.cf"\n'
    f'echo "{_MARK}master"; cat "$work/master.cf"\n'
    f'echo "{_MARK}release"; echo "${{DMS_RELEASE:-}}"; cat /VERSION 2>/dev/null\n'
    f'echo "{_MARK}end"\n'
)


@dataclass(frozen=True)
class ContainerReading:
    """What a running container said: its Postfix without us, whether our part is in force, its release."""

    postfix: PostfixFacts
    in_force: bool
    release: str


def read_container(host: Host, container: str, domains: HostedDomains) -> ContainerReading:
    """Ask a running container. Nothing in it is changed.

    Raises:
        CheckFailedError: it has no Postfix that can be asked.
        HostError: docker does not answer.
    """
    result = host.run(["docker", "exec", "-i", container, "bash", "-s"], stdin=_READ.encode(), timeout=60)
    parts: dict[str, str] = {}
    for part in result.text().split(_MARK)[1:]:
        name, _, text = part.partition("\n")
        parts[name.strip()] = text
    if not result.ok or "end" not in parts or "mail_version" not in parse_settings(parts.get("raw", "")):
        raise CheckFailedError(
            f"The Postfix in the container {container} cannot be asked.",
            result.error_text().rpartition("\n")[2] or f"docker exec ended with {result.returncode}.",
            f"See that `docker exec {container} postconf -n` works.",
        )
    raw = parse_settings(parts["raw"])
    expanded = {**raw, **parse_settings(parts["expanded"])}
    for settings in (raw, expanded):
        settings["config_directory"] = names.POSTFIX
    postfix = build(
        parts["main"].encode("utf-8", "surrogateescape"),
        parts["master"].encode("utf-8", "surrogateescape"),
        raw,
        expanded,
        frozenset(parse_settings(parts["explicit"])),
        frozenset(parts["types"].split()),
        domains,
        running=True,
    )
    return ContainerReading(postfix, parts["force"].strip() == "yes", parts["release"].strip().split("\n")[0])


def known_postfix(
    major: int,
    environment: Mapping[str, str],
    host_name: str,
    own_main: bytes,
    own_master: bytes,
    domains: HostedDomains,
) -> PostfixFacts:
    """What the release makes of these files. Raises ConfigTextError: one of the admin's files cannot be read."""
    main_cf, master_cf = image.rendered(major, environment, host_name, own_main, own_master)
    main = MainCf.parse(main_cf)
    raw = {**image.DEFAULTS, "mail_version": image.postfix_version(major)}
    raw.update((name, main.get(name) or "") for name in main.names())
    expanded = dict(raw)
    for _ in range(5):
        expanded = {name: services.expand(value, expanded) for name, value in expanded.items()}
    return build(
        main_cf, master_cf, raw, expanded, frozenset(main.names()), image.TABLE_TYPES, domains, running=False
    )


def build(
    main_cf: bytes,
    master_cf: bytes,
    raw: Mapping[str, str],
    expanded: Mapping[str, str],
    explicit: frozenset[str],
    table_types: frozenset[str],
    domains: HostedDomains,
    *,
    running: bool,
) -> PostfixFacts:
    """Postfix facts from two files and postconf's reading of them."""
    found = services.read_services(master_cf, expanded)
    paths = {f"{names.POSTFIX}/main.cf": main_cf, f"{names.POSTFIX}/master.cf": master_cf}
    return PostfixFacts(
        version=raw["mail_version"],
        config_directory=names.POSTFIX,
        instance="-",
        instances=(),
        parameters=raw,
        expanded=expanded,
        explicit=explicit,
        services=found,
        table_types=table_types,
        default_database_type=expanded.get("default_database_type", "hash"),
        domains=domains,
        files={path: FileText(path, data) for path, data in paths.items()},
        running=running,
        listeners=(),
        port_25_owner="master" if running else "",
        port_25_services=services.port_25_services(found),
        submission_services=services.submission_services(found, expanded),
        content_filters=services.content_filters(found, expanded),
        postscreen=services.has_postscreen(found),
        milters=services.milters(found, expanded),
        tls_files=files.tls_files(expanded),
        system_ca_file=image.CA_FILE,
        transport_catch_all=None,
        proxy_filters=services.proxy_filters(found, expanded),
    )


def hosted_domains(
    accounts: Optional[bytes], aliases: Optional[bytes], environment: Mapping[str, str], host_name: str
) -> HostedDomains:
    """The mail domains of postfix-accounts.cf and postfix-virtual.cf, which docker-mailserver makes its list of domains from."""
    found: list[str] = []
    for data, separator in ((accounts, "|"), (aliases, None)):
        for line in (data or b"").decode("utf-8", "replace").split("\n"):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            address = text.split(separator, 1)[0].split()[0] if text.split(separator, 1)[0].split() else ""
            domain = address.rpartition("@")[2].lower() if "@" in address else ""
            if domain and is_domain(domain):
                found.append(domain)
    ldap = (
        environment.get("ACCOUNT_PROVISIONER", "").upper() == "LDAP" or environment.get("ENABLE_LDAP") == "1"
    )
    return HostedDomains(
        virtual_mailbox=tuple(dict.fromkeys(found)),
        unlisted=("the accounts in LDAP",) if ldap else (),
        host_names=tuple(name for name in dict.fromkeys(found) if name == host_name.lower()),
    )
