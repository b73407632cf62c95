# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that give tests real hosts.

`@pytest.mark.hosts("ufw", "bookworm", "trixie")` runs a test on a host of each suite with that firewall
(no suite named: all of them), which it gets as `host`; several marks add up. Other tests may have had the host before, and
it is as a fresh one (tests/hosts/pool.py). `shared` in the place of `host` is for a test whose ruleset, once removed, has to
leave all as it was. `make_host` gives further ones, `peer` is a second host for probes. A machine that cannot run hosts is an
error of every such test, never a skip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from torture import state

from hosts import SUITES, Host, Lab
from hosts.code import module
from hosts.pool import Pool

MakeHost = Callable[..., Host]


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark."""
    config.addinivalue_line("markers", "hosts(firewall, *suites): run on a host of each suite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives `host` its suites and firewalls."""
    if "host" in metafunc.fixturenames:
        marks = [mark.args for mark in metafunc.definition.iter_markers("hosts")] or [("none",)]
        cases = [(suite, firewall) for firewall, *suites in marks for suite in suites or SUITES]
        metafunc.parametrize("host", cases, indirect=True, ids=["-".join(case) for case in cases])


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """What starts hosts, for the whole run."""
    lab = Lab(compiled=True)
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def pool(lab: Lab) -> Pool:
    """The hosts that are free for the next test."""
    # There are 240 addresses for the hosts of all workers.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return Pool(lab, most=min(8, max(1, 120 // workers)))


@pytest.fixture
def make_host(request: pytest.FixtureRequest, lab: Lab, pool: Pool) -> Iterator[MakeHost]:
    """make_host(suite="bookworm", firewall="none", share=()) gives a host that is as a fresh one, until the test ends."""
    made: list[Host] = []
    pooled: list[Host] = []

    def make(suite: str = "bookworm", firewall: str = "none", share: Sequence[Path] = ()) -> Host:
        hosts, host = (made, lab.start(suite, firewall, share)) if share else (pooled, pool.take(suite, firewall))
        hosts.append(host)
        return host

    failures = request.session.testsfailed
    yield make
    for host in made:
        lab.stop(host)
    back = pool.give if request.session.testsfailed == failures else pool.drop
    for host in pooled:
        back(host)


@pytest.fixture
def host(request: pytest.FixtureRequest, make_host: MakeHost) -> Host:
    """A host of the suite and firewall that the mark `hosts` names."""
    return make_host(*request.param)


@pytest.fixture
def shared(host: Host) -> Iterator[Host]:
    """The same for a test behind which the ruleset is removed, which has to leave all as it was."""
    before = state(host)
    yield host
    assert module(host, state="deleted")[0] == 0
    assert state(host) == before


@pytest.fixture(scope="session")
def peer(lab: Lab) -> Host:
    """A second host without a firewall, from which to probe; shared, so leave it as it is."""
    return lab.start("bookworm")
