# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints what the pure host code answers to many questions. Runs on every Python from 3.7 on, without Ansible."""

from __future__ import annotations

import importlib
import itertools
import json
import os
from collections.abc import Callable
from typing import Any

from ansible_collections.netports.apple.plugins import module_utils
from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes as _plan

PORTS: list[Any] = [
    443,
    "443",
    "3478-3497",
    "1-65535",
    0,
    "0",
    "080",
    "65536",
    "90-80",
    "",
    "80\n",
    " 80",
    "٤٤٣",
    True,
    None,
    1.5,
]
PORTS += ["80-80", "-80", "80-", "80;id", "1_0", "+8", b"80", [80], "99999", "123456"]
RANGES = [(1, 5), (6, 9), (8, 12), (14, 14), (16, 20), (65535, 65535)]
NETWORKS = [
    "10.0.0.0/8",
    "10.0.0.1/8",
    "192.0.2.7",
    "192.0.2.7/32",
    "fd00::/8",
    "FD00::/8",
    "::1",
    "::1/128",
    "fd00::1/8",
]
NETWORKS += [
    "010.0.0.1",
    "10.0.0.0/08",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "fe80::1%eth0",
    "0.0.0.0/0",
    "::/0",
    "any",
    "",
]
NETWORKS += ["10.0.0", "1٠.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.0/33", "2001:0db8::/32", "64:ff9b::192.0.2.01", "::"]
NETWORKS += ["10.0.0.0/8\n", "example.com", "fd00::%1", "10.0.0.0/", "1.2.3.4.5", "256.0.0.1"]


def answer(question: Callable[..., Any], *given: Any) -> str:
    """What a function says: its value, or that it refuses and why."""
    try:
        return repr(question(*given))
    except ValueError as error:
        return type(error).__name__ + ": " + str(error)


def rule(network: str, name: str, port: Any) -> dict[str, Any]:
    """A rule, or the refusal of one."""
    return _rules.Rule.from_dict(
        {"name": name, "direction": "in", "tcp": [port], "sources": [network], "interface": "eth0"}
    ).to_dict()


def main() -> None:
    """Import every file of the host code that needs no Ansible, ask, and print the answers as JSON."""
    root = next(iter(module_utils.__path__))
    files = sorted(os.path.join(folder, name) for folder, _folders, names in os.walk(root) for name in names)
    files = [path for path in files if path.endswith(".py") and os.path.basename(path) != "_run.py"]
    for path in files:
        name = os.path.relpath(path, root)[:-3].replace(os.sep, ".")
        importlib.import_module(module_utils.__name__ + "." + name)
    made = [
        _rules.Rule(name, direction, ((port, port + 1),), (), sources)
        for name, direction, port, sources in itertools.product(
            "ab", ("in", "out"), (80, 81), ((), ("10.0.0.0/8",), ("fd00::/8", "fd01::/16"))
        )
    ]
    plans = []
    for state, start in itertools.product(("replaced", "merged", "deleted"), range(0, len(made), 3)):
        have, want = made[start : start + 9], made[start + 4 : start + 12]
        target = _plan.target(state, have, want)
        plans.append([[one.to_dict() for one in target], [step.to_dict() for step in _plan.operations(have, target)]])
    subsets = [list(part) for size in range(4) for part in itertools.permutations(RANGES, size)]
    print(
        json.dumps(
            {
                "files": [os.path.relpath(path, root) for path in files],
                "ports": [answer(_ports.parse, port) for port in PORTS],
                "merged": [_ports.merge(part) for part in subsets],
                "left": [_ports.subtract(RANGES, part) for part in subsets],
                "networks": [answer(_rules.network, network) for network in NETWORKS],
                "lists": [answer(_rules.networks, NETWORKS[i : i + 2], "sources") for i in range(len(NETWORKS))],
                "rules": [
                    answer(rule, *given)
                    for given in itertools.product(NETWORKS[:6], ["A", "a;b", "é"], [80, "80-90", "x"])
                ],
                "families": [(_rules.families(one), _rules.pairs(one, 4), _rules.pairs(one, 6)) for one in made],
                "plans": plans,
            }
        )
    )


main()
