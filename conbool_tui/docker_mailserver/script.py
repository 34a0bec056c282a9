"""The shell script that puts this program's part on top of the Postfix that docker-mailserver has rendered.

Why a script and not docker-mailserver's own ``postfix-main.cf`` and ``postfix-master.cf``: they are read only when a container is *created*
(from version 15 on also user-patches.sh; earlier versions read them again at a restart, on top of what they made before), so a change or its
undo would need a new container, and a new container loses the mail in the queue where ``/var/mail-state`` is no volume. They can neither add a
service nor a parameter of a service that is added later (``postconf -n`` drops it), and what they replace is gone. The script keeps the
configuration as it was (``conbool-base``), so that the same call brings in a new plan, brings the same one in again, or takes it back,
at the start of a container and in a running one.

It needs bash, coreutils, grep, sed and Postfix's own tools, which every image has.
"""

from __future__ import annotations

from conbool_tui.docker_mailserver import names

SCRIPT = r"""#!/bin/bash
# Written by conbool-tui; run conbool-tui to change it.
# Puts Conbool's settings on top of the Postfix that docker-mailserver has set up, or takes them away when this folder is gone.
# user-patches.sh runs it when the container starts, conbool-tui when the settings change.
# Use: apply.sh [auto | base DIRECTORY]
set -u
export LC_ALL=C
ours=${CONBOOL_SOURCE:-@MOUNT@/conbool}
etc=${CONBOOL_POSTFIX:-/etc/postfix}
sieve=${CONBOOL_SIEVE:-/usr/lib/dovecot/sieve-global/before}
begin='# BEGIN conbool-tui services'
end='# END conbool-tui services'

say() { echo "conbool-tui: $*" >&2; }

# Postfix's programs wait until main.cf has been left alone for a moment.
aged() { touch -d '1 hour ago' "$1/main.cf" "$1/master.cf"; }

settings() { if [ -f "$1" ]; then grep -v -e '^[[:space:]]*#' -e '^[[:space:]]*$' "$1"; fi; }

words() { tr -s ' \t\n' ' ' | sed 's/ $//'; }

name_of() { local name=${1%%=*}; echo "${name%"${name##*[![:space:]]}"}"; }

# The value in a configuration directory, as "name = value"; nothing when it is not set there.
parameter() { postconf -c "$1" -n "$2" 2>/dev/null; }
option() { postconf -c "$1" -P "$2" 2>/dev/null; }

# without_ours FROM TO: the files of FROM as they would be without this program, in TO.
without_ours() {
  local from=$1 to=$2 base=$1/conbool-base line name old
  cp -p "$from/main.cf" "$from/master.cf" "$to/" || return 1
  [ -f "$base/main.cf" ] || return 0
  if cmp -s "$from/master.cf" "$base/applied/master.cf"; then
    cp -p "$base/master.cf" "$to/master.cf"
  else
    # Somebody changed the file after us: only what still is as we left it goes.
    sed -i "/^$begin\$/,/^$end\$/d" "$to/master.cf"
    aged "$to"
    while IFS= read -r line; do
      name=$(name_of "$line")
      [ "$(option "$to" "$name")" = "$(option "$base/applied" "$name")" ] || continue
      old=$(option "$base" "$name")
      if [ -n "$old" ]; then postconf -c "$to" -P "$old"; else postconf -c "$to" -PX "$name"; fi || return 1
      aged "$to"
    done < <(settings "$base/applied/@OPTIONS@")
  fi
  if cmp -s "$from/main.cf" "$base/applied/main.cf"; then
    cp -p "$base/main.cf" "$to/main.cf"
  else
    aged "$to"
    while IFS= read -r line; do
      name=$(name_of "$line")
      [ "$(parameter "$from" "$name")" = "$(parameter "$base/applied" "$name")" ] || continue
      old=$(parameter "$base" "$name")
      if [ -n "$old" ]; then postconf -c "$to" -e "$old"; else postconf -c "$to" -X "$name"; fi || return 1
      aged "$to"
    done < <(settings "$base/applied/@PARAMETERS@")
  fi
  aged "$to"
}

# with_ours DIRECTORY: our settings on top of the files there.
with_ours() {
  local at=$1 line name base value
  local -a wanted=()
  mkdir -p "$at/conbool" "$at/conbool-base/applied" || return 1
  cp -p "$at/main.cf" "$at/master.cf" "$at/conbool-base/" || return 1
  cp "$ours/@TABLES@"/* "$at/conbool/" || return 1
  chmod 755 "$at/conbool" "$at/conbool-base" "$at/conbool-base/applied" && chmod 644 "$at/conbool"/* || return 1
  { echo; echo "$begin"; cat "$ours/@SERVICES@"; echo "$end"; } >>"$at/master.cf" || return 1
  aged "$at"
  while IFS= read -r line; do wanted+=("$line"); done < <(settings "$ours/@OPTIONS@")
  if [ ${#wanted[@]} -gt 0 ]; then postconf -c "$at" -P "${wanted[@]}" || return 1; fi
  aged "$at"
  aged "$at/conbool-base"
  while IFS= read -r line; do
    name=$(name_of "$line")
    [ "$(parameter "$at/conbool-base" "$name" | words)" = "$(words <<<"$line")" ] ||
      say "docker-mailserver sets $name to something else than it was planned for; run conbool-tui again"
  done < <(settings "$ours/@ASSUMED@")
  wanted=()
  while IFS= read -r line; do
    name=$(name_of "$line")
    case $line in
      *@BASE@*)
        base=$(postconf -c "$at/conbool-base" -h "$name" 2>/dev/null)
        value=${line//@BASE@/"$base"}
        wanted+=("$value")
        ;;
      *) wanted+=("$line") ;;
    esac
  done < <(settings "$ours/@PARAMETERS@")
  if [ ${#wanted[@]} -gt 0 ]; then postconf -c "$at" -e "${wanted[@]}" || return 1; fi
  aged "$at"
  aged "$at/conbool-base"
  postconf -c "$at" -n >/dev/null 2>&1 && postconf -c "$at" -M >/dev/null 2>&1 || return 1
  cp -p "$at/main.cf" "$at/master.cf" "$ours/@PARAMETERS@" "$ours/@OPTIONS@" "$at/conbool-base/applied/"
}

sieve_script() {
  [ -d "$(dirname "$sieve")" ] || return 0
  if [ -f "$ours/@SIEVE@" ]; then
    mkdir -p "$sieve" && cp "$ours/@SIEVE@" "$sieve/10-conbool.sieve" && chmod 644 "$sieve/10-conbool.sieve" || return 1
    sievec "$sieve/10-conbool.sieve" && chmod 644 "$sieve/10-conbool.svbin"
  else
    rm -f "$sieve/10-conbool.sieve" "$sieve/10-conbool.svbin"
  fi
}

auto() {
  local file
  work=$(mktemp -d "$etc/.conbool-XXXXXX") || return 1
  trap 'rm -rf "$work"' EXIT
  without_ours "$etc" "$work" || { say 'the configuration without Conbool could not be made; nothing was changed'; return 1; }
  if [ -f "$ours/@PARAMETERS@" ]; then
    with_ours "$work" || { say 'Conbool'\''s settings could not be made; nothing was changed'; return 1; }
    # Tables first, main.cf last: nothing is named before it is there.
    mkdir -p "$etc/conbool" && chmod 755 "$etc/conbool" || return 1
    for file in "$work/conbool"/*; do mv -f "$file" "$etc/conbool/" || return 1; done
    rm -rf "$etc/conbool-base.new" && mv "$work/conbool-base" "$etc/conbool-base.new" || return 1
    rm -rf "$etc/conbool-base" && mv "$etc/conbool-base.new" "$etc/conbool-base" || return 1
    mv -f "$work/master.cf" "$etc/master.cf" && mv -f "$work/main.cf" "$etc/main.cf" || return 1
    for file in "$etc/conbool"/*; do [ -f "$ours/@TABLES@/${file##*/}" ] || rm -f "$file"; done
  else
    mv -f "$work/main.cf" "$etc/main.cf" && mv -f "$work/master.cf" "$etc/master.cf" || return 1
    rm -rf "$etc/conbool" "$etc/conbool-base"
  fi
  sieve_script || { say 'the Sieve script could not be installed'; return 1; }
}

case ${1:-auto} in
  auto) auto ;;
  base) without_ours "$etc" "$2" ;;
  *) say "unknown word $1"; exit 64 ;;
esac
"""
for _word, _value in (
    ("@MOUNT@", names.CONFIG_MOUNT),
    ("@PARAMETERS@", names.PARAMETERS),
    ("@OPTIONS@", names.OPTIONS),
    ("@SERVICES@", names.SERVICES),
    ("@TABLES@", names.TABLES),
    ("@SIEVE@", names.SIEVE),
    ("@ASSUMED@", names.ASSUMED),
):
    SCRIPT = SCRIPT.replace(_word, _value)

HOOK = (
    "# Conbool's settings for Postfix come on top of docker-mailserver's. Written by conbool-tui.\n"
    f"if [ -f {names.CONFIG_MOUNT}/{names.FOLDER}/{names.SCRIPT} ]; then\n"
    f"  /bin/bash {names.CONFIG_MOUNT}/{names.FOLDER}/{names.SCRIPT} auto"
    ' || echo "conbool-tui: Conbool\'s settings are not in force" >&2\n'
    "fi\n"
)
"""Our block in user-patches.sh."""
