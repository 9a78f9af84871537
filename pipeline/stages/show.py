"""The show verb: the captures of a URL, and the document of the one nearest to a moment.

Reads sealed files only, without the lock, beside a running crawl. What lies in the archive's
folders and is not in its manifest is never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct, structs

from pipeline.archive.index import find_captures, timestamp
from pipeline.errors import ConfigError, IntegrityError
from pipeline.fixity import disk, ledger, manifest
from pipeline.fixity.documents import DocumentLines
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.model.names import Name, parse
from pipeline.model.records import Capture
from pipeline.model.url import Rejected, absolute
from pipeline.model.wording import printable, table
from pipeline.stages.absence import Absence, absences_of
from pipeline.stages.checks import Check, checks_of
from pipeline.stages.stored import StoredRecord, Unreadable

_WITH_TIME = re.compile(r"(?P<url>.+)@(?P<time>[0-9]{4}(?:[0-9]{2}){0,5})")
_NO_WORD = "holdfast seeds check --url URL says whether a collection would fetch it."
_REVISIT = "warc/revisit"
_MOST_CHECKS = 5


class ShowReport(Struct, frozen=True, kw_only=True):
    """What the archive holds of one URL.

    Attributes:
        captures: all of them, oldest first; each with the WARC that holds it. Only where none is
            of exactly this URL, those whose key in the index is the same.
        checks: when the page was asked for again and had not changed, oldest first.
        chosen: the one that was asked for.
        original: where that is a revisit, the capture that holds its payload, if it was found.
        document: the document of that payload, if it was extracted.
        facts: what the document says of itself, as names and values.
        absences: where there is no capture, what is recorded about that.

    """

    url: str
    captures: Sequence[tuple[str, Capture]]
    checks: Sequence[Check]
    chosen: tuple[str, Capture] | None
    original: tuple[str, Capture] | None
    document: dict[str, Any] | None
    facts: Sequence[tuple[str, str]]
    absences: Sequence[Absence]

    @property
    def exit_code(self) -> int:
        """Give 0, or 3 when there is no capture."""
        return 0 if self.chosen else 3

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json show` prints."""
        return {
            "url": self.url,
            "captures": [_told(warc, capture) for warc, capture in self.captures],
            "checks": [structs.asdict(check) for check in self.checks],
            "capture": _told(*self.chosen) if self.chosen else None,
            "original": _told(*self.original) if self.original else None,
            "document": self.document,
            "absences": [structs.asdict(absence) for absence in self.absences],
        }

    def clean_text(self) -> str:
        """Give the document's text alone."""
        return printable(self.document["text"]) if self.document else ""

    def as_text(self) -> str:
        """Give a page for people."""
        if self.chosen is None:
            reasons = [
                f"  {each.at}  {each.outcome}: {each.reason}: {each.detail}"
                for each in self.absences
            ]
            reasons += [
                f"  {check.timestamp}  checked, unchanged: {check.warc} at byte {check.offset}"
                for check in self.checks
            ]
            return printable("\n".join([f"No capture of {self.url}.", *(reasons or [_NO_WORD])]))
        warc, capture = self.chosen
        held = self.original[1] if self.original else None
        rows = [
            ("captured", f"{capture.timestamp} (one of {len(self.captures)})"),
            *(("checked, unchanged", moment) for moment in self._checked(capture)),
            ("status", capture.status or "none"),
            ("type", capture.mime),
            ("payload", capture.digest or (held.digest if held else None) or "no digest"),
            ("record", f"{warc} at byte {capture.offset}, {capture.length} bytes"),
        ]
        if held:
            of = f" of {held.url}" if held.url != capture.url else ""
            rows.append(("revisit", f"the same payload as at {held.timestamp}{of}"))
        elif capture.mime == _REVISIT:
            rows.append(("revisit", "the capture that holds the payload was not found"))
        if self.document is None:
            rows.append(("document", "none: not text, or not extracted yet (holdfast extract)"))
            return f"{printable(capture.url)}\n{printable(table(rows))}"
        rows += self.facts
        return f"{printable(capture.url)}\n{printable(table(rows))}\n\n{self.clean_text()}"

    def _checked(self, capture: Capture) -> list[str]:
        """Give the moments at which the page was still as in a capture; of many the last."""
        later = [each.timestamp for _, each in self.captures if each.timestamp > capture.timestamp]
        moments = [
            check.timestamp
            for check in self.checks
            if check.timestamp >= capture.timestamp and not (later and check.timestamp >= later[0])
        ]
        if len(moments) > _MOST_CHECKS:
            left_out = len(moments) - _MOST_CHECKS
            return [f"{left_out} times before these:", *moments[-_MOST_CHECKS:]]
        return moments


def show(layout: Layout, asked: str) -> ShowReport:
    """Look up `URL` or `URL@YYYY[MM[DD[hh[mm[ss]]]]]`.

    Raises:
        ConfigError: that is no http or https URL, or no time.
        IntegrityError: the documents of the capture's WARC cannot be read.

    """
    timed = _WITH_TIME.fullmatch(asked)
    url, time = (timed["url"], _moment(timed["time"])) if timed else (asked, None)
    normal = absolute(url)
    if isinstance(normal, Rejected):
        raise ConfigError(f"{url}: not a URL that can be archived: {normal.value}")
    sealed = _sealed(layout)
    captures = _captures(layout, sealed, normal)
    chosen = _nearest(captures, time)
    original = _original(layout, sealed, *chosen) if chosen else None
    holder = original or chosen
    document = _document(layout, sealed, *holder) if holder else None
    return ShowReport(
        url=normal,
        captures=[(name.warc, capture) for name, capture in captures],
        checks=checks_of(layout, sealed, chosen[1].url if chosen else normal),
        chosen=(chosen[0].warc, chosen[1]) if chosen else None,
        original=(original[0].warc, original[1]) if original else None,
        document=document[0] if document else None,
        facts=document[1] if document else (),
        absences=() if chosen else absences_of(layout, sealed, normal),
    )


def _moment(time: str) -> str:
    """Complete a time that was asked for: a year is its first second."""
    whole = timestamp(time)
    try:
        datetime.strptime(whole, "%Y%m%d%H%M%S")  # noqa: DTZ007 - all times are UTC
    except ValueError:
        raise ConfigError(f"@{time}: not a time; give YYYY[MM[DD[hhmmss]]] in UTC") from None
    return whole


def _sealed(layout: Layout) -> Collection[str]:
    """Give the paths of all sealed files, from the ledger where the manifest is gone."""
    listed = manifest.read(layout.manifest)
    if listed is not None:
        return listed.entries.keys()
    account = ledger.read(layout.ledger)
    return account.objects.keys() if account else ()


def _captures(layout: Layout, sealed: Iterable[str], url: str) -> list[tuple[Name, Capture]]:
    found = []
    for path in sealed:
        part = parse(path)
        # a missing index, or a link in its place, is for verification to report
        if part and part.kind == "cdxj" and disk.look(layout.root, path).trouble is None:
            captures = find_captures(layout.root / path, url)
            found += [(part.name, capture) for capture in captures]
    exact = [each for each in found if each[1].url == url]
    return sorted(
        exact or found, key=lambda each: (each[1].timestamp, each[0].warc, each[1].offset)
    )


def _original(
    layout: Layout, sealed: Iterable[str], name: Name, capture: Capture
) -> tuple[Name, Capture] | None:
    """Find the capture that holds the payload of a revisit."""
    if capture.mime != _REVISIT or disk.look(layout.root, name.warc).trouble:
        return None
    try:
        with (layout.root / name.warc).open("rb") as file:
            told = StoredRecord(file, capture.offset).original
    except (OSError, Unreadable):
        told = None  # for verification to report
    url, moment = (told.url, timestamp(told.date)) if told else (capture.url, None)
    held = [
        found
        for found in _captures(layout, sealed, url)
        if found[1].mime != _REVISIT and found[0].collection == name.collection
        if capture.digest in (None, found[1].digest)
    ]
    at_that_time = [found for found in held if found[1].timestamp == moment]
    if at_that_time or capture.digest is None:
        return at_that_time[0] if at_that_time else None
    # another record of the same payload does as well
    return held[0] if held else None


def _nearest(
    captures: Sequence[tuple[Name, Capture]], time: str | None
) -> tuple[Name, Capture] | None:
    if not captures or time is None:
        return captures[-1] if captures else None
    wanted = _seconds(time)
    return min(captures, key=lambda found: abs(_seconds(found[1].timestamp) - wanted))


def _seconds(timestamp: str) -> int:
    """Count the seconds up to YYYYMMDDhhmmss; a 31 June is a 1 July, a leap second the next one."""
    day, hour, minute, second = (int(timestamp[at : at + 2]) for at in (6, 8, 10, 12))
    days = date(int(timestamp[:4]), int(timestamp[4:6]), 1).toordinal() + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def _document(
    layout: Layout, sealed: Iterable[str], name: Name, capture: Capture
) -> tuple[dict[str, Any], list[tuple[str, str]]] | None:
    """Find the document derived from a capture's record, in the newest revision that has one."""
    parts = {path: part for path in sealed if (part := parse(path)) and part.name == name}
    files = {part.revision: path for path, part in parts.items() if part.kind == "documents"}
    for _, path in sorted(files.items(), reverse=True):
        seen = disk.look(layout.root, path)
        if seen.trouble:
            raise _unreadable(path, seen.detail or seen.trouble)
        lines = DocumentLines(layout.root / path)
        for line in lines:
            # a document is long, and only one of many thousand is wanted
            if b'"offset":%d' % capture.offset not in line:
                continue
            try:
                document = json.loads(line)
                if document["provenance"]["offset"] != capture.offset:
                    continue
                canonical.line(document)  # it can be printed: nested no deeper than we may go
                return document, _facts(document)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise _unreadable(path, f"line {lines.count} is no document") from None
        if lines.trouble:
            raise _unreadable(path, lines.trouble)
    return None


def _unreadable(path: str, reason: str) -> IntegrityError:
    return IntegrityError(f"{path}: cannot be read ({reason}): run holdfast verify")


def _told(warc: str, capture: Capture) -> dict[str, Any]:
    return {**structs.asdict(capture), "warc": warc}


def _facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Give what a document says of itself.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: it is not as docs/document.md says.

    """
    if not isinstance(document["text"], str):
        raise ValueError("no text")
    rows = []
    for name in ("title", "date_published", "language"):
        if claim := document[name]:
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
