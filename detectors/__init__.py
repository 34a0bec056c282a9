"""Detection: what mail systems this host has, how they are set up, and who manages them. Read only.

Every mail system has one ``Detector``; a new one is added to ``DETECTORS`` and nothing else changes.
"""

from __future__ import annotations

import dataclasses
from typing import Optional, Protocol

from conbool_tui.errors import ConboolError
from conbool_tui.facts import Detection, HostFacts, Listener, Outcome
from conbool_tui.host import Host
from conbool_tui.mta import mta_facts
from detectors import managed
from detectors.docker_mailserver import DockerMailserverDetector
from detectors.dovecot import DovecotDetector
from detectors.exim import EximDetector
from detectors.filters import find_filters
from detectors.firewall import find_firewall
from detectors.listening import owner_of_port, safe_listeners
from detectors.open_xchange import OpenXchangeDetector, together
from detectors.other import find_other
from detectors.postfix import PostfixDetector
from detectors.sendmail import SendmailDetector


class Detector(Protocol):
    """Finds one mail system. ``name`` is what ``--mail-system`` takes."""

    name: str

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """Look for the system; every failing probe becomes data in the result. ``instance`` picks one of
        several where the system has such."""
        ...


DETECTORS: tuple[Detector, ...] = (
    PostfixDetector(),
    SendmailDetector(),
    EximDetector(),
    DovecotDetector(),
    DockerMailserverDetector(),
    OpenXchangeDetector(),
)


def detect_host(host: Host, instance: Optional[str] = None) -> HostFacts:
    """Run every detector over the host. Never raises: what cannot be read is told in the detection.

    Args:
        host: the machine.
        instance: name or configuration directory of a Postfix instance (postmulti -l) on a host with
            several; the default is the primary one.
    """
    detections = tuple(_guarded(detector, host, instance) for detector in DETECTORS)
    listeners: tuple[Listener, ...] = ()
    owner = ""
    detections = together(tuple(dataclasses.replace(one, mta=mta_facts(one)) for one in detections))
    for detection in detections:
        if detection.mta is not None and not listeners:
            listeners, owner = detection.mta.listeners, detection.mta.port_25_owner
    if not listeners:
        listeners = safe_listeners(host)
        owner = owner_of_port(listeners, 25)
    other = find_other(host, listeners, detections)
    if other is not None:
        detections = (*detections, other)
    return HostFacts(
        detections,
        listeners,
        owner,
        managed.notes(host),
        firewall=find_firewall(host),
        addresses=host.addresses(),
        filters=find_filters(host),
    )


def _guarded(detector: Detector, host: Host, instance: Optional[str]) -> Detection:
    """One detector's result, whatever happens inside it."""
    try:
        return detector.detect(host, instance)
    except ConboolError as error:
        return Detection(
            detector.name,
            Outcome.BROKEN,
            error.what,
            reason=error.why or error.what,
            remedy=error.todo,
            role=getattr(detector, "role", "mta"),
        )
    except Exception as error:  # noqa: BLE001 - one detector's defect must not hide what the others found
        return Detection(
            detector.name,
            Outcome.BROKEN,
            f"The search for {detector.name} failed.",
            reason=f"{type(error).__name__}: {error}",
            remedy="Nothing was changed. Please report this with the text above.",
            role=getattr(detector, "role", "mta"),
        )
