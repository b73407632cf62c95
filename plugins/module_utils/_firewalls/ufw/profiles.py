# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw's application profiles: the ruleset's file of them, and whose a profile is."""

from __future__ import annotations

import re
from typing import Dict, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, check_ruleset, pairs

# iptables' multiport match holds 15 ports, a range counts two: ufw's UFWRule.set_port().
_SLOTS = 15
# ufw.applications.get_profiles() skips longer names and values, and files with these ends.
_NAME_LENGTH = 64
_VALUE_LENGTH = 1024
_SKIPPED = (".dpkg-new", ".dpkg-old", ".dpkg-dist", ".rpmnew", ".rpmsave", "~")
# Suffixes that keep a product's in, out and forward profiles apart.
ENDINGS = {"in": "", "out": " out", "forward": " forward"}
_WORDS = {"in": "Inbound", "out": "Outbound", "forward": "Forwarded"}
_OWN_FILE = re.compile(r"netports-([a-z][a-z0-9-]{0,23})\Z")

# What a profile says of a rule: its name, direction and ports.
Identity = Tuple[str, str, Tuple[_ports.PortRange, ...], Tuple[_ports.PortRange, ...]]


def identity(rule: Rule) -> Identity:
    """What a profile says of a rule."""
    return rule.name, rule.direction, rule.tcp, rule.udp


def escaped(profile: str) -> str:
    """A profile's name as it stands in a rules file."""
    return profile.replace(" ", "%20")


def prefix(ruleset: str) -> str:
    """How the names of a ruleset's profiles begin: ``"Apple "`` for the ruleset ``apple``."""
    return check_ruleset(ruleset).capitalize() + " "


def file_name(ruleset: str) -> str:
    """The name of a ruleset's profile file."""
    return "netports-%s" % ruleset


def ruleset_of(name: str) -> str:
    """The ruleset whose profile file has this name; empty for another file."""
    found = _OWN_FILE.match(name)
    return found.group(1) if found else ""


def skipped(name: str) -> bool:
    """Whether ufw passes over a file of this name."""
    return name.startswith(".") or name.endswith(_SKIPPED)


def titles(text: str) -> Dict[str, str]:
    """The title of each profile in a ruleset's profile file, empty where there is none."""
    found: Dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.rstrip()[1:-1]
            found[section] = ""
        elif line.startswith("title=") and section:
            found[section] = line[len("title=") :]
    return found


def names(text: str) -> List[str]:
    """The names of the profiles that ufw finds in a file: none where it cannot read it."""
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    return parser.sections()


def allocate(rules: Sequence[Rule], ruleset: str) -> Dict[str, Rule]:
    """Give each rule its profile: rules of the same identity share it.

    :returns: a rule by profile name, in the order of the rules.
    :raises FirewallError: a name would be longer than ufw takes.
    """
    profiles: Dict[str, Rule] = {}
    for rule in rules:
        base = "%s%s%s" % (prefix(ruleset), rule.name, ENDINGS[rule.direction])
        name = base
        number = 1
        while name in profiles and identity(profiles[name]) != identity(rule):
            number += 1
            name = "%s %d" % (base, number)
        if len(name) > _NAME_LENGTH:
            raise FirewallError(
                "the profile name %r has %d characters and ufw takes %d: choose a shorter ruleset name"
                % (name, len(name), _NAME_LENGTH)
            )
        profiles.setdefault(name, rule)
    return profiles


def port_groups(rule: Rule) -> List[Tuple[str, str]]:
    """A rule's ports as ufw takes them: (protocol, ports) with at most 15 slots each.

    :returns: such as ``[("tcp", "80,443"), ("udp", "3478:3497")]``.
    """
    groups: List[Tuple[str, str]] = []
    for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
        group: List[str] = []
        slots = 0
        for port_range in ranges:
            cost = 1 if port_range[0] == port_range[1] else 2
            if slots + cost > _SLOTS:
                groups.append((protocol, ",".join(group)))
                group, slots = [], 0
            group.append(_ports.text(port_range, ":"))
            slots += cost
        if group:
            groups.append((protocol, ",".join(group)))
    return groups


def profile_text(rules: Sequence[Rule], ruleset: str, own: bool = True) -> str:
    """The file of application profiles, with the commands that would allow them as comments.

    :param own: whether runs write the file; else somebody else keeps it.
    :raises FirewallError: a rule has more ports than a profile holds.
    """
    lines = ["# Rules of the Ansible collection netports.apple, ruleset '%s'." % ruleset]
    if own:
        lines = [
            "# Managed by the Ansible collection netports.apple, ruleset '%s': edits are undone by its next run."
            % ruleset,
            "# 'state: deleted' of netports.apple.host_firewall removes this file and its rules.",
        ]
    profiles = allocate(rules, ruleset)
    by_identity = {identity(rule): name for name, rule in profiles.items()}
    lines.extend("# %s" % command for rule in rules for command in commands(rule, by_identity[identity(rule)]))
    for name, rule in profiles.items():
        ports = "|".join("%s/%s" % (group, protocol) for protocol, group in port_groups(rule))
        if len(ports) > _VALUE_LENGTH:
            raise FirewallError(
                "rule %r has more port ranges than a ufw profile holds (%d characters of %d): split it"
                % (rule.name, len(ports), _VALUE_LENGTH)
            )
        lines += [
            "",
            "[%s]" % name,
            "title=%s" % rule.name,
            "description=%s ports of %s" % (_WORDS[rule.direction], rule.name),
            "ports=%s" % ports,
        ]
    return "\n".join(lines) + "\n"


def commands(rule: Rule, profile: str) -> List[str]:
    """The ufw commands that allow a profile as its rule says."""
    interface = " on %s" % rule.interface if rule.interface else ""
    way = "allow %s%s" % (rule.direction, interface)
    if rule.direction == "forward":
        way = "route allow%s" % (" in" + interface if interface else "")
        way += " out on %s" % rule.out_interface if rule.out_interface else ""
    plain = not rule.sources and not rule.destinations
    return [
        "ufw %s from %s to %s app '%s'" % (way, source or "any", destination or "any", profile)
        for family in ((4,) if plain else (4, 6))
        for source, destination in pairs(rule, family)
    ]
