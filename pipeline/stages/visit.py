"""One target: ask for it, see where it leads, and lay out the WARC records that tell of it.

Called by the threads of a worker side by side. Which URLs they met lately is all they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from requests.adapters import BaseAdapter

from pipeline.archive.compose import Composer, Trail
from pipeline.archive.member import Record
from pipeline.crawl.frontier.seen import Seen
from pipeline.crawl.links.html import Outlink, outlinks, redirect_target
from pipeline.crawl.rules.robots import MAX_BYTES, Robots
from pipeline.crawl.rules.scope import Scope
from pipeline.crawl.wire.fetch import fetch
from pipeline.model.content import decode_content
from pipeline.model.exchange import Exchange, Failed, Fetched
from pipeline.model.http import body
from pipeline.model.policy import CrawlPolicy
from pipeline.model.target import Discovery, Kind, Target

_MOST_LINK_BYTES = 32 * 1024 * 1024
"""Links are sought in this much of a page."""

_MOST_ROBOTS_HOPS = 5
"""RFC 9309 §2.3.1.2: follow at least five redirects to a robots.txt."""

_PASSING = frozenset({"dns", "connect", "timeout", "disconnect", "network"})
"""Failures that may be over in a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a visit brought.

    Attributes:
        kind: how the target is settled; None if it is to be tried again.
        exchanges: what crossed the wire, in order, each with its way from the seed.
        absence: reason and detail, where the target has no capture.
        robots: status and body of the host's robots.txt, if that was the target.

    """

    kind: Kind | None
    exchanges: Sequence[tuple[Exchange, Trail]] = ()
    absence: tuple[str, str] | None = None
    discoveries: Sequence[Discovery] = ()
    robots: tuple[int, bytes] | None = None

    @property
    def status(self) -> int | None:
        """HTTP status code of the last response."""
        head = self.exchanges[-1][0].head if self.exchanges else None
        return head.status if head else None

    @property
    def received(self) -> int:
        """Bytes received on the wire."""
        return sum(exchange.response.size for exchange, _ in self.exchanges)

    def records(self, target: Target, composer: Composer, now: datetime) -> list[Record]:
        """Lay out the records of this visit; none if a later visit will tell the rest."""
        records = [
            record
            for exchange, trail in self.exchanges
            for record in composer.capture(exchange, trail)
        ]
        if self.absence and self.kind:
            records += composer.absence(_trail(target), now, self.kind, *self.absence)
        return records

    def close(self) -> None:
        """Give back the temporary files of large responses."""
        for exchange, _ in self.exchanges:
            exchange.response.close()


class Visitor:
    """Visits the targets of one collection."""

    def __init__(self, adapter: BaseAdapter, policy: CrawlPolicy, scope: Scope) -> None:
        self._adapter = adapter
        self._policy = policy
        self._scope = scope
        self._seen = Seen()
        self._headers = (
            ("User-Agent", policy.user_agent),
            ("Accept", "*/*"),
            ("Accept-Encoding", policy.accept_encoding),
        )

    def visit(self, target: Target, robots: Robots | None) -> Visit:
        """Fetch a target, unless its host's robots.txt says no."""
        if target.hops == "P":
            return self._ask_robots(target)
        if robots is not None:
            decision = robots.decide(target.url, self._policy.user_agent)
            if not decision.accepted:
                detail = decision.rule.removeprefix("robots: ")
                return Visit(kind="refused", absence=(decision.reason, detail))
        outcome = fetch(self._adapter, target.url, self._headers)
        match outcome:
            case Fetched(exchange):
                seen = self._discoveries(target, exchange)
                return Visit(
                    kind="captured", exchanges=[(exchange, _trail(target))], discoveries=seen
                )
            case Failed():
                return self._failed(target, outcome, [])

    def _failed(
        self, target: Target, failed: Failed, before: list[tuple[Exchange, Trail]]
    ) -> Visit:
        again = failed.reason in _PASSING and target.attempt < self._policy.retries
        if failed.exchange:
            before.append((failed.exchange, _trail(target)))
        robots = (0, b"") if target.hops == "P" and not again else None
        return Visit(
            kind=None if again else "failed",
            exchanges=before,
            absence=(failed.reason, failed.detail),
            robots=robots,
        )

    def _ask_robots(self, target: Target) -> Visit:
        """Fetch a robots.txt, following its redirects at once, because the host waits for it."""
        url, hops = target.url, target.hops
        via = target.via
        exchanges: list[tuple[Exchange, Trail]] = []
        for _ in range(_MOST_ROBOTS_HOPS + 1):
            outcome = fetch(self._adapter, url, self._headers)
            if isinstance(outcome, Failed):
                return self._failed(target, outcome, exchanges)
            exchange = outcome.exchange
            exchanges.append((exchange, Trail(url=url, via=via, hops=hops)))
            onward = _redirect(exchange)
            if onward is None:
                break
            url, via, hops = onward, url, hops + "R"
        head = exchange.head
        # a host that answers without a head, or only sends us on and on, has no rules to read
        status = head.status if head and onward is None else 404
        # one byte more than is read, to tell a file that is cut from one that ends there
        rules = _body(exchange)[: MAX_BYTES + 1] if 200 <= status < 300 else b""
        return Visit(kind="captured", exchanges=exchanges, robots=(status, rules))

    def _discoveries(self, target: Target, exchange: Exchange) -> list[Discovery]:
        found: list[Outlink] = []
        onward = _redirect(exchange)
        head = exchange.head
        if onward:
            found = [Outlink(onward, "R", "")]
        elif head is not None and 200 <= head.status < 300:
            found = outlinks(_body(exchange), target.url, head.get(b"content-type"))
        return [
            Discovery(url=link.url, via=target.id, hops=target.hops + link.hop)
            for link in found
            if self._seen.meets(link.url) and self._scope.decide(link.url).accepted
        ]


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
    block = exchange.response.prefix(_MOST_LINK_BYTES)
    if exchange.head is None:
        return block
    return decode_content(body(block, exchange.head), exchange.head, _MOST_LINK_BYTES).data
