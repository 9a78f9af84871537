"""The crawl log of a run: what became of every URL it has met, and the WARC file to keep that in.

Lines are read in small parts, so that a run of millions of URLs needs no memory for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from pipeline.crawl.frontier.database import Database, connect
from pipeline.crawl.frontier.entry import key_of
from pipeline.crawl.frontier.runs import Run, reserve_warc
from pipeline.model.names import LOG_WRITER
from pipeline.model.target import Kind

Canonical = Callable[[str], str]

# CROSS JOIN, because SQLite takes it as the order of its loops: by id, from where the part before
# ended
_CHUNK = 2000
_LOOK_UP = 500

# Lines that stay although their URL seems to have been taken up: that of a page stands for links
# of it that are not known, that of a source for seeds that it does not list, and a redirect to
# another name of its own page has the same key.
_TOLD = frozenset({"limit", "redirects", "source"})


class LogLine(Struct, frozen=True, kw_only=True):
    """What became of one URL; what is not known is None or empty.

    Attributes:
        at: Unix time of the fetch; None for what was never asked for.
        via: the URL that led here.
        rule: the rule that declined it, in words.
        warc, offset: NAME of the WARC file that tells of it, and where.

    """

    url: str
    via: str | None
    hops: str
    outcome: Kind | Literal["waiting", "declined"]
    at: float | None = None
    status: int | None = None
    reason: str = ""
    rule: str = ""
    mime: str = ""
    received: int = 0
    duration_ms: int = 0
    warc: str | None = None
    offset: int | None = None


class Log:
    """The crawl log of one run, in the frontier; only the supervisor of the crawl may use it."""

    def __init__(self, path: Path, run: Run, canonical: Canonical = str) -> None:
        self._db = connect(path)
        self._run = run
        self._canonical = canonical

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def is_written(self) -> bool:
        """Tell whether a WARC file holds the log already; one cut short does not count."""
        row = self._db.execute(
            "SELECT 1 FROM warc WHERE run_id = ? AND state != 'open' AND name LIKE ? LIMIT 1",
            (self._run.id, f"%-{LOG_WRITER}"),
        ).fetchone()
        return row is not None

    def lines(self) -> Iterator[LogLine]:
        """Give the lines; see `log_lines`."""
        return log_lines(self._db, self._run, self._canonical)

    def reserve(self, stamp: str) -> tuple[int, str]:
        """Reserve a file for the log: its number and NAME. It counts for nothing until committed.

        Args:
            stamp: the moment in UTC, YYYYMMDDhhmmss.

        """
        return reserve_warc(self._db, self._run.id, self._run.collection, stamp, LOG_WRITER)

    def commit(self, number: int, opening: int, size: int) -> None:
        """Call the file closed, to be sealed: all its bytes are on the disk.

        Args:
            number: the file's.
            opening: bytes of the records that begin the file.
            size: bytes of all.

        """
        self._db.execute(
            "UPDATE warc SET opening = ?, committed = ?, state = 'closed' WHERE id = ?",
            (opening, size, number),
        )


def log_lines(database: Database, run: Run, canonical: Canonical = str) -> Iterator[LogLine]:
    """Give every URL of a run: what was settled in that order, what waits, what was declined.

    A URL that one page could not bring in and another did is told once, as admitted: `canonical`
    gives the spelling by which the run tells URLs apart. A page that was not searched to its end is
    told twice, the second time for what was left.
    """
    yield from _settled(database, run)
    yield from _waiting(database, run)
    yield from _declined(database, run, canonical)


def _settled(database: Database, run: Run) -> Iterator[LogLine]:
    last = 0
    while rows := _all(
        database,
        "SELECT outcome.id, at, url.url, parent.url, url.hops, kind, status, reason, mime,"
        " received, duration_ms, warc.name, offset FROM outcome"
        " CROSS JOIN url ON url.id = url_id LEFT JOIN url AS parent ON parent.id = url.via"
        " LEFT JOIN warc ON warc.id = warc_id AND length > 0"
        " WHERE outcome.run_id = ? AND outcome.id > ? ORDER BY outcome.id LIMIT ?",
        *(run.id, last, _CHUNK),
    ):
        for row in rows:
            last, at, url, via, hops, kind, status, reason, mime, received, ms, warc, off = row
            yield LogLine(
                at=at,
                url=url,
                via=via,
                hops=hops,
                outcome=kind,
                status=status,
                reason=reason,
                mime=mime,
                received=received,
                duration_ms=ms,
                warc=warc,
                offset=None if warc is None else off,
            )


def _waiting(database: Database, run: Run) -> Iterator[LogLine]:
    last: tuple[int, ...] = (0, -1, 0)
    while rows := _all(
        database,
        "SELECT todo.host_id, priority, url_id, url.url, parent.url, url.hops FROM todo"
        " CROSS JOIN host ON host.id = todo.host_id AND host.run_id = ?"
        " CROSS JOIN url ON url.id = url_id LEFT JOIN url AS parent ON parent.id = url.via"
        " WHERE (todo.host_id, priority, url_id) > (?, ?, ?)"
        " ORDER BY todo.host_id, priority, url_id LIMIT ?",
        *(run.id, *last, _CHUNK),
    ):
        for host_id, priority, url_id, url, via, hops in rows:
            last = (host_id, priority, url_id)
            yield LogLine(url=url, via=via, hops=hops, outcome="waiting")


def _declined(database: Database, run: Run, canonical: Canonical) -> Iterator[LogLine]:
    last = 0
    while rows := _all(
        database,
        "SELECT declined.id, declined.url, parent.url, declined.hops, rule.reason, rule.words"
        " FROM declined CROSS JOIN rule ON rule.id = rule_id"
        " LEFT JOIN url AS parent ON parent.id = declined.via"
        " WHERE declined.run_id = ? AND declined.id > ?"
        " ORDER BY declined.id LIMIT ?",
        *(run.id, last, _LOOK_UP),
    ):
        last = rows[-1][0]
        admitted = _admitted(database, run, canonical, [row[1] for row in rows])
        for _, url, via, hops, reason, words in rows:
            if url not in admitted or reason in _TOLD:
                yield LogLine(
                    url=url, via=via, hops=hops, outcome="declined", reason=reason, rule=words
                )


def _admitted(database: Database, run: Run, canonical: Canonical, urls: Iterable[str]) -> set[str]:
    """Give those of the URLs that the run took up all the same, met in another place."""
    keys = {key_of(run.id, canonical(url)): url for url in urls}
    marks = ",".join("?" * len(keys))
    rows = _all(database, f"SELECT key, url FROM url WHERE key IN ({marks})", *keys)
    return {keys[key] for key, url in rows if canonical(keys[key]) == canonical(url)}


def _all(database: Database, sql: str, *parameters: Any) -> list[Any]:
    return database.execute(sql, parameters).fetchall()
