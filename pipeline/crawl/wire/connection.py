"""Connections to web servers: opened within a time limit, protected by TLS, kept while idle.

The only place where sockets are made. Nothing here reads HTTP.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import certifi

from pipeline.errors import ConfigError
from pipeline.model.exchange import Failed, Tls


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
        ip_address: numeric address of the peer.
        tls: None for plain TCP.

    """

    __slots__ = ("_poll", "ip_address", "origin", "sock", "tls")

    def __init__(self, origin: Origin, sock: socket.socket) -> None:
        self.origin = origin
        self.sock = sock
        self.ip_address: str = sock.getpeername()[0].partition("%")[0]
        self.tls = _tls_of(sock) if isinstance(sock, ssl.SSLSocket) else None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def is_quiet(self) -> bool:
        """Tell whether nothing waits to be read: no byte, and not the end of the connection."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close at once; what the peer may still send is not wanted."""
        self.sock.close()


class Pool:
    """Idle connections, at most one for each origin and `capacity` in all. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._idle: OrderedDict[Origin, Connection] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, origin: Origin) -> Connection | None:
        """Give the idle connection to `origin` if it is still good."""
        with self._lock:
            connection = self._idle.pop(origin, None)
        # whatever waits on an idle connection is no answer to what we are about to ask
        if connection is None or connection.is_quiet():
            return connection
        connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Keep `connection` for its next request; the one that was idle longest may have to go."""
        with self._lock:
            surplus = self._idle.pop(connection.origin, None)
            self._idle[connection.origin] = connection
            if len(self._idle) > self._capacity:
                surplus = self._idle.popitem(last=False)[1]
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle = list(self._idle.values())
            self._idle.clear()
        for connection in idle:
            connection.close()


def connect(
    origin: Origin, timeout_s: float, context: ssl.SSLContext | None
) -> Connection | Failed:
    """Open a connection, protected by TLS if `context` is given; each step within `timeout_s`."""
    sock = _connect_tcp(origin, timeout_s)
    if isinstance(sock, Failed):
        return sock
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            name = origin.host.rstrip(".")
            sock = context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
        return Connection(origin, sock)
    except (OSError, ValueError) as error:
        sock.close()
        return _not_protected(origin, timeout_s, error)


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Trust the system's roots, certifi's, and those in the PEM file `ca_bundle`.

    Raises:
        ConfigError: `ca_bundle` cannot be read or holds no certificate.

    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    # RFC 5280 to the letter is the default from Python 3.13 on; a crawl must not depend on Python
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle is not None:
        try:
            context.load_verify_locations(ca_bundle)
        except ssl.SSLError:
            raise ConfigError(
                f"crawl.ca_bundle: {ca_bundle}: expected certificates in PEM form"
            ) from None
        except OSError as error:
            raise ConfigError(f"{ca_bundle}: {error.strerror}") from None
    return context


def _connect_tcp(origin: Origin, timeout_s: float) -> socket.socket | Failed:
    try:
        return socket.create_connection((origin.host, origin.port), timeout_s)
    except TimeoutError:
        return Failed("timeout", f"no connection to {origin} in {timeout_s:g} s")
    except socket.gaierror as error:
        reason = (error.strerror or "the look-up failed").lower()
        return Failed("dns", f"no address for {origin.host}: {reason}")
    except UnicodeError:
        return Failed("dns", f"no address for {origin.host}: not a host name")
    except ConnectionRefusedError:
        return Failed("connect", f"connection refused by {origin}")
    except OSError as error:
        reason = (error.strerror or "the system gives no reason").lower()
        return Failed("connect", f"no connection to {origin}: {reason}")


def _not_protected(origin: Origin, timeout_s: float, error: Exception) -> Failed:
    if isinstance(error, TimeoutError):
        return Failed("timeout", f"no TLS handshake with {origin} in {timeout_s:g} s")
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        return Failed("tls", f"the certificate of {origin} is not trusted: {reason}")
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "the handshake failed").replace("_", " ").lower()
        return Failed("tls", f"no TLS with {origin}: {reason}")
    if isinstance(error, ConnectionError):
        return Failed("disconnect", f"{origin} hung up before it was asked")
    return Failed("connect", f"no connection to {origin}: {error}")


def _tls_of(sock: ssl.SSLSocket) -> Tls:
    cipher = sock.cipher()
    return Tls(version=sock.version() or "", cipher=cipher[0] if cipher else "")
