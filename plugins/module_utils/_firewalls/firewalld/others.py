# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others have in the running firewalld: how it differs from their files, and how it comes back after a reload."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Sequence, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import BusError, Variant
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import (
    NO_SERVICES,
    POLICY_TYPES,
    RELOADED,
    ZONE_LISTS,
    ZONE_SWITCHES,
    Firewalld1,
    settable,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.meanwhile import (
    PORTS,
    foreign,
    joined,
    less,
    replay,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    Direct,
    Loaded,
    Owned,
    Settings,
)
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

NOBODY = Owned(services=frozenset(), policies=frozenset())
# How often others may get in the way before a run leaves it at that.
_ROUNDS = 20
_NAMELESS = ("short", "description", "version")
_WORDS = {
    "rules_str": "rich rule",
    "rich_rules": "rich rule",
    "icmp_blocks": "ICMP block",
}


class _Restorer:
    """Calls that bring a runtime back. A call that fails is a problem, and the next one is made all the same."""

    def __init__(self, daemon: Firewalld1, now: Loaded, owned: Owned) -> None:
        self.daemon = daemon
        self.now = now
        self.owned = owned
        self.problems: List[str] = []

    def attempt(self, what: str, call: Callable[..., None], *arguments: Any) -> None:
        """Make a call; ``what`` names it for people."""
        try:
            call(*arguments)
        except BusError as error:
            self.problems.append("%s: %s" % (what, error))

    def all(self, before: Loaded) -> None:
        """Bring back everything."""
        for key in ZONE_LISTS:
            self.lists(before.zones, key)
        self.switches(before.zones)
        self.policies(before.policies)
        self.ipsets(before)
        self.direct(before.direct, self.now.direct)

    def lists(self, zones: Dict[str, Settings], key: str) -> None:
        """Bring back a list of every zone.

        An item that was added with a timeout is added without: firewalld's own clock for it goes on over a reload.
        """
        kind, word, timed = ZONE_LISTS[key]
        inner = "s" * kind.count("s")
        adds = "add" + word if timed else "changeZoneOf" + word
        extra: Tuple[int, ...] = (0,) if timed else ()
        for zone, settings in zones.items():
            was = foreign(settings, key, self.owned)
            have = foreign(self.now.zones.get(zone, {}), key, self.owned)
            for value in less(key, have, was):
                moved = not timed and any(value in other.get(key, []) for other in zones.values())
                if not moved:
                    words = _words(zone, key, value)
                    self.attempt(words, self.daemon.settle, ".zone", "remove" + word, "s" + inner, zone, *_flat(value))
            for value in less(key, was, have):
                signature = "s" + inner + ("i" if timed else "")
                words = _words(zone, key, value)
                self.attempt(words, self.daemon.settle, ".zone", adds, signature, zone, *_flat(value), *extra)

    def switches(self, zones: Dict[str, Settings]) -> None:
        """Bring back what a zone has or has not."""
        for zone, settings in zones.items():
            there = self.now.zones.get(zone, {})
            for key, (word, signature) in ZONE_SWITCHES.items():
                if bool(settings.get(key)) == bool(there.get(key)):
                    continue
                words = _words(zone, key)
                if settings.get(key):
                    timeout = [0] if signature == "si" else []
                    self.attempt(words, self.daemon.settle, ".zone", "add" + word, signature, zone, *timeout)
                else:
                    self.attempt(words, self.daemon.settle, ".zone", "remove" + word, "s", zone)
            if "forward" in settings and settings["forward"] != there.get("forward"):
                value = {"forward": Variant("b", settings["forward"])}
                words = _words(zone, "forward")
                self.attempt(words, self.daemon.settle, ".zone", "setZoneSettings2", "sa{sv}", zone, value)

    def policies(self, policies: Dict[str, Settings]) -> None:
        """Bring back what policies had."""
        for name, settings in policies.items():
            if name in self.owned.policies or name not in self.now.policies:
                continue
            was, there = settable(settings), settable(self.now.policies[name])
            changed = {key: value for key, value in was.items() if value != there[key]}
            if changed:
                self.attempt("policy " + name, self.daemon.set_policy, name, changed)

    def ipsets(self, before: Loaded) -> None:
        """Bring back the entries of ipsets."""
        for name, entries in before.ipsets.items():
            there = self.now.ipsets.get(name)
            if entries is None or there is None:
                continue
            what = "ipset %s: entry %s"
            for entry in less("entries", there, entries):
                self.attempt(what % (name, entry), self.daemon.settle, ".ipset", "removeEntry", "ss", name, entry)
            for entry in less("entries", entries, there):
                self.attempt(what % (name, entry), self.daemon.settle, ".ipset", "addEntry", "ss", name, entry)

    def direct(self, before: Direct, now: Direct) -> None:
        """Bring back direct rules."""
        kinds: Tuple[Tuple[str, str, str, Sequence[Any], Sequence[Any]], ...] = (
            ("chain", "Chain", "sss", before.chains, now.chains),
            ("rule", "Rule", "sssias", before.rules, now.rules),
            ("passthrough", "Passthrough", "sas", before.passthroughs, now.passthroughs),
        )
        for what, member, signature, was, have in reversed(kinds):
            for item in [item for item in have if item not in was]:
                words = "direct %s %s" % (what, item)
                self.attempt(words, self.daemon.settle, ".direct", "remove" + member, signature, *item)
        for what, member, signature, was, have in kinds:
            for item in [item for item in was if item not in have]:
                words = "direct %s %s" % (what, item)
                self.attempt(words, self.daemon.settle, ".direct", "add" + member, signature, *item)


def restore(daemon: Firewalld1, before: Loaded, owned: Owned) -> List[str]:
    """Bring back, at runtime, what firewalld had, with what others changed since it was watched, and change now.

    :param before: the runtime as it was when firewalld was watched from then on.
    :param owned: services that are left alone wherever they are attached, and policies that are left alone.
    :returns: sentences about what could not be brought back.
    :raises BusError: firewalld does not say what it has.
    """
    earlier = len(daemon.heard)
    now = daemon.loaded(NO_SERVICES)
    problems: List[str] = []
    for _round in range(_ROUNDS):
        heard = daemon.heard
        others = [signal for signal in heard if not signal.own]
        reloads = [place for place, signal in enumerate(others) if signal.member == RELOADED]
        # Where another reloaded, what was there at runtime only is gone as it wanted.
        base = now if reloads else before
        others = others[reloads[-1] + 1 :] if reloads else others
        restorer = _Restorer(daemon, replay(now, heard[earlier:]), owned)
        restorer.all(replay(base, others))
        problems = restorer.problems
        # Another may have changed what was just brought back, before it was: that was heard meanwhile.
        if sum(signal.own for signal in daemon.heard) == sum(signal.own for signal in heard):
            break
    return problems


@dataclass(frozen=True)
class Apart:
    """Where runtime and permanent configuration differ, in what no ruleset of this run owns.

    :param items: what can be had at runtime and is brought back after a reload.
    :param lost: what exists at runtime alone, so that a reload removes it.
    :param pending: what a reload makes live.
    """

    items: Tuple[str, ...]
    lost: Tuple[str, ...]
    pending: Tuple[str, ...]


def apart(runtime: Loaded, permanent: Loaded, owned: Owned) -> Apart:
    """Compare runtime and permanent configuration in what no ruleset of this run owns."""
    items: List[str] = []
    pending: List[str] = []
    lost: List[str] = []
    kinds: Tuple[Tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("zone", runtime.zones, permanent.zones),
        ("policy", runtime.policies, permanent.policies),
        ("ipset", runtime.ipsets, permanent.ipsets),
    )
    for kind, mine, theirs in kinds:
        own = owned.policies if kind == "policy" else frozenset()
        lost.extend("%s %s" % (kind, name) for name in mine if name not in theirs and name not in own)
        pending.extend("%s %s" % (kind, name) for name in theirs if name not in mine and name not in own)
    for zone, settings in runtime.zones.items():
        if zone in permanent.zones:
            other = permanent.zones[zone]
            # Network managers bind interfaces at runtime alone: that is no difference worth a word.
            keys = [key for key in ZONE_LISTS if key != "interfaces"]
            switches = [*ZONE_SWITCHES, "forward"]
            items.extend(_item_differences("zone " + zone, settings, other, keys, owned))
            items.extend(_switch_differences("zone " + zone, settings, other, switches))
            pending.extend(_other_differences("zone " + zone, settings, other, {*ZONE_LISTS, *switches}))
    for name, settings in runtime.policies.items():
        if name in permanent.policies and name not in owned.policies:
            other = permanent.policies[name]
            keys = [key for key in POLICY_TYPES if POLICY_TYPES[key] != "b"]
            items.extend(_item_differences("policy " + name, settings, other, keys, NOBODY))
            items.extend(_switch_differences("policy " + name, settings, other, ["masquerade"]))
            pending.extend(_other_differences("policy " + name, settings, other, set(POLICY_TYPES)))
    for name, entries in runtime.ipsets.items():
        other_entries = permanent.ipsets.get(name)
        if entries is not None and other_entries is not None and sorted(entries) != sorted(other_entries):
            items.append("ipset %s: entries" % name)
    items.extend(_direct_differences(runtime.direct, permanent.direct))
    return Apart(items=tuple(items), lost=tuple(lost), pending=tuple(pending))


def _direct_differences(runtime: Direct, permanent: Direct) -> List[str]:
    found: List[str] = []
    kinds: Tuple[Tuple[str, Sequence[Any], Sequence[Any]], ...] = (
        ("chain", runtime.chains, permanent.chains),
        ("rule", runtime.rules, permanent.rules),
        ("passthrough", runtime.passthroughs, permanent.passthroughs),
    )
    for what, mine, theirs in kinds:
        found.extend("direct %s %s at runtime only" % (what, item) for item in mine if item not in theirs)
        found.extend("direct %s %s not at runtime" % (what, item) for item in theirs if item not in mine)
    return found


def _item_differences(
    where: str, runtime: Settings, permanent: Settings, keys: Sequence[str], owned: Owned
) -> List[str]:
    found: List[str] = []
    for key in keys:
        mine = foreign(runtime, key, owned)
        theirs = foreign(permanent, key, owned)
        if key in PORTS:
            # firewalld joins ranges at runtime, and not in its files.
            mine, theirs = joined(mine), joined(theirs)
        loaded, permanent_items = set(mine), set(theirs)
        found.extend(
            "%s: %s at runtime only" % (where, word(key, item)) for item in mine if item not in permanent_items
        )
        found.extend("%s: %s not at runtime" % (where, word(key, item)) for item in theirs if item not in loaded)
    return found


def _switch_differences(where: str, runtime: Settings, permanent: Settings, keys: Sequence[str]) -> List[str]:
    return [
        "%s: %s %s" % (where, key.replace("_", " "), "at runtime only" if runtime.get(key) else "not at runtime")
        for key in keys
        if bool(runtime.get(key)) != bool(permanent.get(key))
    ]


def _other_differences(where: str, runtime: Settings, permanent: Settings, known: Set[str]) -> List[str]:
    keys = (set(runtime) | set(permanent)) - known - set(_NAMELESS) - {""}
    return ["%s: %s" % (where, key) for key in sorted(keys) if runtime.get(key) != permanent.get(key)]


def _flat(value: Any) -> Tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def word(key: str, value: Any) -> str:
    """An item of a list as people say it: ``port 80/tcp``."""
    kind = _WORDS.get(key, key.rstrip("s").replace("_", " "))
    return "%s %s" % (kind, "/".join(part for part in _flat(value) if part))


def _words(zone: str, key: str, value: Any = None) -> str:
    return "zone %s: %s" % (zone, key.replace("_", " ") if value is None else word(key, value))
