"""Verbs that show what is in an archive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.cli.session import Session


@click.command()
@click.argument("url", metavar="URL[@TIME]")
@click.option("--text", "only_text", is_flag=True, help="Print the clean text alone.")
@click.pass_obj
def show(session: Session, url: str, only_text: bool) -> None:
    """Show the captures of a URL and its text.

    TIME is YYYY[MM[DD[hhmmss]]]; the capture nearest to it is shown, without it the newest.
    """
    from pipeline.stages.show import show as stage

    session.config()
    report = stage(session.layout, url)
    session.print(report, report.clean_text if only_text else report.as_text)


@click.command()
@click.pass_obj
def status(session: Session) -> None:
    """Tell what is here and what to do next."""
    from pipeline.stages.status import status as stage

    session.config()
    names = [collection.name for collection in session.collections(())]
    report = stage(session.layout, names, time.time())
    session.print(report, report.as_text)
