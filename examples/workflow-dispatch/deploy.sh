#!/bin/sh
# Makes a release live: ./deploy.sh v1.2.4. In place of whatever deploys your service; safe to run
# twice.
set -eu
release=$1
case $release in
  '' | .* | *[!A-Za-z0-9._-]*) echo "no name of a release: $release" >&2; exit 2 ;;
esac
test -d "/srv/shop/releases/$release"
ln -sfn "releases/$release" /srv/shop/current.new
mv -T /srv/shop/current.new /srv/shop/current
