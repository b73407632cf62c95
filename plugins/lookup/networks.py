# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup of the networks that Apple publishes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: networks
short_description: The networks that Apple publishes
version_added: 2.0.0
author:
  - netports.apple contributors (@netports)
description:
  - Answers with the networks that Apple itself names for a product. For most products it names none, since content
    delivery networks serve them. Use P(netports.apple.hosts#lookup) for those.
  - The words V(apns) and V(apple) also serve in O(netports.apple.rules#filter:destinations).
options:
  _terms:
    description:
      - V(apns) - the networks of the Apple Push Notification service, IPv4 and IPv6. V(apple) - Apple's own block
        V(17.0.0.0/8), of IPv4 alone.
      - Or names of products, as for P(netports.apple.ports#lookup). The narrowest networks answer for a product. A
        product for which Apple publishes none is an error.
      - No term at all asks for all.
    type: list
    elements: str
  family:
    description: Only networks of this version of IP.
    type: str
    choices: [ipv4, ipv6]
seealso:
  - plugin: netports.apple.hosts
    plugin_type: lookup
  - plugin: netports.apple.rules
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the IPv4 networks of push notifications, for a device's configuration
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.networks', 'apns', family='ipv4') | map(attribute='cidr') | join(' ') }}"

- name: Show the networks that do for a product
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.networks', 'Push Notifications') | map(attribute='cidr') }}"
"""

RETURN = r"""
_list:
  description: Networks, in the order of the terms, IPv4 first.
  type: list
  elements: dict
  contains:
    network:
      description: The word for the networks that this one belongs to.
      type: str
      sample: apns
    family:
      description: V(ipv4) or V(ipv6).
      type: str
      sample: ipv4
    cidr:
      description: The network.
      type: str
      sample: 17.249.0.0/16
    products:
      description: Ids of the products for which Apple names it.
      type: list
      elements: str
      sample: [push-notifications, push-provider]
    source:
      description: The address of Apple's page.
      type: str
      sample: https://support.apple.com/102266
    edition:
      description: Edition of the data.
      type: str
      sample: networks-2026
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.netports.apple.plugins.plugin_utils import _networks, _options


class LookupModule(LookupBase):
    """``query('netports.apple.networks', …)``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Answer; bad input is an AnsibleError."""
        try:
            terms, kwargs = _options.decrypted(terms), _options.decrypted(kwargs)
            _options.check_keywords(kwargs, ("family",))
            family = _options.check_choice("family", kwargs.get("family"))
            return _networks.select(_options.check_terms(terms), family)
        except ValueError as error:
            raise AnsibleError(str(error)) from None
