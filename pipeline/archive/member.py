"""One WARC record as one gzip member (WARC 1.1 annex D), ready to be appended to a file.

warcio lays out the record; the compression is ours, because warcio's is fixed at zlib level 9.
Encoding needs no lock, so that the threads of a worker do it side by side.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.archive.codec import Codec, compressor

_IN_MEMORY = 2 * 1024 * 1024
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be written: its header fields in order, without Content-Length, and its block."""

    fields: Sequence[tuple[str, str]]
    block: bytes | Iterable[bytes]
    size: int


class Members:
    """Records of one capture as gzip members, in memory or, when large, in a temporary file.

    Attributes:
        lengths: bytes of each member, in order.

    """

    def __init__(self, records: Sequence[Record], codec: Codec, level: int) -> None:
        # SpooledTemporaryFile became an io class in 3.11, but its stub has not heard of it
        spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 closed by pieces
        self._spool = cast(BinaryIO, spool)
        self.lengths = tuple(self._encode(record, codec, level) for record in records)

    @property
    def size(self) -> int:
        """Bytes of all members together."""
        return sum(self.lengths)

    def pieces(self) -> Iterator[bytes]:
        """Give the members' bytes once, in order, and forget them."""
        with self._spool as spool:
            spool.seek(0)
            while piece := spool.read(_PIECE):
                yield piece

    def _encode(self, record: Record, codec: Codec, level: int) -> int:
        start = self._spool.tell()
        sink = _GzipSink(self._spool, codec, level)
        head = StatusAndHeaders("", list(record.fields), "WARC/1.1")
        _DigestedWriter(sink, gzip=False).write_record(
            ArcWarcRecord("warc", "", head, _stream(record.block), None, None, record.size)
        )
        sink.end()
        return self._spool.tell() - start


class _DigestedWriter(WARCWriter):  # type: ignore[misc]
    """warcio's writer for records whose header already holds every digest they shall have."""

    def ensure_digest(self, record: Any, block: bool = True, payload: bool = True) -> None:
        """Compute nothing: warcio would add sha1 payload digests where WARC 1.1 wants none."""


class _GzipSink:
    """What warcio writes to: everything given goes into one gzip member."""

    def __init__(self, out: BinaryIO, codec: Codec, level: int) -> None:
        self._out = out
        self._compressor = compressor(codec, level)
        # warcio writes in small pieces, and each call of a compressor has its price
        self._gathered: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= _PIECE:
            self._compress()

    def flush(self) -> None:
        """Called by warcio after each record; a flush here would only cost bytes."""

    def end(self) -> None:
        self._compress()
        self._out.write(self._compressor.flush())

    def _compress(self) -> None:
        self._out.write(self._compressor.compress(b"".join(self._gathered)))
        self._gathered.clear()
        self._size = 0


class _Pieces:
    """Pieces of a block as the stream that warcio reads until it is empty."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, _size: int = -1) -> bytes:
        return next(self._pieces, b"")


def _stream(block: bytes | Iterable[bytes]) -> io.BytesIO | _Pieces:
    return io.BytesIO(block) if isinstance(block, bytes) else _Pieces(block)
