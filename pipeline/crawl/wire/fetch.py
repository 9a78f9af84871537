"""One URL, asked for once: what came back, or why nothing did, as a value.

For the stages. It works with any `requests` adapter that raises requests' exceptions; only one that
captures the wire can give an exchange.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from requests import PreparedRequest, exceptions
from requests.adapters import BaseAdapter
from urllib3.exceptions import NameResolutionError, NewConnectionError, ProtocolError

from pipeline.crawl.wire.adapter import WireError
from pipeline.crawl.wire.request import Fields
from pipeline.crawl.wire.response import CapturedResponse
from pipeline.model.exchange import Failed, FailureReason, Fetched

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

_MOST_CAUSES = 16
_MOST_WORDS = 200


def fetch(adapter: BaseAdapter, url: str, headers: Headers) -> Fetched | Failed:
    """Ask `adapter` for `url`, sending `headers` in their order, and tell what happened.

    Any response is `Fetched`, also a truncated one or a server's error. Redirects are not followed.

    Raises:
        TypeError: the adapter gave a response without the bytes of the wire.
        StorageError: a large response could not be kept on the disk.

    """
    request = PreparedRequest()
    request.method = "GET"
    request.url = url
    fields = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    request.headers = _prepared(fields)
    try:
        response = adapter.send(request)
    except WireError as error:
        return error.failure
    except exceptions.RequestException as error:
        return _diagnose(error, url)
    if not isinstance(response, CapturedResponse):
        raise TypeError(f"{type(adapter).__name__} does not capture the wire")
    return Fetched(response.exchange)


@lru_cache(maxsize=64)
def _prepared(fields: tuple[tuple[str, str], ...]) -> Fields:
    # one set for all requests of a crawl: preparing it costs as much as parsing a response head
    return Fields(fields)


_KINDS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (exceptions.ConnectTimeout, "timeout", "no connection to {peer} in time"),
    (exceptions.Timeout, "timeout", "no response from {peer} in time"),
    (exceptions.SSLError, "tls", "no TLS with {peer}"),
    (ValueError, "url", "not a URL that can be asked for"),
    (exceptions.ChunkedEncodingError, "protocol", "what {peer} sent is no HTTP"),
    (exceptions.ContentDecodingError, "protocol", "what {peer} sent is no HTTP"),
    (socket.gaierror, "dns", "no address for {peer}"),
    (NameResolutionError, "dns", "no address for {peer}"),
    (ConnectionRefusedError, "connect", "connection refused by {peer}"),
    (NewConnectionError, "connect", "no connection to {peer}"),
    (ConnectionResetError, "disconnect", "{peer} broke off the connection"),
    (ProtocolError, "disconnect", "{peer} broke off the connection"),
)
"""What foreign adapters raise, the telling ones first; requests' URL errors are ValueErrors."""


def _diagnose(error: exceptions.RequestException, url: str) -> Failed:
    """Give the reason for an error of requests, which often lies some causes deep."""
    causes = list(_causes(error))
    peer = _peer(url)
    for kind, reason, detail in _KINDS:
        if any(isinstance(cause, kind) for cause in causes):
            return Failed(reason, detail.format(peer=peer))
    words = " ".join(str(causes[-1]).split())[:_MOST_WORDS] or type(causes[-1]).__name__
    return Failed("network", f"{peer}: {words}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give `error` and what it wraps, outermost first, by all the ways in which libraries wrap."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        wrapped = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        cause = next((each for each in wrapped if isinstance(each, BaseException)), None)


def _peer(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the host"
    except ValueError:
        return "the host"
