"""Runs the installed program: ``start.py run ARGUMENT...``, or prepares it: ``start.py byte-code``, ``start.py leaving``.

Python 3.6 must be able to read this file: one that is too old looks for a better one here.
"""

import os
import re
import sys

HOME = os.path.dirname(os.path.abspath(__file__))
PYTHONS = "/usr/bin"
OLDEST = (3, 9)
UNAVAILABLE = 69


def newest_first(names):
    """The file names among ``names`` that are a Python new enough, the newest first."""
    found = []
    for name in names:
        match = re.match(r"^python3\.([0-9]+)$", name)
        if match and (3, int(match.group(1))) >= OLDEST:
            found.append((int(match.group(1)), name))
    return [name for _, name in sorted(found, reverse=True)]


def other_python(arguments, folder=PYTHONS):
    """Go on in a newer Python of the distribution. Comes back only when there is none."""
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    for name in newest_first(names):
        path = os.path.join(folder, name)
        try:
            os.execv(path, [path, "-I", "-S", "-X", "utf8", os.path.abspath(__file__)] + arguments)
        except OSError:
            continue
    sys.stderr.write(
        f"conbool-tui: the newest Python in {folder} is {sys.version_info[0]}.{sys.version_info[1]}.\n"
        "It needs Python 3.9 or newer.\n"
        "Install one beside it (Ubuntu 20.04: python3.9; RHEL 8: python3.12; SLES 15: python311), then try again.\n"
    )
    return UNAVAILABLE


def drop_foreign_settings(environment):
    """Forget what the caller's environment would tell Textual (a driver is code that it imports); Python's own is ignored by -I."""
    for name in [name for name in environment if name.startswith("TEXTUAL_")]:
        del environment[name]


def byte_code():
    """Compile everything for this Python."""
    import compileall

    sys.dont_write_bytecode = False
    done = [
        compileall.compile_dir(os.path.join(HOME, part), quiet=1, legacy=False) for part in ("app", "vendor")
    ]
    return 0 if all(done) else 1


def leaving():
    """Say what stays in force when the package goes."""
    from conbool_tui.errors import ConboolError
    from conbool_tui.host import Host
    from conbool_tui.places import DEFAULT_STATE_DIR
    from conbool_tui.receipt import ChangeState
    from conbool_tui.session import Session

    over = (ChangeState.ROLLED_BACK, ChangeState.UNDONE)
    try:
        standing = [one for one in Session(Host("/")).history() if one.state not in over and not one.undo_of]
    except ConboolError as error:
        sys.stderr.write("conbool-tui: " + "\n".join(error.lines()) + "\n")
        return error.exit_code
    if standing:
        print("conbool-tui goes, and the mail system is not touched: mail still goes through Conbool.")
        for one in standing:
            print(f"  {one.id}  {one.system}: {one.state.value}")
        if any(one.state is ChangeState.UNCONFIRMED for one in standing):
            print("What waits for confirmation is taken back by itself when its time is over.")
        print(f"Backups and journals stay in {DEFAULT_STATE_DIR}.")
        print('To take it back: install conbool-tui again and run "conbool-tui undo".')
    return 0


def main(arguments):
    if sys.version_info < OLDEST:
        return other_python(arguments)
    sys.path[:0] = [os.path.join(HOME, "app"), os.path.join(HOME, "vendor")]
    role = arguments[0] if arguments else ""
    if role == "byte-code":
        return byte_code()
    if role == "leaving":
        return leaving()
    if role != "run":
        sys.stderr.write("This file is started by conbool-tui; run that instead.\n")
        return 64
    if os.geteuid() == 0:
        drop_foreign_settings(os.environ)
    # What the program's own messages and usage call it.
    sys.argv[:] = ["conbool-tui"] + arguments[1:]
    from conbool_tui.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
