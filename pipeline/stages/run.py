"""The run verb: crawl, extract what was crawled, verify what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from pipeline.config import Config
from pipeline.crawl.rules.seeds import Collection
from pipeline.fixity import ledger
from pipeline.model.layout import Layout
from pipeline.stages.crawl import Interrupted, Tell, crawl
from pipeline.stages.crawl_report import CrawlReport, CrawlSummary
from pipeline.stages.extract import extract
from pipeline.stages.extract_report import ExtractReport
from pipeline.stages.rules import CrawlOptions
from pipeline.stages.verify import verify
from pipeline.stages.verify_report import VerifyReport


class RunReport(Struct, frozen=True, kw_only=True):
    """What the three parts of a run said; the later ones are None after an interruption."""

    crawls: Sequence[CrawlReport]
    extracted: ExtractReport | None
    verified: VerifyReport | None

    @property
    def exit_code(self) -> int:
        """Give the gravest: damage, then an interruption, then anything incomplete."""
        parts = [CrawlSummary(self.crawls), self.extracted, self.verified]
        codes = [part.exit_code for part in parts if part is not None]
        return next((code for code in (4, 130, 3) if code in codes), 0)

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json run` prints."""
        told = CrawlSummary(self.crawls).as_json()
        told["extract"] = self.extracted.as_json() if self.extracted else None
        told["verify"] = self.verified.as_json() if self.verified else None
        return told

    def as_text(self) -> str:
        """Give the accounts of the three parts, and what one may do now."""
        parts = [CrawlSummary(self.crawls).accounts()]
        parts += [part.as_text() for part in (self.extracted, self.verified) if part is not None]
        if self.exit_code == 0:
            parts.append("Next: holdfast show URL, or holdfast status")
        return "\n\n".join(parts)


def run(
    layout: Layout,
    config: Config,
    collections: Sequence[Collection],
    options: CrawlOptions,
    observe: Callable[[Any], None],
    interrupted: Interrupted,
    tell: Tell,
) -> RunReport:
    """Crawl, extract and verify what was written; an interruption ends it after its part."""
    earlier = _sealed(layout)
    crawls = crawl(layout, config, collections, options, observe, interrupted, tell)
    if interrupted():
        return RunReport(crawls=crawls, extracted=None, verified=None)
    names = [collection.name for collection in collections]
    extracted = extract(
        layout,
        config.extract,
        names,
        everything=False,
        workers=config.extract.workers,
        observe=observe,
        now=datetime.now(UTC),
        interrupted=interrupted,
    )
    if extracted.interrupted:
        return RunReport(crawls=crawls, extracted=extracted, verified=None)
    verified = verify(layout, "records", observe, earlier=earlier)
    return RunReport(crawls=crawls, extracted=extracted, verified=verified)


def _sealed(layout: Layout) -> frozenset[str]:
    account = ledger.read(layout.ledger)
    return frozenset(account.objects) if account else frozenset()
