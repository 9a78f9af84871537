"""Budgets, hosts that are given up, and what is declined: every URL is settled once and counted."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.frontier.account import Account, Counts
from pipeline.crawl.frontier.runs import Frontier, Run
from pipeline.crawl.frontier.schedule import Schedule
from pipeline.crawl.frontier.share import LEASE_S, Batch, Grant, Resting, Share, Wish
from pipeline.crawl.rules.politeness import NO_REST, Rest
from pipeline.model.policy import RunLimits
from pipeline.model.target import (
    Change,
    Declined,
    Discovery,
    Kind,
    Outcome,
    Retry,
    RobotsAnswer,
    Target,
)

NOTHING = Wish(held={}, wanted={}, released={})
NOW = 1_000_000.0


def origin_of(url: str) -> str:
    return url.split("/", 3)[2]


def robots_of(origin: str) -> str:
    return f"http://{origin}/robots.txt"


class Archive:
    """A frontier with one run, and shares of it that are closed in the end."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self.path = folder / "frontier.sqlite"
        self.opened: list[Frontier | Share] = []
        self.frontier = Frontier(self.path)
        self.opened.append(self.frontier)
        self.run: Run = self.frontier.start("c", "c-20260101000000", NOW)
        self.frontier.register(range(workers), NOW)

    def share(
        self,
        worker: int = 0,
        canonical: Callable[[str], str] = str,
        limits: RunLimits = RunLimits(),  # noqa: B008 frozen
    ) -> Share:
        share = Share(self.path, self.run.id, worker, origin_of, robots_of, canonical, limits)
        self.opened.append(share)
        return share

    def counts(self) -> Counts:
        with contextlib.closing(Account(self.path)) as account:
            return account.counts(self.run)

    def rows(self, sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            return database.execute(sql).fetchall()

    def close(self) -> None:
        for database in self.opened:
            with contextlib.suppress(sqlite3.ProgrammingError):
                database.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path, workers=2)
    yield archive
    archive.close()


def outcome(
    target: Target,
    kind: Kind = "captured",
    at: float = NOW,
    change: Change | None = None,
    received: int = 10,
) -> Outcome:
    return Outcome(
        target=target,
        kind=kind,
        at=at,
        status=200,
        mime="text/html",
        change=change,
        offset=0,
        length=1,
        received=received,
        duration_ms=7,
    )


def opened(share: Share, *pages: str) -> Grant:
    """Plant pages of one host, settle its robots.txt, and give the grant that has the pages."""
    share.plant(pages)
    grant = share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    (lease,) = grant.leases
    (robots,) = grant.targets[lease.id]
    batch = Batch(outcomes=[outcome(robots)], robots=[RobotsAnswer(lease.id, 404, b"")])
    return share.beat(batch, (1, 0), (), Wish({lease.id: 1}, {lease.id: 50}, {}), NOW)


def counts(archive: Archive) -> tuple[int, int, int, int]:
    """Give what was captured, refused, failed and is waiting."""
    found = archive.counts()
    return found.captured, found.refused, found.failed, found.waiting


# canonical spelling, priorities


def test_spellings_of_one_page_are_fetched_once_as_first_written(archive: Archive) -> None:
    def canonical(url: str) -> str:
        return url.partition("?sid=")[0]

    share = archive.share(canonical=canonical)
    grant = opened(share, "http://a/1?sid=7", "http://a/1?sid=8", "http://a/2", "http://a/1")
    assert [t.url for t in grant.targets[1]] == ["http://a/1?sid=7", "http://a/2"]
    found = [Discovery(url="http://a/1?sid=9", via=None, hops="L")]
    other = archive.share(1, canonical=canonical)
    other.beat(Batch(discoveries=found), (1, 0), (), NOTHING, NOW)
    assert archive.counts().discovered == 3


def test_guesses_from_scripts_are_asked_for_last_and_sitemaps_with_the_pages(
    archive: Archive,
) -> None:
    share = archive.share()
    found = [
        Discovery(url=f"http://a/{hops}", via=None, hops=hops) for hops in ("LX", "L", "PM", "E")
    ]
    share.beat(Batch(discoveries=found), (1, 0), (), Wish({}, {}, {}, more=False), NOW)
    grant = opened(share)
    assert [t.hops for t in grant.targets[1]] == ["L", "PM", "E", "LX"]
    batch = Batch(outcomes=[outcome(t) for t in grant.targets[1]])
    share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {1: NOW}), NOW)
    assert archive.rows("SELECT * FROM todo") == [], "whatever their place, they are struck off"


# declined


def declined(number: int, rule: str = "scope: no", via: int | None = None) -> Declined:
    return Declined(url=f"http://x/{number}", via=via, hops="L", reason="scope", rule=rule)


def test_what_is_declined_counts_once_for_its_rule_whoever_meets_it(archive: Archive) -> None:
    one, two = archive.share(0), archive.share(1)
    for share in (one, two, one):
        batch = Batch(declined=[declined(1), declined(2), declined(1), declined(3, "trap: x")])
        share.beat(batch, (1, 0), (), NOTHING, NOW)
    rules = archive.rows("SELECT words, reason, declined FROM rule ORDER BY words")
    assert rules == [("scope: no", "scope", 2), ("trap: x", "scope", 1)]
    assert len(archive.rows("SELECT * FROM declined")) == 3


def test_text_that_is_no_url_can_be_declined(archive: Archive) -> None:
    odd = [
        Declined(url=text, via=None, hops="L", reason="url", rule="url: none")
        for text in ("http://\udcff/", "a\0b", "", "ü")
    ]
    archive.share().beat(Batch(declined=odd), (1, 0), (), NOTHING, NOW)
    assert archive.rows("SELECT declined FROM rule") == [(4,)]


def test_new_rules_take_up_what_was_declined_before(archive: Archive) -> None:
    share = archive.share()
    batch = Batch(declined=[declined(n) for n in range(10)])
    share.beat(batch, (1, 0), (), NOTHING, NOW)
    assert share.readmit(lambda url, hops: url[-1] in "37" and hops == "L", NOW) == 2
    assert archive.counts().discovered == 3  # with the robots.txt
    assert archive.rows("SELECT declined FROM rule") == [(8,)]
    assert share.readmit(lambda url, hops: url[-1] in "37", NOW) == 0
    assert not archive.frontier.exhausted(archive.run)


@pytest.mark.parametrize("reason", ["url", "limit", "source", "trap-content"])
def test_new_rules_leave_alone_what_no_rule_of_the_collection_declined(
    archive: Archive, reason: str
) -> None:
    """What is no URL cannot be judged by its place, and the rest of a long page has none."""
    share = archive.share()
    odd = Declined(url="http://[", via=None, hops="L", reason=reason, rule="x")
    share.beat(Batch(declined=[odd, declined(1)]), (1, 0), (), NOTHING, NOW)
    asked: list[str] = []

    def refuse(url: str, _hops: str) -> bool:
        asked.append(url)
        return False

    assert share.readmit(refuse, NOW) == 0
    assert asked == ["http://x/1"]
    assert archive.rows("SELECT declined FROM rule ORDER BY id") == [(1,), (1,)]


# hosts that are given up


def test_a_host_that_is_set_aside_settles_all_that_waits_there(archive: Archive) -> None:
    share = archive.share()
    opened(share, *(f"http://a/{n}" for n in range(5)))
    batch = Batch(set_aside=[(1, "10 failures in a row")])
    grant = share.beat(batch, (1, 0), (), Wish({1: 1}, {1: 50}, {}), NOW)
    assert grant.lost == (1,) and not grant.targets
    assert counts(archive) == (1, 0, 5, 0)
    assert archive.rows("SELECT set_aside, idle, why, owner FROM host") == [
        (1, 1, "10 failures in a row", None)
    ]
    assert archive.rows(
        "SELECT DISTINCT kind, reason, warc_id FROM outcome WHERE status IS NULL"
    ) == [("failed", "host-failing", None)]
    assert share.beat(Batch(), (1, 0), (), NOTHING, NOW).exhausted


def test_links_to_a_host_that_was_set_aside_are_settled_at_once(archive: Archive) -> None:
    share, other = archive.share(0), archive.share(1)
    opened(share, "http://a/1")
    share.beat(Batch(set_aside=[(1, "why")]), (1, 0), (), Wish({1: 1}, {}, {}), NOW)
    found = [Discovery(url=f"http://a/{n}", via=None, hops="L") for n in range(2, 5)]
    other.beat(Batch(discoveries=found), (1, 0), (), NOTHING, NOW)
    archive.share().plant(["http://a/seed"])
    assert counts(archive) == (1, 0, 5, 0)
    assert archive.frontier.exhausted(archive.run)


def test_a_link_to_a_host_that_was_set_aside_leaves_alone_what_is_in_flight_there(
    archive: Archive,
) -> None:
    share, other = archive.share(0), archive.share(1)
    flying = opened(share, "http://a/1").targets[1][0]
    aside = Wish({1: 1}, {}, {}, in_flight=frozenset({flying.id}))
    share.beat(Batch(set_aside=[(1, "why")]), (1, 0), (), aside, NOW)
    found = [Discovery(url="http://a/2", via=None, hops="L")]
    other.beat(Batch(discoveries=found), (1, 0), (), NOTHING, NOW)
    assert counts(archive) == (1, 0, 1, 1)
    share.beat(Batch(outcomes=[outcome(flying)]), (1, 0), (), NOTHING, NOW)
    assert counts(archive) == (2, 0, 1, 0)


@pytest.mark.parametrize("ends", ["captured", "retry", "killed"])
def test_what_was_in_flight_when_its_host_was_set_aside_is_settled_once(
    archive: Archive, ends: str
) -> None:
    share = archive.share()
    one, two, _ = opened(share, "http://a/1", "http://a/2", "http://a/3").targets[1]
    batch = Batch(set_aside=[(1, "why")], outcomes=[outcome(one, "failed")])
    flying = Wish({1: 1}, {}, {}, in_flight=frozenset({two.id}))
    share.beat(batch, (1, 0), (), flying, NOW)
    assert counts(archive) == (1, 0, 2, 1)
    if ends == "captured":
        share.beat(Batch(outcomes=[outcome(two)]), (1, 0), (), NOTHING, NOW)
    elif ends == "retry":
        share.beat(Batch(retries=[Retry(target=two, not_before=NOW)]), (1, 0), (), NOTHING, NOW)
    else:
        archive.frontier.reap(0, NOW, 1.0)
    assert counts(archive) == ((2, 0, 2, 0) if ends == "captured" else (1, 0, 3, 0))


# rests, retries, cookies


def test_why_a_host_rests_is_kept_for_those_who_look_and_for_its_next_lease(
    archive: Archive,
) -> None:
    share = archive.share()
    opened(share, "http://a/1")
    resting = {1: Resting(NOW + 9, "retry-after", 3)}
    batch = Batch(cookies=[(1, b"a=b")])
    share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {}, resting=resting), NOW)
    assert archive.rows("SELECT next_at, why, failures FROM host") == [(NOW + 9, "retry-after", 3)]
    archive.frontier.reap(0, NOW, 1.0)
    (lease,) = archive.share(1).beat(Batch(), (1, 0), (), NOTHING, NOW + 8).leases
    assert (lease.next_at, lease.why, lease.failures) == (NOW + 9, "retry-after", 3)
    assert lease.cookies == b"a=b"


def test_a_host_whose_robots_txt_is_to_be_tried_again_waits_for_that(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    (robots,) = share.beat(Batch(), (1, 0), (), NOTHING, NOW).targets[1]
    batch = Batch(retries=[Retry(target=robots, not_before=NOW + 30)])
    after = share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {1: NOW}), NOW)
    assert not after.leases
    assert archive.rows("SELECT next_at, why, idle FROM host") == [(NOW + 30, "retry", 0)]
    again = share.beat(Batch(), (1, 0), (), NOTHING, NOW + 30)
    assert [t.attempt for t in again.targets[1]] == [1]


def test_a_host_is_leased_when_its_first_target_is_to_be_tried_again_and_not_before(
    archive: Archive,
) -> None:
    """A lease that has nothing to give would be given back and taken at once, beat after beat."""
    share = archive.share()
    (target,) = opened(share, "http://a/1").targets[1]
    batch = Batch(retries=[Retry(target=target, not_before=NOW + 30)])
    share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {1: NOW}), NOW)
    assert not share.beat(Batch(), (1, 0), (), NOTHING, NOW + 29).leases
    (lease,) = share.beat(Batch(), (1, 0), (), NOTHING, NOW + 30).leases
    assert lease.next_at == NOW + 30


def test_a_robots_txt_settled_without_an_answer_does_not_stall_its_host(archive: Archive) -> None:
    share = archive.share()
    share.plant(["http://a/1"])
    (robots,) = share.beat(Batch(), (1, 0), (), NOTHING, NOW).targets[1]
    batch = Batch(outcomes=[outcome(robots, "refused")])
    share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {1: NOW}, more=False), NOW)
    grant = share.beat(Batch(), (1, 0), (), NOTHING, NOW)
    assert grant.leases[0].robots == (0, b"")
    assert [t.url for t in grant.targets[1]] == ["http://a/1"]


# numbers


def test_a_beat_adds_to_the_numbers_of_run_host_and_minute(archive: Archive) -> None:
    share = archive.share()
    one, two, three, four = opened(share, *(f"http://a/{n}" for n in range(4))).targets[1]
    batch = Batch(
        outcomes=[
            outcome(one, at=120.0, change="new"),
            outcome(two, "revisit", at=179.9, change="unchanged"),
            outcome(three, "refused", at=180.0),
        ],
        retries=[Retry(target=four, not_before=NOW, received=500)],
    )
    share.beat(batch, (1, 0), (), Wish({1: 1}, {}, {}), NOW)
    columns = "captured, revisit, refused, new, changed, unchanged, vanished, received"
    assert archive.rows(f"SELECT {columns} FROM run") == [(2, 1, 1, 1, 0, 1, 0, 540)]
    assert archive.rows("SELECT asked, failed, spent_ms, received FROM host") == [(4, 1, 21, 530)]
    minutes = archive.rows("SELECT at, captured, received FROM minute WHERE at < 100")
    assert minutes == [(2, 2, 20), (3, 0, 10)]
    rows = archive.rows("SELECT mime, received, duration_ms FROM outcome WHERE url_id = 2")
    assert rows == [("text/html", 10, 7)]


# budgets


def test_a_run_ends_when_it_has_received_enough_or_taken_long_enough(archive: Archive) -> None:
    for limits, reached in (
        (RunLimits(max_bytes=10), "max_bytes"),
        (RunLimits(max_time_s=60), "max_time_s"),
    ):
        share = archive.share(limits=limits)
        if reached == "max_bytes":
            grant = opened(share, "http://a/1")
        else:
            archive.frontier.spend(archive.run, 59)
            assert not share.beat(Batch(), (1, 0), (), NOTHING, NOW).ended_by
            archive.frontier.spend(archive.run, 1)
            grant = share.beat(Batch(), (1, 0), (), NOTHING, NOW)
        assert (grant.ended_by, grant.room) == (reached, 0)
        assert archive.frontier.ended_by(archive.run) == reached
        assert not grant.targets and not grant.leases
        last = share.beat(Batch(), (1, 0), (), Wish({}, {}, {}, more=False), NOW)
        assert last.exhausted, "though something is waiting"
        archive.frontier.finish(archive.run, NOW)
        archive.run = archive.frontier.start("c", f"c-{reached}", NOW)
        archive.frontier.register(range(2), NOW)


def test_the_bytes_that_all_workers_may_receive_never_exceed_the_budget(archive: Archive) -> None:
    limits = RunLimits(max_bytes=1000)
    shares = [archive.share(worker, limits=limits) for worker in (0, 1)]
    archive.frontier.register((0, 1), NOW)
    shares[0].plant(["http://a/1", "http://b/1"])
    grants = [share.beat(Batch(), (1, 0), (), NOTHING, NOW) for share in shares]
    assert [grant.allowance for grant in grants] == [500, 250]
    (robots,) = grants[0].targets[1]
    batch = Batch(outcomes=[outcome(robots, received=400)])
    held = Wish({1: 1}, {}, {})
    assert shares[0].beat(batch, (1, 0), (), held, NOW).allowance == 175
    # one that holds no host needs none, and what a dead one held is free
    archive.frontier.reap(1, NOW, 0)
    assert shares[0].beat(Batch(), (1, 0), (), held, NOW).allowance == 300
    given_back = Wish({1: 1}, {}, {1: NOW}, more=False)
    assert shares[0].beat(Batch(), (1, 0), (), given_back, NOW).allowance == 0


def test_what_was_received_counts_for_the_limit_also_when_it_is_to_be_tried_again(
    archive: Archive,
) -> None:
    share = archive.share(limits=RunLimits(max_bytes=100))
    (target,) = opened(share, "http://a/1").targets[1]
    batch = Batch(retries=[Retry(target=target, not_before=NOW, received=90)])
    assert share.beat(batch, (1, 0), (), NOTHING, NOW).ended_by == "max_bytes"


def test_what_a_limit_leaves_over_is_settled_in_pieces_and_may_be_repeated(
    archive: Archive,
) -> None:
    opened(archive.share(), *(f"http://a/{n}" for n in range(25)))
    archive.share().plant(f"http://b{n}/" for n in range(10))
    waiting = archive.counts().waiting
    assert archive.frontier.cut(archive.run, NOW, most=7) == waiting == 45
    assert archive.frontier.cut(archive.run, NOW) == 0
    assert counts(archive) == (1, 45, 0, 0)
    assert archive.frontier.exhausted(archive.run)
    assert archive.rows("SELECT count(*) FROM outcome WHERE reason = 'budget'") == [(45,)]


def test_tokens_of_a_worker_that_died_are_given_to_others(archive: Archive) -> None:
    limits = RunLimits(max_captures=10)
    one, two = archive.share(0, limits=limits), archive.share(1, limits=limits)
    one.plant([f"http://h{n}/" for n in range(20)])
    assert one.beat(Batch(), (1, 0), (), NOTHING, NOW).room == 5, "half of them"
    assert archive.rows("SELECT reserved FROM run") == [(5,)]
    archive.frontier.reap(0, NOW, 0.0)
    assert archive.rows("SELECT reserved FROM run") == [(0,)]
    assert two.beat(Batch(), (1, 0), (), NOTHING, NOW + LEASE_S - 1).room == 5
    archive.frontier.register(range(1), NOW)
    assert archive.rows("SELECT reserved FROM run") == [(0,)]


class Machine:
    """Workers that beat, take, answer and die in any order, against one frontier."""

    def __init__(self, archive: Archive, workers: int, limits: RunLimits, seed: int) -> None:
        self.archive, self.limits = archive, limits
        self.dice = random.Random(seed)
        self.now = NOW
        self.pages = 0
        self.workers = [self.worker(n) for n in range(workers)]

    def worker(self, number: int) -> dict[str, Any]:
        return {
            "number": number,
            "share": self.archive.share(number, limits=self.limits),
            "schedule": Schedule(self.dice.choice([1, 2])),
            "batch": Batch(),
            "flying": [],
            "holds": set(),
            "ended": False,
        }

    def beat(self, worker: dict[str, Any]) -> None:
        wish = worker["schedule"].wish(stopping=False)
        batch, worker["batch"] = worker["batch"], Batch()
        grant = worker["share"].beat(batch, (1, 0), (), wish, self.now)
        assert not grant.lost, "nobody takes what is held"
        worker["schedule"].grant(grant, wish)
        worker["holds"] -= wish.released.keys()
        worker["holds"] |= {lease.id for lease in grant.leases}
        worker["ended"] = grant.exhausted and not worker["flying"]

    def take(self, worker: dict[str, Any]) -> None:
        target = worker["schedule"].take(self.now)
        if target is not None:
            assert target.host_id in worker["holds"]
            worker["flying"].append(target)

    def answer(self, worker: dict[str, Any]) -> None:
        if not worker["flying"]:
            return
        target = worker["flying"].pop(self.dice.randrange(len(worker["flying"])))
        batch, is_robots = worker["batch"], target.hops == "P"
        fate = self.dice.choice(["captured"] * 5 + ["revisit", "failed", "refused", "retry"])
        if is_robots:
            batch.robots.append(RobotsAnswer(target.host_id, 404, b""))
            fate = "captured"
        if fate == "retry" and target.attempt < 2:
            batch.retries.append(Retry(target=target, not_before=self.now + self.dice.random()))
        else:
            kind: Kind = "failed" if fate == "retry" else fate  # type: ignore[assignment]
            batch.outcomes.append(outcome(target, kind, self.now))
        if not is_robots:
            for _ in range(self.dice.randrange(4)):
                self.pages += 1
                url = f"http://h{self.dice.randrange(6)}/{self.pages}"
                batch.discoveries.append(Discovery(url=url, via=target.id, hops="L"))
        pause = NO_REST if self.dice.random() < 0.8 else Rest(20.0, "back-off")
        worker["schedule"].finish(target, self.now, pause, failed=False)

    def die(self, worker: dict[str, Any]) -> None:
        worker["share"].close()
        self.archive.frontier.reap(worker["number"], self.now, 0.0)
        self.workers[worker["number"]] = self.worker(worker["number"])

    def step(self) -> None:
        self.now += self.dice.choice([0.0, 0.01, 0.2])
        worker = self.dice.choice(self.workers)
        act = self.dice.choices([self.take, self.answer, self.beat, self.die], [30, 30, 15, 1])[0]
        act(worker)
        # every worker beats in time
        for other in self.workers:
            if self.now - other.setdefault("beaten", self.now) > 1.0 or act is self.beat:
                other["beaten"] = self.now
                self.beat(other)

    def check(self) -> None:
        ((captured, reserved),) = self.archive.rows("SELECT captured + revisit, reserved FROM run")
        most = self.limits.max_captures
        if most is not None:
            assert captured + reserved <= most
            unsettled = sum(
                sum(o.kind in ("captured", "revisit") for o in worker["batch"].outcomes)
                + len(worker["flying"])
                for worker in self.workers
            )
            assert captured + unsettled <= most
        holds = [host for worker in self.workers for host in worker["holds"]]
        assert len(holds) == len(set(holds)), "one host, one worker"


@settings(max_examples=12, deadline=None)
@given(
    workers=st.integers(1, 4),
    most=st.none() | st.integers(1, 60),
    seed=st.integers(0, 2**32),
)
def test_tokens_never_exceed_the_budget_and_no_host_has_two_workers(
    tmp_path_factory: pytest.TempPathFactory, workers: int, most: int | None, seed: int
) -> None:
    archive = Archive(tmp_path_factory.mktemp("budget"), workers)
    try:
        machine = Machine(archive, workers, RunLimits(max_captures=most), seed)
        machine.workers[0]["share"].plant(f"http://h{n}/seed" for n in range(3))
        for _ in range(250):
            machine.step()
            machine.check()
        if most is None:
            return
        for _ in range(3_000):
            if all(worker["ended"] for worker in machine.workers):
                break
            machine.now += 0.5
            for worker in machine.workers:
                machine.take(worker)
                machine.answer(worker)
                machine.beat(worker)
            machine.check()
        assert all(worker["ended"] for worker in machine.workers), "a run never stalls"
        found = archive.counts()
        ended_by = archive.frontier.ended_by(archive.run)
        assert (found.captured + found.revisit == most) == (ended_by == "max_captures")
        if not ended_by:
            assert found.waiting == 0
        archive.frontier.cut(archive.run, machine.now)
        assert archive.counts().waiting == 0
    finally:
        archive.close()
