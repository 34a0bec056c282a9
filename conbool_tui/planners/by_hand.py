"""What an admin must set in a mail system that this program cannot change: the guide's steps as a list, from the answers. Pure."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.errors import ByHandError
from conbool_tui.facts import MtaFacts


def by_hand(mta: MtaFacts, answers: Answers) -> ByHandError:
    """The error that says so, with everything that is to be set (guide steps A to D, and scope)."""
    limits = [one for one in mta.capabilities if not one.available and one.key != "changes"]
    known = [f"{mta.title}, {one.key}: {one.reason}." for one in limits]
    return ByHandError(
        f"{mta.title} cannot be set up by this program; nothing is changed.",
        "\n".join(
            ["It does not know that mail system's configuration and cannot take a change of it back.", *known]
        ),
        "Set this by hand, then test it (conbool-tui check, or Test in the wizard):\n"
        + "\n".join(_steps(answers)),
    )


def _steps(answers: Answers) -> list[str]:
    smart_host, inbound, markers = answers.smart_host, answers.inbound, answers.markers
    who = {
        "everything": "all outgoing mail",
        "senders": "mail from " + (", ".join(answers.scope.senders) or "the listed senders"),
        "domains": "mail from senders in " + (", ".join(answers.domains[:5]) or "the hosted domains"),
    }[answers.scope.mode]
    certificate = (
        f", showing the certificate {smart_host.client_certificate}" if smart_host.client_certificate else ""
    )
    networks = ", ".join(answers.conbool_networks) or "Conbool's addresses (see the Setup Assistant)"
    loops = [answers.loop_header(domain) for domain in answers.domains[:5]]
    return [
        f"A  Send {who} to {smart_host.host}, port {smart_host.port}: that very host (no MX lookup), TLS required and the name "
        f"{smart_host.expected_name} checked, without login{certificate}. If that fails the mail must wait in the queue.",
        f"B  Accept mail on port 25 from {networks}, only with TLS and only for hosted domains"
        + ("; refuse everybody else there." if inbound.restrict_port_25 else ".")
        + (
            " Relay what comes back from there for hosted senders."
            if inbound.return_mode == "hand_back"
            else ""
        ),
        f"C  Never send there again: what comes from these addresses, mail with {', '.join(loops) or 'X-Conbool-<your-domain>'}: true, "
        f"invitations (text/calendar) and bounces. Mail with {markers.spam[0] if markers.spam else 'X-Conbool-Flag'}: YES belongs into the spam folder.",
        f"D  Mail with {markers.released}: yes belongs into the inbox, past all spam filters.",
        "   Believe these headers from Conbool's addresses only, and remove them from everybody else's mail.",
    ]
