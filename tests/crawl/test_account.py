"""What the frontier tells of a run: counts, hosts with what they wait for, and the crawl log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.crawl.frontier.account import Account, HostState
from pipeline.crawl.frontier.database import Database, connect
from pipeline.crawl.frontier.entry import key_of
from pipeline.crawl.frontier.log import Log
from pipeline.crawl.frontier.runs import Run
from pipeline.errors import StorageError

NOW = 1_800_000_000.0
RUN = Run(1, "c", "c-20270115080000", NOW - 100)


class Writer:
    """The frontier as a crawl fills it, row by row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db: Database = connect(path)
        self.row("run", id=RUN.id, collection="c", name=RUN.name, started_at=RUN.started_at)
        self.row("warc", id=1, run_id=1, serial=0, name="c-20270115080000-00000-w0", state="open")

    def row(self, table: str, **values: Any) -> int:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        done = self.db.execute(
            f"INSERT INTO {table}({names}) VALUES ({marks})", tuple(values.values())
        )
        return int(done.lastrowid or 0)

    def host(self, origin: str, waiting: int = 0, **values: Any) -> int:
        host = self.row("host", run_id=1, origin=origin, idle=not waiting, **values)
        for number in range(waiting):
            url = self.url(f"{origin}/{number}", host)
            self.row("todo", host_id=host, priority=1, url_id=url)
        return host

    def url(self, url: str, host: int = 1, via: int | None = None, hops: str = "") -> int:
        key = key_of(1, url)
        return self.row("url", run_id=1, host_id=host, key=key, url=url, via=via, hops=hops)

    def outcome(self, url: int, kind: str = "captured", **values: Any) -> int:
        told: dict[str, Any] = {
            "status": 200,
            "reason": "",
            "mime": "text/html",
            "received": 10,
            "duration_ms": 5,
            "warc_id": 1,
            "offset": 7,
            "length": 9,
            "at": NOW,
        }
        return self.row("outcome", run_id=1, url_id=url, kind=kind, **{**told, **values})

    def decline(
        self, url: str, via: int, words: str = "exclude: x", reason: str = "exclude"
    ) -> None:
        known = self.db.execute("SELECT id FROM rule WHERE words = ?", (words,)).fetchone()
        rule = known[0] if known else self.row("rule", run_id=1, reason=reason, words=words)
        self.db.execute("UPDATE rule SET declined = declined + 1 WHERE id = ?", (rule,))
        key = key_of(1, "declined " + url)
        self.row("declined", run_id=1, key=key, url=url, via=via, hops="L", rule_id=rule)


@pytest.fixture
def frontier(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path / "frontier.sqlite")
    yield writer
    writer.db.close()


@pytest.fixture
def account(frontier: Writer) -> Iterator[Account]:
    with closing(Account(frontier.path)) as account:
        yield account


def test_counts_have_what_was_declined_and_what_changed(frontier: Writer, account: Account) -> None:
    frontier.db.execute(
        "UPDATE run SET discovered = 9, captured = 2, revisit = 1, refused = 1, failed = 1,"
        " new = 2, changed = 1, unchanged = 3, vanished = 4, active_s = 59.6,"
        " ended_by = 'max_bytes'"
    )
    seed = frontier.url("http://a.example/")
    for url in ("http://b.example/1", "http://b.example/2"):
        frontier.decline(url, seed, "off scope")
    frontier.decline("http://a.example/x", seed)
    counts = account.counts(RUN)
    assert (counts.waiting, counts.declined) == (4, 3)
    assert (counts.new, counts.changed, counts.unchanged, counts.vanished) == (2, 1, 3, 4)
    assert list(account.declined_by_rule(RUN).items()) == [("off scope", 2), ("exclude: x", 1)]
    assert account.ending(RUN) == ("max_bytes", 60)


def test_a_tally_taken_again_has_what_came_since(frontier: Writer, account: Account) -> None:
    urls = [frontier.url(f"http://a.example/{n}") for n in range(6)]
    frontier.outcome(urls[0])
    frontier.outcome(urls[1], "failed", status=None, reason="dns", mime="")
    assert account.tally(RUN).status == {"200": 1}
    frontier.outcome(urls[2], "revisit", status=304)
    frontier.outcome(urls[3], status=None)
    frontier.outcome(urls[4], "failed", status=None, reason="dns", mime="")
    frontier.outcome(urls[5], "refused", status=None, reason="robots", mime="")
    again = account.tally(RUN)
    assert (again.status, again.failures) == ({"200": 1, "304": 1}, {"dns": 2})
    assert again.refusals == {"robots": 1}
    with closing(Account(frontier.path)) as other:
        assert other.tally(RUN) == again


def test_a_tally_leaves_out_other_runs(frontier: Writer, account: Account) -> None:
    frontier.outcome(frontier.url("http://a.example/"))
    frontier.db.execute("UPDATE outcome SET run_id = 2")
    assert account.tally(RUN).status == {}


def test_rare_media_types_are_told_together(frontier: Writer, account: Account) -> None:
    for number, mime in enumerate(["text/html", "text/html", "image/png", "", "x/y"]):
        frontier.outcome(frontier.url(f"http://a.example/{number}"), mime=mime)
    told = [(each.mime, each.captures, each.bytes) for each in account.types(RUN, 2)]
    assert told == [("text/html", 2, 20), ("unk", 1, 10), ("other", 2, 20)]


@pytest.mark.parametrize(
    ("values", "waiting", "state"),
    [
        ({"robots_until": NOW + 99, "lease_until": NOW + 9, "owner": 0}, 2, "asking"),
        ({"robots_until": NOW + 99}, 2, "waits for a worker"),
        ({"lease_until": NOW + 9, "owner": 0}, 2, "waits for robots.txt"),
        (
            {"robots_until": NOW + 99, "next_at": NOW + 4, "why": "crawl-delay"},
            2,
            "rests 4 s (crawl-delay)",
        ),
        (
            {"robots_until": NOW + 99, "next_at": NOW + 720, "why": "retry-after"},
            2,
            "rests 12 min (retry-after)",
        ),
        ({"next_at": NOW + 7200}, 1, "rests 2 h"),
        ({"set_aside": 1, "why": "10 failures in a row"}, 0, "set aside (10 failures in a row)"),
        ({"robots_until": NOW + 99, "next_at": NOW + 4}, 0, "done"),
    ],
)
def test_a_host_says_what_it_waits_for(
    frontier: Writer, account: Account, values: dict[str, Any], waiting: int, state: str
) -> None:
    frontier.host("http://a.example:80", waiting, **values)
    (host,) = account.hosts(RUN, 9, NOW)
    assert (host.waiting, host.state) == (waiting, state)


def test_hosts_are_ordered_by_what_is_asked_for(frontier: Writer, account: Account) -> None:
    frontier.host("http://few:80", 1, asked=10, spent_ms=1000, failed=2, received=5)
    frontier.host("http://many:80", 3, asked=4, spent_ms=2000, failed=1)
    frontier.host("http://aside:80", 0, set_aside=1, asked=2, failed=9)

    def names(hosts: list[HostState]) -> list[str]:
        return [host.origin.removeprefix("http://").removesuffix(":80") for host in hosts]

    assert names(account.hosts(RUN, 2, NOW)) == ["many", "few"]
    assert names(account.slowest(RUN, 9)) == ["many", "few"]
    assert [host.average_ms for host in account.slowest(RUN, 9)] == [500, 100]
    assert names(account.failing(RUN, 2)) == ["aside", "few"]
    assert names(account.set_aside(RUN, 9)) == ["aside"]
    counts = account.host_counts(RUN)
    assert (counts.met, counts.active, counts.set_aside) == (3, 2, 1)


def test_the_log_tells_of_a_page_that_was_not_searched_to_its_end(frontier: Writer) -> None:
    host = frontier.host("http://a.example:80")
    page = frontier.url("http://a.example/long", host)
    frontier.outcome(page)
    frontier.decline("http://a.example/long", page, reason="limit")
    feed = frontier.url("http://a.example/feed")
    frontier.decline("http://a.example/feed", feed, "source: x", "source")
    with closing(Log(frontier.path, RUN)) as log:
        told = [(line.outcome, line.url, line.reason) for line in log.lines()]
    assert told == [
        ("captured", "http://a.example/long", ""),
        ("declined", "http://a.example/long", "limit"),
        ("declined", "http://a.example/feed", "source"),
    ]


def test_the_log_tells_every_url_once(frontier: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small parts, too: what is read in one part is not read in the next."""
    monkeypatch.setattr("pipeline.crawl.frontier.log._CHUNK", 2)
    monkeypatch.setattr("pipeline.crawl.frontier.log._LOOK_UP", 2)
    host = frontier.host("http://a.example:80", 3)
    frontier.host("http://b.example:80", 2)
    seed = frontier.url("http://a.example/", host)
    frontier.outcome(seed)
    for number in range(4):
        url = frontier.url(f"http://a.example/page{number}", host, seed, "L")
        frontier.outcome(
            url, "refused", reason="budget", status=None, warc_id=None, offset=None, length=None
        )
    for number in range(5):
        frontier.decline(f"http://off.example/{number}", seed)
    frontier.decline("http://a.example/page2", seed)
    frontier.decline("http://a.example/page3?sid=1", seed)
    with closing(Log(frontier.path, RUN, lambda url: url.removesuffix("?sid=1"))) as log:
        told = list(log.lines())
    assert [line.outcome for line in told] == [
        *["captured"],
        *["refused"] * 4,
        *["waiting"] * 5,
        *["declined"] * 5,
    ]
    assert len({line.url for line in told}) == len(told)
    assert (told[0].via, told[0].warc, told[0].offset) == (None, "c-20270115080000-00000-w0", 7)
    assert (told[1].via, told[1].warc, told[1].offset, told[1].reason) == (
        "http://a.example/",
        None,
        None,
        "budget",
    )
    assert (told[-1].reason, told[-1].rule, told[-1].hops) == ("exclude", "exclude: x", "L")


def test_the_open_files_that_a_crawl_will_seal_are_known(
    frontier: Writer, account: Account
) -> None:
    for number, state in enumerate(("closed", "sealed", "unsound"), 1):
        frontier.row("warc", run_id=1, serial=number, name=f"n{number}", state=state)
    assert account.open_warcs() == {"c-20270115080000-00000-w0", "n1"}
    assert dict(account.warcs(RUN))["n3"] == "unsound"


def test_runs_are_the_latest_of_each_collection(frontier: Writer, account: Account) -> None:
    frontier.row("run", collection="b", name="b-1", started_at=1.0, finished_at=2.0)
    frontier.row("run", collection="b", name="b-2", started_at=3.0, finished_at=4.0)
    assert [(run.name, finished) for run, finished in account.runs()] == [
        ("b-2", 4.0),
        (RUN.name, None),
    ]
    assert account.unfinished() == [RUN]


def test_a_snapshot_shows_one_state_beside_a_writer(frontier: Writer, account: Account) -> None:
    with account.snapshot():
        assert account.host_counts(RUN).met == 0
        frontier.host("http://a.example:80", 1)
        assert account.host_counts(RUN).met == 0
    assert account.host_counts(RUN).met == 1


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Account(tmp_path / "frontier.sqlite")
    assert list(tmp_path.iterdir()) == []
