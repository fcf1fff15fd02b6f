# shellcheck shell=bash
# The hosts' network: a bridge in a namespace of its own, which nothing leaves.

# Runs a command beside the hosts. Not `ip netns exec`: that mounts /sys anew and hides the cgroups.
ctl() { nsenter --net="/run/netns/$CONTROL" -- "$@"; }

network_up() {
    ip netns add "$CONTROL"
    ip -n "$CONTROL" link set lo up
    ip -n "$CONTROL" link add br0 type bridge
    ip -n "$CONTROL" addr add "$GATEWAY/24" dev br0
    ip -n "$CONTROL" link set br0 up
}

network_down() { [ ! -e "/run/netns/$CONTROL" ] || ip netns del "$CONTROL"; }

# NAME ADDRESS
host_network_up() {
    local space=$ID-$1
    ip netns add "$space"
    ip -n "$CONTROL" link add "v-$1" type veth peer name eth0 netns "$space"
    ip -n "$CONTROL" link set "v-$1" master br0 up
    ip -n "$space" link set lo up
    ip -n "$space" addr add "$2/24" dev eth0
    ip -n "$space" link set eth0 up
    # Nothing forwards it, but programs that look for the machine's main address want one.
    ip -n "$space" route add default via "$GATEWAY"
}

host_network_down() { [ ! -e "/run/netns/$ID-$1" ] || ip netns del "$ID-$1"; }

# NAME up|down
cable() {
    known "$1"
    ip -n "$CONTROL" link set "v-$1" "$2"
}

# A B: what they send to one another is lost.
part() {
    known "$1" && known "$2"
    ctl nft "add table bridge fleet
        add chain bridge fleet part { type filter hook forward priority 0; }
        add rule bridge fleet part iifname v-$1 oifname v-$2 drop
        add rule bridge fleet part iifname v-$2 oifname v-$1 drop"
}

unpart() { ctl nft 'add table bridge fleet; delete table bridge fleet'; }

# NAME MS [LOSS%]
delay() {
    known "$1"
    [ ! -e "$RUN/$1/delay" ] || undelay "$1"
    background "$RUN/$1/delay.log" nsenter --net="/run/netns/$CONTROL" -- \
        python3 "$HERE/delay.py" --ready "$RUN/$1/delay.up" "$@" >"$RUN/$1/delay"
    local i
    for ((i = 0; i < 100; i++)); do
        [ ! -e "$RUN/$1/delay.up" ] || return 0
        sleep 0.05
    done
    cat "$RUN/$1/delay.log" >&2
    die "the delay of $1 does not come up"
}

undelay() {
    known "$1"
    [ -e "$RUN/$1/delay" ] || return 0
    end "$(cat "$RUN/$1/delay")"
    rm -f "$RUN/$1/delay" "$RUN/$1/delay.up"
}

delays_end() {
    local name
    for name in $(names); do undelay "$name"; done
}

# FOLDER: over HTTP, to the hosts and nobody else.
serve() {
    serve_end
    background "$RUN/serve.log" nsenter --net="/run/netns/$CONTROL" -- \
        python3 -m http.server --bind "$GATEWAY" --directory "$1" 80 >"$RUN/serve"
    local i
    for ((i = 0; i < 100; i++)); do
        ! ctl bash -c "exec 3<>/dev/tcp/$GATEWAY/80" 2>/dev/null || return 0
        sleep 0.05
    done
    cat "$RUN/serve.log" >&2
    die "nothing is served at http://$GATEWAY/"
}

serve_end() {
    [ -e "$RUN/serve" ] || return 0
    end "$(cat "$RUN/serve")"
    rm -f "$RUN/serve"
}

# LOG CMD...: starts it, and prints its process id. It outlives the caller, and must not keep what
# that has open, such as the lock of whoever runs one fleet at a time.
background() {
    local log=$1 fd
    shift
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    echo $!
}

# Ends a process and waits until it is gone.
end() {
    local i
    kill "$1" 2>/dev/null || return 0
    for ((i = 0; i < 100; i++)); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.02
    done
    kill -KILL "$1" 2>/dev/null || :
}
