"""Steps C and D: header checks for markers, calendaring and the spam flag."""

from __future__ import annotations

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import header_tables, names, services
from conbool_tui.planners.postfix.cleanups import cleanups
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.inherited_checks import explicit_inherited, inherited
from conbool_tui.planners.postfix.lists import join_list, split_list

_MANY_DOMAINS = 5_000


FILING = (
    "Filing into a folder is the mailbox server's work: it sees X-Spam-Flag: YES and the Conbool headers."
)
"""A notice for hosts whose mailbox side this program does not set up."""


def header_checks(design: Design) -> None:
    """Steps C and D: markers, calendaring and the spam flag, at every entrance where they belong."""
    action = services.filter_action(design.loopback, design.gate_port)
    markers = design.answers.markers
    if design.patterns == "regexp" and len(design.domains) >= _MANY_DOMAINS:
        design.notice(
            "note",
            f"{len(design.domains)} domains: every cleanup process needs some 25 MiB and a moment more for its "
            "tables, because this Postfix has no pcre tables. Debian's package postfix-pcre brings them.",
            Step.C,
        )
    design.add_table(
        names.MARKERS,
        [
            *header_tables.marker_rules(design.loop_headers(), markers.released, action),
            *(
                header_tables.origin_rule(header_tables.HANDED_OVER, design.hostname, action)
                if design.proxied
                else []
            ),
        ],
        Step.C,
        "Markers of mail that has been through Conbool",
        "Such mail never goes to the smart host again.",
    )
    design.add_table(
        names.CALENDAR,
        header_tables.calendar_rule(action),
        Step.C,
        "Pattern for calendaring",
        "Invitations and replies (text/calendar with a method) do not use the smart host.",
    )
    design.add_table(
        names.DROP_MARKERS,
        header_tables.drop_conbool_headers([markers.released, *design.loop_headers()]),
        Step.C,
        "Headers removed from authenticated mail",
        "An account must not be able to forge a marker.",
    )
    spam: list[str] = []
    if design.answers.spam.action != "none" and markers.spam:
        spam = [design.table(names.SPAM, patterns=True)]
        design.add_table(
            names.SPAM,
            header_tables.spam_rules(markers.spam),
            Step.C,
            "Mail that Conbool flagged",
            "It gets X-Spam-Flag: YES, which mailbox servers and mail programs file by.",
        )
        if design.answers.spam.action == "folder":
            design.notice(
                "note",
                FILING,
                Step.C,
            )

    own = design.own_list("header_checks")
    own_mime, own_nested = (
        inherited(design, "mime_header_checks", own),
        inherited(design, "nested_header_checks", own),
    )
    behind_filter = any(source.scanned for source in design.sources)
    main_markers = [] if behind_filter else [design.table(names.MARKERS, patterns=True)]
    main_calendar = [] if behind_filter else [design.table(names.CALENDAR, patterns=True)]
    checks = [*main_markers, *spam, *split_list(own or "")]
    mime = [*split_list(own_mime), *main_calendar]
    if checks != list(split_list(own or "")):
        design.set(
            "header_checks",
            join_list(checks),
            Step.C,
            "Our header checks are added",
            "They come first; the existing ones stay.",
        )
        design.remember("header_checks", own)
        design.set(
            "nested_header_checks",
            own_nested,
            Step.C,
            "Attached messages are not searched for markers",
            "Their headers would else go through header_checks.",
        )
        design.remember(
            "nested_header_checks",
            explicit_inherited(design, "nested_header_checks", own),
            default="$header_checks",
        )
        design.set(
            "mime_header_checks",
            join_list(mime),
            Step.C,
            "MIME header checks are added",
            (
                "Existing checks come first, so that an attachment rule cannot be passed "
                "by calling a file a calendar."
            ),
        )
        design.remember(
            "mime_header_checks",
            explicit_inherited(design, "mime_header_checks", own),
            default="$header_checks",
        )
    cleanups(design, behind_filter, spam, split_list(own or ""), split_list(own_mime), split_list(own_nested))
    if (
        any("no_mime_input_processing" in source.overrides for source in design.sources)
        or design.facts.parameters.get("disable_mime_input_processing", "no") == "yes"
    ):
        design.notice(
            "warn",
            (
                "MIME processing is switched off (disable_mime_input_processing): calendar "
                "parts inside a message are not seen."
            ),
            Step.C,
        )
