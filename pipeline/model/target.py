"""A URL that the crawl will try, and what became of it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Kind = Literal["captured", "revisit", "refused", "failed"]

Change = Literal["new", "changed", "unchanged", "vanished"]
"""A capture beside the one before of the same URL. `vanished`: it was there (2xx), and is not."""


FOR_GOOD: Final = 1e12
"""A moment that never comes, as Unix time."""

_MOST_HOPS = 50


def longer(hops: str, hop: str) -> str:
    """Add a step to a way from the seed.

    Of a way of more than fifty steps the last fifty are kept, and before them stands how many there
    were: `12+LLEL…`, as Heritrix writes it. A chain of a million pages must not cost a million
    letters a page.
    """
    before, plus, shown = hops.rpartition("+")
    shown += hop
    if len(shown) <= _MOST_HOPS:
        return f"{before}{plus}{shown}"
    return f"{int(before or 0) + len(shown) - _MOST_HOPS}+{shown[-_MOST_HOPS:]}"


def archived(hops: str) -> str:
    """Write a way as archives have it, in the letters of Heritrix: its M stands for our N, too."""
    return hops.replace("N", "M")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One URL to be fetched.

    Attributes:
        id: number of the URL in the frontier.
        host_id: number of its host in the frontier.
        via: the URL that led here, None for a seed.
        hops: letters of the way from the seed (FORMAT.md §2), with N for a sitemap that an index
            names.
        attempt: how many times it has failed already.

    """

    id: int
    host_id: int
    url: str
    via: str | None
    hops: str
    attempt: int


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """A URL in scope, seen on the page of the target `via`.

    Attributes:
        hops: its own way from the seed.
        seen_as: the text by which it is told apart from other URLs, where that is not its
            canonical spelling.

    """

    url: str
    via: int | None
    hops: str
    seen_as: str | None = None


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that was met and not taken up: out of scope, a trap, or no URL to be asked for.

    Attributes:
        url: normal, or where it is none, as it was written (at most 500 characters).
        via: the target on whose page it stands.
        hops: its own way from the seed.
        reason: code of the rule (FORMAT.md §2).
        rule: the rule that decided, in words.

    """

    url: str
    via: int | None
    hops: str
    reason: str
    rule: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a target, and where the WARC tells it.

    Attributes:
        reason: code of a refusal or failure; empty for captures.
        status: HTTP status code, if there was a response.
        mime: media type that the response names, empty if none.
        change: beside the capture before; None where nothing was captured.
        offset, length: the members of this target in the worker's WARC file.
        received: bytes received on the wire.
        duration_ms: how long the exchange took.

    """

    target: Target
    kind: Kind
    at: float
    reason: str = ""
    status: int | None = None
    mime: str = ""
    change: Change | None = None
    offset: int
    length: int
    received: int = 0
    duration_ms: int = 0


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A target that failed and is to be tried again.

    Attributes:
        not_before: Unix time.
        received: bytes received on the wire.

    """

    target: Target
    not_before: float
    received: int = 0


class RobotsAnswer(msgspec.Struct, frozen=True):
    """What a host said when it was asked for its robots.txt: kept for the host's next lease.

    Attributes:
        until: Unix time from which it must be asked again before any page.

    """

    host_id: int
    status: int
    body: bytes
    until: float = FOR_GOOD
