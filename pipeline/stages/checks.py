"""When a page was asked for again and had not changed: captures that no index lists (FORMAT.md §4).

For `show`. Reads sealed files only, and of the WARC files themselves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from pipeline.archive.index import find_captures, find_members, timestamp
from pipeline.fixity import disk
from pipeline.model.layout import Layout
from pipeline.model.names import parse

_WHOLE_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]+)?Z")


class Check(Struct, frozen=True, kw_only=True):
    """An answer 304: the page is still what the capture before this moment is.

    Attributes:
        timestamp: when, YYYYMMDDhhmmss in UTC.
        warc: path of the WARC file that holds the record.
        offset, length: the record's member in that file.

    """

    timestamp: str
    warc: str
    offset: int
    length: int


def checks_of(layout: Layout, sealed: Iterable[str], url: str) -> list[Check]:
    """Give the checks of exactly this URL, oldest first."""
    found = []
    for path in sealed:
        part = parse(path)
        if part is None or part.kind != "members":
            continue
        # a file that is missing, or a link in its place, is for verification to report
        if any(disk.look(layout.root, each).trouble for each in (path, part.name.cdxj)):
            continue
        members = [
            member
            for member in find_members(layout.root / path, url)
            if member.type in ("response", "revisit") and _WHOLE_DATE.fullmatch(member.date)
        ]
        captures = find_captures(layout.root / part.name.cdxj, url) if members else ()
        listed = {capture.offset for capture in captures}
        found += [
            Check(
                timestamp=timestamp(member.date),
                warc=part.name.warc,
                offset=member.offset,
                length=member.length,
            )
            for member in members
            if member.offset not in listed
        ]
    return sorted(found, key=lambda check: (check.timestamp, check.warc, check.offset))
