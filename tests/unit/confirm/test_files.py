# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are replaced whole, in their order, on the disk, and with all that they had."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange

# An ACL as the kernel keeps it (linux/posix_acl_xattr.h): version 2, then tag, permissions and id of each entry.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in ((1, 6, 2**32 - 1), (2, 4, 65534), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is settled on the disk and moved, in its order: ``fsync NAME``, ``rename NAME``."""
    seen: list[str] = []
    fsync, rename = os.fsync, os.rename

    def name(descriptor: int) -> str:
        found = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        return "new" if found.startswith(".netports-") else found

    def watched_fsync(descriptor: int) -> None:
        seen.append(f"fsync {name(descriptor)}")
        fsync(descriptor)

    def watched_rename(old: str, new: str) -> None:
        seen.append(f"rename {os.path.basename(new)}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    return seen


def change(path: Path, after: str | None) -> FileChange:
    return FileChange(path=str(path), before=_files.read(str(path)), after=after)


def test_a_file_is_on_the_disk_before_its_name_and_its_name_at_the_end(tmp_path: Path, calls: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    _files.replace(str(folder / "one"), "text")
    assert calls == ["fsync new", "rename one", "fsync folder"]
    calls.clear()
    _files.replace(str(folder / "one"), None)
    assert calls == ["fsync folder"] and not (folder / "one").exists()


def test_files_are_written_in_their_order_and_put_back_in_reverse(tmp_path: Path, calls: list[str]) -> None:
    changes = [change(tmp_path / name, "new") for name in ("one", "two", "three")]

    def fail() -> None:
        raise OSError("the load")

    with pytest.raises(OSError, match="the load"):
        _files.apply(changes, fail)
    assert [call for call in calls if call.startswith("rename")] == ["rename one", "rename two", "rename three"]
    assert list(tmp_path.iterdir()) == []
    for name in ("one", "two"):
        (tmp_path / name).write_text("old")
    changes = [change(tmp_path / name, "new") for name in ("one", "two")]
    calls.clear()
    with pytest.raises(OSError, match="the load"):
        _files.apply(changes, fail)
    moved = [call for call in calls if call.startswith("rename")]
    assert moved == ["rename one", "rename two", "rename two", "rename one"]
    _files.apply(changes)
    calls.clear()
    _files.put_back(changes)
    assert [call for call in calls if call.startswith("rename")] == ["rename two", "rename one"]
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["old", "old"]


def test_what_fails_in_the_middle_leaves_the_first_files_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("old")
    changes = [
        change(tmp_path / "one", "new"),
        FileChange(path=str(tmp_path / "nowhere" / "two"), before=None, after="x"),
    ]
    with pytest.raises(FileNotFoundError):
        _files.apply(changes)
    assert (tmp_path / "one").read_text() == "old" and sorted(path.name for path in tmp_path.iterdir()) == ["one"]


def test_owner_mode_attributes_and_acls_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    path.chmod(0o640)
    os.setxattr(path, "user.comment", b"ours")
    os.setxattr(path, "system.posix_acl_access", ACL)
    os.utime(path, (1, 1))

    def kept() -> tuple[int, int, int, dict[str, bytes]]:
        found = os.stat(path)
        names = [name for name in os.listxattr(path) if not name.startswith("security.")]
        return (
            found.st_uid,
            found.st_gid,
            stat.S_IMODE(found.st_mode),
            {name: os.getxattr(path, name) for name in names},
        )

    before = kept()
    assert set(before[3]) == {"user.comment", "system.posix_acl_access"}
    inode = path.stat().st_ino
    _files.replace(str(path), "new", 0o600)
    assert path.read_text() == "new" and path.stat().st_ino != inode
    assert kept() == before
    assert path.stat().st_mtime > 1, "what watches files has to see that this one is new"


def test_a_new_file_has_the_mode_that_was_asked_for(tmp_path: Path, umask: Callable[[int], None]) -> None:
    umask(0o077)
    _files.replace(str(tmp_path / "one"), "text", 0o640)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o640
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one")
    _files.replace(str(link), "more")
    assert link.is_symlink() and (tmp_path / "one").read_text() == "more"


def test_a_new_folder_has_the_mode_that_was_asked_for(tmp_path: Path, umask: Callable[[int], None]) -> None:
    umask(0o077)
    folder = tmp_path / "folder"
    for mode in (0o755, 0o700):
        # One that is there stays as it is.
        _files.make_folder(str(folder), mode)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
