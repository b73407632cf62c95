# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports from the archive that Ansible sends to a host.

The archive has sources alone, and Python compiles a source of an archive twice: once to import it, and before that for
its file's name, which ``zipimporter.get_filename`` takes from the compiled code. So it was in Python 3.7 to 3.14, see
https://github.com/python/cpython/issues/141276. To compile is most of what the module's start takes.
"""

from __future__ import annotations

import sys
from zipimport import zipimporter


class _Importer(zipimporter):
    """An importer that knows the name of a source's file without the source.

    Compiled code in the archive is found by its source's name.
    """

    def get_filename(self, fullname: str) -> str:
        tail = "/__init__.py" if self.is_package(fullname) else ".py"
        return "%s/%s%s%s" % (self.archive, self.prefix, fullname.rpartition(".")[2], tail)


def compile_once() -> None:
    """Have Python compile the modules of this folder once, where they come out of an archive.

    Modules that are imported already stay as they are. Everything else is imported as it always is: other collections,
    Ansible, and these modules where they are files, or where Ansible or mitogen have a loader of their own.
    """
    if not isinstance(getattr(__spec__, "loader", None), zipimporter):
        return
    folder = __file__.rpartition("/")[0]

    def hook(path: str) -> _Importer:
        if path != folder and not path.startswith(folder + "/"):
            raise ImportError("%s is none of ours" % path)
        return _Importer(path)

    sys.path_hooks.insert(0, hook)
    # This module came by another importer, which Python keeps for its folder.
    sys.path_importer_cache.pop(folder, None)
