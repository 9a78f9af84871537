"""Documents are counted, and found by the record they came from, in whatever state the file is."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fixity.documents import Derivations, DocumentLines, paired, place_of
from pipeline.model.document import MAX_LINE


def lines(count: int) -> list[bytes]:
    return [
        json.dumps(
            {
                "id": f"doc{number}",
                "text": random.Random(number).randbytes(100).hex(),
                "provenance": {"record_id": f"urn:uuid:{number}", "offset": number * 100},
            }
        ).encode()
        for number in range(count)
    ]


def write(folder, data):
    path = folder / "n.jsonl.gz"
    path.write_bytes(data)
    return path


def test_documents_of_a_record_are_found_by_id_or_else_by_place(tmp_path):
    path = write(tmp_path, gzip.compress(b"\n".join(lines(10)) + b"\n"))
    derived = Derivations()
    derived.read(DocumentLines(path))
    assert derived.names == [f"doc{n}" for n in range(10)]
    assert derived.of(300, 100, None) == ("doc3",)
    assert derived.of(250, 151, None) == ("doc3", "doc4")
    assert derived.of(300, 100, "urn:uuid:7") == ("doc7",)
    assert derived.of(300, 100, "urn:uuid:77") == ()
    assert derived.of(5000, 1, None) == ()


def test_whole_documents_are_counted(tmp_path):
    read = DocumentLines(write(tmp_path, gzip.compress(b"a\n") + gzip.compress(b"b\nc\n")))
    assert list(read) == [b"a", b"b", b"c"]
    assert (read.count, read.trouble) == (3, "")


def test_an_empty_file_of_documents_has_none(tmp_path):
    read = DocumentLines(write(tmp_path, gzip.compress(b"")))
    assert list(read) == []
    assert (read.count, read.trouble) == (0, "")


def test_what_precedes_the_damage_is_read(tmp_path):
    whole = gzip.compress(b"".join(line + b"\n" for line in lines(2000)))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for data in (bytes(damaged), whole[: len(whole) // 2]):
        read = DocumentLines(write(tmp_path, data))
        Derivations().read(read)
        assert read.trouble
        assert 0 < read.count < 2000


def test_a_last_line_without_end_is_trouble(tmp_path):
    read = DocumentLines(write(tmp_path, gzip.compress(b"a\nb")))
    assert list(read) == [b"a"]
    assert read.trouble


@pytest.mark.parametrize(("size", "read"), [(MAX_LINE, True), (MAX_LINE + 1, False)])
def test_a_line_is_read_up_to_the_limit_and_in_linear_time(tmp_path, size, read):
    """Whoever makes it quadratic again will wait for this test for minutes."""
    data = b"first\n" + b"x" * (size - 1) + b"\nlast\n"
    seen = DocumentLines(write(tmp_path, gzip.compress(data, 1)))
    assert [len(line) + 1 for line in seen] == ([6, MAX_LINE, 5] if read else [6])
    assert bool(seen.trouble) is not read


def test_a_line_without_end_is_not_gathered_for_ever(tmp_path):
    seen = DocumentLines(write(tmp_path, gzip.compress(b"a\n" + bytes(2 * MAX_LINE), 1)))
    assert list(seen) == [b"a"]
    assert str(MAX_LINE) in seen.trouble


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=20))
def test_lines_come_out_as_they_went_in(tmp_path_factory, written):
    members = (gzip.compress(line[:7]) + gzip.compress(line[7:] + b"\n") for line in written)
    seen = DocumentLines(write(tmp_path_factory.mktemp("lines"), b"".join(members)))
    assert list(seen) == written
    assert (seen.count, seen.trouble) == (len(written), "")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise(tmp_path_factory, data, compressed):
    path = write(tmp_path_factory.mktemp("soup"), gzip.compress(data) if compressed else data)
    Derivations().read(DocumentLines(path))


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["id", "provenance", "offset"]), x),
    )
)
def test_no_json_raises(tmp_path_factory, value):
    path = write(tmp_path_factory.mktemp("soup"), gzip.compress(json.dumps(value).encode() + b"\n"))
    Derivations().read(DocumentLines(path))


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 40)))
def test_what_has_the_same_place_is_paired_and_nothing_is_lost(ours, theirs):
    ascending = [(n, n) for n in sorted(ours)]
    pairs = list(paired(iter(ascending), iter([(n, n) for n in theirs])))
    assert [one for one, _ in pairs if one is not None] == sorted(ours)
    assert [other for _, other in pairs if other is not None] == theirs
    assert all(one == other for one, other in pairs if None not in (one, other))
    if theirs == sorted(set(theirs)):
        assert {one for one, other in pairs if one == other} == ours & set(theirs)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id":"x"}',
        b'{"id":1,"provenance":{"offset":1}}',
        b'{"id":"x","provenance":{"offset":1.5}}',
        b'{"id":"x","provenance":{"offset":1,"record_id":7}}',
        b'{"id":"x","provenance":{"offset":1},"more":' + b"[" * 100_000,
        b'{"id":"\xff","provenance":{"offset":1}}',
    ],
)
def test_a_line_that_does_not_tell_where_it_came_from_has_no_place(line):
    assert place_of(line) is None


def test_more_lines_than_there_can_be_documents_are_not_read(tmp_path):
    read = DocumentLines(write(tmp_path, gzip.compress(b"\n" * 9_000_000)))
    assert sum(1 for _ in read) < 4_000_000
    assert "more than" in read.trouble
