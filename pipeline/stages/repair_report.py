"""What the repair verb tells while it runs and at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from pipeline.model.finding import Finding
from pipeline.model.wording import printable, table

_SHOWN = 50
_FORKED = "E463"

Method = Literal["copied", "rebuilt", "derived"]


class Mended(Struct, frozen=True, kw_only=True):
    """A file that was repaired, or would be.

    Attributes:
        method: `copied` whole from one source, `rebuilt` member by member, `derived` from a WARC.
        sources: what was taken from where: members where it was rebuilt, else 1.

    """

    path: str
    method: Method
    sources: Mapping[str, int]

    def as_detail(self) -> dict[str, Any]:
        """Give what the ledger's event says of the file."""
        return {"method": self.method, "sources": dict(self.sources)}

    def as_json(self) -> dict[str, Any]:
        """Give the object of the report's `repaired` list."""
        return {"path": self.path, **self.as_detail()}


class RepairProgress(Struct, frozen=True, kw_only=True):
    """How far the repair has come."""

    files: int
    total: int
    mended: int

    def facts(self) -> Sequence[tuple[str, str]]:
        """Give the title and the numbers for a display."""
        return (
            ("repairing", ""),
            ("files checked", f"{self.files:,}/{self.total:,}"),
            ("repaired", f"{self.mended:,}"),
        )


class RepairReport(Struct, kw_only=True):
    """What was repaired, and what could not be.

    Attributes:
        intact: files that needed nothing.
        quarantined: paths of the damaged bytes that were replaced.
        findings: files and members that no copy has.

    """

    dry_run: bool
    intact: int = 0
    mended: list[Mended] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Give 130 if interrupted, 4 if histories differ, 3 if something is left, else 0."""
        if self.interrupted:
            return 130
        if any(finding.code == _FORKED for finding in self.findings):
            return 4
        return 3 if self.findings else 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json repair` prints."""
        return {
            "ok": self.exit_code == 0,
            "dry_run": self.dry_run,
            "intact": self.intact,
            "repaired": [each.as_json() for each in self.mended],
            "quarantine": self.quarantined,
            "failed": len({finding.path for finding in self.findings}),
            "findings": [finding.as_json() for finding in self.findings],
        }

    def as_text(self) -> str:
        """Give the account for people, with the next step."""
        verb = "would be" if self.dry_run else "was"
        lines = [f"{each.path}: {verb} {_told(each)}" for each in self.mended[:_SHOWN]]
        lines += [_finding(each) for each in self.findings[:_SHOWN]]
        more = max(0, len(self.mended) - _SHOWN) + max(0, len(self.findings) - _SHOWN)
        lines += [f"… and {more} more (--json lists all)"] if more else []
        rows = [
            ("intact", f"{self.intact:,} files"),
            ("repaired", f"{0 if self.dry_run else len(self.mended):,} files"),
            ("not repaired", f"{len({each.path for each in self.findings}):,} files"),
            ("in quarantine/", f"{len(self.quarantined):,} damaged files that were replaced"),
        ]
        lines += ["Repair (dry run)" if self.dry_run else "Repair", table(rows), self._next()]
        return printable("\n".join(lines))

    def _next(self) -> str:
        if self.interrupted:
            return "Interrupted: run holdfast repair again to go on."
        if self.findings:
            return (
                "Next: name another copy with --from; docs/findings.md says what each code means."
            )
        if not self.mended:
            return "Nothing to repair."
        if self.dry_run:
            return "Next: the same without --dry-run."
        return "Next: holdfast verify; then quarantine/ may be looked at and deleted."


def _told(mended: Mended) -> str:
    if mended.method == "rebuilt":
        members = ", ".join(f"{n} members of {where}" for where, n in mended.sources.items())
        return f"rebuilt from {members}"
    return f"{mended.method} from {', '.join(mended.sources)}"


def _finding(finding: Finding) -> str:
    place = finding.path
    if finding.offset is not None:
        place += f" at byte {finding.offset}, {finding.length} bytes"
    line = f"{finding.code} {place}: {finding.message}"
    if finding.affected:
        line += f"\n     documents lost: {', '.join(finding.affected)}"
    return line
