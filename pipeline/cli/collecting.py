"""Verbs that make an archive and put something into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.cli.session import Session


class _Seconds(click.FloatRange):
    """A number of seconds; click lets NaN through any range."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        number = super().convert(value, parameter, context)
        if number != number:
            self.fail(f"{value!r} is not a number of seconds.", parameter, context)
        return number


@click.command()
@click.argument("folder", metavar="[DIR]", default="holdfast-demo", required=False)
@click.pass_obj
def demo(session: Session, folder: str) -> None:
    """Archive a small old site, to see how it works.

    The site is served on loopback; no network is needed. Makes a new archive in DIR (default:
    holdfast-demo), then crawls, extracts and verifies.
    """
    from pipeline.stages.demo import demo as stage

    session.listen()
    with session.display() as display:
        report = stage(session.root / folder, display.observe, lambda: session.interrupted)
    session.print(report, report.as_text)


@click.command()
@click.argument("folder", metavar="DIR", required=False)
@click.pass_obj
def init(session: Session, folder: str | None) -> None:
    """Make a new archive in DIR (default: here).

    It gets a commented config.toml and an example collection.
    """
    from pipeline.stages.init import init as stage

    report = stage(session.root / folder if folder else session.root)
    session.print(report, report.as_text)


@click.group()
def seeds() -> None:
    """Look after the seed files: seeds check."""


@seeds.command("check")
@click.argument("collections", metavar="[COLLECTION]...", nargs=-1)
@click.option("--url", help="Explain for this URL which rule would let it in or keep it out.")
@click.pass_obj
def seeds_check(session: Session, collections: tuple[str, ...], url: str | None) -> None:
    """Read seed files and scope; say what would be crawled and why not."""
    from pipeline.stages.seeds import check

    report = check(session.layout, session.config(), collections, url)
    session.print(report, report.as_text)


_COLLECTIONS = click.argument("collections", metavar="[COLLECTION]...", nargs=-1)
_CRAWL_WORKERS = click.option(
    "--workers", type=click.IntRange(1, 256), help="Worker processes (default: one per core)."
)
_DELAY = click.option(
    "--delay",
    type=_Seconds(0, 86400),
    metavar="S",
    help="Seconds between two requests to a host.",
)


@click.command()
@_COLLECTIONS
@_CRAWL_WORKERS
@_DELAY
@click.pass_obj
def crawl(
    session: Session, collections: tuple[str, ...], workers: int | None, delay: float | None
) -> None:
    """Fetch collections (default: all) into WARC files.

    A crawl that was interrupted or killed goes on where it stopped. A collection whose last run is
    finished is crawled anew.
    """
    config, chosen = session.config(), session.collections(collections)
    from pipeline.stages.crawl import crawl as stage
    from pipeline.stages.crawl_report import CrawlSummary
    from pipeline.stages.rules import CrawlOptions

    session.listen()
    options = CrawlOptions(workers=workers, delay_s=delay)
    with session.display() as display:
        reports = stage(
            session.layout,
            config,
            chosen,
            options,
            display.observe,
            lambda: session.interrupted,
            session.tell,
        )
    summary = CrawlSummary(reports)
    session.print(summary, summary.as_text)


@click.command()
@_COLLECTIONS
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Worker processes (default: one per core)."
)
@click.option("--all", "everything", is_flag=True, help="Extract again what was extracted before.")
@click.pass_obj
def extract(
    session: Session, collections: tuple[str, ...], workers: int | None, everything: bool
) -> None:
    """Turn captured pages into JSON documents."""
    from datetime import UTC, datetime

    from pipeline.stages.extract import archived
    from pipeline.stages.extract import extract as stage

    config, there = session.config(), archived(session.layout)
    unknown = [name for name in collections if name not in there]
    chosen = set(collections) & there if collections else set(there)
    if unknown or not collections:
        chosen |= {collection.name for collection in session.collections(unknown)}
    session.listen()
    with session.display() as display:
        report = stage(
            session.layout,
            config.extract,
            sorted(chosen),
            everything=everything,
            workers=workers or config.extract.workers,
            observe=display.observe,
            now=datetime.now(UTC),
            interrupted=lambda: session.interrupted,
        )
    session.print(report, report.as_text)


@click.command()
@_COLLECTIONS
@_CRAWL_WORKERS
@_DELAY
@click.pass_obj
def run(
    session: Session, collections: tuple[str, ...], workers: int | None, delay: float | None
) -> None:
    """Crawl, extract and verify: the whole job."""
    config, chosen = session.config(), session.collections(collections)
    from pipeline.stages.rules import CrawlOptions
    from pipeline.stages.run import run as stage

    session.listen()
    options = CrawlOptions(workers=workers, delay_s=delay)
    with session.display() as display:
        report = stage(
            session.layout,
            config,
            chosen,
            options,
            display.observe,
            lambda: session.interrupted,
            session.tell,
        )
    session.print(report, report.as_text)


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--collection", metavar="C", help="Where to put them (default: by the file's name).")
@click.pass_obj
def import_(session: Session, files: tuple[str, ...], collection: str | None) -> None:
    """Take WARC and ARC files of others into the archive.

    Their bytes are kept as they are, and sealed at once. Damaged files are refused.
    """
    from datetime import UTC, datetime

    from pipeline.stages.ingest import ingest as stage

    report = stage(session.layout, session.config(), files, collection, datetime.now(UTC))
    session.print(report, report.as_text)
