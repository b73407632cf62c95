# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make try`: what it takes, what it expects of each port, and what it says. tests/integration has it on real hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trial
import trial_ports
from trial_ports import Attempt

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from hosts import HostsError
from hosts import host as test_hosts

ROOT = Path(__file__).resolve().parents[3]
PLACES = {"local network": ("10.0.0.2", "fd00::2"), "outside": ("203.0.113.9", "2001:db8::9")}


def rule(name: str, direction: str = "in", **more: Any) -> Rule:
    return Rule.from_dict({"name": name, "direction": direction, "tcp": [], "udp": [], **more})


FACETIME = [rule("FaceTime", udp=["3478-3497"]), rule("FaceTime", "out", tcp=["443"], udp=["3478-3497"])]
AIRPLAY = [rule("AirPlay", tcp=["554"], sources=["10.0.0.0/8", "fd00::/8"])]


# --- What it takes ----------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    assert trial.request({}) == trial.request({"PRODUCTS": " , ", "FIREWALL": "", "KEEP": "no"})
    assert trial.request({}) == trial.Request(products=("FaceTime", "AirPlay"), firewall="ufw", keep=False)


def test_what_is_asked_for() -> None:
    asked = trial.request({"PRODUCTS": "airplay,  Screen Sharing ,", "FIREWALL": "FirewallD", "KEEP": "yes"})
    assert asked == trial.Request(products=("airplay", "Screen Sharing"), firewall="firewalld", keep=True)
    assert asked.variables == {
        "host_firewall_products": ["airplay", "Screen Sharing"],
        "host_firewall_backend": "firewalld",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"PRODUCTS": "FaceTime, FaceTme"}, "'FaceTme' is not a product of the catalogue: did you mean 'FaceTime'?"),
        ({"PRODUCTS": "iTunes"}, "'iTunes' may be any of"),
        ({"PRODUCTS": "$(reboot); {{ 1 }}"}, r"'\$\(reboot\); {{ 1 }}' is not a product"),
        (
            {"FIREWALL": "pf"},
            "FIREWALL: 'pf' is not a firewall of the throwaway hosts: give ufw, firewalld or nftables",
        ),
    ],
)
def test_what_is_not_known_is_refused(
    given: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(trial.NotUnderstood, match=message):
        trial.request(given)
    for name in ("PRODUCTS", "FIREWALL"):
        monkeypatch.setenv(name, given.get(name, ""))
    assert trial.main() == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("make try: ") and captured.err.count("\n") == 1


def test_words_of_make_apply_are_named_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial.unknown({"PRODUCTS": "FaceTime", "FIREWALL": "ufw", "KEEP": "yes", "SIDE": " "}) == []
    for name, value in (("SERVICES", "ldaps"), ("DIRECTIONS", "forward"), ("CHECK", "yes")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("apply.render", lambda *_rules: 0)
    monkeypatch.setenv("PRODUCTS", "FaceTime")
    assert trial.main() == 1
    said = capsys.readouterr().out
    assert (
        said.count("only make apply knows SERVICES, DIRECTIONS, CHECK: make try takes PRODUCTS, FIREWALL and KEEP") == 1
    )


def test_there_is_a_host_with_each_firewall() -> None:
    assert set(trial.FIREWALLS) <= set(test_hosts.FIREWALLS)


# --- The ports --------------------------------------------------------------------------------------------------------


def expected(rules: list[Rule]) -> dict[tuple[str, str], str]:
    """Of each port and place, what is expected."""
    return {
        (f"{attempt.port}/{attempt.protocol}", place): attempt.expected
        for attempt in trial_ports.attempts(rules, PLACES)
        for place in attempt.places
    }


def test_ends_of_ranges_are_open_and_what_is_beside_them_is_shut() -> None:
    found = expected(FACETIME)
    for place in PLACES:
        assert {port: state for (port, where), state in found.items() if where == place} == {
            "22/tcp": "open",
            "3478/udp": "open",
            "3497/udp": "open",
            "3477/udp": "shut",
            "3498/udp": "shut",
            "443/tcp": "shut",
        }


def test_a_local_port_is_shut_for_a_stranger() -> None:
    found = expected(AIRPLAY)
    assert found["554/tcp", "local network"] == "open" and found["554/tcp", "outside"] == "shut"
    assert found["555/tcp", "outside"] == found["555/tcp", "local network"] == "shut"


def test_what_another_product_opens_is_not_expected_to_be_shut() -> None:
    other = rule("Other", udp=["3498"], tcp=["443"], sources=["10.0.0.0/8", "fd00::/8"])
    found = expected([*FACETIME, other])
    assert found["3498/udp", "local network"] == found["443/tcp", "local network"] == "open"
    assert found["3498/udp", "outside"] == found["443/tcp", "outside"] == "shut"


def test_a_place_of_which_one_address_alone_is_admitted_says_nothing() -> None:
    found = expected([rule("X", tcp=["554"], sources=["10.0.0.0/8"])])
    assert ("554/tcp", "local network") not in found and found["554/tcp", "outside"] == "shut"


def test_the_last_port_has_none_beside_it() -> None:
    assert set(expected([rule("X", tcp=["65535"])])) == {
        (port, place) for port in ("22/tcp", "65535/tcp", "65534/tcp") for place in PLACES
    }


def test_a_product_that_opens_the_port_of_ssh() -> None:
    assert expected([rule("X", tcp=["22"], sources=["10.0.0.0/8"])])["22/tcp", "outside"] == "open"


def test_no_port_is_tried_twice() -> None:
    keys = [
        (attempt.protocol, attempt.port, place)
        for attempt in trial_ports.attempts([*FACETIME, *AIRPLAY, *FACETIME], PLACES)
        for place in attempt.places
    ]
    assert len(keys) == len(set(keys))


# --- The table --------------------------------------------------------------------------------------------------------


def seen(rules: list[Rule], odd: dict[tuple[str, int], str]) -> list[Attempt]:
    """Attempts that went as expected, but for the states that ``odd`` has of an address and port."""
    wanted = trial_ports.attempts(rules, PLACES)
    inbound = [rule for rule in rules if rule.direction == "in"]
    answers = {}
    for protocol, port in {(attempt.protocol, attempt.port) for attempt in wanted}:
        for address in (address for own in PLACES.values() for address in own):
            admitted = trial_ports.admits(inbound, protocol, port, address)
            answers[address, protocol, port] = odd.get((address, port), "open" if admitted else "filtered")
    return trial_ports.judged(wanted, PLACES, answers)


def test_a_table() -> None:
    done = seen([*FACETIME, *AIRPLAY], {})
    assert trial_ports.wrong(done) == []
    assert trial_ports.table(done, list(PLACES)) == [
        "port      from           expected  seen  why",
        "22/tcp    anywhere       open      open  ssh, as before",
        "3478/udp  anywhere       open      open  FaceTime",
        "3497/udp  anywhere       open      open  FaceTime",
        "554/tcp   local network  open      open  AirPlay",
        "554/tcp   outside        shut      shut  AirPlay is for local networks",
        "3498/udp  anywhere       shut      shut  beside FaceTime's 3478-3497",
        "3477/udp  anywhere       shut      shut  beside FaceTime's 3478-3497",
        "555/tcp   anywhere       shut      shut  beside AirPlay's 554",
        "553/tcp   anywhere       shut      shut  beside AirPlay's 554",
        "443/tcp   anywhere       shut      shut  FaceTime only connects to it",
    ]


@pytest.mark.parametrize(
    ("address", "port", "state", "words"),
    [
        ("203.0.113.9", 554, "open", "open and shut"),
        ("fd00::2", 3478, "filtered", "open and shut"),
        ("10.0.0.2", 3478, "closed", "open and let through"),
    ],
)
def test_one_address_that_sees_otherwise_is_seen(address: str, port: int, state: str, words: str) -> None:
    done = seen([*FACETIME, *AIRPLAY], {(address, port): state})
    (odd,) = trial_ports.wrong(done)
    assert (odd.port, odd.seen) == (port, words)
    (line,) = [line for line in trial_ports.table(done, list(PLACES)) if "not as expected" in line]
    assert line.startswith(f"{port}/") and words in line


def test_a_long_table_is_cut_and_still_has_all_that_is_wrong() -> None:
    many = [rule(f"Product {number}", tcp=[str(1000 + 10 * number)]) for number in range(30)]
    done = seen(many, {})
    lines = trial_ports.table(done, list(PLACES))
    assert len(lines) == 1 + trial_ports.SHOWN + 1
    assert lines[-1] == f"and {len(done) - trial_ports.SHOWN} more, as expected"
    none = seen(many, {(address, 1000 + 10 * number): "filtered" for number in range(30) for address in ("10.0.0.2",)})
    assert sum("not as expected" in line for line in trial_ports.table(none, list(PLACES))) == 30


def test_a_host_that_answers_late_is_asked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    local, public = PLACES["local network"], PLACES["outside"]
    host: Any = SimpleNamespace(address4=local[0], address6=local[1], public=public)
    inbound = [rule for rule in FACETIME if rule.direction == "in"]
    waits = []

    def knock(_host: Any, _peer: Any, ports: Any, addresses: Any, patience: float) -> dict[Any, str]:
        waits.append(patience)
        late = len(waits) > 1
        return {
            (address, of, port): "open" if late and trial_ports.admits(inbound, of, port, address) else "filtered"
            for address in addresses
            for of, port in ports
        }

    monkeypatch.setattr(trial, "listen", lambda *_arguments: nullcontext())
    monkeypatch.setattr(trial, "knock", knock)
    done, _places = trial.try_ports(host, host, FACETIME)
    assert trial_ports.wrong(done) == [] and waits == sorted({*waits}) and len(waits) == 2


# --- What it says -----------------------------------------------------------------------------------------------------


def test_a_step_says_how_long_it_has_been(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1012.9)
    with trial.Progress(1000.0).step("Starting"):
        assert capsys.readouterr().out == "[  12 s] Starting\n"


def test_where_hosts_cannot_be_had_the_rules_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    asked = trial.request({"PRODUCTS": "AirPlay", "FIREWALL": "ufw"})
    assert trial.instead(asked, HostsError("first\npodman run failed (126): not permitted.")) == 1
    captured = capfd.readouterr()
    first, *rest = captured.out.splitlines()
    assert first == ("Nothing was tried: podman run failed (126): not permitted. For ufw, the rules of AirPlay are:")
    assert "ports=554,3689/tcp|554,5353/udp" in rest and captured.err.startswith("first\n")


def test_hosts_go_also_where_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lent:
        def __init__(self) -> None:
            self.hosts = ["a host"]

        def close(self) -> None:
            self.hosts = []

    lab: Any = Lent()
    monkeypatch.setattr(trial, "ignore", lambda: None)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        with pytest.raises(BrokenPipeError), trial.removing(trial.Progress(0), lab):
            pass
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
    assert lab.hosts == []


def test_without_root_nothing_is_started(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(trial, "prepare", lambda progress: pytest.fail("something was started"))
    assert trial.on_hosts(trial.Progress(0), trial.request({})) == 1
    assert "Nothing was tried: the throwaway hosts are containers, which only root can start" in capfd.readouterr().out


def test_what_is_typed_reaches_the_program_as_it_is(tmp_path: Path) -> None:
    """Neither make nor a shell expands it, and the program finds its modules by the paths that make gives it alone."""
    typed = f"$(shell touch {tmp_path}/made)`touch {tmp_path}/made`\"'"
    shown = subprocess.run(
        ["make", "--eval", "show: ; @env", "show", f"FIREWALL={typed}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"FIREWALL={typed}" in shown.stdout.splitlines()
    (path,) = re.findall(r"PYTHONPATH=(\S+) \$\(RUN\)/python tools/trial.py", (ROOT / "Makefile").read_text())
    done = subprocess.run(
        [sys.executable, "tools/trial.py"],
        env={**os.environ, "PYTHONPATH": path, "FIREWALL": typed},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"make try: FIREWALL: {typed!r} is not a firewall of the throwaway hosts: give ufw, firewalld or nftables\n"
    )
    assert list(tmp_path.iterdir()) == []
