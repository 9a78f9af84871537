"""HTTP/1.1 messages as bytes: where the head is, how the body is framed, what the payload is.

For the wire reader, which sees a response grow, and for all who read stored blocks: one reading of
the same bytes, so that the digests of writer and verifier agree by construction. Pure: nothing here
does I/O, and nothing raises on odd bytes. It never repairs or re-serialises a message.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from pipeline.model.chunked import Dechunker

Buffer = bytes | bytearray | memoryview

MAX_HEAD_BYTES: Final = 256 * 1024
"""A head that ends later in its block is none, as for browsers."""

_STATUS_LINE = re.compile(
    rb"[\r\n]{0,4}(HTTP/[0-9.]{1,8})[ \t]{1,16}([1-9][0-9]{2})(?:[ \t]([^\n]{0,8000}))?\r?\n"
)
_MAX_STATUS_LINE = 8192  # more than the expression can match
_HEAD_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH_DIGITS = 18  # enough for every body there can be


class Head(Struct, frozen=True):
    """The head of a final (not 1xx) response (RFC 9112 §4, §5).

    Attributes:
        version: as written, `HTTP/1.1`.
        reason: the bytes after the status code; may be empty or non-ASCII.
        fields: names as written and values, both without surrounding blanks, folded lines joined by
            one space, in order. Lines without a colon are left out.
        start: offset of the status line in the block; above 0 after interim responses.
        end: offset of the first byte of the body in the block.

    """

    version: bytes
    status: int
    reason: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    start: int
    end: int

    def get(self, name: bytes) -> bytes | None:
        """Give the first value of field `name` in any case; None where there is none."""
        wanted, size = name.lower(), len(name)
        for field, value in self.fields:
            if len(field) == size and field.lower() == wanted:
                return value
        return None

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """Give the values of all fields `name` in any case, in order."""
        wanted, size = name.lower(), len(name)
        # the length first: heads are read several times for each record of an archive
        return tuple(
            [v for field, v in self.fields if len(field) == size and field.lower() == wanted]
        )

    def tokens(self, name: bytes) -> tuple[bytes, ...]:
        """Give the comma-separated members of all fields `name` in lower case (RFC 9110 §5.6.1)."""
        values = self.all(name)
        if not values:
            return ()
        members = b",".join(values).lower().split(b",")
        return tuple([member for each in members if (member := each.strip(b" \t"))])


class HeadScanner:
    """Finds the head in a block that is still growing, looking at each byte about once.

    Attributes:
        hopeless: no bytes that follow can make this the beginning of an HTTP response with a head
            (an HTTP/0.9 response, or a head that is too long).
        too_long: a head began and did not end within MAX_HEAD_BYTES.

    """

    __slots__ = ("_searched", "_start", "hopeless", "too_long")

    def __init__(self) -> None:
        self.hopeless = False
        self.too_long = False
        self._start = 0
        self._searched = 0

    def scan(self, block: Buffer) -> Head | None:
        """Give the head if `block`, all that is known so far, holds it; None if not, or not yet.

        Interim responses (1xx but 101, RFC 9110 §15.2) are passed over.
        """
        while True:
            status = _STATUS_LINE.match(block, self._start)
            if status is None:
                self.hopeless = not _may_become_status_line(block, self._start)
                return None
            blank = _HEAD_END.search(block, max(status.end() - 1, self._searched), MAX_HEAD_BYTES)
            if blank is None:
                self._searched = len(block) - 2
                self.hopeless = self.too_long = len(block) >= MAX_HEAD_BYTES
                return None
            version, digits, reason = status.groups()
            code = int(digits)
            if code == 101 or not 100 <= code < 200:
                return Head(
                    version,
                    code,
                    reason.strip(b" \t\r") if reason else b"",
                    _fields(bytes(block[status.end() : blank.start() + 1])),
                    self._start,
                    blank.end(),
                )
            self._start = self._searched = blank.end()


def find_head(block: Buffer) -> Head | None:
    """Give the final head of a whole block; None for HTTP/0.9 and a block cut inside the head."""
    return HeadScanner().scan(block)


def _may_become_status_line(block: Buffer, start: int) -> bool:
    begun = bytes(block[start : start + _MAX_STATUS_LINE])
    line = begun.lstrip(b"\r\n")
    blanks = len(begun) - len(line)
    if blanks > 4 or len(begun) == _MAX_STATUS_LINE or b"\n" in line:
        return False
    return line[:5] == b"HTTP/"[: len(line)]


def _fields(lines: bytes) -> tuple[tuple[bytes, bytes], ...]:
    if b"\n " in lines or b"\n\t" in lines:
        lines = _FOLD.sub(b" ", lines)
    found: list[tuple[bytes, bytes]] = []
    for line in lines.split(b"\n"):
        name, colon, value = line.partition(b":")
        name = name.strip(b" \t\r")
        if colon and name:
            found.append((name, value.strip(b" \t\r")))
    return tuple(found)


class Framing(Struct, frozen=True):
    """How the end of a body is known; `length` is set for kind `length` only."""

    kind: Literal["none", "chunked", "length", "close"]
    length: int = 0


_NO_BODY = Framing("none")
_CHUNKED = Framing("chunked")
_UNTIL_CLOSE = Framing("close")


def framing(head: Head) -> Framing:
    """Decide where the body of a response to GET ends (RFC 9112 §6.3).

    Equal Content-Length values are one; contradicting or malformed ones say nothing.
    """
    if head.status in (204, 304) or 100 <= head.status < 200:
        return _NO_BODY
    is_coded, lengths = False, []
    # one look for both: this is asked several times for each record of an archive
    for name, value in head.fields:
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            lengths.append(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            is_coded = True
    if is_coded and (codings := head.tokens(b"transfer-encoding")):
        return _CHUNKED if codings[-1] == b"chunked" else _UNTIL_CLOSE
    # nearly every length is stated once and is no list
    if len(lengths) != 1 or not lengths[0].isdigit():
        lengths = list(set(head.tokens(b"content-length")))
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > _LENGTH_DIGITS:
        return _UNTIL_CLOSE
    return Framing("length", int(lengths[0]))


def keeps_alive(head: Head) -> bool:
    """Tell whether the server will take another request on the connection (RFC 9112 §9.3)."""
    if head.status == 101:
        return False
    options = head.tokens(b"connection")
    if b"close" in options:
        return False
    return head.version == b"HTTP/1.1" or b"keep-alive" in options


class PayloadStream:
    """Gives the payload (FORMAT.md §2) of a response block that arrives in any pieces.

    Feed the block from its first byte, then call `finish`. The payload is all that `feed` and
    `finish` gave. Memory is bounded by MAX_HEAD_BYTES and the piece fed. A body that is declared
    chunked and does not begin with a chunk is taken as it is, until the end of the connection.

    Attributes:
        head: the final head, once it has been read.
        headless: the block begins with no head: HTTP/0.9, or `head_too_long`.
        head_too_long: see `HeadScanner.too_long`.
        ended: the body ended as its framing says; what follows is surplus.
        surplus: bytes seen after the end of the body: kept in the block, no part of the payload.
        complete: after `finish`: the whole body is there. A body that ends with the connection is
            whole; a block that is cut inside the head, or has broken chunks, is not.

    """

    __slots__ = (
        "_begun",
        "_dechunker",
        "_left",
        "_scanner",
        "_until_close",
        "complete",
        "ended",
        "head",
        "head_too_long",
        "headless",
        "surplus",
    )

    def __init__(self) -> None:
        self.head: Head | None = None
        self.headless = False
        self.head_too_long = False
        self.ended = False
        self.surplus = 0
        self.complete = False
        self._scanner: HeadScanner | None = HeadScanner()
        self._begun = bytearray()
        self._until_close = False
        self._left = 0
        self._dechunker: Dechunker | None = None

    def feed(self, piece: Buffer) -> Buffer:
        """Take the next bytes of the block, give the payload in them (maybe a view of `piece`)."""
        if self._scanner is not None:
            return self._feed_head(self._scanner, piece)
        return self._feed_body(piece)

    def finish(self) -> bytes:
        """Say that the block is over, and give the payload that was held back in want of a head."""
        if self._scanner is not None:
            self._scanner = None
            return bytes(self._begun)
        self.complete = self.ended or (self._until_close and not self.head_too_long)
        return b""

    def _feed_head(self, scanner: HeadScanner, piece: Buffer) -> Buffer:
        block = piece
        if self._begun:
            self._begun += piece
            block = self._begun
        head = scanner.scan(block)
        if head is None and not scanner.hopeless:
            if block is piece:
                self._begun += piece
            return b""
        self._scanner = None
        self._begun = bytearray()
        if head is None:
            self.headless = self._until_close = True
            self.head_too_long = scanner.too_long
            return block
        self.head = head
        self._begin_body(framing(head))
        return self._feed_body(memoryview(block)[head.end :])

    def _begin_body(self, frame: Framing) -> None:
        if frame.kind == "chunked":
            self._dechunker = Dechunker()
        elif frame.kind == "close":
            self._until_close = True
        else:
            self._left = frame.length
            self.ended = self._left == 0

    def _feed_body(self, piece: Buffer) -> Buffer:
        if self._until_close:
            return piece
        if self._dechunker is not None:
            return self._feed_chunks(self._dechunker, bytes(piece))
        taken = memoryview(piece)[: self._left]
        self._left -= len(taken)
        self.ended = self._left == 0
        self.surplus += len(piece) - len(taken)
        return taken

    def _feed_chunks(self, dechunker: Dechunker, piece: bytes) -> Buffer:
        before = dechunker.consumed
        data = dechunker.feed(piece)
        if not dechunker.chunks:
            self._begun += piece
            if dechunker.malformed:
                self._dechunker = None
                self._until_close = True
                return bytes(self._begun)
        self.ended = dechunker.complete
        if self.ended:
            self.surplus += len(piece) - (dechunker.consumed - before)
        return data


class Message(Struct, frozen=True):
    """A whole response block, read.

    Attributes:
        head: the final head; None for HTTP/0.9, and where the block is cut inside the head.
        payload: the body with the transfer coding removed and the content coding kept, as far as it
            is there; a view of the block where it was not chunked.
        complete: the body is whole (see `PayloadStream.complete`).
        surplus: bytes of the block that follow the body.

    """

    head: Head | None
    payload: memoryview
    complete: bool
    surplus: int


def read_message(block: bytes) -> Message:
    """Read a whole response block that fits in memory."""
    head = find_head(block)
    frame = framing(head) if head else _UNTIL_CLOSE
    if head and frame.kind in ("length", "none"):
        size, end = len(block), head.end + frame.length
        surplus = max(0, size - end)
        return Message(head, memoryview(block)[head.end : end], size >= end, surplus)
    stream = PayloadStream()
    body = stream.feed(block)
    held = stream.finish()
    return Message(
        head=stream.head,
        payload=memoryview(held or body),
        complete=stream.complete,
        surplus=stream.surplus,
    )


def body(block: bytes, head: Head) -> memoryview:
    """Give the payload of a response block whose head has been found already."""
    frame = framing(head)
    if frame.kind == "length":
        return memoryview(block)[head.end : head.end + frame.length]
    if frame.kind == "close":
        return memoryview(block)[head.end :]
    return payload(block)


def payload(block: bytes) -> memoryview:
    """Give the transfer-decoded entity of a response block as far as it is there (WARC §5.9)."""
    return read_message(block).payload
