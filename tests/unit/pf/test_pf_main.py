# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a main ruleset does with the management connection: never called admitted when that is not sure."""

from __future__ import annotations

import pytest

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import admission, printed
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Here

PEER = "192.0.2.9"
NOTHING_KNOWN = Here(interfaces={}, tables={})
OPENBSD = [
    "block return all",
    "pass all flags S/SA",
    "block return in on ! lo0 proto tcp from any to any port 6000:6010",
    "block return out log proto tcp all user = 55",
]


@pytest.mark.parametrize(
    ("rules", "new", "begun"),
    [
        ([], True, True),
        (['anchor "com.apple/*" all'], True, True),
        (OPENBSD, True, False),
        (["block drop all"], False, False),
        (["block drop out all"], True, False),
        (["block drop in all", "pass in proto tcp from any to any port = 22 flags S/SA keep state"], True, False),
        (["block drop in all", "pass in proto tcp from any to any port = 22 flags any keep state"], True, True),
        (["block drop all", "pass proto tcp from any to any port = 22 no state"], True, False),
        (["pass quick all flags any", "block drop all"], True, True),
        (["block drop quick all", "pass all flags any"], False, False),
        (["block drop in all", "pass in proto udp from any to any port = 22 keep state"], False, False),
        (["block drop in all", "pass in proto tcp from any to any port 20:30 flags S/SA keep state"], True, False),
        (["block drop in all", "pass in proto tcp from any to any port = 2222 flags S/SA keep state"], False, False),
        (["block drop in all", "pass in inet proto tcp from 192.0.2.0/24 to any port = 22 flags any"], True, True),
        (["block drop in all", "pass in inet proto tcp from 198.51.100.0/24 to any port = 22 flags any"], False, False),
        (["block drop in all", "pass in inet proto tcp from ! 198.51.100.0/24 to any flags any"], True, True),
        (["block drop in all", "pass in inet6 proto tcp from any to any port = 22 flags any"], False, False),
        (["block drop in inet6 all"], True, True),
        (["block drop in on lo0 all"], True, True),
        (["block drop in on ! lo0 all"], False, False),
        (["block drop in all", "pass in proto tcp from any to any port > 20 flags any"], True, True),
        (["block drop in all", "pass in proto tcp from any to any port 20 >< 22 flags any"], False, False),
        # Nobody can tell from here: the answer is no.
        (["block drop in on em1 all"], False, False),
        (["block drop in quick from <bruteforce> to any"], False, False),
        (["block drop in all", "pass in proto tcp from <admins> to any port = 22 flags any"], False, False),
        (["block drop in all", "pass in on em0 proto tcp from any to any port = 22 flags any"], False, False),
        (["block drop in all", "pass in inet proto tcp from any to 198.51.100.1 port = 22 flags any"], False, False),
        (["block drop in all", "pass in proto tcp from any port = 1000 to any port = 22 flags any"], False, False),
        (["block drop in all", "pass in proto tcp from any to any flags any user = 0"], False, False),
        (["block drop in something new"], False, False),
        (["block return-icmp(host-unr) in log (all) quick inet proto tcp from any to any port = 22"], False, False),
    ],
)
def test_admits(rules: list[str], new: bool, begun: bool) -> None:
    assert admission.admits(rules, PEER, 22, False, NOTHING_KNOWN) is new
    assert admission.admits(rules, PEER, 22, True, NOTHING_KNOWN) is begun


def test_blocks() -> None:
    assert printed.blocks(OPENBSD)
    assert not printed.blocks(["pass all flags S/SA", 'anchor "com.apple/*" all', 'anchor "netports.x" all'])
    assert printed.blocks(["pass all flags S/SA", 'anchor "com.apples" all'])
