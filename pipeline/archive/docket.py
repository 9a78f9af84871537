"""The findings of one file, in bounded number: errors to a limit, warnings of one kind told once.

For the validator. A habit of the writing tool shows in each of its records; ten of them say it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from pipeline.archive.reader import Record, bare_uri
from pipeline.model.finding import Finding

MAX_FINDINGS: Final = 1000
"""Findings kept of one file; a file that is wrong in more ways needs no longer list."""

MAX_ALIKE: Final = 10
"""Warnings with one code that are kept of one file; of the others the number is told."""

_DETAIL = 200
# what a file that is something else altogether looks like
_NO_RECORD = ("E101", "E110")


class Docket:
    """Takes what is wrong with one file, which findings call `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._findings: list[Finding] = []
        self._alike: Counter[str] = Counter()
        self._silenced = 0

    def report(self, code: str, record: Record, detail: str = "") -> None:
        """Say that a record breaks a rule."""
        record_id = bare_uri(record.get("warc-record-id"))
        self.add(code, detail, record.offset, record.length, record_id)

    def add(
        self,
        code: str,
        detail: str = "",
        offset: int | None = None,
        length: int | None = None,
        record_id: str | None = None,
    ) -> None:
        """Say that a rule is broken at this place of the file."""
        if code.startswith("W"):
            self._alike[code] += 1
            if self._alike[code] > MAX_ALIKE:
                return
        elif len(self._findings) >= MAX_FINDINGS:
            self._silenced += 1
            return
        place = {"offset": offset, "length": length}
        told = Finding.of(code, self._path, detail[:_DETAIL], **place, record_id=record_id)
        self._findings.append(told)

    def no_archive(self, what: str) -> None:
        """Say, where nothing looked like a record, that the file is none of those that are read."""
        if all(finding.code in _NO_RECORD for finding in self._findings):
            self._findings = []
            self.add("W107", what)

    def findings(self) -> tuple[Finding, ...]:
        """Give all in file order, what concerns the whole file and the numbers of the rest last."""
        self._findings.sort(key=_place)
        more = [
            Finding.of(code, self._path, f"{count - MAX_ALIKE:,} more in this file")
            for code, count in sorted(self._alike.items())
            if count > MAX_ALIKE
        ]
        if self._silenced:
            more.append(Finding.of("E199", self._path, f"{self._silenced} more"))
        return (*self._findings, *more)


def _place(finding: Finding) -> tuple[bool, int]:
    return finding.offset is None, finding.offset or 0
