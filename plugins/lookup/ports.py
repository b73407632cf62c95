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
description:
  - Answers from the collection's catalogue, which holds the facts of Apple's article "TCP and UDP ports used by
    Apple software products" and, apart from them, a judgement of the way and the reach of each use.
  - Use C(query), not C(lookup). C(lookup) turns an answer of one entry into a bare dictionary.
options:
  _terms:
    description:
      - Names of products - the id, the English or the Dutch name, or an alias. Case, white space, hyphens and
        apostrophes do not matter.
      - A whole name matches, never a part of one. V(Mail) is not V(iCloud Mail).
      - A list among the terms stands for its members. An empty list is an error.
      - No term at all asks for every row, also for those that name no product.
    type: list
    elements: str
  protocol:
    description: Only entries of this protocol.
    type: str
    choices: [tcp, udp]
  port:
    description: Only entries that cover this port, a number from 1 to 65535.
    type: int
  service:
    description: Only entries of this service, by its label (V(ssh)) or its full name.
    type: str
  direction:
    description:
      - Only entries of this direction. V(in) - the host is connected to. V(out) - the host connects.
      - Entries of both directions match either.
    type: str
    choices: [in, out]
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
  catalogues:
    description:
      - Paths of a site's own catalogue files, merged over the collection's in this order.
      - Needs the Python library C(jsonschema) on the controller.
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
      - Also answer with what is known to be newer than the article's edition. RV(_list[].edition) tells such entries.
    type: bool
    default: false
    ini:
      - section: netports_apple
        key: supplement
    env:
      - name: NETPORTS_APPLE_SUPPLEMENT
seealso:
  - plugin: netports.apple.products
    plugin_type: lookup
  - plugin: netports.apple.rules
    plugin_type: filter
notes:
  - Result keys C(first) and C(last) are numbers, C(port) is a text such as V(443) or V(3478-3497).
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
      C(first), C(last), C(protocol) and C(products).
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
      description: Port or range as text.
      type: str
      sample: 3478-3497
    first:
      description: First port of the range.
      type: int
      sample: 3478
    last:
      description: Last port of the range.
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
    *("protocol", "port", "service", "direction", "scope", "members", "merge", "language"),
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
            raise AnsibleError(str(error)) from error
        return _catalogue.merge(entries) if merged else entries
