"""Bytes that survive a crash: atomic replacement, fsynced append, and the archive's lock.

Every write that the archive relies on passes through here. The happy path of `replace` is: write a
temporary file beside the target, fsync it, rename it over the target, fsync the folder.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.errors import ArchiveLocked, StorageError

_FULL_SYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)
"""macOS: its fsync leaves the bytes in the drive's own memory (fcntl(2))."""


def replace(path: Path, data: bytes) -> None:
    """Make `data` the whole content of `path`, or leave `path` as it was.

    Raises:
        StorageError: the disk refused; `path` is untouched.

    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # a link that lies in its place would lead somewhere else
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as out:
            out.write(data)
            out.flush()
            sync(out.fileno())
        rename(temporary, path)
    except OSError as error:
        raise StorageError(f"{path}: could not be written: {error.strerror}") from error


def rename(source: Path, target: Path) -> None:
    """Rename within one file system and make the new name durable."""
    source.rename(target)
    sync_folder(target.parent)


def append(path: Path, data: bytes) -> None:
    """Append `data` to `path` and return only when it is on the disk.

    Raises:
        StorageError: the disk refused; a part of `data` may have been written.

    """
    try:
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            out.write(data)
            out.flush()
            sync(out.fileno())
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: could not be written: {error.strerror}") from error


def sync(descriptor: int) -> None:
    """Return when what was written to an open file is on the disk."""
    if _FULL_SYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_SYNC)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(lock: Path, wait_s: float) -> Iterator[None]:
    """Hold the flock on `lock`, waiting at most `wait_s` seconds for it.

    Raises:
        ArchiveLocked: another process still holds it.

    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+b") as handle:
        busy = (
            f"{lock.parent.parent}: another holdfast process is writing to this archive;"
            " wait for it to end, or stop it"
        )
        acquire(handle.fileno(), wait_s, busy)
        yield


def is_held(lock: Path) -> bool:
    """Tell whether some process holds the flock on `lock` now."""
    try:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def acquire(descriptor: int, wait_s: float, busy: str) -> None:
    """Take the flock on an open file, waiting at most `wait_s` seconds for it.

    Raises:
        ArchiveLocked: another process still holds it; the message is `busy`.

    """
    give_up = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise ArchiveLocked(busy) from None
            time.sleep(0.05)
        else:
            return
