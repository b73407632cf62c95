# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site's own catalogue files: read, held to their schema, and merged into the catalogue."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_merge, _strict_yaml
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

_SCHEMA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "site.schema.json")
_MOST_COMPLAINTS = 5
_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "nothing",
}
_LONGEST_COMPLAINT = 200


def merge(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Merge a site's file into a catalogue.

    :param data: a catalogue in the form of catalogue.json; it is left as it is.
    :param path: a YAML file (or JSON, where the name ends in ".json") of the form of ``data/site.schema.json``.
    :returns: a new catalogue, in which what the file adds or judges anew has the file's edition.
    :raises CatalogueError: the file cannot be read, its schema refuses it, or it contradicts itself or the catalogue:
        the file, the place in it, and why.
    """
    try:
        addition = _strict_yaml.read(path)
    except OSError as error:
        raise CatalogueError(f"catalogue {path!r} cannot be read: {error.strerror or error}") from error
    except _strict_yaml.ReadError as error:
        raise CatalogueError(f"catalogue {path!r} cannot be read: {error}") from error
    problems = [(_place(error.absolute_path), _why(error)) for error in _refusals(addition)]
    if problems:
        raise CatalogueError(_complaint(path, problems))
    try:
        return _catalogue_merge.extend(data, addition)
    except _catalogue_merge.ContradictionError as error:
        raise CatalogueError(_complaint(path, error.problems)) from error


def _refusals(addition: Any) -> list[Any]:
    """What the schema has against it: jsonschema's errors, by place."""
    validator = _validator()
    return sorted(
        validator.iter_errors(addition), key=lambda error: [str(part).zfill(9) for part in error.absolute_path]
    )


@functools.lru_cache(maxsize=1)
def _validator() -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise CatalogueError(
            "a site's own catalogue needs the Python library jsonschema, 4.0 or newer, on the controller: "
            f"install it for the Python that runs Ansible ({sys.executable} -m pip install jsonschema)"
        ) from error
    with open(_SCHEMA, encoding="utf-8") as stream:
        return Draft202012Validator(json.load(stream))


def _place(path: Iterable[str | int]) -> str:
    """A place as the other errors write it: "rows[0].port"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _why(error: Any) -> str:
    """One of jsonschema's errors as a sentence: what a value is to be, instead of the pattern that it does not fit."""
    meaning = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator == "type":
        # Not the value itself: the path may be that of another file, and of a secret.
        message = f"{_KINDS.get(type(error.instance), 'another kind of value')} is not what belongs here"
    elif error.validator == "pattern":
        message = f"{_short(repr(error.instance))} is not what belongs here"
    else:
        message = _short(error.message)
    return f"{message} ({meaning.rstrip('.')})" if meaning else message


def _short(text: str) -> str:
    if len(text) <= _LONGEST_COMPLAINT:
        return text
    return f"{text[: _LONGEST_COMPLAINT // 2]} … {text[-_LONGEST_COMPLAINT // 2 :]}"


def _complaint(path: str, problems: Iterable[tuple[str, str]]) -> str:
    lines = [f"{place or 'the file'}: {why}" for place, why in problems]
    if len(lines) > _MOST_COMPLAINTS:
        lines[_MOST_COMPLAINTS:] = [f"and {len(lines) - _MOST_COMPLAINTS} more"]
    return f"catalogue {path!r}: " + "; ".join(lines)
