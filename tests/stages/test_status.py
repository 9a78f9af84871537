"""The state of an archive as the status verb tells it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.crawl.frontier.database import connect
from pipeline.crawl.frontier.runs import Frontier
from pipeline.errors import HoldfastError
from pipeline.fixity import manifest
from pipeline.fixity.manifest import Manifest
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.stages.status import status

NOW = 1_800_000_000


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "warc" / "c").mkdir(parents=True)
    return Layout(tmp_path)


def test_later_revisions_of_documents_are_not_counted_as_of_other_warcs(layout):
    name = Name("c.r2", "n")
    paths = (name.warc, name.cdxj, name.members, name.documents(), name.documents(2), name.report)
    manifest.write(layout.manifest, Manifest(entries=dict.fromkeys(paths, "a" * 64)))
    (collection,) = status(layout, [], NOW).collections
    assert (collection.name, collection.warcs, collection.document_files) == ("c.r2", 1, 1)


def test_an_open_file_that_the_frontier_does_not_know_is_left_over(layout):
    """Also beside one that it knows, and while a run of the same collection is unfinished."""
    known = "warc/c/c-20260203040506-00000-w0.warc.gz.open"
    unknown = "warc/c/c-20250203040506-00000-w0.warc.gz.open"
    for path in (known, unknown):
        (layout.root / path).write_bytes(b"x")
    assert status(layout, ["c"], NOW).left_over == [unknown, known]
    with closing(Frontier(layout.frontier)) as frontier:
        run = frontier.start("c", "c-20260203040506", 0.0)
        insert(
            layout, "warc", id=1, run_id=run.id, serial=0, name=Path(known).name[:-13], state="open"
        )
        report = status(layout, ["c"], NOW)
        assert report.as_json()["left_over"] == [unknown]
        assert f"Left over: {unknown}" in report.as_text()
        (warc,) = frontier.warcs("open")
        frontier.mark(warc, "unsound")
    assert status(layout, ["c"], NOW).left_over == [unknown, known]


def insert(layout: Layout, table: str, **values: Any) -> None:
    marks = ", ".join("?" * len(values))
    with closing(connect(layout.frontier)) as database:
        database.execute(
            f"INSERT INTO {table}({', '.join(values)}) VALUES ({marks})", tuple(values.values())
        )


def test_a_running_crawl_is_told_host_by_host(layout: Layout) -> None:
    with closing(Frontier(layout.frontier)) as frontier:
        run = frontier.start("c", "c-20260203040506", NOW - 600)
    for number in range(20):
        insert(
            *(layout, "host"),
            id=number + 1,
            run_id=run.id,
            origin=f"http://h{number}\x1b.example:80",
            idle=0,
            robots_until=NOW + 9999,
            next_at=NOW + 720,
            why="retry-after",
        )
        for url in range(number + 1):
            insert(layout, "todo", host_id=number + 1, priority=1, url_id=100 * number + url)
    insert(layout, "rule", run_id=run.id, reason="scope", words="off scope", declined=8)
    insert(layout, "minute", run_id=run.id, at=NOW // 60 - 1, captured=10, received=5000)
    insert(layout, "minute", run_id=run.id, at=NOW // 60 - 9, captured=99, received=99)
    insert(
        *(layout, "outcome"),
        run_id=run.id,
        url_id=1,
        at=NOW,
        kind="failed",
        reason="dns",
        mime="",
        received=0,
        duration_ms=0,
    )
    report = status(layout, ["c"], NOW)
    (told,) = report.as_json()["collections"]
    told = told["unfinished_run"]
    assert {"run_id", "discovered", "captured", "failed", "waiting"} <= told.keys()
    assert (told["declined"], told["declined_by"]) == (8, {"off scope": 8})
    assert (told["failures"], told["recent"]["captures"]) == ({"dns": 1}, 10)
    assert len(told["hosts"]) == 20
    assert told["hosts"][0]["state"] == "rests 12 min (retry-after)"
    text = report.as_text()
    assert "2.0 captures a minute, 1.0 kB a minute" in text
    assert text.count("rests 12 min (retry-after)") == 15 and "and 5 more" in text
    assert "\x1b" not in text and "8  off scope" in text


def test_the_last_report_is_summed_up(layout: Layout) -> None:
    reports = [Name("c", f"c-2026020304050{n}").report for n in range(3)]
    for number, path in enumerate(reports[:2]):
        told = {
            "captures": number + 1,
            "declined": 9,
            "finished_at": "then",
            "ended_by": "max_bytes",
        }
        (layout.root / path).write_text(json.dumps({**told, "minutes": [], "run_id": path}))
    (layout.root / reports[2]).write_text("[" * 9999)
    manifest.write(layout.manifest, Manifest(entries=dict.fromkeys(reports, "a" * 64)))
    report = status(layout, [], NOW)
    (collection,) = report.collections
    assert (collection.runs, collection.captures) == (3, 3)
    assert collection.last_run is not None and "minutes" not in collection.last_run
    assert collection.last_run["run_id"] == reports[1]
    assert "then: 2 captures, 9 declined; ended by max_bytes" in report.as_text()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE cake(id)")
    database.close()


def of_another_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database " * 1000),
        lambda path: path.mkdir(),
        foreign,
        of_another_version,
    ],
    ids=["garbage", "folder", "foreign", "version"],
)
def test_a_frontier_that_cannot_be_read_is_one_clear_message(archive: Any, spoil) -> None:
    layout = Layout(archive.root)
    archive.collection("c", "http://127.0.0.1:9/\n")
    layout.frontier.parent.mkdir()
    spoil(layout.frontier)
    with pytest.raises(HoldfastError, match=r"frontier\.sqlite"):
        status(layout, ["c"], NOW)
    done = archive.run("status")
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("holdfast: ") and "Traceback" not in done.stderr


def test_an_unfinished_run_without_its_seed_file_is_not_passed_over(
    archive: Any, site: Any
) -> None:
    site.link_chain(200, delay_s=0.05)
    archive.collection("c", f"{site.address}/\n")
    crawl = archive.start("crawl")
    while len(site.log) < 5:
        assert crawl.poll() is None
    assert archive.json("status")["next"] == []
    crawl.terminate()
    crawl.communicate(timeout=30)
    (archive.root / "seeds" / "c.txt").unlink()
    (step,) = archive.json("status")["next"][:1]
    assert "seed file of c" in step and "holdfast crawl c" in step
