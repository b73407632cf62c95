# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages in all known layouts are read, and pages that cannot be read whole are refused: nothing is silently lost."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import article_compare
import article_page
import pytest
import saved_page
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from unit.article import pages
from unit.article.conftest import FACTS

Run = Callable[..., tuple[int, str]]
DUTCH, ENGLISH, GERMAN = (
    next(one for one in pages.LAYOUTS if one.name == name) for name in ("dutch", "english", "german")
)


normalise = article_compare.normalise
NAMES = {
    normalise(name)
    for product in FACTS["products"]
    for name in (*product["name"].values(), *product.get("aliases", ()))
}
ALIASES = [name for product in FACTS["products"] for name in product.get("aliases", ())]


def differences(content: str, language: str | None = None) -> list[str]:
    return article_compare.compare(FACTS, article_page.read(content.encode("utf-8"), language)).differences


def outcome(content: str) -> str:
    """What the reader makes of a page: "same", "differs" or "refused"."""
    try:
        return "differs" if differences(content) else "same"
    except saved_page.ArticleError as error:
        assert error.problems
        return "refused"


def separated(text: str) -> str:
    """A text with one kind of separator, of which one at the end and several in a row separate nothing."""
    return re.sub(r"[ ,;/]*[,;/][ ,;/]*", ",", text).strip(" ,")


def refusal(content: str | bytes, language: str | None = None) -> str:
    with pytest.raises(saved_page.ArticleError) as caught:
        article_page.read(content if isinstance(content, bytes) else content.encode("utf-8"), language)
    return str(caught.value)


# --- What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", pages.LAYOUTS, ids=lambda layout: layout.name)
def test_layout_says_the_same(run: Run, layout: pages.Layout) -> None:
    status, printed = run(pages.page(FACTS, layout))
    count = 65 if layout.split else 56
    names = f"names in {layout.language}" if layout.language != "de" else "numbers alone"
    assert printed.startswith(f"{count} rows read, {names}") and printed.count("\n") == 1
    assert status == 0


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("lines_of_cells", [False, True])
def test_copied_text_says_the_same(run: Run, language: str, lines_of_cells: bool) -> None:
    text = pages.flattened(FACTS, language, lines_of_cells)
    assert "\u2013" in text and "\u00a0" in text and "\n1\n" in text and "connected, \u2014" in text
    status, printed = run(text)
    assert (status, printed) == (0, f"56 rows read, names in {language}; 0 differences to nl-2026\n")


def test_copied_text_has_the_articles_traps() -> None:
    text = pages.flattened(FACTS, "nl")
    for trap in (
        "Game\u00a0Center",
        "iCloud\u00a0Mail",
        "nat-stun-port - ipether232port FaceTime",
        "APOP (Authenticated Post Office Protocol) 1939 pop3",
        "\n\nMail (e-mail verzenden); iCloud\u00a0Mail (e-mail verzenden)\n",
        "Programma's waarmee adressen worden opgezocht, zoals Mail en Adresboek",
        "iCloud-identiteitscontrole en DAV-voorzieningen (Contacten",
        "iCloud-reservekopie en -apps (Agenda's",
        "Bestandsdeling en Windows-afdrukservices",
        "Bellen via wifi 5996 IKEv2 Bellen via wifi",
        " smtp (verouderd) Mail",
        "(APNs) \u2014  Pushberichten",
    ):
        assert trap in text, trap


@pytest.mark.parametrize("lines_of_cells", [False, True])
def test_text_in_another_language_is_compared_by_its_numbers(run: Run, lines_of_cells: bool) -> None:
    text = pages.flattened(FACTS, "de", lines_of_cells)
    assert run(text) == (
        0,
        "56 rows read, numbers alone: names are known in English and Dutch; 0 differences to nl-2026\n",
    )
    status, printed = run(text.replace("4253", "4254"))
    assert status == 1 and "~ 22/tcp: RFC 4253 is now 4254" in printed


def test_language_can_be_told(run: Run) -> None:
    text = pages.flattened(FACTS, "nl").replace("Gebruikt door", "Wie")
    assert "numbers alone" in run(text)[1]
    assert run(text, "--language", "nl") == (0, "56 rows read, names in nl; 0 differences to nl-2026\n")
    assert "numbers alone" in run(pages.page(FACTS, DUTCH), "--language", "sv-SE")[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings(run: Run, encoding: str) -> None:
    page = pages.page(FACTS, DUTCH._replace(dash="-"))
    if encoding == "iso-8859-1":
        page = page.replace("utf-8", encoding).replace("\u2014", "-").replace("connected, -", "connected, &mdash;")
    assert run(page.encode(encoding))[0] == 0


def test_browsers_own_changes_to_the_markup(run: Run) -> None:
    """What is saved after scripts have run: end tags left out, upper case, attributes, entities, comments."""
    page = pages.page(FACTS, DUTCH).replace("</td>", "").replace("</tr>", "").replace("<tr>", "<TR class=row>")
    page = (
        page.replace("Game Center", "Game&nbsp;Center").replace("\u2013", "&ndash;").replace("<td>", "<td data-x='1'>")
    )
    assert run(page.replace("Xcode", "<!-- x -->Xc<wbr>ode"))[0] == 0


def test_digits_of_other_scripts(run: Run) -> None:
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    cells = pages.table_cells(FACTS, GERMAN)
    cells[1:] = [[own[0].translate(arabic), own[1], own[2], own[3].translate(arabic), *own[4:]] for own in cells[1:]]
    assert run(pages.page(FACTS, GERMAN, cells))[0] == 0


def test_footnote_mark_of_a_port_is_no_digit_of_it(run: Run) -> None:
    page = pages.page(FACTS, DUTCH).replace("<td>5223</td>", "<td>5223<sup>1</sup></td>")
    assert run(page)[0] == 0
    page = pages.page(FACTS, DUTCH).replace("FaceTime, Game Center", "FaceTime<sup>4</sup>, Game Center\u00b2")
    assert run(page)[0] == 0


def test_row_order_does_not_matter(run: Run, facts: Any) -> None:
    facts["rows"].reverse()
    assert run(pages.page(facts, DUTCH))[0] == 0


def test_open_detail_of_the_english_article(run: Run) -> None:
    page = pages.page(FACTS, ENGLISH)
    assert html.escape("Kerberos (including") in page
    assert (
        run(
            page.replace(
                "Kerberos (including Screen Sharing authentication)",
                "Kerberos, including Screen Sharing authentication",
            )
        )[0]
        == 0
    )


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda page: page.replace("<td>22</td>", "<td>22x</td>"), "row 1: '22x' is no port"),
        (lambda page: page.replace("<td>22</td>", "<td></td>"), "row 1: '' is no port"),
        (lambda page: page.replace("<td>22</td>", "<td>0</td>"), "row 1: '0' is no port or range from 1 to 65535"),
        (
            lambda page: page.replace("49152\u201365535", "49152\u201365536"),
            "row 56: '49152\u201365536' is no port or range",
        ),
        (
            lambda page: page.replace("49152\u201365535", "65535\u201349152"),
            "row 56: '65535\u201349152' is no port or range",
        ),
        (lambda page: page.replace("49152\u201365535", "49152, 65535"), "row 56: '49152, 65535' is no port"),
        (lambda page: page.replace("<td>UDP</td>", "<td>UPD</td>", 1), "row 7: 'UPD' is neither TCP nor UDP"),
        (lambda page: page.replace("<td>UDP</td>", "<td>UDP/UDP</td>", 1), "row 7: 'UDP/UDP' names one protocol twice"),
        (lambda page: page.replace("<td>4253</td>", "<td>RFC?</td>"), "row 1: 'RFC?' is no number of an RFC"),
        (lambda page: page.replace("<td>4253</td>", ""), "row 1 has 5 cells, and the table has 6 columns"),
        (lambda page: page.replace("<td>4253</td>", "<td>4253</td><td>x</td>"), "row 1 has 7 cells"),
        (lambda page: page.replace("<td>22</td>", "<td rowspan=x>22</td>"), "row 1: rowspan='x' of a cell is not"),
        (lambda page: page.replace("<td>22</td>", "<td rowspan=0>22</td>"), "row 1: rowspan='0' of a cell is not"),
        (lambda page: page.replace("<td>22</td>", "<td rowspan=9999>22</td>"), "rowspan='9999' of a cell is not"),
        (lambda page: page.replace("<td>22</td>", "<td rowspan=2>22</td>"), "row 2 has 7 cells"),
        (
            lambda page: page.replace("<td>49152\u201365535</td>", "<td rowspan=2>49152\u201365535</td>"),
            "row 56: a cell reaches below the table's end",
        ),
        (lambda page: page.replace("<td>22</td>", "<td colspan=2>22</td>"), "row 1 has 7 cells"),
        (
            lambda page: page.replace("<tr><td>22</td>", "<tr><td colspan=6>macOS</td></tr><tr><td>22</td>"),
            "row 1: 'macOS' is no",
        ),
        (lambda page: page.replace("<th>RFC", "<th>Nummer"), "the fourth of the table's columns"),
        (lambda page: page.replace("<th>Poort</th>", "<th>Poort</th><th>Nieuw</th>"), "the table has 7 columns"),
        (lambda page: page.replace("<tr><th>Poort", "<tr hidden></tr><tr><th>Poort").replace("<thead>", ""), ""),
        (lambda page: page.replace("</table></div>", "</div>"), "the page is cut off within a table"),
        (lambda page: page.replace("</html>", ""), "the page is cut off behind its tables"),
        (lambda page: page[: page.index("<td>443")], "the page is cut off within a table"),
        (
            lambda page: page[: page.index("<tbody>")] + "</table></div></body></html>",
            "no table of ports is in the page",
        ),
        (lambda page: "<html><body><p>22 TCP</p></body></html>", "no table of ports is in the page, of 0 tables"),
        (
            lambda page: page.replace(
                "</table></div>", "</table></div>" + pages.table([["a"] * 6, ["1", "TCP", "", "", "", ""]], DUTCH)
            ),
            "2 tables of ports are in the page, of 57 rows and 2 rows",
        ),
        (
            lambda page: page.replace("<td>smtp</td>", "<td><table><tr><td>x</td></tr></table></td>", 1),
            "a cell of the table of ports holds a table",
        ),
        (
            lambda page: page[: page.index("<thead>")] + page[page.index("<tbody>") :],
            "the table of ports has no headings",
        ),
    ],
)
def test_page_that_is_refused(change: Callable[[str], str], message: str) -> None:
    page = change(pages.page(FACTS, DUTCH))
    assert (message in refusal(page)) if message else (outcome(page) == "same")


def test_every_row_that_is_not_understood_is_named() -> None:
    page = pages.page(FACTS, DUTCH).replace("<td>22</td>", "<td>x</td>").replace("<td>9100</td>", "<td>y</td>")
    assert refusal(page).splitlines() == ["row 1: 'x' is no port", "row 49: 'y' is no port"]


def test_table_inside_a_table_of_the_page_is_found() -> None:
    page = pages.page(FACTS, DUTCH).replace("<div><table>", "<table><tr><td>Layout</td><td><div><table>", 1)
    assert outcome(page.replace("</table></div>", "</table></div></td></tr></table>")) == "same"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: text.index("1. The")], "the text ends within the table, before the first footnote"),
        (lambda text: text[text.index("22 TCP") :], "line 1: the table begins without its headings"),
        (lambda text: text.replace("22 TCP", "0 TCP"), "row 1, line 10: '0' is no port"),
        (lambda text: text.replace("22 TCP", "22 TCP/TCP"), "row 1, line 10: 'TCP/TCP' names one protocol twice"),
        (lambda text: text.replace("1305", "1305 5905"), ": any of 1305, 5905 may be the RFC"),
        (lambda text: text + "65000 UDP something\n", "a row of ports behind the table's end"),
        (lambda text: "About ports\n", "no table of ports is in the text"),
        (lambda text: "", "no table of ports is in the text"),
    ],
)
def test_text_that_is_refused(change: Callable[[str], str], message: str) -> None:
    assert message in refusal(change(pages.flattened(FACTS, "nl")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"bplist00\xd1", "the file is a web archive"),
        (b"From: <Saved by Blink>\r\nMIME-Version: 1.0\r\n", "the file is a web archive"),
        (b"22 TCP caf\xe9", "the file is not utf-8"),
        (b"<html><meta charset='x-unheard-of'>\xe9", "the file is not x-unheard-of"),
        (b" " * (saved_page.LARGEST + 1), "the file has more than 20 MiB"),
    ],
    ids=["webarchive", "mhtml", "latin", "charset", "large"],
)
def test_file_that_is_no_page(content: bytes, message: str) -> None:
    assert message in refusal(content)


def test_status_of_what_cannot_be_read(run: Run, tmp_path: Any) -> None:
    status, printed = run("<html></html>")
    assert (status, printed) == (2, "PAGE: no table of ports is in the page, of 0 tables: is it the article?\n")
    assert __import__("article").main([str(tmp_path / "none.html")]) == 2


# --- Nothing is silently lost -----------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_page_cut_anywhere_is_refused(data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from([DUTCH, GERMAN, pages.LAYOUTS[4]]))
    page = pages.page(FACTS, layout)
    cut = data.draw(st.integers(0, page.rindex("</html>") + len("</html>") - 1))
    assert outcome(page[:cut]) == "refused"


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_text_cut_anywhere_before_its_footnotes_is_refused(data: st.DataObject) -> None:
    text = pages.flattened(FACTS, data.draw(st.sampled_from(["nl", "en", "de"])), data.draw(st.booleans()))
    assert outcome(text[: data.draw(st.integers(0, text.index("1. The") + 2))]) == "refused"


COMPARED = [layout for layout in pages.LAYOUTS if not layout.split]


@st.composite
def cell(draw: st.DrawFn) -> tuple[pages.Layout, list[list[str]], int, int]:
    """A layout, its cells, and the place of one of them that is compared in that language."""
    layout = draw(st.sampled_from(COMPARED))
    cells = pages.table_cells(FACTS, layout)
    row = draw(st.integers(1, len(cells) - 1))
    numbers = [place for place, column in enumerate(layout.columns) if column in (0, 1, 3)]
    column = draw(st.sampled_from(numbers) if layout.language == "de" else st.integers(0, len(layout.columns) - 1))
    return layout, cells, row, column


@given(cell(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_cell_that_is_dropped_or_emptied_is_seen(
    place: tuple[pages.Layout, list[list[str]], int, int], empty: bool
) -> None:
    layout, cells, row, column = place
    assume(not empty or cells[row][column])
    if empty:
        cells[row][column] = ""
    page = pages.page(FACTS, layout, cells)
    if not empty:
        own = pages._lines(cells[row], layout)[0]
        del cells[row][column]
        page = page.replace(own, pages._lines(cells[row], layout)[0], 1)
    assert outcome(page) in (("differs", "refused") if empty else ("refused",))


@given(cell(), st.data())
@settings(max_examples=70, deadline=None)
def test_cell_that_is_garbled_is_seen(
    place: tuple[pages.Layout, list[list[str]], int, int], data: st.DataObject
) -> None:
    layout, cells, row, column = place
    text = cells[row][column]
    position = data.draw(st.integers(0, len(text)))
    width = data.draw(st.integers(0, min(3, len(text) - position)))
    garbled = (
        text[:position]
        + data.draw(st.sampled_from(["x", "7", ";", "(", "\u00e9", "Q, ", ""]))
        + text[position + width :]
    )
    # Case, spaces and dashes do not count for a name, and so are no difference.
    assume(normalise(garbled) != normalise(text))
    assume(separated(garbled) != separated(text))
    # Another of its names is the same product.
    assume(
        not ({normalise(part) for part in garbled.split(", ")} - {normalise(part) for part in text.split(", ")}) & NAMES
    )
    cells[row][column] = garbled
    assert outcome(pages.page(FACTS, layout, cells)) in ("differs", "refused"), (text, garbled)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_row_that_is_dropped_or_repeated_is_seen(data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(COMPARED))
    cells = pages.table_cells(FACTS, layout)
    row = data.draw(st.integers(1, len(cells) - 1))
    if data.draw(st.booleans()):
        del cells[row]
    else:
        cells.insert(data.draw(st.integers(1, len(cells))), cells[row])
    assert outcome(pages.page(FACTS, layout, cells)) == "differs"


@given(st.data())
@settings(max_examples=70, deadline=None)
def test_text_that_is_garbled_is_seen(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(["nl", "en"]))
    text = pages.flattened(FACTS, language, data.draw(st.booleans()))
    start, end = text.index("\n22") + 1, text.index("\n\n1. The")
    position = data.draw(st.integers(start, end - 1))
    width = data.draw(st.integers(0, 3))
    width = min(width, end - position)
    garbled = data.draw(st.sampled_from(["x", "7", "\u00e9", "Q", "", "\n"]))
    assume(normalise(garbled) != normalise(text[position : position + width]))
    # Commas and semicolons separate alike, and one at the end of a row separates nothing.
    changed = text[:position] + garbled + text[position + width :]
    assume(separated(changed) != separated(text))
    # "Windows Print Service" is another name of Windows Print Services.
    around = changed[max(0, position - 40) : position + 40]
    assume(not any(normalise(word) in normalise(around) for word in ALIASES))
    assert outcome(changed) in ("differs", "refused"), (text[position - 30 : position + 30], width, garbled)


@given(
    st.lists(st.sampled_from(["<table>", "<tr>", "<td>", "22", "TCP", "RFC", "</td>", "</tr>", "</table>", "<html>"]))
)
@settings(max_examples=100, deadline=None)
def test_soup_is_never_the_article(parts: list[str]) -> None:
    assert outcome("".join(parts)) in ("refused", "differs")


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_bytes_are_never_the_article(content: bytes) -> None:
    with pytest.raises(saved_page.ArticleError):
        article_page.read(content)
