# The values come first, and `set -- $words` splits on purpose.
# shellcheck shell=sh disable=SC2154,SC2086,SC2046
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

number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# Whether /proc numbers processes as this shell's namespace does: it may be that of the namespace
# around it. NSpid lists a process's number in each namespace from that of /proc inwards.
shown() {
  set -- $(grep '^NSpid:' /proc/self/status 2>/dev/null)
  [ $# = 2 ]
}

# Whether this shell counts from the boot: in a time namespace a start differs by who reads it.
usual() {
  [ -e /proc/self/timens_offsets ] || return 0
  while read -r _ seconds rest; do
    [ "$seconds $rest" = "0 0" ] || return 1
  done </proc/self/timens_offsets
}

# A process's state, its threads, and when it began in ticks since the boot; nothing where that
# may not be seen.
process() {
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  line=${line##*") "}
  set -- $line
  [ $# -lt 20 ] || say "$1 ${18} ${20}"
}

# When this shell began; `-` where others could not compare it.
began() {
  if shown && usual; then set -- $(process $$); else set --; fi
  say "${3:--}"
}

# Whether the process that began then is certainly gone: the kernel does not know its number, or
# another process has it, or it waits to be reaped. What may not be looked at is alive.
gone() {
  if ! why=$(kill -0 "$1" 2>&1); then
    case $why in *"o such process"*) return 0 ;; esac
  fi
  shown || return 1
  start=$2
  set -- $(process "$1")
  [ $# = 3 ] || return 1
  case $1 in Z | X) [ "$2" -gt 1 ] || return 0 ;; esac
  number "$start" && [ "$start" -gt 0 ] && usual && [ "$3" != "$start" ]
}

# Who we are, for another operation that finds our lock. The clock is this host's.
here=$(uname -n)
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) || boot=-
space=$(readlink /proc/self/ns/pid 2>/dev/null) || space=-
me="$token $$ $here ${boot:--} $(began) ${space:--} $(date +%s) $who"

# Whether the maker of a lock is certainly gone: this host has booted since, or the process is no
# more and, by this host's clock, so long that nothing it started still runs. A number of another
# namespace is another process's here; the first namespace of each boot has the same name.
stale() {
  set -- $1
  [ $# -ge 7 ] || return 1
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ "$3" = "$here" ] && [ "$4" != - ] && [ "$boot" != - ] || return 1
  [ "$6" != - ] && [ "$6" = "$space" ] || return 1
  [ "$4" = "$boot" ] || return 0
  number "$2" && [ "$2" -gt 0 ] && number "$7" || return 1
  age=$(($(date +%s) - $7))
  [ "${age#-}" -ge 5 ] || return 1
  gone "$2" "$5"
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
    why=$( (say "$me" | cat >"$mine" && own "$mine") 2>&1) || { rm -f "$mine"; failed "$why"; }
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

# What root makes here belongs to whom the state belongs, or its folder where there is none yet:
# the next writer need not be root. In a folder of a group, the group may write.
own() {
  [ "$(id -u)" = 0 ] || return 0
  like=$path
  [ -e "$like" ] || like=$above
  owner=$(stat -c %u:%g "$like" 2>/dev/null) || return 0
  chown -h "$owner" "$1" 2>/dev/null || :
}
above=${path%/*}
above=${above:-/}
case $(ls -ld "$above/." 2>/dev/null) in d????w??[!w]*) umask 002 ;; esac

# Writes what it reads to $1, and onto the disk; mode and owner are those of $2 where that is there.
fill() {
  if [ -e "$2" ]; then
    cp -p "$2" "$1" || return 1
  else
    : >"$1" && own "$1" || return 1
  fi
  cat >"$1" && sync "$1"
}
