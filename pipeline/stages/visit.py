"""One target: ask for it, see where it leads, and lay out the WARC records that tell of it.

Called by the threads of a worker side by side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from requests.adapters import BaseAdapter

from pipeline.archive.compose import Composer, Revisit, Trail
from pipeline.archive.member import Record
from pipeline.crawl.frontier.catalogue import Entry, Known
from pipeline.crawl.links.outlinks import redirect_target
from pipeline.crawl.rules import politeness
from pipeline.crawl.rules.robots import MAX_BYTES
from pipeline.crawl.rules.secrets import Secrets
from pipeline.crawl.wire.fetch import fetch
from pipeline.model.content import decode_content
from pipeline.model.exchange import Exchange, Failed
from pipeline.model.http import Head, body, framing
from pipeline.model.policy import CrawlPolicy
from pipeline.model.records import Original
from pipeline.model.target import Change, Kind, Target, longer
from pipeline.stages.follow import Follower, Ways
from pipeline.stages.hosts import Host
from pipeline.stages.memory import Memory
from pipeline.stages.rules import Rules

MOST_LINK_BYTES = 16 * 1024 * 1024
"""Links are sought in this much of a page."""

_MOST_ROBOTS_HOPS = 5
"""RFC 9309 §2.3.1.2: follow at least five redirects to a robots.txt."""

_PASSING = frozenset({"dns", "connect", "timeout", "disconnect", "network", "proxy"})
"""Failures that may be over in a while."""

_TOO_MANY = 429  # RFC 6585 §4
_GONE = frozenset({404, 410})

Recall = Callable[[Known], tuple[Head, bytes] | None]
"""Reads the payload of an earlier capture from the archive; None if it cannot be had."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What crossed the wire once, how the crawl came there, and what it repeats."""

    exchange: Exchange
    trail: Trail
    revisit: Revisit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a visit brought.

    Attributes:
        kind: how the target is settled; None if it is to be tried again.
        taken: what crossed the wire, in order.
        absence: reason and detail, where the target has no capture.
        robots: status and body of the host's robots.txt, if that was the target.
        known: the capture before this one.

    """

    kind: Kind | None
    taken: Sequence[Taken] = ()
    absence: tuple[str, str] | None = None
    ways: Ways = Ways()  # noqa: RUF009  it is a tuple
    robots: tuple[int, bytes] | None = None
    known: Known | None = None

    @property
    def last(self) -> Exchange | None:
        """The exchange that settled the visit."""
        return self.taken[-1].exchange if self.taken else None

    @property
    def head(self) -> Head | None:
        """The head of the last response."""
        return self.last.head if self.last else None

    @property
    def status(self) -> int | None:
        """HTTP status code of the last response."""
        return self.head.status if self.head else None

    @property
    def mime(self) -> str:
        """Media type that the last response names, in lower case."""
        named = self.head.get(b"content-type") if self.head else None
        return (named or b"").partition(b";")[0].strip().lower().decode("latin-1")[:100]

    @property
    def received(self) -> int:
        """Bytes received on the wire."""
        return sum(taken.exchange.response.size for taken in self.taken)

    @property
    def is_failure(self) -> bool | None:
        """Tell whether the host could not serve us; None where it was not asked."""
        return None if self.kind == "refused" else politeness.is_failure(self.status)

    @property
    def change(self) -> Change | None:
        """Compare the capture with the one before it."""
        if self.kind not in ("captured", "revisit") or self.last is None:
            return None
        known = self.known
        if known is None:
            return "new"
        if self.status == 304 or self.last.payload_digest == known.payload_digest:
            return "unchanged"
        was_there = 200 <= known.status < 300
        return "vanished" if was_there and self.status in _GONE else "changed"

    @property
    def sets_cookies(self) -> bool:
        """Tell whether a response asks to keep a cookie."""
        heads = (taken.exchange.head for taken in self.taken)
        return any(head is not None and head.get(b"set-cookie") is not None for head in heads)

    def retry_after(self, now: float) -> float | None:
        """Give the seconds for which an overloaded host wants to be left alone."""
        value = self.head.get(b"retry-after") if self.head else None
        return politeness.retry_after(value, now) if value else None

    def records(self, target: Target, composer: Composer, now: datetime) -> list[Record]:
        """Lay out the records of this visit; none if a later visit will tell the rest."""
        records = [
            record
            for taken in self.taken
            for record in composer.capture(taken.exchange, taken.trail, taken.revisit)
        ]
        if self.absence and self.kind:
            records += composer.absence(_trail(target), now, self.kind, *self.absence)
        return records

    def entry(self, records: Sequence[Record], warc: str, offset: int) -> Entry | None:
        """Give what the catalogue shall know, if the visit captured one whole response."""
        if len(self.taken) != 1 or self.kind not in ("captured", "revisit"):
            return None
        exchange, revisit = self.taken[0].exchange, self.taken[0].revisit
        head = exchange.head
        if head is None or exchange.truncated:
            return None
        etag, modified = (_text(head.get(name)) for name in (b"etag", b"last-modified"))
        known = self.known
        if revisit is not None and known is not None and head.status == 304:
            return replace(known, etag=etag or known.etag, modified=modified or known.modified)
        fields = dict(records[0].fields)
        here = Original(
            record_id=fields["WARC-Record-ID"].strip("<>"),
            url=exchange.url,
            date=fields["WARC-Date"],
            chunked=_is_chunked(head),
        )
        return Entry(
            url=exchange.url,
            original=revisit.original if revisit else here,
            payload_digest=exchange.payload_digest,
            status=head.status,
            etag=etag,
            modified=modified,
            # the catalogue knows where the original is
            warc="" if revisit else warc,
            offset=0 if revisit else offset,
        )

    def close(self) -> None:
        """Give back the temporary files of large responses."""
        for taken in self.taken:
            taken.exchange.response.close()


class Visitor:
    """Visits the targets of one collection by its rules."""

    def __init__(
        self,
        adapter: BaseAdapter,
        rules: Rules,
        secrets: Secrets,
        memory: Memory,
        recall: Recall,
    ) -> None:
        self._adapter = adapter
        self._policy: CrawlPolicy = rules.policy
        self._scope = rules.collection.scope
        self._follower = Follower(rules.collection)
        self._secrets = secrets
        self._memory = memory
        self._recall = recall
        # a page can grow a hundredfold when it is unpacked; and one interpreter searches no two
        self._one_page = threading.Lock()
        self._headers = (
            ("User-Agent", self._policy.user_agent),
            ("Accept", "*/*"),
            ("Accept-Encoding", self._policy.accept_encoding),
        )

    def visit(self, target: Target, host: Host, now: float) -> Visit:
        """Fetch a target, unless the rules of the collection or its host say no."""
        if target.hops == "P":
            return self._ask_robots(target, host, now)
        # the rules may have been changed since it was found
        decision = self._scope.decide(target.url, target.hops)
        if decision.accepted and host.robots is not None:
            decision = host.robots.decide(target.url, self._policy.user_agent)
        if not decision.accepted:
            detail = decision.rule.removeprefix("robots: ")
            return Visit(kind="refused", absence=(decision.reason, detail))
        known = self._memory.known(target.url)
        outcome = self._fetch(target.url, host, now, known)
        if isinstance(outcome, Failed):
            return self._failed(target, outcome, [])
        if known is not None and outcome.head is not None and outcome.head.status == 304:
            return self._not_modified(target, host, now, outcome, known)
        return self._captured(target, outcome, known, [])

    def _fetch(self, url: str, host: Host, now: float, known: Known | None) -> Exchange | Failed:
        headers: tuple[tuple[str, str], ...] = self._headers
        if known is not None:
            headers += tuple(known.conditions())
        own = host.jar.header(url, now) if self._policy.cookies else None
        if cookies := self._secrets.cookie_header(url, own):
            headers += (("Cookie", cookies),)
        headers += self._secrets.headers(url)
        outcome = fetch(self._adapter, url, headers)
        if isinstance(outcome, Failed):
            return outcome
        if self._policy.cookies and outcome.exchange.head is not None:
            host.jar.take(outcome.exchange.head.fields, url, now)
        return outcome.exchange

    def _failed(self, target: Target, failed: Failed, before: list[Taken]) -> Visit:
        again = failed.reason in _PASSING and target.attempt < self._policy.retries
        if failed.exchange:
            before.append(Taken(failed.exchange, _trail(target)))
        kind: Kind = "refused" if failed.reason == "address" else "failed"
        robots = None
        if target.hops == "P" and not again:
            # where the address is refused, each page shall say so itself
            robots = (404 if kind == "refused" else 0, b"")
        return Visit(
            kind=None if again else kind,
            taken=before,
            absence=(failed.reason, failed.detail),
            robots=robots,
        )

    def _captured(
        self, target: Target, exchange: Exchange, known: Known | None, before: list[Taken]
    ) -> Visit:
        head = exchange.head
        trouble = self._server_trouble(target, exchange, before)
        if trouble is not None:
            return trouble
        revisit = self._repeats(exchange)
        onward = _redirect(exchange)
        ways = Ways()
        if onward:
            ways = self._follower.redirect(target, onward)
        elif head is None or 200 <= head.status < 300:
            ways = self._links(target, exchange)
        return Visit(
            kind="revisit" if revisit else "captured",
            taken=[*before, Taken(exchange, _trail(target), revisit)],
            ways=ways,
            known=known,
        )

    def _links(self, target: Target, exchange: Exchange) -> Ways:
        fields = exchange.head.fields if exchange.head else ()
        with self._one_page:
            page = _body(exchange)
            ways = self._follower.page(target, page, fields, exchange.payload_digest)
            is_cut = len(page) >= MOST_LINK_BYTES
            return self._follower.cut(target, ways) if is_cut else ways

    def _server_trouble(
        self, target: Target, exchange: Exchange, before: list[Taken]
    ) -> Visit | None:
        """Settle an answer that tells of trouble on the other side, which may pass."""
        status = exchange.head.status if exchange.head else 200
        if status < 500 and status != _TOO_MANY:
            return None
        again = target.attempt < self._policy.retries
        reason = "too-many-requests" if status == _TOO_MANY else "server-error"
        return Visit(
            kind=None if again else "failed",
            taken=[*before, Taken(exchange, _trail(target))],
            absence=(reason, f"the server answered {status}, {target.attempt + 1} times"),
        )

    def _repeats(self, exchange: Exchange) -> Revisit | None:
        """Find the record that holds the same payload already."""
        if not exchange.payload_size or exchange.truncated or exchange.head is None:
            return None
        chunked = _is_chunked(exchange.head)
        original = self._memory.original(exchange.payload_digest, chunked=chunked)
        return Revisit("identical-payload-digest", original) if original else None

    def _not_modified(
        self, target: Target, host: Host, now: float, exchange: Exchange, known: Known
    ) -> Visit:
        """Take the links of the earlier capture; ask for all of it where that cannot be read."""
        recalled = self._recall(known)
        if recalled is None:
            before = [Taken(exchange, _trail(target))]
            outcome = self._fetch(target.url, host, now, None)
            if isinstance(outcome, Failed):
                return self._failed(target, outcome, before)
            return self._captured(target, outcome, known, before)
        head, payload = recalled
        return Visit(
            kind="revisit",
            taken=[Taken(exchange, _trail(target), Revisit("server-not-modified", known.original))],
            ways=self._follower.page(target, payload, head.fields, known.payload_digest),
            known=known,
        )

    def _ask_robots(self, target: Target, host: Host, now: float) -> Visit:
        """Fetch a robots.txt, following its redirects at once, because the host waits for it."""
        url, trail = target.url, _trail(target)
        taken: list[Taken] = []
        for _ in range(_MOST_ROBOTS_HOPS + 1):
            answer = self._fetch(url, host, now, None)
            if isinstance(answer, Failed):
                return self._failed(target, answer, taken)
            trouble = self._server_trouble(target, answer, taken)
            if trouble is not None:
                return trouble if trouble.kind is None else replace(trouble, robots=(503, b""))
            taken.append(Taken(answer, trail, self._repeats(answer)))
            onward = _redirect(answer)
            if onward is None:
                break
            trail = Trail(url=onward, via=url, hops=longer(trail.hops, "R"))
            url = onward
        head = taken[-1].exchange.head
        # a host that answers without a head, or only sends us on and on, has no rules to read
        status = head.status if head and onward is None else 404
        # one byte more than is read, to tell a file that is cut from one that ends there
        rules = _body(taken[-1].exchange)[: MAX_BYTES + 1] if 200 <= status < 300 else b""
        return Visit(
            kind="revisit" if taken[-1].revisit else "captured",
            taken=taken,
            robots=(status, rules),
            ways=self._follower.robots(target, url, rules),
            known=self._memory.known(target.url),
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _is_chunked(head: Head) -> bool:
    """Tell whether chunk sizes stand between the payload's bytes."""
    return framing(head).kind == "chunked"


def _trail(target: Target) -> Trail:
    return Trail(url=target.url, via=target.via, hops=target.hops)


def _redirect(exchange: Exchange) -> str | None:
    head = exchange.head
    if head is None or not 300 <= head.status < 400:
        return None
    location = head.get(b"location")
    return redirect_target(location, exchange.url) if location else None


def _body(exchange: Exchange) -> bytes:
    """Give the beginning of the decoded body: enough to find links and rules in."""
    block = exchange.response.prefix(MOST_LINK_BYTES)
    if exchange.head is None:
        return block
    return decode_content(body(block, exchange.head), exchange.head, MOST_LINK_BYTES).data
