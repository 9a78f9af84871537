"""Damaged bytes that repair replaces: kept under quarantine/, which is no part of the archive."""

from __future__ import annotations

import hashlib
import os

from pipeline import durable
from pipeline.errors import StorageError
from pipeline.fixity import disk
from pipeline.model.layout import Layout


def put_away(layout: Layout, path: str) -> list[str]:
    """Move what is at `path` into quarantine; give where it is now, if there was anything.

    Its name there ends in the digest of its bytes, so nothing ever replaces anything else.

    Raises:
        StorageError: the disk refused.

    """
    source = layout.root / path
    if not os.path.lexists(source):
        return []
    kept = name_of(layout, path)
    target = layout.root / kept
    try:
        for folder in (layout.quarantine, *target.parents):
            if folder.is_symlink() and layout.root in folder.parents:
                raise StorageError(f"{folder}: is a symbolic link; put a real folder there")
        target.parent.mkdir(parents=True, exist_ok=True)
        durable.rename(source, target)
        durable.sync_folder(source.parent)
    except OSError as error:
        raise StorageError(f"{source}: could not be put away: {error.strerror}") from error
    return [kept]


def name_of(layout: Layout, path: str) -> str:
    """Give the path in quarantine of what is at `path` now."""
    digest = disk.digest(layout.root, path).sha256
    if not digest:
        # a link, a folder, or a file that cannot be read to its end: its own facts name it
        status = (layout.root / path).lstat()
        facts = f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
        digest = hashlib.sha256(facts.encode()).hexdigest()
    return f"quarantine/{path}.{digest}"
