"""Which program names in the log are those of port 25.

A daemon logs as ``syslog_name/smtpd`` (postconf(5), syslog_name). Submission, re-entry behind a filter and our own lanes have names
of their own and so drop out.
"""

from __future__ import annotations

import re

from conbool_tui.facts import PostfixFacts, Service

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|\(([A-Za-z0-9_]+)\)|([A-Za-z0-9_]+))")
# How master.cf files delivered with Postfix write "the instance's name, else postfix".
_INSTANCE = re.compile(
    r"\$\{multi_instance_name(?:\?\{?\$\{?multi_instance_name\}?\}?)?\s*:\s*\{?postfix\}?\}"
)


def syslog_name(facts: PostfixFacts, service: Service) -> str:
    """The expanded ``syslog_name`` of a service; what cannot be expanded stays with its ``$``."""
    own = service.option("syslog_name")
    main = facts.expanded.get("syslog_name") or "postfix"
    if own is None:
        return main
    known = {**facts.expanded, "service_name": service.name}
    text = _INSTANCE.sub(lambda _: facts.expanded.get("multi_instance_name") or "postfix", own)
    return _REFERENCE.sub(
        lambda match: known.get(match.group(1) or match.group(2) or match.group(3), match.group(0)), text
    )


def port_25_tags(facts: PostfixFacts) -> tuple[str, ...]:
    """The program names of smtpd processes that serve port 25, such as ``postfix/smtpd``; empty when they
    cannot be told.
    """
    names = [syslog_name(facts, one) for one in facts.services if one.id in facts.port_25_services]
    names = names or [facts.expanded.get("syslog_name") or "postfix"]
    if any("$" in name for name in names):
        return ()
    return tuple(dict.fromkeys(f"{name}/smtpd" for name in names))


def other_tags(facts: PostfixFacts) -> tuple[str, ...]:
    """The program names of smtpd processes that do not serve port 25 and have names of their own."""
    ours = set(port_25_tags(facts)) or {f"{facts.expanded.get('syslog_name') or 'postfix'}/smtpd"}
    found = (
        f"{syslog_name(facts, one)}/smtpd"
        for one in facts.services
        if one.command == "smtpd" and one.id not in facts.port_25_services
    )
    return tuple(dict.fromkeys(tag for tag in found if tag not in ours and "$" not in tag))


def shared_submission(facts: PostfixFacts) -> tuple[str, ...]:
    """Submission services whose lines look like those of port 25."""
    tags = port_25_tags(facts)
    return tuple(
        one.id
        for one in facts.services
        if one.id in facts.submission_services and f"{syslog_name(facts, one)}/smtpd" in tags
    )


def tag_pattern(facts: PostfixFacts) -> bytes:
    """A regular expression for those names, without groups."""
    tags = port_25_tags(facts)
    if tags:
        return b"(?:" + b"|".join(re.escape(tag.encode("utf-8", "surrogateescape")) for tag in tags) + b")"
    refused = b"|".join(
        [
            *(re.escape(tag.encode("utf-8", "surrogateescape")) + rb"\[" for tag in other_tags(facts)),
            rb"[^\s\[]{0,100}/conbool-",
        ]
    )
    return rb"(?!" + refused + rb")[^\s\[]{1,100}/smtpd"
