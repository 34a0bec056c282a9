"""master.cf services and the part each plays: port 25, submission, content filters and the way back from
them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from conbool_tui.facts import ContentFilter, Service, ServiceOption
from conbool_tui.postfix_config import MasterCf, ServiceEntry
from detectors.postfix.values import split_list, unbrace

PORT_25 = frozenset({"smtp", "25"})
_SUBMISSION = frozenset({"submission", "submissions", "smtps", "ssmtp", "465", "587"})
_LOOPBACK = re.compile(r"(?:127\.\d+\.\d+\.\d+|localhost|localhost\.localdomain|ip6-localhost|::1)")
_OWN_SYSLOG_NAME = "conbool-"
_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\}|\((\w+)\))")
_FILTERED = ("smtpd", "pickup", "qmqpd")


def read_services(data: bytes, parameters: Mapping[str, str]) -> tuple[Service, ...]:
    """The services of a master.cf; ``parameters`` decide what ``-`` means in the chroot column."""
    default = chroot_default(parameters)
    return tuple(_service(entry, default) for entry in MasterCf.parse(data).services())


def _service(entry: ServiceEntry, chroot: bool) -> Service:
    options = tuple(ServiceOption(option.name, option.value) for option in entry.options)
    return Service(
        entry.name, entry.type, entry.command, chroot if entry.chroot == "-" else entry.chroot == "y", options
    )


def chroot_default(parameters: Mapping[str, str]) -> bool:
    """What ``-`` in the chroot column means: yes below compatibility_level 1, no from it on (master(5),
    COMPATIBILITY_README)."""
    match = re.match(r"\d+", parameters.get("compatibility_level", "0").strip())
    return match is None or int(match.group()) < 1


def split_endpoint(name: str) -> tuple[str, str]:
    """Address and port of an inet service's name: ``127.0.0.1:10025``, ``[::1]:smtp``, ``smtp`` (then the
    address is empty)."""
    address, _, port = name.rpartition(":")
    return address.strip("[]"), port


def is_loopback(service: Service) -> bool:
    """True when the service listens on a loopback address only by its own name."""
    return _LOOPBACK.fullmatch(split_endpoint(service.name)[0]) is not None


def is_ours(service: Service) -> bool:
    """True for the services conbool-tui itself adds, which are no part of what the admin had."""
    return _OWN_SYSLOG_NAME in (service.option("syslog_name") or "") or service.name.startswith(
        _OWN_SYSLOG_NAME
    )


def _smtpd(services: Sequence[Service]) -> list[Service]:
    """The admin's SMTP servers."""
    return [service for service in services if service.command == "smtpd" and not is_ours(service)]


def on_port_25(service: Service) -> bool:
    """True when the service listens on the SMTP port."""
    return service.type == "inet" and split_endpoint(service.name)[1] in PORT_25


def has_postscreen(services: Sequence[Service]) -> bool:
    """True when postscreen(8) answers on port 25."""
    return any(service.command == "postscreen" and on_port_25(service) for service in services)


def port_25_services(services: Sequence[Service]) -> tuple[str, ...]:
    """The smtpd services that talk to clients of port 25: those bound to it, and ``smtpd pass`` behind
    postscreen."""
    behind = has_postscreen(services)
    return _ids(
        service for service in _smtpd(services) if on_port_25(service) or (behind and service.type == "pass")
    )


def submission_services(services: Sequence[Service], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """The smtpd services for mail of authenticated users: by the name of their port, or because they offer
    SASL on another port.

    A service that mail re-enters by (loopback address, or an empty ``-o content_filter=``) inherits SASL
    from main.cf without meaning it.
    """
    found = []
    for service in _smtpd(services):
        if service.type != "inet" or on_port_25(service):
            continue
        named = split_endpoint(service.name)[1] in _SUBMISSION
        sasl = effective(service, "smtpd_sasl_auth_enable", parameters) == "yes"
        reentry = is_loopback(service) or service.option("content_filter") == ""
        if named or (sasl and not reentry):
            found.append(service)
    return _ids(found)


def effective(service: Service, name: str, parameters: Mapping[str, str]) -> str:
    """A parameter as the service sees it, ``$name`` expanded with ``parameters`` (which are expanded
    themselves)."""
    value = service.option(name)
    return parameters.get(name, "") if value is None else expand(value, parameters)


def expand(value: str, parameters: Mapping[str, str]) -> str:
    """Replace ``$name``, ``${name}`` and ``$(name)``; other forms stay as written."""
    return _REFERENCE.sub(
        lambda match: parameters.get(match.group(1) or match.group(2) or match.group(3) or "", ""), value
    )


def content_filters(services: Sequence[Service], parameters: Mapping[str, str]) -> tuple[ContentFilter, ...]:
    """After-queue filters (FILTER_README): main.cf's and each service's own, with the smtpd services mail
    comes back to."""
    return _filters("content_filter", services, parameters, _FILTERED)


def proxy_filters(services: Sequence[Service], parameters: Mapping[str, str]) -> tuple[ContentFilter, ...]:
    """Before-queue filters (SMTPD_PROXY_README), told like content filters."""
    return _filters("smtpd_proxy_filter", services, parameters, ("smtpd",))


def _filters(
    name: str, services: Sequence[Service], parameters: Mapping[str, str], commands: Sequence[str]
) -> tuple[ContentFilter, ...]:
    found: list[tuple[str, str]] = []
    if parameters.get(name):
        found.append(("main.cf", parameters[name]))
    for service in services:
        value = service.option(name)
        if value and service.command in commands and not is_ours(service):
            found.append((service.id, expand(value, parameters)))
    return tuple(
        ContentFilter(where, value, _reentry(name, value, services, parameters)) for where, value in found
    )


def _reentry(
    name: str, value: str, services: Sequence[Service], parameters: Mapping[str, str]
) -> tuple[str, ...]:
    """Where filtered mail comes back: smtpd services that are free of the filter and made for it; pickup for
    a pipe(8) filter."""
    public = set(port_25_services(services)) | set(submission_services(services, parameters))
    back = []
    for service in _smtpd(services):
        if service.type not in ("inet", "unix") or (service.id in public and not is_loopback(service)):
            continue
        own = service.option(name)
        if own == "" or (is_loopback(service) and not effective(service, name, parameters)):
            back.append(service)
    transport = value.partition(":")[0]
    if not back and any(item.command == "pipe" and item.name == transport for item in services):
        back = [
            item for item in services if item.command == "pickup" and not effective(item, name, parameters)
        ]
    return _ids(back)


def milters(services: Sequence[Service], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Every milter endpoint in use, main.cf's first (MILTER_README)."""
    values = [parameters.get("smtpd_milters", ""), parameters.get("non_smtpd_milters", "")]
    for service in services:
        if is_ours(service):
            continue
        for name in ("smtpd_milters", "non_smtpd_milters"):
            option = service.option(name)
            if option is not None:
                values.append(expand(option, parameters))
    found: list[str] = []
    for value in values:
        for item in split_list(value):
            inner = unbrace(item)
            endpoint: Optional[str] = item
            if inner is not None:
                parts = split_list(inner)
                endpoint = parts[0] if parts else None
            if endpoint:
                found.append(endpoint)
    return tuple(dict.fromkeys(found))


def _ids(services: Iterable[Service]) -> tuple[str, ...]:
    """Each service's ``name/type`` once."""
    return tuple(dict.fromkeys(service.id for service in services))
