# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole files, read and replaced atomically, several of them together."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from typing import Callable, Dict, Optional, Sequence

from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

_ENCODING = "utf-8"
# Surrogate escapes carry bytes that are not UTF-8 through unchanged: an administrator's file keeps them.
_ERRORS = "surrogateescape"


@dataclass(frozen=True)
class FileChange:
    """One file: its text before and after, ``None`` where it does not exist. ``mode`` is for a new file."""

    path: str
    before: Optional[str]
    after: Optional[str]
    mode: int = 0o644


def read(path: str) -> Optional[str]:
    """The text of a file, its line ends as they are; ``None`` when it does not exist.

    :raises OSError: it exists and cannot be read.
    """
    try:
        with open(path, newline="", encoding=_ENCODING, errors=_ERRORS) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def replace(path: str, text: Optional[str], mode: int = 0o644) -> None:
    """Put a text in the place of a file in one step: readers see the old file or the new one.

    A file that is there keeps its owner, permissions, extended attributes, ACLs and SELinux label; a symbolic link is
    followed. ``None`` removes the file.

    :param mode: permissions of a file that did not exist.
    :raises OSError: the file is as it was.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if text is None:
        if os.path.exists(path):
            os.unlink(path)
            sync_folder(folder)
        return
    # The leading dot keeps ufw, which skips hidden files, from reading a leftover as a profile.
    descriptor, temporary = tempfile.mkstemp(prefix=".netports-", dir=folder)
    try:
        with open(descriptor, "w", newline="", encoding=_ENCODING, errors=_ERRORS) as stream:
            stream.write(text)
            stream.flush()
            _copy_attributes(path, temporary, mode)
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def _copy_attributes(path: str, temporary: str, mode: int) -> None:
    """Give a new file what the file in whose place it comes has, but for its time.

    The owner first: a change of owner takes away permissions.
    """
    try:
        old = os.stat(path)
    except FileNotFoundError:
        os.chmod(temporary, mode)
        return
    os.chown(temporary, old.st_uid, old.st_gid)
    # On Linux ACLs and the SELinux label are extended attributes, which copystat copies.
    shutil.copystat(path, temporary)
    os.utime(temporary)


def apply(changes: Sequence[FileChange], then: Optional[Callable[[], None]] = None) -> None:
    """Make several changes in their order, then call ``then``; when anything fails, put all back.

    :param then: what has to succeed for the new files to stay, such as a load into the kernel.
    :raises Exception: what failed, after the files are as they were.
    """
    with ExitStack() as undo:
        for change in changes:
            undo.callback(_restore, change)
            replace(change.path, change.after, change.mode)
        if then:
            then()
        undo.pop_all()


def _restore(change: FileChange) -> None:
    if read(change.path) != change.before:
        replace(change.path, change.before, change.mode)


def put_back(changes: Sequence[FileChange]) -> None:
    """Take changes back, the last one first, wherever a file still is as its change left it.

    A file that somebody else has changed since, or that its change never reached, stays.
    """
    for change in reversed(changes):
        if change.before != change.after and read(change.path) == change.after:
            if change.before is not None:
                make_folder(os.path.dirname(change.path))
            replace(change.path, change.before, change.mode)


def written(changes: Sequence[FileChange]) -> bool:
    """Whether there are files, and every file is as its change leaves it. Without a file nobody can tell."""
    return bool(changes) and all(read(change.path) == change.after for change in changes)


def make_folder(path: str, mode: int = 0o755) -> None:
    """Make a folder that is not there, with these permissions whatever the umask: who keeps a change has a narrow umask.

    :raises OSError: it cannot be made.
    """
    if not os.path.isdir(path):
        os.makedirs(path, mode)
        os.chmod(path, mode)


def sweep(folder: str) -> None:
    """Remove what a killed run left behind in a folder."""
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            if name.startswith(".netports-"):
                os.unlink(os.path.join(folder, name))


def diff_text(texts: Dict[str, Optional[str]]) -> str:
    """Several texts under their titles, for a diff that people read."""
    return "".join("# %s\n%s" % (title, body) for title, body in texts.items() if body)


def xml_text(text: str) -> str:
    """A text as it stands in XML between tags. Python's own functions for it load what takes longer than the rest."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def sync_folder(folder: str) -> None:
    """Have the names of a folder's files on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
