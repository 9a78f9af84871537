"""The import verb: WARC and ARC files of others -> sealed in the archive, byte for byte.

A file that is laid out as ours are (a gzip member a record) becomes NAME.warc.gz itself. Any other
is kept as NAME.original.… beside a normalised copy, which is what indexes and documents are made
of. A file in which the validator finds an error is refused, and nothing of it stays.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from pipeline import __version__, durable
from pipeline.archive.compose import Provenance
from pipeline.archive.index import member_line
from pipeline.archive.normalise import normalise
from pipeline.archive.validator import Inspection, inspect
from pipeline.config import Config
from pipeline.errors import ConfigError, HoldfastError, IntegrityError, StorageError
from pipeline.fixity import manifest
from pipeline.model.layout import Layout
from pipeline.model.names import (
    ORIGINAL,
    TEMPORARY,
    Name,
    collection_of,
    is_collection,
    name_of,
    parse,
)
from pipeline.model.wording import printable, size, table
from pipeline.stages import sealing
from pipeline.stages.verify_foreign import expect_file

_ENDING = re.compile(r"\.(?:warc|arc)(?:\.gz)?\Z", re.IGNORECASE)
_PIECE: Final = 1 << 20
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Imported(Struct, frozen=True, kw_only=True):
    """A file that is in the archive now.

    Attributes:
        source: the file as the operator named it.
        path: where it lies in the archive, byte for byte.
        records: records in it.
        findings: warnings of the validator, by code.
        was_there: it had been imported before; nothing was done.

    """

    source: str
    collection: str
    path: str
    sha256: str
    size: int
    records: int
    findings: dict[str, int]
    was_there: bool = False


class Refused(Struct, frozen=True, kw_only=True):
    """A file that was not taken, and why; nothing of it is in the archive."""

    source: str
    reason: str
    exit_code: int


class ImportReport(Struct, frozen=True, kw_only=True):
    """The result of the import verb."""

    imported: Sequence[Imported]
    refused: Sequence[Refused]

    @property
    def exit_code(self) -> int:
        """Give the gravest reason for a refusal (4 damaged, 2 no WARC or ARC, 3 unread), else 0."""
        codes = {each.exit_code for each in self.refused}
        return next((code for code in (4, 2, 3) if code in codes), 0)

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json import` prints."""
        return {
            "imported": [structs.asdict(each) for each in self.imported],
            "refused": [structs.asdict(each) for each in self.refused],
            "records": sum(each.records for each in self.imported),
            "bytes": sum(each.size for each in self.imported),
        }

    def as_text(self) -> str:
        """Give the account for people, with the next step."""
        lines = []
        for each in self.imported:
            records = "it was there before" if each.was_there else f"{each.records:,} records"
            odd = ", ".join(f"{code} {n:,} times" for code, n in each.findings.items())
            rows = [("in the archive", each.path), ("holds", f"{records}, {size(each.size)}")]
            if ORIGINAL in each.path:
                rows.append(("beside it", "a normalised copy, for indexes and documents"))
            if odd:
                rows.append(("findings", f"{odd} (docs/findings.md)"))
            lines += [f"Imported: {each.source}", table(rows)]
        lines += [f"Refused: {each.source}\n  {each.reason}" for each in self.refused]
        if any(not each.was_there for each in self.imported):
            lines.append("Next: holdfast extract, then holdfast verify --level records")
        return printable("\n".join(lines))


def ingest(
    layout: Layout, config: Config, files: Sequence[str], collection: str | None, now: datetime
) -> ImportReport:
    """Take files into the archive, one after the other.

    Args:
        layout: the archive.
        config: its settings.
        files: as the operator named them.
        collection: where to put all of them; None: each by its own name.
        now: the time that the ledger gives.

    Raises:
        ConfigError: no collection may be called so.
        ArchiveLocked: another process writes to this archive.
        IntegrityError: ledger or manifest is damaged; nothing was written.
        StorageError: the disk refused. What was reported is sealed.

    """
    if collection is not None and not is_collection(collection):
        raise ConfigError(
            f"--collection {collection}: expected small letters, digits, '.', '_' and '-', at most"
            " 64, the first a letter or digit"
        )
    imported: list[Imported] = []
    refused: list[Refused] = []
    with sealing.writing(layout, now):
        for file in files:
            try:
                imported.append(_Ingestion(layout, config, file, collection, now).run())
            except StorageError:
                raise
            except HoldfastError as error:
                refused.append(Refused(source=file, reason=str(error), exit_code=error.exit_code))
            except OSError as error:
                if error.errno in _FULL:
                    raise StorageError(f"{layout.root}: the disk is full; make room") from error
                reason = f"{file}: could not be read: {error.strerror or error}"
                refused.append(Refused(source=file, reason=reason, exit_code=3))
    return ImportReport(imported=imported, refused=refused)


class _Ingestion:
    """One file on its way into the archive."""

    def __init__(
        self, layout: Layout, config: Config, file: str, collection: str | None, now: datetime
    ) -> None:
        self._layout = layout
        self._config = config
        self._file = file
        self._now = now
        self._filename = Path(file).name
        ending = _ENDING.search(self._filename)
        stem = self._filename[: ending.start()] if ending else self._filename
        self._ending = ending[0].lower() if ending else ".warc"
        self._stem = name_of(stem)
        self._collection = collection or collection_of(stem)

    def run(self) -> Imported:
        """Take the file in.

        Raises:
            HoldfastError: it is refused, with the reason.
            OSError: it cannot be read.

        """
        expect_file(self._file)
        folder = self._layout.warc(self._collection)
        is_new = not folder.exists()
        try:
            with _begun(folder / f"{self._stem}.import{TEMPORARY}") as copy:
                digest = _copy(Path(self._file), copy)
                listed = manifest.read(self._layout.manifest)
                known = self._find(digest, listed.entries if listed else {})
                if known:
                    return Imported(
                        source=self._file,
                        collection=self._collection,
                        path=known,
                        sha256=digest,
                        size=copy.stat().st_size,
                        records=0,
                        findings={},
                        was_there=True,
                    )
                return self._seal(copy, digest)
        finally:
            if is_new:
                with suppress(OSError):  # something was sealed in it
                    folder.rmdir()

    def _find(self, digest: str, entries: Mapping[str, str]) -> str | None:
        """Find a sealed file of the collection that has these bytes."""
        same = (path for path, sealed in entries.items() if sealed == digest)
        return next(
            (p for p in same if (part := parse(p)) and part.name.collection == self._collection),
            None,
        )

    def _seal(self, copy: Path, digest: str) -> Imported:
        """Seal the copy: as NAME.warc.gz itself, or with a normalised copy beside it."""
        name = self._free_name(digest)
        found = inspect(copy, self._file, filename=Path(name.warc).name)
        if found.sha256 != digest:
            raise StorageError(f"{copy}: what was written reads otherwise; check the disk")
        if found.ok and found.counts:
            return self._enter(name.warc, digest, found, self._finish(name, copy, found))
        foreign = inspect(copy, self._file, filename=self._filename, foreign=True)
        _refuse(self._file, foreign)
        path = name.original(self._ending)
        with _begun(self._layout.root / (name.warc + TEMPORARY)) as made:
            provenance = _provenance(self._config, path, digest)
            spool = self._layout.working
            normalise(copy, made, provenance, self._config.warc, self._now, spool)
            found = inspect(made, name.warc, filename=Path(name.warc).name)
            _refuse(self._file, found)
            durable.rename(copy, self._layout.root / path)
            files = [self._layout.root / path, *self._finish(name, made, found)]
        return self._enter(path, digest, foreign, files)

    def _finish(self, name: Name, begun: Path, found: Inspection) -> list[Path]:
        """Give NAME.warc.gz its name and its sidecars."""
        warc, members, index = (
            self._layout.root / path for path in (name.warc, name.members, name.cdxj)
        )
        durable.replace(members, b"".join(map(member_line, found.members)))
        durable.replace(index, b"".join(found.index))
        durable.rename(begun, warc)
        return [warc, members, index]

    def _enter(self, path: str, digest: str, found: Inspection, files: Sequence[Path]) -> Imported:
        imported = Imported(
            source=self._file,
            collection=self._collection,
            path=path,
            sha256=digest,
            size=files[0].stat().st_size,
            records=sum(found.counts.values()),
            findings=dict(sorted(Counter(finding.code for finding in found.findings).items())),
        )
        detail = {
            "collection": self._collection,
            "source": printable(self._filename),
            "findings": imported.findings,
        }
        sealing.enter(self._layout, files, event_type="ingestion", detail=detail, now=self._now)
        return imported

    def _free_name(self, digest: str) -> Name:
        """Find a NAME that no file has, but for what a cut import of the same file left."""
        for number in count(1):
            name = Name(self._collection, self._stem if number == 1 else f"{self._stem}-{number}")
            mains = [self._layout.root / name.warc, self._layout.root / name.original(self._ending)]
            there = [path for path in mains if os.path.lexists(path)]
            if not there:
                break
            is_left = not any(sealing.is_sealed(self._layout, path) for path in there)
            if is_left and any(path.is_file() and _digest(path) == digest for path in there):
                break
        return name


@contextmanager
def _begun(path: Path) -> Iterator[Path]:
    """Give the name of a file that is being written; if it still has it at the end, it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> str:
    """Copy a file durably; give the hex digest of what was read."""
    hashed = hashlib.sha256()
    with source.open("rb") as data, target.open("wb") as out:
        while piece := data.read(_PIECE):
            hashed.update(piece)
            out.write(piece)
        out.flush()
        durable.sync(out.fileno())
    return hashed.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _refuse(file: str, found: Inspection) -> None:
    """Refuse a file with an error, or without a record.

    Raises:
        ConfigError: it is no WARC or ARC file.
        IntegrityError: it is damaged.

    """
    errors = [finding for finding in found.findings if finding.severity == "error"]
    if errors:
        first = errors[0]
        place = "" if first.offset is None else f" at byte {first.offset}"
        raise IntegrityError(
            f"{file}: {first.code}{place}: {first.message} ({len(errors)} in all)."
            f" Nothing was imported: holdfast verify {file} tells all; get a good copy"
        )
    if not found.counts:
        what = found.findings[0].message if found.findings else "no record is in it"
        raise ConfigError(f"{file}: {what}; only WARC and ARC files can be imported")


def _provenance(config: Config, original: str, digest: str) -> Provenance:
    """Say what the warcinfo of a normalised copy says."""
    info = [
        ("software", f"Holdfast/{__version__}"),
        ("format", "WARC File Format 1.1"),
        ("operator", config.archive.operator),
        ("contact", config.archive.contact),
        ("description", f"normalised copy of {original}, sha256:{digest}"),
    ]
    return Provenance(info=[(name, value) for name, value in info if value])
