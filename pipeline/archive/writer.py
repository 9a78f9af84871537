"""The one WARC file that a worker is writing: `NAME.warc.gz.open`, append-only until it is closed.

Nothing here decides when a capture counts; the caller syncs, then commits the size in the frontier.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pipeline import durable
from pipeline.archive.member import Members
from pipeline.errors import StorageError

OPEN_SUFFIX = ".open"


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
            # a second writer on one file would interleave members: let it fail instead
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
        except OSError as error:
            os.ftruncate(self._descriptor, start)
            os.lseek(self._descriptor, start, os.SEEK_SET)
            self.size = start
            raise StorageError(
                f"{self.path}: could not be written: {error.strerror}; "
                "nothing committed is lost: make room, then run holdfast crawl again"
            ) from error
        return start

    def sync(self) -> None:
        """Return when everything appended is on the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise StorageError(f"{self.path}: fsync failed: {error.strerror}") from error

    def close(self) -> None:
        """Sync and let go of the file."""
        self.sync()
        os.close(self._descriptor)

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            written = os.write(self._descriptor, view)
            self.size += written
            view = view[written:]


def cut_back(path: Path, size: int) -> None:
    """Cut an abandoned open file back to what was committed of it.

    Raises:
        StorageError: the file is shorter than that: bytes that were on the disk are gone.

    """
    with path.open("r+b") as abandoned:
        have = os.fstat(abandoned.fileno()).st_size
        if have < size:
            raise StorageError(
                f"{path}: has {have} bytes, but {size} were committed; "
                "the disk lost data: check it before you go on"
            )
        abandoned.truncate(size)
        abandoned.flush()
        os.fsync(abandoned.fileno())
