# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How properties are tried here."""

from __future__ import annotations

from hypothesis import settings

# Two workers on a busy machine: how long one example takes says nothing.
settings.register_profile("plugins", deadline=None, max_examples=100)
settings.load_profile("plugins")
