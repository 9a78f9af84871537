"""Which capture is shown, and what is told where a document cannot be."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.archive.index import capture_line
from pipeline.errors import ConfigError, IntegrityError
from pipeline.fixity import ledger, manifest
from pipeline.fixity.ledger import Event, SealedFile
from pipeline.fixity.manifest import Manifest
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.model.records import Capture
from pipeline.model.surt import surt
from pipeline.stages.show import show

URL = "http://example.org/a.html"
COPY = "http://example.org/copy.html"
NAME = Name("c", "c-20260203040506-00000-w0")

Store = Callable[..., None]


def document(offset: int, text: str = "some words", **changed: Any) -> dict[str, Any]:
    fields = {
        "id": f"urn:uuid:{offset}",
        "text": text,
        "title": {"raw": "T", "source": "title", "value": "T"},
        "date_published": None,
        "language": {"declared": "en", "source": "http"},
        "authors": [{"raw": "A", "source": "byline", "value": "A"}],
        "charset": {"used": "utf-8", "method": "utf-8"},
        "frames": [],
        "flags": [],
        "provenance": {"offset": offset},
    }
    return {**fields, **changed}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def capture(timestamp: str, url: str, offset: int) -> Capture:
    return Capture(
        key=surt(url),
        timestamp=timestamp,
        url=url,
        mime="text/html",
        status="200",
        digest=None,
        offset=offset,
        length=1,
        filename="t.warc.gz",
    )


@pytest.fixture
def store(layout: Layout) -> Store:
    """Write and seal an index of captures (time, URL), and files of documents."""

    def write(*captures: tuple[str, str], name: Name = NAME, **documents: bytes) -> None:
        lines = [capture(time, url, offset) for offset, (time, url) in enumerate(captures)]
        files = {name.cdxj: b"".join(sorted(map(capture_line, lines)))}
        for revision, data in documents.items():
            files[name.documents(int(revision.removeprefix("r")))] = data
        for path, data in files.items():
            (layout.root / path).parent.mkdir(parents=True, exist_ok=True)
            (layout.root / path).write_bytes(data)
        seal(layout, *files)

    return write


def seal(layout: Layout, *paths: str) -> None:
    files = {path: hashlib.sha256((layout.root / path).read_bytes()).hexdigest() for path in paths}
    event = Event(
        identifier="urn:uuid:1",
        type="capture",
        at=datetime(2026, 2, 3, tzinfo=UTC),
        outcome="success",
        agent="test",
        objects=tuple(SealedFile(path=p, sha256=digest, size=1) for p, digest in files.items()),
    )
    ledger.append(layout.ledger, event)
    before = manifest.read(layout.manifest) or Manifest(entries={})
    manifest.write(layout.manifest, before.adding(files))


def documents(*values: dict[str, Any]) -> bytes:
    return gzip.compress(b"".join(map(canonical.line, values)))


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("@20240101000000", "20231231235959"),
        ("@2024", "20231231235959"),
        ("@20240101120000", "20240102000000"),
        ("@20240101115959", "20231231235959"),
        ("@202402", "20240201000000"),
        ("@20240301", "20240231000000"),
        ("@0001", "20231231235959"),
        ("@9999", "20240231000000"),
        ("", "20240231000000"),
    ],
)
def test_the_nearest_moment_is_chosen_by_the_calendar(layout, store, asked, shown):
    """A 31 February is in an index where a server of old had such a clock, or a tool a fault."""
    times = ("20231231235959", "20240102000000", "20240201000000", "20240231000000")
    store(*((time, URL) for time in times))
    report = show(layout, URL + asked)
    assert report.chosen is not None
    assert report.chosen[1].timestamp == shown
    assert [each.timestamp for _, each in report.captures] == list(times)


@pytest.mark.parametrize("time", ["202413", "20240230", "2024010125", "0000", "20240101006000"])
def test_what_is_no_moment_is_refused(layout, time):
    with pytest.raises(ConfigError, match="YYYY"):
        show(layout, f"{URL}@{time}")


def test_captures_of_exactly_this_url_come_before_those_with_the_same_key(layout, store):
    other = "http://example.org/A.html"
    store(("20260101000000", URL), ("20260102000000", other))
    for url, offset in ((URL, 0), (other, 1)):
        report = show(layout, url)
        assert [each.offset for _, each in report.captures] == [offset]
    assert len(show(layout, "http://example.org/a.HTML").captures) == 2


def test_only_sealed_files_are_read(layout, store):
    store(("20260101000000", URL), r1=documents(document(0)))
    more = NAME.documents(2)
    (layout.root / more).write_bytes(documents(document(0, "not sealed")))
    unsealed = Name("c", "c-20260203040506-00001-w0")
    (layout.root / unsealed.cdxj).write_bytes((layout.root / NAME.cdxj).read_bytes())
    report = show(layout, URL)
    assert (len(report.captures), report.clean_text()) == (1, "some words")
    seal(layout, more, unsealed.cdxj)
    report = show(layout, f"{URL}@2020")
    assert (len(report.captures), report.clean_text()) == (2, "not sealed")


def test_the_ledger_tells_what_is_sealed_where_the_manifest_is_gone(layout, store):
    store(("20260101000000", URL))
    layout.manifest.unlink()
    assert len(show(layout, URL).captures) == 1


def test_an_archive_without_anything_has_no_capture(layout):
    report = show(layout, URL)
    assert (report.exit_code, report.document) == (3, None)


def test_links_and_lines_that_cannot_be_read_are_passed_over(layout, store):
    store(("20260101000000", URL))
    path = layout.root / NAME.cdxj
    moved = layout.root / "elsewhere"
    path.write_bytes(path.read_bytes() + surt(URL).encode() + b" 2026 {}\n")
    assert len(show(layout, URL).captures) == 1
    path.rename(moved)
    path.symlink_to(moved)
    assert show(layout, URL).captures == []


def test_the_newest_revision_that_has_the_document_is_shown(layout, store):
    store(
        ("20260101000000", URL),
        ("20260102000000", URL),
        r1=documents(document(0, "old"), document(1, "old")),
        r2=documents(document(0, "second")),
        r10=documents(document(5, "newest")),
    )
    assert show(layout, f"{URL}@2020").clean_text() == "second"
    assert show(layout, URL).clean_text() == "old"


def test_the_facts_of_a_document_are_shown(layout, store):
    store(("20260101000000", URL), r1=documents(document(0)))
    text = show(layout, URL).as_text()
    assert "T (title)" in text and "en (http)" in text and text.endswith("some words")


NESTED = b'{"provenance":{"offset":0},"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gzip.compress(NESTED), id="nested"),
        pytest.param(gzip.compress(b'{"offset":0\n'), id="no JSON"),
        pytest.param(gzip.compress(b'["offset",{"offset":0}]\n'), id="no object"),
        pytest.param(gzip.compress(b'{"provenance":{"offset":0}}\n'), id="empty"),
        pytest.param(documents(document(0))[:60], id="cut short"),
        pytest.param(b"no gzip", id="no gzip"),
        *(
            pytest.param(documents(document(0, **changed)), id=str(changed))
            for changed in (
                {"text": None},
                {"title": "T"},
                {"title": {"value": "T"}},
                {"authors": None},
                {"authors": [{"value": 1}]},
                {"charset": {"used": "x"}},
                {"frames": ["x"]},
                {"flags": [1]},
            )
        ),
    ],
)
def test_a_document_that_cannot_be_shown_is_damage(layout, store, data):
    store(("20260101000000", URL), r1=data)
    with pytest.raises(IntegrityError, match="holdfast verify"):
        show(layout, URL)


def test_a_missing_file_of_documents_is_damage(layout, store):
    store(("20260101000000", URL), r1=documents(document(0)))
    (layout.root / NAME.documents()).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        show(layout, URL)


def test_damage_behind_the_document_does_not_keep_it_from_being_shown(layout, store):
    many = [document(n, hashlib.sha256(b"%d" % n).hexdigest() * 50) for n in range(200)]
    store(("20260101000000", URL), r1=documents(*many)[:-40])
    assert show(layout, URL).clean_text() == many[0]["text"]


WORDS = b"<html><title>A page</title><p>" + b"the words of the first capture, said once. " * 5


@pytest.fixture
def thrice(shelf):
    """Seal a page, the same page under another URL the day after, and a 304 on the third day."""
    first = shelf.begin()
    original = first.add(URL, WORDS, ["Content-Type: text/html", 'ETag: "1"'])
    first.add("http://example.org/other.html", b"<p>other words", ["Content-Type: text/html"])
    first.seal()
    second = shelf.begin()
    same = ("identical-payload-digest", original)
    second.add(COPY, WORDS, ["Content-Type: text/html"], repeats=same)
    second.seal()
    third = shelf.begin()
    third.add(URL, status="304 Not Modified", repeats=("server-not-modified", original))
    third.seal()
    return shelf


def extracted(shelf):
    from pipeline.extract.policy import ExtractPolicy
    from pipeline.stages.extract import extract

    return extract(
        shelf.layout,
        ExtractPolicy(),
        ["c"],
        everything=False,
        workers=1,
        observe=lambda progress: None,
        now=datetime(2026, 7, 1, tzinfo=UTC),
    )


def test_revisits_make_no_documents_and_are_counted(thrice):
    report = extracted(thrice)
    assert (report.documents, report.skipped, report.damaged) == (2, {"revisit": 2}, ())


def test_a_revisit_shows_the_document_of_the_capture_that_holds_its_payload(thrice):
    extracted(thrice)
    report = show(thrice.layout, COPY)
    assert report.chosen is not None and report.original is not None
    assert report.chosen[1].mime == "warc/revisit"
    assert (report.original[1].url, report.original[1].timestamp) == (URL, "20260102000001")
    assert "the words of the first capture" in report.clean_text()
    text = report.as_text()
    assert f"the same payload as at 20260102000001 of {URL}\n" in text
    assert report.original[1].digest in text
    assert report.as_json()["original"]["timestamp"] == "20260102000001"


def test_a_capture_that_is_no_revisit_names_no_original(thrice):
    report = show(thrice.layout, f"{URL}@20260102")
    assert (report.original, report.as_json()["original"]) == (None, None)
    assert "revisit" not in report.as_text()


def test_a_revisit_whose_original_is_gone_says_so(thrice):
    first = next(path for path in thrice.sealed if path.endswith(".cdxj"))
    (thrice.layout.root / first).unlink()
    report = show(thrice.layout, COPY)
    assert report.original is None
    assert "the capture that holds the payload was not found" in report.as_text()


def test_a_page_that_was_found_unchanged_says_when(thrice):
    extracted(thrice)
    report = show(thrice.layout, URL)
    assert [capture.timestamp for _, capture in report.captures] == ["20260102000001"]
    (check,) = report.checks
    assert check.timestamp == "20260104000001" and check.warc == thrice.sealed[6]
    assert "checked, unchanged  20260104000001\n" in report.as_text()
    assert "the words of the first capture" in report.clean_text()
    told = report.as_json()
    assert [each["timestamp"] for each in told["checks"]] == ["20260104000001"]
    assert len(told["captures"]) == 1
    assert show(thrice.layout, COPY).checks == [], "only of the URL that was asked for"


def test_a_check_counts_for_the_capture_before_it(thrice):
    later = thrice.begin()
    changed = later.add(URL, b"<p>other words", ["Content-Type: text/html", 'ETag: "2"'])
    later.seal()
    for _ in range(7):
        again = thrice.begin()
        again.add(URL, status="304 Not Modified", repeats=("server-not-modified", changed))
        again.seal()
    first = show(thrice.layout, f"{URL}@20260102").as_text()
    assert first.count("checked, unchanged") == 1 and "20260104000001" in first
    second = show(thrice.layout, f"{URL}@20260105").as_text()
    assert second.count("checked, unchanged") == 6 and "20260104000001" not in second
    assert "checked, unchanged  2 times before these:\n" in second
    assert "checked, unchanged  20260112000001\n" in second


def test_a_check_is_told_where_the_capture_before_it_is_gone(thrice):
    first = next(path for path in thrice.sealed if path.endswith(".cdxj"))
    (thrice.layout.root / first).unlink()
    report = show(thrice.layout, URL)
    assert report.exit_code == 3
    assert "20260104000001  checked, unchanged: " in report.as_text()


def test_where_an_index_cannot_be_read_no_capture_is_taken_for_a_check(thrice):
    for path in thrice.sealed:
        if path.endswith(".cdxj"):
            (thrice.layout.root / path).unlink()
    assert show(thrice.layout, COPY).checks == []


def test_a_revisit_in_a_damaged_file_is_still_shown(thrice):
    """The payload digest in the index finds the original where it is of the same URL."""
    second = [path for path in thrice.sealed if path.endswith(".warc.gz")][1]
    (thrice.layout.root / second).write_bytes(b"")
    report = show(thrice.layout, COPY)
    assert report.chosen is not None and report.original is None
