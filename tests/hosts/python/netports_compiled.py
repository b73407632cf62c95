# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the Python of a test host keep what it compiles out of zip archives, as it does for files.

Ansible sends a module as a zip archive, and Python keeps nothing that it compiles out of one: each task would compile the
module and all that it imports again, a third of what the task costs the host. The code that runs is the same. Each start
of Python reads this, by netports_compiled.pth: what is not needed then is imported later.
"""

from __future__ import annotations

import zipimport

FOLDER = "/var/cache/netports-compiled"
compile_source = zipimport._compile_source  # type: ignore[attr-defined]


def compiled(path: str, source: bytes) -> object:
    """The code of a module in an archive, from its source."""
    import _imp
    import hashlib
    import marshal
    import os
    import sys

    name = f"{hashlib.sha256(source).hexdigest()}.{sys.implementation.cache_tag}"
    kept = os.path.join(FOLDER, name)
    try:
        with open(kept, "rb") as handle:
            code = marshal.load(handle)
    except OSError:
        code = compile_source(path, source)
        # Hosts share the folder.
        part = f"{kept}.{os.urandom(8).hex()}"
        try:
            with open(part, "wb") as handle:
                marshal.dump(code, handle)
            os.replace(part, kept)
        except OSError:
            pass  # not root
    else:
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
    return code


zipimport._compile_source = compiled  # type: ignore[attr-defined]
