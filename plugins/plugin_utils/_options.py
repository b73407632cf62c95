# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users give to the plugins, checked: ansible-core ignores unknown keywords and does not look at terms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _hosts, _networks
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from ansible_collections.netports.apple.plugins.plugin_utils._names import LANGUAGES, nearest

_CHOICES: dict[str, tuple[str, ...]] = {
    "protocol": _catalogue.PROTOCOLS,
    "direction": (*_catalogue.DIRECTIONS, "both"),
    "scope": _catalogue.SCOPES,
    "language": LANGUAGES,
    "family": _networks.FAMILIES,
    "os": _hosts.SYSTEMS,
}


def decrypted(value: Any) -> Any:
    """A value, and all in it, with plain texts for vaulted ones.

    Up to ansible-core 2.18 these reach plugins as objects that are no strings; later they come decrypted.
    """
    if type(value).__name__ == "AnsibleVaultEncryptedUnicode":
        return str(value)
    if isinstance(value, (list, tuple)):
        return [decrypted(item) for item in value]
    if isinstance(value, Mapping):
        return {decrypted(key): decrypted(item) for key, item in value.items()}
    return value


def check_known(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse keywords that are no options.

    :raises CatalogueError: an unknown keyword, with the nearest option.
    """
    for key in given:
        if key not in known:
            near = nearest(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(known)}"
            raise CatalogueError(f"{key!r} is not an option: {hint}")


def check_keywords(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse keywords of a lookup that are no options.

    :raises CatalogueError: as :func:`check_known`.
    """
    # with_ gives every lookup a wantlist, up to ansible-core 2.18.
    check_known([key for key in given if key != "wantlist"], known)


def check_choice(name: str, value: Any) -> str | None:
    """Check an option that has few values; case does not matter, and ``None`` is "not given".

    :raises CatalogueError: another value.
    """
    if value is None:
        return None
    choices = _CHOICES[name]
    found = {choice.casefold(): choice for choice in choices}.get(value.casefold()) if isinstance(value, str) else None
    if found is None:
        raise CatalogueError(f"{name} {value!r} is not one of {', '.join(choices)}")
    return found


def check_bool(name: str, value: Any) -> bool:
    """Check a switch, given as a boolean or as Ansible's words for one.

    :raises CatalogueError: anything else.
    """
    try:
        # Ansible's own words, and nothing else that Python takes for a number.
        return bool(boolean(value if isinstance(value, (bool, int, str)) else ""))
    except TypeError:
        pass
    raise CatalogueError(f"{name} {value!r} is neither true nor false")


def check_port(value: Any) -> int | None:
    """Check one port number, an int or its digits; ``None`` is "not given".

    :raises CatalogueError: not a number from 1 to 65535.
    """
    if value is None:
        return None
    try:
        first, last = _ports.parse(value)
    except ValueError as error:
        raise CatalogueError(str(error)) from None
    if first != last:
        raise CatalogueError(f"port {value!r} is a range: give one number, and get the entries that cover it")
    return first


def check_range(value: Any) -> _ports.PortRange | None:
    """Check a port or a range of ports; ``None`` is "not given".

    :raises CatalogueError: neither, or not between 1 and 65535.
    """
    if value is None:
        return None
    try:
        found = _ports.parse(value)
    except ValueError as error:
        raise CatalogueError(str(error)) from None
    if found == _ports.HOST_EPHEMERAL:
        raise CatalogueError(f"port {value!r} has no number here: a host alone knows its own range")
    return found


def check_text(name: str, value: Any) -> str | None:
    """Check a text that must not be empty; ``None`` is "not given".

    :raises CatalogueError: not a text, or an empty one.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise CatalogueError(f"{name} {value!r} is not a text: leave it out, or give one")
    return str(value)


def check_paths(value: Iterable[Any]) -> list[str]:
    """Check the paths of a site's own catalogue files; ``~`` is the home folder.

    :raises CatalogueError: one that is no path.
    """
    paths = list(value)
    if paths == [""]:
        return []  # the environment variable, set to nothing
    for path in paths:
        if not isinstance(path, str) or not path.strip() or "\x00" in path:
            raise CatalogueError(f"catalogues names {_ports.shown(path)}, which is no path: give a list of files")
    return [os.path.expanduser(str(path)) for path in paths]


def check_terms(terms: Any) -> list[Any] | None:
    """Bring the terms of a lookup to a list of names, ``None`` when there are none.

    A list among the terms counts as its members, so that a variable can be given as it is.

    :raises CatalogueError: a list of names that is empty: it would otherwise ask for everything.
    """
    names: list[Any] = []
    for term in terms:
        if isinstance(term, (list, tuple)):
            if not term:
                raise CatalogueError("an empty list of products: leave the term out to ask for every row")
            names.extend(term)
        else:
            names.append(term)
    return names or None


def selection(options: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of :func:`_catalogue.select`, from checked values of the lookup's options.

    :raises CatalogueError: a value that an option cannot have.
    """
    return {
        "protocol": check_choice("protocol", options.get("protocol")),
        "port": check_range(options.get("port")),
        "service": check_text("service", options.get("service")),
        "direction": check_choice("direction", options.get("direction")),
        "scope": check_choice("scope", options.get("scope")),
        "members": check_bool("members", options.get("members", True)),
        "language": check_choice("language", options.get("language")) or "en",
        "side": check_side(options.get("side")),
        "ports": options.get("ports"),
        "obsolete": None if options.get("obsolete") is None else check_bool("obsolete", options["obsolete"]),
    }


def check_side(value: Any) -> str | None:
    """Check the form of a side's id; ``None`` is "not given".

    :raises CatalogueError: not a text, or an empty one.
    """
    side = check_text("side", value)
    return side and side.strip().casefold()


def catalogue(lookup: Any, variables: dict[str, Any] | None, options: Mapping[str, Any]) -> Catalogue:
    """The catalogue that a lookup's options ask for, given directly, in ansible.cfg or in the environment.

    :param lookup: the lookup plugin, whose documentation has the options ``catalogues`` and ``supplement``.
    :raises CatalogueError: a value that an option cannot have, or a file that cannot be read or is refused.
    """
    given = {name: options[name] for name in ("catalogues", "supplement") if options.get(name) is not None}
    if "supplement" in given:
        given["supplement"] = check_bool("supplement", given["supplement"])
    lookup.set_options(var_options=variables, direct=given)
    paths = check_paths(lookup.get_option("catalogues"))
    return _catalogue.load([_found(lookup, path) for path in paths], lookup.get_option("supplement"))


def decided(lookup: Any, options: Mapping[str, Any]) -> bool:
    """Say whether somebody chose to have the supplement or to do without it.

    :param lookup: a lookup plugin that :func:`catalogue` was asked for.
    """
    if options.get("supplement") is not None:
        return True
    _value, origin = lookup.get_option_and_origin("supplement")
    return str(origin) != "default"


def _found(lookup: Any, path: str) -> str:
    """A path from the playbook's folder, as for other files that a playbook names, or from the current one."""
    loader = getattr(lookup, "_loader", None)
    return path if os.path.isabs(path) or loader is None else str(loader.path_dwim(path))
