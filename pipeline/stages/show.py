"""The show verb: the captures of a URL, and the document of the one nearest to a moment.

Reads sealed files only, without the lock, beside a running crawl.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.archive.index import CDXJ_SUFFIX, WARC_SUFFIX, find_captures
from pipeline.errors import ConfigError, IntegrityError
from pipeline.model.layout import Layout
from pipeline.model.records import Capture
from pipeline.model.url import Rejected, absolute
from pipeline.model.wording import printable, table

_WITH_TIME = re.compile(r"(?P<url>.+)@(?P<time>[0-9]{4}(?:[0-9]{2}){0,5})")
_MOST_LINE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowReport:
    """What the archive holds of one URL.

    Attributes:
        captures: all of them, oldest first; each with the WARC that holds it.
        chosen: the one that was asked for.
        document: its document, if it was extracted.

    """

    url: str
    captures: Sequence[tuple[str, Capture]]
    chosen: tuple[str, Capture] | None
    document: dict[str, Any] | None

    @property
    def exit_code(self) -> int:
        """Give 0, or 3 when there is no capture."""
        return 0 if self.chosen else 3

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json show` prints."""
        return {
            "url": self.url,
            "captures": [_told(warc, capture) for warc, capture in self.captures],
            "capture": _told(*self.chosen) if self.chosen else None,
            "document": self.document,
        }

    def clean_text(self) -> str:
        """Give the document's text alone."""
        return printable(self.document["text"]) if self.document else ""

    def as_text(self) -> str:
        """Give a page for people."""
        if self.chosen is None:
            return (
                f"No capture of {printable(self.url)}.\n"
                "holdfast seeds check --url URL says whether a collection would fetch it."
            )
        warc, capture = self.chosen
        rows = [
            ("captured", f"{capture.timestamp} (one of {len(self.captures)})"),
            ("status", capture.status or "none"),
            ("type", capture.mime),
            ("payload", capture.digest or "no digest"),
            ("record", f"{warc} at byte {capture.offset}, {capture.length} bytes"),
        ]
        document = self.document
        if document is None:
            rows.append(("document", "none: not text, or not extracted yet (holdfast extract)"))
            return f"{printable(capture.url)}\n{printable(table(rows))}"
        rows += _facts(document)
        return f"{printable(capture.url)}\n{printable(table(rows))}\n\n{self.clean_text()}"


def show(layout: Layout, asked: str) -> ShowReport:
    """Look up `URL` or `URL@YYYY[MM[DD[hh[mm[ss]]]]]`.

    Raises:
        ConfigError: that is no http or https URL.
        IntegrityError: the documents of the capture's WARC cannot be read.

    """
    timed = _WITH_TIME.fullmatch(asked)
    url, time = (timed["url"], timed["time"]) if timed else (asked, None)
    normal = absolute(url)
    if isinstance(normal, Rejected):
        raise ConfigError(f"{printable(url)}: not a URL that can be archived: {normal.value}")
    captures = sorted(
        (
            (_warc_of(layout, index), capture)
            for index, capture in find_captures(layout.root / "warc", normal)
        ),
        key=lambda found: (found[1].timestamp, found[0], found[1].offset),
    )
    chosen = _nearest(captures, time)
    return ShowReport(
        url=normal,
        captures=captures,
        chosen=chosen,
        document=_document(layout, *chosen) if chosen else None,
    )


def _warc_of(layout: Layout, index: Path) -> str:
    return layout.relative(index).removesuffix(CDXJ_SUFFIX) + WARC_SUFFIX


def _nearest(
    captures: Sequence[tuple[str, Capture]], time: str | None
) -> tuple[str, Capture] | None:
    if not captures or time is None:
        return captures[-1] if captures else None
    wanted = int(time.ljust(14, "0"))
    return min(captures, key=lambda found: abs(int(found[1].timestamp) - wanted))


def _document(layout: Layout, warc: str, capture: Capture) -> dict[str, Any] | None:
    """Find the document derived from a capture's record, in the newest revision that has one."""
    _, collection, name = warc.split("/", 2)
    stem = name.removesuffix(WARC_SUFFIX)
    folder = layout.extracted(collection)
    files = [*folder.glob(f"{stem}.jsonl.gz"), *folder.glob(f"{stem}.r*.jsonl.gz")]
    for path in sorted(files, key=lambda path: (len(path.name), path.name), reverse=True):
        try:
            with gzip.open(path) as lines:
                while line := lines.readline(_MOST_LINE):
                    document: dict[str, Any] = json.loads(line)
                    if document["provenance"]["offset"] == capture.offset:
                        return document
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{layout.relative(path)}: cannot be read ({error}): run holdfast verify"
            ) from error
    return None


def _told(warc: str, capture: Capture) -> dict[str, Any]:
    return {**asdict(capture), "warc": warc}


def _facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name in ("title", "date_published", "language"):
        claim = document.get(name)
        if claim:
            said = claim.get("value") or claim.get("declared") or claim.get("raw")
            rows.append((name.replace("_", " "), f"{said} ({claim['source']})"))
    authors = ", ".join(author["value"] for author in document["authors"])
    if authors:
        rows.append(("authors", authors))
    if document["charset"]:
        rows.append(("charset", f"{document['charset']['used']} ({document['charset']['method']})"))
    if document["frames"]:
        rows.append(("frames", ", ".join(frame["url"] for frame in document["frames"])))
    if document["flags"]:
        rows.append(("flags", ", ".join(document["flags"])))
    return rows
