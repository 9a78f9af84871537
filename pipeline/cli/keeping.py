"""Verbs that keep an archive whole."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pipeline.cli import copies
from pipeline.model.amount import Budget, seconds

if TYPE_CHECKING:
    from pipeline.cli.session import Session
    from pipeline.stages.verify_file import Level


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option(
    "--level",
    type=click.Choice(["quick", "files", "records", "extracts", "reproduce"]),
    default="files",
    show_default=True,
    help="Each holds the ones before. quick: names and sizes. files: every byte against manifest"
    " and ledger. records: every WARC record. extracts: every document against its record."
    " reproduce: documents derived again.",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Worker processes (default: one per core)."
)
@click.option("--against", type=Path, metavar="FILE", help="A checkpoint that was kept elsewhere.")
@copies.REPLICAS
@click.pass_obj
def verify(
    session: Session,
    files: tuple[str, ...],
    level: str,
    workers: int | None,
    against: Path | None,
    replicas: tuple[Path, ...],
) -> None:
    """Check that every file is what was sealed.

    All damage is named, with the documents that it affects. With FILE, any WARC or ARC file is
    checked, of any writer and outside of an archive too: all its records, whatever the level.
    """
    if files:
        from pipeline.stages.verify_foreign import verify_files

        with session.display() as display:
            seen = verify_files(files, display.observe, workers)
        session.print(seen, seen.as_text)

    config, chosen = session.config(), cast("Level", level)
    with session.display() as display:
        if level in ("extracts", "reproduce"):
            from pipeline.stages.verify_deep import verify_deep

            report = verify_deep(
                session.layout, config.extract, chosen, display.observe, workers, against
            )
        else:
            from pipeline.stages.verify import verify as stage

            report = stage(
                session.layout, chosen, display.observe, workers=workers, against=against
            )
        report = copies.beside(session, report, replicas, display)
    session.print(report, report.as_text)


@click.command()
@click.option("--budget", metavar="B", help="Stop after a time or an amount: 30m, 8h, 20GiB.")
@click.option(
    "--max-age",
    metavar="T",
    default="90d",
    show_default=True,
    help="What was checked longer ago is due.",
)
@click.pass_obj
def scrub(session: Session, budget: str | None, max_age: str) -> None:
    """Check again what is due: for your timer.

    Files known to be bad come first, then those never checked, then those checked longest ago. All
    damage is named. What was checked is remembered in fixity/checks.jsonl.
    """
    allowed = Budget.parse(budget) if budget is not None else Budget()
    age = seconds(max_age)
    session.config()
    from pipeline.stages.scrub import Clock
    from pipeline.stages.scrub import scrub as stage

    session.listen()
    with session.display() as display:
        report = stage(
            session.layout,
            allowed,
            age,
            Clock(time.time, time.monotonic),
            display.observe,
            lambda: session.interrupted,
        )
    session.print(report, report.as_text)
