#!/bin/sh
# Runs the playbook on the hosts of the inventory: ./deploy.sh v1.2.4
set -eu
release=$1
case $release in
  '' | .* | *[!A-Za-z0-9._-]*) echo "no folder's name: $release" >&2; exit 2 ;;
esac

umask 077
key=$(mktemp)
trap 'rm -f "$key"' EXIT
printf '%s\n' "$PRODUCTION_SSH_PRIVATE_KEY" >"$key"

ansible-playbook -i inventory/production --private-key "$key" -e "release=$release" deploy.yml
