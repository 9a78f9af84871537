"""The crawl log in the archive: every URL that a run met and what became of it (FORMAT.md §2).

Written when a run is at its end, as one more WARC file of that run, which is then sealed like any
other. Written in parts, so that a run of millions of URLs needs no more memory than one part. A
power cut in the middle is harmless: nothing of the file is committed before all of it is on the
disk, so the next start removes it and writes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.archive.compose import Composer, Provenance
from pipeline.archive.member import Members, Record
from pipeline.archive.writer import OpenWarc
from pipeline.crawl.frontier.log import Canonical, Log, LogLine
from pipeline.crawl.frontier.runs import Run
from pipeline.model.canonical import line as json_line
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, Name
from pipeline.model.policy import WarcPolicy
from pipeline.model.target import archived
from pipeline.stages.recording import record_id

MEDIA_TYPE: Final = "application/x-ndjson"
MOST_LINES: Final = 50_000
MOST_BYTES: Final = 16 << 20


def write_log(
    layout: Layout,
    run: Run,
    provenance: Provenance,
    policy: WarcPolicy,
    now: datetime,
    canonical: Canonical = str,
) -> bool:
    """Write the crawl log of a run, unless that was done before; the caller seals it.

    Args:
        layout: the archive, whose lock the caller holds.
        run: the run, at its end.
        provenance: what each WARC file of the run begins with.
        policy: how WARC files are written.
        now: the moment that the records bear.
        canonical: gives the spelling by which the run tells URLs apart.

    Returns:
        Whether a file was written.

    Raises:
        StorageError: the disk refused.

    """
    with closing(Log(layout.frontier, run, canonical)) as log:
        if log.is_written():
            return False
        number, name = log.reserve(now.astimezone(UTC).strftime("%Y%m%d%H%M%S"))
        composer = Composer(record_id)
        path = layout.root / (Name(run.collection, name).warc + OPEN)
        with closing(OpenWarc(path)) as warc:

            def append(*records: Record) -> None:
                warc.append(Members(records, policy.codec, policy.level, layout.working))

            append(*composer.opening(path.name.removesuffix(OPEN), provenance, now))
            opening = warc.size
            for serial, block in enumerate(parts(map(line, log.lines()))):
                append(composer.resource(log_uri(run.name, serial), MEDIA_TYPE, block, now))
        log.commit(number, opening, warc.size)
    return True


def log_uri(run: str, serial: int) -> str:
    """Give the target URI of a part of the log."""
    return f"urn:holdfast:{run}:crawl-log/{serial:05d}.jsonl"


def parts(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Gather lines into blocks of at most `MOST_LINES` lines and `MOST_BYTES` bytes."""
    gathered: list[bytes] = []
    size = 0
    for each in lines:
        if gathered and (len(gathered) >= MOST_LINES or size + len(each) > MOST_BYTES):
            yield b"".join(gathered)
            gathered, size = [], 0
        gathered.append(each)
        size += len(each)
    if gathered:
        yield b"".join(gathered)


def line(told: LogLine) -> bytes:
    """Write what became of one URL as a canonical JSON line; what is not known is left out."""
    values: dict[str, Any] = {
        "at": None if told.at is None else _moment(told.at),
        "url": told.url,
        "via": told.via,
        "hops": archived(told.hops),
        "outcome": told.outcome,
        "status": told.status,
        "reason": told.reason or None,
        "rule": told.rule or None,
        "mime": told.mime or None,
        "warc": told.warc,
        "offset": told.offset,
    }
    if told.at is not None:
        values |= {"received": told.received, "ms": told.duration_ms}
    return json_line({name: value for name, value in values.items() if value is not None})


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
