# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a change that is not settled yet: what anybody needs who has to put it back."""

from __future__ import annotations

import json
import os
from typing import Any, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._confirm.wire import Origin
from ansible_collections.netports.apple.plugins.module_utils._connection import GUARD_NAME
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    NOTHING_SWITCHED,
    Left,
    Switched,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

# The form of the record. Form 1 had no version, firewall and zone.
_VERSION = 2
_TEXTS = ("id", "firewall", "ruleset", "zone", "boot", "until")
# Linux alone has it.
_BOOT = "proc/sys/kernel/random/boot_id"


def boot_id(root: str) -> str:
    """The system's start that is under way; empty where the system does not name it.

    :param root: the host's root folder.
    """
    return (_files.read(os.path.join(root, _BOOT)) or "").strip()


@dataclass(frozen=True)
class Pending:
    """A change that is not settled yet, as it is written down before its first step.

    :param id: what tells it from every other change.
    :param firewall: the firewall's name; empty in the form of an older version.
    :param ruleset: the ruleset that it changes.
    :param zone: firewalld's zone of the run; empty for its default.
    :param files: the files that it writes, in their order.
    :param rules: the rules that it leads to, guards and all. They tell what of the kernel's is the change's.
    :param switched: what it switches.
    :param boot: the system's start during which it is made; empty where the system does not name it.
    :param origin: the connection that it was made over.
    :param until: when the wait for its confirmation ends; empty while it is being made.
    :param keeper: the process that waits; 0 while it is being made.
    :param waits: it is loaded and waits: nothing of it is in its files. Older versions do not say so.
    """

    id: str
    ruleset: str
    files: Tuple[FileChange, ...]
    rules: Tuple[Rule, ...] = ()
    firewall: str = ""
    zone: str = ""
    switched: Switched = NOTHING_SWITCHED
    boot: str = ""
    origin: Origin = None
    until: str = ""
    keeper: int = 0
    waits: bool = False

    def left(self, boot: str) -> Left:
        """What it left where its run is dead.

        :param boot: the system's start that is under way. What runs since a later one was not started by its run.
        """
        guards = tuple(rule for rule in self.rules if rule.name == GUARD_NAME)
        rules = tuple(rule for rule in self.rules if rule not in guards)
        return Left(
            want=Wanted(rules=rules, guards=guards),
            files=self.files,
            switched=replace(self.switched, now=self.switched.now and self.boot == boot),
            waits=self.waits,
        )

    def to_json(self) -> str:
        """The form that :meth:`from_json` reads."""
        fields = {name: getattr(self, name) for name in _TEXTS + ("origin", "keeper", "waits")}
        fields.update(version=_VERSION, switched=vars(self.switched))
        fields.update(
            files=[tuple(vars(item).values()) for item in self.files], rules=[rule.to_dict() for rule in self.rules]
        )
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Pending:
        """Read the form of this version, and of older ones.

        :raises ValueError: it is something else.
        """
        found = parsed(text)
        if not isinstance(found, dict) or found.get("version", 1) not in (1, _VERSION):
            raise ValueError("not a change of this version or an older one")
        texts = {name: found.get(name, "") for name in _TEXTS}
        files, origin = found.get("files"), found.get("origin")
        keeper, waits = found.get("keeper", 0), found.get("waits", False)
        if not all(isinstance(value, str) for value in texts.values()) or not texts["id"] or not texts["ruleset"]:
            raise ValueError("a text is missing")
        if not isinstance(files, list) or not all(map(_is_file, files)):
            raise ValueError("its files are no list of path, text before, text after and mode")
        try:
            switched = Switched(**found.get("switched", {}))
            rules = tuple(map(Rule.from_dict, found.get("rules", [])))
        except TypeError as error:
            raise ValueError("what it switches, or its rules, cannot be read") from error
        kinds = (
            *((keeper, int), (waits, bool), (switched.now, bool)),
            *((switched.boot, (bool, type(None))), (origin, (list, type(None)))),
        )
        if not all(isinstance(value, kind) for value, kind in kinds):
            raise ValueError("its keeper, its connection or what it switches cannot be read")
        changes = tuple(FileChange(path=item[0], before=item[1], after=item[2], mode=item[3]) for item in files)
        return cls(files=changes, rules=rules, switched=switched, origin=origin, keeper=keeper, waits=waits, **texts)


def parsed(text: str) -> Any:
    """What a text in JSON says.

    :raises ValueError: it is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply")


def _is_file(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 4
        and isinstance(item[0], str)
        and b"\0" not in os.fsencode(item[0])
        and all(text is None or isinstance(text, str) for text in item[1:3])
        and isinstance(item[3], int)
    )
