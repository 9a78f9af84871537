"""How a file becomes part of the archive: validated, renamed, entered in ledger and manifest.

Only the process that holds the archive's lock may call this. Each step may be the last before a
power cut, and each may be repeated: `recover` is what every writer runs first.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pipeline import __version__, durable
from pipeline.archive.index import member_line
from pipeline.archive.validator import inspect
from pipeline.archive.writer import cut_back
from pipeline.crawl.frontier.runs import Frontier, WarcFile
from pipeline.errors import IntegrityError
from pipeline.fixity import ledger, manifest
from pipeline.fixity.ledger import Event, Ledger, SealedFile
from pipeline.fixity.manifest import Manifest
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, Name
from pipeline.stages import checkpoints
from pipeline.stages.checkpoint_files import recall
from pipeline.stages.checkpoints import Ending, Signing

LOCK_WAIT_S = 3.0
"""A worker whose supervisor was killed needs a moment to notice and let go of the lock."""


@contextmanager
def writing(layout: Layout, now: datetime, signing: Signing | None = None) -> Iterator[Ending]:
    """Hold the archive's lock, with ledger and manifest in order: what every writer works inside.

    At its orderly end the ledger's checkpoint is written, and signed with the key in `signing`, or
    else in the operator's settings. After any other end the next writer does that.

    Raises:
        ArchiveLocked: another process writes to this archive.
        ConfigError: the key cannot be used.
        IntegrityError: see `recover` and `checkpoints.Ending`.

    """
    signing = signing or checkpoints.configured(layout)
    with durable.exclusive(layout.lock, LOCK_WAIT_S):
        ending = Ending(layout, recover(layout, now), signing)
        yield ending
        ending.write(now)


def enter(
    layout: Layout,
    files: Sequence[Path],
    *,
    event_type: str,
    detail: Mapping[str, Any],
    now: datetime,
    outcome: Literal["success", "incomplete"] = "success",
    digested: Sequence[SealedFile] = (),
) -> None:
    """Make finished files part of the archive: one ledger event, then the manifest.

    `files` are read for their digests. What was read a moment ago is given as `digested`, and
    stands first in the event.

    Raises:
        StorageError: the disk refused; `recover` will finish or undo what was begun.

    """
    objects = (*digested, *(_sealed_file(layout, path) for path in files))
    event = Event(
        identifier=uuid.uuid4().urn,
        type=event_type,
        at=now,
        outcome=outcome,
        agent=__version__,
        detail=detail,
        objects=objects,
    )
    # what goes on by itself is no copy any more
    layout.copy.unlink(missing_ok=True)
    ledger.append(layout.ledger, event)
    _list(layout, objects)


def recover(layout: Layout, now: datetime) -> Ledger:
    """Begin the ledger, or bring it and the manifest together after a crash between the two.

    Gives the ledger as it was read then.

    Raises:
        IntegrityError: one of them is damaged or gone; nothing may be added before that is settled.

    """
    ledger.recover(layout.ledger)
    account = ledger.read(layout.ledger)
    if account is None or not account.size:
        if manifest.read(layout.manifest) or layout.checkpoint.exists() or recall(layout):
            raise IntegrityError(
                f"{layout.ledger}: is gone, but the manifest or a checkpoint tells of it."
                " Nothing was written: restore the ledger from a copy"
            )
        enter(layout, [], event_type="creation", detail={}, now=now)
        return recover(layout, now)
    _refuse_faults(layout.ledger, account.faults)
    _list(layout, account.objects.values())
    return account


def is_sealed(layout: Layout, path: Path) -> bool:
    """Tell whether the ledger has `path`; inside `writing`, where the manifest is up with it."""
    listed = manifest.read(layout.manifest)
    return listed is not None and layout.relative(path) in listed.entries


def seal_report(layout: Layout, pages: Mapping[Path, bytes], now: datetime) -> None:
    """Seal the account of a finished run, unless that was done before a crash."""
    paths = list(pages)
    if not is_sealed(layout, paths[0]):
        for path, data in pages.items():
            durable.replace(path, data)
        enter(layout, paths, event_type="capture", detail={"report": paths[0].name}, now=now)


def seal_warcs(
    layout: Layout, frontier: Frontier, warcs: Iterable[WarcFile], now: datetime
) -> None:
    """Seal WARC files that nobody writes any more; those without a capture are removed.

    Raises:
        IntegrityError: some are not sound. They stay as they are, the others are sealed.

    """
    unsound = []
    for warc in warcs:
        try:
            if warc.committed > warc.opening:
                _seal_warc(layout, warc, now)
                frontier.mark(warc, "sealed")
            else:
                _open_path(layout, warc).unlink(missing_ok=True)
                frontier.forget(warc)
        except IntegrityError as error:
            unsound.append(str(error))
            frontier.mark(warc, "unsound")
    if unsound:
        raise IntegrityError(
            "\n".join(unsound) + "\nThis is a fault of the disk or of Holdfast. What was captured"
            " in it is not part of the archive; keep the file, check the disk, and report it."
            " The next holdfast crawl goes on without it"
        )


def _seal_warc(layout: Layout, warc: WarcFile, now: datetime) -> None:
    name = Name(warc.collection, warc.name)
    final, members, index = (layout.root / p for p in (name.warc, name.members, name.cdxj))
    path = _open_path(layout, warc)
    inspected = None
    if not final.exists():
        cut_back(path, warc.committed)
        inspected = _inspected(path, name.warc, members, index)
        durable.rename(path, final)
    elif path.exists():
        raise IntegrityError(f"{path}: {final.name} exists already. Was the clock set back?")
    if not is_sealed(layout, final):
        enter(
            layout,
            [members, index] if inspected else [final, members, index],
            event_type="capture",
            detail={"run_id": warc.run, "collection": warc.collection},
            now=now,
            digested=[inspected] if inspected else (),
        )


def _inspected(path: Path, name: str, members: Path, index: Path) -> SealedFile:
    """Hold a WARC file to the rules and write its sidecars; give it as it was inspected.

    Raises:
        IntegrityError: it is not sound.

    """
    inspection = inspect(path, name)
    # what we write ourselves must not even deserve a warning
    if inspection.findings:
        first = inspection.findings[0]
        raise IntegrityError(
            f"{path}: {first.code} at byte {first.offset}: {first.message}"
            f" ({len(inspection.findings)} in all)"
        )
    durable.replace(members, b"".join(map(member_line, inspection.members)))
    durable.replace(index, b"".join(inspection.index))
    return SealedFile(path=name, sha256=inspection.sha256, size=inspection.size)


def _open_path(layout: Layout, warc: WarcFile) -> Path:
    return layout.root / (Name(warc.collection, warc.name).warc + OPEN)


def _sealed_file(layout: Layout, path: Path) -> SealedFile:
    with path.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    return SealedFile(path=layout.relative(path), sha256=digest, size=path.stat().st_size)


def _refuse_faults(path: Path, faults: Sequence[Finding]) -> None:
    if faults:
        raise IntegrityError(
            f"{path}: {faults[0].message}."
            " Nothing was written: run holdfast verify, then restore the file from a copy"
        )


def _list(layout: Layout, objects: Iterable[SealedFile]) -> None:
    listed = manifest.read(layout.manifest)
    before = listed or Manifest(entries={})
    _refuse_faults(layout.manifest, before.faults)
    try:
        after = before.adding({each.path: each.sha256 for each in objects})
    except ValueError as error:
        raise IntegrityError(
            f"{layout.manifest} and {layout.ledger.name} contradict each other: {error}."
            " Nothing was written: run holdfast verify"
        ) from error
    if listed is None or after.entries != before.entries:
        manifest.write(layout.manifest, after)
