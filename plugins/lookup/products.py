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
description:
  - Lists the products that P(netports.apple.ports#lookup) knows, with their names and their ports in each
    direction. For menus, surveys and documentation.
options:
  _terms:
    description: Names of products, as for P(netports.apple.ports#lookup). No term lists all, by name.
    type: list
    elements: str
  language:
    description: The language of RV(_list[].name).
    type: str
    choices: [en, nl]
    default: en
  catalogues:
    description: Paths of a site's own catalogue files, merged over the collection's in this order.
    type: list
    elements: path
    default: []
    ini:
      - section: netports_apple
        key: catalogues
    env:
      - name: NETPORTS_APPLE_CATALOGUES
  supplement:
    description:
      - Also answer with what is known to be newer than the article's edition.
    type: bool
    default: false
    ini:
      - section: netports_apple
        key: supplement
    env:
      - name: NETPORTS_APPLE_SUPPLEMENT
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
      description: Ports on which the host is connected to, merged, by protocol. A family's include its members'.
      type: dict
      sample: {tcp: [], udp: ["3478-3497", "16384-16387", "16393-16402"]}
    out:
      description: Ports to which the host connects, merged, by protocol. A family's include its members'.
      type: dict
      sample: {tcp: ["80", "443", "5223"], udp: ["3478-3497", "16384-16387", "16393-16402"]}
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _options


class LookupModule(LookupBase):
    """``query('netports.apple.products', …)``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Answer; bad input is an AnsibleError."""
        try:
            terms, kwargs = _options.decrypted(terms), _options.decrypted(kwargs)
            _options.check_keywords(kwargs, ("language", "catalogues", "supplement"))
            language = _options.check_choice("language", kwargs.get("language")) or "en"
            catalogue = _options.catalogue(self, variables, kwargs)
            return _catalogue.describe(catalogue, _options.check_terms(terms), language=language)
        except ValueError as error:
            raise AnsibleError(str(error)) from error
