# shellcheck shell=bash disable=SC2034  # the other parts use these
# What every part of the fleet knows: where things are, what they are called.

DIR=${FLEET_DIR:-$(cd "$HERE/../.." && pwd)/.cache/fleet}
ID=${FLEET_ID:-fleet}
NET=${FLEET_NET:-10.88.0}
readonly DIR ID NET
readonly TREES=$DIR/trees RUN=$DIR/run/$ID GATEWAY=$NET.1 CONTROL=$ID-ctl
# Of ssh's sockets: their paths must be short.
readonly SOCKETS=/run/rackcast-fleet/$ID

say() { printf 'fleet: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Hosts, as they were named at `up`.
names() { find "$RUN" -mindepth 2 -maxdepth 2 -name suite -printf '%h\n' | sed 's|.*/||' | sort; }
known() { [ -e "$RUN/${1:-?}/suite" ] || die "there is no host ${1:-without a name} (fleet $ID)"; }
