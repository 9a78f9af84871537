"""The manifest is what sha256sum reads, and nothing else gets in."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fixity import manifest
from pipeline.fixity.manifest import Manifest, is_safe

A, B = "a" * 64, "b" * 64

names = st.from_regex(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}\Z")
paths = st.builds(
    lambda top, parts: "/".join([top, *parts]),
    st.sampled_from(["warc", "extracted"]),
    st.lists(names, min_size=1, max_size=3),
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(paths, digests, max_size=8))
def test_what_is_written_is_read_back(entries):
    read = Manifest.parse(Manifest(entries=entries).encode())
    assert read.entries == entries
    assert read.faults == ()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_become_faults(data):
    read = Manifest.parse(data)
    assert read.faults or read.encode() == data


def test_sha256sum_checks_it(tmp_path):
    (tmp_path / "warc" / "c").mkdir(parents=True)
    entries = {}
    for name in ("b", "a", "a-b", "B", "a.b"):
        path = tmp_path / "warc" / "c" / name
        path.write_bytes(name.encode())
        entries[f"warc/c/{name}"] = hashlib.sha256(name.encode()).hexdigest()
    manifest.write(tmp_path / manifest.NAME, Manifest(entries=entries))
    lines = (tmp_path / manifest.NAME).read_bytes().splitlines()
    assert [line[66:] for line in lines] == sorted(line[66:] for line in lines)
    command = ["sha256sum", "-c", "--strict", "--quiet", manifest.NAME]
    subprocess.run(command, cwd=tmp_path, check=True)


def test_a_missing_manifest_is_none(tmp_path):
    assert manifest.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{A} warc/c/a", "E411"),
        (f"{A} *warc/c/a", "E411"),
        (f"{A.upper()}  warc/c/a", "E411"),
        (f"{A[:-1]}  warc/c/a", "E411"),
        (f"\\{A}  warc/c/a", "E411"),
        ("", "E411"),
        (f"{A}  /etc/passwd", "E412"),
        (f"{A}  ../secret", "E412"),
        (f"{A}  warc/../../secret", "E412"),
        (f"{A}  warc/./c", "E412"),
        (f"{A}  warc//c", "E412"),
        (f"{A}  warc/c/", "E412"),
        (f"{A}  warc/c/ä", "E412"),
        (f"{A}  warc/c/a b", "E412"),
        (f"{A}  config.toml", "E412"),
        (f"{A}  fixity/ledger.jsonl", "E412"),
        (f"{A}  warc/{'a' * 2000}", "E412"),
    ],
)
def test_a_line_that_is_not_allowed_is_a_fault_and_no_entry(line, code):
    read = Manifest.parse(f"{B}  warc/c/0\n{line}\n".encode())
    assert [fault.code for fault in read.faults] == [code]
    assert read.entries == {"warc/c/0": B}


def test_lines_must_be_sorted_and_single():
    for text in (f"{A}  warc/b\n{A}  warc/a\n", f"{A}  warc/a\n{B}  warc/a\n"):
        read = Manifest.parse(text.encode())
        assert [fault.code for fault in read.faults] == ["E411"]
        assert read.entries["warc/a"] == A


def test_a_manifest_without_last_line_end_is_a_fault():
    assert [fault.code for fault in Manifest.parse(f"{A}  warc/a".encode()).faults] == ["E411"]


def test_faults_are_bounded():
    assert len(Manifest.parse(b"nonsense\n" * 5000).faults) == 100


def test_a_sealed_file_cannot_be_added_with_another_digest():
    before = Manifest(entries={"warc/a": A})
    assert before.adding({"warc/a": A, "warc/b": B}).entries == {"warc/a": A, "warc/b": B}
    with pytest.raises(ValueError, match="cannot change"):
        before.adding({"warc/a": B})
    with pytest.raises(ValueError, match="not a path"):
        before.adding({"warc/../b": B})


@pytest.mark.parametrize("path", ["warc/a", "extracted/c/N-0_1.jsonl.gz", "warc/a..b/c"])
def test_plain_paths_are_safe(path):
    assert is_safe(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "warc",
        "/warc/a",
        "warc/a\n",
        "warc/a/../b",
        "warc/.a",
        "warc/..a/b",
        "WARC/a",
        "warc\\a",
    ],
)
def test_other_paths_are_not(path):
    assert not is_safe(path)


def test_a_manifest_without_end_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    line = b"0" * 64 + b"  warc/c/a\n"
    path.write_bytes(line)
    os.truncate(path, 1 << 36)
    read = manifest.read(path)
    assert read is not None
    assert read.entries == {"warc/c/a": "0" * 64}
    assert [fault.code for fault in read.faults] == ["E411"]
