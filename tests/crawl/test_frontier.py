"""The shared frontier: leases, the one transaction, and what a worker that died leaves behind."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.frontier import entry as entry_module
from pipeline.crawl.frontier.account import Account, Counts
from pipeline.crawl.frontier.runs import Frontier, Run
from pipeline.crawl.frontier.share import LEASE_S, Batch, Grant, Share, Wish
from pipeline.errors import ConfigError, StorageError
from pipeline.model.target import Declined, Discovery, Kind, Outcome, Retry, RobotsAnswer, Target

NOTHING = Wish(held={}, wanted={}, released={})
NOW = 1_000_000.0


def origin_of(url: str) -> str:
    return url.split("/", 3)[2]


def robots_of(origin: str) -> str:
    return f"http://{origin}/robots.txt"


LARGE = "todo|url|host|declined|outcome|minute"
"""Tables that a large crawl fills."""

OPENED: list[Frontier | Share] = []


@pytest.fixture(autouse=True)
def close_all() -> Iterator[None]:
    """Close what a test has opened; some have been closed already."""
    yield
    for database in OPENED:
        with contextlib.suppress(sqlite3.ProgrammingError):
            database.close()
    OPENED.clear()


class Archive:
    """A frontier with one run, and workers that can be asked to beat."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self.path = folder / "frontier.sqlite"
        self.frontier = Frontier(self.path)
        OPENED.append(self.frontier)
        self.run: Run = self.frontier.start("c", "c-20260101000000", NOW)
        self.frontier.register(range(workers), NOW)

    def share(self, worker: int = 0) -> Share:
        share = Share(self.path, self.run.id, worker, origin_of, robots_of)
        OPENED.append(share)
        return share

    def counts(self, run: Run | None = None) -> Counts:
        with contextlib.closing(Account(self.path)) as account:
            return account.counts(run or self.run)


def settle(target: Target, kind: Kind = "captured") -> Outcome:
    return Outcome(target=target, kind=kind, at=NOW, status=200, offset=0, length=1, received=10)


def answer(share: Share, grant: Grant, now: float = NOW) -> Grant:
    """Settle all targets of a grant, robots.txt with an empty answer, and ask for more."""
    batch = Batch()
    for targets in grant.targets.values():
        for target in targets:
            batch.outcomes.append(settle(target))
            if target.hops == "P":
                batch.robots.append(RobotsAnswer(target.host_id, 404, b""))
    held = {lease.id: lease.epoch for lease in grant.leases}
    return share.beat(batch, (1, 1), (), Wish(held, dict.fromkeys(held, 50), {}), now)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def urls(grant: Grant) -> list[str]:
    return [target.url for targets in grant.targets.values() for target in targets]


def test_a_new_host_owes_its_robots_txt_before_any_page(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1", "http://a/2"])
    first = share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    assert urls(first) == ["http://a/robots.txt"]
    assert urls(answer(share, first)) == ["http://a/1", "http://a/2"]


def test_robots_txt_is_kept_for_the_next_lease_of_the_host(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    grant = share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    batch = Batch(
        outcomes=[settle(target) for target in grant.targets[1]],
        robots=[RobotsAnswer(1, 200, b"User-agent: *")],
    )
    share.beat(batch, (1, 1), (), Wish({1: 1}, {}, {1: NOW}, more=False), NOW)
    again = share.beat(Batch(), (1, 1), (), NOTHING, NOW)
    assert again.leases[0].robots == (200, b"User-agent: *")


def known_until(archive: Archive, share: Share, until: float, status: int = 404) -> Grant:
    """Plant two pages and answer their robots.txt, which is good until a moment; give the rest."""
    share.plant(["http://a/1", "http://a/2"])
    grant = share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    batch = Batch(
        outcomes=[settle(target) for target in grant.targets[1]],
        robots=[RobotsAnswer(1, status, b"", until)],
    )
    return share.beat(batch, (1, 1), (), Wish({1: 1}, {1: 50}, {}), NOW)


def test_a_robots_txt_that_is_too_old_comes_before_more_pages(archive: Archive) -> None:
    share = archive.share()
    grant = known_until(archive, share, NOW + 100)
    assert urls(grant) == ["http://a/1", "http://a/2"]
    batch = Batch(outcomes=[settle(grant.targets[1][0])])
    again = share.beat(batch, (1, 2), (), Wish({1: 1}, {}, {}), NOW + 100)
    assert urls(again) == ["http://a/robots.txt"]
    assert archive.counts().waiting == 2  # it counts for the run as often as it is asked for
    # as long as it is asked for or waits to be tried again nothing else is given
    batch = Batch(retries=[Retry(target=again.targets[1][0], not_before=NOW + 130)])
    assert urls(share.beat(batch, (1, 2), (), Wish({1: 1}, {1: 50}, {}), NOW + 101)) == []
    later = share.beat(Batch(), (1, 2), (), Wish({1: 1}, {1: 50}, {}), NOW + 130)
    (robots,) = later.targets[1]
    assert (robots.url, robots.attempt) == ("http://a/robots.txt", 1)
    answered = Batch(
        outcomes=[settle(robots)], robots=[RobotsAnswer(1, 200, b"User-agent: *", NOW + 999)]
    )
    last = share.beat(answered, (1, 3), (), Wish({1: 1}, {1: 50}, {}), NOW + 131)
    assert urls(last) == ["http://a/2"]
    assert archive.counts().discovered == 4 and archive.counts().waiting == 1


def test_a_new_lease_on_a_host_begins_with_a_robots_txt_that_is_too_old(archive: Archive) -> None:
    share = archive.share()
    known_until(archive, share, NOW + 100)
    share.beat(Batch(), (1, 1), (), Wish({1: 1}, {}, {1: NOW}, more=False), NOW)
    again = share.beat(Batch(), (1, 1), (), NOTHING, NOW + 100)
    assert urls(again) == ["http://a/robots.txt"]
    assert again.leases[0].robots == (404, b"")


def test_a_host_with_nothing_left_to_ask_for_is_not_asked_for_its_robots_txt_again(
    archive: Archive,
) -> None:
    share = archive.share()
    grant = known_until(archive, share, NOW + 100)
    batch = Batch(outcomes=[settle(target) for target in grant.targets[1]])
    assert urls(share.beat(batch, (1, 3), (), Wish({1: 1}, {1: 50}, {}), NOW + 200)) == []
    assert share.beat(Batch(), (1, 3), (), Wish({1: 1}, {}, {1: NOW}), NOW + 200).exhausted


@pytest.mark.parametrize(
    ("status", "next_urls"),
    [
        (200, ["http://a/1", "http://a/2"]),
        (404, ["http://a/1", "http://a/2"]),
        (0, ["http://a/robots.txt"]),
        (503, ["http://a/robots.txt"]),
    ],
)
def test_a_robots_txt_that_could_not_be_had_is_asked_for_again_in_the_next_session(
    archive: Archive, status: int, next_urls: list[str]
) -> None:
    known_until(archive, archive.share(), NOW + 1000, status)
    archive.frontier.register(range(1), NOW + 10)
    assert urls(archive.share().beat(Batch(), (1, 1), (), NOTHING, NOW + 10)) == next_urls


def test_planting_the_same_seeds_again_changes_nothing(archive: Archive) -> None:
    archive.share().plant(["http://a/1"])
    archive.share().plant(["http://a/1"])
    assert archive.counts().discovered == 2  # the page and the robots.txt


def test_a_url_offered_by_two_workers_is_fetched_once(tmp_path: Path) -> None:
    archive = Archive(tmp_path, workers=2)
    one, two = archive.share(0), archive.share(1)
    found = Batch(discoveries=[Discovery(url="http://a/x", via=None, hops="L")])
    one.beat(found, (1, 0), (), NOTHING, NOW)
    two.beat(
        Batch(discoveries=[Discovery(url="http://a/x", via=None, hops="L")]),
        (1, 0),
        (),
        NOTHING,
        NOW,
    )
    assert archive.counts().discovered == 2


def test_workers_share_the_hosts_and_never_hold_the_same_one(tmp_path: Path) -> None:
    archive = Archive(tmp_path, workers=2)
    one, two = archive.share(0), archive.share(1)
    one.plant([f"http://h{i}/" for i in range(6)])
    first = one.beat(Batch(), (1, 0), (), NOTHING, NOW)
    second = two.beat(Batch(), (1, 0), (), NOTHING, NOW)
    assert len(first.leases) == len(second.leases) == 3
    assert not {lease.id for lease in first.leases} & {lease.id for lease in second.leases}


def test_a_lease_that_ran_out_goes_to_another_worker_and_the_first_is_told(tmp_path: Path) -> None:
    archive = Archive(tmp_path, workers=2)
    one, two = archive.share(0), archive.share(1)
    one.plant(["http://a/1"])
    lease = one.beat(Batch(), (1, 0), (), NOTHING, NOW).leases[0]
    later = NOW + LEASE_S + 1
    stolen = two.beat(Batch(), (1, 0), (), NOTHING, later).leases[0]
    assert stolen.id == lease.id
    back = one.beat(Batch(), (1, 0), (), Wish({lease.id: lease.epoch}, {}, {}), later)
    assert back.lost == (lease.id,)


def test_hosts_of_a_dead_worker_are_free_at_once_but_rest_one_delay(tmp_path: Path) -> None:
    archive = Archive(tmp_path, workers=2)
    archive.share(0).plant(["http://a/1"])
    archive.share(0).beat(Batch(), (1, 0), (), NOTHING, NOW)
    archive.frontier.reap(0, NOW, delay_s=1.5)
    grant = archive.share(1).beat(Batch(), (1, 0), (), NOTHING, NOW)
    assert grant.leases[0].next_at == NOW + 1.5


def test_a_beat_that_takes_half_a_minute_does_not_lose_the_leases(tmp_path: Path) -> None:
    """A slow disk may; what a dead worker held is free at once all the same."""
    archive = Archive(tmp_path, workers=2)
    one, two = archive.share(0), archive.share(1)
    one.plant(["http://a/1"])
    lease = one.beat(Batch(), (1, 0), (), NOTHING, NOW).leases[0]
    assert not two.beat(Batch(), (1, 0), (), NOTHING, NOW + 30).leases
    held = Wish({lease.id: lease.epoch}, {}, {})
    assert not one.beat(Batch(), (1, 0), (), held, NOW + 30).lost


def test_nothing_of_a_batch_that_was_not_committed_is_seen(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    archive.frontier.reap(0, NOW, 0)
    again = archive.share().beat(Batch(), (1, 0), (), NOTHING, NOW)
    assert urls(again) == ["http://a/robots.txt"]
    assert archive.counts().captured == 0


def test_a_failed_target_waits_until_its_retry_is_due(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    grant = answer(share, share.beat(Batch(), (1, 0), (), NOTHING, NOW))
    (target,) = grant.targets[1]
    retry = Batch(retries=[Retry(target=target, not_before=NOW + 30)])
    released = share.beat(retry, (1, 1), (), Wish({1: 1}, {}, {1: NOW}), NOW)
    assert not released.leases and not archive.frontier.exhausted(archive.run)
    due = share.beat(Batch(), (1, 1), (), NOTHING, NOW + 31)
    assert [(t.url, t.attempt) for t in due.targets[1]] == [("http://a/1", 1)]


def test_urls_whose_keys_collide_are_all_kept(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_module, "key_of", lambda _run, _url: 7)
    share = archive.share()
    share.plant(["http://a/1", "http://a/2"])
    archive.share().plant(["http://a/2", "http://a/3"])
    grant = answer(share, share.beat(Batch(), (1, 0), (), NOTHING, NOW))
    assert urls(grant) == ["http://a/1", "http://a/2", "http://a/3"]


def test_a_new_run_forgets_the_finished_one(archive: Archive) -> None:
    archive.share().plant(["http://a/1"])
    archive.frontier.finish(archive.run, NOW)
    archive.frontier.start("c", "c-20260102000000", NOW)
    with sqlite3.connect(archive.path) as database:
        for table in ("url", "todo", "host"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    database.close()


def test_a_new_run_leaves_the_runs_of_other_collections_alone(archive: Archive) -> None:
    archive.share().plant(["http://a/1"])
    other = archive.frontier.start("other", "other-20260101000000", NOW)
    share = Share(archive.path, other.id, 0, origin_of, robots_of)
    OPENED.append(share)
    share.plant(["http://a/1", "http://b/1"])
    archive.frontier.finish(archive.run, NOW)
    archive.frontier.start("c", "c-20260102000000", NOW)
    assert archive.counts(other).waiting == 4
    with contextlib.closing(sqlite3.connect(archive.path)) as database:
        for table, left in (("url", 4), ("todo", 4), ("host", 2), ("run", 2)):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (left,)


def test_a_host_that_another_run_has_just_asked_rests_first(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    archive.frontier.reap(0, NOW, delay_s=5.0)
    other = archive.frontier.start("other", "other-20260101000000", NOW)
    second = Share(archive.path, other.id, 0, origin_of, robots_of)
    OPENED.append(second)
    second.plant(["http://a/1"])
    assert not second.beat(Batch(), (1, 0), (), NOTHING, NOW).leases
    assert second.beat(Batch(), (1, 0), (), NOTHING, NOW + 4).leases[0].next_at == NOW + 5


def test_no_statement_of_a_beat_reads_a_whole_table(archive: Archive) -> None:
    """A million rows must not be read to find one."""
    share = archive.share()
    share.plant([f"http://h{n}/1" for n in range(3)])
    statements: set[str] = set()
    share._db.set_trace_callback(statements.add)
    grant = answer(share, share.beat(Batch(), (1, 0), (), NOTHING, NOW))
    targets = [target for some in grant.targets.values() for target in some]
    batch = Batch(
        outcomes=[settle(targets[0])],
        retries=[Retry(target=targets[1], not_before=NOW + 5)],
        discoveries=[Discovery(url="http://new/", via=None, hops="L")],
        declined=[Declined(url="http://x/", via=None, hops="L", reason="scope", rule="no")],
        set_aside=[(3, "why")],
        cookies=[(1, b"")],
    )
    held = {lease.id: lease.epoch for lease in grant.leases}
    share.beat(batch, (1, 1), (), Wish(held, {}, dict.fromkeys(held, NOW)), NOW)
    share._db.set_trace_callback(None)
    assert len(statements) > 40
    for statement in statements:
        # the largest row number is the last one
        if statement.startswith(("BEGIN", "COMMIT", "--", "SELECT ifnull(max(id)")):
            continue
        for row in share._db.execute("EXPLAIN QUERY PLAN " + statement).fetchall():
            plan = row[3]
            assert not re.match(rf"(SCAN|SEARCH(?! \w+ USING)) ({LARGE})\b", plan), statement
            if statement.startswith("DELETE FROM todo") and " url_id = " in statement:
                assert "url_id=?" in plan, "all that waits on a host is not read for one target"


def steps_of(share: Share, beat: Callable[[], Grant]) -> int:
    """Count the steps that the database's machine takes for a beat, in hundreds."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    share._db.set_progress_handler(step, 100)
    beat()
    share._db.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("released", [False, True])
def test_what_waits_for_a_robots_txt_is_not_read_with_each_beat(
    archive: Archive, released: bool
) -> None:
    share = archive.share()
    share.plant(f"http://a/{n}" for n in range(5_000))
    (robots,) = share.beat(Batch(), (1, 0), (), NOTHING, NOW).targets[1]
    batch = Batch(retries=[Retry(target=robots, not_before=NOW + 30)])
    share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {}), NOW)
    wish = Wish({1: 1}, {}, {1: NOW}) if released else Wish({1: 1}, {1: 100}, {})
    assert steps_of(share, lambda: share.beat(Batch(), (1, 0), (), wish, NOW)) < 20


def test_hosts_that_were_set_aside_cost_nothing_where_other_hosts_are_linked(
    archive: Archive,
) -> None:
    share = archive.share()
    share.plant(f"http://h{n}/" for n in range(3_000))
    aside = Batch(set_aside=[(n, "why") for n in range(1, 3_000)])
    share.beat(aside, (1, 0), (), NOTHING, NOW)
    found = Batch(discoveries=[Discovery(url="http://h2999/x", via=None, hops="L")])
    assert steps_of(share, lambda: share.beat(found, (1, 0), (), NOTHING, NOW)) < 20


@settings(max_examples=25, deadline=None)
@given(
    pages=st.dictionaries(
        st.integers(0, 40), st.lists(st.integers(0, 40), max_size=6), min_size=1, max_size=30
    ),
    workers=st.integers(1, 3),
)
def test_any_site_is_settled_exactly_once_by_any_number_of_workers(
    tmp_path_factory: pytest.TempPathFactory, pages: dict[int, list[int]], workers: int
) -> None:
    archive = Archive(tmp_path_factory.mktemp("frontier"), workers)
    shares = [archive.share(number) for number in range(workers)]

    def url(number: int) -> str:
        return f"http://h{number % 4}/{number}"

    start = min(pages)
    shares[0].plant([url(start)])
    reachable, todo = {start}, [start]
    while todo:
        for linked in pages.get(todo.pop(), []):
            if linked not in reachable:
                reachable.add(linked)
                todo.append(linked)
    seen: list[str] = []
    now = NOW
    while not archive.frontier.exhausted(archive.run):
        now += 1
        for share in shares:
            seen += one_turn(share, pages, url, now)
    assert sorted(u for u in seen if not u.endswith("robots.txt")) == sorted(map(url, reachable))
    assert archive.counts().waiting == 0
    for share in shares:
        share.close()
    archive.frontier.close()


def one_turn(
    share: Share, pages: dict[int, list[int]], url: Callable[[int], str], now: float
) -> list[str]:
    """Lease, fetch all that is given, settle, and release."""
    grant = share.beat(Batch(), (1, 1), (), NOTHING, now)
    batch, seen = Batch(), []
    for targets in grant.targets.values():
        for target in targets:
            seen.append(target.url)
            batch.outcomes.append(settle(target))
            if target.hops == "P":
                batch.robots.append(RobotsAnswer(target.host_id, 404, b""))
                continue
            number = int(target.url.rsplit("/", 1)[1])
            batch.discoveries += [
                Discovery(url=url(linked), via=target.id, hops="L")
                for linked in pages.get(number, [])
            ]
    held = {lease.id: lease.epoch for lease in grant.leases}
    share.beat(batch, (1, 1), (), Wish(held, {}, dict.fromkeys(held, now), more=False), now)
    return seen


def test_what_another_worker_settled_after_a_lost_lease_counts_once(tmp_path: Path) -> None:
    archive = Archive(tmp_path, workers=2)
    one, two = archive.share(0), archive.share(1)
    one.plant(["http://a/1"])
    mine = one.beat(Batch(), (1, 0), (), NOTHING, NOW)
    theirs = two.beat(Batch(), (1, 0), (), NOTHING, NOW + LEASE_S + 1)
    for share, grant in ((two, theirs), (one, mine)):
        (target,) = grant.targets[1]
        share.beat(Batch(outcomes=[settle(target)]), (1, 1), (), NOTHING, NOW + LEASE_S + 1)
    assert archive.counts().captured == 1
    assert archive.counts().waiting == 1


def test_the_beat_that_gives_back_the_last_host_says_that_the_run_is_exhausted(
    archive: Archive,
) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    grant = answer(share, share.beat(Batch(), (1, 0), (), NOTHING, NOW))
    done = Batch(outcomes=[settle(target) for target in grant.targets[1]])
    last = share.beat(done, (1, 1), (), Wish({1: 1}, {}, {1: NOW}), NOW)
    assert last.exhausted


def test_a_damaged_database_is_told_as_such(archive: Archive) -> None:
    archive.share().plant([f"http://a/{i}" for i in range(500)])
    archive.frontier.close()
    data = bytearray(archive.path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    archive.path.write_bytes(data)
    with pytest.raises(StorageError, match="move it away"):
        archive.share().plant(["http://b/"])
    with pytest.raises(StorageError, match="move it away"):
        archive.counts()


def test_a_database_of_another_version_is_left_alone(archive: Archive) -> None:
    archive.frontier.close()
    with sqlite3.connect(archive.path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigError, match="another version"):
        Frontier(archive.path)
    with pytest.raises(ConfigError, match="another version"):
        Account(archive.path)


def test_an_account_is_given_where_nothing_can_be_written(archive: Archive) -> None:
    archive.share().plant(["http://a/1"])
    archive.frontier.close()
    archive.path.parent.chmod(0o555)
    try:
        assert archive.counts().waiting == 2
    finally:
        archive.path.parent.chmod(0o755)
