# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules in words. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import KernelRule


def words(rule: KernelRule) -> str:
    """A rule for people, much as nft prints it."""
    found = []
    for one in rule.expr:
        for key, value in one.items() if isinstance(one, dict) else ():
            if key == "match":
                left, op = value["left"] if isinstance(value["left"], dict) else {}, str(value.get("op"))
                sign = "" if op in ("==", "in") and "&" not in left else "%s " % op
                found.append("%s %s%s" % (_asked(left), sign, _shown(value["right"])))
            else:
                found.append("%s %s" % (key, value["target"]) if key in ("jump", "goto") else str(key))
    return " ".join(found)


def _asked(left: Any) -> str:
    """The left side of a comparison."""
    if not isinstance(left, dict):
        return _shown(left)
    if "&" in left:
        return " & ".join(_asked(part) for part in left["&"])
    if "|" in left:
        return "(%s)" % _shown(left)
    if "fib" in left:
        return "fib %s %s" % (" . ".join(left["fib"].get("flags", ())), left["fib"].get("result"))
    return " ".join(" ".join(str(part) for part in part.values()) for part in left.values() if isinstance(part, dict))


def _shown(right: Any) -> str:
    if isinstance(right, dict) and "name" in right:
        return str(right["name"])
    if isinstance(right, dict) and "|" in right:
        return " | ".join(map(_shown, right["|"]))
    parts = right["set"] if isinstance(right, dict) and "set" in right else right
    texts = []
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, dict) and "prefix" in part:
            texts.append("%s/%s" % (part["prefix"]["addr"], part["prefix"]["len"]))
        elif isinstance(part, dict) and "range" in part:
            texts.append("%s-%s" % tuple(part["range"]))
        else:
            texts.append(str(part))
    return texts[0] if len(texts) == 1 else "{ %s }" % ", ".join(texts)
