#!/usr/bin/env python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate docs/changes-data.md: which ports, networks and host names each release added, removed and changed.

    python tools/changes_page.py            write it
    python tools/changes_page.py --check    write nothing; exit 1 when it is not current
    python tools/changes_page.py --keep     also keep what the data say now, as those of the version in galaxy.yml

data/history has a file for each release, with what its data said. A release that is not there yet is the one that is coming.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import build_catalogue
import generated

PAGE = build_catalogue.ROOT / "docs" / "changes-data.md"
HISTORY = build_catalogue.ROOT / "data" / "history"
GALAXY = build_catalogue.ROOT / "galaxy.yml"

# The data by the name of their file, and what the page calls them.
PARTS = {
    "catalogue": "Ports",
    "practice": "Ports of everyday names",
    "supplement": "Ports of the supplement",
    "networks": "Networks",
    "hosts": "Host names",
}
_INTRODUCTION = """\
<!--
Copyright (c) 2026, netports.apple contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Written by tools/changes_page.py from data/: change those, and run it again.
-->
# Changes of the data

What each release of the collection says otherwise than the one before. The version of the data is that of the release. A line with
`+` is new, one with `-` is gone, and one with `~` has changed. A port that comes or goes changes what a host allows:
`netports.apple.preview` shows it for an inventory before it is applied.
"""

Snapshot = dict[str, Any]  # {"version", "editions": {part: id}, "said": {part: {what: what is said of it}}}


def snapshot() -> Snapshot:
    """Return what the data say now, under the version of galaxy.yml."""
    editions: dict[str, str] = {}
    said: dict[str, dict[str, str]] = {}
    for part in PARTS:
        data = json.loads((build_catalogue.ROOT / "data" / f"{part}.json").read_text(encoding="utf-8"))
        editions[part] = data["edition"]["id"]
        said[part] = dict(sorted(_statement(entry) for entry in _entries(data)))
    return {"version": build_catalogue.load(GALAXY)["version"], "editions": editions, "said": said}


def releases() -> list[Snapshot]:
    """Return what each release said, the oldest first, and at the end the data of now, if they are of no release yet."""
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in HISTORY.glob("*.json")]
    kept.sort(key=lambda release: [int(number) for number in re.findall(r"[0-9]+", release["version"])])
    now = snapshot()
    if kept and kept[-1]["version"] == now["version"]:
        now["version"] = "Not released yet"
    return kept if kept and kept[-1]["said"] == now["said"] else [*kept, now]


def page(found: list[Snapshot]) -> str:
    """Return the page's text: the newest release first."""
    lines = []
    for number in reversed(range(len(found))):
        release = found[number]
        lines += ["", f"## {release['version']}", ""]
        lines.append(f"Editions: {', '.join(f'`{name}`' for name in release['editions'].values())}.")
        if number == 0:
            lines += ["", "The first data."]
            continue
        changes = {
            title: _changes(found[number - 1]["said"].get(part, {}), release["said"].get(part, {}))
            for part, title in PARTS.items()
        }
        if not any(changes.values()):
            lines += ["", "The same data as before."]
        for title, own in changes.items():
            if own:
                lines += ["", f"### {title}, {release['version']}", "", *own]
    return _INTRODUCTION + "\n".join(lines) + "\n"


def _entries(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of a generated file; the supplement has them only when it is merged."""
    if "entries" in data:
        entries: list[Mapping[str, Any]] = data["entries"]
        return entries
    catalogue = json.loads(build_catalogue.CATALOGUE.read_text(encoding="utf-8"))
    merged = build_catalogue.supplemented(catalogue, data)["entries"]
    return [entry for entry in merged if entry["edition"] == data["edition"]["id"]]


def _statement(entry: Mapping[str, Any]) -> tuple[str, str]:
    """What an entry is about, and what it says of it."""
    if "cidr" in entry:
        return f"`{entry['network']}`: {entry['cidr']}", ""
    if "host" in entry:
        ports = ", ".join(f"{port}/{entry['protocol']}" for port in entry["ports"])
        systems = f"; {', '.join(entry['os'])}" if entry["os"] else ""
        proxies = "" if entry["proxies"] is None else f"; {'proxies' if entry['proxies'] else 'no proxies'}"
        return f"`{entry['section']}`: {entry['host']}, {entry['protocol']}", f"{ports}{systems}{proxies}"
    user = entry["product"] or entry["service_name"]
    return f"`{user}`: {entry['port']}/{entry['protocol']}", f"{entry['direction']}, {entry['scope']}"


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The lines of a list of what differs."""
    lines = []
    for what in sorted({*old, *new}):
        if what not in old:
            lines.append(f"- `+` {what}" + (f" ({new[what]})" if new[what] else ""))
        elif what not in new:
            lines.append(f"- `-` {what}" + (f" ({old[what]})" if old[what] else ""))
        elif old[what] != new[what]:
            lines.append(f"- `~` {what} ({old[what]} is now {new[what]})")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status: 0, or 1 when the data are wrong or (--check) the page is stale."""
    parser = argparse.ArgumentParser(description="Generate docs/changes-data.md from data/ and data/history.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is not current")
    parser.add_argument("--keep", action="store_true", help="keep the data as those of the version in galaxy.yml")
    options = parser.parse_args(arguments)
    try:
        if options.keep and not options.check:
            now = snapshot()
            HISTORY.mkdir(exist_ok=True)
            text = json.dumps(now, ensure_ascii=False, indent=0, sort_keys=True) + "\n"
            (HISTORY / f"{now['version']}.json").write_text(text, encoding="utf-8")
        text = page(releases())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return generated.keep(PAGE, text, "tools/changes_page.py", options.check)


if __name__ == "__main__":
    sys.exit(main())
