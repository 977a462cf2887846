#!/usr/bin/env bash
# Puts the commands of deploy-guard on the PATH of the job for setup/action.yml. They are links in a
# folder of their own, so that nothing else that lies beside the binaries gets there.
set -Eeuo pipefail

root=${GITHUB_ACTION_PATH:?}/..
# shellcheck source=action/common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

readonly COMMANDS=(deploy-guard preflight runner-check healthgate traffic migrate incident rollback)

# Makes `links`, a folder with a link for each command: to its own binary, or to the one that holds
# all stages and goes by the name of its link.
make_links() {
  local temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}} name all=''
  mkdir -p -- "$temp"
  links=$(mktemp -d "$temp/deploy-guard.XXXXXXXX")/bin
  mkdir -- "$links"
  for name in "${COMMANDS[@]}"; do
    if has_binary "$name"; then
      if [[ $name == deploy-guard ]]; then all=$folder/$name; fi
      ln -s -- "$folder/$name" "$links/$name"
    elif [[ -n $all ]]; then
      ln -s -- "$all" "$links/$name"
    fi
  done
}

links=''
find_folder
make_links
for program in "$links"/*; do break; done
if [[ ! -x $program ]]; then
  refuse "there is none of ${COMMANDS[*]} in $folder" 'name the folder that holds the binaries, or leave bin-dir out'
fi
check_version "$program"
if [[ -n ${GITHUB_PATH:-} ]]; then printf '%s\n' "$links" >>"$GITHUB_PATH"; fi
output version "$version"
output path "$links"
printf 'deploy-guard %s is on the PATH: %s\n' "$(one_line "$version")" "$links" >&2
