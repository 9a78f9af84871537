"""Stored bytes are the bytes on the wire, whatever the server does: one row for each behaviour."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass

import pytest

from pipeline.crawl.wire.fetch import fetch
from pipeline.model.digest import sha256
from pipeline.model.exchange import Exchange, Failed, Fetched
from pipeline.model.http import read_message

HEADERS = (("User-Agent", "test/1 (+https://example.org)"), ("accept", "*/*"), ("X-Odd", "caf\xe9"))
WIKI = b"wiki"
PAGE = b"<html><title>A page</title><p>" + b"some words " * 40 + b"</html>"
GZIPPED = gzip.compress(PAGE, mtime=0)
BROTLI = bytes.fromhex("8b0580") + b"a page\x03"


@dataclass(frozen=True)
class Case:
    """What the server sends after the request, how it ends, and what must be stored."""

    answer: bytes
    status: int | None = 200
    payload: bytes = PAGE
    truncated: str | None = None
    failed: str | None = None
    then: str = "close"


def sized(body: bytes, head: bytes = b"", size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, length, body)


def chunked(*lines: bytes, head: bytes = b"") -> bytes:
    start = b"HTTP/1.1 200 OK\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n"
    return start + b"".join(lines)


def chunks(data: bytes, size: int = 100) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


LAST = b"0\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\n"
MANY = b"".join(b"X-Field-%d: %d\r\n" % (n, n) for n in range(300))

CASES = {
    "content-length": Case(sized(PAGE), then="hold"),
    "content-length and close": Case(sized(PAGE, b"Connection: close\r\n")),
    "no bytes in the body": Case(sized(b""), payload=b"", then="hold"),
    "chunked": Case(chunked(chunks(PAGE), LAST), then="hold"),
    "chunk extensions": Case(chunked(b'4;a=b;c="d e"\r\nwiki\r\n', b"0;x\r\n\r\n"), payload=WIKI),
    "chunk trailers": Case(
        chunked(b"4\r\nwiki\r\n", b"0\r\nX-Sum: 1\r\nY:\r\n\r\n"), payload=WIKI, then="hold"
    ),
    "odd hex case in chunk sizes": Case(
        chunked(b"00000a\r\n0123456789\r\n", b"1A\r\n", b"z" * 26, b"\r\n000\r\n\r\n"),
        payload=b"0123456789" + b"z" * 26,
    ),
    "blanks round chunk sizes": Case(chunked(b"4  \r\nwiki\r\n", b"0 \r\n\r\n"), payload=WIKI),
    "LF-only chunks": Case(chunked(b"4\nwiki\n0\n\n"), payload=WIKI, then="hold"),
    "gzip": Case(sized(GZIPPED, b"Content-Encoding: gzip\r\n"), payload=GZIPPED, then="hold"),
    "gzip and chunked": Case(
        chunked(chunks(GZIPPED, 7), LAST, head=b"Content-Encoding: gzip\r\n"), payload=GZIPPED
    ),
    "broken gzip": Case(
        sized(GZIPPED[:30] + b"broken", b"Content-Encoding: gzip\r\n"),
        payload=GZIPPED[:30] + b"broken",
    ),
    "br bytes": Case(sized(BROTLI, b"Content-Encoding: br\r\n"), payload=BROTLI, then="hold"),
    "LF-only head": Case(b"HTTP/1.1 200 OK\nContent-Length: 4\n\nwiki", payload=WIKI),
    "mixed line ends": Case(b"HTTP/1.1 200 OK\nA:\r\nContent-Length: 4\n\r\nwiki", payload=WIKI),
    "folded header": Case(sized(PAGE, b"X-Long: one\r\n  two\r\n\tthree\r\n"), then="hold"),
    "folded content-length": Case(PLAIN + b"Content-Length:\r\n 4\r\n\r\nwiki", payload=WIKI),
    "blank before the colon": Case(PLAIN + b"Content-Length : 4\r\n\r\nwiki", payload=WIKI),
    "duplicate headers": Case(sized(PAGE, b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nX:\r\nX:\r\n")),
    "latin-1 in a header": Case(sized(PAGE, b"X-Title: caf\xe9\r\n"), then="hold"),
    "UTF-8 in a header": Case(sized(PAGE, "X-Title: ☃\r\n".encode()), then="hold"),
    "NUL in a header": Case(sized(PAGE, b"X-\0Nul: a\0b\r\n"), then="hold"),
    "non-ASCII reason": Case(b"HTTP/1.1 200 \xfcber\r\nContent-Length: 0\r\n\r\n", payload=b""),
    "empty reason": Case(b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", payload=b"", then="hold"),
    "no reason": Case(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", payload=b"", then="hold"),
    "100 first": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + sized(PAGE), then="hold"),
    "102 and 103 first": Case(
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        + sized(PAGE),
        then="hold",
    ),
    "204": Case(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", then="hold"),
    "304": Case(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", then="hold"),
    "101": Case(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 101, b""),
    "302": Case(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nhi", 302, b"hi"),
    **{
        f"status {status}": Case(
            b"HTTP/1.1 %d Odd\r\nContent-Length: 2\r\n\r\nhi" % status, status, b"hi", then="hold"
        )
        for status in (299, 404, 599, 999)
    },
    "HTTP/1.0 until close": Case(OLD + PAGE),
    "HTTP/1.0 with length": Case(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwiki", payload=WIKI),
    "HTTP/0.9": Case(PAGE, status=None),
    "no status line but HTTP/": Case(b"HTTP/fast is a talk\n", None, b"HTTP/fast is a talk\n"),
    "content-length too large": Case(sized(PAGE, size=9999), truncated="disconnect"),
    "content-length too small": Case(sized(PAGE, size=10), payload=PAGE[:10]),
    "content-length twice": Case(sized(PAGE, b"Content-Length: %d\r\n" % len(PAGE)), then="hold"),
    "content-lengths disagree": Case(sized(PAGE, b"Content-Length: 5\r\n")),
    "content-length malformed": Case(PLAIN + b"Content-Length: -4\r\n\r\nwiki", payload=WIKI),
    "content-length beside chunked": Case(
        chunked(chunks(PAGE), LAST, head=b"Content-Length: 3\r\n"), then="hold"
    ),
    "chunked is not the last coding": Case(
        PLAIN + b"Transfer-Encoding: chunked, gzip\r\n\r\nwiki", payload=WIKI
    ),
    "chunked in name only": Case(chunked(PAGE)),
    "chunk end missing": Case(
        chunked(b"4\r\nwiki5\r\npedia"), truncated="disconnect", payload=WIKI
    ),
    "end within a chunk": Case(chunked(b"ff\r\nwiki"), truncated="disconnect", payload=WIKI),
    "end within a chunk of an absurd size": Case(
        chunked(b"F" * 300 + b"\r\nwiki"), truncated="disconnect", payload=WIKI
    ),
    "end before the last chunk": Case(chunked(chunks(PAGE)), truncated="disconnect"),
    "end in the trailers": Case(chunked(chunks(PAGE), b"0\r\nX: 1\r\n"), truncated="disconnect"),
    "70 kB header": Case(sized(PAGE, b"X-Large: " + b"y" * 70_000 + b"\r\n"), then="hold"),
    "300 headers": Case(sized(PAGE, MANY), then="hold"),
    "header line without a colon": Case(sized(PAGE, b"no colon here\r\n"), then="hold"),
    "bytes after the body": Case(sized(PAGE) + b"and more", then="hold"),
    "bytes after the last chunk": Case(chunked(chunks(PAGE), LAST) + b"and more", then="hold"),
    "bytes after 204": Case(b"HTTP/1.1 204 No Content\r\n\r\nhi", 204, b"", then="hold"),
    "reset in the body": Case(sized(PAGE, size=9999), truncated="disconnect", then="reset"),
    "reset in a body until close": Case(OLD + PAGE, truncated="disconnect", then="reset"),
    "reset in the head": Case(PLAIN, None, PLAIN, "disconnect", "disconnect", then="reset"),
    "end in the head": Case(PLAIN, None, PLAIN, "disconnect", "disconnect"),
    "end after 100": Case(
        b"HTTP/1.1 100 Go\r\n\r\n", None, b"HTTP/1.1 100 Go\r\n\r\n", "disconnect", "disconnect"
    ),
    "reset before the answer": Case(b"", failed="disconnect", then="reset"),
    "empty reply": Case(b"", failed="disconnect"),
}


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_both_blocks_are_the_bytes_on_the_wire(case, tls, serve, make_adapter):
    def script(talk):
        talk.hear()
        talk.say(case.answer)
        if case.then == "hold":
            talk.hold()
        elif case.then == "reset":
            # let the client read first: a reset may overtake what it has not read yet
            threading.Event().wait(0.05)
            talk.reset()

    server = serve(script, tls=tls)
    adapter = make_adapter(tls=tls)
    outcome = fetch(adapter, server.url, HEADERS)
    adapter.close()
    talk = server.finish()
    assert talk.sent == case.answer
    if case.failed:
        assert isinstance(outcome, Failed)
        assert outcome.reason == case.failed
    else:
        assert isinstance(outcome, Fetched)
    if not case.answer:
        assert outcome.exchange is None
        return
    exchange = outcome.exchange
    check(exchange, case.answer, case)
    assert exchange.request == talk.received
    assert (exchange.tls is not None) == tls


def check(exchange: Exchange, block: bytes, case: Case) -> None:
    assert stored(exchange) == block
    assert exchange.block_digest == sha256(block)
    assert (exchange.head and exchange.head.status) == case.status
    assert exchange.payload_digest == sha256(case.payload)
    assert exchange.payload_size == len(case.payload)
    assert exchange.truncated == case.truncated
    assert exchange.ip_address == "127.0.0.1"
    # who reads the stored block later must see the same payload, and the same wholeness
    message = read_message(block)
    assert message.payload == case.payload
    assert message.complete == (case.truncated is None) or case.then == "reset"


def stored(exchange: Exchange) -> bytes:
    return b"".join(exchange.response.chunks())


@pytest.mark.parametrize(
    "case", ["chunk trailers", "102 and 103 first", "gzip and chunked", "HTTP/0.9"]
)
def test_a_server_that_sends_one_byte_at_a_time_makes_no_difference(case, serve, make_adapter):
    answer = CASES[case].answer

    def script(talk):
        talk.hear()
        for at in range(len(answer)):
            talk.say(answer[at : at + 1])

    server = serve(script)
    outcome = fetch(make_adapter(), server.url, HEADERS)
    check(outcome.exchange, answer, CASES[case])


def test_the_request_has_its_fields_as_given_and_in_order(serve, make_adapter):
    server = serve(lambda talk: talk.say(talk.hear() and sized(PAGE)))
    url = server.url + "a%20b/../c?q=%E9&r#fragment"
    exchange = fetch(make_adapter(), url, HEADERS).exchange
    assert server.finish().received == (
        b"GET /a%%20b/../c?q=%%E9&r HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"User-Agent: test/1 (+https://example.org)\r\naccept: */*\r\nX-Odd: caf\xe9\r\n\r\n"
        % server.port
    )
    assert exchange.request == server.talks[0].received
    assert exchange.url == url


def drip(start: bytes):
    def script(talk):
        talk.hear()
        going = talk.say(start)
        while going:
            threading.Event().wait(0.01)
            going = talk.say(b"1")

    return script


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_slow_drip_is_cut_at_the_deadline_and_kept(tls, serve, make_adapter):
    server = serve(drip(sized(b"", size=9999)), tls=tls)
    outcome = fetch(make_adapter(tls=tls, deadline_s=0.4), server.url, HEADERS)
    block = stored(outcome.exchange)
    assert outcome.exchange.truncated == "time"
    assert server.finish().sent.startswith(block)
    assert block.startswith(sized(b"1", size=9999))
    assert not read_message(block).complete


def test_a_head_that_drips_past_the_deadline_fails_and_is_kept(serve, make_adapter):
    server = serve(drip(PLAIN + b"X: "))
    outcome = fetch(make_adapter(deadline_s=0.3), server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "timeout"
    assert outcome.exchange.truncated == "time"
    assert server.finish().sent.startswith(stored(outcome.exchange))


def test_silence_in_the_body_is_cut_and_what_came_is_kept(serve, make_adapter):
    def script(talk):
        talk.hear()
        talk.say(sized(PAGE, size=9999))
        talk.hold()

    server = serve(script)
    exchange = fetch(make_adapter(idle_timeout_s=0.1), server.url, HEADERS).exchange
    assert exchange.truncated == "time"
    assert stored(exchange) == server.finish().sent


def test_silence_instead_of_an_answer_is_a_timeout(serve, make_adapter):
    server = serve(lambda talk: (talk.hear(), talk.hold()))
    outcome = fetch(make_adapter(idle_timeout_s=0.1), server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "timeout"
    assert outcome.exchange is None


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize(
    "start",
    [OLD, sized(b"", size=1 << 40), chunked(b"fffffff\r\n"), b"<html>"],
    ids=["until close", "length", "chunked", "HTTP/0.9"],
)
def test_an_endless_body_is_cut_at_exactly_the_size_limit(start, tls, serve, make_adapter):
    def script(talk):
        talk.hear()
        going = talk.say(start)
        while going:
            going = talk.say(b"x" * 8192)

    server = serve(script, tls=tls)
    exchange = fetch(make_adapter(tls=tls, max_bytes=100_000), server.url, HEADERS).exchange
    block = stored(exchange)
    assert exchange.truncated == "length"
    assert len(block) == 100_000
    assert server.finish().sent.startswith(block)
    assert exchange.payload_digest == sha256(read_message(block).payload)


@pytest.mark.parametrize("answer", [sized(PAGE), OLD + PAGE], ids=["length", "until close"])
def test_a_body_that_just_fits_the_size_limit_is_whole(answer, serve, make_adapter):
    server = serve(lambda talk: talk.say(talk.hear() and answer))
    exchange = fetch(make_adapter(max_bytes=len(answer)), server.url, HEADERS).exchange
    assert exchange.truncated is None
    assert stored(exchange) == answer


def test_what_follows_the_body_is_kept_up_to_the_size_limit(serve, make_adapter):
    answer = sized(PAGE) + b"and more"
    server = serve(lambda talk: talk.say(talk.hear() and answer))
    exchange = fetch(make_adapter(max_bytes=len(answer) - 4), server.url, HEADERS).exchange
    assert exchange.truncated is None
    assert stored(exchange) == answer[:-4]


def test_bytes_that_come_some_time_after_the_body_are_kept(serve, make_adapter):
    def script(talk):
        talk.hear()
        talk.say(sized(PAGE, b"Connection: close\r\n"))
        threading.Event().wait(0.05)
        talk.say(b"and more")

    server = serve(script)
    exchange = fetch(make_adapter(linger_s=5.0), server.url, HEADERS).exchange
    assert stored(exchange) == server.finish().sent
    assert exchange.payload_digest == sha256(PAGE)


def test_bytes_that_wait_behind_a_full_read_are_kept(serve, make_adapter):
    # head and body fill one read of the socket exactly
    head = sized(b"", size=65_494)
    answer = head + b"x" * (65_536 - len(head))

    def script(talk):
        talk.hear()
        talk.say(answer + b"and more")
        talk.hold()

    server = serve(script)
    exchange = fetch(make_adapter(), server.url, HEADERS).exchange
    assert stored(exchange) == answer + b"and more"
    assert exchange.payload_size == 65_494


def test_a_head_without_end_fails_and_is_kept(serve, make_adapter):
    def script(talk):
        talk.hear()
        going = talk.say(PLAIN)
        while going:
            going = talk.say(b"X-Field: " + b"y" * 8192 + b"\r\n")

    server = serve(script)
    outcome = fetch(make_adapter(), server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "protocol"
    assert outcome.exchange.truncated == "length"
    assert server.finish().sent.startswith(stored(outcome.exchange))
