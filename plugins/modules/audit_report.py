#!/usr/bin/python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name, which does all of it on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_report
short_description: Write what an audit of hosts found
version_added: 1.0.0
author:
  - netports.apple contributors (@netports)
extends_documentation_fragment:
  - netports.apple.attributes
description:
  - The last step of the playbook C(netports.apple.audit). Makes the report from variables that the playbook registers on
    each host, as the filter P(netports.apple.audit#filter) does, and writes it on the controller in four forms.
  - C(audit.json) has the form of C(data/audit.schema.json); C(audit.csv) has a line for each host and product, and for each exposure;
    C(audit.xml) is JUnit XML for pipelines; C(audit.html) is one page that needs nothing else.
  - Each file is replaced as a whole. In check mode, none is written. The task never counts as a change, since no host has
    one.
options:
  hosts:
    description: Names of the hosts to report, such as C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  dest:
    description:
      - The folder on the controller for the four files. It is made when it is not there.
      - A relative one starts in the folder in which Ansible was started.
    type: path
    required: true
attributes:
  action:
    support: full
    details: All of it runs on the controller.
  async:
    support: none
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: all
seealso:
  - plugin: netports.apple.audit
    plugin_type: filter
  - module: netports.apple.host_firewall
"""

EXAMPLES = r"""
- name: Write the report on the controller
  netports.apple.audit_report:
    hosts: "{{ ansible_play_hosts_all }}"
    dest: ./netports-audit
  run_once: true
  check_mode: false
  register: report
"""

RETURN = r"""
summary:
  description:
    - C(compliant), whether all is as declared; how many C(hosts) and C(products) have each status; how many
      C(exposures) there are.
  returned: success
  type: dict
deviating:
  description: The hosts that are not compliant.
  returned: success
  type: list
  elements: str
exposed:
  description: The hosts that have an exposure.
  returned: success
  type: list
  elements: str
dest:
  description: The folder of the report.
  returned: success
  type: str
"""
