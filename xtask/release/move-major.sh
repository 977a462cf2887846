#!/usr/bin/env bash
# Moves the major version's tag, v1 of 1.2.3, to a release: never to an older one, and never to one
# that is not meant for everybody.
set -euo pipefail

version=${1:?VERSION}
major=v${version%%.*}
if [[ $version == *-* ]]; then
  printf '%s stays: v%s is a preview\n' "$major" "$version"
  exit
fi
git fetch --quiet --depth 1 origin '+refs/tags/*:refs/tags/*'
newest=$(git tag --list "$major.*" | grep -v -e - | sort -V | tail -n 1)
if [[ $newest != "v$version" ]]; then
  printf '%s stays: %s is newer than v%s\n' "$major" "$newest" "$version"
  exit
fi
git push --quiet --force origin "refs/tags/v$version^{commit}:refs/tags/$major"
printf '%s is v%s now\n' "$major" "$version"
