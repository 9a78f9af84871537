"""Limits of a run: budgets, room on the disk, and that what they cut off is told."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.config import load
from pipeline.crawl.rules.seeds import load_collections
from pipeline.errors import StorageError
from pipeline.model.layout import Layout
from pipeline.stages.crawl import crawl
from pipeline.stages.rules import CrawlOptions


@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_budget_of_captures_is_met_exactly(
    archive: Any, serve: Callable[[str], Any], workers: str
) -> None:
    sites = [serve(f"127.0.0.{number}") for number in range(2, 6)]
    for site in sites:
        site.link_chain(30)
    seeds = ", ".join(f'"{site.address}/"' for site in sites)
    archive.collection("c", f"seeds = [{seeds}]\n[limits]\nmax_captures = 25\n")
    told = archive.json("crawl", "--workers", workers)
    run = told["runs"][0]
    assert told["captures"] + told["revisits"] == 25
    assert run["ended_by"] == "max_captures" and told["waiting"] == 0
    assert run["refusals"]["budget"] == told["refused"]
    assert told["discovered"] == 25 + told["refused"]
    assert [line.get("reason") for line in archive.log()].count("budget") == told["refused"]
    archive.assert_sound()


def test_a_budget_of_bytes_ends_the_run(archive: Any, site: Any) -> None:
    site.add("/", "".join(f'<a href="/{n}">x</a>' for n in range(50)))
    for number in range(50):
        site.add(f"/{number}", f"{number}" * 50_000, media_type="text/plain")
    archive.collection("c", f'seeds = ["{site.address}/"]\n[limits]\nmax_bytes = 300000\n')
    told = archive.json("crawl", "--delay", "0")
    assert told["runs"][0]["ended_by"] == "max_bytes"
    # the last answer may go beyond it, and none is asked for after that
    assert 300_000 <= told["bytes"] < 300_000 + 101_000


def test_a_budget_of_bytes_is_exceeded_by_one_answer_of_each_host_at_most(
    archive: Any, serve: Callable[[str], Any]
) -> None:
    sites = [serve(f"127.0.0.{number}") for number in range(2, 6)]
    for site in sites:
        site.add("/", "".join(f'<a href="/{n}">x</a>' for n in range(50)))
        for number in range(50):
            site.add(f"/{number}", b"x" * 50_000, media_type="text/plain")
    seeds = ", ".join(f'"{site.address}/"' for site in sites)
    archive.collection("c", f"seeds = [{seeds}]\n[limits]\nmax_bytes = 1000000\n")
    told = archive.json("crawl", "--delay", "0", "--workers", "2")
    assert told["runs"][0]["ended_by"] == "max_bytes" and told["waiting"] == 0
    assert 1_000_000 <= told["bytes"] < 1_000_000 + len(sites) * 51_000
    archive.assert_sound()


def test_a_budget_of_time_ends_the_run(archive: Any, site: Any) -> None:
    site.link_chain(200)
    archive.collection("c", f'seeds = ["{site.address}/"]\n[limits]\nmax_time_s = 1\n')
    told = archive.json("crawl", "--delay", "0.1")
    assert told["runs"][0]["ended_by"] == "max_time_s"
    assert len(site.log) < 100


def test_a_disk_that_is_nearly_full_pauses_the_crawl(archive: Any, site: Any) -> None:
    site.link_chain(3)
    archive.collection("c", f"{site.address}/\n")
    archive.settings("crawl", min_free_bytes=1 << 40)
    done = archive.run("crawl")
    assert done.returncode == 3
    assert "free on the disk" in done.stderr and "Nothing is lost" in done.stderr
    assert site.log == []
    config = archive.root / "config.toml"
    config.write_text(config.read_text().replace(str(1 << 40), "1"))
    assert archive.json("crawl")["failed"] == 0


def test_a_pause_for_want_of_room_is_told_also_when_the_end_of_the_workers_made_room(
    archive: Any, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.link_chain(30)
    archive.collection("c", f"{site.address}/\n")
    layout = Layout(archive.root)
    layout.working.mkdir()
    collections = load_collections(layout.seeds, ["c"])
    # enough at the start, too little at one look while the workers are under way, then enough again
    free = iter([1 << 40, 0])
    monkeypatch.setattr(
        "pipeline.stages.crawl.shutil.disk_usage",
        lambda _: SimpleNamespace(free=next(free, 1 << 40)),
    )
    with pytest.raises(StorageError, match="pauses"):
        crawl(
            layout,
            load(layout.root, {}),
            collections,
            CrawlOptions(delay_s=0.2),
            lambda _: None,
            lambda: False,
            lambda _: None,
        )
    assert archive.captures() and len(site.log) < 30


def test_links_to_addresses_of_other_kinds_are_refused_without_a_connection(
    archive: Any, site: Any
) -> None:
    # ::1 and 127.0.0.0/8 are of one kind, the seed's own; nothing listens on the others
    site.add("/", '<img src="http://[::ffff:169.254.169.254]/latest"><img src="http://0.0.0.0/x">')
    archive.collection("c", f'seeds = ["{site.address}/"]\n')
    told = archive.json("crawl")
    assert told["runs"][0]["refusals"] == {"address": 4}
    accounts = [block for f, block in archive.records() if f["WARC-Type"] == "metadata"]
    assert sum(b"reason: address" in block for block in accounts) == 4
