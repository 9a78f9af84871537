"""Gzip members of a file, inflated one by one in bounded memory, and the file's digest on the way.

For the reader. It knows gzip (RFC 1952) and nothing of WARC; it never holds more than one window of
the compressed file, and gives no more output than it is asked for, whatever a bomb would like.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pipeline.archive.codec import decompressor, inflate_error

if TYPE_CHECKING:
    from hashlib import _Hash

PLAIN_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
"""How each member begins (FORMAT.md §2): deflate, no flags, no time."""

_MAGIC = b"\x1f\x8b\x08"
_MEMBER = re.compile(re.escape(_MAGIC))
# small enough to stay in the cache between the digest of the file and the inflation
_WINDOW = 128 * 1024
# most members are small: a larger first piece would be copied back as left over
_FIRST_STEP = 8192
_STEP = 65536
# deflate's own tables can take some hundred bytes before the first byte of output
_PROBE = 4096


class BadMember(Exception):  # noqa: N818 - a message inside this package, never an error shown
    """The bytes are no sound member; the reader turns this into a `Damage` value.

    Attributes:
        code: the rule that is broken (docs/findings.md).
        detail: how, where that helps.
        end: where the member ends in the file, if that is known in spite of the fault.

    """

    def __init__(self, code: str, detail: str = "", end: int | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.end = end


class Window:
    """A file seen through one buffer that moves forward.

    Attributes:
        size: bytes of the file when it was opened; what is appended later is not seen.

    """

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._start = 0
        self._data = memoryview(b"")
        self._digest = hashlib.sha256()
        self._digested = 0

    def view(self, offset: int, size: int) -> memoryview:
        """Give `size` bytes (at most one window) from `offset`; fewer only where the file ends."""
        begin = offset - self._start
        end = begin + size
        if begin < 0 or (end > len(self._data) and self._start + len(self._data) < self.size):
            self._load(offset)
            begin, end = 0, size
        return self._data[begin:end]

    def sha256(self) -> str:
        """Give the hex digest of the whole file, reading what has not been read yet."""
        self._digest_up_to(self.size)
        return self._digest.hexdigest()

    def _load(self, offset: int) -> None:
        self._digest_up_to(offset)
        self._start = offset
        self._data = memoryview(self._pread(offset, self.size))
        self._feed_digest(offset, self._data)

    def _digest_up_to(self, offset: int) -> None:
        while self._digested < offset:
            data = self._pread(self._digested, offset)
            if not data:
                return
            self._feed_digest(self._digested, memoryview(data))

    def _feed_digest(self, offset: int, data: memoryview) -> None:
        if offset + len(data) > self._digested:
            self._digest.update(data[self._digested - offset :])
            self._digested = offset + len(data)

    def _pread(self, offset: int, end: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(_WINDOW, end - offset)), offset)


class Inflater:
    """Inflates the one gzip member that begins at `offset`.

    Attributes:
        position: offset after the last compressed byte that was taken.
        finished: the member's end was reached, and its CRC and size hold (RFC 1952 §2.3.1).
        plain: the member begins with `PLAIN_HEADER`.

    """

    __slots__ = ("_inflate", "_sha256", "_tail", "_window", "finished", "plain", "position")

    def __init__(self, window: Window, offset: int) -> None:
        self.position = offset
        self.finished = False
        self._window = window
        self._inflate = decompressor()
        self._sha256: _Hash | None = None
        self._tail = window.view(offset, _FIRST_STEP)
        self.plain = bytes(self._tail[: len(PLAIN_HEADER)]) == PLAIN_HEADER

    def read(self, limit: int) -> bytes:
        """Give the next bytes of content, at most `limit`; fewer only at the member's end.

        Raises:
            BadMember: the data is damaged or ends too early.

        """
        content = self._some(limit)
        if self.finished or len(content) == limit:
            return content
        parts = [content]
        left = limit - len(content)
        while left and not self.finished:
            part = self._some(left)
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def read_first(self, limit: int) -> bytes:
        """Give the first bytes of content, as `read` does.

        Raises:
            BadMember: no member begins here, or as `read`.

        """
        if not self.plain and bytes(self._tail[: len(_MAGIC)]) != _MAGIC:
            raise BadMember("E101")
        return self.read(limit)

    def sha256(self) -> str:
        """Give the hex digest of the compressed bytes taken so far."""
        return (self._sha256 or hashlib.sha256()).hexdigest()

    def _some(self, limit: int) -> bytes:
        stream = self._inflate
        piece = self._tail or self._window.view(self.position, _STEP)
        if not piece:
            raise BadMember("E104")
        try:
            content: bytes = stream.decompress(piece, limit)
        except inflate_error as error:
            raise _bad_data(error) from None
        if stream.eof:
            self.finished = True
            taken = len(piece) - len(stream.unused_data)
        else:
            self._tail = stream.unconsumed_tail
            taken = len(piece) - len(self._tail)
        self.position += taken
        if self._sha256 is None:
            self._sha256 = hashlib.sha256(piece[:taken])
        else:
            self._sha256.update(piece[:taken])
        return content


def _bad_data(error: Exception) -> BadMember:
    text = str(error)
    if "incorrect data check" in text or "incorrect length check" in text:
        return BadMember("E103")
    return BadMember("E102", text.rpartition(": ")[2])


class Search:
    """Looks for the next member after damage.

    Looking is bounded: a file made of gzip magic would otherwise cost a trial for every byte.
    """

    _MAX_TRIALS: Final = 100_000

    def __init__(self, window: Window, prefix: bytes, hints: Sequence[int]) -> None:
        """Look for members whose content begins with `prefix`; try sorted offsets `hints` first."""
        self._window = window
        self._prefix = prefix
        self._hints = hints
        self._trials = 0

    def after(self, offset: int) -> int:
        """Give the next offset after `offset` where a member begins, else the file's size."""
        following = bisect_right(self._hints, offset)
        if following < len(self._hints) and self._begins(self._hints[following]):
            return self._hints[following]
        position = offset + 1
        while position < self._window.size:
            chunk = self._window.view(position, _STEP)
            for found in _MEMBER.finditer(chunk):
                if self._trials >= self._MAX_TRIALS:
                    return self._window.size
                self._trials += 1
                if self._begins(position + found.start()):
                    return position + found.start()
            position += max(1, len(chunk) - len(_MAGIC) + 1)
        return self._window.size

    def _begins(self, offset: int) -> bool:
        # no limit at all is what 0 means to zlib
        size = len(self._prefix) or 1
        try:
            start = decompressor().decompress(self._window.view(offset, _PROBE), size)
        except inflate_error:
            return False
        return bool(start) and start.startswith(self._prefix)
