"""A robots.txt is asked for again after a day, before more pages of its host."""

from __future__ import annotations

import multiprocessing
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from pipeline.config import load
from pipeline.crawl.frontier.runs import Frontier
from pipeline.crawl.frontier.share import Share
from pipeline.crawl.rules.seeds import load_collections
from pipeline.model.layout import Layout
from pipeline.model.url import origin, robots_url
from pipeline.stages.rules import CrawlOptions, Rules
from pipeline.stages.worker import Order, Worker

DAY_S = 86_400


def work(archive: Any, clock: Callable[[], float], in_flight: int = 1) -> list[tuple[str, str]]:
    """Let a worker crawl the collection `c` to its end; give what became of each URL, in order."""
    layout = Layout(archive.root)
    archive.settings("crawl", in_flight=in_flight)
    (collection,) = load_collections(layout.seeds, ["c"])
    layout.working.mkdir(exist_ok=True)
    with closing(Frontier(layout.frontier)) as frontier:
        run = frontier.start("c", "c-20260101000000", clock())
        frontier.register(range(1), clock())
    with closing(Share(layout.frontier, run.id, 0, origin, robots_url)) as share:
        share.plant((seed.url for seed in collection.seeds), clock())
    rules = Rules.of(load(layout.root, {}), collection, CrawlOptions())
    stop = multiprocessing.get_context("spawn").Event()
    Worker(Order(layout=layout, run=run, number=0, rules=rules), stop, clock).run()
    with closing(sqlite3.connect(layout.frontier)) as database:
        assert database.execute("SELECT count(*) FROM todo").fetchone() == (0,)
        told = database.execute(
            "SELECT url, kind || ' ' || ifnull(nullif(reason, ''), status) FROM outcome"
            " JOIN url ON url.id = url_id ORDER BY outcome.id"
        )
        return [("/" + url.split("/", 3)[3], what) for url, what in told]


def robots(site: Any, *answers: tuple[int, str]) -> None:
    """Let the site give one answer after the other to who asks for its robots.txt."""
    then = None
    for status, body in reversed(answers):
        site.add("/robots.txt", body, status=status, media_type="text/plain", then=then)
        then = site.pages["/robots.txt"]


def a_day_after(site: Any, path: str) -> Callable[[], float]:
    """Give a clock that is a day ahead as soon as a page has been asked for."""
    return lambda: time.time() + (DAY_S if site.asked(path) else 0)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_day_later_robots_txt_is_asked_for_before_the_next_page_and_obeyed(
    archive: Any, site: Any, in_flight: int
) -> None:
    site.link_chain(30)
    robots(site, (200, ""), (200, "User-agent: *\nDisallow: /p29.html\n"))
    archive.collection("c", f"{site.address}/\n")
    told = work(archive, a_day_after(site, "/p3.html"), in_flight)
    asked = site.asked()
    assert asked.count("/robots.txt") == 2
    # what was under way beside it is all that may come between the two
    again = asked.index("/robots.txt", 1)
    assert asked.index("/p3.html") < again <= asked.index("/p3.html") + in_flight
    assert "/p29.html" not in asked and ("/p29.html", "refused robots") in told
    assert told.count(("/robots.txt", "captured 200")) == 2


def test_while_robots_txt_cannot_be_had_again_no_page_is_asked_for_and_none_is_lost(
    archive: Any, site: Any
) -> None:
    site.link_chain(9)
    robots(site, (200, ""), (502, "oops"), (500, "oops"), (200, ""))
    archive.collection("c", f"{site.address}/\n")
    told = work(archive, a_day_after(site, "/p3.html"))
    asked = site.asked()
    again = asked.index("/robots.txt", 1)
    assert asked[again : again + 3] == ["/robots.txt"] * 3
    assert [what for path, what in told if path != "/sitemap.xml"] == ["captured 200"] * 12


def test_a_robots_txt_that_stays_out_of_reach_for_long_forbids_what_is_left(
    archive: Any, site: Any
) -> None:
    archive.settings("crawl", host_failures=3)
    site.link_chain(9)
    robots(site, (200, ""), (500, "oops"))
    archive.collection("c", f"{site.address}/\n")
    told = work(archive, a_day_after(site, "/p3.html"))
    asked = site.asked()
    again = asked.index("/robots.txt", 1)
    assert asked[again:] == ["/robots.txt"] * 3
    assert ("/robots.txt", "failed server-error") in told
    assert ("/p8.html", "refused robots-unavailable") in told


@pytest.fixture
def paused(archive: Any, site: Any) -> Iterator[Any]:
    """A crawl of a site that is interrupted after some pages."""
    site.link_chain(40, delay_s=0.05)
    robots(site, (200, "User-agent: *\nDisallow:\n"))
    archive.collection("c", f"{site.address}/\n")
    crawl = archive.start("crawl")
    while len(site.log) < 10 and crawl.poll() is None:
        time.sleep(0.01)
    crawl.send_signal(signal.SIGINT)
    crawl.communicate(timeout=60)
    assert crawl.returncode == 130
    yield archive


def test_a_run_that_goes_on_days_later_asks_for_robots_txt_first(paused: Any, site: Any) -> None:
    with closing(sqlite3.connect(Layout(paused.root).frontier)) as database, database:
        database.execute("UPDATE host SET robots_until = robots_until - ?", (3 * DAY_S,))
    before = len(site.log)
    told = paused.json("crawl")
    assert site.asked()[before] == "/robots.txt" and len(site.asked("/robots.txt")) == 2
    assert told["waiting"] == told["failed"] == 0
    assert told["discovered"] == told["captures"] + told["revisits"] == len(site.log)
    records = [
        fields["WARC-Type"]
        for fields, _ in paused.records()
        if fields.get("WARC-Target-URI") == f"{site.address}/robots.txt"
    ]
    assert records.count("response") + records.count("revisit") == 2
    lines = [line for line in paused.log() if line["url"] == f"{site.address}/robots.txt"]
    assert len(lines) == 2
    paused.assert_sound()


def test_a_run_that_goes_on_at_once_does_not_ask_for_robots_txt_again(
    paused: Any, site: Any
) -> None:
    paused.json("crawl")
    assert len(site.asked("/robots.txt")) == 1
