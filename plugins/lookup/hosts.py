# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup of the host names that Apple's products connect to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts
short_description: The host names that Apple's products connect to
version_added: 2.0.0
author:
  - netports.apple contributors (@netports)
description:
  - Answers from Apple's article "Use Apple products on enterprise networks", with the names that two independent copies
    of it have. Devices open these connections, to the names and ports given.
  - For proxies, name servers and firewalls that know names. A packet filter knows addresses alone.
options:
  _terms:
    description:
      - Names of products, as for P(netports.apple.ports#lookup), of the article's sections (V(Device management),
        V(Certificate validation)), or of hosts. Case, white space, hyphens and apostrophes do not matter.
      - A host finds its own rows and those of wildcards that cover it.
      - A product for which the article names no host is an error.
      - No term at all asks for every row.
    type: list
    elements: str
  os:
    description: Only hosts that this system connects to. An entry that names no system counts for every one.
    type: str
    choices: [iOS, iPadOS, tvOS, watchOS, visionOS, macOS]
  protocol:
    description: Only entries of this protocol.
    type: str
    choices: [tcp, udp]
  port:
    description: Only entries with this port, a number from 1 to 65535.
    type: int
  proxies:
    description:
      - V(true) - only hosts for which the article says that a proxy may stand in between. V(false) - only the others,
        also those of which the copies do not say it.
    type: bool
  merge:
    description:
      - Give each host name once, with the ports of all its entries, and leave out a name that says no more than a
        wildcard above it. With O(port), that port alone counts.
    type: bool
    default: false
seealso:
  - plugin: netports.apple.networks
    plugin_type: lookup
  - plugin: netports.apple.ports
    plugin_type: lookup
notes:
  - Ports are numbers here, since the article has no range of them.
"""

EXAMPLES = r"""
- name: Show what a Mac connects to for its updates
  ansible.builtin.debug:
    msg: "{{ item.host }}: {{ item.ports | join(', ') }}/{{ item.protocol }}"
  loop: "{{ query('netports.apple.hosts', 'Software Update', os='macOS') }}"
  loop_control:
    label: "{{ item.host }}"

- name: Show the fewest names of what enrolment in device management needs
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.hosts', 'Device setup', 'Device management', merge=true) | map(attribute='host') }}"

- name: Show what a host name of a log is for
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.hosts', 'gsa.apple.com') | map(attribute='section') }}"

- name: Show what a proxy must not stand in between
  ansible.builtin.debug:
    msg: "{{ query('netports.apple.hosts', proxies=false, merge=true) | map(attribute='host') }}"
"""

RETURN = r"""
_list:
  description:
    - Entries, in the order of the terms, then of the article. With O(merge=true), host names with C(host), C(domain),
      C(wildcard), C(tcp), C(udp), C(inspection_breaks), C(sections) and C(products), a domain before those below it.
  type: list
  elements: dict
  contains:
    host:
      description: Host name. C(*.) in front stands for every name below it.
      type: str
      sample: "*.push.apple.com"
    ports:
      description: Ports, as numbers.
      type: list
      elements: int
      sample: [80, 443, 2197, 5223]
    protocol:
      description: V(tcp) or V(udp).
      type: str
      sample: tcp
    section:
      description: Id of the article's section.
      type: str
      sample: device-management
    products:
      description: Ids of the products that need the host, as we judge it, also of everyday names. Some hosts have none.
      type: list
      elements: str
      sample: [push-notifications]
    os:
      description: Systems that connect to it, or null where the copies do not say.
      type: list
      elements: str
      sample: [iOS, iPadOS, tvOS, macOS]
    proxies:
      description: Whether a proxy may stand in between, or null where the copies do not say. Not with O(merge=true).
      type: bool
    inspection_breaks:
      description: Whether the connection fails where TLS is inspected.
      type: bool
      sample: true
    source:
      description: The address of Apple's article.
      type: str
      sample: https://support.apple.com/101555
    edition:
      description: Edition of the data.
      type: str
      sample: hosts-2025
    domain:
      description: The host name without C(*.). Only with O(merge=true).
      type: str
      sample: push.apple.com
    wildcard:
      description: Whether the host name stands for all names below its domain. Only with O(merge=true).
      type: bool
      sample: true
    tcp:
      description: Ports of TCP, with those of the wildcards above. Only with O(merge=true).
      type: list
      elements: int
      sample: [80, 443, 2197, 5223]
    udp:
      description: Ports of UDP, with those of the wildcards above. Only with O(merge=true).
      type: list
      elements: int
      sample: []
    sections:
      description: Ids of the sections that have the host. Only with O(merge=true).
      type: list
      elements: str
      sample: [device-management]
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.netports.apple.plugins.plugin_utils import _hosts, _options


class LookupModule(LookupBase):
    """``query('netports.apple.hosts', …)``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Answer; bad input is an AnsibleError."""
        try:
            terms, kwargs = _options.decrypted(terms), _options.decrypted(kwargs)
            _options.check_keywords(kwargs, ("os", "protocol", "port", "proxies", "merge"))
            merged = _options.check_bool("merge", kwargs.get("merge", False))
            proxies, port = kwargs.get("proxies"), _options.check_port(kwargs.get("port"))
            entries = _hosts.select(
                _options.check_terms(terms),
                os_name=_options.check_choice("os", kwargs.get("os")),
                protocol=_options.check_choice("protocol", kwargs.get("protocol")),
                port=port,
                proxies=None if proxies is None else _options.check_bool("proxies", proxies),
            )
        except ValueError as error:
            raise AnsibleError(str(error)) from None
        return _hosts.merge(entries, port) if merged else entries
