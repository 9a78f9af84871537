"""The transport: one request out, one response in, every byte of both kept.

For `fetch`; also usable in a `requests.Session`. It owns the socket, so no other
parser drops, repairs or re-serialises anything. It follows no redirect, keeps no cookie, retries
nothing the server has begun to answer, and reads no environment: that is the frontier's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from requests import PreparedRequest, exceptions
from requests.adapters import BaseAdapter

from pipeline.crawl.rules.addresses import Admission
from pipeline.crawl.rules.proxy import Proxy
from pipeline.crawl.wire.connection import Connection, Origin, Pool
from pipeline.crawl.wire.dial import Dialer, TlsPolicy
from pipeline.crawl.wire.lookup import Resolver
from pipeline.crawl.wire.reception import Limits, Reception
from pipeline.crawl.wire.request import Request, read_request
from pipeline.crawl.wire.response import CapturedResponse
from pipeline.crawl.wire.tls import Trust
from pipeline.crawl.wire.tunnel import asks_for_login
from pipeline.model.exchange import Exchange, Failed


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


_LIMITS = Limits()


class WireAdapter(BaseAdapter):
    """Sends GET requests over HTTP/1.1; the responses carry their `Exchange`. Thread-safe.

    Of the arguments of `send` only the request counts: limits and trust are set here.
    """

    def __init__(
        self,
        limits: Limits = _LIMITS,
        *,
        max_idle: int = 64,
        max_idle_per_origin: int = 1,
        tls: TlsPolicy = "strict",
        admission: Admission | None = None,
        proxy: Proxy | None = None,
        ca_bundle: str | Path | None = None,
        spool_folder: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Say whom to reach and how.

        Args:
            limits: of every exchange.
            max_idle: connections kept open for the next request, to all origins.
            max_idle_per_origin: the same, to one origin.
            tls: `record` captures also where the certificate does not hold or the protocol is old;
                `Exchange.tls` says so. `strict` fails there.
            admission: which addresses may be reached; None for all.
            proxy: through which all requests go; None for none. `Dialer` says what cannot be
                checked then.
            ca_bundle: PEM file of root certificates to trust besides the usual ones.
            spool_folder: where responses of more than 2 MiB wait to be written.
            now: gives the time as an aware UTC datetime.
            monotonic: gives seconds that never go back.

        Raises:
            ConfigError: `ca_bundle` cannot be read or holds no certificate.

        """
        super().__init__()
        self._limits = limits
        self._pool = Pool(max_idle, max_idle_per_origin)
        self._spool_folder = spool_folder
        self._now = now
        self._monotonic = monotonic
        # an HTTP proxy reads requests that are not protected by TLS
        self._reader = proxy if proxy is not None and proxy.scheme == "http" else None
        self._dialer = Dialer(
            timeout_s=limits.connect_timeout_s,
            trust=Trust(Path(ca_bundle) if ca_bundle else None),
            tls=tls,
            admission=admission,
            proxy=proxy,
            resolver=Resolver(monotonic),
            monotonic=monotonic,
        )

    def send(self, request: PreparedRequest, *_args: Any, **_settings: Any) -> CapturedResponse:
        """Send `request` and read the whole response.

        Raises:
            WireError: no response came; one of its subclasses, which are requests' own exceptions.
            StorageError: a large response could not be kept on the disk.

        """
        wanted = read_request(request, self._reader)
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

    def _ask(self, wanted: Request, began: float) -> tuple[Connection, Reception] | Failed:
        """Ask on the idle connection if there is one, else, or if it proves dead, on a new one."""
        idle = self._pool.take(wanted.origin)
        if idle is not None:
            reception = self._converse(idle, wanted, began)
            # the server closed the connection before it saw the request
            if reception.spool.size or reception.ending not in ("eof", "reset"):
                return idle, reception
        opened = self._dialer.dial(wanted.origin)
        if isinstance(opened, Failed):
            return opened
        return opened, self._converse(opened, wanted, began)

    def _converse(self, connection: Connection, wanted: Request, began: float) -> Reception:
        """Send the request, read the response, and keep or close the connection."""
        give_up_at = began + self._limits.deadline_s
        reception = Reception(self._limits, give_up_at, self._monotonic, self._spool_folder)
        reusable = False
        try:
            with suppress(OSError):
                # who hangs up on a request may have said something first: read on
                connection.sock.sendall(wanted.to(connection))
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
        wanted: Request,
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
            request=wanted.record,
            response=reception.spool.block(),
            head=reception.stream.head,
            truncated=reception.truncated,
            block_digest=reception.block_digest,
            payload_digest=reception.payload_digest,
            payload_size=reception.payload_size,
            withheld=() if connection.is_untrusted else wanted.withheld,
        )
        if exchange.head is None:
            if not reception.is_headless:
                return _no_head(wanted.origin, reception, exchange)
        elif exchange.head.status == 407 and self._reader and wanted.origin.scheme == "http":
            exchange.response.close()
            return asks_for_login()
        return exchange


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
