"""The chunked transfer coding (RFC 9112 §7.1), undone piece by piece.

For the wire reader and for everybody who reads stored blocks (through `pipeline.model.http`). It is
lenient in what old servers do (bare LF, blanks round the size, extensions) and never raises: what
cannot be read is reported as `malformed`. A size may have any number of digits, as §7.1 says; a
chunk that is larger than anything can be breaks off like any other.
"""

from __future__ import annotations

import re

_SIZE_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]++)[ \t]*(?:;[^\n]*)?\r?\n")
_MAX_SIZE = 1 << 62  # a larger chunk is no more at its end than one of so many bytes
_MAX_LINE = 8192
_MAX_TRAILERS = 65536

# what the next byte belongs to
_SIZE, _DATA, _DATA_END, _TRAILER, _OVER = range(5)


class Dechunker:
    """Gives the data of a chunked body whose bytes arrive in any pieces.

    Attributes:
        complete: the last chunk and the trailer section have been read.
        malformed: a size line, chunk end or trailer section was not what §7.1 allows; nothing after
            it is read.
        consumed: bytes of the body read so far; what was fed beyond them does not belong to it.
        chunks: chunks (the last, empty one included) whose size line has been read.

    """

    __slots__ = (
        "_left",
        "_line",
        "_state",
        "_trailers",
        "chunks",
        "complete",
        "consumed",
        "malformed",
    )

    def __init__(self) -> None:
        self.complete = False
        self.malformed = False
        self.consumed = 0
        self.chunks = 0
        self._state = _SIZE
        self._left = 0
        self._trailers = 0
        self._line = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body and give the chunk data in them."""
        parts: list[bytes] = []
        at, size = 0, len(data)
        while at < size and self._state != _OVER:
            if self._state == _DATA:
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if not self._left:
                    self._state = _DATA_END
            else:
                at = self._take_line(data, at)
        self.consumed += at
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take_line(self, data: bytes, at: int) -> int:
        """Read one line from `at`, or its beginning, and give the position after it."""
        room = _MAX_LINE - len(self._line)
        newline = data.find(b"\n", at, at + room)
        if newline < 0:
            rest = data[at : at + room]
            self._line += rest
            if len(rest) == room or not self._may_go_on():
                self._fail()
            return at + len(rest)
        line = self._line + data[at : newline + 1]
        self._line = b""
        self._end_line(line)
        return newline + 1

    def _may_go_on(self) -> bool:
        """Tell early that a line can never become right: junk may come without any line end."""
        if self._state != _SIZE or not self._line.strip(b" \t"):
            return True
        return _SIZE_LINE.fullmatch(self._line.rstrip(b"\r") + b"\n") is not None

    def _end_line(self, line: bytes) -> None:
        if self._state == _SIZE:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                self._fail()
                return
            self.chunks += 1
            self._left = min(int(match[1], 16), _MAX_SIZE)
            self._state = _DATA if self._left else _TRAILER
        elif self._state == _DATA_END:
            self._state = _SIZE
            if line not in (b"\r\n", b"\n"):
                self._fail()
        else:
            self._trailers += len(line)
            if line in (b"\r\n", b"\n"):
                self.complete = True
                self._state = _OVER
            elif self._trailers > _MAX_TRAILERS:
                self._fail()

    def _fail(self) -> None:
        self.malformed = True
        self._state = _OVER
