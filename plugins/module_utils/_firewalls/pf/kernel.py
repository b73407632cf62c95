# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pfctl tells of the kernel's rules and tables, and what it makes of a file."""

from __future__ import annotations

import ipaddress
from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor, main_ruleset, printed
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Expansion, Kernel, Parsed, Power
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System

# Anchors may call anchors; the kernel allows more than anybody uses.
_MOST = 64


def read(system: System, text: Optional[str], parsed: Parsed) -> Kernel:
    """Ask the kernel, in two processes where it has what the anchor's file says.

    :param text: the anchor's file.
    :param parsed: the same, read.
    :raises FirewallError: pfctl does not tell.
    """
    where = ("-a", system.anchor)
    question = (*system.numeric, *where, "-s", "rules")
    first = list(anchor.tables(parsed.rules).items())[:1] if parsed.whole else []
    out = system.shown(*question, *rider(*[name for name, _networks in first]))
    wrong = [name for name, networks in first if out is None or not _holds(out, networks)]
    # Where the table is gone, what was printed before pfctl found that is not relied upon.
    rules = printed.rules((out if out is not None else system.shown(*question)) or "")
    same = not rules
    if text is not None:
        same = parsed.whole and rules == anchor.expand(parsed.rules, system.prints_state, parsed.guards)
        if not same and rules:
            # Where our own expansion and the kernel differ, pfctl's expansion of the file decides.
            words = (*system.numeric, "-o", "none", "-n", "-v", *where, "-f", system.anchor_file)
            code, expansion = system.pfctl(*words)[:2]
            same = not code and rules == printed.rules(expansion)
    main = printed.rules(system.shown(*system.numeric, "-s", "rules") or "")
    return Kernel(rules=tuple(rules), same=same, tables=tuple(wrong), main=tuple(main))


def rider(*names: str) -> Tuple[str, ...]:
    """Options that show a table in a process that shows something else first."""
    return ("-t", names[0], "-T", "show") if names else ()


def power(system: System, parsed: Parsed, same: bool) -> Tuple[Power, List[str]]:
    """Ask whether pf is on, and for the anchor's second table, which rides along.

    Tables are const and named after their contents, so one beyond the first two cannot change without the rules
    that name it.

    :param same: the kernel has the rules of the anchor's file.
    :returns: the answer, and the name of the table if it is not as the file says.
    """
    second = list(anchor.tables(parsed.rules).items())[1:2] if parsed.whole and same else []
    answer, out = system.power(*(("-a", system.anchor, *rider(second[0][0])) if second else ()))
    return answer, [name for name, networks in second if out is None or not _holds(out, networks)]


def expanded(system: System, main: str, *options: str) -> Optional[Expansion]:
    """What pfctl expands a main ruleset to, without what it loads into anchors.

    :param main: its text.
    :param options: further options of pfctl.
    :returns: ``None`` where it does not parse.
    """
    words = (*system.numeric, *system.defines, *options, "-n", "-v", "-f", "-")
    code, out = system.pfctl(*words, stdin=main_ruleset.alone(main) or anchor.NOTHING)[:2]
    if code:
        return None
    return Expansion(rules=tuple(printed.rules(out)), translations=tuple(printed.translations(out)))


def translations(system: System) -> Tuple[str, ...]:
    """The main ruleset's rules that translate addresses."""
    if not system.translates:
        return ()
    return tuple(printed.translations(system.shown(*system.numeric, "-s", "nat") or ""))


def anchors(system: System, main: Sequence[str]) -> Dict[str, Tuple[str, ...]]:
    """The rules of every anchor that a main ruleset calls, by the anchor's path.

    :param main: the main ruleset, as pfctl prints it.
    """
    found: Dict[str, Tuple[str, ...]] = {}
    waiting = printed.calls(main)
    while waiting and len(found) < _MOST:
        path = waiting.pop(0)
        if path.endswith("/*"):
            out = system.shown("-a", path[:-2], "-s", "Anchors") or ""
            waiting += [line.strip() for line in out.splitlines() if line.strip()]
        elif path not in found:
            found[path] = tuple(printed.rules(system.pfctl(*(system.numeric + ("-a", path, "-s", "rules")))[1]))
            waiting += ["%s/%s" % (path, inner) for inner in printed.calls(found[path])]
    return found


def _holds(shown: str, networks: Sequence[str]) -> bool:
    """Whether a printed table holds exactly these networks."""
    members = printed.table(shown)
    try:
        return {ipaddress.ip_network(member) for member in members} == {ipaddress.ip_network(own) for own in networks}
    except ValueError:
        return False
