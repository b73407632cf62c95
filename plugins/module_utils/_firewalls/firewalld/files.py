# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld's files on a host, and what has to be written to them."""

from __future__ import annotations

import glob
import os
import re
from typing import Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import emit, xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ETC,
    LIB,
    UNIT,
    Config,
    Reading,
    ZoneFile,
)

FOLDERS = ("services", "policies", "zones")
SINGULAR = {"services": "service", "policies": "policy", "zones": "zone"}
# The administrator's text and the distribution's, by the name of the object.
Texts = Dict[str, Tuple[Optional[str], Optional[str]]]


def texts(host: Host, kind: str) -> Texts:
    """The files of a kind.

    :param kind: one of ``FOLDERS``.
    """
    found: Texts = {}
    for folder in (LIB, ETC):
        base = host.path(folder, kind)
        for file in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            if not file.endswith(".xml") or file.startswith("."):
                continue
            name = file[: -len(".xml")]
            text = _files.read(os.path.join(base, file))
            found[name] = (text, found.get(name, (None, None))[1]) if folder == ETC else (None, text)
    return found


def path(host: Host, kind: str, name: str) -> str:
    """Where an object's file is, or would be."""
    return host.path(ETC, kind, name + ".xml")


def zone_file(host: Host, name: str, text: Optional[str], original: Optional[str]) -> ZoneFile:
    """Read a zone.

    :raises FirewallError: its file cannot be read.
    """
    where = path(host, "zones", name)
    origin = "/%s/zones/%s.xml" % (LIB, name)
    try:
        zone = xml.parse_zone(text if text is not None else original or "")
    except xml.XmlError as error:
        raise FirewallError("%s cannot be read: %s" % (where if text is not None else origin, error))
    return ZoneFile(path=where, text=text, origin=origin, original=original, zone=zone)


def default_zone(host: Host) -> str:
    """The default zone, as firewalld's configuration file has it."""
    return _setting(host, "DefaultZone") or "public"


def firewall_backend(host: Host) -> str:
    """What firewalld writes its rules by: ``nftables`` or ``iptables``."""
    return _setting(host, "FirewallBackend") or "nftables"


def _setting(host: Host, name: str) -> str:
    for folder in (ETC, LIB):
        text = _files.read(host.path(folder, "firewalld.conf"))
        match = re.search(r"^\s*%s\s*=\s*(\S+)\s*$" % name, text or "", re.MULTILINE)
        if match:
            return match.group(1)
    return ""


def changes(host: Host, reading: Reading, target: Config, owned: FrozenSet[str]) -> Tuple[FileChange, ...]:
    """What has to be written: definitions before what names them, and removed behind it.

    :raises FirewallError: a zone's file cannot be edited.
    """
    found: List[FileChange] = []
    for name, service in target.services.items():
        old = reading.own.services.get(name)
        if old is None or not old.same(service):
            found.append(_change(host, reading, "services", name, emit.service_text(service)))
    found += _zones(reading, target, owned)
    for name, policy in target.policies.items():
        old_policy = reading.own.policies.get(name)
        if old_policy is None or not old_policy.same(policy):
            found.append(_change(host, reading, "policies", name, emit.policy_text(policy)))
    for kind, have, want in (
        ("policies", reading.own.policies, target.policies),
        ("services", reading.own.services, target.services),
    ):
        found.extend(_change(host, reading, kind, name, None) for name in have if name not in want)
    return tuple(found)


def _change(host: Host, reading: Reading, kind: str, name: str, after: Optional[str]) -> FileChange:
    where = path(host, kind, name)
    return FileChange(where, reading.texts.get(where), after)


def _zones(reading: Reading, target: Config, owned: FrozenSet[str]) -> List[FileChange]:
    found: List[FileChange] = []
    for name, item in reading.zones.items():
        wanted = target.zones.get(name, ())
        if item.text is None and not wanted and not any(part.service in owned for part in item.zone.attachments):
            continue
        base = item.text if item.text is not None else xml.copy_of(item.original or "", item.origin)
        try:
            after: Optional[str] = xml.edit_zone(base, owned, wanted)
        except xml.XmlError as error:
            raise FirewallError("%s: %s" % (item.path, error))
        if after is not None and xml.is_copy(after, item.origin, item.original):
            after = None
        if after != item.text:
            found.append(FileChange(item.path, item.text, after))
    return found


def put_back_zone(host: Host, change: FileChange, old: Config, owned: FrozenSet[str]) -> None:
    """Put back a zone that firewalld wrote itself while our services were in it.

    What others changed in it stays.
    """
    now = _files.read(change.path)
    if now is None or now in (change.before, change.after):
        return
    name = os.path.basename(change.path)[: -len(".xml")]
    try:
        after: Optional[str] = xml.edit_zone(now, owned, old.zones.get(name, ()))
    except xml.XmlError:
        return
    before = change.before if change.before is not None else _files.read(host.path(LIB, "zones", name + ".xml"))
    if after != now:
        same = before is not None and after is not None and xml.same(after, before)
        _files.replace(change.path, change.before if same else after)


def enabled(host: Host) -> bool:
    """Whether systemd starts firewalld at the next boot. Starts no process."""
    systemd = host.path("etc", "systemd", "system")
    unit = os.path.join(systemd, UNIT)
    if os.path.islink(unit) and os.readlink(unit) == "/dev/null":
        return False
    wants = glob.glob(os.path.join(glob.escape(systemd), "*.wants", UNIT))
    return any(os.path.islink(link) or os.path.exists(link) for link in wants)
