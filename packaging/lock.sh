#!/bin/bash
# Write both lock files anew from the two .in files. Pins that still fit stay; UPGRADE=1 takes the newest.
# vendor.lock is resolved for the oldest Python we support, dev.lock for the oldest the tests run on.
set -euo pipefail
umask 022

uv_version=0.13.8
cd "$(dirname "$0")"
python=${PYTHON:-python3}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

"$python" -m venv "$tools/venv"
"$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"

options=(--generate-hashes --no-emit-index-url --no-build --quiet --custom-compile-command "make lock")
if [ -n "${UPGRADE:-}" ]; then
    options+=(--upgrade)
fi
"$tools/venv/bin/uv" pip compile "${options[@]}" --python-version 3.9 requirements.in --output-file vendor.lock
"$tools/venv/bin/uv" pip compile "${options[@]}" --python-version 3.11 dev-requirements.in --output-file dev.lock
