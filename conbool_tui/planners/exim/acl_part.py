"""The ACLs: who brings a message, what it may be, and which marks it carries.

The verdicts are kept in ``acl_m_`` variables, which Exim clears at every MAIL and RSET and stores with the message in the spool, so that
they can neither leak into another message nor get lost before a later delivery attempt (specification, 44.22 "ACL variables").

acl_m_conbool_src       handed over by Conbool's addresses
acl_m_conbool_believed  markers of this client are believed
acl_m_conbool_bypass    why this message must not go to the smart host
acl_m_conbool_calendar  an iTIP message
acl_m_conbool_released  released from quarantine
acl_m_conbool_spam      flagged by Conbool
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from conbool_tui.answers import Answers
from conbool_tui.facts_exim import EximFacts
from conbool_tui.planners.exim import names
from conbool_tui.planners.exim.own import Seat, data_path, local_lists, own_host_list, seat

_SOURCE = "condition = ${if def:acl_m_conbool_src}"
_BELIEVED = "condition = ${if def:acl_m_conbool_believed}"
_RESTRICTED = "^[.] : ^.*[@%!/|`#&?]"
"""Debian's CHECK_RCPT_LOCAL_LOCALPARTS: letters that routers and transports of admins may stumble over."""

_FOLD = r"(?:[ \t]|\r?\n[ \t])*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
ITIP = (
    rf"{_FOLD}text/calendar{_FOLD}(?:;{_FOLD}[^\s=;\x22]+{_FOLD}={_FOLD}(?:{_QUOTED}|[^\s;\x22]*){_FOLD})*"
    rf";{_FOLD}method{_FOLD}="
)
"""What follows ``Content-Type:`` of an iTIP message (RFC 6047, 2.4): text/calendar with the parameter method, which may stand anywhere.
The main section has it as the macro CONBOOL_ITIP."""

_LIMIT = 200  # loop headers with names of their own that a regular expression is made of


def statement(verb: str, *lines: str) -> list[str]:
    """One ACL statement: the verb, and a condition or modifier a line."""
    first, *others = lines
    return [f"  {verb:<8}{first}", *(f"          {line}" for line in others)]


def acl_part(facts: EximFacts, answers: Answers) -> str:
    """Our ACLs; those whose option has an ACL of the admin's already go on to that one."""
    parts: list[str] = []
    bodies: dict[str, Callable[[EximFacts, Answers], list[str]]] = {
        "acl_smtp_mail": mail,
        "acl_smtp_rcpt": rcpt,
        "acl_smtp_data": data,
        "acl_not_smtp": not_smtp,
    }
    for option, body in bodies.items():
        if seat(facts, option) is not Seat.LABEL:
            parts.append(_acl(names.ACLS[option], [*body(facts, answers), *_goes_on(facts, option)]))
    parts.append(_acl("acl_conbool_headers", [*headers(facts, answers), "  accept"]))
    mime = [
        _acl(names.ACLS[option], [*mime_part(), "  accept"])
        for option in ("acl_smtp_mime", "acl_not_smtp_mime")
        if seat(facts, option) is Seat.FREE
    ]
    if mime:
        parts.append(".ifdef _OPT_MAIN_ACL_SMTP_MIME\n" + "\n".join(mime) + ".endif\n")
    if answers.inbound.restrict_port_25 and seat(facts, "acl_smtp_quit") is Seat.FREE:
        parts.append(_acl(names.ACLS["acl_smtp_quit"], [*quit_part(), "  accept"]))
    return "\n".join(parts)


def head_of(option: str, facts: EximFacts, answers: Answers) -> str:
    """What stands at the head of the admin's own ACL for ``option``, where our text cannot come before it."""
    bodies: dict[str, Callable[[EximFacts, Answers], list[str]]] = {
        "acl_smtp_mail": mail,
        "acl_smtp_rcpt": rcpt,
        "acl_smtp_data": data,
        "acl_not_smtp": not_smtp,
        "acl_smtp_mime": lambda _facts, _answers: mime_part(),
        "acl_not_smtp_mime": lambda _facts, _answers: mime_part(),
        "acl_smtp_connect": lambda _facts, _answers: spared(),
        "acl_smtp_helo": lambda _facts, _answers: spared(),
    }
    return "".join(f"{line}\n" for line in bodies[option](facts, answers))


def _acl(name: str, lines: Sequence[str]) -> str:
    return f"{name}:\n" + "".join(f"{line}\n" for line in lines)


def _goes_on(facts: EximFacts, option: str) -> list[str]:
    """The admin's own ACL, or Exim's default when the option is not set: without an ACL for RCPT nobody may send."""
    if seat(facts, option) is Seat.MACRO:
        macro = "CONBOOL_NEXT_" + names.MACROS[option].rpartition("_")[2]
        return [f"  accept  acl = {macro}"]
    return ["  deny"] if option == "acl_smtp_rcpt" else ["  accept"]


# --- MAIL: who is it


def spared() -> list[str]:
    """Rules about who connects do not judge Conbool: it brings mail of all the world."""
    return statement("accept", "hosts = +conbool_hosts")


def mail(facts: EximFacts, answers: Answers) -> list[str]:
    """MAIL FROM: TLS and certificate of Conbool, the verdict who this is, and port 25 closed to others."""
    lines: list[str] = []
    inbound = answers.inbound
    if inbound.restrict_port_25:
        lines += statement(
            "defer",
            "hosts = +conbool_hosts",
            "!encrypted = *",
            "set acl_c_conbool_refused = yes",
            "message = 450 4.7.0 Session encryption is required: issue STARTTLS first",
            "log_message = conbool-tui: Conbool's address without TLS",
        )
    if inbound.peer_certificate == "require":
        name = answers.smart_host.expected_name
        lines += statement(
            "defer",
            "hosts = +conbool_hosts",
            "condition = ${if and{ {eq{$tls_in_certificate_verified}{1}} \\",
            f"             {{inlisti{{{name}}}{{<\\n ${{certextract{{subj_altname,dns}}{{$tls_in_peercert}}}}}}}} }}{{no}}{{yes}}}}",
            "set acl_c_conbool_refused = yes",
            f"message = 454 4.7.5 A TLS certificate for {name} is required",
            f"log_message = conbool-tui: Conbool's address, but no certificate for {name} (${{tls_in_peerdn}})",
        )
    elif inbound.restrict_port_25:
        lines += statement(
            "warn",
            "hosts = +conbool_hosts",
            "logwrite = conbool-tui: Conbool's certificate is for ${if def:tls_in_peerdn{$tls_in_peerdn}{nobody}},"
            " ${if eq{$tls_in_certificate_verified}{1}{verified}{not verified}}",
        )
    lines += statement(
        "warn",
        "hosts = +conbool_hosts",
        "set acl_m_conbool_src = yes",
        "set acl_m_conbool_believed = yes",
        "set acl_m_conbool_bypass = from-conbool",
    )
    own = own_host_list(facts)
    if answers.markers.trust == "local":
        # The empty item is a local process that speaks SMTP.
        lines += statement(
            "warn",
            f"hosts = : {own}".rstrip(" :") + ("" if own else " :"),
            "!authenticated = *",
            "set acl_m_conbool_believed = yes",
        )
    if inbound.restrict_port_25:
        allowed = " : ".join(part for part in ("+conbool_hosts", "+conbool_extra_hosts", own) if part)
        lines += statement(
            "deny",
            "condition = ${if eq{$received_port}{25}}",
            f"!hosts = : {allowed}",
            "!authenticated = *",
            "set acl_c_conbool_refused = yes",
            "message = 550 5.7.1 Mail for this server is accepted through its MX only",
            "log_message = conbool-tui: port 25 is closed to this host",
        )
    return [*lines, *spared()]


# --- RCPT: what may it hand over


def rcpt(facts: EximFacts, answers: Answers) -> list[str]:
    """RCPT TO from Conbool: existing recipients of hosted domains, and what it hands back for hosted senders. Rules of the admin about
    who sends do not judge it."""
    here = " : ".join(local_lists(facts))
    lines = statement(
        "deny",
        _SOURCE,
        f"local_parts = {_RESTRICTED}",
        "set acl_c_conbool_refused = yes",
        "message = restricted characters in address",
    )
    lines += statement("accept", _SOURCE, f"domains = {here}", "endpass", "verify = recipient")
    if answers.inbound.return_mode == "hand_back":
        lines += statement("accept", _SOURCE, "sender_domains = +conbool_domains")
    lines += statement(
        "deny",
        _SOURCE,
        "!authenticated = *",
        "set acl_c_conbool_refused = yes",
        "message = relay not permitted",
        "log_message = conbool-tui: Conbool relays for hosted sender domains only",
    )
    return lines


# --- DATA: which marks does it carry


def data(facts: EximFacts, answers: Answers) -> list[str]:
    """The end of a message by SMTP. What Conbool released from quarantine is not scanned again."""
    lines = statement("warn", "acl = acl_conbool_headers")
    lines += statement("accept", "condition = ${if and{{def:acl_m_conbool_released}{def:acl_m_conbool_src}}}")
    return lines


def not_smtp(facts: EximFacts, answers: Answers) -> list[str]:
    """A message by command or pipe."""
    lines: list[str] = []
    if answers.markers.trust == "local":
        # An admin may use one ACL for both ways in; a message by SMTP has a host.
        lines += statement(
            "warn", "!condition = ${if def:sender_host_address}", "set acl_m_conbool_believed = yes"
        )
    return lines + statement("warn", "acl = acl_conbool_headers")


def mime_part() -> list[str]:
    """A part of the message itself that is an invitation. Exim tells no parameter of a type, so the message's text is asked.

    What comes after an attached message may be a part of that one ($mime_is_rfc822 does not tell), and does not count.
    """
    lines = statement(
        "warn",
        "condition = ${if eqi{$mime_content_type}{message/rfc822}}",
        "set acl_m_conbool_attached = yes",
    )
    return lines + statement(
        "warn",
        "condition = ${if eqi{$mime_content_type}{text/calendar}}",
        "!condition = ${if def:acl_m_conbool_attached}",
        "condition = ${if match{${readfile{$spool_directory/scan/$message_exim_id/$message_exim_id.eml}}}"
        r"{\N(?mi)^content-type:CONBOOL_ITIP\N}}",
        "set acl_m_conbool_calendar = yes",
    )


def quit_part() -> list[str]:
    """A line in the log for a session from a listed network that ended well: it shows that port 25 is open to it."""
    return statement(
        "warn",
        "hosts = +conbool_hosts : +conbool_extra_hosts",
        "!condition = ${if def:acl_c_conbool_refused}",
        "logwrite = conbool-tui: session of [$sender_host_address] at port $received_port ended well",
    )


def headers(facts: EximFacts, answers: Answers) -> list[str]:
    """The header: marks of strangers are removed, marks of those who are believed are read."""
    markers = answers.markers
    keys = data_path(facts, names.LOOP_KEYS)
    single = tuple(dict.fromkeys((markers.released, *markers.spam)))
    lines = statement(
        "warn",
        f"!{_BELIEVED}",
        rf"condition = ${{if match{{$message_headers_raw}}{{\N(?mi)^(?:{_candidates(answers)})[ \t]*:\N}}}}",
        # The names come from our own file: Exim aborts when text of the message itself is used for a name here.
        f"remove_header = {' : '.join(single)} : ${{sg{{${{map{{<\\n $message_headers_raw}}{{${{if \\",
        "            match{$item}{\\N^([!-9;-~]+)[ \\t]*:\\N} \\",
        f"            {{${{lookup{{${{lc:$1}}}}lsearch{{{keys}}}{{$value}}{{}}}}}}{{}}}}}}}}}}{{\\N\\s+\\N}}{{:}}}}",
        "logwrite = conbool-tui: markers that are not from Conbool are removed",
    )
    lines += statement(
        "warn",
        r"condition = ${if match{$rh_content-type:}{\N(?i)^CONBOOL_ITIP\N}}",
        "set acl_m_conbool_calendar = yes",
    )
    lines += [".ifndef _OPT_MAIN_ACL_SMTP_MIME"]
    lines += statement(
        "warn",
        r"condition = ${if match{$message_body}{\N(?i)(?:^|\s)content-type:CONBOOL_ITIP\N}}",
        "set acl_m_conbool_calendar = yes",
    )
    lines += [".endif"]
    lines += statement(
        "warn",
        _BELIEVED,
        rf"condition = ${{if match{{$message_headers_raw}}{{\N(?mi)^(?:{_candidates(answers)})[ \t]*:\N}}}}",
        "condition = ${if forany{<\\n ${sg{$message_headers_raw}{\\N\\r?\\n[ \\t]+\\N}{ }}}{and{ \\",
        "            {match{$item}{\\N(?i)^([!-9;-~]+)[ \\t]*:[ \\t]*true[ \\t]*$\\N}} \\",
        f"            {{eq{{${{lookup{{${{lc:$1}}}}lsearch{{{keys}}}{{1}}{{0}}}}}}{{1}}}} }}}}}}",
        "set acl_m_conbool_bypass = loop-header",
    )
    lines += statement(
        "warn",
        _BELIEVED,
        _says_yes(markers.released),
        "set acl_m_conbool_bypass = released",
        "set acl_m_conbool_released = yes",
        "remove_header = X-Spam-Flag : X-Spam-Status : X-Spam-Level",
    )
    if answers.spam.action != "none" and markers.spam:
        tests = " ".join("{" + _yes_test(name) + "}" for name in markers.spam)
        lines += statement(
            "warn",
            _BELIEVED,
            "!condition = ${if def:acl_m_conbool_released}",
            f"condition = ${{if or{{ {tests} }}}}",
            "set acl_m_conbool_spam = yes",
            "remove_header = X-Spam-Flag",
            "add_header = X-Spam-Flag: YES",
        )
    return lines


def _says_yes(header: str) -> str:
    return "condition = ${if " + _yes_test(header) + "}"


def _yes_test(header: str) -> str:
    """The test for the value yes in a header that may stand there several times."""
    return rf"match{{$rh_{header}:}}{{\N(?mi)^\s*yes\s*$\N}}"


def _candidates(answers: Answers) -> str:
    """A pattern for names of headers that may be markers: most messages have none, and pay for no more than this."""
    named = {name.lower() for name in (answers.markers.released, *answers.markers.spam)}
    named |= {name.lower() for name in answers.markers.loop_headers.values()}
    others = sorted(name for name in named if not name.startswith("x-conbool-"))
    if len(others) > _LIMIT:
        return "[!-9;-~]+"
    return "|".join(["x-conbool-[!-9;-~]+", *(re.escape(name) for name in others)])
