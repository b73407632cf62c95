#!/usr/bin/env python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the data with Apple's articles as they are now: on ports (103229) or on hosts (101555).

    python tools/article.py saved.html                          say what differs
    python tools/article.py saved.html --update --edition X     write it into data/apple_ports.yml or data/hosts.yml

The page is HTML as a browser saves it, in any language, or the text of the article on ports as it copies it. Its tables
say which of the two articles it is. Exit status: 0 where the
facts say the same, 1 where they differ, also after an update, 2 where the page or the facts cannot be read whole, and
then nothing is written. Nothing is fetched. docs/catalogue.md has more.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import article_compare
import article_page
import build_catalogue
import hosts_compare
import hosts_page
from saved_page import ArticleError

SAME, DIFFERS, UNREADABLE = 0, 1, 2


def _edition(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", text) or len(text) > 32:
        raise argparse.ArgumentTypeError("an edition is up to 32 lower-case letters and digits, with single hyphens")
    return text


def _write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


def _ports(options: argparse.Namespace) -> int:
    """Compare the facts with the article on ports, and update them where that is asked for."""
    text = build_catalogue.FACTS.read_text(encoding="utf-8")
    facts = build_catalogue.load(build_catalogue.FACTS)
    page = article_page.read(options.page.read_bytes(), options.language)
    compared = article_compare.compare(facts, page)
    names = f"names in {page.language}" if page.language else "numbers alone: names are known in English and Dutch"
    if not _say(f"{len(page.rows)} rows read, {names}", compared.differences, facts):
        return SAME
    if options.update:
        # Only here, so that comparing needs neither the schema's library nor the editor of YAML.
        import article_update

        written, left = article_update.update(text, page, compared, options.edition)
        left += article_update.judgements_left(
            build_catalogue.parse(written), build_catalogue.load(build_catalogue.TRAFFIC)
        )
        _update(build_catalogue.FACTS, written, left)
    return DIFFERS


def _hosts(options: argparse.Namespace) -> int:
    """Compare hosts.yml with the article on hosts, and update it where that is asked for."""
    text = build_catalogue.HOSTS.read_text(encoding="utf-8")
    data = build_catalogue.load(build_catalogue.HOSTS)
    page = hosts_page.read(options.page.read_bytes())
    compared = hosts_compare.compare(data, page)
    rows = sum(len(section.rows) for section in page.sections)
    if not _say(f"{rows} rows read, in {len(page.sections)} tables", compared.differences, data):
        return SAME
    if options.update:
        _update(build_catalogue.HOSTS, *hosts_compare.update(text, page, compared, options.edition))
    return DIFFERS


def _say(read: str, differences: list[str], data: Mapping[str, Any]) -> bool:
    """Print what was read and how it differs; return whether it does."""
    print(f"{read}; {len(differences)} differences to {data['edition']['id']}")
    for line in differences:
        print(line)
    return bool(differences)


def _update(path: Path, written: str, left: list[str]) -> None:
    _write(path, written)
    print(f"written to {path.name}; left to do:")
    for line in left:
        print(f"  {line}")


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(description="Compare the data with Apple's articles as saved.")
    parser.add_argument("page", type=Path, help="the saved page (HTML), or its text")
    parser.add_argument(
        "--update", action="store_true", help="write what differs into data/apple_ports.yml or data/hosts.yml"
    )
    parser.add_argument("--edition", type=_edition, metavar="ID", help="with --update: the edition's new id")
    parser.add_argument("--language", metavar="CODE", help="take the page for this language, such as nl")
    options = parser.parse_args(arguments)
    try:
        return _hosts(options) if hosts_page.is_meant(options.page.read_bytes()) else _ports(options)
    except ArticleError as error:
        for problem in error.problems:
            print(f"{options.page}: {problem}", file=sys.stderr)
        return UNREADABLE
    except (OSError, build_catalogue.CatalogueError) as error:
        print(error, file=sys.stderr)
        return UNREADABLE


if __name__ == "__main__":
    sys.exit(main())
