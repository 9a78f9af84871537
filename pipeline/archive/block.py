"""Digests of one record's block and payload, compared with what the record's header says.

For the validator. Blocks in memory and blocks that stream past are judged by the same rules, and
both readings of "payload" that WARC writers have are known (WARC 1.1 §5.9; iipc/warc-specifications
issue 22): without the transfer coding, as the standard means it, and as it crossed the wire.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from pipeline.archive.reader import Fields
from pipeline.model.chunked import Dechunker
from pipeline.model.digest import Digest
from pipeline.model.http import Head, PayloadStream, find_head, framing, read_message

if TYPE_CHECKING:
    from hashlib import _Hash

Match = Literal["absent", "same", "undecoded", "different", "unreadable"]
"""How a digest in a header relates to the bytes; `undecoded`: it is over the undecoded body."""

BLOCK = "warc-block-digest"
PAYLOAD = "warc-payload-digest"

_BEGINNING = 16 * 1024
_MAGIC = {b"gzip": b"\x1f\x8b", b"x-gzip": b"\x1f\x8b", b"zstd": b"\x28\xb5\x2f\xfd"}
# records whose payload is not in the file, or that have none (WARC 1.1 §5.9, §6.7)
_NO_PAYLOAD = ("revisit", "warcinfo", "metadata", "continuation")


class Judgement(Struct, frozen=True):
    """What a block turned out to be.

    Attributes:
        head: the HTTP head, where the block is an HTTP response with one.
        complete: the HTTP body is whole; True for everything that is no HTTP response.

    """

    block: Match
    payload: Match
    head: Head | None = None
    complete: bool = True


SOUND = Judgement(block="same", payload="absent")
"""What most blocks turn out to be: all requests and metadata of a crawl."""


def judge(fields: Fields, block: bytes) -> Judgement:
    """Judge a whole block."""
    first = fields.first
    stated = first.get(PAYLOAD)
    block_match = compare(first.get(BLOCK), block)
    kind = first.get("warc-type")
    if (
        stated is None
        and block_match == "same"
        and kind not in ("response", "revisit")
        and first[BLOCK].islower()  # another spelling is told by whoever is not sound
    ):
        return SOUND
    http = first.get("content-type", "").startswith("application/http")
    if kind == "response" and http:
        message = read_message(block)
        head = message.head
        match = compare(stated, message.payload)
        if match == "different":
            body_start = head.end if head else 0
            if compare(stated, memoryview(block)[body_start:]) == "same":
                match = "undecoded"
        return Judgement(block_match, match, head, message.complete)
    if kind in _NO_PAYLOAD:
        head = find_head(block) if kind == "revisit" and http else None
        return Judgement(block=block_match, payload="absent", head=head)
    if http and stated is not None:
        _, _, body = block.partition(b"\r\n\r\n")
        return Judgement(block=block_match, payload=compare(stated, body))
    return Judgement(block=block_match, payload=compare(stated, block))


def compare(stated: str | None, data: bytes | memoryview) -> Match:
    """Compare a digest as found in a header with the digest of `data`."""
    if stated is None:
        return "absent"
    # nearly every digest is spelt so; the rest of this function is for other writers
    if stated[:7] == "sha256:" and hashlib.sha256(data).hexdigest() == stated[7:]:
        return "same"
    expected = Digest.parse(stated)
    if expected is None:
        return "unreadable"
    found = hashlib.new(expected.algorithm, data, usedforsecurity=False).digest()
    return "same" if found == expected.raw else "different"


def doubts(block: bytes, head: Head) -> Iterator[tuple[str, str]]:
    """Give rules that a response breaks if its writer did not keep what crossed the wire.

    A server may have sent it so, and then the record is right: for files of other writers only.
    """
    if not head.version.startswith((b"HTTP/1.", b"HTTP/0.")):
        yield "W227", head.version.decode("latin-1")
    begun: bytes | memoryview = memoryview(block)[head.end : head.end + _BEGINNING]
    if framing(head).kind == "chunked" and begun:
        dechunker = Dechunker()
        begun = dechunker.feed(bytes(begun))
        if not dechunker.chunks:
            yield "W226", "Transfer-Encoding says chunked"
            return
    (coding, *more) = head.tokens(b"content-encoding") or (b"identity",)
    magic = _MAGIC.get(coding, b"")
    # a part of a body (206) may begin anywhere
    if not more and head.status != 206 and bytes(begun[: len(magic)]) != magic[: len(begun)]:
        yield "W226", f"Content-Encoding says {coding.decode()}"


class LargeBlock:
    """Judges a block that passes by in pieces, the first of which holds the whole HTTP head."""

    def __init__(self, fields: Fields) -> None:
        self._kind = fields.first.get("warc-type")
        self._block = _Running(fields.first.get(BLOCK))
        # the payload of a request that large is an upload; nobody digests it in a harvest
        unknown = self._kind in _NO_PAYLOAD or self._kind == "request"
        stated = None if unknown else fields.first.get(PAYLOAD)
        self._payload = _Running(stated)
        self._undecoded = _Running(stated)
        http = fields.first.get("content-type", "").startswith("application/http")
        self._stream = PayloadStream() if http and self._kind == "response" else None
        self._begun = False

    def feed(self, piece: memoryview) -> None:
        """Take the next bytes of the block."""
        self._block.update(piece)
        if self._stream is None:
            self._payload.update(piece)
            return
        self._payload.update(self._stream.feed(piece))
        if not self._begun and self._stream.head:
            piece = piece[self._stream.head.end :]
        self._begun = True
        if self._stream.head and self._stream.head.get(b"transfer-encoding"):
            self._undecoded.update(piece)

    def judgement(self) -> Judgement:
        """Give the result when the block is over."""
        if self._stream is None:
            return Judgement(block=self._block.match(), payload=self._payload.match())
        self._payload.update(self._stream.finish())
        match = self._payload.match()
        if match == "different" and self._undecoded.match() == "same":
            match = "undecoded"
        return Judgement(
            block=self._block.match(),
            payload=match,
            head=self._stream.head,
            complete=self._stream.complete,
        )


class _Running:
    """The digest that a header states, being recomputed."""

    def __init__(self, stated: str | None) -> None:
        self._stated = stated
        self._expected = Digest.parse(stated) if stated is not None else None
        self._hash: _Hash | None = None
        if self._expected:
            self._hash = hashlib.new(self._expected.algorithm, usedforsecurity=False)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        if self._hash:
            self._hash.update(data)

    def match(self) -> Match:
        if self._stated is None:
            return "absent"
        if self._hash is None or self._expected is None:
            return "unreadable"
        return "same" if self._hash.digest() == self._expected.raw else "different"
