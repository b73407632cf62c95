# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how hosts.yml differs from what Apple's article on enterprise networks says now, and write that into it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import build_catalogue
from hosts_page import Page, Row, Section
from saved_page import ArticleError

normalise = build_catalogue.utils("_names").normalise

# yamllint's limit for data/.
_LONGEST_LINE = 160


@dataclasses.dataclass(frozen=True)
class Comparison:
    """``differences`` has a line for each; ``sections`` is what hosts.yml would say, in the page's order."""

    differences: list[str]
    sections: list[dict[str, Any]]


def compare(data: Mapping[str, Any], page: Page) -> Comparison:
    """Compare host names with a page.

    A section of the page is ours by its name, in English, or else by the hosts that it has; another one is new.

    :param data: what hosts.yml holds.
    :raises ArticleError: one section has a host twice, each time with something else.
    """
    ours = {section["id"]: section for section in data["sections"]}
    found: dict[str, dict[str, Any]] = {}
    for section in page.sections:
        identifier, name = _identify(section, ours)
        known = ours.get(identifier, {"id": identifier, "name": name, "hosts": []})
        into = found.setdefault(identifier, {**known, "hosts": []})
        old = {row["host"]: row for row in known["hosts"]}
        for row in section.rows:
            _add(into["hosts"], _as_written(row, old.get(row.host)), row.where)
    differences = []
    for identifier in dict.fromkeys([*found, *ours]):
        old = {row["host"]: row for row in ours.get(identifier, {"hosts": []})["hosts"]}
        new = {row["host"]: row for row in found.get(identifier, {"hosts": []})["hosts"]}
        differences += [f"+ {identifier}: {_shown(row)}" for host, row in new.items() if host not in old]
        differences += [f"- {identifier}: {_shown(row)}" for host, row in old.items() if host not in new]
        for host in [host for host in new if host in old]:
            differences += [f"~ {identifier}: {host}: {change}" for change in _changes(old[host], new[host])]
    return Comparison(differences, list(found.values()))


def update(text: str, page: Page, comparison: Comparison, edition: str | None) -> tuple[str, list[str]]:
    """Return the new text of hosts.yml, and what is left for people to do, a line each.

    :param text: hosts.yml; what stands above its sections stays, but for the edition's id.
    :param comparison: the file and the page, compared.
    :param edition: the edition's new id, or None to leave it.
    :raises ArticleError: the file cannot hold what the page says.
    """
    head, separator, _sections = text.partition("\nsections:\n")
    if not separator:
        raise ArticleError(["hosts.yml has no sections: it is not the file that this program writes"])
    left = ["edition.date is the old one still: change it by hand"]
    if edition:
        head = re.sub(r'(?m)^  id: ".*"$', f'  id: "{edition}"', head, count=1)
    else:
        left.append("edition.id is the old one still: give --edition")
    written = head + separator + "\n".join(render(section) for section in comparison.sections)
    data = build_catalogue.parse(written)
    _check(data, page)
    known = {section["id"] for section in build_catalogue.parse(text)["sections"]}
    left += [
        f"section {section['id']} is new: look at its id, name and names"
        for section in data["sections"]
        if section["id"] not in known
    ]
    hosts = {row["host"] for section in data["sections"] for row in section["hosts"]}
    sections = {section["id"] for section in data["sections"]}
    for product, need in data["products"].items():
        left += [f"products.{product}: no longer name {name}" for name in need.get("hosts", ()) if name not in hosts]
        left += [
            f"products.{product}: no longer name {name}" for name in need.get("sections", ()) if name not in sections
        ]
    return written, left


def render(section: Mapping[str, Any]) -> str:
    """A section as hosts.yml has it, a host a line."""
    lines = [f"  - id: {section['id']}", f'    name: "{section["name"]}"']
    if section.get("names"):
        lines.append(f"    names: [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in section['names'])}]")
    lines.append("    hosts:")
    for row in section["hosts"]:
        parts = [f'host: "{row["host"]}"', "ports: [" + ", ".join(f'"{port}"' for port in row["ports"]) + "]"]
        if "os" in row:
            parts.append(f"os: [{', '.join(row['os'])}]")
        if "proxies" in row:
            parts.append(f"proxies: {str(row['proxies']).lower()}")
        line = f"      - {{{', '.join(parts)}}}"
        if len(line) > _LONGEST_LINE:
            raise ArticleError(
                [f"{section['id']}: the row of {row['host']} does not fit into a line: write it by hand"]
            )
        lines.append(line)
    return "\n".join(lines) + "\n"


def _check(data: Mapping[str, Any], page: Page) -> None:
    """Make sure that what was written holds to its schema, and says what the page says.

    :raises ArticleError: it does not.
    """
    from jsonschema import Draft202012Validator

    schema = json.loads((build_catalogue.ROOT / "data" / "hosts.schema.json").read_text(encoding="utf-8"))
    refused = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(data)]
    refused += [f"after the update: {line}" for line in compare(data, page).differences]
    if refused:
        raise ArticleError(refused)


def _identify(section: Section, ours: Mapping[str, Any]) -> tuple[str, str]:
    """The id and the name of a section of the page."""
    wanted = normalise(section.heading)
    for identifier, known in ours.items():
        if wanted in map(normalise, (identifier, known["name"], *known.get("names", ()))):
            return identifier, known["name"]
    hosts = {row.host for row in section.rows}
    shared = {identifier: len(hosts & {row["host"] for row in known["hosts"]}) for identifier, known in ours.items()}
    best = max(shared, key=lambda identifier: shared[identifier], default="")
    if best and shared[best] * 2 >= len(hosts):
        return best, ours[best]["name"]
    identifier = re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-")[:48].strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", identifier):
        raise ArticleError(
            [f"{section.heading}: the section is new, and an id cannot be made of its heading: add it by hand"]
        )
    return identifier, section.heading


def _as_written(row: Row, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """A row of the page as hosts.yml has it, with what the page does not say from the row that was there."""
    made: dict[str, Any] = {"host": row.host, "ports": list(row.ports)}
    for name, said in (("os", list(row.os) if row.os else None), ("proxies", row.proxies)):
        value = said if said is not None else (old or {}).get(name)
        if value is not None:
            made[name] = value
    return made


def _add(rows: list[dict[str, Any]], row: dict[str, Any], where: str) -> None:
    """Add a row; one that is there already may only bring further ports."""
    for known in rows:
        if known["host"] == row["host"]:
            if {**known, "ports": []} != {**row, "ports": []}:
                raise ArticleError([f"{where}: {row['host']} stands in this section before, with something else"])
            known["ports"] = sorted({*known["ports"], *row["ports"]}, key=_place)
            return
    rows.append(row)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    changes = []
    for name in ("ports", "os", "proxies"):
        before, now = old.get(name), new.get(name)
        if name == "ports":
            same = sorted(before or (), key=_place) == now
        elif name == "os":
            same = set(before or ()) == set(now or ())
        else:
            same = before == now
        if not same:
            changes.append(f"{name} {_value(before)} is now {_value(now)}")
    return changes


def _value(value: Any) -> str:
    if value is None:
        return "unsaid"
    return ", ".join(value) if isinstance(value, list) else str(value).lower()


def _shown(row: Mapping[str, Any]) -> str:
    systems = f"; {', '.join(row['os'])}" if "os" in row else ""
    proxies = f"; proxies {str(row['proxies']).lower()}" if "proxies" in row else ""
    return f"{row['host']} {', '.join(row['ports'])}{systems}{proxies}"


def _place(pair: str) -> tuple[str, int]:
    port, _slash, protocol = pair.partition("/")
    return protocol, int(port)
