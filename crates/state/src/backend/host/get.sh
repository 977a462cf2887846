# The values come first.
# shellcheck shell=sh disable=SC2154
path=$path$suffix
if absent "$path"; then say absent; exit 0; fi
if [ ! -f "$path" ]; then say odd; exit 0; fi
size=$(wc -c <"$path" 2>&1) || failed "$size"
if [ "$((size))" -gt "$limit" ]; then say large; exit 0; fi
[ -r "$path" ] || failed "$path: Permission denied"
say found
cat "$path" || exit 1
