"""How a file becomes part of the archive: validated, renamed, entered in ledger and manifest.

Only the process that holds the archive's lock may call this. Each step may be the last before a
power cut, and each may be repeated: `recover` is what every writer runs first.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pipeline import __version__, durable
from pipeline.archive.index import CDXJ_SUFFIX, MEMBERS_SUFFIX, capture_line, member_line
from pipeline.archive.validator import inspect
from pipeline.archive.writer import OPEN_SUFFIX, cut_back
from pipeline.crawl.frontier import Frontier, WarcFile
from pipeline.errors import IntegrityError
from pipeline.fixity import ledger, manifest
from pipeline.fixity.ledger import Event, SealedFile
from pipeline.fixity.manifest import Manifest
from pipeline.model.layout import Layout


def create(layout: Layout, now: datetime) -> None:
    """Write the first ledger line and an empty manifest."""
    enter(layout, [], event_type="creation", detail={}, now=now)


def enter(
    layout: Layout,
    files: Sequence[Path],
    *,
    event_type: str,
    detail: Mapping[str, Any],
    now: datetime,
    outcome: Literal["success", "incomplete"] = "success",
) -> None:
    """Make finished files part of the archive: one ledger event, then the manifest.

    Raises:
        StorageError: the disk refused; `recover` will finish or undo what was begun.

    """
    objects = tuple(_sealed_file(layout, path) for path in files)
    event = Event(
        identifier=uuid.uuid4().urn,
        type=event_type,
        at=now,
        outcome=outcome,
        agent=__version__,
        detail=detail,
        objects=objects,
    )
    ledger.append(layout.ledger, event)
    _list(layout, objects)


def recover(layout: Layout, now: datetime) -> None:
    """Begin the ledger, or bring it and the manifest together after a crash between the two.

    Raises:
        IntegrityError: one of them is damaged or gone; nothing may be added before that is settled.

    """
    ledger.recover(layout.ledger)
    account = ledger.read(layout.ledger)
    if account is None:
        if manifest.read(layout.manifest):
            raise IntegrityError(
                f"{layout.ledger}: is gone, but the manifest is there."
                " Nothing was written: restore the ledger from a copy"
            )
        create(layout, now)
        return
    if account.faults:
        raise IntegrityError(
            f"{layout.ledger}: {account.faults[0].message}."
            " Nothing was written: run holdfast verify, then restore the file from a copy"
        )
    _list(layout, account.objects.values())


def is_sealed(layout: Layout, path: Path) -> bool:
    """Tell whether the ledger has `path`."""
    account = ledger.read(layout.ledger)
    return account is not None and layout.relative(path) in account.objects


def seal_report(layout: Layout, path: Path, data: bytes, now: datetime) -> None:
    """Seal the account of a finished run, unless that was done before a crash."""
    if not is_sealed(layout, path):
        durable.replace(path, data)
        enter(layout, [path], event_type="capture", detail={"report": path.name}, now=now)


def seal_warcs(
    layout: Layout, frontier: Frontier, warcs: Iterable[WarcFile], now: datetime
) -> None:
    """Seal WARC files that nobody writes any more; those without a capture are removed.

    Raises:
        IntegrityError: a file breaks the rules of FORMAT.md; it stays as `.open`.

    """
    for warc in warcs:
        if warc.committed <= warc.opening:
            _open_path(layout, warc).unlink(missing_ok=True)
            frontier.forget(warc)
        else:
            _seal_warc(layout, warc, now)
            frontier.mark(warc, "sealed")


def _seal_warc(layout: Layout, warc: WarcFile, now: datetime) -> None:
    path = _open_path(layout, warc)
    final = path.with_name(f"{warc.name}.warc.gz")
    members = final.with_name(f"{warc.name}{MEMBERS_SUFFIX}")
    index = final.with_name(f"{warc.name}{CDXJ_SUFFIX}")
    if path.exists():
        if final.exists():
            raise IntegrityError(
                f"{final}: exists already, so {path.name} was not sealed; both are kept."
                " Was the clock set back? Move one of them away, then run holdfast crawl again"
            )
        cut_back(path, warc.committed)
        inspection = inspect(path, final.name)
        errors = [found for found in inspection.findings if found.severity == "error"]
        if errors:
            raise IntegrityError(
                f"{path}: not sealed, because it is not sound: {errors[0].code} at byte"
                f" {errors[0].offset}: {errors[0].message} ({len(errors)} in all). The file is kept"
                " as it is. This is a fault of the disk or of Holdfast: please report it"
            )
        durable.replace(members, b"".join(map(member_line, inspection.members)))
        durable.replace(index, b"".join(map(capture_line, inspection.captures)))
        durable.rename(path, final)
    if not is_sealed(layout, final):
        detail = {"run_id": warc.run, "collection": warc.collection}
        enter(layout, [final, members, index], event_type="capture", detail=detail, now=now)


def _open_path(layout: Layout, warc: WarcFile) -> Path:
    return layout.warc(warc.collection) / f"{warc.name}.warc.gz{OPEN_SUFFIX}"


def _sealed_file(layout: Layout, path: Path) -> SealedFile:
    with path.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    return SealedFile(path=layout.relative(path), sha256=digest, size=path.stat().st_size)


def _list(layout: Layout, objects: Iterable[SealedFile]) -> None:
    listed = manifest.read(layout.manifest)
    if listed is not None and listed.faults:
        raise IntegrityError(
            f"{layout.manifest}: {listed.faults[0].message}."
            " Nothing was written: run holdfast verify, then restore the file from a copy"
        )
    before = listed or Manifest(entries={})
    try:
        after = before.adding({each.path: each.sha256 for each in objects})
    except ValueError as error:
        raise IntegrityError(
            f"{layout.manifest} and {layout.ledger.name} contradict each other: {error}."
            " Nothing was written: run holdfast verify"
        ) from error
    if listed is None or after.entries != before.entries:
        manifest.write(layout.manifest, after)
