#!/usr/bin/python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation and options of the module; what it does is in module_utils/_run.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_firewall
short_description: Make a host's firewall allow exactly the rules of a ruleset
version_added: 1.0.0
author:
  - netports.apple contributors (@netports)
extends_documentation_fragment:
  - netports.apple.attributes
description:
  - Makes V(ufw), V(firewalld), V(nftables) or V(pf) allow exactly the given rules, and nothing else under the same
    O(ruleset). What a ruleset does not own is never touched.
  - Rules usually come from P(netports.apple.ports#lookup) by way of P(netports.apple.rules#filter); the role
    C(netports.apple.host_firewall) puts the three together.
  - A ruleset lives in the firewall's own objects, so that it shows in the firewall's own tools - application
    profiles of ufw (C(Apple FaceTime)), services and policies of firewalld, chains of nftables, an anchor of pf.
  - All changes are made in one run, validated by the firewall's own parser beforehand, and put back when they
    fail half-way. No command is used that opens the firewall for a moment (C(ufw reload), C(ufw default), a
    flush).
  - Where the firewall is switched on, or refuses what comes in by default, the address and the port of the
    present ssh connection stay admitted. When no other rule does that, the ruleset gets a rule C(management). It stays
    until another rule admits that address, also when the next run comes from elsewhere. Without an ssh connection a
    change is refused where no rule admits anybody to the host's ssh daemon (see O(accept)).
requirements:
  - Python 3.7 or newer on the host.
  - ufw 0.36 or newer, firewalld 0.9 or newer (0.6 for inbound rules alone), nftables 0.9.8 or newer, or pf of
    macOS, FreeBSD or OpenBSD. O(state=rendered) needs none.
options:
  rules:
    description:
      - The rules of the ruleset.
      - For O(state=deleted), rules to remove, told by O(rules[].name) and O(rules[].direction); without any, all
        of the ruleset's.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - What needs the ports, such as C(FaceTime). Up to 48 letters, digits, spaces and C(. _ + -).
          - Becomes part of names in the firewall.
        type: str
        required: true
      direction:
        description:
          - Whether the host is connected to (V(in)), connects (V(out)), or lets others connect through it
            (V(forward)). V(pf) refuses the last.
        type: str
        required: true
        choices: [in, out, forward]
      tcp:
        description:
          - TCP ports and ranges of ports, such as V(443) and V(8000-8999).
          - V(host_ephemeral) stands for the range from which the host's kernel takes ports
            (C(net.ipv4.ip_local_port_range) on Linux). What is planned and returned has the numbers.
        type: list
        elements: str
        default: []
      udp:
        description: UDP ports and ranges of ports, and V(host_ephemeral).
        type: list
        elements: str
        default: []
      sources:
        description:
          - Addresses and networks that packets may come from. None, or V(any) alone, stands for anywhere.
          - No host names.
        type: list
        elements: str
        default: []
      destinations:
        description:
          - Addresses and networks that packets may go to. For O(rules[].direction=in) these are the host's own.
        type: list
        elements: str
        default: []
      interface:
        description:
          - The interface that packets come in by (O(rules[].direction=in), O(rules[].direction=forward)) or go out
            by (O(rules[].direction=out)). Unset, every interface.
        type: str
        default: ''
      out_interface:
        description:
          - The interface that forwarded packets leave by. Unset, every interface. Only with
            O(rules[].direction=forward).
        type: str
        default: ''
  ruleset:
    description:
      - The name under which the rules are owned. Rulesets of different names live beside each other on a host.
      - Up to 24 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    default: apple
  state:
    description:
      - V(replaced) makes the ruleset hold exactly O(rules).
      - V(merged) adds O(rules) to what the ruleset holds.
      - V(deleted) removes O(rules) from it, or all of it when O(rules) is empty.
      - V(gathered) only reads the ruleset from the host and returns it in RV(gathered).
      - V(rendered) only returns in RV(rendered) what O(rules) look like in the firewall's own form. Needs no
        firewall and no privileges, and a O(backend).
    type: str
    choices: [replaced, merged, deleted, gathered, rendered]
    default: replaced
  backend:
    description:
      - The firewall to manage. V(auto) takes the one that is in use, or the only one installed. Two in use, or
        none, is an error.
    type: str
    choices: [auto, ufw, firewalld, nftables, pf]
    default: auto
  enable:
    description:
      - V(true) switches the firewall on, now and at boot, when it is off.
      - V(false), or unset, leaves its switch alone; a warning says where it is off.
    type: bool
  zone:
    description:
      - The zone of firewalld that inbound rules go to. Unset, the default zone.
      - Forward rules without an interface let in from this zone. Unset, from any.
    type: str
    default: ''
  confirm_seconds:
    description:
      - How long the host waits, after a change over ssh, for a new connection from the controller. Without one it
        restores what was there before - the files, what is loaded, and whether the firewall is on - by itself,
        also when the controller has died. A host that reboots while it waits comes back with the old rules.
      - The new connection is made as soon as the change is, so that a run only takes as long as this when something
        is wrong. V(0) keeps every change without a question.
      - With a connection that is not over the network, such as P(ansible.builtin.local#connection), and in check
        mode there is nothing to confirm.
    type: int
    default: 60
  foreign:
    description:
      - Whether to return in RV(foreign), too, what the firewall has beside the ruleset.
    type: bool
    default: false
  accept:
    description:
      - Codes of what the administrator accepts. A run that would refuse goes on, with a notice of that code.
      - V(no-way-in) - no ssh connection says who manages the host, as in a run by cron, a timer or ansible-pull, and no
        rule admits anybody to the host's ssh daemon, so that the firewall refuses new ssh connections.
      - V(guard-dropped) - who managed the host before loses the rule C(management) that admits them, where no other
        rule does. Otherwise that rule stays, with a notice.
      - V(main-ruleset-differs) - on pf, the main ruleset in the kernel has rules that its file does not have, and loading
        the file drops them.
      - V(slow-reload) - firewalld has more than 10,000 rules, and its reload refuses new connections for as long as it
        takes to load them.
    type: list
    elements: str
    default: []
    choices: [guard-dropped, main-ruleset-differs, no-way-in, slow-reload]
  diff:
    description:
      - What C(--diff) shows. V(words) is the plan, a line for each operation; V(full), and C(-vv), show the lines of the
        firewall's files and of the kernel behind it.
      - Without C(--diff), RV(diff) has these lines.
    type: str
    choices: [words, full]
    default: words
  health_ports:
    description:
      - TCP ports of the host that the controller has to reach after the run, changed or not. Not in check mode.
      - They are tried before a change is confirmed, so that a host that fails the check goes back to its old rules.
    type: list
    elements: int
    default: []
  health_urls:
    description: Pages that the controller has to get after the run, in the same way.
    type: list
    elements: str
    default: []
  health_timeout:
    description:
      - How long each port and page may take, in seconds. A change that waits for its confirmation leaves less, where
        O(confirm_seconds) is less.
    type: float
    default: 30
  _confirm:
    description:
      - What a call is to a change that waits for its confirmation. The action plugin of the collection sets it and
        takes away what a task gives here.
    type: dict
    suboptions:
      step:
        description: Make the change and wait, keep it, or say how it stands.
        type: str
        required: true
        choices: [apply, confirm, status]
      id:
        description: The change that is meant.
        type: str
        default: ''
attributes:
  action:
    support: full
  async:
    support: none
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: Linux, macOS, FreeBSD, OpenBSD
seealso:
  - plugin: netports.apple.ports
    plugin_type: lookup
  - plugin: netports.apple.rules
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Allow what FaceTime and AirPlay need, and nothing else of this ruleset
  netports.apple.host_firewall:
    rules: "{{ query('netports.apple.ports', 'FaceTime', 'AirPlay') | netports.apple.rules }}"

- name: Add a port of your own to the ruleset
  netports.apple.host_firewall:
    state: merged
    rules:
      - name: Caching proxy
        direction: in
        tcp: [3128]
        sources: [10.0.0.0/8, "fd00::/8"]

- name: See what the ruleset holds on a host
  netports.apple.host_firewall:
    state: gathered
  register: firewall

- name: See what the rules would look like in pf, on a host without it
  netports.apple.host_firewall:
    state: rendered
    backend: pf
    rules: "{{ query('netports.apple.ports', 'Screen Sharing') | netports.apple.rules(directions=['in']) }}"
  register: firewall

- name: Remove everything that the ruleset ever allowed
  netports.apple.host_firewall:
    state: deleted
"""

RETURN = r"""
backend:
  description: The firewall that was managed.
  returned: always
  type: str
  sample: ufw
before:
  description: The ruleset's rules before the run, in the form of O(rules).
  returned: when O(state) is not V(rendered)
  type: list
  elements: dict
  contains: &rule
    name:
      description: As O(rules[].name).
      type: str
    direction:
      description: As O(rules[].direction).
      type: str
    tcp:
      description: TCP ports and ranges of ports.
      type: list
      elements: str
    udp:
      description: UDP ports and ranges of ports.
      type: list
      elements: str
    sources:
      description: Networks that packets may come from. Empty for anywhere.
      type: list
      elements: str
    destinations:
      description: Networks that packets may go to. Empty for anywhere.
      type: list
      elements: str
    interface:
      description: As O(rules[].interface).
      type: str
    out_interface:
      description: As O(rules[].out_interface).
      type: str
  sample:
    - name: FaceTime
      direction: out
      tcp: ["80", "443", "5223"]
      udp: ["3478-3497", "16384-16387", "16393-16402"]
      sources: []
      destinations: []
      interface: ""
      out_interface: ""
after:
  description: The ruleset's rules after the run; in check mode, those that a real run would leave.
  returned: when O(state) is V(replaced), V(merged) or V(deleted)
  type: list
  elements: dict
  contains: *rule
diff:
  description:
    - The ruleset's part of the firewall's files and of the kernel, before and after.
    - With C(--diff), a list with the plan in words as C(prepared), and this behind it where O(diff=full).
  returned: when O(state) is V(replaced), V(merged) or V(deleted)
  type: dict
  contains:
    before:
      description: Text before.
      type: str
    after:
      description: Text after.
      type: str
brought:
  description:
    - The names of the rules to which this play has brought each ruleset of this host so far, by the ruleset's name. For the
      warning about roles that undo each other.
  returned: when O(state) is V(replaced), V(merged) or V(deleted)
  type: dict
  sample: {apple: [FaceTime, Mail]}
confirmed:
  description:
    - Whether a new connection confirmed the change. When none did, the task fails, and C(msg) says when the host
      restored its old rules, or will.
  returned: when a change had to be confirmed
  type: bool
operations:
  description:
    - What was done; in check mode, what a real run would do.
  returned: when O(state) is V(replaced), V(merged) or V(deleted)
  type: list
  elements: dict
  contains:
    action:
      description: V(add), V(change), V(remove), V(mend) or V(enable).
      type: str
    rule:
      description: The rule that is added, that is there after a change, or that is removed.
      returned: for V(add), V(change) and V(remove)
      type: dict
      contains: *rule
    was:
      description: The rule before.
      returned: for V(change)
      type: dict
      contains: *rule
    what:
      description: What is mended or switched on, in words.
      returned: for V(mend) and V(enable)
      type: str
    rules:
      description: The names of the rules that it is about; empty where it is about the ruleset as a whole.
      returned: for V(mend)
      type: list
      elements: str
  sample:
    - action: remove
      rule:
        name: AirPlay
        direction: out
        tcp: ["80", "443"]
        udp: []
        sources: []
        destinations: []
        interface: ""
        out_interface: ""
notices:
  description: What a person should see, as data. The same sentences are among the warnings.
  returned: when there is a result of O(state)
  type: list
  elements: dict
  contains:
    code:
      description: A code for programs, such as V(off) or V(guard). The guide on troubleshooting lists them.
      type: str
    text:
      description: A sentence for people. It may change from release to release.
      type: str
    rules:
      description: The names of the rules that it is about.
      type: list
      elements: str
    direction:
      description: The direction of these rules; empty for all.
      type: str
exposed:
  description: What lets anywhere in - inbound rules without a source, the ruleset's own and others'.
  returned: when O(foreign) is V(true) and O(state) is not V(rendered)
  type: list
  elements: dict
  contains:
    kind:
      description: The firewall's own word for it, such as V(rule), V(service), V(port) or V(default).
      type: str
    own:
      description: Whether a ruleset of this collection owns it.
      type: bool
    ruleset:
      description: The ruleset that owns it; empty when it is somebody else's.
      type: str
    name:
      description: The name of the rule, or of the object of the firewall.
      type: str
    protocol:
      description: V(tcp), V(udp) or V(any).
      type: str
    ports:
      description: Ports and ranges of ports.
      type: list
      elements: str
    text:
      description: The rule as the firewall's own tools show it.
      type: str
ruleset:
  description: As O(ruleset).
  returned: when O(state) is V(replaced), V(merged) or V(deleted)
  type: str
rulesets:
  description: The rules of every ruleset of this collection on the host, by its name, in the form of O(rules).
  returned: when O(state) is V(gathered), or O(foreign) is V(true) and O(state) is not V(rendered)
  type: dict
foreign:
  description:
    - What the firewall lets in, in its own words, as text - the defaults and the rules files of ufw, what
      C(firewall-cmd --list-all-zones) prints, or the rules of pf's main ruleset in the kernel. What the ruleset owns may
      be among it. Empty where the firewall is off and does not tell.
  returned: when O(foreign) is V(true) and O(state) is not V(rendered)
  type: str
gathered:
  description: The ruleset's rules on the host.
  returned: when O(state) is V(gathered)
  type: list
  elements: dict
  contains: *rule
rendered:
  description: The rules as the firewall's own files, by their path on a host.
  returned: when O(state) is V(rendered)
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.netports.apple.plugins.module_utils import _archive


def main() -> None:
    """Entry point."""
    _archive.compile_once()
    from ansible_collections.netports.apple.plugins.module_utils._run import ARGUMENTS, run_module

    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
