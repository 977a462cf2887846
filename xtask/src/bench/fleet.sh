#!/bin/sh
# Twenty hosts on a bridge of a network namespace that is made for them: each has an SSH server at
# 10.99.0.N, and on its own loopback an nginx before two colours. $1 is a folder that holds `site/`
# (nginx.conf and upstream.conf), the keys `host` and `client.pub`, and an empty `home/`.
set -eu
cd "$1"
here=$PWD
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/netns
ip link set lo up
ip link add bridge type bridge
ip addr add 10.99.0.254/24 dev bridge
ip link set bridge up
n=1
while [ $n -le 20 ]; do
  cp -r site "host-$n"
  cat >"host-$n/sshd_config" <<EOF
Port 22
ListenAddress 10.99.0.$n
HostKey $here/host
PidFile none
AuthorizedKeysFile $here/client.pub
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
SetEnv HOME=$here/home
EOF
  ip netns add "h$n"
  ip link add "v$n" type veth peer name eth0 netns "h$n"
  ip link set "v$n" master bridge up
  ip -n "h$n" addr add "10.99.0.$n/24" dev eth0
  ip -n "h$n" link set eth0 up
  ip -n "h$n" link set lo up
  # Each sees its own folder as `site`.
  ip netns exec "h$n" unshare --mount sh -c "
    mount --bind host-$n site
    nginx -e stderr -p '$here/site' -c nginx.conf
    exec /usr/sbin/sshd -D -e -f '$here/site/sshd_config'" 2>"host-$n.log" &
  n=$((n + 1))
done
wait
