"""A `requests.Response` made from an exchange, for code that expects what requests gives.

The crawl itself reads the exchange; everything else here is worked out only when it is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from pipeline.model.content import decode_content
from pipeline.model.exchange import Exchange
from pipeline.model.http import PayloadStream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_CONTENT_BYTES = 256 * 1024 * 1024
"""`CapturedResponse.content` gives at most this much of a decoded body."""


class CapturedResponse(Response):
    """A response that was captured byte for byte.

    `content` and `raw` give what arrived, also where the exchange is truncated. A response without
    a head (HTTP/0.9) counts as 200, as RFC 1945 §6 has it. The block is closed with the exchange,
    not with the response.

    Attributes:
        exchange: what crossed the wire.

    """

    exchange: Exchange

    def __init__(self, exchange: Exchange, request: PreparedRequest, connection: Any) -> None:
        # not super().__init__: it fills what __getattr__ makes on demand, at a tenth of the cost
        # of a whole fetch
        head = exchange.head
        self._content: Any = False
        self._content_consumed = False
        self._next = None
        self.exchange = exchange
        self.request = request
        self.connection = connection
        self.url = exchange.url
        self.status_code = head.status if head else 200
        self.elapsed = timedelta(milliseconds=exchange.duration_ms)

    def __getattr__(self, name: str) -> Any:
        """Work out an attribute of `requests.Response` when it is first asked for."""
        make = _ON_DEMAND.get(name)
        if make is None:
            raise AttributeError(name)
        value = make(self)
        setattr(self, name, value)
        return value


class PayloadReader(io.RawIOBase):
    """The payload of an exchange as a file, with `stream` as requests calls it on urllib3's."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._pieces = _payload(exchange)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer` as far as the next piece reaches; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        part = self._rest[: len(target)]
        target[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)

    def stream(self, amt: int = 65536, decode_content: bool = True) -> Iterator[bytes]:
        """Give the payload in pieces of at most `amt` bytes, without its content coding."""
        if decode_content and _is_coded(self._exchange):
            data = _content(self._exchange)
            yield from (data[at : at + amt] for at in range(0, len(data), amt))
        else:
            while piece := self.read(amt):
                yield piece


def _payload(exchange: Exchange) -> Iterator[bytes]:
    stream = PayloadStream()
    for chunk in exchange.response.chunks():
        if data := stream.feed(chunk):
            yield bytes(data)
    if data := stream.finish():
        yield data


def _is_coded(exchange: Exchange) -> bool:
    return exchange.head is not None and exchange.head.get(b"content-encoding") is not None


def _content(exchange: Exchange) -> bytes:
    coded = b"".join(_payload(exchange))
    return decode_content(coded, exchange.head, MAX_CONTENT_BYTES).data


def _headers(response: CapturedResponse) -> CaseInsensitiveDict[str]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    head = response.exchange.head
    for name, value in head.fields if head else ():
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _reason(response: CapturedResponse) -> str:
    head = response.exchange.head
    return head.reason.decode("latin-1") if head else ""


_ON_DEMAND: dict[str, Callable[[CapturedResponse], Any]] = {
    "headers": _headers,
    "reason": _reason,
    "encoding": lambda response: get_encoding_from_headers(response.headers),
    "raw": lambda response: PayloadReader(response.exchange),
    "cookies": lambda _: RequestsCookieJar(),
    "history": lambda _: [],
}
