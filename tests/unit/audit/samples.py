# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as an audit meets them, without any: what they declare, and what the module would have returned."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _catalogue, _ruleset

POLICIES = {
    "macs": ["FaceTime", "AirPlay", "iCloud", "Screen Sharing", "Push Notifications", "Software Update"],
    "print_servers": ["Printer Sharing", "Bonjour", "Software Update"],
    "file_servers": ["File Sharing", "Bonjour", "Software Update"],
    "clients": ["FaceTime", "Mail", "iCloud Mail", "Maps"],
}
# What hostile hosts say of themselves.
HOSTILE = "</script><script>document.title='owned'</script>\"'&<img src=x onerror=alert(1)>"
NOW = "2026-11-20T12:00:00+00:00"


def rules(*products: str, **options: Any) -> list[dict[str, Any]]:
    """The rules of some products, as the module takes them."""
    made, _silent = _ruleset.rules(_catalogue.select(_catalogue.load(), products), **options)
    return made


def declared(*products: str, **more: Any) -> dict[str, Any]:
    """What a host's variables ask for."""
    sets = [{"products": list(products)}] if products else []
    return {"sets": sets, "defaults": {}, "catalogues": [], "supplement": False, "ruleset": "apple", **more}


def record(name: str, *products: str, **result: Any) -> dict[str, Any]:
    """A host that has exactly what it declares, unless the result says otherwise."""
    found = {"backend": "ufw", "before": rules(*products) if products else [], "operations": [], "warnings": []}
    return {
        "host": name,
        "groups": ["all"],
        "declared": declared(*products),
        "result": {**found, **result},
    }


def notice(code: str, text: str = "a sentence", **more: Any) -> dict[str, Any]:
    """What the module noticed."""
    return Notice(code=code, text=text, **more).to_dict()


def exposed(protocol: str, *ports: str, **more: Any) -> dict[str, Any]:
    """What lets anywhere in, as the module returns it."""
    given = {"kind": "rule", "ruleset": "", "name": "chain", "text": f"allow {','.join(ports)}/{protocol}", **more}
    return Exposure(protocol=protocol, ports=ports, **given).to_dict()


def fleet(count: int) -> list[dict[str, Any]]:
    """So many hosts of all kinds, the same ones each time."""
    made = []
    missing = rules("Maps")[0]
    for number in range(count):
        group = [*POLICIES][number % len(POLICIES)]
        name = f"{group.replace('_', '-')[:-1]}-{number:04}.example.org"
        products = POLICIES[group]
        kind = number % 25
        if kind == 1:
            one = record(name, *products, unreachable=True, msg="Failed to connect to the host via ssh: timed out")
        elif kind == 5:
            extra = rules("Classroom")[0]
            one = record(name, *products, operations=[{"action": "remove", "rule": extra}])
            one["result"]["before"].append(extra)
        elif kind == 7:
            one = record(name, *products, operations=[{"action": "add", "rule": missing}])
        elif kind == 10:
            what = "iptables: rule missing in the kernel: -A ufw-user-input --comment dapp_Apple%20Bonjour -j ACCEPT"
            one = record(name, *products, operations=[{"action": "mend", "what": what, "rules": ["Bonjour"]}])
        elif kind == 13:
            text = "ufw is inactive: the rules are stored and take effect when it is on"
            one = record(name, *products, warnings=[text], notices=[notice("off", text)])
        elif kind == 16:
            text = "no firewall that this collection manages is in use on this host"
            one = record(name, *products, failed=True, msg=text, notices=[notice("no-firewall", text)])
        elif kind == 19:
            one = record(name, *products, failed=True, msg="ufw: permission denied " + HOSTILE)
        else:
            one = record(name, *products)
        if kind == 22:
            one["declared"]["sets"][0]["sources"] = ["any"]
            one["result"]["before"] = rules(*products, sources=["any"])
            one["result"]["exposed"] = [exposed("tcp", "5900", name="Screen Sharing", ruleset="apple")]
        one["groups"] = [group]
        made.append(one)
    return made


def report(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The audit of some hosts."""
    return _audit.Auditor().report(copy.deepcopy(records), NOW)
