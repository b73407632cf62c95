# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pfctl tells of the kernel's rules and tables, and what it makes of a file."""

from __future__ import annotations

import ipaddress
from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Kernel, Parsed, Power
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System

# Anchors may call anchors; the kernel allows more than anybody uses.
_MOST = 64


def read(system: System, text: Optional[str], parsed: Parsed) -> Kernel:
    """Ask the kernel, in two processes where it has what the anchor's file says.

    :param text: the anchor's file.
    :param parsed: the same, read.
    """
    where = ("-a", system.anchor)
    question = system.numeric + where + ("-s", "rules")
    first = list(anchor.tables(parsed.rules).items())[:1] if parsed.whole else []
    code, out = system.pfctl(*(question + _rider(first)))[:2]
    wrong = [name for name, networks in first if code or not _holds(out, networks)]
    if code and first:
        # The table is gone. What was printed before pfctl found that is not relied upon.
        out = system.pfctl(*question)[1]
    rules = anchor.printed_rules(out)
    same = not rules
    if text is not None:
        same = parsed.whole and rules == anchor.expand(parsed.rules, system.prints_state, parsed.guards)
        # Where our own expansion and the kernel differ, pfctl's expansion of the file decides.
        same = same or (bool(rules) and tuple(rules) == expanded(system, system.anchor_file, *where))
    main = anchor.printed_rules(system.pfctl(*(system.numeric + ("-s", "rules")))[1])
    return Kernel(rules=tuple(rules), same=same, tables=tuple(wrong), main=tuple(main))


def power(system: System, parsed: Parsed, same: bool) -> Tuple[Power, List[str]]:
    """Ask whether pf is on, and for the anchor's second table, which rides along.

    Tables are const and named after their contents, so one beyond the first two cannot change without the rules
    that name it.

    :param same: the kernel has the rules of the anchor's file.
    :returns: the answer, and the name of the table if it is not as the file says.
    """
    second = list(anchor.tables(parsed.rules).items())[1:2] if parsed.whole and same else []
    rider = ("-a", system.anchor) + _rider(second) if second else ()
    answer, out = system.power(*rider)
    return answer, [name for name, networks in second if not _holds(out, networks)]


def expanded(system: System, file: str, *where: str) -> Optional[Tuple[str, ...]]:
    """What pfctl expands a file to; ``None`` where it does not parse.

    :param where: options that name an anchor.
    """
    code, out = system.pfctl(*(system.numeric + ("-o", "none", "-n", "-v") + where + ("-f", file)))[:2]
    return None if code else tuple(anchor.printed_rules(out))


def anchors(system: System, main: Sequence[str]) -> Dict[str, Tuple[str, ...]]:
    """The rules of every anchor that a main ruleset calls, by the anchor's path.

    :param main: the main ruleset, as pfctl prints it.
    """
    found: Dict[str, Tuple[str, ...]] = {}
    waiting = anchor.calls(main)
    while waiting and len(found) < _MOST:
        path = waiting.pop(0)
        if path.endswith("/*"):
            out = system.pfctl("-a", path[:-2], "-s", "Anchors")[1]
            waiting += [line.strip() for line in out.splitlines() if line.strip()]
        elif path not in found:
            found[path] = tuple(anchor.printed_rules(system.pfctl(*(system.numeric + ("-a", path, "-s", "rules")))[1]))
            waiting += ["%s/%s" % (path, inner) for inner in anchor.calls(found[path])]
    return found


def _rider(tables: Sequence[Tuple[str, Sequence[str]]]) -> Tuple[str, ...]:
    """Options that show a table in a process that shows something else first."""
    return ("-t", tables[0][0], "-T", "show") if tables else ()


def _holds(printed: str, networks: Sequence[str]) -> bool:
    """Whether a printed table holds exactly these networks."""
    members = anchor.printed_table(printed)
    try:
        return {ipaddress.ip_network(member) for member in members} == {ipaddress.ip_network(own) for own in networks}
    except ValueError:
        return False
