# shellcheck shell=bash
# Base trees: a minimal Debian of each suite, made once and shared by all hosts, read-only.

# What a host has before anything of ours is installed: what Debian's installer would leave that
# systemd, ssh and Ansible need.
readonly INCLUDE=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,ca-certificates,python3-minimal,python3-apt,iproute2,procps

# The archive that this machine's own apt uses.
archive() {
    # shellcheck disable=SC2016  # apt expands it
    apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian|//p' | sort -u | head -n 1
}

# A tree's folder: another recipe makes another one.
tree() { echo "$TREES/$1-$( (echo "$INCLUDE" && declare -f tree_make) | sha256sum | head -c 12)"; }

# Makes those of the suites' trees that are missing, side by side.
trees() {
    tools
    mkdir -p "$TREES"
    local suite job jobs=()
    for suite in $(printf '%s\n' "$@" | sort -u); do
        [ -d "$(tree "$suite")" ] && continue
        say "making the tree of $suite"
        tree_make "$suite" "$(tree "$suite")" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do wait "$job" || die "a tree could not be made"; done
}

# SUITE FOLDER: made aside, and renamed when it is whole.
tree_make() {
    local work root
    work=$(mktemp -d "$TREES/.$1.XXXX")
    root=$work/root
    if ! eatmydata mmdebstrap --quiet --mode=root --variant=minbase --include="$INCLUDE" \
        --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$1" "$root" "deb $(archive) $1 main" >"$work/log" 2>&1; then
        cat "$work/log" >&2
        rm -rf "$work"
        return 1
    fi
    # Nothing of the outside is in it: no archive, no name server, no timer that would look for one.
    rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/apt/sources.list"
    rm -f "$root/etc/resolv.conf" && : >"$root/etc/resolv.conf"
    local unit
    for unit in apt-daily.timer apt-daily-upgrade.timer console-getty.service systemd-timesyncd.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    # nspawn leaves the v1 controllers read-only, and limits would silently do nothing.
    cat >"$root/usr/local/sbin/fleet-init" <<'INIT'
#!/bin/sh
for file in /sys/fs/cgroup/*/cgroup.procs; do
    [ ! -e "$file" ] || mount -o remount,rw,bind "${file%/*}"
done
exec /lib/systemd/systemd
INIT
    chmod 755 "$root/usr/local/sbin/fleet-init" "$root"
    mv -T "$root" "$2" 2>/dev/null || [ -d "$2" ] # another one was quicker
    rm -rf "$work"
}
