"""One thing that verification found wrong, or could not check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, where, and which documents it touches.

    Attributes:
        code: stable name of the rule, `E…` for what must not be, `W…` for what should not be.
        path: the file, relative to the archive's root.
        offset: first byte of the damaged member in the compressed file, if one is damaged.
        length: bytes of the damaged member in the compressed file.
        record_id: the record's URI without angle brackets, where it is known.
        message: what happened and what to do next, in one line.
        affected: ids of the documents derived from the damaged record.

    """

    code: str
    severity: Severity
    path: str
    message: str
    offset: int | None = None
    length: int | None = None
    record_id: str | None = None
    affected: tuple[str, ...] = ()

    def with_affected(self, documents: tuple[str, ...]) -> Finding:
        """Name the documents that were derived from the damaged record."""
        return replace(self, affected=documents)

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json verify` prints for this finding."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "offset": self.offset,
            "length": self.length,
            "record_id": self.record_id,
            "message": self.message,
            "affected": list(self.affected),
        }
