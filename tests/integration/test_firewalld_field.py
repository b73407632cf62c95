# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators and other programs do to firewalld, on real hosts: a ruleset comes, stays and goes beside it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from integration.test_firewalld import LOCAL, agree, module, predicted, rule, theirs

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import rich
from hosts import Host, State, listen, play, probe
from hosts.firewalld import cmd

FACETIME = rule("FaceTime", tcp=["5223"], udp=["3478-3497"])
OUT = rule("FaceTime", "out", tcp=["443"])
NEAR = rule("Classroom", tcp=["3284"], sources=LOCAL)
RULES = (FACETIME, OUT, NEAR)
CONF = "/etc/firewalld/firewalld.conf"


def others(host: Host) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All that is not the ruleset's: files but for zones, and what firewalld has at runtime and for good."""
    files = host.files("/etc/firewalld")
    kept = {path: item for path, item in files.items() if "/apple-" not in path and "/zones" not in path}
    return kept, theirs(host)


def lives(host: Host, meanwhile: Callable[[], None] = lambda: None, **more: Any) -> list[dict[str, Any]]:
    """A ruleset comes, changes nothing at its second run, loses a rule, and goes; returns the first run's notices.

    :param meanwhile: what to look at in between: after it came, and after it lost a rule.
    """
    files, before = host.files("/etc/firewalld"), others(host)
    _checked, first = predicted(host, *RULES, **more)
    assert first["changed"] and others(host) == before
    agree(host)
    meanwhile()
    assert not module(host, *RULES, **more)["changed"]
    module(host, *RULES[1:], **more)
    left = host.files("/etc/firewalld/services")
    assert others(host) == before and "/etc/firewalld/services/apple-facetime.xml" not in left
    meanwhile()
    module(host, **more)
    assert host.files("/etc/firewalld") == files and others(host) == before
    notices: list[dict[str, Any]] = first["notices"]
    return notices


def opened(host: Host) -> list[tuple[str, str, list[str]]]:
    """What the module says is open to anywhere."""
    found = module(host, state="gathered", foreign=True)["exposed"]
    return [(item["text"], item["protocol"], item["ports"]) for item in found]


@contextmanager
def settings(host: Host) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """A function that sets firewalld.conf and starts firewalld anew; all is as it was behind the block."""
    old = host.read(CONF)

    def put(values: Mapping[str, str]) -> None:
        kept = [line for line in old.splitlines() if line.partition("=")[0] not in values]
        host.write(CONF, "\n".join([*kept, *(f"{name}={value}" for name, value in values.items()), ""]))
        host.sh("systemctl reset-failed firewalld; systemctl restart firewalld")
        cmd(host, "--state")

    yield put
    put({})
    host.write(CONF, old)


@pytest.mark.hosts("firewalld")
def test_what_every_release_has_to_stand(host: Host, peer: Host) -> None:
    # No interface is bound, and all of them are in the default zone: what it lets in is open to anywhere.
    cmd(host, "--add-port=5985/tcp")
    assert ("zone public: port 5985/tcp", "tcp", ["5985"]) in opened(host)
    cmd(host, "--remove-port=5985/tcp")
    # Zones by source, by interface, of every target; rich rules of every kind; a policy that drops.
    cmd(host, "--permanent", "--new-zone=theirs")
    cmd(host, "--permanent", "--zone=theirs", "--set-target=DROP")
    cmd(host, "--permanent", "--zone=theirs", f"--add-source={peer.address4}")
    for words in (
        "rule priority=-5 family=ipv4 source address=192.0.2.0/24 port port=22 protocol=tcp log prefix=x limit value=1/m drop",
        "rule family=ipv4 source NOT address=192.0.2.0/24 service name=http accept limit value=5/m",
        "rule service name=https audit accept",
        "rule priority=9 protocol value=esp accept",
    ):
        cmd(host, "--permanent", f"--add-rich-rule={words}")
    cmd(host, "--permanent", "--new-policy=wall")
    for words in ("--add-ingress-zone=ANY", "--add-egress-zone=HOST", "--set-priority=50", "--set-target=CONTINUE"):
        cmd(host, "--permanent", "--policy=wall", words)
    # A service of the distribution's, changed in /etc, with what it includes.
    cmd(host, "--permanent", "--service=https", "--add-include=ipp")
    cmd(host, "--permanent", "--service=https", "--add-port=8443/tcp")
    cmd(host, "--reload")
    open_now = opened(host)
    assert any('service name="https"' in text and "8443" in ports for text, _protocol, ports in open_now), open_now
    assert any('source NOT address="192.0.2.0/24"' in text for text, _protocol, _ports in open_now), open_now
    assert not any("esp" in text for text, _protocol, _ports in open_now)
    lives(host)
    # Are our rules where the traffic arrives? The peer comes by a zone of its own.
    notices = module(host, *RULES)["notices"]
    assert any(item["code"] == "elsewhere" and item["rules"] == ["Classroom", "FaceTime"] for item in notices), notices
    with listen(host, tcp=[5223, 3284]):
        assert probe(peer, host, [5223, 3284]) == {5223: "filtered", 3284: "filtered"}
        module(host, *RULES, zone="theirs")
        assert probe(peer, host, [5223, 3284]) == {5223: "open", 3284: "open"}
        assert probe(peer, host, [5223, 3284], family=6) == {5223: "filtered", 3284: "filtered"}
    module(host)
    # What --runtime-to-permanent, --complete-reload and --reload by others leave is what is wanted still.
    module(host, *RULES)
    # 0.9 wants /proc/modules for a complete reload, which a kernel without modules does not have.
    complete = [] if host.suite == "bullseye" else ["--complete-reload"]
    for words in ("--runtime-to-permanent", *complete, "--reload"):
        cmd(host, words)
        assert not module(host, *RULES)["changed"], words
    module(host)


@pytest.mark.hosts("firewalld", "trixie")
def test_files_as_others_write_them(host: Host) -> None:
    body = '<service name="ssh"/>\n  <!-- ours -->\n  <rule>\n    <accept/>\n    <service name="http"/>\n  </rule>\n'
    texts = {
        "bom": "\ufeff<?xml version='1.0' encoding='utf-8'?>\n<zone>\n  " + body + "</zone>\n",
        "odd": "<zone target='%%REJECT%%' version='1'><short/>" + body + "<description>&#xE9;</description></zone>",
        "latin": None,
    }
    for name, text in texts.items():
        if text is None:
            data = f'<?xml version="1.0" encoding="iso-8859-1"?>\n<zone>\n  <short>Caf\xe9</short>\n  {body}</zone>\n'
            host.run(
                ["install", "-m", "0640", "/dev/stdin", f"/etc/firewalld/zones/{name}.xml"],
                stdin=data.encode("latin-1"),
            )
        else:
            host.write(f"/etc/firewalld/zones/{name}.xml", text, "0640")
    cmd(host, "--reload")
    host.run(["chown", "root:adm", "/etc/firewalld/zones/odd.xml"])
    for name in texts:
        notices = lives(host, zone=name)
        assert any(item["code"] == "no-packets" and "no interface and no source" in item["text"] for item in notices)
    # A default zone that is changed, and one whose file is gone.
    cmd(host, "--set-default-zone=odd")
    lives(host)
    host.run(["rm", "/etc/firewalld/zones/odd.xml"])
    assert "default zone 'odd' has no file" in module(host, *RULES, fails=True)["msg"]
    cmd(host, "--set-default-zone=public", check=False)
    host.sh("sed -i 's/^DefaultZone=.*/DefaultZone=public/' " + CONF + "; firewall-cmd --reload")
    # A copy of a service of ours under a name of somebody else's is theirs, though it has our words.
    module(host, FACETIME)
    host.run(["cp", "/etc/firewalld/services/apple-facetime.xml", "/etc/firewalld/services/our-facetime.xml"])
    cmd(host, "--reload")
    module(host)
    assert "our-facetime" in cmd(host, "--permanent", "--get-services")
    assert "apple-facetime" not in cmd(host, "--permanent", "--get-services")
    # What firewall-cmd resets is not ours any more, and comes again.
    module(host, *RULES)
    if cmd(host, "--reset-to-defaults", check=False):
        assert module(host, *RULES)["changed"]
        agree(host)
    module(host)


@pytest.mark.hosts("firewalld", "trixie")
def test_settings_of_firewalld(host: Host, peer: Host) -> None:
    with settings(host) as put:
        for values in (
            {
                "FlushAllOnReload": "no",
                "ReloadPolicy": "INPUT:REJECT,FORWARD:DROP,OUTPUT:ACCEPT",
                "CleanupOnExit": "no",
            },
            {"StrictForwardPorts": "yes", "NftablesTableOwner": "yes", "IPv6_rpfilter": "no"},
            {"FirewallBackend": "iptables"},
        ):
            put(values)
            assert module(host, *RULES)["changed"], values
            agree(host)
            assert not module(host, *RULES)["changed"], values
            with listen(host, tcp=[5223, 5224]):
                found = probe(peer, host, [5223, 5224])
                # By iptables firewalld refuses with another answer.
                assert found[5223] == "open" and found[5224] in ("filtered", "closed"), values
            assert module(host)["changed"], values
    # Panic mode.
    cmd(host, "--panic-on")
    notices = module(host, *RULES)["notices"]
    assert any("panic mode" in item["text"] and item["code"] == "no-effect" for item in notices), notices
    cmd(host, "--panic-off")
    assert not module(host, *RULES)["changed"]
    module(host)


@pytest.mark.hosts("firewalld", "bookworm", "trixie")
def test_lockdown_and_direct_rules(host: Host) -> None:
    def direct(port: int, *words: str) -> None:
        rest = ("ipv4", "filter", "INPUT", "0", "-p", "tcp", "--dport", str(port), "-j", "DROP")
        cmd(host, *words, "--direct", "--add-rule", *rest)

    def dropped() -> set[int]:
        return {port for port in (4444, 4445, 4446) if f"dport {port} " in host.kernel()}

    # firewalld 2 has no lockdown any more; before, only who is in its list may change anything, and root is.
    with settings(host) as put:
        put({"Lockdown": "yes"})
        assert (cmd(host, "--query-lockdown").strip() == "yes") == (host.suite == "bookworm")
        direct(4444, "--permanent")
        cmd(host, "--reload")
        direct(4445)
        direct(4446, "--permanent")
        # In files and at runtime, at runtime alone, in files alone: each stays so over our reloads.
        assert dropped() == {4444, 4445}
        lives(host)
        assert dropped() == {4444, 4445}
        module(host, *RULES)
        assert dropped() == {4444, 4445}
        # A reload by somebody else does what it does without us.
        cmd(host, "--reload")
        assert dropped() == {4444, 4446} and not module(host, *RULES)["changed"]
        module(host)


@pytest.mark.hosts("firewalld", "trixie")
def test_targets_of_zones_and_of_policies(host: Host, peer: Host) -> None:
    refused = {"default": "filtered", "%%REJECT%%": "filtered", "DROP": "filtered", "ACCEPT": "open"}
    seen: list[dict[int, State]] = []
    with listen(host, tcp=[5223, 5224]):
        for target, other in refused.items():
            cmd(host, "--permanent", f"--set-target={target}")
            cmd(host, "--reload")
            seen.clear()
            notices = lives(host, lambda: seen.append(probe(peer, host, [5223, 5224])))
            assert seen == [{5223: "open", 5224: other}, {5223: other, 5224: other}], target
            idle = [item for item in notices if item["code"] == "no-effect"]
            assert bool(idle) == (target == "ACCEPT"), notices
        cmd(host, "--permanent", "--set-target=default")
        # A policy of the administrator that drops: behind the zones, and before them.
        cmd(host, "--permanent", "--new-policy=wall")
        for words in ("--add-ingress-zone=ANY", "--add-egress-zone=HOST", "--set-target=DROP", "--add-service=ssh"):
            cmd(host, "--permanent", "--policy=wall", words)
        for priority, found in ((50, "open"), (-50, "filtered")):
            cmd(host, "--permanent", "--policy=wall", f"--set-priority={priority}")
            cmd(host, "--reload")
            seen.clear()
            notices = lives(host, lambda: seen.append(probe(peer, host, [5223, 5224])))
            assert seen[0] == {5223: found, 5224: "filtered"}, priority
            idle = [item for item in notices if item["code"] == "refused" and item["direction"] == "in"]
            assert bool(idle) == (found == "filtered"), notices


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_files_of_the_filter_are_firewallds_own(host: Host, peer: Host) -> None:
    """What ``to_firewalld`` writes passes firewalld's own check, is loaded, lets packets in, and is nobody's ruleset."""
    near = f"query('netports.apple.ports', 'Screen Sharing') | netports.apple.rules(sources=['{peer.address4}'])"
    far = "query('netports.apple.ports', 'FaceTime') | netports.apple.rules"
    task = {
        "ansible.builtin.copy": {"content": "{{ item.value }}", "dest": "{{ item.key }}", "mode": "0644"},
        "loop": f"{{{{ ({near} + {far}) | netports.apple.to_firewalld(ruleset='site') | dict2items }}}}",
    }
    with listen(host, tcp=[5900, 5901], udp=[3477, 3478]):
        assert probe(peer, host, [5900]) == {5900: "filtered"}
        assert probe(peer, host, [3478], "udp") == {3478: "filtered"}
        play(host, [{"name": "Write", **task}])
        host.run(["firewall-offline-cmd", "--check-config"])
        cmd(host, "--reload")
        assert {"site-in", "site-out"} <= set(cmd(host, "--get-policies").split())
        for family, screen in ((4, "open"), (6, "filtered")):
            found = probe(peer, host, [5900, 5901], family=family)
            assert found == {5900: screen, 5901: "filtered"}, family
            found = probe(peer, host, [3477, 3478], "udp", family)
            assert found == {3477: "filtered", 3478: "open"}, family
    files = host.files("/etc/firewalld")
    assert not module(host, ruleset="site")["changed"] and host.files("/etc/firewalld") == files


# Adds and removes at runtime, of every kind that has signals of its own, until it is told to stop. Prints what firewalld
# accepted, so that the last line about an item says whether it is there.
OTHERS = """
import itertools, os, sys, time
from firewall.client import FirewallClient
client = FirewallClient()
def attempt(item, there, call, *given):
    try:
        call(*given)
    except Exception as error:
        print("#", item, error, flush=True)
    else:
        print(item, "there" if there else "gone", flush=True)
for number in itertools.count(1):
    if os.path.exists("/run/netports-stop"):
        break
    # A run brings each item back by a call of its own: so many that no run ends would prove no more.
    time.sleep(0.02)
    attempt("port:%d" % (20000 + number), True, client.addPort, "public", str(20000 + number), "tcp")
    if number % 3 == 0:
        attempt("port:%d" % (19998 + number), False, client.removePort, "public", str(19998 + number), "tcp")
    address = "192.0.2.%d" % (number % 250)
    rule = 'rule port port=%d protocol=udp  family="ipv4" source address=%s accept' % (30000 + number, address)
    if number % 7 == 0:
        attempt("rule:%d" % (30000 + number), True, client.addRichRule, "public", rule)
        attempt("source:%s" % address, True, client.addSource, "internal", address)
    if number % 14 == 0:
        attempt("rule:%d" % (30000 + number), False, client.removeRichRule, "public", rule)
        attempt("source:%s" % address, False, client.removeSource, "internal", address)
    if "ipset" in sys.argv and number % 5 == 0:
        attempt("entry:%s" % address, True, client.addEntry, "theirs", address)
    if "ipset" in sys.argv and number % 15 == 0:
        attempt("entry:%s" % address, False, client.removeEntry, "theirs", address)
    if number % 10 == 0:
        odd = number // 10 % 2
        attempt("masquerade", odd, client.addMasquerade if odd else client.removeMasquerade, "work")
        attempt("service", odd, client.addService if odd else client.removeService, "public", "imaps")
    if "direct" in sys.argv and number % 10 == 5:
        words = "ipv4", "filter", "INPUT", 0, ["-p", "tcp", "--dport", "4444", "-j", "DROP"]
        odd = number // 10 % 2
        attempt("direct", odd, client.addRule if odd else client.removeRule, *words)
"""


@pytest.mark.hosts("firewalld")
def test_others_change_the_runtime_meanwhile(host: Host) -> None:
    # These hosts have no program ipset: without, 0.9 has no sets, and newer ones cannot load a set beside a direct rule.
    kind = "direct" if host.suite == "bullseye" else "ipset"
    if kind == "ipset":
        cmd(host, "--permanent", "--new-ipset=theirs", "--type=hash:ip")
        cmd(host, "--reload")
    with subprocess.Popen(host.argv(["python3", "-c", OTHERS, kind]), stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline()
        runs = [module(host, *rules)["changed"] for rules in (RULES, RULES, RULES[:1])]
        host.run(["touch", "/run/netports-stop"])
        lines = other.stdout.read().splitlines()
        host.run(["rm", "/run/netports-stop"])
    told = dict(line.split() for line in lines if not line.startswith("#"))
    assert runs == [True, False, True]
    agree(host)
    rules = cmd(host, "--zone=public", "--list-rich-rules")
    there = {f"port:{port}" for word in cmd(host, "--zone=public", "--list-ports").split() for port in between(word)}
    there |= {f"rule:{word}" for word in re.findall(r'port port="([0-9]+)" protocol="udp"', rules)}
    if kind == "ipset":
        there |= {f"entry:{word}" for word in cmd(host, "--ipset=theirs", "--get-entries").split()}
    there |= {f"source:{word}" for word in cmd(host, "--zone=internal", "--list-sources").split()}
    single = {
        "masquerade": cmd(host, "--zone=work", "--query-masquerade", check=False) == "yes\n",
        "service": "imaps" in cmd(host, "--zone=public", "--list-services").split(),
        "direct": "dport 4444 " in cmd(host, "--direct", "--get-all-rules"),
    }
    there |= {word for word, found in single.items() if found}
    wanted = {item for item, state in told.items() if state == "there"}
    assert len(told) > 20 and (sorted(there - wanted), sorted(wanted - there)) == ([], [])


@pytest.mark.hosts("firewalld")
def test_an_item_with_a_timeout_goes_when_it_is_over(host: Host) -> None:
    def there() -> bool:
        return "4000" in cmd(host, "--list-ports") or "4001" in cmd(host, "--list-rich-rules")

    for number in range(5):
        seconds, started = 20 << number, time.monotonic()
        cmd(host, "--add-port=4000/tcp", f"--timeout={seconds}")
        cmd(host, "--add-rich-rule=rule port protocol=tcp port=4001 accept", f"--timeout={seconds}")
        assert module(host, *(RULES if number % 2 == 0 else RULES[:1]))["changed"]
        if there():
            break
        # On a slow machine the time was over before the run was: it proves nothing then.
        assert time.monotonic() - started > seconds
    waited = time.monotonic() + seconds + 300
    while there():
        assert time.monotonic() < waited, "an item with a timeout stays for ever"
        time.sleep(1)


# Ways to write a rule that firewalld takes for the same, by its own parser; prints each with what firewalld makes of it.
SPELLED = """
import itertools, json, random
from firewall.core.rich import Rich_Rule
chance = random.Random(5)
found = []
for number in range(400):
    parts = [
        chance.choice(["", "service name=ssh", "port port=22 protocol=tcp", 'protocol value="esp"', "masquerade",
                       "source-port port=5-9 protocol=udp", "forward-port port=80 protocol=tcp to-port=81"]),
        chance.choice(["", "source address=192.0.2.0/24", "source NOT address='192.0.2.1'", "source not address=192.0.2.2"]),
        chance.choice(["", "destination address=198.51.100.7", "destination NOT address=198.51.100.7"]),
        chance.choice(["", "log", 'log prefix="a b" level=info', "log prefix=x limit value=3/minute", "log limit value=1/m"]),
        chance.choice(["", "audit", "audit limit value=5/h"]),
        chance.choice(["accept", "drop", "reject type=tcp-reset", "accept limit value=2/day", "mark set=0x1/0xff"]),
    ]
    parts += chance.choice([["family=ipv4"], ["family='ipv4' priority=0"], ["priority=-7 family=ipv4"]])
    chance.shuffle(parts)
    text = "rule " + "  ".join(part for part in parts if part)
    try:
        rule = Rich_Rule(rule_str=text)
        rule.check()
    except Exception as error:
        continue
    found.append([text, str(rule)])
print(json.dumps(found))
"""


@pytest.mark.hosts("firewalld")
def test_a_rich_rule_is_known_however_it_is_written(host: Host) -> None:
    pairs = json.loads(host.run(["python3", "-c", SPELLED]).out)
    known = {printed: rich.identity(printed) for _text, printed in pairs}
    assert len(pairs) > 50 and len(set(known.values())) == len(known)
    assert [text for text, printed in pairs if rich.identity(text) != known[printed]] == []


def between(word: str) -> range:
    """The ports of a range as firewall-cmd prints it."""
    first, _dash, last = word.partition("/")[0].partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.hosts("firewalld")
def test_a_daemon_that_failed(host: Host) -> None:
    module(host, *RULES)
    files = host.files("/etc/firewalld")
    # Somebody's zone that firewalld cannot load. 0.9 leaves such a file out and runs; its own check refuses it all the same.
    host.write("/etc/firewalld/zones/theirs.xml", '<zone><port port="99999" protocol="tcp"/></zone>')
    broken = host.files("/etc/firewalld")
    host.sh("systemctl restart firewalld")
    failed = cmd(host, "--state", check=False) == ""
    assert failed == (host.suite != "bullseye")
    if failed:
        message = module(host, *RULES, fails=True)["msg"]
        assert "in the state FAILED" in message and "mend it and run 'firewall-cmd --reload'" in message
    else:
        assert not module(host, *RULES)["changed"]
    for _time in range(2):
        # Nothing was loaded, so nothing is put back: the host is free for the next run at once.
        message = module(host, *RULES[:1], fails=True)["msg"]
        assert "firewalld refuses the new configuration (" in message and "nothing was changed" in message, message
        assert host.files("/etc/firewalld") == broken and (cmd(host, "--state", check=False) == "") == failed
    host.run(["rm", "/etc/firewalld/zones/theirs.xml"])
    host.sh("systemctl restart firewalld; firewall-cmd --state")
    assert not module(host, *RULES)["changed"] and host.files("/etc/firewalld") == files
    # The process is killed: the kernel goes on with the rules that it has.
    host.sh("systemctl kill --signal=KILL firewalld")
    host.sh("for _attempt in $(seq 100); do systemctl is-failed -q firewalld && break; sleep 0.1; done")
    kernel = host.kernel()
    for rules, changed in ((RULES, False), (RULES[:1], True)):
        result = module(host, *rules)
        assert result["changed"] == changed and [item["code"] for item in result["notices"]] == ["off"], result
        assert "systemctl enable --now firewalld" in result["notices"][0]["text"] and host.kernel() == kernel
    assert module(host, *RULES[:1], enable=True)["changed"]
    agree(host)
    assert not module(host, *RULES[:1])["changed"]


@pytest.mark.hosts("firewalld")
def test_new_files_are_as_firewallds(host: Host) -> None:
    for words in ("--new-service=theirs", "--new-policy=theirs"):
        cmd(host, "--permanent", words)
    cmd(host, "--reload")
    module(host, *RULES)
    for kind, ours in (("services", "apple-facetime"), ("policies", "apple-out")):
        of_both = host.sh(f"cd /etc/firewalld/{kind}; stat -c '%a %U:%G' {ours}.xml theirs.xml").out.splitlines()
        assert len(of_both) == 2 and len(set(of_both)) == 1, of_both


@pytest.mark.hosts("firewalld", "bullseye")
def test_files_keep_what_they_have(host: Host) -> None:
    host.install("acl", "attr")
    for words in ("--new-service=theirs", "--new-policy=theirs", "--zone=public --add-port=8443/tcp"):
        cmd(host, "--permanent", *words.split())
    cmd(host, "--reload")

    def about(*paths: str) -> str:
        names = " ".join(f"/etc/firewalld/{path}.xml" for path in paths)
        return host.sh(f"cd /; stat -c '%a %U:%G %n' {names}; getfacl -p {names}; getfattr -d -m user {names}").out

    module(host, *RULES)
    for kind, ours in (("services", "apple-facetime"), ("policies", "apple-out")):
        assert about(f"{kind}/{ours}").replace(ours, "theirs") == about(f"{kind}/theirs")
    host.sh(
        """
        cd /etc/firewalld; chown root:adm zones/public.xml services/apple-facetime.xml
        chmod 0640 zones/public.xml services/apple-facetime.xml
        setfacl -m u:admin:rw zones/public.xml services/apple-facetime.xml
        setfattr -n user.note -v theirs zones/public.xml
        """
    )
    kept = about("zones/public", "services/apple-facetime")
    assert "user:admin:rw-" in kept and 'user.note="theirs"' in kept
    more = rule("FaceTime", tcp=["5223", "5224"], udp=["3478-3497"])
    for rules in ((more, NEAR), (FACETIME, OUT), (more,)):
        assert module(host, *rules)["changed"]
        assert about("zones/public", "services/apple-facetime") == kept
    zone = about("zones/public")
    module(host)
    assert about("zones/public") == zone


@pytest.mark.hosts("none", "bookworm")
def test_a_daemon_that_is_not_there(host: Host) -> None:
    def stopped() -> None:
        result = module(host, *RULES)
        assert result["changed"] and any(item["code"] == "off" for item in result["notices"]), result
        assert not module(host, *RULES)["changed"] and module(host)["changed"]

    files = host.files("/etc/firewalld")
    stopped()
    host.run(["systemctl", "mask", "firewalld"])
    stopped()
    assert "could not be switched on" in module(host, *RULES, enable=True, fails=True)["msg"]
    assert host.files("/etc/firewalld") == files
    host.run(["systemctl", "unmask", "firewalld"])
    # As in the build of an image: no bus at all.
    host.sh("systemctl stop dbus.socket dbus.service 2>/dev/null; rm -f /run/dbus/system_bus_socket")
    stopped()
    assert host.files("/etc/firewalld") == files
