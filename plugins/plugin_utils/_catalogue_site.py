# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site's own catalogue files: read, held to their schema, and merged into the catalogue."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_merge, _strict_yaml
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from ansible_collections.netports.apple.plugins.plugin_utils._names import normalise

_SCHEMA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "site.schema.json")
# All that people make wrong in one file; more than this is another kind of file.
_MOST_COMPLAINTS = 20
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
        raise CatalogueError(f"catalogue {path!r} cannot be read: {error.strerror or error}") from None
    except _strict_yaml.ReadError as error:
        raise CatalogueError(f"catalogue {path!r} cannot be read: {error}") from None
    ids = _ids(data, addition)
    problems = [(_place(error.absolute_path), _why(error, ids)) for error in _refusals(addition)]
    if problems:
        raise CatalogueError(_complaint(path, problems))
    try:
        return _catalogue_merge.extend(data, addition)
    except _catalogue_merge.ContradictionError as error:
        raise CatalogueError(_complaint(path, error.problems)) from None


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
    except ImportError:
        raise CatalogueError(
            "a site's own catalogue needs the Python library jsonschema, 4.0 or newer, on the controller: "
            f"install it for the Python that runs Ansible ({sys.executable} -m pip install jsonschema)"
        ) from None
    with open(_SCHEMA, encoding="utf-8") as stream:
        return Draft202012Validator(json.load(stream))


def _place(path: Iterable[str | int]) -> str:
    """A place as the other errors write it: "rows[0].port"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _ids(data: Mapping[str, Any], addition: Any) -> dict[str, str]:
    """The ids of products by normalised name: those of the catalogue, and those that a file adds as far as it is whole."""
    found = dict(data["index"])
    added = addition.get("products") if isinstance(addition, dict) else None
    for product in added if isinstance(added, list) else ():
        names = product.get("name") if isinstance(product, dict) else None
        for name in names.values() if isinstance(names, dict) else ():
            if isinstance(name, str) and isinstance(product.get("id"), str):
                found.setdefault(normalise(name), product["id"])
    return found


def _why(error: Any, ids: Mapping[str, str]) -> str:
    """One of jsonschema's errors as a sentence: what a value is to be, instead of the pattern that it does not fit.

    :param ids: the ids of products by normalised name.
    """
    meaning = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator == "additionalProperties":
        return _strange_keys(error, ids)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        message = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    elif error.validator == "type":
        # Not the value itself: the path may be that of another file, and of a secret.
        message = f"{_KINDS.get(type(error.instance), 'another kind of value')} is not what belongs here"
    elif error.validator == "pattern":
        if error.schema.get("title") == "id" and normalise(error.instance) in ids:
            return f"{_short(repr(error.instance))} is a product's name: give its id, {ids[normalise(error.instance)]}"
        message = f"{_short(repr(error.instance))} is not what belongs here"
    else:
        message = _short(error.message)
    return f"{message} ({meaning.rstrip('.')})" if meaning else message


def _strange_keys(error: Any, ids: Mapping[str, str]) -> str:
    """What to say of the keys that a mapping may not have: an id in the place of a name, or the keys that there are."""
    known = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    strange = [
        str(key)
        for key in error.instance
        if key not in known and not any(re.search(pattern, str(key)) for pattern in patterns)
    ]
    shown = ", ".join(_short(repr(key)) for key in strange[:5])
    if patterns:
        named = [
            f"{key!r} is a product's name: give its id, {ids[normalise(key)]}"
            for key in strange
            if normalise(key) in ids
        ]
        return "; ".join(named) or f"{shown}: give ids of products here, in lower-case letters, digits and hyphens"
    return f"{shown} {'is no key' if len(strange) == 1 else 'are no keys'} here: the keys are {', '.join(known)}"


def _short(text: str) -> str:
    if len(text) <= _LONGEST_COMPLAINT:
        return text
    return f"{text[: _LONGEST_COMPLAINT // 2]} … {text[-_LONGEST_COMPLAINT // 2 :]}"


def _complaint(path: str, problems: Iterable[tuple[str, str]]) -> str:
    lines = [f"{place or 'the file'}: {why}" for place, why in problems]
    if len(lines) > _MOST_COMPLAINTS:
        lines[_MOST_COMPLAINTS:] = [f"and {len(lines) - _MOST_COMPLAINTS} more"]
    return f"catalogue {path!r}: " + "; ".join(lines)
