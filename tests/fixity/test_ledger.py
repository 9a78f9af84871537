"""The ledger: chained, append-only, and every change to it is noticed."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import IntegrityError
from pipeline.fixity import ledger, merkle
from pipeline.fixity.ledger import Event, SealedFile


def event(number: int, *paths: str) -> Event:
    return Event(
        identifier=f"urn:uuid:{number}",
        type="capture" if number else "creation",
        at=datetime(2026, 1, 2, 5, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))),
        outcome="success",
        agent="1.2.3",
        detail={"run_id": "r", "note": "ü"},
        objects=tuple(SealedFile(path=path, sha256="ab" * 32, size=number) for path in paths),
    )


@pytest.fixture
def book(tmp_path):
    """Give a ledger of five events."""
    path = tmp_path / "fixity" / "ledger.jsonl"
    ledger.append(path, event(0))
    for number in range(1, 5):
        ledger.append(path, event(number, f"warc/c/{number}a", f"warc/c/{number}b"))
    return path


def test_each_line_is_chained_to_the_one_before(book):
    previous = "0" * 64
    for seq, line in enumerate(book.read_bytes().splitlines(keepends=True)):
        value = json.loads(line)
        assert (value["seq"], value["previous"]) == (seq, previous)
        previous = hashlib.sha256(line).hexdigest()
    assert value["eventDateTime"] == "2026-01-02T03:04:05Z"
    assert value["linkingAgent"] == {"name": "holdfast", "version": "1.2.3"}
    assert value["linkingObject"][1] == {"path": "warc/c/4b", "sha256": "ab" * 32, "size": 4}


def test_a_sound_ledger_reads_without_faults(book):
    read = ledger.read(book)
    assert read.faults == ()
    assert (read.size, read.begins) == (5, "creation")
    assert read.root == merkle.root(book.read_bytes().splitlines(keepends=True))
    assert len(read.objects) == 8
    assert read.objects["warc/c/3a"] == SealedFile(path="warc/c/3a", sha256="ab" * 32, size=3)
    assert read.last == {"warc/c/4a", "warc/c/4b"}
    assert read.torn == 0


def test_a_missing_ledger_is_none(tmp_path):
    assert ledger.read(tmp_path / "none") is None
    assert ledger.recover(tmp_path / "none") == 0


@pytest.mark.parametrize("keep", [1, 50, 200])
def test_a_torn_last_line_never_happened_and_is_cut_off_by_the_next_writer(book, keep):
    whole = book.read_bytes()
    ledger.append(book, event(5, "warc/c/5a"))
    book.write_bytes(book.read_bytes()[: len(whole) + keep])
    read = ledger.read(book)
    assert (read.size, read.torn, read.faults) == (5, keep, ())
    assert "warc/c/5a" not in read.objects
    with pytest.raises(IntegrityError):
        ledger.append(book, event(5))
    assert ledger.recover(book) == keep
    assert book.read_bytes() == whole
    assert ledger.recover(book) == 0
    ledger.append(book, event(5, "warc/c/5a"))
    assert ledger.read(book).faults == ()


def test_a_torn_first_line_leaves_an_empty_ledger(tmp_path):
    book = tmp_path / "ledger.jsonl"
    book.write_bytes(b'{"seq":0,' + b"x" * 200_000)
    assert ledger.recover(book) == 200_009
    assert book.read_bytes() == b""
    ledger.append(book, event(0))
    assert ledger.read(book).faults == ()


def test_long_lines_are_chained_too(tmp_path):
    book = tmp_path / "ledger.jsonl"
    ledger.append(book, event(0, *(f"warc/c/{number}" for number in range(5000))))
    ledger.append(book, event(1, *(f"warc/d/{number}" for number in range(5000))))
    ledger.append(book, event(2))
    assert ledger.read(book).faults == ()
    assert ledger.read(book).size == 3


def test_nothing_is_appended_to_a_damaged_last_line(book):
    with book.open("ab") as out:
        out.write(b"nonsense\n")
    with pytest.raises(IntegrityError):
        ledger.append(book, event(6))


def lines_of(book):
    return book.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: lines[1:],
        lambda lines: [*lines[:2], lines[2].replace(b"urn:uuid:2", b"urn:uuid:9"), *lines[3:]],
        lambda lines: [*lines[:2], lines[2].replace(b":", b": ", 1), *lines[3:]],
        lambda lines: [*lines[:2], b"{}\n", *lines[3:]],
        lambda lines: [*lines[:2], b"\n", *lines[2:]],
        lambda lines: [*lines[:2], b"[" * 100_000 + b"\n", *lines[2:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"seq"', b'"Seq"')],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"size":4', b'"size":"4"')],
        lambda lines: [*lines[:-1], lines[-1].replace(b"warc/c/4a", b"../../etc")],
    ],
)
def test_every_change_to_a_whole_line_is_a_fault(book, tamper):
    book.write_bytes(b"".join(tamper(lines_of(book))))
    assert {fault.code for fault in ledger.read(book).faults} <= {"E412", "E421", "E422"}
    assert ledger.read(book).faults


def test_any_flipped_bit_is_a_fault_or_shows_in_the_root(book):
    data, root = book.read_bytes(), ledger.read(book).root
    chance = random.Random(7)
    last_line = len(data) - len(lines_of(book)[-1])
    for _ in range(200):
        at = chance.randrange(len(data) - 1)
        flipped = bytearray(data)
        flipped[at] ^= 1 << chance.randrange(8)
        book.write_bytes(flipped)
        read = ledger.read(book)
        assert read.root != root
        assert read.faults or at >= last_line


def test_a_file_sealed_twice_with_another_digest_is_a_fault(book):
    ledger.append(book, event(3, "warc/c/3a"))
    assert ledger.read(book).faults == ()
    ledger.append(book, event(9, "warc/c/3a"))
    assert [fault.code for fault in ledger.read(book).faults] == ["E413"]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_ledger_never_raise(tmp_path_factory, data):
    book = tmp_path_factory.mktemp("soup") / "ledger.jsonl"
    book.write_bytes(data)
    read = ledger.read(book)
    assert read.size == data.count(b"\n")
    assert read.torn == len(data) - (data.rfind(b"\n") + 1)


def test_times_are_utc(tmp_path):
    book = tmp_path / "ledger.jsonl"
    ledger.append(
        book,
        Event(
            identifier="urn:uuid:0",
            type="creation",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            outcome="success",
            agent="1",
        ),
    )
    assert json.loads(book.read_bytes())["eventDateTime"] == "2026-01-01T00:00:00Z"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4), st.text())
def test_whatever_an_event_tells_is_read_in_its_one_spelling_only(detail, word):
    told = Event(
        identifier="urn:uuid:0",
        type=word,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        outcome="success",
        agent=word,
        detail=detail,
        objects=(SealedFile(path="warc/c/a", sha256="ab" * 32, size=1),),
    )
    line = told.line(0, "0" * 64)
    read = ledger.parse_line(line)
    assert read and (read.eventDetail, read.eventType) == (detail, word)
    respelled = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert respelled == line or ledger.parse_line(respelled) is None


@pytest.mark.parametrize(
    "other",
    [
        lambda line: line.replace(b'"size":1', b'"size":1.0'),
        lambda line: line.replace(b'"size":1', b'"size":01'),
        lambda line: line.replace(b'"size":1', b'"size":1,"size":1'),
        lambda line: line.replace(b'"size":1', b'"size":1,"so":1'),
        lambda line: line.replace(b'"run_id":"r"', b'"run_id":1.5'),
        lambda line: line.replace(b'"run_id":"r"', b'"run_id":1e22'),
        lambda line: line.replace(b'"run_id":"r"', b'"run_id":-0'),
        lambda line: line.replace(b'"run_id":"r"', b'"run_id":"\\u0072"'),
        lambda line: line.replace(b'"run_id":"r"', b'"run_id":"\\ud800"'),
        lambda line: line.replace(b'"run_id":"r"', b'"run_id":"\xff"'),
        lambda line: line.replace(b'"seq":1', b'"seq":true'),
        lambda line: line.replace(b'"seq":1', b'"seq":1,"seq":1'),
        lambda line: line[:-1] + b" \n",
        lambda line: b"\xef\xbb\xbf" + line,
    ],
)
def test_another_spelling_is_no_event(other):
    line = event(1, "warc/c/a").line(1, "0" * 64)
    assert ledger.parse_line(line) is not None
    assert other(line) != line
    assert ledger.parse_line(other(line)) is None
