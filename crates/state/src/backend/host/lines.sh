# The values come first.
# shellcheck shell=sh disable=SC2154
# Numbered files of lines beside the state: list them, create one, append to it, remove it.
dir=$path$folder
if [ "$verb" = list ]; then
  if absent "$dir"; then say absent; exit 0; fi
  say found
  ls "$dir" || exit 1
  exit 0
fi
file=$dir/$name
if [ "$verb" = remove ]; then
  why=$(rm -f "$file" 2>&1) || failed "$why"
  say 'done'
  exit 0
fi
if [ ! -d "$dir" ]; then
  why=$(mkdir -p "$dir" 2>&1) || failed "$why"
  own "$dir"
fi
take
if [ "$verb" = create ]; then
  [ ! -e "$file" ] || give conflict
  why=$( (printf '%s\n' "$line" | fill "$file.new" "" && mv "$file.new" "$file") 2>&1) || {
    rm -f "$file.new"
    give failed "$why"
  }
  why=$(sync "$dir" 2>&1) || give unsure "$why"
  give 'done'
fi
cut() { dd if=/dev/null of="$file" bs=1 seek="$1" 2>/dev/null; }
size=$(wc -c <"$file" 2>&1) || give failed "$size"
[ "$((size))" = "$seen" ] || give conflict
if [ "$seen" != "$whole" ]; then cut "$whole" || give failed "a torn line cannot be cut off"; fi
why=$( (printf '%s\n' "$line" | cat >>"$file" && sync "$file") 2>&1) || {
  cut "$whole"
  give failed "$why"
}
give 'done'
