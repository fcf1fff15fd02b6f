# Copyright: The Rackcast authors
# Licence: Apache-2.0
"""Machines as Consul knows them."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
name: catalog
short_description: Takes the machines of a fleet from Consul
version_added: 0.1.0
author: The Rackcast authors (@rackcast)
description:
  - Lists every machine that has a service of Rackcast in Consul's catalog, in the groups
    C(rackcast), C(ingest), C(transcode), C(consul_servers) and C(zone_NAME).
  - For playbooks over what runs (status, drain, upgrade). What shall be, a written inventory says.
options:
  plugin:
    description: Name of this plugin.
    required: true
    choices: [rackcast.fleet.catalog]
  url:
    description: Address of a Consul agent.
    default: http://127.0.0.1:8500
    env:
      - name: CONSUL_HTTP_ADDR
  token_file:
    description: File with a token of the policy rackcast-operator.
    type: path
    env:
      - name: CONSUL_HTTP_TOKEN_FILE
  prefix:
    description: What the services' names begin with.
    default: rackcast
"""

EXAMPLES = r"""
# fleet.catalog.yml
plugin: rackcast.fleet.catalog
token_file: /etc/rackcast/operator.token
"""

import json

from ansible.errors import AnsibleParserError
from ansible.module_utils.urls import open_url
from ansible.plugins.inventory import BaseInventoryPlugin

ROLES = ("ingest", "transcode")


class InventoryModule(BaseInventoryPlugin):
    """Hosts and groups out of Consul's catalog."""

    NAME = "rackcast.fleet.catalog"

    def verify_file(self, path):
        """Files of this plugin end in catalog.yml."""
        ends = ("catalog.yml", "catalog.yaml")
        return super(InventoryModule, self).verify_file(path) and path.endswith(ends)

    def parse(self, inventory, loader, path, cache=True):
        """Asks Consul and fills the inventory."""
        super(InventoryModule, self).parse(inventory, loader, path, cache)
        self._read_config_data(path)
        prefix = self.get_option("prefix")
        for group in ("rackcast",) + ROLES:
            inventory.add_group(group)
        for role in ROLES:
            inventory.add_child("rackcast", role)
            for instance in self._ask("{0}-{1}".format(prefix, role)):
                self._add(instance, role)
        inventory.add_group("consul_servers")
        servers = self._ask("consul")
        if not servers:
            self.display.warning(
                "Consul does not show its own servers: the group consul_servers is empty. The token "
                "lacks read on the service consul (policy rackcast-operator, written by site.yml)."
            )
        for server in servers:
            node = server["Node"]
            if node in inventory.hosts:
                inventory.add_host(node, group="consul_servers")

    def _add(self, instance, role):
        node = instance["Node"]
        self.inventory.add_host(node, group=role)
        self.inventory.set_variable(node, "ansible_host", instance["Address"])
        zone = (instance.get("ServiceMeta") or {}).get("zone")
        if zone:
            self.inventory.set_variable(node, "rackcast_zone", zone)
            group = "zone_{0}".format("".join(c if c.isalnum() else "_" for c in zone))
            self.inventory.add_group(group)
            self.inventory.add_host(node, group=group)

    def _ask(self, service):
        headers = {}
        token_file = self.get_option("token_file")
        try:
            if token_file:
                with open(token_file) as token:
                    headers["X-Consul-Token"] = token.read().strip()
            url = "{0}/v1/catalog/service/{1}".format(self.get_option("url").rstrip("/"), service)
            answer = open_url(url, headers=headers, timeout=10)
            found = json.loads(answer.read())
        except Exception as error:
            raise AnsibleParserError("Consul was asked for {0}: {1}".format(service, error))
        if not found and service != "consul" and not headers:
            self.display.warning(
                "Consul shows no {0}. Under ACLs that is what it says without a token: "
                "set token_file.".format(service)
            )
        return found
