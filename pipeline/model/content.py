"""Content codings (RFC 9110 §8.4.1) undone, for readers of payloads: links, documents, display.

The archive stores and digests payloads with their coding; only a reader's copy is decoded. What a
server sends may be broken, mislabelled or a decompression bomb, so nothing raises here and all
output is bounded.
"""

from __future__ import annotations

import zlib
from typing import Literal

from msgspec import Struct

from pipeline.model.http import Buffer, Head

Problem = Literal["content-too-large", "content-encoding-broken", "content-encoding-unsupported"]

_MAX_CODINGS = 4
_STEP = 32768
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
_GZIP_MAGIC = b"\x1f\x8b"


class Decoded(Struct, frozen=True):
    """A payload without its content codings.

    Attributes:
        data: the decoded bytes; as far as they could be decoded where there is a problem.
        problem: what kept `data` from being the whole content, as a stable code.

    """

    data: bytes
    problem: Problem | None = None


def decode_content(payload: Buffer, head: Head | None, limit: int) -> Decoded:
    """Undo the content codings that `head` names, to at most `limit` bytes.

    - Unknown codings (`br`, `zstd`) and more than four in a row: the data as they then are.
    - Broken gzip or deflate: what was decoded before the break. A payload that is labelled so and
      is not, from its first byte (a common server fault): the data as they are.
    - More than `limit` bytes: the first `limit` of them.
    """
    data = bytes(payload)
    codings = (
        []
        if head is None
        else [coding for coding in head.tokens(b"content-encoding") if coding != b"identity"]
    )
    if len(codings) > _MAX_CODINGS:
        return Decoded(data[:limit], "content-encoding-unsupported")
    problem: Problem | None = None
    for coding in reversed(codings):
        if coding in (b"gzip", b"x-gzip"):
            data, whole = _gunzip(data, limit)
        elif coding in (b"deflate", b"x-deflate"):
            data, whole = _undeflate(data, limit)
        else:
            return Decoded(data[:limit], problem or "content-encoding-unsupported")
        if len(data) > limit:
            return Decoded(data[:limit], "content-too-large")
        if not whole:
            problem = "content-encoding-broken"
    if len(data) > limit:
        return Decoded(data[:limit], "content-too-large")
    return Decoded(data, problem)


def _gunzip(data: bytes, limit: int) -> tuple[bytes, bool]:
    """Give the content of all gzip members and whether the last one is whole (RFC 1952 §2.2)."""
    if not data.startswith(_GZIP_MAGIC):
        return data, not data
    content = bytearray()
    end, whole = 0, True
    # what follows a member and is none (padding, junk) is passed over, as gzip(1) does
    while whole and len(content) <= limit and data.startswith(_GZIP_MAGIC, end):
        part, end, whole = _inflate(data, end, _GZIP, limit + 1 - len(content))
        content += part
    return bytes(content), whole


def _undeflate(data: bytes, limit: int) -> tuple[bytes, bool]:
    """Undo `deflate`: zlib as RFC 9110 §8.4.1.2 says, or bare RFC 1951 as some servers send."""
    for window_bits in (_ZLIB, _RAW_DEFLATE):
        content, _, whole = _inflate(data, 0, window_bits, limit + 1)
        if content or whole:
            return content, whole
    return data, not data


def _inflate(data: bytes, start: int, window_bits: int, limit: int) -> tuple[bytes, int, bool]:
    """Inflate the one stream at `start` to at most `limit` bytes (above 0).

    Gives the output, the position after the stream and whether its end was reached.
    """
    source = memoryview(data)
    stream = zlib.decompressobj(window_bits)
    out = bytearray()
    at = start
    while at < len(data) and not stream.eof and len(out) < limit:
        piece = source[at : at + _STEP]
        before = stream.copy()
        try:
            out += stream.decompress(piece, limit - len(out))
        except zlib.error:
            _inflate_to_the_break(before, piece, out, limit)
            return bytes(out), at, False
        at += len(piece) - len(stream.unused_data) - len(stream.unconsumed_tail)
    return bytes(out), at, stream.eof


def _inflate_to_the_break(
    stream: zlib._Decompress, piece: memoryview, out: bytearray, limit: int
) -> None:
    # zlib drops the output of the call that fails, so the call that fails must be a short one
    for at in range(len(piece)):
        if len(out) >= limit:
            return
        try:
            out += stream.decompress(piece[at : at + 1], limit - len(out))
        except zlib.error:
            return
