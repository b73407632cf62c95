# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the lookups that ask the catalogue."""

from __future__ import annotations


class ModuleDocFragment:
    """Which files the catalogue is made of."""

    DOCUMENTATION = r"""
options:
  catalogues:
    description:
      - Paths of a site's own catalogue files, merged over the collection's in this order.
      - Needs the Python library C(jsonschema) on the controller.
    type: list
    elements: path
    default: []
    ini:
      - section: netports_apple
        key: catalogues
    env:
      - name: NETPORTS_APPLE_CATALOGUES
  supplement:
    description:
      - Also answer with what is known to be newer than the article's edition.
    type: bool
    default: false
    ini:
      - section: netports_apple
        key: supplement
    env:
      - name: NETPORTS_APPLE_SUPPLEMENT
"""
