"""The one WARC file that a worker is writing: `NAME.warc.gz.open`, append-only until it is closed.

Nothing here decides when a capture counts; the caller syncs, then commits the size in the frontier.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from pipeline import durable
from pipeline.archive.member import Members
from pipeline.errors import IntegrityError, StorageError

_LET_GO_S = 3.0
"""A worker whose supervisor was killed needs a moment to notice."""


class OpenWarc:
    """A WARC file being written by this process alone.

    Attributes:
        path: the file, `NAME.warc.gz.open`.
        size: bytes appended so far.

    """

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            StorageError: it exists already, or the disk refused.

        """
        self.path = path
        self.size = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            # as long as this worker lives, nobody may cut the file back
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            durable.sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"{path}: could not be created: {error.strerror}") from error

    def append(self, members: Members) -> int:
        """Append all members and give the offset of the first.

        Raises:
            StorageError: the disk refused; what was half written has been cut off again.

        """
        start = self.size
        try:
            for piece in members.pieces():
                self._write(piece)
        except BaseException as error:
            self._undo(start)
            if not isinstance(error, OSError):
                raise
            raise StorageError(
                f"{self.path}: could not be written: {error.strerror}; "
                "nothing committed is lost: make room, then run holdfast crawl again"
            ) from error
        self.size = start + members.size
        return start

    def _undo(self, start: int) -> None:
        """Cut off what was half written; if even that fails, the next start does it."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, start)
            os.lseek(self._descriptor, start, os.SEEK_SET)

    def sync(self) -> None:
        """Return when everything appended is on the disk."""
        try:
            durable.sync(self._descriptor)
        except OSError as error:
            raise StorageError(f"{self.path}: fsync failed: {error.strerror}") from error

    def close(self) -> None:
        """Sync and let go of the file."""
        self.sync()
        os.close(self._descriptor)

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self._descriptor, view) :]


def cut_back(path: Path, size: int) -> None:
    """Cut an abandoned open file back to what was committed of it.

    Raises:
        ArchiveLocked: its worker is still alive.
        IntegrityError: the file is gone, or shorter than that: bytes that were committed are lost.

    """
    try:
        abandoned = path.open("r+b")
    except FileNotFoundError:
        raise IntegrityError(
            f"{path}: is gone, although {size} bytes of it were committed"
        ) from None
    with abandoned:
        durable.acquire(
            abandoned.fileno(), _LET_GO_S, f"{path}: a worker is still writing; try again"
        )
        have = os.fstat(abandoned.fileno()).st_size
        if have < size:
            raise IntegrityError(f"{path}: has {have} bytes, although {size} were committed")
        abandoned.truncate(size)
        durable.sync(abandoned.fileno())
