"""What a copy of the archive is worth, for programs and for people."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from pipeline.model.finding import Finding


class ReplicaReport(Struct, frozen=True, kw_only=True):
    """What a copy is worth.

    Attributes:
        ledger: what the copy's ledger is, seen from ours; `missing` or `damaged` where it is none.
        intact, missing, damaged: files of ours as the copy has them.
        repairs: paths that are damaged here and intact there.
        findings: what differs.

    """

    path: str
    ledger: str
    intact: int
    missing: int
    damaged: int
    repairs: tuple[str, ...]
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """Give the object of the report's `replicas` list."""
        return {
            "path": self.path,
            "ledger": self.ledger,
            "intact": self.intact,
            "missing": self.missing,
            "damaged": self.damaged,
            "repairs": list(self.repairs),
        }

    def as_row(self) -> tuple[str, str]:
        """Give the line for people."""
        told = (
            f"{self.path}: ledger {self.ledger}; {self.intact:,} files intact,"
            f" {self.missing:,} missing, {self.damaged:,} damaged"
        )
        if self.repairs:
            told += f"; repair --from it restores {len(self.repairs):,} files here"
        return "copy", told
