"""Verbs that keep an archive whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from pipeline.cli.session import Session
    from pipeline.stages.verify_file import Level


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option(
    "--level",
    type=click.Choice(["files", "records"]),
    default="files",
    show_default=True,
    help="files: every byte against manifest and ledger. records: also every WARC record.",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Worker processes (default: one per core)."
)
@click.pass_obj
def verify(session: Session, files: tuple[str, ...], level: str, workers: int | None) -> None:
    """Check that every file is what was sealed.

    All damage is named, with the documents that it affects. With FILE, any WARC or ARC file is
    checked, of any writer and outside of an archive too: all its records, whatever the level.
    """
    if files:
        from pipeline.stages.verify_foreign import verify_files

        with session.display() as display:
            seen = verify_files(files, display.observe, workers)
        session.print(seen, seen.as_text)

    from pipeline.stages.verify import verify as stage

    session.config()
    with session.display() as display:
        report = stage(session.layout, cast("Level", level), display.observe, workers=workers)
    session.print(report, report.as_text)
