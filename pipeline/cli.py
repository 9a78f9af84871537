"""The command `holdfast`: verbs, options, exit codes, and what is printed where.

Results go to standard output, story and progress to standard error. Each verb loads its own stage,
so that `--help` and `verify` do not wait for libraries that only a crawl needs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click
from msgspec import Struct, field

from pipeline import __version__, cli_ledger
from pipeline.display import Display, say
from pipeline.errors import HoldfastError, StorageError
from pipeline.model.layout import Layout

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.crawl.rules.seeds import Collection
    from pipeline.stages.verify_file import Level

INTERRUPTED = 130

_ENDED = "ended at once; what was committed is kept: run it again to go on"
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


class _InOrder(click.Group):
    """Lists its verbs in the order in which one needs them."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        """Run a verb; a script that asked for JSON gets an object for an error, too."""
        try:
            return super().invoke(context)
        except HoldfastError as error:
            _tell_scripts(context, str(error), error.exit_code)
            raise
        except KeyboardInterrupt:
            _tell_scripts(context, _ENDED, INTERRUPTED)
            raise


def _tell_scripts(context: click.Context, error: str, exit_code: int) -> None:
    if isinstance(context.obj, Session) and context.obj.as_json:
        click.echo(json.dumps({"error": error, "exit_code": exit_code}))


class _Seconds(click.FloatRange):
    """A number of seconds; click lets NaN through any range."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        number = super().convert(value, parameter, context)
        if number != number:
            self.fail(f"{value!r} is not a number of seconds.", parameter, context)
        return number


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C", "root", metavar="DIR", default=".", help="The archive's folder (default: here)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No story and no progress on standard error.")
@click.option("-v", "--verbose", is_flag=True, help="Progress as plain lines, one a second.")
@click.version_option(__version__, prog_name="holdfast")
@click.pass_context
def cli(context: click.Context, root: str, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Keep web pages for decades, and prove that you did.

    Holdfast fetches the URLs of your seed files, stores what crossed the wire as WARC files,
    extracts clean text as JSON, and records checksums that anyone can verify.
    """
    context.obj = Session(Path(root), as_json, quiet, verbose)


@cli.command()
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


@cli.command()
@click.argument("folder", metavar="DIR", required=False)
@click.pass_obj
def init(session: Session, folder: str | None) -> None:
    """Make a new archive in DIR (default: here).

    It gets a commented config.toml and an example collection.
    """
    from pipeline.stages.init import init as stage

    report = stage(session.root / folder if folder else session.root)
    session.print(report, report.as_text)


@cli.group()
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


@cli.command()
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


@cli.command()
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

    from pipeline.stages.extract import extract as stage

    config, chosen = session.config(), session.collections(collections)
    session.listen()
    with session.display() as display:
        report = stage(
            session.layout,
            config.extract,
            [collection.name for collection in chosen],
            everything=everything,
            workers=workers or config.extract.workers,
            observe=display.observe,
            now=datetime.now(UTC),
            interrupted=lambda: session.interrupted,
        )
    session.print(report, report.as_text)


@cli.command()
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


@cli.command()
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
@click.option("--against", type=Path, metavar="FILE", help="A checkpoint that was kept elsewhere.")
@click.pass_obj
def verify(session: Session, level: str, workers: int | None, against: Path | None) -> None:
    """Check that every file is what was sealed.

    All damage is named, with the documents that it affects.
    """
    from pipeline.stages.verify import verify as stage

    session.config()
    with session.display() as display:
        report = stage(
            session.layout,
            cast("Level", level),
            display.observe,
            workers=workers,
            against=against,
        )
    session.print(report, report.as_text)


cli.add_command(cli_ledger.sign)


@cli.command()
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


@cli.command()
@click.pass_obj
def status(session: Session) -> None:
    """Tell what is here and what to do next."""
    from pipeline.stages.status import status as stage

    session.config()
    names = [collection.name for collection in session.collections(())]
    report = stage(session.layout, names, time.time())
    session.print(report, report.as_text)


def main() -> NoReturn:
    """Run the command; every error of ours becomes one message and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli(standalone_mode=False)
        sys.exit(0)
    except HoldfastError as error:
        say(f"holdfast: {error}")
        sys.exit(error.exit_code)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OSError as error:
        where = error.filename or "a file"
        say(f"holdfast: {where}: {error.strerror or error}; see to it, then try again")
        sys.exit(StorageError.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say(f"holdfast: {_ENDED}")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
