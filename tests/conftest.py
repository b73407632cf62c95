# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `ansible_collections.netports.apple` importable from this checkout, whatever its folder is called."""

from __future__ import annotations

import atexit
import gc
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

try:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    found = AnsibleCollectionConfig.collection_finder is not None
except ImportError:
    # `ansible-test units` finds the collection itself, and shows tests of host code ansible.module_utils alone.
    found = True

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("netports", deadline=None)
hypothesis.settings.load_profile("netports")

if not found:
    tree = Path(tempfile.mkdtemp(prefix="netports-collections-"))
    atexit.register(shutil.rmtree, tree, ignore_errors=True)
    namespace = tree / "ansible_collections" / "netports"
    namespace.mkdir(parents=True)
    (namespace / "apple").symlink_to(Path(__file__).resolve().parent.parent, target_is_directory=True)
    init_plugin_loader([str(tree)])

# The longest tests begin first, so that the others fill the gaps that they leave at the end.
LONGEST = (
    *("test_every_scenario_from_prepare_to_cleanup", "test_a_plain_debian_gets_a_firewall", "test_drift_is_mended"),
    *("test_switching_on_without_the_guard_locks_out", "test_targets_of_zones", "test_ufw_between_two_networks"),
    *(
        "test_nftables_between_two_networks",
        "test_firewalld_writes_nothing",
        "test_a_program_that_hangs",
        "test_a_fleet",
    ),
    *("test_a_firewall_that_others_switch_on", "test_a_host_of_containers", "test_a_lock_of_iptables"),
    *("test_faults_of_the_host", "test_ufw_is_on_only", "test_the_example_fleet", "test_a_failure_in_a_batch"),
    *("test_life_of_a_ruleset", "test_firewalld_between", "test_bad_input", "test_from_the_tarball"),
    *("test_while_a_change_waits", "test_only_a_new_connection_confirms"),
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Search for garbage only in what comes after collection: what it makes stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal what takes long out to pytest-xdist's workers, in equal parts; the unit tests come behind it.

    Workers begin at the beginning of equal parts of the list, and take from the end of another's when they are ready.
    """
    unit: list[pytest.Item] = []
    long: list[pytest.Item] = []
    for item in items:
        (unit if "unit" in item.path.parts else long).append(item)
    # Tests of the same kind of host come together: it serves them one after the other.
    long.sort(key=lambda item: (_rank(item.name), _kind(item)))
    # Tests that share a fixture of their file stay together.
    groups: dict[str, list[pytest.Item]] = {}
    for item in long:
        shared = "row" in getattr(item, "fixturenames", ())
        groups.setdefault(str(item.path) if shared else item.nodeid, []).append(item)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    hands: list[list[pytest.Item]] = [[] for _worker in range(workers)]
    others: list[pytest.Item] = []
    for group in groups.values():
        if _rank(group[0].name) < len(LONGEST):
            min(hands, key=len).extend(group)
        else:
            others += group
    left = len(items)
    items.clear()
    for number, hand in enumerate(hands):
        room = max(0, len(long) // workers - len(hand)) if number < workers - 1 else len(others)
        hand += others[:room]
        del others[:room]
        size = left // (workers - number)
        room = max(0, size - len(hand))
        items += [*hand, *unit[:room]]
        del unit[:room]
        left -= size
    items += unit


def _kind(item: pytest.Item) -> tuple[str, ...]:
    """The suite and firewall of the host that a test gets; empty where it gets none."""
    kind: tuple[str, ...] = item.callspec.params.get("host", ()) if hasattr(item, "callspec") else ()
    return kind


def _rank(name: str) -> int:
    words = [number for number, word in enumerate(LONGEST) if name.startswith(word)]
    return min(words, default=len(LONGEST))
