"""What `fetch` makes of other adapters' errors, and what requests makes of our adapter."""

from __future__ import annotations

import gzip
import socket
from contextlib import closing

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError

from pipeline.crawl.wire.adapter import WireError
from pipeline.crawl.wire.fetch import fetch
from pipeline.model.exchange import Failed

URL = "http://user:secret@example.org:8080/page"
PEER = "example.org:8080"


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (requests.ConnectTimeout("x"), "timeout", f"no connection to {PEER} in time"),
        (requests.ReadTimeout("x"), "timeout", f"no response from {PEER} in time"),
        (requests.exceptions.SSLError("x"), "tls", f"no TLS with {PEER}"),
        (requests.exceptions.InvalidURL("x"), "url", "not a URL that can be asked for"),
        (requests.exceptions.InvalidSchema("x"), "url", "not a URL that can be asked for"),
        (requests.exceptions.ChunkedEncodingError(), "protocol", f"what {PEER} sent is no HTTP"),
        (
            requests.ConnectionError(ProtocolError("Aborted.", ConnectionResetError(104, "reset"))),
            "disconnect",
            f"{PEER} broke off the connection",
        ),
        (
            requests.ConnectionError(socket.gaierror(-2, "Name or service not known")),
            "dns",
            f"no address for {PEER}",
        ),
        (
            requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")),
            "connect",
            f"connection refused by {PEER}",
        ),
        (requests.ConnectionError("a\nlong story"), "network", f"{PEER}: a long story"),
        (requests.exceptions.ProxyError(), "network", f"{PEER}: ProxyError"),
    ],
)
def test_the_errors_of_an_ordinary_adapter_are_told_in_one_line(error, reason, detail):
    with responses.RequestsMock() as mock:
        mock.get(URL, body=error)
        assert fetch(HTTPAdapter(), URL, {"User-Agent": "x"}) == Failed(reason, detail)


def test_a_name_that_an_ordinary_adapter_cannot_resolve_is_a_dns_failure():
    with closing(HTTPAdapter()) as adapter:
        outcome = fetch(adapter, "http://no-such-host.invalid/", {})
    assert outcome == Failed("dns", "no address for no-such-host.invalid")


def test_a_port_that_refuses_an_ordinary_adapter_is_a_connect_failure():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        peer = f"127.0.0.1:{taken.getsockname()[1]}"
    with closing(HTTPAdapter()) as adapter:
        outcome = fetch(adapter, f"http://{peer}/", {})
    assert outcome == Failed("connect", f"connection refused by {peer}")


def test_a_response_without_wire_bytes_is_never_taken_for_a_capture():
    with responses.RequestsMock() as mock:
        mock.get(URL, body="page")
        with pytest.raises(TypeError, match="does not capture the wire"):
            fetch(HTTPAdapter(), URL, {})


@pytest.fixture
def session(make_adapter):
    with requests.Session() as session:
        session.mount("http://", make_adapter(idle_timeout_s=0.2))
        session.mount("https://", make_adapter())
        yield session


PAGE = "<p>naïve</p>" * 1000


def test_a_session_gets_an_ordinary_response(serve, session):
    coded = gzip.compress(PAGE.encode())
    reply = (
        b"HTTP/1.1 404 Not \xc9\r\nContent-Type: text/html; charset=utf-8\r\nVary: a\r\nvary: b\r\n"
        b"Set-Cookie: a=1\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded)
    )
    server = serve(lambda talk: talk.say(talk.hear() and reply + coded))
    response = session.get(server.url)
    assert (response.status_code, response.reason, response.ok) == (404, "Not É", False)
    assert response.headers["VARY"] == "a, b"
    assert response.text == PAGE
    assert response.content == PAGE.encode()
    assert response.history == []
    assert not session.cookies
    assert response.exchange.response.prefix(8) == b"HTTP/1.1"
    assert response.raw.read() == coded


def test_a_session_can_stream_what_was_chunked_and_cut(serve, session):
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n9\r\npedia"
    server = serve(lambda talk: talk.say(talk.hear() and reply))
    with session.get(server.url, stream=True) as response:
        assert list(response.iter_content(3)) == [b"wik", b"ipe", b"dia"]
    assert response.exchange.truncated == "disconnect"


def test_a_session_raises_what_requests_raises(serve, session):
    silent = serve(lambda talk: (talk.hear(), talk.hold()))
    with pytest.raises(requests.ReadTimeout, match="no response from 127"):
        session.get(silent.url)
    cut = serve(lambda talk: talk.say(talk.hear() and b"HTTP/1.1 2"))
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(cut.url)
    assert isinstance(caught.value, WireError)
    assert caught.value.exchange.response.prefix(99) == b"HTTP/1.1 2"
    untrusted = serve(lambda talk: talk.hear(), tls=True)
    with pytest.raises(requests.exceptions.SSLError):
        session.get(untrusted.url)


def test_proxies_of_the_environment_are_not_asked(serve, session, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = serve(lambda talk: talk.say(talk.hear() and b"HTTP/1.1 204 None\r\n\r\n"))
    assert session.get(server.url).status_code == 204


def test_only_get_is_sent(make_adapter):
    with pytest.raises(ValueError, match="GET"):
        make_adapter().send(requests.Request("POST", "http://127.0.0.1/", data="x").prepare())
