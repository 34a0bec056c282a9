"""The block at the end of sendmail.mc, as lines.

Sendmail chooses the mailer when it takes a recipient, but at delivery, with all headers seen, it runs the mailer's ruleset for the
envelope sender (``S=``) and after that expands the mailer's arguments (``A=``), conditionals included. So every recipient elsewhere goes to
one mailer; header checks leave marks with the message (persistent macros, kept in the queue file); the sender's ruleset turns marks and
sender into ``{conbool_via}``; and the arguments lead to the smart host or to the recipient's MX. Source: cf/README and op.me of
Sendmail 8.15 to 8.18, deliver.c.

A macro is never deleted but set to empty: an unset one is looked up in the envelope that a bounce was made from.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

MARKS = ("{conbool_skip}", "{conbool_rel}", "{conbool_spam}", "{conbool_read}")
PORT_25 = "25"
SUBMISSION_PORTS = ("587", "465")
REFUSAL = "550 5.7.1 This port takes mail from Conbool only"


@dataclass(frozen=True)
class Rules:
    """What the block has to say.

    Attributes:
        host, port, name: the smart host, its port, and the name its certificate must carry.
        headers: names of the loop headers.
        released: name of the header of released mail.
        spam: names of the headers of flagged mail; empty adds nothing.
        domains: hosted domains.
        scope: who uses the smart host: None for everybody, else domains and addresses.
        networks: Conbool's addresses as class members (prefixes of Sendmail's way to write addresses).
        extra: further networks that may use port 25, the same way.
        local: whether this server's own networks and commands are believed.
        hand_back: whether Conbool may relay for hosted senders.
        closed: whether port 25 refuses strangers, and Conbool without TLS.
        calendar_method: whether the method of a calendar message can be asked for (MAP_REGEX); else every one counts.
        peer_name: name required in Conbool's client certificate; empty for none.
        altnames: whether names in subjectAltName count (_FFR_TLS_ALTNAMES); else only the subject's common name.
        ca_file, ca_path: what is defined when the host has none of its own, or when one was asked for.
        client_certificate, client_key: offered to the smart host; empty for none.
        open_loopback: listeners of port 25 that are on the loopback interface only take all.
        drop_smart_host: the host's old SMART_HOST is the smart host itself.
    """

    host: str
    port: int
    name: str
    headers: Sequence[str]
    released: str
    spam: Sequence[str]
    domains: Sequence[str]
    scope: Optional[Sequence[str]]
    networks: Sequence[str]
    extra: Sequence[str]
    local: bool
    hand_back: bool
    closed: bool
    peer_name: str
    calendar_method: bool
    altnames: bool
    ca_file: str
    ca_path: str
    client_certificate: str
    client_key: str
    open_loopback: bool = False
    drop_smart_host: bool = False


def block(rules: Rules) -> str:
    """The block's text, without its marker lines."""
    parts = [_settings(rules), _marks(rules), _routing(rules), _rulesets(rules), _mailer(rules)]
    return "".join(line + "\n" for part in parts for line in part)


def quoted(text: str) -> str:
    """``text`` so that m4 passes it on as it is."""
    if "'" not in text and "`" not in text:
        return f"`{text}'"
    return f"changequote(<<<,>>>)dnl\n<<<{text}>>>\nchangequote(`,')dnl"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _define(name: str, value: str) -> str:
    return f"define(`{name}', `{value}')dnl"


def _settings(rules: Rules) -> list[str]:
    lines = []
    if rules.drop_smart_host:
        lines.append("undefine(`SMART_HOST')dnl")
    if rules.ca_path:
        lines.append(_define("confCACERT_PATH", rules.ca_path))
    if rules.ca_file:
        lines.append(_define("confCACERT", rules.ca_file))
    if rules.altnames:
        lines.append(_define("_FFR_TLS_ALTNAMES", "1"))
    if rules.open_loopback:
        # cfhead.m4 collects what DAEMON_OPTIONS said in _DPO_.
        lines.append(
            "define(`_DPO_', patsubst(defn(`_DPO_'), "
            r"`\(DaemonPortOptions=.*[Pp]ort=\(smtp\|25\)\b.*\), *Addr=127\.0\.0\.1', `\1'))dnl"
        )
        lines.append(
            "define(`_DPO_', patsubst(defn(`_DPO_'), "
            r"`\(DaemonPortOptions=.*\)Addr=127\.0\.0\.1, *\(.*[Pp]ort=\(smtp\|25\)\b\)', `\1\2'))dnl"
        )
    return lines


def _marks(rules: Rules) -> list[str]:
    lines = ["LOCAL_CONFIG"]
    if rules.altnames:
        lines.append("O SetCertAltnames=true")
    lines.append("Kconbool_set macro")
    if rules.calendar_method:
        lines.append("Kconbool_method regex -aFOUND ^method=")
    lines.append("C{persistentMacros}" + " ".join(MARKS))
    lines += _class("ConboolDomain", rules.domains)
    lines += _class("ConboolScope", rules.scope or ())
    lines += _class("ConboolNet", rules.networks)
    lines += _class("ConboolExtra", rules.extra)
    lines += [quoted(f"H{name}: $>ConboolLoop") for name in rules.headers]
    lines.append(quoted(f"H{rules.released}: $>ConboolReleased"))
    lines += [quoted(f"H{name}: $>ConboolFlag") for name in rules.spam]
    lines.append("HContent-Type: $>ConboolCalendar")
    if rules.spam:
        lines.append("H?${conbool_spam}?X-Spam-Flag: YES")
    return lines


def _class(name: str, members: Sequence[str]) -> list[str]:
    """Each member on a line of its own, so that a difference shows what came and went."""
    return [quoted(f"C{{{name}}}{member.replace('$', '$$')}") for member in members]


def _routing(rules: Rules) -> list[str]:
    return [
        "LOCAL_RULE_0",
        "R$+ < @ [ $+ ] > $*\t$: $1 < @ [$2] > $3 $| $>ConboolSender $&f\taddress literals",
        "R$* $| DIRECT\t$: $1",
        "R$+ < @ [ $+ ] > $* $| $*\t$#conbool $@ [$2] $: $1 < @ [$2] > $3",
        "LOCAL_NET_CONFIG",
        "R$+ < @ $+ > $*\t$: $1 < @ $2 > $3 $| $>ConboolSender $&f",
        "R$* $| DIRECT\t$: $1\tout of scope: as before",
        "R$+ < @ $+ > $* $| $*\t$#conbool $@ $2 $: $1 < @ $2 > $3",
    ]


def _rulesets(rules: Rules) -> list[str]:
    lines = ["LOCAL_RULESETS"]
    for part in (_own, _trusted, _header_checks, _scope, _delivery, _envelope, _smart_host_tls):
        lines += part(rules)
    if rules.client_certificate:
        lines += _client_certificate(rules)
    return lines


def _own(rules: Rules) -> list[str]:
    """Hosts that may relay by address, and this host itself: what Relay_ok of proto.m4 allows without looking at the sender."""
    return [
        "SConboolOwn",
        "R$*\t$: $&{client_addr}",
        "R$@\t$@ OK\ta local command",
        "R0\t$@ OK\tsendmail -bs",
        "R127.$*\t$@ OK",
        "RIPv6:0:0:0:0:0:0:0:1\t$@ OK",
        "RIPv6:::1\t$@ OK",
        "R$=R $*\t$@ OK",
        "ifdef(`_ACCESS_TABLE_', `dnl",
        "R$*\t$: $>A <$1> <?> <+ Connect> <$1>",
        "R<RELAY> $*\t$@ OK",
        "R<$*> <$*>\t$: $2', `dnl')",
        "R$*\t$: [ $&{client_addr} ]",
        "R$=w\t$@ OK",
        "R$*\t$@ NO",
        "SConboolLoopback",
        "R$*\t$: $&{client_addr}",
        "R$@\t$@ OK",
        "R0\t$@ OK",
        "R127.$*\t$@ OK",
        "RIPv6:0:0:0:0:0:0:0:1\t$@ OK",
        "RIPv6:::1\t$@ OK",
        "R$*\t$@ NO",
        "SConboolClient",
        "R$*\t$: $&{client_addr}",
        "R$={ConboolNet}\t$@ OK",
        "R$={ConboolNet}.$+\t$@ OK",
        "R$={ConboolNet}:$+\t$@ OK",
        "R$*\t$@ NO",
        "SConboolExtra",
        "R$*\t$: $&{client_addr}",
        "R$={ConboolExtra}\t$@ OK",
        "R$={ConboolExtra}.$+\t$@ OK",
        "R$={ConboolExtra}:$+\t$@ OK",
        "R$*\t$@ NO",
    ]


def _trusted(rules: Rules) -> list[str]:
    """Whose markers are believed: Conbool's addresses; and this server's own networks and commands, unless somebody logged in."""
    lines = ["SConboolTrust", "R$*\t$: $>ConboolClient", "ROK\t$@ OK"]
    if rules.local:
        lines += [
            "R$*\t$: <$&{auth_type}>",
            "R<$+>\t$@ NO\tlogged in",
            "R$*\t$: $&{daemon_port}",
            *(f"R{port}\t$@ $>ConboolLoopback\tsubmission" for port in SUBMISSION_PORTS),
            "R$*\t$@ $>ConboolOwn",
        ]
    return [*lines, "R$*\t$@ NO"]


def _header_checks(rules: Rules) -> list[str]:
    return [
        # Called with a constant, never with text of the message.
        "SConboolMark",
        "R$-\t$: $1 $| $>ConboolTrust",
        "Rloop $| OK\t$@ $(conbool_set {conbool_skip} $@ loop $)",
        "Rreleased $| OK\t$: $(conbool_set {conbool_skip} $@ released $) $(conbool_set {conbool_rel} $@ YES $) unspam",
        "Rspam $| OK\t$: <$&{conbool_rel}> spam",
        "R<> spam\t$@ $(conbool_set {conbool_spam} $@ YES $)",
        "Runspam\t$@ $(conbool_set {conbool_spam} $@ $)",
        "R$*\t$@",
        *_header_check("ConboolLoop", ["Rtrue\t$: $>ConboolMark loop"]),
        *_header_check("ConboolReleased", ["Ryes\t$: $>ConboolMark released"]),
        *_header_check("ConboolFlag", ["Ryes\t$: $>ConboolMark spam"]),
        *_header_check("ConboolCalendar", _calendar(rules)),
        # When a delivery converts MIME, the headers of parts and of attached messages are checked, too (mime.c); by then the message's
        # own ones have all been read.
        "Scheck_eoh",
        "R$*\t$: $(conbool_set {conbool_read} $@ YES $)",
        "R$*\t$@ OK",
    ]


def _header_check(name: str, rules: Sequence[str]) -> list[str]:
    """A ruleset for a header of the message itself."""
    return [
        f"S{name}",
        "R$*\t$: <$&{conbool_read}> $1",
        "R<$+> $*\t$@ OK",
        "R<> $*\t$: $1",
        *rules,
        "R$*\t$@ OK",
    ]


def _calendar(rules: Rules) -> list[str]:
    """RFC 6047: an iTIP message has a method. A quoted text is one token, so a file name cannot hold one."""
    mark = "$: $(conbool_set {conbool_skip} $@ calendar $)"
    if not rules.calendar_method:
        return [f"Rtext / calendar $*\t{mark}"]
    return [
        "Rtext / calendar $*\t$: <NO> $1",
        "R<NO> $* ; method $*\t$: <FOUND>",
        "R<NO> $* ; $- $*\t<$(conbool_method $2 $: NO $)> $3",
        f"R<FOUND> $*\t{mark}",
    ]


def _scope(rules: Rules) -> list[str]:
    lines = [
        # The sender as others will see it, and who of them uses the smart host.
        "SConboolScope",
        "R$*\t$: $>EnvFromSMTP $1",
        "R$* < @ $+ . >\t$: $1 < @ $2 >",
    ]
    if rules.scope is None:
        lines.append("R$*\t$@ SMARTHOST")
    else:
        lines += [
            "R$* < @ $={ConboolScope} >\t$@ SMARTHOST",
            "R$+ < @ $+ >\t$: $1 @ $2",
            "R$={ConboolScope}\t$@ SMARTHOST",
            "R$+ + $* @ $+\t$: $1 @ $3",
            "R$={ConboolScope}\t$@ SMARTHOST",
            "R$*\t$@ DIRECT",
        ]
    return [
        *lines,
        # When a recipient is taken: out of scope the host's own routing goes on.
        "SConboolSender",
        "R$* < $* > $*\t$: $2",
        "R$@\t$@ DIRECT\tnull sender",
        "R$n\t$@ SMARTHOST\tdecided at delivery",
        "R$+ @ $+\t$: $1 < @ $2 . >",
        "R$*\t$@ $>ConboolScope $1",
    ]


def _delivery(rules: Rules) -> list[str]:
    empty = "$@ $(conbool_set {conbool_via} $@ $)"
    return [
        "SConboolRoute",
        "R$*\t$: $&{conbool_skip} $| $1",
        f"R$- $| $*\t{empty}\tmarked",
        "R $| $*\t$: $1",
        f"R<@>\t{empty}\tnull sender",
        f"R$n\t{empty}\tour own bounce",
        f"R$n < @ $=w . >\t{empty}",
        "R$*\t$: $>ConboolScope $1",
        f"RDIRECT\t{empty}",
        "R$*\t$@ $(conbool_set {conbool_via} $@ YES $)",
        "SConboolEnvFrom",
        "R$*\t$: $1 $| $>ConboolRoute $1",
        "R$* $| $*\t$@ $>EnvFromSMTP $1",
    ]


def _envelope(rules: Rules) -> list[str]:
    """The questions at connect, MAIL and RCPT: own rules about who sends do not judge Conbool."""
    lines = [
        "SLocal_check_relay",
        "R$*\t$: $>ConboolClient",
        "ROK\t$#OK",
        "SLocal_check_mail",
        "R$*\t$: $>ConboolClient",
        "ROK\t$#OK",
        "SLocal_check_rcpt",
        "R$*\t$: $1 $| $>ConboolClient",
        "R$* $| OK\t$@ $>ConboolArrival $1",
    ]
    if rules.closed:
        lines += [
            "R$* $| $*\t$: $1 $| $&{daemon_port} $| <$&{auth_type}>",
            f"R$* $| {PORT_25} $| <>\t$: $1 $| $>ConboolOwn",
            "R$* $| NO\t$: $1 $| $>ConboolExtra",
            f'R$* $| NO\t$#error $@ 5.7.1 $: "{REFUSAL}"',
        ]
    lines += ["R$* $| $*\t$@ OK", "SConboolArrival"]
    lines.append("R$*\t$: $(conbool_set {conbool_skip} $@ arrived $) $1")
    if rules.closed or rules.peer_name:
        lines += [
            "R$*\t$: <$&{tls_version}> $1",
            'R<> $*\t$#error $@ 4.7.0 $: "450 Mail from Conbool needs TLS"',
            "R<$*> $*\t$: $2",
        ]
    if rules.peer_name:
        lines += [
            f"R$*\t$: $>ConboolName {rules.peer_name} $| $1",
            'RNO $| $*\t$#error $@ 4.7.0 $: "450 The client certificate must carry the name '
            + f'{rules.peer_name}"',
            "ROK $| $*\t$: $1",
        ]
    if rules.hand_back:
        lines += [
            "R$*\t$: $1 $| $>ConboolFrom $&f",
            "R$* $| OK\t$: $>ParseRecipient $1",
            "R$+ < @ $=w >\t$@ OK",
            "R$+ < @ $* $=R >\t$@ OK",
            "R$+ < @ $+ >\t$#OK\tmail handed back",
        ]
    lines.append("R$*\t$@ OK")
    if rules.hand_back:
        lines += [
            "SConboolFrom",
            "R$* < $* > $*\t$: $2",
            "R$+ @ $={ConboolDomain}\t$@ OK",
            "R$*\t$@ NO",
        ]
    return lines


def _smart_host_tls(rules: Rules) -> list[str]:
    name = rules.name
    host = f"[{rules.host}]" if _is_address(rules.host) else rules.host
    return [
        # Input: a name, and what is passed on. {cn_subject} and the class are the peer's.
        "SConboolName",
        "R$+ $| $*\t$: $1 $| $&{verify} $| $2",
        "R$+ $| OK $| $*\t$: $1 $| $2",
        "R$+ $| TRUSTED $| $*\t$: $1 $| $2\tDANE",
        "R$+ $| $* $| $*\t$@ NO $| $3",
        "R$&{cn_subject} $| $*\t$@ OK $| $1",
        *(
            [
                "R$={cert_altnames} $| $*\t$@ OK $| $2",
                "R$-.$+ $| $*\t$: *.$2 $| $3",
                "R$={cert_altnames} $| $*\t$@ OK $| $2",
            ]
            if rules.altnames
            else ["R$-.$+ $| $*\t$: *.$2 $| $3"]
        ),
        "R$&{cn_subject} $| $*\t$@ OK $| $1",
        "R$* $| $*\t$@ NO $| $2",
        # Is this the smart host's server? Sendmail names a server as the name service does, behind a CNAME.
        "SConboolServer",
        f"R$*\t$: {host}",
        "R$&{server_name}\t$@ SAME",
        *(
            []
            if host.startswith("[")
            else [f"R$*\t$: $[ {host} $: {host} $]", "R$+.\t$: $1", "R$&{server_name}\t$@ ALIAS"]
        ),
        "R$*\t$@ NO",
        "LOCAL_TLS_SERVER",
        "R$*\t$: $>ConboolServer",
        "RNO\t$@ OK",
        f"R$*\t$: $>ConboolName {name} $| x",
        f'RNO $| $*\t$#error $@ 4.7.0 $: "403 No verified TLS with the name {name}: verify=" $&{{verify}} ", CN=" $&{{cn_subject}}',
        "R$*\t$@ OK",
        # What is meant for the smart host is given to nobody else, such as a fallback relay. A connection that is used again
        # was checked under its own name; behind a CNAME, which may change, the name is looked at once more.
        "LOCAL_TLS_RCPT",
        "R$*\t$: $&{conbool_via}",
        "RYES\t$: YES $>ConboolServer",
        "RYES SAME\t$@ OK",
        f"RYES ALIAS\t$: YES $>ConboolName {name} $| x",
        "RYES OK $| $*\t$@ OK",
        f'RYES $*\t$#error $@ 4.7.0 $: "450 only {rules.host} may take this mail, with the name {name}: verify=" $&{{verify}} ", CN=" '
        "$&{cn_subject}",
        "R$*\t$@ OK",
    ]


def _client_certificate(rules: Rules) -> list[str]:
    answer = f'"CertFile={rules.client_certificate};KeyFile={rules.client_key}"'
    return [
        "LOCAL_RULESETS",
        "Stls_clt_features",
        "R$*\t$: $>ConboolServer",
        'RNO\t$@ ""',
        f"R$*\t$@ {answer}",
    ]


def _mailer(rules: Rules) -> list[str]:
    port = "25" if rules.port == 25 else f"$?{{conbool_via}}{rules.port}$|25$."
    return [
        "MAILER_DEFINITIONS",
        "Mconbool,\tP=[IPC], F=mDFMuXa, S=ConboolEnvFrom/HdrFromSMTP, "
        "R=ifdef(`_ALL_MASQUERADE_', `EnvToSMTP/HdrFromSMTP', `EnvToSMTP'), E=\\r\\n, L=990,",
        "\t\tT=DNS/RFC822/SMTP,",
        f"\t\tA=TCP $?{{conbool_via}}[{rules.host}]$|$h$. {port}",
    ]
