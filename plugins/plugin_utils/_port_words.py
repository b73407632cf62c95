# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words that stand in the catalogue's data where a port has no number. Plain Python without Ansible."""

from __future__ import annotations

# The range from which the host itself takes ports.
HOST_EPHEMERAL = "host_ephemeral"
# A port that the site chooses, and that the user gives.
SITE_PORT = "site_port"
