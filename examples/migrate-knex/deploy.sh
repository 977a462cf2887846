#!/bin/sh
# Brings a release to the machine, or makes one live that is there:
#   ./deploy.sh upload v1.2.4     dist/ becomes /srv/shop/releases/v1.2.4, and /srv/shop/next points to it
#   ./deploy.sh live v1.2.4
set -eu
action=$1 release=$2
case $release in
  '' | .* | *[!A-Za-z0-9._-]*) echo "no folder's name: $release" >&2; exit 2 ;;
esac

umask 077
key=$(mktemp)
trap 'rm -f "$key"' EXIT
printf '%s\n' "$PRODUCTION_SSH_PRIVATE_KEY" >"$key"

# The machine is that of deploy-guard.yml.
machine() {
  ssh -i "$key" -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=10 \
    -o UserKnownHostsFile=.github/known_hosts "ssh://deploy@10.0.0.11" "$1"
}

case $action in
  upload)
    tar -C dist -cf - . | machine "
      set -eu
      umask 022
      cd /srv/shop
      # A folder of that name is whole, and is never changed again: also a rollback relies on it.
      if [ -d 'releases/$release' ]; then
        cat >/dev/null
      else
        rm -rf incoming
        mkdir -p releases incoming
        tar -C incoming -xf -
        mv incoming 'releases/$release'
      fi
      ln -sfn '/srv/shop/releases/$release' next
    "
    ;;
  live)
    machine "
      set -eu
      cd /srv/shop
      ln -sfn '/srv/shop/releases/$release' current.new
      mv -T current.new current
      sudo -n systemctl restart -- shop.service
    "
    ;;
  *) echo "neither upload nor live: $action" >&2; exit 2 ;;
esac
