"""Our rules where the nftables service owns the rule set: a table of our own, beside everybody else's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallOwner
from conbool_tui.firewall import nft_text
from conbool_tui.firewall.rules import Rules, canonical, live_name, parse, wanted
from conbool_tui.mail_system import Problem

if TYPE_CHECKING:
    from conbool_tui.host import Host
    from conbool_tui.runner import CommandResult

CONFIGURATIONS = ("/etc/sysconfig/nftables.conf", "/etc/nftables.conf")
_LIST = ("-j", "list", "table", "inet", nft_text.TABLE)
_WANTS = "/etc/systemd/system"


class NftRules:
    """The table ``inet conbool``. Loading is one transaction of nft(8), so there is no moment with half of it."""

    name = live_name(FirewallOwner.NFTABLES)

    def __init__(self, host: Host) -> None:
        self._host = host

    def read(self) -> Optional[str]:
        """Our rules in force; see ``LiveRules.read``."""
        listing = self._listing()
        return None if listing is None else nft_text.live_text(listing)

    def judge(self, rules: Optional[str], files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Let ``nft -c`` judge the rules and the service's configuration as it would be; nothing live is touched."""
        try:
            target = wanted(rules)
            listing = self._listing()
        except ConboolError as error:
            return [_problem(error)]
        if target is None:
            return []
        if self._host.which("nft") is None:
            return [_NO_NFT]
        if listing is not None and not nft_text.looks_like_ours(listing):
            return [
                Problem(
                    f"The nftables table inet {nft_text.TABLE} belongs to somebody else.",
                    "It would be replaced. Rename it, or close port 25 by hand.",
                )
            ]
        refused = self._nft(["-c", "-f", "-"], nft_text.load_text(target))
        if refused:
            return [Problem("nft refuses our rules.", refused)]
        return self._judge_files(files)

    def put(self, rules: Optional[str]) -> list[Problem]:
        """Put exactly these rules in force; see ``LiveRules.put``."""
        try:
            target = wanted(rules)
            problems = self._load(target)
        except ConboolError as error:
            return [_problem(error)]
        if target is None:
            problems += self._forget_unit()
        return problems

    def _load(self, target: Optional[Rules]) -> list[Problem]:
        if self._host.which("nft") is None:
            return [] if target is None else [_NO_NFT]
        after = None if target is None else target.text()
        before = self.read()
        if before == after:
            return []
        refused = "not tried"
        if target is not None and before is not None and canonical(before) == before:
            standing = parse(before)
            assert standing is not None
            refused = self._nft(["-f", "-"], nft_text.update_text(standing, target))
        if refused:
            text = nft_text.remove_text() if target is None else nft_text.load_text(target)
            refused = self._nft(["-f", "-"], text)
        if refused:
            return [Problem("nft did not load our rules; those before are still in force.", refused)]
        if self.read() != after:
            return [
                Problem(
                    "The rules in force are not those that were just loaded.",
                    "Another program changes them at the same time: look at `nft list ruleset`.",
                )
            ]
        return []

    def _judge_files(self, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """The service's configuration as it would be: when it does not load, nothing comes back after a reboot."""
        include = nft_text.INCLUDE.encode()
        path = next(
            (path for path, data in files.items() if data is not None and include in data),
            next((path for path in CONFIGURATIONS if self._host.is_file(path)), None),
        )
        if path is None:
            return []
        try:
            data = files[path] if path in files else self._host.read_bytes(path)
            if data is None:
                return []
            # nft looks for other included files by their own paths, so only ours is staged.
            with self._host.private_folder() as folder:
                rules = files.get(nft_text.RULES_FILE)
                if rules is not None:
                    self._host.write_new(f"{folder}/conbool.nft", rules)
                staged = data.replace(
                    b'"/etc/nftables.d/conbool.nf[t]"', f'"{folder}/conbool.nf[t]"'.encode()
                )
                self._host.write_new(f"{folder}/candidate.conf", staged)
                refused = self._nft(["-c", "-f", f"{folder}/candidate.conf"])
                refused = refused.replace(f"{folder}/candidate.conf", path)
        except ConboolError as error:
            return [_problem(error)]
        if refused:
            return [
                Problem(
                    f"nft refuses {path} as it would be; at the next boot no rule of it would be loaded.",
                    f"{refused}\nLook at it with `nft -c -f {path}`, repair it, then run again.",
                )
            ]
        return []

    def _forget_unit(self) -> list[Problem]:
        """Take away the link that starts our unit at boot; the unit's file belongs to the plan."""
        found = []
        try:
            for folder in self._host.listdir(_WANTS):
                link = f"{_WANTS}/{folder}/{nft_text.UNIT}"
                if folder.endswith(".wants") and self._host.lstat(link) is not None:
                    self._host.remove(link)
                    found.append(link)
        except ConboolError as error:
            return [_problem(error)]
        if found and self._host.has_systemd():
            self._host.run(["systemctl", "daemon-reload"])
        return []

    def _listing(self) -> Optional[str]:
        """What nft lists of our table; None when there is none, no nft, or another root.

        Raises:
            ConboolError: nft cannot tell.
        """
        if not self._host.live or self._host.which("nft") is None:
            return None
        result = self._host.run(["nft", *_LIST])
        if result.ok:
            return result.text()
        if "No such file or directory" in result.error_text():
            return None
        raise ConboolError(
            f"nft cannot list our rules: {_said(result)}",
            "So it cannot be told whether port 25 is closed in the firewall.",
            "Run `nft list ruleset` by hand, as root.",
        )

    def _nft(self, arguments: list[str], text: str = "") -> str:
        """Run nft; what it said against it, or an empty string."""
        result = self._host.run(["nft", *arguments], stdin=text.encode())
        return "" if result.ok else _said(result)


_NO_NFT = Problem("The program nft was not found.", "Install the package nftables, then run again.")


def _said(result: CommandResult) -> str:
    return result.error_text() or f"it ended with status {result.returncode}"


def _problem(error: ConboolError) -> Problem:
    return Problem(error.what, "\n".join(error.lines()[1:]))
