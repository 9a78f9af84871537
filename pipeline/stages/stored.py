"""One record of a WARC file, found by its offset and inflated only as far as is asked for.

For `show` and for crawls that go back to earlier captures: where only the head of a record matters,
reading on would cost most of the time. Memory is bounded, whatever the file holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.archive.codec import decompressor, inflate_error
from pipeline.archive.reader import MAX_HEAD, bare_uri
from pipeline.model.http import Head, HeadScanner
from pipeline.model.records import Original

_FIRST_STEP = 2048  # holds the head of most captures
_PIECE = 64 * 1024
_SIZE = re.compile(r"[0-9]{1,19}")


class Unreadable(Exception):  # noqa: N818 - a message to the caller, never an error shown
    """There is no record at this place that could be read."""


class StoredRecord:
    """One record of a WARC file, inflated only as far as is asked for.

    Digests decide whether what is read is what was written; that is why this is not the strict
    reader, which must see every byte of a record to judge it.

    Attributes:
        fields: the header; names in lower case, of each its first value.

    Raises:
        Unreadable: by any method: there is no record here, or the file is damaged.
        OSError: by any method: the file cannot be read.

    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file = file
        self._inflate = decompressor()
        self._step = _FIRST_STEP
        file.seek(offset)
        begun = b""
        while (end := begun.find(b"\r\n\r\n")) < 0:
            piece = self._read()
            if not piece or len(begun) > MAX_HEAD:
                raise Unreadable
            begun += piece
        lines = begun[:end].decode("utf-8", "replace").split("\r\n")
        pairs = [line.partition(":") for line in lines[1:]]
        self.fields = {name.lower(): value.strip() for name, _, value in reversed(pairs)}
        self._begun = begun[end + 4 :]
        size = self.fields.get("content-length", "")
        if not _SIZE.fullmatch(size):
            raise Unreadable
        self._size = int(size)

    @property
    def original(self) -> Original | None:
        """Give the record that a revisit refers to (WARC 1.1 §5.11-5.13), if it says enough."""
        names = ("warc-refers-to", "warc-refers-to-target-uri", "warc-refers-to-date")
        record_id, url, date = (bare_uri(self.fields.get(name)) or "" for name in names)
        return Original(record_id=record_id, url=url, date=date) if url and date else None

    def block(self) -> Iterator[bytes]:
        """Give the block in pieces, once; what is missing of it at the end is not told."""
        left, piece = self._size, self._begun
        while left and piece:
            yield piece[:left]
            left -= min(left, len(piece))
            piece = self._read() if left else b""

    def http_head(self) -> Head | None:
        """Give the head of the HTTP response in the block, which is read so far."""
        if not self.fields.get("content-type", "").startswith("application/http"):
            return None
        scanner, begun = HeadScanner(), bytearray()
        for piece in self.block():
            begun += piece
            head = scanner.scan(begun)
            if head is not None or scanner.hopeless:
                return head
        return None

    def _read(self) -> bytes:
        """Give the next bytes of the member; none at its end, or that of the file."""
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(self._step)
            self._step = min(2 * self._step, _PIECE)
            if not packed:
                return b""
            try:
                piece: bytes = self._inflate.decompress(packed, _PIECE)
            except inflate_error:
                raise Unreadable from None
            if piece:
                return piece
        return b""
