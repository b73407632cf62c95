# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and names of the other side, in real programs: the role's firewall, nft, and a browser's proxy settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from integration import direct
from integration.browser import Browser

from hosts import Host, play

ROOT = Path(__file__).resolve().parents[2]
NAME = "netports.apple.host_firewall"
PUSH = {"products": ["Push Notifications"], "directions": ["out"], "destinations": ["apns", "192.0.2.0/24"]}


def shown(heading: str) -> list[str]:
    """What the templates of a part of the page give; the unit tests hold the page to the templates."""
    page = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    part = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```text\n(.*?)^```", part, re.MULTILINE | re.DOTALL)


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "bookworm")
def test_role_lets_out_to_the_networks_of_apns(host: Host) -> None:
    variables = {f"host_firewall_{key}": value for key, value in PUSH.items()}
    first = play(host, role=NAME, variables=variables).result(host, NAME)
    assert first["changed"]
    kernel = host.kernel()
    for network in ("17.249.0.0/16", "17.57.144.0/22", "2a01:b740:a42::/48", "192.0.2.0/24"):
        assert network in kernel
    again = direct.apply(host, **PUSH)
    assert not again["changed"] and again["after"] == first["after"]


@pytest.mark.hosts("none", "bookworm")
def test_nft_loads_the_examples(host: Host) -> None:
    _names, filled_by_dnsmasq = shown("dnsmasq: sets of addresses")
    (of_ports,) = shown("nftables: sets of ports and networks")
    host.write("/root/example.nft", filled_by_dnsmasq + of_ports)
    host.run(["nft", "--file", "/root/example.nft"])
    kernel = host.run(["nft", "list", "table", "inet", "filter"]).out
    for name in ("apple_443_v4", "apple_5223_v6", "apple_tcp", "apple_udp", "apns_v4", "apns_v6"):
        assert f"set {name} {{" in kernel
    assert "ip6 daddr @apple_2197_v6 tcp dport 2197 accept" in kernel


def test_browser_follows_the_proxy_auto_config(tmp_path: Path) -> None:
    (script,) = shown("A proxy auto-config")
    # What a browser gives to such a script: https://developer.mozilla.org/docs/Web/HTTP/Proxy_servers_and_tunneling
    given = """
    function shExpMatch(text, pattern) {
      const literal = pattern.replace(/[.+^${}()|[\\]\\\\]/g, '\\\\$&');
      return new RegExp('^' + literal.replace(/\\*/g, '.*').replace(/\\?/g, '.') + '$').test(text);
    }"""
    page = tmp_path / "page.html"
    page.write_text(f"<script>{given}{script}</script>", encoding="utf-8")
    answers = {
        "1-courier.push.apple.com": "DIRECT",
        "osrecovery.apple.com": "DIRECT",
        "push.apple.com": "PROXY proxy.example.org:3128",
        "xosrecovery.apple.com": "PROXY proxy.example.org:3128",
        "gsa.apple.com": "PROXY proxy.example.org:3128",
    }
    with Browser() as browser:
        browser.open(page)
        for name, answer in answers.items():
            assert browser.js(f"FindProxyForURL('https://{name}/', '{name}')") == answer, name
