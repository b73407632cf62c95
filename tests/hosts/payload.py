# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible sends to a host for the module."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path


def payload(tree: Path, folder: Path) -> bytes:
    """The archive of code that a host gets.

    :param tree: the folder of collections to take the module from.
    :param folder: an empty folder.
    """
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tree),
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
        "ANSIBLE_PIPELINING": "0",
        "ANSIBLE_REMOTE_TEMP": str(folder),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
    }
    interpreter = f"ansible_python_interpreter={sys.executable}"
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-c", "local", "-e", interpreter]
    command += ["-m", "netports.apple.host_firewall", "-a", "state=rendered backend=ufw"]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    (wrapper,) = folder.rglob("AnsiballZ_host_firewall.py")
    # The longest text of the wrapper is the archive.
    return base64.b64decode(max(re.findall(r"[A-Za-z0-9+/=\n]{1000,}", wrapper.read_text()), key=len))
