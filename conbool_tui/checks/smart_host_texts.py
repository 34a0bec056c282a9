"""Words for every way the smart host can fail, seen from this server."""

from __future__ import annotations

from conbool_tui.checks.failures import Texts

WAITS = "Until then outbound mail waits in the queue."

TEXTS: Texts = {
    ("connect", "refused"): (
        "{who} refuses the connection: nothing listens there, or a firewall answers for it.",
        "Compare smart_host.host and smart_host.port with the Setup Assistant.",
    ),
    ("connect", "timeout"): (
        "{who} does not answer: {why}. A firewall drops the packets, here or on the way.",
        "Let outgoing connections to that port through; many hosting providers block port 25 until asked.",
    ),
    ("connect", "filtered"): (
        "{who} is filtered: {why}.",
        "Look for a reject rule in this server's and the network's firewall, and for the right route.",
    ),
    ("connect", "unreachable"): (
        "{who} cannot be reached from this network: {why}.",
        "Look at this server's addresses and default routes; an IPv6 address needs IPv6 here (inet_protocols).",
    ),
    ("connect", "closed"): (
        "{who} ends the connection while it is made: {why}.",
        "Look for a device on the way that filters SMTP.",
    ),
    ("banner", "timeout"): (
        "{who} takes the connection and sends no greeting: {why}.",
        "The server is overloaded, or a firewall lets the connection through and holds the data back: try again later.",
    ),
    ("banner", "closed"): (
        "{who} closes the connection without a greeting.",
        "It may not accept this server's address: ask Conbool whether the address is registered.",
    ),
    ("banner", "reset"): (
        "{who} resets the connection instead of greeting.",
        "A firewall or intrusion prevention system on the way often does this: ask who runs the network.",
    ),
    ("banner", "garbage"): (
        "{who} greets with something that is not SMTP.",
        "Another service answers there (a web server, SMTPS on port 465): correct smart_host.host or smart_host.port.",
    ),
    ("banner", "later"): (
        "{who} greets with a refusal for the moment: {reply}",
        "Wait and try again (4xx); too many connections are the usual reason.",
    ),
    ("banner", "never"): (
        "{who} greets with a refusal for good: {reply}",
        "Ask Conbool whether this server's address is registered, or blocked (5xx).",
    ),
    ("ehlo", "timeout"): (
        "{who} greets and falls silent after EHLO: {why}.",
        "A device that inspects SMTP may hold EHLO back (Cisco: fixup smtp, inspect esmtp): switch that off.",
    ),
    ("ehlo", "closed"): (
        "{who} closes the connection after EHLO.",
        "It may dislike the name this server greets with: look at myhostname and smtp_helo_name.",
    ),
    ("ehlo", "reset"): (
        "{who}: the connection is reset after EHLO.",
        "A device on the way cuts the connection when it sees EHLO: look at its rules for SMTP.",
    ),
    ("ehlo", "garbage"): (
        "{who} answers EHLO with something that is not SMTP.",
        "Something that only looks like a mail server answers there: correct smart_host.host or smart_host.port.",
    ),
    ("ehlo", "later"): (
        "{who} puts EHLO off: {reply}",
        "Try again in some minutes; when it stays so, ask Conbool with the transcript at hand.",
    ),
    ("ehlo", "never"): (
        "{who} refuses EHLO: {reply}",
        "Without EHLO there is no TLS. Give this server a full host name (myhostname), or ask Conbool what it "
        "expects.",
    ),
    ("starttls", "missing"): (
        "{who} does not offer STARTTLS.",
        "Mail is never sent to it unencrypted. Check host and port; a firewall that inspects SMTP takes the word "
        "STARTTLS out of the answer.",
    ),
    ("starttls", "timeout"): (
        "{who} falls silent after STARTTLS: {why}.",
        "Look for a device on the way that lets SMTP pass and stops TLS.",
    ),
    ("starttls", "closed"): (
        "{who} closes the connection after STARTTLS.",
        "Its TLS service may have failed: ask Conbool whether its side is in order.",
    ),
    ("starttls", "garbage"): (
        "{who} answers STARTTLS with something that is not SMTP.",
        "Ask who runs the devices between here and there; one of them changes the conversation.",
    ),
    ("starttls", "later"): (
        "{who} offers STARTTLS and puts it off: {reply}",
        "TLS is not available there at the moment: try again later.",
    ),
    ("starttls", "never"): (
        "{who} offers STARTTLS and refuses it: {reply}",
        "Send the transcript to Conbool: this is for its operators to repair.",
    ),
    ("handshake", "tls"): (
        "The TLS handshake with {who} failed: {why}.",
        "Both sides must share a TLS version and a cipher: check this system's crypto policy, and whether a client "
        "certificate is refused.",
    ),
    ("handshake", "timeout"): (
        "The TLS handshake with {who} does not come to an end: {why}.",
        "Large packets may get lost on the way (path MTU, VPN), or a firewall inspects TLS.",
    ),
    ("handshake", "closed"): (
        "{who} ends the connection in the middle of the TLS handshake.",
        "Some servers do so without a word when they dislike the protocol version or the client certificate: look at "
        "smart_host.client_certificate.",
    ),
    ("inside", "timeout"): (
        "{who} says nothing any more after the TLS handshake: {why}.",
        "Try again; when it stays so, send the transcript to Conbool.",
    ),
    ("inside", "closed"): (
        "{who} ends the connection after the TLS handshake: {why}.",
        "It may refuse our client certificate, or demand one: check smart_host.client_certificate.",
    ),
    ("inside", "garbage"): (
        "{who} does not speak SMTP inside TLS.",
        "Another service may answer behind the TLS of a load balancer: ask Conbool.",
    ),
    ("inside", "later"): (
        "{who} puts EHLO inside TLS off: {reply}",
        "Try again later; the server can do TLS and has no room for us now.",
    ),
    ("inside", "never"): (
        "{who} refuses EHLO inside TLS: {reply}",
        "Ask Conbool which client certificate and host name it expects of this server.",
    ),
}

RESOLVE = {
    "missing": "Check the spelling of smart_host.host.",
    "timeout": "Look at this server's name servers (/etc/resolv.conf) and the way to them (port 53).",
    "broken": "Name service fails for this name: ask the name servers by hand, and try again later.",
}

# OpenSSL's verification results (X509_STORE_CTX_get_error(3)).
_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER = 10, 9, 18, 19, (2, 20, 21)


def chain_words(code: int, reason: str, last_issuer: str, sent: int, told: str) -> tuple[str, str]:
    """Summary and remedy for a chain that the TLS library does not accept.

    Args:
        code: its verification result.
        reason: its words for it.
        last_issuer: the issuer of the last certificate sent.
        sent: how many certificates were sent; 0 when that is not known.
        told: the server's own certificate for people, in brackets; may be empty.
    """
    begin = "The certificate is not accepted"
    if code == _EXPIRED:
        return (
            f"{begin}: {reason}. {told}",
            "The smart host's operator has to renew it; check this server's clock too.",
        )
    if code == _NOT_YET:
        return (
            f"{begin}: {reason}. {told}",
            "Set this server's clock right (timedatectl); if it is right, ask the operator.",
        )
    if code in (_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN) and sent <= 1:
        return (
            f"{begin}: it is signed by itself ({reason}). {told}",
            "If this is your own Conbool installation, give this certificate in smart_host.ca_file; else something "
            "intercepts the connection.",
        )
    if code in _NO_ISSUER and sent == 1:
        return (
            f"{begin}: {last_issuer} signed it, is not trusted here, and no intermediate certificate was sent "
            f"({reason}). {told}",
            "Either the server leaves its intermediate certificate out (its operator has to add it), or the CA is "
            "not known here: then give it in smart_host.ca_file.",
        )
    if code in _NO_ISSUER or code == _SELF_SIGNED_IN_CHAIN:
        return (
            f"{begin}: the chain ends at {last_issuer or 'a CA'}, which is not trusted here ({reason}). {told}",
            "Update this system's CA certificates, or give the CA in smart_host.ca_file.",
        )
    return f"{begin}: {reason}. {told}", "Ask the smart host's operator, with the transcript at hand."
