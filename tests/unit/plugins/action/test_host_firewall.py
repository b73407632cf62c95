# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action plugin asks of a host, step by step, and what it makes of the answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

WAITS = {"changed": True, "confirm": {"id": "abc", "seconds": 60, "until": "12:00"}}


class Stage:
    """A controller with a clock of its own, and a host that gives its answers in turn, the last one again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any, transport: str = "ssh", **args: Any) -> None:
        from ansible.errors import AnsibleConnectionFailure

        from ansible_collections.netports.apple.plugins.action import host_firewall

        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.times: list[float] = []
        self.now = 0.0
        monkeypatch.setattr(host_firewall, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep))
        self.resets = 0
        self.fails: list[str] = []

        def reset() -> None:
            self.resets += 1
            if self.fails:
                raise AnsibleConnectionFailure(self.fails.pop(0))

        task = SimpleNamespace(args=args, async_val=0, check_mode=False, diff=False, action="host_firewall")
        connection = SimpleNamespace(transport=transport, reset=reset, _shell=SimpleNamespace(tmpdir=None))
        self.plugin = host_firewall.ActionModule(
            task=task, connection=connection, play_context=None, loader=None, templar=None, shared_loader_obj=None
        )
        monkeypatch.setattr(self.plugin, "_execute_module", self._execute)

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def _execute(self, module_name: str, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        assert module_name == "netports.apple.host_firewall"
        step = module_args.pop("_confirm", {"step": "", "id": ""})
        assert module_args == {"rules": [1]}, "every call has the task's arguments"
        self.asked.append((step["step"], step["id"]))
        self.times.append(self.now)
        self.now += 0.1
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return dict(answer)

    def run(self) -> dict[str, Any]:
        result: dict[str, Any] = self.plugin.run(None, {})
        return result


def answer(state: str, why: str = "", at: str = "12:01") -> dict[str, Any]:
    return {"changed": False, "confirm": {"state": state, "why": why, "at": at}}


@pytest.mark.parametrize("transport", ["local", "community.docker.docker", "containers.podman.podman", "kubectl"])
def test_without_a_network_nothing_has_to_be_confirmed(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    # What a task gives for the plugin's own option is taken away, also here.
    args = {"rules": [1], "_confirm": {"step": "apply", "id": ""}}
    stage = Stage(monkeypatch, {"changed": True}, transport=transport, **args)
    assert stage.run() == {"changed": True}
    assert stage.asked == [("", "")] and stage.resets == 0


@pytest.mark.parametrize("transport", ["ssh", "ansible.builtin.ssh", "paramiko_ssh", "ansible.netcommon.libssh"])
def test_over_a_network_a_new_connection_confirms(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    stage = Stage(monkeypatch, WAITS, answer("confirmed"), transport=transport, rules=[1])
    assert stage.run() == {"changed": True, "confirmed": True}
    assert stage.asked == [("apply", ""), ("confirm", "abc")] and stage.resets == 1 and stage.now < 1


@pytest.mark.parametrize("transport", ["sshx", "ansible_mitogen.mitogen", "community.aws.aws_ssm"])
def test_a_connection_that_is_not_known_has_to_confirm_and_is_named(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    stage = Stage(monkeypatch, WAITS, answer("confirmed"), transport=transport, rules=[1])
    result = stage.run()
    assert result["confirmed"] is True and stage.asked == [("apply", ""), ("confirm", "abc")] and stage.resets == 1
    assert [transport.rpartition(".")[2] in text for text in result["warnings"]] == [True]
    shut_out = Stage(monkeypatch, WAITS, answer("restored", "time is over"), transport=transport, rules=[1])
    assert shut_out.run()["failed"] is True


@pytest.mark.parametrize("result", [{"changed": False}, {"changed": True}, {"failed": True, "msg": "no"}])
def test_where_nothing_waits_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> None:
    # So it is in check mode, without a change, with confirm_seconds 0, and where the run failed.
    stage = Stage(monkeypatch, result, rules=[1])
    assert stage.run() == result
    assert stage.asked == [("apply", "")] and stage.resets == 0


def test_what_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = answer("refused", "it came over the kept connection")
    stage = Stage(
        monkeypatch, WAITS, {"unreachable": True, "msg": "timed out"}, refused, answer("confirmed"), rules=[1]
    )
    stage.fails = ["cannot reset"]
    assert stage.run()["confirmed"] is True
    assert stage.asked == [("apply", "")] + [("confirm", "abc")] * 3 and stage.resets == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer("restored", "time is over"), r"\(time is over\): the host restored its old rules at 12:01\."),
        (answer("gone"), r"\(no reason given\): the host no longer knows of the change: run this again"),
        ({"failed": True, "msg": "No route."}, r"\(No route\): the host restores its old rules by itself.* at 12:00\."),
        ({"confirm": "yes"}, r"\(\{'confirm': 'yes'\}\): the host restores"),
        ({}, r"\(\{\}\): the host restores"),
    ],
)
def test_what_is_not_confirmed_fails(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str) -> None:
    stage = Stage(monkeypatch, WAITS, given, rules=[1])
    result = stage.run()
    assert result["failed"] and not result["changed"] and result["confirmed"] is False
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(result["msg"])
    # As long as the host waits and a little longer, and not for ever.
    assert stage.now < 60 + 15 + 3
    assert {step for step, _identity in stage.asked[1:]} <= {"confirm", "status"}


def test_who_was_shut_out_hears_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    shut = [{"unreachable": True, "msg": "No route to host"}] * 6
    stage = Stage(monkeypatch, WAITS, *shut, answer("waiting"), answer("restored", "time is over"), rules=[1])
    result = stage.run()
    assert "(No route to host): the host restored its old rules at 12:01" in result["msg"]
    assert stage.asked[-1] == ("status", "abc")


LIMITED = {**WAITS, "notices": [{"code": "wide"}, {"code": "limited", "text": "a limit admits", "rules": []}]}


@pytest.mark.parametrize(("waits", "seconds", "most"), [(WAITS, 60, 5), (WAITS, 600, 5), (LIMITED, 60, 4)])
def test_tries_stay_below_the_limit_of_a_host(
    monkeypatch: pytest.MonkeyPatch, waits: dict[str, Any], seconds: int, most: int
) -> None:
    # `ufw limit` refuses the sixth connection in 30 seconds. The play's own is the first.
    waits = {**waits, "confirm": {"id": "abc", "seconds": seconds, "until": "12:00"}}
    stage = Stage(monkeypatch, waits, {"unreachable": True, "msg": "refused"}, rules=[1])
    result = stage.run()
    counts = [sum(start <= time <= start + 30 for time in stage.times) for start in stage.times]
    assert result["failed"] and max(counts) <= most, stage.times
    assert len(stage.times) > seconds / 15, "it does not give up before the time is over"
    assert ("limit admits ssh" in result["msg"]) is ("notices" in waits)


@pytest.mark.parametrize("seconds", [3, 10, 20])
def test_a_short_wait_on_a_host_with_a_limit(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    waits = {**LIMITED, "confirm": {"id": "abc", "seconds": seconds, "until": "12:00"}}
    stage = Stage(monkeypatch, waits, {"unreachable": True, "msg": "refused"}, answer("restored", "late"), rules=[1])
    result = stage.run()
    assert "(refused): the host restored its old rules at 12:01. A limit admits ssh" in result["msg"]
    assert len(stage.times) <= 4


@pytest.mark.parametrize("notices", [None, [], ["limited"], [{"text": "limited"}]])
def test_no_notice_of_a_limit(monkeypatch: pytest.MonkeyPatch, notices: Any) -> None:
    stage = Stage(monkeypatch, {**WAITS, "notices": notices}, answer("restored", "late"), rules=[1])
    assert stage.run()["msg"].endswith("at 12:01.")


# --- The health check -------------------------------------------------------------------------------------------------

DONE = {"changed": True, "after": [], "operations": []}


def with_health(monkeypatch: pytest.MonkeyPatch, ill: str, *answers: Any, **args: Any) -> tuple[Stage, list[Any]]:
    """A stage whose host passes its health check, or fails it with a reason; and what was asked of it."""
    from ansible_collections.netports.apple.plugins.plugin_utils import _health

    seen: list[Any] = []

    def problem(checks: Any, address: str, until: float | None) -> str:
        seen.append((checks.ports, checks.urls, address, until))
        return ill

    monkeypatch.setattr(_health, "problem", problem)
    stage = Stage(monkeypatch, *answers, rules=[1], **args)
    stage.plugin._play_context = SimpleNamespace(remote_addr="192.0.2.1")
    return stage, seen


def test_a_healthy_host_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, seen = with_health(monkeypatch, "", {**WAITS, **DONE}, answer("confirmed"), health_ports="22, 443")
    assert stage.run()["confirmed"] is True
    # Asked before the confirmation, for which time is left.
    assert seen == [((22, 443), (), "192.0.2.1", pytest.approx(50.1))]
    assert stage.asked == [("apply", ""), ("confirm", "abc")]


def test_a_change_after_which_the_host_is_ill_is_never_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {**WAITS, **DONE}
    stage, _seen = with_health(monkeypatch, "port 4 is shut", waits, answer("restored"), health_ports=[4])
    result = stage.run()
    assert result["failed"] and not result["changed"] and result["confirmed"] is False
    assert "health check (port 4 is shut): the host restored its old rules at 12:01" in result["msg"]
    assert {step for step, _identity in stage.asked[1:]} == {"status"}


def test_an_unchanged_host_is_checked_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, seen = with_health(monkeypatch, "port 4 is shut", {**DONE, "changed": False}, health_ports=4)
    result = stage.run()
    assert result["failed"] and result["msg"] == "The host does not pass its health check: port 4 is shut."
    assert len(seen) == 1


@pytest.mark.parametrize("answered", [{"failed": True, "msg": "no"}, {"changed": False, "gathered": []}])
def test_nothing_is_checked_where_nothing_was_done(monkeypatch: pytest.MonkeyPatch, answered: dict[str, Any]) -> None:
    stage, seen = with_health(monkeypatch, "ill", answered, health_ports=[4])
    assert stage.run() == answered and seen == []
    stage, seen = with_health(monkeypatch, "ill", DONE, health_ports=[4])
    stage.plugin._task.check_mode = True
    assert "failed" not in stage.run() and seen == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"health_ports": "ssh"}, r"health_ports \(netports_health_ports\): 'ssh' is not a port"),
        ({"health_ports": ["22-23"]}, "give the ports one by one"),
        ({"health_ports": {"ssh": 22}}, "netports_health_ports"),
        ({"health_ports": [0]}, "out of range"),
        ({"health_timeout": "soon"}, r"health_timeout \(netports_health_timeout\): 'soon' is not a number of seconds"),
        ({"health_urls": ["example.org"]}, r"netports_health_urls\): 'example.org' is not a page"),
        ({"diff": "long"}, "host_firewall_diff"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_changed(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    from ansible.errors import AnsibleActionFail

    stage = Stage(monkeypatch, DONE, rules=[1], **given)
    with pytest.raises(AnsibleActionFail, match=said):
        stage.run()
    assert stage.asked == []


# --- The plan in words ------------------------------------------------------------------------------------------------

RULE = {"name": "FaceTime", "direction": "in", "udp": ["3478-3497"]}
PLANNED = {
    "changed": True,
    "after": [RULE],
    "operations": [{"action": "add", "rule": RULE}, {"action": "mend", "what": "a file"}, {"action": "hack"}],
    "diff": {"before": "", "after": "many lines\n"},
}


@pytest.mark.parametrize("full", [False, True])
def test_diff_shows_the_plan_in_words(monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    stage = Stage(monkeypatch, PLANNED, rules=[1], diff="full" if full else "words")
    stage.plugin._task.diff = True
    words, *more = stage.run()["diff"]
    lines = words["prepared"].splitlines()
    assert lines[:2] == ["+ FaceTime, inbound 3478-3497/udp from anywhere", "! mend a file"]
    assert lines[2].startswith("no operation") and more == ([PLANNED["diff"]] if full else [])


def test_without_diff_its_key_is_as_the_module_returns_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Stage(monkeypatch, PLANNED, rules=[1]).run()["diff"] == PLANNED["diff"]


# --- Two roles and a ruleset ------------------------------------------------------------------------------------------

# What the role returned last, for another ruleset than the one before it.
EARLIER = {"ruleset": "web", "brought": {"apple": ["FaceTime", "Maps"], "web": ["Classroom"]}}


@pytest.mark.parametrize(
    ("earlier", "given", "warned"),
    [
        (EARLIER, {}, True),
        (EARLIER, {"ruleset": "office"}, False),
        (EARLIER, {"state": "merged"}, False),
        ({"brought": {"apple": ["FaceTime"]}}, {}, False),
        ({"brought": "nonsense"}, {}, False),
        ({"failed": True}, {}, False),
        ("nonsense", {}, False),
    ],
)
def test_a_play_that_replaces_a_ruleset_twice_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, earlier: Any, given: dict[str, Any], warned: bool
) -> None:
    from ansible_collections.netports.apple.plugins.action import host_firewall

    result: dict[str, Any] = {**PLANNED, "ruleset": given.get("ruleset", "apple"), "warnings": ["another"]}
    host_firewall._warn_of_another(result, given, earlier)
    assert len(result["warnings"]) == 1 + warned
    brought = earlier.get("brought") if isinstance(earlier, dict) else {}
    others = brought if isinstance(brought, dict) else {}
    assert result["brought"] == {**others, result["ruleset"]: ["FaceTime"]}
    assert not warned or ("takes away Maps" in result["warnings"][-1] and "merged" in result["warnings"][-1])
