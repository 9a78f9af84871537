"""Every path that an archive may hold is made and read by the same rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.names import Name, parse

collections = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@given(collections, st.integers(0, 99999), st.integers(1, 99))
def test_what_is_made_is_read_again(collection: str, serial: int, revision: int) -> None:
    name = Name(collection, f"{collection}-20260102030405-{serial:05d}-w0")
    for path, kind, number in (
        (name.warc, "warc", 1),
        (name.members, "members", 1),
        (name.cdxj, "cdxj", 1),
        (name.report, "report", 1),
        (name.page, "report-page", 1),
        (name.documents(revision), "documents", revision),
    ):
        part = parse(path)
        assert part is not None
        assert (part.name, part.kind, part.revision) == (name, kind, number)


@pytest.mark.parametrize(
    "path", ["", "warc/a.warc.gz", "warc/c/a.warc.gz.open", "extracted/c/a.jsonl", "other/c/a.cdxj"]
)
def test_other_paths_are_nothing(path: str) -> None:
    assert parse(path) is None
