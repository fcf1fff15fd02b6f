# shellcheck shell=bash
# Hosts: their disks, their power, and the ways in.

# NAME SUITE NUMBER [MIB]: a disk (an overlay's upper folder) with an identity, and a cable. With MIB it
# has that much room, in memory.
host_new() {
    local name=$1 home=$RUN/$1 ip=$NET.$((10 + $3)) etc
    case $name in *[!a-z0-9-]* | '') die "a host's name is of a-z, 0-9 and -: $name" ;; esac
    # The cable's name is v-NAME, the delay's dbr-NAME: 15 letters at most.
    [ ${#name} -le 11 ] || die "a host's name has 11 letters at most: $name"
    mkdir -p "$home/root"
    if [ -n "${4:-}" ]; then
        mkdir "$home/small"
        mount -t tmpfs -o "size=$4m,mode=755" "disk of $name" "$home/small"
        ln -s small/disk "$home/disk"
        ln -s small/work "$home/work"
        mkdir "$home"/small/{disk,work}
    else
        mkdir "$home"/{disk,work}
    fi
    etc=$home/disk/etc
    mkdir -p "$etc/ssh" "$home/disk/root/.ssh"
    chmod 700 "$home/disk/root" "$home/disk/root/.ssh"
    echo "$2" >"$home/suite"
    echo "$ip" >"$home/ip"
    tree "$2" >"$home/tree"
    echo "$ID-$name" >"$home/netns"
    tr -d - </proc/sys/kernel/random/uuid >"$etc/machine-id"
    echo "$name" >"$etc/hostname"
    cp "$RUN/key.pub" "$home/disk/root/.ssh/authorized_keys"
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$etc/ssh/ssh_host_ed25519_key"
    echo "$name,$ip $(cut -d ' ' -f 1,2 "$etc/ssh/ssh_host_ed25519_key.pub")" >>"$RUN/known_hosts"
    host_network_up "$name" "$ip"
}

# Everyone knows everyone, as with a name server of the rack.
hosts_files() {
    local name
    echo "127.0.0.1 localhost" >"$RUN/hosts"
    for name in $(names); do echo "$(cat "$RUN/$name/ip") $name" >>"$RUN/hosts"; done
    for name in $(names); do cp "$RUN/hosts" "$RUN/$name/disk/etc/hosts"; done
}

# `ssh -F` with it knows every host by its name; keys are checked as in earnest.
ssh_config() {
    local name
    {
        for name in $(names); do printf 'Host %s\n    HostName %s\n' "$name" "$(cat "$RUN/$name/ip")"; done
        cat <<CONFIG
Host *
    User root
    IdentityFile $RUN/key
    IdentitiesOnly yes
    UserKnownHostsFile $RUN/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
    ConnectTimeout 15
    ServerAliveInterval 5
    ControlPath $SOCKETS/%n
    LogLevel ERROR
CONFIG
    } >"$RUN/ssh_config"
}

# For Ansible, run with `fleet ctl`: groups are the suites.
inventory() {
    local name
    echo "[fleet]"
    for name in $(names); do echo "$name ansible_host=$(cat "$RUN/$name/ip")"; done
    for name in $(names); do printf '[%s]\n%s\n' "$(cat "$RUN/$name/suite")" "$name"; done
    cat <<VARS
[fleet:vars]
ansible_user=root
ansible_python_interpreter=/usr/bin/python3
ansible_ssh_common_args=-F $RUN/ssh_config
VARS
}

# Power on.
host_start() {
    known "$1"
    cable "$1" up
    background "$RUN/$1/console" unshare --mount --propagation=private \
        "$HERE/boot" "$RUN" "$ID" "$1" >"$RUN/$1/boot"
}

# Waits until systemd has started everything that it should.
host_wait() {
    known "$1"
    local state until=$((SECONDS + 120))
    while ((SECONDS < until)); do
        state=$(host_exec "$1" systemctl is-system-running 2>/dev/null) || :
        case $state in
        running | degraded)
            say "$1 ($(cat "$RUN/$1/suite")) $(cat "$RUN/$1/ip") $state"
            host_connect "$1"
            return
            ;;
        esac
        sleep 0.1
    done
    tail -n 20 "$RUN/$1/console" >&2
    die "$1 did not come up"
}

# One connection for all commands that follow: logging in is most of what a short one takes.
# Without it, each has its own.
host_connect() {
    mkdir -p "$SOCKETS" && chmod 700 "$SOCKETS"
    background "$RUN/$1/ssh.log" nsenter --net="/run/netns/$CONTROL" -- \
        ssh -F "$RUN/ssh_config" -MN "$1" >"$RUN/$1/ssh"
    local i
    for ((i = 0; i < 60; i++)); do
        [ ! -e "$SOCKETS/$1" ] || return 0
        sleep 0.05
    done
}

host_disconnect() {
    [ -e "$RUN/$1/ssh" ] || return 0
    end "$(cat "$RUN/$1/ssh")"
    rm -f "$RUN/$1/ssh" "$SOCKETS/$1"
}

# After a pause the connection is gone, or about to find out that it is.
host_reconnect() {
    host_runs "$1" || return 0
    host_disconnect "$1"
    host_connect "$1"
}

host_exec() {
    known "${1:-}"
    ctl ssh -F "$RUN/ssh_config" "$@"
}

# The host's init, as this machine sees it.
host_pid() {
    known "$1"
    head -n 1 "$(host_cgroup "$1")/payload/init.scope/cgroup.procs"
}

host_enter() {
    local pid
    pid=$(host_pid "$1")
    shift
    exec nsenter --target "$pid" --mount --uts --ipc --net --pid -- "$@"
}

# Whether it has power.
host_runs() { grep -qs 'populated 1' "$(host_cgroup "$1")/cgroup.events"; }

# NAME 0|1
host_freeze() {
    known "$1"
    echo "$2" >"$(host_cgroup "$1")/cgroup.freeze"
}

host_thaw() {
    host_freeze "$1" 0
    host_reconnect "$1"
}

host_heal() {
    cable "$1" up
    host_reconnect "$1"
}

# It has power, a cable, and goes on, whatever was done to it.
host_mend() {
    cable "$1" up
    if host_runs "$1"; then
        host_thaw "$1"
    else
        host_start "$1"
        host_wait "$1"
    fi
}

# Power loss: no connection is closed, since the cable is the first to go.
host_kill() {
    known "$1"
    local group
    group=$(host_cgroup "$1")
    host_disconnect "$1"
    [ -d "$group" ] || return 0
    cable "$1" down
    echo 1 >"$group/cgroup.kill"
    host_gone "$1"
}

# Power off, as the button does it.
host_stop() {
    known "$1"
    host_exec "$1" systemctl poweroff || : # ssh may be cut off before it has the answer
    host_gone "$1"
}

host_gone() {
    host_disconnect "$1"
    local group i
    group=$(host_cgroup "$1")
    for ((i = 0; i < 1500; i++)); do
        if ! host_runs "$1"; then
            host_cgroups_remove "$1"
            return
        fi
        sleep 0.02
    done
    die "$1 still runs"
}
