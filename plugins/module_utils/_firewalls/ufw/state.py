# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was read of a host with ufw: it answers and plans."""

from __future__ import annotations

import ipaddress
import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Exposure,
    FirewallError,
    Host,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import (
    plan,
    profiles,
    reading,
    start,
    tuples,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.lock import steady
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    ANYWHERE,
    DEFAULTS,
    RULES_FILES,
    SWITCH,
    Block,
    Reading,
    settings,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.write import UfwPlan
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise, pairs, version
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# The ports by protocol, merged.
Shape = Tuple[Tuple[_ports.PortRange, ...], Tuple[_ports.PortRange, ...]]
# Source and destination.
Ends = Tuple[str, str]


@dataclass(frozen=True)
class UfwState(State):
    """What was read of a host with ufw.

    :param found: the reading.
    """

    found: Reading

    def refuses_inbound(self) -> bool:
        # Also where ufw is not loaded: its next start is somebody's command, or the next boot.
        return self._settings().get("default_input_policy") != "accept"

    def admits(self, address: Optional[str], port: int) -> bool:
        if address is None:
            return any(self._admits(family, None, port) for family in self._families())
        family = version(address)
        if family not in self._families():
            raise FirewallError(
                "you are connected from %s over IPv6 and ufw drops IPv6 altogether (IPV6=no in /etc/default/ufw): "
                "set IPV6=yes or connect over IPv4 first" % address
            )
        return self._admits(family, address, port)

    def limits(self, address: str, port: int) -> bool:
        family = version(address)
        if family not in self._families() or not (self.active or self.asked.enable):
            return False
        block = self._decides(family, address, port)
        return block is not None and block.action == "limit"

    def exposed(self) -> List[Exposure]:
        if not self.asked.foreign:
            return []
        found: List[Exposure] = []
        if not self.refuses_inbound():
            found.append(
                Exposure(
                    kind="default",
                    ruleset="",
                    name="incoming",
                    protocol="any",
                    ports=("0-65535",),
                    text="default: allow incoming",
                )
            )
        owners = {name: (owner, title) for owner, held in self.found.rulesets.items() for name, title in held.items()}
        seen: Dict[Exposure, None] = {}
        for family in self._families():
            for block in self.found.blocks[family]:
                if block.direction == "in" and block.allows and _open_to_all(block, family):
                    seen[_exposure(block, family, owners)] = None
        return found + list(seen)

    def foreign(self) -> str:
        if not self.asked.foreign:
            return ""
        paths = [self.host.path(path) for path in (DEFAULTS, *RULES_FILES.values())]
        return "\n".join(self.found.texts.get(path) or "" for path in paths)

    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        return {name: tuple(rules_of(self.found, name)) for name in self.found.rulesets}

    def plan(self, want: Wanted) -> UfwPlan:
        work = plan.steps(self.host, self.asked, self.found, want)
        told = plan.operations(self.host, self.asked, self.found, work, self.rules, want)
        return UfwPlan(
            host=self.host,
            ruleset=self.asked.ruleset,
            operations=tuple(told),
            notices=tuple(plan.notices(self.host, self.asked, self.found, work, want)),
            before=plan.show(self.host, self.found.texts, self.found.kernel, work.owned),
            after=plan.show(self.host, work.texts, plan.chains_after(self.found, work), work.owned),
            files=work.files,
            asked=self.asked,
            want=want,
            steps=work,
        )

    def _settings(self) -> Dict[str, str]:
        return settings(*(self.found.texts[self.host.path(path)] for path in (DEFAULTS, SWITCH)))

    def _families(self) -> Tuple[int, ...]:
        return (4, 6) if self.found.ipv6 else (4,)

    def _admits(self, family: int, address: Optional[str], port: int) -> bool:
        block = self._decides(family, address, port)
        return block is not None and block.allows

    def _decides(self, family: int, address: Optional[str], port: int) -> Optional[Block]:
        """The first rule that is not the ruleset's and that matches, as in the kernel.

        Which of the host's addresses and interfaces the connection uses is not asked: a narrower rule that allows
        is not counted, a narrower one that refuses is. For any address, only a refusal of all of them counts.
        """
        owned = self.found.rulesets.get(self.asked.ruleset, {})
        for block in self.found.blocks[family]:
            if block.profile in owned or block.direction != "in" or block.protocol not in ("tcp", "any"):
                continue
            if block.ports != "any" and not _ports.covers(tuples.block_ports(block), (port, port)):
                continue
            narrow = block.interface or block.source_ports != "any" or not _anywhere(block.destination, family)
            if block.allows and narrow:
                continue
            if address is None:
                if block.allows or (_anywhere(block.source, family) and not narrow):
                    return block
            elif ipaddress.ip_address(address) in ipaddress.ip_network(block.source, strict=False):
                return block
        return None


def read(host: Host, asked: Asked) -> UfwState:
    """Read a host.

    :raises FirewallError: ufw cannot be read as it is.
    """
    with steady(host):
        files = reading.files(host, asked.ruleset)
    found = reading.with_kernel(host, files, bool(asked.enable))
    switch = settings(*(found.texts[host.path(path)] for path in (DEFAULTS, SWITCH))).get("enabled")
    return UfwState(
        host=host,
        asked=asked,
        rules=tuple(rules_of(found, asked.ruleset)),
        active=4 in found.kernel,
        enabled=switch == "yes" and found.unit in (start.ENABLED, start.NO_UNIT),
        found=found,
    )


def _anywhere(network: str, family: int) -> bool:
    return network in (ANYWHERE[family], ANYWHERE[4])


def _open_to_all(block: Block, family: int) -> bool:
    return _anywhere(block.source, family) and block.source_ports == "any" and block.protocol in ("tcp", "udp", "any")


def _exposure(block: Block, family: int, owners: Mapping[str, Tuple[str, str]]) -> Exposure:
    ruleset, title = owners.get(block.profile, ("", ""))
    protocol = "" if block.protocol == "any" else "/%s" % block.protocol
    target = repr(block.profile) if block.profile else "%s%s" % (block.ports, protocol)
    ends = "" if _anywhere(block.destination, family) else " to %s" % block.destination
    way = " on %s" % block.interface if block.interface else ""
    return Exposure(
        kind="profile" if block.profile else "rule",
        ruleset=ruleset,
        name=title or block.profile or target,
        protocol=block.protocol,
        ports=tuple(_ports.text(ports) for ports in tuples.block_ports(block))
        if block.ports != "any"
        else ("0-65535",),
        text="%s%s %s%s" % (block.action, way, target, ends),
    )


def rules_of(found: Reading, ruleset: str) -> List[Rule]:
    """The rules that the ruleset's blocks amount to."""
    titles = found.rulesets.get(ruleset, {})
    ports: Dict[Tuple[str, str, str, str], Dict[Ends, Dict[str, List[_ports.PortRange]]]] = {}
    for blocks in found.blocks.values():
        for block in blocks:
            if block.profile not in titles or block.action != "allow" or block.protocol not in ("tcp", "udp"):
                continue
            ends = ports.setdefault((block.profile, block.direction, block.interface, block.out_interface), {})
            held = ends.setdefault((block.source, block.destination), {"tcp": [], "udp": []})
            held[block.protocol].extend(tuples.block_ports(block))
    rules: List[Rule] = []
    for (profile, direction, interface, out_interface), by_ends in ports.items():
        ending = profiles.ENDINGS[direction]
        name = titles[profile] or re.sub(ending + r"\Z", "", profile[len(profiles.prefix(ruleset)) :])
        alike: Dict[Shape, List[Ends]] = {}
        for end, held in by_ends.items():
            alike.setdefault((tuple(_ports.merge(held["tcp"])), tuple(_ports.merge(held["udp"]))), []).append(end)
        for (tcp, udp), members in alike.items():
            for sources, destinations in _sides(members, found.ipv6):
                rules.append(Rule(name, direction, tcp, udp, sources, destinations, interface, out_interface))
    return normalise(rules)


def _sides(ends: List[Ends], ipv6: bool) -> List[Tuple[Tuple[str, ...], Tuple[str, ...]]]:
    """Fold (source, destination) pairs back into lists of sources and destinations.

    :param ipv6: whether ufw does IPv6; where it does not, an IPv4 block alone is the whole of a rule.
    """
    for sources in _candidates([source for source, _unused in ends]):
        for destinations in _candidates([destination for _unused, destination in ends]):
            folded = Rule("fold", "in", (), (), sources, destinations)
            expected = {
                (source or ANYWHERE[family], destination or ANYWHERE[family])
                for family in ((4, 6) if ipv6 else (4,))
                for source, destination in pairs(folded, family)
            }
            if expected == set(ends):
                return [(sources, destinations)]
    # Not every source with every destination: edited by hand. A rule for each pair says what is there.
    return [side for end in ends for side in (_sides([end], ipv6) if len(ends) > 1 else [((end[0],), (end[1],))])]


def _candidates(addresses: Sequence[str]) -> List[Tuple[str, ...]]:
    """The lists that may have led to these addresses: anywhere, the networks alone, all of them."""
    found = sorted(set(addresses), key=lambda text: (version(text), ipaddress.ip_network(text, strict=False)))
    return [(), tuple(text for text in found if text not in ANYWHERE.values()), tuple(found)]
