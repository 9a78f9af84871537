"""Verbs about the ledger: sign it, and prove from it what a document is made of."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.cli.session import Session


@click.command()
@click.option("--key", type=Path, metavar="FILE", help="Key of OpenSSH (default: the settings').")
@click.pass_obj
def sign(session: Session, key: Path | None) -> None:
    """Sign the ledger's checkpoint with an SSH key.

    The key is [signing] key in config.toml, or HOLDFAST_SIGNING_KEY. With it every verb that adds
    to the archive signs. To go over to another key, name it with --key while the settings still
    name the old one.
    """
    from pipeline.stages.sign import sign as stage

    report = stage(session.layout, key, os.environ, datetime.now(UTC))
    session.print(report, report.as_text)
