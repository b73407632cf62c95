# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host code's dataclasses beside Python's own."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _values

# To mypy they are the same.
KINDS = {"host code": vars(_values), "Python": vars(dataclasses)}


class Classes:
    """A class, one that extends it, and one with an order."""

    def __init__(self, kind: str) -> None:
        dataclass: Callable[..., Any] = KINDS[kind]["dataclass"]
        self.replace = KINDS[kind]["replace"]

        class Base:
            """A value."""

            first: int
            second: str = "two"

            @property
            def both(self) -> str:
                return f"{self.first} {self.second}"

        class Extended(Base):
            third: tuple[int, ...] = ()

        class Ordered:
            one: str
            two: str = ""

        self.base = dataclass(frozen=True)(Base)
        self.extended = dataclass(frozen=True)(Extended)
        self.ordered = dataclass(frozen=True, order=True)(Ordered)


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest) -> Classes:
    return Classes(request.param)


def test_fields_by_position_and_name(made: Classes) -> None:
    value = made.extended(1, third=(3,))
    assert (value.first, value.second, value.third, value.both) == (1, "two", (3,), "1 two")
    assert list(vars(value)) == ["first", "second", "third"]
    assert repr(value).endswith("Extended(first=1, second='two', third=(3,))")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        *(((), {}), ((1, "two", (), 4), {}), ((1,), {"fourth": 4}), ((), {"second": "", "third": ()})),
        *(((1,), {"first": 1}), ((1, "two"), {"second": "", "third": ()})),
    ],
)
def test_other_fields_are_refused(made: Classes, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        made.extended(*given, **named)


def test_equal_where_all_fields_are(made: Classes) -> None:
    assert made.base(1) == made.base(first=1, second="two") != made.base(2)
    assert hash(made.base(1)) == hash(made.base(1))
    assert len({made.base(1), made.base(1), made.base(1, "")}) == 2
    # Another class is another value, whatever it has.
    assert made.base(1) != made.extended(1)
    assert made.base(1) != (1, "two")


def test_nothing_sets_a_field(made: Classes) -> None:
    value = made.base(1)
    with pytest.raises(AttributeError):
        value.first = 2
    with pytest.raises(AttributeError):
        value.more = 2
    with pytest.raises(AttributeError):
        del value.first
    assert value == made.base(1)


def test_another_value_from_a_value(made: Classes) -> None:
    value = made.extended(1)
    assert made.replace(value, second="", third=(1, 2)) == made.extended(1, "", (1, 2))
    assert value == made.extended(1)
    with pytest.raises(TypeError):
        made.replace(value, fourth=4)
    assert copy.deepcopy(value) == value


def test_an_order_of_its_own(made: Classes) -> None:
    least, middle, most = made.ordered("a"), made.ordered("a", "b"), made.ordered("b")
    assert sorted([most, middle, least]) == [least, middle, most]
    assert least < middle <= most > middle >= least
    with pytest.raises(TypeError):
        sorted([made.base(1), made.base(0)])
    with pytest.raises(TypeError):
        sorted([made.ordered("a"), ("a", "")])


def test_only_frozen_classes_are_made() -> None:
    make: Callable[..., Any] = vars(_values)["dataclass"]
    with pytest.raises(TypeError):
        make(Classes)
    with pytest.raises(TypeError):
        make(frozen=False)
