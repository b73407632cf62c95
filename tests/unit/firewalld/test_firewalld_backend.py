# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewalld backend against a firewalld of a hundred lines: what real hosts do not do on demand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Plan,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import bus, xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import BusError, Signal
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.firewall import Firewalld
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.naming import allocate
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.read import read
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.zones import interface_to
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

PUBLIC = """<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>Public</short>
  <service name="ssh"/>
</zone>
"""
SSH = '<service><short>SSH</short><port port="22" protocol="tcp"/></service>\n'
WANTS = "etc/systemd/system/multi-user.target.wants/firewalld.service"
UNKNOWN = "org.freedesktop.DBus.Error.UnknownMethod"


def rule(name: str = "FaceTime", direction: str = "in", **more: Any) -> Rule:
    """A rule with a port."""
    return Rule.from_dict({"name": name, "direction": direction, "tcp": ["443"], **more})


class Daemon:
    """A firewalld on a bus: it loads what is below a root, and keeps it until the next reload."""

    def __init__(self, root: Path, old: bool = False) -> None:
        self.root, self.old = root, old
        self.calls = self.reloads = 0
        # Whether new connections are refused by a table of our own.
        self.shut = False
        self.fail: dict[str, str] = {}
        self.log: list[str] = []
        self.state, self.version = "RUNNING", "2.3.1"
        self.zones, self.policies, self.services = self._load()
        # What it remembers of its files, where that is older than they are.
        self.memory: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None = None
        self.asked: list[str] = []
        # What it told everybody since the backend listens, and what others do right before a call is answered.
        self.heard: list[Signal] = []
        self.before: dict[str, Callable[[], None]] = {}

    def _tell(self, interface: str, member: str, *values: Any) -> None:
        self.heard.append(Signal("org.fedoraproject.FirewallD1" + interface, member, values))

    def _files(self, kind: str) -> dict[str, str]:
        found = {}
        for folder in ("usr/lib/firewalld", "etc/firewalld"):
            for path in sorted((self.root / folder / kind).glob("*.xml")):
                found[path.stem] = path.read_text()
        return found

    def _load(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        zones: dict[str, Any] = {}
        for name, text in self._files("zones").items():
            zone = xml.parse_zone(text)
            plain = [item.service for item in zone.attachments if item.plain]
            rich = [item.text() for item in zone.attachments if not item.plain]
            ports = list(zone.filter.ports)
            zones[name] = {"services": plain, "rules_str": rich, "ports": ports, "target": zone.filter.target}
            zones[name].update(interfaces=list(zone.interfaces), sources=list(zone.sources), masquerade=False)
        policies: dict[str, Any] = {}
        for name, text in self._files("policies").items():
            one = xml.parse_policy(text)
            policies[name] = {"short": one.short, "description": one.description, "target": one.target}
            policies[name].update(priority=one.priority, ingress_zones=list(one.ingress), egress_zones=list(one.egress))
            policies[name]["services"] = [item.text() for item in one.attachments if not item.text().startswith("rule")]
            policies[name]["rich_rules"] = [item.text() for item in one.attachments if item.text().startswith("rule")]
        services: dict[str, Any] = {}
        for name, text in self._files("services").items():
            service = xml.parse_service(text)
            services[name] = {"short": service.short, "description": service.description, "ports": list(service.ports)}
            services[name].update(protocols=list(service.protocols), includes=list(service.includes))
        return zones, policies, services

    def has_owner(self, name: str) -> bool:
        return name == "org.fedoraproject.FirewallD1" and self.state != "gone"

    def call(self, _to: str, path: str, interface: str, member: str, _signature: str = "", *given: Any) -> Any:
        self.calls += 1
        self.before.pop(member, lambda: None)()
        if member in self.fail:
            raise BusError("org.fedoraproject.FirewallD1.Exception", self.fail[member])
        if self.old and (member.endswith("2") or "policy" in interface or "olicies" in member):
            raise BusError(UNKNOWN, member)
        if not member.startswith(("get", "list", "Get", "query")):
            self.log.append(member)
        known = getattr(self, f"_{member}", None)
        if known is None:
            raise BusError(UNKNOWN, member)
        return known(path, *given)

    def _Get(self, path: str, interface: str, name: str) -> Any:
        return {"state": self.state, "version": self.version}.get(name) or path.rpartition("/")[2]

    def _reload(self, _path: str) -> None:
        assert self.shut, "what is there at runtime only is missing until it is brought back"
        self.reloads += 1
        self.state, self.version = "RUNNING", "2.3.1"
        self.zones, self.policies, self.services = self._load()
        self.memory = None
        self._tell("", "Reloaded")

    def _queryPanicMode(self, _path: str) -> bool:
        return False

    def _remembered(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return self.memory or self._load()

    def _listServices(self, _path: str) -> list[str]:
        return list(self.services)

    def _getServiceSettings2(self, _path: str, name: str) -> dict[str, Any]:
        return dict(self.services[name])

    def _getServiceSettings(self, _path: str, name: str) -> tuple[Any, ...]:
        one = self.services[name]
        return ("", one["short"], one["description"], one["ports"], [], {}, [], [])

    def _getZones(self, _path: str) -> list[str]:
        return list(self.zones)

    def _getZoneSettings2(self, _path: str, name: str) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, list) else value for key, value in self.zones[name].items()}

    def _getZoneSettings(self, _path: str, name: str) -> tuple[Any, ...]:
        one = self.zones[name]
        return ("", "", "", False, one["target"], one["services"], one["ports"], [], False, [], one["interfaces"],
                one["sources"], one["rules_str"], [], [], False)  # fmt: skip

    def _getPolicies(self, _path: str) -> list[str]:
        return list(self.policies)

    def _getPolicySettings(self, _path: str, name: str) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, list) else value for key, value in self.policies[name].items()}

    def _setPolicySettings(self, _path: str, name: str, settings: dict[str, Any]) -> None:
        plain = {key: variant.value for key, variant in settings.items()}
        self.policies[name].update(plain)
        self._tell(".policy", "PolicyUpdated", name, plain)

    def _listZones(self, _path: str) -> list[str]:
        return [f"/zone/{name}" for name in self._remembered()[0]]

    def _listPolicies(self, _path: str) -> list[str]:
        return [f"/policy/{name}" for name in self._remembered()[1]]

    def _getServiceByName(self, _path: str, name: str) -> str:
        self.asked.append(name)
        if name not in self._remembered()[2]:
            raise BusError("org.fedoraproject.FirewallD1.Exception", f"INVALID_SERVICE: {name}")
        return f"/service/{name}"

    def _getSettings2(self, path: str) -> dict[str, Any]:
        _root, kind, name = path.split("/")
        return dict(self._remembered()[0 if kind == "zone" else 2][name])

    def _getSettings(self, path: str) -> Any:
        if path.endswith("/config"):
            return ([], [], [])
        _root, kind, name = path.split("/")
        if kind == "policy":
            return dict(self._remembered()[1][name])
        return self._getServiceSettings(path, name) if kind == "service" else self._getZoneSettings(path, name)

    def _change(self, zone: str, key: str, value: Any, there: bool) -> None:
        values = self.zones[zone][key]
        if (value in values) == there:
            raise BusError(
                "org.fedoraproject.FirewallD1.Exception", "ALREADY_ENABLED: x" if there else "NOT_ENABLED: x"
            )
        (values.append if there else values.remove)(value)
        word = {"services": "Service", "rules_str": "RichRule", "ports": "Port"}[key]
        item = value if isinstance(value, tuple) else (value,)
        self._tell(".zone", word + ("Added" if there else "Removed"), zone, *item, *([0] if there else []))

    def _addService(self, _path: str, zone: str, name: str, _timeout: int) -> None:
        self._change(zone, "services", name, True)

    def _removeService(self, _path: str, zone: str, name: str) -> None:
        self._change(zone, "services", name, False)

    def _addRichRule(self, _path: str, zone: str, text: str, _timeout: int) -> None:
        self._change(zone, "rules_str", text, True)

    def _removeRichRule(self, _path: str, zone: str, text: str) -> None:
        self._change(zone, "rules_str", text, False)

    def _addPort(self, _path: str, zone: str, port: str, kind: str, _timeout: int) -> None:
        self._change(zone, "ports", (port, kind), True)

    def _removePort(self, _path: str, zone: str, port: str, kind: str) -> None:
        self._change(zone, "ports", (port, kind), False)


class Line:
    """A connection to the bus of a box, whichever daemon is on it."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.forgotten = False

    def forget(self) -> None:
        self.forgotten = True

    def has_owner(self, name: str) -> bool:
        assert not self.forgotten
        return self.box.daemon is not None and self.box.daemon.has_owner(name)

    @property
    def heard(self) -> list[Signal]:
        assert self.box.daemon
        return self.box.daemon.heard

    def listen(self, _name: str, _path: str) -> None:
        self.heard.clear()

    def call(self, *given: Any) -> Any:
        assert not self.forgotten and self.box.daemon
        return self.box.daemon.call(*given)


class Box:
    """A root folder with firewalld's files on it, a daemon, and the processes that were started."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.argv: list[list[str]] = []
        self.answer = (0, "", "")
        self.kernel: str | None = "table inet firewalld"  # what nft lists; None: firewalld's chains are not there
        self.stuck = 0  # how often nft fails to take the table away that refuses new connections
        for folder in ("zones", "services", "policies"):
            (root / "usr/lib/firewalld" / folder).mkdir(parents=True)
            (root / "etc/firewalld" / folder).mkdir(parents=True)
        (root / "usr/sbin").mkdir(parents=True)
        (root / "usr/sbin/firewalld").touch()
        self.write("usr/lib/firewalld/zones/public.xml", PUBLIC)
        self.write("usr/lib/firewalld/zones/home.xml", PUBLIC.replace("Public", "Home"))
        self.write("usr/lib/firewalld/services/ssh.xml", SSH)
        self.daemon: Daemon | None = None
        self.lines: list[Line] = []

    def connect(self) -> Line:
        self.lines.append(Line(self))
        return self.lines[-1]

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def start(self, old: bool = False) -> Daemon:
        self.daemon = Daemon(self.root, old)
        return self.daemon

    def firewall(self) -> Firewalld:
        def run(argv: list[str], stdin: str | None) -> tuple[int, str, str]:
            if argv[0] == "nft":
                assert self.daemon
                opens = argv[1] == "delete" or bool(
                    stdin and "\ndelete table inet netports_closed\n" in stdin[1:] and "drop" not in stdin
                )
                if opens and self.stuck:
                    self.stuck -= 1
                    return 1, "", "Error: Could not process rule: Device or resource busy"
                if stdin and "filter_INPUT" in stdin and self.kernel is None:
                    return 1, "", "Error: No such file or directory"
                if opens or (stdin and "drop" in stdin):
                    assert self.daemon.shut == opens
                    self.daemon.shut = not opens
                return 0, self.kernel or "", ""
            assert stdin is None
            self.argv.append(argv)
            if argv[0] == "systemctl" and not self.answer[0]:
                self.systemctl(argv)
            return self.answer

        return Firewalld(Host(run=run, root=str(self.root)))

    def systemctl(self, argv: list[str]) -> None:
        if {"--now", "start"} & set(argv) and "disable" not in argv:
            self.start()
        elif self.daemon and {"--now", "stop"} & set(argv):
            self.daemon.state = "gone"
        wants = self.root / WANTS
        if "enable" in argv:
            wants.parent.mkdir(parents=True, exist_ok=True)
            wants.symlink_to("/usr/lib/systemd/system/firewalld.service")
        elif "disable" in argv:
            wants.unlink()

    def read(self, **asked: Any) -> State:
        return self.firewall().read(Asked(**{"ruleset": "apple", **asked}))

    def plan(self, *rules: Rule, guards: tuple[Rule, ...] = (), **asked: Any) -> Plan:
        return self.read(**asked).plan(Wanted(rules=rules, guards=guards))

    def apply(self, *rules: Rule, **asked: Any) -> Plan:
        plan = self.plan(*rules, **asked)
        plan.apply()
        return plan

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.root)): path.read_text() for path in self.root.rglob("*.xml")}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A fresh host. Its daemon is the one on every bus."""
    made = Box(tmp_path)
    monkeypatch.setattr(bus, "connect", lambda _root: made.connect())
    return made


def texts(plan: Plan) -> list[str]:
    """What a plan says to people."""
    return [notice.text for notice in plan.notices]


def steps(plan: Plan) -> list[dict[str, Any]]:
    """The operations of a plan as a run returns them."""
    return [operation.to_dict() for operation in plan.operations]


RULES = (
    rule(sources=["10.0.0.0/8", "fe80::/10"]),
    rule("FaceTime", "out"),
    rule("AirPlay", udp=["5353"]),
    rule("FaceTime", "forward", sources=["10.0.0.0/8"], destinations=["192.0.2.7"]),
)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_there_and_back(box: Box, running: bool, old: bool) -> None:
    if old:
        (box.root / "usr/lib/firewalld/policies").rmdir()
    files = box.files()
    if running:
        box.start(old)
    wanted = [one for one in RULES if not old or one.direction == "in"]
    first = box.apply(*RULES)
    assert [step["action"] for step in steps(first)] == ["add"] * len(wanted)
    assert box.argv == [["firewall-offline-cmd", "--check-config"]]
    assert any("no policies" in one for one in texts(first)) == old
    have = box.read()
    assert sorted(have.rules) == sorted(wanted) and have.active == running
    again = box.plan(*RULES)
    assert again.operations == () and again.before == again.after == first.after
    assert again.files == () and not again.live
    if box.daemon:
        assert box.daemon.reloads == 1 and box.daemon.log == ["reload"]
        assert "apple-airplay" in box.daemon.zones["public"]["services"]
    # Files that are written by hand and read by many stay readable, and the folder of ours alone goes.
    box.apply()
    assert box.files() == files


def test_what_a_run_asks_of_firewalld(box: Box) -> None:
    """Calls on D-Bus, without those to the bus itself. A zone, a policy or a rule more costs what is said here."""
    daemon = box.start()

    def calls(*rules: Rule, changes: bool) -> int:
        daemon.calls = 0
        plan = box.plan(*rules)
        if changes:
            plan.apply()
        assert bool(plan.operations) == changes
        return daemon.calls

    many = [rule(f"R{number}") for number in range(10)]
    # Read; and for a change look, reload, look at what to bring back, and look at what is loaded.
    first, second = calls(rule(), changes=True), calls(rule(), changes=False)
    assert (first, second) == (52, 22)
    assert calls(rule(), *many, changes=True) - first == len(many) + 1
    assert calls(rule(), *many, changes=False) - second == len(many)
    for number in range(3):
        box.write(f"etc/firewalld/zones/z{number}.xml", "<zone/>")
        box.write(f"usr/lib/firewalld/services/s{number}.xml", SSH)
    daemon = box.start()
    assert calls(rule(), *many, changes=False) - second == len(many) + 3 * 3
    assert calls(rule(), changes=True) - first == 6 * 3 + len(many) + 1


def test_a_name_keeps_its_service(box: Box) -> None:
    box.apply(rule(), rule(sources=["10.0.0.0/8"]))
    assert (box.root / "etc/firewalld/services/apple-facetime-2.xml").exists()
    box.apply(rule(sources=["10.0.0.0/8"]))
    assert not (box.root / "etc/firewalld/services/apple-facetime.xml").exists()
    change = box.apply(rule(sources=["192.0.2.0/24"]))
    assert [item.path for item in change.files] == [str(box.root / "etc/firewalld/zones/public.xml")]
    assert 'name="apple-facetime-2"' in (box.root / "etc/firewalld/zones/public.xml").read_text()


@given(st.lists(st.sampled_from(["A", "a", "A+", "A plus", "A out", "B"]), unique=True, min_size=1))
def test_no_two_rules_share_a_service(names: list[str]) -> None:
    rules = [rule(name, side) for name in names for side in ("in", "out")]
    given_names = allocate(rules, "apple", {}, frozenset({"apple-a", "apple-b-out"}))
    assert len(set(given_names.values())) == len(rules) and not {"apple-a", "apple-b-out"} & set(given_names.values())
    assert allocate(list(reversed(rules)), "apple", given_names, frozenset()) == given_names


def test_networks_that_can_match_nothing_do_not_change_for_ever(box: Box) -> None:
    one = rule(sources=["10.0.0.0/8", "fe80::/10"], destinations=["192.0.2.1"])
    assert box.apply(one).operations
    assert box.plan(one).operations == ()


def test_a_refusal_changes_nothing(box: Box) -> None:
    daemon = box.start()
    files, box.answer = box.files(), (102, "", "ERROR: x\nConfiguration error: INVALID_PORT: y\n")
    with pytest.raises(FirewallError, match=r"refuses .*INVALID_PORT: y.*nothing was changed"):
        box.apply(*RULES)
    assert box.files() == files and daemon.log == []


def test_a_reload_that_fails_is_undone(box: Box) -> None:
    daemon = box.start()
    box.apply(rule())
    daemon._addPort("", "public", "7001", "tcp", 0)
    files, zones = box.files(), daemon._getZoneSettings2("", "public")
    daemon.log.clear()
    for member, why in (("reload", "COMMAND_FAILED: no"), ("addPort", "INVALID_PORT: gone")):
        daemon.fail[member] = why
        plan = box.plan(*RULES)
        with pytest.raises(FirewallError, match=f"not all could be put back .*{why}"):
            plan.apply()
        # New services stay until firewalld has loaded files that do not name them: the keeper takes them away.
        assert {
            path: text for path, text in box.files().items() if "services/apple-" not in path or path in files
        } == files
        plan.rollback()
        assert box.files() == files
        del daemon.fail[member]
    daemon._addPort("", "public", "7001", "tcp", 0)
    assert daemon._getZoneSettings2("", "public") == zones
    assert box.apply(*RULES).operations and ("7001", "tcp") in daemon.zones["public"]["ports"]


@pytest.mark.parametrize("way", ["apply", "failure", "rollback"])
def test_what_others_change_meanwhile_stays(box: Box, way: str) -> None:
    daemon = box.start()
    for port in ("7001", "7011", "7021"):
        daemon._addPort("", "public", port, "tcp", 0)

    def at_the_reload() -> None:
        daemon._removePort("", "public", "7001", "tcp")
        daemon._addPort("", "public", "7031", "tcp", 0)

    def while_it_is_brought_back() -> None:
        # Another's change comes before ours to the same port.
        daemon._addPort("", "public", "7031", "tcp", 0)
        daemon._removePort("", "public", "7031", "tcp")
        daemon._addPort("", "public", "7041", "tcp", 0)

    plan = box.plan(*RULES)
    if way == "rollback":
        plan.load()
    daemon.before = {"reload": at_the_reload, "addPort": while_it_is_brought_back}
    if way == "failure":
        box.kernel = None
        with pytest.raises(FirewallError, match="does not filter after its reload"):
            plan.apply()
    elif way == "apply":
        plan.apply()
    else:
        plan.rollback()
    assert not daemon.before
    assert {port for port, _protocol in daemon.zones["public"]["ports"]} == {"7011", "7021", "7041"}
    assert ("apple-airplay" in daemon.zones["public"]["services"]) == (way == "apply")


def test_a_reload_of_somebody_elses_does_what_it_does(box: Box) -> None:
    daemon = box.start()
    daemon._addPort("", "public", "7001", "tcp", 0)

    def reloads() -> None:
        daemon.zones["public"]["ports"] = []
        daemon._tell("", "Reloaded")
        daemon._addPort("", "public", "7011", "tcp", 0)

    daemon.before = {"reload": reloads}
    box.apply(*RULES)
    assert daemon.zones["public"]["ports"] == [("7011", "tcp")]


@pytest.mark.parametrize("kernel", [None, "table inet firewalld_policy_drop"])
def test_a_reload_is_believed_when_the_kernel_shows_it(box: Box, kernel: str | None) -> None:
    box.start()
    files = box.files()
    plan = box.plan(*RULES)
    box.kernel, good = kernel, box.kernel
    with pytest.raises(FirewallError, match="does not filter after its reload .*not all could be put back"):
        plan.apply()
    with pytest.raises(FirewallError, match="has not loaded its old configuration"):
        plan.rollback()
    assert (box.root / "run/netports-apple-firewalld").exists() and box.daemon and not box.daemon.shut
    # Nobody undoes it any more: the next run does not take the loaded rules for good.
    box.kernel = good
    assert box.plan(*RULES).live and {step["action"] for step in steps(box.plan())} == {"mend"}
    plan.rollback()
    assert box.files() == files and not (box.root / "run/netports-apple-firewalld").exists()
    assert box.plan().operations == ()
    (box.root / "run/netports-apple-firewalld").touch()
    assert steps(box.apply()) == [{"action": "mend", "what": "what an interrupted reload left loaded", "rules": []}]
    assert box.plan().operations == ()


def test_a_zone_that_firewalld_wrote_itself_is_put_back(box: Box) -> None:
    box.start()
    plan = box.plan(*RULES)
    box.kernel, good = None, box.kernel
    files = box.files()
    with pytest.raises(FirewallError):
        plan.apply()
    # It remembers the zone with our service, and has an order of its own.
    zone = PUBLIC.replace("  <short>", '  <service name="apple-airplay"/>\n  <short>')
    box.write("etc/firewalld/zones/public.xml", zone)
    box.kernel = good
    plan.rollback()
    assert box.files() == files
    box.write("etc/firewalld/zones/public.xml", zone.replace("</zone>", "<masquerade/></zone>"))
    plan.rollback()
    assert box.files().keys() - files.keys() == {"etc/firewalld/zones/public.xml"}
    assert "<masquerade/>" in box.files()["etc/firewalld/zones/public.xml"] and "apple" not in str(box.files())


def test_the_gate_is_opened_at_the_second_try(box: Box) -> None:
    daemon = box.start()
    box.stuck = 1
    assert box.apply(*RULES).operations and box.stuck == 0 and not daemon.shut


def test_what_was_not_loaded_is_noticed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = box.start()
    files = box.files()
    load = daemon._load

    def forget() -> Any:
        zones, policies, services = load()
        return zones, policies, {name: one for name, one in services.items() if name != "apple-airplay"}

    monkeypatch.setattr(daemon, "_load", forget)
    with pytest.raises(FirewallError, match=r"has not loaded .*apple-airplay missing.*everything is as it was"):
        box.apply(*RULES)
    assert box.files() == files and "apple-airplay" not in daemon.zones["public"]["services"]


def test_somebody_else_writes_meanwhile(box: Box) -> None:
    change = box.plan(*RULES)
    box.write("etc/firewalld/zones/public.xml", PUBLIC)
    with pytest.raises(FirewallError, match="by somebody else"):
        change.apply()
    assert not list((box.root / "etc/firewalld/services").iterdir())


def test_runtime_drift_needs_no_reload(box: Box) -> None:
    daemon = box.start()
    box.apply(*RULES)
    daemon._removeService("", "public", "apple-airplay")
    daemon._addService("", "home", "apple-airplay", 0)
    daemon.policies["apple-out"]["services"] = []
    change = box.apply(*RULES)
    assert daemon.reloads == 1 and [step["action"] for step in steps(change)] == ["mend"] * 3
    assert change.before != change.after and "at runtime" in change.before
    assert box.plan(*RULES).operations == () and "apple-airplay" not in daemon.zones["home"]["services"]


def test_a_definition_that_is_wide_at_runtime_only(box: Box) -> None:
    daemon = box.start()
    box.apply(*RULES)
    daemon.services["apple-airplay"]["ports"].append(("99", "tcp"))
    change = box.apply(*RULES)
    assert steps(change) == [
        {"action": "mend", "what": "service apple-airplay differs at runtime", "rules": ["AirPlay"]}
    ]
    assert change.files == () and daemon.reloads == 2 and "99/tcp" in change.before
    assert ("99", "tcp") not in daemon.services["apple-airplay"]["ports"]


def test_a_fork_talks_on_a_connection_of_its_own(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its descriptor has been closed there, and the number given to another file.
    box.start()
    plan = box.plan(*RULES)
    assert len(box.lines) == 1
    monkeypatch.setattr(os, "getpid", lambda: -1)
    plan.rollback()
    assert [line.forgotten for line in box.lines] == [True, False]


def test_what_a_reload_would_lose_stops_it(box: Box) -> None:
    daemon = box.start()
    daemon.zones["theirs"] = dict(daemon.zones["home"])
    with pytest.raises(FirewallError, match="zone theirs is in firewalld's runtime"):
        box.plan(*RULES)
    assert box.plan().operations == ()


def test_pending_changes_are_said(box: Box) -> None:
    box.start()
    box.write("etc/firewalld/zones/home.xml", '<zone target="DROP"><port port="1" protocol="tcp"/></zone>')
    box.write("etc/firewalld/policies/new.xml", '<policy target="DROP"><ingress-zone name="HOST"/></policy>')
    box.write("etc/firewalld/services/ssh.xml", SSH.replace("22", "2222"))
    said = " ".join(texts(box.plan(*RULES)))
    assert "port 1/tcp not at runtime" in said and "service ssh at runtime only" in said
    assert "makes pending changes live: policy new; zone home: target; service ssh" in said


def test_failed_and_silent_daemons(box: Box) -> None:
    daemon = box.start()
    daemon.state = "FAILED"
    with pytest.raises(FirewallError, match="state FAILED"):
        box.plan()
    # With something to write, loading is tried again, and the ruins of the runtime are not brought back.
    daemon._addPort("", "public", "7001", "tcp", 0)
    box.apply(*RULES)
    assert daemon.reloads == 1 and ("7001", "tcp") not in daemon.zones["public"]["ports"]
    daemon.state = "RUNNING"
    assert box.plan(*RULES).operations == ()
    daemon.fail["getZones"] = "NOT_AUTHORIZED: x"
    with pytest.raises(FirewallError, match="NOT_AUTHORIZED"):
        box.plan()


@pytest.mark.parametrize("refused", ["the check", "the reload"])
def test_a_firewalld_that_had_failed_is_left_as_it_was(box: Box, refused: str) -> None:
    daemon = box.start()
    daemon.state = "FAILED"
    files = box.files()
    if refused == "the check":
        box.answer = (102, "", "ERROR: x\n")
    else:
        daemon.fail["reload"] = "INVALID_PORT: x"
    plan = box.plan(*RULES)
    with pytest.raises(FirewallError):
        plan.apply()
    plan.rollback()
    assert box.files() == files and daemon.reloads == 0 and not daemon.shut
    assert not (box.root / "run/netports-apple-firewalld").exists()


def test_interfaces_hold_only_where_a_zone_does(box: Box) -> None:
    one = rule(interface="eth1")
    for text, why in (
        ("<zone/>", "default zone"),
        ('<zone><interface name="eth1"/><interface name="eth2"/></zone>', "has eth2 as well"),
        ('<zone><interface name="eth1"/><source address="10.0.0.0/8"/></zone>', "the sources 10.0.0.0/8"),
    ):
        box.write("etc/firewalld/zones/lab.xml", text)
        with pytest.raises(FirewallError, match=why):
            box.plan(one)
    box.write("etc/firewalld/zones/lab.xml", '<zone><interface name="eth1"/></zone>')
    with pytest.raises(FirewallError, match="in zone lab, not in zone home"):
        box.plan(one, zone="home")
    with pytest.raises(FirewallError, match="no zone 'nowhere'"):
        box.plan(rule(), zone="nowhere")
    box.apply(one, rule("X", "out", interface="eth1"))
    assert sorted(box.read().rules) == sorted([one, rule("X", "out", interface="eth1")])
    assert 'egress-zone name="lab"' in (box.root / "etc/firewalld/policies/apple-out.xml").read_text()


def forward(name: str = "X", **more: Any) -> Rule:
    """A forward rule with a port."""
    return rule(name, "forward", **more)


def test_forward_rules_lead_from_zone_to_zone(box: Box) -> None:
    box.write("etc/firewalld/zones/inner.xml", '<zone><interface name="eth1"/></zone>')
    box.write("etc/firewalld/zones/outer.xml", '<zone><interface name="eth0"/></zone>')
    wanted = [
        forward(sources=["10.0.0.0/8"]),
        forward(interface="eth1"),
        forward(out_interface="eth0"),
        forward(interface="eth1", out_interface="eth0"),
        rule("X", "out", interface="eth0"),
        rule("X"),
    ]
    box.apply(*wanted)
    policies = {path.stem: xml.parse_policy(path.read_text()) for path in box.root.glob("etc/firewalld/policies/*.xml")}
    assert {name: (one.ingress, one.egress) for name, one in policies.items()} == {
        "apple-out": (("HOST",), ("outer",)),
        "apple-fwd": (("ANY",), ("ANY",)),
        "apple-fwd-2": (("ANY",), ("outer",)),
        "apple-fwd-3": (("inner",), ("ANY",)),
        "apple-fwd-4": (("inner",), ("outer",)),
    }
    # What is not let through is for others to decide, behind this; nothing of it is in a zone.
    assert {(one.target, one.priority) for one in policies.values()} == {("CONTINUE", -10)}
    zones = "".join(path.read_text() for path in box.root.glob("etc/firewalld/zones/*.xml"))
    assert "forward" not in zones and zones.count("apple-x") == 1
    assert sorted(box.read().rules) == sorted(wanted) and box.plan(*wanted).operations == ()
    # A policy keeps its name when others go.
    box.apply(wanted[3])
    (left,) = box.root.glob("etc/firewalld/policies/*.xml")
    assert left.stem == "apple-fwd-4" and box.read().rules == (wanted[3],)


def test_the_zone_of_forward_rules_is_where_packets_come_in(box: Box) -> None:
    box.apply(forward(), zone="home")
    text = (box.root / "etc/firewalld/policies/apple-fwd.xml").read_text()
    assert 'ingress-zone name="home"' in text and 'egress-zone name="ANY"' in text
    assert box.plan(forward(), zone="home").operations == ()
    for key in ("interface", "out_interface"):
        with pytest.raises(FirewallError, match="to interface eth9: .* default zone"):
            box.plan(forward(**{key: "eth9"}))
    with pytest.raises(FirewallError, match="no zone 'nowhere'"):
        box.plan(forward(), zone="nowhere")


def test_a_zone_is_refused_for_rules_that_come_from_two_networks(box: Box) -> None:
    one, other = ["10.1.0.0/16"], ["10.2.0.0/16"]
    both = [forward(sources=one, destinations=other), forward(sources=other, destinations=one)]
    with pytest.raises(FirewallError, match=r"zone 'home' is where .* 'X' come from both networks: leave the zone"):
        box.plan(*both, zone="home")
    box.apply(*both)
    assert sorted(box.read().rules) == sorted(both) and box.plan(*both).operations == ()
    # A single way, and a network within itself, come from one zone.
    assert box.plan(both[0], zone="home").operations
    assert box.plan(forward(sources=one, destinations=one), zone="home").operations


def test_drift_of_a_policy_is_said_beside_a_change_in_another(box: Box) -> None:
    box.start()
    box.apply(forward(), rule("Y", "out"))
    path = box.root / "etc/firewalld/policies/apple-fwd.xml"
    path.write_text(path.read_text().replace("CONTINUE", "ACCEPT"))
    change = box.plan(forward(), rule("Y", "out"), rule("Z", "out"))
    assert [step["action"] for step in steps(change)] == ["add", "mend"]
    assert steps(change)[1]["what"] == "policy apple-fwd differs"
    assert [step["action"] for step in steps(box.plan(forward(), forward("Z"), rule("Y", "out")))] == ["add"]


def test_forwarding_past_the_policies_is_said(box: Box) -> None:
    daemon = box.start()

    def said(*rules: Rule, **options: Any) -> list[str]:
        warnings = texts(box.plan(*rules, **options))
        return [one for one in warnings if "next boot" not in one and "permanent configuration differ" not in one]

    assert any("no zone has an interface" in one for one in said(forward()))
    daemon.version = "1.3.3"
    assert not any("no zone has an interface" in one for one in said(forward()))
    daemon.version = "2.3.1"
    assert not any("no zone has an interface" in one for one in said(rule("Y", "out")))
    assert any("zone home has no interface" in one for one in said(forward(), zone="home"))
    daemon.zones["home"].update(interfaces=["eth1"], forward=True)
    assert said(forward()) == said(forward(), zone="home") == []
    daemon.zones["home"]["interfaces"].append("eth2")
    assert any("zone home forwards everything between its interfaces (eth1, eth2)" in one for one in said(forward()))
    assert any("that leaves by eth1 or eth2" in one for one in said(forward(), zone="home"))
    assert not any("forwards everything" in one for one in said(forward(), zone="public"))
    assert not any("forwards everything" in one for one in said(rule("Y", "out")))
    daemon.zones["home"]["forward"] = False
    assert said(forward()) == []


def test_other_rulesets_and_administrators_are_left_alone(box: Box) -> None:
    daemon = box.start()
    box.apply(*RULES, ruleset="apple-lab")
    lab = box.files()
    box.apply(*RULES)
    box.apply()
    assert box.files() == lab
    # The other ruleset's service, gone from its file: loaded still, and still not this ruleset's.
    (box.root / "etc/firewalld/services/apple-lab-airplay.xml").unlink()
    assert box.plan().operations == () and "apple-lab-airplay" in daemon.zones["public"]["services"]
    box.write("etc/firewalld/services/apple-facetime.xml", SSH)
    box.write("etc/firewalld/policies/apple-out.xml", '<policy target="DROP"><ingress-zone name="HOST"/></policy>')
    change = box.plan(*RULES)
    written = {Path(item.path).name for item in change.files}
    assert {"apple-facetime-2.xml", "apple-out-2.xml"} <= written
    assert not {"apple-facetime.xml", "apple-out.xml"} & written


def test_a_reference_of_somebody_elses_keeps_a_service(box: Box) -> None:
    box.apply(*RULES)
    box.write("etc/firewalld/policies/theirs.xml", '<policy target="ACCEPT"><service name="apple-airplay"/></policy>')
    with pytest.raises(FirewallError, match="apple-airplay .*policy theirs still names it"):
        box.plan()
    assert [step["rule"]["name"] for step in steps(box.plan(*RULES[1:]))] == ["FaceTime"]


def test_a_wall_that_comes_first_is_said(box: Box) -> None:
    wall = '<policy target="DROP" priority="-20"><ingress-zone name="HOST"/><egress-zone name="ANY"/></policy>'
    box.write("etc/firewalld/policies/wall.xml", wall)
    assert any("policy wall refuses" in one for one in texts(box.plan(*RULES)))
    box.write("etc/firewalld/policies/wall.xml", wall.replace("-20", "-1"))
    assert not any("policy wall" in one for one in texts(box.plan(*RULES)))
    for ingress, egress, words in (
        ("HOST", "ANY", "outbound"),
        ("ANY", "home", "forwarded"),
        ("home", "ANY", "forwarded"),
        ("ANY", "HOST", "inbound"),
        ("public", "HOST", "inbound"),
        ("home", "HOST", ""),
    ):
        ends = f'<ingress-zone name="{ingress}"/><egress-zone name="{egress}"/>'
        box.write("etc/firewalld/policies/wall.xml", f'<policy target="REJECT" priority="-20">{ends}</policy>')
        said = [one.split("refuses ")[1].split()[0] for one in texts(box.plan(*RULES)) if "policy wall" in one]
        assert said == [words] * bool(words)


@pytest.mark.parametrize("running", [False, True])
def test_the_way_in(box: Box, running: bool) -> None:
    rich = '<rule family="ipv4"><source address="192.0.2.0/24"/><port port="2222" protocol="tcp"/><accept/></rule>'
    box.write("etc/firewalld/zones/home.xml", '<zone><source address="203.0.113.0/24"/></zone>')
    box.write("etc/firewalld/zones/trusted.xml", '<zone target="ACCEPT"><source address="198.51.100.0/24"/></zone>')
    box.write("etc/firewalld/zones/public.xml", PUBLIC.replace("</zone>", rich + "</zone>"))
    if running:
        daemon = box.start()
        # The small daemon reads no such rule; the real one shows it so.
        text = 'rule family="ipv4" source address="192.0.2.0/24" port port="2222" protocol="tcp" accept'
        daemon.zones["public"]["rules_str"].append(text)
    box.apply(rule("Ours", tcp=["3333"]))
    if running:
        daemon.zones["public"]["rules_str"].append(text)
    state = box.read()
    assert state.refuses_inbound(), "also once firewalld starts again"
    for address, port, answer in (
        ("192.0.2.9", 22, True),
        ("192.0.2.9", 2222, True),
        ("192.0.3.9", 2222, False),
        ("2001:db8::1", 22, True),
        ("192.0.2.9", 3333, False),
        ("203.0.113.9", 22, False),
        ("198.51.100.9", 9999, True),
    ):
        assert state.admits(address, port) is answer, (address, port)
    guard = rule("management", sources=["203.0.113.9"])
    box.apply(guards=(guard,))
    assert "apple-management" in (box.root / "etc/firewalld/zones/home.xml").read_text()
    assert box.plan(guards=(guard,)).operations == ()


@pytest.mark.parametrize("running", [False, True])
def test_policies_before_the_zones_decide_first(box: Box, running: bool) -> None:
    def policy(
        body: str = "", target: str = "DROP", priority: int = -100, ingress: str = "ANY", egress: str = "HOST"
    ) -> None:
        head = f'<policy target="{target}" priority="{priority}">'
        ends = f'<ingress-zone name="{ingress}"/><egress-zone name="{egress}"/>'
        box.write("etc/firewalld/policies/wall.xml", f"{head}{ends}{body}</policy>")
        if running:
            daemon = box.start()
            for item in daemon.policies.values():
                item["rich_rules"] = (
                    ['rule family="ipv4" source address="192.0.2.0/24" drop'] if "<drop" in body else []
                )

    policy()
    with pytest.raises(FirewallError, match=r"policy wall refuses connections from 192\.0\.2\.9 to port 22") as caught:
        box.read().admits("192.0.2.9", 22)
    assert caught.value.code == "no-effect" and not box.read().admits(None, 22)
    for change in (
        {"priority": 100},
        {"egress": "ANY"},
        {"ingress": "home"},
        {"target": "CONTINUE"},
        {"body": '<service name="ssh"/>'},
    ):
        policy(**change)
        assert box.read().admits("192.0.2.9", 22) and box.read().admits(None, 22), change
    policy('<rule family="ipv4"><source address="192.0.2.0/24"/><drop/></rule>', "CONTINUE")
    assert box.read().admits("198.51.100.9", 22) and box.read().admits(None, 22)
    with pytest.raises(FirewallError, match="policy wall refuses"):
        box.read().admits("192.0.2.9", 22)


def test_what_comes_by_another_zone_is_said(box: Box) -> None:
    def said(*rules: Rule, **asked: Any) -> list[tuple[str, ...]]:
        return [notice.rules for notice in box.plan(*rules, **asked).notices if notice.code == "elsewhere"]

    box.write("etc/firewalld/zones/lab.xml", '<zone><source address="192.0.2.0/24"/><source ipset="x"/></zone>')
    box.write("etc/firewalld/zones/trusted.xml", '<zone target="ACCEPT"><source address="10.0.0.0/8"/></zone>')
    near, far = rule("Near", sources=["192.0.2.7", "fd00::/8"]), rule("Far", sources=["10.0.0.0/8"])
    assert said(rule(), near, far, rule("Y", "out")) == [("FaceTime", "Near")]
    assert said(far) == [] and said(near, zone="lab") == []


def test_a_reload_of_many_rules_is_said_or_refused(box: Box) -> None:
    daemon = box.start()

    def codes(rules: int, **asked: Any) -> list[str]:
        daemon.zones["home"]["ports"] = [(str(port), "tcp") for port in range(1, rules)]
        return [notice.code for notice in box.plan(rule(), **asked).notices if notice.code == "slow-reload"]

    assert codes(900) == [] and codes(2000) == ["slow-reload"]
    for version, most in (("2.3.1", 10000), ("0.9.3", 5000)):
        daemon.version = version
        assert codes(most - 100) == ["slow-reload"]
        with pytest.raises(FirewallError, match=r"accept it \(host_firewall_accept: \[slow-reload\]\)") as caught:
            codes(most + 100)
        assert caught.value.code == "slow-reload"
    assert codes(20000, accept=frozenset(["slow-reload"])) == ["slow-reload"]
    assert not [notice for notice in box.plan().notices if notice.code == "slow-reload"]


def test_what_is_open_to_anywhere(box: Box) -> None:
    def exposed(**more: Any) -> list[tuple[Any, ...]]:
        found = box.read(foreign=True, **more).exposed()
        return [(item.text, item.ruleset, item.name, item.protocol, item.ports) for item in found]

    box.write("usr/lib/firewalld/services/winrm.xml", '<service><port port="5985" protocol="tcp"/></service>')
    box.write(
        "usr/lib/firewalld/services/all.xml", '<service><include service="winrm"/><protocol value="udp"/></service>'
    )
    box.write(
        "etc/firewalld/zones/public.xml",
        '<zone><service name="all"/><port port="1-9" protocol="udp"/><source-port port="53" protocol="udp"/>'
        '<rule><service name="ssh"/><accept/></rule><rule><port port="80" protocol="tcp"/><drop/></rule>'
        '<rule family="ipv4"><source address="10.0.0.0/8"/><port port="81" protocol="tcp"/><accept/></rule></zone>',
    )
    box.write("etc/firewalld/zones/home.xml", '<zone target="ACCEPT"><source address="10.0.0.0/8"/></zone>')
    box.apply(rule("Ours", udp=["5353"]), rule("Local", sources=["10.0.0.0/8"]), ruleset="office")
    assert exposed() == [
        ("zone public: service all", "", "zone public", "tcp", ("5985",)),
        ("zone public: service all", "", "zone public", "udp", ("0-65535",)),
        ("zone public: service office-ours", "office", "Ours", "tcp", ("443",)),
        ("zone public: service office-ours", "office", "Ours", "udp", ("5353",)),
        ("zone public: port 1-9/udp", "", "zone public", "udp", ("1-9",)),
        ("zone public: source port 53/udp", "", "zone public", "udp", ("0-65535",)),
        ('zone public: rule service name="ssh" accept', "", "zone public", "tcp", ("22",)),
    ]
    assert [rule.name for rule in box.read().rulesets()["office"]] == ["Local", "Ours"]
    # The default zone counts while an interface falls to it, by no other zone's name.
    daemon = box.start()
    assert len(exposed()) > 3 and box.read().exposed() == []
    (box.root / "sys/class/net/eth0").mkdir(parents=True)
    daemon.zones["home"]["interfaces"] = ["eth0"]
    assert exposed() == [("zone home: target ACCEPT", "", "zone home", "any", ("0-65535",))]
    daemon.zones["home"].update(interfaces=[], sources=["0.0.0.0/0"])
    assert exposed()[0][0] == "zone home: target ACCEPT" and any("service all" in item[0] for item in exposed())


def test_bridges_of_guests_lead_to_nobody_else(box: Box) -> None:
    def folder(path: str) -> None:
        (box.root / "sys/class/net" / path).mkdir(parents=True, exist_ok=True)

    for path in ("lo", "eth0", "podman0/brif/veth1", "veth1/brport", "br0/brif/eth1", "eth1/brport"):
        folder(path)
    box.write("proc/net/route", "Iface\npodman0\t0000580A\t0\t1\t0\t0\t0\t0000FFFF\t0\t0\t0\n")
    box.write("etc/firewalld/zones/trusted.xml", '<zone target="ACCEPT"/>')
    refusing = '<zone target="ACCEPT"><interface name="podman0"/><rule priority="32767"><reject/></rule></zone>'
    box.write("etc/firewalld/zones/guests.xml", refusing)
    daemon = box.start()

    def exposed() -> set[str]:
        return {item.text for item in box.read(foreign=True).exposed()}

    def codes(*rules: Rule, **asked: Any) -> list[str]:
        codes = [notice.code for notice in box.plan(*rules, **asked).notices]
        return [code for code in codes if code not in ("off-at-boot", "other")]

    home = {"zone home: service ssh"}
    assert exposed() == {"zone public: service ssh"} and codes(rule()) == [] == codes(rule(), zone="guests")
    # Every way in from outside is in another zone, and what falls to the default zone are guests.
    daemon.zones["home"]["interfaces"] = ["eth0", "br0"]
    daemon.zones["guests"]["interfaces"] = []
    assert exposed() == home and codes(rule()) == ["no-packets"]
    daemon.zones["guests"].update(interfaces=["podman0"], rules_str=['rule priority="32767" reject'])
    folder("podman0/brif/eth2")
    assert exposed() == home
    daemon.zones["guests"]["rules_str"] = ['rule family="ipv4" reject']
    assert exposed() == {*home, "zone guests: target ACCEPT"}
    # firewalld before 2 empties iptables, where podman's rules are.
    (box.root / "sys/class/net/podman0/brif/eth2").rmdir()
    daemon.zones["trusted"]["sources"] = ["10.88.0.0/16", "ipset:some"]
    assert "runtime-lost" not in codes(rule(), zone="home")
    daemon.version = "1.3.3"
    assert "runtime-lost" in codes(rule(), zone="home") and codes() == []


def test_the_interface_of_an_address(box: Box) -> None:
    box.write(
        "proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n"
        "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
    )
    box.write(
        "proc/net/ipv6_route",
        "20010db8000000000000000000000000 20 " + "0" * 32 + " 00 " + "0" * 32 + " 00000400 1 0 1 eth1\n"
        "00000000000000000000000000000000 00 " + "0" * 32 + " 00 " + "0" * 32 + " 00000400 1 0 1 eth0\n"
        "20010db8000000000000000000000005 80 " + "0" * 32 + " 00 " + "0" * 32 + " 00000000 1 0 1 lo\n",
    )
    reading = read(Host(run=lambda argv, stdin: (1, "", ""), root=str(box.root)), Asked("apple")).reading
    found = [interface_to(reading, address) for address in ("192.0.2.9", "192.0.3.9", "2001:db8::5", "2001:db9::1")]
    assert found == ["eth1", "eth0", "eth1", "eth0"]


def test_switching_on(box: Box) -> None:
    files = box.files()
    box.answer = (1, "", "Unit is masked")
    with pytest.raises(FirewallError, match="refuses"):
        box.apply(*RULES, enable=True)
    box.answer = (0, "", "")
    change = box.apply(*RULES, enable=True)
    assert steps(change)[-1] == {"action": "enable", "what": "firewalld"}
    assert box.argv[-1] == ["systemctl", "enable", "--now", "firewalld.service"]
    assert box.firewall().in_use() and box.firewall().installed()
    assert box.plan(*RULES, enable=True).operations == ()
    (box.root / WANTS).unlink()
    box.apply(*RULES, enable=True)
    assert box.argv[-1] == ["systemctl", "enable", "firewalld.service"]
    (box.root / "etc/systemd/system/firewalld.service").symlink_to("/dev/null")
    assert box.daemon
    box.daemon.state = "gone"
    assert not box.firewall().in_use()
    # systemd refuses: nothing of it stays.
    box.answer = (1, "", "Unit is masked")
    box.daemon = None
    with pytest.raises(FirewallError, match="could not be switched on .*masked.*nothing was changed"):
        box.apply(*RULES, enable=True)
    box.answer = (0, "", "")
    box.apply()
    assert box.files() == files


def test_a_change_that_waits_for_its_confirmation(box: Box) -> None:
    daemon = box.start()
    box.apply(*RULES[:1])
    files, zone = box.files(), daemon._getZoneSettings2("", "public")
    change = box.plan(*RULES)
    assert change.live
    loaded = change.load()
    # New services stay while it waits; nobody names them.
    new = {
        f"etc/firewalld/services/{name}.xml"
        for name in ("apple-airplay", "apple-facetime-out", "apple-facetime-forward")
    }
    waiting = box.files()
    assert waiting.keys() - files.keys() == new and {path: waiting[path] for path in files} == files
    assert "apple-airplay" in daemon.zones["public"]["services"]
    # What somebody else did meanwhile stays; a second time does no more.
    daemon._addPort("", "home", "7001", "tcp", 0)
    for _time in range(2):
        change.rollback()
        assert box.files() == files and daemon._getZoneSettings2("", "public") == zone and daemon.reloads == 3
        assert ("7001", "tcp") in daemon.zones["home"]["ports"]
    loaded = change.load()
    change.commit(loaded)
    assert box.plan(*RULES).operations == () and daemon.reloads == 4
    change.rollback()
    assert box.files() == files and daemon._getZoneSettings2("", "public") == zone
    # It was loaded, and is no more: a confirmation comes too late.
    loaded = change.load()
    daemon._removeService("", "public", "apple-airplay")
    with pytest.raises(FirewallError, match="has not loaded what was planned"):
        change.commit(loaded)
    assert box.files() == waiting
    change.rollback()
    assert box.files() == files
    daemon.state = "gone"
    with pytest.raises(FirewallError, match="firewalld was stopped"):
        change.commit(loaded)
    change.rollback()


def test_what_firewalld_remembers_is_brought_up_to_date(box: Box) -> None:
    daemon = box.start()
    box.apply(rule(), rule("AirPlay", tcp=["7000"]))
    change = box.plan(rule(), rule("AirPlay", tcp=["7000", "7001"]), rule("Maps", tcp=["443"]))
    loaded = change.load()
    reloads = daemon.reloads
    # While the change waited, it has read the files as they were before.
    daemon.memory = daemon._load()
    daemon.asked.clear()
    change.commit(loaded)
    assert daemon.reloads == reloads + 1 and daemon.memory is None
    # Only what had another file meanwhile can be remembered otherwise, and each question takes time.
    assert daemon.asked == ["apple-airplay"]


def test_a_run_that_died_behind_its_reload(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = box.start()
    daemon._addPort("", "public", "7001", "tcp", 0)
    files, zone = box.files(), daemon._getZoneSettings2("", "public")
    change = box.plan(*RULES)

    def die(*_given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(daemon, "_addPort", die)
        change.apply()
    assert ("7001", "tcp") not in daemon.zones["public"]["ports"]
    for _time in range(2):
        change.rollback()
        assert box.files() == files and daemon._getZoneSettings2("", "public") == zone and daemon.reloads == 2


def test_runtime_drift_and_switch_are_undone(box: Box) -> None:
    daemon = box.start()
    box.apply(*RULES)
    daemon._removeService("", "public", "apple-airplay")
    daemon.policies["apple-out"]["services"] = []
    zone, policy = daemon._getZoneSettings2("", "public"), daemon._getPolicySettings("", "apple-out")
    change = box.plan(*RULES, enable=True)
    loaded = change.load()
    assert "apple-airplay" in daemon.zones["public"]["services"] and not (box.root / WANTS).is_symlink()
    change.commit(loaded)
    assert (box.root / WANTS).is_symlink()
    change.rollback()
    now = daemon._getPolicySettings("", "apple-out")
    assert daemon._getZoneSettings2("", "public") == zone and {key: now[key] for key in policy} == policy
    # A change without a file cannot tell whether it or an administrator has firewalld start at boot.
    assert (box.root / WANTS).is_symlink()
    (box.root / WANTS).unlink()
    daemon.state = "gone"
    change = box.plan(enable=True)
    files = box.files()
    change.load()
    assert box.argv[-1] == ["systemctl", "start", "firewalld.service"] and box.files() == files
    change.rollback()
    assert box.argv[-1] == ["systemctl", "stop", "firewalld.service"] and box.files() == files


def test_a_broken_zone_is_named(box: Box) -> None:
    box.write("etc/firewalld/zones/home.xml", "<zone>")
    with pytest.raises(FirewallError, match=r"etc/firewalld/zones/home\.xml cannot be read: .*not well-formed"):
        box.plan()


def test_our_own_broken_files_are_written_anew(box: Box) -> None:
    box.apply(*RULES)
    good = box.files()
    for name in ("services/apple-airplay.xml", "policies/apple-out.xml"):
        path = box.root / "etc/firewalld" / name
        path.write_text(path.read_text().replace("</short>", "<"))
    assert box.apply(*RULES).operations
    assert box.files() == good
    path = box.root / "etc/firewalld/services/apple-airplay.xml"
    path.write_text(path.read_text().replace('"5353"', '"0"'))
    assert box.apply(*RULES).operations and box.files() == good


def test_rendered_text_is_what_a_run_writes(box: Box) -> None:
    box.apply(*RULES)
    rendered = Firewalld.render(RULES, "apple")
    written = {"/" + path: text for path, text in box.files().items() if path.startswith("etc") and "zones" not in path}
    zone = rendered.pop("/etc/firewalld/zones/<zone>.xml")
    assert rendered == written
    assert zone in box.files()["etc/firewalld/zones/public.xml"]
    long = Firewalld.render(RULES, "a" * 24)
    policies = [path for path in long if "policies" in path]
    assert len(policies) == 2 and all(len(Path(policy).stem) <= 15 for policy in policies)


def test_rendered_forward_rules_name_the_zones_to_choose() -> None:
    rendered = Firewalld.render([forward(interface="eth1", out_interface="eth0"), forward("Y")], "apple")
    first, second = (rendered[f"/etc/firewalld/policies/apple-fwd{end}.xml"] for end in ("", "-2"))
    assert 'ingress-zone name="ANY"' in first and 'egress-zone name="ANY"' in first
    assert 'ingress-zone name="&lt;zone of eth1&gt;"' in second and 'egress-zone name="&lt;zone of eth0&gt;"' in second
    assert not any("zones" in path for path in rendered)
