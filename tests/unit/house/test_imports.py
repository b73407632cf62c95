# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom, that there is no circle, and that what is imported is there: in the tarball and on a host."""

from __future__ import annotations

import ast
import functools
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from matrix.plays import ROOT

from hosts.payload import payload

PLUGINS = ROOT / "plugins"
PACKAGE = "ansible_collections.netports.apple.plugins"
FIREWALLS = "module_utils._firewalls"
FOLDERS = sorted(path.parent.name for path in (PLUGINS / "module_utils" / "_firewalls").glob("*/firewall.py"))
# What the choice among firewalls loads of each: no more than this and the folder's own names.
GROUND = {
    *(f"{FIREWALLS}.{name}" for name in ("base", "changes")),
    *(f"module_utils.{name}" for name in ("_files", "_ports", "_rules", "_notices", "_values")),
}
# The host code that the controller uses: no input or output comes with it.
PURE = {
    "module_utils._ports",
    "module_utils._rules",
    "module_utils._notices",
    "module_utils._values",
    f"{FIREWALLS}.base",
    f"{FIREWALLS}.registry",
}
# Texts for people who template a firewall themselves: with the firewall that they are of, used on the controller alone.
TEMPLATES = {f"{FIREWALLS}.firewalld.standalone"}
# What carries a change out, which a run that changes nothing does not load.
CARRY_OUT = {"module_utils._confirm.change", "module_utils._confirm.keeper"}
# What takes back a dead run's change, which other runs do not load.
RECOVERY = {f"{FIREWALLS}.ufw.left"}
# Parts of Python that take long to load, and that only rare cases need.
SLOW = {"configparser", "difflib", "secrets", "ssl", "urllib.request", "xml.sax"}
# What runs outside the keeper, and may import what it needs now and then alone.
OUTSIDE_THE_KEEPER = (
    *("modules.host_firewall", "module_utils._run", "module_utils._guard"),
    *(".firewall", ".registry", ".read", ".reading", ".state"),
)
# What of these has imports for rare cases, and no other.
RARE = ("module_utils._guard", ".read", ".reading", ".state")


@dataclass(frozen=True)
class Import:
    """A module of the collection that another one imports; ``late``: inside a function."""

    importer: str
    imported: str
    late: bool


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PLUGINS).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(PLUGINS.rglob("*.py"))}


def statements(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements that run, and whether they are inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, late
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from statements(child, late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def foreign(path: Path) -> set[str]:
    """The top of what a module imports from elsewhere; what is of Ansible, with one name more."""
    found = set()
    for statement, _late in statements(ast.parse(path.read_text(encoding="utf-8"))):
        names = [statement.module or ""] if isinstance(statement, ast.ImportFrom) else [a.name for a in statement.names]
        found |= {".".join(name.split(".")[: 2 if name.startswith("ansible.") else 1]) for name in names}
    return found


def absolute(importer: str, statement: ast.ImportFrom) -> str:
    """The whole name of what a statement imports from."""
    if not statement.level:
        return statement.module or ""
    # tools use the catalogue's parts past Ansible's loader.
    assert importer.startswith("plugin_utils."), f"{importer}: imports of host code are absolute"
    package = ".".join([PACKAGE, *importer.split(".")][: -statement.level])
    return f"{package}.{statement.module}" if statement.module else package


@functools.cache
def imports() -> frozenset[Import]:
    found = set()
    for importer, path in MODULES.items():
        for statement, late in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(statement, ast.ImportFrom):
                assert not any(alias.name.startswith(PACKAGE) for alias in statement.names), f"{path}: import from"
                continue
            module = absolute(importer, statement)
            if module.startswith(PACKAGE):
                package = module[len(PACKAGE) + 1 :]
                for alias in statement.names:
                    whole = f"{package}.{alias.name}"
                    imported = whole if whole in MODULES else package
                    assert imported in MODULES, f"{path}: there is no {whole}"
                    found.add(Import(importer=importer, imported=imported, late=late))
    return frozenset(found)


def folder(module: str) -> str:
    """The firewall whose folder a module is in; empty for the others."""
    parts = module.split(".")
    return parts[2] if len(parts) > 3 and module.startswith(FIREWALLS) else ""


def refused(found: Import) -> str:
    """Why an import is against the contract; empty where it is not."""
    host = found.importer.startswith(("module_utils.", "modules."))
    own = folder(found.importer)
    if host and not found.imported.startswith("module_utils."):
        return "host code imports controller code"
    if found.importer.startswith("plugin_utils.") and found.imported.startswith("module_utils."):
        return "" if found.imported in PURE else "the controller imports host code that is not pure"
    if own and folder(found.imported) not in ("", own):
        return "a firewall imports another"
    if found.imported in TEMPLATES and found.importer.startswith("filter."):
        return ""
    if folder(found.imported) and not own and found.importer != f"{FIREWALLS}.registry":
        return "only the registry imports firewalls"
    if folder(found.imported) and not own and not (found.late and found.imported.endswith(".firewall")):
        return "the registry imports a firewall's firewall.py, inside a function"
    if found.importer.endswith(".firewall") and own and not found.late:
        mine = found.imported == f"{FIREWALLS}.{own}.model"
        return "" if mine or found.imported in GROUND else "firewall.py imports more than the choice needs"
    if host and found.late and not found.importer.endswith(OUTSIDE_THE_KEEPER):
        return "an import inside a function may run in the keeper, when the files are gone"
    return ""


def test_everything_is_seen() -> None:
    assert len(MODULES) > 80 and len(imports()) > 200 and len(FOLDERS) > 2
    assert any(found.late for found in imports())


def test_nobody_imports_whom_it_may_not() -> None:
    assert (
        sorted(f"{found.importer} -> {found.imported}: {refused(found)}" for found in imports() if refused(found)) == []
    )


@pytest.mark.parametrize(
    ("importer", "imported", "late"),
    [
        ("module_utils._run", "plugin_utils._names", False),
        (f"{FIREWALLS}.ufw.plan", f"{FIREWALLS}.pf.model", False),
        ("module_utils._run", f"{FIREWALLS}.ufw.firewall", True),
        (f"{FIREWALLS}.registry", f"{FIREWALLS}.ufw.firewall", False),
        (f"{FIREWALLS}.registry", f"{FIREWALLS}.ufw.state", True),
        (f"{FIREWALLS}.ufw.firewall", f"{FIREWALLS}.ufw.state", False),
        (f"{FIREWALLS}.ufw.write", f"{FIREWALLS}.ufw.kernel", True),
        ("plugin_utils._audit", "module_utils._run", False),
    ],
)
def test_the_contract_refuses(importer: str, imported: str, late: bool) -> None:
    assert refused(Import(importer=importer, imported=imported, late=late))


def test_there_is_no_circle() -> None:
    after: dict[str, set[str]] = {name: set() for name in MODULES}
    for found in imports():
        after[found.importer].add(found.imported)
    left = dict(after)
    while True:
        # What imports nothing that is left is on the lowest floor.
        floor = {name for name, imported in left.items() if not imported & left.keys()}
        if not floor:
            break
        left = {name: imported for name, imported in left.items() if name not in floor}
    assert sorted(left) == [], "these are in a circle, or above one"


def test_host_code_needs_python_and_ansibles_module_utils_alone() -> None:
    # Dataclasses are the host code's own: see _values.
    python = set(sys.stdlib_module_names) - {"dataclasses"}
    allowed = python | {"__future__", "ansible_collections", "ansible.module_utils"}
    for name, path in MODULES.items():
        if name.startswith(("module_utils.", "modules.")):
            assert foreign(path) <= allowed, name


# What travels


def test_the_tarball_has_every_module(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "ansible",
        "galaxy",
        "collection",
        "build",
        "--output-path",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (built,) = tmp_path.glob("netports-apple-*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name for name in archive.getnames() if name.startswith("plugins/") and name.endswith(".py")}
    assert names == {f"plugins/{path.relative_to(PLUGINS)}" for path in MODULES.values()}


def shipped(tmp_path: Path) -> set[str]:
    """The modules of the collection in what Ansible sends to a host for the module."""
    with zipfile.ZipFile(io.BytesIO(payload(ROOT / ".venv" / "collections", tmp_path))) as archive:
        names = archive.namelist()
    prefix = PACKAGE.replace(".", "/") + "/"
    return {name[len(prefix) : -3].replace("/", ".") for name in names if name.startswith(prefix + "module_utils/")} - {
        "module_utils.__init__"
    }


def test_a_host_gets_every_module(tmp_path: Path) -> None:
    found = {name for name in shipped(tmp_path) if not name.endswith("__init__")}
    assert found == {name for name in MODULES if name.startswith("module_utils.")} - TEMPLATES


# What a host loads

LOADED = """
import json, sys
from ansible_collections.netports.apple.plugins.module_utils import _archive, _run
from ansible_collections.netports.apple.plugins.module_utils._firewalls import base, registry
host = base.Host(run=lambda argv, stdin: (1, "", "not here"), root=sys.argv[2])
try:
    registry.choose("auto", host)
except base.FirewallError:
    pass
if sys.argv[1]:
    try:
        registry.load(sys.argv[1])(host).read(base.Asked(ruleset="apple"))
    except (base.FirewallError, OSError):
        pass
print(json.dumps(sorted(sys.modules)))
"""


def loaded(name: str, root: Path) -> set[str]:
    """The modules that a run loads which has chosen and read a firewall: the collection's, and slow ones of Python."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "collections")}
    argv = [sys.executable, "-c", LOADED, name, str(root)]
    done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
    found = set(json.loads(done.stdout))
    return ({module[len(PACKAGE) + 1 :] for module in found} & MODULES.keys()) | (found & SLOW)


def test_the_choice_loads_no_firewall_whole(tmp_path: Path) -> None:
    found = {module for module in loaded("", tmp_path) if folder(module)}
    assert found <= {f"{FIREWALLS}.{name}.{part}" for name in FOLDERS for part in ("firewall", "model")}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_run_loads_its_firewall_alone(tmp_path: Path, name: str) -> None:
    found = loaded(name, tmp_path)
    others = {module for module in found if folder(module) not in ("", name)}
    assert others <= {f"{FIREWALLS}.{other}.{part}" for other in FOLDERS for part in ("firewall", "model")}
    shared = {module for module in MODULES if module.startswith("module_utils.") and not folder(module)}
    rare = {found.imported for found in imports() if found.late and found.importer.endswith(RARE)}
    whole = {module for module in MODULES if folder(module) == name} - rare - TEMPLATES - RECOVERY
    # The keeper imports nothing any more: it all has to be there before it is split off.
    assert found - others - rare == (shared - CARRY_OUT - rare) | whole
    assert len(found) <= len(shared) - len(CARRY_OUT) + len(whole) + 2 * (len(FOLDERS) - 1)
