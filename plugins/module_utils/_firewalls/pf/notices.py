# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people should know of a plan for pf."""

from __future__ import annotations

import ipaddress
from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked, Wanted
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import admission, main_ruleset, printed
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Here, Reading
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# A sentence names as many things at most.
_MOST = 5


def all_of(
    asked: Asked, system: System, reading: Reading, want: Wanted, load: str, lost: Sequence[str]
) -> List[Notice]:
    """The notices of a plan.

    :param load: what is loaded, as in ``Steps``.
    :param lost: what a load of the main ruleset drops, accepted.
    """
    found = []
    if lost:
        text = "%s is loaded, which drops what the kernel's main ruleset has beside it: %s"
        found.append(Notice(code="main-ruleset-differs", text=text % (reading.main_file, listed(lost))))
    if load == "main" and reading.power.on and reading.kernel and reading.kernel.main and reading.coming is not None:
        pending = main_ruleset.lost(reading.coming, reading.kernel.main)
        if pending and not lost:
            text = "the load of %s that this change needs makes pending changes live: %s"
            found.append(Notice(code="other", text=text % (reading.main_file, listed(pending))))
    if not want.all:
        if system.name == "macos" and reading.power.held:
            text = "the role gives up its hold on pf: pf goes off unless something else holds it on"
            found.append(Notice(code="off", text=text))
        return found
    if not asked.enable and not reading.power.on:
        text = (
            "pf is off on this host: the rules are written%s, and nothing is filtered until it is switched on"
            " (enable: true does)" % (" and loaded" if reading.kernel else "")
        )
        return [*found, Notice(code="off", text=text)]
    if not asked.enable and not reading.boots and system.name != "macos":
        text = "pf is on now, but off after the next boot (enable: true switches it on for good)"
        found.append(Notice(code="off-at-boot", text=text))
    return found + _effect(system, reading, want, load)


def listed(things: Sequence[str]) -> str:
    """Some of several things, and how many more there are."""
    text = ", ".join("'%s'" % thing for thing in things[:_MOST])
    return text if len(things) <= _MOST else "%s and %d more" % (text, len(things) - _MOST)


def _effect(system: System, reading: Reading, want: Wanted, load: str) -> List[Notice]:
    """Rules that change nothing, since nothing is refused, or since a rule before the anchor's call decides."""
    kernel = reading.kernel
    main = reading.coming if (load == "main" or kernel is None) and reading.coming is not None else None
    if main is None:
        main = kernel.main if kernel else ()
    if not printed.blocks(main):
        text = (
            "pf refuses nothing on this host, so that every port is open and the rules add nothing: its main ruleset"
            " (%s) has no block rule, such as 'block in all' before the anchor's call" % reading.main_file
        )
        return [Notice(code="off", text=text)]
    call = 'anchor "%s" all' % system.anchor
    before = main[: main.index(call)] if call in main else main
    if not any(rule.startswith("block") and " quick " in rule for rule in before):
        return []
    decided: Dict[Tuple[str, str], List[Tuple[str, str]]] = {}
    for rule in want.rules:
        for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
            for span in ranges:
                by = _refused_by(before, rule, protocol, span, reading.here)
                if by:
                    what = "%s (%s/%s)" % (rule.name, _ports.text(span), protocol)
                    decided.setdefault((by, rule.direction), []).append((rule.name, what))
    return [
        Notice(
            code="refused",
            text="'%s' in the main ruleset refuses packets before anchor %s is asked, so that there is no effect of %s"
            % (by, system.anchor, listed([what for _name, what in names])),
            rules=tuple(dict.fromkeys(name for name, _what in names)),
            direction=direction,
        )
        for (by, direction), names in decided.items()
    ]


def _refused_by(before: Sequence[str], rule: Rule, protocol: str, span: _ports.PortRange, here: Here) -> Optional[str]:
    """The rule that refuses all that a rule of ours lets through on some ports."""
    inbound = rule.direction == "in"
    peers = [None, *map(ipaddress.ip_network, rule.sources if inbound else rule.destinations)]
    found: Optional[str] = None
    for peer in peers:
        packets = admission.Packets(
            way=rule.direction,
            peer=peer,
            protocol=protocol,
            here=span if inbound else None,
            there=None if inbound else span,
            interface=rule.interface,
        )
        found = admission.refused_by(before, packets, here)
        # What refuses any other side refuses each; without networks of its own, a rule is for any.
        if peer is None and (found or len(peers) == 1):
            return found
        if peer is not None and not found:
            return None
    return found
