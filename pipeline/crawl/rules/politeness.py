"""How long a host is left alone after an answer, and what it asked for itself in Retry-After.

For the crawl, which rests a host after every request. Pure: the answer's facts are passed in, and
nothing here waits. What a host says is bounded by the operator's limits, never the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from pipeline.model.policy import CrawlPolicy

BUSY: Final = frozenset({429, 503})
"""Too Many Requests (RFC 6585 §4) and Service Unavailable (RFC 9110 §15.6.4)."""

_HICCUPS = 2  # failures in a row that do not slow a host down
_MOST_DOUBLINGS = 32
_MOST_VALUE = 64  # bytes of a Retry-After that is read

_SECONDS = re.compile(rb"[0-9]+")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = rf"(?:{'|'.join(_DAYS)})"
_LONG_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
# RFC 9110 §5.6.7: IMF-fixdate, then the two obsolete forms that a recipient must read as well
_DATES = (
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


class Rest(Struct, frozen=True):
    """A pause that a host is given.

    Attributes:
        seconds: counted from the end of the answer.
        why: empty for the ordinary delay, else `crawl-delay`, `slow` (as long as answers take),
            `retry-after` or `back-off`.

    """

    seconds: float
    why: str


NO_REST: Final = Rest(0.0, "")
"""The rest of a host that was not asked, as where its robots.txt forbids the URL."""


def is_failure(status: int | None) -> bool:
    """Tell whether an answer says that the host cannot serve us now; None is no answer at all."""
    return status is None or status in BUSY


def rest(
    policy: CrawlPolicy,
    crawl_delay: float | None,
    status: int | None,
    retry_after: float | None,
    duration_s: float,
    failures: int,
) -> Rest:
    """Give the pause after a request.

    Args:
        policy: the operator's delays and limits.
        crawl_delay: seconds that robots.txt asks for, None if it does not.
        status: of the answer, None if there was none.
        retry_after: seconds that the answer asks for (see `retry_after`).
        duration_s: how long the answer took.
        failures: answers in a row, with this one, for which `is_failure` holds.

    """
    ordinary = _ordinary(policy, crawl_delay, duration_s)
    if not is_failure(status):
        return ordinary
    if status is None:
        grown = failures - _HICCUPS
        base = policy.retry_delay_s if grown > 0 else 0.0
    else:
        grown = failures
        base = max(policy.delay_s, policy.retry_delay_s)
    pause = Rest(base * 2.0 ** min(max(grown - 1, 0), _MOST_DOUBLINGS), "back-off")
    if status is not None and retry_after is not None:
        pause = Rest(retry_after, "retry-after")
    pause = Rest(min(pause.seconds, policy.max_wait_s), pause.why)
    return pause if pause.seconds > ordinary.seconds else ordinary


def _ordinary(policy: CrawlPolicy, crawl_delay: float | None, duration_s: float) -> Rest:
    """Give the longest of what we, the host's speed and its robots.txt call for."""
    longest = Rest(policy.delay_s, "")
    if policy.delay_s > 0:
        slow = min(policy.delay_factor * duration_s, policy.max_delay_s)
        longest = max(longest, Rest(slow, "slow"), key=_seconds)
    if crawl_delay is not None:
        asked = min(crawl_delay, policy.max_delay_s)
        longest = max(longest, Rest(asked, "crawl-delay"), key=_seconds)
    return longest


def _seconds(pause: Rest) -> float:
    return pause.seconds


def retry_after(value: bytes, now: float) -> float | None:
    """Read a Retry-After header field (RFC 9110 §10.2.3) received at `now` (Unix time).

    Gives seconds from now, 0 for a date that is past, None if it is neither a whole number of
    seconds nor an HTTP-date.
    """
    value = value.strip(b" \t")
    if len(value) > _MOST_VALUE:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    text = value.decode("latin-1")
    for form in _DATES:
        match = form.fullmatch(text)
        if match:
            moment = _moment(match.groupdict(), now)
            return None if moment is None else max(0.0, moment - now)
    return None


def _moment(part: Mapping[str, str], now: float) -> float | None:
    """Give the Unix time of an HTTP-date's parts, None if there is no such moment."""
    year, second = int(part["year"]), int(part["second"])
    if len(part["year"]) == 2:
        year = _full_year(year, now)
    month = _MONTHS.index(part["month"]) + 1
    try:
        minute = datetime(
            year, month, int(part["day"]), int(part["hour"]), int(part["minute"]), tzinfo=UTC
        )
        # a leap second is the 61st of its minute
        return (minute + timedelta(seconds=second)).timestamp() if second <= 60 else None
    except (ValueError, OverflowError):
        return None


def _full_year(year: int, now: float) -> int:
    """Give the year of two digits that is at most 50 years ahead (RFC 9110 §5.6.7)."""
    this = datetime.fromtimestamp(now, UTC).year
    year += this // 100 * 100
    if year > this + 50:
        return year - 100
    return year + 100 if year + 100 <= this + 50 else year
