# Copyright: The Rackcast authors
# Licence: Apache-2.0
"""TOML out of a mapping: the daemons read it, and Ansible writes none."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import math
import re

from ansible.errors import AnsibleFilterError

BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")


def _key(key):
    key = str(key)
    return key if BARE_KEY.match(key) else _string(key)


def _string(text):
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value, path):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise AnsibleFilterError("to_toml: {0} is not a finite number".format(path))
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[{0}]".format(", ".join(_value(item, path) for item in value))
    if isinstance(value, dict):
        pairs = ("{0} = {1}".format(_key(k), _value(v, path)) for k, v in value.items())
        return "{{ {0} }}".format(", ".join(pairs)) if value else "{}"
    if value is None:
        raise AnsibleFilterError("to_toml: {0} has no value; leave the key out".format(path))
    return _string(value)


def _is_tables(value):
    return isinstance(value, list) and value and all(isinstance(item, dict) for item in value)


def _table(mapping, path, lines):
    later = []
    for key, value in mapping.items():
        where = path + [_key(key)]
        if isinstance(value, dict) or _is_tables(value):
            later.append((where, value))
        else:
            lines.append("{0} = {1}".format(_key(key), _value(value, ".".join(where))))
    for where, value in later:
        many = not isinstance(value, dict)
        for table in value if many else [value]:
            header = "[[{0}]]" if many else "[{0}]"
            lines.extend(["", header.format(".".join(where))])
            _table(table, where, lines)


def to_toml(mapping):
    """The mapping as a TOML document."""
    if not isinstance(mapping, dict):
        raise AnsibleFilterError("to_toml: needs a mapping, not {0}".format(type(mapping).__name__))
    lines = []
    _table(mapping, [], lines)
    return "\n".join(lines).lstrip("\n") + "\n" if lines else ""


class FilterModule(object):
    """Ansible's way to find the filter."""

    def filters(self):
        return {"to_toml": to_toml}
