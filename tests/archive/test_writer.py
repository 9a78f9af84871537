"""What the writer puts on the disk, read back by our validator and by other readers."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from warcio.archiveiterator import ArchiveIterator

from pipeline.archive.codec import names
from pipeline.archive.compose import Composer, Provenance, Trail
from pipeline.archive.inflate import PLAIN_HEADER
from pipeline.archive.member import Members, Record
from pipeline.archive.validator import inspect
from pipeline.archive.writer import OpenWarc, cut_back
from pipeline.errors import IntegrityError, StorageError
from pipeline.model.digest import sha256
from pipeline.model.exchange import Block, Exchange, Tls
from pipeline.model.http import read_message

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
TRAIL = Trail(url="http://example.org/a", via="http://example.org/", hops="L")


def exchange(response: bytes, *, tls: Tls | None = None, truncated: str | None = None) -> Exchange:
    message = read_message(response)
    return Exchange(
        url=TRAIL.url,
        started_at=NOW,
        duration_ms=12,
        ip_address="192.0.2.1",
        tls=tls,
        request=b"GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n",
        response=Block(response),
        head=message.head,
        truncated=truncated,
        block_digest=sha256(response),
        payload_digest=sha256(message.payload),
        payload_size=len(message.payload),
    )


def composer() -> Composer:
    numbers = itertools.count(1)
    return Composer(lambda: f"<urn:uuid:00000000-0000-4000-8000-{next(numbers):012d}>")


def write(path: Path, *exchanges: Exchange) -> None:
    maker = composer()
    provenance = Provenance(
        info=[("software", "test")],
        resources=[("urn:x:config.toml", "application/toml", b"a = 1\n")],
    )
    warc = OpenWarc(path)
    warc.append(Members(maker.opening(path.name, provenance, NOW), "auto", 6))
    for each in exchanges:
        warc.append(Members(maker.capture(each, TRAIL), "auto", 6))
    warc.append(
        Members(maker.absence(TRAIL, NOW, "failed", "dns", "no address\r\nfor: x"), "auto", 6)
    )
    warc.close()


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def test_the_validator_finds_nothing_wrong_with_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(
        path,
        exchange(PLAIN, tls=Tls(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")),
        exchange(CHUNKED),
        exchange(PLAIN[:-2], truncated="disconnect"),
        exchange(b"<html>from the year 1991"),
    )
    inspection = inspect(path, path.name)
    assert inspection.findings == ()
    kinds = [member.type for member in inspection.members]
    assert kinds == ["warcinfo", "resource", *["response", "request", "metadata"] * 4, "metadata"]
    assert [capture.status for capture in inspection.captures].count("200") == 3


def test_warcio_reads_every_record_with_its_block_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(path, exchange(CHUNKED))
    with path.open("rb") as stream:
        blocks = {
            record.rec_type: record.raw_stream.read()
            for record in ArchiveIterator(stream, no_record_parse=True)
        }
    assert blocks["response"] == CHUNKED
    assert blocks["request"].startswith(b"GET /a HTTP/1.1\r\n")


def test_a_line_end_in_a_detail_forges_no_field(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(path)
    text = gzip.decompress(path.read_bytes())
    assert b"\r\ndetail: no address for: x\r\n" in text


def test_a_block_in_a_file_is_written_like_one_in_memory(tmp_path: Path) -> None:
    body = bytes(range(256)) * 20_000
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    small = exchange(response)
    with (tmp_path / "spool").open("w+b") as spool:
        spool.write(response)
        spool.flush()
        large = replace(exchange(response), response=Block(b"", spool, len(response)))
        write(tmp_path / "small.warc.gz", small)
        write(tmp_path / "large.warc.gz", large)
    plain = [gzip.decompress((tmp_path / f"{n}.warc.gz").read_bytes()) for n in ("small", "large")]
    assert plain[0].replace(b"small", b"") == plain[1].replace(b"large", b"")
    assert inspect(tmp_path / "large.warc.gz", "large.warc.gz").findings == ()


def test_a_file_that_exists_is_never_opened_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz.open"
    path.write_bytes(b"precious")
    with pytest.raises(StorageError):
        OpenWarc(path)
    assert path.read_bytes() == b"precious"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_in_the_middle_of_a_record_leaves_what_was_there(tmp_path: Path) -> None:
    maker = composer()
    warc = OpenWarc(tmp_path / "a.warc.gz.open")
    warc.append(
        Members(maker.opening("a.warc.gz", Provenance(info=[("software", "t")]), NOW), "auto", 6)
    )
    before = warc.path.read_bytes()
    noise = b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(4000))
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(noise), noise)
    with files_of_at_most(50_000), pytest.raises(StorageError, match="nothing committed is lost"):
        warc.append(Members(maker.capture(exchange(response), TRAIL), "auto", 6))
    assert warc.path.read_bytes() == before
    warc.append(Members(maker.capture(exchange(PLAIN), TRAIL), "auto", 6))
    warc.close()
    assert inspect(warc.path, "a.warc.gz").findings == ()


def test_cutting_back_takes_the_tail_and_never_adds(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz.open"
    path.write_bytes(b"committed" + b"not yet")
    cut_back(path, 9)
    assert path.read_bytes() == b"committed"
    with pytest.raises(IntegrityError, match="were committed"):
        cut_back(path, 10)


def members_of(block: bytes, codec: str, level: int) -> bytes:
    record = Record([("WARC-Type", "resource")], block, len(block))
    return b"".join(Members([record], codec, level).pieces())


NOISE = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(2_000))
PICTURE = b"".join(NOISE[at : at + 40] + b"    " for at in range(0, len(NOISE), 40))


@pytest.mark.parametrize("codec", ["auto", "zlib-ng", "zlib"])
@pytest.mark.parametrize("block", [b"", b"text " * 5_000, NOISE, PICTURE, bytes(3_000_000)])
def test_every_codec_writes_one_plain_member_of_the_same_content(codec: str, block: bytes) -> None:
    member = members_of(block, codec, 6)
    stream = zlib.decompressobj(31)
    assert stream.decompress(member) == (
        b"WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: %d\r\n\r\n" % len(block)
        + block
        + b"\r\n\r\n"
    )
    assert stream.eof
    assert not stream.unused_data
    assert member.startswith(PLAIN_HEADER)


@pytest.mark.parametrize("codec", ["auto", "zlib-ng", "zlib"])
def test_what_deflate_cannot_shrink_is_stored(codec: str) -> None:
    # a stored block is cut only by the five bytes before each of its pieces
    assert NOISE[20_000:24_000] in members_of(NOISE, codec, 6)


@pytest.mark.parametrize("codec", ["auto", "zlib-ng", "zlib"])
def test_what_deflate_shrinks_a_little_is_shrunk(codec: str) -> None:
    assert len(members_of(PICTURE, codec, 6)) < 0.98 * len(PICTURE)


@pytest.mark.parametrize("text", ["Gruß, schöne Wörter. ", "Русский текст. ", "日本語の文。"])
def test_text_in_every_script_is_compressed_as_asked(text: str) -> None:
    block = (text * 4_000).encode()
    assert len(members_of(block, "auto", 6)) < 0.05 * len(block)


def test_the_libraries_that_compress_are_named() -> None:
    assert names("zlib")[0].startswith("zlib ")
    assert all(len(each.split()) == 2 for codec in ("auto", "zlib-ng") for each in names(codec))
