"""The help texts, one per screen. A paragraph is one entry; a heading has no blank in front."""

from __future__ import annotations

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
    "smart-host": (
        "Smart host",
        "  Mail of your senders goes to this host and no other: no MX lookup is made, TLS is required and "
        "the name "
        "in its certificate is checked. If the check fails, the mail waits in your queue; it is never sent "
        "unprotected. No password is used. A client certificate is offered only if you name one.",
        "Hosted domains",
        "  Choose those that are registered at Conbool. Type others below the certificates; Enter adds them.",
    ),
    "loop": (
        "Loop protection",
        "  Mail that has been through Conbool carries X-Conbool-<your-domain>: true. It must not be sent "
        "there "
        "again: it goes to the mailbox, or straight to the recipient's own mail server. Mail handed over "
        "by "
        "Conbool's addresses never goes back there, whatever its headers say.",
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
    ),
    "done": (
        "Done",
        "  Type the relay host into Conbool's Setup Assistant and press Test Connection there.",
    ),
    "history": (
        "History",
        "  Every change made by this program, newest first. Undo puts back what that change altered and "
        "keeps what "
        "you edited since; where both touched the same place it stops and says so.",
    ),
}


def help_lines(topic: str) -> list[Line]:
    """The help of one screen, followed by the keys."""
    entries = (*TOPICS.get(topic, ()), *KEYS)
    return [Line(entry, "plain" if entry.startswith(" ") else "head") for entry in entries]
