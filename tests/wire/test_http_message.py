"""HTTP messages as bytes: the head, the framing, and the payload however the block is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.chunked import Dechunker
from pipeline.model.http import (
    MAX_HEAD_BYTES,
    PayloadStream,
    find_head,
    framing,
    keeps_alive,
    payload,
    read_message,
)

OK = b"HTTP/1.1 200 OK\r\n"


def head_of(lines: bytes, start: bytes = OK):
    head = find_head(start + lines + b"\r\n")
    assert head is not None
    return head


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (b"A: 1\r\nb:2\n", ((b"A", b"1"), (b"b", b"2"))),
        (b"Name : value \t\r\n", ((b"Name", b"value"),)),
        (b"A: one\r\n  two\n\tthree\r\nB: x\r\n", ((b"A", b"one two three"), (b"B", b"x"))),
        (b"no colon\r\nA: 1\r\n", ((b"A", b"1"),)),
        (b": no name\r\nA:\r\n", ((b"A", b""),)),
        (b"A: 1\r\na: 2\r\nA: 1\r\n", ((b"A", b"1"), (b"a", b"2"), (b"A", b"1"))),
        (b"\0A: \xe9\0\xff\r\n", ((b"\0A", b"\xe9\0\xff"),)),
        (b"A: b: c\r\n", ((b"A", b"b: c"),)),
        (b"", ()),
    ],
)
def test_fields_are_read_as_written(lines, fields):
    assert head_of(lines).fields == fields


@pytest.mark.parametrize(
    ("line", "version", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1", 200, b"OK"),
        (b"HTTP/1.0 404 Not  Found \n", b"HTTP/1.0", 404, b"Not  Found"),
        (b"HTTP/1.1 999\r\n", b"HTTP/1.1", 999, b""),
        (b"HTTP/1.1   200  \r\n", b"HTTP/1.1", 200, b""),
        (b"\r\nHTTP/1.1 200 \xe9t\xe9\r\n", b"HTTP/1.1", 200, b"\xe9t\xe9"),
        (b"HTTP/2 200 \r\n", b"HTTP/2", 200, b""),
        (b"HTTP/1.1 101 Switching\r\n", b"HTTP/1.1", 101, b"Switching"),
    ],
)
def test_status_lines_are_read_as_written(line, version, status, reason):
    head = head_of(b"", line)
    assert (head.version, head.status, head.reason) == (version, status, reason)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"HTT",
        b"<html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n<html>",
        b"HTTP/1.1 200 " + b"x" * 9000 + b"\r\n\r\n",
        OK + b"A: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
    ids=repr,
)
def test_what_has_no_head_has_none(block):
    assert find_head(block) is None


def test_interim_responses_are_passed_over():
    interim = b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Early Hints\nLink: </a>\n\n"
    final = b"HTTP/1.1 404 No\r\nA: 1\r\n\r\n"
    head = find_head(interim + final + b"body")
    assert (head.status, head.start, head.end) == (404, len(interim), len(interim + final))
    assert head.all(b"LINK") == ()


def test_fields_are_found_in_any_case():
    head = head_of(b"Accept: a, B\r\nACCEPT: ,c \r\nX: 1\r\n")
    assert head.get(b"accept") == b"a, B"
    assert head.all(b"Accept") == (b"a, B", b",c")
    assert head.tokens(b"aCCEPT") == (b"a", b"b", b"c")
    assert head.get(b"none") is None


@pytest.mark.parametrize(
    ("lines", "kind", "length"),
    [
        (b"Content-Length: 5\r\n", "length", 5),
        (b"Content-Length: 005\r\n", "length", 5),
        (b"Content-Length: 5\r\ncontent-length: 5\r\n", "length", 5),
        (b"Content-Length: 5, 5\r\n", "length", 5),
        (b"Content-Length: 5, 6\r\n", "close", 0),
        (b"Content-Length: -5\r\n", "close", 0),
        (b"Content-Length: +5\r\n", "close", 0),
        (b"Content-Length: 5_0\r\n", "close", 0),
        (b"Content-Length: \xb2\r\n", "close", 0),
        (b"Content-Length: 9999999999999999999999\r\n", "close", 0),
        (b"Content-Length:\r\n", "close", 0),
        (b"", "close", 0),
        (b"Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n", "chunked", 0),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "chunked", 0),
        (b"Transfer-Encoding: chunked, gzip\r\nContent-Length: 5\r\n", "close", 0),
        (b"Transfer-Encoding: xchunked\r\n", "close", 0),
    ],
)
def test_framing_follows_rfc_9112_section_6_3(lines, kind, length):
    frame = framing(head_of(lines))
    assert (frame.kind, frame.length) == (kind, length)


@pytest.mark.parametrize("status", [101, 204, 304])
def test_some_statuses_have_no_body(status):
    start = b"HTTP/1.1 %d X\r\n" % status
    assert framing(head_of(b"Content-Length: 5\r\n", start)).kind == "none"


@pytest.mark.parametrize(
    ("start", "lines", "expected"),
    [
        (OK, b"", True),
        (OK, b"Connection: Close\r\n", False),
        (OK, b"Connection: x, close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", b"", False),
        (b"HTTP/1.0 200 OK\r\n", b"Connection: Keep-Alive\r\n", True),
        (b"HTTP/1.1 101 Switching\r\n", b"", False),
    ],
)
def test_connections_persist_as_rfc_9112_section_9_3_says(start, lines, expected):
    assert keeps_alive(head_of(lines, start)) is expected


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello",
        b"5\r\nhell",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n0\r\nX: 1\r\n",
        b"5\r\nhello\r\nzz\r\n",
        b"5\r\nhello__5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n-1\r\n",
        b"5\r\nhello\r\n11111111111111111\r\n",
        b"5\r\nhello\r\n" + b"1" * 9000 + b"\r\n",
        b"5\r\nhello\r\n5" + b" " * 9000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_chunks_that_break_off_give_what_came_before(body):
    message = read_message(OK + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert message.payload == b"hello"[: len(body) - 3]
    assert not message.complete
    assert message.surplus == 0


def test_a_body_that_is_not_chunked_at_all_is_taken_as_it_is():
    message = read_message(OK + b"Transfer-Encoding: chunked\r\n\r\n<html>\nfine")
    assert message.payload == b"<html>\nfine"
    assert message.complete


@pytest.mark.parametrize("size", [b"F" * 16, b"1" * 17, b"8" + b"0" * 299, b"f" * 8000])
def test_a_chunk_of_an_absurd_size_is_one_that_breaks_off(size):
    start = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    for before, data in ((b"", b""), (b"2\r\nab\r\n", b"ab")):
        message = read_message(start + before + size + b"\r\nwiki")
        assert message.payload == data + b"wiki"
        assert not message.complete


def test_a_chunk_size_may_have_any_number_of_zeros_before_it():
    start = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    message = read_message(start + b"0" * 300 + b"4\r\nwiki\r\n" + b"0" * 300 + b"\r\n\r\n")
    assert message.payload == b"wiki" and message.complete


SIZES = st.integers(0, 40)
EXTENSION = st.sampled_from([b"", b" ", b";a", b';q="x;y"', b" ;z=1"])
LINE_END = st.sampled_from([b"\r\n", b"\n"])


@st.composite
def chunked_bodies(draw):
    data = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    body = b""
    for piece in data:
        size = draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % len(piece)
        body += size + draw(EXTENSION) + draw(LINE_END) + piece + draw(LINE_END)
    trailer = draw(st.sampled_from([b"", b"Sum: 1\r\n", b"a:b\nno colon\n"]))
    return b"".join(data), body + b"0" + draw(EXTENSION) + b"\r\n" + trailer + draw(LINE_END)


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(point % (len(data) + 1) for point in points)})
    return [data[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@settings(max_examples=150, deadline=None)
@given(chunked_bodies(), CUTS, st.binary(max_size=20))
def test_chunks_are_undone_however_they_are_cut(body, points, surplus):
    data, coded = body
    dechunker = Dechunker()
    assert b"".join(dechunker.feed(piece) for piece in cut(coded + surplus, points)) == data
    assert dechunker.complete
    assert not dechunker.malformed
    assert dechunker.consumed == len(coded)


HEADS = st.sampled_from(
    [
        OK + b"\r\n",
        OK + b"Content-Length: 20\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\n\n",
        b"HTTP/1.1 103 Hints\r\n\r\n" + OK + b"Content-Length: 3\r\n\r\n",
        b"HTTP/1.1 204 None\r\n\r\n",
        b"HTTP/1.1 20",
        b"HTTP/0 200 \n",
        b"\r\n\r\n",
        b"",
    ]
)
SOUP = st.one_of(
    st.binary(max_size=60), chunked_bodies().map(lambda body: body[1]), st.just(b"5\r\nab")
)


@settings(max_examples=300, deadline=None)
@given(HEADS, SOUP, SOUP, CUTS)
def test_a_block_is_read_the_same_however_it_is_cut(head, body, more, points):
    block = head + body + more
    whole = read_message(block)
    stream = PayloadStream()
    pieces = [bytes(stream.feed(piece)) for piece in cut(block, points)] + [stream.finish()]
    assert b"".join(pieces) == whole.payload
    assert stream.head == whole.head == find_head(block)
    assert (stream.complete, stream.surplus) == (whole.complete, whole.surplus)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(lambda a, b: OK + a + b"\n\n" + b, st.binary(), st.binary()),
    )
)
def test_no_bytes_make_the_reader_raise(block):
    for form in (block, bytearray(block), memoryview(block)):
        head = find_head(form)
        assert head is None or framing(head).length >= 0
    assert len(payload(block)) <= len(block)


@pytest.mark.parametrize(
    "block",
    [
        OK + b"\n a" * 80_000,
        OK + b" " * 250_000,
        b"HTTP/1.1 100 \n\n" * 17_000,
        OK + b"a:\n" * 80_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 40_000,
        b"HTTP/1.1 200 " + b" " * 250_000,
    ],
    ids=["folds", "blanks", "interim", "fields", "chunks", "reason"],
)
def test_hostile_blocks_take_linear_time_in_small_pieces(block):
    # quadratic reading of these would take minutes and not fractions of a second
    stream = PayloadStream()
    for at in range(0, len(block), 7):
        stream.feed(block[at : at + 7])
    stream.finish()
