"""pywb as a judge: what we store by reference must come back from a replay tool that is not ours.

It is given the archive's folder as it is: the WARC files, and their indexes merged into one.
pywb is under the GPL and stays outside of this project's environment. HOLDFAST_PYWB names the
folder of its commands (`build/pywb/bin`); CONTRIBUTING.md says how to make it.
"""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

FOLDER = os.environ.get("HOLDFAST_PYWB")
LIMIT_S = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="HOLDFAST_PYWB names no folder with pywb's commands"),
]

PAGE = b"<html><body><p>" + b"the words that are stored once. " * 40
PACKED = gzip.compress(b"<html><body><p>" + b"packed words. " * 40, mtime=0)
SAME = "identical-payload-digest"
UNCHANGED = "server-not-modified"
HTML = "Content-Type: text/html; charset=utf-8"

Replay = Callable[[str, str], tuple[int, bytes]]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Gives a redirect as the answer that it is."""

    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Callable[[Path], Replay]]:
    """Serve the archive at a path, read only, and give what pywb shows of a URL at a time."""
    running: list[subprocess.Popen[bytes]] = []

    def start(root: Path) -> Replay:
        indexes = [index.read_bytes().splitlines(True) for index in root.glob("warc/*/*.cdxj")]
        index = tmp_path / "all.cdxj"
        index.write_bytes(b"".join(sorted(chain(*indexes))))
        folders = "".join(f"      - {folder}/\n" for folder in root.glob("warc/*"))
        (tmp_path / "config.yaml").write_text(
            f"collections:\n  all:\n    index_paths: {index}\n    archive_paths:\n{folders}"
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert FOLDER
        command = [Path(FOLDER).resolve() / "wayback", "-b", "127.0.0.1", "-p", str(port)]
        with (tmp_path / "pywb.log").open("wb") as log:
            server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        running.append(server)
        _wait_for(port, server, tmp_path / "pywb.log")

        def get(url: str, timestamp: str) -> tuple[int, bytes]:
            # id_: as it was captured, without banner and rewriting
            address = f"http://127.0.0.1:{port}/all/{timestamp}id_/{url}"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
            try:
                with opener.open(address, timeout=LIMIT_S) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        return get

    yield start
    for server in running:
        server.kill()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + LIMIT_S
    while time.monotonic() < give_up:
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_a_site_that_was_crawled_twice_is_replayed_as_it_was_at_each_time(
    archive: Any, site: Any, replay: Any
) -> None:
    """Responses, the same payload under another URL, redirects, and pages that had not changed."""
    links = "".join(f'<a href="/{name}">x</a>' for name in ("page", "copy", "packed", "moved"))
    site.add("/", links, headers={"ETag": '"1"'})
    site.add("/page", PAGE, headers={"ETag": '"1"'})
    site.add("/copy", PAGE)
    site.add("/packed", PACKED, headers={"ETag": '"1"', "Content-Encoding": "gzip"})
    site.add("/moved", "<p>it is elsewhere", status=302, headers={"Location": "/copy"})
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    archive.json("crawl")
    expected = {"": links.encode(), "page": PAGE, "copy": PAGE}
    expected["packed"] = gzip.decompress(PACKED)

    show = replay(archive.root)
    shown: Counter[tuple[str, str]] = Counter()
    for fields, _ in archive.records():
        path = fields.get("WARC-Target-URI", "").removeprefix(f"{site.address}/")
        kind = fields["WARC-Type"]
        if path not in {*expected, "moved"} or kind not in ("response", "revisit"):
            continue
        moment = "".join(filter(str.isdigit, fields["WARC-Date"][:19]))
        status, body = unpacked(show(f"{site.address}/{path}", moment))
        if path == "moved":
            assert (kind, status) == (kind, 302)
        else:
            assert (path, kind, status, body) == (path, kind, 200, expected[path])
        shown[kind, fields.get("WARC-Profile", "").rpartition("/")[2]] += 1
    assert shown == {("response", ""): 4, ("revisit", SAME): 3, ("revisit", UNCHANGED): 3}


def unpacked(told: tuple[int, bytes]) -> tuple[int, bytes]:
    """Undo the content coding, which pywb may leave in place."""
    status, shown = told
    return status, gzip.decompress(shown) if shown.startswith(b"\x1f\x8b") else shown


def chunked(body: bytes, *fields: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", HTML, "Transfer-Encoding: chunked", *fields])
    return head.encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_every_revisit_is_replayed_with_the_payload_that_it_refers_to(
    shelf: Any, replay: Any
) -> None:
    first = shelf.begin()
    page = first.add("http://example.org/page", PAGE, [HTML, 'ETag: "1"'])
    pieces = first.add("http://example.org/pieces", raw=chunked(PAGE + b"in pieces"))
    packed = first.add("http://example.org/packed", PACKED, [HTML, "Content-Encoding: gzip"])
    first.seal()
    second = shelf.begin()
    second.add("http://example.org/copy", PAGE, [HTML], repeats=(SAME, page))
    second.add("http://example.org/page", PAGE, [HTML], repeats=(SAME, page))
    # the same payload in chunks; the other way round pywb would show the chunk sizes
    second.add("http://example.org/split", raw=chunked(PAGE), repeats=(SAME, page))
    again = chunked(PAGE + b"in pieces")
    second.add("http://example.org/pieces-too", raw=again, repeats=(SAME, pieces))
    gzipped = [HTML, "Content-Encoding: gzip"]
    second.add("http://example.org/packed-too", PACKED, gzipped, repeats=(SAME, packed))
    second.seal()
    third = shelf.begin()
    for original in (page, pieces, packed):
        unchanged = (UNCHANGED, original)
        third.add(original.url, fields=['ETag: "1"'], status="304 Not Modified", repeats=unchanged)
    third.seal()

    show = replay(shelf.layout.root)
    in_pieces, plain = PAGE + b"in pieces", gzip.decompress(PACKED)
    for day, path, payload in [
        ("02", "page", PAGE),
        ("02", "pieces", in_pieces),
        ("02", "packed", plain),
        ("03", "copy", PAGE),
        ("03", "page", PAGE),
        ("03", "pieces-too", in_pieces),
        ("03", "split", PAGE),
        ("03", "packed-too", plain),
        ("04", "page", PAGE),
        ("04", "pieces", in_pieces),
        ("04", "packed", plain),
    ]:
        told = show(f"http://example.org/{path}", f"202601{day}000005")
        assert (day, path, *unpacked(told)) == (day, path, 200, payload)
    assert show("http://example.org/never", "20260102000000")[0] == 404
