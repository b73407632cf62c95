# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Range arithmetic, held against sets of port numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _ports

Ranges = list[tuple[int, int]]


def ranges_of(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Ranges]:
    pairs = st.tuples(numbers, st.integers(0, 30)).map(lambda pair: (pair[0], min(pair[0] + pair[1], 65535)))
    return st.lists(pairs, max_size=12)


# Crowded, so that ranges touch, overlap and leave holes of one all the time; and the whole field, with its ends.
RANGES = st.one_of(
    ranges_of(st.integers(1, 40)), ranges_of(st.integers(1, 65535) | st.sampled_from([1, 2, 65534, 65535]))
)


def ports_of(ranges: Ranges) -> set[int]:
    """The model: a range is the set of its ports."""
    return {port for first, last in ranges for port in range(first, last + 1)}


def fewest(ports: set[int]) -> int:
    """How many ranges a set of ports needs: one for each port whose neighbour below is not there."""
    return sum(port - 1 not in ports for port in ports)


@given(RANGES)
def test_merge_covers_exactly_the_same_ports(ranges: Ranges) -> None:
    assert ports_of(_ports.merge(ranges)) == ports_of(ranges)


@given(RANGES)
def test_merge_is_minimal_sorted_and_apart(ranges: Ranges) -> None:
    merged = _ports.merge(ranges)
    assert len(merged) == fewest(ports_of(ranges))
    assert all(first <= last for first, last in merged)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(merged))


@given(RANGES)
def test_merge_twice_is_merge_once_and_leaves_its_input(ranges: Ranges) -> None:
    given_ranges = list(ranges)
    merged = _ports.merge(ranges)
    assert ranges == given_ranges
    assert _ports.merge(merged) == merged
    assert _ports.merge(reversed(ranges)) == merged
    assert _ports.merge([*ranges, *ranges]) == merged


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        ([], []),
        ([(80, 80)], [(80, 80)]),
        ([(80, 80), (81, 81)], [(80, 81)]),
        ([(80, 80), (82, 82)], [(80, 80), (82, 82)]),
        ([(16384, 16387), (16393, 16402), (16403, 16472)], [(16384, 16387), (16393, 16472)]),
        ([(1, 100), (20, 30), (90, 100)], [(1, 100)]),
        ([(1, 65535), (1, 1), (65535, 65535)], [(1, 65535)]),
        ([(65535, 65535), (65534, 65534)], [(65534, 65535)]),
    ],
)
def test_merge(ranges: Ranges, merged: Ranges) -> None:
    assert _ports.merge(ranges) == merged


@given(RANGES, RANGES)
def test_subtract_is_set_difference_and_minimal(ranges: Ranges, taken: Ranges) -> None:
    left = _ports.subtract(ranges, taken)
    wanted = ports_of(ranges) - ports_of(taken)
    assert ports_of(left) == wanted
    assert len(left) == fewest(wanted)
    assert left == sorted(left) and all(first <= last for first, last in left)


@given(RANGES, RANGES)
def test_what_is_taken_away_and_what_is_left_make_the_whole(ranges: Ranges, taken: Ranges) -> None:
    left = _ports.subtract(ranges, taken)
    common = _ports.subtract(ranges, left)
    assert _ports.merge([*left, *common]) == _ports.merge(ranges)
    assert _ports.subtract(left, taken) == left
    assert _ports.subtract(ranges, ranges) == []


@given(RANGES, RANGES)
def test_covers_is_subset(ranges: Ranges, wanted: Ranges) -> None:
    for one in wanted:
        assert _ports.covers(ranges, one) == (ports_of([one]) <= ports_of(ranges))
    assert all(_ports.covers(ranges, one) for one in ranges)


def test_covers_across_two_ranges_that_touch_but_not_across_a_hole() -> None:
    assert _ports.covers([(1, 5), (6, 9)], (4, 7))
    assert not _ports.covers([(1, 5), (7, 9)], (4, 7))
    assert not _ports.covers([], (1, 1))


@given(RANGES)
def test_size_counts_each_port_once(ranges: Ranges) -> None:
    assert _ports.size(ranges) == len(ports_of(ranges))


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_text_and_parse_are_each_others_inverse(one: int, other: int) -> None:
    port_range = min(one, other), max(one, other)
    assert _ports.parse(_ports.text(port_range)) == port_range
    assert _ports.text(port_range, ":").replace(":", "-") == _ports.text(port_range)


@given(st.integers(1, 65535))
def test_a_number_is_its_text(port: int) -> None:
    assert _ports.parse(port) == _ports.parse(str(port)) == (port, port)
    assert _ports.text((port, port)) == str(port)


NO_PORTS: list[Any] = [
    None, True, False, 1.0, 80.5, b"80", [], [80], (80, 90), {}, {"port": 80}, object(),
    "", " ", "80 ", " 80", "80\n", "\n80", "8 0", "80\x00", "80,443", "80;443", "80/tcp", "tcp", "http", "any", "*",
    "-", "80-", "-80", "80--90", "80-90-100", "80 - 90", "80:90", "80–90", "80\u201090", "80..90", "+80", "0x50", "8e1",
    "80.0", "1_000", "$(id)", "`id`", "{{ 80 }}", "80'", '80"', "80; id", "80\\",
    # Digits, but not those of a port: Arabic, full width, superscript, Devanagari.
    "٨٠", "８０", "8⁰", "८०",
    # Leading zeros, which some tools read as octal.
    "080", "00080", "01", "00", "1-02", "01-2",
    "123456", "1" * 5000, "9" * 100000, 10**5000, -(10**5000),
]  # fmt: skip
OUT_OF_RANGE: list[Any] = [0, "0", 65536, "65536", 99999, "99999", "0-0", "0-80", "80-65536", "65536-65537", "99999-1"]


def ascii_id(value: Any) -> str:
    return "huge" if isinstance(value, int) and abs(value) > 10**100 else ascii(value)[:16]


@pytest.mark.parametrize("value", NO_PORTS + OUT_OF_RANGE, ids=ascii_id)
def test_parse_refuses(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        _ports.parse(value)
    message = str(caught.value)
    assert len(message) < 500
    assert "port" in message
    assert shown(value) in message
    # What would do.
    assert "443" in message or "from 1 to 65535" in message


@pytest.mark.parametrize("value", [-1, -80, "-1"])
def test_parse_refuses_what_is_below_zero(value: Any) -> None:
    with pytest.raises(ValueError, match="-"):
        _ports.parse(value)


@pytest.mark.parametrize(("value", "better"), [("90-80", "80-90"), ("65535-1", "1-65535")])
def test_parse_refuses_a_range_that_runs_backwards_and_turns_it_round(value: str, better: str) -> None:
    with pytest.raises(ValueError, match=f"'{value}' runs backwards: write '{better}'"):
        _ports.parse(value)


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans() | st.binary() | st.lists(st.integers()))
def test_parse_raises_nothing_but_value_error_and_accepts_nothing_but_ports(value: Any) -> None:
    try:
        first, last = _ports.parse(value)
    except ValueError:
        return
    assert 1 <= first <= last <= 65535
    assert {type(first), type(last)} == {int}
    # A number has one way to be written; "80-80" is a range of one.
    assert str(value) in (_ports.text((first, last)), f"{first}-{last}")


@given(st.from_regex(r"[0-9]{1,6}(-[0-9]{1,6})?", fullmatch=True))
def test_parse_of_what_looks_like_ports(value: str) -> None:
    parts = value.split("-")
    good = all(part == str(int(part)) and 1 <= int(part) <= 65535 for part in parts) and [
        int(part) for part in parts
    ] == sorted(int(part) for part in parts)
    try:
        assert _ports.parse(value) == (int(parts[0]), int(parts[-1]))
        accepted = True
    except ValueError:
        accepted = False
    assert accepted is good


class Tagged(str):
    """As ansible-core 2.19 and newer hand strings to filters."""


def test_parse_takes_subclasses_and_gives_plain_numbers() -> None:
    assert [type(part) for part in _ports.parse(Tagged("80-90"))] == [int, int]


def shown(value: Any) -> str:
    """How a message has to show a value: as Python writes it, the beginning where it is long."""
    if isinstance(value, int) and abs(value) > 10**100:
        return "huge int"
    return repr(value)[:20]
