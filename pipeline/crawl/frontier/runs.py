"""What is still to be fetched: one SQLite database, shared by all worker processes of an archive.

The supervisor of a crawl uses `Frontier`: it starts runs, registers workers, gives back what a dead
worker held, and settles what a limit leaves over. The workers' own transaction is in
`frontier/share.py`, what a run has done is told by `frontier/account.py`. Nothing here is part of
the archive: sealed WARC files are the truth. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from pipeline.crawl.frontier.database import Database, connect, transaction
from pipeline.crawl.frontier.settlement import cut, settle_set_aside
from pipeline.errors import StorageError

WarcState = Literal["open", "closed", "sealed", "unsound"]

_MOST_ROWS = 50_000  # of one transaction that settles or drops many
_OF_A_RUN = ("host", "url", "declined", "rule", "outcome", "minute", "warc")


class Run(Struct, frozen=True):
    """One crawl of one collection, from its seeds to an empty frontier."""

    id: int
    collection: str
    name: str
    started_at: float


class WarcFile(Struct, frozen=True):
    """What the frontier knows of a WARC file.

    Attributes:
        opening: bytes of the records that begin the file; a file with no more holds no capture.
        committed: bytes that the last commit vouches for.

    """

    id: int
    name: str
    collection: str
    run: str
    opening: int
    committed: int


def reserve_warc(
    database: Database, run_id: int, collection: str, stamp: str, writer: str
) -> tuple[int, str]:
    """Reserve the next WARC file of a run: its number and its NAME (FORMAT.md §1).

    Args:
        database: the frontier.
        run_id: the run's number.
        collection: whose run it is.
        stamp: the moment in UTC, YYYYMMDDhhmmss.
        writer: who will write it.

    """
    with transaction(database):
        (serial,) = database.execute(
            "SELECT ifnull(max(serial), -1) + 1 FROM warc WHERE run_id = ?", (run_id,)
        ).fetchone()
        name = f"{collection}-{stamp}-{serial:05d}-{writer}"
        (number,) = database.execute(
            "INSERT INTO warc(run_id, serial, name, state) VALUES (?, ?, ?, 'open') RETURNING id",
            (run_id, serial, name),
        ).fetchone()
    return number, name


class Frontier:
    """The supervisor's view of the database at `path`."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)

    def close(self) -> None:
        """Let go of the database, leaving no write-ahead log behind if the disk allows."""
        with suppress(StorageError):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def unfinished(self, collection: str) -> Run | None:
        """Give the run of a collection that has not come to its end."""
        row = self._db.execute(
            "SELECT id, collection, name, started_at FROM run"
            " WHERE collection = ? AND finished_at IS NULL",
            (collection,),
        ).fetchone()
        return Run(*row) if row else None

    def start(self, collection: str, name: str, now: float) -> Run:
        """Begin a new run; rows of the collection's finished runs are dropped."""
        with transaction(self._db):
            self._drop_finished(collection)
            row = self._db.execute(
                "INSERT INTO run(collection, name, started_at) VALUES (?, ?, ?) RETURNING id",
                (collection, name, now),
            ).fetchone()
        return Run(row[0], collection, name, now)

    def _drop_finished(self, collection: str) -> None:
        ended = "FROM run WHERE collection = ? AND finished_at IS NOT NULL"
        others = self._db.execute(
            f"SELECT 1 FROM run WHERE id NOT IN (SELECT id {ended}) LIMIT 1", (collection,)
        ).fetchone()
        if others is None:
            # a table that is emptied is not read: a million rows are gone at once
            for table in ("todo", *_OF_A_RUN, "run"):
                self._db.execute(f"DELETE FROM {table}")
            return
        hosts = f"SELECT id FROM host WHERE run_id IN (SELECT id {ended})"
        self._db.execute(f"DELETE FROM todo WHERE host_id IN ({hosts})", (collection,))
        for table in _OF_A_RUN:
            self._db.execute(
                f"DELETE FROM {table} WHERE run_id IN (SELECT id {ended})", (collection,)
            )
        self._db.execute(f"DELETE {ended}", (collection,))

    def finish(self, run: Run, now: float) -> None:
        """End a run: its report is sealed. The cookies that its hosts set are forgotten."""
        with transaction(self._db):
            self._db.execute("UPDATE run SET finished_at = ? WHERE id = ?", (now, run.id))
            self._db.execute("UPDATE host SET cookies = NULL WHERE run_id = ?", (run.id,))

    def register(self, workers: Iterable[int], now: float) -> None:
        """Make the workers known before the first lease, so that each takes only its share.

        What workers of an earlier session held, hosts and tokens, is free again. Hosts whose
        robots.txt could not be had then are asked for it once more.
        """
        with transaction(self._db):
            self._db.execute("DELETE FROM worker")
            self._db.executemany(
                "INSERT INTO worker(id, seen_at) VALUES (?, ?)", [(w, now) for w in workers]
            )
            self._db.execute("UPDATE run SET reserved = 0")
            self._db.execute(
                "UPDATE host SET owner = NULL, lease_until = 0 WHERE owner IS NOT NULL"
            )
            # as `Robots.parse` reads the answer (RFC 9309 §2.3.1.4)
            self._db.execute(
                "UPDATE host SET robots_until = 0 WHERE robots_status NOT BETWEEN 200 AND 499"
            )
            self._settle_stragglers(now)

    def reap(self, worker: int, now: float, delay_s: float) -> None:
        """Give back the hosts and tokens of a dead worker.

        Each host rests, for it may just have been asked.
        """
        with transaction(self._db):
            self._db.execute(
                "UPDATE host SET owner = NULL, lease_until = 0, next_at = max(next_at, ?)"
                " WHERE owner = ?",
                (now + delay_s, worker),
            )
            self._db.execute("UPDATE worker SET reserved = 0, allowed = 0 WHERE id = ?", (worker,))
            self._db.execute(
                "UPDATE run SET reserved = (SELECT total(reserved) FROM worker)"
                " WHERE finished_at IS NULL AND reserved > 0"
            )
            self._settle_stragglers(now)

    def _settle_stragglers(self, now: float) -> None:
        """Settle what was in flight on a host that was given up, when the worker died."""
        runs = self._db.execute("SELECT id FROM run WHERE finished_at IS NULL").fetchall()
        for (run_id,) in runs:
            settle_set_aside(self._db, run_id, None, now)

    def spend(self, run: Run, seconds: float) -> None:
        """Add to the time that was spent crawling, which `max_time_s` limits."""
        self._db.execute("UPDATE run SET active_s = active_s + ? WHERE id = ?", (seconds, run.id))

    def ended_by(self, run: Run) -> str:
        """Name the limit that a run has reached (a field of RunLimits); empty if none."""
        row = self._db.execute("SELECT ended_by FROM run WHERE id = ?", (run.id,)).fetchone()
        return str(row[0])

    def cut(self, run: Run, now: float, most: int = _MOST_ROWS) -> int:
        """Settle all that waits as refused by the budget; give how many URLs.

        For a run that a limit has ended, when its workers have. In transactions of at most `most`
        rows; what is interrupted may be called again.
        """
        settled = 0
        while True:
            with transaction(self._db):
                some = cut(self._db, run.id, now, most)
            settled += some
            if some < most:
                return settled

    def exhausted(self, run: Run) -> bool:
        """Tell whether nothing is left to do in a run."""
        row = self._db.execute(
            "SELECT 1 FROM host WHERE run_id = ? AND idle = 0 LIMIT 1", (run.id,)
        ).fetchone()
        return row is None

    def warcs(self, *states: WarcState) -> list[WarcFile]:
        """Give the WARC files in one of the states, oldest first."""
        marks = ",".join("?" * len(states))
        rows = self._db.execute(
            "SELECT warc.id, warc.name, run.collection, run.name, warc.opening, warc.committed"
            " FROM warc JOIN run ON run.id = warc.run_id"
            f" WHERE state IN ({marks}) ORDER BY warc.id",
            states,
        ).fetchall()
        return [WarcFile(*row) for row in rows]

    def mark(self, warc: WarcFile, state: WarcState) -> None:
        """Set the state of a WARC file."""
        self._db.execute("UPDATE warc SET state = ? WHERE id = ?", (state, warc.id))

    def forget(self, warc: WarcFile) -> None:
        """Drop a WARC file that holds no capture."""
        self._db.execute("DELETE FROM warc WHERE id = ?", (warc.id,))
