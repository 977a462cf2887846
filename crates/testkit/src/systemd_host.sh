#!/bin/sh
# Becomes systemd in namespaces of its own, on a root made here: nothing that it does touches the
# machine. $1 is a folder that holds `units/` and `etc/`, and `srv/`, its disk.
#
# Of this machine it has the programs that packages installed (/usr) and the settings by which these
# work. Everything else is as on a machine that was just installed: users, units, sudo rules and data
# of this machine must not decide a test.
set -eu
cd "$1"
mkdir -p t
mount -t tmpfs tmpfs t
mkdir -p t/up t/work t/root
root=$PWD/t/root
# A mount of its own: a container engine makes the root that it has private.
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root/usr"
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$PWD/t/up,workdir=$PWD/t/work" "$root/usr"
mount -t tmpfs tmpfs "$root/usr/local"
mkdir -p "$root/usr/local/bin" "$root/usr/local/sbin"
for name in bin sbin lib lib64; do
    [ ! -d "/usr/$name" ] || ln -s "usr/$name" "$root/$name"
done
for name in dev etc home mnt opt proc root run srv sys tmp \
    var/cache var/lib/systemd var/lib/dbus var/lib/sudo var/log var/spool var/tmp \
    etc/sudoers.d etc/systemd/system etc/testkit; do
    mkdir -p "$root/$name"
done
chmod 700 "$root/root"
chmod 1777 "$root/var/tmp"
ln -s /run "$root/var/run"
for name in alternatives bash.bashrc ca-certificates dbus-1 debconf.conf debian_version default environment host.conf \
    hosts ld.so.cache ld.so.conf ld.so.conf.d localtime login.defs nsswitch.conf pam.conf pam.d profile protocols \
    resolv.conf security services shells skel ssl sudo.conf; do
    [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$root/etc/"
done
ln -s ../usr/lib/os-release "$root/etc/os-release"
# The users of the distribution and of the servers that run here, as their packages made them.
ours='^(sshd|messagebus|systemd-[a-z]*|docker|sudo|ssl-cert):'
for name in passwd group; do
    sed 's/:\*:/:x:/' "/usr/share/base-passwd/$name.master" >"$root/etc/$name"
    more=$(grep -E "$ours" "/etc/$name" | while IFS= read -r line; do
        grep -q "^${line%%:*}:" "$root/etc/$name" || echo "$line"
    done)
    [ -z "$more" ] || echo "$more" >>"$root/etc/$name"
done
sed 's/^\([^:]*\):.*/\1:*:19700:0:99999:7:::/' "$root/etc/passwd" >"$root/etc/shadow"
sed 's/^\([^:]*\):.*/\1:*::/' "$root/etc/group" >"$root/etc/gshadow"
chmod 640 "$root/etc/shadow" "$root/etc/gshadow"
printf 'Defaults env_reset,secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n' \
    >"$root/etc/sudoers"
chmod 440 "$root/etc/sudoers"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
cp -a units/. "$root/etc/systemd/system/"
cp etc/* "$root/etc/testkit/"
mount --bind srv "$root/srv"
cd "$root"
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
