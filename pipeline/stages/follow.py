"""Where a captured page leads: each link is taken up, or declined with the rule that says so.

Shared by the threads of a worker. Which URLs they met lately is all that it remembers; the frontier
knows the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urljoin

from pipeline.crawl.frontier.seen import Seen
from pipeline.crawl.links.outlinks import Misfit, Outlink, outlinks, robots_sitemaps
from pipeline.crawl.rules.decision import SOURCE
from pipeline.crawl.rules.seeds import Collection
from pipeline.model.target import Declined, Discovery, Target, longer
from pipeline.model.url import origin

MOST_COPIES: Final = 25
"""A page may stand under so many URLs of a host; the links of further copies are not followed."""

_MOST_COUNTED = 10_000
_MOST_WRITTEN = 200
_MOST_TYPE = 60
_NO_URL = "a redirect to what is no URL that can be asked for"
_COPY = f"content: more than {MOST_COPIES} pages of this host are the same; links not followed"
_CUT = "limit: the page has more links than are read"
_LONG = "limit: the page is longer than is searched for links"
_SCOPES_WITH_SITEMAPS = frozenset({"prefix", "host", "domain"})


class Ways(NamedTuple):
    """Where a target leads."""

    discoveries: Sequence[Discovery] = ()
    declined: Sequence[Declined] = ()


class Follower:
    """Finds links and asks the collection's scope about each that was not met lately."""

    def __init__(self, collection: Collection) -> None:
        self._scope = collection.scope
        self._links = collection.links
        self._sources = {seed.url for seed in collection.seeds if seed.is_source}
        self._only_sources = len(self._sources) == len(collection.seeds)
        self._seed_origins = {origin(seed.url) for seed in collection.seeds}
        self._taken = Seen()
        self._declined = Seen()
        self._digests = Seen()
        self._copies: OrderedDict[str, int] = OrderedDict()

    def is_source(self, target: Target) -> bool:
        """Tell whether a target is a seed that lists others, or where such a seed has moved to.

        After more than one redirect that is known only where all seeds are of this kind.
        """
        if not target.hops:
            return target.url in self._sources
        is_seed = not target.hops.strip("R")
        return is_seed and (self._only_sources or target.via in self._sources)

    def without_seeds(self, target: Target, why: str) -> Ways:
        """Tell of a source of seeds that lists none; of any other target there is nothing to tell.

        Args:
            target: the source, which stands for the seeds that were expected of it.
            why: what was got instead, in words.

        """
        if not self.is_source(target):
            return Ways()
        hops, rule = longer(target.hops, "M"), f"{SOURCE}: {why}"
        return Ways((), [_declined(target, target.url, hops, "source", rule)])

    def redirect(self, target: Target, onward: str, *, sets_cookies: bool) -> Ways:
        """Go where a redirect leads, also back to the page itself under a number or with a cookie.

        A site that gives each visitor a number sends them to the page with that number: told apart
        by their canonical spelling, as all other URLs are, the two would be one. And one that
        wants a cookie sends them back to where they came from, to ask again with it.
        """
        scope = self._scope
        hops = longer(target.hops, "R")
        if onward in (target.url, target.via) and sets_cookies:
            seen_as = f"{onward} {hops}"
        elif onward != target.url and scope.canonical(onward) == scope.canonical(target.url):
            seen_as = onward
        else:
            return self._decide(target, [Outlink(onward, "R", "location")], ())
        decision = scope.decide(onward, hops)
        if decision.accepted:
            return Ways([Discovery(url=onward, via=target.id, hops=hops, seen_as=seen_as)])
        return Ways((), [_declined(target, onward, hops, decision.reason, decision.rule)])

    def misfit(self, target: Target, location: bytes) -> Ways:
        """Tell of a redirect to what is no URL to be asked for."""
        written = location.decode("latin-1")[:_MOST_WRITTEN]
        return self._decide(target, [], [Misfit(written, "R", _NO_URL)])

    def page(
        self, target: Target, payload: bytes, fields: Sequence[tuple[bytes, bytes]], digest: str
    ) -> Ways:
        """Go where the links of a page lead; `digest` tells its copies."""
        # a seed that stands for others may be a plain list of them
        is_source = self.is_source(target)
        hops = "M" if is_source else target.hops
        found = outlinks(payload, target.url, fields, hops, self._links)
        if found.found and self._is_one_copy_too_many(target, digest):
            # copies of an ordinary page lead where the page does, and that is known by now
            return Ways((), self._turned_away(target, found.found))
        ways = self._decide(target, found.found, found.misfits)
        if is_source and not any(link.hop in "MN" for link in found.found):
            empty = self.without_seeds(target, f"what came is {_media_type(fields)}")
            ways = Ways(ways.discoveries, [*ways.declined, *empty.declined])
        return _with_limit(target, ways, _CUT) if found.cut else ways

    def cut(self, target: Target, ways: Ways) -> Ways:
        """Tell that only the beginning of a page was searched."""
        return _with_limit(target, ways, _LONG)

    def robots(self, target: Target, url: str, body: bytes) -> Ways:
        """Go to the sitemaps that a robots.txt names, and to the usual place."""
        if not self._links.sitemaps or self._scope.type not in _SCOPES_WITH_SITEMAPS:
            return Ways()
        named = robots_sitemaps(body, url)
        if origin(target.url) in self._seed_origins:
            named = [*named, urljoin(target.url, "/sitemap.xml")]
        return self._decide(target, [Outlink(each, "M", "robots") for each in named], ())

    def _decide(self, target: Target, links: Iterable[Outlink], misfits: Iterable[Misfit]) -> Ways:
        scope = self._scope
        discoveries, declined = [], []
        ways: dict[str, str] = {}
        for url, hop, _ in links:
            key = scope.canonical(url)
            if self._taken.knows(key):
                continue
            hops = ways.get(hop) or ways.setdefault(hop, longer(target.hops, hop))
            decision = scope.decide(url, hops)
            if decision.accepted:
                self._taken.meets(key)
                discoveries.append(Discovery(url=url, via=target.id, hops=hops))
            elif self._declined.meets(url):
                declined.append(_declined(target, url, hops, decision.reason, decision.rule))
        for written, hop, why in misfits:
            if self._declined.meets(f"{target.id} {written}"):
                hops = longer(target.hops, hop)
                declined.append(_declined(target, written, hops, "url", f"url: {why}"))
        return Ways(discoveries, declined)

    def _is_one_copy_too_many(self, target: Target, digest: str) -> bool:
        key = f"{target.host_id} {digest}"
        if self._digests.meets(key):
            return False
        count = self._copies.pop(key, 1) + 1
        self._copies[key] = count
        if len(self._copies) > _MOST_COUNTED:
            self._copies.popitem(last=False)
        return count > MOST_COPIES

    def _turned_away(self, target: Target, links: Iterable[Outlink]) -> list[Declined]:
        return [
            _declined(target, url, longer(target.hops, hop), "trap-content", _COPY)
            for url, hop, _ in links
            if not self._taken.knows(self._scope.canonical(url)) and self._declined.meets(url)
        ]


def _media_type(fields: Sequence[tuple[bytes, bytes]]) -> str:
    """Give what a response says it is, for people."""
    named = next((value for name, value in fields if name.lower() == b"content-type"), b"")
    return named.decode("latin-1")[:_MOST_TYPE] or "of no named type"


def _with_limit(target: Target, ways: Ways, rule: str) -> Ways:
    # the rest of the links is not known by name: the page stands for them
    rest = _declined(target, target.url, longer(target.hops, "L"), "limit", rule)
    return Ways(ways.discoveries, [*ways.declined, rest])


def _declined(target: Target, url: str, hops: str, reason: str, rule: str) -> Declined:
    return Declined(url=url, via=target.id, hops=hops, reason=reason, rule=rule)
