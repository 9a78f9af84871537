"""What a scrub checked, what is still due, and how the archive is covered by checks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from pipeline.fixity.checks import Coverage
from pipeline.model.amount import DAY_S
from pipeline.model.finding import Finding
from pipeline.model.wording import size, table
from pipeline.stages.verify_report import Counts, finding_text

_SHOWN = 50


class ScrubReport(Struct, frozen=True, kw_only=True):
    """The result of the scrub verb.

    Attributes:
        sealed: files in the archive.
        overdue: files that were due and that the budget left out.
        unread: files that could not be read.
        transient: files that a first reading found damaged, and a second one past the cache not.
        coverage: how the archive stands now.
        now: Unix time at the end.
        not_remembered: why the checks could not be kept; empty where they were.

    """

    checked: Counts
    sealed: int
    overdue: int
    unread: int
    transient: int
    findings: Sequence[Finding]
    coverage: Coverage
    now: float
    max_age_s: int
    bytes_read: int
    not_remembered: str
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """Give 4 for damage, 130 after an interruption, 3 if not all that is due was checked."""
        if any(finding.severity == "error" for finding in self.findings):
            return 4
        if self.interrupted:
            return 130
        return 3 if self.overdue or self.unread or self.transient or not self.sealed else 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json scrub` prints."""
        return {
            "ok": self.exit_code == 0,
            "level": "records",
            "checked": self.checked.as_json(),
            "not_checked": {"overdue": self.overdue, "unreadable": self.unread},
            "transient": self.transient,
            "remembered": not self.not_remembered,
            "findings": [finding.as_json() for finding in self.findings],
            "coverage": coverage_json(self.coverage),
            "bytes_read": self.bytes_read,
        }

    def as_text(self) -> str:
        """Give the account for people: findings first, the next step last."""
        lines = [finding_text(finding) for finding in self.findings[:_SHOWN]]
        if len(self.findings) > _SHOWN:
            lines.append(f"… and {len(self.findings) - _SHOWN} more (--json lists all)")
        rows = [(name, f"{count:,}") for name, count in self.checked.as_json().items() if count]
        rows.append(("read", size(self.bytes_read)))
        if self.overdue:
            rows.append(("overdue", f"{self.overdue:,} files not checked: scrub again"))
        if self.unread:
            rows.append(("unreadable", f"{self.unread:,} files not checked"))
        rows += coverage_rows(self.coverage, self.now)
        lines += [self._verdict(), table(rows)]
        if self.not_remembered:
            lines.append(
                f"Nothing was remembered ({self.not_remembered}): the next scrub begins anew."
            )
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.exit_code == 4:
            return "DAMAGED: docs/findings.md says what each code means and what to do."
        if not self.sealed:
            return "NOTHING WAS CHECKED: no file is sealed yet."
        if self.interrupted:
            return "INTERRUPTED: what was checked is intact; scrub again to go on."
        if self.transient:
            return (
                f"DOUBTFUL: {self.transient} files were read wrongly once and rightly the second"
                " time. Memory, cable or controller may be failing; the files are intact."
            )
        if self.overdue or self.unread:
            return "INCOMPLETE: what was checked is intact, but not all that is due was checked."
        if not self.checked.files:
            return "NOTHING IS DUE: every file was checked in time. Force it: --max-age 0d"
        return f"INTACT: every file was checked within {self.max_age_s / DAY_S:g} days."


def coverage_json(coverage: Coverage) -> dict[str, Any]:
    """Give the object that `scrub` and `status` print of what was checked when."""
    return {
        "oldest_check": _time(coverage.oldest),
        "never_checked": coverage.never,
        "known_bad": list(coverage.bad),
        "due": len(coverage.due),
        "covered_by": _time(coverage.covered_by),
    }


def coverage_rows(coverage: Coverage, now: float) -> list[tuple[str, str]]:
    """Give the same for people, as rows of a table."""
    rows = []
    if coverage.oldest is not None:
        days = (now - coverage.oldest) / DAY_S
        rows.append(("oldest check", f"{_time(coverage.oldest)}, {days:.0f} days ago"))
    if coverage.never:
        rows.append(("never checked", f"{coverage.never:,} files"))
    if coverage.bad:
        more = len(coverage.bad) - 3
        shown = ", ".join(coverage.bad[:3]) + (f" and {more} more" if more > 0 else "")
        rows.append(("known bad", shown))
    if coverage.due:
        told = _time(coverage.covered_by)
        by = f"at the pace so far all will be checked by {told}" if told else "no pace is known yet"
        rows.append(("due", f"{len(coverage.due):,} files; {by}"))
    return rows


def _time(moment: float | None) -> str | None:
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError):
        return None  # further away than there are dates
