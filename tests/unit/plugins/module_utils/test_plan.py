# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans: what a ruleset is to hold, and the operations that lead there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes as _plan
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

PORTS = st.lists(st.integers(1, 9).map(lambda port: (port, port + 1)), min_size=1, max_size=3).map(
    lambda ranges: tuple(_ports.merge(ranges))
)
RULES = st.lists(
    st.builds(
        Rule,
        name=st.sampled_from(["a", "b", "c"]),
        direction=st.sampled_from(["in", "out"]),
        tcp=PORTS,
        udp=PORTS,
        sources=st.sampled_from([(), ("10.0.0.0/8",), ("10.0.0.0/8", "fd00::/8")]),
        destinations=st.sampled_from([(), ("10.0.0.1",)]),
        interface=st.sampled_from(["", "eth0"]),
        out_interface=st.just(""),
    )
    | st.builds(
        Rule,
        name=st.sampled_from(["a", "b"]),
        direction=st.just("forward"),
        tcp=PORTS,
        udp=PORTS,
        interface=st.sampled_from(["", "eth0"]),
        out_interface=st.sampled_from(["", "eth1"]),
        sources=st.just(()),
        destinations=st.just(()),
    ),
    max_size=6,
)
STATES = ["replaced", "merged", "deleted"]


def applied(have: list[Rule], operations: list[dict[str, Any]]) -> list[Rule]:
    """Do what operations say to a list of rules, and check that each says the truth about what is there."""
    rules = {rule.key: rule for rule in _rules.normalise(have)}
    for operation in operations:
        rule = Rule.from_dict(operation["rule"])
        if operation["action"] == "add":
            assert set(operation) == {"action", "rule"}
            assert rule.key not in rules
            rules[rule.key] = rule
        elif operation["action"] == "change":
            assert set(operation) == {"action", "rule", "was"}
            assert rules[rule.key] == Rule.from_dict(operation["was"]) != rule
            rules[rule.key] = rule
        else:
            assert operation["action"] == "remove" and set(operation) == {"action", "rule"}
            assert rules.pop(rule.key) == rule
    return list(rules.values())


def steps(have: Any, wanted: Any) -> list[dict[str, Any]]:
    """The operations in their plain form."""
    return [step.to_dict() for step in _plan.operations(have, wanted)]


@pytest.mark.parametrize("state", STATES)
@given(have=RULES, want=RULES)
def test_operations_lead_from_what_is_there_to_the_target(state: str, have: list[Rule], want: list[Rule]) -> None:
    before = copy.deepcopy((have, want))
    target = _plan.target(state, have, want)
    operations = steps(have, target)
    assert (have, want) == before
    assert set(applied(have, operations)) == set(target)
    assert _rules.normalise(target) == target
    assert steps(target, target) == []
    assert steps(target, list(reversed(target))) == []


@given(have=RULES, want=RULES)
def test_a_second_run_of_each_state_changes_nothing(have: list[Rule], want: list[Rule]) -> None:
    for state in STATES:
        once = _plan.target(state, have, want)
        assert steps(once, _plan.target(state, once, want)) == []


@given(have=RULES, want=RULES)
def test_replaced_is_exactly_what_is_wanted(have: list[Rule], want: list[Rule]) -> None:
    assert _plan.target("replaced", have, want) == _rules.normalise(want)


@given(have=RULES, want=RULES)
def test_merged_opens_what_either_opens_and_closes_nothing(have: list[Rule], want: list[Rule]) -> None:
    target = _plan.target("merged", have, want)
    assert {rule.key for rule in target} == {rule.key for rule in (*have, *want)}
    for rule in (*have, *want):
        there = next(one for one in target if one.key == rule.key)
        assert all(_ports.covers(there.tcp, ports) for ports in rule.tcp)
        assert all(_ports.covers(there.udp, ports) for ports in rule.udp)
    assert all(operation["action"] != "remove" for operation in steps(have, target))


@given(have=RULES, want=RULES)
def test_deleted_takes_the_named_ones_and_without_names_all(have: list[Rule], want: list[Rule]) -> None:
    assert _plan.target("deleted", have, []) == []
    target = _plan.target("deleted", have, want)
    named = {(rule.name, rule.direction) for rule in want}
    assert target == (
        [rule for rule in _rules.normalise(have) if (rule.name, rule.direction) not in named] if want else []
    )
    assert all(operation["action"] == "remove" for operation in steps(have, target))


@given(have=RULES, want=RULES)
def test_order_of_operations(have: list[Rule], want: list[Rule]) -> None:
    actions = [operation["action"] for operation in steps(have, want)]
    assert actions == sorted(actions)  # add, change, remove: nothing that is still wanted is ever closed in between


def test_a_port_that_moves_is_a_change() -> None:
    old, new = Rule("a", "in", ((80, 80),), ()), Rule("a", "in", ((81, 81),), ())
    assert steps([old], [new]) == [{"action": "change", "rule": new.to_dict(), "was": old.to_dict()}]


def test_other_sources_are_another_rule() -> None:
    old, new = Rule("a", "in", ((80, 80),), ()), Rule("a", "in", ((80, 80),), (), ("10.0.0.0/8",))
    assert steps([old], [new]) == [
        {"action": "add", "rule": new.to_dict()},
        {"action": "remove", "rule": old.to_dict()},
    ]


@pytest.mark.parametrize("state", ["gathered", "rendered", "present", "", "Replaced"])
def test_other_states_have_no_plan(state: str) -> None:
    with pytest.raises(ValueError, match=f"no plan for state '{state}'"):
        _plan.target(state, [], [])
