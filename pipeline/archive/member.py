"""One WARC record as one gzip member (WARC 1.1 annex D), ready to be appended to a file.

warcio lays out the header; the compression is ours, because warcio's is fixed at zlib level 9.
Encoding needs no lock, so that the threads of a worker do it side by side.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from msgspec import Struct
from warcio.statusandheaders import StatusAndHeaders

from pipeline.archive.codec import Codec, compress_member, compressor, fast_level

_IN_MEMORY: Final = 2 * 1024 * 1024
_PIECE: Final = 256 * 1024
_END: Final = b"\r\n\r\n"

_SAMPLES: Final = 8
_SAMPLE: Final = 1024
# measured on the PNG files of a Debian manual: for the last percent deflate takes ten times as long
_STORE: Final = 0.98
_BARELY: Final = 0.9
_ASCII: Final = bytes(range(128))


class Record(Struct, frozen=True):
    """A record to be written: its header fields in order, without Content-Length, and its block."""

    fields: Sequence[tuple[str, str]]
    block: bytes | Iterable[bytes]
    size: int


class Members:
    """Records of one capture as gzip members, in memory or, when large, in a temporary file.

    Attributes:
        size: bytes of all members together.
        starts: where each member begins among them.

    """

    def __init__(
        self, records: Sequence[Record], codec: Codec, level: int, spool_folder: Path | None = None
    ) -> None:
        self.size = 0
        self.starts: list[int] = []
        self._parts: list[bytes] = []
        self._spool: IO[bytes] | None = None
        self._folder = spool_folder
        for record in records:
            self.starts.append(self.size)
            self._encode(record, codec, level)

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

    def _encode(self, record: Record, codec: Codec, level: int) -> None:
        pieces = (record.block,) if isinstance(record.block, bytes) else record.block
        head = _head(record)
        if record.size <= _IN_MEMORY:
            block = b"".join(pieces)
            member = b"".join((head, block, _END))
            self._keep(compress_member(member, codec, _worthwhile(block, codec, level)))
            return
        rest = iter(pieces)
        first = next(rest, b"")
        stream = compressor(codec, _worthwhile(first, codec, level))
        self._keep(stream.compress(head + first))
        for piece in rest:
            self._keep(stream.compress(piece))
        self._keep(stream.compress(_END) + stream.flush())

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        self._parts.append(data)
        if self._spool is None and self.size <= _IN_MEMORY:
            return
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 see pieces
        self._spool.writelines(self._parts)
        self._parts.clear()


def _head(record: Record) -> bytes:
    head = StatusAndHeaders("", [], "WARC/1.1")
    # not through its constructor, which looks for bytes in every field
    head.headers.extend(record.fields)
    head.headers.append(("Content-Length", str(record.size)))
    laid_out: bytes = head.to_bytes()
    return laid_out


def _worthwhile(block: bytes, codec: Codec, level: int) -> int:
    """Give the level at which deflate is worth its time for `block`, told by samples; 0 stores.

    Trying hard on images, packed files and video costs more than all else that is done for them.
    """
    if len(block) < 2 * _SAMPLES * _SAMPLE:
        return level
    step = (len(block) - _SAMPLE) // _SAMPLES
    sample = b"".join([block[at : at + _SAMPLE] for at in range(0, _SAMPLES * step, step)])
    # half of the bytes of packed data are above 127; of text in Latin script, next to none
    if sample.isascii() or 4 * len(sample.translate(None, _ASCII)) < len(sample):
        return level
    fast = fast_level(codec)
    left = len(compress_member(sample, codec, fast)) / len(sample)
    if left > _STORE:
        return 0
    return min(level, fast) if left > _BARELY else level
