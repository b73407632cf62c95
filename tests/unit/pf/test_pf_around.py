# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around the anchor: the main ruleset's options, other anchors, lines of others, listings that fail."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.pf.standin import MACOS_PF_CONF, Host
from unit.pf.test_pf_module import AIRPLAY, ALL, FACETIME, FILE, codes, kernel, off, on, whats

from ansible_collections.netports.apple.plugins.module_utils import _connection
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError

PEER, OTHER, LOCAL = "192.0.2.9", "198.51.100.9", "192.0.2.1"


@pytest.fixture
def comes_from(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Sets from where the host is managed."""

    def come(address: str | None) -> None:
        found = _connection.Connection(address, 22, 40000, LOCAL) if address else None
        monkeypatch.setattr(_connection, "connection", lambda _host: found)
        host.sockets = f"tcp4  0  0  {LOCAL}.22  {address}.40000  ESTABLISHED\ntcp4  0  0  *.22  *.*  LISTEN\n"

    return come


def ruleset(host: Host, text: str) -> None:
    """Have pf on with this main ruleset, on macOS behind Apple's own lines."""
    text = MACOS_PF_CONF + text if host.system == "macos" else text
    host.write("/etc/pf.conf", text)
    if host.system == "freebsd":
        host.write("/etc/rc.conf", host.read("/etc/rc.conf") + 'pf_enable="YES"\n')
    host.boot()
    if host.system == "macos":
        host.run(["/sbin/pfctl", "-E"])


def guarded(host: Host) -> list[str]:
    """The addresses that the ruleset in the kernel has guards for."""
    return [rule.split(" from ")[1].split()[0] for rule in kernel(host) if " in " in rule and "management" in rule]


# 1. Guards come and go


@pytest.mark.parametrize("address", [PEER, None])
def test_absent_takes_the_guard_away_too(host: Host, comes_from: Any, address: str | None) -> None:
    ruleset(host, "block in all\n")
    pristine = host.files(), list(host.main)
    comes_from(PEER)
    host.apply(FACETIME, enable=True)
    assert guarded(host) == [PEER]
    comes_from(address)
    result = host.apply(state="deleted")
    assert (host.files(), host.main) == pristine and not host.anchors
    assert result["after"] == [] and "guard" not in codes(result)


def test_the_guard_goes_when_a_rule_of_the_administrator_admits_the_connection(host: Host, comes_from: Any) -> None:
    ruleset(host, "block in all\n")
    comes_from(PEER)
    host.apply(FACETIME)
    assert guarded(host) == [PEER]
    host.write(
        "/etc/pf.conf", host.read("/etc/pf.conf").replace("block in all", "block in all\npass in proto tcp to port 22")
    )
    host._load_silently()
    host.apply(FACETIME)
    assert guarded(host) == []


def test_two_controllers_in_turn_change_nothing(host: Host, comes_from: Any) -> None:
    ruleset(host, "block in all\n")
    for address in (PEER, OTHER):
        comes_from(address)
        host.apply(FACETIME)
    assert guarded(host) == [PEER, OTHER]
    for again in (PEER, OTHER, None):
        comes_from(again)
        assert not host.module(rules=[FACETIME])["changed"]


# 2. Options of the main ruleset


@pytest.mark.parametrize("enable", [None, True])
def test_states_stay_floating_whatever_the_main_ruleset_says(host: Host, enable: bool | None) -> None:
    ruleset(host, "set state-policy if-bound\nblock in all\npass out all\n")
    assert any("if-bound" in rule for rule in host.main)
    host.apply(*ALL, enable=enable)
    host.boot()
    if host.system == "macos" and not enable:
        host.run(["/sbin/pfctl", "-E"])
    assert not host.module(rules=list(ALL), enable=enable)["changed"]
    host.apply(AIRPLAY, enable=enable)


# 4. Anchors that others fill

CALLS = {
    "loaded": 'anchor "office"\nload anchor "office" from "/etc/office.pf"\n',
    "separate": 'anchor "office/*"\n',
    "conditional": 'anchor "f2b" in on em0\n',
    "inline": 'anchor "office" {\nblock in quick proto tcp to port 22\n}\n',
    "nameless": "anchor {\nblock in quick proto tcp to port 22\n}\n",
}


@pytest.mark.parametrize("enable", [None, True])
@pytest.mark.parametrize("kind", CALLS)
def test_the_guard_is_there_and_stays_where_anchors_may_refuse(
    host: Host, comes_from: Any, kind: str, enable: bool | None
) -> None:
    host.write("/etc/office.pf", "block in quick proto tcp to port 22\n")
    ruleset(host, CALLS[kind] + "pass in proto tcp to port 22\n")
    comes_from(PEER)
    host.apply(FACETIME, enable=enable)
    assert guarded(host) == [PEER]
    host.apply(AIRPLAY, enable=enable)
    assert guarded(host) == [PEER]


def test_a_quick_pass_before_an_anchor_needs_no_guard(host: Host, comes_from: Any) -> None:
    ruleset(host, 'pass in quick proto tcp to port 22\nanchor "office"\n')
    comes_from(PEER)
    host.apply(FACETIME)
    assert guarded(host) == []


def test_our_own_guard_that_the_file_loads_is_nobody_elses_rule(host: Host, comes_from: Any) -> None:
    """An expansion of the file has it flattened behind the main ruleset."""
    off(host)
    host.write("/etc/pf.conf", (MACOS_PF_CONF if host.system == "macos" else "") + "block all\n")
    comes_from(PEER)
    host.apply(FACETIME, enable=True)
    host.enabled, host.tokens = False, []
    host.apply(FACETIME, enable=True)
    assert guarded(host) == [PEER]


# 5. Rules that mean nothing

EFFECTS: list[tuple[str, list[tuple[str, list[str]]]]] = [
    ("block in all\n", []),
    ("pass all\n", [("off", [])]),
    ("block drop in quick all\n", [("refused", ["AirPlay"])]),
    ("block quick all\n", [("refused", ["AirPlay"]), ("refused", ["FaceTime"])]),
    ("block in quick proto tcp to port 7000\n", [("refused", ["AirPlay"])]),
    ("block in quick proto tcp to port 6000:8000\n", [("refused", ["AirPlay"])]),
    ("block in quick from 10.0.0.0/8\n", []),
    ("block in quick on em0 all\n", [("refused", ["AirPlay"])]),
    ("block in quick on em1 all\n", []),
    ("block in quick from <bruteforce>\n", []),
    ("pass in quick proto tcp to port 7000\npass in quick proto udp\nblock in quick all\n", []),
    ("block in quick on lo0 all\n", []),
    ('anchor "office"\n', []),
]


@pytest.mark.parametrize(("text", "expected"), EFFECTS)
def test_rules_without_effect_are_said(host: Host, text: str, expected: list[tuple[str, list[str]]]) -> None:
    ruleset(host, text)
    result = host.apply(AIRPLAY, FACETIME)
    told = [(one["code"], one["rules"]) for one in result["notices"] if one["code"] in ("off", "refused")]
    assert sorted(told) == sorted(expected)
    for notice in result["notices"]:
        if notice["code"] == "refused":
            assert "'block drop" in notice["text"]


# 7. Listings that fail


def test_a_busy_device_is_asked_again(host: Host) -> None:
    on(host)
    host.apply(*ALL)
    for words in (("-a", "-s"), ("-s", "rules"), ("-s", "info")):
        host.fail(*words, err="pfctl: DIOCGETRULES: Device busy\n")
        assert not host.module(rules=list(ALL))["changed"]


@pytest.mark.parametrize("words", [("-a", "-s"), ("-s", "info")])
def test_a_listing_that_fails_is_no_empty_ruleset(host: Host, words: tuple[str, ...]) -> None:
    on(host)
    host.apply(*ALL)
    before = host.files()
    host.fail(*words, err="pfctl: DIOCGETRULES: Operation not supported by device\n")
    with pytest.raises(FirewallError, match="pf cannot be asked for what it has .*not supported"):
        host.module(rules=[FACETIME])
    assert host.files() == before


def test_a_device_that_stays_busy_is_an_error(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    on(host)
    for _try in range(4):
        host.fail("-s", "rules", err="pfctl: DIOCGETRULES: Device busy\n")
    with pytest.raises(FirewallError, match="Device busy"):
        host.module(rules=[FACETIME])


def test_a_negated_member_of_a_table_is_seen(host: Host) -> None:
    on(host)
    host.apply(*ALL)
    tables = host.anchors["netports.apple"].tables
    name = min(tables)
    tables[name] = (*tables[name], "!10.9.0.0/16")
    assert whats(host.apply(*ALL)) == [f"table {name} of anchor netports.apple in the kernel is not as its file says"]


# 9. Lines of others


def test_doubled_lines_are_mended(host: Host) -> None:
    on(host)
    host.apply(*ALL)
    once = host.read("/etc/pf.conf")
    lines = "".join(once.splitlines(True)[-3:])
    host.write("/etc/pf.conf", once + lines)
    host._load_silently()
    result = host.apply(*ALL)
    assert "/etc/pf.conf loads anchor netports.apple 2 times" in whats(result)
    assert host.read("/etc/pf.conf") == once
    host.write("/etc/pf.conf", once + lines)
    host.apply(state="deleted")
    assert "netports" not in host.read("/etc/pf.conf")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('include "/etc/pf.more"\n', "/etc/pf.more, which /etc/pf.conf includes"),
        ('anchor "netports.apple" {\npass in all\n}\n', "in braces"),
    ],
)
@pytest.mark.parametrize("state", ["replaced", "deleted"])
def test_lines_that_are_not_ours_to_change_are_refused_by_name(host: Host, text: str, said: str, state: str) -> None:
    on(host)
    host.write("/etc/pf.more", f'anchor "netports.apple"\nload anchor "netports.apple" from "{FILE}"\n')
    host.write("/etc/pf.conf", host.read("/etc/pf.conf") + text)
    before = host.files()
    with pytest.raises(FirewallError, match=said) as caught:
        host.module(rules=[FACETIME] if state == "replaced" else [], state=state)
    assert caught.value.code == "name-taken" and host.files() == before


def test_macros_from_rc_conf_are_given_to_pfctl(make_host: Callable[[str], Host]) -> None:
    host = make_host("freebsd")
    host.write(
        "/etc/rc.conf", host.read("/etc/rc.conf") + 'pf_enable="YES"\npf_flags="-D ext_if=em0 -Dint_if=em1 -q"\n'
    )
    host.write("/etc/pf.conf", "block in on $ext_if all\npass in on $int_if all\n")
    host.run(["/sbin/kldload", "-n", "pf"])
    host.apply(FACETIME, enable=True)
    assert "block drop in on em0 all" in host.main
    host.apply(state="deleted")


# 6. What the host knows of itself

DECIDED: list[tuple[str, bool]] = [
    ("block in all\npass in on em0 proto tcp to port 22\n", False),
    ("block in all\npass in on egress proto tcp to port 22\n", False),
    ("block in all\npass in on em1 proto tcp to port 22\n", True),
    ("block in all\npass in on ! lo0 proto tcp to port 22\n", False),
    ("block in all\npass in inet proto tcp to port 22\n", False),
    ("block in all\npass in inet6 proto tcp to port 22\n", True),
    ("block in all\npass in proto tcp from any to (em0) port = 22\n", False),
    ("block in all\npass in proto tcp from any to (em1) port = 22\n", True),
    ("block in all\npass in proto tcp from any to (self) port = 22\n", False),
    ("block in all\npass in proto tcp from any to 192.0.2.1 port = 22\n", False),
    ("block in all\npass in proto tcp from any to 192.0.2.2 port = 22\n", True),
    ("block in all\npass in proto tcp from (em0:network) to any port = 22\n", False),
    ("block in all\npass in proto tcp from (em1:network) to any port = 22\n", True),
    ("block in all\npass in proto tcp from 192.0.2.0/24 to any port = 22 keep state (max-src-conn 15)\n", False),
    ("block in on em1 all\n", False),
    ("block in on em0 all\n", True),
    ("table <admins> { 192.0.2.0/28 }\nblock in all\npass in proto tcp from <admins> to any port = 22\n", False),
    ("table <admins> { 198.51.100.1 }\nblock in all\npass in proto tcp from <admins> to any port = 22\n", True),
    ("table <admins> { 192.0.2.0/24 !192.0.2.9 }\nblock in all\npass in proto tcp from <admins> to any\n", True),
    ("table <bad> persist\nblock in quick from <bad> to any\n", False),
    ("table <bad> { 192.0.2.9 }\nblock in quick from <bad> to any\n", True),
    ("block in all\npass in proto tcp from any to any port = 22 user = 0\n", True),
]


@pytest.mark.parametrize(("text", "expected"), DECIDED)
def test_the_guard_comes_where_it_is_needed_alone(host: Host, comes_from: Any, text: str, expected: bool) -> None:
    host.interfaces = {"em0": ("192.0.2.1/24", "2001:db8::1/64"), "em1": ("10.0.0.1/8",), "lo0": ("127.0.0.1/8",)}
    if "egress" in text:
        del host.interfaces["em1"]
    ruleset(host, text)
    comes_from(PEER)
    host.apply(FACETIME)
    assert bool(guarded(host)) is expected


# 8. The recipe for hosts without Python


@pytest.mark.parametrize(
    "conf",
    ["block in all\n", "block in all\n# no end", "block in all\n# a backslash \\", "block in all\n# a backslash \\\n"],
)
def test_the_recipe_without_python(host: Host, conf: str) -> None:
    on(host)
    host.write("/etc/pf.conf", conf)
    guide = (Path(__file__).parents[3] / "docs/backends/pf.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(- name: Rules for hosts without Python.*?)```", guide, re.DOTALL)
    play = yaml.safe_load(text)
    script = next(task["ansible.builtin.raw"] for task in play[0]["tasks"] if "ansible.builtin.raw" in task)
    for rules in ([FACETIME], [AIRPLAY]):
        text = host.module(state="rendered", backend="pf", rules=rules)["rendered"][FILE]
        said = script.replace("{{ file }}", FILE)
        said = said.replace("{{ firewall.rendered[file] | b64encode }}", base64.b64encode(text.encode()).decode())
        host.run_daemon(["/bin/sh", "-c", said.replace("/etc/", f"{host.root}/etc/")])
        assert 'anchor "netports.apple" all' in host.main and kernel(host)
        assert [rule["name"] for rule in rules] == sorted({line.split('"')[1] for line in kernel(host)})
    assert host.read("/etc/pf.conf").startswith(conf) and host.read("/etc/pf.conf").count("netports.apple") == 4
