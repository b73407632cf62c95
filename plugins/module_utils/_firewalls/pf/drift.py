# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What on a host with pf is not as a run of the role left it. Each is a sentence."""

from __future__ import annotations

from typing import List

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import main_ruleset
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Reading
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System


def of_files(system: System, reading: Reading) -> List[str]:
    """What is wrong with the anchor's file and the lines in the main ruleset's."""
    found = []
    if not reading.parsed.whole:
        found.append(
            "%s is not as the role wrote it: it was edited by hand or comes from elsewhere" % system.anchor_file
        )
    mentions = main_ruleset.look(reading.main, system.ruleset)
    for verb, count in (("call", mentions.called), ("load", mentions.loaded)):
        if not count:
            found.append("%s does not %s anchor %s" % (reading.main_file, verb, system.anchor))
        elif count > 1:
            found.append("%s %ss anchor %s %d times" % (reading.main_file, verb, system.anchor, count))
    return found


def of_kernel(system: System, reading: Reading) -> List[str]:
    """What the kernel has otherwise than the anchor's file."""
    kernel, name = reading.kernel, system.anchor
    if kernel is None:
        return []
    found = []
    calls = kernel.calls(name)
    if not calls:
        found.append("the main ruleset in the kernel does not call anchor %s" % name)
    elif calls > 1:
        found.append("the main ruleset in the kernel calls anchor %s %d times" % (name, calls))
    if not kernel.rules:
        found.append("anchor %s is empty in the kernel" % name)
    elif not kernel.same:
        found.append("the rules of anchor %s in the kernel are not those of its file" % name)
    for table in kernel.tables:
        found.append("table %s of anchor %s in the kernel is not as its file says" % (table, name))
    return found


def remains(system: System, reading: Reading) -> List[str]:
    """What is left of an anchor that has no file."""
    kernel, name = reading.kernel, system.anchor
    found = []
    if main_ruleset.own_part(reading.main, system.ruleset):
        found.append("%s still has lines of anchor %s" % (reading.main_file, name))
    if kernel and (kernel.calls(name) or kernel.rules):
        found.append("the kernel still has anchor %s" % name)
    found += ["%s is still there" % file for file in system.boot_files(False) if reading.files[file] is not None]
    return found
