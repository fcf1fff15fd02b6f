#!/usr/bin/python
# Copyright: The Rackcast authors
# Licence: Apache-2.0
"""Waits until the services of a machine are fit."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: fit
short_description: Waits until the services of a machine are fit
version_added: 0.1.0
description:
  - A service is fit when systemd runs the program that is installed and every check of it passes in
    Consul, which is what routing goes by.
  - Says of each that is not what its checks and systemd say. Changes nothing.
author: The Rackcast authors (@rackcast)
options:
  services:
    description: Services of the machine that Consul must find passing, such as C(transcode).
    type: list
    elements: str
    required: true
  daemons:
    description: Daemons that must run the program that is installed.
    type: list
    elements: str
    default: [agent]
  url:
    description: Address of the machine's Consul agent.
    type: str
    default: http://127.0.0.1:8500
  token_file:
    description: File with a token that may read the services; none where it does not exist.
    type: path
  prefix:
    description: What the services' names begin with.
    type: str
    default: rackcast
  warnings:
    description: A service with a warning is fit; it is told.
    type: bool
    default: false
  drained:
    description:
      - A service that is in maintenance, as those of a drained machine are, and well otherwise, is
        fit; it is told.
    type: bool
    default: false
    version_added: 0.1.0
  wait:
    description: Seconds that it may take.
    type: int
    default: 60
  steady:
    description: Seconds for which they must stay fit, with the same processes.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Wait until the transcode node is fit
  rackcast.fleet.fit:
    services: [transcode]
    daemons: [agent, transcode]
    token_file: /etc/rackcast/credentials/agent/consul-token
"""

RETURN = r"""
took:
  description: Seconds that it took.
  type: float
  returned: always
warnings_of:
  description: What is not as it should be, and does no harm.
  type: list
  elements: str
  returned: success
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.six.moves.urllib.error import HTTPError
from ansible.module_utils.urls import open_url

PAUSE = 0.5
# How Consul's agent answers for a service: the status of its worst check.
PASSING = 200
WARNING = 429
UNKNOWN = 404
CRITICAL = 503
# Ours: critical by the maintenance alone, which Consul calls so.
MAINTENANCE = "maintenance"
IN_MAINTENANCE = "Service Maintenance Mode is "


class Machine(object):
    """What can be asked on this machine."""

    def __init__(self, module):
        self.module = module
        self.params = module.params

    def look(self):
        """Problems, warnings, and the processes that were seen."""
        problems, warnings, processes = [], [], []
        for daemon in self.params["daemons"]:
            process, problem = self.process(daemon)
            processes.append(process)
            if problem:
                problems.append(problem)
        for service in self.params["services"]:
            status, story = self.health(service)
            if status == WARNING and self.params["warnings"]:
                warnings.append(story)
            elif status == MAINTENANCE and self.params["drained"]:
                warnings.append(story)
            elif status != PASSING:
                problems.append(story)
        return problems, warnings, processes

    def process(self, daemon):
        """A daemon's process, and what is wrong with it."""
        unit = "rackcast-{0}".format(daemon)
        command = ["systemctl", "show", "-p", "MainPID", "-p", "ActiveState", "-p", "Result", unit]
        text = self.module.run_command(command)[1]
        told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        pid = told.get("MainPID", "0")
        if told.get("ActiveState") not in ("active", "reloading"):
            state = (told.get("ActiveState"), told.get("Result"), unit)
            return pid, "{2} is {0} ({1}): journalctl -u {2} says why".format(*state)
        installed = "/usr/bin/" + unit
        try:
            program = os.readlink("/proc/{0}/exe".format(pid))
        except OSError as error:
            return pid, "{0}: {1}".format(unit, error)
        if program != installed:
            return pid, (
                "{0} runs {1} and not what is installed: the new version was refused, or waits "
                "for a restart; journalctl -u {0} says which".format(unit, program)
            )
        return pid, None

    def health(self, service):
        """What Consul says of a service: a status, and its checks in words."""
        name = "{0}-{1}".format(self.params["prefix"], service)
        url = "{0}/v1/agent/health/service/name/{1}".format(self.params["url"].rstrip("/"), name)
        try:
            answer = open_url(url, headers=self.headers(), timeout=5)
            status, body = answer.getcode(), answer.read()
        except HTTPError as error:
            status, body = error.code, error.read()
        except Exception as error:
            return 0, "{0}: Consul's agent cannot be asked: {1}".format(name, error)
        if status == UNKNOWN:
            return status, "{0} is not registered in Consul".format(name)
        if status not in (PASSING, WARNING, CRITICAL):
            text = body.decode("utf-8", "replace").strip()
            return status, "{0}: Consul's agent answers {1}: {2}".format(name, status, text)
        bad = bad_checks(body)
        if status == CRITICAL and bad and all(check.startswith(IN_MAINTENANCE) for check in bad):
            status = MAINTENANCE
        return status, "{0}: {1}".format(name, "; ".join(bad) or "passing")

    def headers(self):
        """With the token, if there is one."""
        path = self.params["token_file"]
        if not path or not os.path.exists(path):
            return {}
        with open(path) as token:
            return {"X-Consul-Token": token.read().strip()}


def bad_checks(body):
    """The checks that do not pass, in words."""
    told = []
    try:
        for instance in json.loads(body.decode("utf-8", "replace")):
            for check in instance.get("Checks") or []:
                if check.get("Status") != "passing":
                    # Why there is a maintenance stands in its notes.
                    story = check.get("Output") or check.get("Notes")
                    what = (check.get("Name"), check.get("Status"), story)
                    told.append("{0} is {1}: {2}".format(*what).strip())
    except (ValueError, AttributeError, TypeError) as error:
        told.append(str(error))
    return told


def main():
    """Ansible's way in."""
    module = AnsibleModule(
        argument_spec=dict(
            services=dict(type="list", elements="str", required=True),
            daemons=dict(type="list", elements="str", default=["agent"]),
            url=dict(type="str", default="http://127.0.0.1:8500"),
            token_file=dict(type="path", no_log=False),
            prefix=dict(type="str", default="rackcast"),
            warnings=dict(type="bool", default=False),
            drained=dict(type="bool", default=False),
            wait=dict(type="int", default=60),
            steady=dict(type="int", default=0),
        ),
        supports_check_mode=True,
    )
    machine = Machine(module)
    begun = time.time()
    since, known = None, None
    while True:
        problems, warnings, processes = machine.look()
        now = time.time()
        if problems or processes != known:
            since, known = now, processes
        if not problems and now - since >= module.params["steady"]:
            for warning in warnings:
                module.warn(warning)
            module.exit_json(changed=False, took=round(now - begun, 1), warnings_of=warnings)
        if now - begun > module.params["wait"] + module.params["steady"]:
            why = problems or ["its daemons keep being restarted"]
            module.fail_json(msg="not fit: " + "; ".join(why), took=round(now - begun, 1))
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
