#!/usr/bin/python
# Copyright: The Rackcast authors
# Licence: Apache-2.0
"""Reads HLS playlists for a while, as a player would."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: hls_watch
short_description: Reads HLS playlists for a while, as a player would
version_added: 0.1.0
description:
  - Reads master playlists and every media playlist that they name once a second, and counts the
    segments that were listed and those that were gaps.
  - Changes nothing.
author: The Rackcast authors (@rackcast)
options:
  urls:
    description: Addresses of master playlists.
    type: list
    elements: str
    required: true
  seconds:
    description: How long to read them.
    type: int
    default: 30
  start_seconds:
    description: How long a stream may take until it can be played.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Watch a stream for a minute
  rackcast.fleet.hls_watch:
    urls: ["http://rackcast-ingest.service.consul:8080/live/show/master.m3u8"]
    seconds: 60
"""

RETURN = r"""
segments:
  description: Segments that were listed, over all renditions.
  type: int
  returned: success
gaps:
  description: Those that were gaps.
  type: int
  returned: success
gap_share:
  description: Gaps over segments; 0 without any.
  type: float
  returned: success
streams:
  description: The same for each address, and what could not be read.
  type: list
  elements: dict
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.six.moves.urllib.parse import urljoin
from ansible.module_utils.urls import open_url

LARGEST = 1 << 20


def fetch(url):
    """The lines of a playlist, and where it was found in the end."""
    answer = open_url(url, timeout=5)
    try:
        lines = answer.read(LARGEST).decode("utf-8").splitlines()
        return lines, answer.geturl()
    finally:
        answer.close()


def media_playlists(master, base):
    """The media playlists that a master playlist names."""
    found = []
    for line in master:
        if line.startswith("#EXT-X-MEDIA:") and 'URI="' in line:
            found.append(urljoin(base, line.split('URI="', 1)[1].split('"', 1)[0]))
        elif line and not line.startswith("#"):
            found.append(urljoin(base, line))
    return found


def segments(lines):
    """Each segment's number, and whether it is a gap."""
    number, gap, listed = 0, False, {}
    for line in lines:
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            number = int(line.split(":", 1)[1])
        elif line.startswith("#EXT-X-GAP"):
            gap = True
        elif line and not line.startswith("#"):
            listed[number] = gap
            number, gap = number + 1, False
    return listed


def watch(urls, seconds, start_seconds):
    """What was seen of each address."""
    seen = dict((url, {}) for url in urls)
    errors = dict((url, None) for url in urls)
    until = time.time() + start_seconds
    begun = False
    while time.time() < until:
        for url in urls:
            try:
                master, base = fetch(url)
                for playlist in media_playlists(master, base):
                    lines, unused = fetch(playlist)
                    seen[url].setdefault(playlist, {}).update(segments(lines))
                errors[url] = None
            except Exception as error:
                errors[url] = str(error)
        if not begun and all(seen.values()):
            begun, until = True, time.time() + seconds
        time.sleep(1)
    return seen, errors


def main():
    """Ansible's way in."""
    module = AnsibleModule(
        argument_spec=dict(
            urls=dict(type="list", elements="str", required=True),
            seconds=dict(type="int", default=30),
            start_seconds=dict(type="int", default=30),
        ),
        supports_check_mode=True,
    )
    urls = module.params["urls"]
    seen, errors = watch(urls, module.params["seconds"], module.params["start_seconds"])
    streams = []
    for url in urls:
        listed = [gap for playlist in seen[url].values() for gap in playlist.values()]
        streams.append(dict(url=url, segments=len(listed), gaps=sum(listed), error=errors[url]))
    total = sum(stream["segments"] for stream in streams)
    gaps = sum(stream["gaps"] for stream in streams)
    module.exit_json(
        changed=False,
        streams=streams,
        segments=total,
        gaps=gaps,
        gap_share=float(gaps) / total if total else 0.0,
    )


if __name__ == "__main__":
    main()
