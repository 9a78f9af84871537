"""Verification against `warcio check` and `sha256sum`: CPU seconds (user + system), side by side.

An archive is made in a temporary folder from HTML pages of Debian documentation packages, or from
generated pages where none is installed: for each page a response, a request and a metadata record,
as a crawl writes them. Then, in turn, each command runs as a child process. A ratio is taken in
each turn, and the median of the turns counts, so that a busy machine hurts both sides. Goals:
`records` at most 0.45 of `warcio check`; `files` at most 1.2 of `sha256sum`, the start of Python
aside.

    python benchmarks/verify.py [TURNS] [--pages 8000]
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pipeline.archive.index import member_line
from pipeline.archive.member import Members, Record
from pipeline.archive.validator import inspect
from pipeline.model.digest import sha256
from pipeline.model.layout import Layout
from pipeline.model.names import CDXJ, MEMBERS
from pipeline.stages import sealing

BIN = Path(sys.executable).parent
PAGES = Path("/usr/share/doc")
FILES = "holdfast verify --level files"
RECORDS = "holdfast verify --level records"
NAME = "bench-20260101000000-00000-w0"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def html_pages(limit: int) -> Iterator[tuple[str, bytes]]:
    """Give paths and bytes of HTML pages of 1 kB to 200 kB, over again until there are enough."""
    found = [
        (path.as_posix(), data)
        for package in ("postgresql-doc-15/html", "python3.11-doc/html", "apache2-doc", "")
        for path in sorted((PAGES / package).rglob("*.htm*") if package else ())
        if path.is_file() and 1_000 < len(data := path.read_bytes()) < 200_000
    ]
    if not found:
        print("no documentation packages: generated pages (apt install postgresql-doc-15)")
        words = [f"{random.Random(n).choice('bcdfglmnprst')}{n % 997}o" for n in range(3000)]
        found = [
            (f"/generated/{n}.html", " ".join(random.Random(n).choices(words, k=2500)).encode())
            for n in range(1000)
        ]
    for number in range(limit):
        path, data = found[number % len(found)]
        yield f"http://127.0.0.2{path}?{number // len(found)}", data


def captures(pages: Iterator[tuple[str, bytes]]) -> Iterator[list[Record]]:
    """Give the records of each capture, as FORMAT.md has them."""
    info = _id()
    block = b"software: benchmark\r\n"
    yield [_record("warcinfo", info, block, "application/warc-fields")]
    common = [("WARC-Warcinfo-ID", info)]
    for uri, body in pages:
        response = _id()
        there = [*common, ("WARC-Target-URI", uri)]
        head = (
            b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Type: text/html\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
            b'Last-Modified: Mon, 03 Aug 2020 08:00:00 GMT\r\nETag: "5f27c9e2-%x"\r\n'
            b"Accept-Ranges: bytes\r\n\r\n" % (len(body), len(body))
        )
        request = (
            b"GET %s HTTP/1.1\r\nHost: 127.0.0.2\r\nUser-Agent: holdfast/0.1\r\nAccept: */*\r\n"
            b"Accept-Encoding: identity\r\nConnection: keep-alive\r\n\r\n" % uri[16:].encode()
        )
        account = b"via: http://127.0.0.2/index.html\r\nhopsFromSeed: LL\r\nfetchTimeMs: 3\r\n"
        digest = ("WARC-Payload-Digest", sha256(body))
        http = "application/http;msgtype="
        together = [*there, ("WARC-Concurrent-To", response)]
        yield [
            _record("response", response, head + body, http + "response", *there, digest),
            _record("request", _id(), request, http + "request", *together),
            _record("metadata", _id(), account, "application/warc-fields", *together),
        ]


def _id() -> str:
    return f"<{uuid.uuid4().urn}>"


def _record(kind: str, name: str, block: bytes, media: str, *more: tuple[str, str]) -> Record:
    fields = [
        ("WARC-Type", kind),
        ("WARC-Record-ID", name),
        ("WARC-Date", "2026-01-01T00:00:00.000000Z"),
        *more,
        ("Content-Type", media),
        ("WARC-Block-Digest", sha256(block)),
    ]
    return Record(fields, block, len(block))


def build(root: Path, pages: int) -> Path:
    """Make an archive with one sealed WARC file and give that file."""
    subprocess.run([BIN / "holdfast", "-q", "init", root], check=True, stdout=subprocess.DEVNULL)
    layout = Layout(root)
    warc = layout.warc("bench") / f"{NAME}.warc.gz"
    warc.parent.mkdir(parents=True)
    with warc.open("wb") as out:
        for capture in captures(html_pages(pages)):
            out.writelines(Members(capture, "auto", 6).pieces())
    found = inspect(warc, layout.relative(warc))
    if found.findings:
        sys.exit(f"the benchmark's own file is not sound: {found.findings[0].message}")
    members = warc.with_name(NAME + MEMBERS)
    members.write_bytes(b"".join(map(member_line, found.members)))
    index = warc.with_name(NAME + CDXJ)
    index.write_bytes(b"".join(found.index))
    with sealing.writing(layout, NOW):
        sealing.enter(layout, [warc, members, index], event_type="capture", detail={}, now=NOW)
    return warc


def cpu(command: Sequence[str | Path], folder: Path) -> float:
    """Run a command that must succeed and give its user and system seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(root: Path, warc: Path, turns: int) -> list[dict[str, float]]:
    """Run all commands in turn and give the seconds of each, for every turn."""
    holdfast = [BIN / "holdfast", "-q", "-C", root, "verify", "--workers", "1", "--level"]
    commands: dict[str, Sequence[str | Path]] = {
        "start of holdfast": [BIN / "holdfast", "verify", "--help"],
        FILES: [*holdfast, "files"],
        "sha256sum -c": ["sha256sum", "-c", "--strict", "fixity/manifest-sha256.txt"],
        RECORDS: [*holdfast, "records"],
        "warcio check": [BIN / "warcio", "check", warc],
    }
    return [{name: cpu(each, root) for name, each in commands.items()} for _ in range(turns)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("turns", type=int, nargs="?", default=7)
    parser.add_argument("--pages", type=int, default=8000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "archive"
        warc = build(root, options.pages)
        turns = measure(root, warc, options.turns)
        print(f"{options.pages} pages, {warc.stat().st_size:,} bytes, {options.turns} turns\n")
    print("| command | median CPU s |\n|---|---|")
    for name in turns[0]:
        print(f"| {name} | {median(turn[name] for turn in turns):.3f} |")
    records = median(turn[RECORDS] / turn["warcio check"] for turn in turns)
    files = median(
        (turn[FILES] - turn["start of holdfast"]) / turn["sha256sum -c"] for turn in turns
    )
    print("\n| ratio | median | goal |\n|---|---|---|")
    print(f"| records / warcio check | {records:.2f} | 0.45 |")
    print(f"| (files - start) / sha256sum | {files:.2f} | 1.20 |")


if __name__ == "__main__":
    main()
