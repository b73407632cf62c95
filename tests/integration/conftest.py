# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that give tests real hosts.

`@pytest.mark.hosts("ufw", "bookworm", "trixie")` runs a test on a host of each suite with that firewall
(no suite named: all of them), which it gets as `host`; several marks add up. `shared` in its place is a host that the
tests of a file share: each has to leave it as it was. `make_host` starts further ones, `peer`
is a second host for probes. A machine that cannot run hosts is an error of every such test, never a skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from torture import state

from hosts import SUITES, Host, Lab
from hosts.code import module

MakeHost = Callable[..., Host]


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark."""
    config.addinivalue_line("markers", "hosts(firewall, *suites): run on a fresh host of each suite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives `host` and `shared` their suites and firewalls."""
    for name in {"host", "shared"} & set(metafunc.fixturenames):
        marks = [mark.args for mark in metafunc.definition.iter_markers("hosts")] or [("none",)]
        cases = [(suite, firewall) for firewall, *suites in marks for suite in suites or SUITES]
        metafunc.parametrize(name, cases, indirect=True, ids=[f"{suite}-{firewall}" for suite, firewall in cases])


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """What starts hosts, for the whole run."""
    lab = Lab(compiled=True)
    yield lab
    lab.close()


def _factory(lab: Lab) -> Iterator[MakeHost]:
    made: list[Host] = []

    def make(suite: str = "bookworm", firewall: str = "none", share: Sequence[Path] = ()) -> Host:
        made.append(lab.start(suite, firewall, share))
        return made[-1]

    yield make
    for one in made:
        lab.stop(one)


@pytest.fixture
def make_host(lab: Lab) -> Iterator[MakeHost]:
    """make_host(suite="bookworm", firewall="none", share=()) starts a fresh host, which goes after the test."""
    yield from _factory(lab)


@pytest.fixture(scope="module")
def make_module_host(lab: Lab) -> Iterator[MakeHost]:
    """The same for hosts that the tests of a module share."""
    yield from _factory(lab)


@pytest.fixture
def host(request: pytest.FixtureRequest, make_host: MakeHost) -> Host:
    """A fresh host of the suite and firewall that the mark `hosts` names."""
    suite, firewall = request.param
    return make_host(suite, firewall)


@pytest.fixture(scope="module")
def _pool() -> dict[tuple[str, str], Host]:
    return {}


@pytest.fixture
def shared(
    request: pytest.FixtureRequest, make_module_host: MakeHost, _pool: dict[tuple[str, str], Host]
) -> Iterator[Host]:
    """A host that tests of a file share, of the suite and firewall that the mark `hosts` names.

    The ruleset is removed behind each test, and has to leave all as it was. The next gets another host where it did not.
    """
    host = _pool.pop(request.param, None) or make_module_host(*request.param)
    before = state(host)
    yield host
    assert module(host, state="deleted")[0] == 0
    assert state(host) == before
    _pool[request.param] = host


@pytest.fixture(scope="session")
def peer(lab: Lab) -> Host:
    """A second host without a firewall, from which to probe; shared, so leave it as it is."""
    return lab.start("bookworm")
