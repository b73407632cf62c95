# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ufw under other people's hands: broken files, other commands at the same moment, and rules that decide before ours."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from torture import STEP, WANTED, rule, settle, state

from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import tuples
from hosts import Host, play
from hosts.code import install, module

MODULE = "netports.apple.host_firewall"
# Ends the process that waits for a confirmation.
KILL = 'kill $(python3 -c \'import json; print(json.load(open("/var/lib/netports-apple/pending.json"))["keeper"])\')'


def refused(host: Host, **arguments: Any) -> str:
    """Run the module, which has to fail and to leave all as it was: its message."""
    before = state(host)
    code, result = module(host, **arguments)
    assert code == 1, result
    settle(host)
    assert state(host) == before, result["msg"]
    return str(result["msg"])


def chain(host: Host, name: str, family: int = 4) -> list[str]:
    """The rules of a chain."""
    out = host.run(["iptables-save" if family == 4 else "ip6tables-save", "-t", "filter"]).out
    return [line for line in out.splitlines() if line.startswith(f"-A {name} ")]


@pytest.mark.hosts("none", "bookworm")
def test_ufw_is_on_only_when_all_of_it_is(host: Host) -> None:
    install(host)
    # The kernel with chains of iptables, which ufw leaves there in any case.
    host.sh("ufw allow 22/tcp; ufw disable; mkdir -m 700 /var/lib/netports-apple")
    on: dict[str, Any] = {"rules": WANTED, "backend": "ufw", "enable": True}
    waits: dict[str, Any] = {"confirm_seconds": 900, "_confirm": STEP}
    for name, prefix, more in (
        ("before.rules", "ufw", waits),
        ("after.rules", "ufw", {}),
        ("before6.rules", "ufw6", waits),
    ):
        kind = name.partition(".")[0].rstrip("6")
        text = host.read(f"/etc/ufw/{name}")
        host.write(
            f"/etc/ufw/{name}",
            text.replace("\nCOMMIT", f"\n-A {prefix}-{kind}-input -m nosuchmatch --x -j ACCEPT\nCOMMIT"),
        )
        said = refused(host, **on)
        assert f"refuses /etc/ufw/{name}" in said and "nosuchmatch" in said, said
        # What iptables takes beforehand is compared afterwards, too.
        fooled = "/usr/local/sbin/ip%stables-restore" % ("6" if "6" in name else "")
        host.write(
            fooled,
            '#!/bin/sh\ncase " $* " in *--test*) cat >/dev/null; exit 0;; esac\nexec /usr/sbin/${0##*/} "$@"\n',
            "0755",
        )
        said = refused(host, **on, **more)
        assert "did not load all of ufw's files" in said and f"{prefix}-{kind}-input" in said, said
        host.run(["rm", fooled])
        host.write(f"/etc/ufw/{name}", text)
    # Check mode says it, too, and in a play by a code.
    host.sh(
        "cp /etc/ufw/before.rules /run/; sed -i 's/^COMMIT/-A ufw-before-input -m nosuchmatch --x -j ACCEPT\\n&/' /etc/ufw/before.rules"
    )
    played = play(host, [{"name": "Run", MODULE: on}], check=True, fails=True).result(host, MODULE)
    assert "refuses /etc/ufw/before.rules" in played["msg"] and played["notices"][0]["code"] == "broken", played
    host.sh("cp /run/before.rules /etc/ufw/before.rules")
    # A unit that systemd would not start at boot.
    host.sh("systemctl mask --quiet ufw")
    assert "ufw.service is masked" in refused(host, **on)
    host.sh("systemctl unmask --quiet ufw; systemctl disable --quiet ufw")
    # As the package ships it, without a rule and without a section for logging.
    host.sh("cp /usr/share/ufw/user6.rules /etc/ufw/user6.rules")
    # Not confirmed: off again, but where somebody else has switched it on meanwhile.
    for words in ("true", "ufw --force enable"):
        module(host, **on, **waits)
        host.sh(f"{words}; {KILL}")
        settle(host)
        assert not any("dapp_Apple" in line for line in chain(host, "ufw-user-input"))
        assert bool(chain(host, "ufw-user-input")) == (words != "true")
    host.sh("ufw disable; cp /usr/share/ufw/user6.rules /etc/ufw/user6.rules")
    waiting = module(host, **on, **waits)[1]["confirm"]
    assert "disabled" in state(host).enabled
    assert module(host, _confirm={"step": "confirm", "id": waiting["id"]})[1]["confirm"]["state"] == "confirmed"
    assert not module(host, **on)[1]["changed"] and "disabled" not in host.run(["systemctl", "is-enabled", "ufw"]).out
    host.sh("systemctl disable --quiet ufw")
    found = module(host, rules=WANTED)[1]
    assert not found["changed"] and [one["code"] for one in found["notices"]] == ["off-at-boot"]
    assert module(host, **on)[1]["operations"] == [{"action": "enable", "what": "ufw"}]
    host.reboot()
    assert not module(host, **on)[1]["changed"] and chain(host, "ufw-user-input")


# ufw asks for iptables' version between its reading of the rules and its lock. The first that asks waits.
HELD = """#!/bin/sh
if [ "$*" = -V ] && mkdir /run/read 2>/dev/null; then
    while [ -e /run/hold ]; do sleep 0.05; done
fi
exec /usr/sbin/xtables-nft-multi iptables "$@"
"""


@pytest.mark.hosts("ufw", "bookworm")
def test_other_commands_of_ufw_at_the_same_moment(host: Host) -> None:
    install(host)
    # One that has read the old files before ours are written, and then waits for the lock.
    host.run(["rm", "/usr/sbin/iptables"])
    host.write("/usr/sbin/iptables", HELD, "0755")
    host.sh("touch /run/hold; ufw prepend reject from 198.51.100.9 >/dev/null 2>&1 &")
    host.sh("until [ -d /run/read ]; do sleep 0.05; done")
    host.sh(
        "(until [ -e /etc/ufw/applications.d/netports-apple ]; do sleep 0.05; done; rm /run/hold) >/dev/null 2>&1 &"
    )
    assert module(host, rules=WANTED)[1]["changed"]
    assert not module(host, rules=WANTED)[1]["changed"]
    added = host.run(["ufw", "show", "added"]).out
    assert "from 198.51.100.9" in added and "Apple Classroom" in added
    # And a storm of them: nobody's rule is lost, and what is said to be there is there.
    ban = "n=$((n + 1)); ufw prepend reject from 203.0.113.$n >/dev/null; echo $n >/run/bans; sleep 0.2"
    host.sh(f"systemd-run --unit=bans --collect sh -c 'n=0; until [ -e /run/enough ]; do {ban}; done'")
    runs = 0
    while runs < 8 or int(host.sh("cat /run/bans || true").out or 0) < 8:
        wanted = WANTED if runs % 2 else WANTED[:1]
        if runs % 4 < 2:
            code, result = module(host, rules=wanted)
        else:
            code, result = module(host, rules=wanted, confirm_seconds=900, _confirm=STEP)
            if "confirm" in result:
                answer = module(host, _confirm={"step": "confirm", "id": result["confirm"]["id"]})[1]["confirm"]
                assert answer["state"] == "confirmed", answer
        assert code == 0, result
        assert not module(host, rules=wanted)[1]["changed"], runs
        runs += 1
    host.sh("touch /run/enough; while systemctl is-active --quiet bans; do sleep 0.1; done")
    added = host.run(["ufw", "show", "added"]).out
    bans = range(1, int(host.read("/run/bans")) + 1)
    assert [n for n in bans if f"203.0.113.{n}\n" not in added] == []
    # Not confirmed, with a ban in between: the old rules come back, and the ban stays.
    module(host, rules=WANTED)
    old = state(host)
    assert module(host, state="deleted", confirm_seconds=600, _confirm=STEP)[0] == 0
    host.run(["ufw", "prepend", "reject", "from", "192.0.2.77"])
    host.sh(KILL)
    settle(host)
    assert "192.0.2.77" in host.run(["ufw", "show", "added"]).out
    host.run(["ufw", "delete", "reject", "from", "192.0.2.77"])
    assert state(host) == old
    # Somebody who may not write the lock can still read it, and so lock it for ever.
    host.sh(
        "systemd-run --unit=reader --uid=nobody --collect python3 -c"
        " 'import fcntl, time; f = open(\"/run/ufw.lock\"); fcntl.lockf(f, fcntl.LOCK_SH); time.sleep(600)'"
    )
    host.sh(
        'while python3 -c \'import fcntl; fcntl.lockf(open("/run/ufw.lock", "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)\'; do sleep 0.1; done 2>/dev/null'
    )
    assert module(host, rules=WANTED[:1])[1]["changed"] and not module(host, rules=WANTED[:1])[1]["changed"]


SHARING = [rule("Sharing", tcp=["139", "548"], sources=["10.0.0.0/8", "192.168.0.0/16"])]
MORE = [rule("Sharing", tcp=["139", "445"], udp=["137"], sources=["10.0.0.0/8", "192.168.0.0/16"])]


def codes(result: dict[str, Any]) -> list[str]:
    """The codes of a result's notices."""
    return [notice["code"] for notice in result["notices"]]


@pytest.mark.hosts("ufw", "bookworm")
def test_rules_under_an_administrators_hands(host: Host) -> None:
    install(host)
    # As cron and ansible-pull have it, and as su without a dash.
    task: dict[str, Any] = {"name": "Run", MODULE: {"rules": SHARING}}
    pristine = state(host)
    assert module(host, env={"PATH": "/usr/bin:/bin"}, rules=SHARING)[1]["changed"]
    host.sh("echo root:secret | chpasswd")
    become = {"ansible_become_method": "su", "ansible_become_password": "secret"}
    assert not play(host, [task], user="admin", extra_vars=become).result(host, MODULE)["changed"]

    made = state(host)
    host.run(["ufw", "limit", "Apple Sharing"])
    assert module(host, rules=SHARING)[1]["changed"]
    host.run(["iptables", "-I", "ufw-user-input", "1", *chain(host, "ufw-user-input")[-1].split()[2:]])
    doubled = module(host, rules=SHARING)[1]
    assert [step["action"] for step in doubled["operations"]] == ["mend"]
    assert sorted(state(host).kernel.splitlines()) == sorted(made.kernel.splitlines())

    # A changed rule stays before a refusal that came behind it, in the kernel as in the file, and a protocol more
    # stays with the others: 'ufw app update' finds nothing to do.
    host.run(["ufw", "reject", "from", "198.51.100.9"])
    assert module(host, rules=MORE)[1]["changed"]
    lines = chain(host, "ufw-user-input")
    assert "198.51.100.9" in lines[-1] and "445" in "".join(lines[:-1])
    for command in (["ufw", "app", "update", "Apple Sharing"], ["ufw", "reload"]):
        host.run(command)
        assert len(chain(host, "ufw-user-input")) == len(lines)
        again = module(host, rules=MORE)[1]
        assert not again["changed"], (command, again["operations"], again["diff"])

    # What decides before ufw's rules is named.
    host.run(["ufw", "prepend", "deny", "in", "from", "any"])
    shut = module(host, rules=MORE)[1]
    assert not shut["changed"] and "refused" in codes(shut)
    assert any("'deny in from any to any'" in text for text in shut["warnings"])
    host.run(["ufw", "delete", "deny", "in", "from", "any"])
    host.run(["iptables", "-I", "INPUT", "1", "-j", "REJECT"])
    assert any("'-A INPUT -j REJECT" in text for text in module(host, rules=MORE)[1]["warnings"])
    host.run(["iptables", "-F", "INPUT"])
    assert any("no longer calls ufw's chains" in text for text in module(host, rules=MORE)[1]["warnings"])
    host.run(["iptables", "-P", "INPUT", "ACCEPT"])
    host.reboot()
    install(host)
    assert codes(module(host, rules=MORE)[1]) == []

    # A file that cannot be replaced, and one that is a copy of ours.
    host.sh("mount --bind /etc/ufw/user.rules /etc/ufw/user.rules")
    assert "user.rules is a mount of its own" in refused(host, rules=SHARING)
    host.sh(
        "umount /etc/ufw/user.rules; cp /etc/ufw/applications.d/netports-apple /etc/ufw/applications.d/netports-apple.bak"
    )
    assert "/etc/ufw/applications.d/netports-apple.bak" in refused(host, rules=SHARING)
    assert module(host, state="gathered")[1]["gathered"][0]["name"] == "Sharing"
    assert module(host, state="deleted")[1]["changed"]
    assert not any("dapp_Apple" in line for family in (4, 6) for line in chain(host, "ufw-user-input", family))
    host.run(["rm", "/etc/ufw/applications.d/netports-apple.bak"])
    host.run(["ufw", "delete", "reject", "from", "198.51.100.9"])
    assert state(host).files == pristine.files


# Prints what ufw's own parser finds in each of the texts that it is given.
PARSER = """
import builtins, json, sys, tempfile
builtins._ = str
from ufw.backend_iptables import UFWBackendIptables
found = []
for text in json.load(sys.stdin):
    with tempfile.NamedTemporaryFile("w", newline="") as file:
        file.write(text)
        file.flush()
        backend = object.__new__(UFWBackendIptables)
        backend.files, backend.rules, backend.defaults = {"rules": file.name, "rules6": ""}, [], {"ipv6": "no"}
        backend._read_rules()
        found.append([[one.action, one.protocol, one.dport, one.dst, one.sport, one.src, one.dapp,
                       "forward" if one.forward else one.direction, one.interface_in, one.interface_out]
                      for one in backend.rules])
print(json.dumps(found))
"""
WORDS = {
    "action": [
        "allow",
        "deny",
        "reject",
        "limit",
        "allow_log",
        "deny_log-all",
        "route:allow",
        "route:deny",
        "ALLOW",
        "drop",
    ],
    "protocol": ["tcp", "udp", "any"],
    "port": [
        "any",
        "80",
        "80,443",
        "1000:2000",
        "22,1000:2000",
        "http",
        "https,ssh",
        "nosuch-port",
        "0",
        "70000",
        "9:8",
    ],
    "address": [
        "0.0.0.0/0",
        "any",
        "10.0.0.0/8",
        "192.0.2.7",
        "host.example",
        "10.0.0.0/255.0.0.0",
        "fe80::1",
        "300.1.1.1",
    ],
    "profile": ["", " Nginx%20Full -", " - Nginx%20Full", " Apple%20X -"],
    "way": [" in", " out", "", " in_eth0", " out_eth1", " in_eth0!out_eth1", " up", " sideways_eth0"],
    "tail": ["", " comment=616263", "  ", "\r"],
}


@pytest.mark.hosts("ufw", "bullseye", "trixie")
def test_tuples_are_read_as_ufw_reads_them(host: Host) -> None:
    draw = random.Random(host.suite)
    texts = []
    for _text in range(400):
        lines = ["*filter\n", "### RULES ###\n"] * draw.choice([0, 1])
        for _line in range(draw.randint(1, 4)):
            word = {name: draw.choice(words) for name, words in WORDS.items()}
            lines.append(
                f"### tuple ### {word['action']} {word['protocol']} {word['port']} {draw.choice(WORDS['address'])}"
                f" any {word['address']}{word['profile']}{word['way']}{word['tail']}\n"
            )
        texts.append("".join(lines))
    theirs = json.loads(host.run(["python3", "-c", PARSER], stdin=json.dumps(texts)).out)
    kept = 0
    for text, rules in zip(texts, theirs, strict=True):
        ours = list(tuples.parse_blocks(text))
        assert [read_by_ufw(one) for one in rules] == [read_by_us(block) for block in ours], text
        kept += len(ours)
    assert kept > 100


def read_by_ufw(one: list[Any]) -> tuple[Any, ...]:
    """A rule of ufw's parser, in the words of a block."""
    action, protocol, ports, destination, source_ports, source, profile, direction, interface, out_interface = one
    if direction == "out" and not interface:
        interface, out_interface = out_interface, ""
    return action, protocol, ports, destination, source_ports, source, profile, direction, interface, out_interface


def read_by_us(block: Any) -> tuple[Any, ...]:
    """A block of ours."""
    ends = (block.destination, block.source_ports, block.source)
    return (
        *(block.action, block.protocol, block.ports, *ends),
        *(block.profile, block.direction, block.interface, block.out_interface),
    )
