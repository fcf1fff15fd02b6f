#!/usr/bin/python
# Copyright: The Rackcast authors
# Licence: Apache-2.0
"""Brings what was configured into force."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: in_force
short_description: Brings what was configured into force
version_added: 0.1.0
description:
  - A reload puts most keys of a daemon's configuration in force. What else was changed waits for a
    restart, or, in an ingest, for a hand-over to a new generation; the machine's agent knows.
  - Hands over and restarts what waits, and returns when it is in service again and nothing waits.
    A hand-over cuts off nobody. A transcode node that is restarted finishes first what it has.
author: The Rackcast authors (@rackcast)
options:
  restart:
    description:
      - Daemons that may be restarted. An ingest that is restarted cuts off its publishers; one that
        may not be is told of in a warning.
    type: list
    elements: str
    choices: [agent, transcode, ingest]
    default: [agent, transcode]
  wait:
    description: Seconds that each may take until it is in service again.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Take into force what was configured, machine after machine
  rackcast.fleet.in_force:
  throttle: 1
"""

RETURN = r"""
done:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: success
waiting:
  description: Keys that are not in force, by daemon, and what each waits for.
  type: dict
  returned: success
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule

PAUSE = 0.5
PROGRAM = "/usr/bin/rackcast"
# In this order: who registers the others comes first.
ROLES = ("agent", "transcode", "ingest")
HAND_OVER = ["systemctl", "kill", "--kill-whom=main", "--signal=SIGUSR2", "rackcast-ingest.service"]


class Agent(object):
    """What the machine's agent tells."""

    def __init__(self, module):
        self.module = module

    def ask(self):
        """Of each daemon: what waits, and whether it is in service. None while nobody answers."""
        # 1 is an answer too: the machine is not well.
        status, text, errors = self.module.run_command([PROGRAM, "status", "--json"])
        if status not in (0, 1):
            return None, (errors or text).strip()
        try:
            machine = json.loads(text)
            told = {"agent": (machine["agent"].get("waiting") or {}, True)}
            for service in machine["services"]:
                own = service["status"]
                serves = service["running"] and service["registered"] and own["ready"]
                fit = serves and service["state"] != "critical"
                told[own["role"]] = (own.get("waiting") or {}, fit)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return None, "rackcast status: {0}: {1}".format(error, text[:200])
        return told, None

    def waiting(self, wait=10):
        """What waits, by daemon. A reload a moment ago may not have been judged yet."""
        until, second = time.time() + wait, False
        while True:
            told, error = self.ask()
            found = dict((role, keys) for role, (keys, unused) in (told or {}).items() if keys)
            if told and (found or second):
                return found
            if told is None and time.time() > until:
                self.module.fail_json(msg="the machine's agent cannot be asked: " + error)
            second = told is not None
            time.sleep(PAUSE)

    def settle(self, role, awaited, wait):
        """Waits until a daemon is in service and these keys wait no more."""
        until = time.time() + wait
        while True:
            told, error = self.ask()
            keys, fit = (told or {}).get(role, ({}, False))
            left = sorted(key for key in awaited if key in keys)
            if fit and not left:
                return
            if time.time() > until:
                state = "not in force: " + ", ".join(left) if left else "not in service"
                what = (role, error or state)
                self.module.fail_json(
                    msg="rackcast-{0}: {1}; journalctl -u rackcast-{0} tells more".format(*what)
                )
            time.sleep(PAUSE)


def steps(waiting, may_restart):
    """What is to be done, in order: the daemon, its keys, the command, and all of it in words."""
    found = []
    for role in ROLES:
        keys = waiting.get(role) or {}
        unit = "rackcast-{0}.service".format(role)
        restart = role in may_restart and "restart" in keys.values()
        taken = sorted(key for key, what in keys.items() if restart or what == "hand-over")
        if taken:
            command = ["systemctl", "restart", unit] if restart else HAND_OVER
            words = "restart" if restart else "hand over"
            words = "{0} {1} for {2}".format(words, unit, ", ".join(taken))
            found.append((role, taken, command, words))
    return found


def main():
    """Ansible's way in."""
    module = AnsibleModule(
        argument_spec=dict(
            restart=dict(
                type="list",
                elements="str",
                choices=["agent", "transcode", "ingest"],
                default=["agent", "transcode"],
            ),
            wait=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    if not os.path.exists(PROGRAM):
        module.exit_json(changed=False, done=[], waiting={})
    agent = Agent(module)
    waiting = agent.waiting()
    plan = steps(waiting, module.params["restart"])
    for role, keys, command, unused in plan:
        if not module.check_mode:
            module.run_command(command, check_rc=True)
            agent.settle(role, keys, module.params["wait"])
        for key in keys:
            del waiting[role][key]
    left = dict((role, keys) for role, keys in waiting.items() if keys)
    for role, keys in sorted(left.items()):
        module.warn(
            "rackcast-{0} waits for a restart: {1}. Drain the machine and restart it, or let "
            "rackcast_restarts name it.".format(role, ", ".join(sorted(keys)))
        )
    module.exit_json(changed=bool(plan), done=[step[-1] for step in plan], waiting=left)


if __name__ == "__main__":
    main()
