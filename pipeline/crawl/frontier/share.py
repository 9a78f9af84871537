"""A worker's share of the frontier: once a second one transaction settles, offers, and leases.

Before that transaction a batch of captures did not happen; after it all of it did. The lease on a
host is the only mark of what is in flight, so that a start has nothing to repair.

Where a run has a limit of captures, each target that may be asked is covered by a token. A worker
holds some, says with each beat how many, and gets more as long as there are any: captures and
tokens together never exceed the limit, whoever dies when. Where it has a limit of bytes, each beat
allows a worker to receive some until its next one. How large an answer is shows only when it is
there, so that those in flight when the last byte is used come on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from pipeline.crawl.frontier.database import connect, transaction
from pipeline.crawl.frontier.entry import Entry
from pipeline.crawl.frontier.leasing import LEASE_S, MOST_HOSTS, HostLease, Leases, Resting, Wish
from pipeline.crawl.frontier.runs import reserve_warc
from pipeline.crawl.frontier.settlement import keep_robots, set_aside, settle, settle_set_aside
from pipeline.model.policy import RunLimits
from pipeline.model.target import Declined, Discovery, Outcome, Retry, RobotsAnswer, Target

LEAST_TOKENS: Final = 16
"""What a worker with something to do asks for at first."""

_NO_LIMITS = RunLimits()

__all__ = ["LEASE_S", "MOST_HOSTS", "Batch", "Grant", "HostLease", "Resting", "Share", "Wish"]


class Batch(Struct):
    """What a worker has done since its last beat; filled by its threads, one at a time.

    Attributes:
        robots: with the outcome of each robots.txt comes its answer here.
        set_aside: hosts that are given up, each with the reason in words.
        cookies: hosts with the cookies to be kept for their next lease.
        size: bytes of the records.

    """

    outcomes: list[Outcome] = field(default_factory=list)
    discoveries: list[Discovery] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    robots: list[RobotsAnswer] = field(default_factory=list)
    set_aside: list[tuple[int, str]] = field(default_factory=list)
    cookies: list[tuple[int, bytes]] = field(default_factory=list)
    size: int = 0


class Grant(Struct, frozen=True):
    """The frontier's answer: leases lost and won, and the targets for each host held.

    Attributes:
        exhausted: nothing is left to do, for this worker or any other.
        room: how many tokens come to those in hand; None if captures are not limited.
        allowance: how many bytes may be received until the next beat; None if they are not limited.
        ended_by: the limit that the run has reached (a field of RunLimits), else empty: nothing
            more may be asked for.

    """

    until: float
    lost: tuple[int, ...]
    leases: tuple[HostLease, ...]
    targets: dict[int, list[Target]]
    exhausted: bool
    room: int | None = None
    allowance: int | None = None
    ended_by: str = ""


class Share:
    """One worker's connection to the frontier of one run.

    Args:
        path: the database.
        run_id: the run's number.
        worker: this worker's number, as it was registered.
        origin_of, robots_of, canonical: see `Entry`.
        limits: when the run ends although URLs are waiting.

    """

    def __init__(
        self,
        path: Path,
        run_id: int,
        worker: int,
        origin_of: Callable[[str], str],
        robots_of: Callable[[str], str],
        canonical: Callable[[str], str] = str,
        limits: RunLimits = _NO_LIMITS,
    ) -> None:
        self._db = connect(path)
        self._run = run_id
        self._worker = worker
        self._limits = limits
        self._leases = Leases(self._db, run_id, worker)
        self._entry = Entry(self._db, run_id, origin_of, robots_of, canonical)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def go_by(self, canonical: Callable[[str], str], limits: RunLimits) -> None:
        """Go by rules that were read again; URLs that are listed keep their keys."""
        self._entry.canonical = canonical
        self._limits = limits

    def reserve_warc(self, run: str, stamp: str) -> tuple[int, str]:
        """Reserve the next file name of this run for this worker: its number and NAME."""
        collection = run.rpartition("-")[0]
        return reserve_warc(self._db, self._run, collection, stamp, f"w{self._worker}")

    def opened_warc(self, number: int, opening: int) -> None:
        """Commit the records that begin a WARC file; they are on the disk."""
        self._db.execute(
            "UPDATE warc SET opening = ?, committed = ? WHERE id = ?", (opening, opening, number)
        )

    def plant(self, seeds: Iterable[str], now: float = 0.0) -> None:
        """Offer a collection's seeds; those that the run knows already stay as they are."""
        self._entry.plant((Discovery(url=url, via=None, hops="") for url in seeds), now)

    def readmit(self, decide: Callable[[str, str], bool], now: float) -> int:
        """Offer the URLs that were declined and are accepted now; give how many.

        For rules that were read again. `decide` tells whether a URL with these hops is accepted;
        what is no normal URL must not be. What is offered is declined no longer, and its rule does
        not count it any more.
        """
        return self._entry.readmit(decide, now)

    def beat(
        self, batch: Batch, warc: tuple[int, int], closed: Sequence[int], wish: Wish, now: float
    ) -> Grant:
        """Commit a batch whose records are on the disk, and lease what comes next.

        Args:
            batch: outcomes and discoveries since the last beat.
            warc: the open WARC's number and the bytes of it that are synced.
            closed: numbers of the WARC files that were filled and closed since.
            wish: leases held, released and wanted.
            now: Unix time.

        """
        self._entry.decline(batch.declined)
        fresh = self._entry.unknown(batch.discoveries)
        until = now + LEASE_S
        with transaction(self._db):
            lost = self._leases.renew(wish, until)
            self._entry.offer(fresh, now)
            self._settle(batch, warc[0], wish, now)
            self._db.execute("UPDATE warc SET committed = ? WHERE id = ?", (warc[1], warc[0]))
            self._db.executemany(
                "UPDATE warc SET state = 'closed' WHERE id = ?", [(number,) for number in closed]
            )
            self._leases.release(wish.released, now)
            ended_by = self._ended_by()
            gone = lost.union(host_id for host_id, _ in batch.set_aside)
            kept = len(wish.held.keys() - wish.released.keys() - gone)
            leases = self._leases.take(kept, now, until) if wish.more and not ended_by else ()
            targets = {} if ended_by else self._leases.pull(wish, leases, gone, now)
            room = self._reserve(wish, bool(leases), ended_by, now)
            may_ask = bool(kept or leases) and not ended_by
            allowance = self._allow(may_ask, now)
            # what is in flight, though its host was given up, may lead on
            exhausted = not (kept or gone or leases or wish.in_flight) and (
                bool(ended_by) or self._leases.exhausted()
            )
        return Grant(until, tuple(gone), leases, targets, exhausted, room, allowance, ended_by)

    def _settle(self, batch: Batch, warc_id: int, wish: Wish, now: float) -> None:
        settle(self._db, self._run, batch.outcomes, batch.retries, warc_id)
        keep_robots(self._db, batch.robots, batch.outcomes, now)
        self._db.executemany(
            "UPDATE host SET cookies = ? WHERE id = ?",
            [(cookies, host_id) for host_id, cookies in batch.cookies],
        )
        if batch.set_aside:
            set_aside(self._db, self._run, batch.set_aside, wish.in_flight, now)
        if batch.retries:
            # what was in flight when its host was given up is not tried again
            again = {retry.target.host_id for retry in batch.retries}
            settle_set_aside(self._db, self._run, again, now, wish.in_flight)

    def _ended_by(self) -> str:
        """Tell which limit the run has reached, and note the first; empty if none."""
        captures, received, active_s, ended_by = self._db.execute(
            "SELECT captured + revisit, received, active_s, ended_by FROM run WHERE id = ?",
            (self._run,),
        ).fetchone()
        if ended_by:
            return str(ended_by)
        for limit, reached in (
            ("max_captures", captures),
            ("max_bytes", received),
            ("max_time_s", active_s),
        ):
            most = getattr(self._limits, limit)
            if most is not None and reached >= most:
                self._db.execute("UPDATE run SET ended_by = ? WHERE id = ?", (limit, self._run))
                return limit
        return ""

    def _reserve(self, wish: Wish, has_leases: bool, ended_by: str, now: float) -> int | None:
        """Note this worker's tokens, and hand out its share of those that are left."""
        held = wish.tokens + len(wish.in_flight)
        room = self._room(wish, held, has_leases, now)
        if ended_by:
            room = 0
        self._db.execute(
            "UPDATE worker SET seen_at = ?, reserved = ? WHERE id = ?",
            (now, held + (room or 0), self._worker),
        )
        self._db.execute(
            "UPDATE run SET reserved = (SELECT total(reserved) FROM worker) WHERE id = ?",
            (self._run,),
        )
        return room

    def _allow(self, may_ask: bool, now: float) -> int | None:
        """Note and give this worker's share of the bytes that no other is allowed to receive."""
        most = self._limits.max_bytes
        if most is None:
            return None
        taken = self._db.execute(
            "SELECT received + (SELECT ifnull(sum(allowed), 0) FROM worker WHERE id <> ?)"
            " FROM run WHERE id = ?",
            (self._worker, self._run),
        ).fetchone()[0]
        left = max(most - taken, 0) if may_ask else 0
        share = int(-(-left // self._leases.workers(now)))
        self._db.execute("UPDATE worker SET allowed = ? WHERE id = ?", (share, self._worker))
        return share

    def _room(self, wish: Wish, held: int, has_leases: bool, now: float) -> int | None:
        most = self._limits.max_captures
        if most is None:
            return None
        taken = self._db.execute(
            "SELECT captured + revisit"
            " + (SELECT ifnull(sum(reserved), 0) FROM worker WHERE id <> ?)"
            " FROM run WHERE id = ?",
            (self._worker, self._run),
        ).fetchone()[0]
        left = max(most - taken - held, 0)
        asked = max(wish.asked, LEAST_TOKENS if has_leases else 0)
        return int(min(asked, -(-left // self._leases.workers(now))))
