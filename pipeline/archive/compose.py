"""Which WARC records a capture is made of, and their header fields (FORMAT.md §2).

Pure: record ids come from the caller, dates from the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field

from pipeline.archive.member import Record
from pipeline.model.digest import sha256
from pipeline.model.exchange import Exchange
from pipeline.model.records import Original

NewId = Callable[[], str]

Profile = Literal["identical-payload-digest", "server-not-modified"]
"""Why a payload is not stored again (WARC 1.1 §6.7.2, §6.7.3)."""

_PROFILES = "http://netpreserve.org/warc/1.1/revisit/"
_FIELDS = "application/warc-fields"
_REQUEST = "application/http;msgtype=request"
_RESPONSE = "application/http;msgtype=response"
_TLS = {"TLSv1": "tls/1.0", "TLSv1.1": "tls/1.1", "TLSv1.2": "tls/1.2", "TLSv1.3": "tls/1.3"}


class Trail(Struct, frozen=True, kw_only=True):
    """How the crawl came to a URL: what the metadata record of a capture tells."""

    url: str
    via: str | None
    hops: str


class Revisit(Struct, frozen=True):
    """That a response repeats what the archive holds, and which record holds it."""

    profile: Profile
    original: Original


class Provenance(Struct, frozen=True, kw_only=True):
    """What the head of each WARC file says about its origin."""

    info: Sequence[tuple[str, str]]
    resources: Sequence[tuple[str, str, bytes]] = field(default_factory=tuple)
    """Target URI, media type and bytes of each file stored with the run."""


class Composer:
    """Makes the records of one WARC file."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._warcinfo_id = new_id()
        self._warcinfo_field = ("WARC-Warcinfo-ID", self._warcinfo_id)

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

    def resource(self, uri: str, media_type: str, data: bytes, now: datetime) -> Record:
        """Make a resource record: a file that belongs to the run and never crossed the wire."""
        return self._record("resource", uri, warc_date(now), media_type, data)

    def capture(
        self, exchange: Exchange, trail: Trail, revisit: Revisit | None = None
    ) -> list[Record]:
        """Make the records of one exchange: response or revisit, request, metadata."""
        date = warc_date(exchange.started_at)
        first_id = self._new_id()
        first = (
            self._revisit(exchange, date, first_id, revisit)
            if revisit
            else self._response(exchange, date, first_id)
        )
        together = ("WARC-Concurrent-To", first_id)
        names = ", ".join(exchange.withheld)
        withheld = [("Holdfast-Withheld", names)] if names else []
        request = self._record(
            "request", exchange.url, date, _REQUEST, exchange.request, together, *withheld
        )
        account = [*_way(trail), ("fetchTimeMs", str(exchange.duration_ms))]
        if exchange.tls and exchange.tls.untrusted:
            account.append(("tlsUntrusted", exchange.tls.untrusted))
        metadata = self._record(
            "metadata", exchange.url, date, _FIELDS, _warc_fields(account), together
        )
        return [first, request, metadata]

    def absence(
        self, trail: Trail, now: datetime, outcome: str, reason: str, detail: str
    ) -> list[Record]:
        """Make the metadata record that explains why a URL has no capture."""
        account = _warc_fields(
            [*_way(trail), ("outcome", outcome), ("reason", reason), ("detail", detail)]
        )
        return [self._record("metadata", trail.url, warc_date(now), _FIELDS, account)]

    def _response(self, exchange: Exchange, date: str, record_id: str) -> Record:
        fields = self._begin("response", record_id, exchange.url, date)
        fields += _transport(exchange)
        if exchange.truncated:
            fields.append(("WARC-Truncated", exchange.truncated))
        fields += (
            ("Content-Type", _RESPONSE),
            ("WARC-Block-Digest", exchange.block_digest),
            ("WARC-Payload-Digest", exchange.payload_digest),
        )
        return Record(fields, exchange.response.chunks(), exchange.response.size)

    def _revisit(self, exchange: Exchange, date: str, record_id: str, revisit: Revisit) -> Record:
        """Make a record that has the head alone, or a 304 as it came (WARC 1.1 §6.7)."""
        original = revisit.original
        fields = self._begin("revisit", record_id, exchange.url, date)
        # replay tools find the payload by URL and date, whatever the standard calls optional
        fields += (
            ("WARC-Profile", _PROFILES + revisit.profile),
            ("WARC-Refers-To", f"<{original.record_id}>"),
            ("WARC-Refers-To-Target-URI", original.url),
            ("WARC-Refers-To-Date", original.date),
        )
        fields += _transport(exchange)
        if revisit.profile == "server-not-modified":
            if exchange.truncated:
                fields.append(("WARC-Truncated", exchange.truncated))
            fields += (
                ("Content-Type", _RESPONSE),
                ("WARC-Block-Digest", exchange.block_digest),
            )
            return Record(fields, exchange.response.chunks(), exchange.response.size)
        head = exchange.response.prefix(exchange.head.end) if exchange.head else b""
        fields += (
            ("WARC-Truncated", "length"),
            ("Content-Type", _RESPONSE),
            ("WARC-Block-Digest", sha256(head)),
            ("WARC-Payload-Digest", exchange.payload_digest),
        )
        return Record(fields, head, len(head))

    def _begin(self, kind: str, record_id: str, uri: str, date: str) -> list[tuple[str, str]]:
        return [
            ("WARC-Type", kind),
            ("WARC-Record-ID", record_id),
            self._warcinfo_field,
            ("WARC-Target-URI", uri),
            ("WARC-Date", date),
        ]

    def _record(
        self, kind: str, uri: str, date: str, media_type: str, block: bytes, *more: tuple[str, str]
    ) -> Record:
        fields = [
            ("WARC-Type", kind),
            ("WARC-Record-ID", self._new_id()),
            self._warcinfo_field,
            *more,
            ("WARC-Target-URI", uri),
            ("WARC-Date", date),
            ("Content-Type", media_type),
            ("WARC-Block-Digest", sha256(block)),
        ]
        return Record(fields, block, len(block))


def warc_date(moment: datetime) -> str:
    """Write a moment as WARC 1.1 §5.4 wants it: UTC, with milliseconds."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def _transport(exchange: Exchange) -> list[tuple[str, str]]:
    """Give the fields that tell how a response came here."""
    fields = []
    if exchange.ip_address:
        fields.append(("WARC-IP-Address", exchange.ip_address))
    if exchange.head:
        fields.append(("WARC-Protocol", exchange.head.version.decode("ascii").lower()))
    elif not exchange.truncated:
        fields.append(("WARC-Protocol", "http/0.9"))
    tls = exchange.tls
    if tls:
        fields.append(("WARC-Protocol", _TLS.get(tls.version, tls.version)))
        # a suite that keeps OpenSSL's name has none that IANA registered
        if tls.cipher.startswith("TLS_"):
            fields.append(("WARC-Cipher-Suite", tls.cipher))
    return fields


def _way(trail: Trail) -> list[tuple[str, str]]:
    hops = ("hopsFromSeed", trail.hops)
    return [("via", trail.via), hops] if trail.via else [hops]


def _warc_fields(fields: Sequence[tuple[str, str]]) -> bytes:
    """Write `application/warc-fields`; line ends inside a value would forge a field."""
    return "".join([f"{name}: {' '.join(value.split())}\r\n" for name, value in fields]).encode()
