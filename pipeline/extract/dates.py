"""Dates as pages write them, read only as far as they are certain.

`3/4/05` has two readings and gives none. A month stays a month. Days are as written, in the time
zone of the writer.
"""

from __future__ import annotations

import re
from datetime import date

from pipeline.model.document import Precision

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sept sep",
            "october oct",
            "november nov",
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}
# ASCII only: else IGNORECASE takes ſ for s, and \d takes the digits of every script
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d{2})"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_CLOCK = r"(?:[T,\s]\s*(?:at\s+)?\d{1,2}:\d{2}.{0,40})?"

_ISO = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2}))?)?" + _CLOCK, re.ASCII)
_SLASHED = re.compile(r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})" + _CLOCK, re.ASCII)
_COMPACT = re.compile(r"(?P<year>19\d{2}|20\d{2})(?P<month>\d{2})(?P<day>\d{2})", re.ASCII)
_NUMERIC = re.compile(
    r"(?P<first>\d{1,2})[./-](?P<second>\d{1,2})[./-](?P<year>\d{4})" + _CLOCK, re.ASCII
)
_WORDED = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"{_WEEKDAY}{_DAY}\s*(?:of\s+)?[\s-]{_MONTH}[,\s-]\s*{_YEAR}{_CLOCK}",
        rf"{_WEEKDAY}{_MONTH}\s+{_DAY},?\s+{_YEAR}{_CLOCK}",
        rf"{_MONTH},?\s+{_YEAR}",
    )
)
_SPACES = re.compile(r"\s+")
_MAX_LENGTH = 100


def read_date(written: str) -> tuple[str, Precision] | None:
    """Give `YYYY[-MM[-DD]]` and its precision if all of `written` is one date with one reading."""
    text = _SPACES.sub(" ", written).strip().strip(".")
    if len(text) > _MAX_LENGTH:
        return None
    for pattern in (_ISO, _SLASHED, _COMPACT, *_WORDED):
        found = pattern.fullmatch(text)
        if found:
            parts = found.groupdict()
            return _date(parts["year"], _month(parts["month"]), _number(parts.get("day")))
    found = _NUMERIC.fullmatch(text)
    return _unambiguous(int(found["first"]), int(found["second"]), found["year"]) if found else None


def _unambiguous(first: int, second: int, year: str) -> tuple[str, Precision] | None:
    if first > 12 or first == second:
        return _date(year, second, first)
    return _date(year, first, second) if second > 12 else None


def _month(text: str | None) -> int | None:
    return _MONTHS.get(text.lower()) or int(text) if text else None


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _date(year: str, month: int | None, day: int | None) -> tuple[str, Precision] | None:
    try:
        date(int(year), 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    if month is None:
        return year, "year"
    if day is None:
        return f"{year}-{month:02}", "month"
    return f"{year}-{month:02}-{day:02}", "day"
