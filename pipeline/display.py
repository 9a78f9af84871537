"""What people see on standard error: live progress on a terminal, plain lines elsewhere.

Results go to standard output and are not this module's business. Text from the web passes through
`model.wording.printable` before it comes near a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import click

from pipeline.model.wording import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_PLAIN_EVERY_S = 10.0
_VERBOSE_EVERY_S = 1.0


def say(message: str) -> None:
    """Print a message on standard error, whoever wrote the words that it quotes.

    Where nobody reads standard error any more nothing is said: that must not end a crawl.
    """
    with suppress(BrokenPipeError):
        click.echo(printable(message), err=True)


class Progress(Protocol):
    """Anything a stage reports while it runs."""

    def facts(self) -> Sequence[tuple[str, str]]:
        """Give what is under way as (title, ''), then its numbers as (name, number)."""


@runtime_checkable
class Detailed(Protocol):
    """A report that has more to tell where there is room for it: on a terminal."""

    def details(self) -> Sequence[tuple[str, str, str]]:
        """Give lines to show below the numbers: a name, a number, and words."""


class Display:
    """Shows progress; use it as a context around a stage.

    Args:
        quiet: show nothing.
        verbose: a plain line every second, also on a terminal.

    """

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        # None where the caller closed it
        self._quiet = quiet or sys.stderr is None
        self._every_s = _VERBOSE_EVERY_S if verbose else _PLAIN_EVERY_S
        self._plain = verbose or self._quiet or not sys.stderr.isatty()
        self._live: Live | None = None
        self._last = time.monotonic()

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def observe(self, progress: Progress) -> None:
        """Take one report of a stage."""
        if self._quiet:
            return
        if not self._plain:
            self._show(progress)
        elif time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            say(_plain(progress.facts()))

    def _show(self, progress: Progress) -> None:
        # rich costs a tenth of a second to load; only a terminal needs it
        from rich.console import Console
        from rich.live import Live

        if self._live is None:
            # without a thread of its own: workers are forked while it is shown
            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.start()
        details = progress.details() if isinstance(progress, Detailed) else ()
        self._live.update(_live(progress.facts(), details), refresh=True)


def _live(
    facts: Sequence[tuple[str, str]], details: Sequence[tuple[str, str, str]]
) -> RenderableType:
    """Lay out a report for a terminal: its numbers, and below them a line for each detail."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    (title, _), *numbers = facts
    text = Text(f"{printable(title)}  ", style="bold")
    for name, number in numbers:
        text.append(f"{number} ", style="cyan")
        text.append(f"{name}   ", style="dim")
    if not details:
        return text
    lines = Table.grid(padding=(0, 2))
    # a host's name comes from the web, and may be as long as it likes
    lines.add_column(no_wrap=True, overflow="ellipsis", max_width=60)
    lines.add_column(no_wrap=True, justify="right", style="cyan")
    lines.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    for name, number, words in details:
        lines.add_row(*(Text(printable(part)) for part in (f"  {name}", number, words)))
    return Group(text, lines)


def _plain(facts: Sequence[tuple[str, str]]) -> str:
    (title, _), *numbers = facts
    return f"{title}: " + ", ".join(f"{number} {name}" for name, number in numbers)
