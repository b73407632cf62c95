# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup of ports by product."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ports
short_description: The ports that Apple's products use
version_added: 1.0.0
author:
  - netports.apple contributors (@netports)
extends_documentation_fragment:
  - netports.apple.catalogues
description:
  - Answers from the collection's catalogue, which holds the facts of Apple's article "TCP and UDP ports used by
    Apple software products" and, apart from them, a judgement of the way and the reach of each use.
  - Use C(query), not C(lookup). C(lookup) turns an answer of one entry into a bare dictionary.
options:
  _terms:
    description:
      - Names of products - the id, the English or the Dutch name, or an alias. Case, white space, hyphens and
        apostrophes do not matter.
      - Everyday names, such as V(AirPrint server) or V(Time Machine server), are products too. They are found by name
        alone - no other answer has them.
      - A whole name matches, never a part of one. V(Mail) is not V(iCloud Mail).
      - A list among the terms stands for its members, and a text may list several names, separated by commas. An
        empty list is an error.
      - No term at all asks for every row, also for those that name no product.
    type: list
    elements: str
  protocol:
    description: Only entries of this protocol.
    type: str
    choices: [tcp, udp]
  port:
    description: Only entries that share a port with this one, a number from 1 to 65535 or a range such as V(80-443).
    type: str
  service:
    description:
      - Only entries of this service, by its label (V(ssh)), its full name, or a short form in that (V(DNS)).
    type: str
  side:
    description:
      - Which side of a product the host is. V(server) - it offers what the product is about. V(client) - it uses what
        another host offers. Some products have words of their own, such as V(device) and V(provider).
      - A port that this side does not use is left out. Products without this side stay as they are. A side that none of
        the products has is an error.
      - Unset, a product is as it is judged without a side.
    type: str
  ports:
    description:
      - Ports of the site's own, for a product that each site chooses a port for, such as V(HomeKit accessory).
      - Numbers and ranges, with or without a protocol (V(21064), V(8000-8010/udp)), and V(host_ephemeral).
    type: list
    elements: str
  obsolete:
    description:
      - Whether to answer with ports on which Apple no longer answers, as RV(_list[].obsolete) tells.
      - Unset, they are left out of an answer for one O(side) alone.
    type: bool
  direction:
    description:
      - Only entries of this direction. V(in) - the host is connected to. V(out) - the host connects.
      - Entries of both directions match either. V(both) matches these alone.
    type: str
    choices: [in, out, both]
  scope:
    description: Only entries of this scope. V(local) - only ever local networks. V(internet) - anywhere.
    type: str
    choices: [local, internet]
  members:
    description: Whether a family, such as V(iCloud), includes its members.
    type: bool
    default: true
  merge:
    description:
      - Join overlapping and adjacent ranges of a protocol over all terms. A hole between two ranges stays one.
    type: bool
    default: false
  language:
    description: The language of names, services and details in the answer. Terms may be in either.
    type: str
    choices: [en, nl]
    default: en
seealso:
  - plugin: netports.apple.products
    plugin_type: lookup
  - plugin: netports.apple.rules
    plugin_type: filter
notes:
  - Result keys C(first) and C(last) are numbers, C(port) is a text such as V(443) or V(3478-3497).
  - The port V(host_ephemeral) is the range from which a host takes ports itself. A host alone knows its numbers, so that
    C(first) and C(last) are null. M(netports.apple.host_firewall) puts them in.
"""

EXAMPLES = r"""
- name: Show the ports of two products
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.port }}/{{ item.protocol }} ({{ item.direction }}, {{ item.scope }})"
  loop: "{{ query('netports.apple.ports', 'FaceTime', 'AirPlay') }}"
  loop_control:
    label: "{{ item.port }}/{{ item.protocol }}"

- name: Show the UDP ports of FaceTime as one line for a device's configuration
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.ports', 'FaceTime', protocol='udp', merge=true) | map(attribute='port') | join(',') }}"

- name: Show why port 5223 is open
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.ports', port=5223) | map(attribute='name') | unique }}"

- name: Show what a row without a product says, by its service
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.ports', service='ldaps') }}"

- name: Show what a host needs that is backed up to a Time Machine server
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.ports', 'Time Machine server', side='client') }}"

- name: Show why a HomeKit bridge needs its ports, of which the site chose one
  ansible.builtin.debug:
    msg: "{{ item.port }}/{{ item.protocol }}: {{ item.reason }} ({{ item.source }})"
  loop: "{{ query('netports.apple.ports', 'HomeKit bridge', ports=[21064]) }}"

- name: Show only what a host has to be reachable on, for a list from a variable
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.ports', wanted, direction='in') | map(attribute='port') }}"
  vars:
    wanted:
      - Screen Sharing
      - File Sharing
"""

RETURN = r"""
_list:
  description:
    - Entries, in the order of the terms, then by protocol and port. With O(merge=true), ranges with C(port),
      C(first), C(last), C(protocol), C(products), C(directions) and C(scopes).
  type: list
  elements: dict
  contains:
    product:
      description: Id of the product; null for a row that names none.
      type: str
      sample: facetime
    name:
      description: Name of the product; for a row that names none, of its service.
      type: str
      sample: FaceTime
    port:
      description: Port or range as text, or V(host_ephemeral).
      type: str
      sample: 3478-3497
    first:
      description: First port of the range; null for V(host_ephemeral).
      type: int
      sample: 3478
    last:
      description: Last port of the range; null for V(host_ephemeral).
      type: int
      sample: 3497
    protocol:
      description: V(tcp) or V(udp).
      type: str
      sample: udp
    service:
      description: Full name of the service or protocol, or null.
      type: str
      sample: Secure Shell (SSH), SSH File Transfer Protocol (SFTP), and Secure copy (SCP)
    service_name:
      description: Label of the service, as registered with IANA, or null.
      type: str
      sample: ssh
    rfc:
      description: Number of the RFC that the article names, or null.
      type: int
      sample: 4253
    detail:
      description: What the article says of this use in parentheses, or null.
      type: str
      sample: sending email
    nested:
      description: Whether the article names the product only inside another one's parentheses.
      type: bool
      sample: false
    direction:
      description: V(in), V(out) or V(both).
      type: str
      sample: both
    scope:
      description: V(local) or V(internet).
      type: str
      sample: internet
    legacy:
      description: Whether the article marks the row as legacy.
      type: bool
      sample: false
    edition:
      description: Edition of the source that the entry comes from.
      type: str
      sample: nl-2026
    reason:
      description: Why the entry is judged as it is.
      type: str
      sample: The device opens one lasting connection to Apple's courier servers, and notifications come in over it.
    source:
      description: Where that can be read, an RFC or an address; null for a judgement of ours alone.
      type: str
      sample: https://support.apple.com/102266
    source_class:
      description:
        - What kind of source an everyday name's port has, or null for other products. V(apple) is Apple's own page,
          V(apple-secondhand) a copy of such a page, V(standard) an RFC or a registry, V(implementer) software that
          speaks the protocol, V(field) what users saw.
      type: str
      sample: implementer
    side:
      description: The side that O(side) asked for, whose direction and scope these are; null where it asked for none.
      type: str
      sample: server
    sides:
      description: What the port is to each side of the product. Empty where it is the same to all.
      type: list
      elements: dict
      contains:
        id:
          description: The value for O(side).
          type: str
          sample: server
        role:
          description: Completes "the host".
          type: str
          sample: serves shared folders
        direction:
          description: V(in), V(out) or V(both).
          type: str
        scope:
          description: V(local) or V(internet).
          type: str
        reason:
          description: Why.
          type: str
    obsolete:
      description: Since when Apple no longer answers on the port (C(since)), and who says so (C(source)); null otherwise.
      type: dict
      sample: {since: "2021-03-31", source: "https://developer.apple.com/news/?id=c88acm2b"}
    directions:
      description: V(in), V(out) or both, of the entries of a merged range. Only with O(merge=true).
      type: list
      elements: str
      sample: [out]
    scopes:
      description: V(local), V(internet) or both, of the entries of a merged range. Only with O(merge=true).
      type: list
      elements: str
      sample: [internet]
    products:
      description: Ids of the products that use a merged range. Only with O(merge=true).
      type: list
      elements: str
      sample: [facetime, game-center]
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _options

OPTIONS = (
    *("protocol", "port", "service", "side", "ports", "obsolete", "direction", "scope", "members", "merge", "language"),
    *("catalogues", "supplement"),
)


class LookupModule(LookupBase):
    """``query('netports.apple.ports', …)``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Answer; bad input is an AnsibleError."""
        try:
            terms, kwargs = _options.decrypted(terms), _options.decrypted(kwargs)
            _options.check_keywords(kwargs, OPTIONS)
            selection = _options.selection(kwargs)
            merged = _options.check_bool("merge", kwargs.get("merge", False))
            catalogue = _options.catalogue(self, variables, kwargs)
            entries = _catalogue.select(catalogue, _options.check_terms(terms), **selection)
        except ValueError as error:
            raise AnsibleError(str(error)) from None
        return _catalogue.merge(entries) if merged else entries
