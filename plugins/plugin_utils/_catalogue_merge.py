# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a catalogue is made: facts and judgement are merged into an earlier catalogue, which may be empty.

The article's facts, the supplement and a site's own files all have the form of ``data/site.schema.json`` and all
go through ``extend``, so that one set of rules holds for the three. Pure, and plain Python without Ansible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Relative, because tools/ load this folder as a package of its own: there the collection need not be installed.
from ._names import LANGUAGES, nearest, normalise
from ._port_words import HOST_EPHEMERAL, SITE_PORT

FORMAT = 1
NO_CATALOGUE: Mapping[str, Any] = {"format": FORMAT, "edition": None, "products": {}, "index": {}, "entries": []}

Key = tuple[str, str, str]  # (product, or "" without one; port as its row prints it; protocol)
Problem = tuple[str, str]  # (place in the file, such as "rows[3].port"; what is wrong with it)


class ContradictionError(ValueError):
    """The data contradict themselves or what they are added to; ``problems`` has a place and a sentence for each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{place}: {why}" for place, why in problems))
        self.problems = problems


def extend(data: Mapping[str, Any], addition: Mapping[str, Any]) -> dict[str, Any]:
    """Merge an addition into a catalogue: first it hides, then it adds products and rows, then it judges.

    :param data: a catalogue, in the form of catalogue.json; it is left as it is.
    :param addition: in the form of site.schema.json, and held to that schema before: ``edition`` and, all optional,
        ``products``, ``rows``, ``traffic`` and ``hide``.
    :raises ContradictionError: with every contradiction: a name or an id that is taken, an unknown product, a row that
        is there already or has no judgement, a judgement without a row.
    :returns: a new catalogue. Entries that the addition adds or judges anew have its ``edition``.
    """
    problems: list[Problem] = []
    known = data.get("editions") or [edition for edition in (data["edition"],) if edition]
    if addition["edition"]["id"] in [edition["id"] for edition in known]:
        why = f"{addition['edition']['id']} is the id of another edition already: entries would not say whose they are"
        problems.append(("edition.id", why))
    products, index, entries = _hide(data, addition.get("hide", ()), problems)
    fresh = _add_products(products, index, addition.get("products", ()), problems)
    judgements = _judgements(addition.get("traffic", {}), problems)
    _add_rows(entries, products, addition, judgements, problems)
    _judge_anew(entries, products, addition["edition"]["id"], judgements, problems)
    _settle(products, entries, fresh, problems)
    if problems:
        raise ContradictionError(problems)
    extended = {
        **data,
        "edition": data["edition"] or addition["edition"],
        "products": dict(sorted(products.items())),
        "index": dict(sorted(index.items())),
        "entries": entries,
    }
    if known:
        extended["editions"] = [*known, addition["edition"]]
    return extended


def with_everyday(data: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Merge everyday names into a catalogue, for those who add to them.

    :param names: in the form of practice.json, whose names are none of the catalogue's.
    """
    return {
        **names,
        **data,
        "products": {**data["products"], **names["products"]},
        "index": {**data["index"], **names["index"]},
        "entries": [*data["entries"], *names["entries"]],
        "editions": [*data.get("editions", [data["edition"]]), names["edition"]],
    }


def wanted(rows: list[Any]) -> dict[Key, str]:
    """What needs a judgement: the keys of all entries that rows give, with the place of each ("rows[3]")."""
    return {
        (product or "", row["port"], protocol): f"rows[{number}]"
        for number, row in enumerate(rows)
        for product, _detail, _nested, _place in _used(row)
        for protocol in row["protocols"]
    }


def judged(traffic: Mapping[str, Any]) -> Iterator[tuple[Key, Mapping[str, Any], str]]:
    """What is judged, in the file's order and as often as it stands there: (key, judgement, place)."""
    groups = [
        (product, group, f"traffic.products.{product}[{number}]")
        for product, own in traffic.get("products", {}).items()
        for number, group in enumerate(own)
    ]
    groups += [
        ("", group, f"traffic.rows_without_product[{number}]")
        for number, group in enumerate(traffic.get("rows_without_product", ()))
    ]
    for product, group, place in groups:
        for number, pair in enumerate(group["ports"]):
            port, _slash, protocol = pair.partition("/")
            yield (product, port, protocol), group, f"{place}.ports[{number}]"


def whose(product: str | None) -> str:
    """A product's id, or what to call a row that has none, in a sentence."""
    return product or "a row without product"


def _judgements(traffic: Mapping[str, Any], problems: list[Problem]) -> dict[Key, tuple[Mapping[str, Any], str]]:
    found: dict[Key, tuple[Mapping[str, Any], str]] = {}
    for key, group, place in judged(traffic):
        if key in found:
            problems.append((place, f"{key[1]}/{key[2]} of {whose(key[0])} is judged twice"))
        sides = [side["id"] for side in group.get("sides", ())]
        for side in {side for side in sides if sides.count(side) > 1}:
            problems.append((place, f"{key[1]}/{key[2]} of {whose(key[0])} has the side {side} twice"))
        found[key] = group, place
    return found


def _hide(
    data: Mapping[str, Any], hide: list[str] | tuple[()], problems: list[Problem]
) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """Return products, index and entries without what is to be hidden, in new containers."""
    products: dict[str, Any] = dict(data["products"])
    for number, name in enumerate(hide):
        if name not in products:
            problems.append((f"hide[{number}]", _unknown(name, data["products"], data["index"])))
        products.pop(name, None)
    hidden = data["products"].keys() - products.keys()
    for name, product in products.items():
        if product["family"] in hidden:
            products[name] = {**product, "family": None}
        elif hidden.intersection(product["members"]):
            members = [member for member in product["members"] if member not in hidden]
            products[name] = {**product, "members": members}
            if not members and all(entry["product"] != name for entry in data["entries"]):
                problems.append(
                    ("hide", f"it leaves {name}, which has no row of its own, without members: hide it too")
                )
    index = {name: product for name, product in data["index"].items() if product not in hidden}
    return products, index, [entry for entry in data["entries"] if entry["product"] not in hidden]


def _add_products(
    products: dict[str, Any], index: dict[str, str], added: list[Any] | tuple[()], problems: list[Problem]
) -> dict[str, str]:
    """Put new products among the products and the index; return the place of each."""
    fresh: dict[str, str] = {}
    for number, product in enumerate(added):
        name, place = product["id"], f"products[{number}]"
        if name in products:
            again = (
                "defined twice" if name in fresh else "there already: leave it out of products and give its rows alone"
            )
            problems.append((f"{place}.id", f"product {name} is {again}"))
            continue
        fresh[name] = place
        products[name] = {
            "name": _both(product["name"]),
            "aliases": list(product.get("aliases", ())),
            "family": product.get("family"),
            "members": [],
            "nested_only": False,
        }
        _add_names(index, name, products[name], place, problems)
    for name, place in fresh.items():
        family = products[name]["family"]
        if family is None:
            continue
        if family not in products:
            why = f"{name} is of the family {family}: {_unknown(family, products, index)}"
            problems.append((f"{place}.family", why))
        elif products[family]["family"] is not None:
            why = f"{name} is of the family {family}, which is itself a member: families do not nest"
            problems.append((f"{place}.family", why))
        else:
            products[family] = {**products[family], "members": [*products[family]["members"], name]}
    return fresh


def _add_names(
    index: dict[str, str], identifier: str, product: Mapping[str, Any], place: str, problems: list[Problem]
) -> None:
    """Put the normal form of a product's names, aliases and id into the index."""
    names: dict[str, tuple[str, str]] = {}
    for language, name in product["name"].items():
        names.setdefault(normalise(name), (name, f"{place}.name.{language}"))
    for number, alias in enumerate(product["aliases"]):
        here = f"{place}.aliases[{number}]"
        if normalise(alias) in names:
            why = f'alias "{alias}" of {identifier} is the same name as "{names[normalise(alias)][0]}"'
            problems.append((here, why))
        names[normalise(alias)] = alias, here
    names.setdefault(normalise(identifier), (identifier, f"{place}.id"))
    for key, (name, here) in names.items():
        if not key:
            problems.append((here, f'nothing of the name "{name}" of {identifier} counts in a comparison'))
        elif key in index:
            problems.append((here, f'"{name}" is a name of both {index[key]} and {identifier}'))
        index.setdefault(key, identifier)


def _add_rows(
    entries: list[dict[str, Any]],
    products: Mapping[str, Any],
    addition: Mapping[str, Any],
    judgements: dict[Key, tuple[Mapping[str, Any], str]],
    problems: list[Problem],
) -> None:
    """Append the entries that the addition's rows give, and take their judgements out of ``judgements``."""
    seen = {_key(entry) for entry in entries}
    for number, row in enumerate(addition.get("rows", ())):
        first, last = _bounds(row["port"])
        if first is not None and last is not None and (first > last or row["port"] == f"{first}-{first}"):
            problems.append((f"rows[{number}].port", f"{row['port']}: a range runs from a lower to a higher port"))
        if row["port"] == SITE_PORT and "example" not in row:
            problems.append((f"rows[{number}].port", "a port that the site chooses needs an example for the message"))
        service = row.get("service") and _both(row["service"])
        name = dict.fromkeys(LANGUAGES, row["label"]) if row.get("label") else service
        if not row["used_by"] and not name:
            problems.append((f"rows[{number}]", "a row that no product uses needs a label or a service to be found by"))
        for product, detail, nested, inside in _used(row):
            place = f"rows[{number}]{inside}"
            if product is not None and product not in products:
                problems.append((place, _unknown(product, products, {})))
                continue
            for protocol in row["protocols"]:
                key = (product or "", row["port"], protocol)
                judgement, _place = judgements.pop(key, (None, ""))
                what = f"{row['port']}/{protocol} of {whose(product)}"
                if key in seen:
                    problems.append((place, f"{what} has a row already: to judge it anew, give it under traffic alone"))
                elif judgement is None:
                    problems.append((place, f"{what} is not judged: say under traffic who connects, and from where"))
                else:
                    rfc = row.get("rfc")
                    entries.append(
                        {
                            "product": product,
                            "name": products[product]["name"] if product else name,
                            "port": row["port"],
                            "first": first,
                            "last": last,
                            "protocol": protocol,
                            "service": service,
                            "service_name": row.get("label"),
                            # The schema takes 4253.0 for a whole number too.
                            "rfc": rfc if rfc is None else int(rfc),
                            "detail": detail and _both(detail),
                            "nested": nested,
                            "legacy": row.get("legacy", False),
                            "edition": addition["edition"]["id"],
                            **{key: row[key] for key in ("class", "example", "optional") if key in row},
                            **_judgement(judgement, row.get("source")),
                        }
                    )
                seen.add(key)


def _judge_anew(
    entries: list[dict[str, Any]],
    products: Mapping[str, Any],
    edition: str,
    judgements: Mapping[Key, tuple[Mapping[str, Any], str]],
    problems: list[Problem],
) -> None:
    """Let the judgements that no new row took override those of the entries that are there."""
    places = {_key(entry): number for number, entry in enumerate(entries)}
    for key, (judgement, place) in judgements.items():
        product, port, protocol = key
        if key in places:
            entries[places[key]] = {
                **{name: value for name, value in entries[places[key]].items() if name not in ("sides", "obsolete")},
                "edition": edition,
                **_judgement(judgement, None),
            }
        elif product and product not in products:
            problems.append((place, _unknown(product, products, {})))
        else:
            own = ", ".join(f"{other[1]}/{other[2]}" for other in places if other[0] == product)
            why = f"{port}/{protocol} of {whose(product)} has no row" + (f"; there are {own}" if own else "")
            problems.append((place, why))


def _judgement(judgement: Mapping[str, Any], source: str | None) -> dict[str, Any]:
    """Return what a judgement says of an entry.

    :param source: the source of the entry's row, for a judgement without one of its own.
    """
    return {
        "direction": judgement["direction"],
        "scope": judgement["scope"],
        "reason": judgement["reason"],
        "source": judgement.get("source") or source,
        **{key: judgement[key] for key in ("sides", "obsolete") if key in judgement},
    }


def _settle(
    products: dict[str, Any], entries: list[dict[str, Any]], fresh: Mapping[str, str], problems: list[Problem]
) -> None:
    """Say of each product whether rows only nest it, and refuse a new one that nothing uses."""
    named = {entry["product"] for entry in entries if not entry["nested"]}
    nested = {entry["product"] for entry in entries if entry["nested"]}
    for name, product in products.items():
        if product["nested_only"] != (name in nested - named):
            products[name] = {**product, "nested_only": name in nested - named}
    # A product whose row was refused above is in use, and its row has been complained of.
    if not problems:
        problems += [
            (place, f"product {name} is used by no row and has no members")
            for name, place in fresh.items()
            if name not in named | nested and not products[name]["members"]
        ]


def _used(row: Mapping[str, Any]) -> Iterator[tuple[str | None, dict[str, str] | None, bool, str]]:
    """Yield (product, detail, nested, place) for a row, each product once, a nested one after what nests it.

    A product that the row names itself is not nested, whatever else nests it. A row that nobody uses yields None once.
    """
    named = {use["product"] for use in row["used_by"]}
    seen: set[str] = set()
    for number, use in enumerate(row["used_by"]):
        yield use["product"], use.get("detail"), False, f".used_by[{number}].product"
        for inner, nested in enumerate(use.get("nests", ())):
            if nested not in named and nested not in seen:
                seen.add(nested)
                yield nested, None, True, f".used_by[{number}].nests[{inner}]"
    if not row["used_by"]:
        yield None, None, False, ""


def _key(entry: Mapping[str, Any]) -> Key:
    return entry["product"] or "", entry["port"], entry["protocol"]


def _bounds(port: str) -> tuple[int, int] | tuple[None, None]:
    """Return the first and the last port of a row; nothing for a word."""
    if port in (HOST_EPHEMERAL, SITE_PORT):
        return None, None
    first, _hyphen, last = port.partition("-")
    return int(first), int(last or first)


def _both(names: Mapping[str, str]) -> dict[str, str]:
    """A text in both languages; Dutch falls back on English."""
    return {language: names.get(language, names["en"]) for language in LANGUAGES}


def _unknown(name: str, products: Mapping[str, Any], index: Mapping[str, str]) -> str:
    """What to say of an id that no product has."""
    meant = index.get(normalise(name))
    near = [meant] if meant else nearest(name, products)
    return f"{name} is no product" + (f": did you mean {' or '.join(near)}?" if near else "")
