"""What the extract stage tells while it runs and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from pipeline.model.wording import table


class Progress(Struct, frozen=True, kw_only=True):
    """How far extraction has come."""

    warc: str
    warcs_done: int
    warcs: int
    documents: int
    skipped: int

    def facts(self) -> Sequence[tuple[str, str]]:
        """Name what is under way and give its numbers."""
        return (
            (f"extracting {self.warc}", ""),
            ("files", f"{self.warcs_done}/{self.warcs}"),
            ("documents", f"{self.documents:,}"),
            ("skipped", f"{self.skipped:,}"),
        )


class Unread(Struct, frozen=True, kw_only=True):
    """Bytes of a WARC file that could not be read as a record; `offset` None is the whole file."""

    path: str
    offset: int | None
    length: int | None
    message: str

    def as_json(self) -> dict[str, Any]:
        """Give the object of the report's `damaged` list."""
        return {
            "path": self.path,
            "offset": self.offset,
            "length": self.length,
            "message": self.message,
        }


class ExtractReport(Struct, frozen=True, kw_only=True):
    """What extraction made, what it passed over and why.

    Attributes:
        skipped: captures without a document, by reason.
        anomalies: anomalies of the documents, by code.
        files: paths of the files written, relative to the archive's root.
        damaged: what of the WARC files could not be read.
        interrupted: the operator stopped it; what is sealed stays.

    """

    documents: int
    skipped: dict[str, int]
    anomalies: dict[str, int]
    files: tuple[str, ...]
    damaged: tuple[Unread, ...]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Give 130 after an interruption, 3 if a WARC file could not be wholly read, else 0."""
        if self.interrupted:
            return 130
        return 3 if self.damaged else 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json extract` prints."""
        return {
            "documents": self.documents,
            "skipped": self.skipped,
            "anomalies": self.anomalies,
            "files": list(self.files),
            "damaged": [unread.as_json() for unread in self.damaged],
        }

    def as_text(self) -> str:
        """Give the account for people, with the next step."""
        rows = [
            ("documents", f"{self.documents:,}"),
            ("files", f"{len(self.files):,}"),
            ("skipped", _told(self.skipped)),
            ("anomalies", _told(self.anomalies)),
        ]
        lines = ["Extraction", table(rows)]
        for unread in self.damaged:
            where = "" if unread.offset is None else f" at byte {unread.offset}"
            lines.append(f"Not readable: {unread.path}{where}: {unread.message}")
        if self.damaged:
            lines.append("Next: holdfast verify --level records names all damage.")
        elif self.interrupted:
            lines.append("Interrupted: run holdfast extract again to go on.")
        elif not self.files and self.documents:
            lines.append("Nothing written: all documents came out as they were before.")
        elif not self.files:
            lines.append("Nothing new: every WARC file has its documents.")
        return "\n".join(lines)


def _told(counts: dict[str, int]) -> str:
    told = ", ".join(f"{count:,} x {name}" for name, count in sorted(counts.items()))
    return told or "none"
