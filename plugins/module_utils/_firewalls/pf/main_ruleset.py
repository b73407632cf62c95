# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two lines of ours in the file of the main ruleset: they call the anchor and load it. Texts in, texts out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import anchor, anchor_file


@dataclass(frozen=True)
class Mentions:
    """What a main ruleset says of an anchor.

    :param called: it calls the anchor.
    :param loaded: it loads the anchor's file.
    """

    called: bool
    loaded: bool


def call_line(ruleset: str) -> str:
    """The line of the main ruleset that calls the anchor."""
    return 'anchor "%s"' % anchor(ruleset)


def load_line(ruleset: str) -> str:
    """The line of the main ruleset that loads the anchor's file."""
    return 'load anchor "%s" from "%s"' % (anchor(ruleset), anchor_file(ruleset))


# What the comment above the lines adds when more than the lines was written.
_NEW_FILE = ", and this file"
_NEW_LINE_END = ", and the line end before this one"


def _comment_line(ruleset: str) -> str:
    return '# netports.apple, ruleset "%s": the role host_firewall owns this and the next two lines' % ruleset


def _own_lines(text: str, ruleset: str) -> List[Tuple[int, str]]:
    """Number and kind (comment, call, load) of the lines of a main ruleset that are about the anchor."""
    own = re.compile(r'[ \t]*(load[ \t]+)?anchor[ \t]+"?%s"?(?=[ \t\r{#]|$)' % re.escape(anchor(ruleset)))
    found = []
    swallowed = False
    for number, line in enumerate(text.split("\n")):
        match = own.match(line)
        # A line behind a backslash belongs to the line before it, be that a comment: a call there is none of ours.
        if line.startswith(_comment_line(ruleset)):
            found.append((number, "comment"))
        elif match and not swallowed:
            found.append((number, "load" if match.group(1) else "call"))
        swallowed = line.endswith("\\")
    return found


def look(text: Optional[str], ruleset: str) -> Mentions:
    """Say whether a main ruleset calls the anchor and whether it loads it, by exactly our lines."""
    lines = (text or "").split("\n")
    kinds = {
        kind
        for number, kind in _own_lines(text or "", ruleset)
        if lines[number].strip(" \t") == {"call": call_line(ruleset), "load": load_line(ruleset)}.get(kind)
    }
    return Mentions(called="call" in kinds, loaded="load" in kinds)


def with_call(text: Optional[str], ruleset: str) -> str:
    """Put the two lines into a main ruleset, unless they are there.

    They go to the end: that is right in the order of macOS and FreeBSD (filter rules come last), and an
    administrator's ``quick`` rules keep deciding before the anchor does. Nothing else changes.

    :param text: the main ruleset; ``None`` where there is no such file.
    """
    if look(text, ruleset) == Mentions(called=True, loaded=True):
        return str(text)
    rest = without_call(text, ruleset)
    addition = ""
    if rest is None or _NEW_FILE in _notes(text, ruleset):
        addition = _NEW_FILE
    rest = rest or ""
    if rest and not rest.endswith("\n"):
        rest += "\n"
        addition += _NEW_LINE_END
    # The comment also keeps a last line that ends in a backslash from swallowing the call.
    return rest + "\n".join([_comment_line(ruleset) + addition, call_line(ruleset), load_line(ruleset), ""])


def _notes(text: Optional[str], ruleset: str) -> str:
    lines = (text or "").split("\n")
    return "".join(lines[number] for number, kind in _own_lines(text or "", ruleset) if kind == "comment")


def without_call(text: Optional[str], ruleset: str) -> Optional[str]:
    """Take the anchor's lines out of a main ruleset; all other bytes stay, and those that were added go.

    :returns: the text; ``None`` where the file was made for these lines and holds nothing else.
    """
    if text is None:
        return None
    lines = text.split("\n")
    own = _own_lines(text, ruleset)
    notes = _notes(text, ruleset)
    numbers = {number for number, kind in own}
    rest = "\n".join(line for number, line in enumerate(lines) if number not in numbers)
    if not rest and _NEW_FILE in notes:
        return None
    # The line end is ours only while nobody wrote behind it: our lines are still the last.
    if _NEW_LINE_END in notes and numbers and max(numbers) == len(lines) - 2 and rest.endswith("\n"):
        rest = rest[:-1]
    return rest


def own_part(text: Optional[str], ruleset: str) -> str:
    """The anchor's lines out of a main ruleset, for people to read."""
    lines = (text or "").split("\n")
    return "".join(lines[number] + "\n" for number, kind in _own_lines(text or "", ruleset))
