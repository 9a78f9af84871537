"""Why a URL has no capture: the metadata records that tell of refusals and failures (FORMAT.md §2).

For `show` and the demo. Reads sealed files only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.codec import decompressor, inflate_error
from pipeline.archive.index import BadLine, parse_member
from pipeline.fixity import disk
from pipeline.model.layout import Layout
from pipeline.model.names import parse
from pipeline.model.records import Member

_MOST_RECORD = 64 * 1024
_MOST_LINE = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A URL that was tried or refused without a capture, as its metadata record tells it."""

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
    """Give what the archive tells of a URL that has no capture, oldest first."""
    found = []
    for path in sealed:
        part = parse(path)
        if part is None or part.kind != "members":
            continue
        warc = part.name.warc
        if any(disk.look(layout.root, each).trouble for each in (path, warc)):
            continue  # for verification to report
        for member in _accounts(layout.root / path, url):
            told = absence(url, member.date, _block(layout.root / warc, member))
            found += [told] if told else []
    return sorted(found, key=lambda each: each.at)


def _accounts(index: Path, url: str) -> Iterator[Member]:
    """Give the metadata records of `url` that NAME.members.jsonl lists."""
    wanted = f'"uri":{json.dumps(url, ensure_ascii=False)}}}'.encode()
    with index.open("rb") as lines:
        while line := lines.readline(_MOST_LINE):
            if wanted in line and b'"type":"metadata"' in line:
                try:
                    yield parse_member(line)
                except BadLine:
                    continue


def _block(warc: Path, member: Member) -> bytes:
    with warc.open("rb") as file:
        file.seek(member.offset)
        packed = file.read(min(member.length, _MOST_RECORD))
    try:
        record: bytes = decompressor().decompress(packed, _MOST_RECORD)
    except inflate_error:
        return b""
    return record.partition(b"\r\n\r\n")[2]
