"""Revisit records, withheld fields and untrusted certificates, as the composer lays them out."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from msgspec.structs import replace
from warcio.archiveiterator import ArchiveIterator

from pipeline.archive.compose import Composer, Provenance, Revisit, Trail, warc_date
from pipeline.archive.member import Members, Record
from pipeline.archive.reader import walk
from pipeline.archive.validator import inspect
from pipeline.archive.writer import OpenWarc
from pipeline.model.digest import sha256
from pipeline.model.exchange import Block, Exchange, Tls
from pipeline.model.http import read_message
from pipeline.model.records import Original

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
URL = "http://example.org/a"
TRAIL = Trail(url=URL, via="http://example.org/", hops="L")
ORIGINAL = Original(
    record_id="urn:uuid:11111111-2222-4333-8444-555555555555",
    url="http://example.org/first",
    date="2025-12-01T00:00:00.123Z",
)
PAGE = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 5\r\n\r\nhello'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
HINTED = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n"
UNCHANGED = b'HTTP/1.1 304 Not Modified, old chap\r\nETag: "1"\r\n\r\n'


def exchange(response: bytes, **changed: object) -> Exchange:
    message = read_message(response)
    made = Exchange(
        url=URL,
        started_at=NOW,
        duration_ms=12,
        ip_address="192.0.2.1",
        tls=None,
        request=b"GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n",
        response=Block(response),
        head=message.head,
        truncated=None,
        block_digest=sha256(response),
        payload_digest=sha256(message.payload),
        payload_size=len(message.payload),
    )
    return replace(made, **changed)


def composer() -> Composer:
    numbers = itertools.count(1)
    return Composer(lambda: f"<urn:uuid:00000000-0000-4000-8000-{next(numbers):012d}>")


def block_of(record: Record) -> bytes:
    return record.block if isinstance(record.block, bytes) else b"".join(record.block)


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        pytest.param(PAGE, PAGE[:-5], id="length"),
        pytest.param(CHUNKED, CHUNKED[: CHUNKED.index(b"5\r\n")], id="chunked"),
        pytest.param(HINTED + PAGE, HINTED + PAGE[:-5], id="interim"),
        pytest.param(PAGE.replace(b"\r\n", b"\n"), PAGE.replace(b"\r\n", b"\n")[:-5], id="LF"),
    ],
)
def test_a_repeated_payload_leaves_the_head_and_nothing_else(response: bytes, kept: bytes) -> None:
    """WARC 1.1 §6.7.2: the head as sent, interim responses and blank line included."""
    revisit = Revisit("identical-payload-digest", ORIGINAL)
    record = composer().capture(exchange(response), TRAIL, revisit)[0]
    assert block_of(record) == kept
    assert record.size == len(kept)
    fields = dict(record.fields)
    assert fields["WARC-Type"] == "revisit"
    assert fields["WARC-Truncated"] == "length"
    assert fields["WARC-Block-Digest"] == sha256(kept)
    assert fields["WARC-Payload-Digest"] == sha256(b"hello")
    assert fields["WARC-Profile"] == (
        "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
    )


def test_a_304_is_kept_as_it_came() -> None:
    """WARC 1.1 §6.7.3; the digest of an empty body would say that the page is empty."""
    revisit = Revisit("server-not-modified", ORIGINAL)
    record = composer().capture(exchange(UNCHANGED), TRAIL, revisit)[0]
    fields = dict(record.fields)
    assert block_of(record) == UNCHANGED
    assert fields["WARC-Profile"] == "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
    assert fields["WARC-Block-Digest"] == sha256(UNCHANGED)
    assert not fields.keys() & {"WARC-Payload-Digest", "WARC-Truncated"}


@pytest.mark.parametrize("profile", ["identical-payload-digest", "server-not-modified"])
def test_every_revisit_says_in_three_fields_what_it_refers_to(profile: str) -> None:
    """pywb and its kin find the payload by URL and date (rules 26 and 27)."""
    records = composer().capture(exchange(PAGE), TRAIL, Revisit(profile, ORIGINAL))  # type: ignore[arg-type]
    fields = dict(records[0].fields)
    assert fields["WARC-Refers-To"] == f"<{ORIGINAL.record_id}>"
    assert fields["WARC-Refers-To-Target-URI"] == ORIGINAL.url
    assert fields["WARC-Refers-To-Date"] == ORIGINAL.date
    assert fields["WARC-IP-Address"] == "192.0.2.1"
    assert fields["WARC-Protocol"] == "http/1.1"
    assert [dict(record.fields)["WARC-Type"] for record in records] == [
        "revisit",
        "request",
        "metadata",
    ]
    for record in records[1:]:
        together = dict(record.fields)
        assert together["WARC-Concurrent-To"] == fields["WARC-Record-ID"]
        assert together["WARC-Date"] == fields["WARC-Date"]
        assert not any(name.startswith("WARC-Refers-To") for name in together)


def test_the_names_of_withheld_fields_are_told_on_the_request_alone() -> None:
    response, request, metadata = composer().capture(
        exchange(PAGE, withheld=("Authorization", "Cookie")), TRAIL
    )
    assert dict(request.fields)["Holdfast-Withheld"] == "Authorization, Cookie"
    for record in (response, metadata, *composer().capture(exchange(PAGE), TRAIL)):
        assert "Holdfast-Withheld" not in dict(record.fields)


def test_a_certificate_that_does_not_hold_is_told_in_the_metadata() -> None:
    tls = Tls(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", untrusted="has\r\nexpired")
    told = composer().capture(exchange(PAGE, tls=tls), TRAIL)[2].block
    assert told == (
        b"via: http://example.org/\r\nhopsFromSeed: L\r\nfetchTimeMs: 12\r\n"
        b"tlsUntrusted: has expired\r\n"
    )
    trusted = composer().capture(exchange(PAGE, tls=replace(tls, untrusted="")), TRAIL)[2].block
    assert isinstance(trusted, bytes)
    assert b"tlsUntrusted" not in trusted


def test_a_resource_record_carries_a_file_of_the_run() -> None:
    record = composer().resource("urn:holdfast:r:crawl.log", "text/plain", b"line\n", NOW)
    fields = dict(record.fields)
    assert (fields["WARC-Type"], record.block) == ("resource", b"line\n")
    assert fields["WARC-Target-URI"] == "urn:holdfast:r:crawl.log"
    assert fields["WARC-Warcinfo-ID"]
    assert fields["WARC-Block-Digest"] == sha256(b"line\n")


def test_a_date_is_cut_to_milliseconds_in_utc() -> None:
    assert warc_date(NOW) == "2026-01-02T03:04:05.678Z"
    assert warc_date(NOW.replace(microsecond=0)) == "2026-01-02T03:04:05.000Z"


@pytest.fixture
def revisits(tmp_path: Path) -> Path:
    """Write a page, the same page elsewhere, and a 304 for it."""
    path = tmp_path / "t.warc.gz"
    maker = composer()
    warc = OpenWarc(path)
    info = Provenance(info=[("software", "test")])
    warc.append(Members(maker.opening(path.name, info, NOW), "auto", 6))
    first = maker.capture(exchange(CHUNKED), TRAIL)
    fields = dict(first[0].fields)
    original = Original(
        record_id=fields["WARC-Record-ID"].strip("<>"), url=URL, date=fields["WARC-Date"]
    )
    warc.append(Members(first, "auto", 6))
    for response, revisit in (
        (PAGE, Revisit("identical-payload-digest", original)),
        (UNCHANGED, Revisit("server-not-modified", original)),
    ):
        warc.append(Members(maker.capture(exchange(response), TRAIL, revisit), "auto", 6))
    warc.close()
    return path


def test_the_validator_takes_revisits_and_the_index_those_that_are_no_304(revisits: Path) -> None:
    inspection = inspect(revisits, revisits.name)
    assert inspection.findings == ()
    told = [(capture.mime, capture.status, capture.digest) for capture in inspection.captures]
    assert sorted(told, key=str) == [
        ("unk", "200", sha256(b"hello")),
        ("warc/revisit", "200", sha256(b"hello")),
    ]


def test_what_a_revisit_refers_to_is_found_in_the_file(revisits: Path) -> None:
    """Rule 28: a response, never another revisit."""
    records = [found for found in walk(revisits) if hasattr(found, "fields")]
    responses = {
        (record.get("warc-record-id"), record.get("warc-target-uri"), record.get("warc-date"))
        for record in records
        if record.get("warc-type") == "response"
    }
    names = ("warc-refers-to", "warc-refers-to-target-uri", "warc-refers-to-date")
    referred = [
        tuple(map(record.get, names)) for record in records if record.get("warc-type") == "revisit"
    ]
    assert len(referred) == 2
    assert set(referred) == responses


def test_other_readers_take_revisits(revisits: Path) -> None:
    with revisits.open("rb") as stream:
        warcio = [
            (record.rec_type, record.http_headers.get_statuscode())
            for record in ArchiveIterator(stream)
            if record.rec_type in ("response", "revisit")
        ]
    with revisits.open("rb") as stream:
        fastwarc = [
            (record.headers["WARC-Type"], str(record.http_headers.status_code))
            for record in FastIterator(stream, parse_http=True)
            if record.headers["WARC-Type"] in ("response", "revisit")
        ]
    assert warcio == fastwarc == [("response", "200"), ("revisit", "200"), ("revisit", "304")]
