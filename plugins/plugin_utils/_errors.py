# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error of the plugins on the controller, and how its messages call options."""

from __future__ import annotations

import dataclasses
from typing import Any


class CatalogueError(ValueError):
    """The catalogue cannot answer a question. The message names the value, says why, and what would do."""


@dataclasses.dataclass(frozen=True)
class Wording:
    """How a message calls options: each caller writes them in its own way.

    :param sets: whether options are keys of a set of products, as for the lookup ``rules`` and the role.
    :param prefix: what stands before the name of an option, such as ``host_firewall_``.
    """

    sets: bool = False
    prefix: str = ""

    def give(self, option: str, value: Any) -> str:
        """Write an option with a value, as the caller would: ``service='ssh'`` or ``services: ['ssh']``.

        :param option: the option of the lookup ``ports``.
        """
        if option == "service" and self.sets:
            option, value = "services", [value]
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        return f"{self.prefix}{option}: {shown}" if self.sets else f"{option}={shown}"


LOOKUP = Wording()
