"""Verbs about copies of an archive: make one, and repair from them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.cli.session import Session
    from pipeline.display import Display
    from pipeline.stages.verify_report import VerifyReport

REPLICAS = click.option(
    "--replica",
    "replicas",
    type=Path,
    metavar="DIR",
    multiple=True,
    help="Also compare with this copy; may be given again.",
)


def beside(
    session: Session, report: VerifyReport, replicas: tuple[Path, ...], display: Display
) -> VerifyReport:
    """Add to a report what copies of the archive are worth."""
    if not replicas:
        return report
    from pipeline.stages.verify_replica import with_replicas

    return with_replicas(report, session.layout, replicas, display.observe)


@click.command()
@click.argument("to", metavar="DIR", type=Path)
@click.option("--check", is_flag=True, help="Also read all that the copy has already.")
@click.pass_obj
def replicate(session: Session, to: Path, check: bool) -> None:
    """Copy the archive to DIR, on another disk.

    Copies what is new there, reads it back, and goes on where it was stopped. A crawl may run
    meanwhile. What is sealed in the copy is never replaced.
    """
    from pipeline.stages.replicate import replicate as stage

    session.config()
    session.listen()
    with session.display() as display:
        report = stage(
            session.layout,
            to,
            check=check,
            observe=display.observe,
            interrupted=lambda: session.interrupted,
        )
    session.print(report, report.as_text)


@click.command()
@click.option(
    "--from",
    "replicas",
    metavar="DIR",
    type=Path,
    multiple=True,
    help="A copy of this archive, damaged or not; may be given again.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@click.argument("more", metavar="[DIR]...", nargs=-1, type=Path)
@click.pass_obj
def repair(
    session: Session, replicas: tuple[Path, ...], more: tuple[Path, ...], dry_run: bool
) -> None:
    """Repair damaged files from copies.

    Files are taken whole where a copy has them, else put together from the members that are intact
    in one copy or another. Nothing is accepted that has not the recorded digest. What was damaged
    is kept in quarantine/.
    """
    from pipeline.stages.repair import repair as stage

    session.config()
    session.listen()
    with session.display() as display:
        report = stage(
            session.layout,
            (*replicas, *more),
            dry_run=dry_run,
            now=datetime.now(UTC),
            observe=display.observe,
            interrupted=lambda: session.interrupted,
        )
    session.print(report, report.as_text)
