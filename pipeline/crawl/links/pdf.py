"""Links of a PDF file: its URI actions (ISO 32000-1 §12.6.4.7).

A small scanner for what stands openly in the file and in its object streams (§7.5.7); it reads no
page. A file that is encrypted hides its strings, and so has no links here. Pure, bounded in what
it unpacks and in time, never raises.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

MAX_UNPACKED: Final = 32 * 1024 * 1024
"""Bytes of all object streams of a file that are looked at."""

_PIECE = 64 * 1024
_MAX_STREAM = 4 * 1024 * 1024
_MAX_DICTIONARY = 1000  # bytes between the type of a stream and its data

_URI = re.compile(
    rb"""/URI\s*+(?:
      \(((?:[^()\\]++|\\.|\((?:[^()\\]++|\\.|\((?:[^()\\]++|\\.)*+\))*+\))*+)\)
    | <([0-9A-Fa-f\s]++)> )""",
    re.DOTALL | re.VERBOSE,
)
_ENCRYPTED = re.compile(rb"/Encrypt\s*+(?:[0-9]|<<)")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|\r?\n|(.?))", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def references(payload: bytes) -> Iterator[str]:
    """Give the URIs to which a PDF file leads, bytes outside ASCII as surrogate escapes."""
    if _ENCRYPTED.search(payload):
        return
    yield from _uris(payload)
    for objects in _object_streams(payload):
        yield from _uris(objects)


def _uris(data: bytes) -> Iterator[str]:
    for match in _URI.finditer(data):
        literal, digits = match.groups()
        if literal is not None:
            value = _ESCAPE.sub(_unescaped, literal)
        else:
            digits = b"".join(digits.split())
            value = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
        yield _characters(value)


def _characters(value: bytes) -> str:
    if value.startswith(b"\xfe\xff"):  # a text string, which a URI should not be
        return value[2:].decode("utf-16-be", "replace")
    return value.decode("utf-8", "surrogateescape")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes((int(escape[1], 8) & 0xFF,))
    return _NAMED.get(escape[2], escape[2]) if escape[2] else b""


def _object_streams(payload: bytes) -> Iterator[bytes]:
    """Unpack the object streams, in order, as long as there is room for what they hold.

    A hostile file has many streams that begin at nearly the same place: what is read of the file
    is counted too, so that all of it is read about twice at most.
    """
    unread = 2 * len(payload) + _PIECE
    room = MAX_UNPACKED
    position = 0
    while room > 0 and unread > 0 and (found := payload.find(b"/ObjStm", position)) >= 0:
        begun = payload.find(b"stream", found, found + _MAX_DICTIONARY)
        if begun < 0:
            position = found + _MAX_DICTIONARY
            continue
        position = begun + len(b"stream")
        while payload[position : position + 1] in (b"\r", b"\n"):
            position += 1
        data, used = _inflate(payload, position, min(room, _MAX_STREAM))
        room -= len(data)
        unread -= used
        yield data


def _inflate(payload: bytes, start: int, limit: int) -> tuple[bytes, int]:
    """Inflate the stream at `start`; give what it holds and how many bytes were read for it."""
    stream = zlib.decompressobj()
    out = bytearray()
    position = start
    while not stream.eof and len(out) < limit and position < len(payload):
        fed = payload[position : position + _PIECE]
        position += len(fed)
        try:
            out += stream.decompress(fed, limit - len(out))
        except zlib.error:
            break
    return bytes(out), position - start - len(stream.unused_data)
