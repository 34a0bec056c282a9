"""The sub-command ``support-bundle``: shows what is in it, asks, writes."""

from __future__ import annotations

import datetime
import os

from conbool_tui import keyboard, render
from conbool_tui.commands.context import Context, answers_given
from conbool_tui.errors import ExitCode, UsageError


def support_bundle(context: Context) -> int:
    """Collect, show, ask, write."""
    from conbool_tui.support.bundle import archive, collect

    options = context.options
    parts = collect(context.session, answers_given(context))
    if options.show:
        for part in parts:
            context.data(
                f"===== {part.name}: {part.about}\n{render.printable(part.text, keep=chr(10) + chr(9))}\n"
            )
        return ExitCode.DONE
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
    path = os.path.abspath(options.output or f"conbool-tui-support-{today}.tar.gz")
    if keyboard.exists(path):
        raise UsageError(
            f"{path} is there already.", "Nothing is overwritten.", "Give --output another name."
        )
    context.say("In the bundle, without names, addresses and secrets (--show prints all of it):")
    for part in parts:
        context.say(
            f"  {len(part.text.encode('utf-8', 'backslashreplace')):>9} bytes  {part.name:<36} {part.about}"
        )
    if not options.yes and not context.confirmed(f"Write it to {path}?", "--yes"):
        context.say("Nothing was written.")
        return ExitCode.PENDING
    keyboard.write(path, archive(parts))
    context.data(f"{path}\n")
    return ExitCode.DONE
