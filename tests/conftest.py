# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `ansible_collections.netports.apple` importable from this checkout, whatever its folder is called."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import hypothesis

try:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    found = AnsibleCollectionConfig.collection_finder is not None
except ImportError:
    # `ansible-test units` finds the collection itself, and shows tests of host code ansible.module_utils alone.
    found = True

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("netports", deadline=None)
hypothesis.settings.load_profile("netports")

if not found:
    tree = Path(tempfile.mkdtemp(prefix="netports-collections-"))
    atexit.register(shutil.rmtree, tree, ignore_errors=True)
    namespace = tree / "ansible_collections" / "netports"
    namespace.mkdir(parents=True)
    (namespace / "apple").symlink_to(Path(__file__).resolve().parent.parent, target_is_directory=True)
    init_plugin_loader([str(tree)])
