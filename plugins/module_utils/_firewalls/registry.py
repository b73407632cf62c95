# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewalls by name. A host loads the code of the firewall that it uses, and of no other.

Ansible ships what it finds by reading imports, so each import is a plain statement, inside its function.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Tuple, Type

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Firewall, FirewallError, Host


def _ufw() -> Type[Firewall]:
    from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.firewall import Ufw

    return Ufw


def _firewalld() -> Type[Firewall]:
    from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.firewall import Firewalld

    return Firewalld


def _pf() -> Type[Firewall]:
    from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.firewall import Pf

    return Pf


def _nftables() -> Type[Firewall]:
    from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.firewall import Nftables

    return Nftables


_FIREWALLS: Dict[str, Callable[[], Type[Firewall]]] = {
    "ufw": _ufw,
    "firewalld": _firewalld,
    "nftables": _nftables,
    "pf": _pf,
}
NAMES = tuple(_FIREWALLS)


def load(name: str) -> Type[Firewall]:
    """Import a firewall.

    :param name: one of ``NAMES``.
    """
    return _FIREWALLS[name]()


def places(name: str, host: Host) -> Tuple[str, ...]:
    """The files and folders that plans of a firewall may write.

    :param name: one of ``NAMES``; anything else stands for all of them.
    """
    names = (name,) if name in NAMES else NAMES
    return tuple(place for known in names for place in load(known)(host).places())


def choose(name: str, host: Host, removal: bool = False) -> Firewall:
    """The firewall that was asked for, or the one that the host uses.

    :param name: one of ``NAMES``, or ``auto``.
    :param removal: whether a firewall that was uninstalled will do, since all of a ruleset is to go. ``auto`` takes it
        where its folders are still there and no firewall is in use.
    :raises FirewallError: it is not there; none is; or two are in use.
    """
    if name != "auto":
        firewall = load(name)(host)
        if not firewall.installed() and not (removal and firewall.uninstalled()):
            raise FirewallError(
                "%s is not installed on this host: install it (the role does with host_firewall_install: true), "
                "or set another backend" % name,
                "not-installed",
            )
        return firewall
    known = [load(word)(host) for word in NAMES]
    installed = [firewall for firewall in known if firewall.installed()]
    in_use = _in_use(installed)
    # The lowest layer may be there without anybody's wish: it is managed where it is used, or by name.
    found = in_use or [firewall for firewall in installed if firewall.rank == 0]
    if not found and removal:
        found = [gone for gone in known if gone.uninstalled() and any(map(os.path.isdir, gone.places()))]
    if len(found) == 1:
        return found[0]
    if not found:
        raise FirewallError(
            "no firewall that this collection manages is in use on this host (%s): install one (the role does with "
            "host_firewall_install: true and host_firewall_backend set), set the backend%s, or use state 'rendered'"
            % (", ".join(NAMES), "".join(" to %s, which is there" % firewall.name for firewall in installed)),
            "no-firewall",
        )
    names = " and ".join(firewall.name for firewall in found)
    if in_use:
        problem, code = "in use", "several-firewalls"
    else:
        problem, code = "installed and neither is in use", "none-in-use"
    raise FirewallError(
        "%s are both %s on this host: set the backend (host_firewall_backend) to the one to manage" % (names, problem),
        code,
    )


def _in_use(installed: List[Firewall]) -> List[Firewall]:
    """Those in use, of the lowest rank that has any: a front end comes before what it is the front end of."""
    for rank in sorted({firewall.rank for firewall in installed}):
        found = [firewall for firewall in installed if firewall.rank == rank and firewall.in_use()]
        if found:
            return found
    return []
