#!/usr/bin/env bash
# Commits the checksums of a release's archives on top of this commit, tags that, and pushes the
# tag alone: main builds from its source, a release downloads. Run again with the same files, it
# finds its own tag; another tag of that name is left as it is.
set -euo pipefail

version=${1:?VERSION}
sums=${2:?CHECKSUMS}
tag=v$version
base=$(git rev-parse HEAD)

if [[ -n $(git ls-remote origin "refs/tags/$tag") ]]; then
  # Two commits: the tag's and its parent.
  git fetch --quiet --depth 2 origin "refs/tags/$tag:refs/tags/$tag"
  if [[ $(git rev-parse "$tag^") == "$base" ]] && git show "$tag:action/checksums.txt" | cmp -s - "$sums"; then
    printf '%s is there already, with these checksums\n' "$tag"
    exit
  fi
  printf 'error: %s is there, with other files\n\nhint: a release never changes: make the next one\n' "$tag" >&2
  exit 1
fi
cp -- "$sums" action/checksums.txt
git add -- action/checksums.txt
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message "release: $tag"
git tag "$tag"
# Without --force: whoever was faster stays.
git push --quiet origin "refs/tags/$tag"
printf '%s is %s\n' "$tag" "$(git rev-parse HEAD)"
