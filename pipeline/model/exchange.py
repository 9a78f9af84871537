"""One request and what came back, as values: exact bytes, when, from where, whether it is whole.

Made by the crawl, written by the archive. Nothing here interprets a byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Literal

import msgspec

from pipeline.model.http import Head

Truncated = Literal["length", "time", "disconnect"]
"""Why a body is not whole: WARC-Truncated (WARC 1.1 §5.13), as FORMAT.md §2 uses it."""

FailureReason = Literal[
    "url",
    "dns",
    "address",
    "connect",
    "tls",
    "timeout",
    "disconnect",
    "protocol",
    "network",
    "proxy",
]
"""Why there is no response: the URL cannot be asked for, the name has no address, the address may
not be reached, no connection, no trust or no common cipher, nothing came in time, the server hung
up, what came is no HTTP, whatever else a foreign adapter may report, and the proxy refused."""

_PIECE = 256 * 1024


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """How the connection was protected.

    Attributes:
        version: `TLSv1.3` and the like (OpenSSL's name).
        cipher: `TLS_AES_256_GCM_SHA384` and the like (IANA's name).
        untrusted: why the certificate does not hold; empty if it does.

    """

    version: str
    cipher: str
    untrusted: str = ""


class Block:
    """The bytes of a record's block, in memory or, when there are many, in a temporary file.

    It does not change. Close it to give back the file; a closed block can no longer be read.
    """

    __slots__ = ("_data", "_file", "size")

    def __init__(self, data: bytes, file: IO[bytes] | None = None, size: int | None = None) -> None:
        """Hold `data`, or the first `size` bytes of `file` (a real, open file) instead of it."""
        self._data = data
        self._file = file
        self.size = len(data) if size is None else size

    def prefix(self, length: int) -> bytes:
        """Give the first `length` bytes, or all where there are fewer."""
        if self._file is None:
            return self._data[:length]
        return b"".join(self._read(min(length, self.size)))

    def chunks(self) -> Iterator[bytes]:
        """Give all bytes in pieces of at most 256 KiB (in one piece if they are in memory)."""
        if self._file is not None:
            yield from self._read(self.size)
        elif self._data:
            yield self._data

    def close(self) -> None:
        """Give back the temporary file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _read(self, end: int) -> Iterator[bytes]:
        assert self._file is not None
        at = 0
        while at < end:
            piece = os.pread(self._file.fileno(), min(_PIECE, end - at), at)
            if not piece:
                raise EOFError(f"a spooled block ends at byte {at} of {self.size}")
            at += len(piece)
            yield piece


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and the bytes that came back for it.

    Attributes:
        url: what was asked for, as it was asked for.
        started_at: when the fetch began: aware, UTC, with microseconds.
        duration_ms: from then to the last byte kept.
        ip_address: numeric address of the peer.
        tls: None for plain TCP.
        request: the bytes sent, without the fields that `withheld` names.
        response: the bytes received, from the first one after the request.
        head: the head of the final response; None for HTTP/0.9 and where no whole head came.
        truncated: None if the body is whole.
        block_digest: `sha256:…` of `response`.
        payload_digest: `sha256:…` of the payload (FORMAT.md §2).
        payload_size: its bytes.
        withheld: names of the header fields that were sent and are kept out of the archive.

    """

    url: str
    started_at: datetime
    duration_ms: int
    ip_address: str
    tls: Tls | None
    request: bytes
    response: Block
    head: Head | None
    truncated: Truncated | None
    block_digest: str
    payload_digest: str
    payload_size: int
    withheld: tuple[str, ...] = ()


class Fetched(msgspec.Struct, frozen=True):
    """A response came: any status, whole or truncated."""

    exchange: Exchange


class Failed(msgspec.Struct, frozen=True):
    """No response came.

    Attributes:
        reason: stable code.
        detail: one line for people.
        exchange: the bytes that came although they are no response (cut inside the head), if any.

    """

    reason: FailureReason
    detail: str
    exchange: Exchange | None = None
