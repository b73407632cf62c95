# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on hosts with pf, from the first run to the last, and everything that can go wrong between."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from unit.pf import checker
from unit.pf.standin import MACOS_PF_CONF, Host

from ansible_collections.netports.apple.plugins.module_utils import _connection as _guard
from ansible_collections.netports.apple.plugins.module_utils import _files, _rules
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError

FACETIME = {"name": "FaceTime", "direction": "out", "tcp": ["80", "443", "5223"], "udp": ["3478-3497", "16384-16387"]}
AIRPLAY = {
    "name": "AirPlay",
    "direction": "in",
    "tcp": ["7000"],
    "udp": ["5353"],
    "sources": ["10.0.0.0/8", "192.168.0.0/16", "fd00::/8"],
}
SHARING = {
    "name": "Screen Sharing",
    "direction": "in",
    "tcp": ["5900"],
    "sources": ["198.51.100.7"],
    "interface": "en0",
}
INWARDS = {"name": "Classroom", "direction": "out", "tcp": ["3284-3285"], "destinations": ["203.0.113.0/24"]}
ALL = (FACETIME, AIRPLAY, SHARING, INWARDS)

FILE = "/etc/pf.anchors/netports.apple"
PLIST = "/Library/LaunchDaemons/netports.apple.plist"
TOKEN = "/var/run/netports.apple.token"


def whats(result: dict[str, Any], action: str = "mend") -> list[str]:
    return [one["what"] for one in result["operations"] if one["action"] == action]


def codes(result: dict[str, Any]) -> list[str]:
    return [notice["code"] for notice in result["notices"]]


def kernel(host: Host) -> list[str]:
    return checker.expand(host.anchors["netports.apple"], "macos") if "netports.apple" in host.anchors else []


def on(host: Host) -> None:
    """Have pf on before the first run, as an administrator would."""
    if host.system == "freebsd":
        host.write("/etc/pf.conf", "block in all\npass in proto tcp to port 22\npass out all\n")
        host.write("/etc/rc.conf", host.read("/etc/rc.conf") + 'pf_enable="YES"\n')
    host.boot()
    if host.system == "macos":
        host.run(["/sbin/pfctl", "-E"])


# The life of a ruleset


@pytest.mark.parametrize("enable", [None, True])
def test_life(host: Host, enable: bool | None) -> None:
    on(host)
    pristine = host.files()
    first = host.apply(*ALL, enable=enable)
    assert first["changed"] and first["backend"] == "pf"
    assert {one["rule"]["name"] for one in first["operations"] if one["action"] == "add"} == {
        "FaceTime",
        "AirPlay",
        "Screen Sharing",
        "Classroom",
    }
    assert checker.parse(host.read(FILE)) == host.anchors["netports.apple"]
    assert 'anchor "netports.apple" all' in host.main
    assert host.enabled
    # A product goes, what another needs stays; the main ruleset is not touched again.
    reloads = host.reloads
    less = host.apply(AIRPLAY, SHARING, enable=enable)
    assert sorted(one["rule"]["name"] for one in less["operations"]) == ["Classroom", "FaceTime"]
    assert [rule for rule in kernel(host) if "FaceTime" in rule] == []
    assert len(kernel(host)) == 3
    assert host.reloads == reloads
    # Everything goes, and the host is as it was.
    gone = host.apply(state="deleted", enable=enable)
    assert {one["action"] for one in gone["operations"]} == {"remove"}
    assert host.files() == pristine
    assert kernel(host) == [] and 'anchor "netports.apple" all' not in host.main


def test_processes(host: Host) -> None:
    on(host)
    assert host.apply(*ALL, enable=True)["processes"] <= 15
    assert host.apply(AIRPLAY, enable=True)["processes"] <= 8
    assert host.apply(state="deleted", enable=True)["processes"] <= 15


def test_a_list_of_networks_is_checked_once_and_not_for_every_rule(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [f"10.{number}.0.0/16" for number in range(100)]
    rules = [
        {"name": f"P{number}", "direction": "in", "tcp": [str(1000 + number)], "sources": list(networks)}
        for number in range(50)
    ]
    on(host)
    host.module(rules=rules)
    check = Mock(wraps=_rules.network)
    monkeypatch.setattr(_rules, "network", check)
    _rules._sorted_networks.cache_clear()
    assert not host.module(rules=rules)["changed"]
    # Once as the rules have it. The file has it sorted, which may be another list.
    assert check.call_count <= 2 * len(networks)


def test_foreign_are_the_rules_of_the_main_ruleset(host: Host) -> None:
    on(host)
    host.apply(*ALL, enable=True)
    told = host.module(state="gathered", foreign=True)["foreign"]
    assert told.splitlines() == host.main and 'anchor "netports.apple" all' in told
    assert "foreign" not in host.module(state="gathered")


def test_merged_and_deleted_by_name(host: Host) -> None:
    on(host)
    host.apply(FACETIME)
    host.apply(AIRPLAY, state="merged")
    assert [one["name"] for one in host.module(state="gathered")["gathered"]] == ["AirPlay", "FaceTime"]
    host.apply({**FACETIME, "tcp": ["1"]}, state="deleted")
    assert [one["name"] for one in host.module(state="gathered")["gathered"]] == ["AirPlay"]


def test_two_rulesets_do_not_know_each_other(host: Host) -> None:
    on(host)
    pristine = host.files()
    host.apply(FACETIME, enable=True)
    host.apply(AIRPLAY, ruleset="office", enable=True)
    assert {"netports.apple", "netports.office"} <= set(host.anchors)
    host.apply(state="deleted", enable=True)
    assert set(host.anchors) == {"netports.office"} and host.enabled
    assert not host.module(rules=[AIRPLAY], ruleset="office", enable=True)["changed"]
    host.apply(state="deleted", ruleset="office")
    assert host.files() == pristine


def test_order_of_products_is_no_change(host: Host) -> None:
    on(host)
    host.apply(*ALL)
    assert not host.module(rules=list(reversed(ALL)))["changed"]


@pytest.mark.parametrize(
    "text",
    [
        "# a ruleset of its own\npass out all\n",
        "pass out all",
        "pass out all\n# last comment ends in a backslash \\\n",
        "\n\n",
        "# caf\udce9 \x0c\x85 odd bytes\npass out all\n",
    ],
)
def test_the_rest_of_pf_conf_stays_byte_for_byte(make_host: Callable[[str], Host], text: str) -> None:
    host = make_host("openbsd")
    host.write("/etc/pf.conf", text)
    host.boot()
    pristine = host.files()
    host.apply(*ALL)
    assert host.read("/etc/pf.conf").startswith(text)
    host.apply(state="deleted")
    assert host.files() == pristine


def test_lines_of_the_administrator_behind_and_between_ours_stay(host: Host) -> None:
    on(host)
    host.apply(FACETIME)
    lines = host.read("/etc/pf.conf").split("\n")
    lines.insert(-2, "# between")
    host.write("/etc/pf.conf", "\n".join(lines) + "pass out proto udp to port 9999\n")
    assert not host.module(rules=[FACETIME])["changed"]
    host.apply(state="deleted")
    assert host.read("/etc/pf.conf").endswith("# between\npass out proto udp to port 9999\n")
    assert "netports" not in host.read("/etc/pf.conf")


def test_order_of_writing_and_removing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    on(host)
    seen: list[tuple[str, ...]] = []
    real = host._pfctl

    def watch(words: list[str], stdin: str | None) -> Any:
        if "-f" in words and "-v" not in words:
            in_main = "netports.apple" in host.read("/etc/pf.conf")
            seen.append((" ".join(words), str(host.file(FILE).exists()), str(in_main)))
        return real(words, stdin)

    monkeypatch.setattr(host, "_pfctl", watch)
    host.module(rules=[FACETIME])
    assert seen[0] == ("-a netports.apple -n -f -", "False", "False")
    assert seen[1:3] == [("-n -f /etc/pf.conf", "True", "True"), ("-f /etc/pf.conf", "True", "True")]
    seen.clear()
    host.module(state="deleted")
    assert seen == [
        ("-n -f /etc/pf.conf", "True", "False"),
        ("-f /etc/pf.conf", "True", "False"),
        ("-a netports.apple -f -", "True", "False"),
    ]
    assert not host.file(FILE).exists()


# Switching on


def off(host: Host) -> None:
    if host.system == "openbsd":
        host.write("/etc/rc.conf.local", "pf=NO\nntpd_flags=\n")
        host.boot()


def test_off_is_left_alone_and_said(host: Host) -> None:
    off(host)
    result = host.apply(*ALL)
    assert not host.enabled
    assert any("pf is off" in one for one in result["warnings"])


def test_off_is_switched_on(host: Host) -> None:
    off(host)
    result = host.apply(*ALL, enable=True)
    assert whats(result, "enable") == ["pf is off", "pf is off after the next boot"]
    assert host.enabled and kernel(host)
    switch = {
        "macos": (PLIST, "<string>netports.apple</string>"),
        "freebsd": ("/etc/rc.conf", 'pf_enable="YES"'),
        "openbsd": ("/etc/rc.conf.local", "ntpd_flags=\n"),
    }[host.system]
    assert switch[1] in host.read(switch[0])
    host.boot()
    assert host.enabled and kernel(host)
    assert not host.module(rules=list(ALL), enable=True)["changed"]
    assert len(host.log) <= 3


def test_a_mac_holds_exactly_one_token(make_host: Callable[[str], Host]) -> None:
    host = make_host("macos")
    host.run(["/sbin/pfctl", "-E"])
    other = list(host.tokens)
    host.apply(FACETIME, enable=True)
    assert len(host.tokens) == 2 and host.read(TOKEN).strip() in host.tokens
    assert host.file(TOKEN).stat().st_mode & 0o777 == 0o600
    assert host.daemons == {"netports.apple"}
    host.boot()
    assert len(host.tokens) == 1 and host.read(TOKEN).strip() in host.tokens
    host.tokens += other
    host.apply(state="deleted")
    assert host.tokens == other and host.enabled
    assert host.daemons == set() and not host.file(PLIST).exists() and not host.file(TOKEN).exists()


def test_giving_up_the_last_hold_is_said(make_host: Callable[[str], Host]) -> None:
    host = make_host("macos")
    host.apply(FACETIME, enable=True)
    result = host.apply(state="deleted")
    assert not host.enabled and any("hold on pf" in one for one in result["warnings"])


def test_a_hold_that_somebody_voided_is_taken_anew(make_host: Callable[[str], Host]) -> None:
    host = make_host("macos")
    host.apply(FACETIME, enable=True)
    host.tokens = ["1"]
    assert whats(host.apply(FACETIME, enable=True)) == ["pf is on, but not held on by the role"]
    assert len(host.tokens) == 2
    host.tokens, host.enabled = [], False
    assert whats(host.apply(FACETIME, enable=True)) == ["pf is off"]


def test_freebsd_without_the_module_in_the_kernel(make_host: Callable[[str], Host]) -> None:
    host = make_host("freebsd")
    pristine = host.files()
    result = host.apply(FACETIME)
    assert not host.file("/dev/pf").exists() and host.read("/etc/pf.conf").count("netports.apple") > 2
    assert "pf is off" in result["warnings"][0]
    host.apply(state="deleted")
    assert host.files() == pristine


BLOCKING = {
    "macos": MACOS_PF_CONF + "block all\npass in proto tcp to port 22\npass out all\n",
    "freebsd": "block all\npass in proto tcp to port 22\npass out all\n",
    "openbsd": "block all\npass in proto tcp to port 22\npass out all\n",
}
GUARD_LINES = [
    'pass in quick inet proto tcp from 192.0.2.9 to any port = 22 flags any keep state label "management"',
    'pass out quick inet proto tcp from any port = 22 to 192.0.2.9 flags any keep state label "management"',
]


def managed_from(host: Host, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host managed over an ssh connection from an address."""
    monkeypatch.setattr(_guard, "connection", lambda _host: _guard.Connection(address, 22, 5000))
    host.sockets = f"tcp4  0  0  192.0.2.1.22  {address}.5000  ESTABLISHED\ntcp4  0  0  *.22  *.*  LISTEN\n"


def test_the_running_connection_survives_switching_on(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    off(host)
    host.write("/etc/pf.conf", BLOCKING[host.system])
    if host.system != "freebsd":
        host.boot()
    managed_from(host, "192.0.2.9", monkeypatch)
    result = host.apply(FACETIME, enable=True)
    assert kernel(host)[:2] == GUARD_LINES
    assert host.enabled
    assert result["after"][0]["name"] == "management"
    # Its packets have met the guard by now, so it has a state. Nobody changes a file for that alone.
    monkeypatch.setattr(_guard, "connection", lambda _host: None)
    assert not host.module(rules=[FACETIME], enable=True)["changed"]
    managed_from(host, "192.0.2.9", monkeypatch)
    host.apply(FACETIME, AIRPLAY, enable=True)
    assert not any("management" in rule for rule in kernel(host))


@pytest.mark.parametrize("variable", ["SUDO_USER", "DOAS_USER"])
def test_a_connection_that_nobody_knows_is_not_cut(host: Host, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    off(host)
    host.write("/etc/pf.conf", BLOCKING[host.system])
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setenv(variable, "admin")
    pristine = host.files()
    with pytest.raises(FirewallError, match="took SSH_CONNECTION away"):
        host.module(rules=[FACETIME], enable=True)
    assert host.files() == pristine and not host.enabled
    host.apply(FACETIME)


@pytest.mark.parametrize("admits", ["", "pass in proto tcp to port 22\n"])
def test_the_guard_is_there_when_the_administrator_switches_pf_on(
    host: Host, admits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    off(host)
    host.write("/etc/pf.conf", (MACOS_PF_CONF if host.system == "macos" else "") + "block all\n" + admits)
    managed_from(host, "192.0.2.9", monkeypatch)
    result = host.apply(FACETIME)
    assert not host.enabled and "off" in codes(result) and ("guard" in codes(result)) is not bool(admits)
    for program in ("/sbin/kldload -n pf", "/sbin/pfctl -f /etc/pf.conf", "/sbin/pfctl -e"):
        if host.system == "freebsd" or "pfctl" in program:
            host.run(program.split())
    assert host.enabled and any("management" in rule and " in " in rule for rule in kernel(host)) is not bool(admits)


def test_no_guard_where_nothing_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    off(host)
    managed_from(host, "192.0.2.9", monkeypatch)
    if host.system == "openbsd":
        host.write("/etc/pf.conf", "pass\n")
        host.boot()
    host.apply(FACETIME, enable=True)
    assert not any("management" in rule for rule in kernel(host))


def test_a_link_local_connection(make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host("freebsd")
    host.write("/etc/pf.conf", "block all\n")
    managed_from(host, "fe80::1", monkeypatch)
    host.apply(FACETIME, enable=True)
    assert "inet6 proto tcp from fe80::/10 to any port = 22 flags any" in kernel(host)[0]


# Drift


def drifts(host: Host) -> dict[str, tuple[Callable[[], object], str]]:
    def edit(path: str, old: str, new: str) -> Callable[[], object]:
        return lambda: host.write(path, host.read(path).replace(old, new))

    def flush() -> None:
        host.anchors.clear()

    def reload_main() -> None:
        host.main = [rule for rule in host.main if "netports" not in rule]

    def other_rules() -> None:
        host.anchors["netports.apple"] = checker.parse('pass in quick proto tcp from any to any port 1 label "x"\n')

    def other_table() -> None:
        text = host.anchors["netports.apple"]
        name = min(text.tables)
        text.tables[name] = ("0.0.0.0/1",)

    def no_table() -> None:
        text = host.anchors["netports.apple"]
        del text.tables[min(text.tables)]

    return {
        "port": (edit(FILE, "port 7000", "port 7001"), "was edited by hand"),
        "table": (edit(FILE, "10.0.0.0/8", "10.0.0.0/9"), "was edited by hand"),
        "line more": (edit(FILE, "pass in quick", "pass in all\npass in quick"), "was edited by hand"),
        "nonsense": (edit(FILE, "pass in quick", "pass on on in"), "was edited by hand"),
        "comment": (edit(FILE, "# Anchor", "# anchor"), "was edited by hand"),
        "no call": (edit("/etc/pf.conf", '\nanchor "netports.apple"', ""), "/etc/pf.conf does not call"),
        "no load": (
            edit("/etc/pf.conf", f'load anchor "netports.apple" from "{FILE}"\n', ""),
            "/etc/pf.conf does not load",
        ),
        "commented": (edit("/etc/pf.conf", '\nanchor "netports', '\n#anchor "netports'), "/etc/pf.conf does not call"),
        "flushed": (flush, "is empty in the kernel"),
        "call": (reload_main, "the main ruleset in the kernel does not call"),
        "kernel": (other_rules, "are not those of its file"),
        "kernel table": (other_table, "in the kernel is not as its file says"),
        "killed table": (no_table, "in the kernel is not as its file says"),
    }


# Their names need no host.
KINDS = list(drifts(None))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_drift_is_named_and_mended(host: Host, kind: str) -> None:
    on(host)
    host.apply(*ALL, enable=True)
    as_it_was = host.files(), kernel(host), sorted(host.main)
    spoil, expected = drifts(host)[kind]
    spoil()
    if kind in ("no call", "no load", "commented"):
        host._load_silently()
    spoiled = host.files(), kernel(host), sorted(host.main), list(host.anchors.items())
    seen = host.module(rules=list(ALL), enable=True, check=True)
    assert seen["changed"] and any(expected in what for what in whats(seen)), whats(seen)
    assert seen["diff"]["before"] != seen["diff"]["after"]
    assert (host.files(), kernel(host), sorted(host.main), list(host.anchors.items())) == spoiled
    result = host.apply(*ALL, enable=True)
    assert result["operations"] == seen["operations"]
    files, rules, main = as_it_was
    if kind == "commented":
        files = {**files, "etc/pf.conf": host.file("/etc/pf.conf").read_bytes()}
        assert '\n#anchor "netports.apple"\n' in host.read("/etc/pf.conf")
    assert (host.files(), kernel(host), sorted(host.main)) == (files, rules, main)


def test_second_table_is_looked_at_too(host: Host) -> None:
    on(host)
    host.apply(*ALL)
    text = host.anchors["netports.apple"]
    names = sorted(text.tables)
    assert len(names) == 3
    text.tables[names[1]] = ("192.0.2.1",)
    assert whats(host.apply(*ALL)) == [
        f"table {names[1]} of anchor netports.apple in the kernel is not as its file says"
    ]


def test_an_update_replaced_pf_conf(make_host: Callable[[str], Host]) -> None:
    host = make_host("macos")
    host.apply(*ALL, enable=True)
    host.write("/etc/pf.conf", "# of the new release\n" + MACOS_PF_CONF)
    host.boot()
    assert host.enabled and 'anchor "netports.apple" all' not in host.main
    result = host.apply(*ALL, enable=True)
    assert whats(result) == [
        "/etc/pf.conf does not call anchor netports.apple",
        "/etc/pf.conf does not load anchor netports.apple",
        "the main ruleset in the kernel does not call anchor netports.apple",
    ]
    assert host.read("/etc/pf.conf").startswith("# of the new release\n" + MACOS_PF_CONF)


def test_the_daemon_loads_the_anchor_alone_and_says_when_nothing_calls_it(
    make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host("macos")
    host.apply(*ALL, enable=True)
    rules = kernel(host)
    assert host.syslog == []
    # Another program's ruleset stands in the kernel by the time that the daemon runs.
    monkeypatch.setattr(host, "_load_silently", lambda: host.main.append("block drop in all"))
    host.boot()
    assert kernel(host) == rules and host.main == ["block drop in all"] and host.enabled
    assert len(host.syslog) == 1 and "does not call anchor netports.apple" in host.syslog[0]


def test_the_daemon_is_put_back(make_host: Callable[[str], Host]) -> None:
    host = make_host("macos")
    host.apply(FACETIME, enable=True)
    for text in ("", host.read(PLIST).replace("<true/>", "<false/>")):
        host.write(PLIST, text or "gone")
        assert whats(host.apply(FACETIME, enable=True)) == ["pf is off after the next boot"]


def test_left_over_pieces_are_removed(host: Host) -> None:
    on(host)
    pristine = host.files()
    host.apply(*ALL)
    host.file(FILE).unlink()
    result = host.apply(state="deleted")
    assert "/etc/pf.conf still has lines of anchor netports.apple" in whats(result)
    assert "the kernel still has anchor netports.apple" in whats(result)
    assert host.files() == pristine and kernel(host) == []


OTHERS = ['anchor "com.vpn.tunnel" all', "block drop in proto tcp from any to any port = 23"]


@pytest.mark.parametrize("other", OTHERS)
def test_what_the_kernel_has_beside_the_file_is_not_dropped_unasked(host: Host, other: str) -> None:
    on(host)
    host.main.append(other)
    before = host.files(), list(host.main)
    for check in (True, False):
        with pytest.raises(FirewallError, match=re.escape(other)) as caught:
            host.module(check=check, rules=[FACETIME])
        assert caught.value.code == "main-ruleset-differs"
        assert "host_firewall_accept: [main-ruleset-differs]" in str(caught.value)
        assert (host.files(), host.main) == before
    result = host.apply(FACETIME, accept=["main-ruleset-differs"])
    assert other not in host.main and "main-ruleset-differs" in codes(result)
    # A change of the anchor alone loads no main ruleset, so that nothing is lost and nothing to be said.
    host.main.append(other)
    assert "main-ruleset-differs" not in codes(host.apply(AIRPLAY)) and other in host.main
    with pytest.raises(FirewallError, match="would drop"):
        host.module(state="deleted")


def test_what_somebody_wrote_and_did_not_load_is_named(host: Host) -> None:
    on(host)
    host.write("/etc/pf.conf", host.read("/etc/pf.conf") + "block in proto tcp to port 23\n")
    pending = [one for one in host.apply(FACETIME)["warnings"] if "makes pending changes live" in one]
    assert len(pending) == 1 and "port = 23" in pending[0]
    assert not any("pending" in one for one in host.apply(AIRPLAY)["warnings"])


def test_translations_are_not_dropped_unasked_either(host: Host) -> None:
    on(host)
    rule = "rdr pass on lo0 inet proto tcp from any to any port = 80 -> 127.0.0.1 port 8080"
    if host.system == "openbsd":
        rule = "match out on em0 inet from 10.0.0.0/8 to any nat-to (em0)"
        host.main.append(rule)
    else:
        host.nat.append(rule)
    with pytest.raises(FirewallError, match=re.escape(rule)):
        host.module(rules=[FACETIME])
    host.write("/etc/pf.conf", f"{rule}\n{host.read('/etc/pf.conf') if host.system != 'macos' else MACOS_PF_CONF}")
    if host.system == "macos":
        host.write("/etc/pf.conf", MACOS_PF_CONF.replace("dummynet-", f"{rule}\ndummynet-"))
    host._load_silently()
    host.apply(FACETIME)


def test_the_order_of_the_main_ruleset_counts(host: Host) -> None:
    on(host)
    host.write("/etc/pf.conf", "block out all\npass out all\n")
    host._load_silently()
    host.main.reverse()
    with pytest.raises(FirewallError, match="the order of its rules"):
        host.module(rules=[FACETIME])


def test_what_the_optimizer_drops_is_no_difference(host: Host) -> None:
    on(host)
    host.write("/etc/pf.conf", "block in all\nblock in all\npass out all\n")
    host._load_silently()
    assert len(host.main) == 2
    host.apply(FACETIME)
    host.apply(state="deleted")
    # Loaded by somebody without it.
    host.main.insert(0, host.main[0])
    host.apply(FACETIME)


# What fails


def state(host: Host) -> tuple[Any, ...]:
    """Everything that a run could change, but for FreeBSD's kernel module, which filters nothing by itself."""
    files = {path: text for path, text in host.files().items() if path != "dev/pf"}
    return files, kernel(host), sorted(host.main), host.enabled, list(host.tokens), set(host.daemons)


def nothing(host: Host) -> dict[str, Any]:
    return {"rules": list(ALL), "enable": True}


def some_rules(host: Host) -> dict[str, Any]:
    host.apply(FACETIME)
    return {"rules": list(ALL)}


def some_rules_and_off(host: Host) -> dict[str, Any]:
    host.apply(FACETIME)
    return {"rules": list(ALL), "enable": True}


def all_rules(host: Host) -> dict[str, Any]:
    host.apply(*ALL, enable=True)
    return {"state": "deleted"}


@pytest.mark.parametrize("arrange", [nothing, some_rules, some_rules_and_off, all_rules])
def test_a_failure_anywhere_puts_everything_back(
    host: Host, arrange: Callable[[Host], dict[str, Any]], tmp_path: Path
) -> None:
    off(host)
    params = arrange(host)
    host.module(**params)
    # Reading changes nothing, and what takes back is allowed to fail: it may be gone already.
    steps = [argv for argv in host.log if not {"-s", "-v", "bootout", "-X", "-an"} & set(argv)]
    assert len(steps) >= 2 or host.system == "freebsd"
    for number, step in enumerate(steps):
        fresh = Host(tmp_path / f"root{number}", host.system)
        off(fresh)
        params = arrange(fresh)
        before = state(fresh)
        fresh.fail(*step)
        with pytest.raises(FirewallError, match="injected"):
            fresh.module(**params)
        assert state(fresh) == before, step
        assert fresh.module(**params)["changed"], step


def test_an_interrupted_run_puts_everything_back(host: Host) -> None:
    on(host)
    pristine = host.files(), sorted(host.main)
    host.fail("-f", "/etc/pf.conf", err=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        host.module(rules=list(ALL))
    assert (host.files(), sorted(host.main)) == pristine


def test_a_disk_that_is_full(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    on(host)
    pristine = host.files()
    real = _files.replace

    def replace(path: str, text: str | None, mode: int = 0o644) -> None:
        if path.endswith("pf.conf") and "netports" in str(text):
            raise OSError(28, "No space left on device")
        real(path, text, mode)

    monkeypatch.setattr(_files, "replace", replace)
    with pytest.raises(FirewallError, match="No space left"):
        host.module(rules=list(ALL))
    assert host.files() == pristine


def test_a_main_ruleset_that_was_broken_before(host: Host) -> None:
    on(host)
    host.write("/etc/pf.conf", host.read("/etc/pf.conf") + "nonsense\n")
    pristine = host.files(), sorted(host.main), set(host.skipped)
    with pytest.raises(FirewallError, match="Checking the main ruleset failed .*syntax error"):
        host.module(rules=list(ALL))
    assert (host.files(), sorted(host.main), set(host.skipped)) == pristine


def test_rules_that_did_not_take_are_no_success(host: Host) -> None:
    on(host)
    host.apply(FACETIME)
    pristine = host.files()
    host.fail("-a", "netports.apple", "-f", FILE, code=0, err="")
    with pytest.raises(FirewallError, match="without an error and yet has others"):
        host.module(rules=list(ALL))
    assert host.files() == pristine and not host.module(rules=[FACETIME])["changed"]


def test_the_expansion_of_pfctl_decides_over_our_own(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that prints rules in a way of its own costs a process and is no drift."""
    on(host)
    real = checker.expand

    def expand(text: checker.Text, dialect: str, numeric: bool = True, policy: str = "") -> list[str]:
        return [rule.replace(" label", " scrub label") for rule in real(text, dialect, numeric, policy)]

    monkeypatch.setattr(checker, "expand", expand)
    host.module(rules=list(ALL))
    assert not host.module(rules=list(ALL))["changed"]
    assert len(host.log) == 4


def test_without_privileges(host: Host) -> None:
    on(host)
    host.fail("-s", code=1, err="pfctl: /dev/pf: Permission denied\n")
    with pytest.raises(FirewallError, match=r"Permission denied.*become: true"):
        host.module(rules=list(ALL))


@pytest.mark.parametrize("system", ["macos", "openbsd"], indirect=True)
def test_a_main_ruleset_that_is_missing(host: Host) -> None:
    host.file("/etc/pf.conf").unlink()
    with pytest.raises(FirewallError, match=r"/etc/pf.conf is missing"):
        host.module(rules=list(ALL))


def test_an_interface_that_is_a_word_of_pf(host: Host) -> None:
    with pytest.raises(FirewallError, match=r"interface 'egress-x y'|interface 'all'"):
        host.module(rules=[{**SHARING, "interface": "all"}])


def test_a_switch_that_another_file_keeps_off(make_host: Callable[[str], Host]) -> None:
    host = make_host("freebsd")
    host.write("/etc/rc.conf.local", "pf_enable=NO\n")
    pristine = {**host.files()}
    with pytest.raises(FirewallError, match=r"still does not come on at boot.*rc.conf.local"):
        host.module(rules=[FACETIME], enable=True)
    assert {path: text for path, text in host.files().items() if path != "dev/pf"} == pristine
    assert not host.enabled


def test_the_main_ruleset_of_another_name(make_host: Callable[[str], Host]) -> None:
    host = make_host("freebsd")
    on(host)
    host.write("/usr/local/etc/pf.rules", host.read("/etc/pf.conf"))
    host.write("/etc/rc.conf", host.read("/etc/rc.conf") + 'pf_rules="/usr/local/etc/pf.rules"\n')
    host.file("/etc/pf.conf").unlink()
    host.apply(FACETIME)
    assert 'anchor "netports.apple"\n' in host.read("/usr/local/etc/pf.rules")
    assert not host.file("/etc/pf.conf").exists()


def test_plist_is_what_launchd_reads(make_host: Callable[[str], Host]) -> None:
    host = make_host("macos")
    host.apply(FACETIME, enable=True)
    assert re.search(r"<key>RunAtLoad</key>\s*<true/>", host.read(PLIST))
    assert host.file(PLIST).stat().st_mode & 0o777 == 0o644


def test_golden_files(host: Host) -> None:
    """Every file that a first run writes, beside this test for people to read."""
    off(host)
    before = host.files()
    host.apply(*ALL, enable=True)
    golden = Path(__file__).parent / "golden" / host.system
    changed = {path: text.decode() for path, text in host.files().items() if before.get(path) != text}
    changed = {path: text for path, text in changed.items() if not path.startswith(("var/run/", "dev/"))}
    assert changed == {
        str(one.relative_to(golden)): one.read_text(encoding="utf-8") for one in golden.rglob("*") if one.is_file()
    }
