"""Documents are counted, and found by the record they came from, in whatever state the file is."""

from __future__ import annotations

import gzip
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fixity.documents import Derivations, DocumentLines


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
