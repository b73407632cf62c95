# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that give tests real hosts.

`@pytest.mark.hosts("ufw", "bookworm", "trixie")` runs a test on a host of each suite with that firewall
(no suite named: all of them), which it gets as `host`; several marks add up. With `reset=True` it gets a host that other
tests had before, whose firewalld was reset: for tests that touch nothing else. `shared` in the place of `host` is a host that
the tests of a file share: each has to leave it as it was. `make_host` starts further ones, `peer` is a second host for
probes. A machine that cannot run hosts is an error of every such test, never a skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from torture import state

from hosts import SUITES, Host, Lab
from hosts.code import module
from hosts.firewalld import cmd, runtime

MakeHost = Callable[..., Host]


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark."""
    config.addinivalue_line("markers", "hosts(firewall, *suites, reset=False): run on a host of each suite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives `host` and `shared` their suites and firewalls, and `host` whether it is to be a reset one."""
    for name in {"host", "shared"} & set(metafunc.fixturenames):
        marks = [(mark.args, mark.kwargs) for mark in metafunc.definition.iter_markers("hosts")] or [(("none",), {})]
        cases = [
            (suite, firewall, more.get("reset", False))
            for (firewall, *suites), more in marks
            for suite in suites or SUITES
        ]
        ids = [f"{suite}-{firewall}" for suite, firewall, _reset in cases]
        metafunc.parametrize(name, cases, indirect=True, ids=ids)


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


# Hosts that a test left as they were, by suite and firewall, with how that is.
Pool = dict[tuple[str, str], tuple[Host, Any]]


@pytest.fixture(scope="session")
def pool() -> Pool:
    """The hosts that are free for the next test that takes a reset one."""
    return {}


def _left(host: Host) -> Any:
    """What a test may leave behind: firewalld's files and runtime, the kernel's tables, units, interfaces, marks."""
    left = "cat /proc/sys/net/ipv4/ip_forward; ls /var/lib/netports-apple/pending.json /run/netports-stop; ip -o link; ip netns"
    units = "systemctl is-enabled firewalld; systemctl is-active firewalld dbus; systemctl --failed --no-legend"
    found = host.run(["sh", "-c", f"{{ {left}; {units}; }} 2>/dev/null"], check=False).out
    # A zone that no interface and no source leads to is not in the kernel.
    loaded = runtime(host) if "\nactive\nactive\n" in found else None
    return host.files("/etc/firewalld"), sorted(host.kernel().splitlines()), found, loaded


@pytest.fixture
def host(request: pytest.FixtureRequest, lab: Lab, pool: Pool, make_host: MakeHost) -> Iterator[Host]:
    """A host of the suite and firewall that the mark `hosts` names: fresh, or reset to be as a fresh one is."""
    suite, firewall, reset = request.param
    if not reset:
        yield make_host(suite, firewall)
        return
    if (suite, firewall) not in pool:
        fresh = lab.start(suite, firewall)
        fresh.run(["cp", "-a", "/etc/firewalld", "/var/tmp/firewalld"])
        pool[suite, firewall] = fresh, _left(fresh)
    host, before = pool.pop((suite, firewall))
    failures = request.session.testsfailed
    yield host
    if request.session.testsfailed == failures:
        if _left(host) != before:
            # systemd refuses a unit that starts too often, as it does on a fast machine.
            host.sh("rm -rf /etc/firewalld; cp -a /var/tmp/firewalld /etc/firewalld; systemctl reset-failed firewalld")
            host.run(["systemctl", "restart", "firewalld"])
            cmd(host, "--state")
        if _left(host) == before:
            pool[suite, firewall] = host, before
            return
    lab.stop(host)


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
    kind: tuple[str, str] = request.param[:2]
    host = _pool.pop(kind, None) or make_module_host(*kind)
    before = state(host)
    yield host
    assert module(host, state="deleted")[0] == 0
    assert state(host) == before
    _pool[kind] = host


@pytest.fixture(scope="session")
def peer(lab: Lab) -> Host:
    """A second host without a firewall, from which to probe; shared, so leave it as it is."""
    return lab.start("bookworm")
