"""One thing that verification found wrong, or could not check.

For every module that looks for damage and for the reports that tell of it. Pure values.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, structs

from pipeline.model.rules import explain

Severity = Literal["error", "warning"]


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong, where, and which documents it touches; made with `Finding.of`.

    Attributes:
        code: the rule that is broken (docs/findings.md).
        path: the file, relative to the archive's root.
        message: what the rule means and how it is broken here, in one line.
        offset: first byte of the damaged member in the compressed file, if one is damaged.
        length: bytes of the damaged member in the compressed file.
        record_id: the record's URI without angle brackets, where it is known.
        affected: ids of the documents derived from the damaged record.

    """

    code: str
    path: str
    message: str
    offset: int | None = None
    length: int | None = None
    record_id: str | None = None
    affected: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        code: str,
        path: str,
        detail: str = "",
        *,
        offset: int | None = None,
        length: int | None = None,
        record_id: str | None = None,
    ) -> Finding:
        """Say that the rule `code` is broken at this place; `detail` tells how, where that helps.

        Raises:
            KeyError: there is no such rule (a bug).

        """
        return cls(
            code=code,
            path=path,
            message=explain(code, detail),
            offset=offset,
            length=length,
            record_id=record_id,
        )

    @property
    def severity(self) -> Severity:
        """Give `warning` for `W…`, what should not be, and `error` for `E…`, what must not be."""
        return "warning" if self.code.startswith("W") else "error"

    def with_affected(self, documents: tuple[str, ...]) -> Finding:
        """Name the documents that were derived from the damaged record."""
        return structs.replace(self, affected=documents)

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
