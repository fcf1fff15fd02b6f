# shellcheck shell=bash
# What hosts install when nothing leaves the machine: the packages that apt itself takes from the
# suite for what is asked of it, as a repository of their own. Fetched once, kept beside the trees.

# SUITE [FOLDER...] PACKAGE...: the folders (known by a slash in their names) hold packages that
# may be asked for, and that hosts have from elsewhere: what those depend on is fetched, they are
# not. Prints the mirror's folder.
mirror() {
    tools
    local suite=$1 tree key mirror own=()
    shift
    while [[ ${1:-} == */* ]]; do
        [ -d "$1" ] || die "there is no folder $1"
        own+=("$(cd "$1" && pwd)")
        shift
    done
    trees "$suite"
    tree=$(tree "$suite")
    key=$( (echo "$tree" "$@" && mirror_wants "${own[@]}" && declare -f mirror_make) | sha256sum)
    mirror=$DIR/mirror/$suite-${key:0:12}
    [ -d "$mirror" ] || mirror_make "$suite" "$tree" "$mirror" "${#own[@]}" "${own[@]}" "$@"
    echo "$mirror"
}

# What the packages in these folders depend on: another list needs another mirror, a new build of
# the same does not.
mirror_wants() {
    local deb
    [ $# -gt 0 ] || return 0
    find -H "$@" -name '*.deb' | while read -r deb; do
        dpkg-deb -f "$deb" Package Architecture Pre-Depends Depends
    done | sed 's/(= [^)]*)//g' | sort -u
}

# SUITE TREE MIRROR COUNT FOLDER... PACKAGE...
mirror_make() {
    local suite=$1 tree=$2 mirror=$3 work
    local own=("${@:5:$4}")
    shift $((4 + $4))
    say "fetching what $* need of $suite"
    mkdir -p "$DIR/mirror"
    work=$(mktemp -d "$DIR/mirror/.$suite.XXXX")
    mkdir -p "$work"/{lists/partial,cache/archives/partial,own,debs}
    echo "deb $(archive) $suite main" >"$work/sources.list"
    if [ ${#own[@]} -gt 0 ]; then
        find -H "${own[@]}" -name '*.deb' -exec cp -t "$work/own" {} +
        (cd "$work/own" && apt-ftparchive packages . >Packages && apt-ftparchive release . >../R &&
            mv ../R Release)
        echo "deb [trusted=yes] file:$work/own ./" >>"$work/sources.list"
    fi
    if ! { private_apt "$work" -o "Dir::State::status=$tree/var/lib/dpkg/status" update &&
        private_apt "$work" -o "Dir::State::status=$tree/var/lib/dpkg/status" \
            --no-install-recommends --download-only install "$@"; } >"$work/log" 2>&1; then
        cat "$work/log" >&2
        rm -rf "$work"
        die "apt cannot satisfy $* on $suite"
    fi
    find "$work/cache/archives" -name '*.deb' -exec mv -t "$work/debs" {} +
    mirror_finish "$work" "$mirror"
}

# Consul as Debian shipped it last (MPL-2.0), with what newer suites lack of its dependencies.
# Prints the folder.
consul() {
    tools
    local work mirror=$DIR/mirror/consul-bullseye
    if [ ! -d "$mirror" ]; then
        mkdir -p "$DIR/mirror"
        work=$(mktemp -d "$DIR/mirror/.consul.XXXX")
        mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
        echo "deb $(archive) bullseye main" >"$work/sources.list"
        if ! { private_apt "$work" update &&
            (cd "$work/debs" && private_apt "$work" download consul pipexec); } >"$work/log" 2>&1; then
            cat "$work/log" >&2
            rm -rf "$work"
            die "consul cannot be fetched"
        fi
        mirror_finish "$work" "$mirror"
    fi
    echo "$mirror"
}

# WORK CMD...: apt with a state and a source list of its own; this machine's is not touched.
private_apt() {
    local work=$1
    shift
    apt-get -qq -y -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 \
        -o Acquire::Check-Valid-Until=false -o Debug::NoLocking=1 "$@"
}

# WORK MIRROR: an index for WORK/debs, which then becomes the mirror.
mirror_finish() {
    # An empty Release, or none, and apt does not take it.
    (cd "$1/debs" && apt-ftparchive packages . >Packages && gzip -kn Packages &&
        apt-ftparchive release . >../Release && mv ../Release .)
    chmod 755 "$1/debs"
    mv -T "$1/debs" "$2" 2>/dev/null || [ -d "$2" ] # another one was quicker
    rm -rf "$1"
}
