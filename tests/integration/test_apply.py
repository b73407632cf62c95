# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make apply` on real hosts: as the machine at hand, and by an inventory over ssh."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import apply as tool
import pytest
from matrix import plays

from hosts import Done, Host, inventory, listen, probe

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, str(ROOT / "tools" / "apply.py")]
KEPT = ("/etc/nftables.conf", "/etc/nftables.d", "/etc/ufw")
# Where this machine's Python is in /usr, a host has it where it is of the same version.
VERSIONS = {(3, 11): "bookworm", (3, 13): "trixie"}
Apply = Callable[..., Done]
MakeHost = Callable[..., Host]


def by_inventory(host: Host, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Apply:
    """`make apply HOSTS=…` on this machine: in this process, and by an Ansible that has been started."""
    hosts = folder / "inventory.yml"
    hosts.write_text(json.dumps(inventory([host])), encoding="utf-8")

    def run(**words: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
                patch.delenv(name)
            for name, value in {"HOSTS": str(hosts), **words}.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.StringIO())
            patch.setattr(tool, "ansible_playbook", plays.started(folder))
            status = tool.main()
        return Done(status, out.getvalue(), err.getvalue())

    return run


def at_hand(host: Host) -> Apply:
    """`make apply` on the host, with this project and its Python to read."""
    return lambda **words: host.run(PROGRAM, check=False, env=words)


def local_host(make_host: MakeHost) -> Host:
    """A host that has this project and its Python."""
    python = Path(sys.base_prefix)
    if python != Path("/usr"):
        return make_host("trixie", share=[ROOT, python])
    if sys.version_info[:2] not in VERSIONS:
        pytest.skip(f"no Debian of the test hosts has the Python of this machine's /usr, {sys.version}")
    return make_host(VERSIONS[sys.version_info[:2]], share=[ROOT])


@pytest.mark.parametrize("form", ["at hand", "inventory"])
def test_a_plain_debian_gets_a_firewall(
    make_host: MakeHost, peer: Host, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a firewall so far: BACKEND=nftables ENABLE=yes does the main job, and STATE=absent takes it back."""
    host = local_host(make_host) if form == "at hand" else make_host()
    apply = at_hand(host) if form == "at hand" else by_inventory(host, tmp_path, monkeypatch)
    wanted = {"PRODUCTS": "Screen Sharing, Mail", "BACKEND": "nftables", "ENABLE": "yes"}
    host.run(["dpkg", "--purge", "ufw", "firewalld"])
    files, kernel = host.files(*KEPT), host.kernel()
    bare = apply(PRODUCTS="Mail")
    assert "nftables" in bare.out + bare.err and host.files(*KEPT) == files
    if form == "at hand":
        assert "BACKEND=nftables ENABLE=yes" in bare.out and "== nftables: /etc/nftables.d/" in bare.out

    if form == "at hand":
        # At the console no ssh connection says whom the firewall has to let in.
        assert "accept it (host_firewall_accept: [no-way-in])" in apply(**wanted, CONFIRM="yes").err
        wanted["ACCEPT"] = "no-way-in"
    for refused in (apply(**wanted, CHECK="yes"), apply(**wanted)):
        plan = refused.out
        assert "nftables would change" in plan, refused
        assert "+ Screen Sharing, inbound 5900/tcp and 5900/udp from 10.0" in plan
        assert "table of nftables that refuses by default" in plan and "nftables.service at boot" in plan
        assert (host.files(*KEPT), host.kernel()) == (files, kernel)
    done = apply(**wanted, CONFIRM="yes")
    assert done.rc == 0 and done.out.rstrip().endswith(": done"), done

    with listen(host, tcp=[25, 5900, 5901]):
        for family in (4, 6):
            assert probe(peer, host, [25, 5900, 5901], "tcp", family=family) == {
                25: "filtered", 5900: "open", 5901: "filtered",
            }  # fmt: skip
    assert host.ssh("true").rc == 0 or form == "at hand"
    again = apply(**wanted, CONFIRM="yes")
    assert again.rc == 0 and "nftables is as wanted already" in again.out and "done" not in again.out
    host.reboot()
    assert "nftables is as wanted already" in apply(**wanted, CONFIRM="yes").out

    gone = apply(BACKEND="nftables", STATE="absent", CONFIRM="yes")
    assert gone.rc == 0 and "- Screen Sharing, inbound 5900/tcp" in gone.out
    assert host.files(*KEPT) == files and "netports" not in host.kernel()
    assert host.run(["systemctl", "is-enabled", "nftables"], check=False).out.strip() == "disabled"
    assert "is as wanted already" in apply(BACKEND="nftables", STATE="absent", CONFIRM="yes").out


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("nftables", "bookworm")
def test_the_firewall_in_use_is_found(host: Host, peer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = by_inventory(host, tmp_path, monkeypatch)
    files = host.files(*KEPT)
    done = apply(PRODUCTS="Screen Sharing", CONFIRM="yes")
    assert done.rc == 0 and f"{host.firewall} would change" in done.out and ": done" in done.out
    with listen(host, tcp=[5900, 5901]):
        assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "filtered"}
    assert f"{host.firewall} is as wanted already" in apply(PRODUCTS="Screen Sharing").out
    assert apply(STATE="absent", CONFIRM="yes").rc == 0
    assert host.files(*KEPT) == files
