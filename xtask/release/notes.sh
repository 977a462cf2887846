#!/usr/bin/env bash
# What CHANGELOG.md says of a version.
set -euo pipefail

awk -v version="${1:?VERSION}" '
  /^## / { title = $2; gsub(/[][]/, "", title); inside = (title == version); next }
  inside' CHANGELOG.md
