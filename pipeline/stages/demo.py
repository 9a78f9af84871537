"""The demo verb: the whole main job in a minute, with no network but loopback.

Serves the demo site, makes a new archive, and does what an operator would do: seeds, crawl,
extract, verify. Then it reads the archive back, so that the story told is the archive's own.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.archive.index import parse_capture
from pipeline.archive.reader import Record, walk
from pipeline.config import load
from pipeline.crawl.rules.seeds import load_collections
from pipeline.errors import ConfigError
from pipeline.model.layout import Layout
from pipeline.model.names import CDXJ, WARC
from pipeline.model.records import Capture
from pipeline.stages.absence import Absence, absence
from pipeline.stages.crawl import Interrupted
from pipeline.stages.demo_server import serve
from pipeline.stages.demo_story import DemoReport, OutsideCheck
from pipeline.stages.init import init
from pipeline.stages.rules import CrawlOptions
from pipeline.stages.run import run

_COLLECTION = "lantern-society"
_SEEDS = """\
# The demo site, as it was served while the demo ran. It is gone now; the archive is not.
{address}
"""
_CHECK_S = 60
_CHECKERS = (("sha256sum", ("-c", "--strict")), ("shasum", ("-a", "256", "-c", "--strict")))


def demo(root: Path, observe: Callable[[Any], None], interrupted: Interrupted) -> DemoReport:
    """Archive the demo site in a new folder `root`.

    Raises:
        ConfigError: `root` is there already and is not an empty folder.

    """
    _refuse_what_is_there(root)
    layout = Layout(root)
    with serve() as address:
        _write_seeds(layout, address)
        init(root)
        config = load(root, {})
        collections = load_collections(layout.seeds, year=datetime.now(UTC).year)
        options = CrawlOptions(workers=1, delay_s=0)
        ran = run(layout, config, collections, options, observe, interrupted, _say_nothing)
    return DemoReport(
        root=root,
        command=_command(),
        address=address,
        ran=ran,
        captures=list(_captures(layout)),
        absences=list(_absences(layout)),
        documents=list(_documents(layout)),
        outside=_check_from_outside(layout),
    )


def _say_nothing(_: str) -> None:
    """Take what an operator should hear at once: nobody changes the rules of the demo."""


def _refuse_what_is_there(root: Path) -> None:
    if root.is_dir() and not any(root.iterdir()):
        return
    if root.exists() or root.is_symlink():
        raise ConfigError(
            f"{root}: is there already; name a folder that is new or empty,"
            f" such as: holdfast demo {root}-2"
        )


def _write_seeds(layout: Layout, address: str) -> None:
    seeds_file = layout.seeds / f"{_COLLECTION}.txt"
    durable.replace(seeds_file, _SEEDS.format(address=address).encode())


def _command() -> str:
    """Say how to call this holdfast from the folder we are in."""
    ours = Path(sys.executable).with_name("holdfast")
    found = shutil.which("holdfast")
    if not ours.exists() or (found and ours.samefile(found)):
        return "holdfast"
    return os.path.relpath(ours)


def _captures(layout: Layout) -> Iterator[Capture]:
    for index in sorted(layout.warc(_COLLECTION).glob("*" + CDXJ)):
        for line in index.read_bytes().splitlines():
            yield parse_capture(line)


def _absences(layout: Layout) -> Iterator[Absence]:
    for warc in sorted(layout.warc(_COLLECTION).glob("*" + WARC)):
        for record in walk(warc):
            if isinstance(record, Record) and record.get("warc-type") == "metadata":
                url, at = record.get("warc-target-uri") or "", record.get("warc-date") or ""
                told = absence(url, at, record.block)
                if told:
                    yield told


def _documents(layout: Layout) -> Iterator[dict[str, Any]]:
    for path in sorted(layout.extracted(_COLLECTION).glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            yield from (json.loads(line) for line in lines)


def _check_from_outside(layout: Layout) -> OutsideCheck | None:
    """Let the machine's own checksum program check the manifest, if it has one."""
    for name, options in _CHECKERS:
        program = shutil.which(name)
        if program is None or not layout.manifest.exists():
            continue
        checked = subprocess.run(  # noqa: S603 - a program of the machine, on files we have written
            [program, *options, str(layout.manifest.relative_to(layout.root))],
            cwd=layout.root,
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
        )
        return OutsideCheck(
            program=" ".join([name, *options]),
            sound=checked.returncode == 0,
            files=sum(line.endswith(": OK") for line in checked.stdout.splitlines()),
        )
    return None
