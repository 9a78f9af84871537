"""Why a URL has no capture: what metadata records and crawl logs tell of it (FORMAT.md §2).

For `show` and the demo. Reads sealed files only, and of a log never more than a piece at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from pipeline.archive.codec import decompressor, inflate_error
from pipeline.archive.index import BadLine, find_members, members_in
from pipeline.fixity import disk
from pipeline.model.layout import Layout
from pipeline.model.names import Part, parse
from pipeline.model.records import Member

_MOST_RECORD = 64 * 1024
_MOST_LINE = 512 * 1024
_MOST_LOG = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_LOG = re.compile(r"urn:holdfast:[^/]+:crawl-log/[0-9]+\.jsonl")


class Absence(Struct, frozen=True, kw_only=True):
    """A URL without a capture, as its metadata record or a crawl log tells of it.

    `at` is the moment of that; for what was never asked for, the moment of the log.
    """

    url: str
    at: str
    outcome: str
    reason: str
    detail: str


def absence(url: str, at: str, block: bytes) -> Absence | None:
    """Read the block of a metadata record; None where it tells of a capture."""
    lines = block.decode("utf-8", "replace").splitlines()
    told = dict(line.split(": ", 1) for line in lines if ": " in line)
    if "outcome" not in told:
        return None
    return Absence(
        url=url,
        at=at,
        outcome=told["outcome"],
        reason=told.get("reason", ""),
        detail=told.get("detail", ""),
    )


def absences_of(layout: Layout, sealed: Iterable[str], url: str) -> list[Absence]:
    """Give what the archive tells of a URL that has no capture, oldest first.

    What no record of its own tells (declined by a rule, cut off by a limit, on a host that was set
    aside) is in the crawl log of the run; that of the newest run that knows the URL is told.
    """
    found = []
    members = [part for path in sealed if (part := parse(path)) and part.kind == "members"]
    for index, warc in _sound(layout, members):
        for member in find_members(index, url):
            if member.type == "metadata":
                told = absence(url, member.date, _block(warc, member))
                found += [told] if told else []
    logged = _newest_logged(layout, [part for part in members if part.name.is_log], url)
    return sorted([*found, *([logged] if logged else [])], key=lambda each: each.at)


def _sound(layout: Layout, parts: Iterable[Part]) -> Iterator[tuple[Path, Path]]:
    """Give NAME.members.jsonl and NAME.warc.gz of each WARC; trouble is verification's to tell."""
    for part in parts:
        paths = part.name.members, part.name.warc
        if not any(disk.look(layout.root, each).trouble for each in paths):
            yield layout.root / paths[0], layout.root / paths[1]


def _newest_logged(layout: Layout, logs: Iterable[Part], url: str) -> Absence | None:
    found = [(warc, member) for index, warc in _sound(layout, logs) for member in _parts(index)]
    # stable: the parts of one log stay in their order
    for warc, member in sorted(found, key=lambda each: each[1].date, reverse=True):
        for line in _lines_with(warc, member, url):
            if told := _logged(line, url, member):
                return told
    return None


def _parts(index: Path) -> Iterator[Member]:
    """Give the members that hold the parts of a log, up to a line that cannot be read."""
    with suppress(BadLine):
        yield from (member for member in members_in(index) if _LOG.fullmatch(member.uri or ""))


def _logged(line: bytes, url: str, part: Member) -> Absence | None:
    """Read a line of a crawl log; None where a record of its own tells of the URL."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("url") != url or "warc" in told:
        return None
    return Absence(
        url=url,
        at=str(told.get("at", part.date)),
        outcome=str(told.get("outcome", "")),
        reason=str(told.get("reason", "")),
        detail=str(told.get("rule") or f"as the crawl log says: {part.uri}"),
    )


def _lines_with(warc: Path, member: Member, url: str) -> Iterator[bytes]:
    """Give the lines of a log's record that hold `url`, without ever holding all of the record."""
    wanted = f'"url":{json.dumps(url, ensure_ascii=False)}'.encode()
    rest = b""
    for piece in _inflated(warc, member):
        # whole lines only; one that is too long to be ours is dropped
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if newline and wanted in lines:
            yield from (line for line in lines.split(b"\n") if wanted in line)
        if len(rest) > _MOST_LINE:
            rest = b""


def _inflated(warc: Path, member: Member) -> Iterator[bytes]:
    """Inflate a member by pieces, up to where it is damaged and never more than a log may hold."""
    inflater, given, left = decompressor(), 0, member.length
    with warc.open("rb") as file:
        file.seek(member.offset)
        while given < _MOST_LOG and not inflater.eof:
            packed = inflater.unconsumed_tail
            if not packed:
                packed = file.read(min(left, _PIECE))
                left -= len(packed)
            try:
                piece = inflater.decompress(packed, _PIECE)
            except inflate_error:
                return
            if not packed:
                return
            given += len(piece)
            yield piece


def _block(warc: Path, member: Member) -> bytes:
    with warc.open("rb") as file:
        file.seek(member.offset)
        packed = file.read(min(member.length, _MOST_RECORD))
    try:
        record: bytes = decompressor().decompress(packed, _MOST_RECORD)
    except inflate_error:
        return b""
    return record.partition(b"\r\n\r\n")[2]
