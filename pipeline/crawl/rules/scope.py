"""Which URLs belong to a collection, and which rule says so.

For the crawl, which asks about every link, and for `seeds check`, which shows the answer. Built
from a collection's seeds. Pure: it looks at URLs, never at the network or the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline.model.url import folder

ScopeType = Literal["prefix", "host"]

_SITE = re.compile(r"https?:(//(?:\[[^\]]*\]|[^:/]*))(:[0-9]+)?")
_ESCAPED_UNRESERVED = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AaFf]|7[0-9AaEe])")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a URL may be asked for, and why.

    Attributes:
        rule: the rule that decided, as a short sentence that is always the same.
        reason: code of a refusal as in FORMAT.md §2; empty where it is accepted.

    """

    accepted: bool
    rule: str
    reason: str = ""


_NO_HOST = Decision(False, "scope: no seed has this host", "scope")
_NO_FOLDER = Decision(False, "scope: on a seed's host, but in no seed's folder", "scope")


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules of one collection.

    Attributes:
        type: `prefix` admits what lies in a seed's folder or below, `host` all of a seed's host.
        sites: for each host (with its port, where that is not the scheme's own) the folders that
            are admitted, each with the decision that it leads to.
        longest: characters of the longest of these folders.

    """

    type: ScopeType
    sites: dict[str, dict[str, Decision]]
    longest: int

    @classmethod
    def of(cls, type: ScopeType, seeds: Iterable[str]) -> Scope:  # noqa: A002  the seed file's word
        """Build the scope that seeds, given as normal URLs, span."""
        sites: dict[str, dict[str, Decision]] = {}
        longest = 0
        for seed in seeds:
            start = folder(seed) if type == "prefix" else seed[: seed.index("/", 8) + 1]
            site, path = _key(start)
            sites.setdefault(site, {}).setdefault(path, Decision(True, f"scope: {type} {start}"))
            longest = max(longest, len(path))
        return cls(type, sites, longest)

    @property
    def rules(self) -> tuple[str, ...]:
        """Name every rule that admits URLs, in the order of the seeds."""
        return tuple(rule.rule for folders in self.sites.values() for rule in folders.values())

    def decide(self, url: str) -> Decision:
        """Tell whether a normal URL belongs to the collection.

        http and https are one where each uses its own port, and a letter, digit or one of `-._~` is
        the same as its percent-encoding (RFC 3986 §6.2.2.2): sites mix these freely.
        """
        site, path = _key(url)
        folders = self.sites.get(site)
        if folders is None:
            return _NO_HOST
        slash = 0
        while 0 <= slash < self.longest:
            rule = folders.get(path[: slash + 1])
            if rule is not None:
                return rule
            slash = path.find("/", slash + 1)
        return _NO_FOLDER


def _key(url: str) -> tuple[str, str]:
    """Split a normal URL into site and path with query, in the spelling that scopes compare."""
    match = _SITE.match(url)
    assert match is not None  # every normal URL begins so
    site = match[0] if match[2] else match[1]
    path = url[match.end() :]
    if "%" in path:
        path = _ESCAPED_UNRESERVED.sub(lambda escaped: chr(int(escaped[0][1:], 16)), path)
    return site, path
