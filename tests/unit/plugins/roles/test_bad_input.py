# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad variables of the role: each is refused before a firewall is looked for, with a message that names the value."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from matrix import plays

GOOD: dict[str, Any] = {"products": ["Siri"]}

CASES: list[tuple[dict[str, Any], str]] = [
    ({"products": ["iTunes"]}, "host_firewall_products: 'iTunes' may be any of"),
    ({"rules": [{"products": ["iTunes"]}]}, "host_firewall_rules[0].products: 'iTunes' may be any of"),
    ({"products": ["ldaps"]}, "ask for it with host_firewall_services: ['ldaps']"),
    ({"products": ["AirDrop"]}, "'AirDrop' has no port that a port firewall could open: "),
    ({"products": ["Private Relay"]}, "switch it on with host_firewall_supplement: true"),
    ({"products": ["HomeKit"]}, "give it with host_firewall_ports: ['21064']"),
    ({"ports": ["21064"]}, "host_firewall_ports: ['21064']: no product takes them"),
    ({"products": ["HomeKit"], "ports": ["0"]}, "port '0' is out of range"),
    ({"side": "server"}, "host_firewall_side: 'Siri' has no side 'server': leave it out"),
    (
        {"products": ["File Sharing"], "side": "sender"},
        "'File Sharing' has no side 'sender': give 'server' or 'client'",
    ),
    ({"obsolete": "perhaps"}, "host_firewall_obsolete"),
    ({"products": ["FaceTim"]}, "did you mean 'FaceTime'"),
    ({"products": [""]}, "an empty name of a product"),
    ({"products": "Siri, iTunes"}, "'iTunes' may be any of"),
    ({"products": [443]}, "use port=443"),
    ({"products": ["'; reboot"]}, "is not a product of the catalogue"),
    ({"products": ["$(id)"]}, "'$(id)' is not a product"),
    ({"products": ["a\nb"]}, "is not a product of the catalogue"),
    ({"products": []}, "there is no product to allow: name some"),
    ({"services": ["gopher"]}, "'gopher' is not a service of the catalogue"),
    ({"services": [""]}, "service '' is not a text"),
    ({"directions": ["both"]}, "host_firewall_directions must be one or more of: in, out"),
    ({"directions": []}, "host_firewall_directions is []"),
    ({"sources": []}, "host_firewall_sources is an empty list"),
    ({"sources": ["10.0.0.1/8"]}, "write '10.0.0.0/8' for the network"),
    ({"sources": ["example.com"]}, "no host names"),
    ({"sources": ["any", "10.0.0.0/8"]}, "names 'any' beside other networks"),
    ({"sources": ["10.0.0.0/8; id"]}, "'10.0.0.0/8; id' is not a network"),
    ({"local_networks": ["`id`"]}, "'`id`' is not a network"),
    ({"destinations": ["fe80::1%eth0"]}, "'fe80::1%eth0' is not a network"),
    ({"destinations": ["apns"]}, "destinations names 'apns', but Apple publishes no networks for Siri: "),
    ({"interface": "eth0; id"}, "'eth0; id' is not an interface name"),
    ({"interface": 'a"b'}, "is not an interface name"),
    ({"ruleset": "Apple"}, "'Apple' is not a ruleset name"),
    ({"ruleset": "../x"}, "'../x' is not a ruleset name"),
    ({"zone": "a;b"}, "'a;b' is not a zone name"),
    ({"zone": "h\u00e9"}, "is not a zone name"),
    ({"state": "gone"}, "host_firewall_state must be one of: present, merged, absent"),
    ({"backend": "iptables"}, "host_firewall_backend must be one of: auto, ufw, firewalld, nftables, pf"),
    ({"rules": [{"products": ["Siri"], "source": ["any"]}]}, "source"),
    ({"rules": [{"interface": "eth0"}]}, "a set names neither products nor services"),
    ({"rules": ["Siri"]}, "unable to convert to dict"),
    ({"install": True}, "host_firewall_install is true and host_firewall_backend is 'auto'"),
    ({"catalogues": ["/nowhere.yml"]}, "catalogue '/nowhere.yml' cannot be read"),
]


def unsafe(value: Any) -> Any:
    """Texts that are no templates, whatever is in them."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    return value


def test_each_is_refused_with_a_message_that_names_it(tmp_path: Path) -> None:
    hosts = {
        f"case{number}": unsafe({f"host_firewall_{name}": value for name, value in {**GOOD, **changes}.items()})
        for number, (changes, _message) in enumerate(CASES)
    }
    inventory = {"all": {"hosts": hosts, "vars": {"ansible_python_interpreter": sys.executable}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    task = {
        "block": [
            {"ansible.builtin.include_role": {"name": "netports.apple.host_firewall"}},
            {"ansible.builtin.meta": "end_host"},
        ],
        "rescue": [{"ansible.builtin.meta": "noop"}],
    }
    (tmp_path / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    printed, _errors = plays.run(
        [
            *(str(plays.ROOT / ".venv" / "bin" / "ansible-playbook"), "-c", "local", "--check"),
            *("-i", str(tmp_path / "inventory.json"), str(tmp_path / "play.json")),
        ],
        plays.environment(plays.ROOT / ".venv" / "collections", tmp_path),
        tmp_path,
    )
    assert printed.count("rescued=1 ") == len(CASES), printed[-3000:]
    failures = re.findall(r"^fatal: \[case(\d+)\]: FAILED! => (\{.*\})$", printed, re.MULTILINE)
    said = {int(number): json.loads(result)["msg"] for number, result in failures}
    assert said.keys() == {*range(len(CASES))}
    assert [
        (wanted, said[number]) for number, (_changes, wanted) in enumerate(CASES) if wanted not in said[number]
    ] == []
