#!/bin/sh
# Starts a release on the idle colour and sends the traffic there: ./deploy.sh v1.2.4
set -eu
release=$1
case $release in
  '' | *[!A-Za-z0-9._-]*) echo "no image's tag: $release" >&2; exit 2 ;;
esac

# The colours are those of `rollback.nginx` in deploy-guard.yml. The one with the traffic is left
# alone: it is what a rollback goes back to.
upstream=/etc/nginx/shop/upstream.conf
if grep -qF 'server 127.0.0.1:8001' "$upstream"; then
  colour=green address=127.0.0.1:8002
else
  colour=blue address=127.0.0.1:8001
fi

docker rm -f "shop-$colour" >/dev/null 2>&1 || :
docker run -d --name "shop-$colour" --restart unless-stopped --network host \
  -e PORT="${address#*:}" "ghcr.io/acme/shop:$release"
# No user meets it before it answers.
curl -fsS --retry 60 --retry-delay 1 --retry-connrefused --retry-max-time 60 -o /dev/null "http://$address/health/ready"

# Moved there whole: nginx never reads half a file.
printf 'upstream shop { server %s; keepalive 8; }\n' "$address" >"$upstream.new"
mv "$upstream.new" "$upstream"
sudo -n nginx -t
sudo -n nginx -s reload
