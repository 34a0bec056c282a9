"""The host as it is without us: which ACLs were there, which router takes remote mail, where local mail is kept."""

from __future__ import annotations

import enum
import posixpath
from collections.abc import Sequence
from typing import Optional

from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts_exim import EximDriver, EximFacts
from conbool_tui.planners.exim import names


class Seat(enum.Enum):
    """How our ACL comes before the one that is there.

    MACRO: Debian takes the name from a macro. LABEL: our statements go to the head of the admin's ACL. FREE: there is none.
    """

    MACRO = "macro"
    LABEL = "label"
    FREE = "free"


def seat(facts: EximFacts, option: str) -> Optional[Seat]:
    """How our part of an ACL option is put in, None when its value is not the name of an ACL whose text was found."""
    value = facts.options.get(option, "")
    if option in facts.macro_acls:
        return Seat.MACRO
    if value in ("", names.ACLS.get(option)):
        return Seat.FREE
    return Seat.LABEL if value in facts.labels else None


def own_value(facts: EximFacts, option: str, ours: Sequence[str]) -> str:
    """A main option's value as the admin has it: empty when it is one that we set."""
    value = facts.options.get(option, "")
    return "" if value in ours else value


def own_routers(facts: EximFacts) -> tuple[EximDriver, ...]:
    """The routers that are not ours."""
    return tuple(one for one in facts.routers if not names.is_ours(one))


def remote_router(facts: EximFacts) -> Optional[EximDriver]:
    """The first router that takes mail for any remote domain; None when there is none.

    A route that the admin made for some senders, or under a condition, is not meant: such mail keeps its way.
    """
    for router in own_routers(facts):
        kind = router.get("driver")
        if router.is_set("verify_only") or router.is_set("unseen"):
            continue
        if kind != "dnslookup" and (router.get("senders") or router.get("condition")):
            continue
        fails = kind == "redirect" and ":fail:" in router.get("data")
        if kind not in ("dnslookup", "manualroute", "queryprogram") and not fails:
            continue
        if _any_domain(router.get("domains"), needed=fails):
            return router
    return None


def _any_domain(domains: str, *, needed: bool) -> bool:
    """Whether a router's domains are every domain but some. ``needed``: an empty list is not meant like that."""
    items = split_list(domains)
    if not items:
        return not needed
    return "$" not in domains and (items == ("*",) or all(item.startswith("!") for item in items))


def sender_routes(facts: EximFacts) -> tuple[str, ...]:
    """Routers before that one which send mail of some senders, or under a condition, another way."""
    general = remote_router(facts)
    found = []
    for router in own_routers(facts):
        if general is not None and router.name == general.name:
            break
        by_hand = router.get("driver") in ("manualroute", "queryprogram")
        if by_hand and (router.get("senders") or router.get("condition")):
            found.append(router.name)
    return tuple(found)


class Route(enum.Enum):
    """Where mail for remote domains goes without us: to its MX, to a smart host of old, or nowhere."""

    MX = "mx"
    OTHER = "other"
    NOWHERE = "nowhere"


def route(facts: EximFacts) -> Route:
    """How the host delivers remote mail by itself."""
    router = remote_router(facts)
    if router is None or router.get("driver") == "redirect":
        return Route.NOWHERE
    return Route.MX if router.get("driver") == "dnslookup" else Route.OTHER


def old_smart_hosts(facts: EximFacts) -> tuple[str, ...]:
    """The hosts in the route list of a manual route for everything, without ports."""
    router = remote_router(facts)
    if router is None or route(facts) is not Route.OTHER:
        return ()
    found = []
    for rule in router.get("route_list").split(";"):
        words = rule.split()
        if len(words) > 1:
            found += [part.strip("[]").lower() for part in words[1].strip('"').replace("::", " ").split(":")]
    return tuple(part.split(" ")[0] for part in found if part)


def local_lists(facts: EximFacts) -> tuple[str, ...]:
    """The named lists of what is delivered here or relayed inwards, each as ``+name``."""
    known = ("local_domains", "virtual_domains", "hosted_domains", "relay_to_domains", "relay_domains")
    return tuple(f"+{name}" for name in known if name in facts.lists)


def own_host_list(facts: EximFacts) -> str:
    """The named list of hosts that may relay, as ``+name``; empty when none is known."""
    return next((f"+{name}" for name in ("relay_from_hosts", "relay_hosts") if name in facts.lists), "")


def maildir_router(facts: EximFacts) -> Optional[tuple[EximDriver, str]]:
    """The router that files mail of local users into a maildir in their home, with that maildir; None when there is none."""
    for router in own_routers(facts):
        transport = facts.transport(router.get("transport"))
        if router.get("driver") != "accept" or not router.is_set("check_local_user") or transport is None:
            continue
        if router.get("local_part_prefix") or router.get("condition"):
            continue
        folder = transport.get("directory")
        if (
            transport.get("driver") == "appendfile"
            and transport.is_set("maildir_format")
            and "$home" in folder
        ):
            return router, folder.rstrip("/")
    return None


def label_file(facts: EximFacts, option: str) -> str:
    """The file with the text of the ACL that an option names."""
    return facts.labels[facts.options[option]]


def data_path(facts: EximFacts, name: str) -> str:
    """One of our data files."""
    return posixpath.join(facts.config_directory, names.FOLDER, name)
