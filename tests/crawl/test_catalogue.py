"""What is known of earlier captures, and what is never said to be known."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.crawl.frontier import catalogue as module
from pipeline.crawl.frontier.catalogue import NO_PAYLOAD, Catalogue, Known, payload_key, remove
from pipeline.errors import ConfigError, StorageError
from pipeline.model.records import Original

WARC = "c-20260101000000-00000-w0"
LATER = "c-20260201000000-00000-w0"
URL = "http://example.org/a"


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def uuid_of(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


def response(url: str = URL, payload: str = "x", offset: int = 100, **changed: Any) -> Known:
    fields = {
        "url": url,
        "original": Original(record_id=uuid_of(offset), url=url, date="2026-01-01T00:00:00.001Z"),
        "payload_digest": digest(payload),
        "status": 200,
        "etag": '"1"',
        "modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "warc": WARC,
        "offset": offset,
    }
    return Known(**{**fields, **changed})


def revisit(of: Known, **changed: Any) -> Known:
    """Give what the crawl enters for a capture that repeats another: it knows no place."""
    fields = {name: getattr(of, name) for name in Known.__slots__}
    return Known(**{**fields, "warc": "", "offset": -1, **changed})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "working" / "catalogue.sqlite"


@pytest.fixture
def catalogue(path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(path, "c")
    yield opened
    opened.close()


def test_nothing_is_known_at_first(catalogue: Catalogue) -> None:
    assert catalogue.is_empty()
    assert catalogue.latest(URL) is None
    assert catalogue.original(digest("x")) is None


def test_what_was_entered_is_known_also_to_the_next_process(
    catalogue: Catalogue, path: Path
) -> None:
    entry = response()
    catalogue.enter([entry])
    other = Catalogue(path, "c")
    assert other.latest(URL) == entry
    assert other.original(entry.payload_digest) == entry.original
    assert not other.is_empty()
    other.close()


def test_collections_do_not_refer_to_each_other(catalogue: Catalogue, path: Path) -> None:
    catalogue.enter([response()])
    other = Catalogue(path, "d")
    assert (other.latest(URL), other.original(digest("x")), other.is_empty()) == (None, None, True)
    other.close()


def test_a_revisit_leads_to_the_response_that_holds_the_payload(catalogue: Catalogue) -> None:
    held = response()
    elsewhere = revisit(held, url="http://example.org/copy", status=404, etag='"copy"')
    catalogue.enter([held, elsewhere])  # of one second: the original is not committed before
    known = catalogue.latest("http://example.org/copy")
    assert known is not None
    assert (known.original, known.warc, known.offset) == (held.original, WARC, held.offset)
    assert (known.status, known.url) == (404, "http://example.org/copy")
    assert catalogue.original(held.payload_digest) == held.original


def test_the_newest_check_counts_and_older_payloads_stay_known(catalogue: Catalogue) -> None:
    old = response()
    new = response(payload="y", offset=7, warc=LATER, etag='"2"')
    catalogue.enter([old])
    catalogue.enter([new])
    assert catalogue.latest(URL) == new
    assert catalogue.original(old.payload_digest) == old.original
    catalogue.enter([revisit(old, etag='"3"')])
    known = catalogue.latest(URL)
    assert known is not None
    assert (known.original, known.etag) == (old.original, '"3"')


def test_a_revisit_of_what_is_not_known_is_passed_over(catalogue: Catalogue) -> None:
    catalogue.enter([revisit(response())])
    assert catalogue.latest(URL) is None


def test_an_empty_payload_stands_for_nothing(catalogue: Catalogue) -> None:
    empty = response(payload="")
    assert empty.payload_digest == NO_PAYLOAD
    catalogue.enter([empty])
    assert catalogue.original(NO_PAYLOAD) is None
    known = catalogue.latest(URL)
    assert known is not None
    assert known.payload_digest == NO_PAYLOAD
    assert not known.is_conditional


@pytest.mark.parametrize("status", [204, 206, 301, 404, 500])
def test_conditions_are_set_only_for_what_was_there(catalogue: Catalogue, status: int) -> None:
    catalogue.enter([response(status=status)])
    known = catalogue.latest(URL)
    assert known is not None
    assert known.status == status
    assert not known.is_conditional


@pytest.mark.parametrize(
    "value", ['"a\r\nX: y"', "\x00", "é", "", "x" * 501], ids=["lines", "NUL", "é", "none", "long"]
)
def test_validators_that_could_not_be_sent_back_are_dropped(
    catalogue: Catalogue, value: str
) -> None:
    catalogue.enter([response(etag=value, modified=value)])
    known = catalogue.latest(URL)
    assert known is not None
    assert list(known.conditions()) == []


def test_conditions_are_those_of_the_last_check() -> None:
    assert list(response().conditions()) == [
        ("If-None-Match", '"1"'),
        ("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ]
    assert [name for name, _ in response(etag=None).conditions()] == ["If-Modified-Since"]


def test_chunks_stand_only_for_chunks(catalogue: Catalogue) -> None:
    """pywb would show the chunk sizes under a head that does not announce them."""
    entry = response()
    pieces = replace(entry, original=replace(entry.original, chunked=True))
    catalogue.enter([pieces])
    assert catalogue.latest(URL) == pieces
    assert catalogue.original(entry.payload_digest, chunked=True) == pieces.original
    assert catalogue.original(entry.payload_digest, chunked=False) is None
    whole = response("http://example.org/b", offset=500)
    catalogue.enter([whole])
    assert catalogue.original(entry.payload_digest, chunked=False) == whole.original


def test_a_collision_of_keys_names_no_wrong_page(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_key", lambda collection, url: 1)
    catalogue.enter([response()])
    assert catalogue.latest("http://example.org/other") is None
    assert catalogue.latest(URL) is not None


def test_payloads_are_told_apart_by_the_whole_digest(catalogue: Catalogue) -> None:
    entry = response()
    catalogue.enter([entry])
    twin = entry.payload_digest[:-1] + ("0" if entry.payload_digest[-1] != "0" else "1")
    assert catalogue.original(twin) is None


def test_what_a_lost_file_held_is_forgotten(catalogue: Catalogue) -> None:
    catalogue.enter([response(), response("http://example.org/b", "y", warc=LATER)])
    catalogue.forget([WARC])
    assert catalogue.latest(URL) is None
    assert catalogue.original(digest("x")) is None
    assert catalogue.latest("http://example.org/b") is not None
    assert set(catalogue.warcs()) == {LATER}
    catalogue.enter([response()])
    assert catalogue.latest(URL) == response()


def test_what_was_cut_off_a_file_is_forgotten(catalogue: Catalogue) -> None:
    catalogue.enter([response(), response("http://example.org/b", "y", offset=500)])
    catalogue.forget([WARC], beyond=500)
    assert catalogue.latest(URL) is not None
    assert catalogue.latest("http://example.org/b") is None
    assert dict(catalogue.warcs()) == {WARC: 500}


def test_how_far_a_file_is_known_grows_with_it(catalogue: Catalogue) -> None:
    catalogue.enter([response(offset=9), response("http://example.org/b", offset=3)])
    assert dict(catalogue.warcs()) == {WARC: 10}
    catalogue.cover(WARC, 4000)
    assert dict(catalogue.warcs()) == {WARC: 4000}
    catalogue.enter([response(offset=9)])
    assert dict(catalogue.warcs()) == {WARC: 4000}


def test_a_batch_that_fails_leaves_nothing_behind(catalogue: Catalogue) -> None:
    broken = response("http://example.org/b", status=object())
    with pytest.raises(Exception):  # noqa: B017 whatever it is
        catalogue.enter([response(), broken])
    assert catalogue.latest(URL) is None
    catalogue.enter([response()])
    assert catalogue.latest(URL) == response()


def test_threads_and_processes_share_the_file(catalogue: Catalogue, path: Path) -> None:
    others = [Catalogue(path, "c") for _ in range(3)]

    def fill(number: int, each: Catalogue) -> None:
        for n in range(20):
            url = f"http://example.org/{number}/{n}"
            each.enter([response(url, url, offset=n, warc=f"c-20260101000000-0000{number}-w0")])
            assert each.latest(url) is not None

    threads = [
        threading.Thread(target=fill, args=(number, each))
        for number, each in enumerate([*others, catalogue])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in others:
        each.close()
    for number in range(4):
        for n in range(20):
            url = f"http://example.org/{number}/{n}"
            known = catalogue.latest(url)
            assert known is not None
            assert known.warc == f"c-20260101000000-0000{number}-w0"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    record_id=st.one_of(
        st.uuids().map(lambda made: made.urn),
        st.uuids().map(lambda made: made.urn.upper()),
        st.uuids().map(lambda made: f"urn:uuid:{made.hex}----"),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    ),
    url=st.text(st.characters(codec="utf-8"), max_size=80),
    date=st.text(st.characters(codec="utf-8"), max_size=40),
)
def test_ids_urls_and_dates_come_back_as_they_were(
    catalogue: Catalogue, record_id: str, url: str, date: str
) -> None:
    """A revisit names all three, and replay tools compare them letter by letter."""
    original = Original(record_id=record_id, url=url, date=date)
    entry = response(url, original=original)
    catalogue.forget([WARC])
    catalogue.enter([entry])
    assert catalogue.latest(url) == entry
    assert catalogue.original(entry.payload_digest) == original


def test_a_damaged_file_is_told_as_such_and_can_be_removed(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"catalogue\.sqlite"):
        Catalogue(path, "c")
    remove(path)
    Catalogue(path, "c").close()


def test_a_file_of_another_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Catalogue(path, "c").close()
    monkeypatch.setattr(module, "_VERSION", 99)
    with pytest.raises(ConfigError, match="another version"):
        Catalogue(path, "c")


def test_what_any_worker_enters_is_read_once(catalogue: Catalogue, path: Path) -> None:
    other, ends = Catalogue(path, "c"), dict[str, int]()
    catalogue.enter([response(payload="one"), response(payload="two", offset=200)])
    other.enter([response(payload="three", warc=LATER)])
    assert sorted(catalogue.keys_since(ends)) == sorted(
        payload_key(digest(text)) for text in ("one", "two", "three")
    )
    assert catalogue.keys_since(ends) == []
    other.enter([response(payload="four", warc=LATER, offset=300)])
    assert catalogue.keys_since(ends) == [payload_key(digest("four"))]
    other.close()
