#!/bin/bash
# Install the Debian packages the lab and the demo need, or those named as arguments; only what is missing. Needs root then.
set -euo pipefail
umask 022

# debootstrap, mount: the servers' disposable roots. iproute2: their network. tmux: the wizard in a real terminal.
# procps, e2fsprogs, openssl, busybox: process lists, immutable files, certificates and a small shell in the tests.
# gcc, libc6-dev: the small library that makes system calls fail in the tests. rpm, dnf, createrepo-c: the .rpm, and who
# solves its dependencies. lintian, rpmlint: judge the packages. locales: other alphabets. logrotate: reads our rule.
wanted=(busybox ca-certificates createrepo-c debootstrap dnf e2fsprogs gcc iproute2 libc6-dev lintian locales logrotate
    mount openssl procps rpm rpmlint tmux)

if [ $# -gt 0 ]; then
    wanted=("$@")
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This needs Debian's apt-get; on another system install by hand: ${wanted[*]}" >&2
    exit 69
fi

missing=()
for package in "${wanted[@]}"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
        missing+=("$package")
    fi
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if [ "$(id -u)" != 0 ]; then
    echo "Missing Debian packages: ${missing[*]}" >&2
    echo "Installing them needs root: run as root or with sudo." >&2
    exit 77
fi

echo "== installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! {
    apt-get -q -o DPkg::Lock::Timeout=300 update &&
        apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
} </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "apt-get could not install: ${missing[*]}. What needs them cannot run." >&2
    exit 69
fi
