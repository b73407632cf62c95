# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frozen dataclasses whose classes take little time to make.

Python's own write the methods of each class as source and compile it, some 0.7 ms for a class. A run makes 30 to 40 of
them, which took a quarter of the module's start. Here all classes share their methods. Otherwise they are as dataclasses,
which is what they are to mypy: fields by position or name, defaults, equal where all fields are, and nothing sets a field.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Callable, Dict, NoReturn, Tuple, Type, TypeVar

_T = TypeVar("_T")
_MISSING = object()


def _dataclass(*, frozen: bool, order: bool = False) -> Callable[[Type[_T]], Type[_T]]:
    """Make a class whose values have the fields that it annotates, after those of the class that it extends.

    :param frozen: true; there are no others.
    :param order: whether values compare as tuples of their fields do.
    """
    if not frozen:
        raise TypeError("a value of the host code is frozen")

    def make(cls: Type[_T]) -> Type[_T]:
        fields: Dict[str, Any] = dict(getattr(cls, "_fields", {}))
        fields.update((name, getattr(cls, name, _MISSING)) for name in getattr(cls, "__annotations__", {}))
        methods: Dict[str, Any] = dict(_METHODS, _fields=fields, **(_ORDER if order else {}))
        for name, method in methods.items():
            setattr(cls, name, method)
        return cls

    return make


def _replace(value: _T, **changes: Any) -> _T:
    """The value with other values in some of its fields."""
    return type(value)(**dict(vars(value), **changes))


def _init(self: Any, *given: Any, **named: Any) -> None:
    placed = dict(zip(self._fields, given))
    values = {**self._fields, **placed, **named}
    good = len(given) == len(placed) and len(values) == len(self._fields) and placed.keys().isdisjoint(named)
    if not good or any(value is _MISSING for value in values.values()):
        raise TypeError("%s has the fields %s" % (type(self).__name__, ", ".join(self._fields)))
    vars(self).update(values)


def _refuse(self: Any, name: str, _value: Any = None) -> NoReturn:
    raise AttributeError("%s.%s is frozen" % (type(self).__name__, name))


def _repr(self: Any) -> str:
    return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % item for item in vars(self).items()))


def _items(value: Any) -> Tuple[Any, ...]:
    return tuple(vars(value).values())


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return compare(_items(self), _items(other)) if type(other) is type(self) else NotImplemented

    return method


_METHODS: Dict[str, Any] = {
    "__init__": _init,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__repr__": _repr,
    "__eq__": _compared(operator.eq),
    "__hash__": lambda self: hash(_items(self)),
}
_ORDER: Dict[str, Any] = {
    "__lt__": _compared(operator.lt),
    "__le__": _compared(operator.le),
    "__gt__": _compared(operator.gt),
    "__ge__": _compared(operator.ge),
}

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    dataclass, replace = _dataclass, _replace

__all__ = ["dataclass", "replace"]
