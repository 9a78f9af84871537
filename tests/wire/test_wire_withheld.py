"""What identifies the operator is sent, and kept out of the record, which says so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.crawl.wire.fetch import fetch

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(talk):
    while talk.hear():
        talk.say(ANSWER)


def test_secret_fields_are_sent_in_place_and_left_out_of_the_record(serve, make_adapter):
    server = serve(answer)
    headers = (
        ("User-Agent", "test/1"),
        ("COOKIE", "session=caf\xe9"),
        ("Accept", "*/*"),
        ("authorization", "Bearer hush"),
        ("X-Authorization", "shown"),
    )
    adapter = make_adapter()
    exchange = fetch(adapter, server.url, headers).exchange
    adapter.close()
    begun = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: test/1\r\n" % server.port
    assert server.finish().received == (
        begun + b"COOKIE: session=caf\xe9\r\nAccept: */*\r\nauthorization: Bearer hush\r\n"
        b"X-Authorization: shown\r\n\r\n"
    )
    assert exchange.request == begun + b"Accept: */*\r\nX-Authorization: shown\r\n\r\n"
    assert exchange.withheld == ("COOKIE", "authorization")


def test_without_secrets_nothing_is_withheld(serve, make_adapter):
    server = serve(answer)
    adapter = make_adapter()
    exchange = fetch(adapter, server.url, (("User-Agent", "test/1"),)).exchange
    adapter.close()
    assert exchange.withheld == ()
    assert exchange.request == server.finish().received


@pytest.mark.parametrize("name", ["Cookie", "Authorization"])
def test_a_secret_that_would_break_the_request_is_not_shown(name, make_adapter):
    with pytest.raises(ValueError, match="not a header field") as caught:
        fetch(make_adapter(), "http://127.0.0.1/", [(name, "hush\r\nX: y")])
    assert "hush" not in str(caught.value)


def test_as_many_connections_as_are_allowed_wait_for_one_origin(serve, make_adapter):
    together = threading.Barrier(4)

    def meet(talk):
        while talk.hear():
            together.wait(5)
            talk.say(ANSWER)

    # a fifth connection would find no script
    server = serve(*[meet] * 4, parallel=True)
    adapter = make_adapter(max_idle_per_origin=4)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            asked = [threads.submit(fetch, adapter, server.url, ()) for _ in range(4)]
            assert all(each.result().exchange.head.status == 200 for each in asked)
    adapter.close()
    server.finish()
    assert len(server.talks) == 4


def test_no_more_than_the_allowed_connections_are_kept(serve, make_adapter):
    together = threading.Barrier(3)
    gone = threading.Semaphore(0)

    def meet(talk):
        talk.hear()
        together.wait(5)
        talk.say(ANSWER)
        talk.hold()
        gone.release()

    server = serve(*[meet] * 3, parallel=True)
    adapter = make_adapter(max_idle_per_origin=2)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: fetch(adapter, server.url, ()), range(3)))
    assert gone.acquire(timeout=5)
    assert not gone.acquire(blocking=False)
    adapter.close()
    server.finish()
