"""One call of the command: what the options before the verb say, and how a verb speaks.

Results go to standard output, story and progress to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
from msgspec import Struct, field

from pipeline.display import Display, say
from pipeline.model.layout import Layout

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.crawl.rules.seeds import Collection

INTERRUPTED: Final = 130
"""Exit code of a verb that the operator ended."""

ENDED: Final = "ended at once; what was committed is kept: run it again to go on"
_STOPPING = b"Stopping: finishing what is in flight. Press Ctrl-C again to end at once.\n"


class Session(Struct):
    """What the options before the verb say."""

    root: Path
    as_json: bool
    quiet: bool
    verbose: bool
    interrupted: bool = field(default=False)

    @property
    def layout(self) -> Layout:
        """Where the archive's files lie."""
        return Layout(self.root)

    def display(self) -> Display:
        """Show progress on standard error, unless quiet."""
        return Display(quiet=self.quiet, verbose=self.verbose)

    def tell(self, message: str) -> None:
        """Say at once, on standard error, what the operator should hear; unless quiet."""
        if not self.quiet and sys.stderr is not None:
            say(message)

    def config(self) -> Config:
        """Read config.toml."""
        from pipeline.config import load

        return load(self.root, os.environ)

    def collections(self, names: Sequence[str]) -> list[Collection]:
        """Read the seed files of the named collections, or of all."""
        from datetime import UTC, datetime

        from pipeline.crawl.rules.seeds import load_collections

        return load_collections(self.layout.seeds, names, year=datetime.now(UTC).year)

    def print(self, report: Any, text: Callable[[], str]) -> NoReturn:
        """Print a report as JSON or as text, and end with its exit code."""
        # what the output cannot spell must still be JSON
        unicode = sys.stdout is None or sys.stdout.encoding.lower().startswith("utf")
        try:
            click.echo(
                json.dumps(report.as_json(), ensure_ascii=not unicode) if self.as_json else text()
            )
        except BrokenPipeError:
            # the reader has seen enough; what is still in the buffer has to go somewhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(report.exit_code)

    def listen(self) -> None:
        """From now on, Ctrl-C and SIGTERM ask for an orderly end; a second one ends at once."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        # None where it was closed: its number may be a WARC file's now
        if not self.quiet and sys.stderr is not None:
            # not with its own write, which the signal may have come into the middle of
            with suppress(OSError):
                os.write(sys.stderr.fileno(), _STOPPING)
