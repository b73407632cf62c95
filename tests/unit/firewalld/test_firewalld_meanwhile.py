# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others change in firewalld's runtime, from its signals; and their changes of the same things, compared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import meanwhile, rich
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import Signal
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import Direct, Loaded

RULE = 'rule family="ipv4" source address="192.0.2.1" port port="22" protocol="tcp" accept'
SEEN = Loaded(
    zones={
        "public": {"ports": [("20-30", "tcp")], "services": ["ssh"], "interfaces": ["eth0"], "rules_str": [RULE]},
        "home": {"sources": ["00:11:22:33:44:AA"], "masquerade": True, "forward_ports": [("80", "tcp", "81", "")]},
    },
    policies={"wall": {"services": ["ssh"], "priority": 5}},
    ipsets={"some": ["192.0.2.0/24"], "timed": None},
    direct=Direct(chains=[], rules=[("ipv4", "filter", "INPUT", 0, ["-j", "DROP"])], passthroughs=[]),
    services={},
)


def after(*signals: tuple[Any, ...]) -> Loaded:
    """What there is after signals: the interface, the member, and its values."""
    return meanwhile.replay(SEEN, [Signal(signal[0], signal[1], signal[2:]) for signal in signals])


@pytest.mark.parametrize(
    ("signal", "zone", "key", "value"),
    [
        (("PortAdded", "public", "31", "tcp", 0), "public", "ports", [("20-31", "tcp")]),
        (("PortAdded", "public", "25", "udp", 0), "public", "ports", [("20-30", "tcp"), ("25", "udp")]),
        (("PortRemoved", "public", "25", "tcp"), "public", "ports", [("20-24", "tcp"), ("26-30", "tcp")]),
        (("SourcePortAdded", "home", "http", "tcp", 5), "home", "source_ports", [("http", "tcp")]),
        (("ServiceAdded", "public", "http", 60), "public", "services", ["ssh", "http"]),
        (("ServiceRemoved", "public", "ssh"), "public", "services", []),
        (("ProtocolAdded", "home", "esp", 0), "home", "protocols", ["esp"]),
        (("IcmpBlockAdded", "home", "redirect", 0), "home", "icmp_blocks", ["redirect"]),
        (("ForwardPortRemoved", "home", "80", "tcp", "81", ""), "home", "forward_ports", []),
        (("RichRuleRemoved", "public", RULE.replace('"', "")), "public", "rules_str", []),
        (("MasqueradeRemoved", "home"), "home", "masquerade", False),
        (("IcmpBlockInversionAdded", "home"), "home", "icmp_block_inversion", True),
        (("SourceRemoved", "home", "00:11:22:33:44:aa"), "home", "sources", []),
        (("ZoneOfInterfaceChanged", "home", "eth0"), "public", "interfaces", []),
        (("ZoneOfInterfaceChanged", "home", "eth0"), "home", "interfaces", ["eth0"]),
        (("ZoneUpdated", "home", {"forward": True, "sources": []}), "home", "forward", True),
    ],
)
def test_a_zone_has_what_its_signals_say(signal: tuple[Any, ...], zone: str, key: str, value: Any) -> None:
    assert after((".zone", *signal)).zones[zone][key] == value
    untouched = {other: settings for other, settings in SEEN.zones.items() if other != zone}
    if signal[0] != "ZoneOfInterfaceChanged":
        assert {
            other: settings for other, settings in after((".zone", *signal)).zones.items() if other != zone
        } == untouched


def test_everything_else_has_it_too() -> None:
    assert after((".policy", "PolicyUpdated", "wall", {"services": []})).policies == {
        "wall": {"services": [], "priority": 5}
    }
    assert after((".ipset", "EntryRemoved", "some", "192.0.2.7/24")).ipsets == {"some": [], "timed": None}
    assert after((".ipset", "EntryAdded", "timed", "192.0.2.7")).ipsets == SEEN.ipsets
    gone = (".direct", "RuleRemoved", "ipv4", "filter", "INPUT", 0, ["-j", "DROP"])
    assert after(gone).direct == Direct(chains=[], rules=[], passthroughs=[])
    assert after((".direct", "ChainAdded", "ipv4", "filter", "x")).direct.chains == [("ipv4", "filter", "x")]
    # What is not known stays unsaid: a zone that was not seen, a signal that has nothing to do with the runtime.
    assert (
        after((".zone", "PortAdded", "work", "1", "tcp", 0), ("", "Reloaded"), ("", "LogDeniedChanged", "off")) == SEEN
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40), st.integers(0, 9)), max_size=20))
def test_ports_are_those_of_a_set(changes: list[tuple[bool, int, int]]) -> None:
    wanted = set(range(20, 31))
    signals = []
    for added, first, more in changes:
        wanted = wanted | set(range(first, first + more + 1)) if added else wanted - set(range(first, first + more + 1))
        text = _ports.text((first, first + more))
        signals.append(
            (".zone", "Port" + ("Added" if added else "Removed"), "public", text, "tcp", *([0] if added else []))
        )
    ranges = [_ports.parse(text) for text, _protocol in after(*signals).zones["public"]["ports"]]
    assert {port for first, last in ranges for port in range(first, last + 1)} == wanted
    assert ranges == _ports.merge(ranges)


def test_an_order_that_was_seen_twice_is_no_change() -> None:
    """Signals from the time of looking: the last of an item's changes decides."""
    back = (".zone", "ServiceAdded", "public", "ssh", 0)
    assert after((".zone", "ServiceRemoved", "public", "ssh"), back) == after(back) == SEEN


def test_thousands_of_rules_are_read_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f'rule family="ipv4" source address="198.51.100.{number}" drop' for number in range(200)]
    read: list[str] = []

    def identity(text: str) -> str:
        read.append(text)
        return text

    monkeypatch.setattr(rich, "identity", identity)
    found = after(*((".zone", "RichRuleAdded", "home", text, 0) for text in texts))
    assert found.zones["home"]["rules_str"] == texts
    assert sorted(read) == sorted(texts)
