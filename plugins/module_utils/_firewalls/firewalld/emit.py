# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of firewalld that this collection writes, as texts. Pure. The other way is :mod:`xml`.

Source: firewalld.service(5), firewalld.zone(5), firewalld.policy(5), firewalld.richlanguage(5).
"""

from __future__ import annotations

from typing import List

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    Attachment,
    Policy,
    Service,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import version

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def attachment_lines(attachment: Attachment) -> List[str]:
    """An attachment as lines of a zone or policy file."""
    service = "  <service name=%s/>" % _quoted(attachment.service)
    if attachment.plain:
        return [service]
    lines = ['  <rule family="ipv%d">' % version(attachment.source or attachment.destination)]
    if attachment.source:
        lines.append('    <source address="%s"/>' % attachment.source)
    if attachment.destination:
        lines.append('    <destination address="%s"/>' % attachment.destination)
    return lines + ["  " + service, "    <accept/>", "  </rule>"]


def service_text(service: Service) -> str:
    """A service as its file."""
    lines = ["<service>", "  <short>%s</short>" % _files.xml_text(service.short)]
    lines.append("  <description>%s</description>" % _files.xml_text(service.description))
    lines.extend("  <port port=%s protocol=%s/>" % (_quoted(port), _quoted(kind)) for port, kind in service.ports)
    return _HEAD + "\n".join(lines + ["</service>", ""])


def policy_text(policy: Policy) -> str:
    """A policy as its file."""
    lines = ["<policy priority=%s target=%s>" % (_quoted(str(policy.priority)), _quoted(policy.target))]
    lines.append("  <short>%s</short>" % _files.xml_text(policy.short))
    lines.append("  <description>%s</description>" % _files.xml_text(policy.description))
    lines.extend("  <ingress-zone name=%s/>" % _quoted(zone) for zone in policy.ingress)
    lines.extend("  <egress-zone name=%s/>" % _quoted(zone) for zone in policy.egress)
    for attachment in policy.attachments:
        lines.extend(attachment_lines(attachment))
    return _HEAD + "\n".join(lines + ["</policy>", ""])


def _quoted(text: str) -> str:
    return '"%s"' % _files.xml_text(text).replace('"', "&quot;")
