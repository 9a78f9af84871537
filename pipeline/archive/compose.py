"""Which WARC records a capture is made of, and their header fields (FORMAT.md §2).

Pure: record ids come from the caller, dates from the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.archive.member import Record
from pipeline.model.digest import sha256
from pipeline.model.exchange import Exchange

NewId = Callable[[], str]

_FIELDS = "application/warc-fields"
_TLS = {"TLSv1": "tls/1.0", "TLSv1.1": "tls/1.1", "TLSv1.2": "tls/1.2", "TLSv1.3": "tls/1.3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """How the crawl came to a URL: what the metadata record of a capture tells."""

    url: str
    via: str | None
    hops: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the head of each WARC file says about its origin."""

    info: Sequence[tuple[str, str]]
    resources: Sequence[tuple[str, str, bytes]] = field(default_factory=tuple)
    """Target URI, media type and bytes of each file stored with the run."""


class Composer:
    """Makes the records of one WARC file."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._warcinfo_id = new_id()

    def opening(self, filename: str, provenance: Provenance, now: datetime) -> list[Record]:
        """Make the warcinfo record and the resource records that begin the file."""
        block = _warc_fields(provenance.info)
        date = warc_date(now)
        warcinfo = Record(
            [
                ("WARC-Type", "warcinfo"),
                ("WARC-Record-ID", self._warcinfo_id),
                ("WARC-Date", date),
                ("WARC-Filename", filename),
                ("Content-Type", _FIELDS),
                ("WARC-Block-Digest", sha256(block)),
            ],
            block,
            len(block),
        )
        resources = (
            self._record("resource", uri, date, media_type, data)
            for uri, media_type, data in provenance.resources
        )
        return [warcinfo, *resources]

    def capture(self, exchange: Exchange, trail: Trail) -> list[Record]:
        """Make the response, request and metadata records of one exchange."""
        date = warc_date(exchange.started_at)
        response_id = self._new_id()
        response = Record(
            list(self._response_fields(exchange, date, response_id)),
            exchange.response.chunks(),
            exchange.response.size,
        )
        together = ("WARC-Concurrent-To", response_id)
        request = self._record(
            "request",
            exchange.url,
            date,
            "application/http;msgtype=request",
            exchange.request,
            together,
        )
        account = _warc_fields([*_way(trail), ("fetchTimeMs", str(exchange.duration_ms))])
        metadata = self._record("metadata", exchange.url, date, _FIELDS, account, together)
        return [response, request, metadata]

    def absence(
        self, trail: Trail, now: datetime, outcome: str, reason: str, detail: str
    ) -> list[Record]:
        """Make the metadata record that explains why a URL has no capture."""
        account = _warc_fields(
            [*_way(trail), ("outcome", outcome), ("reason", reason), ("detail", detail)]
        )
        return [self._record("metadata", trail.url, warc_date(now), _FIELDS, account)]

    def _response_fields(
        self, exchange: Exchange, date: str, record_id: str
    ) -> Iterator[tuple[str, str]]:
        yield "WARC-Type", "response"
        yield "WARC-Record-ID", record_id
        yield "WARC-Warcinfo-ID", self._warcinfo_id
        yield "WARC-Target-URI", exchange.url
        yield "WARC-Date", date
        if exchange.ip_address:
            yield "WARC-IP-Address", exchange.ip_address
        if exchange.head:
            yield "WARC-Protocol", exchange.head.version.decode("ascii").lower()
        elif not exchange.truncated:
            yield "WARC-Protocol", "http/0.9"
        if exchange.tls:
            yield "WARC-Protocol", _TLS.get(exchange.tls.version, exchange.tls.version)
            yield "WARC-Cipher-Suite", exchange.tls.cipher
        if exchange.truncated:
            yield "WARC-Truncated", exchange.truncated
        yield "Content-Type", "application/http;msgtype=response"
        yield "WARC-Block-Digest", exchange.block_digest
        yield "WARC-Payload-Digest", exchange.payload_digest

    def _record(
        self, kind: str, uri: str, date: str, media_type: str, block: bytes, *more: tuple[str, str]
    ) -> Record:
        fields = [
            ("WARC-Type", kind),
            ("WARC-Record-ID", self._new_id()),
            ("WARC-Warcinfo-ID", self._warcinfo_id),
            *more,
            ("WARC-Target-URI", uri),
            ("WARC-Date", date),
            ("Content-Type", media_type),
            ("WARC-Block-Digest", sha256(block)),
        ]
        return Record(fields, block, len(block))


def warc_date(moment: datetime) -> str:
    """Write a moment as WARC 1.1 §5.4 wants it: UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _way(trail: Trail) -> Iterator[tuple[str, str]]:
    if trail.via:
        yield "via", trail.via
    yield "hopsFromSeed", trail.hops


def _warc_fields(fields: Sequence[tuple[str, str]]) -> bytes:
    """Write `application/warc-fields`; line ends inside a value would forge a field."""
    return "".join(f"{name}: {' '.join(value.split())}\r\n" for name, value in fields).encode()
