"""What all tests share: the installed command, a web site on loopback, a check of the whole."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator

HOLDFAST = Path(sys.executable).with_name("holdfast")
LIMIT_S = 120


@dataclass
class Answer:
    """What the site says to one path."""

    body: bytes = b""
    media_type: str = "text/html"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    then: Answer | None = None
    """What is said the next time."""


@dataclass
class Site:
    """A web site on loopback: pages by path, and a log of what was asked for."""

    address: str
    pages: dict[str, Answer] = field(default_factory=dict)
    log: list[tuple[float, str]] = field(default_factory=list)
    headers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """What was asked for, and the header fields of the request in lower case."""
    in_flight: int = 0
    most_in_flight: int = 0

    def add(self, path: str, body: str | bytes, **answer: Any) -> None:
        """Put a page on the site."""
        data = body.encode() if isinstance(body, str) else body
        self.pages[path] = Answer(data, **answer)

    def link_chain(self, count: int, delay_s: float = 0.0) -> None:
        """Put an index on the site that links to `count` pages."""
        links = "".join(f'<a href="p{i}.html">{i}</a> ' for i in range(count))
        self.add("/", f"<html><body>{links}</body></html>")
        for i in range(count):
            self.add(f"/p{i}.html", f"<html><body><p>page {i}</body></html>", delay_s=delay_s)

    def asked(self, path: str | None = None) -> list[str]:
        """Give the paths that were asked for, or how often one was."""
        return [asked for _, asked in self.log if path in (None, asked)]


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve a site that a test fills with pages."""
    with serve_site("127.0.0.1") as served:
        yield served


@pytest.fixture
def serve() -> Iterator[Callable[[str], Site]]:
    """Serve more sites, each on its own loopback address."""
    running = []

    def start(address: str) -> Site:
        manager = serve_site(address)
        running.append(manager)
        return manager.__enter__()

    yield start
    for manager in running:
        manager.__exit__(None, None, None)


class serve_site:  # noqa: N801 used like a function
    """Serve a site in threads for as long as the context lasts."""

    def __init__(self, host: str) -> None:
        site = Site("")
        self._server = ThreadingHTTPServer((host, 0), _handler(site))
        self._server.daemon_threads = True
        site.address = f"http://{host}:{self._server.server_port}"
        self.site = site

    def __enter__(self) -> Site:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self.site

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True
        timeout = 30

        def do_GET(self) -> None:
            with lock:
                site.log.append((time.time(), self.path))
                asked = {name.lower(): value for name, value in self.headers.items()}
                site.headers.append((self.path, asked))
                site.in_flight += 1
                site.most_in_flight = max(site.most_in_flight, site.in_flight)
                answer = site.pages.get(self.path, Answer(b"not here", status=404))
                site.pages[self.path] = answer.then or answer
            etag = answer.headers.get("ETag")
            if etag and asked.get("if-none-match") == etag:
                answer = Answer(status=304, headers={"ETag": etag})
            time.sleep(answer.delay_s)
            with lock:
                site.in_flight -= 1
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 304:
                self.send_header("Content-Type", answer.media_type)
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Say nothing on the terminal."""

    return Handler


@dataclass
class Archive:
    """An archive made for a test, used through the installed command."""

    root: Path

    def collection(self, name: str, text: str) -> None:
        """Write seeds/NAME.toml or, where the text is a plain list, NAME.txt."""
        ending = "toml" if "seeds" in text else "txt"
        (self.root / "seeds" / f"{name}.{ending}").write_text(text)

    def command(self, *words: str) -> list[str]:
        """Give the command line for a verb."""
        return [str(HOLDFAST), "-C", str(self.root), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def json(self, *words: str, exit_code: int = 0) -> dict[str, Any]:
        """Run a verb with --json and give the object it prints."""
        done = self.run("--json", *words)
        assert done.returncode == exit_code, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a verb in a process group of its own."""
        return subprocess.Popen(
            self.command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def settings(self, table: str, **values: object) -> None:
        """Set values in a table of config.toml."""
        path = self.root / "config.toml"
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        text = path.read_text()
        head = f"[{table}]\n"
        whole = text.replace(head, head + lines) if head in text else f"{text}{head}{lines}"
        path.write_text(whole)

    def records(self) -> list[tuple[dict[str, str], bytes]]:
        """Give the header fields and the block of every sealed record, in the order of files."""
        found = []
        for path in sorted(self.root.glob("warc/*/*.warc.gz")):
            with path.open("rb") as stream:
                for record in ArchiveIterator(stream, no_record_parse=True):
                    fields = dict(record.rec_headers.headers)
                    found.append((fields, record.raw_stream.read()))
        return found

    def log(self) -> list[dict[str, Any]]:
        """Give the lines of the crawl logs."""
        return [
            json.loads(line)
            for fields, block in self.records()
            if "crawl-log" in fields.get("WARC-Target-URI", "")
            for line in block.splitlines()
        ]

    def captures(self) -> list[dict[str, str]]:
        """Give all captures that the sealed indexes name."""
        return [
            json.loads(line.split(" ", 2)[2])
            for index in sorted(self.root.glob("warc/*/*.cdxj"))
            for line in index.read_text().splitlines()
        ]

    def assert_sound(self) -> None:
        """Verify everything, with our own command and with the machine's."""
        told = self.json("verify", "--level", "records")
        assert told["ok"] and told["checked"]["records"]
        for warc in self.root.glob("warc/*/*.warc.gz"):
            subprocess.run(["gzip", "-t", warc], check=True)
        assert not list(self.root.rglob("*.open"))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Make an empty archive that asks without delay and tries again at once."""
    root = tmp_path / "archive"
    (root / "seeds").mkdir(parents=True)
    (root / "config.toml").write_text(
        '[archive]\noperator = "Test"\ncontact = "mailto:test@example.org"\n'
        "[crawl]\ndelay_s = 0\nretries = 1\nretry_delay_s = 0.1\n"
    )
    return Archive(root)
