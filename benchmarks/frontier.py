"""The frontier alone, without a network: a million URLs in one database, shared by two workers.

URLs of about 60 characters on 200 hosts are loaded as seeds. Then a new process opens the database
and takes its first hosts, as a crawl that is resumed does. Then worker processes settle as many
pages as they can for some seconds: each page was just "fetched" and has 25 links, of which 12 lead
to the navigation of its host, 8 to pages that are known, and 5 are new. A worker beats each time
it has done 750 pages, as one does that captures 750 pages a second. Goals: start in 10 s, 1,500
pages a second together, 150 bytes a URL, 200 MB for each process.

    python benchmarks/frontier.py [URLS] [--hosts 200] [--workers 2] [--seconds 20] [--limits]
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.crawl.frontier.account import Account
from pipeline.crawl.frontier.runs import Frontier
from pipeline.crawl.frontier.schedule import Schedule
from pipeline.crawl.frontier.seen import Seen
from pipeline.crawl.frontier.share import Batch, Share, Wish
from pipeline.crawl.rules.politeness import Rest
from pipeline.model.policy import RunLimits
from pipeline.model.target import Discovery, Outcome, RobotsAnswer, Target
from pipeline.model.url import origin, robots_url

PAGES_A_BEAT = 750
NO_REST = Rest(0.0, "")
NEW, NAVIGATION, KNOWN = 5, 12, 8


def url(host: int, page: str) -> str:
    return f"http://www{host:05d}.example.org/articles/archive/{page:0>12}.html"


def urls(count: int, hosts: int) -> Iterator[str]:
    for number in range(count):
        yield url(number % hosts, str(number // hosts))


class Simulated:
    """A worker that fetches nothing and finds links on every page all the same."""

    def __init__(self, path: Path, run: int, number: int, options: argparse.Namespace) -> None:
        limits = RunLimits(max_captures=10**9) if options.limits else RunLimits()
        self.share = Share(path, run, number, origin, robots_url, limits=limits)
        self.schedule = Schedule()
        self.seen = Seen()
        self.random = random.Random(number)
        self.number, self.options = number, options
        self.pages = self.beats = 0
        self.batch = Batch()

    def run(self, seconds: float) -> dict[str, Any]:
        warc, _ = self.share.reserve_warc("bench-20260101000000", "20260101000000")
        begun, used = time.monotonic(), time.process_time()
        longest, in_beats = 0.0, 0.0
        while time.monotonic() - begun < seconds:
            before = time.monotonic()
            wish = self.schedule.wish(stopping=False)
            batch, self.batch = self.batch, Batch()
            self.schedule.grant(self.share.beat(batch, (warc, 1), (), wish, time.time()), wish)
            took = time.monotonic() - before
            longest, in_beats, self.beats = max(longest, took), in_beats + took, self.beats + 1
            self.fill()
        spent = time.process_time() - used
        self.share.close()
        return {
            "pages": self.pages,
            "beats": self.beats,
            "seconds": time.monotonic() - begun,
            "cpu": spent,
            "in_beats": in_beats,
            "longest": longest,
            "memory": peak_memory(),
        }

    def fill(self) -> None:
        """Do what the schedule gives until a beat is due."""
        done = 0
        while done < PAGES_A_BEAT:
            now = time.time()
            target = self.schedule.take(now)
            if target is None:
                break
            self.visit(target, now)
            self.schedule.finish(target, now, NO_REST, failed=False)
            done += 1

    def visit(self, target: Target, now: float) -> None:
        self.batch.outcomes.append(
            Outcome(
                target=target,
                kind="captured",
                at=now,
                status=200,
                mime="text/html",
                change="new",
                offset=0,
                length=9_000,
                received=30_000,
                duration_ms=5,
            )
        )
        if target.hops == "P":
            self.batch.robots.append(RobotsAnswer(target.host_id, 404, b""))
            return
        self.pages += 1
        host = int(target.url[10:15])
        known = self.options.urls // self.options.hosts
        linked = [url(host, f"nav-{n}") for n in range(NAVIGATION)]
        linked += [url(host, str(self.random.randrange(known))) for _ in range(KNOWN)]
        linked += [url(host, f"n{self.number}-{self.pages}-{n}") for n in range(NEW)]
        self.batch.discoveries += [
            Discovery(url=found, via=target.id, hops=target.hops + "L")
            for found in linked
            if self.seen.meets(found)
        ]


def peak_memory() -> float:
    """Give the highest resident size of this process in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def load(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    begun = time.monotonic()
    with closing(Frontier(path)) as frontier:
        run = frontier.start("bench", "bench-20260101000000", time.time())
    with closing(Share(path, run.id, 0, origin, robots_url)) as share:
        share.plant(urls(options.urls, options.hosts))
    return {"run": run.id, "seconds": time.monotonic() - begun, "memory": peak_memory()}


def start(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Do what a resumed crawl does before its first request."""
    begun = time.monotonic()
    with closing(Frontier(path)) as frontier:
        run = frontier.unfinished("bench")
        assert run is not None and not frontier.exhausted(run)
        with closing(Account(path)) as account:
            waiting = account.counts(run).waiting
        frontier.register(range(options.workers), time.time())
    with closing(Share(path, run.id, 0, origin, robots_url)) as share:
        grant = share.beat(Batch(), (0, 0), (), Wish({}, {}, {}), time.time())
        assert grant.leases
    with closing(Frontier(path)) as frontier:
        frontier.register(range(options.workers), time.time())
    return {"seconds": time.monotonic() - begun, "memory": peak_memory(), "waiting": waiting}


def renew(path: Path, _options: argparse.Namespace) -> dict[str, Any]:
    """End the run and begin the next one, which drops the rows of the first."""
    with closing(Frontier(path)) as frontier:
        run = frontier.unfinished("bench")
        assert run is not None
        frontier.finish(run, time.time())
        begun = time.monotonic()
        frontier.start("bench", "bench-20260102000000", time.time())
        return {"seconds": time.monotonic() - begun, "memory": peak_memory()}


def work(path: Path, run: int, number: int, options: argparse.Namespace) -> dict[str, Any]:
    return Simulated(path, run, number, options).run(options.seconds)


def in_processes(count: int, function: Callable[..., Any], *given: Any) -> list[Any]:
    """Call a function in new processes, so that each has a memory of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(count, maxtasksperchild=1) as pool:
        arguments = [given] if count == 1 else [(*given[:2], n, *given[2:]) for n in range(count)]
        return pool.starmap(function, arguments, chunksize=1)


def size(path: Path) -> int:
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("urls", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--limits", action="store_true", help="with a limit of captures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frontier.sqlite"
        (loaded,) = in_processes(1, load, path, options)
        a_url = size(path) / options.urls
        (started,) = in_processes(1, start, path, options)
        workers = in_processes(options.workers, work, path, loaded["run"], options)
        (renewed,) = in_processes(1, renew, path, options)
    pages = sum(worker["pages"] for worker in workers)
    rate = pages / max(worker["seconds"] for worker in workers)
    cpu = sum(worker["cpu"] for worker in workers) / pages * 1000
    beats = sum(worker["beats"] for worker in workers)
    mean = sum(worker["in_beats"] for worker in workers) / beats * 1000
    longest = max(worker["longest"] for worker in workers) * 1000
    print(f"{started['waiting']:,} URLs on {options.hosts:,} hosts, {options.workers} workers\n")
    print("| frontier | measured | goal |\n|---|---|---|")
    print(f"| loading, URLs a second | {options.urls / loaded['seconds']:,.0f} | |")
    print(f"| bytes a URL on disk | {a_url:.0f} | 150 |")
    print(f"| start of a resumed crawl, s | {started['seconds']:.2f} | 10 |")
    print(f"| start of a new run, the old one dropped, s | {renewed['seconds']:.2f} | 10 |")
    print(f"| pages a second, {options.workers} workers | {rate:,.0f} | 1,500 |")
    print(f"| CPU a page, links made up among it, ms | {cpu:.3f} | |")
    print(f"| a beat, mean and longest, ms | {mean:.0f}, {longest:.0f} | |")
    supervisor = max(loaded["memory"], started["memory"], renewed["memory"])
    print(f"| memory of the supervisor, MB | {supervisor:.0f} | 200 |")
    print(f"| memory of a worker, MB | {max(w['memory'] for w in workers):.0f} | 200 |")


if __name__ == "__main__":
    main()
