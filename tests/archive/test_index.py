"""Lines of the two sidecars, and look-up in sorted indexes."""

from __future__ import annotations

import json

import pytest
from cdxj_indexer.main import CDXJIndexer
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archive.index import (
    BadLine,
    capture_line,
    find_captures,
    find_members,
    is_listed,
    member_line,
    members_in,
    parse_capture,
    parse_member,
    timestamp,
)
from pipeline.archive.validator import inspect
from pipeline.model import canonical
from pipeline.model.records import Capture, Member

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
counts = st.integers(0, 1 << 62)
members = st.builds(
    Member,
    offset=counts,
    length=counts,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    type=text,
    record_id=text,
    date=text,
    uri=st.none() | text,
    block_digest=st.none() | text,
    payload_digest=st.none() | text,
)
captures = st.builds(
    Capture,
    key=st.from_regex(r"\A[!-~]{1,20}\Z"),
    timestamp=st.from_regex(r"\A[1-9][0-9]{3}(0[1-9]|1[0-2])[0-9]{8}\Z"),
    url=text,
    mime=text,
    status=st.none() | text,
    digest=st.none() | text,
    offset=counts,
    length=counts,
    filename=text,
)


@settings(max_examples=100, deadline=None)
@given(members)
def test_a_member_line_is_canonical_json_and_reads_back(member):
    line = member_line(member)
    assert line == canonical.line(json.loads(line))
    assert parse_member(line) == member


@settings(max_examples=100, deadline=None)
@given(captures)
def test_a_capture_line_is_canonical_json_of_strings_and_reads_back(capture):
    line = capture_line(capture)
    value = json.loads(line.split(b" ", 2)[2])
    assert all(isinstance(each, str) for each in value.values())
    assert line.endswith(canonical.line(value))
    assert parse_capture(line) == capture


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    ).map(lambda value: json.dumps(value).encode() + b"\n")
)
def test_what_is_no_line_is_refused(line):
    for parse in (parse_member, parse_capture):
        with pytest.raises(BadLine):
            parse(line)
        with pytest.raises(BadLine):
            parse(b"org,example)/ 20260101000000 " + line)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:-1],
        lambda line: line.replace(b":", b": ", 1),
        lambda line: line.replace(b'"offset":0', b'"offset":0.0'),
        lambda line: line.replace(b'"offset":0', b'"offset":"0"'),
        lambda line: line.replace(b'"offset"', b'"Offset"'),
        lambda line: line.replace(b"}", b',"zone":1}'),
        lambda line: b"[" * 100_000,
    ],
)
def test_a_member_line_has_one_spelling(site, tmp_path, spoil):
    line = member_line(inspect(site.write(tmp_path), "t").members[0])
    with pytest.raises(BadLine):
        parse_member(spoil(line))


def test_a_bad_line_is_named_by_its_number(site, tmp_path):
    path = tmp_path / "t.members.jsonl"
    lines = [member_line(member) for member in inspect(site.write(tmp_path), "t").members]
    path.write_bytes(b"".join([*lines[:3], b"{}\n"]))
    with pytest.raises(BadLine, match="line 4"):
        list(members_in(path))


def test_cdxj_indexer_finds_the_same_captures_with_the_same_keys(site, tmp_path):
    site.response(
        "http://WWW.Example.ORG:80/B/../a?z=1&y=%41", b"x", b"HTTP/1.0 404 No\r\nServer: x\r\n\r\n"
    )
    path = site.write(tmp_path)
    theirs = tmp_path / "theirs.cdxj"
    CDXJIndexer(str(theirs), [str(path)], sort=True).process_all()
    mine = inspect(path, "t.warc.gz").captures
    told = [parse_capture(line) for line in theirs.read_bytes().splitlines(keepends=True)]
    assert len(mine) == 9
    assert [
        (c.key, c.timestamp, c.url, c.mime, c.status, c.digest, c.offset, c.length) for c in mine
    ] == [(c.key, c.timestamp, c.url, c.mime, c.status, c.digest, c.offset, c.length) for c in told]


def test_captures_of_a_url_are_found_by_bisection(tmp_path):
    pages = [f"http://example.org/{number:04}" for number in range(0, 2000, 2)]
    lines = sorted(
        capture_line(
            Capture(
                key=f"org,example)/{url[-4:]}",
                timestamp=f"202601{day}000000",
                url=url,
                mime="text/html",
                status="200",
                digest=None,
                offset=number,
                length=1,
                filename="t.warc.gz",
            )
        )
        for number, url in enumerate(pages)
        for day in ("01", "02")
    )
    path = tmp_path / "t.cdxj"
    path.write_bytes(b"".join(lines))
    for number, url in enumerate(pages):
        found = [(capture.timestamp[:8], capture.offset) for capture in find_captures(path, url)]
        assert found == [("20260101", number), ("20260102", number)]
    for url in (
        "http://example.org/0001",
        "http://example.org/",
        "http://zzz.org/",
        "http://a.aa/",
    ):
        assert list(find_captures(path, url)) == []


@pytest.mark.parametrize("piece", [1, 150, 1 << 20])
def test_members_of_a_uri_are_found_wherever_they_lie(site, tmp_path, monkeypatch, piece):
    monkeypatch.setattr("pipeline.archive.index._PIECE", piece)
    path = tmp_path / "t.members.jsonl"
    members = inspect(site.write(tmp_path), "t").members
    path.write_bytes(b"".join([b"nonsense\n", *map(member_line, members), b'{"offset":']))
    for uri in (members[1].uri, members[-1].uri):
        expected = [member for member in members if member.uri == uri]
        assert len(expected) == 3
        assert list(find_members(path, uri)) == expected
    assert list(find_members(path, "http://example.org/page")) == []


def test_a_line_without_end_is_not_kept_in_memory(site, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.index._PIECE", 64)
    monkeypatch.setattr("pipeline.archive.index._MAX_LINE", 1000)
    path = tmp_path / "t.members.jsonl"
    members = inspect(site.write(tmp_path), "t").members
    path.write_bytes(b"x" * 5000 + b"\n" + b"".join(map(member_line, members)))
    assert len(list(find_members(path, members[-1].uri))) == 3


@pytest.mark.parametrize("kind", ["response", "revisit"])
def test_an_answer_304_is_in_no_index(warc, tmp_path, kind):
    """A replay tool would give it for the page."""
    warc.warcinfo()
    head = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    more = {
        "WARC_Refers_To_Target_URI": "http://example.org/",
        "WARC_Refers_To_Date": "2026-01-01T00:00:00Z",
        "WARC_Profile": "http://netpreserve.org/warc/1.1/revisit/server-not-modified",
    }
    warc.add(kind, head, WARC_Target_URI="http://example.org/", **more)
    warc.response("http://example.org/", b"x", b"HTTP/1.1 303 See Other\r\n\r\n")
    found = inspect(warc.write(tmp_path), "t.warc.gz")
    assert [capture.status for capture in found.captures] == ["303"]
    assert [member.type for member in found.members][1] == kind


@given(captures)
def test_a_capture_without_a_status_is_listed(capture):
    assert is_listed(capture) == (capture.status != "304")


@pytest.mark.parametrize(
    ("date", "digits"),
    [
        ("2026-02-03T04:05:06.789Z", "20260203040506"),
        ("2026-02-03T04:05Z", "20260203040500"),
        ("2026-02", "20260201000000"),
        ("2026", "20260101000000"),
    ],
)
def test_what_a_date_leaves_open_is_the_earliest(date, digits):
    assert timestamp(date) == digits


def test_unreadable_lines_are_passed_over(tmp_path):
    path = tmp_path / "t.cdxj"
    path.write_bytes(b"org,example)/ 2026 nonsense\norg,example)/ x\n")
    assert list(find_captures(path, "http://example.org/")) == []


@pytest.mark.parametrize(
    "time", ["2026", "nonsense", "2026010100000", "202601010000000", "20261301000000", "0" * 14]
)
def test_a_time_is_fourteen_digits_of_a_year_and_a_month(site, tmp_path, time):
    (line, *_) = inspect(site.write(tmp_path), "t").index
    assert parse_capture(line).timestamp == "20260203040506"
    with pytest.raises(BadLine):
        parse_capture(line.replace(b"20260203040506", time.encode()))
