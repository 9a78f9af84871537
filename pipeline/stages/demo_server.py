"""The demo site, served on loopback the way a server of 1999 would have served it.

For `holdfast demo`. The pages are package data (pipeline/demo_site); a server knows only these few
paths, reads nothing else from the disk, and says in no Content-Type what charset a page is in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from msgspec import Struct

_LAST_CHANGED: Final = "Sat, 16 Jan 1999 11:20:00 GMT"
_IDLE_S: Final = 10

_TYPES = {
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".txt": "text/plain",
}
# the package holds plain file names; on the site they were what the Society's Macintosh allowed
_NAMES_ON_SITE = {
    "/letters/keepers-letter.html": "/letters/keeper's letter.html",
    "/letters/cafe-ledger.html": "/letters/caf\u00e9 ledger.html",
}
_MOVED = {"/old-news.html": "/news.html"}


class _Answer(Struct, frozen=True):
    status: HTTPStatus
    media_type: str
    body: bytes
    location: str | None = None


@contextmanager
def serve() -> Iterator[str]:
    """Serve the site on a free port of 127.0.0.1 and give its address, `http://127.0.0.1:PORT/`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(_site())) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="demo-site")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _handler(site: dict[str, _Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "LanternHTTP/1.0"
        sys_version = ""
        timeout = _IDLE_S
        # head and body in one packet: apart, each page would wait for a delayed acknowledgement
        wbufsize = -1

        def do_GET(self) -> None:
            answer = site.get(path_of(self.path)) or _not_found(self.path)
            self.send_response(answer.status)
            if answer.location:
                self.send_header("Location", answer.location)
            if answer.status == HTTPStatus.OK:
                self.send_header("Last-Modified", _LAST_CHANGED)
            self.send_header("Content-Type", answer.media_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the demo tells its own story."""

    return Handler


def path_of(url: str) -> str:
    """Decode the path of a URL as servers do that have outlived several charsets."""
    raw = unquote_to_bytes(urlsplit(url).path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _site() -> dict[str, _Answer]:
    site = dict(_pages(files("pipeline") / "demo_site", "/"))
    site["/"] = site["/index.html"]
    for old, new in _MOVED.items():
        site[old] = _page(HTTPStatus.MOVED_PERMANENTLY, f"The news is at {new} now.", new)
    return site


def _pages(folder: Traversable, prefix: str) -> Iterator[tuple[str, _Answer]]:
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            yield from _pages(entry, path + "/")
            continue
        media_type = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type:
            answer = _Answer(HTTPStatus.OK, media_type, entry.read_bytes())
            yield _NAMES_ON_SITE.get(path, path), answer


def _page(status: HTTPStatus, words: str, location: str | None = None) -> _Answer:
    body = f"<HTML><HEAD><TITLE>{status.phrase}</TITLE></HEAD><BODY><P>{words}</BODY></HTML>\n"
    return _Answer(status, "text/html", body.encode("ascii"), location)


def _not_found(path: str) -> _Answer:
    asked = escape(path.encode("ascii", "replace").decode("ascii"))
    return _page(HTTPStatus.NOT_FOUND, f"There is no {asked} on this server.")
