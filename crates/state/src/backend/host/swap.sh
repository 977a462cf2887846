# The values come first; `fill` only takes the mode of its second file.
# shellcheck shell=sh disable=SC2154,SC2094
# Compare and swap: `sha` and `crc` are those of the state that was read, or empty where there was
# none; `new` replaces it, and it is kept beside under the ending `keep`.
dir=${path%/*}
dir=${dir:-/}
why=$(mkdir -p "$dir" 2>&1) || failed "$why"
take
if [ -z "$sha" ]; then
  absent "$path" || give conflict
else
  [ -f "$path" ] || give conflict
  if command -v sha256sum >/dev/null 2>&1; then
    is=$(sha256sum <"$path") && is=${is%% *} was=$sha
  else
    is=$(cksum <"$path") was=$crc
  fi || give failed "$path cannot be read"
  [ "$is" = "$was" ] || give conflict
  why=$( (fill "$path$keep.new" "$path" <"$path" && mv -f "$path$keep.new" "$path$keep") 2>&1) || {
    rm -f "$path$keep.new"
    give failed "$why"
  }
fi
why=$( (printf '%s\n' "${new%?}" | fill "$path.new" "$path") 2>&1) || {
  rm -f "$path.new"
  give failed "$why"
}
# The operation that took the lock over has the right to write.
holds || { rm -f "$path.new"; give conflict; }
why=$(mv -f "$path.new" "$path" 2>&1) || { rm -f "$path.new"; give failed "$why"; }
why=$(sync "$dir" 2>&1) || give unsure "$why"
give 'done'
