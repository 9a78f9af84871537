"""How much of the time that politeness allows a crawl uses: many hosts, one request at each.

Sixty hosts on loopback answer each request after 100 ms, and a crawl may have one request in flight
at each: no crawl can make more than 600 requests a second. Prints as a Markdown table what share of
that `holdfast crawl --workers 4 --delay 0` reaches, from the first request to the end of the last
answer, and over the whole run with start and end of the program. The first line is a bare client
that keeps one connection to each host and does nothing else: the share the server itself allows.

Usage: python benchmarks/politeness.py [SECONDS]
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOLDFAST = Path(sys.executable).with_name("holdfast")
HOSTS = [f"127.0.1.{number}" for number in range(1, 61)]
ANSWER_S = 0.1
BOUND = len(HOSTS) / ANSWER_S
SECONDS = 20
PROBE_S = 3
PAGE = b"<!DOCTYPE html><title>page</title>" + b"<p>Some words of a page. " * 120
WORKERS = 4


@dataclass(frozen=True)
class Requests:
    """What the server saw: how many requests, and the moments of the first and the last answer."""

    count: int
    first: float
    last: float

    @property
    def share(self) -> float:
        """Give the part of the bound that was reached between first and last."""
        return self.count / (self.last - self.first) / BOUND


class Server:
    """Answers for all hosts in one process; a page below `/` links to nothing."""

    def __init__(self, pages: int) -> None:
        links = "".join(f'<a href="/{n}.html">{n}</a>' for n in range(pages))
        self._index = f"<!DOCTYPE html><title>index</title>{links}".encode()
        self._count, self._first, self._last = 0, 0.0, 0.0

    async def serve(self) -> None:
        """Print the port, serve until standard input ends, and print what was asked."""
        first = await asyncio.start_server(self._talk, HOSTS[0], 0)
        port = first.sockets[0].getsockname()[1]
        for host in HOSTS[1:]:
            await asyncio.start_server(self._talk, host, port)
        print(port, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps([self._count, self._first, self._last]), flush=True)
            self._count, self._first = 0, 0.0

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                self._first = self._first or time.time()
                await asyncio.sleep(ANSWER_S)
                status, body = self._answer(request.split(b" ", 2)[1])
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, len(body), body)
                )
                self._count += 1
                self._last = time.time()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, path: bytes) -> tuple[bytes, bytes]:
        if path == b"/":
            return b"200 OK", self._index
        return (b"200 OK", PAGE) if path.endswith(b".html") else (b"404 Not Found", b"")


class Running:
    """The server as a process of its own, so that it and the crawl do not share an interpreter."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._line())

    def told(self) -> Requests:
        """Give what was asked since the last time."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Requests(*json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@contextmanager
def served(pages: int) -> Iterator[Running]:
    """Serve for as long as the context lasts."""
    command = [sys.executable, __file__, "--serve", str(pages)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Running(process)
        process.terminate()


async def probe(port: int) -> None:
    """Ask every host again and again on one connection each."""

    async def ask(host: str) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        end = time.monotonic() + PROBE_S
        while time.monotonic() < end:
            writer.write(b"GET /0.html HTTP/1.1\r\nHost: h\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.rpartition(b": ")[2]))
        writer.close()

    await asyncio.gather(*map(ask, HOSTS))


def crawl(port: int, folder: Path) -> tuple[float, float]:
    """Crawl all hosts and give wall and CPU seconds of the whole process tree."""
    subprocess.run([HOLDFAST, "-q", "init", folder], check=True, stdout=subprocess.DEVNULL)
    for example in (folder / "seeds").iterdir():
        example.unlink()
    seeds = "".join(f"http://{host}:{port}/\n" for host in HOSTS)
    (folder / "seeds" / "hosts.txt").write_text(seeds, "utf-8")
    command: Sequence[str | Path] = [HOLDFAST, "-q", "-C", folder, "crawl", "--delay", "0"]
    before, begun = _children_cpu(), time.monotonic()
    done = subprocess.run([*command, "--workers", str(WORKERS)], check=False, capture_output=True)
    if done.returncode:
        sys.exit(f"holdfast ended with {done.returncode}: {done.stderr.decode()}")
    return time.monotonic() - begun, _children_cpu() - before


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    pages = round(seconds / ANSWER_S)
    with served(pages) as server, tempfile.TemporaryDirectory() as place:
        asyncio.run(probe(server.port))
        bare = server.told()
        wall_s, cpu_s = crawl(server.port, Path(place) / "archive")
        seen = server.told()
    whole = seen.count / wall_s / BOUND
    print(f"{len(HOSTS)} hosts, {ANSWER_S * 1000:.0f} ms an answer, {os.cpu_count()} cores;")
    print(f"{seen.count:,} requests, {1000 * cpu_s / seen.count:.2f} CPU ms each\n")
    print("| share of the politeness bound | reached | goal |\n|---|---|---|")
    print(f"| a bare client | {bare.share:.1%} | |")
    print(f"| holdfast, first request to last answer | {seen.share:.1%} | 95 % |")
    print(f"| the same, beside the bare client | {seen.share / bare.share:.1%} | |")
    print(f"| holdfast, whole run ({wall_s:.1f} s) | {whole:.1%} | 95 % |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(Server(int(sys.argv[2])).serve())
    else:
        main()
