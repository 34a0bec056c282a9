"""The sub-command open-xchange: tenants and their domains, and the Sieve script for a mailbox server that is elsewhere."""

from __future__ import annotations

import sys
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.commands.context import Context, answers_given
from conbool_tui.errors import CheckFailedError, ExitCode, UsageError
from conbool_tui.open_xchange.contexts import Context as Tenant
from conbool_tui.open_xchange.contexts import read_contexts, read_users

_TOOLS = "/opt/open-xchange/sbin"
_INSTALL = """\
How to install it on the mailbox server:
  1. Save it as /etc/dovecot/conbool.sieve, owned by root, mode 0644, and run: sievec /etc/dovecot/conbool.sieve
  2. Dovecot 2.3, in a file in /etc/dovecot/conf.d:  plugin {{ sieve_before = /etc/dovecot/conbool.sieve }}
     (with another sieve_before already set, give that one the name sieve_before2);
     Dovecot 2.4:  sieve_script conbool {{ type = before; path = /etc/dovecot/conbool.sieve }}  with each setting on a line of its own.
  3. Check and reload: doveconf -n && doveadm reload
Or run conbool-tui there: conbool-tui --mail-system dovecot apply --answers FILE does all of this, with undo.
To try it on one account first: conbool-tui open-xchange sieve --answers FILE --account NAME --server {server}
"""


def open_xchange(context: Context) -> int:
    """One of contexts, domains, sieve. Raises UsageError, CheckFailedError."""
    return {"contexts": _contexts, "domains": _domains, "sieve": _sieve}[context.options.what](context)


def _contexts(context: Context) -> int:
    for tenant in _tenants(context):
        sys.stdout.write(f"{tenant.id}\t{tenant.name}\t{' '.join(tenant.domains)}\n")
    return ExitCode.DONE


def _domains(context: Context) -> int:
    """The domains of the chosen contexts, one a line."""
    options = context.options
    found: list[str] = []
    if options.context:
        tenants = {tenant.id: tenant for tenant in _tenants(context)}
        for number in options.context:
            if number not in tenants:
                raise UsageError(
                    f"There is no context {number} in the list.",
                    "",
                    f"It has: {', '.join(tenants) or 'none'}.",
                )
            found += tenants[number].domains
    for path in options.users or ():
        found += read_users(_read(context, path))
    if not found:
        raise CheckFailedError(
            "No mail domain is known of these contexts.",
            "Login mappings name domains in some installations only.",
            f"Save what `{_TOOLS}/listuser -c ID -A oxadmin --csv` prints, and give it with --users FILE.",
        )
    sys.stdout.write("".join(name + "\n" for name in dict.fromkeys(found)))
    return ExitCode.DONE


def _tenants(context: Context) -> tuple[Tenant, ...]:
    """From the list given, else from OX's own tool where it needs no password."""
    if context.options.list is not None:
        return read_contexts(_read(context, context.options.list))
    detection = context.session.detect().get("open-xchange")
    facts = detection.open_xchange if detection is not None else None
    if facts is None or not facts.open_tools:
        raise UsageError(
            "No list of contexts is given.",
            "Open-Xchange's tools ask for the master administrator's password, which this program never takes.",
            f"Save what `{_TOOLS}/listcontext -A oxadminmaster --csv` prints, and give it with --list FILE.",
        )
    result = context.session.host.run([f"{_TOOLS}/listcontext", "--csv"], timeout=120)
    if not result.ok:
        raise CheckFailedError(
            "listcontext does not work here.",
            result.error_text().rpartition("\n")[2],
            "Give a saved list with --list FILE.",
        )
    return read_contexts(result.text())


def _sieve(context: Context) -> int:
    """Print the script with the way to install it, or install it for one account over ManageSieve."""
    from conbool_tui.manage_sieve import ManageSieve, parse_server

    options = context.options
    server = options.server or _known_server(context)
    if options.account is None:
        sys.stdout.write(_script(context))
        sys.stdout.flush()
        sys.stderr.write(_INSTALL.format(server=server or "HOST"))
        return ExitCode.DONE
    if not server:
        raise UsageError("No ManageSieve server is known.", "", "Give --server HOST, or HOST:PORT.")
    try:
        host, port = parse_server(server)
    except ValueError:
        raise UsageError(f"{server} is no server.", "", "Give --server HOST, or HOST:PORT.") from None
    text = "" if options.remove else _script(context)
    password = _password(context)
    with ManageSieve(host, port) as session:
        session.log_in(options.account, password)
        done = session.remove() if options.remove else session.install(text)
    if options.remove:
        sys.stdout.write(f"Taken back: {options.account} has the script {done.active or 'none'} again.\n")
    else:
        behind = f"; the account's own script {done.own} runs behind it" if done.own else ""
        sys.stdout.write(f"Installed for {options.account}: script {done.active}{behind}.\n")
        sys.stderr.write(
            "When the user changes a rule in Open-Xchange, its own script becomes the active one again.\n"
        )
    return ExitCode.DONE


def _known_server(context: Context) -> str:
    """The ManageSieve server that Open-Xchange on this host uses; empty when none is known."""
    detection = context.session.detect().get("open-xchange")
    facts = detection.open_xchange if detection is not None else None
    if facts is None or facts.mail_filter is None or not facts.mail_filter.server.host:
        return ""
    server = facts.mail_filter.server
    return f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"


def _script(context: Context) -> str:
    """The script for these answers. It knows the notes of this host's Postfix; where that is elsewhere, those of any server."""
    from conbool_tui.planners.mailbox_script import mailbox_script

    postfix = context.session.detect().get("postfix")
    name = postfix.mta.host_name if postfix is not None and postfix.mta is not None else ""
    return mailbox_script(answers_given(context) or Answers(), name)


def _password(context: Context) -> str:
    """From a file, or asked for on the terminal; never from the command line. Raises UsageError."""
    import getpass

    path: Optional[str] = context.options.password_file
    if path is not None:
        return _read(context, path).split("\n")[0].rstrip("\r")
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask for the account's password.",
            "",
            "Give --password-file FILE (- reads standard input).",
        )
    return getpass.getpass(f"Password of {context.options.account}: ")


def _read(context: Context, path: str) -> str:
    """A file of the machine, or standard input for ``-``."""
    if path == "-":
        return sys.stdin.read()
    from conbool_tui import keyboard

    return keyboard.read(path).decode("utf-8", "replace")
