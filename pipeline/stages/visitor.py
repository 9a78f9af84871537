"""Visits to targets: ask for one, see what came back and where it leads.

Called by the threads of a worker side by side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import structs
from requests.adapters import BaseAdapter

from pipeline.archive.compose import Revisit, Trail
from pipeline.crawl.frontier.catalogue import Known
from pipeline.crawl.links.outlinks import redirect_target
from pipeline.crawl.rules.robots import MAX_BYTES
from pipeline.crawl.rules.secrets import Secrets
from pipeline.crawl.wire.fetch import fetch
from pipeline.model.content import decode_content
from pipeline.model.exchange import Exchange, Failed
from pipeline.model.http import Head, body
from pipeline.model.policy import CrawlPolicy
from pipeline.model.target import Kind, Target, longer
from pipeline.stages.follow import Follower, Ways
from pipeline.stages.hosts import Host
from pipeline.stages.memory import Memory
from pipeline.stages.recall import is_chunked
from pipeline.stages.rules import Rules
from pipeline.stages.visit import Taken, Visit, trail_of

MOST_LINK_BYTES = 16 * 1024 * 1024
"""Links are sought in this much of a page."""

_MOST_ROBOTS_HOPS = 5
"""RFC 9309 §2.3.1.2: follow at least five redirects to a robots.txt."""

_PASSING = frozenset({"dns", "connect", "timeout", "disconnect", "network", "proxy"})
"""Failures that may be over in a while."""

_TOO_MANY = 429  # RFC 6585 §4

Recall = Callable[[Known], tuple[Head, bytes] | None]
"""Reads the payload of an earlier capture from the archive; None if it cannot be had."""


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
            ways = self._follower.without_seeds(target, f"it was not asked for: {detail}")
            return Visit(kind="refused", absence=(decision.reason, detail), ways=ways)
        known = self._memory.known(target.url)
        outcome = self._fetch(target.url, host, now, known)
        if isinstance(outcome, Failed):
            return self._failed(target, host, outcome, [])
        is_304 = outcome.head is not None and outcome.head.status == 304
        if is_304 and known is not None and known.is_conditional:
            return self._not_modified(target, host, now, outcome, known)
        return self._captured(target, host, outcome, known, [])

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

    def _may_try_again(self, target: Target, host: Host) -> bool:
        """Tell whether a target that failed now has another attempt.

        For a robots.txt that was had before the pages of its host wait (RFC 9309 §2.3.1.4). It has
        as many attempts as a host that fails: with each the pause grows, so that in some hours of
        trouble nothing is asked for and nothing is lost. To go on by the old copy, as §2.4 would
        allow, would be to lean on a host that can hardly answer.
        """
        most = self._policy.retries
        if target.hops == "P" and host.robots is not None and not host.robots.is_unavailable:
            most = max(most, self._policy.host_failures - 1)
        return target.attempt < most

    def _failed(self, target: Target, host: Host, failed: Failed, before: list[Taken]) -> Visit:
        again = failed.reason in _PASSING and self._may_try_again(target, host)
        if failed.exchange:
            before.append(Taken(failed.exchange, trail_of(target)))
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
        self,
        target: Target,
        host: Host,
        exchange: Exchange,
        known: Known | None,
        before: list[Taken],
    ) -> Visit:
        head = exchange.head
        trouble = self._server_trouble(target, host, exchange, before)
        if trouble is not None:
            return trouble
        # what could not be read back is stored anew
        revisit = None if before else self._repeats(exchange)
        ways = Ways()
        location = _location(exchange)
        if location is not None:
            ways = self._onward(target, exchange, location)
        elif head is None or 200 <= head.status < 300:
            ways = self._links(target, exchange)
        else:
            ways = self._follower.without_seeds(target, f"the answer is {head.status}")
        return Visit(
            kind="revisit" if revisit else "captured",
            taken=[*before, Taken(exchange, trail_of(target), revisit)],
            ways=ways,
            known=known,
        )

    def _onward(self, target: Target, exchange: Exchange, location: bytes) -> Ways:
        onward = redirect_target(location, exchange.url)
        if onward is None:
            return self._follower.misfit(target, location)
        head = exchange.head
        sets_cookies = head is not None and head.get(b"set-cookie") is not None
        return self._follower.redirect(
            target, onward, sets_cookies=sets_cookies and self._policy.cookies
        )

    def _links(self, target: Target, exchange: Exchange) -> Ways:
        fields = exchange.head.fields if exchange.head else ()
        with self._one_page:
            page = _body(exchange)
            ways = self._follower.page(target, page, fields, exchange.payload_digest)
        is_cut = max(exchange.response.size, len(page)) >= MOST_LINK_BYTES
        return self._follower.cut(target, ways) if is_cut else ways

    def _server_trouble(
        self, target: Target, host: Host, exchange: Exchange, before: list[Taken]
    ) -> Visit | None:
        """Settle an answer that tells of trouble on the other side, which may pass."""
        status = exchange.head.status if exchange.head else 200
        if status < 500 and status != _TOO_MANY:
            return None
        again = self._may_try_again(target, host)
        reason = "too-many-requests" if status == _TOO_MANY else "server-error"
        return Visit(
            kind=None if again else "failed",
            taken=[*before, Taken(exchange, trail_of(target))],
            absence=(reason, f"the server answered {status}, {target.attempt + 1} times"),
        )

    def _repeats(self, exchange: Exchange) -> Revisit | None:
        """Find the record that holds the same payload already."""
        if not exchange.payload_size or exchange.truncated or exchange.head is None:
            return None
        chunked = is_chunked(exchange.head)
        original = self._memory.original(exchange.payload_digest, chunked=chunked)
        return Revisit("identical-payload-digest", original) if original else None

    def _not_modified(
        self, target: Target, host: Host, now: float, exchange: Exchange, known: Known
    ) -> Visit:
        """Take the links of the earlier capture; ask for all of it where that cannot be read."""
        with self._one_page:
            recalled = self._recall(known)
            ways = self._recalled_links(target, known, recalled)
        if recalled is None:
            before = [Taken(exchange, trail_of(target))]
            outcome = self._fetch(target.url, host, now, None)
            if isinstance(outcome, Failed):
                return self._failed(target, host, outcome, before)
            return self._captured(target, host, outcome, known, before)
        return Visit(
            kind="revisit",
            taken=[
                Taken(exchange, trail_of(target), Revisit("server-not-modified", known.original))
            ],
            ways=ways,
            known=known,
        )

    def _recalled_links(
        self, target: Target, known: Known, recalled: tuple[Head, bytes] | None
    ) -> Ways:
        if recalled is None:
            return Ways()
        head, payload = recalled
        ways = self._follower.page(target, payload, head.fields, known.payload_digest)
        return self._follower.cut(target, ways) if len(payload) >= MOST_LINK_BYTES else ways

    def _ask_robots(self, target: Target, host: Host, now: float) -> Visit:
        """Fetch a robots.txt, following its redirects at once, because the host waits for it."""
        url, trail = target.url, trail_of(target)
        taken: list[Taken] = []
        for _ in range(_MOST_ROBOTS_HOPS + 1):
            answer = self._fetch(url, host, now, None)
            if isinstance(answer, Failed):
                return self._failed(target, host, answer, taken)
            trouble = self._server_trouble(target, host, answer, taken)
            if trouble is not None:
                return structs.replace(trouble, robots=(503, b"")) if trouble.kind else trouble
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


def _location(exchange: Exchange) -> bytes | None:
    head = exchange.head
    if head is None or not 300 <= head.status < 400:
        return None
    return head.get(b"location") or None


def _redirect(exchange: Exchange) -> str | None:
    location = _location(exchange)
    return redirect_target(location, exchange.url) if location else None


def _body(exchange: Exchange) -> bytes:
    """Give the beginning of the decoded body: enough to find links and rules in."""
    block = exchange.response.prefix(MOST_LINK_BYTES)
    if exchange.head is None:
        return block
    return decode_content(body(block, exchange.head), exchange.head, MOST_LINK_BYTES).data
