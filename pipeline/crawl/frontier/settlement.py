"""How targets are settled: each leaves its host's list once, and is counted once.

For a worker's beat, and for the supervisor, which settles what a run will not come to. All of it
happens within the caller's transaction. Judges nothing: the outcomes are given.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from pipeline.crawl.frontier.database import Database
from pipeline.model.target import FOR_GOOD, Outcome, Retry, RobotsAnswer, Target

HOST_FAILING: Final = "host-failing"
"""Reason of the targets of a host that was set aside (FORMAT.md §2)."""

# robots.txt first, what was only guessed from a script last
_PRIORITY = "CASE WHEN {hops} = 'P' THEN 0 WHEN substr({hops}, -1) = 'X' THEN 2 ELSE 1 END"
PRIORITY: Final = _PRIORITY.format(hops="hops")
"""SQL: the place in its host's list of a URL, by its column `hops`."""
LAST_PRIORITY: Final = 2

# by the whole key: without the priority each of these would read all that waits on the host
_LISTED = f"host_id = ? AND priority = {_PRIORITY.format(hops='?')} AND url_id = ?"

_KINDS = ("captured", "revisit", "refused", "failed")
_CHANGES = ("new", "changed", "unchanged", "vanished")


class _HostSums(Struct):
    """What a batch adds to the numbers of one host; the order is that of its statement."""

    asked: int = 0
    failed: int = 0
    spent_ms: int = 0
    received: int = 0


def settle(
    database: Database,
    run_id: int,
    outcomes: Sequence[Outcome],
    retries: Sequence[Retry],
    warc_id: int,
) -> None:
    """Note what became of targets, and put off those that are to be tried again.

    What another worker settled, after this one had lost the lease, counts once.
    """
    settled = [outcome for outcome in outcomes if _strike(database, outcome.target)]
    database.executemany(
        "INSERT INTO outcome(run_id, url_id, at, kind, reason, status, mime, received, duration_ms,"
        " warc_id, offset, length) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run_id,
                o.target.id,
                o.at,
                o.kind,
                o.reason,
                o.status,
                o.mime,
                o.received,
                o.duration_ms,
                warc_id,
                o.offset,
                o.length,
            )
            for o in settled
        ],
    )
    database.executemany(
        f"UPDATE todo SET attempt = attempt + 1, not_before = ? WHERE {_LISTED}",
        [(retry.not_before, *_place(retry.target)) for retry in retries],
    )
    _count(database, run_id, settled, sum(retry.received for retry in retries))
    _count_hosts(database, settled, retries)
    _count_minutes(database, run_id, settled)


def keep_robots(
    database: Database, answers: Iterable[RobotsAnswer], outcomes: Iterable[Outcome], now: float
) -> None:
    """Keep what hosts said when they were asked for robots.txt, and which URL that was."""
    database.executemany(
        "UPDATE host SET robots_status = ?, robots = ?, robots_until = ? WHERE id = ?",
        [(answer.status, answer.body, answer.until, answer.host_id) for answer in answers],
    )
    # one that was settled without an answer must not make its host wait for ever
    database.executemany(
        "UPDATE host SET robots_id = ?, robots_status = ifnull(robots_status, 0),"
        " robots = ifnull(robots, x''), robots_until = iif(robots_until > ?, robots_until, ?)"
        " WHERE id = ?",
        [(o.target.id, now, FOR_GOOD, o.target.host_id) for o in outcomes if o.target.hops == "P"],
    )


def _strike(database: Database, target: Target) -> bool:
    """Take a target off its host's list; tell whether it was still there."""
    struck = database.execute(f"DELETE FROM todo WHERE {_LISTED}", _place(target))
    return struck.rowcount > 0


def _place(target: Target) -> tuple[int, str, str, int]:
    """Give what `_LISTED` asks for."""
    return target.host_id, target.hops, target.hops, target.id


def _count(
    database: Database, run_id: int, settled: Sequence[Outcome], received_before: int
) -> None:
    if not settled and not received_before:
        return
    sums = dict.fromkeys((*_KINDS, *_CHANGES), 0) | {"received": received_before}
    for outcome in settled:
        sums[outcome.kind] += 1
        sums["received"] += outcome.received
        if outcome.change is not None:
            sums[outcome.change] += 1
    changes = ", ".join(f"{column} = {column} + ?" for column in sums)
    database.execute(f"UPDATE run SET {changes} WHERE id = ?", (*sums.values(), run_id))


def _count_hosts(database: Database, settled: Iterable[Outcome], retries: Iterable[Retry]) -> None:
    """Add to the hosts' numbers; what was refused without asking is no request."""
    hosts: dict[int, _HostSums] = {}
    for outcome in settled:
        if outcome.kind == "refused":
            continue
        sums = hosts.setdefault(outcome.target.host_id, _HostSums())
        sums.asked += 1
        sums.failed += outcome.kind == "failed"
        sums.spent_ms += outcome.duration_ms
        sums.received += outcome.received
    for retry in retries:
        sums = hosts.setdefault(retry.target.host_id, _HostSums())
        sums.asked += 1
        sums.failed += 1
        sums.received += retry.received
    database.executemany(
        "UPDATE host SET asked = asked + ?, failed = failed + ?, spent_ms = spent_ms + ?,"
        " received = received + ? WHERE id = ?",
        [(*structs.astuple(sums), host_id) for host_id, sums in hosts.items()],
    )


def _count_minutes(database: Database, run_id: int, settled: Iterable[Outcome]) -> None:
    minutes: dict[int, list[int]] = {}
    for outcome in settled:
        sums = minutes.setdefault(int(outcome.at // 60), [0, 0])
        sums[0] += outcome.kind in ("captured", "revisit")
        sums[1] += outcome.received
    database.executemany(
        "INSERT INTO minute(run_id, at, captured, received) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET captured = captured + excluded.captured,"
        " received = received + excluded.received",
        [(run_id, minute, *sums) for minute, sums in minutes.items()],
    )


def set_aside(
    database: Database,
    run_id: int,
    hosts: Iterable[tuple[int, str]],
    in_flight: Collection[int],
    now: float,
) -> None:
    """Give hosts up, each with the reason in words, and settle all that waits on them.

    What is in flight keeps its place until its own outcome comes.
    """
    given_up = dict(hosts)
    database.executemany(
        "UPDATE host SET set_aside = 1, idle = 1, why = ?, owner = NULL, lease_until = 0"
        " WHERE id = ?",
        [(words, host_id) for host_id, words in given_up.items()],
    )
    settle_set_aside(database, run_id, given_up, now, in_flight)


def settle_set_aside(
    database: Database,
    run_id: int,
    hosts: Collection[int] | None,
    now: float,
    in_flight: Collection[int] = (),
    newer_than: int = 0,
) -> None:
    """Settle what waits on those of the hosts that were set aside.

    Args:
        database: within a transaction.
        run_id: the run.
        hosts: which hosts; None is all of the run's.
        now: Unix time.
        in_flight: ids of URLs that keep their place until their own outcome comes.
        newer_than: ids up to this one are left alone, too.

    """
    if hosts is None:
        rows = database.execute("SELECT id FROM host WHERE run_id = ? AND set_aside = 1", (run_id,))
    else:
        rows = database.execute(
            "SELECT id FROM host WHERE id IN (SELECT value FROM json_each(?)) AND set_aside = 1",
            (json.dumps(list(hosts)),),
        )
    for (host_id,) in rows.fetchall():
        _abandon(database, run_id, host_id, in_flight, newer_than, now)


def _abandon(
    database: Database,
    run_id: int,
    host_id: int,
    spared: Collection[int],
    newer_than: int,
    now: float,
) -> None:
    where = "host_id = ? AND url_id > ? AND url_id NOT IN (SELECT value FROM json_each(?))"
    those = host_id, newer_than, json.dumps(list(spared))
    database.execute(
        "INSERT INTO outcome(run_id, url_id, at, kind, reason, mime, received, duration_ms)"
        f" SELECT ?, url_id, ?, 'failed', ?, '', 0, 0 FROM todo WHERE {where}",
        (run_id, now, HOST_FAILING, *those),
    )
    gone = database.execute(f"DELETE FROM todo WHERE {where}", those).rowcount
    database.execute("UPDATE run SET failed = failed + ? WHERE id = ?", (gone, run_id))


def cut(database: Database, run_id: int, now: float, most: int) -> int:
    """Settle up to `most` waiting URLs of a run as refused by its budget; tell how many."""
    rows = database.execute(
        "SELECT todo.host_id, todo.priority, todo.url_id FROM host CROSS JOIN todo"
        " ON todo.host_id = host.id WHERE host.run_id = ? LIMIT ?",
        (run_id, most),
    ).fetchall()
    database.executemany(
        "INSERT INTO outcome(run_id, url_id, at, kind, reason, mime, received, duration_ms)"
        " VALUES (?, ?, ?, 'refused', 'budget', '', 0, 0)",
        [(run_id, url_id, now) for _, _, url_id in rows],
    )
    database.executemany("DELETE FROM todo WHERE host_id = ? AND priority = ? AND url_id = ?", rows)
    database.execute("UPDATE run SET refused = refused + ? WHERE id = ?", (len(rows), run_id))
    if len(rows) < most:
        database.execute(
            "UPDATE host SET idle = 1, owner = NULL, lease_until = 0 WHERE run_id = ?", (run_id,)
        )
    return len(rows)
