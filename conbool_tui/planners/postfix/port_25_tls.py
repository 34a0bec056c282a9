"""Step B: TLS at port 25. It is demanded from Conbool, so the service must offer it."""

from __future__ import annotations

from conbool_tui.errors import CheckFailedError
from conbool_tui.plan import Step
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import split_list
from conbool_tui.planners.postfix.sources import PORT_25_VALUES, Source

_CERTIFICATES = (
    "smtpd_tls_chain_files",
    "smtpd_tls_cert_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_dcert_file",
)
_OFFERED = ("may", "encrypt")
_NAMELESS_LEVELS = ("", "0", "none", "1", "routine")


def demand_tls(design: Design, source: Source) -> None:
    """Make the service offer STARTTLS and log the name in Conbool's certificate (TLS_README, server side).

    Raises:
        CheckFailedError: it cannot offer STARTTLS.
    """
    service = source.service
    why = "TLS is demanded from Conbool: without STARTTLS at port 25 all its mail would be refused."
    if not any(_set(design.own_option(service, name)) for name in _CERTIFICATES):
        raise CheckFailedError(
            f"inbound.restrict_port_25: {service.id} has no certificate.",
            why,
            "Set smtpd_tls_cert_file and smtpd_tls_key_file (or smtpd_tls_chain_files) and "
            "smtpd_tls_security_level = may in main.cf, reload Postfix and plan again.",
        )
    level = design.own_option(service, "smtpd_tls_security_level").strip().lower()
    if level and level not in _OFFERED:
        raise CheckFailedError(
            f"inbound.restrict_port_25: {service.id} offers no TLS (smtpd_tls_security_level = {level}).",
            why,
            "Set smtpd_tls_security_level = may, reload Postfix and plan again.",
        )
    hidden = {word.lower() for word in split_list(design.own_option(service, "smtpd_discard_ehlo_keywords"))}
    if "starttls" in hidden:
        raise CheckFailedError(
            f"inbound.restrict_port_25: {service.id} hides STARTTLS (smtpd_discard_ehlo_keywords).",
            why,
            "Take starttls out of smtpd_discard_ehlo_keywords, reload Postfix and plan again.",
        )
    legacy = "yes" in (
        design.own_option(service, "smtpd_use_tls").strip().lower(),
        design.own_option(service, "smtpd_enforce_tls").strip().lower(),
    )
    if not level and not legacy:
        _option(
            design,
            source,
            "smtpd_tls_security_level",
            "STARTTLS is offered at port 25",
            "TLS is demanded from Conbool; the certificate is there, only the level was not set.",
        )
    if design.own_option(service, "smtpd_tls_ask_ccert").strip().lower() != "yes":
        _option(
            design,
            source,
            "smtpd_tls_ask_ccert",
            "Conbool's certificate is asked for",
            "The name in it is logged; Postfix cannot check it, so the addresses decide.",
        )
    if design.own_option(service, "smtpd_tls_loglevel").strip().lower() in _NAMELESS_LEVELS:
        # The word for certificates is that of posttls-finger(1), -L; the numbers below 2 leave the name out.
        _option(
            design,
            source,
            "smtpd_tls_loglevel",
            "The name in a client's certificate is logged",
            "One line a session for the log; the numbered levels tell it only together with every handshake.",
        )


def _option(design: Design, source: Source, name: str, title: str, reason: str) -> None:
    design.set_option(source, name, PORT_25_VALUES[name], f"{title} ({source.service.id})", reason, Step.B)


def _set(value: str) -> bool:
    return value.strip().lower() not in ("", "none")
