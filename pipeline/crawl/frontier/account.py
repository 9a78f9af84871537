"""What a run has done, what waits and why: read from the frontier, for reports and displays.

Works beside a running crawl and never writes. What is counted often costs little: outcomes are read
once, and a later count reads only those that came since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from pipeline.crawl.frontier.database import read_only
from pipeline.crawl.frontier.runs import Run, WarcState

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


class Counts(Struct, frozen=True, kw_only=True):
    """How far a run has come; `received` in bytes, `declined` are no part of the discovered."""

    discovered: int
    captured: int
    revisit: int
    refused: int
    failed: int
    received: int
    new: int
    changed: int
    unchanged: int
    vanished: int
    declined: int

    @property
    def waiting(self) -> int:
        """URLs that were discovered and not yet settled."""
        return self.discovered - self.captured - self.revisit - self.refused - self.failed


class Hosts(Struct, frozen=True, kw_only=True):
    """How many hosts a run has met, has yet to ask, and has set aside."""

    met: int
    active: int
    set_aside: int


class HostState(Struct, frozen=True, kw_only=True):
    """One host of a run.

    Attributes:
        waiting: URLs of it that are not yet settled.
        asked: attempts that were made.
        failed: attempts that brought no response, or one that tells of trouble (429, 5xx).
        received: bytes received on the wire.
        average_ms: mean duration of an exchange.
        state: what it is doing, or what it waits for, in words.

    """

    origin: str
    waiting: int
    asked: int
    failed: int
    received: int
    average_ms: int
    state: str


class TypeCount(Struct, frozen=True, kw_only=True):
    """Captures and revisits of one media type, and the bytes received for them."""

    mime: str
    captures: int
    bytes: int


class Tally(Struct, frozen=True):
    """A run's outcomes: captures and revisits by HTTP status code, the rest by reason."""

    status: dict[str, int]
    failures: dict[str, int]
    refusals: dict[str, int]


class _Read(Struct):
    """What has been counted of a run's outcomes, up to and with `last`."""

    last: int = 0
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)


class Account:
    """What the database at a path tells. It must be there, and is opened for reading only.

    To be kept open while one looks again and again: what was counted is remembered.
    """

    def __init__(self, path: Path) -> None:
        """Open the database.

        Raises:
            ConfigError: another version of Holdfast made it.
            StorageError: it is damaged or not there; each query may find that, too.

        """
        self._opened = ExitStack()
        self._db = self._opened.enter_context(read_only(path))
        self._read: dict[int, _Read] = {}

    def close(self) -> None:
        """Let go of the database."""
        self._opened.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one state of the database in all queries inside; not for long: its log grows."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def runs(self) -> list[tuple[Run, float | None]]:
        """Give the latest run of each collection, and when it came to its end (Unix time)."""
        rows = self._all(
            "SELECT id, collection, name, started_at, finished_at FROM run WHERE id IN"
            " (SELECT max(id) FROM run GROUP BY collection) ORDER BY collection"
        )
        return [(Run(*row[:4]), row[4]) for row in rows]

    def unfinished(self) -> list[Run]:
        """Give the runs that have not come to their end."""
        return [run for run, finished_at in self.runs() if finished_at is None]

    def counts(self, run: Run) -> Counts:
        """Count what a run has discovered, settled and declined."""
        ((*told, declined),) = self._all(
            "SELECT discovered, captured, revisit, refused, failed, received,"
            " new, changed, unchanged, vanished,"
            " (SELECT ifnull(sum(declined), 0) FROM rule WHERE run_id = run.id)"
            " FROM run WHERE id = ?",
            run.id,
        )
        names = (
            *("discovered", "captured", "revisit", "refused", "failed", "received"),
            *("new", "changed", "unchanged", "vanished"),
        )
        return Counts(**dict(zip(names, told, strict=True)), declined=declined)

    def ending(self, run: Run) -> tuple[str, int]:
        """Give the limit that ended a run, empty if none did, and its whole seconds of crawling."""
        ((ended_by, active_s),) = self._all(
            "SELECT ended_by, active_s FROM run WHERE id = ?", run.id
        )
        return ended_by, round(active_s)

    def host_counts(self, run: Run) -> Hosts:
        """Count the hosts of a run."""
        ((met, active, set_aside),) = self._all(
            "SELECT count(*), ifnull(sum(idle = 0 AND set_aside = 0), 0),"
            " ifnull(sum(set_aside != 0), 0) FROM host WHERE run_id = ?",
            run.id,
        )
        return Hosts(met=met, active=active, set_aside=set_aside)

    def tally(self, run: Run) -> Tally:
        """Count a run's outcomes by status code and reason, reading those that are new."""
        read = self._read.setdefault(run.id, _Read())
        # an id is given in the transaction that shows it, so none appears below the last one later
        ((newest,),) = self._all("SELECT ifnull(max(id), 0) FROM outcome")
        rows = self._all(
            "SELECT CASE WHEN kind = 'revisit' THEN 'captured' ELSE kind END AS what,"
            " CASE WHEN kind IN ('captured', 'revisit') THEN status ELSE reason END AS code,"
            " count(*) FROM outcome WHERE id > ? AND id <= ? AND run_id = ? GROUP BY what, code",
            *(read.last, newest, run.id),
        )
        read.counted.update({(what, str(code)): n for what, code, n in rows if code is not None})
        read.last = newest
        return Tally(*(_of_kind(read.counted, kind) for kind in ("captured", "failed", "refused")))

    def types(self, run: Run, limit: int) -> list[TypeCount]:
        """Give the media types with the most captures; all the rest are one, `other`."""
        rows = self._all(
            "SELECT mime, count(*) AS n, sum(received) FROM outcome WHERE run_id = ?"
            " AND kind IN ('captured', 'revisit') GROUP BY mime ORDER BY n DESC, mime",
            run.id,
        )
        told = [TypeCount(mime=mime or "unk", captures=n, bytes=size) for mime, n, size in rows]
        rest = told[limit:]
        if rest:
            captures, size = sum(t.captures for t in rest), sum(t.bytes for t in rest)
            told = [*told[:limit], TypeCount(mime="other", captures=captures, bytes=size)]
        return told

    def declined_by_rule(self, run: Run, limit: int = 1000) -> dict[str, int]:
        """Count the URLs that each rule has declined, those with the most first."""
        rows = self._all(
            "SELECT words, declined FROM rule WHERE run_id = ? AND declined > 0"
            " ORDER BY declined DESC, words LIMIT ?",
            *(run.id, limit),
        )
        return dict(rows)

    def failures(self, run: Run, limit: int) -> list[tuple[str, str]]:
        """Give the first URLs that failed, each with its reason."""
        return self._all(
            "SELECT url.url, outcome.reason FROM outcome JOIN url ON url.id = outcome.url_id"
            " WHERE outcome.run_id = ? AND kind = 'failed' ORDER BY outcome.id LIMIT ?",
            *(run.id, limit),
        )

    def empty_sources(self, run: Run, limit: int) -> list[tuple[str, str]]:
        """Give the first sources of seeds that list none, each with the rule that says so."""
        return self._all(
            "SELECT url, words FROM rule CROSS JOIN declined ON rule_id = rule.id"
            " WHERE rule.run_id = ? AND reason = 'source' ORDER BY declined.id LIMIT ?",
            *(run.id, limit),
        )

    def minutes(self, run: Run) -> list[tuple[int, int, int]]:
        """Give the minutes in which something came: Unix time // 60, captures, bytes."""
        return self._all(
            "SELECT at, captured, received FROM minute WHERE run_id = ? ORDER BY at", run.id
        )

    def hosts(self, run: Run, limit: int, now: float) -> list[HostState]:
        """Give the hosts with the most URLs waiting; it counts every waiting URL."""
        return self._hosts(run, limit, now, "TRUE", "waiting DESC, host.id")

    def slowest(self, run: Run, limit: int) -> list[HostState]:
        """Give the hosts whose answers took longest on average."""
        order = "CAST(spent_ms AS REAL) / asked DESC, host.id"
        return self._hosts(run, limit, 0.0, "asked > 0 AND spent_ms > 0", order)

    def failing(self, run: Run, limit: int) -> list[HostState]:
        """Give the hosts on which most URLs failed."""
        return self._hosts(run, limit, 0.0, "failed > 0", "failed DESC, host.id")

    def set_aside(self, run: Run, limit: int) -> list[HostState]:
        """Give the hosts that were set aside until the next run."""
        return self._hosts(run, limit, 0.0, "set_aside != 0", "waiting DESC, host.id")

    def warcs(self, run: Run) -> list[tuple[str, WarcState]]:
        """Give NAME and state of each WARC file of a run."""
        return self._all("SELECT name, state FROM warc WHERE run_id = ? ORDER BY name", run.id)

    def open_warcs(self) -> set[str]:
        """Give the NAMEs of WARC files that a crawl is writing, or will seal when it goes on."""
        return {n for (n,) in self._all("SELECT name FROM warc WHERE state IN ('open', 'closed')")}

    def _hosts(self, run: Run, limit: int, now: float, which: str, order: str) -> list[HostState]:
        rows = self._all(
            "SELECT origin, ifnull(listed.n, 0) AS waiting, asked, failed, received, spent_ms,"
            " set_aside, next_at, why, robots_until <= ?, lease_until"
            " FROM host LEFT JOIN (SELECT host_id, count(*) AS n FROM todo GROUP BY host_id)"
            " AS listed ON listed.host_id = host.id"
            f" WHERE run_id = ? AND {which} ORDER BY {order} LIMIT ?",
            *(now, run.id, limit),
        )
        return [
            HostState(
                origin=origin,
                waiting=waiting,
                asked=asked,
                failed=failed,
                received=received,
                average_ms=round(spent_ms / asked) if asked else 0,
                state=_state(waiting, now, *rest),
            )
            for origin, waiting, asked, failed, received, spent_ms, *rest in rows
        ]

    def _all(self, sql: str, *parameters: Any) -> list[Any]:
        return self._db.execute(sql, parameters).fetchall()


def _state(
    waiting: int,
    now: float,
    set_aside: int,
    next_at: float,
    why: str,
    no_robots: int,
    lease_until: float,
) -> str:
    """Say what a host is doing, or what it waits for."""
    because = f" ({why})" if why else ""
    if set_aside:
        return f"set aside{because}"
    if not waiting:
        return "done"
    if next_at - now >= 1:
        return f"rests {_span(next_at - now)}{because}"
    if no_robots:
        return "waits for robots.txt"
    return "asking" if lease_until > now else "waits for a worker"


def _span(seconds: float) -> str:
    """Write a length of time for people, in one unit."""
    for unit, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _of_kind(counted: Counter[tuple[str, str]], kind: str) -> dict[str, int]:
    return {code: n for (what, code), n in sorted(counted.items()) if what == kind}
