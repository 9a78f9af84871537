"""One response as it comes in: every byte kept and hashed, its end found, the limits obeyed.

Called by the wire adapter with a socket on which a request has just been sent. HTTP is read by
`pipeline.model.http`; whatever the server does, the bytes received until then are kept.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from pipeline.crawl.wire.connection import Connection
from pipeline.crawl.wire.spool import Spool
from pipeline.model.exchange import Truncated
from pipeline.model.http import PayloadStream, keeps_alive

_PIECE = 65536

Ending = Literal["body", "eof", "reset", "idle", "deadline", "length", "head"]
"""Why reading stopped: the body ended, the peer closed or broke off, nothing came for too long, the
time was up, the size limit was reached, the head is too long."""

_TRUNCATED: dict[Ending, Truncated] = {
    "eof": "disconnect",
    "reset": "disconnect",
    "idle": "time",
    "deadline": "time",
    "length": "length",
    "head": "length",
}


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one exchange.

    Attributes:
        connect_timeout_s: for the look-up of the name, for TCP, and for TLS, each.
        idle_timeout_s: longest silence.
        deadline_s: longest duration of the whole exchange.
        max_bytes: most bytes received.
        linger_s: longest silence after the body, where more may follow it.

    """

    connect_timeout_s: float = 20.0
    idle_timeout_s: float = 60.0
    deadline_s: float = 900.0
    max_bytes: int = 1 << 30
    linger_s: float = 0.2


class Reception:
    """Reads one response from a connection.

    Attributes:
        spool: the bytes received.
        stream: what HTTP they are.
        ending: why reading stopped.
        payload_size: bytes of the payload.

    """

    def __init__(
        self, limits: Limits, give_up_at: float, monotonic: Callable[[], float], folder: Path | None
    ) -> None:
        self.spool = Spool(folder)
        self.stream = PayloadStream()
        self.ending: Ending = "eof"
        self.payload_size = 0
        self._limits = limits
        self._give_up_at = give_up_at
        self._monotonic = monotonic
        self._block_hash = hashlib.sha256()
        self._payload_hash = hashlib.sha256()

    @property
    def block_digest(self) -> str:
        """`sha256:…` of all bytes received."""
        return "sha256:" + self._block_hash.hexdigest()

    @property
    def payload_digest(self) -> str:
        """`sha256:…` of the payload."""
        return "sha256:" + self._payload_hash.hexdigest()

    @property
    def truncated(self) -> Truncated | None:
        """Why the body is not whole; None if it is."""
        if self.stream.ended or (self.ending == "eof" and self.stream.complete):
            return None
        return _TRUNCATED[self.ending]

    @property
    def is_headless(self) -> bool:
        """The response is HTTP/0.9: a body and nothing else."""
        return self.stream.headless and not self.stream.head_too_long

    def read(self, connection: Connection) -> bool:
        """Receive until the response ends or may not go on; tell if the connection is reusable."""
        self.ending = self._receive(connection, self._limits.idle_timeout_s, to_the_end=False)
        reusable = self.ending == "body" and self._is_last(connection)
        if self.ending == "body" and not reusable:
            self._receive(connection, self._limits.linger_s, to_the_end=True)
        self._take_payload(self.stream.finish())
        return reusable

    def _is_last(self, connection: Connection) -> bool:
        """Tell whether the response is over and the connection stays open for the next one."""
        head = self.stream.head
        return (
            head is not None
            and keeps_alive(head)
            and not self.stream.surplus
            and connection.is_quiet()
        )

    def _receive(self, connection: Connection, silence_s: float, *, to_the_end: bool) -> Ending:
        sock, stream = connection.sock, self.stream
        # a connection that is used again has it mostly, and setting it is a call of the system
        timeout_s = sock.gettimeout()
        while True:
            left_s = self._give_up_at - self._monotonic()
            if left_s <= 0:
                return "deadline"
            if timeout_s != (timeout_s := min(silence_s, left_s)):
                sock.settimeout(timeout_s)
            room = self._limits.max_bytes - self.spool.size
            try:
                # one byte more than there is room for tells a full body from a cut one
                piece = sock.recv(min(_PIECE, room + 1))
            except TimeoutError:
                return "idle" if timeout_s == silence_s else "deadline"
            except ssl.SSLEOFError as error:
                return "eof" if _is_end(error) else "reset"
            except OSError:
                return "reset"
            if not piece:
                return "eof"
            self._take(piece[:room])
            if len(piece) > room:
                return "length"
            if stream.head_too_long:
                return "head"
            if stream.ended and not to_the_end:
                return "body"

    def _take(self, piece: bytes) -> None:
        self.spool.add(piece)
        self._block_hash.update(piece)
        self._take_payload(self.stream.feed(piece))

    def _take_payload(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self._payload_hash.update(data)
            self.payload_size += len(data)


def _is_end(error: ssl.SSLEOFError) -> bool:
    """Tell an end without close_notify, which old servers are known for, from a reset.

    The TLS of some Python versions (3.11) raises the same error for both; only OpenSSL 3 names the
    first. A server that means to end its answer so is taken at its word, as with plain TCP.
    """
    return error.reason is not None or ssl.OPENSSL_VERSION_INFO < (3,)
