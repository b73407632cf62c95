# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a packet meets: whether the kernel's rules let a new connection in. Pure.

A rule may ask for what is not known here. Such a rule counts where it refuses and does not count where it accepts.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import conditions, ordinary
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.kernel import (
    REFUSALS,
    conditions_of,
    has_protocol,
    target_of,
    values,
    verdict_of,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    GUESTS,
    OWN_TABLE,
    Chain,
    Id,
    KernelRule,
    Listing,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.spread import spread
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.words import words
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

# Tables that programs make, by how their names begin.
_PROGRAMS = (
    *("firewalld", "netavark", "docker-bridges", "libvirt_network", "lxd", "incus", "f2b-", "kube-proxy", "crowdsec"),
    *("miniupnpd", "fw4", "nm-shared-", "wg-quick-", "sshguard", "io.systemd."),
)
_IPTABLES = ("filter", "nat", "mangle", "raw", "security")
PROTOCOLS = ("tcp", "udp")
# What carries the protocols that have ports.
_LOWER = ("ip", "ip6", "ether", "vlan")
_SEES = {4: ("ip", "inet"), 6: ("ip6", "inet")}


# An IP version, and an address of it; ``None`` for anywhere.
_Sample = Tuple[int, Optional[str]]


@dataclass(frozen=True)
class _Step:
    """A rule for packets from an address.

    :param certain: all of them meet it.
    :param nearly: nearly all of them meet it.
    :param ports: the ports that it is about, by protocol.
    :param answer: true (lets in), false (refuses) or ``None``, and ``why`` in words.
    :param target: the chain that it leads to.
    :param ends: nothing behind it in its chain is met.
    """

    certain: bool
    nearly: bool
    ports: Dict[str, List[_ports.PortRange]]
    answer: Optional[bool]
    why: str
    target: Optional[Chain]
    ends: bool


def bases(listing: Listing, *hooks: str) -> List[Chain]:
    """The base chains that filter what IP carries at hooks, those of a hook in the order of their priorities."""
    found = [chain for chain in listing.chains.values() if chain.hook in hooks and chain.kind == "filter"]
    found = [chain for chain in found if chain.family in ("ip", "ip6", "inet", "netdev")]
    return sorted(found, key=lambda chain: (hooks.index(chain.hook), chain.prio))


def editable(listing: Listing, chain: Chain) -> bool:
    """Whether a base chain is an administrator's own, and so may get a jump.

    The others are made again by their programs: iptables-nft (its chains are written in capitals), firewalld,
    container engines, libvirt and their like, and every table that a process holds as its owner.
    """
    place = (chain.family, chain.table)
    if place == OWN_TABLE or place in listing.held or chain.table.startswith(_PROGRAMS):
        return False
    return not (chain.family in ("ip", "ip6") and chain.table in _IPTABLES and chain.name.isupper())


def rule_admits(rule: Rule, address: Optional[str], port: int) -> bool:
    """Whether a rule of a ruleset lets an address reach a TCP port; ``None`` for any address."""
    if rule.direction != "in" or rule.interface or rule.destinations or not _ports.covers(rule.tcp, (port, port)):
        return False
    if not rule.sources or address is None:
        return True
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(network) for network in rule.sources)


def admits(listing: Listing, address: Optional[str], port: int, passed: FrozenSet[str]) -> bool:
    """Whether every base chain lets a new connection to a TCP port in.

    :param address: where it comes from; ``None`` asks whether there is any such address.
    :param passed: names of chains that do not count.
    """
    chains = bases(listing, "input")
    if address is not None:
        chains = [chain for chain in chains if chain.family in _SEES[6 if ":" in address else 4]]
    for chain in chains:
        answer = _walk(listing, chain, address, "tcp", port, passed, frozenset())
        if answer is False or (answer is None and chain.policy == "drop"):
            return False
    return True


def decider(
    listing: Listing, chain: Chain, rules: Iterable[Rule], passed: FrozenSet[str]
) -> Optional[Tuple[Rule, str]]:
    """What refuses a wanted port in a base chain, whatever else the packets have.

    :param rules: the wanted rules that pass the chain, all of a direction.
    :param passed: names of the chains of the wanted rules: what stands behind them comes too late.
    :returns: the wanted rule, and what refuses it in words.
    """
    rules = list(rules)
    walk = _Walk(listing, passed, local=any(rule.direction == "in" for rule in rules))
    for rule in rules:
        for sample in _samples(rule, chain.family):
            for protocol, port in [(name, port[0]) for name in PROTOCOLS for port in getattr(rule, name)]:
                answer, why = walk.verdict(chain, sample, protocol, port)
                if answer is False or (answer is None and not why and chain.policy == "drop"):
                    return rule, why or "policy drop"
    return None


def _samples(rule: Rule, family: str) -> List[_Sample]:
    """An address of each source of a rule that a family of tables sees."""
    found: List[_Sample] = [(4, None), (6, None)]
    if rule.sources:
        networks = [ipaddress.ip_network(source) for source in rule.sources]
        found = [(network.version, str(network.network_address)) for network in networks]
    return [sample for sample in found if family in (*_SEES[sample[0]], "netdev")]


class _Walk:
    """What chains do with ports, as far as all packets from an address meet it.

    Chains may have thousands of rules, which are looked at once for each address.

    :param passed: names of chains behind which nothing is looked for.
    :param local: whether the packets are for this host.
    """

    def __init__(self, listing: Listing, passed: FrozenSet[str], local: bool) -> None:
        self._listing = listing
        self._passed = passed
        self._local = local
        self._marked = ordinary.marks(listing)
        self._steps: Dict[Tuple[Id, _Sample], List[_Step]] = {}

    def verdict(self, chain: Chain, sample: _Sample, protocol: str, port: int) -> Tuple[Optional[bool], str]:
        """What a chain does with a port of a protocol.

        :returns: true (lets in), false (refuses) or ``None``, and why. ``None`` with a reason: it may let in.
        """
        key = (chain.id, sample)
        if key not in self._steps:
            self._steps[key] = list(self._made(chain, *sample))
        may = ""
        for step in self._steps[key]:
            if not _ports.covers(step.ports[protocol], (port, port)):
                continue
            answer, why = step.answer, step.why
            if step.target:
                answer, why = self.verdict(step.target, sample, protocol, port)
            if answer is not False:
                may = may or why
            if (step.certain and (answer is not None or step.ends)) or (step.nearly and answer is False):
                return (None, may) if may else (answer, why)
        return None, may

    def _made(self, chain: Chain, version: int, address: Optional[str]) -> Iterator[_Step]:
        for rule in spread(chain.rules):
            verdict, name = verdict_of(rule), target_of(rule)
            if address is None and any(map(_few_sources, conditions_of(rule))):
                # What a few sources meet says nothing of the others.
                continue
            packet = conditions.Packet(version=version, local=self._local, marked=self._marked)
            left_out = _narrows(rule, address, packet) if verdict else True
            nearly = left_out is False or (left_out is None and _narrows(rule, address, packet, nearly=True) is False)
            if left_out or (not nearly and verdict in REFUSALS):
                continue
            decides = name in self._passed or verdict in ("accept", "queue", *REFUSALS)
            yield _Step(
                certain=left_out is False,
                nearly=nearly,
                ports={protocol: ports_of(rule, protocol) for protocol in PROTOCOLS},
                answer=verdict not in REFUSALS if decides else None,
                why=words(rule) if decides else "",
                target=None if decides else self._listing.chains.get((chain.family, chain.table, name)),
                ends=verdict in ("goto", "return"),
            )


def _walk(
    listing: Listing,
    chain: Chain,
    address: Optional[str],
    protocol: str,
    port: int,
    passed: FrozenSet[str],
    seen: FrozenSet[str],
) -> Optional[bool]:
    """What a chain decides: true (lets in), false (refuses), or ``None`` (nothing)."""
    for rule in spread(chain.rules):
        verdict = verdict_of(rule)
        left_out = narrows(rule, address)
        if not verdict or left_out or not _ports.covers(ports_of(rule, protocol), (port, port)):
            continue
        answer: Optional[bool] = None
        if verdict in ("jump", "goto"):
            name = target_of(rule)
            following = listing.chains.get((chain.family, chain.table, name))
            if following is not None and name not in passed and name not in seen:
                answer = _walk(listing, following, address, protocol, port, passed, seen | {name})
            if verdict == "goto" and answer is None and left_out is False:
                return None
        elif verdict == "accept":
            answer = True
        elif verdict in REFUSALS:
            answer = False
        elif verdict == "return" and left_out is False:
            return None
        if answer is False or (answer and (left_out is False or address is None)):
            return answer
    return None


def open_rules(
    listing: Listing, chain: Chain, seen: FrozenSet[str] = frozenset()
) -> Iterator[Tuple[Chain, KernelRule]]:
    """The rules that accept new connections from anywhere, in a base chain and in the chains that it jumps to."""
    for rule in spread(chain.rules):
        if any(_asks_source(condition) for condition in conditions_of(rule)) or narrows(rule, None):
            continue
        verdict = verdict_of(rule)
        if verdict == "accept":
            yield chain, rule
        elif verdict in ("jump", "goto"):
            name = target_of(rule)
            following = listing.chains.get((chain.family, chain.table, name))
            if following is not None and name not in seen:
                yield from open_rules(listing, following, seen | {name})


def _asks_source(condition: Dict[str, Any]) -> bool:
    """Whether a condition leaves all sources alone but a few. Guests of this host come in by interfaces of their own."""
    left, right, op = conditions.sides(condition)
    if left.get("meta", {}).get("key") == "iifname" and op == "==":
        return all(str(name).startswith(tuple(GUESTS)) for name in values(right))
    return _few_sources(condition)


def _few_sources(condition: Dict[str, Any]) -> bool:
    """Whether a condition asks for the source, and few sources meet it."""
    left, _right, op = conditions.sides(condition)
    parts = left.get("concat") or left.get("&") or [left]
    fields = [part.get("payload", {}).get("field") for part in parts if isinstance(part, dict)]
    asks = op != "!=" and ("saddr" in fields or "sport" in fields)
    return asks and _share(condition, conditions.Packet()) == ordinary.FEW


def ports_of(rule: KernelRule, protocol: str) -> List[_ports.PortRange]:
    """The ports of a protocol that a rule's conditions may ask for: all where they ask for none; none for another one.

    What is not known counts as all.
    """
    found: List[_ports.PortRange] = list(conditions.ALL_PORTS)
    for condition in conditions_of(rule):
        left, right, op = conditions.sides(condition)
        payload = left.get("payload", {})
        if payload.get("protocol") not in (None, "th", protocol, *_LOWER):
            return []
        if payload.get("field") == "dport":
            asked = conditions.asked_ports(op, right)
            found = found if asked is None else _ports.subtract(found, _ports.subtract(conditions.ALL_PORTS, asked))
        elif conditions.asks_protocol(left):
            number = {"tcp": 6, "udp": 17}[protocol]
            fits = has_protocol(values(right), number)
            if op in ("==", "in", "!=") and not _unknown(right) and fits == (op == "!="):
                return []
    return found


def _unknown(right: Any) -> bool:
    return any(isinstance(value, str) and value.startswith("@") for value in values(right))


def narrows(rule: KernelRule, address: Optional[str]) -> Optional[bool]:
    """Whether a rule's conditions leave out packets of a new connection to this host from an address, whatever its port.

    :param address: ``None`` for anywhere.
    :returns: false where every such packet fits; true where none fits; ``None`` where it depends on what is not known.
    """
    return _narrows(rule, address, conditions.Packet(version=None if address is None else 6 if ":" in address else 4))


def _narrows(
    rule: KernelRule, address: Optional[str], packet: conditions.Packet, nearly: bool = False
) -> Optional[bool]:
    """``narrows`` for the connections that a packet stands for.

    :param nearly: a condition that nearly all of them meet leaves none of them out.
    """
    answer: Optional[bool] = False
    for condition in conditions_of(rule):
        fits = _fits(condition, address, packet)
        if fits is False:
            return True
        if fits is None and not (nearly and _share(condition, packet) >= ordinary.MOST):
            answer = None
    return answer


def _share(condition: Dict[str, Any], packet: conditions.Packet) -> int:
    """How many new connections meet a condition, of the protocol that it asks for."""
    header = conditions.sides(condition)[0].get("payload", {}).get("protocol")
    return ordinary.share(condition, replace(packet, protocol=conditions.UDP if header == "udp" else conditions.TCP))


def _fits(condition: Dict[str, Any], address: Optional[str], packet: conditions.Packet) -> Optional[bool]:
    """Whether a condition holds for a new connection from an address; ``None`` where that is not known."""
    left, right, op = conditions.sides(condition)
    payload = left.get("payload", {})
    if payload.get("field") == "dport":
        return None if conditions.asked_ports(op, right) is None else True
    if conditions.asks_protocol(left):
        known = op in ("==", "in", "!=") and not _unknown(right)
        if payload and known:
            return None if packet.version is None else packet.version == conditions.VERSIONS[payload["protocol"]]
        return True if known else None
    if payload.get("field") == "saddr" and payload.get("protocol") in ("ip", "ip6"):
        fits = _from(payload["protocol"], right, address)
        if op == "!=" and fits is not None and _sees(payload["protocol"], address):
            return not fits
        return fits if op in ("==", "in") or fits is False else None
    return conditions.holds(condition, packet)


def _sees(protocol: str, address: Optional[str]) -> bool:
    return address is not None and (":" in address) == (protocol == "ip6")


def _from(protocol: str, right: Any, address: Optional[str]) -> Optional[bool]:
    if address is None:
        return None
    if not _sees(protocol, address):
        return False
    parsed = ipaddress.ip_address(address)
    ranges = [value for value in values(right) if isinstance(value, tuple)]
    if len(ranges) != len(values(right)):
        return None
    return any(first <= int(parsed) <= last for first, last in ranges)
