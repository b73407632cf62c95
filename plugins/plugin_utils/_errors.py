# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error of the plugins on the controller."""

from __future__ import annotations


class CatalogueError(ValueError):
    """The catalogue cannot answer a question. The message names the value, says why, and what would do."""
