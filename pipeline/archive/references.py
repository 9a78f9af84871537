"""Which records of a file name which others: ids, the dates of one capture, revisits, requests.

For the validator: the rules that need memory of what came before in the file (WARC 1.1 §5.2, §5.4,
§5.7, §5.11). A reference may also point ahead, so the last word is said at the end of the file.
"""

from __future__ import annotations

import re

from msgspec import structs

from pipeline.archive.docket import Docket
from pipeline.archive.reader import Record

DATE = re.compile(
    r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?)?Z)?)?)?"
)
"""A date as WARC 1.1 §5.4 has it."""

_RECORD_ID = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]+>")
_ANSWERS = ("response", "revisit", "resource")


class References:
    """The records of one file by their ids."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self._dates: dict[str, str] = {}
        self._last_date = ""
        self._ahead: list[tuple[str, str, Record]] = []
        self._revisits: set[str] = set()
        self._lonely: list[Record] = []
        self._joined: set[str] = set()
        self._bodiless: list[Record] = []
        self._asked_for_head: set[str] = set()

    def record(self, record: Record, kind: str) -> None:
        """Take the next record of the file."""
        first = record.fields.first
        record_id = first.get("warc-record-id")
        date = first.get("warc-date", "")
        if date == self._last_date:
            # one string for all records of a capture
            date = self._last_date
        elif date and not DATE.fullmatch(date):
            self._docket.report("E205", record, date)
        self._last_date = date
        if record_id in self._dates:
            self._docket.report("E204", record)
        elif record_id is not None:
            if not _RECORD_ID.fullmatch(record_id):
                self._docket.report("E203", record, record_id)
            self._dates[record_id] = date
        info = first.get("warc-warcinfo-id")
        if info is not None and info not in self._dates:
            self._refer("E207", info, record)
        together = first.get("warc-concurrent-to")
        if together is not None:
            self._join(record, kind, together, date)
        elif kind == "request":
            self._lonely.append(_without_block(record))
        if kind == "revisit":
            self._revisit(record, record_id)

    def without_body(self, record: Record) -> None:
        """Take a response without the body it declares: right if only its head was asked for."""
        self._bodiless.append(_without_block(record))

    def settle(self, *, damaged: bool) -> None:
        """Report what is still open at the end of the file.

        Args:
            damaged: records are missing, so a reference to one is no second fault.

        """
        for record in self._bodiless:
            if record.get("warc-record-id") not in self._asked_for_head:
                self._docket.report("E209", record)
        if damaged:
            return
        for code, target, record in self._ahead:
            if target not in self._dates:
                self._docket.report(code, record, target)
            elif code == "E208":
                self._same_date(record, record.get("warc-date") or "", self._dates[target])
        for record in self._lonely:
            if record.get("warc-record-id") not in self._joined:
                self._docket.report("W215", record)

    def _join(self, record: Record, kind: str, together: str, date: str) -> None:
        targets = [together]
        for name, value in record.fields.repeated:
            if name == "warc-concurrent-to":
                targets.append(value)
        for target in targets:
            theirs = self._dates.get(target)
            if theirs is None:
                self._refer("E208", target, record)
            elif theirs is not date:
                self._same_date(record, date, theirs)
        if kind in _ANSWERS:
            self._joined.update(targets)
        elif kind == "request" and record.block.startswith(b"HEAD "):
            self._asked_for_head.update(targets)

    def _same_date(self, record: Record, date: str, theirs: str) -> None:
        if theirs != date:
            self._docket.report("W208", record, f"{date} here, {theirs} there")

    def _revisit(self, record: Record, record_id: str | None) -> None:
        if record.get("warc-refers-to") in self._revisits:
            self._docket.report("W218", record)
        if record_id is not None:
            self._revisits.add(record_id)

    def _refer(self, code: str, target: str, record: Record) -> None:
        """Remember a reference to what has not been seen yet."""
        self._ahead.append((code, target, _without_block(record)))


def _without_block(record: Record) -> Record:
    return structs.replace(record, block=b"", sink=None)
