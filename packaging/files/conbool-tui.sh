#!/bin/sh
# Starts conbool-tui with a Python of the distribution, cut off from the caller's Python settings and current folder.
# start.py goes on with another /usr/bin/python3.N when the first one is too old.
for python in /usr/bin/python3 /usr/bin/python3.[0-9] /usr/bin/python3.[0-9][0-9]; do
    [ -x "$python" ] && exec "$python" -I -S -X utf8 /usr/lib/conbool-tui/start.py run "$@"
done
echo "conbool-tui: no Python was found in /usr/bin." >&2
echo "It needs Python 3.9 or newer." >&2
echo "Install the package python3 (on RHEL 8: python3.12; on SLES 15: python311), then try again." >&2
exit 69
