# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's variables: what is documented, what is set, what is used and what the README says are the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from matrix.plays import ROOT

from ansible_collections.netports.apple.plugins.module_utils import _run as _host_firewall
from ansible_collections.netports.apple.plugins.plugin_utils import _ruleset, _sets

ROLE = ROOT / "roles" / "host_firewall"


def read(path: str) -> Any:
    return yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))


OPTIONS: dict[str, Any] = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
DEFAULTS: dict[str, Any] = read("defaults/main.yml")
README = (ROLE / "README.md").read_text(encoding="utf-8")


def test_every_default_is_documented_and_every_documented_default_is_set() -> None:
    assert DEFAULTS == {name: option["default"] for name, option in OPTIONS.items() if "default" in option}


def test_what_has_no_default_is_said_to_be_undefined_on_purpose() -> None:
    comments = " ".join(re.findall(r"^# (.*)$", (ROLE / "defaults" / "main.yml").read_text(), re.MULTILINE))
    named = set(re.findall(r"host_firewall_[a-z_]+", comments.split("on purpose")[1]))
    assert named == {name for name, option in OPTIONS.items() if "default" not in option}


def test_every_variable_that_the_role_uses_is_documented_and_the_other_way_round() -> None:
    used: set[str] = set()
    for path in [*ROLE.glob("tasks/*.yml"), *ROLE.glob("vars/*.yml")]:
        text = re.sub(r"^ *#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        used |= set(re.findall(r"(?<![a-z_.])host_firewall_[a-z_]+", text))
    assert used - {"host_firewall_result"} == set(OPTIONS)


ROWS = dict(re.findall(r"^\| `(host_firewall_[a-z_]+)` \| (.+?) \|", README, re.MULTILINE))


def test_the_readme_has_every_variable() -> None:
    assert set(ROWS) == set(OPTIONS)


@pytest.mark.parametrize("name", sorted(ROWS.keys() & OPTIONS.keys()))
def test_the_readme_says_the_same(name: str) -> None:
    written = ROWS[name]
    option = OPTIONS[name]
    if "default" not in option:
        # A switch whose default is left to the lookup is off.
        assert written == "unset" or (option["type"] == "bool" and written == "`false`")
    elif name == "host_firewall_local_networks":
        assert written == "private and link-local"
    else:
        assert yaml.safe_load(written.strip("`")) == option["default"]


def test_local_networks_are_the_same_everywhere() -> None:
    filter_ = yaml.safe_load((ROOT / "plugins" / "filter" / "rules.yml").read_text(encoding="utf-8"))
    of_filter = filter_["DOCUMENTATION"]["options"]["local_networks"]["default"]
    assert DEFAULTS["host_firewall_local_networks"] == of_filter == list(_ruleset.LOCAL_NETWORKS)


def test_sets_have_the_keys_of_the_variables() -> None:
    sets = OPTIONS["host_firewall_rules"]["options"]
    assert tuple(sets) == _sets.SET_KEYS
    for name, option in sets.items():
        own = OPTIONS[f"host_firewall_{name}"]
        assert {key: option.get(key) for key in ("type", "elements", "choices")} == {
            key: own.get(key) for key in ("type", "elements", "choices")
        }
        assert f"O(host_firewall_{name})" in option["description"]
    listed = re.findall(r"`([a-z_]+)`", README.split("Keys of a set:")[1].split("\n\n")[0])
    assert listed == list(_sets.SET_KEYS)


def test_what_goes_to_the_module_as_it_is_has_the_modules_form() -> None:
    for name in ("ruleset", "backend", "enable", "zone"):
        option, argument = OPTIONS[f"host_firewall_{name}"], _host_firewall.ARGUMENTS[name]
        assert option["type"] == argument["type"]
        assert option.get("choices") == argument.get("choices")
        if name != "zone":
            assert option.get("default") == argument.get("default")


def test_examples_of_the_readme_name_variables_that_exist() -> None:
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        for play in yaml.safe_load(block):
            for role in play["roles"]:
                given = {name: value for name, value in role.items() if name.startswith("host_firewall_")}
                assert given and given.keys() <= OPTIONS.keys()
                for one in given.get("host_firewall_rules", []):
                    assert one.keys() <= set(_sets.SET_KEYS)
