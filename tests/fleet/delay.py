#!/usr/bin/env python3
"""A wire with latency and loss between a host's cable and the bridge.

The kernel of a test machine need not have netem, so frames pass through this process: two taps,
one on a bridge with the host's cable, one on the hosts' bridge. Runs in the control namespace
until SIGTERM, then puts the cable back.
"""

import argparse
import fcntl
import heapq
import os
import pathlib
import random
import select
import signal
import struct
import subprocess
import time

TUNSETIFF = 0x400454CA
TAP_NO_PI = 0x1002
# Frames taken from one side before the other has its turn.
BATCH = 64
FRAME = 65536


def ip(*arguments):
    subprocess.run(("ip", *arguments), check=True)


def tap(name):
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", name.encode(), TAP_NO_PI))
    return file


def carry(sides, delay, loss):
    """Moves frames from side to side for ever, each so much later, in their order."""
    queue, number = [], 0
    while True:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else None
        readable, _, _ = select.select(sides, [], [], wait)
        for side in readable:
            for _ in range(BATCH):
                try:
                    frame = os.read(side, FRAME)
                except BlockingIOError:
                    break
                if random.random() >= loss:
                    number += 1
                    other = sides[1] if side == sides[0] else sides[0]
                    heapq.heappush(queue, (time.monotonic() + delay, number, other, frame))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, side, frame = heapq.heappop(queue)
            try:
                os.write(side, frame)
            except OSError:
                pass  # a full queue loses frames, as a switch does


def stop(*_):
    raise SystemExit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("milliseconds", type=float)
    parser.add_argument("loss", type=float, nargs="?", default=0, help="percent")
    parser.add_argument("--ready", type=pathlib.Path, help="made when the wire is in place")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    near, far, bridge = (f"{kind}-{options.host}" for kind in ("da", "db", "dbr"))
    cable = f"v-{options.host}"
    sides = (tap(near), tap(far))
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", near, "master", bridge, "up")
        ip("link", "set", bridge, "up")
        ip("link", "set", far, "master", "br0", "up")
        ip("link", "set", cable, "master", bridge)
        if options.ready:
            options.ready.touch()
        carry(sides, options.milliseconds / 1000, options.loss / 100)
    finally:
        ip("link", "set", cable, "master", "br0")
        subprocess.run(("ip", "link", "del", bridge), check=False)


if __name__ == "__main__":
    main()
