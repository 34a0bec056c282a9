#!/bin/bash
# Make or refresh the development environment: dev-venv.sh DIRECTORY
# Python 3.11 or newer of this machine, both lock files by hash, and the project itself editable.
set -euo pipefail
umask 022

venv=$1
cd "$(dirname "$0")/.."

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON3:-} python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
        if usable "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    if ! "$@" </dev/null >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        echo "Failed: $*" >&2
        return 69
    fi
}

if ! usable "$venv/bin/python"; then
    if ! python=$(find_python); then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "== installing python3-venv"
            export DEBIAN_FRONTEND=noninteractive
            quietly apt-get -q -o DPkg::Lock::Timeout=300 update
            quietly apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends python3 python3-venv
        fi
        if ! python=$(find_python); then
            echo "No Python 3.11 or newer with the venv module here." >&2
            echo "On Debian 12 or newer: run as root or with sudo, or install python3-venv first." >&2
            exit 69
        fi
    fi
    quietly "$python" -m venv --clear "$venv"
fi

echo "== Python environment in $venv"
install=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps)
# The locks are complete: with --no-deps pip takes exactly what they name, and "pip check" proves nothing is missing.
quietly "${install[@]}" --require-hashes --only-binary :all: -r packaging/vendor.lock -r packaging/dev.lock
quietly "${install[@]}" --no-build-isolation --editable .
quietly "$venv/bin/python" -m pip --disable-pip-version-check check
