#!/bin/sh
# Installs deploy-guard from the archive that a release has for this machine. The archive has to
# have the SHA-256 that this very revision names, wherever it came from. For the Action and for
# people: sh install.sh --help.
set -eu

# Filled in by a release, in the copy that it publishes: so that this file alone is enough.
CHECKSUMS=''
REPOSITORY=''

# No archive is this large; a server that sends without an end is cut off here.
LIMIT=209715200

usage() {
  cat <<'END'
Installs deploy-guard from the archive that a release has for this machine.

Usage: sh install.sh [OPTION]...

  --to DIR          where the binary goes (default: ~/.local/bin)
  --from URL        another place with a release's files: URL/vVERSION/FILE
  --repository URL  the repository that has the release, such as https://github.com/OWNER/NAME
  --api URL         its API, used first if $DEPLOY_GUARD_DOWNLOAD_TOKEN holds a token
  --checksums FILE  what sha256sum prints for the archives (default: checksums.txt beside this script)
  --cache DIR       keep the archive here, and take it from here if it is still right
  --which           only say which archive this machine takes; exit code 1 if there is none

$DEPLOY_GUARD_DOWNLOAD_TIMEOUT: seconds without progress that end an attempt (default: 20)
$DEPLOY_GUARD_DOWNLOAD_ATTEMPTS: the number of attempts at each address (default: 5)
HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured.

Exit codes: 0 installed, 2 it cannot be installed this way, 4 no answer, 5 refused: not what was released
END
}

# Ends with one line for what is wrong and one for what to do.
stop() { # CODE MESSAGE HINT
  printf 'error: %s\n\nhint: %s\n' "$(plain "$2")" "$(plain "$3")" >&2
  exit "$1"
}

note() {
  plain "$*" >&2
}

# One line in which neither a terminal nor a runner finds a command: servers have a say in it.
plain() { # TEXT
  printf '%s' "$1" | tr '\r\n' '  ' | tr -d '\000-\037\177' | sed -e 's/##\[/# #[/g' -e 's/^::/: :/'
  echo
}

# An address without what stands before its @.
shown() { # URL
  case $1 in
    *://*@*) printf '%s://%s' "${1%%://*}" "${1##*@}" ;;
    *) printf '%s' "$1" ;;
  esac
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# Sets `machine`, the word that the archives' names have for it.
this_machine() {
  system=$(uname -s)
  case $system in
    Linux) system=linux ;;
    Darwin) system=macos ;;
    *) stop 2 "deploy-guard has no archive for $system" 'use a runner with Linux or macOS; on Windows, WSL is one' ;;
  esac
  processor=$(uname -m)
  case $processor in
    x86_64 | amd64) processor=x86_64 ;;
    aarch64 | arm64) processor=arm64 ;;
  esac
  machine=$system-$processor
}

# A caller that asks which archive there is takes "none" for an answer.
unless_asked() {
  if [ -n "$which" ]; then exit 1; fi
}

# Sets `sum`, `archive` and `version` to what the checksums say for this machine.
choose() {
  if [ -n "$checksums" ]; then
    [ -f "$checksums" ] || unless_asked
    [ -f "$checksums" ] || stop 2 "there is no file $checksums" 'give --checksums the file that the release has'
    listed=$(tr -d '\r' <"$checksums")
  elif [ -n "$CHECKSUMS" ]; then
    listed=$CHECKSUMS
  elif [ "${0##*/}" = install.sh ] && [ -f "$(dirname -- "$0")/checksums.txt" ]; then
    listed=$(tr -d '\r' <"$(dirname -- "$0")/checksums.txt")
  else
    unless_asked
    stop 2 'this revision is not a release: it names no archives' \
      'take the install.sh of a release, or build it: cargo install --locked --path crates/deploy-guard'
  fi
  line=$(printf '%s\n' "$listed" | grep -E "[ *]deploy-guard-[0-9][0-9A-Za-z.+-]*-$machine\\.tar\\.gz\$" || :)
  case $line in
    '') unless_asked
      stop 2 "this release has no archive for $machine" \
      'build it: cargo install --locked --path crates/deploy-guard' ;;
    *"
"*) stop 2 "the checksums name two archives for $machine" 'give --checksums the file of one release' ;;
  esac
  archive=${line##*[ *]}
  # Some programs write capitals. A sum that is none is no reason to install by another way.
  sum=$(printf '%s' "${line%% *}" | tr A-F a-f)
  case $sum in *[!0-9a-f]*) sum='' ;; esac
  [ ${#sum} = 64 ] ||
    stop 2 "the checksums have no SHA-256 for $archive" 'give --checksums the file that the release has'
  version=${archive#deploy-guard-}
  version=${version%-"$machine".tar.gz}
}

# Asks once. Sets `status` to the answer's code, 000 if there was none, and `reason` to why.
ask() { # URL HEADERS FILE
  status=000
  case $1 in
    https://*) schemes='=https' ;;
    *) schemes='=http,https' ;;
  esac
  if has curl; then
    # Headers come from a file: a process's arguments can be seen by everybody.
    status=$(limited curl --silent --show-error --globoff --location --max-redirs 5 \
      --proto "$schemes" --proto-redir "$schemes" \
      --max-filesize "$LIMIT" --connect-timeout "$timeout" --speed-limit 1000 --speed-time "$timeout" --max-time 1200 \
      --header "@$2" --dump-header "$work/answer" --output "$3" --write-out '%{http_code}' \
      --url "$1" 2>"$work/reason") || ended_early $?
  elif has wget; then
    : >"$work/answer"
    # GNU's asks for itself and would ask 20 times; busybox's crashes with -T where it is static.
    case $(wget --version 2>/dev/null || :) in
      GNU*) set -- "$@" wget --no-verbose --tries=1 "--timeout=$timeout" ;;
      *) set -- "$@" timeout $((timeout * 10)) wget -q ;;
    esac
    address=$1
    file=$3
    shift 3
    status=200
    limited "$@" -O "$file" -- "$address" 2>"$work/reason" || ended_early $?
    if [ "$status" = 000 ]; then
      found=$(sed -n -e 's/.*ERROR \([1-5][0-9][0-9]\).*/\1/p' -e 's/.*HTTP\/[0-9.]* \([1-5][0-9][0-9]\).*/\1/p' "$work/reason" | tail -n 1)
      status=${found:-000}
    fi
  else
    stop 2 'there is neither curl nor wget' 'install curl'
  fi
  if [ "$status" = 000 ]; then
    reason=$(tr '\r\n' '  ' <"$work/reason" | cut -c 1-200 | sed 's/ *$//')
    reason=${reason:-the answer ended early}
  else
    reason="status $status"
  fi
}

# What a program that failed leaves of a status: half an answer is none.
ended_early() { # CODE
  # 63 is curl's own word for too large, 153 the system's.
  case $1 in
    63 | 153) stop 5 "$archive is larger than any archive of ours" 'see what that address holds' ;;
    23) has curl && stop 4 "$archive cannot be written to $work" "is the disk full? df -h ${TMPDIR:-/tmp}" ;;
  esac
  case $status in '' | 2??) status=000 ;; esac
}

# Runs a command that may write files up to the limit and no longer ones.
limited() {
  (
    ulimit -f $((LIMIT / 512)) 2>/dev/null || :
    exec "$@"
  )
}

# Asks until there is an answer that decides: 0 it is in FILE, 1 it cannot be had there.
download() { # URL HEADERS FILE
  attempt=1
  delay=1
  while :; do
    ask "$1" "$2" "$3"
    case $status in
      200) return 0 ;;
      000 | 408 | 425 | 429 | 5??) ;;
      *) break ;;
    esac
    if [ "$attempt" -ge "$attempts" ]; then
      unanswered=yes
      reason="$reason, $attempt times"
      break
    fi
    wait=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,4\}\)[^0-9]*$/\1/p' "$work/answer" | tail -n 1)
    wait=${wait:-$delay}
    # The server may know better, but not that this job has an hour.
    if [ "$wait" -gt 60 ]; then wait=60; fi
    note "$(shown "$1"): $reason; again in ${wait}s"
    sleep "$wait"
    attempt=$((attempt + 1))
    delay=$((delay * 2))
  done
  tried="$tried; $(shown "$1"): $reason"
  return 1
}

# A private repository shows its releases to the API alone. The address of the file comes from the
# number in its answer and from nothing else there.
by_api() {
  [ -n "$api" ] && [ -n "${DEPLOY_GUARD_DOWNLOAD_TOKEN:-}" ] || return 1
  has curl || return 1
  of=$api/repos/${repository#*://*/}/releases
  printf 'Authorization: Bearer %s\nAccept: application/vnd.github+json\n' "$DEPLOY_GUARD_DOWNLOAD_TOKEN" >"$work/headers"
  download "$of/tags/v$version" "$work/headers" "$work/release.json" || return 1
  number=$(tr '{},[]' '[\n*]' <"$work/release.json" | awk -v name="\"$archive\"" '
    match($0, /"url": *"[^"]*\/releases\/assets\/[0-9]+"/) { number = $0; gsub(/.*\/|"[^"]*$/, "", number) }
    /"name": *"/ { value = $0; sub(/.*"name": */, "", value); sub(/ *$/, "", value)
      if (value == name && number != "") { print number; exit } }')
  if [ -z "$number" ]; then
    tried="$tried; $(shown "$of/tags/v$version"): it has no $archive"
    return 1
  fi
  printf 'Authorization: Bearer %s\nAccept: application/octet-stream\n' "$DEPLOY_GUARD_DOWNLOAD_TOKEN" >"$work/headers"
  download "$of/assets/$number" "$work/headers" "$work/archive"
}

# Puts the archive into `$work/archive`.
get() {
  : >"$work/none"
  if [ -n "$from" ]; then
    download "$from/v$version/$archive" "$work/none" "$work/archive" && return
  elif [ -n "$repository" ]; then
    by_api && return
    download "$repository/releases/download/v$version/$archive" "$work/none" "$work/archive" && return
    # An Enterprise Server gets actions from github.com by GitHub Connect, without their releases.
    # No token goes there.
    owner_and_name=${repository#*://*/}
    if [ -z "$unanswered" ] && [ "$repository" != "https://github.com/$owner_and_name" ]; then
      download "https://github.com/$owner_and_name/releases/download/v$version/$archive" "$work/none" "$work/archive" && return
    fi
  else
    stop 2 'it is not known where the release is' 'give --repository, or --from'
  fi
  stop 4 "failed to download $archive: ${tried#; }" \
    'see whether this machine reaches that address, itself or by HTTPS_PROXY; a mirror is named by download-url (--from), and without any network bin-dir takes a folder'
}

sum_of() { # FILE
  case $summer in
    sha256sum) sha256sum <"$1" ;;
    shasum) shasum -a 256 <"$1" ;;
    openssl) openssl dgst -sha256 -r <"$1" ;;
  esac | cut -d ' ' -f 1
}

# The archive out of the cache, if it is there and right. A copy is looked at: others write there.
from_cache() {
  [ -n "$cache" ] && [ -f "$cache/$version/$archive" ] || return 1
  cp -- "$cache/$version/$archive" "$work/archive" || return 1
  [ "$(sum_of "$work/archive")" = "$sum" ] && return
  note "the cached $archive is not what was released: it is downloaded again"
  return 1
}

# Whole or not at all; a cache that cannot be written is no reason to stop.
to_cache() {
  [ -n "$cache" ] || return 0
  kept=$cache/$version/.$archive.$$
  # Into a folder of that name the file would be moved.
  if mkdir -p -- "$cache/$version" && [ ! -d "$cache/$version/$archive" ] &&
    cp -- "$work/archive" "$kept" && mv -f -- "$kept" "$cache/$version/$archive"; then
    kept=''
    return
  fi
  rm -f -- "$kept"
  kept=''
  note "$cache cannot be written: the archive is not kept"
}

check() {
  actual=$(sum_of "$work/archive")
  if [ "$actual" = "$sum" ]; then return; fi
  advice='it was changed or cut off on its way: see what stands between, and tell the project if others get the same'
  # A server that wants a login answers with a page.
  case $(od -An -tx1 -N2 <"$work/archive") in
    *1f*8b*) ;;
    *) advice='the download is not an archive but perhaps a login page: github-token, or a mirror by download-url' ;;
  esac
  stop 5 "the checksum of $archive is wrong: expected $sum, got $actual" "$advice"
}

# One file of the archive, by its whole name and through a pipe: nothing in it can name a place.
unpack() {
  top=${archive%.tar.gz}
  tar -tzf "$work/archive" >"$work/names" 2>"$work/reason" ||
    stop 5 "$archive cannot be read: $(tr '\n' ' ' <"$work/reason" | cut -c 1-200)" 'tell the project: its checksum is right'
  if grep -v -e "^$top/" "$work/names" >"$work/strange" || grep -e '\.\.' "$work/names" >"$work/strange"; then
    stop 5 "$archive holds a file that does not belong there: $(head -n 1 "$work/strange" | tr -cd '[:print:]' | cut -c 1-200)" \
      'do not use it, and tell the project: its checksum is right'
  fi
  [ "$(grep -c -x -e "$top/deploy-guard" "$work/names")" = 1 ] ||
    stop 5 "$archive does not hold one $top/deploy-guard" 'tell the project: its checksum is right'
  mkdir -p -- "$to" || stop 2 "failed to make the folder $to" 'give --to a folder that you may write to'
  binary=$(mktemp "$to/.deploy-guard.XXXXXXXX") || stop 2 "failed to write to $to" 'give --to a folder that you may write to'
  limited tar -xzOf "$work/archive" "$top/deploy-guard" >"$binary" ||
    stop 5 "$archive cannot be unpacked" 'see whether the disk is full: df -h'
  chmod 755 "$binary"
  said=$("$binary" --version 2>&1) || said="${said:-nothing}"
  [ "$said" = "deploy-guard $version" ] ||
    stop 5 "$archive holds no deploy-guard $version that runs here: $(printf '%s' "$said" | tr -cd '[:print:]' | cut -c 1-200)" \
      'see whether it is built for this machine: uname -sm'
  mv -f -- "$binary" "$to/deploy-guard"
  binary=''
}

number_or() { # NAME VALUE
  case $2 in
    '' | *[!0-9]* | 0* | ?????*) stop 2 "\$$1 is not a number between 1 and 9999: $2" "unset $1" ;;
  esac
}

main() {
  to=${HOME:-/usr/local}/.local/bin from='' repository=$REPOSITORY api='' checksums='' cache='' which=''
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) usage && exit ;;
      --which) which=yes && shift && continue ;;
      --to | --from | --repository | --api | --checksums | --cache) ;;
      *) stop 2 "there is no option $1" 'sh install.sh --help' ;;
    esac
    [ $# -ge 2 ] || stop 2 "$1 wants a value" 'sh install.sh --help'
    case $1 in
      --to) to=$2 ;;
      --from) from=${2%/} ;;
      --repository) repository=${2%/} ;;
      --api) api=${2%/} ;;
      --checksums) checksums=$2 ;;
      --cache) cache=$2 ;;
    esac
    shift 2
  done
  for address in "$from" "$repository" "$api"; do
    case $address in
      *[[:space:]]* | *[[:cntrl:]]*) stop 2 'an address has no blanks' 'write one that begins with https://' ;;
      '' | https://?* | http://?*) ;;
      *) stop 2 "$(shown "$address") is not an address" 'write one that begins with https://' ;;
    esac
  done
  # A path that begins with a dash would be taken for an option.
  case $to in /*) ;; *) to=$PWD/$to ;; esac
  case $cache in '' | /*) ;; *) cache=$PWD/$cache ;; esac
  timeout=${DEPLOY_GUARD_DOWNLOAD_TIMEOUT:-20}
  attempts=${DEPLOY_GUARD_DOWNLOAD_ATTEMPTS:-5}
  number_or DEPLOY_GUARD_DOWNLOAD_TIMEOUT "$timeout"
  number_or DEPLOY_GUARD_DOWNLOAD_ATTEMPTS "$attempts"
  # curl reads this one in small letters alone, the stages read both.
  if [ -n "${HTTP_PROXY:-}" ] && [ -z "${http_proxy:-}" ]; then export http_proxy="$HTTP_PROXY"; fi

  this_machine
  choose
  if [ -n "$which" ]; then
    printf '%s\n' "$archive"
    exit
  fi
  for summer in sha256sum shasum openssl none; do
    if has "$summer"; then break; fi
  done
  [ "$summer" != none ] ||
    stop 2 'there is neither sha256sum, shasum nor openssl' 'install one of them: what is not checked is not installed'
  tried='' unanswered='' binary='' kept=''
  work=$(mktemp -d "${TMPDIR:-/tmp}/deploy-guard.XXXXXXXX") ||
    stop 4 "failed to write to ${TMPDIR:-/tmp}" 'name another folder with TMPDIR'
  # A signal ends the shell by way of EXIT. The 1 of a command that fails unforeseen is no code of ours.
  code=0
  trap 'code=$?; rm -rf -- "$work" ${binary:+"$binary"} ${kept:+"$kept"}; [ $code != 1 ] || code=4; exit $code' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if ! from_cache; then
    get
    check
    to_cache
  fi
  unpack
  note "deploy-guard $version is in $to"
}

# Called on the last line, so that a script which arrived in part does nothing.
main "$@"
