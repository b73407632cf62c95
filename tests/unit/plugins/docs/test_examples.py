# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation is read by ansible-doc, and every example in it is played."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from matrix import plays

from ansible_collections.netports.apple.plugins.lookup import hosts, networks, ports, products
from ansible_collections.netports.apple.plugins.module_utils import _run as _host_firewall
from ansible_collections.netports.apple.plugins.plugin_utils import _options

PROGRAMS = plays.ROOT / ".venv" / "bin"
COLLECTIONS = plays.ROOT / ".venv" / "collections"

Documentation = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Documentation:
    return plays.documented(str(PROGRAMS / "ansible-doc"), COLLECTIONS, tmp_path_factory.mktemp("documentation"))


def read(text: str) -> Any:
    return yaml.safe_load(text)


# From the first release to the version in galaxy.yml.
RELEASES = ("1.0.0", yaml.safe_load((plays.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def test_everything_is_documented(documentation: Documentation) -> None:
    assert documentation.keys() == {*plays.PLUGINS, ("role", "host_firewall")}
    for (kind, name), plugin in documentation.items():
        if kind == "role":
            continue
        assert plugin["doc"]["description"] and plugin["doc"]["author"] and plugin["return"], name
        assert plugin["doc"]["version_added"] in RELEASES
        for option in plugin["doc"].get("options", {}).values():
            assert option["description"] and option["type"]


@pytest.mark.parametrize("kind", ["lookup", "filter", "module", "role"])
def test_ansible_doc_renders(kind: str, tmp_path: Path) -> None:
    names = [f"netports.apple.{name}" for type_, name in [*plays.PLUGINS, ("role", "host_firewall")] if type_ == kind]
    printed, errors = plays.run(
        [str(PROGRAMS / "ansible-doc"), "-t", kind, *names], plays.environment(COLLECTIONS, tmp_path), tmp_path
    )
    assert "netports" not in errors
    for name in names:
        assert name.upper() in printed.upper()
    for mark in ("O(", "V(", "RV(", "P(", "M(", "C(", "Errors"):
        assert mark not in printed, "a mark that was not understood"


# --- What is documented is what there is ------------------------------------------------------------------------------


def test_options_of_the_lookups(documentation: Documentation) -> None:
    options = documentation["lookup", "ports"]["doc"]["options"]
    assert {*options} == {*ports.OPTIONS, "_terms"}
    for name in ("protocol", "direction", "scope", "language"):
        assert tuple(options[name]["choices"]) == _options._CHOICES[name]
    for lookup, name in (("networks", "family"), ("hosts", "os"), ("hosts", "protocol")):
        assert tuple(documentation["lookup", lookup]["doc"]["options"][name]["choices"]) == _options._CHOICES[name]


@pytest.mark.parametrize(
    ("name", "module"), [("hosts", hosts), ("networks", networks), ("ports", ports), ("products", products)]
)
def test_keys_of_answers(
    documentation: Documentation, ask: Callable[..., list[dict[str, Any]]], name: str, module: Any
) -> None:
    contains = documentation["lookup", name]["return"]["_list"]["contains"]
    answer = ask(name)
    keys = set(answer[0]) | (set(ask(name, merge=True)[0]) if name in ("hosts", "ports") else set())
    assert set(contains) == keys
    types = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    for entry in answer:
        for key, value in entry.items():
            assert value is None or type(value) is types[contains[key]["type"]], key
    # A sample is of the type that it is a sample of, and where there are few values, one of them.
    for key, field in contains.items():
        if "sample" in field:
            assert type(field["sample"]) is types[field["type"]], key
    assert read(module.RETURN)["_list"]["contains"].keys() == contains.keys()


def test_samples_are_true(
    documentation: Documentation, ask: Callable[..., list[dict[str, Any]]], template: Callable[..., Any]
) -> None:
    sample = documentation["filter", "rules"]["return"]["_value"]["sample"]
    made = template("{{ query('netports.apple.ports', 'FaceTime') | netports.apple.rules }}")
    assert all(rule in made for rule in sample)
    facetime = ask("products", "FaceTime")[0]
    contains = documentation["lookup", "products"]["return"]["_list"]["contains"]
    assert facetime["in"] == contains["in"]["sample"] and facetime["out"] == contains["out"]["sample"]
    for rule in documentation["module", "host_firewall"]["return"]["before"]["sample"]:
        assert rule in made


def test_options_of_the_module(documentation: Documentation) -> None:
    def agree(options: dict[str, Any], arguments: dict[str, Any]) -> None:
        assert options.keys() == arguments.keys()
        for name, argument in arguments.items():
            option = options[name]
            assert argument.get("type", "str") == option["type"], name
            for key in ("elements", "choices", "default"):
                assert argument.get(key) == option.get(key), f"{key} of {name}"
            assert argument.get("required", False) == option.get("required", False), name
            if "options" in argument:
                agree(option["suboptions"], argument["options"])

    agree(documentation["module", "host_firewall"]["doc"]["options"], _host_firewall.ARGUMENTS)


# --- Examples ---------------------------------------------------------------------------------------------------------

# What an example shows when it is played, by its name. An example that is not here fails the test.
SHOWN = {
    "Show the ports of two products": ["FaceTime: 443/tcp (out, internet)", "AirPlay: 5353/udp (both, local)"],
    "Show the UDP ports of FaceTime as one line for a device's configuration": ["3478-3497,16384-16387,16393-16402"],
    "Show why port 5223 is open": ["FaceTime", "Push Notifications", "iCloud DAV Services"],
    "Show what a row without a product says, by its service": ["Secure LDAP", '"port": "636"'],
    "Show what a host needs that is backed up to a Time Machine server": ['"port": "445"', '"direction": "out"'],
    "Show why a HomeKit bridge needs its ports, of which the site chose one": ["21064/tcp: Home hubs", "5353/udp"],
    "Show which types of service discovery a reflector between two networks has to pass on for AirPlay and AirPrint": [
        "_airplay._tcp",
        "_ipps._tcp",
    ],
    "Show only what a host has to be reachable on, for a list from a variable": ["5900", "139", "548"],
    "Show the names of all products, as choices of a survey": ["AirPlay", "Xsan Filesystem Access"],
    "Show what belongs to the family iCloud": ["icloud-mail", "icloud-backup"],
    "Show which products a host has to be reachable for": ["Screen Sharing: 5900, 5900", "File Sharing: 139, 548"],
    "Show the IPv4 networks of push notifications, for a device's configuration": ["17.57.144.0/22 17.188.20.0/23"],
    "Show the networks that do for a product": ["17.249.0.0/16", "2620:149:a44::/48"],
    "Show what a Mac connects to for its updates": ["swscan.apple.com: 443/tcp", "swcdn.apple.com: 80, 443/tcp"],
    "Show the fewest names of what enrolment in device management needs": ["*.push.apple.com", "albert.apple.com"],
    "Show what a host name of a log is for": ["apple-account"],
    "Show what a proxy must not stand in between": ["*.push.apple.com", "mesu.apple.com"],
    "Show an access list of Cisco's for what clients connect to": [
        "permit udp 10.20.0.0 0.0.255.255 any range 3478 3497"
    ],
    "Write the text for Screen Sharing to a file of your own": [],
    "Write files of your own for Screen Sharing": [],
    "Show how many hosts are as declared, and how many are not": ["compliant"],
    "Say in words what a run would do": ["FaceTime", "443"],
    "Show the audit as CSV, for a spreadsheet": ["localhost"],
    "Show the audit as JUnit XML, for a pipeline": ["<testsuite"],
    "Show the audit as a page, for people": ["<html"],
    "Write the report on the controller": ["changed"],
}
MODULE = "netports.apple.host_firewall"
REPORT = "netports.apple.audit_report"


@pytest.fixture
def examples(documentation: Documentation) -> list[tuple[str, dict[str, Any]]]:
    found = plays.examples(documentation)
    assert len(found) >= 19
    return found


def played(tasks: list[dict[str, Any]], folder: Path, *more: str) -> str:
    (folder / "play.json").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    printed, errors = plays.run(
        [str(PROGRAMS / "ansible-playbook"), "-c", "local", *more, str(folder / "play.json")],
        plays.environment(COLLECTIONS, folder),
        folder,
    )
    assert "WARNING" not in printed + errors and "DEPRECAT" not in printed + errors, printed + errors
    return printed


def test_every_example_of_the_lookups_and_filters_is_played(
    examples: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    tasks = []
    written = []
    for plugin, task in examples:
        if MODULE in task:
            continue
        copy = task.get("ansible.builtin.copy")
        if copy:
            # Not where the example has it, which is this machine's own firewall.
            name = plugin.replace(" ", "-")
            written.append(tmp_path / name)
            # A loop over files writes each by its own name.
            end = " ~ (item.key | basename)" if "loop" in task else ""
            dest = f"{{{{ '{tmp_path / name}'{end} }}}}"
            task = {**task, "ansible.builtin.copy": {**copy, "dest": dest}}
        if REPORT in task:
            task = {**task, REPORT: {**task[REPORT], "dest": str(tmp_path / "report")}}
        tasks.append(task)
    printed = played(tasks, tmp_path)
    parts = {part.split("]")[0]: part for part in printed.split("TASK [")[1:]}
    assert parts.keys() == SHOWN.keys()
    for name, shown in SHOWN.items():
        assert all(text in parts[name] for text in shown), parts[name]
    assert len(written) == 4
    for path in written:
        assert "5900" in "".join(file.read_text() for file in path.parent.glob(f"{path.name}*"))


def test_every_example_with_the_module_is_well_formed(
    examples: list[tuple[str, dict[str, Any]]], tmp_path: Path, template: Callable[..., Any]
) -> None:
    tasks = [task for _plugin, task in examples if MODULE in task]
    assert len(tasks) >= 8
    played(tasks, tmp_path, "--syntax-check")
    for task in tasks:
        arguments = task[MODULE] or {}
        assert arguments.keys() <= _host_firewall.ARGUMENTS.keys()
        given = arguments.get("rules", [])
        variables = task.get("vars", {})
        made = template(given, **variables) if isinstance(given, str) else given
        parameters = {name: argument.get("default") for name, argument in _host_firewall.ARGUMENTS.items()}
        asked = {**parameters, "rules": made, "state": "rendered", "backend": "ufw"}
        result = _host_firewall.execute(asked, lambda _argv, _stdin: (127, "", ""), check=True)
        assert not made or "".join(result["rendered"].values())
