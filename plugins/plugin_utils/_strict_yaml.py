# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML and JSON that people write, read more strictly than the libraries do by themselves.

Both libraries let the second of two equal keys win silently, and with it a product's judgements; YAML's aliases make
gigabytes out of a few lines. Plain Python without Ansible.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any

import yaml

# The catalogue with all its judgements is 100 kB.
LARGEST = 1024 * 1024
_DEEPEST = 40
_MOST_NODES = 200_000
_MERGE = "tag:yaml.org,2002:merge"
_KEYS = ("tag:yaml.org,2002:str", _MERGE)

# The C parser is ten times as fast; where PyYAML was built without it, the other does.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ReadError(ValueError):
    """The text cannot be read; the message says where in it, and why."""


def read(path: str) -> Any:
    """Return what a YAML file holds, or a JSON file where its name ends in ".json".

    :raises OSError: the file cannot be opened.
    :raises ReadError: it is no plain file of at most LARGEST bytes of UTF-8, or not YAML or JSON, or it has a key
        twice or more aliases than anybody would write.
    """
    # Not blocking, so that a pipe that nobody writes to is refused instead of waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ReadError("it is not a plain file")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ReadError(f"it is larger than {LARGEST // 1024} KiB, which no catalogue of a site is")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(f"byte {error.start} is not UTF-8: save the file in that encoding") from error
    return parse_json(text) if path.lower().endswith(".json") else parse_yaml(text)


def parse_json(text: str) -> Any:
    """Return what JSON holds.

    :raises ReadError: not JSON, or a key that an object has twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _value in pairs]
        if len(set(keys)) < len(keys):
            twice = sorted({key for key in keys if keys.count(key) > 1})
            raise ReadError(f"key {_shown(twice[0])} is given twice in one object")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ReadError(f"{name} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except RecursionError as error:
        raise ReadError("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ReadError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f"it has a number of too many digits: {error}") from error


def parse_yaml(text: str) -> Any:
    """Return what YAML holds, of one document and of plain types alone.

    :raises ReadError: not YAML, a key that a mapping has twice, or nesting and aliases past all reason.
    """
    loader = None
    try:
        _check_events(text)
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _check_tree(root)
        return loader.construct_document(root)
    except ReadError:
        raise
    except yaml.YAMLError as error:
        raise ReadError(_refusal(error)) from error
    # What the constructors of !!int, !!timestamp and !!bool raise for a text that is none.
    except (ValueError, OverflowError, TypeError, AttributeError, KeyError) as error:
        raise ReadError(f"it has a number or a date that cannot be: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _refusal(error: yaml.YAMLError) -> str:
    """Return why PyYAML refused a text. Its own words, which change from release to release, only follow ours."""
    if not isinstance(error, yaml.MarkedYAMLError):  # a character that YAML does not take
        return "not YAML: " + " ".join(str(error).split())
    mark = error.problem_mark or error.context_mark
    words = error.problem or error.context or "no reason given"
    if "nesting" in words and mark:  # libyaml reads a thousand characters ahead of the events
        return f"line {mark.line + 1}: nested too deeply"
    return (f"line {mark.line + 1}, column {mark.column + 1}: " if mark else "") + f"not YAML: {words}"


def _check_events(text: str) -> None:
    """Refuse a text by its events, which needs no recursion: composing does, in C without a guard."""
    depth = documents = 0
    anchors: set[str] = set()
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        where = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > _DEEPEST:
            raise ReadError(where + "nested too deeply")
        if number > _MOST_NODES:
            raise ReadError(where + "too much in one file")
        if documents > 1:
            raise ReadError(where + "a second document begins here, and a file has one")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ReadError(f"{where}alias *{event.anchor} has no anchor before it")
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            anchors.add(event.anchor)


def _check_tree(root: yaml.Node) -> None:
    """Refuse keys that stand twice, tags of no plain value, and aliases that repeat themselves or multiply."""
    done: dict[int, tuple[int, int]] = {}  # nodes and depth of what is below, with aliases written out
    active: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in done:
            return done[id(node)]
        line = node.start_mark.line + 1
        if id(node) in active:
            raise ReadError(f"line {line}: it contains itself")
        if node.tag not in _Loader.yaml_constructors and node.tag != _MERGE:
            raise ReadError(f"line {line}: tag {_shown(node.tag)} makes no plain value")
        active.add(id(node))
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            below = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        measured = [measure(part) for part in below]
        nodes = 1 + sum(size for size, _depth in measured)
        depth = 1 + max((depth for _size, depth in measured), default=0)
        if nodes > _MOST_NODES or depth > _DEEPEST:
            raise ReadError(f"line {line}: its aliases repeat too much")
        active.remove(id(node))
        done[id(node)] = nodes, depth
        return nodes, depth

    measure(root)


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _value in node.value:
        if key.tag not in _KEYS:
            shown = _shown(key.value) if isinstance(key, yaml.ScalarNode) else "made of several values"
            raise ReadError(f"line {key.start_mark.line + 1}: key {shown} is no text: put it in quotes")
        if key.value in seen:
            raise ReadError(f"line {key.start_mark.line + 1}: key {_shown(key.value)} is given twice")
        seen.add(key.value)


def _shown(key: str) -> str:
    """A key as a message may show it."""
    return key if key.isprintable() and len(key) <= 60 else repr(key[:60])
