"""The transport: one request out, one response in, every byte of both kept.

For `fetch`; also usable in a `requests.Session`. It owns the socket, so no other
parser drops, repairs or re-serialises anything. It follows no redirect, keeps no cookie, retries
nothing the server has begun to answer, and reads no environment: that is the frontier's business.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from requests import PreparedRequest, exceptions
from requests.adapters import BaseAdapter

from pipeline.crawl.wire.connection import Connection, Origin, Pool, connect, tls_context
from pipeline.crawl.wire.reception import Limits, Reception
from pipeline.crawl.wire.response import CapturedResponse
from pipeline.model.exchange import Exchange, Failed

_URL = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#@]*@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[!$&'()*+,;=%._~0-9A-Za-z-]+)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[\x21\x22\x24-\x3e\x40-\x7e]*)?(?P<query>\?[\x21\x22\x24-\x7e]*)?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_PORTS = {"http": 80, "https": 443}
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*")


class WireError(exceptions.RequestException):
    """No response came. Always raised as one of the subclasses below, which are requests' own.

    Attributes:
        failure: what happened, with the bytes that came, if any.

    """

    def __init__(self, failure: Failed, request: PreparedRequest) -> None:
        super().__init__(failure.detail, request=request)
        self.failure = failure

    @property
    def exchange(self) -> Exchange | None:
        """The bytes that came although they are no response."""
        return self.failure.exchange


class WireUrlError(WireError, exceptions.InvalidURL):
    """The URL cannot be asked for."""


class WireConnectionError(WireError, exceptions.ConnectionError):
    """No address, no connection, or none that lasted."""


class WireConnectTimeoutError(WireError, exceptions.ConnectTimeout):
    """No connection in time."""


class WireReadTimeoutError(WireError, exceptions.ReadTimeout):
    """No response in time."""


class WireTlsError(WireError, exceptions.SSLError):
    """No trust, or no common cipher."""


_CONNECT_ERRORS: dict[str, type[WireError]] = {
    "timeout": WireConnectTimeoutError,
    "tls": WireTlsError,
}


@dataclass(frozen=True, slots=True)
class _Request:
    """A request ready to be sent."""

    origin: Origin
    url: str
    data: bytes


class WireAdapter(BaseAdapter):
    """Sends GET requests over HTTP/1.1; the responses carry their `Exchange`. Thread-safe.

    Of the arguments of `send` only the request counts: limits and trust are set here.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 20.0,
        idle_timeout_s: float = 60.0,
        deadline_s: float = 900.0,
        max_bytes: int = 1 << 30,
        linger_s: float = 0.2,
        max_idle: int = 64,
        ca_bundle: str | Path | None = None,
        spool_folder: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the limits of every exchange (see `Limits`).

        Args:
            connect_timeout_s: for TCP, and again for TLS.
            idle_timeout_s: longest silence.
            deadline_s: longest duration of the whole exchange.
            max_bytes: most bytes received for one request.
            linger_s: longest silence after a body that more may follow.
            max_idle: connections kept open for the next request, at most one for each origin.
            ca_bundle: PEM file of root certificates to trust besides the usual ones.
            spool_folder: where responses of more than 2 MiB wait to be written.
            now: gives the time as an aware UTC datetime.
            monotonic: gives seconds that never go back.

        Raises:
            ConfigError: `ca_bundle` cannot be read or holds no certificate.

        """
        super().__init__()
        self._limits = Limits(
            connect_timeout_s=connect_timeout_s,
            idle_timeout_s=idle_timeout_s,
            deadline_s=deadline_s,
            max_bytes=max_bytes,
            linger_s=linger_s,
        )
        self._pool = Pool(max_idle)
        self._spool_folder = spool_folder
        self._now = now
        self._monotonic = monotonic
        self._ca_bundle = Path(ca_bundle) if ca_bundle else None
        self._context_lock = threading.Lock()
        # reading the roots takes 20 ms, which a crawl of plain HTTP need not spend
        self._context = tls_context(self._ca_bundle) if self._ca_bundle else None

    def send(self, request: PreparedRequest, *_args: Any, **_settings: Any) -> CapturedResponse:
        """Send `request` and read the whole response.

        Raises:
            WireError: no response came; one of its subclasses, which are requests' own exceptions.
            StorageError: a large response could not be kept on the disk.

        """
        wanted = _read_request(request)
        if isinstance(wanted, Failed):
            raise WireUrlError(wanted, request)
        started_at, began = self._now(), self._monotonic()
        answered = self._ask(wanted, began)
        if isinstance(answered, Failed):
            kind = _CONNECT_ERRORS.get(answered.reason, WireConnectionError)
            raise kind(answered, request)
        outcome = self._settle(wanted, *answered, started_at, began)
        if isinstance(outcome, Failed):
            kind = WireReadTimeoutError if outcome.reason == "timeout" else WireConnectionError
            raise kind(outcome, request)
        return CapturedResponse(outcome, request, self)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _ask(self, wanted: _Request, began: float) -> tuple[Connection, Reception] | Failed:
        """Ask on the idle connection if there is one, else, or if it proves dead, on a new one."""
        idle = self._pool.take(wanted.origin)
        if idle is not None:
            reception = self._converse(idle, wanted, began)
            # the server closed the connection before it saw the request
            if reception.spool.size or reception.ending not in ("eof", "reset"):
                return idle, reception
        opened = connect(wanted.origin, self._limits.connect_timeout_s, self._trust(wanted.origin))
        if isinstance(opened, Failed):
            return opened
        return opened, self._converse(opened, wanted, began)

    def _converse(self, connection: Connection, wanted: _Request, began: float) -> Reception:
        """Send the request, read the response, and keep or close the connection."""
        give_up_at = began + self._limits.deadline_s
        reception = Reception(self._limits, give_up_at, self._monotonic, self._spool_folder)
        reusable = False
        try:
            with suppress(OSError):
                # who hangs up on a request may have said something first: read on
                connection.sock.sendall(wanted.data)
            reusable = reception.read(connection)
        except BaseException:
            reception.spool.close()
            raise
        finally:
            if reusable:
                self._pool.keep(connection)
            else:
                connection.close()
        return reception

    def _settle(
        self,
        wanted: _Request,
        connection: Connection,
        reception: Reception,
        started_at: datetime,
        began: float,
    ) -> Exchange | Failed:
        if not reception.spool.size:
            return _nothing(wanted.origin, reception)
        exchange = Exchange(
            url=wanted.url,
            started_at=started_at,
            duration_ms=round((self._monotonic() - began) * 1000),
            ip_address=connection.ip_address,
            tls=connection.tls,
            request=wanted.data,
            response=reception.spool.block(),
            head=reception.stream.head,
            truncated=reception.truncated,
            block_digest=reception.block_digest,
            payload_digest=reception.payload_digest,
            payload_size=reception.payload_size,
        )
        if exchange.head is None and not reception.is_headless:
            return _no_head(wanted.origin, reception, exchange)
        return exchange

    def _trust(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme == "http":
            return None
        with self._context_lock:
            if self._context is None:
                self._context = tls_context(None)
            return self._context


def _nothing(origin: Origin, reception: Reception) -> Failed:
    if reception.ending == "eof":
        return Failed("disconnect", f"{origin} closed the connection without a response")
    if reception.ending == "reset":
        return Failed("disconnect", f"{origin} broke off the connection without a response")
    return Failed("timeout", f"no response from {origin} in time")


def _no_head(origin: Origin, reception: Reception, exchange: Exchange) -> Failed:
    size = exchange.response.size
    if reception.ending in ("eof", "reset"):
        return Failed("disconnect", f"{origin} hung up {size} bytes into the head", exchange)
    if reception.ending in ("idle", "deadline"):
        return Failed("timeout", f"no whole head from {origin} in time, {size} bytes", exchange)
    return Failed("protocol", f"the head sent by {origin} exceeds {size} bytes", exchange)


def _read_request(request: PreparedRequest) -> _Request | Failed:
    if request.method != "GET" or request.body:
        raise ValueError("this transport sends GET requests without a body")
    url = request.url or ""
    match = _URL.fullmatch(url)
    if match is None:
        return Failed("url", f"not an http or https URL as it is sent: {url[:200]!a}")
    scheme, host, port, path, query = match.groups()
    scheme = scheme.lower()
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536:
        return Failed("url", f"no such port: {port}")
    authority = host if number == _PORTS[scheme] else f"{host}:{number}"
    target = f"{path or '/'}{query or ''}"
    fields = _encode_fields(authority, tuple(request.headers.items()))
    data = b"GET %b HTTP/1.1\r\n%b\r\n" % (target.encode("ascii"), fields)
    return _Request(Origin(scheme, host.strip("[]").lower(), number), url, data)


@lru_cache(maxsize=256)
def _encode_fields(authority: str, headers: tuple[tuple[str, str | bytes], ...]) -> bytes:
    """Write the header section: `Host` first unless it is given, then the rest as given."""
    lines = []
    if all(name.lower() != "host" for name, _ in headers):
        lines.append(f"Host: {authority}")
    for name, value in headers:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        lines.append(f"{name}: {text}")
    for line in lines:
        if not _FIELD.fullmatch(line):
            raise ValueError(f"not a header field (RFC 9110 §5.1, §5.5): {line!a}")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
