"""A disk that is full, or nearly: the crawl says so, loses nothing committed, and goes on later."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]

SIZE = 12 << 20
PAGES = 60
PAGE_BYTES = 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 12 MB, which only root on Linux may do."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root on Linux can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this machine mounts nothing: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


class Pages(BaseHTTPRequestHandler):
    """An index, and images that no compressor makes smaller."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.strip("/")
        body, media_type = b"nothing", "text/plain"
        if not name:
            body = "".join(f'<a href="/{n}">x</a>' for n in range(PAGES)).encode()
            media_type = "text/html"
        elif name.isdigit():
            body, media_type = random.Random(int(name)).randbytes(PAGE_BYTES), "image/gif"
        self.send_response(404 if body == b"nothing" else 200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def archive(small_disk: Path) -> Iterator[Path]:
    """Make an archive on the small disk for a site whose pages nearly fill it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = small_disk / "archive"
        (root / "seeds").mkdir(parents=True)
        settings = '[archive]\ncontact = "mailto:test@example.org"\n[crawl]\ndelay_s = 0\n'
        (root / "config.toml").write_text(settings)
        (root / "seeds" / "site.txt").write_text(f"http://127.0.0.1:{server.server_port}/\n")
        yield root
        server.shutdown()


def fill(disk: Path, leave: int) -> Path:
    """Take all but some bytes of a disk."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - leave))
    return ballast


def set_floor(root: Path, floor: int) -> None:
    with (root / "config.toml").open("a") as config:
        config.write(f"min_free_bytes = {floor}\n")


def captured(root: Path) -> Counter[str]:
    return Counter(
        json.loads(line.split(" ", 2)[2])["url"].rpartition("/")[2]
        for index in root.glob("warc/*/*.cdxj")
        for line in index.read_text("utf-8").splitlines()
    )


ALL = Counter(["", "robots.txt", *map(str, range(PAGES))])


def assert_goes_on(root: Path, run: Callable[..., Any]) -> None:
    """With room again, the crawl comes to its end and the archive is whole."""
    again = run("holdfast", "-C", root, "--json", "crawl")
    assert again.returncode == 0, again.stderr
    assert captured(root) - Counter(["sitemap.xml"]) == ALL
    verified = run("holdfast", "-C", root, "verify", "--level", "records")
    assert verified.returncode == 0, verified.stdout


def test_a_disk_that_fills_in_the_middle_of_a_record_loses_nothing_committed(
    archive: Path, small_disk: Path, run: Callable[..., Any]
) -> None:
    set_floor(archive, 1)
    # not a multiple of the pages' size, so that it ends within one
    ballast = fill(small_disk, leave=2_345_678)
    full = run("holdfast", "-C", archive, "crawl")
    assert full.returncode == 3, full.stderr
    assert "Traceback" not in full.stderr
    assert "nothing committed is lost" in full.stderr or "make room" in full.stderr
    ballast.unlink()
    assert_goes_on(archive, run)


def test_a_crawl_pauses_while_there_is_still_room_and_goes_on_later(
    archive: Path, small_disk: Path, run: Callable[..., Any]
) -> None:
    floor = 1_500_000
    set_floor(archive, floor)
    ballast = fill(small_disk, leave=4_000_000)
    # slowly, since the room is looked at once in a while
    paused = run("holdfast", "-C", archive, "crawl", "--delay", "0.1")
    assert paused.returncode == 3, paused.stderr
    assert "min_free_bytes" in paused.stderr + paused.stdout
    assert "Traceback" not in paused.stderr
    # what it has is sealed, and there is room left for whoever has to clean up
    assert list(archive.rglob("*.open")) == []
    assert 0 < captured(archive).total() < ALL.total()
    assert shutil.disk_usage(small_disk).free > floor // 3
    assert run("holdfast", "-C", archive, "verify", "--level", "records").returncode == 0
    ballast.unlink()
    assert_goes_on(archive, run)
