"""A worker's share of the frontier: once a second one transaction settles, offers, and leases.

Before that transaction a batch of captures did not happen; after it all of it did. The lease on a
host is the only mark of what is in flight, so that a start has nothing to repair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.crawl.frontier.database import connect, transaction
from pipeline.crawl.frontier.runs import key_of
from pipeline.model.target import Discovery, Outcome, Retry, RobotsAnswer, Target

LEASE_S = 15.0
MOST_HOSTS = 128
_LOOK_UP = 500


@dataclass(slots=True)
class Batch:
    """What a worker has done since its last beat; filled by its threads, one at a time."""

    outcomes: list[Outcome] = field(default_factory=list)
    discoveries: list[Discovery] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    robots: list[RobotsAnswer] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class HostLease:
    """A host that this worker alone may ask until `until` (Unix time)."""

    id: int
    origin: str
    epoch: int
    next_at: float
    until: float
    robots: tuple[int, bytes] | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker holds and wants of the frontier.

    Attributes:
        held: host id -> epoch of each lease.
        wanted: host id -> how many targets its queue should be filled up to.
        released: host id -> moment before which nobody may ask it again.
        more: whether new leases are wanted.

    """

    held: dict[int, int]
    wanted: dict[int, int]
    released: dict[int, float]
    more: bool = True


@dataclass(frozen=True, slots=True)
class Grant:
    """The frontier's answer: leases lost and won, and the targets for each host held."""

    until: float
    lost: tuple[int, ...]
    leases: tuple[HostLease, ...]
    targets: dict[int, list[Target]]
    exhausted: bool


class Share:
    """One worker's connection to the frontier of one run."""

    def __init__(
        self,
        path: Path,
        run_id: int,
        worker: int,
        origin_of: Callable[[str], str],
        robots_of: Callable[[str], str],
    ) -> None:
        self._db = connect(path)
        self._run = run_id
        self._worker = worker
        self._origin_of = origin_of
        self._robots_of = robots_of
        self._hosts: dict[str, int] = {}

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def reserve_warc(self, run: str, stamp: str) -> tuple[int, str]:
        """Reserve the next file name of this run for this worker: its number and NAME."""
        collection = run.rpartition("-")[0]
        with transaction(self._db):
            serial = self._db.execute(
                "SELECT ifnull(max(serial), -1) + 1 FROM warc WHERE run_id = ?", (self._run,)
            ).fetchone()[0]
            name = f"{collection}-{stamp}-{serial:05d}-w{self._worker}"
            number = self._db.execute(
                "INSERT INTO warc(run_id, serial, name, state) VALUES (?, ?, ?, 'open')"
                " RETURNING id",
                (self._run, serial, name),
            ).fetchone()[0]
        return number, name

    def opened_warc(self, number: int, opening: int) -> None:
        """Commit the records that begin a WARC file; they are on the disk."""
        self._db.execute(
            "UPDATE warc SET opening = ?, committed = ? WHERE id = ?", (opening, opening, number)
        )

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
        fresh = self._unknown(batch.discoveries)
        until = now + LEASE_S
        with transaction(self._db):
            lost = self._renew(wish.held, until)
            self._offer(fresh)
            self._settle(batch, warc[0], now)
            self._db.execute("UPDATE warc SET committed = ? WHERE id = ?", (warc[1], warc[0]))
            self._db.executemany(
                "UPDATE warc SET state = 'closed' WHERE id = ?", [(number,) for number in closed]
            )
            self._release(wish.released)
            kept = len(wish.held) - len(wish.released) - len(lost)
            leases = self._lease(kept, now, until) if wish.more else ()
            targets = self._pull(wish, leases, lost, now)
            exhausted = not (kept or lost or leases) and self._exhausted()
        return Grant(until, lost, leases, targets, exhausted)

    def _unknown(self, discoveries: Iterable[Discovery]) -> list[tuple[int, Discovery]]:
        """Keep what the database does not hold yet, with the key it will get.

        A host not met before owes us its robots.txt first.
        """
        offered = list(discoveries)
        origins = dict.fromkeys(self._origin_of(found.url) for found in offered)
        robots = [
            Discovery(url=self._robots_of(origin), via=None, hops="P")
            for origin in origins
            if origin not in self._hosts
        ]
        fresh: dict[int, Discovery] = {}
        for found in (*robots, *offered):
            key = key_of(self._run, found.url)
            while key in fresh and fresh[key].url != found.url:
                key += 1
            fresh.setdefault(key, found)
        keys = list(fresh)
        for start in range(0, len(keys), _LOOK_UP):
            some = keys[start : start + _LOOK_UP]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(f"SELECT key, url FROM url WHERE key IN ({marks})", some)
            for key, url in rows.fetchall():
                found = fresh.pop(key)
                if url != found.url:
                    self._make_room(fresh, key, found)
        return list(fresh.items())

    def _make_room(self, fresh: dict[int, Discovery], key: int, found: Discovery) -> None:
        """Give a URL whose key another URL has the next free key, unless it is known after all."""
        while True:
            key += 1
            row = self._db.execute("SELECT url FROM url WHERE key = ?", (key,)).fetchone()
            if row and row[0] == found.url:
                return
            if row is None and key not in fresh:
                fresh[key] = found
                return

    def _renew(self, held: dict[int, int], until: float) -> tuple[int, ...]:
        """Prolong the leases; what another worker took meanwhile is lost."""
        lost = []
        for host_id, epoch in held.items():
            done = self._db.execute(
                "UPDATE host SET lease_until = ? WHERE id = ? AND owner = ? AND epoch = ?",
                (until, host_id, self._worker, epoch),
            )
            if done.rowcount == 0:
                lost.append(host_id)
        return tuple(lost)

    def plant(self, seeds: Iterable[str]) -> None:
        """Offer a collection's seeds; those that the run knows already stay as they are."""
        fresh = self._unknown(Discovery(url=url, via=None, hops="") for url in seeds)
        with transaction(self._db):
            self._offer(fresh)

    def _offer(self, fresh: Sequence[tuple[int, Discovery]]) -> None:
        """Insert URLs, and list for their hosts those that no other worker offered meanwhile."""
        if not fresh:
            return
        rows = [
            (self._host(found.url), self._run, key, found.url, found.via, found.hops)
            for key, found in fresh
        ]
        newest = self._db.execute("SELECT ifnull(max(id), 0) FROM url").fetchone()[0]
        self._db.executemany(
            "INSERT INTO url(host_id, run_id, key, url, via, hops) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            rows,
        )
        new = self._db.execute(
            "INSERT INTO todo(host_id, priority, url_id)"
            " SELECT host_id, hops != 'P', id FROM url WHERE id > ?",
            (newest,),
        ).rowcount
        self._db.executemany(
            "UPDATE host SET idle = 0 WHERE idle = 1 AND id = ?",
            [(host_id,) for host_id in {row[0] for row in rows}],
        )
        self._db.execute(
            "UPDATE run SET discovered = discovered + ? WHERE id = ?", (new, self._run)
        )

    def _host(self, url: str) -> int:
        """Give the number of a URL's host, entering it when it is new."""
        origin = self._origin_of(url)
        if origin not in self._hosts:
            row = self._db.execute(
                "SELECT id FROM host WHERE run_id = ? AND origin = ?", (self._run, origin)
            ).fetchone()
            # a paused run may have asked this host a moment ago
            row = (
                row
                or self._db.execute(
                    "INSERT INTO host(run_id, origin, next_at)"
                    " SELECT ?, ?, ifnull(max(next_at), 0) FROM host WHERE origin = ? RETURNING id",
                    (self._run, origin, origin),
                ).fetchone()
            )
            self._hosts[origin] = row[0]
        return self._hosts[origin]

    def _settle(self, batch: Batch, warc_id: int, now: float) -> None:
        # what another worker settled, after this one had lost the lease, counts once
        outcomes = [o for o in batch.outcomes if self._strike(o.target)]
        self._db.executemany(
            "INSERT INTO outcome(run_id, url_id, at, kind, reason, status, warc_id, offset, length)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    self._run,
                    o.target.id,
                    o.at,
                    o.kind,
                    o.reason,
                    o.status,
                    warc_id,
                    o.offset,
                    o.length,
                )
                for o in outcomes
            ],
        )
        self._db.executemany(
            "UPDATE todo SET attempt = attempt + 1, not_before = ?"
            " WHERE host_id = ? AND url_id = ?",
            [(r.not_before, r.target.host_id, r.target.id) for r in batch.retries],
        )
        self._db.executemany(
            "UPDATE host SET robots_status = ?, robots = ? WHERE id = ?",
            [(r.status, r.body, r.host_id) for r in batch.robots],
        )
        counted = [
            sum(o.kind == kind for o in outcomes)
            for kind in ("captured", "revisit", "refused", "failed")
        ]
        self._db.execute(
            "UPDATE run SET captured = captured + ?, revisit = revisit + ?, refused = refused + ?,"
            " failed = failed + ?, received = received + ? WHERE id = ?",
            (*counted, sum(o.received for o in outcomes), self._run),
        )
        self._db.execute("UPDATE worker SET seen_at = ? WHERE id = ?", (now, self._worker))

    def _strike(self, target: Target) -> bool:
        """Take a target off its host's list; tell whether it was still there."""
        struck = self._db.execute(
            "DELETE FROM todo WHERE host_id = ? AND url_id = ?", (target.host_id, target.id)
        )
        return struck.rowcount > 0

    def _release(self, released: dict[int, float]) -> None:
        self._db.executemany(
            "UPDATE host SET owner = NULL, lease_until = 0,"
            " next_at = max(?, ifnull("
            "  (SELECT min(not_before) FROM todo WHERE host_id = host.id), 0)),"
            " idle = NOT EXISTS (SELECT 1 FROM todo WHERE host_id = host.id)"
            " WHERE id = ? AND owner = ?",
            [(next_at, host_id, self._worker) for host_id, next_at in released.items()],
        )

    def _lease(self, kept: int, now: float, until: float) -> tuple[HostLease, ...]:
        """Take free hosts up to this worker's fair share of those that have something to do."""
        active, workers = self._db.execute(
            "SELECT (SELECT count(*) FROM host WHERE run_id = ? AND idle = 0),"
            " (SELECT count(*) FROM worker WHERE seen_at > ?)",
            (self._run, now - LEASE_S),
        ).fetchone()
        room = min(MOST_HOSTS, -(-active // max(workers, 1))) - kept
        if room <= 0:
            return ()
        rows = self._db.execute(
            "SELECT id, origin, epoch, next_at, lease_until, robots_status, robots FROM host"
            " WHERE run_id = ? AND idle = 0 AND (owner IS NULL OR lease_until < ?) AND next_at < ?"
            " ORDER BY next_at LIMIT ?",
            (self._run, now, now + 2, room),
        ).fetchall()
        leases = []
        for host_id, origin, epoch, next_at, lease_until, status, body in rows:
            self._db.execute(
                "UPDATE host SET owner = ?, lease_until = ?, epoch = epoch + 1 WHERE id = ?",
                (self._worker, until, host_id),
            )
            robots = None if status is None else (status, body)
            rested = max(next_at, lease_until)
            leases.append(HostLease(host_id, origin, epoch + 1, rested, until, robots))
        return tuple(leases)

    def _pull(
        self, wish: Wish, leases: Sequence[HostLease], lost: Sequence[int], now: float
    ) -> dict[int, list[Target]]:
        wanted = {h: n for h, n in wish.wanted.items() if h not in lost and h not in wish.released}
        wanted |= {lease.id: 16 for lease in leases}
        return {host_id: self._targets(host_id, most, now) for host_id, most in wanted.items()}

    def _targets(self, host_id: int, most: int, now: float) -> list[Target]:
        """Give what is due on a host: until its robots.txt is known, only that."""
        rows = self._db.execute(
            "SELECT url.id, url.url, parent.url, url.hops, todo.attempt FROM todo"
            " JOIN url ON url.id = todo.url_id JOIN host ON host.id = todo.host_id"
            " LEFT JOIN url AS parent ON parent.id = url.via"
            " WHERE todo.host_id = ? AND todo.not_before <= ?"
            " AND (todo.priority = 0 OR host.robots_status IS NOT NULL)"
            " ORDER BY todo.priority, todo.url_id LIMIT ?",
            (host_id, now, most),
        ).fetchall()
        return [
            Target(id=i, host_id=host_id, url=url, via=via, hops=hops, attempt=attempt)
            for i, url, via, hops, attempt in rows
        ]

    def _exhausted(self) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM host WHERE run_id = ? AND idle = 0 LIMIT 1", (self._run,)
        ).fetchone()
        return row is None
