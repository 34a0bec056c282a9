#!/bin/sh
# What the packages' scripts do: maintain byte-code | clean | leaving.
set -e
umask 022
home=/usr/lib/conbool-tui
state=/var/lib/conbool-tui

with_python() {
    for python in /usr/bin/python3 /usr/bin/python3.[0-9] /usr/bin/python3.[0-9][0-9]; do
        if [ -x "$python" ]; then
            "$python" -I -S -X utf8 "$home/start.py" "$@"
            return
        fi
    done
    return 69
}

case "$1" in
byte-code)
    "$0" clean
    # Without byte code the program starts slower, and is no less whole.
    with_python byte-code || echo "conbool-tui: no byte code could be made; starts are slower." >&2
    ;;
clean)
    find "$home" -depth -type d -name __pycache__ -exec rm -rf {} +
    # What is left of folders that a former version had.
    find "$home" -mindepth 1 -depth -type d -empty -delete
    ;;
leaving)
    [ -n "$(ls -A "$state/changes" 2>/dev/null)" ] || exit 0
    with_python leaving || {
        echo "conbool-tui goes, and the mail system is not touched: what was set up for Conbool stays as it is."
        echo "Backups and journals stay in $state."
    }
    ;;
*)
    echo "usage: maintain byte-code|clean|leaving" >&2
    exit 64
    ;;
esac
