"""What a crawl, or a whole run, tells at its end: a table, what went wrong, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.model.wording import printable, size, table
from pipeline.stages.crawl import CrawlReport

_SUMMED = ("captures", "revisits", "refused", "failed", "bytes", "discovered", "waiting")


@dataclass(frozen=True, slots=True)
class CrawlSummary:
    """The reports of the collections that were crawled together."""

    reports: Sequence[CrawlReport]

    @property
    def exit_code(self) -> int:
        """Give 130 after an interruption, 3 where something is missing, else 0."""
        codes = [report.exit_code for report in self.reports] or [3]
        return max(codes)

    def as_json(self) -> dict[str, Any]:
        """Give one object for one or many runs: sums on top, each run under `runs`."""
        only = self.reports[0] if len(self.reports) == 1 else None
        return {
            "collection": only.collection if only else None,
            "run_id": only.run_id if only else None,
            **{name: sum(getattr(r, name) for r in self.reports) for name in _SUMMED},
            "warcs": [path for report in self.reports for path in report.warcs],
            "runs": [report.as_json() for report in self.reports],
        }

    def as_text(self) -> str:
        """Give the accounts for people, with the next step."""
        if self.reports and self.exit_code != 130:
            return self.accounts() + "\n\nNext: holdfast extract, then holdfast verify"
        return self.accounts()

    def accounts(self) -> str:
        """Give the account of each run for people."""
        parts = [_account(report) for report in self.reports]
        if self.exit_code == 130:
            parts.append("Interrupted. Nothing is lost: run it again to go on.")
        elif not self.reports:
            parts.append("Nothing to crawl: add a seed file to seeds/, see holdfast seeds check.")
        return "\n\n".join(parts)


def _account(report: CrawlReport) -> str:
    rows = [
        ("captures", f"{report.captures:,}" + _codes(report.status)),
        ("refused", f"{report.refused:,}" + _codes(report.refusals)),
        ("failed", f"{report.failed:,}" + _codes(report.failures)),
        ("received", size(report.bytes)),
        ("WARC files", f"{len(report.warcs):,}"),
    ]
    if report.waiting:
        rows.append(("still waiting", f"{report.waiting:,}"))
    lines = [f"{report.run_id}", table(rows)]
    if report.failed_urls:
        lines.append("Not captured (a later run tries them again):")
        lines += [f"  {reason:<10} {printable(url)}" for url, reason in report.failed_urls]
    if report.failed > len(report.failed_urls):
        lines.append(f"  ... and {report.failed - len(report.failed_urls):,} more")
    return "\n".join(lines)


def _codes(counts: dict[str, int]) -> str:
    told = ", ".join(f"{count:,} x {code}" for code, count in sorted(counts.items()))
    return f"  ({told})" if told else ""
