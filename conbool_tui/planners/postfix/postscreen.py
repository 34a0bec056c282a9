"""Step B on hosts where postscreen(8) answers at port 25: it must not put Conbool off."""

from __future__ import annotations

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.restrictions import places, put


def postscreen(design: Design) -> None:
    """Conbool's addresses come first in postscreen_access_list (postconf(5)): no greeting test, block list or
    greylisting for them. smtpd behind it decides the rest.
    """
    found = [one for one in design.facts.services if one.command == "postscreen"]
    if not found or not design.facts.postscreen:
        return
    table = design.table(names.POSTSCREEN_CLIENTS, kind="cidr")
    design.add_table(
        names.POSTSCREEN_CLIENTS,
        [f"{network}\tpermit" for network in design.answers.conbool_networks],
        Step.B,
        "Clients that postscreen does not test",
        "Conbool's addresses.",
    )
    for place in places(design, "postscreen_access_list", found):
        put(
            design,
            place,
            [table, *place.own],
            Step.B,
            "postscreen lets Conbool through at once",
            "Its tests would delay Conbool's mail or refuse it by a block list.",
        )
