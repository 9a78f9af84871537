"""The command itself: its verbs in the order in which one needs them, and what errors become.

Each verb loads its own stage, so that `--help` and `verify` do not wait for libraries that only a
crawl needs.
"""

from __future__ import annotations

import json
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import click

from pipeline import __version__
from pipeline.cli import collecting, copies, keeping, ledger, reading
from pipeline.cli.session import ENDED, INTERRUPTED, Session
from pipeline.display import say
from pipeline.errors import HoldfastError, StorageError


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
            _tell_scripts(context, ENDED, INTERRUPTED)
            raise


def _tell_scripts(context: click.Context, error: str, exit_code: int) -> None:
    if isinstance(context.obj, Session) and context.obj.as_json:
        click.echo(json.dumps({"error": error, "exit_code": exit_code}))


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


for verb in (
    collecting.demo,
    collecting.init,
    collecting.seeds,
    collecting.crawl,
    collecting.extract,
    collecting.run,
    collecting.import_,
    keeping.verify,
    keeping.scrub,
    ledger.sign,
    copies.replicate,
    copies.repair,
    reading.show,
    reading.status,
):
    cli.add_command(verb)


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
        say(f"holdfast: {ENDED}")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
