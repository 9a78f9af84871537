"""Hostile servers: whatever they send without end, memory and time have one."""

from __future__ import annotations

import gzip

import pytest

from pipeline.crawl.wire.fetch import fetch
from pipeline.model.content import decode_content
from pipeline.model.exchange import Failed, Fetched
from pipeline.model.http import MAX_HEAD_BYTES

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 1_000_000
READ = 65_536


def endless(start: bytes, more: bytes):
    def script(talk):
        talk.hear()
        going = talk.say(start)
        while going:
            going = talk.say(more)

    return script


HEADS = {
    "header of 10 MB": (OK, b"X-Large: " + b"y" * 65_000 + b"\r\n"),
    "one field without end": (OK + b"X: ", b"y" * 65_000),
    "one folded field without end": (OK + b"X: y\r\n", b" y\r\n" * 9_000),
    "blank fields": (OK, b":\r\n" * 9_000),
    "interim responses without end": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 900),
    "100 Continue without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000),
}


@pytest.mark.parametrize(("start", "more"), HEADS.values(), ids=HEADS)
def test_a_head_without_end_is_given_up_at_its_limit(start, more, serve, make_adapter):
    server = serve(endless(start, more))
    outcome = fetch(make_adapter(), server.url, ())
    assert isinstance(outcome, Failed)
    assert outcome.reason == "protocol"
    assert MAX_HEAD_BYTES <= outcome.exchange.response.size <= MAX_HEAD_BYTES + READ
    assert outcome.exchange.truncated == "length"


BODIES = {
    "chunk extension without end": (CHUNKED + b"4;", b"x" * 65_000),
    "chunk size without end": (CHUNKED, b"0" * 65_000),
    "trailers without end": (CHUNKED + b"0\r\n", b"X: y\r\n" * 9_000),
    "chunks of one byte": (CHUNKED, b"1;" + b"x" * 4_000 + b"\r\ny\r\n"),
    "a chunk larger than memory": (CHUNKED + b"ffffffffffffff\r\n", b"x" * 65_000),
    "a length larger than memory": (
        OK + b"Content-Length: 999999999999999999\r\n\r\n",
        b"x" * 9_000,
    ),
    "HTTP/0.9": (b"no HTTP", b"x" * 65_000),
    "no length": (OK + b"\r\n", b"x" * 65_000),
    "status line without end": (b"HTTP/1.1 200 ", b"x" * 65_000),
}


@pytest.mark.parametrize(("start", "more"), BODIES.values(), ids=BODIES)
def test_a_body_without_end_is_cut_at_the_size_limit(start, more, serve, make_adapter):
    server = serve(endless(start, more))
    outcome = fetch(make_adapter(max_bytes=LIMIT), server.url, ())
    assert isinstance(outcome, Fetched)
    assert outcome.exchange.response.size == LIMIT
    assert outcome.exchange.truncated == "length"


def test_a_gzip_bomb_is_stored_as_it_is_and_read_up_to_a_limit(serve, make_adapter):
    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
    head = b"Content-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    server = serve(lambda talk: talk.say(talk.hear() and OK + head + bomb))
    exchange = fetch(make_adapter(), server.url, ()).exchange
    assert exchange.payload_size == len(bomb) < 1_000
    decoded = decode_content(bomb, exchange.head, 100_000)
    assert (len(decoded.data), decoded.problem) == (100_000, "content-too-large")
