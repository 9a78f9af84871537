"""What a crawl tells while it runs and at its end: its account, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.crawl.frontier.runs import Counts
from pipeline.model.wording import printable, size, table

_SUMMED = ("captures", "revisits", "refused", "failed", "bytes", "discovered", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlProgress:
    """How far a crawl has come, for the display."""

    collection: str
    counts: Counts
    hosts: int
    elapsed_s: float

    def facts(self) -> list[tuple[str, str]]:
        """Give the numbers of the progress display, the title first."""
        rate = self.counts.captured / self.elapsed_s if self.elapsed_s else 0
        return [
            (f"crawling {self.collection}", ""),
            ("captures", f"{self.counts.captured:,}"),
            ("a second", f"{rate:.1f}"),
            ("waiting", f"{self.counts.waiting:,}"),
            ("hosts", f"{self.hosts:,}"),
            ("received", size(self.counts.received)),
            ("failed", f"{self.counts.failed:,}"),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlReport:
    """The account of one run, or of the part of it that was done before an interruption."""

    collection: str
    run_id: str
    started_at: str
    finished_at: str | None
    captures: int
    revisits: int
    refused: int
    failed: int
    bytes: int
    discovered: int
    waiting: int
    status: dict[str, int]
    failures: dict[str, int]
    refusals: dict[str, int]
    warcs: tuple[str, ...]
    failed_urls: tuple[tuple[str, str], ...]

    @property
    def exit_code(self) -> int:
        """Give 0, or 3 when something is missing that may come later, or 130 when interrupted."""
        if self.finished_at is None:
            return 130
        missing = self.failed or "robots-unavailable" in self.refusals or not self.captures
        return 3 if missing else 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json crawl` prints for this run."""
        return asdict(self)

    def sealed(self) -> dict[str, Any]:
        """Give what RUN.report.json holds (FORMAT.md §5): all but what only a screen needs."""
        told = self.as_json()
        del told["waiting"], told["failed_urls"]
        return told


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
        lines.append("Not captured (each has a record with the reason; a later run tries again):")
        lines += [f"  {reason:<10} {printable(url)}" for url, reason in report.failed_urls]
    if "tls" in report.failures:
        lines.append(
            "tls: a certificate is not trusted. Extra roots: [crawl] ca_bundle in config.toml"
        )
    if report.failed > len(report.failed_urls):
        lines.append(f"  ... and {report.failed - len(report.failed_urls):,} more")
    return "\n".join(lines)


def _codes(counts: dict[str, int]) -> str:
    told = ", ".join(f"{count:,} x {code}" for code, count in sorted(counts.items()))
    return f"  ({told})" if told else ""
