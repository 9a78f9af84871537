"""The crawl log in the archive: written once, sealed like any other WARC, found again by `show`."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from pipeline.archive.compose import Provenance
from pipeline.crawl.frontier.account import Account
from pipeline.crawl.frontier.database import connect
from pipeline.crawl.frontier.log import Log, LogLine
from pipeline.crawl.frontier.runs import Frontier, Run
from pipeline.errors import StorageError
from pipeline.extract.policy import ExtractPolicy
from pipeline.model.layout import Layout
from pipeline.model.policy import WarcPolicy
from pipeline.stages import crawl_log, sealing
from pipeline.stages.crawl_log import line, log_uri, parts, write_log
from pipeline.stages.extract import extract
from pipeline.stages.show import show
from pipeline.stages.verify import verify

NOW = datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC)
PROVENANCE = Provenance(info=[("software", "Test")], resources=[("urn:x:y", "text/plain", b"z")])
URLS = 30


@dataclass
class Crawled:
    """An archive whose only run is at its end."""

    layout: Layout
    run: Run

    def write(self, moment: datetime = NOW) -> bool:
        return write_log(self.layout, self.run, PROVENANCE, WarcPolicy(), moment)

    def seal(self) -> None:
        with closing(Frontier(self.layout.frontier)) as frontier:
            warcs = frontier.warcs("open", "closed")
            sealing.seal_warcs(self.layout, frontier, warcs, NOW)

    def logs(self) -> list[Path]:
        return sorted(self.layout.warc("c").glob("*-log.warc.gz"))

    def states(self) -> list[str]:
        with closing(Account(self.layout.frontier)) as account:
            return [state for _, state in account.warcs(self.run)]


@pytest.fixture
def crawled(tmp_path: Path) -> Crawled:
    layout = Layout(tmp_path)
    (tmp_path / "config.toml").touch()
    with closing(Frontier(layout.frontier)) as frontier:
        run = frontier.start("c", "c-20270115075900", NOW.timestamp() - 60)
    with closing(connect(layout.frontier)) as database:
        for number in range(1, URLS + 1):
            database.execute(
                "INSERT INTO url VALUES (?, ?, 1, ?, ?, ?, 'L')",
                (number, run.id, number, f"http://a.example/{number}", 1 if number > 1 else None),
            )
            database.execute(
                "INSERT INTO outcome(run_id, url_id, at, kind, reason, mime, received, duration_ms)"
                " VALUES (?, ?, ?, 'refused', 'budget', '', 0, 0)",
                (run.id, number, NOW.timestamp()),
            )
        database.execute("INSERT INTO rule VALUES (1, ?, 'exclude', 'exclude: *é*', 1)", (run.id,))
        database.execute(
            "INSERT INTO declined VALUES (1, ?, 1, 'http://a.example/%C3%A9', 1, 'L', 1)",
            (run.id,),
        )
    with sealing.writing(layout, NOW):
        pass  # the ledger is begun
    return Crawled(layout, run)


def records(warc: Path) -> list[tuple[Any, bytes]]:
    with warc.open("rb") as data:
        return [(r.rec_headers, r.content_stream().read()) for r in ArchiveIterator(data)]


def test_the_log_holds_every_url_in_parts(
    crawled: Crawled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl_log, "MOST_LINES", 20)
    assert crawled.write()
    crawled.seal()
    (warc,) = crawled.logs()
    assert warc.name == "c-20270115080000-00000-log.warc.gz"
    subprocess.run(["gzip", "-t", warc], check=True)
    read = records(warc)
    assert [head.get_header("WARC-Type") for head, _ in read] == ["warcinfo", *["resource"] * 3]
    told = read[2:]
    assert [head.get_header("WARC-Target-URI") for head, _ in told] == [
        log_uri(crawled.run.name, 0),
        log_uri(crawled.run.name, 1),
    ]
    assert told[0][0].get_header("Content-Type") == "application/x-ndjson"
    lines = [json.loads(each) for _, block in told for each in block.splitlines()]
    assert len(lines) == URLS + 1
    assert lines[1] == {
        "at": "2027-01-15T08:00:00Z",
        "url": "http://a.example/2",
        "via": "http://a.example/1",
        "hops": "L",
        "outcome": "refused",
        "reason": "budget",
        "received": 0,
        "ms": 0,
    }
    assert lines[-1]["rule"] == "exclude: *é*"


def test_the_log_is_an_ordinary_sealed_warc(crawled: Crawled) -> None:
    crawled.write()
    crawled.seal()
    done = extract(
        crawled.layout,
        ExtractPolicy(),
        ["c"],
        everything=False,
        workers=1,
        observe=lambda _: None,
        now=NOW,
        interrupted=lambda: False,
    )
    assert done.as_json()["documents"] == 0 and done.exit_code == 0
    report = verify(crawled.layout, "records", None, workers=1)
    assert report.findings == []
    (warc,) = crawled.logs()
    assert Path(str(warc).replace(".warc.gz", ".cdxj")).read_bytes() == b""


def test_it_is_written_once(crawled: Crawled) -> None:
    assert crawled.write() and not crawled.write()
    crawled.seal()
    assert not crawled.write()
    assert crawled.states() == ["sealed"]


def test_a_log_that_was_cut_short_is_removed_and_written_again(
    crawled: Crawled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> bytes:
        raise StorageError("no room")

    with monkeypatch.context() as dying:
        dying.setattr(crawl_log, "line", die)
        with pytest.raises(StorageError):
            crawled.write()
    assert crawled.states() == ["open"]
    assert list(crawled.layout.warc("c").iterdir())
    crawled.seal()
    assert list(crawled.layout.warc("c").iterdir()) == []
    assert crawled.write()
    crawled.seal()
    assert len(crawled.logs()) == 1


def test_a_file_that_was_reserved_and_never_made_does_no_harm(crawled: Crawled) -> None:
    with closing(Log(crawled.layout.frontier, crawled.run)) as log:
        log.reserve("20270115080000")
    crawled.seal()
    assert crawled.write()


def test_show_explains_what_only_the_log_knows(
    crawled: Crawled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl_log, "MOST_LINES", 7)
    crawled.write()
    crawled.seal()
    (told,) = show(crawled.layout, "http://a.example/29").absences
    assert (told.outcome, told.reason, told.at) == ("refused", "budget", "2027-01-15T08:00:00Z")
    assert crawled.run.name in told.detail
    (told,) = show(crawled.layout, "http://a.example/é").absences
    assert (told.outcome, told.detail) == ("declined", "exclude: *é*")
    assert show(crawled.layout, "http://a.example/never").absences == []


def test_a_damaged_log_is_no_trouble_for_show(crawled: Crawled) -> None:
    crawled.write()
    crawled.seal()
    (warc,) = crawled.logs()
    data = bytearray(warc.read_bytes())
    data[-200:] = b"\xff" * 200
    warc.write_bytes(data)
    assert len(show(crawled.layout, "http://a.example/3").absences) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=50), st.integers(1, 9))
def test_parts_are_bounded_and_lose_nothing(lines: list[bytes], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crawl_log, "MOST_LINES", most)
        patch.setattr(crawl_log, "MOST_BYTES", 60)
        made = list(parts(lines))
    assert b"".join(made) == b"".join(lines)
    assert all(len(each) <= 60 for each in made)


@given(st.text(), st.text(max_size=20), st.none() | st.integers(100, 599))
def test_a_line_is_read_again_as_it_was(url: str, reason: str, status: int | None) -> None:
    url = url.encode("utf-8", "replace").decode()
    reason = reason.encode("utf-8", "replace").decode()
    told = LogLine(url=url, via=None, hops="LL", outcome="failed", status=status, reason=reason)
    written = line(told)
    assert written.count(b"\n") == 1
    read = json.loads(written)
    assert (read["url"], read.get("status"), read.get("reason", "")) == (url, status, reason)
    assert "via" not in read and "at" not in read
