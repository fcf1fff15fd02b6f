# shellcheck shell=bash
# What the machine itself must have: root, namespaces, tools, control groups.

# Whether hosts can run here. Nothing is left behind.
machine_check() {
    local reason
    [ "$(uname -s)" = Linux ] || reason="this is no Linux"
    [ "$(id -u)" = 0 ] || reason=${reason:-"hosts need root"}
    command -v apt-get >/dev/null || reason=${reason:-"trees are made with apt, which is missing"}
    unshare --mount --net --pid --fork true 2>/dev/null ||
        reason=${reason:-"the kernel grants no namespaces"}
    overlays || reason=${reason:-"no overlay can be mounted in $DIR"}
    [ -n "$(freezer)" ] || reason=${reason:-"no cgroup v2 hierarchy can be written"}
    [ -z "${reason:-}" ] && return
    say "no hosts on this machine: $reason"
    return 1
}

overlays() {
    local work
    mkdir -p "$DIR" 2>/dev/null || return
    work=$(mktemp -d "$DIR/.overlay.XXXX" 2>/dev/null) || return
    mkdir "$work"/{lower,upper,work,root}
    local options="lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/work" result=0
    unshare --mount mount -t overlay overlay -o "$options" "$work/root" 2>/dev/null || result=1
    rm -rf "$work"
    return "$result"
}

# Installs what is missing.
tools() { "$HERE/../../tools/install-deps" fleet; }

# The control groups of this process in every hierarchy, one `CONTROLLERS FOLDER` a line; the
# hosts' are made below them. `v2` stands for the unified one.
cgroups() {
    local controllers path mount
    while IFS=: read -r _ controllers path; do
        case $controllers in
        '')
            mount=/sys/fs/cgroup/unified
            [ -d "$mount" ] || mount=/sys/fs/cgroup
            ;;
        name=*) mount=/sys/fs/cgroup/${controllers#name=} ;;
        *) mount=/sys/fs/cgroup/$controllers ;;
        esac
        [ -e "$mount/cgroup.procs" ] && echo "${controllers:-v2} $mount${path%/}"
    done </proc/self/cgroup
    return 0
}

# The unified hierarchy, which can freeze and kill a whole host.
freezer() {
    local folder
    folder=$(cgroups | sed -n 's/^v2 //p')
    [ -n "$folder" ] && [ -w "$folder" ] && echo "$folder"
    return 0
}

# A host's control group in the unified hierarchy.
host_cgroup() { echo "$(sed -n 's/^v2 //p' "$RUN/cgroups")/$ID/$1"; }

# Removes a host's control groups; the caller has ended its processes.
host_cgroups_remove() {
    local controllers folder
    while read -r controllers folder; do
        [ -d "$folder/$ID/$1" ] || continue
        find "$folder/$ID/$1" -depth -type d -exec rmdir {} \; || say "left behind: $folder/$ID/$1"
    done <"$RUN/cgroups"
}

cgroups_remove() {
    local controllers folder
    while read -r controllers folder; do
        [ ! -d "$folder/$ID" ] || rmdir "$folder/$ID" || say "left behind: $folder/$ID"
    done <"$RUN/cgroups"
}
