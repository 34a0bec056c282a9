"""A plan as a POSIX shell script that does the same by hand, for admins who let no program write to /etc.

The script refuses when a file is not as it was when the plan was made, keeps a copy of every file it
changes, puts all of them back when the mail system does not accept the result, and only then makes it
effective.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import shlex
from typing import Optional

from conbool_tui.firewall import by_hand
from conbool_tui.plan import ChangeKind, FileTarget, Plan

_HEAD = """\
#!/bin/sh
# {title}
# Made by conbool-tui from a plan; it needs root, sha256sum and base64 (coreutils).
set -eu
umask 077
LC_ALL=C
export LC_ALL

say() { printf '%s\\n' "$*" >&2; }

if [ "$(id -u)" -ne 0 ]; then
    say 'This script changes the mail system and needs root: run it with sudo.'
    exit 77
fi

# expect FILE SHA256: the file must still be what the plan was made for.
expect() {
    if [ ! -f "$1" ] || [ "$(sha256sum < "$1" | cut -d ' ' -f 1)" != "$2" ]; then
        say "$1 is not as it was when this script was made. Nothing was changed; make a new one."
        exit 3
    fi
}

# absent FILE: the file must not be there yet.
absent() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        say "$1 is there by now. Nothing was changed; make a new script."
        exit 3
    fi
}

"""

_FUNCTIONS = """\
backup=$(mktemp -d /var/tmp/conbool-tui-backup.XXXXXX)
done_list=$backup/done
: > "$done_list"
finished=no

# restore: put back what was changed; runs when anything fails.
restore() {
    [ "$finished" = no ] || return 0
    trap - EXIT
    say 'It did not work; putting everything back.'
    code=4
    while IFS=' ' read -r kind number target; do
        rm -f -- "$target.conbool-new" || :
        case $kind in
            new) rm -f -- "$target" || code=5 ;;
            folder) rmdir -- "$target" || code=5 ;;
            old)
                cp -p -- "$backup/$number" "$target.conbool-old" &&
                    mv -f -- "$target.conbool-old" "$target" || code=5
                ;;
        esac
    done < "$done_list"
    say "The files as they were lie in $backup."
    [ "$code" -eq 4 ] || say 'Not everything could be put back; see above.'
    exit "$code"
}
trap restore EXIT
trap 'exit 130' HUP INT TERM

# note KIND NUMBER TARGET: remember what is about to be done, the newest first.
note() {
    printf '%s %s %s\\n' "$1" "$2" "$3" | cat - "$done_list" > "$done_list.new"
    mv -f -- "$done_list.new" "$done_list"
}

# folder PATH: create a missing folder, readable by everybody.
folder() {
    if [ ! -d "$1" ]; then
        mkdir -m 755 -- "$1"
        note folder 0 "$1"
    fi
}

# replace NUMBER FILE: new content from standard input; owner, mode and a symbolic link stay.
replace() {
    target=$(readlink -f -- "$2")
    cp -p -- "$target" "$backup/$1"
    note old "$1" "$target"
    cp -p -- "$target" "$target.conbool-new"
    base64 -d > "$target.conbool-new"
    mv -f -- "$target.conbool-new" "$target"
}

# create MODE FILE: a new file from standard input.
create() {
    note new 0 "$2"
    base64 -d > "$2.conbool-new"
    chmod "$1" -- "$2.conbool-new"
    mv -f -- "$2.conbool-new" "$2"
}

# discard NUMBER FILE: remove a file, keeping a copy.
discard() {
    target=$(readlink -f -- "$2")
    cp -p -- "$target" "$backup/$1"
    note old "$1" "$target"
    rm -f -- "$target"
}

"""

_WIDTH = 76


def plan_script(plan: Plan) -> str:
    """The script. For an empty plan it says that there is nothing to do."""
    if plan.empty:
        return "#!/bin/sh\n# Nothing to do: the configuration is as the answers want it.\nexit 0\n"
    title = f"Connects {plan.system} in {plan.config_directory} to Conbool."
    parts = [_HEAD.replace("{title}", " ".join(title.split())), "# --- nothing may have changed since ---\n"]
    parts.extend(_expectation(target) for target in plan.files)
    parts.extend(("\n", _FUNCTIONS, "# --- the files ---\n"))
    folders = {posixpath.dirname(target.path) for target in plan.files if target.before is None}
    parts.extend(f"folder {shlex.quote(folder)}\n" for folder in sorted(folders))
    parts.extend(_write(number, target) for number, target in enumerate(plan.files, 1))
    parts.append("\n# --- the mail system's own opinion, then make it effective ---\n")
    if plan.system == "postfix" and plan.reload:
        parts.append(f"postfix -c {shlex.quote(plan.config_directory)} check\n")
    parts.extend(f"{_command(command, plan)}\n" for command in plan.reload)
    if plan.live:
        parts.append("\n# --- the firewall, last: nothing here takes it back by itself ---\n")
        previews = {
            change.path: change.after for change in plan.changes if change.kind is ChangeKind.FIREWALL
        }
        parts.extend(by_hand.commands(target.name, previews.get(target.name)) for target in plan.live)
    parts.append("finished=yes\n")
    parts.append('say "Done. The files as they were lie in $backup."\n')
    return "".join(parts)


def _expectation(target: FileTarget) -> str:
    path = shlex.quote(target.path)
    if target.before is None:
        return f"absent {path}\n"
    return f"expect {path} {hashlib.sha256(target.before).hexdigest()}\n"


def _write(number: int, target: FileTarget) -> str:
    path = shlex.quote(target.path)
    if target.after is None:
        return f"discard {number} {path}\n"
    call = f"create {target.mode:03o} {path}" if target.before is None else f"replace {number} {path}"
    return f"{call} <<'CONTENT'\n{_encoded(target.after)}CONTENT\n"


def _encoded(data: Optional[bytes]) -> str:
    text = base64.b64encode(data or b"").decode("ascii")
    return "".join(text[start : start + _WIDTH] + "\n" for start in range(0, len(text), _WIDTH))


def _command(command: str, plan: Plan) -> str:
    """A command of the plan, aimed at the plan's own instance."""
    words = shlex.split(command)
    if words[:1] == ["postfix"] and "-c" not in words:
        words[1:1] = ["-c", plan.config_directory]
    return " ".join(shlex.quote(word) for word in words)
