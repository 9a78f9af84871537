"""Proxies: every kind leads to the page, none enters the record, and trouble does not name them."""

from __future__ import annotations

import base64
import socket
import ssl

import pytest

from pipeline.crawl.rules.addresses import Admission
from pipeline.crawl.rules.proxy import Proxy
from pipeline.crawl.wire.fetch import fetch
from pipeline.errors import ConfigError
from pipeline.model.exchange import Failed, Fetched

HEADERS = (("User-Agent", "test/1"),)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOGIN = base64.b64encode(b"me:p@ss").decode()
NONE = Admission.of([], ())


def proxy_at(server, scheme: str, user: str = "") -> Proxy:
    return Proxy.parse(f"{scheme}://{user}127.0.0.1:{server.port}")


def exactly(talk, size: int) -> bytes:
    """Read so many bytes of a request that is no HTTP."""
    data = b""
    while len(data) < size:
        piece = talk.sock.recv(size - len(data))
        assert piece, f"the client hung up after {data!r}"
        data += piece
    return data


def page(talk) -> bytes:
    request = talk.hear()
    talk.say(ANSWER)
    return request


def stored(exchange) -> bytes:
    return b"".join(exchange.response.chunks())


def test_an_http_proxy_is_asked_for_the_whole_url_and_its_password_is_withheld(serve, make_adapter):
    server = serve(lambda talk: (page(talk), page(talk)))
    adapter = make_adapter(proxy=proxy_at(server, "http", "me:p%40ss@"))
    for _ in range(2):
        exchange = fetch(adapter, "http://example.org/a?b", HEADERS).exchange
    recorded = b"GET http://example.org/a?b HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test/1\r\n"
    assert exchange.request == recorded + b"\r\n"
    secret = f"Proxy-Authorization: Basic {LOGIN}\r\n".encode()
    assert server.finish().received == (recorded + secret + b"\r\n") * 2
    assert exchange.withheld == ("Proxy-Authorization",)
    assert exchange.ip_address == ""
    assert stored(exchange) == ANSWER


def through_tunnel(context: ssl.SSLContext, heard: list[bytes]):
    def script(talk):
        heard.append(talk.hear())
        talk.say(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        with context.wrap_socket(talk.sock, server_side=True) as talk.sock:
            heard.append(talk.hear())
            talk.say(ANSWER)

    return script


def test_an_http_proxy_opens_a_tunnel_for_tls_that_is_not_recorded(
    serve, certificates, make_adapter
):
    heard: list[bytes] = []
    server = serve(through_tunnel(certificates.server_context(), heard))
    adapter = make_adapter(tls=True, proxy=proxy_at(server, "http", "me:p%40ss@"))
    exchange = fetch(adapter, "https://localhost/", HEADERS).exchange
    server.finish()
    assert heard[0] == (
        b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n"
        b"Proxy-Authorization: Basic " + LOGIN.encode() + b"\r\n\r\n"
    )
    assert exchange.request == heard[1]
    assert stored(exchange) == ANSWER
    assert (exchange.withheld, exchange.ip_address, exchange.tls.untrusted) == ((), "", "")


@pytest.mark.parametrize(
    ("says", "reason", "detail"),
    [
        (b"HTTP/1.1 407 Who?\r\n\r\n", "proxy", "the proxy asks for a user and password"),
        (b"HTTP/1.1 403 No \x1b[31m\r\n\r\n", "proxy", "localhost:443: 403 No \ufffd[31m"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "proxy", "localhost:443: 502 Bad Gateway"),
        (b"SSH-2.0-x\r\n", "proxy", "localhost:443: its answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000, "proxy", "its answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "proxy", "it speaks before it is asked"),
        (b"HTTP/1.1 2", "proxy", "the proxy hung up"),
        (b"", "proxy", "the proxy hung up"),
    ],
)
def test_an_http_proxy_that_opens_no_tunnel(says, reason, detail, serve, make_adapter):
    server = serve(lambda talk: talk.say(talk.hear() and says))
    outcome = fetch(make_adapter(proxy=proxy_at(server, "http")), "https://localhost/", HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert detail in outcome.detail
    assert str(server.port) not in outcome.detail


def test_an_http_proxy_that_wants_a_password_has_given_no_page(serve, make_adapter):
    server = serve(lambda talk: talk.say(talk.hear() and b"HTTP/1.1 407 Who?\r\n\r\n"))
    outcome = fetch(make_adapter(proxy=proxy_at(server, "http")), "http://example.org/", HEADERS)
    assert outcome == Failed("proxy", "the proxy asks for a user and password, or for others")


SOCKS5_OK = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"
SOCKS4_OK = b"\x00\x5a" + bytes(6)
NAMED = b"\x0bexample.org"


def socks(*steps: bytes | int):
    """Hear each of the bytes given, answer with the ones after, then serve a page."""

    def script(talk):
        for hear, say in zip(steps[::2], steps[1::2], strict=True):
            assert exactly(talk, len(hear)) == hear
            talk.say(say)
        page(talk)

    return script


@pytest.mark.parametrize(
    ("scheme", "user", "url", "steps"),
    [
        (
            "socks5h",
            "",
            "http://example.org/",
            (b"\x05\x01\x00", b"\x05\x00", b"\x05\x01\x00\x03" + NAMED + b"\0\x50", SOCKS5_OK),
        ),
        (
            "socks5h",
            "me:p%40ss@",
            "http://example.org:8080/",
            (
                b"\x05\x02\x00\x02",
                b"\x05\x02",
                b"\x01\x02me\x04p@ss",
                b"\x01\x00",
                b"\x05\x01\x00\x03" + NAMED + b"\x1f\x90",
                b"\x05\x00\x00\x03\x01x\x00\x00",
            ),
        ),
        (
            "socks5",
            "",
            "http://localhost/",
            (b"\x05\x01\x00", b"\x05\x00", b"\x05\x01\x00\x01\x7f\0\0\x01\0\x50", SOCKS5_OK),
        ),
        (
            "socks5",
            "",
            "http://[::1]/",
            (
                b"\x05\x01\x00",
                b"\x05\x00",
                b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00P",
                b"\x05\x00\x00\x04" + bytes(18),
            ),
        ),
        ("socks4", "", "http://127.0.0.1/", (b"\x04\x01\0\x50\x7f\0\0\x01\0", SOCKS4_OK)),
        (
            "socks4a",
            "me@",
            "http://example.org/",
            (b"\x04\x01\0\x50\0\0\0\x01me\0example.org\0", SOCKS4_OK),
        ),
    ],
)
def test_socks_proxies_lead_to_the_page(scheme, user, url, steps, serve, make_adapter):
    with pytest.MonkeyPatch.context() as patch:
        only_ipv4 = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
        patch.setattr("socket.getaddrinfo", lambda *_, **__: only_ipv4)
        server = serve(socks(*steps))
        exchange = fetch(make_adapter(proxy=proxy_at(server, scheme, user)), url, HEADERS).exchange
    assert stored(exchange) == ANSWER
    assert exchange.request == server.finish().received
    assert exchange.ip_address == ""


def test_tls_works_through_socks(serve, certificates, make_adapter):
    def script(talk):
        exactly(talk, 3)
        talk.say(b"\x05\x00")
        exactly(talk, 4 + 1 + 9 + 2)
        talk.say(SOCKS5_OK)
        with certificates.server_context().wrap_socket(talk.sock, server_side=True) as talk.sock:
            page(talk)

    server = serve(script)
    adapter = make_adapter(tls=True, proxy=proxy_at(server, "socks5h"))
    exchange = fetch(adapter, "https://localhost/", HEADERS).exchange
    assert stored(exchange) == ANSWER
    assert exchange.tls.version


@pytest.mark.parametrize(
    ("scheme", "says", "reason", "detail"),
    [
        ("socks5h", b"\x05\xff", "proxy", "asks for a user and password"),
        ("socks5h", b"\x05\x02", "proxy", "asks for a user and password"),
        ("socks5h", b"HT", "proxy", "it does not speak SOCKS 5"),
        ("socks5h", b"\x05\x00\x05\x02\x00\x01", "proxy", "its rules forbid it"),
        ("socks5h", b"\x05\x00\x05\x05\x00\x01", "connect", "the connection was refused"),
        ("socks5h", b"\x05\x00\x05\x04\x00\x01", "connect", "the host is unreachable"),
        ("socks5h", b"\x05\x00\x05\x63\x00\x01", "proxy", "reply 99"),
        ("socks5h", b"\x05\x00\x05\x00\x00\x07", "proxy", "its answer is no SOCKS"),
        ("socks5h", b"\x05\x00\x05\x00", "proxy", "the proxy hung up"),
        ("socks5h", b"", "proxy", "the proxy hung up"),
        ("socks4a", b"\x00\x5b" + bytes(6), "proxy", "reply 91"),
        ("socks4a", b"\x00", "proxy", "the proxy hung up"),
    ],
)
def test_socks_proxies_that_lead_nowhere(scheme, says, reason, detail, serve, make_adapter):
    def script(talk):
        talk.sock.recv(3)
        talk.say(says)
        talk.sock.shutdown(socket.SHUT_WR)
        talk.hold()

    server = serve(script)
    adapter = make_adapter(proxy=proxy_at(server, scheme))
    outcome = fetch(adapter, "http://example.org/", HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert detail in outcome.detail
    assert str(server.port) not in outcome.detail


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks4a"])
def test_a_proxy_that_says_nothing_is_a_timeout(scheme, serve, make_adapter):
    server = serve(lambda talk: talk.hold())
    adapter = make_adapter(proxy=proxy_at(server, scheme), connect_timeout_s=0.1)
    outcome = fetch(adapter, "https://example.org/", HEADERS)
    assert outcome == Failed("timeout", "no way through the proxy to example.org:443 in 0.1 s")


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h", "socks4", "socks4a"])
def test_a_proxy_that_is_not_there_is_not_named(scheme, make_adapter):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    adapter = make_adapter(proxy=Proxy.parse(f"{scheme}://127.0.0.1:{port}"))
    outcome = fetch(adapter, "http://127.0.0.1/", HEADERS)
    assert outcome == Failed("proxy", "no connection to the proxy")


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h", "socks4", "socks4a"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "127.1"])
def test_hosts_within_are_refused_also_through_a_proxy(scheme, host, serve, make_adapter):
    server = serve()
    adapter = make_adapter(proxy=proxy_at(server, scheme), admission=NONE)
    outcome = fetch(adapter, f"http://{host}/", HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "address"


def test_the_proxy_itself_may_stand_within(serve, make_adapter):
    server = serve(page)
    adapter = make_adapter(proxy=proxy_at(server, "http"), admission=NONE)
    assert isinstance(fetch(adapter, "http://example.org/", HEADERS), Fetched)


def test_a_proxy_of_the_right_kind_is_read():
    proxy = Proxy.parse(" SOCKS5h://user:p%3Ass@[::1]:9050/ ")
    assert proxy == Proxy(scheme="socks5h", host="::1", port=9050, user=b"user", password=b"p:ss")
    assert str(proxy) == "socks5h://[::1]:9050"
    assert "p:ss" not in repr(proxy)
    assert "user" not in repr(proxy)
    assert Proxy.parse("http://proxy.lan").port == 3128
    assert Proxy.parse("socks4://proxy.lan").port == 1080


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy",
        "https://p:1",
        "socks6://p:1",
        "http://p:0",
        "http://p:65536",
        "http://p/path",
        "http://a b@p:1",
        "http://u:hush@p:1\r\nX: y",
        "socks4://u:hush@p:1",
        "http://a%3Ab:hush@p",
        f"socks5://u:{'x' * 256}@p",
        "socks5://u:hush%00@p",
        "http://u:hush@:80",
        "http://[::1",
    ],
)
def test_what_is_no_proxy_is_refused_and_not_quoted(text):
    with pytest.raises(ConfigError) as caught:
        Proxy.parse(text)
    assert "hush" not in str(caught.value)
