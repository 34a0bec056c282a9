"""The help texts, one per screen. A paragraph is one entry; a heading has no blank in front."""

from __future__ import annotations

from collections.abc import Sequence

from screens.texts.lines import Line

KEYS = (
    "Keys",
    "  Tab, Shift+Tab   next, previous field or button",
    "  Arrow keys       move in lists and between fields",
    "  Enter            act: press the button, go to the next field",
    "  Space            choose, take in or leave out",
    "  Esc              one level back; what you typed is kept",
    "  F4               in a step: larger preview, and back",
    "  F1 or ?          this help",
    "  F10 or q         leave; asks when something would be lost",
    "  Ctrl+L           paint the screen anew",
    "Signs",
    "  > is where you are. (*) and [x] are chosen. ( Label ) cannot be pressed now; press it to read why.",
)

TOPICS: dict[str, tuple[str, ...]] = {
    "welcome": (
        "What happens here",
        "  The program looks at this server and changes nothing. It says which mail system it found, for "
        "which "
        "domains it takes mail, and whether somebody else manages its files.",
        "  Nothing is written before you have seen every line of it in Review and said yes in Apply.",
    ),
    "prerequisites": (
        "Prerequisites",
        "  The Setup Assistant has four DNS checks, and all four must be green before mail can go through "
        "Conbool. Which values it expects of you only the Setup Assistant knows; this screen shows what is "
        "published now. Not green does not stop you here: Review reminds you of it.",
        "  NOT TESTED: the question got no answer. That says nothing about the record.",
        "  DKIM selectors: the name before ._domainkey in the record that the Setup Assistant asked you to publish.",
        "  Again asks once more. A record that was changed shows only when its old TTL is over.",
    ),
    "inbound": (
        "Inbound mail",
        "  Conbool's addresses: the networks Conbool hands mail over from, as the Setup Assistant shows them. Paste "
        "several lines, or load them from a file.",
        "  Close port 25 to others: only Conbool, the extra networks and mynetworks may hand over mail without "
        "logging in. Submission on 587 and 465 stays open. Close it only when the MX records of all your domains "
        "lead to Conbool, and nobody else has a reason to send here: Who is cut off shows who does today.",
        "  Take back after: after such a change you must say that you are still connected, else it is taken back.",
        "  Relay host name: what you will type into the Setup Assistant. Public addresses: only when this server is "
        "behind NAT or a load balancer.",
    ),
    "senders": (
        "Who hands mail to port 25 today",
        "  Read from the mail log: every address that handed over mail without logging in. CUT OFF: it could not "
        "connect any more. Let it in: its address goes to the extra networks of step B.",
        "  Mail servers of others are cut off on purpose: they follow your MX record, and that leads to Conbool. "
        "Scanners, branch offices, web servers and monitoring do not.",
    ),
    "confirm": (
        "Keep this change?",
        "  Port 25 or the firewall was changed. So that nobody locks himself out, the change is taken back when the "
        "time is over, unless somebody keeps it. That happens by itself, also when the connection is lost or this "
        "program is killed.",
        "  Test now runs the checks. Keep it ends the countdown. From another terminal: conbool-tui confirm.",
    ),
    "smart-host": (
        "Smart host",
        "  Mail of your senders goes to this host and no other: no MX lookup is made, TLS is required and "
        "the name "
        "in its certificate is checked. If the check fails, the mail waits in your queue; it is never sent "
        "unprotected. No password is used. A client certificate is offered only if you name one.",
        "Hosted domains",
        "  Choose those that are registered at Conbool. Type others to add them.",
    ),
    "loop": (
        "Loop protection",
        "  Mail that has been through Conbool carries X-Conbool-<your-domain>: true. It must not be sent "
        "there "
        "again: it goes to the mailbox, or straight to the recipient's own mail server. Mail handed over "
        "by "
        "Conbool's addresses never goes back there, whatever its headers say.",
        "  The mail server does that, also under Open-Xchange. A Sieve rule (mailfilter) cannot: it runs when "
        "mail is filed, and has no say in which way mail leaves.",
        "Who is believed",
        "  Anybody can write a header. local: Conbool's addresses, this server's own networks and "
        "programs on it "
        "are believed, but no stranger and no logged-in user. conbool: Conbool's addresses only.",
        "Calendar and bounces",
        "  Invitations (text/calendar with a method) and mail with an empty sender (bounces) never use "
        "the smart "
        "host. Conbool tells its customers apart by the sender, and a bounce has none.",
        "Flagged mail",
        "  Conbool marks spam with X-Conbool-Flag: YES. It can go to a folder, get X-Spam-Flag: YES, or "
        "be left "
        "alone.",
    ),
    "release": (
        "Release",
        "  Mail that somebody released from Conbool's quarantine carries X-Conbool-Released: yes. It goes "
        "direct, "
        "like the mail of the loop step, and is not scored as spam again. Without this it would be caught "
        "again.",
    ),
    "scope": (
        "Who uses Conbool",
        "  domains: senders of your hosted domains. Forwarded mail with a foreign sender keeps its old "
        "way. "
        "Recommended.",
        "  everything: all outgoing mail, forwarded mail too. Conbool may refuse senders it does not know.",
        "  senders: only the addresses and @domains listed; good for a trial with a few people.",
    ),
    "review": (
        "Review",
        "  Summary says in words what will happen. Files shows every changed line, - out and + in.",
        "  Save answers writes them to a file that only root can read; conbool-tui apply --answers FILE "
        "does the "
        "same set-up again without this wizard.",
    ),
    "apply": (
        "Apply",
        "  In this order: lock, check that no file changed meanwhile, backup, test of a copy with the "
        "mail system's "
        "own tools, write, reload, health check. If anything fails, the old files are put back at once.",
        "  A change being written is never cut off: not by Esc, and not by a lost connection.",
    ),
    "test": (
        "Test",
        "  Connects to the smart host as your mail server will, and to this server's own port 25, and "
        "compares the "
        "files with what was applied. NOT TESTED means it could not be tried from here, not that it "
        "failed.",
        "  Transcript shows what was said and heard; Save writes it to a file.",
    ),
    "done": (
        "Done",
        "  Type the relay host into Conbool's Setup Assistant and press Test Connection there.",
    ),
    "history": (
        "History",
        "  Every change made by this program, newest first. Undo puts back what that change altered and "
        "keeps what "
        "you edited since; where both touched the same place you are asked.",
        "  An undo is a change, too: taking it back puts the change in force again.",
        "  Journal shows every step of the marked change. Remove old ones shows first which records are not needed "
        "any more, and asks.",
    ),
    "conflicts": (
        "Edited since",
        "  These places were set by the change and edited after it, by you or another program. Three versions are shown: "
        "before the change, as the change set it, and now.",
        "  Keep mine (k): the value of now stays. Put back (p): the value from before the change comes back, and the "
        "value of now is lost.",
        "  Nothing is written before you choose Undo and say yes. What is edited while you choose is asked about again.",
    ),
    "drift": (
        "Edited since it was applied",
        "  Each place that is not as this program set it, with the value that was applied and the value of now.",
        "  Accept: the value of now is yours from now on; checks are content with it, and an undo leaves it alone. No "
        "file is changed.",
        "  Apply again: goes to Review with the recorded answers; everything is set as it was applied.",
    ),
}


LINE_MODE = (
    "How to answer",
    "  Each question is asked once, in lines that stay. Type a number or a word, then Enter.",
    "  Enter alone    keeps what is there, or takes the choice marked (Enter)",
    "  ?              help on this question",
    "  <  or b        one question or one level back; what you typed is kept",
    "  q              leave; asks when something would be lost",
    "  -              makes a field empty",
    "  + or - and items, in a list: add these, take these out; a list alone replaces what is there",
    "  \\ in front     what follows is text: \\q is the letter q",
    "  Ctrl-C         stops a look-up or a test; elsewhere it ends the program",
    "If something is wrong with the program itself",
    "  conbool-tui support-bundle collects what helpers need, without names, addresses and secrets.",
)


def help_lines(topic: str, keys: Sequence[str] = KEYS) -> list[Line]:
    """The help of one screen, followed by how it is used."""
    entries = (*TOPICS.get(topic, ()), *keys)
    return [Line(entry, "plain" if entry.startswith(" ") else "head") for entry in entries]
