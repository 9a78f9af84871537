"""The verb that checks an archive little by little."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from pipeline.model.amount import Budget, seconds

if TYPE_CHECKING:
    from pipeline.cli import Session


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
