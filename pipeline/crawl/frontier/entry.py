"""How URLs enter the frontier: each once, with its host, and with its place among what waits there.

For a worker's beat, for seeds, and for rules that were read again. A URL's key is 63 bits of a hash
over run and canonical spelling; the text is compared as well, so that a collision costs a second
look and never a page. Fetches nothing and judges nothing: scope has decided before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from pipeline.crawl.frontier.database import Database, transaction
from pipeline.crawl.frontier.settlement import PRIORITY, settle_set_aside
from pipeline.model.target import Declined, Discovery

_LOOK_UP = 500
_CHUNK = 10_000  # rows of one transaction where there are many
_MOST_HOSTS_KNOWN = 200_000

# SQL: reasons that lie in a page, where no rule of the collection has a say; `url` is none at all
_FOR_GOOD = "('url', 'limit', 'source', 'trap-content')"

T = TypeVar("T")


def key_of(run_id: int, url: str) -> int:
    """Give the 63-bit key of a text, most often a URL, within a run."""
    digest = hashlib.blake2b(f"{run_id} {url}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Entry:
    """The door of one run's frontier.

    Args:
        database: the connection that the statements use.
        run_id: the run's number.
        origin_of: gives the `scheme://host:port` of a normal URL.
        robots_of: gives the URL of an origin's robots.txt.
        canonical: gives the spelling by which URLs are told apart (without session ids and the
            like); a URL is stored and fetched as it was written.

    """

    def __init__(
        self,
        database: Database,
        run_id: int,
        origin_of: Callable[[str], str],
        robots_of: Callable[[str], str],
        canonical: Callable[[str], str] = str,
    ) -> None:
        self._db = database
        self._run = run_id
        self._origin_of = origin_of
        self._robots_of = robots_of
        self.canonical = canonical
        self._hosts: dict[str, int] = {}
        self._rules: dict[str, int] = {}

    def unknown(self, discoveries: Iterable[Discovery]) -> list[tuple[int, Discovery]]:
        """Keep what the database does not hold yet, with the key it will get; only reads.

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
            key = key_of(self._run, found.seen_as or self.canonical(found.url))
            while key in fresh and not self._same(fresh[key].url, found.url):
                key += 1
            fresh.setdefault(key, found)
        for some in _pieces(list(fresh), _LOOK_UP):
            marks = ",".join("?" * len(some))
            rows = self._db.execute(f"SELECT key, url FROM url WHERE key IN ({marks})", some)
            for key, url in rows.fetchall():
                found = fresh.pop(key)
                if not self._same(url, found.url):
                    self._make_room(fresh, key, found)
        return list(fresh.items())

    def _same(self, one: str, other: str) -> bool:
        return one == other or self.canonical(one) == self.canonical(other)

    def _make_room(self, fresh: dict[int, Discovery], key: int, found: Discovery) -> None:
        """Give a URL whose key another URL has the next free key, unless it is known after all."""
        while True:
            key += 1
            row = self._db.execute("SELECT url FROM url WHERE key = ?", (key,)).fetchone()
            if row and self._same(row[0], found.url):
                return
            if row is None and key not in fresh:
                fresh[key] = found
                return

    def plant(self, discoveries: Iterable[Discovery], now: float) -> None:
        """Offer URLs in transactions of their own; those that are known stay as they are."""
        for some in _pieces(discoveries, _CHUNK):
            fresh = self.unknown(some)
            with transaction(self._db):
                self.offer(fresh, now)

    def offer(self, fresh: Sequence[tuple[int, Discovery]], now: float) -> None:
        """Insert URLs, and list for their hosts those that no other worker offered meanwhile.

        What belongs to a host that was set aside is settled at once. Within a transaction.
        """
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
            f" SELECT host_id, {PRIORITY}, id FROM url WHERE id > ?",
            (newest,),
        ).rowcount
        met = {row[0] for row in rows}
        self._db.executemany(
            "UPDATE host SET idle = 0 WHERE idle = 1 AND set_aside = 0 AND id = ?",
            [(host_id,) for host_id in met],
        )
        self._db.execute(
            "UPDATE run SET discovered = discovered + ? WHERE id = ?", (new, self._run)
        )
        settle_set_aside(self._db, self._run, met, now, newer_than=newest)

    def _host(self, url: str) -> int:
        """Give the number of a URL's host, entering it when it is new."""
        origin = self._origin_of(url)
        if origin not in self._hosts:
            row = self._db.execute(
                "SELECT id FROM host WHERE run_id = ? AND origin = ?", (self._run, origin)
            ).fetchone()
            if row is None:
                # a paused run of another collection may have asked this host a moment ago
                row = self._db.execute(
                    "INSERT INTO host(run_id, origin, next_at)"
                    " SELECT ?, ?, ifnull(max(next_at), 0) FROM host"
                    " WHERE origin = ? AND run_id IN (SELECT id FROM run) RETURNING id",
                    (self._run, origin, origin),
                ).fetchone()
            if len(self._hosts) >= _MOST_HOSTS_KNOWN:
                self._hosts.clear()
            self._hosts[origin] = row[0]
        return self._hosts[origin]

    def decline(self, declined: Iterable[Declined]) -> None:
        """Note URLs that were met and not taken up, each once, and count them for their rules.

        In transactions of their own: if the page that links there is fetched again because a
        worker died, they are known.
        """
        for some in _pieces(declined, _CHUNK):
            fresh = self._undeclined(some)
            if fresh:
                with transaction(self._db):
                    self._note(fresh)

    def readmit(self, decide: Callable[[str, str], bool], now: float) -> int:
        """Offer the URLs that were declined and that `decide` accepts now; give how many.

        What was declined for what its page is, and not for where it lies, stays so.
        """
        accepted = last = 0
        while rows := self._db.execute(
            "SELECT declined.id, url, via, hops, rule_id FROM declined"
            " CROSS JOIN rule ON rule.id = rule_id"
            " WHERE declined.run_id = ? AND declined.id > ?"
            f" AND reason NOT IN {_FOR_GOOD} ORDER BY declined.id LIMIT ?",
            (self._run, last, _CHUNK),
        ).fetchall():
            last = rows[-1][0]
            some = [row for row in rows if decide(row[1], row[3])]
            found = (Discovery(url=url, via=via, hops=hops) for _, url, via, hops, _ in some)
            fresh = self.unknown(found)
            with transaction(self._db):
                self.offer(fresh, now)
                self._db.executemany("DELETE FROM declined WHERE id = ?", [row[:1] for row in some])
                self._db.executemany(
                    "UPDATE rule SET declined = declined - 1 WHERE id = ?",
                    [row[4:] for row in some],
                )
            accepted += len(some)
        return accepted

    def _undeclined(self, declined: Iterable[Declined]) -> dict[int, Declined]:
        fresh: dict[int, Declined] = {}
        for found in declined:
            # that a source lists no seed is told also where a link to it was declined
            kind = "source" if found.reason == "source" else "declined"
            fresh.setdefault(key_of(self._run, f"{kind} {_storable(found.url)}"), found)
        for some in _pieces(list(fresh), _LOOK_UP):
            marks = ",".join("?" * len(some))
            rows = self._db.execute(f"SELECT key FROM declined WHERE key IN ({marks})", some)
            for (key,) in rows.fetchall():
                del fresh[key]
        return fresh

    def _note(self, fresh: dict[int, Declined]) -> None:
        by_rule: dict[int, list[tuple[int, int, str, int | None, str, int]]] = {}
        for key, found in fresh.items():
            rule = self._rule(found)
            row = (self._run, key, _storable(found.url), found.via, found.hops, rule)
            by_rule.setdefault(rule, []).append(row)
        for rule, rows in by_rule.items():
            new = self._db.executemany(
                "INSERT INTO declined(run_id, key, url, via, hops, rule_id)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                rows,
            ).rowcount
            self._db.execute("UPDATE rule SET declined = declined + ? WHERE id = ?", (new, rule))

    def _rule(self, found: Declined) -> int:
        """Give the number of a rule, entering it when it decides for the first time."""
        if found.rule not in self._rules:
            self._db.execute(
                "INSERT INTO rule(run_id, reason, words) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (self._run, found.reason, found.rule),
            )
            self._rules[found.rule] = self._db.execute(
                "SELECT id FROM rule WHERE run_id = ? AND words = ?", (self._run, found.rule)
            ).fetchone()[0]
        return self._rules[found.rule]


def _storable(text: str) -> str:
    """Make text from a page fit for a database: what could not be decoded becomes `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
