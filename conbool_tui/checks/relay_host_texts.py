"""Words for every way this server's own port 25 can fail when it is tried as Conbool will try it."""

from __future__ import annotations

from conbool_tui.checks.failures import Texts

TEXTS: Texts = {
    ("connect", "refused"): (
        "{who} refuses the connection: nothing answers at that address.",
        "Look at inet_interfaces and at the smtp line of master.cf, and reload the mail system.",
    ),
    ("connect", "timeout"): (
        "{who} does not answer: {why}.",
        "A rule of this server's own firewall drops the packets: let Conbool's addresses through to port 25.",
    ),
    ("connect", "filtered"): (
        "{who} is filtered: {why}.",
        "A rule of this server's own firewall rejects the connection: compare it with Conbool's addresses.",
    ),
    ("connect", "unreachable"): (
        "{who} cannot be reached from this server: {why}.",
        "Look at this server's addresses (ip address) and routes (ip route).",
    ),
    ("connect", "closed"): (
        "{who} ends the connection while it is made: {why}.",
        "Look for a proxy or packet filter in front of the mail system.",
    ),
    ("banner", "timeout"): (
        "{who} takes the connection and sends no greeting: {why}.",
        "All its processes may be busy (maxproc in master.cf), or a lookup in the client restrictions hangs: see the log.",
    ),
    ("banner", "closed"): (
        "{who} closes the connection without a greeting.",
        "A service that dies while it starts does this: look at the mail system's log for fatal lines.",
    ),
    ("banner", "reset"): (
        "{who} resets the connection instead of greeting.",
        "Look for an intrusion prevention system or fail2ban rule that names this server's own address.",
    ),
    ("banner", "garbage"): (
        "{who} greets with something that is not SMTP.",
        "Another program has port 25: find it with ss -ltnp and stop it. TLS from the start (smtpd_tls_wrappermode) "
        "belongs to port 465.",
    ),
    ("banner", "later"): (
        "{who} greets with a refusal for the moment: {reply}",
        "The log says why: too many connections, a full disk, a missing table.",
    ),
    ("banner", "never"): (
        "{who} greets with a refusal for good: {reply}",
        "It refuses this client before anything was said: look at the client restrictions and at postscreen.",
    ),
    ("ehlo", "timeout"): (
        "{who} greets and falls silent after EHLO: {why}.",
        "A lookup in the HELO restrictions, or a milter, hangs: see the log.",
    ),
    ("ehlo", "closed"): (
        "{who} closes the connection after EHLO.",
        "The SMTP service dies at this point: look for warning and fatal lines in the log.",
    ),
    ("ehlo", "reset"): (
        "{who}: the connection is reset after EHLO.",
        "A packet filter on this server looks into SMTP: take that rule out.",
    ),
    ("ehlo", "garbage"): (
        "{who} answers EHLO with something that is not SMTP.",
        "What listens there is no mail server: ss -ltnp names it.",
    ),
    ("ehlo", "later"): (
        "{who} puts EHLO off: {reply}",
        "A milter or a table is not available: see the log and try again.",
    ),
    ("ehlo", "never"): (
        "{who} refuses EHLO: {reply}",
        "Look at smtpd_helo_restrictions; without EHLO there is no TLS.",
    ),
    ("starttls", "missing"): (
        "Port 25 does not offer STARTTLS.",
        "Give the mail system a certificate (smtpd_tls_cert_file, smtpd_tls_security_level = may): Conbool's mail should "
        "come encrypted.",
    ),
    ("starttls", "timeout"): (
        "{who} falls silent after STARTTLS: {why}.",
        "The TLS session service may hang (tlsmgr(8), a lack of random numbers): see the log.",
    ),
    ("starttls", "closed"): (
        "{who} closes the connection after STARTTLS.",
        "Its certificate or key may be unreadable for the SMTP service: compare smtpd_tls_cert_file with the log.",
    ),
    ("starttls", "garbage"): (
        "{who} answers STARTTLS with something that is not SMTP.",
        "A proxy in front of the mail system changes the conversation: take it out of the way.",
    ),
    ("starttls", "later"): (
        "{who} offers STARTTLS and puts it off: {reply}",
        "TLS is not available due to a local problem: the log names the file that cannot be loaded.",
    ),
    ("starttls", "never"): (
        "{who} offers STARTTLS and refuses it: {reply}",
        "Look at smtpd_discard_ehlo_keywords and at proxies in front: the offer and the answer do not belong together.",
    ),
    ("handshake", "tls"): (
        "The TLS handshake with {who} fails: {why}.",
        "Look at the certificate, its key and smtpd_tls_protocols; the log has the TLS library's own words.",
    ),
    ("handshake", "timeout"): (
        "The TLS handshake with {who} does not come to an end: {why}.",
        "Something between the client and the SMTP service holds TLS back: look for a proxy or packet filter.",
    ),
    ("handshake", "closed"): (
        "{who} ends the connection in the middle of the TLS handshake.",
        "The SMTP service may have died: look for panic and fatal lines in the log.",
    ),
    ("inside", "timeout"): (
        "{who} says nothing any more after the TLS handshake: {why}.",
        "See the log for the process that hangs after TLS, and restart the mail system.",
    ),
    ("inside", "closed"): (
        "{who} ends the connection after the TLS handshake: {why}.",
        "It may demand a client certificate (smtpd_tls_req_ccert = yes): use smtpd_tls_ask_ccert instead.",
    ),
    ("inside", "garbage"): (
        "{who} does not speak SMTP inside TLS.",
        "A TLS proxy in front of port 25 leads to another service: correct its target.",
    ),
    ("inside", "later"): (
        "{who} puts EHLO inside TLS off: {reply}",
        "A milter or table fails once TLS is on: see the log.",
    ),
    ("inside", "never"): (
        "{who} refuses EHLO inside TLS: {reply}",
        "Look at the restrictions that only hold with TLS (check_ccert_access, smtpd_tls_ask_ccert).",
    ),
    ("mail", "timeout"): (
        "{who} falls silent after MAIL: {why}.",
        "A lookup in the sender restrictions hangs (a policy service, a DNS list): see the log.",
    ),
    ("mail", "closed"): (
        "{who} ends the connection after MAIL: {why}.",
        "The SMTP service or a milter fails at the sender: see the log.",
    ),
    ("mail", "garbage"): (
        "{who} answers MAIL with something that is not SMTP.",
        "A filter in front of the mail system (smtpd_proxy_filter) is broken: restart it.",
    ),
    ("mail", "later"): (
        "The sender of the test is put off: {reply}",
        "No mail comes in while this lasts; a full queue disk (452) or a failing lookup: see the log.",
    ),
    ("mail", "never"): (
        "The sender of the test is refused: {reply}",
        "The null sender must be accepted (RFC 5321, section 6.1), or bounces are lost: look at the sender restrictions.",
    ),
    ("rcpt", "timeout"): (
        "{who} falls silent after RCPT: {why}.",
        "A lookup in the recipient restrictions hangs (greylisting, LDAP, SQL): see the log.",
    ),
    ("rcpt", "closed"): (
        "{who} ends the connection after RCPT: {why}.",
        "The SMTP service or a policy service fails at the recipient: see the log.",
    ),
    ("rcpt", "garbage"): (
        "{who} answers RCPT with something that is not SMTP.",
        "A filter in front of the mail system damages the conversation at the recipient: look at its own log.",
    ),
    ("rcpt", "later"): (
        "Mail for hosted recipients is put off for now: {reply}",
        "Greylisting or a lookup that failed; if it stays so, the log has the reason.",
    ),
    ("rcpt", "never"): (
        "Mail for hosted recipients is refused: {reply}",
        "The domain must be hosted here, with a postmaster (RFC 5321), or Conbool cannot deliver.",
    ),
}
