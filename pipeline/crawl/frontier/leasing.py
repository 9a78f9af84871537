"""Leases on hosts: which worker alone may ask a host, until when, and for what.

For a worker's beat: all of it happens within the beat's transaction. A lease that is not renewed
runs out, so nothing needs repair when a worker dies; it is also the only mark of what is in flight.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from pipeline.crawl.frontier.database import Database
from pipeline.crawl.frontier.settlement import LAST_PRIORITY
from pipeline.model.target import Target

LEASE_S: Final = 60.0
"""More than a slow disk takes for a beat. What dead workers held is free at once (`Frontier`)."""
MOST_HOSTS: Final = 128
"""Hosts that one worker holds at most."""

_FIRST_TARGETS = 16  # of a new lease
_AHEAD_S = 2.0  # a host may be leased so long before it may be asked


class HostLease(Struct, frozen=True):
    """A host that this worker alone may ask until `until` (Unix time).

    Attributes:
        next_at: nobody may ask it before.
        robots: status and body of its robots.txt as it was last had, None if it never was.
        failures: answers in a row that were failures, when it was released.
        why: what it rests for (see `Rest`), `retry` if its targets wait to be tried again.
        cookies: as a worker left them.

    """

    id: int
    origin: str
    epoch: int
    next_at: float
    until: float
    robots: tuple[int, bytes] | None
    failures: int = 0
    why: str = ""
    cookies: bytes | None = None


class Resting(NamedTuple):
    """How a held host stands, for those who look on and for its next lease."""

    next_at: float
    why: str
    failures: int


class Wish(Struct, frozen=True):
    """What a worker holds and wants of the frontier.

    Attributes:
        held: host id -> epoch of each lease.
        wanted: host id -> how many targets its queue should be filled up to.
        released: host id -> moment before which nobody may ask it again.
        more: whether new leases are wanted.
        resting: held hosts that stand otherwise than at the last beat.
        in_flight: ids of the targets that are being asked for.
        tokens: how many are in hand beside those that cover what is in flight.
        asked: how many more are wanted.

    """

    held: dict[int, int]
    wanted: dict[int, int]
    released: dict[int, float]
    more: bool = True
    resting: dict[int, Resting] = field(default_factory=dict)
    in_flight: frozenset[int] = frozenset()
    tokens: int = 0
    asked: int = 0


class Leases:
    """The leases of one worker in one run."""

    def __init__(self, database: Database, run_id: int, worker: int) -> None:
        self._db = database
        self._run = run_id
        self._worker = worker

    def renew(self, wish: Wish, until: float) -> set[int]:
        """Prolong the leases and note how the hosts stand; what another worker took is lost."""
        lost = set()
        for host_id, epoch in wish.held.items():
            done = self._db.execute(
                "UPDATE host SET lease_until = ? WHERE id = ? AND owner = ? AND epoch = ?",
                (until, host_id, self._worker, epoch),
            )
            if done.rowcount == 0:
                lost.add(host_id)
        self._db.executemany(
            "UPDATE host SET next_at = ?, why = ?, failures = ? WHERE id = ? AND owner = ?",
            [(*rests, host_id, self._worker) for host_id, rests in wish.resting.items()],
        )
        return lost

    def release(self, released: dict[int, float], now: float) -> None:
        """Give hosts back; one whose targets all wait to be tried again rests until the first."""
        for host_id, next_at in released.items():
            retry_at = self._retry_at(host_id, now)
            self._db.execute(
                "UPDATE host SET owner = NULL, lease_until = 0, next_at = ?,"
                " why = CASE WHEN ? THEN 'retry' ELSE why END,"
                " idle = NOT EXISTS (SELECT 1 FROM todo WHERE host_id = host.id)"
                " WHERE id = ? AND owner = ?",
                (max(next_at, retry_at), retry_at > next_at, host_id, self._worker),
            )

    def _retry_at(self, host_id: int, now: float) -> float:
        """Give the moment at which the first target of a host is due, 0 if one is or none waits."""
        asked_for = "FROM todo WHERE host_id = ? AND priority <= ?"
        those = host_id, self._last_priority(host_id, now)
        due = self._db.execute(
            f"SELECT 1 {asked_for} AND not_before <= ? LIMIT 1", (*those, now)
        ).fetchone()
        if due:
            return 0.0
        row = self._db.execute(f"SELECT min(not_before) {asked_for}", those).fetchone()
        return float(row[0] or 0.0)

    def _last_priority(self, host_id: int, now: float) -> int:
        """Tell up to which priority a host may be asked: that of its robots.txt until it is known.

        What was known of it a day ago is so no more (`ask_robots_again`).

        As a bound of the key: what waits for robots.txt may be hundreds of thousands of URLs.
        """
        row = self._db.execute("SELECT robots_until FROM host WHERE id = ?", (host_id,)).fetchone()
        return LAST_PRIORITY if row[0] > now else 0

    def take(self, kept: int, now: float, until: float) -> tuple[HostLease, ...]:
        """Take free hosts up to this worker's fair share of those that have something to do."""
        workers = self.workers(now)
        # no need to count a hundred thousand hosts where the share is full with fewer
        active = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM host WHERE run_id = ? AND idle = 0 LIMIT ?)",
            (self._run, MOST_HOSTS * workers),
        ).fetchone()[0]
        room = min(MOST_HOSTS, -(-active // workers)) - kept
        if room <= 0:
            return ()
        rows = self._db.execute(
            "SELECT id, origin, epoch + 1, max(next_at, lease_until), robots_status, robots,"
            " failures, why, cookies FROM host"
            " WHERE run_id = ? AND idle = 0 AND (owner IS NULL OR lease_until < ?) AND next_at < ?"
            # whose targets wait to be tried again, that has none to give before
            " AND (next_at <= ? OR why <> 'retry') ORDER BY next_at LIMIT ?",
            (self._run, now, now + _AHEAD_S, now, room),
        ).fetchall()
        leases = []
        for host_id, origin, epoch, next_at, status, body, *state in rows:
            self._db.execute(
                "UPDATE host SET owner = ?, lease_until = ?, epoch = ? WHERE id = ?",
                (self._worker, until, epoch, host_id),
            )
            robots = None if status is None else (status, body)
            leases.append(HostLease(host_id, origin, epoch, next_at, until, robots, *state))
        return tuple(leases)

    def workers(self, now: float) -> int:
        """Count the workers that are alive, at least one."""
        row = self._db.execute(
            "SELECT count(*) FROM worker WHERE seen_at > ?", (now - LEASE_S,)
        ).fetchone()
        return max(int(row[0]), 1)

    def pull(
        self, wish: Wish, leases: Sequence[HostLease], gone: set[int], now: float
    ) -> dict[int, list[Target]]:
        """Give targets for the hosts that this worker keeps and for those it has just taken.

        A host whose robots.txt must be asked for again gets only that, also if it wants nothing.
        """
        kept = wish.held.keys() - wish.released.keys() - gone
        wanted = {host_id: most for host_id, most in wish.wanted.items() if host_id in kept}
        wanted |= {lease.id: _FIRST_TARGETS for lease in leases}
        wanted |= dict.fromkeys(self._ask_robots_again(kept | wanted.keys(), now), 1)
        return {host_id: self._targets(host_id, most, now) for host_id, most in wanted.items()}

    def _ask_robots_again(self, hosts: Collection[int], now: float) -> list[int]:
        """List the robots.txt of hosts again whose copy is too old to go by (RFC 9309 §2.4).

        It counts as one more URL of the run. Gives the hosts that owe it, also since an earlier
        beat; one that has nothing else to do owes none.
        """
        owing = self._db.execute(
            "SELECT id, robots_id FROM host WHERE id IN (SELECT value FROM json_each(?))"
            " AND robots_until <= ? AND robots_id IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM todo WHERE host_id = host.id)",
            (json.dumps(list(hosts)), now),
        ).fetchall()
        if owing:
            new = self._db.executemany(
                "INSERT INTO todo(host_id, priority, url_id) VALUES (?, 0, ?)"
                " ON CONFLICT DO NOTHING",
                owing,
            ).rowcount
            self._db.execute(
                "UPDATE run SET discovered = discovered + ? WHERE id = ?", (new, self._run)
            )
        return [host_id for host_id, _ in owing]

    def _targets(self, host_id: int, most: int, now: float) -> list[Target]:
        """Give what is due on a host: until its robots.txt is known, only that."""
        rows = self._db.execute(
            "SELECT url.id, url.url, parent.url, url.hops, todo.attempt FROM todo"
            " JOIN url ON url.id = todo.url_id"
            " LEFT JOIN url AS parent ON parent.id = url.via"
            " WHERE todo.host_id = ? AND todo.priority <= ? AND todo.not_before <= ?"
            " ORDER BY todo.priority, todo.url_id LIMIT ?",
            (host_id, self._last_priority(host_id, now), now, most),
        ).fetchall()
        return [
            Target(id=i, host_id=host_id, url=url, via=via, hops=hops, attempt=attempt)
            for i, url, via, hops, attempt in rows
        ]

    def exhausted(self) -> bool:
        """Tell whether no host of the run has anything to do."""
        row = self._db.execute(
            "SELECT 1 FROM host WHERE run_id = ? AND idle = 0 LIMIT 1", (self._run,)
        ).fetchone()
        return row is None
