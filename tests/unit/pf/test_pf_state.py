# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a state answers about a host: what lets anywhere in, the rulesets, whom the main ruleset admits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import ansible
import pytest
from unit.pf.standin import Host
from unit.pf.test_pf_module import AIRPLAY, FACETIME, SHARING, on

from ansible_collections.netports.apple.plugins.module_utils._firewalls import base
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import admission, exposures
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.firewall import Pf
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Here

OPEN = {"name": "Open", "direction": "in", "tcp": ["5900", "6000-6010"], "udp": ["5900"]}


def read(host: Host, **asked: Any) -> base.State:
    return Pf(base.Host(host.run, str(host.root))).read(Asked("apple", foreign=True, **asked))


def test_own_rules_that_let_anywhere_in(host: Host) -> None:
    on(host)
    host.apply(OPEN, AIRPLAY, SHARING, FACETIME)
    host.apply(OPEN, ruleset="office")
    own = [exposure for exposure in read(host).exposed() if exposure.ruleset]
    assert [(one.ruleset, one.name, one.protocol, one.ports) for one in own] == [
        ("apple", "Open", "tcp", ("5900", "6000-6010")),
        ("apple", "Open", "udp", ("5900",)),
        ("office", "Open", "tcp", ("5900", "6000-6010")),
        ("office", "Open", "udp", ("5900",)),
    ]
    assert own[0].text.startswith("pass in quick proto tcp from any to any port { 5900 6000:6010 }")
    assert set(read(host).rulesets()) == {"apple", "office"}


def test_foreign_rules_that_let_anywhere_in(host: Host) -> None:
    on(host)
    host.main = ['anchor "com.apple/*" all', 'anchor "vpn" all', "block drop all", "pass in proto tcp to port = 22"]
    host.main += ["pass in inet proto tcp from 10.0.0.0/8 to any port = 5900 flags S/SA keep state"]
    host.main += ["pass in proto tcp from any to any port = 445 flags S/SA keep state"]
    found = read(host).exposed()
    assert [(one.kind, one.ruleset, one.name, one.protocol, one.ports) for one in found] == [
        ("rule", "", "main ruleset", "tcp", ("445",))
    ]
    host.main = ["pass out all"]
    assert read(host).exposed() == [exposures.DEFAULT]


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("= 22", ("22",)),
        ("20:30", ("20-30",)),
        ("> 60000", ("60001-65535",)),
        (">= 60000", ("60000-65535",)),
        ("< 10", ("0-9",)),
        ("20 >< 30", ("21-29",)),
        ("20 <> 30", ("0-19", "31-65535")),
        ("!= 22", ("0-21", "23-65535")),
    ],
)
def test_ports_of_an_exposure(port: str, expected: tuple[str, ...]) -> None:
    (found,) = exposures.foreign("main ruleset", [f"pass in quick proto tcp from any to any port {port} flags S/SA"])
    assert found.ports == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], True),
        (["block drop all"], False),
        (["block drop all", "pass in proto tcp from <admins> to any port = 22 flags S/SA"], True),
        (["block drop all", "pass in proto tcp from any to any port = 2222 flags S/SA"], False),
        (["pass in quick proto tcp from 10.0.0.0/8 to any port = 22 flags S/SA", "block drop all"], True),
        (["block drop quick all", "pass all"], False),
        (["block drop in inet6 all"], True),
    ],
)
def test_whether_any_address_may(rules: list[str], expected: bool) -> None:
    assert admission.may_admit(rules, 22, Here(interfaces={}, tables={})) is expected


def test_the_choice_among_firewalls_loads_one_file_of_pf_and_a_read_loads_them_all(tmp_path: Path) -> None:
    """A keeper that waits for a confirmation must not import anything. Exposures are the run's own matter."""
    root = Path(__file__).parents[3]
    (tmp_path / "ansible_collections/netports").mkdir(parents=True)
    (tmp_path / "ansible_collections/netports/apple").symlink_to(root)
    prefix = "ansible_collections.netports.apple.plugins.module_utils._firewalls"
    code = f"""
import platform, sys
from {prefix} import base, registry
def loaded():
    return ' '.join(sorted(name[len('{prefix}.pf.'):] for name in sys.modules if name.startswith('{prefix}.pf.')))
platform.system = lambda: 'OpenBSD'
firewall = registry.load('pf')(base.Host(lambda argv, stdin: (0, '', ''), '{tmp_path}'))
firewall.installed()
print(loaded())
firewall.read(base.Asked('apple'))
print(loaded())
"""
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(ansible.__file__).parents[1]}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    files = sorted(file.stem for file in (root / "plugins/module_utils/_firewalls/pf").glob("*.py"))
    files.remove("exposures")
    assert done.stdout.splitlines() == ["firewall", " ".join(files)]
