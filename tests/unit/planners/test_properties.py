"""What holds for every host and all answers: nothing is lost or done twice, and the way back is exact."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conbool_tui.answers import Answers
from conbool_tui.facts import PostfixFacts
from conbool_tui.plan import ChangeKind, Plan
from conbool_tui.planners.postfix import names, plan_postfix
from conbool_tui.planners.postfix.lists import split_list, split_restrictions
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.postfix_config.layout import stages_of

from .facts_builder import DIRECTORY, applied, edited, services_of, settings_of, tables_of
from .strategies import Site, hosts, some_answers

EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow],
)
KEEP_LISTS = (
    "header_checks",
    "mime_header_checks",
    "nested_header_checks",
    "postscreen_access_list",
    "sender_dependent_default_transport_maps",
    "smtpd_client_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_restriction_classes",
    "smtpd_sender_restrictions",
)


def is_subsequence(wanted: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """Whether all items are there in this order."""
    rest = iter(found)
    return all(item in rest for item in wanted)


def meaning(facts: PostfixFacts) -> tuple[object, ...]:
    """What Postfix would read, our tables included."""
    return settings_of(facts), services_of(facts), tables_of(facts)


@EXAMPLES
@given(hosts(), some_answers())
def test_planning_again_plans_nothing(site: Site, answers: Answers) -> None:
    host = site.facts()
    after = applied(host, plan_postfix(host, answers))
    again = plan_postfix(after, answers)
    assert [(change.title, change.key, change.before, change.after) for change in again.changes] == []
    assert again.empty
    assert not again.reload


@EXAMPLES
@given(hosts(), some_answers(), some_answers())
def test_earlier_answers_leave_no_trace(site: Site, first: Answers, second: Answers) -> None:
    host = site.facts()
    straight = applied(host, plan_postfix(host, second))
    between = applied(host, plan_postfix(host, first))
    later = applied(between, plan_postfix(between, second))
    assert meaning(later) == meaning(straight)
    back = applied(later, plan_postfix(later, first))
    assert meaning(back) == meaning(between)


@EXAMPLES
@given(hosts(), some_answers())
def test_every_item_of_the_admin_stays_in_its_order(site: Site, answers: Answers) -> None:
    host = site.facts()
    after = applied(host, plan_postfix(host, answers))
    for name in KEEP_LISTS:
        if name not in host.explicit:
            continue
        split = split_restrictions if name.endswith("_restrictions") else split_list
        own = split(host.parameters[name])
        if name in ("mime_header_checks", "nested_header_checks") and own == ("$header_checks",):
            own = split_list(host.parameters["header_checks"])
        found = split(after.parameters[name])
        assert found == split(host.parameters[name]) or is_subsequence(own, found), name


@EXAMPLES
@given(hosts(), some_answers())
def test_only_named_settings_and_services_change(site: Site, answers: Answers) -> None:
    host = site.facts()
    plan = plan_postfix(host, answers)
    after = applied(host, plan)
    old, new = settings_of(host), settings_of(after)
    assert {name for name in {*old, *new} if old.get(name) != new.get(name)} <= plan.changed_parameters
    named = {change.key for change in plan.changes if change.kind is ChangeKind.SERVICE_OPTION}
    touched = {key.rpartition("/")[0] for key in named}
    before = {one.id: one for one in host.services}
    for service in after.services:
        if service.id not in before:
            assert service.name.startswith(("conbool-", "127.0.0.1:", "[::1]:")), service.id
            continue
        was = before[service.id]
        assert (was.command, was.chroot) == (service.command, service.chroot)
        names_changed = {
            option.name
            for option in (*was.options, *service.options)
            if was.option(option.name) != service.option(option.name)
        }
        assert {f"{service.id}/{name}" for name in names_changed} <= named
    assert_lines_kept(host, after, touched)


def assert_lines_kept(host: PostfixFacts, after: PostfixFacts, touched: set[str]) -> None:
    """Every physical line of a service without a named option is in the new master.cf, in its place."""
    path = f"{DIRECTORY}/master.cf"
    old, new = host.files[path].data, after.files[path].data
    entries = MasterCf.parse(old).services()
    changed_lines: set[int] = set()
    for index, entry in enumerate(entries):
        if f"{entry.name}/{entry.type}" in touched:
            stop = entries[index + 1].line if index + 1 < len(entries) else len(old.split(b"\n")) + 1
            changed_lines.update(range(entry.line, stop))
    kept = tuple(
        text
        for number, text in enumerate(old.decode().split("\n"), 1)
        if number not in changed_lines and text
    )
    assert is_subsequence(kept, tuple(new.decode().split("\n")))


@EXAMPLES
@given(hosts(), some_answers())
def test_main_cf_keeps_every_other_byte(site: Site, answers: Answers) -> None:
    host = site.facts()
    plan = plan_postfix(host, answers)
    main = MainCf.parse(applied(host, plan).files[f"{DIRECTORY}/main.cf"].data)
    for change in plan.changes:
        if change.kind is ChangeKind.PARAMETER:
            assert main.get(change.key) == change.after
            if change.before is None:
                main.remove(change.key)
            else:
                for stage in stages_of(change.key, main.get(change.key), change.before):
                    main.set(change.key, stage)
    # An empty value that was filled and emptied again keeps the blank behind its "=".
    assert main.to_bytes().replace(b"= \n", b"=\n") == host.files[f"{DIRECTORY}/main.cf"].data


@EXAMPLES
@given(hosts(), some_answers(), some_answers())
def test_changes_tell_everything(site: Site, first: Answers, second: Answers) -> None:
    host = site.facts()
    plan = plan_postfix(host, first)
    assert_told(plan)
    assert_told(plan_postfix(applied(host, plan), second))


def assert_told(plan: Plan) -> None:
    """Every change has its words, unlike those of its step's others, and says something new."""
    for change in plan.changes:
        assert change.title, change
        assert change.reason, change
        assert change.undo, change
        assert change.before != change.after, change
        assert (change.key == "") == (change.kind is ChangeKind.FILE)
    assert len({(change.kind, change.path, change.key) for change in plan.changes}) == len(plan.changes)
    assert len({(change.step, change.title) for change in plan.changes}) == len(plan.changes)
    assert {change.path for change in plan.changes} == {target.path for target in plan.files}
    steps = [change.step.value for change in plan.changes]
    assert steps == sorted(steps, key=["A", "B", "C", "D", "scope"].index)


@EXAMPLES
@given(
    hosts(),
    some_answers(),
    some_answers(),
    st.sampled_from(
        [
            "header_checks",
            "smtpd_client_restrictions",
            "smtpd_recipient_restrictions",
            "smtpd_relay_restrictions",
            "smtpd_data_restrictions",
            "relayhost",
            "transport_maps",
        ]
    ),
)
def test_an_edit_in_between_survives(site: Site, first: Answers, second: Answers, name: str) -> None:
    host = site.facts()
    between = applied(host, plan_postfix(host, first))
    now = between.parameters.get(name, "") if name in between.explicit else ""
    value = "[new.provider.example]:25" if name == "relayhost" else f"{now}, inline:{{new=item}}".lstrip(", ")
    if name.endswith("_restrictions"):
        value = ", ".join(["check_helo_access inline:{new=item}", *([now] if now else [])])
    between = edited(between, {name: value})
    later = applied(between, plan_postfix(between, second))
    if name == "relayhost":
        assert later.parameters[name] == value
    else:
        assert "inline:{new=item}" in split_list(later.parameters[name])
    assert plan_postfix(later, second).empty
    # Back to no list of ours: what stays is the admin's own.
    assert not any(names.is_ours(item) for item in split_list(later.parameters["transport_maps"]))
