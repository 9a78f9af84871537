"""What is still to be fetched: one SQLite database, shared by all worker processes of an archive.

The supervisor of a crawl uses `Frontier`: it starts runs, registers workers, gives back what a dead
worker held, and counts. The workers' own transaction is in `crawl/beat.py`. Nothing here is part of
the archive: sealed WARC files are the truth.

Times are Unix seconds. A URL's `key` is 63 bits of a hash over run and URL; the text is compared
as well, so that a collision costs a second look and never a page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.crawl.frontier.database import connect, read_only, transaction
from pipeline.errors import StorageError

WarcState = Literal["open", "closed", "sealed", "unsound"]


@dataclass(frozen=True, slots=True)
class Run:
    """One crawl of one collection, from its seeds to an empty frontier."""

    id: int
    collection: str
    name: str
    started_at: float


@dataclass(frozen=True, slots=True)
class WarcFile:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How far a run has come."""

    discovered: int
    captured: int
    revisit: int
    refused: int
    failed: int
    received: int

    @property
    def waiting(self) -> int:
        """URLs that were discovered and not yet settled."""
        return self.discovered - self.captured - self.revisit - self.refused - self.failed


def key_of(run_id: int, url: str) -> int:
    """Give the 63-bit key of a URL within a run."""
    digest = hashlib.blake2b(f"{run_id} {url}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def peek(path: Path) -> list[tuple[Run, Counts]]:
    """Give the unfinished runs and their counts, without writing to the database or creating it.

    Raises:
        StorageError: the database is damaged.

    """
    if not path.exists():
        return []
    with read_only(path) as database:
        rows = database.execute(
            "SELECT id, collection, name, started_at, discovered, captured, revisit, refused,"
            " failed, received FROM run WHERE finished_at IS NULL ORDER BY id"
        ).fetchall()
    return [(Run(*row[:4]), _counts(row[4:])) for row in rows]


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
            ended = "SELECT id FROM run WHERE collection = ? AND finished_at IS NOT NULL"
            self._db.execute(
                "DELETE FROM todo WHERE host_id IN"
                f" (SELECT id FROM host WHERE run_id IN ({ended}))",
                (collection,),
            )
            for table in ("host", "url", "outcome", "warc"):
                self._db.execute(f"DELETE FROM {table} WHERE run_id IN ({ended})", (collection,))
            self._db.execute(
                "DELETE FROM run WHERE collection = ? AND finished_at IS NOT NULL", (collection,)
            )
            row = self._db.execute(
                "INSERT INTO run(collection, name, started_at) VALUES (?, ?, ?) RETURNING id",
                (collection, name, now),
            ).fetchone()
        return Run(row[0], collection, name, now)

    def finish(self, run: Run, now: float) -> None:
        """End a run: its report is sealed."""
        self._db.execute("UPDATE run SET finished_at = ? WHERE id = ?", (now, run.id))

    def register(self, workers: Iterable[int], now: float) -> None:
        """Make the workers known before the first lease, so that each takes only its share."""
        with transaction(self._db):
            self._db.execute("DELETE FROM worker")
            self._db.executemany(
                "INSERT INTO worker(id, seen_at) VALUES (?, ?)", [(w, now) for w in workers]
            )
            self._db.execute("UPDATE host SET owner = NULL, lease_until = 0")

    def reap(self, worker: int, now: float, delay_s: float) -> None:
        """Give back the hosts of a dead worker; each rests, for it may just have been asked."""
        self._db.execute(
            "UPDATE host SET owner = NULL, lease_until = 0, next_at = max(next_at, ?)"
            " WHERE owner = ?",
            (now + delay_s, worker),
        )

    def exhausted(self, run: Run) -> bool:
        """Tell whether nothing is left to do in a run."""
        row = self._db.execute(
            "SELECT 1 FROM host WHERE run_id = ? AND idle = 0 LIMIT 1", (run.id,)
        ).fetchone()
        return row is None

    def counts(self, run: Run) -> Counts:
        """Count what a run has discovered and settled."""
        row = self._db.execute(
            "SELECT discovered, captured, revisit, refused, failed, received FROM run WHERE id = ?",
            (run.id,),
        ).fetchone()
        return _counts(row)

    def active_hosts(self, run: Run) -> int:
        """Count the hosts that have something to do."""
        row = self._db.execute(
            "SELECT count(*) FROM host WHERE run_id = ? AND idle = 0", (run.id,)
        ).fetchone()
        return int(row[0])

    def tally(self, run: Run, column: Literal["status", "reason"], kind: str) -> dict[str, int]:
        """Count a run's outcomes of one kind by HTTP status or by reason."""
        rows = self._db.execute(
            f"SELECT {column}, count(*) FROM outcome WHERE run_id = ? AND kind = ?"
            f" AND {column} IS NOT NULL GROUP BY {column}",
            (run.id, kind),
        ).fetchall()
        return {str(value): count for value, count in rows}

    def failures(self, run: Run, limit: int) -> list[tuple[str, str]]:
        """Give the first URLs that failed, each with its reason."""
        return self._db.execute(
            "SELECT url.url, outcome.reason FROM outcome JOIN url ON url.id = outcome.url_id"
            " WHERE outcome.run_id = ? AND kind = 'failed' ORDER BY outcome.id LIMIT ?",
            (run.id, limit),
        ).fetchall()

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

    def sealed_names(self, run: Run) -> list[str]:
        """Name the sealed WARC files of a run."""
        rows = self._db.execute(
            "SELECT name FROM warc WHERE run_id = ? AND state = 'sealed' ORDER BY name", (run.id,)
        ).fetchall()
        return [name for (name,) in rows]


def _counts(row: Sequence[int]) -> Counts:
    names = ("discovered", "captured", "revisit", "refused", "failed", "received")
    return Counts(**dict(zip(names, row, strict=True)))
