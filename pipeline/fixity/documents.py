"""Documents as verification needs them: how many there are, and which came from a given record.

A file of documents is read line by line in bounded memory, whatever state it is in; what can still
be read after damage began is used, and the damage is said. Nothing here judges a document's text.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from pipeline.model.document import MAX_LINE

# zlib drops the output of the call that fails, so a call must not take much
_STEP = 8192
_OUTPUT = 1 << 20
# a gzip bomb of a thousand to one ends here; the documents of a WARC file are far from either
_MAX_LINES = 2_000_000
_MAX_CONTENT = 32 << 30

_Ours = TypeVar("_Ours")
_Theirs = TypeVar("_Theirs")


class DocumentLines(Struct):
    """The lines of one gzip file of documents. Iterate it once, then look at the attributes.

    Attributes:
        count: whole lines read.
        trouble: why the reading ended before the file did; empty if it did not.

    """

    path: Path
    count: int = 0
    trouble: str = ""

    def __iter__(self) -> Iterator[bytes]:
        """Give each whole line without its LF.

        Raises:
            OSError: the file cannot be opened or read.

        """
        begun: list[bytes] = []  # of the line whose end has not come; joined only when it has
        size = content = 0
        for piece in self._inflated():
            content += len(piece)
            if content > _MAX_CONTENT or self.count > _MAX_LINES:
                self.trouble = "more than the documents of a WARC file can be"
                return
            end = piece.find(b"\n") + 1
            size += end or len(piece)
            if size > MAX_LINE:
                self.trouble = f"a line of more than {MAX_LINE} bytes"
                return
            begun.append(piece)
            if end:
                *lines, rest = b"".join(begun).split(b"\n")
                begun, size = [rest], len(rest)
                self.count += len(lines)
                yield from lines
        if size and not self.trouble:
            self.trouble = "the last line has no end"

    def _inflated(self) -> Iterator[bytes]:
        with self.path.open("rb") as compressed:
            stream = zlib.decompressobj(31)
            begun = False
            while data := stream.unconsumed_tail or stream.unused_data or compressed.read(_STEP):
                if stream.eof:
                    stream = zlib.decompressobj(31)
                begun = True
                try:
                    piece = stream.decompress(data, _OUTPUT)
                except zlib.error as error:
                    self.trouble = str(error)
                    return
                if piece:
                    yield piece
            if begun and not stream.eof:
                self.trouble = "the compressed data ends too early"


class Derivations:
    """Which documents were derived from which records of one WARC file.

    Attributes:
        names: ids of all documents, in file order.

    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._by_record: dict[str, list[str]] = {}
        self._by_offset: list[tuple[int, str]] = []

    def read(self, lines: DocumentLines) -> None:
        """Take the documents of one file.

        Raises:
            OSError: the file cannot be opened or read.

        """
        for line in lines:
            place = place_of(line)
            if place is not None:
                offset, record_id = place.provenance.offset, place.provenance.record_id
                self.names.append(place.id)
                self._by_offset.append((offset, place.id))
                if record_id is not None:
                    self._by_record.setdefault(record_id, []).append(place.id)
        self._by_offset.sort()

    def of(self, offset: int, length: int, record_id: str | None) -> tuple[str, ...]:
        """Give the ids of documents from the record with this id, or else from these bytes.

        The id decides where it is known: offsets mislead where bytes were taken out or put in.
        """
        if record_id is not None and record_id in self._by_record:
            return tuple(self._by_record[record_id])
        if record_id is not None and self._by_record:
            return ()
        first = bisect_left(self._by_offset, (offset,))
        last = bisect_left(self._by_offset, (offset + length,))
        return tuple(name for _, name in self._by_offset[first:last])


class _Provenance(Struct, frozen=True):
    offset: int
    record_id: str | None = None


class Place(Struct, frozen=True):
    """Of a document only its id and the record it came from."""

    id: str
    provenance: _Provenance


def place_of(line: bytes) -> Place | None:
    """Read where a document came from; None where the line does not tell."""
    try:
        # what is not asked for never becomes a value, so a bomb of small ones costs no memory
        return msgspec.json.decode(line, type=Place)
    except (ValueError, RecursionError):
        return None


def paired(
    ours: Iterator[tuple[int, _Ours]], theirs: Iterator[tuple[int, _Theirs]]
) -> Iterator[tuple[_Ours | None, _Theirs | None]]:
    """Walk two sequences of (offset, value) in step and pair what has the same offset.

    Both are to ascend. What is out of order, or there twice, has no partner.
    """
    one, other = next(ours, None), next(theirs, None)
    while one or other:
        if one and (other is None or one[0] < other[0]):
            yield one[1], None
            one = next(ours, None)
        elif other and (one is None or other[0] < one[0]):
            yield None, other[1]
            other = next(theirs, None)
        elif one and other:
            yield one[1], other[1]
            one, other = next(ours, None), next(theirs, None)
