"""A Sendmail in the words that hold for every mail system."""

from __future__ import annotations

from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.facts import Capability, MtaFacts
from conbool_tui.facts_sendmail import BLOCK_ID, SendmailFacts
from conbool_tui.planners.dovecot.handover import of_sendmail
from conbool_tui.planners.sendmail.rules import REFUSAL

NESTED_CALENDAR = (
    "Sendmail's header checks see a message's own type only: an invitation that is a part of a multipart message goes through "
    "the smart host like other mail"
)
KEPT_MARKERS = "Sendmail cannot remove headers: markers of strangers and of users who log in are not believed, and stay in the message"
HEADER_ONLY = "the local mailer is neither procmail nor Dovecot, so flagged mail gets the header X-Spam-Flag: YES instead of a folder"
NO_QUESTION = "confTLS_SRV_OPTIONS has V (clients are not asked for a certificate), and without FEATURE(`access_db') Conbool cannot be asked alone"
COMMON_NAME = "this Sendmail is built without _FFR_TLS_ALTNAMES: only the subject's common name counts, not subjectAltName"


def mta_of(facts: SendmailFacts) -> MtaFacts:
    """The neutral half of what is known of a Sendmail."""
    return MtaFacts(
        title="Sendmail",
        version=facts.version,
        running=facts.running,
        config_directory=facts.config_directory,
        host_name=facts.host_name,
        domains=facts.domains,
        listeners=facts.listeners,
        port_25_owner=facts.port_25_owner,
        route=facts.catch_all or facts.smart_host or "each recipient's MX",
        filters=facts.milters,
        submission=tuple(daemon.name or daemon.port for daemon in facts.daemons if not daemon.on_port_25),
        own_networks=facts.own_networks,
        unlisted_networks=facts.unlisted_networks,
        families=_families(facts),
        system_ca_file=facts.system_ca_file,
        closed=REFUSAL in (present_block(facts) or ""),
        capabilities=capabilities(facts),
        warnings=facts.warnings,
    )


def present_block(facts: SendmailFacts) -> Optional[str]:
    """Our block in sendmail.mc as it is now."""
    if facts.source is None:
        return None
    return text_blocks.get(facts.files[facts.source].data, BLOCK_ID)


def asks_everybody(facts: SendmailFacts) -> bool:
    """Whether the daemon asks every client for a certificate (TLSSrvOptions without V)."""
    return "V" not in facts.options.get("TLSSrvOptions", "")


def files_by_procmail(facts: SendmailFacts) -> bool:
    """Whether /etc/procmailrc decides about a mailbox; Debian's sensible-mda hands over to procmail."""
    return facts.local_mailer.rpartition("/")[2] in ("procmail", "sensible-mda")


def capabilities(facts: SendmailFacts) -> tuple[Capability, ...]:
    """What answers may ask of it."""
    can_ask = asks_everybody(facts) or "access" in facts.features
    filed = files_by_procmail(facts) or bool(of_sendmail(facts.local_mailer))
    return (
        Capability("inbound.peer_certificate: require", can_ask, "" if can_ask else NO_QUESTION),
        Capability("spam.action: folder", True, "" if filed else HEADER_ONLY),
        Capability("calendar parts", False, NESTED_CALENDAR),
        Capability("removing markers of strangers", False, KEPT_MARKERS),
        Capability(
            "names in subjectAltName",
            "_FFR_TLS_ALTNAMES" in facts.flags,
            "" if "_FFR_TLS_ALTNAMES" in facts.flags else COMMON_NAME,
        ),
    )


def _families(facts: SendmailFacts) -> tuple[int, ...]:
    return (4, 6) if "NETINET6" in facts.flags else (4,)
