"""A block while it is being received: in memory up to 2 MiB, then in a temporary file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from pipeline.errors import StorageError
from pipeline.model.exchange import Block

_MOST_IN_MEMORY = 2 * 1024 * 1024


class Spool:
    """Takes bytes in order and gives them back as a `Block`.

    Attributes:
        size: bytes taken.

    """

    __slots__ = ("_file", "_folder", "_pieces", "size")

    def __init__(self, folder: Path | None) -> None:
        """Put the temporary file, if one is needed, into `folder` (None: the system's choice)."""
        self.size = 0
        self._folder = folder
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            StorageError: the disk refused.

        """
        self.size += len(piece)
        self._pieces.append(piece)
        if self._file is not None or self.size > _MOST_IN_MEMORY:
            self._write_out()

    def block(self) -> Block:
        """Give all bytes taken; the spool is of no more use.

        Raises:
            StorageError: the disk refused.

        """
        file = self._file
        if file is None:
            return Block(b"".join(self._pieces))
        try:
            file.flush()
        except OSError as error:
            file.close()
            raise _refused(error) from error
        self._file = None
        return Block(b"", file, self.size)

    def close(self) -> None:
        """Give back the temporary file if no block has taken it over."""
        if self._file is not None:
            self._file.close()

    def _write_out(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="holdfast-", dir=self._folder)  # noqa: SIM115
            self._file.writelines(self._pieces)
        except OSError as error:
            raise _refused(error) from error
        self._pieces.clear()


def _refused(error: OSError) -> StorageError:
    return StorageError(f"a large response could not be kept on the disk: {error.strerror}")
