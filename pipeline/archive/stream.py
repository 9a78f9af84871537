"""Bytes in order with a look ahead, and records read from them that follow each other.

For files whose records are not each a gzip member: uncompressed WARC and ARC, and gzip members that
hold several records. Memory is bounded by a header and the limit for blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import structs

from pipeline.archive.inflate import BadMember, Window
from pipeline.archive.reader import (
    MAX_HEAD,
    BadRecord,
    Fields,
    OpenSink,
    Sink,
    content_length,
    read_head,
)

_STEP: Final = 64 * 1024
_LINE: Final = 4096
_HEAD_END = re.compile(rb"\r\n\r\n|\n\n")
# of a line in which a record begins; of one that is longer, the record is not found after damage
_LONGEST: Final = 4096
_ARC_DATE = re.compile(rb"[0-9]{12,17}")
_ARC_LENGTH = re.compile(rb"[0-9]{1,19}")


class Loose(NamedTuple):
    """A record without its place in a file."""

    fields: Fields
    size: int
    block: bytes
    sink: Sink | None


class Stream:
    """Bytes that come in order.

    Attributes:
        offset: bytes taken so far.

    """

    def __init__(self, more: Callable[[int], bytes]) -> None:
        """Read with `more`, which gives at most so many of the next bytes, none at the end."""
        self.offset = 0
        self._more = more
        self._data = b""
        self._at = 0

    def peek(self, size: int) -> bytes:
        """Give the next `size` bytes without taking them; fewer only at the end."""
        while len(self._data) - self._at < size:
            more = self._more(_STEP)
            if not more:
                break
            self._data = self._data[self._at :] + more
            self._at = 0
        return self._data[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Take at most `size` bytes, some at least where there are any."""
        data = self.peek(1) and self._data[self._at : self._at + size]
        self._at += len(data)
        self.offset += len(data)
        return data

    def skip_blank_lines(self) -> bool:
        """Take some line ends, and tell whether something follows them."""
        begun = self.peek(_LINE)
        self.take(len(begun) - len(begun.lstrip(b"\r\n")))
        return bool(self.peek(1))

    def skip_to(self, line: re.Pattern[bytes], most: int) -> bool:
        """Take bytes up to the next line that `line` finds, or all; False after `most` bytes."""
        limit = self.offset + most
        while data := self.peek(_STEP):
            found = line.search(data)
            if found:
                self.take(found.end())
                return True
            if self.offset > limit:
                return False
            # the line may be cut by the end of this piece
            self.take(len(data) - _LONGEST if len(data) == _STEP else len(data))
        return True


def read_warc(stream: Stream, limit: int, open_sink: OpenSink) -> Loose:
    """Read one WARC record, with line ends of either kind.

    Raises:
        BadMember: there is none, or it is not whole.

    """
    begun = stream.peek(_LINE)
    if not begun.startswith(b"WARC/"):
        raise BadMember("E110", f"it begins with {begun[:40]!r}")
    end = _HEAD_END.search(begun) or _HEAD_END.search(stream.peek(MAX_HEAD))
    if end is None:
        long = len(stream.peek(MAX_HEAD)) == MAX_HEAD
        raise BadMember("E111", f"it does not end within {MAX_HEAD} bytes" if long else "")
    head = stream.peek(end.end())
    if b"\r\n" in head:
        fields, _ = read_head(head, None)
    else:
        fields, _ = read_head(head.replace(b"\n", b"\r\n"), None)
        fields = structs.replace(fields, odd=(*fields.odd, "W113"))
    size = content_length(fields, None)
    _take(stream, len(head))
    block, sink = _block(stream, size, limit, fields, open_sink)
    _end(stream, fields)
    return Loose(fields, size, block, sink)


def read_arc(stream: Stream, limit: int, open_sink: OpenSink) -> Loose:
    """Read one ARC record, of either version, as a response.

    Raises:
        BadMember: there is none, or it is not whole.

    """
    line, newline, _ = stream.peek(_LINE).partition(b"\n")
    if not newline:
        line, newline, _ = stream.peek(MAX_HEAD).partition(b"\n")
    told = _arc_fields(line.rstrip(b"\r")) if newline else None
    if told is None:
        raise BadMember("E117", repr(line[:80])[1:])
    uri, address, date, media_type, length = told
    when = f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14] or '00'}Z"
    first = {
        "warc-type": "warcinfo" if uri.startswith("filedesc:") else "response",
        "warc-target-uri": uri,
        "warc-date": when,
        "warc-ip-address": address,
        "content-type": media_type,
    }
    fields = Fields("ARC", first, (), True)
    _take(stream, len(line) + 1)
    size = int(length)
    block, sink = _block(stream, size, limit, fields, open_sink)
    return Loose(fields, size, block, sink)


def _arc_fields(line: bytes) -> tuple[str, str, str, str, str] | None:
    """Read `URL address date type … length` (Internet Archive, ARC 1.0 and 1.1).

    Old URLs have blanks in them, and so have types; the last word that can be a date is it.
    """
    words = line.split(b" ")
    dates = [n for n, word in enumerate(words[2:-1], 2) if _ARC_DATE.fullmatch(word)]
    if not dates or not words[0] or not _ARC_LENGTH.fullmatch(words[-1]):
        return None
    at = dates[-1]
    media_type = words[at + 1] if at + 2 < len(words) and b"/" in words[at + 1] else b""
    told = (b" ".join(words[: at - 1]), words[at - 1], words[at], media_type, words[-1])
    uri, address, date, media, length = (word.decode("latin-1") for word in told)
    return uri, address, date, media, length


def _block(
    stream: Stream, size: int, limit: int, fields: Fields, open_sink: OpenSink
) -> tuple[bytes, Sink | None]:
    sink = open_sink(fields) if size > limit else None
    kept: list[bytes] = []
    left, room = size, min(size, limit)
    while left:
        piece = stream.take(min(left, _STEP))
        if not piece:
            raise BadRecord("E114", f"{left} bytes are missing", None, fields)
        if sink:
            sink.feed(memoryview(piece))
        if room:
            kept.append(piece[:room])
            room -= len(kept[-1])
        left -= len(piece)
    return b"".join(kept), sink


def _end(stream: Stream, fields: Fields) -> None:
    """Take the two line ends after a block."""
    end = stream.peek(4)
    if end == b"\r\n\r\n":
        stream.take(4)
    elif end[:2] == b"\n\n":
        stream.take(2)
    else:
        raise BadRecord("E115", "", None, fields)


def _take(stream: Stream, size: int) -> None:
    while size:
        size -= len(stream.take(size))


class Grammar(NamedTuple):
    """How one kind of file is read.

    Attributes:
        read: reads one record.
        begins: finds the line end before the line in which a record begins.

    """

    read: Callable[[Stream, int, OpenSink], Loose]
    begins: re.Pattern[bytes]


WARC: Final = Grammar(read_warc, re.compile(rb"\n(?=WARC/[01]\.[0-9]+\r?\n)"))
ARC: Final = Grammar(read_arc, re.compile(rb"\n(?=[a-z]+:[^ \n]+ [^ \n]+ [0-9]{14} )"))


def find(line: re.Pattern[bytes], window: Window, offset: int) -> int | None:
    """Give where the next line that `line` finds begins, looking from `offset` on."""
    while data := window.view(offset, _STEP):
        found = line.search(data)
        if found:
            return offset + found.end()
        offset += len(data) - _LONGEST if len(data) == _STEP else len(data)
    return None
