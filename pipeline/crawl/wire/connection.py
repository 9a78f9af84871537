"""Open connections to web servers, and where they wait, idle, for the next request.

Made by the dialer, used by the adapter. Nothing here reads HTTP.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections import OrderedDict
from typing import NamedTuple

from pipeline.model.exchange import Tls


class Origin(NamedTuple):
    """Whom to connect to (RFC 6454 §4): `host` is a name or a numeric address, without brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Write `host:port` for people, brackets round IPv6 addresses."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Connection:
    """An open connection.

    Attributes:
        sock: plain or TLS socket.
        ip_address: numeric address of the server; empty where a proxy hides it.
        tls: None for plain TCP.

    """

    __slots__ = ("_poll", "_protected", "ip_address", "origin", "sock", "tls")

    def __init__(
        self, origin: Origin, sock: socket.socket, ip_address: str, tls: Tls | None = None
    ) -> None:
        self.origin = origin
        self.sock = sock
        self.ip_address = ip_address
        self.tls = tls
        self._protected = sock if isinstance(sock, ssl.SSLSocket) else None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    @property
    def is_untrusted(self) -> bool:
        """Tell whether the peer may be another: a bad certificate, or TLS that can be broken."""
        return self.tls is not None and bool(self.tls.untrusted)

    def is_quiet(self) -> bool:
        """Tell whether nothing waits to be read: no byte, and not the end of the connection."""
        if self._protected is not None and self._protected.pending():
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close at once; what the peer may still send is not wanted."""
        self.sock.close()


class Pool:
    """Idle connections, at most `capacity` in all and `per_origin` to each. Thread-safe."""

    def __init__(self, capacity: int, per_origin: int = 1) -> None:
        self._capacity = capacity
        self._per_origin = per_origin
        self._count = 0
        # the origin used longest ago first, and of its connections too
        self._idle: OrderedDict[Origin, list[Connection]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, origin: Origin) -> Connection | None:
        """Give an idle connection to `origin` that is still good, the one used last; or None."""
        while True:
            with self._lock:
                waiting = self._idle.get(origin)
                if waiting is None:
                    return None
                connection = waiting.pop()
                self._count -= 1
                if not waiting:
                    del self._idle[origin]
            # whatever waits on an idle connection is no answer to what we are about to ask
            if connection.is_quiet():
                return connection
            connection.close()

    def keep(self, connection: Connection) -> None:
        """Keep `connection` for its next request; the one that was idle longest may have to go."""
        surplus = None
        with self._lock:
            waiting = self._idle.setdefault(connection.origin, [])
            waiting.append(connection)
            self._idle.move_to_end(connection.origin)
            if len(waiting) > self._per_origin:
                surplus = waiting.pop(0)
            elif self._count == self._capacity:
                surplus = self._oldest()
            else:
                self._count += 1
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle = [connection for waiting in self._idle.values() for connection in waiting]
            self._idle.clear()
            self._count = 0
        for connection in idle:
            connection.close()

    def _oldest(self) -> Connection:
        origin, waiting = next(iter(self._idle.items()))
        oldest = waiting.pop(0)
        if not waiting:
            del self._idle[origin]
        return oldest
