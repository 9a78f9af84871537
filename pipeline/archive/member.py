"""One WARC record as one gzip member (WARC 1.1 annex D), ready to be appended to a file.

warcio lays out the record; the compression is ours, because warcio's is fixed at zlib level 9.
Encoding needs no lock, so that the threads of a worker do it side by side.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.archive.codec import Codec, compress, compressor

_IN_MEMORY = 2 * 1024 * 1024
_PIECE = 256 * 1024

# measured on the PNG files of a Debian manual: 1 % more bytes, 60 % less CPU
_SAMPLES = 8
_SAMPLE = 1024
_SAMPLE_LEVEL = 3
_INCOMPRESSIBLE = 0.98


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be written: its header fields in order, without Content-Length, and its block."""

    fields: Sequence[tuple[str, str]]
    block: bytes | Iterable[bytes]
    size: int


class Members:
    """Records of one capture as gzip members, in memory or, when large, in a temporary file.

    Attributes:
        size: bytes of all members together.

    """

    def __init__(
        self, records: Sequence[Record], codec: Codec, level: int, spool_folder: Path | None = None
    ) -> None:
        self.size = 0
        self._parts: list[bytes] = []
        self._spool: IO[bytes] | None = None
        self._folder = spool_folder
        # one for all: warcio asks for the host's name each time a writer is made
        writer = _DigestedWriter(None, gzip=False)
        for record in records:
            self._encode(writer, record, codec, level)

    def pieces(self) -> Iterator[bytes]:
        """Give the members' bytes once, in order, and forget them."""
        if self._spool is not None:
            with self._spool as spool:
                spool.seek(0)
                while piece := spool.read(_PIECE):
                    yield piece
        yield b"".join(self._parts)
        self._parts = []

    def close(self) -> None:
        """Forget the members."""
        if self._spool is not None:
            self._spool.close()

    def _encode(self, writer: WARCWriter, record: Record, codec: Codec, level: int) -> None:
        block = _Pieces([record.block] if isinstance(record.block, bytes) else record.block)
        writer.out = sink = _GzipSink(
            self._keep, codec, 0 if _is_compressed(block.first) else level
        )
        head = StatusAndHeaders("", [], "WARC/1.1")
        # not through its constructor, which looks for bytes in every field
        head.headers.extend(record.fields)
        writer.write_record(ArcWarcRecord("warc", "", head, block, None, None, record.size))
        sink.end()

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        self._parts.append(data)
        if self._spool is None and self.size <= _IN_MEMORY:
            return
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 see pieces
        self._spool.writelines(self._parts)
        self._parts.clear()


class _DigestedWriter(WARCWriter):  # type: ignore[misc]
    """warcio's writer for records whose header already holds every digest they shall have."""

    def ensure_digest(self, record: Any, block: bool = True, payload: bool = True) -> None:
        """Compute nothing: warcio would add sha1 payload digests where WARC 1.1 wants none."""


class _GzipSink:
    """What warcio writes to: everything given goes into one gzip member."""

    def __init__(self, keep: Callable[[bytes], None], codec: Codec, level: int) -> None:
        self._keep = keep
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
        self._keep(self._compressor.flush())

    def _compress(self) -> None:
        self._keep(self._compressor.compress(b"".join(self._gathered)))
        self._gathered.clear()
        self._size = 0


class _Pieces:
    """Pieces of a block as the stream that warcio reads until it is empty."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.first = next(self._pieces, b"")
        self._next = self.first

    def read(self, _size: int = -1) -> bytes:
        piece, self._next = self._next, b""
        return piece or next(self._pieces, b"")


def _is_compressed(data: bytes) -> bool:
    """Tell by samples whether deflate would win next to nothing: images, packed files, video.

    Trying costs more than all else that is done for such a capture.
    """
    if len(data) < 2 * _SAMPLES * _SAMPLE:
        return False
    step = (len(data) - _SAMPLE) // _SAMPLES
    sample = b"".join(data[at : at + _SAMPLE] for at in range(0, _SAMPLES * step, step))
    return len(compress(sample, _SAMPLE_LEVEL)) > _INCOMPRESSIBLE * len(sample)
