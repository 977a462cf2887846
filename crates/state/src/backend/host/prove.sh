# The values come first.
# shellcheck shell=sh disable=SC2154
# Whether the state could be written: its folder and that of its journals take a new file.
dir=$above
while [ ! -e "$dir" ] && [ "$dir" != / ]; do
  dir=${dir%/*}
  dir=${dir:-/}
done
for dir in "$dir" "$path$folder"; do
  [ -d "$dir" ] || continue
  probe=$dir/.deploy-guard-$token
  why=$( (: >"$probe") 2>&1) || failed "nothing can be written in $dir: $why"
  rm -f "$probe"
done
say 'done'
