"""The extract stage: sealed WARC files in, files of documents out, one beside each.

For each WARC file without documents: (1) walk its records (2) choose the pages (3) make documents
in worker processes (4) write their lines in record order (5) enter the file in ledger and manifest.
WARC files are only read. A file of documents is never changed: other documents are a new revision.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from pipeline import durable
from pipeline.archive.reader import Damage, walk
from pipeline.errors import StorageError
from pipeline.extract.environment import environment
from pipeline.extract.extractor import Skipped
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.fixity import ledger, manifest
from pipeline.fixity.documents import DocumentLines
from pipeline.model import names
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.stages import sealing
from pipeline.stages.extract_report import ExtractReport, Progress, Unread
from pipeline.stages.extract_source import HEAD_ROOM, source_of
from pipeline.stages.extract_workers import Line, Workers

_GZIP_LEVEL = 6


class _Account(Struct, kw_only=True):
    """What happened so far; one for a WARC file, and one for the whole call."""

    documents: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    anomalies: Counter[str] = field(default_factory=Counter)
    damaged: list[Unread] = field(default_factory=list)

    def add(self, other: _Account) -> None:
        self.documents += other.documents
        self.skipped += other.skipped
        self.anomalies += other.anomalies
        self.damaged += other.damaged


def extract(
    layout: Layout,
    policy: ExtractPolicy,
    collections: Sequence[str],
    *,
    everything: bool,
    workers: int,
    observe: Callable[[Progress], None],
    now: datetime,
    interrupted: Callable[[], bool] = lambda: False,
) -> ExtractReport:
    """Make documents of every sealed WARC file that has none.

    Args:
        layout: the archive.
        policy: its settings for extraction.
        collections: names of the collections to look at.
        everything: also of those that have; a new revision is written where documents differ.
        workers: processes; 0 is one for each core.
        observe: told after each capture.
        now: the time that the ledger gives.
        interrupted: asked between records; the file under way is then dropped.

    Raises:
        ArchiveLocked: another process writes to this archive.
        IntegrityError: ledger or manifest is damaged; nothing was written.
        StorageError: the disk refused; run it again when there is room.

    """
    count = workers or os.cpu_count() or 1
    with sealing.writing(layout, now), Workers(policy, count) as pool:
        run = _Extraction(layout, policy, pool, observe, interrupted, now)
        return run.over(collections, everything=everything)


def archived(layout: Layout) -> frozenset[str]:
    """Name the collections that have sealed WARC files; one that was imported has no seed file."""
    listed = manifest.read(layout.manifest)
    parts = map(names.parse, listed.entries if listed else ())
    return frozenset(part.name.collection for part in parts if part and part.kind == "warc")


class _Extraction:
    """One call of the stage."""

    def __init__(
        self,
        layout: Layout,
        policy: ExtractPolicy,
        pool: Workers,
        observe: Callable[[Progress], None],
        interrupted: Callable[[], bool],
        now: datetime,
    ) -> None:
        self._layout = layout
        self._policy = policy
        self._pool = pool
        self._observe = observe
        self._interrupted = interrupted
        self._now = now
        self._total = _Account()
        self._files: list[str] = []
        self._stopped = False  # something was left undone because the operator asked for it

    def over(self, collections: Sequence[str], *, everything: bool) -> ExtractReport:
        listed = manifest.read(self._layout.manifest)
        sealed = set(listed.entries) if listed else set()
        _remove_leftovers(self._layout, collections, sealed)
        revisions = _revisions(sealed)
        todo = [
            part.name
            for path in sorted(sealed)
            if (part := names.parse(path)) and part.kind == "warc"
            if part.name.collection in collections and not part.name.is_log
            if everything or part.name not in revisions
        ]
        for done, name in enumerate(todo):
            if self._must_stop():
                break
            self._one_warc(name, revisions.get(name, 0), (done, len(todo)))
        return ExtractReport(
            documents=self._total.documents,
            skipped=dict(self._total.skipped),
            anomalies=dict(self._total.anomalies),
            files=tuple(self._files),
            damaged=tuple(self._total.damaged),
            interrupted=self._stopped,
        )

    def _must_stop(self) -> bool:
        self._stopped = self._stopped or self._interrupted()
        return self._stopped

    def _one_warc(self, name: Name, revision: int, position: tuple[int, int]) -> None:
        """Write, compare and seal the documents of one WARC file."""
        account = _Account()
        target = self._layout.root / name.documents(revision + 1)
        temporary = target.with_name(target.name + names.TEMPORARY)
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            digest = self._write(temporary, name, account, position)
            # what was written decides: whoever asks to stop from here on comes after this file
            if self._stopped:
                temporary.unlink()
                return
            same = revision > 0 and digest == self._content_digest(name, revision)
            if same:
                temporary.unlink()
            else:
                durable.rename(temporary, target)
        except OSError as error:
            raise StorageError(f"{temporary}: could not be written: {error.strerror}") from error
        self._total.add(account)
        if not same:
            self._seal(name, target, account)

    def _write(self, path: Path, name: Name, account: _Account, position: tuple[int, int]) -> str:
        """Write all documents of one WARC file and give the digest of their lines."""
        digest = hashlib.sha256()
        with path.open("wb") as out:
            # no name and no time in the gzip header: the bytes depend on the documents only
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, out, mtime=0) as lines:
                for made in self._pool.make(self._sources(name, account)):
                    if isinstance(made, Line):
                        lines.write(made.data)
                        digest.update(made.data)
                        account.documents += 1
                        account.anomalies.update(made.anomalies)
                    else:
                        account.skipped[made.reason] += 1
                    self._tell(name, account, position)
            out.flush()
            os.fsync(out.fileno())
        return digest.hexdigest()

    def _sources(self, name: Name, account: _Account) -> Iterator[Source | Skipped]:
        warc, limit = name.warc, self._policy.max_document_bytes
        try:
            for found in walk(self._layout.root / warc, limit=limit + HEAD_ROOM):
                if self._must_stop():
                    return
                if isinstance(found, Damage):
                    account.damaged.append(
                        Unread(
                            path=warc,
                            offset=found.offset,
                            length=found.length,
                            message=f"{found.code}: {found.message}",
                        )
                    )
                    continue
                source = source_of(found, warc, name.collection, limit)
                if source is not None:
                    yield source
        except OSError as error:
            message = error.strerror or type(error).__name__
            account.damaged.append(Unread(path=warc, offset=None, length=None, message=message))

    def _seal(self, name: Name, target: Path, account: _Account) -> None:
        detail = {
            "collection": name.collection,
            "warc": name.warc,
            "documents": account.documents,
            "skipped": dict(account.skipped),
            "anomalies": dict(account.anomalies),
            "damaged": len(account.damaged),
            "config_digest": self._policy.digest(),
            "environment": environment(),
        }
        sealing.enter(
            self._layout,
            [target],
            event_type=ledger.EXTRACTION,
            detail=detail,
            now=self._now,
            outcome="incomplete" if account.damaged else "success",
        )
        self._files.append(self._layout.relative(target))

    def _content_digest(self, name: Name, revision: int) -> str | None:
        """Give the digest of a revision's uncompressed lines; None where it is not whole."""
        digest = hashlib.sha256()
        documents = DocumentLines(self._layout.root / name.documents(revision))
        try:
            for line in documents:
                digest.update(line + b"\n")
        except OSError:
            # for verification to report; what is gone is made again
            return None
        return None if documents.trouble else digest.hexdigest()

    def _tell(self, name: Name, account: _Account, position: tuple[int, int]) -> None:
        self._observe(
            Progress(
                warc=name.name,
                warcs_done=position[0],
                warcs=position[1],
                documents=self._total.documents + account.documents,
                skipped=self._total.skipped.total() + account.skipped.total(),
            )
        )


def _remove_leftovers(layout: Layout, collections: Sequence[str], sealed: set[str]) -> None:
    """Remove documents that a crash kept from being sealed; they can be made again.

    They are no part of the archive (FORMAT.md), yet `show` and the like would read them. What is
    not named after a sealed WARC file was not written here, and stays.

    Args:
        layout: the archive, its ledger and manifest in order: the manifest names all in the ledger.
        collections: whose files to look at.
        sealed: the paths in the manifest.

    Raises:
        StorageError: the disk refused.

    """
    for collection in collections:
        folder = layout.extracted(collection)
        try:
            for path in sorted(folder.iterdir()) if folder.exists() else ():
                relative = layout.relative(path)
                part = names.parse(relative.removesuffix(names.TEMPORARY))
                if part is None or part.kind != "documents" or part.name.warc not in sealed:
                    continue
                if relative not in sealed:
                    path.unlink()
        except OSError as error:
            raise StorageError(f"{folder}: could not be tidied: {error.strerror}") from error


def _revisions(sealed: set[str]) -> dict[Name, int]:
    """Give the highest sealed revision of documents for each WARC file that has any."""
    highest: dict[Name, int] = {}
    for path in sealed:
        part = names.parse(path)
        if part is not None and part.kind == "documents":
            highest[part.name] = max(part.revision, highest.get(part.name, 0))
    return highest
