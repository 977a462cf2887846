#!/bin/sh
# Makes a release live: ./deploy.sh v1.2.4
set -eu
release=$1
case $release in
  '' | *[!A-Za-z0-9._-]*) echo "no image's tag: $release" >&2; exit 2 ;;
esac

# Not in the checkout: containers outlive the job, and so must the files that they are made from.
cp compose.yml /srv/shop/compose.yml
cd /srv/shop
cat >docker-compose.deploy-guard.yml <<END
services:
  web: { image: "ghcr.io/acme/shop:$release" }
END

if docker compose version >/dev/null 2>&1; then compose='docker compose'; else compose=docker-compose; fi
# The files and their order are those of `rollback.compose` in deploy-guard.yml.
$compose -p shop -f compose.yml -f docker-compose.deploy-guard.yml up -d
