#!/usr/bin/env bash
# Refuses what must not become a release: another version than this commit's, one that its users
# are told nothing of, one that is out already.
set -euo pipefail

version=${1:?VERSION}
stop() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  stop "\`$version\` is not a version" 'give it without a v, such as 1.2.3'
here=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[[ $version == "$here" ]] ||
  stop "Cargo.toml has version $here" "set it to $version on main first"
grep -q -F -x -e "## $version" -e "## [$version]" <(sed 's/ - .*//' CHANGELOG.md) ||
  stop "CHANGELOG.md has no heading for $version" "name what is under Unreleased: ## [$version] - $(date -u +%F)"
if [[ -n $(git ls-remote origin "refs/tags/v$version") ]]; then
  stop "v$version is released" 'a release never changes: make the next one'
fi
