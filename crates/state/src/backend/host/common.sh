# The values come first, and `set -- $words` splits on purpose.
# shellcheck shell=sh disable=SC2154,SC2086
# For dash, bash and busybox. Runs within main, after the values; `token` is this script's own.
LC_ALL=C; export LC_ALL
# Nothing that is read here is a pattern.
set -f
say() { printf '%s\n' "$1"; }
failed() { printf 'failed\n%s\n' "$1"; exit 0; }

# A link is followed: the file that it names is what others read.
real=$(readlink -f "$path" 2>/dev/null) && [ -n "$real" ] && path=$real

# Whether it is certain that nothing is there: what may not be seen may be there.
absent() {
  [ -e "$1" ] && return 1
  [ -h "$1" ] && failed "$1 is a link that leads nowhere"
  why=$(ls -d "$1" 2>&1) && return 1
  case $why in *"No such file or directory"*) return 0 ;; esac
  failed "$why"
}

# When a process began, in ticks since the boot; nothing where it is gone.
began() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  stat=${stat##*") "}
  set -- $stat
  case $1 in Z | X) return 0 ;; esac
  say "${20}"
}

number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# Who we are, for whoever finds our lock. The clock is this host's.
here=$(uname -n)
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) || boot=-
space=$(readlink /proc/self/ns/pid 2>/dev/null) || space=-
me="$token $$ $here $boot $(began $$) $space $(date +%s) $who"

# Whether the maker of a lock is certainly gone: this host has booted since, or the process is no
# more and, by this host's clock, so long that nothing it started still runs.
stale() {
  set -- $1
  [ $# -ge 7 ] || return 1
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ "$3" = "$here" ] && [ "$4" != - ] && [ "$boot" != - ] || return 1
  [ "$4" = "$boot" ] || return 0
  [ "$6" = "$space" ] && number "$2" && number "$7" || return 1
  age=$(($(date +%s) - $7))
  [ "${age#-}" -ge 5 ] || return 1
  [ "$(began "$2")" != "$5" ]
}

mine=$path.lock.$token

# Of all who find a lock stale one is chosen, by exclusive creation under the lock's own token,
# and that one takes it away. Where the chosen one died too, another is chosen under its token.
clear() {
  id=${held%% *}
  chain=
  while :; do
    if ln "$mine" "$path.broken.$id" 2>/dev/null; then
      [ "$(cat "$path.lock" 2>/dev/null)" = "$held" ] && rm -f "$path.lock"
      for id in $chain "$id"; do rm -f "$path.broken.$id"; done
      return 0
    fi
    other=$(cat "$path.broken.$id" 2>/dev/null) || return 0
    stale "$other" || return 0
    chain="$chain $id"
    id=${other%% *}
  done
}

# Takes the lock by exclusive creation: a link to a file that is whole.
take() {
  tries=0
  while :; do
    why=$( (say "$me" | cat >"$mine") 2>&1) || { rm -f "$mine"; failed "$why"; }
    why=$(ln "$mine" "$path.lock" 2>&1) && break
    held=$(cat "$path.lock" 2>/dev/null) && stale "$held" && clear
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
      # Given back a moment ago; one that cannot be made at all stays away.
      if [ ! -e "$path.lock" ] && [ "$tries" -lt 90 ]; then continue; fi
      rm -f "$mine"
      [ -e "$path.lock" ] || failed "$why"
      printf 'busy\n%s\n' "$held"
      exit 0
    fi
    sleep 0.05 2>/dev/null || sleep 1
  done
  rm -f "$mine"
}

holds() { [ "$(cat "$path.lock" 2>/dev/null)" = "$me" ]; }

# Gives the lock back and ends with a word, and a reason.
give() {
  holds && rm -f "$path.lock"
  say "$1"
  [ -z "$2" ] || say "$2"
  exit 0
}

# Writes what it reads to $1, and onto the disk; mode and owner are those of $2 where that is there.
fill() {
  [ ! -e "$2" ] || cp -p "$2" "$1" || return 1
  cat >"$1" && sync "$1"
}
