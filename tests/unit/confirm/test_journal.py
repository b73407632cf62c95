# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host remembers of a change, without one that keeps it; with one, on real hosts: tests/integration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._confirm import process, wire
from ansible_collections.netports.apple.plugins.module_utils._confirm.journal import Journal, Recovered
from ansible_collections.netports.apple.plugins.module_utils._confirm.pending import Pending
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Switched
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel, plan
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import replace


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / "etc").mkdir()
    return Journal(str(tmp_path))


def recover(journal: Journal) -> Recovered | None:
    """Recover what is in the folder ``etc`` of the journal's root."""
    root = journal.folder.partition("/var/")[0]
    return journal.recover(lambda _firewall: [f"{root}/etc"], lambda _pending: "")


def begin(journal: Journal, change: Pending) -> None:
    journal.begin(change, [journal.folder.partition("/var/")[0] + "/etc"])


def pending(tmp_path: Path, **files: tuple[str | None, str | None]) -> Pending:
    changes = (
        FileChange(path=str(tmp_path / "etc" / name), before=old, after=new) for name, (old, new) in files.items()
    )
    rule = Rule(name="A", direction="in", tcp=((80, 90),), udp=(), sources=("10.0.0.0/8",))
    return Pending(id="abc", firewall="ufw", ruleset="apple", files=tuple(changes), rules=(rule,))


def test_a_change_whose_keeper_is_gone_is_taken_back(tmp_path: Path, journal: Journal) -> None:
    one, two, three = (tmp_path / "etc" / name for name in ("one", "two", "three"))
    one.write_text("new")
    two.write_text("somebody else's")
    lock = journal.lock()
    fingerprint = journal.fingerprint()
    change = pending(tmp_path, one=("old", "new"), two=("old", "new"), three=("x", None))
    begin(journal, change)
    assert journal.pending() == change and journal.fingerprint() != fingerprint
    os.close(lock)
    assert journal.ask("abc", None).state == wire.GONE
    lock = journal.lock()
    found = recover(journal)
    assert found and found.pending == change and "ruleset 'apple'" in found.text
    assert recover(journal) is None
    os.close(lock)
    assert (one.read_text(), two.read_text(), three.read_text()) == ("old", "somebody else's", "x")
    assert journal.ask("abc", None).state == wire.RESTORED
    assert journal.ask("abd", None).state == wire.GONE
    assert sorted(os.listdir(journal.folder)) == ["lock", "outcome.json"]


@pytest.mark.parametrize(("problem", "said"), [(None, ""), ("", ""), ("no bus", ", but for what is loaded (no bus)")])
def test_files_are_put_back_where_the_firewall_does_not(
    tmp_path: Path, journal: Journal, problem: str | None, said: str
) -> None:
    one, two = (tmp_path / "etc" / name for name in ("one", "two"))
    os.close(journal.lock())
    begin(journal, pending(tmp_path, one=("old", "new"), two=(None, "new")))
    for path in (one, two):
        path.write_text("new")
    seen: list[tuple[str, bool]] = []

    def take_back(_pending: Pending) -> str | None:
        seen.append((one.read_text(), two.exists()))
        return problem

    found = journal.recover(lambda _firewall: [str(tmp_path / "etc")], take_back)
    assert found and found.text.endswith(f"it was put back{said}")
    # What is loaded, and what others changed, only the firewall knows: it has the files as they were left.
    assert seen == [("new", True)] and two.exists() is (problem is None)


def test_what_is_in_the_files_while_a_change_waits_is_somebody_elses(tmp_path: Path, journal: Journal) -> None:
    """It is the change's own while the change is made and while it is confirmed."""

    def waits() -> bool:
        found = journal.pending()
        assert found
        return found.waits

    path = tmp_path / "etc" / "one"
    path.write_text("new")
    change = pending(tmp_path, one=("old", "new"))
    os.close(journal.lock())
    begin(journal, change)
    assert not waits()
    journal.update(replace(change, waits=True))
    assert waits()
    # Who restored it died before that was known.
    journal.prepare("abc", wire.RESTORED)
    assert waits()
    journal.prepare("abc", wire.CONFIRMED)
    assert not waits()
    journal.prepare("abd", wire.CONFIRMED)
    assert waits()
    # The room of a change that is over says nothing of the next one.
    begin(journal, change)
    journal.update(replace(change, waits=True))
    assert waits()
    found = recover(journal)
    assert found and found.pending and path.read_text() == "new"
    begin(journal, replace(change, id="abd"))
    recover(journal)
    assert path.read_text() == "old"


def test_one_change_at_a_time(tmp_path: Path, journal: Journal) -> None:
    lock = journal.lock()
    begin(journal, replace(pending(tmp_path), ruleset="kiosk", until="2026-01-01T00:00:00Z"))
    with pytest.raises(FirewallError, match=r"'kiosk'\) waits until 2026-01-01T00:00:00Z .*: nothing was changed"):
        journal.lock(wait=0.1)
    os.close(lock)
    os.close(journal.lock(wait=0))


WHOLE = {"id": "abc", "ruleset": "apple", "files": [["/etc/x", None, "new", 420]], "origin": ["192.0.2.1", 22, 5]}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"until": "2026-01-01T00:00:00Z", "keeper": 7},
        {"version": 2, "until": "2026-01-01T00:00:00Z", "keeper": 7, "waits": True},
        {"version": 2, "zone": "lan"},
        {"version": 2, "switched": {"now": True, "boot": None, "before": {"on": False}}, "boot": "0a"},
    ],
)
def test_the_record_of_this_version_and_of_older_ones_is_read(changed: dict[str, Any]) -> None:
    found = Pending.from_json(json.dumps({**WHOLE, **changed}))
    assert found.files == (FileChange(path="/etc/x", before=None, after="new", mode=0o644),)
    assert found.origin == ["192.0.2.1", 22, 5] and found.zone == changed.get("zone", "")
    assert found.waits == found.left("").waits == changed.get("waits", False)
    assert found.switched == Switched(**changed.get("switched", {})) and found.boot == changed.get("boot", "")
    assert Pending.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "\x00", '{"files": 1', "7", "[" * 100_000]
    + [
        json.dumps({**WHOLE, **changed})
        for changed in (
            {"version": 3},
            {"rules": None},
            {"rules": 5},
            {"switched": {"now": "no"}},
            {"switched": {"boot": 0}},
            {"files": [["/etc/\0x", None, "new", 420]]},
            {"files": [["/etc/\ud800", None, "new", 420]]},
            {"id": 7},
            {"id": ""},
            {"ruleset": None},
            {"files": None},
            {"files": [["/etc/x", None, "new"]]},
            {"files": [["/etc/x", 1, "new", 420]]},
            {"files": [[7, None, "new", 420]]},
            {"files": [["/etc/x", None, "new", "rw"]]},
            {"keeper": "7"},
            {"waits": "no"},
            {"rules": [{"name": "A"}]},
            {"origin": "192.0.2.1"},
            {"switched": {"later": True}},
            {"switched": 7},
        )
    ],
)
def test_a_record_that_cannot_be_read_is_set_aside(journal: Journal, text: str) -> None:
    os.close(journal.lock())
    for name in ("pending.json", "outcome.json"):
        Path(journal.folder, name).write_text(text)
    assert journal.outcome().id == "" and journal.ask("abc", None).state == wire.GONE
    assert journal.unsettled()
    found = recover(journal)
    assert found and found.pending is None and "cannot be read" in found.text
    assert not journal.unsettled() and journal.pending() is None
    assert Path(journal.folder, "pending.unreadable").read_text() == text


def test_bytes_that_are_no_text_survive(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "etc" / "file"
    path.write_bytes(b"caf\xe9\r\n")
    os.close(journal.lock())
    begin(journal, pending(tmp_path, file=(_files.read(str(path)), "new")))
    path.write_text("new")
    recover(journal)
    assert path.read_bytes() == b"caf\xe9\r\n"


def test_a_change_whose_outcome_is_known_is_settled(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "etc" / "one"
    path.write_text("new")
    os.close(journal.lock())
    begin(journal, pending(tmp_path, one=("old", "new")))

    def fail(_path: str) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as patch:
        # A power cut behind the outcome: its record is still there.
        patch.setattr(os, "unlink", fail)
        journal.close("abc", wire.CONFIRMED)
    assert journal.unsettled() and journal.pending() is None
    assert journal.status("abc").state == wire.CONFIRMED
    assert recover(journal) is None and not journal.unsettled()
    assert path.read_text() == "new"


def test_the_outcome_comes_before_the_record_goes(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(journal.lock())
    begin(journal, pending(tmp_path))

    def fail(*_paths: str) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        with pytest.raises(OSError, match="cut off"):
            journal.close("abc", wire.CONFIRMED)
    assert journal.pending() == pending(tmp_path)


def test_what_is_kept_is_for_root_alone(tmp_path: Path, journal: Journal, umask: Callable[[int], None]) -> None:
    umask(0o022)
    os.close(journal.lock())
    begin(journal, pending(tmp_path))
    names = ["lock", "outcome.room", "pending.json"]
    assert sorted(os.listdir(journal.folder)) == names
    assert [os.stat(os.path.join(journal.folder, name)).st_mode & 0o7777 for name in names] == [0o600] * 3
    assert os.stat(journal.folder).st_mode & 0o7777 == 0o700
    journal.close("abc", wire.RESTORED, "a reason")
    assert os.stat(os.path.join(journal.folder, "outcome.json")).st_mode & 0o7777 == 0o600
    assert journal.outcome().why == "a reason"


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, journal: Journal) -> None:
    victim = tmp_path / "etc" / "cron"
    os.makedirs(journal.folder)
    planted = Path(journal.folder, "pending.json")
    planted.write_text(pending(tmp_path, cron=("* * * * * root id", None)).to_json())
    for mode in (0o777, 0o720, 0o702):
        os.chmod(journal.folder, mode)
        for question in (journal.lock, journal.unsettled, journal.pending, journal.outcome):
            with pytest.raises(FirewallError, match="is not a folder that root alone may write to"):
                question()
    os.chmod(journal.folder, 0o700)
    planted.chmod(0o666)
    with pytest.raises(FirewallError, match="is not a file that root alone may write"):
        recover(journal)
    assert not victim.exists()
    os.rename(journal.folder, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", journal.folder)
    with pytest.raises(FirewallError, match="is not a folder"):
        journal.lock()


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "{root}/etc/../cron/x", "{root}/etcetera/x"])
def test_files_that_are_no_firewalls_are_not_written(tmp_path: Path, journal: Journal, path: str) -> None:
    os.close(journal.lock())
    path = path.format(root=tmp_path)
    change = replace(pending(tmp_path), files=(FileChange(path=path, before="x", after=None),))
    with pytest.raises(FirewallError, match="which is no firewall's file"):
        begin(journal, change)
    assert not journal.unsettled()
    # Planted, or written by a version that knew more places.
    planted = Path(journal.folder, "pending.json")
    planted.write_text(change.to_json())
    planted.chmod(0o600)
    with pytest.raises(FirewallError, match="which is no firewall's file"):
        recover(journal)
    assert not os.path.exists(path)


def test_the_room_for_the_outcome_is_taken_before(tmp_path: Path, journal: Journal) -> None:
    os.close(journal.lock())
    begin(journal, pending(tmp_path))
    room = os.stat(os.path.join(journal.folder, "outcome.room"))
    journal.close("abc", wire.RESTORED, "\U0001f512" * 1000)
    kept = os.stat(os.path.join(journal.folder, "outcome.json"))
    assert (kept.st_ino, kept.st_size, kept.st_blocks) == (room.st_ino, room.st_size, room.st_blocks)
    assert journal.outcome().state == wire.RESTORED


def test_the_line_of_a_process_that_died_behind_it_is_no_part_of_the_outcome(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(journal.lock())
    begin(journal, pending(tmp_path))

    def killed(_descriptor: int) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "fsync", killed)
        journal.close("abc", wire.RESTORED, "a reason that is longer than that of who comes next")
    journal.close("abc", wire.RESTORED, "short")
    assert journal.outcome().why == "short"


def test_ufws_switch_and_what_it_leaves() -> None:
    assert plan.switched_on("# ENABLED=no\nENABLED=no\nLOGLEVEL=low\n") == "# ENABLED=no\nENABLED=yes\nLOGLEVEL=low\n"
    assert plan.switched_on("LOGLEVEL=low\n") == "LOGLEVEL=low\nENABLED=yes\n"
    table = "*filter\n:INPUT ACCEPT [0:0]\n:mine - [0:0]\n:ufw-a - [0:0]\n:ufw-b - [0:0]\n-A INPUT -j ufw-a\n-A INPUT -j mine\nCOMMIT\n"
    text = "*filter\n-D INPUT -j ufw-a\n-F ufw-a\n-F ufw-b\n-X ufw-a\n-X ufw-b\nCOMMIT\n"
    assert kernel.cleared("", table) == text
    assert kernel.cleared(table, table) == ""


@pytest.mark.parametrize(
    ("path", "searched"),
    [
        ("/usr/bin:/bin", "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        ("/opt/sbin:/usr/sbin:/bin", "/opt/sbin:/usr/sbin:/bin:/usr/local/sbin:/sbin"),
        ("", "/usr/local/sbin:/usr/sbin:/sbin"),
        (None, "/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin"),
    ],
)
def test_programs_are_found_where_su_and_cron_do_not_look(
    monkeypatch: pytest.MonkeyPatch, path: str | None, searched: str
) -> None:
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    assert process.Runner()(["/bin/sh", "-c", "echo $PATH"], None) == (0, f"{searched}\n", "")


def test_a_process_has_its_input_its_language_and_no_terminal() -> None:
    run = process.Runner()
    assert run(["cat"], "caf\udce9\r\n") == (0, "caf\udce9\r\n", "")
    assert run(["sh", "-c", "cat; echo $LC_ALL; exit 3"], None) == (3, "C\n", "")
    code, out, err = run(["/nowhere/pfctl", "-s", "info"], None)
    assert code == 127 and not out and err.startswith("/nowhere/pfctl: ")


def test_a_program_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    run = process.Runner(limit=3)
    script = f"sleep 600 & echo $! > {tmp_path}/child; sleep 600"
    assert run(["sh", "-c", script], None) == (124, "", "sh did not end within 3 seconds and was killed")
    child = int((tmp_path / "child").read_text())
    assert wait_until(lambda: not alive(child))


def test_the_keeper_knows_whom_to_kill(tmp_path: Path) -> None:
    pipe, lent = os.pipe()
    run = process.Runner()
    run.lent = lent
    assert run(["true"], None)[0] == 0
    hanging = subprocess.Popen(["sleep", "600"], pass_fds=(lent,), start_new_session=True)
    os.write(lent, b"%d sleep\n" % hanging.pid)
    os.close(lent)
    started = process.Started(pipe)
    assert not started.ended(0.2)
    assert started.kill() == "sleep"
    assert started.ended(30)
    assert hanging.wait() == -signal.SIGKILL
    os.close(pipe)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition with a generous limit."""
    end = time.monotonic() + 300
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()
