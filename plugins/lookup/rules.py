# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup of the rules that sets of products need."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rules
short_description: The firewall rules that sets of Apple's products need
version_added: 1.0.0
author:
  - netports.apple contributors (@netports)
extends_documentation_fragment:
  - netports.apple.catalogues
description:
  - Puts P(netports.apple.ports#lookup) and P(netports.apple.rules#filter) together for several sets of products,
    each with its own sources, interface and so on. It is what the role C(netports.apple.host_firewall) asks.
  - A product that gives no rule in the directions asked for is named in a warning.
options:
  _terms:
    description:
      - Sets, as dictionaries with the keys C(products), C(services), C(side), C(ports), C(directions), C(sources),
        C(local_networks), C(destinations), C(interface), C(out_interface) and C(obsolete). C(products) or C(services)
        has to name something.
      - C(services) are labels or full names of services, for rows that name no product.
      - C(side) and C(ports) are the options of P(netports.apple.ports#lookup).
      - The other keys are the options of P(netports.apple.rules#filter).
      - A list among the terms stands for its members.
    type: list
    elements: dict
    required: true
  defaults:
    description:
      - Values for the keys that a set does not have.
      - C(side) and C(ports) count for the sets with a product that has them.
    type: dict
    default: {}
  side:
    description:
      - Which side of its products the host is, for the sets that do not say so, as for P(netports.apple.ports#lookup).
      - The same as C(side) of O(defaults).
    type: str
  prefix:
    description:
      - What stands before the names of the keys of the first term, where its values come from variables. For messages.
        Sets of further terms come from the list C(rules) of this prefix.
    type: str
    default: ""
seealso:
  - plugin: netports.apple.rules
    plugin_type: filter
  - module: netports.apple.host_firewall
"""

EXAMPLES = r"""
- name: Let the wired network reach Screen Sharing, and the host reach iCloud and name servers
  netports.apple.host_firewall:
    rules: "{{ query('netports.apple.rules', reachable, reaching) }}"
  vars:
    reachable:
      products: [Screen Sharing]
      directions: [in]
      sources: [10.20.0.0/16]
      interface: eth0
    reaching:
      products: [iCloud]
      services: [domain]
      directions: [out]

- name: Let the local networks reach a HomeKit bridge on the port that was chosen for it
  netports.apple.host_firewall:
    rules: "{{ query('netports.apple.rules', bridge) }}"
  vars:
    bridge:
      products: [HomeKit bridge]
      ports: [21064]

- name: Let the devices behind a gateway out to what they need
  netports.apple.host_firewall:
    rules: "{{ query('netports.apple.rules', behind) }}"
  vars:
    behind:
      products: [iCloud, FaceTime, Software Update]
      directions: [forward]
      sources: [10.30.0.0/16]
      out_interface: eth0
"""

RETURN = r"""
_list:
  description: Rules, in the form that M(netports.apple.host_firewall) takes.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.netports.apple.plugins.plugin_utils import _networks, _options, _sets


class LookupModule(LookupBase):
    """``query('netports.apple.rules', …)``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Answer; bad input is an AnsibleError."""
        try:
            terms, kwargs = _options.decrypted(terms), _options.decrypted(kwargs)
            _options.check_keywords(kwargs, ("defaults", "side", "prefix", "catalogues", "supplement"))
            catalogue = _options.catalogue(self, variables, kwargs)
            groups = [term if isinstance(term, (list, tuple)) else [term] for term in terms]
            compiled = _sets.compile_sets(
                catalogue,
                [given for group in groups for given in group],
                _defaults(kwargs.get("defaults"), kwargs.get("side")),
                prefixes=_prefixes(groups, kwargs.get("prefix") or ""),
                decided=_options.decided(self, kwargs),
            )
            warnings = [
                *compiled.warnings,
                *_networks.warnings(compiled.destinations, _ipv6_addresses(variables)),
            ]
        except ValueError as error:
            raise AnsibleError(str(error)) from None
        for warning in warnings:
            Display().warning(warning)
        return compiled.rules


def _defaults(defaults: Any, side: Any) -> Any:
    """The defaults with a side that was given apart from them."""
    return defaults if side is None or not isinstance(defaults or {}, dict) else {**(defaults or {}), "side": side}


def _prefixes(groups: list[Any], prefix: str) -> list[str]:
    """For each set, what stands before the names of its keys where it was given."""
    if not prefix:
        return []
    others = [f"{prefix}rules[{number}]." for number in range(sum(map(len, groups[1:])))]
    return [*([prefix] * len(groups[0] if groups else [])), *others]


def _ipv6_addresses(variables: dict[str, Any] | None) -> list[str] | None:
    """The host's IPv6 addresses, or ``None`` where its facts were not gathered."""
    facts = (variables or {}).get("ansible_facts")
    found = facts.get("all_ipv6_addresses") if isinstance(facts, dict) else None
    return [str(address) for address in found] if isinstance(found, list) else None
