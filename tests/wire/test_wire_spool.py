"""Large responses: the same bytes, in constant memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from pipeline.crawl.wire.fetch import fetch
from pipeline.crawl.wire.spool import Spool
from pipeline.model.exchange import Block

MEGABYTE = 1_000_000


@pytest.mark.parametrize("sizes", [[], [10], [2 << 20], [2 << 20, 1], [1 << 20] * 5])
def test_a_block_gives_what_the_spool_took(sizes):
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    spool = Spool(None)
    for piece in pieces:
        spool.add(piece)
    block = spool.block()
    whole = b"".join(pieces)
    assert block.size == spool.size == len(whole)
    assert b"".join(block.chunks()) == b"".join(block.chunks()) == whole
    for length in (0, 5, len(whole), len(whole) + 5):
        assert block.prefix(length) == whole[:length]
    block.close()


def test_a_spool_that_is_cut_short_behind_our_back_is_not_taken_for_whole(tmp_path):
    with (tmp_path / "spool").open("w+b") as file:
        file.write(b"abc")
        file.flush()
        with pytest.raises(EOFError):
            list(Block(b"", file, 4).chunks())


def test_a_large_body_comes_back_through_requests(serve, make_adapter):
    body = bytes(range(256)) * 20_000
    server = serve(lambda talk: talk.say(talk.hear() and b"HTTP/1.1 200 OK\r\n\r\n" + body))
    exchange = fetch(make_adapter(), server.url, ()).exchange
    assert exchange.payload_size == len(body)
    assert b"".join(exchange.response.chunks()) == server.finish().sent
    exchange.response.close()


CHILD = """
import json, resource, sys
from pipeline.crawl.wire.fetch import fetch
from pipeline.crawl.wire.adapter import WireAdapter

def peak():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024

small, large, folder = sys.argv[1:]
adapter = WireAdapter(spool_folder=folder)
fetch(adapter, small, ()).exchange.response.close()
before = peak()
exchange = fetch(adapter, large, ()).exchange
size = sum(len(piece) for piece in exchange.response.chunks())
exchange.response.close()
adapter.close()
print(json.dumps([peak() - before, size, exchange.block_digest, exchange.payload_digest]))
"""


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_of_100_megabytes_takes_a_few_of_memory(chunked, serve, tmp_path):
    block, payload = hashlib.sha256(), hashlib.sha256()
    piece = bytes(range(250)) * (MEGABYTE // 250)

    def large(talk):
        def send(data: bytes) -> None:
            block.update(data)
            talk.sock.sendall(data)

        talk.hear()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 100000000"
        send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for _ in range(100):
            payload.update(piece)
            send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            send(b"0\r\n\r\n")

    def small(talk):
        # as large as what is held in memory, so that only what is beyond it counts
        talk.hear()
        talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(2_000_000))

    urls = [serve(small).url, serve(large).url]
    child = [sys.executable, "-c", CHILD, *urls, str(tmp_path)]
    result = subprocess.run(child, capture_output=True, text=True, timeout=60, check=True)
    grown, size, block_digest, payload_digest = json.loads(result.stdout)
    assert grown < 4 * MEGABYTE
    assert size > 100 * MEGABYTE
    assert block_digest == f"sha256:{block.hexdigest()}"
    assert payload_digest == f"sha256:{payload.hexdigest()}"
