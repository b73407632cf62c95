# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put items of our own among the items of others, in the order that another list has."""

from __future__ import annotations

from typing import Hashable, List, Sequence, Tuple

# What an item is compared by, and whether it is ours.
Item = Tuple[Hashable, bool]
# The number of an item that is there and stays, or of a wanted one that is to be added.
Place = Tuple[str, int]
KEPT, ADDED = "kept", "added"


def arrange(have: Sequence[Item], want: Sequence[Item], first: int = 0) -> List[Place]:
    """Bring our items to the order of another list. Items of others stay, whatever that list says of them.

    A missing item of ours goes before the item that follows it in the wanted list, or to the end: so an item of
    others that is not in the wanted list, such as a refusal that somebody put to the top in an emergency, stays
    before it.

    :param have: the items that are there.
    :param want: the items in the wanted order.
    :param first: so many of the wanted items, all ours, have to stand before every other.
    :returns: the result from top to bottom: ``(KEPT, number in have)`` or ``(ADDED, number in want)``.
    """
    places: List[Place] = []
    start = 0
    if first and list(have[:first]) == list(want[:first]):
        places, start = [(KEPT, number) for number in range(first)], first
    elif first:
        places = [(ADDED, number) for number in range(first)]
    ours = [
        [number for number in range(least, len(items)) if items[number][1]]
        for least, items in ((start, have), (first, want))
    ]
    others = [
        [number for number in range(least, len(items)) if not items[number][1]]
        for least, items in ((start, have), (first, want))
    ]
    met = _matches(have, want, others[0], others[1])
    last_have, last_want = start - 1, first - 1
    for next_have, next_want in [*met, (len(have), len(want))]:
        between = [number for number in ours[0] if last_have < number < next_have]
        wanted = [number for number in ours[1] if last_want < number < next_want]
        stays = dict(_matches(have, want, between, wanted))
        added = iter(wanted)
        for number in range(last_have + 1, next_have):
            if number in stays:
                for waiting in added:
                    if waiting == stays[number]:
                        break
                    places.append((ADDED, waiting))
            if number in stays or not have[number][1]:
                places.append((KEPT, number))
        places.extend((ADDED, waiting) for waiting in added)
        if next_have < len(have):
            places.append((KEPT, next_have))
        last_have, last_want = next_have, next_want
    return places


def _matches(
    have: Sequence[Item], want: Sequence[Item], of_have: Sequence[int], of_want: Sequence[int]
) -> List[Tuple[int, int]]:
    """Pairs of equal items out of both lists, ascending in both."""
    left = [have[number][0] for number in of_have]
    right = [want[number][0] for number in of_want]
    head = 0
    while head < min(len(left), len(right)) and left[head] == right[head]:
        head += 1
    tail = 0
    while tail < min(len(left), len(right)) - head and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    pairs = [(number, number) for number in range(head)]
    rest = left[head : len(left) - tail], right[head : len(right) - tail]
    if all(rest):
        # It takes time to load, and most lists are alike.
        from difflib import SequenceMatcher

        for block in SequenceMatcher(None, *rest, autojunk=False).get_matching_blocks():
            pairs.extend((head + block.a + more, head + block.b + more) for more in range(block.size))
    pairs.extend((len(left) - number, len(right) - number) for number in range(tail, 0, -1))
    return [(of_have[left], of_want[right]) for left, right in pairs]
