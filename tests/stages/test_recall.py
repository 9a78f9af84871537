"""Earlier captures read back, and the catalogue made again from what is sealed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.crawl.frontier.catalogue import Catalogue, Known
from pipeline.model.digest import sha256
from pipeline.model.names import Name
from pipeline.stages.recall import payload_of, refresh

URL = "http://example.org/a"
TAG = ('ETag: "1"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")
SAME = "identical-payload-digest"
UNCHANGED = "server-not-modified"


def known_of(shelf: Any, url: str = URL) -> Known | None:
    with closing(Catalogue(shelf.layout.catalogue, shelf.collection)) as catalogue:
        return catalogue.latest(url)


def one(shelf: Any, body: bytes = b"<p>hello", **changed: Any) -> Known:
    """Seal a file of one capture and give what is known of it."""
    file = shelf.begin()
    file.add(URL, body, TAG, **changed)
    file.seal()
    refresh(shelf.layout, "c", shelf.sealed)
    known = known_of(shelf)
    assert known is not None
    return known


def test_a_sealed_capture_is_known_with_all_that_a_revisit_needs(shelf: Any) -> None:
    file = shelf.begin()
    original = file.add(URL, b"hello", TAG)
    name = file.seal()
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf) == Known(
        url=URL,
        original=original,
        payload_digest=sha256(b"hello"),
        status=200,
        etag='"1"',
        modified="Thu, 01 Jan 2026 00:00:00 GMT",
        warc=name.name,
        offset=file.offsets[0],
    )


def test_a_page_is_given_again_with_its_head(shelf: Any) -> None:
    recalled = payload_of(shelf.layout, one(shelf))
    assert recalled is not None
    head, content = recalled
    assert (head.get(b"etag"), content) == (b'"1"', b"<p>hello")


def test_a_page_is_given_without_its_codings(shelf: Any) -> None:
    packed = gzip.compress(b"<p>hello")
    raw = (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Encoding: gzip\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    )
    known = one(shelf, raw=raw)
    assert known.original.chunked
    recalled = payload_of(shelf.layout, known)
    assert recalled is not None
    assert recalled[1] == b"<p>hello"


def test_a_page_is_found_while_its_file_is_being_written(shelf: Any) -> None:
    file = shelf.begin()
    file.add(URL, b"<p>hello")
    known = one(shelf)
    known = replace(known, warc=file.name.name, offset=file.offsets[0])
    assert payload_of(shelf.layout, known) is None  # of the other file, by its id
    file.seal()
    refresh(shelf.layout, "c", shelf.sealed)
    late = shelf.begin()
    original = late.add("http://example.org/late", b"<p>late")
    open_known = replace(
        known,
        original=original,
        payload_digest=sha256(b"<p>late"),
        warc=late.name.name,
        offset=late.offsets[0],
    )
    recalled = payload_of(shelf.layout, open_known)
    assert recalled is not None
    assert recalled[1] == b"<p>late"
    late.close()


def test_of_a_large_page_the_beginning_is_given_and_all_is_checked(shelf: Any) -> None:
    body = bytes(range(256)) * 2000
    known = one(shelf, body)
    recalled = payload_of(shelf.layout, known, 1000)
    assert recalled is not None
    assert recalled[1] == body[:1000]
    wrong = replace(known, payload_digest=sha256(body[:-1]))
    assert payload_of(shelf.layout, wrong, 1000) is None


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data, at: data[: at + 40], id="cut off"),
        pytest.param(lambda data, at: data[:at] + b"x" + data[at + 1 :], id="no member"),
        pytest.param(lambda data, at: data[:at], id="not there"),
        pytest.param(
            lambda data, at: data[: at + 60] + bytes(20) + data[at + 80 :], id="overwritten"
        ),
        pytest.param(lambda data, at: data[:at] + gzip.compress(b"WARC/1.1"), id="no header"),
        pytest.param(
            lambda data, at: data[:at] + gzip.compress(b"x" * 200_000), id="endless header"
        ),
        pytest.param(
            lambda data, at: (
                data[:at] + gzip.compress(b"WARC/1.1\r\nContent-Length: 9999999999999\r\n\r\nx")
            ),
            id="a length that is not true",
        ),
    ],
)
def test_what_is_damaged_is_not_given(shelf: Any, spoil: Callable[[bytes, int], bytes]) -> None:
    known = one(shelf)
    path = shelf.layout.root / Name("c", known.warc).warc
    path.write_bytes(spoil(path.read_bytes(), known.offset))
    assert payload_of(shelf.layout, known) is None


def test_what_is_gone_is_not_given(shelf: Any) -> None:
    known = one(shelf)
    (shelf.layout.root / Name("c", known.warc).warc).unlink()
    assert payload_of(shelf.layout, known) is None


def test_the_catalogue_comes_back_after_it_was_deleted(shelf: Any) -> None:
    """A chain over three days: whole, elsewhere the same, and not modified."""
    first = shelf.begin()
    original = first.add(URL, b"hello", TAG)
    first.add("http://example.org/gone", b"", status="404 Not Found")
    first.seal()
    second = shelf.begin()
    second.add("http://example.org/copy", b"hello", repeats=(SAME, original))
    second.add("http://example.org/gone", b"now here")
    second.seal()
    third = shelf.begin()
    third.add(URL, b"", ('ETag: W/"2"',), status="304 Not Modified", repeats=(UNCHANGED, original))
    third.seal()

    refresh(shelf.layout, "c", shelf.sealed)
    known = known_of(shelf)
    assert known is not None
    assert (known.original, known.status, known.etag) == (original, 200, 'W/"2"')
    assert known.modified == "Thu, 01 Jan 2026 00:00:00 GMT"
    copy = known_of(shelf, "http://example.org/copy")
    assert copy is not None
    assert (copy.original, copy.payload_digest) == (original, sha256(b"hello"))
    back = known_of(shelf, "http://example.org/gone")
    assert back is not None
    assert back.status == 200

    shelf.layout.catalogue.unlink()
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf) == known
    assert known_of(shelf, "http://example.org/copy") == copy
    assert known_of(shelf, "http://example.org/gone") == back


def test_a_reference_into_a_file_that_was_opened_later_is_followed(shelf: Any) -> None:
    early, late = shelf.begin(), shelf.begin()
    original = late.add(URL, b"hello")
    early.add("http://example.org/copy", b"hello", repeats=(SAME, original))
    early.seal()
    late.seal()
    refresh(shelf.layout, "c", shelf.sealed)
    copy = known_of(shelf, "http://example.org/copy")
    assert copy is not None
    assert copy.original == original


def test_what_may_not_stand_for_others_is_not_entered(shelf: Any) -> None:
    file = shelf.begin()
    file.add("http://example.org/cut", b"hel", truncated="time")
    file.add("http://example.org/old", raw=b"<html>from the year 1991")
    file.add("http://example.org/empty", b"", TAG)
    file.seal()
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf, "http://example.org/cut") is None
    assert known_of(shelf, "http://example.org/old") is None
    empty = known_of(shelf, "http://example.org/empty")
    assert empty is not None
    assert not empty.is_conditional
    with closing(Catalogue(shelf.layout.catalogue, "c")) as catalogue:
        for body in (b"hel", b"<html>from the year 1991", b""):
            assert catalogue.original(sha256(body)) is None


def test_only_what_was_missed_is_read(shelf: Any) -> None:
    """Nothing is read of a file that is known to its end, and of another only what is missing."""
    known = one(shelf)
    members = shelf.layout.root / Name("c", known.warc).members
    lines = members.read_bytes()
    members.write_bytes(b"not to be read\n")
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf) == known
    members.write_bytes(lines)

    file = shelf.begin()
    file.add("http://example.org/entered", b"1")
    file.add("http://example.org/missed", b"2")
    name = file.seal()
    first = replace(
        known,
        url="http://example.org/entered",
        original=replace(known.original, url="http://example.org/entered"),
        warc=name.name,
        offset=file.offsets[0],
    )
    with closing(Catalogue(shelf.layout.catalogue, "c")) as catalogue:
        catalogue.enter([first])
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf, "http://example.org/missed") is not None
    assert known_of(shelf, "http://example.org/entered") == first


def test_captures_that_power_loss_undid_are_forgotten(shelf: Any) -> None:
    known = one(shelf)
    size = (shelf.layout.root / Name("c", known.warc).warc).stat().st_size
    undone = replace(known, url="http://example.org/undone", offset=size)
    with closing(Catalogue(shelf.layout.catalogue, "c")) as catalogue:
        catalogue.enter([undone])
    assert known_of(shelf, "http://example.org/undone") is not None
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf, "http://example.org/undone") is None
    assert known_of(shelf) == known


def test_files_that_are_not_in_the_archive_are_forgotten_also_open_ones(
    shelf: Any,
) -> None:
    known = one(shelf)
    file = shelf.begin()
    original = file.add("http://example.org/open", b"open")
    file.close()
    open_one = replace(
        known,
        url=original.url,
        original=original,
        payload_digest=sha256(b"open"),
        warc=file.name.name,
        offset=file.offsets[0],
    )
    with closing(Catalogue(shelf.layout.catalogue, "c")) as catalogue:
        catalogue.enter([open_one])
    refresh(shelf.layout, "c", [])
    assert known_of(shelf) is None
    # nobody writes it any more: it was found unsound
    assert known_of(shelf, "http://example.org/open") is None


@pytest.mark.parametrize("ending", ["members", "warc"])
def test_damage_costs_references_and_no_crawl(shelf: Any, ending: str) -> None:
    file = shelf.begin()
    file.add(URL, b"hello")
    name = file.seal()
    path = shelf.layout.root / getattr(name, ending)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    refresh(shelf.layout, "c", shelf.sealed)
    path.unlink()
    refresh(shelf.layout, "c", shelf.sealed)


def test_a_catalogue_that_cannot_be_used_is_made_anew(shelf: Any) -> None:
    known = one(shelf)
    shelf.layout.catalogue.write_bytes(b"no database" * 1000)
    refresh(shelf.layout, "c", shelf.sealed)
    assert known_of(shelf) == known


def test_other_collections_are_left_alone(shelf: Any) -> None:
    known = one(shelf)
    refresh(shelf.layout, "d", shelf.sealed)
    assert known_of(shelf) == known
    with closing(Catalogue(shelf.layout.catalogue, "d")) as catalogue:
        assert catalogue.is_empty()
