"""A GET request as bytes: as it is sent, and as it is recorded.

For the adapter. What identifies the operator to a server or a proxy is sent and never recorded.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict

from pipeline.crawl.rules.proxy import Proxy
from pipeline.crawl.wire.connection import Connection, Origin
from pipeline.model.exchange import Failed

_URL = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#@]*@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[!$&'()*+,;=%._~0-9A-Za-z-]+)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[\x21\x22\x24-\x3e\x40-\x7e]*)?(?P<query>\?[\x21\x22\x24-\x7e]*)?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_PORTS = {"http": 80, "https": 443}
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*")

WITHHELD: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Names, in lower case, of the header fields that are sent and never recorded."""


class Fields(CaseInsensitiveDict[str]):
    """Header fields as requests wants them, and as they were given; not to be changed.

    Attributes:
        given: names and values in order.

    """

    def __init__(self, given: tuple[tuple[str, str], ...]) -> None:
        super().__init__(given)
        self.given = given


class Request(NamedTuple):
    """A request ready to be sent.

    Attributes:
        data: as it is sent.
        record: as it is recorded, without the header fields that `withheld` names.

    """

    origin: Origin
    url: str
    data: bytes
    record: bytes
    withheld: tuple[str, ...]

    def to(self, connection: Connection) -> bytes:
        """Give what is sent: what is secret is not for a server that may be another."""
        return self.record if connection.is_untrusted else self.data


def read_request(request: PreparedRequest, reader: Proxy | None) -> Request | Failed:
    """Write the request; `reader` is the proxy that reads it if it goes over plain HTTP."""
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
    headers = request.headers
    fields = headers.given if isinstance(headers, Fields) else tuple(headers.items())
    if reader is not None and scheme == "http":
        target = f"http://{authority}{target}"  # RFC 9112 §3.2.2
        if login := reader.authorization:
            fields += (("Proxy-Authorization", login),)
    sent, recorded, withheld = _encode_fields(authority, fields)
    line = f"GET {target} HTTP/1.1\r\n".encode("ascii")
    data = line + sent
    record = line + recorded if withheld else data
    return Request(Origin(scheme, host.strip("[]").lower(), number), url, data, record, withheld)


@lru_cache(maxsize=256)
def _encode_fields(
    authority: str, headers: tuple[tuple[str, str | bytes], ...]
) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Write the header section: `Host` first unless it is given, then the rest as given.

    Returns:
        The section with its blank line, as sent and as recorded; the names of what is withheld.

    """
    fields = [(name, _text(value)) for name, value in headers]
    if all(name.lower() != "host" for name, _ in fields):
        fields.insert(0, ("Host", authority))
    for name, value in fields:
        if not _FIELD.fullmatch(f"{name}: {value}"):
            shown = name if name.lower() in WITHHELD else f"{name}: {value}"
            raise ValueError(f"not a header field (RFC 9110 §5.1, §5.5): {shown!a}")
    withheld = tuple(name for name, _ in fields if name.lower() in WITHHELD)
    recorded = [field for field in fields if field[0].lower() not in WITHHELD]
    return _section(fields), _section(recorded), withheld


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _section(fields: list[tuple[str, str]]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{lines}\r\n".encode("latin-1")
