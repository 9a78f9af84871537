"""Connections: kept, replaced and given up as the server behaves; trouble is told in one line."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from pipeline.crawl.wire.fetch import fetch
from pipeline.errors import ConfigError, StorageError
from pipeline.model.exchange import Failed, Fetched

HEADERS = (("User-Agent", "test/1"),)


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def body_of(outcome: Fetched | Failed) -> bytes:
    assert isinstance(outcome, Fetched)
    return b"".join(outcome.exchange.response.chunks()).partition(b"\r\n\r\n")[2]


def answers(*bodies: bytes):
    """Answer one request with each body on one connection, then close it."""

    def script(talk):
        for body in bodies:
            talk.hear()
            talk.say(answer(body))

    return script


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_connection_is_kept_for_the_next_request(tls, serve, make_adapter):
    server = serve(answers(b"one", b"two", b"three"), tls=tls)
    adapter = make_adapter(tls=tls)
    bodies = [body_of(fetch(adapter, server.url, HEADERS)) for _ in range(3)]
    assert bodies == [b"one", b"two", b"three"]


def test_a_kept_connection_that_the_server_has_closed_is_replaced(serve, make_adapter):
    closed = threading.Event()

    def script(talk):
        talk.hear()
        talk.say(answer(b"one"))
        talk.sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    server = serve(script, answers(b"two"))
    adapter = make_adapter()
    assert body_of(fetch(adapter, server.url, HEADERS)) == b"one"
    closed.wait(5)
    assert body_of(fetch(adapter, server.url, HEADERS)) == b"two"


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_kept_connection_closed_on_our_request_is_retried_on_a_new_one(
    end, tls, serve, make_adapter
):
    def script(talk):
        talk.hear()
        talk.say(answer(b"one"))
        talk.hear()
        if end == "reset":
            talk.reset()

    server = serve(script, answers(b"two"), tls=tls)
    adapter = make_adapter(tls=tls)
    assert body_of(fetch(adapter, server.url, HEADERS)) == b"one"
    outcome = fetch(adapter, server.url, HEADERS)
    assert body_of(outcome) == b"two"
    assert outcome.exchange.request == server.finish().received


def test_a_request_is_retried_only_once(serve, make_adapter):
    server = serve(answers(b"one"), lambda talk: talk.hear(), answers(b"never asked for"))
    adapter = make_adapter()
    fetch(adapter, server.url, HEADERS)
    outcome = fetch(adapter, server.url, HEADERS)
    assert outcome == Failed(
        "disconnect", f"127.0.0.1:{server.port} closed the connection without a response"
    )
    assert len(server.talks) == 2


def test_an_answer_that_has_begun_is_not_asked_for_again(serve, make_adapter):
    def script(talk):
        talk.hear()
        talk.say(answer(b"one"))
        talk.hear()
        talk.say(b"HTTP/1.1 200")

    server = serve(script, answers(b"never asked for"))
    adapter = make_adapter()
    fetch(adapter, server.url, HEADERS)
    outcome = fetch(adapter, server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.exchange.response.prefix(99) == b"HTTP/1.1 200"


def test_what_comes_unasked_on_an_idle_connection_is_no_answer(serve, make_adapter):
    captured, spoken = threading.Event(), threading.Event()

    def script(talk):
        talk.hear()
        talk.say(answer(b"one"))
        captured.wait(5)
        talk.say(answer(b"poison"))
        spoken.set()
        talk.hold()

    server = serve(script, answers(b"two"))
    adapter = make_adapter()
    fetch(adapter, server.url, HEADERS)
    captured.set()
    spoken.wait(5)
    assert body_of(fetch(adapter, server.url, HEADERS)) == b"two"


def test_a_connection_with_bytes_after_the_body_is_not_used_again(serve, make_adapter):
    def script(talk):
        talk.hear()
        talk.say(answer(b"one") + b"more")
        talk.hold()

    server = serve(script, answers(b"two"))
    adapter = make_adapter()
    assert body_of(fetch(adapter, server.url, HEADERS)) == b"onemore"
    assert body_of(fetch(adapter, server.url, HEADERS)) == b"two"


def test_the_connection_idle_longest_is_closed_when_there_are_too_many(serve, make_adapter):
    gone = threading.Event()

    def script(talk):
        talk.hear()
        talk.say(answer(b"one"))
        talk.hold()
        gone.set()

    first = serve(script)
    others = [serve(answers(b"x", b"y")) for _ in range(2)]
    adapter = make_adapter(max_idle=2)
    fetch(adapter, first.url, HEADERS)
    for other in others:
        fetch(adapter, other.url, HEADERS)
    assert gone.wait(5)
    assert [body_of(fetch(adapter, other.url, HEADERS)) for other in others] == [b"y", b"y"]


def test_threads_share_an_adapter_and_get_their_own_pages(serve, make_adapter):
    def echo(talk):
        while request := talk.hear():
            talk.say(answer(request.split(b" ")[1] * 500))

    # fewer connections are kept than threads use: they take each other's connections away
    servers = [serve(*[echo] * 40) for _ in range(4)]
    adapter = make_adapter(max_idle=2)

    def visit(number: int) -> bool:
        path = f"page{number}"
        outcome = fetch(adapter, servers[number % 4].url + path, HEADERS)
        return body_of(outcome) == f"/{path}".encode() * 500

    with ThreadPoolExecutor(4) as threads:
        lanes = [
            threads.submit(lambda lane=lane: [visit(4 * n + lane) for n in range(30)])
            for lane in range(4)
        ]
        assert all(all(lane.result()) for lane in lanes)


def test_ipv6_addresses_are_asked_and_recorded(serve, make_adapter):
    try:
        server = serve(answers(b"six"), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    exchange = fetch(make_adapter(), server.url, HEADERS).exchange
    assert exchange.ip_address == "::1"
    assert b"\r\nHost: [::1]:%d\r\n" % server.port in exchange.request


def test_tls_version_and_cipher_are_recorded(serve, make_adapter):
    server = serve(answers(b"secret"), tls=True)
    exchange = fetch(make_adapter(tls=True), server.url, HEADERS).exchange
    talk = server.finish()
    assert exchange.tls.version.startswith("TLSv1.")
    assert exchange.tls.cipher
    assert talk.sent == b"".join(exchange.response.chunks())


def test_a_host_name_is_resolved_and_checked_against_the_certificate(serve, make_adapter):
    server = serve(answers(b"named"), tls=True)
    url = f"https://localhost:{server.port}/"
    exchange = fetch(make_adapter(tls=True), url, HEADERS).exchange
    assert exchange.ip_address == "127.0.0.1"
    assert b"\r\nHost: localhost:%d\r\n" % server.port in exchange.request


def test_an_untrusted_certificate_is_a_failure_that_says_so(serve, make_adapter):
    server = serve(answers(b"never"), tls=True)
    outcome = fetch(make_adapter(), server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "tls"
    assert outcome.detail.startswith(f"the certificate of 127.0.0.1:{server.port} is not trusted: ")


def test_tls_with_a_plain_server_is_a_tls_failure(serve, make_adapter):
    server = serve(lambda talk: talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    outcome = fetch(make_adapter(), server.url.replace("http:", "https:"), HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "tls"
    assert "\n" not in outcome.detail


def test_a_server_that_never_shakes_hands_is_a_timeout(serve, make_adapter):
    server = serve(lambda talk: talk.hold())
    adapter = make_adapter(connect_timeout_s=0.1)
    outcome = fetch(adapter, server.url.replace("http:", "https:"), HEADERS)
    assert outcome == Failed("timeout", f"no TLS handshake with 127.0.0.1:{server.port} in 0.1 s")


def test_a_refused_connection_says_who_refused(make_adapter):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = fetch(make_adapter(), f"http://127.0.0.1:{port}/", HEADERS)
    assert outcome == Failed("connect", f"connection refused by 127.0.0.1:{port}")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "a..b"])
def test_a_name_without_an_address_is_a_dns_failure(host, make_adapter):
    outcome = fetch(make_adapter(), f"http://{host}/", HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "dns"
    assert outcome.detail.startswith(f"no address for {host}: ")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "http://",
        "http:///path",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://example.org/a b",
        "http://example.org/caf\xe9",
        "http://exämple.org/",
        "http://[::1/",
        "http://example.org/\r\nX-Evil: 1",
        "http://example.org\n/",
    ],
)
def test_a_url_that_cannot_be_sent_is_not_sent(url, make_adapter):
    outcome = fetch(make_adapter(), url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "url"
    assert outcome.detail.isprintable()


@pytest.mark.parametrize("field", [("X", "a\r\nY: b"), ("X\r\nY", "a"), ("", "a"), ("X", "☃")])
def test_header_fields_that_would_break_the_request_are_a_bug(field, make_adapter):
    with pytest.raises(ValueError, match="not a header field"):
        fetch(make_adapter(), "http://127.0.0.1/", [field])


def test_the_clock_is_the_one_that_was_passed_in(serve, make_adapter):
    server = serve(answers(b"now"))
    moment = datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
    ticks = iter([10.0, 10.5])
    adapter = make_adapter(now=lambda: moment, monotonic=lambda: next(ticks, 12.25))
    exchange = fetch(adapter, server.url, HEADERS).exchange
    assert exchange.started_at == moment
    assert exchange.duration_ms == 2250


def test_a_bundle_that_is_no_bundle_is_the_operators_error(tmp_path, make_adapter):
    with pytest.raises(ConfigError, match=r"missing\.pem: No such file"):
        make_adapter(ca_bundle=tmp_path / "missing.pem")
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(ConfigError, match="expected certificates in PEM form"):
        make_adapter(ca_bundle=tmp_path / "junk.pem")


def test_a_disk_that_takes_no_spool_is_the_operators_error(tmp_path, serve, make_adapter):
    server = serve(answers(b"x" * 3_000_000))
    adapter = make_adapter(spool_folder=tmp_path / "missing")
    with pytest.raises(StorageError, match="could not be kept on the disk"):
        fetch(adapter, server.url, HEADERS)
