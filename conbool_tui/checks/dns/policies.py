"""SPF, DMARC, DKIM and other TXT records: published, and usable by their RFCs? Pure: replies in, lookups out."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

from conbool_tui.checks.dns.client import Outcome, Reply
from conbool_tui.checks.dns.words import Asked
from conbool_tui.checks.dns_model import Lookup
from conbool_tui.findings import Status

_SPF = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_SPF_OPEN = re.compile(r"(?:\A| )\+?all(?: |\Z)", re.IGNORECASE)
_DMARC = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")


def judge_texts(domain: str, reply: Reply) -> tuple[Lookup, Lookup]:
    """SPF (RFC 7208), and all other TXT records of the domain, which are shown and not judged."""
    asked = Asked(domain, reply)
    if reply.outcome not in (Outcome.FOUND, Outcome.NODATA):
        return asked.trouble(
            "SPF", "SPF not found" if reply.outcome.certain else "SPF not known"
        ), asked.trouble("TXT", "no TXT record" if reply.outcome.certain else "TXT records not known")
    policies = [text for text in reply.values if _SPF.match(text)]
    others = [text for text in reply.values if not _SPF.match(text)]
    status, headline, remedy = Status.OK, "SPF is published", ""
    if not policies:
        status, headline = Status.WARN, "no SPF record is published"
        remedy = "Publish the SPF record (TXT) that the Setup Assistant shows, so that others can tell your mail from forgeries."
    elif len(policies) > 1:
        status, headline = (
            Status.WARN,
            "more than one SPF record is published, which counts as an error (RFC 7208, section 4.5)",
        )
        remedy = "Join them into one record; as it is, receivers use none of them."
    elif _SPF_OPEN.search(policies[0]):
        status, headline = Status.WARN, "the SPF record allows everybody to send (+all)"
        remedy = "End it with -all or ~all."
    spf = asked.lookup("SPF", status, headline, remedy, values=policies)
    told = (
        "other TXT records are published (shown, not judged)"
        if others
        else "no other TXT record is published"
    )
    return spf, asked.lookup("TXT", Status.OK, told, values=others)


def judge_dmarc(domain: str, reply: Reply) -> Lookup:
    """DMARC (RFC 7489, sections 6.3 and 6.6.3)."""
    asked = Asked(domain, reply, "_dmarc")
    if reply.outcome not in (Outcome.FOUND, Outcome.NODATA, Outcome.NXDOMAIN) or (
        reply.outcome is Outcome.NXDOMAIN and reply.chain
    ):
        return asked.trouble("DMARC", "DMARC not found" if reply.outcome.certain else "DMARC not known")
    records = [text for text in reply.values if _DMARC.match(text)]
    publish = "Publish a DMARC record (TXT at _dmarc and the domain), for a start: v=DMARC1; p=none"
    if not records and reply.values:
        headline = "what is published at _dmarc is no DMARC record"
        return asked.lookup(
            "DMARC", Status.WARN, headline, "It must begin with v=DMARC1; and name a policy (p=)."
        )
    if not records:
        headline = (
            "no DMARC record is published at _dmarc (one of a parent domain would apply; it is not looked up)"
        )
        return asked.lookup("DMARC", Status.WARN, headline, publish)
    if len(records) > 1:
        headline = "more than one DMARC record is published; receivers use none of them"
        return asked.lookup("DMARC", Status.WARN, headline, "Leave one.", values=records)
    policy = _tags(records[0]).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        headline = "the DMARC record names no valid policy"
        return asked.lookup(
            "DMARC", Status.WARN, headline, "Add p=none, p=quarantine or p=reject.", values=records
        )
    return asked.lookup("DMARC", Status.OK, f"DMARC is published, policy {policy}", values=records)


def judge_dkim(domain: str, selector: str, reply: Reply) -> Lookup:
    """One DKIM key (RFC 6376, section 3.6.1)."""
    asked = Asked(domain, reply, f"{selector}._domainkey")
    if reply.outcome is not Outcome.FOUND:
        certain = reply.outcome.certain
        return asked.trouble(
            "DKIM", f"no DKIM key {selector}" if certain else f"DKIM key {selector} not known"
        )
    if len(reply.values) > 1:
        headline = (
            f"more than one record is published for the DKIM key {selector}; which one counts is undefined"
        )
        return asked.lookup("DKIM", Status.WARN, headline, "Leave the record that the Setup Assistant shows.")
    tags = _tags(reply.values[0])
    key = re.sub(r"\s", "", tags.get("p", ""))
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags or not _is_base64(key):
        headline = f"what is published for the DKIM key {selector} is no DKIM key"
        remedy = "Publish it again exactly as the Setup Assistant shows it, without blanks or quotes inside."
        return asked.lookup("DKIM", Status.WARN, headline, remedy)
    if not key:
        headline = f"the DKIM key {selector} is revoked (empty p=)"
        remedy = (
            "Signatures made with it are not valid any more; publish the key that the Setup Assistant shows."
        )
        return asked.lookup("DKIM", Status.WARN, headline, remedy)
    testing = ", for tests only (t=y)" if "y" in tags.get("t", "").split(":") else ""
    return asked.lookup("DKIM", Status.OK, f"the DKIM key {selector} is published{testing}")


def _tags(text: str) -> dict[str, str]:
    """The tag list of a DMARC or DKIM record; the first of equal tags counts."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
