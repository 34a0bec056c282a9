"""What all parts of the design share: the host as it is without us, and what has been decided so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.facts import PostfixFacts, Service
from conbool_tui.plan import Notice, Step
from conbool_tui.planners.postfix import names, services
from conbool_tui.planners.postfix.allowed import expand, faces_outside
from conbool_tui.planners.postfix.desired import Desired, Setting, Table
from conbool_tui.planners.postfix.lists import split_list
from conbool_tui.planners.postfix.ports import lane_ports
from conbool_tui.planners.postfix.previous import Record, Recorded, base_list, base_scalar
from conbool_tui.planners.postfix.sources import Source, find_sources, option_base

STRICT_LEVELS = frozenset({"encrypt", "dane-only", "fingerprint", "verify", "secure"})
_HEADING = "# Written by conbool-tui; run conbool-tui to change it.\n"


class Design:
    """One instance with the answers for it; every part of the design adds to ``wanted``."""

    def __init__(self, facts: PostfixFacts, answers: Answers, record: Record) -> None:
        self.facts = facts
        self.answers = answers
        self.record = record
        self.wanted = Desired()
        self.domains = tuple(dict.fromkeys(domain.lower() for domain in answers.domains))
        self.sources = find_sources(facts, record)
        self.hostname = facts.expanded.get("myhostname", "") or "localhost"
        ipv6_only = "ipv6" in split_list(
            facts.expanded.get("inet_protocols", "")
        ) and "ipv4" not in split_list(facts.expanded.get("inet_protocols", ""))
        self.loopback = (
            services.Loopback("[::1]", "[::1]/128")
            if ipv6_only
            else services.Loopback("127.0.0.1", "127.0.0.0/8")
        )
        self.patterns = "pcre" if "pcre" in facts.table_types else "regexp"
        self.columns = services.Columns(
            smtp=self._chroot("smtp", "unix"),
            smtpd=self._smtpd_chroot(),
            cleanup=self._chroot("cleanup", "unix"),
        )
        public = ("main.cf", *facts.port_25_services)
        self.proxied = any(one.where in public for one in facts.proxy_filters)
        # Where port 25 leaves aliases and canonical names to the way back from a content filter, mail that
        # skips the filter has to be mapped in a lane of its own.
        unmapped = any("no_address_mappings" in source.overrides for source in self.port_25)
        roles: tuple[str, ...] = ("gate", "split", "released", "untrusted")
        if unmapped and answers.conbool_networks and not self.proxied:
            roles = (*roles, "arrivals")
        ports = lane_ports(facts, roles)
        self.gate_port, self.split_port = ports["gate"], ports["split"]
        self.released_port, self.untrusted_port = ports["released"], ports["untrusted"]
        self.arrivals_port = ports.get("arrivals")
        self.wanted.ports = tuple(ports[role] for role in roles)

    def current(self, name: str) -> Optional[str]:
        """The explicit value now, ours included."""
        return self.facts.parameters.get(name, "") if name in self.facts.explicit else None

    def own_scalar(self, name: str) -> Optional[str]:
        """The admin's explicit value of a single-valued parameter."""
        return base_scalar(self.current(name), self.record.get(name), blank_is_ours=name == "relayhost")

    def own_list(self, name: str) -> Optional[str]:
        """The admin's explicit value of a list parameter."""
        return base_list(self.current(name), self.record.get(name))

    def default_of(self, name: str) -> str:
        """The value in force when the parameter is not set."""
        recorded = self.record.get(name)
        if recorded is not None and not recorded.explicit:
            return recorded.value
        if name in self.facts.explicit:
            return ""
        return self.facts.expanded.get(name, self.facts.parameters.get(name, ""))

    def table(self, name: str, *, patterns: bool = False, kind: str = "texthash") -> str:
        """How one of our tables is named in a parameter."""
        return f"{self.patterns if patterns else kind}:{names.TABLE_PREFIX}{name}"

    def set(self, name: str, value: Optional[str], step: Step, title: str, reason: str) -> None:
        """Ask for a value of a main.cf parameter."""
        self.wanted.settings[name] = Setting(value, step, title, reason)

    def add_table(self, name: str, lines: Sequence[str], step: Step, title: str, reason: str) -> None:
        """Ask for a table file with these lines."""
        self.wanted.tables[name] = Table(
            _HEADING + "".join(line + "\n" for line in lines), step, title, reason
        )

    def notice(self, level: str, text: str, step: Optional[Step] = None) -> None:
        """Tell the admin something before applying."""
        self.wanted.notices.append(Notice(level, text, step))

    def remember(self, key: str, own: Optional[str], default: str = "") -> None:
        """Write down the admin's own value; for one that was not set, the default then in force."""
        self.wanted.record[key] = Recorded(
            own if own is not None else (default or self._default_note(key)), own is not None
        )

    def _default_note(self, key: str) -> str:
        return "" if "/" in key else self.default_of(key)

    def set_option(
        self, source: Source, name: str, value: str, title: str, reason: str, step: Step = Step.C
    ) -> None:
        """Ask for an option of an entrance's master.cf service."""
        service = source.service
        self.wanted.options[(service.name, service.type, name)] = Setting(value, step, title, reason)
        own = option_base(service, name, self.record)
        self.remember(f"{service.id}/{name}", own, default=self.facts.parameters.get(name, ""))

    def own_option(self, service: Service, name: str) -> str:
        """What the parameter means for a service without us, $names resolved."""
        own = option_base(service, name, self.record)
        return self.facts.expanded.get(name, "") if own is None else expand(own, self.facts)

    @property
    def port_25(self) -> tuple[Source, ...]:
        """The entrances that clients of port 25 come in by."""
        return tuple(one for one in self.sources if one.service.id in self.facts.port_25_services)

    @property
    def closable(self) -> tuple[Source, ...]:
        """The entrances of port 25 that somebody outside can reach."""
        return tuple(one for one in self.port_25 if faces_outside(self.facts, one.service))

    def _chroot(self, name: str, type: str) -> str:
        service = self.facts.service(name, type)
        return "y" if service is not None and service.chroot else "n"

    def _smtpd_chroot(self) -> str:
        for identity in self.facts.port_25_services:
            name, _, kind = identity.rpartition("/")
            service = self.facts.service(name, kind)
            if service is not None:
                return "y" if service.chroot else "n"
        return "n"

    def is_smart_host(self, hops: str) -> bool:
        """True when one of the next hops is the smart host, written in any way: ``[host]:port``, ``host``."""
        wanted = self.answers.smart_host.host.lower()
        for hop in split_list(hops):
            host = (
                hop.lower().partition("]")[0].lstrip("[")
                if hop.startswith("[")
                else hop.lower().partition(":")[0]
            )
            if host == wanted:
                return True
        return False

    def direct_security(self) -> Optional[str]:
        """The TLS level for delivery to anybody's MX; None keeps the host's own.

        A level above opportunistic that stands beside a relayhost was meant for that relayhost: most of the
        world's MX hosts would fail it.
        """
        level = self.facts.expanded.get("smtp_tls_security_level", "").strip().lower()
        if not level:
            return "may"
        has_relay = bool((self.own_scalar("relayhost") or "").strip())
        return "may" if has_relay and level in STRICT_LEVELS else None

    @property
    def own_transport(self) -> str:
        """The transport part of the host's own default_transport."""
        value = self.own_scalar("default_transport") or self.default_of("default_transport")
        return value.partition(":")[0] or "smtp"

    def loop_headers(self) -> tuple[str, ...]:
        """Every domain's loop header, each once."""
        return tuple(dict.fromkeys(self.answers.loop_header(domain) for domain in self.domains))
