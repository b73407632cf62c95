# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose ufw was uninstalled: the package's removal leaves our profile file and, unpurged, our rules."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Exposure,
    Host,
    Json,
    Plan,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import profiles, tuples
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import RULES_FILES
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.reading import profile_path
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass


@dataclass(frozen=True)
class Removal(Plan):
    """Files that lose the ruleset. Nothing is loaded, so that nothing is to be confirmed."""

    @property
    def live(self) -> bool:
        return False

    def apply(self) -> None:
        _files.apply(self.files)

    def load(self) -> Json:
        return None

    def commit(self, loaded: Json) -> None:
        self.apply()

    def rollback(self, waits: bool = False) -> None:
        _files.put_back(self.files)


@dataclass(frozen=True)
class Gone(State):
    """What is left of a ruleset.

    :param files: the changes that remove it.
    """

    files: Tuple[FileChange, ...]

    def refuses_inbound(self) -> bool:
        return False

    def admits(self, address: Optional[str], port: int) -> bool:
        return True

    def exposed(self) -> List[Exposure]:
        return []

    def foreign(self) -> str:
        return ""

    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        return {}

    def plan(self, want: Wanted) -> Removal:
        text = "ufw is no longer installed on this host: only files of the ruleset's are removed, where any are left"
        return Removal(
            host=self.host,
            ruleset=self.asked.ruleset,
            operations=tuple(changes.mends(*(change.path for change in self.files))),
            notices=(Notice(code="not-installed", text=text),),
            before=_files.diff_text({change.path: change.before for change in self.files}),
            after=_files.diff_text({change.path: change.after for change in self.files}),
            files=self.files,
        )


def read(host: Host, asked: Asked) -> Gone:
    """Read what is left."""
    files = tuple(_left(host, asked.ruleset))
    return Gone(host=host, asked=asked, rules=(), active=False, enabled=False, files=files)


def _left(host: Host, ruleset: str) -> List[FileChange]:
    """The changes that remove the ruleset. The profile file goes last: it tells which rules are the ruleset's."""
    own = profile_path(host, ruleset)
    listed = _files.read(own)
    if listed is None:
        return []
    found: List[FileChange] = []
    for name in RULES_FILES.values():
        path = host.path(name)
        text = _files.read(path)
        if text is None or not tuples.has_place(text):
            continue
        edited = tuples.edit(text, list(tuples.parse_blocks(text)), profiles.titles(listed), {})
        if edited != text:
            found.append(FileChange(path, text, edited))
    return [*found, FileChange(own, listed, None)]
