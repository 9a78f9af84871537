"""Traps: URLs that a site makes without end, known by their looks.

A relative link that is wrong leads one folder deeper each time, a calendar has a next month for
ever. For the scope, which asks about every link. Pure. These rules hold for everybody's sites, so
they would rather fetch some useless pages than miss one of an honest old site: a year of the past
is no trap unless the URL says that it is a calendar's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from pipeline.crawl.rules.decision import Decision

MAX_LENGTH: Final = 2000
"""Characters of the longest URL that a page may lead to. Longer ones grow with each click."""

MAX_FOLDERS: Final = 40
MAX_REPEATS: Final = 3
"""So often one name may stand in a path, and one parameter with one value in a query."""

MAX_SHORT_REPEATS: Final = 7
"""The same for numbers and names of one or two characters: `/0/0/0/0/17.png` is a way to file."""

MAX_PARAMETERS: Final = 40
"""A query with more of them has grown with each click."""

MAX_NESTED: Final = 5
"""So many sitemaps or feeds may lead to one another; sitemaps.org knows one level."""

_MANY_FOLDERS = 10
_YEARS_AHEAD = 200  # further on are numbers that are no years; nobody clicks that far

_LENGTH = Decision(False, f"trap: a URL of more than {MAX_LENGTH} characters", "trap-length")
_DEPTH = Decision(False, f"trap: more than {MAX_FOLDERS} folders deep", "trap-path")
_SEGMENT = Decision(False, "trap: a folder that repeats itself in the path", "trap-path")
_GROUP = Decision(False, "trap: folders that follow each other again and again", "trap-path")
_MOSTLY = Decision(False, "trap: a deep path most of which is repetition", "trap-path")
_PARAMETER = Decision(False, "trap: a query parameter that repeats itself", "trap-query")
_GROWN = Decision(False, f"trap: more than {MAX_PARAMETERS} query parameters", "trap-query")
_NESTED = Decision(
    False, f"trap: sitemaps or feeds in one another, more than {MAX_NESTED}", "trap-sitemap"
)
_CALENDAR = Decision(False, "trap: a calendar far from today", "trap-calendar")

_CALENDAR_WORD = re.compile(
    r"[/?&_.-](?:calend[ae]r|calendrier|kalender|calendario|cal|agenda|events?|ical)"
    r"(?=[/?&=_.-]|[A-Z]|\Z)",
    re.IGNORECASE,
)
_DATED_PATH = re.compile(r"/([12][0-9]{3})[/-](0?[1-9]|1[0-2])(?![0-9A-Za-z])")
_DATED_QUERY = re.compile(
    r"(?:^|[&;])(?:m|date|cal_?date|day|month|week|from|start)="
    r"([12][0-9]{3})-?(?:0[1-9]|1[0-2]|W[0-5][0-9])(?:-?[0-3][0-9])?(?=[&;]|\Z)",
    re.IGNORECASE,
)
_YEAR_PARAMETER = re.compile(
    r"(?:^|[&;])(?:year|yr|jahr|annee|anno|ano)=([12][0-9]{3})(?![0-9])", re.IGNORECASE
)
_MONTH_PARAMETER = re.compile(
    r"(?:^|[&;])(?:month|mon|monat|mois|mese|mes|week|woche|day|tag)=", re.IGNORECASE
)


def trap(url: str, hops: str, year: int) -> Decision | None:
    """Tell whether a normal URL is a trap in the given year; None if it looks like none.

    `hops` is the way from the seed to it (FORMAT.md §2).
    """
    if len(url) > MAX_LENGTH:
        return _LENGTH
    if hops.endswith(("M", "N")):
        nested = hops[len(hops.rstrip("MNR")) :]
        if len(nested) - nested.count("R") > MAX_NESTED:
            return _NESTED
    path, _, query = url.partition("?")
    # the two slashes before the host, and as many as the shortest repetition has
    if path.count("/") > 2 + MAX_REPEATS:
        told = _repetition(path.split("/")[3:])
        if told is not None:
            return told
    if (most := query.count("&")) >= MAX_REPEATS - 1:
        if most >= MAX_PARAMETERS:
            return _GROWN
        if _repeats(query):
            return _PARAMETER
    return _CALENDAR if _is_far_calendar(url, path, query, year) else None


def _repetition(segments: Sequence[str]) -> Decision | None:
    """Look at a path of at least four segments, the file's name among them."""
    if len(segments) > MAX_FOLDERS:
        return _DEPTH
    different = len(set(segments))
    if different == len(segments):
        return None
    for segment, count in Counter(segments).items():
        is_short = len(segment) <= 2 or segment.isdigit()
        if count > (MAX_SHORT_REPEATS if is_short else MAX_REPEATS):
            return _SEGMENT
    if len(segments) >= _MANY_FOLDERS and 2 * different < len(segments):
        return _MOSTLY
    return _GROUP if _has_group_thrice(segments) else None


def _has_group_thrice(segments: Sequence[str]) -> bool:
    """Tell whether two or more segments stand three times in a row, as in `/a/b/a/b/a/b`."""
    for period in range(2, len(segments) // 3 + 1):
        same = 0
        for here, ahead in zip(segments, segments[period:], strict=False):
            same = same + 1 if here == ahead else 0
            if same == 2 * period:
                return True
    return False


def _repeats(query: str) -> bool:
    parameters = Counter(parameter for parameter in query.split("&") if parameter)
    return max(parameters.values(), default=0) >= MAX_REPEATS


def _is_far_calendar(url: str, path: str, query: str, year: int) -> bool:
    """Tell whether a URL names a month that nothing was or will be written about.

    Far ahead is any date more than a year from now. A date before 1970 counts only where the URL
    says that it is a calendar's: newspapers and collected works are filed by such dates.
    """
    dated = None
    # to look for the first digit alone costs a tenth of what the expressions do
    if "/2" in path or "/1" in path:
        dated = _DATED_PATH.search(path, 8)
    if dated is None and ("=2" in query or "=1" in query):
        dated = _DATED_QUERY.search(query) or _YEAR_PARAMETER.search(query)
    if dated is None:
        return False
    named = int(dated[1])
    if 1970 <= named <= year + 1:
        return False
    if _CALENDAR_WORD.search(url, 8):
        return True
    is_sure = dated.re is not _YEAR_PARAMETER or _MONTH_PARAMETER.search(query) is not None
    is_sure = is_sure and (dated.re is not _DATED_PATH or len(dated[2]) == 2)
    return is_sure and year < named <= year + _YEARS_AHEAD
