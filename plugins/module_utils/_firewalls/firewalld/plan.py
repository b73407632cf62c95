# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was read to what a run does. Pure."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Operation,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import (
    compare,
    files,
    naming,
    notices,
    others,
    told,
    zones,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import Link
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ROOM,
    Attachment,
    Config,
    Difference,
    Key,
    Owned,
    Policy,
    Reading,
    Steps,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.write import FirewalldPlan
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise


def plan(host: Host, asked: Asked, reading: Reading, link: Link, want: Wanted) -> FirewalldPlan:
    """Work out what leads from what is there to exactly what is wanted.

    :raises FirewallError: the wanted rules cannot be had on this host.
    """
    found: List[Notice] = []
    wanted = normalise(naming.reduced(rule) for rule in want.all)
    if not reading.has_policies:
        found += notices.left_out(wanted)
        wanted = [rule for rule in wanted if rule.direction == "in"]
    names = naming.allocate(wanted, reading.ruleset, reading.places, reading.taken)
    target = _target(reading, asked, want, wanted, names)
    owned = Owned(
        services=reading.owned | frozenset(target.services),
        policies=frozenset(reading.own.policies) | frozenset(target.policies),
    )
    _refuse_references(reading, target)
    written = files.changes(host, reading, target, owned.services)
    _refuse_failed(reading, written)
    differences = compare.compare(reading.own, target)
    loaded: List[Difference] = []
    if reading.runtime:
        loaded = compare.compare(compare.config_of(reading.runtime.loaded, owned), target, "at runtime")
    reload = _reload(reading, bool(written) or any(difference.definition for difference in loaded))
    start = bool(asked.enable) and not reading.running
    enable = bool(asked.enable) and not reading.enabled
    operations = changes.operations(reading.rules.get(reading.ruleset, ()), wanted)
    operations += compare.unmentioned([*differences, *loaded], operations, (names, reading.places))
    operations = operations or _mends(reading, written)
    if start or enable:
        operations.append(Operation(action="enable", what="firewalld"))
    found += notices.switch(reading, start or enable)
    found += _told(reading, asked, target, owned, reload)
    attach, detach, policies = _single_changes(reading, target, owned, reload)
    before, after = told.diff(reading, target, owned)
    return FirewalldPlan(
        host=host,
        ruleset=reading.ruleset,
        operations=tuple(operations),
        notices=tuple(found),
        before=before,
        after=after,
        files=written,
        link=link,
        steps=Steps(
            reload=reload,
            attach=attach,
            detach=detach,
            set_policies=policies,
            target=target,
            old=reading.own,
            before=reading.runtime.loaded if reading.runtime else None,
            owned=owned,
            nftables=reading.nftables,
            panic=bool(reading.runtime and reading.runtime.panic),
            start=start,
            enable=enable,
        ),
    )


def _refuse_failed(reading: Reading, written: Sequence[FileChange]) -> None:
    """Refuse a run on a firewalld that cannot load, where nothing that the run writes could mend it.

    :raises FirewallError: it is so.
    """
    if reading.failed and not written:
        raise FirewallError(
            "firewalld is in the state FAILED, it could not load its configuration, and this ruleset is not why: "
            "see 'firewall-offline-cmd --check-config', mend it and run 'firewall-cmd --reload'"
        )


def _mends(reading: Reading, written: Sequence[FileChange]) -> List[Operation]:
    """The steps of a run that changes no rule: files that are not as they are to be, or what a dead run left loaded."""
    found = changes.mends(*(change.path for change in written))
    if not found and reading.runtime and reading.interrupted:
        found = changes.mends("what an interrupted reload left loaded")
    return found


def _told(reading: Reading, asked: Asked, target: Config, owned: Owned, reload: bool) -> List[Notice]:
    """What people should know of the zones, of what others have at runtime alone, and of the reload."""
    found = notices.zones(reading, target) + notices.elsewhere(reading, target)
    if reading.runtime:
        apart = others.apart(reading.runtime.loaded, reading.runtime.permanent, owned)
        found += notices.apart(reading, apart, reload)
        found += notices.slow(reading, asked.accept) + notices.flushed(reading) if reload else []
    return found


def _target(reading: Reading, asked: Asked, want: Wanted, wanted: List[Rule], names: Dict[Key, str]) -> Config:
    """What is to be.

    :param names: the service of each rule.
    :raises FirewallError: no zone holds for exactly what a rule says, or no name is left for a policy.
    """
    zone = zones.asked_zone(reading, asked.zone) if want.rules else ""
    zones.refuse_two_ways(wanted, zone)
    attached: Dict[str, List[Attachment]] = {}
    through: Dict[Tuple[str, str], List[Attachment]] = {}
    for rule in wanted:
        attachments = naming.attachments_of(rule, names[rule.key])
        if rule in want.guards:
            attached.setdefault(zones.zone_of_address(reading, rule.sources[0]), []).extend(attachments)
        elif rule.direction == "in":
            attached.setdefault(zones.place(reading, rule, zone), []).extend(attachments)
        else:
            through.setdefault(zones.ends(reading, rule, zone), []).extend(attachments)
    has = {
        (policy.ingress[0], policy.egress[0]): name
        for name, policy in reading.own.policies.items()
        if len(policy.ingress) == len(policy.egress) == 1
    }
    taken = frozenset(reading.policies) | frozenset(reading.zones)
    return Config(
        services={names[rule.key]: naming.service_of(rule, reading.ruleset) for rule in wanted},
        zones={name: tuple(attachments) for name, attachments in attached.items()},
        policies=naming.policies_of(reading.ruleset, through, has, taken),
    )


def _reload(reading: Reading, needed: bool) -> bool:
    """Whether firewalld reads its files anew.

    :param needed: files or definitions change.
    :raises FirewallError: it has no room for that.
    """
    reload = reading.failed or (reading.runtime is not None and (reading.interrupted or needed))
    if reload and reading.room < ROOM:
        raise FirewallError(
            "/run has %d KiB left and firewalld needs %d KiB there to load its rules: free some, nothing was changed"
            % (reading.room // 1024, ROOM // 1024)
        )
    return reload


def _refuse_references(reading: Reading, target: Config) -> None:
    for name in sorted(reading.owned - set(target.services)):
        if reading.references.get(name):
            raise FirewallError(
                "service %s is no longer wanted and %s still names it, which is not this ruleset's: take it out "
                "there first" % (name, " and ".join(reading.references[name]))
            )


def _single_changes(
    reading: Reading, target: Config, owned: Owned, reload: bool
) -> Tuple[Tuple[Tuple[str, Attachment], ...], Tuple[Tuple[str, Attachment], ...], Dict[str, Policy]]:
    """What brings the runtime to the target without a reload: attach, detach, and policies to set."""
    attach: List[Tuple[str, Attachment]] = []
    detach: List[Tuple[str, Attachment]] = []
    if reload or reading.runtime is None:
        return (), (), {}
    there = compare.config_of(reading.runtime.loaded, owned)
    for name, attachments in there.zones.items():
        have, want = set(attachments), set(target.zones.get(name, ()))
        attach.extend((name, attachment) for attachment in sorted(want - have))
        detach.extend((name, attachment) for attachment in sorted(have - want))
    policies = {name: policy for name, policy in target.policies.items() if not there.policies[name].same(policy)}
    return tuple(attach), tuple(detach), policies
