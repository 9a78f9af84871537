"""Which URLs belong to a collection, and which rule says so.

For the crawl, which asks about every link, and for `seeds check`, which shows the answer. Built
from a seed file's seeds and its table [scope]. Pure: it looks at URLs and at the way that led to
them, never at the network or the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.crawl.rules.decision import Decision
from pipeline.crawl.rules.domains import registrable
from pipeline.crawl.rules.patterns import Patterns, unescaped
from pipeline.crawl.rules.sessions import without_session
from pipeline.crawl.rules.traps import trap
from pipeline.model.policy import Switch
from pipeline.model.url import folder, split

ScopeType = Literal["page", "prefix", "host", "domain", "list"]
Redirects = Literal["follow", "stay"]
Names = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-~]*\Z")], ...],
    Meta(max_length=1000, description='a list of names of query parameters, such as ["sid"]'),
]
PatternList = Annotated[
    tuple[
        Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*\Z")], ...
    ],
    Meta(
        max_length=10_000,
        description='a list of URLs with *, such as ["https://example.org/shop/*"], or of regular'
        ' expressions after "re:"',
    ),
]
Hops = Annotated[int, Meta(ge=0, le=1000, description="a whole number from 0 to 1000")]

MAX_REDIRECTS: Final = 20
"""So many redirects in a row are followed; browsers give up there too."""

SOME_YEAR: Final = 2100
"""Stands in for the year of the run where nobody says it."""

_SITEMAP_FILE = re.compile(r"/[^?]*sitemap[^?]*\.(?:xml|xml\.gz|txt)\Z", re.IGNORECASE)
_LISTED_BY_SOURCE = re.compile(r"N*[MN]|M[MN]")
_SPANNING: Final = ("prefix", "host", "domain")

_SEED = Decision(True, "scope: seed")
_ROBOTS = Decision(True, "scope: robots.txt is asked for on every host")
_SITEMAP = Decision(True, "scope: sitemap of a seed's host")
_LISTED = Decision(True, "scope: listed in a seed source")
_EMBEDDED = Decision(True, "scope: embedded in a page of the collection")
_REDIRECTED = Decision(True, "scope: a page of the collection redirects to it")
_ROUND = Decision(False, f"redirects: more than {MAX_REDIRECTS} in a row", "redirects")
_NO_SEED = Decision(False, "scope: no seed", "scope")
_NO_HOST = Decision(False, "scope: no seed has this host", "scope")
_NO_DOMAIN = Decision(False, "scope: no seed has this domain", "scope")
_NO_FOLDER = Decision(False, "scope: on a seed's host, but in no seed's folder", "scope")


class ScopeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[scope] of a seed file: how far the collection reaches.

    Attributes:
        include: patterns of URLs that belong to it wherever they are.
        exclude: patterns of URLs that are left out, whatever else holds.
        max_hops: links that may lie between a seed and a URL; None is any number.
        embed_hops: steps over which what pages embed is fetched although it lies outside; None is
            2, and 0 for a list.
        redirects: whether a redirect to somewhere outside is followed.
        ignore_parameters: query parameters that do not tell pages apart.
        traps: whether URLs that look endless are left out.

    """

    type: Annotated[ScopeType, Meta(description='"page", "prefix", "host", "domain" or "list"')] = (
        "prefix"
    )
    include: PatternList = ()
    exclude: PatternList = ()
    max_hops: Hops | None = None
    embed_hops: Hops | None = None
    redirects: Annotated[Redirects, Meta(description='"follow" or "stay"')] = "follow"
    ignore_parameters: Names = ()
    traps: Switch = True


class Scope(Struct, frozen=True, kw_only=True):
    """The rules of one collection.

    Attributes:
        type: what of a seed's site belongs to it (docs/seeds.md).
        sites: for each host or domain, with its scheme, the folders or URLs that are admitted, each
            with the decision that it leads to. http and https share theirs where each uses its own
            port.
        longest: characters of the longest of these.
        has_sources: whether there are seeds that list others.
        year: of the run; calendars far from it are traps.

    """

    type: ScopeType
    sites: dict[str, dict[str, Decision]]
    longest: int
    include: Patterns
    exclude: Patterns
    max_hops: int | None
    embed_hops: int
    redirects: Redirects
    ignored: frozenset[str]
    traps: bool
    has_sources: bool
    year: int

    @classmethod
    def of(
        cls,
        table: ScopeTable,
        seeds: Iterable[str],
        *,
        has_sources: bool = False,
        year: int = SOME_YEAR,
    ) -> Scope:
        """Build the scope that seeds, given as normal URLs, span.

        Raises:
            PatternError: a pattern cannot be used.

        """
        sites: dict[str, dict[str, Decision]] = {}
        longest = 0
        for seed in seeds:
            start = _start(seed, table.type)
            site, path = _key(start)
            starts = sites.setdefault(site, {})
            sites.update(dict.fromkeys(_spellings(site), starts))
            starts.setdefault(path, _admitting(start, table.type))
            longest = max(longest, len(path))
        embed_hops = 0 if table.type == "list" else 2
        return cls(
            type=table.type,
            sites=sites,
            longest=longest,
            include=Patterns.of(table.include),
            exclude=Patterns.of(table.exclude),
            max_hops=table.max_hops,
            embed_hops=embed_hops if table.embed_hops is None else table.embed_hops,
            redirects=table.redirects,
            ignored=frozenset(table.ignore_parameters),
            traps=table.traps,
            has_sources=has_sources,
            year=year,
        )

    @property
    def rules(self) -> tuple[str, ...]:
        """Name every rule that admits URLs by themselves, in the order of the seeds."""
        decisions = (rule for starts in self.sites.values() for rule in starts.values())
        included = (f"scope: include {pattern}" for pattern in self.include.written)
        return (*dict.fromkeys(rule.rule for rule in decisions), *included)

    def canonical(self, url: str) -> str:
        """Give the key under which a normal URL counts as seen.

        It is the URL without session ids and `ignore_parameters`; mostly the URL itself.
        """
        return without_session(url, self.ignored)

    def decide(self, url: str, hops: str = "") -> Decision:
        """Tell whether a normal URL belongs to the collection.

        Args:
            url: http and https are one where each uses its own port, and so are the spellings that
                `patterns.unescaped` makes one.
            hops: letters of the way from the seed to it (FORMAT.md §2): L link, E embed, X what a
                script may ask for, R redirect, M entry of a sitemap or feed, N sitemap that an
                index names, P robots.txt.

        """
        if hops == "P":
            return _ROBOTS
        if self.exclude.written and (pattern := self.exclude.find(url)):
            return Decision(False, f"exclude: {pattern}", "exclude")
        if not hops:
            return _SEED
        if hops[-1] == "R" and len(hops) - len(hops.rstrip("R")) > MAX_REDIRECTS:
            return _ROUND
        if self.traps and (trapped := trap(url, hops, self.year)):
            return trapped
        decision = self.place(url)
        if decision.accepted and self.max_hops is None:
            return decision
        if self.has_sources and _LISTED_BY_SOURCE.fullmatch(hops.replace("R", "")):
            return _LISTED
        if decision.accepted:
            return self._within_hops(decision, hops)
        return self._outside(decision, url, hops)

    def place(self, url: str) -> Decision:
        """Tell whether a normal URL belongs to the collection by where it lies alone."""
        site, path = _key(url)
        starts = self.sites.get(site)
        if starts is None and self.type == "domain":
            starts = self._domain(site)
        decision = _NO_SEED
        if starts is not None:
            decision = self._below(starts, path)
        elif self.type in _SPANNING:
            decision = _NO_DOMAIN if self.type == "domain" else _NO_HOST
        if not decision.accepted and self.include.written and (pattern := self.include.find(url)):
            return Decision(True, f"scope: include {pattern}")
        return decision

    def _domain(self, site: str) -> dict[str, Decision] | None:
        """Look for the domain that a host lies in, at any depth."""
        scheme, _, host = site.partition("//")
        while host:
            host = host.partition(".")[2]
            starts = self.sites.get(f"{scheme}//{host}")
            if starts is not None:
                return starts
        return None

    def _below(self, starts: dict[str, Decision], path: str) -> Decision:
        if self.type in ("page", "list"):
            return starts.get(path, _NO_SEED)
        slash = 0
        while 0 <= slash < self.longest:
            rule = starts.get(path[: slash + 1])
            if rule is not None:
                return rule
            slash = path.find("/", slash + 1)
        return _NO_FOLDER

    def _within_hops(self, decision: Decision, hops: str) -> Decision:
        if self.max_hops is None or _links(hops, self.has_sources) <= self.max_hops:
            return decision
        return Decision(False, f"hops: more than {self.max_hops} links from a seed", "hops")

    def _outside(self, decision: Decision, url: str, hops: str) -> Decision:
        """Decide about a URL that does not belong here by itself, by the way that led to it."""
        way = hops[len(hops.rstrip("EXR")) :]
        embeds = len(way) - way.count("R")
        if 0 < embeds <= self.embed_hops:
            return _EMBEDDED
        if way and not embeds and self.redirects == "follow":
            return _REDIRECTED
        if hops[-1] in "MN" and hops.rstrip("MNR").endswith("P") and self._is_sitemap(url, hops):
            return _SITEMAP
        return decision

    def _is_sitemap(self, url: str, hops: str) -> bool:
        """Tell whether a robots.txt, or a sitemap that it names, led to a sitemap of a seed's host.

        What robots.txt or an index names is one. What else names it lists pages, so that only the
        name of the file can tell.
        """
        if self.type not in _SPANNING:
            return False
        site, path = _key(url)
        if site not in self.sites and not (self.type == "domain" and self._domain(site)):
            return False
        is_named = hops == "PM" or hops[-1] == "N"
        return is_named or _SITEMAP_FILE.match(path) is not None


def _links(hops: str, has_sources: bool) -> int:
    """Count the links of a way from a seed.

    A seed source stands for the seeds that it lists, and a sitemap that robots.txt names for the
    host: neither is a link, nor is what an index of sitemaps names. What `longer` has cut off a
    very long way counts as links.
    """
    before, _, letters = hops.rpartition("+")
    letters = letters.replace("N", "")
    count = int(before or 0) + letters.count("L") + letters.count("M")
    if before or letters[:1] not in "MRP":
        return count
    listed = letters.replace("R", "").removeprefix("P")
    if letters[0] == "P":
        return count - listed.startswith("M")
    return count - (len(listed[:2]) - len(listed[:2].lstrip("M"))) if has_sources else count


def _start(seed: str, type: ScopeType) -> str:  # noqa: A002  the seed file's word
    """Give what a seed spans, as a URL that begins all that it admits."""
    if type in ("page", "list"):
        return seed
    if type == "prefix":
        return folder(seed)
    host = seed[: seed.index("/", 8) + 1]
    if type == "host":
        return host
    name = split(seed).host
    return host.replace(f"//{name}", f"//{registrable(name)}", 1)


def _admitting(start: str, type: ScopeType) -> Decision:  # noqa: A002  the seed file's word
    if type in ("page", "list"):
        return _SEED
    return Decision(True, f"scope: {type} {start}")


def _key(url: str) -> tuple[str, str]:
    """Split a normal URL into site and path with query, in the spelling that scopes compare."""
    end = url.index("/", 8)
    return url[:end], unescaped(url[end:])


def _spellings(site: str) -> tuple[str, ...]:
    """Give a site with either scheme, unless it names a port."""
    server = site.partition(":")[2]
    is_plain = server.endswith("]") or ":" not in server
    return (f"http:{server}", f"https:{server}") if is_plain else (site,)
