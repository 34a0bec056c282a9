"""Step A: the transport that leads to the smart host, over verified TLS only."""

from __future__ import annotations

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import header_tables, names, services
from conbool_tui.planners.postfix.design import STRICT_LEVELS, Design
from conbool_tui.planners.postfix.desired import Block
from conbool_tui.planners.postfix.lists import join_list, split_list


def smart_host(design: Design) -> None:
    """Step A: the transport that leads to the smart host, and an old hand-made relayhost to it taken
    out.
    """
    smart_host = design.answers.smart_host
    parameters = design.facts.parameters
    # A CA directory alone is read inside the chroot jail, where it may be stale; a file is read
    # before chroot(2).
    has_ca_file = bool(parameters.get("smtp_tls_CAfile", "").strip())
    has_ca = has_ca_file or bool(parameters.get("smtp_tls_CApath", "").strip())
    ca_file = smart_host.ca_file or (None if has_ca_file else design.facts.system_ca_file)
    own_checks = design.facts.parameters.get("smtp_header_checks", "").strip()
    checks = join_list([design.table(names.DROP_ORIGIN, patterns=True), *split_list(own_checks)])
    # Both speak for other servers: the first is read where no policy table is, the second is a name.
    cleared = [
        name
        for name in ("smtp_tls_per_site", "smtp_tls_servername")
        if design.facts.parameters.get(name, "").strip()
    ]
    design.add_table(
        names.DROP_ORIGIN,
        header_tables.drop_headers([names.ORIGIN_HEADER]),
        Step.A,
        "X-Conbool-Origin is removed from mail to the smart host",
        "This server's note about the client must not come back with the mail.",
    )
    design.wanted.blocks["smart-host"] = Block(
        services.smart_host_service(
            design.columns, smart_host, ca_file, checks, _gateway_policies(design), cleared
        ),
        Step.A,
        f"Delivery service for {smart_host.host}",
        (
            f"Mail goes to {smart_host.next_hop} without MX lookup, only over TLS with a "
            f"certificate for {smart_host.expected_name}; else it waits in the queue."
        ),
    )
    if not ca_file and not has_ca:
        design.notice(
            "warn",
            (
                "No CA bundle was found on this system: the smart host's certificate "
                "cannot be verified and mail would stay queued. Give smart_host.ca_file."
            ),
            Step.A,
        )
    relayhost = design.own_scalar("relayhost")
    if relayhost and design.is_smart_host(relayhost):
        design.set(
            "relayhost",
            "",
            Step.A,
            "The old relayhost to the smart host is taken out",
            (
                f"relayhost = {relayhost} would send bounces, forwarded mail and other "
                "exempted mail there too; the new service replaces it."
            ),
        )
        design.remember("relayhost", relayhost)
        level = design.facts.expanded.get("smtp_tls_security_level", "").strip().lower()
        if level in STRICT_LEVELS:
            design.notice(
                "warn",
                f"smtp_tls_security_level = {level} now holds for all hosts that mail outside the scope "
                "goes "
                "to directly; mail to those without TLS waits in the queue. The usual level is may.",
                Step.A,
            )
    elif relayhost:
        mode = design.answers.scope.mode
        text = (
            f"relayhost = {relayhost} stays and keeps carrying what does not go to Conbool; "
            f"its SASL settings are not used towards {smart_host.host}."
        )
        if mode == "everything":
            text = (
                f"relayhost = {relayhost} is kept for bounces; all other outbound mail now "
                f"goes to {smart_host.host}."
            )
        design.notice("note", text, Step.A)


def _gateway_policies(design: Design) -> str:
    """TLS policies (postconf(5), smtp_tls_policy_maps) for next hops that are not the smart host.

    An entry ``:[gateway]`` of transport_maps names a next hop but no transport (transport(5)): mail in
    scope then goes there through the smart host's service, which must not ask the gateway for the smart
    host's certificate.
    """
    if not design.facts.expanded.get("transport_maps", "").strip():
        return ""
    smart_host = design.answers.smart_host
    level = design.direct_security()
    if level is None:
        level = design.facts.expanded.get("smtp_tls_security_level", "").strip().lower()
    if level == "secure":
        match = split_list(design.facts.expanded.get("smtp_tls_secure_cert_match", ""))
        level += " match=" + ":".join(match or ("nexthop", "dot-nexthop"))
    design.add_table(
        names.SMART_HOST_TLS,
        header_tables.next_hop_rule(smart_host.host, f"secure match={smart_host.expected_name}"),
        Step.A,
        f"TLS to {smart_host.host} is always verified",
        "This comes before every policy of the host.",
    )
    design.add_table(
        names.GATEWAY_TLS,
        [f"/./\t{level}"],
        Step.A,
        "TLS to gateways named in transport_maps",
        "An entry without a transport name keeps the host's own TLS level.",
    )
    if design.facts.expanded.get("smtp_sasl_auth_enable", "").strip() == "yes":
        design.notice(
            "note",
            "Entries of transport_maps without a transport name (:[gateway]) are delivered without SASL "
            "when the sender is in scope; write smtp:[gateway] where the gateway asks for a login.",
            Step.A,
        )
    own = split_list(design.facts.parameters.get("smtp_tls_policy_maps", ""))
    return join_list(
        [
            design.table(names.SMART_HOST_TLS, kind="regexp"),
            *own,
            design.table(names.GATEWAY_TLS, kind="regexp"),
        ]
    )
