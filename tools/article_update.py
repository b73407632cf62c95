# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a page of Apple's article says into the facts, and leave their comments and their form alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import article_compare
import build_catalogue
from article_compare import Comparison, Pair, Said, Speller, Use, normalise
from article_page import Page
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString as Quoted
from saved_page import ArticleError

LANGUAGES = ("en", "nl")
SCHEMA = build_catalogue.ROOT / "data" / "apple_ports.schema.json"


def update(text: str, page: Page, comparison: Comparison, edition: str | None = None) -> tuple[str, list[str]]:
    """Return the facts' new text, and what is left for people to do, a line each.

    :param text: the facts file.
    :param comparison: the facts and the page, compared.
    :param edition: the edition's new id, or None to leave it.
    :raises ArticleError: the facts cannot hold what the page says.
    """
    document = parse(text)
    changes = _Changes(document, page)
    if edition:
        document["edition"]["id"] = Quoted(edition)
    else:
        changes.left.append("edition.id is the old one still: give --edition, and change title and description by hand")
    changes.rows(comparison.pairs)
    changes.unused_products()
    stream = io.StringIO()
    _yaml().dump(document, stream)
    written = _restored(text, stream.getvalue())
    left = changes.left + _lost_comments(text, written)
    facts = build_catalogue.parse(written)
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    refused = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(facts)]
    refused += [f"after the update: {line}" for line in article_compare.compare(facts, page).differences]
    notes = {f"after the update: {note}" for note in page.notes}
    if any(line not in notes for line in refused):
        raise ArticleError([line for line in refused if line not in notes])
    return written, left


def parse(text: str) -> Any:
    """The facts with their comments and their form, to be changed."""
    return _yaml().load(text)


def judgements_left(facts: Mapping[str, Any], traffic: Mapping[str, Any]) -> list[str]:
    """Return which judgements are missing, and which judge what is no longer there, a line each."""
    build = build_catalogue.utils("_catalogue_merge")
    wanted = build.wanted(facts["rows"])
    judged = {key for key, _judgement, _place in build.judged(traffic)}
    missing = [
        f"judge {port}/{protocol} of {build.whose(product)}" for product, port, protocol in wanted.keys() - judged
    ]
    gone = [
        f"no longer judge {port}/{protocol} of {build.whose(product)}"
        for product, port, protocol in judged - wanted.keys()
    ]
    return [f"traffic.yml: {line}" for line in (*sorted(missing), *sorted(gone))]


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.explicit_start = True
    yaml.representer.add_representer(
        type(None), lambda representer, _none: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


class _Changes:
    """Changes the loaded facts in place and keeps a list of what people have to look at."""

    def __init__(self, document: Any, page: Page) -> None:
        self.document = document
        self.page = page
        self.left: list[str] = []
        self._speller = Speller(document, page.language) if page.language else None

    def rows(self, pairs: Sequence[Pair]) -> None:
        """Put the page's rows in the place of the facts', in the page's order."""
        rows = self.document["rows"]
        places = {pair.old.place for pair in pairs if pair.old}
        if len(places) < len(rows):
            raise ArticleError(["two rows of the facts say the same of one port: put them together first"])
        kept = []
        for pair in pairs:
            if pair.new is None:
                continue
            if len(pair.new.rfcs) > 1:
                numbers = ", ".join(map(str, pair.new.rfcs))
                raise ArticleError([f"{pair.new.place}: the facts have room for one RFC, and the page has {numbers}"])
            if pair.old is None:
                kept.append(self._new_row(pair.new))
            else:
                row = rows[pair.old.place]
                self._change_row(row, pair.old, pair.new)
                kept.append(row)
        del rows[:]
        rows.extend(kept)

    def unused_products(self) -> None:
        """Take products out that no row uses and no family needs."""
        rows = self.document["rows"]
        used = {use["product"] for row in rows for use in row["used_by"]}
        used |= {name for row in rows for use in row["used_by"] for name in use.get("nests", ())}
        products = self.document["products"]
        families = {product.get("family") for product in products if product["id"] in used}
        for number in reversed(range(len(products))):
            name = products[number]["id"]
            if name not in used | families:
                del products[number]
                self.left.append(f"product {name}, which nothing uses any longer, is gone")

    def _new_row(self, said: Said) -> CommentedMap:
        if not self.page.language:
            raise ArticleError(
                [f"{said.place}: {said.port} is new, and its names are not known: update from an English or Dutch page"]
            )
        row = CommentedMap()
        row["port"] = Quoted(said.port)
        row["protocols"] = _flow_list(said.protocols)
        row["service"] = self._service(said.service)
        row["rfc"] = said.rfcs[0] if said.rfcs else None
        row["label"] = Quoted(said.label) if said.label else None
        if said.legacy:
            row["legacy"] = True
        row["used_by"] = CommentedSeq()
        if not said.uses:
            row["used_by"].fa.set_flow_style()
        for use in said.uses:
            row["used_by"].append(self._use(said.port, use))
        return row

    def _change_row(self, row: CommentedMap, old: Said, new: Said) -> None:
        columns = self.page.columns if self.page.language else ("rfc",)
        if new.protocols != old.protocols:
            row["protocols"] = _flow_list(new.protocols)
        if "rfc" in columns and new.rfcs != old.rfcs:
            row["rfc"] = new.rfcs[0] if new.rfcs else None
        if "service" in columns and normalise(new.service or "") != normalise(old.service or ""):
            row["service"] = self._service(new.service)
        if "label" in columns and (normalise(new.label or ""), new.legacy) != (normalise(old.label or ""), old.legacy):
            row["label"] = Quoted(new.label) if new.label else None
            row.pop("legacy", None)
            if new.legacy:
                row.insert(list(row).index("label") + 1, "legacy", True)
        if "used_by" in columns:
            self._change_uses(row, new)

    def _change_uses(self, row: CommentedMap, new: Said) -> None:
        named = [use.product or self._product(use.name) for use in new.uses]
        if len(set(named)) < len(named):
            raise ArticleError([f"{new.place}: the row names one product more than once, which the facts cannot say"])
        uses = row["used_by"]
        for number in reversed(range(len(uses))):
            if uses[number]["product"] not in named:
                del uses[number]
        there = {use["product"]: use for use in uses}
        if not there and new.uses:
            uses = row["used_by"] = CommentedSeq()
        for product, use in zip(named, new.uses, strict=True):
            if product in there:
                self._change_detail(there[product], new.port, use.detail)
            else:
                uses.append(self._use(new.port, use))
        if not uses:
            uses = row["used_by"] = CommentedSeq()
            uses.fa.set_flow_style()

    def _change_detail(self, there: CommentedMap, port: str, detail: str | None) -> None:
        """Give a use that is there what the page says of it."""
        if normalise(detail or "") == normalise(there.get("detail", {}).get(self.page.language, "")):
            return
        there.pop("detail", None)
        if detail:
            there.insert(1, "detail", self._both(detail, f"what {port} says of {there['product']}"))
        if "nests" in there:
            self.left.append(f"look at what {there['product']} nests on {port}, whose detail has changed")

    def _use(self, port: str, use: Use) -> CommentedMap:
        made = CommentedMap()
        made["product"] = use.product or self._product(use.name)
        if use.detail:
            made["detail"] = self._both(use.detail, f"what {port} says of {made['product']}")
            speller = self._speller
            inner = [found.product for found in speller.uses(use.detail)] if speller else []
            nested = [product for product in dict.fromkeys(inner) if product]
            if nested:
                made["nests"] = _flow_list(nested)
                self.left.append(f"look at what {made['product']} nests on {port}: {', '.join(nested)}")
        return made

    def _product(self, name: str) -> str:
        """The id of a product that the facts did not have, which is added."""
        identifier = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:48].strip("-")
        products = self.document["products"]
        for product in products:
            if normalise(name) in map(normalise, product["name"].values()):
                return str(product["id"])
            if product["id"] == identifier:
                raise ArticleError([f"'{name}' would be the product {identifier}, which is another: add it by hand"])
        made = CommentedMap()
        made["id"] = identifier
        made["name"] = self._both(name, f"the name of {identifier}")
        products.append(made)
        self.left.append(
            f"product {identifier} is new: look at its names, and give it aliases and a family where it has them"
        )
        return identifier

    def _service(self, text: str | None) -> CommentedMap | None:
        if not text:
            return None
        for row in self.document["rows"]:
            if row["service"] and row["service"][self.page.language] == text:
                return _flow_map({language: row["service"][language] for language in LANGUAGES})
        return self._both(text, f"the service '{text}'")

    def _both(self, text: str, what: str) -> CommentedMap:
        """A text in both languages, of which the page has one."""
        other = next(language for language in LANGUAGES if language != self.page.language)
        line = f"{what} is not in {other} yet"
        if line not in self.left:
            self.left.append(line)
        return _flow_map(dict.fromkeys(LANGUAGES, text))


# --- Comments and empty lines -----------------------------------------------------------------------------------------

# What begins a product, a row or a part of the file, in the form that the file has.
_BEGINNING = re.compile(r"  - (?:id|port): .*|[a-z]+:.*")


def _leading(text: str) -> dict[str, list[str]]:
    """The comments and empty lines above each line that begins something, by that line."""
    found: dict[str, list[str]] = {}
    block: list[str] = []
    for line in text.splitlines():
        if _BEGINNING.fullmatch(line):
            found[line] = block
        block = [*block, line] if not line.strip() or line.lstrip().startswith("#") else []
    return found


def _restored(before: str, after: str) -> str:
    """Put comments and empty lines above what they stood above.

    ruamel keeps them with the last word before them, so that they go with what is taken out, and stay behind where
    something is put in between.
    """
    leading = _leading(before)
    lines: list[str] = []
    for line in after.splitlines():
        if not line.strip():
            continue
        if _BEGINNING.fullmatch(line):
            while lines and lines[-1].lstrip().startswith("#"):
                lines.pop()
            first = not lines or lines[-1] == "rows:"
            lines += leading.get(line, [""] if line.startswith("  - port:") and not first else [])
        lines.append(line)
    return "\n".join(lines) + "\n"


def _lost_comments(before: str, after: str) -> list[str]:
    comments = [line.strip() for line in before.splitlines() if line.strip().startswith("#")]
    kept = {line.strip() for line in after.splitlines()}
    return [f"gone with what it was about: {comment}" for comment in comments if comment not in kept]


def _flow_list(words: Sequence[str]) -> CommentedSeq:
    made = CommentedSeq(words)
    made.fa.set_flow_style()
    return made


def _flow_map(texts: Mapping[str, str]) -> CommentedMap:
    made = CommentedMap({name: Quoted(text) for name, text in texts.items()})
    made.fa.set_flow_style()
    return made
