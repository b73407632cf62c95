# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No file over 400 lines, no class over 250, no function over 60: documentation blocks, docstrings and data apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from matrix.plays import ROOT

FILE, CLASS, FUNCTION = 400, 250, 60
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
FILES = sorted(path for folder in ("plugins", "tools") for path in (ROOT / folder).rglob("*.py"))


def lines(node: ast.stmt) -> int:
    """How many lines a statement has, without the docstrings inside it."""
    found = (node.end_lineno or node.lineno) - node.lineno + 1
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(inner):
            text = inner.body[0]
            found -= (text.end_lineno or text.lineno) - text.lineno + 1
    return found


def is_data(node: ast.stmt) -> bool:
    """Whether a statement of a module is a table: an assignment of a literal, or a documentation block."""
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    return isinstance(value, (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.JoinedStr))


def too_long(source: str) -> Iterator[str]:
    """What is too long in a module, and how long it is."""
    module = ast.parse(source)
    whole = len(source.splitlines()) - sum(lines(node) for node in module.body if is_data(node))
    docstring = module.body[0] if module.body and ast.get_docstring(module) else None
    if docstring:
        whole -= (docstring.end_lineno or 0) - docstring.lineno + 1
    if whole > FILE:
        yield f"the file has {whole} lines"
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and lines(node) > CLASS:
            yield f"class {node.name} has {lines(node)} lines"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and lines(node) > FUNCTION:
            yield f"function {node.name} has {lines(node)} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_too_long(path: Path) -> None:
    assert list(too_long(path.read_text(encoding="utf-8"))) == []


def test_what_is_too_long_is_seen() -> None:
    body = "\n".join(f"        x{number} = {number} + 1" for number in range(FUNCTION))
    function = f"    def long(self):\n        '''Words.\n\n        More.'''\n{body}\n"
    assert list(too_long(f"class A:\n{function}")) == [f"function long has {FUNCTION + 1} lines"]
    many = "".join(f"    def f{number}(self):\n        return {number}\n" for number in range(CLASS))
    assert f"class A has {2 * CLASS + 1} lines" in list(too_long(f"class A:\n{many}"))
    table = "T = [\n" + "    1,\n" * (FILE + 10) + "]\n"
    assert list(too_long(table)) == []
    assert list(too_long("x()\n" * (FILE + 1))) == [f"the file has {FILE + 1} lines"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_have_no_markup_of_ansible(path: Path) -> None:
    """RST alone; Ansible's markup is for documentation blocks."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, documented)]
    assert [text for text in map(ast.get_docstring, nodes) if text and re.search(r"\b[CILMOVBU]\([\w{]", text)] == []
