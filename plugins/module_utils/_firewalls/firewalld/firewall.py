# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall firewalld.

A rule is a service of its own, ``/etc/firewalld/services/<ruleset>-<name>[-out|-forward].xml``. Its description says
whose it is. A zone lets inbound services through, plainly or by a rich rule for each source. Policies of the ruleset's
let the others through: HOST to ANY what is outbound, ANY to ANY what is forwarded. Files are edited in place, so that
the administrator's part of a zone stays byte for byte. The running firewalld is asked and told over D-Bus.

To choose a host's firewall, every firewall's file of this name is loaded. So this file loads the others of its folder
only inside its methods. After :meth:`Firewalld.read` all of them are loaded.
"""

from __future__ import annotations

import os
from typing import Dict, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Firewall,
    Left,
    State,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise

_PROGRAMS = ("usr/sbin/firewalld", "usr/bin/firewalld")
_FILES = "usr/lib/firewalld"


class Firewalld(Firewall):
    """firewalld 0.9 and newer. An older one has no policies and gets the inbound rules alone."""

    name = "firewalld"
    folders = ("etc/firewalld",)

    def installed(self) -> bool:
        return os.path.isdir(self.host.path(_FILES)) and any(
            os.path.isfile(self.host.path(program)) for program in _PROGRAMS
        )

    def in_use(self) -> bool:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import Link
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.files import enabled

        return self.installed() and (enabled(self.host) or Link(self.host.root).daemon() is not None)

    def read(self, asked: Asked) -> State:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.read import read

        return read(self.host, asked)

    def take_back(self, asked: Asked, left: Left) -> None:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import write

        write.take_back(self.host, left, lambda: self.read(asked).plan(left.want))

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str, own: bool = True) -> Dict[str, str]:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import emit, naming
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
            ANY,
            ETC,
            HOST,
            Attachment,
        )

        rendered: Dict[str, str] = {}
        zones: Dict[str, List[Attachment]] = {}
        through: Dict[Tuple[str, str], List[Attachment]] = {}
        names = naming.allocate(rules, ruleset, {}, frozenset())
        for rule in normalise(naming.reduced(rule) for rule in rules):
            service = names[rule.key]
            rendered["/%s/services/%s.xml" % (ETC, service)] = emit.service_text(naming.service_of(rule, ruleset))
            place, out = ("<zone of %s>" % name if name else "" for name in (rule.interface, rule.out_interface))
            attachments = naming.attachments_of(rule, service)
            if rule.direction == "in":
                zones.setdefault(place or "<zone>", []).extend(attachments)
            else:
                ends = (HOST, place) if rule.direction == "out" else (place or ANY, out)
                through.setdefault((ends[0], ends[1] or ANY), []).extend(attachments)
        for name, policy in naming.policies_of(ruleset, through, {}, frozenset()).items():
            rendered["/%s/policies/%s.xml" % (ETC, name)] = emit.policy_text(policy)
        for place, attachments in sorted(zones.items()):
            lines = [line for attachment in attachments for line in emit.attachment_lines(attachment)]
            rendered["/%s/zones/%s.xml" % (ETC, place)] = "\n".join(lines + [""])
        return rendered
