#!/bin/sh
# Becomes systemd on an overlay of this machine's root, in namespaces of its own: nothing that it
# does touches the machine. $1 is a folder that holds `units/` and `etc/`, and `srv/`, its disk.
set -eu
cd "$1"
mkdir -p t
mount -t tmpfs tmpfs t
mkdir -p t/up t/work t/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/t/up,workdir=$PWD/t/work" t/root
cp -a units/. t/root/etc/systemd/system/
mkdir -p t/root/etc/testkit
cp etc/* t/root/etc/testkit/
mkdir -p t/root/srv
mount --bind srv t/root/srv
cd t/root
# Every command over SSH reads it, and what a person starts there (a version manager that waits for
# a lock) is no part of a host under test.
rm -f root/.bashrc
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
# systemd cleans /tmp at its start: it must be its own.
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p run/sshd
export container=other
exec chroot . /lib/systemd/systemd --system --unit=testkit.target
