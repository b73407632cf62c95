# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup of the catalogue's products."""

from __future__ import annotations

DOCUMENTATION = r"""
name: products
short_description: The products of the catalogue of Apple's ports
version_added: 1.0.0
author:
  - netports.apple contributors (@netports)
extends_documentation_fragment:
  - netports.apple.catalogues
description:
  - Lists the products that P(netports.apple.ports#lookup) knows, with their names and their ports in each
    direction. For menus, surveys and documentation.
options:
  _terms:
    description: Names of products, as for P(netports.apple.ports#lookup). No term lists all, by name.
    type: list
    elements: str
  everyday:
    description:
      - Whether an answer without terms lists everyday names, too, such as V(AirPrint server). They are always found by
        name.
    type: bool
    default: false
  obsolete:
    description: Whether to count ports on which Apple no longer answers.
    type: bool
    default: false
  language:
    description: The language of RV(_list[].name).
    type: str
    choices: [en, nl]
    default: en
seealso:
  - plugin: netports.apple.ports
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show the names of all products, as choices of a survey
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.products') | map(attribute='name') | join('\n') }}"

- name: Show what belongs to the family iCloud
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.products', 'iCloud') | map(attribute='members') | first }}"

- name: Show which types of service discovery a reflector between two networks has to pass on for AirPlay and AirPrint
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.products', 'AirPlay', 'AirPrint server') | map(attribute='dns_sd') | flatten }}"

- name: Show which products a host has to be reachable for
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ (item.in.tcp + item.in.udp) | join(', ') }}"
  loop: "{{ query('netports.apple.products') | selectattr('in.tcp') }}"
  loop_control:
    label: "{{ item.id }}"
"""

RETURN = r"""
_list:
  description: Products, in the order of the terms, or by name.
  type: list
  elements: dict
  contains:
    id:
      description: Id of the product.
      type: str
      sample: icloud-mail
    name:
      description: Name in the language asked for.
      type: str
      sample: iCloud Mail
    names:
      description: Name by language.
      type: dict
      sample: {en: Maps, nl: Kaarten}
    aliases:
      description: Other names that find the product.
      type: list
      elements: str
    family:
      description: Id of the family that the product belongs to, or null.
      type: str
      sample: icloud
    members:
      description: Ids of the products that belong to this family.
      type: list
      elements: str
    in:
      description:
        - Ports on which the host is connected to, merged, by protocol. A family's include its members'.
        - V(site_port) stands for a port that the site chooses, V(host_ephemeral) for the range from which the host takes
          ports itself.
      type: dict
      sample: {tcp: [], udp: ["3478-3497", "16384-16387", "16393-16402"]}
    out:
      description: Ports to which the host connects, merged, by protocol. A family's include its members'.
      type: dict
      sample: {tcp: ["80", "443", "5223"], udp: ["3478-3497", "16384-16387", "16393-16402"]}
    in_ranges:
      description: The ports of RV(_list[].in) that have numbers, as numbers.
      type: dict
      sample: {tcp: [], udp: [{first: 3478, last: 3497}]}
    out_ranges:
      description: The ports of RV(_list[].out) that have numbers, as numbers.
      type: dict
      sample: {tcp: [{first: 80, last: 80}], udp: []}
    sides:
      description: The sides that the product has, values for the option C(side) of P(netports.apple.ports#lookup).
      type: list
      elements: str
      sample: [server, client]
    site_port:
      description: Whether the product takes a port of the site's choice, see the option C(ports) of
        P(netports.apple.ports#lookup).
      type: bool
      sample: false
    dns_sd:
      description: Types of DNS-based service discovery, for reflectors of multicast between networks.
      type: list
      elements: str
      sample: ["_airplay._tcp", "_raop._tcp"]
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.netports.apple.plugins.plugin_utils import _options, _products


class LookupModule(LookupBase):
    """``query('netports.apple.products', …)``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Answer; bad input is an AnsibleError."""
        try:
            terms, kwargs = _options.decrypted(terms), _options.decrypted(kwargs)
            _options.check_keywords(kwargs, ("everyday", "obsolete", "language", "catalogues", "supplement"))
            switches = {name: _options.check_bool(name, kwargs.get(name, False)) for name in ("everyday", "obsolete")}
            language = _options.check_choice("language", kwargs.get("language")) or "en"
            catalogue = _options.catalogue(self, variables, kwargs)
            return _products.describe(catalogue, _options.check_terms(terms), language=language, **switches)
        except ValueError as error:
            raise AnsibleError(str(error)) from None
