"""How often a worker commits when it has nothing to do but wait, and that it stops then."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipeline.config import load
from pipeline.crawl.frontier.runs import Frontier
from pipeline.crawl.frontier.share import Batch, Share, Wish
from pipeline.crawl.rules.seeds import load_collections
from pipeline.model.layout import Layout
from pipeline.model.url import origin, robots_url
from pipeline.stages.rules import CrawlOptions, Rules
from pipeline.stages.worker import Order, Worker

WATCHED_S = 3.0


class Working:
    """A worker in a thread.

    Args:
        layout: an archive with the collection `c`.
        held: whether another worker holds the host of its seed.

    """

    def __init__(self, layout: Layout, *, held: bool) -> None:
        config = load(layout.root, {})
        (collection,) = load_collections(layout.seeds, ["c"])
        layout.frontier.parent.mkdir(exist_ok=True)
        self._frontier = layout.frontier
        now = time.time()
        with closing(Frontier(layout.frontier)) as frontier:
            run = frontier.start("c", "c-20260101000000", now)
            frontier.register(range(2), now)
        with closing(Share(layout.frontier, run.id, 0, origin, robots_url)) as other:
            other.plant((seed.url for seed in collection.seeds), now)
            if held:
                assert other.beat(Batch(), (0, 0), (), Wish({}, {}, {}), now).leases
        self.stop = multiprocessing.get_context("spawn").Event()
        rules = Rules.of(config, collection, CrawlOptions())
        worker = Worker(Order(layout=layout, run=run, number=1, rules=rules), self.stop)
        self.thread = threading.Thread(target=worker.run)
        self.thread.start()

    def beats(self, seconds: float) -> int:
        """Count the transactions of some seconds."""
        moments = set()
        with closing(sqlite3.connect(self._frontier)) as database:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                sql = "SELECT seen_at FROM worker WHERE id = 1"
                moments |= set(database.execute(sql).fetchall())
                time.sleep(0.01)
        return len(moments)


@pytest.fixture
def idle(archive: Any) -> Iterator[Working]:
    archive.collection("c", "http://held.invalid/\n")
    worker = Working(Layout(archive.root), held=True)
    yield worker
    worker.stop.set()
    worker.thread.join()


def test_a_worker_without_a_host_commits_once_a_second_and_not_more(idle: Working) -> None:
    # at first, for a moment, more often
    assert idle.beats(WATCHED_S) <= 7
    assert idle.thread.is_alive()


def test_a_worker_without_a_host_stops_when_told(idle: Working) -> None:
    idle.stop.set()
    idle.thread.join(timeout=60)
    assert not idle.thread.is_alive()


def test_a_worker_that_stops_waits_for_the_last_answer_without_haste(archive: Any) -> None:
    asked, go = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/robots.txt":
                asked.set()
                go.wait()
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        archive.collection("c", f"http://127.0.0.1:{server.server_port}/\n")
        worker = Working(Layout(archive.root), held=False)
        try:
            assert asked.wait(60)
            worker.stop.set()
            assert worker.beats(WATCHED_S) <= 14
            assert worker.thread.is_alive()
        finally:
            worker.stop.set()
            go.set()
            worker.thread.join()
            server.shutdown()
    with closing(sqlite3.connect(Layout(archive.root).frontier)) as database:
        assert database.execute("SELECT count(*) FROM outcome").fetchone() == (2,)
