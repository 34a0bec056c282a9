#!/bin/bash
# lint-packages.sh FOLDER: the packages in it judged by lintian and rpmlint; any complaint without an override fails.
set -euo pipefail
umask 022

folder=$1
settings=$(dirname "$0")/files/rpm/rpmlint.toml
lintian --allow-root --pedantic --display-info --tag-display-limit 0 --fail-on error,warning,info,pedantic "$folder"/*.deb
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# rpmlint ends with 0 whatever it warns of.
rpmlint --config "$settings" "$folder"/*.rpm >"$log" 2>&1 || true
if ! grep -q ' 0 errors, 0 warnings, ' "$log"; then
    cat "$log" >&2
    exit 1
fi
