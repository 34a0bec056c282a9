"""Cleanup services for entrances whose header checks must differ from those of main.cf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.facts import Service
from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names, services
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Block
from conbool_tui.planners.postfix.inherited_checks import resolved
from conbool_tui.planners.postfix.lists import join_list, split_list

_CHECKS = ("header_checks", "mime_header_checks", "nested_header_checks")


def cleanups(
    design: Design,
    behind_filter: bool,
    spam: Sequence[str],
    own: Sequence[str],
    own_mime: Sequence[str],
    own_nested: Sequence[str],
) -> None:
    """Give every entrance whose header checks must differ from main.cf a cleanup service of its own.

    It takes over the options of the cleanup service the entrance had, which other entrances may share.
    """
    made: dict[str, str] = {}
    drop_pickup = design.answers.markers.trust == "conbool"
    flagged_before = behind_filter and any(one.scanned and not one.bare for one in design.sources)
    for source in design.sources:
        drop = source.submission or (drop_pickup and source.service.command == "pickup")
        ours = not source.scanned
        base = design.facts.service(source.cleanup, "unix")
        shadowed = base is not None and any(base.option(name) is not None for name in _CHECKS)
        if not drop and not (ours and (behind_filter or source.bare or shadowed)):
            continue
        host_checks, host_mime, host_nested = _checks_of(base, own, own_mime, own_nested)
        checks = [design.table(names.DROP_MARKERS, patterns=True)] if drop else []
        checks += [design.table(names.MARKERS, patterns=True)] if ours and not drop else []
        mime = [] if source.bare else list(host_mime)
        mime += [design.table(names.CALENDAR, patterns=True)] if ours else []
        if not source.bare:
            checks += [*([] if drop or flagged_before else spam), *host_checks]
        if drop:
            title = f"Markers are removed at {source.service.id}"
            reason = "Markers that mail from here brings along are not to be believed."
        elif behind_filter:
            title = f"Header checks behind the content filter ({source.service.id})"
            reason = "Mail is scanned first; only then may a marker send it past the smart host."
        else:
            title = f"Header checks at {source.service.id}"
            reason = "This entrance does not use the header checks of main.cf."
        name = (
            "conbool"
            + ("-submission" if drop else "")
            + ("-scanned" if source.scanned else "")
            + ("-bare" if source.bare else "")
            + (f"-{source.cleanup}" if source.cleanup != "cleanup" else "")
            + "-cleanup"
        )
        design.set_option(source, "cleanup_service_name", name, title, reason)
        made[name] = _cleanup_text(
            design, name, base, checks, mime, "" if source.bare else join_list(host_nested), source.bare
        )
        if source.bare and (ours or drop):
            overrides = ",".join(source.overrides)
            design.set_option(
                source,
                "receive_override_options",
                overrides,
                f"Header checks are switched on at {source.service.id}",
                "no_header_body_checks would skip ours; the cleanup service has no others.",
            )
    if made:
        design.wanted.blocks["cleanup"] = Block(
            "".join(made.values()),
            Step.C,
            "Cleanup services with their own header checks",
            "Entrances differ in whom they believe and in what was scanned already.",
        )


def _cleanup_text(
    design: Design,
    name: str,
    base: Optional[Service],
    checks: Sequence[str],
    mime: Sequence[str],
    nested: str,
    bare: bool,
) -> str:
    options = [
        ("syslog_name", names.SYSLOG_PREFIX + "checks"),
        ("header_checks", join_list(checks)),
        ("mime_header_checks", join_list(mime)),
        ("nested_header_checks", nested),
    ]
    if bare:
        options.append(("body_checks", ""))
    chroot = design.columns.cleanup
    if base is not None:
        chroot = "y" if base.chroot else "n"
        ours = {option for option, _ in options}
        options += [(one.name, one.value) for one in base.options if one.name not in ours]
    return services.entry(f"{name} unix n - {chroot} - 0 cleanup", options)


def _checks_of(
    cleanup: Optional[Service], own: Sequence[str], mime: Sequence[str], nested: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """The header, MIME and nested checks of a cleanup service without us; ``own``, ``mime`` and ``nested``
    are those of main.cf.
    """
    if cleanup is None:
        return tuple(own), tuple(mime), tuple(nested)
    text = cleanup.option("header_checks")
    header = tuple(own) if text is None else split_list(text)
    found = [header]
    for name, inherited in (("mime_header_checks", mime), ("nested_header_checks", nested)):
        value = cleanup.option(name)
        if value is not None:
            found.append(resolved(value, join_list(header)))
        elif text is not None and tuple(inherited) == tuple(own):
            # Its default is $header_checks, which in this service means the service's own.
            found.append(header)
        else:
            found.append(tuple(inherited))
    return tuple(found)
