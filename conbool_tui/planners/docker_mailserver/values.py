"""How a value that only adds to docker-mailserver's own is written down, so that it follows what the image or the environment changes later."""

from __future__ import annotations

import re
from typing import Optional

from conbool_tui.docker_mailserver.names import BASE
from conbool_tui.planners.postfix.desired import Desired
from conbool_tui.planners.postfix.lists import join_list, split_list


def relative(name: str, value: str, base: Optional[str]) -> str:
    """``value`` with ``@BASE@`` in the place of all of the container's own value; as it is when that is not in it as one piece."""
    if not base or not name.endswith(("_checks", "_restrictions", "_maps", "_classes")):
        return value
    wanted, own = split_list(value), split_list(base)
    if wanted == own:
        return BASE
    for start in range(len(wanted) - len(own) + 1):
        if wanted[start : start + len(own)] == own:
            return join_list([*wanted[:start], BASE, *wanted[start + len(own) :]])
    return value


def service_options(wanted: Desired) -> tuple[dict[str, str], dict[str, str]]:
    """Options of existing services as ``postconf -P`` takes them, by ``service/type/option``, and the parameters that they refer to.

    It refuses white space in a value: in a list commas take its place, and anything else is named by a parameter.
    """
    options: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for (service, kind, name), setting in wanted.options.items():
        if setting.value is None:
            continue
        value = setting.value
        if re.search(r"\s", value):
            value = ",".join(split_list(value))
        if re.search(r"\s", value):
            parameter = re.sub(r"\W+", "_", f"conbool_{service}_{kind}_{name}")
            parameters[parameter] = setting.value
            value = f"${parameter}"
        options[f"{service}/{kind}/{name}"] = value
    return options, parameters
