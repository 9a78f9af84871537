"""The replicate verb: a copy of the archive on another disk, brought up to date.

(1) take a snapshot of the ledger (2) see that the copy's ledger is its beginning (3) copy each
sealed file that the copy lacks, and believe it when read back (4) only then ledger, manifest and
what else is in fixity/. Reading needs no lock: a sealed file never changes, so a crawl may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline import durable
from pipeline.errors import ConfigError, IntegrityError, StorageError
from pipeline.fixity import audit, checks, disk, ledger, lineage, manifest
from pipeline.fixity.ledger import Ledger, SealedFile
from pipeline.fixity.manifest import Manifest
from pipeline.model.digest import sha256
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.model.names import TEMPORARY
from pipeline.model.wording import printable, size, table
from pipeline.stages import copying
from pipeline.stages.sealing import LOCK_WAIT_S

_READINGS = 5
_FOREIGN = ("lost+found",)  # a new disk has it, and it is nobody's archive


class ReplicateProgress(Struct, frozen=True, kw_only=True):
    """How far the copy has come."""

    files: int
    total: int
    bytes_copied: int

    def facts(self) -> Sequence[tuple[str, str]]:
        """Give the title and the numbers for a display."""
        return (
            ("replicating", ""),
            ("files", f"{self.files:,}/{self.total:,}"),
            ("copied", size(self.bytes_copied)),
        )


class ReplicateReport(Struct, kw_only=True):
    """What was copied.

    Attributes:
        copied, kept: sealed files that were copied, and that were there already.
        bytes: of the files that were copied.
        findings: what is damaged on either side, and so was not copied.
        interrupted: the operator stopped it; it goes on where it stopped.

    """

    to: str
    copied: int = 0
    kept: int = 0
    bytes: int = 0
    findings: list[Finding]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Give 130 after an interruption, 4 where something is damaged, else 0."""
        if self.interrupted:
            return 130
        return 4 if self.findings else 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json replicate` prints."""
        return {
            "ok": self.exit_code == 0,
            "to": self.to,
            "copied": self.copied,
            "kept": self.kept,
            "bytes": self.bytes,
            "failed": len(self.findings),
            "findings": [finding.as_json() for finding in self.findings],
        }

    def as_text(self) -> str:
        """Give the account for people, with the next step."""
        rows = [
            ("copied", f"{self.copied:,} files, {size(self.bytes)}"),
            ("already there", f"{self.kept:,} files"),
            ("not copied", f"{len(self.findings):,} files"),
        ]
        lines = [f"{each.code} {each.path}: {each.message}" for each in self.findings[:50]]
        lines += [f"Copy in {self.to}", table(rows)]
        if self.interrupted:
            lines.append("Interrupted: run holdfast replicate again to go on.")
        elif any(each.code in ("E461", "E404") for each in self.findings):
            lines.append(f"Next: holdfast -C {self.to} repair --from THIS ARCHIVE")
        elif self.findings:
            lines.append("Next: holdfast verify, then holdfast repair --from a good copy.")
        else:
            lines.append(f"Next: holdfast -C {self.to} verify reads all of it once more.")
        return printable("\n".join(lines))


def replicate(
    layout: Layout,
    to: Path,
    *,
    check: bool = False,
    observe: Callable[[ReplicateProgress], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> ReplicateReport:
    """Bring the copy in the folder `to` up to date, or make it.

    Args:
        layout: the archive.
        to: the copy's folder.
        check: also read what the copy has already; else its size is believed.
        observe: told after each file.
        interrupted: asked between files.

    Raises:
        ConfigError: there can be no copy of this archive in that folder.
        ArchiveLocked: another process writes to the copy.
        IntegrityError: ledger or manifest is damaged, or the copy has another history.
        StorageError: the copy's disk refused; run it again to go on.

    """
    copy = Layout(to)
    _refuse_place(layout, copy)
    if not layout.ledger.exists():
        if layout.manifest.exists():
            raise IntegrityError(f"{layout.ledger}: is gone; holdfast repair --from a copy first")
        raise ConfigError(f"{layout.root}: nothing is sealed yet; holdfast crawl first")
    try:
        with durable.exclusive(copy.lock, LOCK_WAIT_S):
            if not copy.ledger.exists():
                durable.replace(copy.copying, b"")
            return _Copying(layout, copy, check, observe, interrupted).run()
    except OSError as error:
        raise StorageError(
            f"{error.filename or to}: {error.strerror}; run it again to go on"
        ) from error


def _refuse_place(layout: Layout, copy: Layout) -> None:
    here, there = layout.root.resolve(), copy.root.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise ConfigError(f"{copy.root}: a copy cannot lie in its archive, nor around it")
    try:
        names = [entry.name for entry in copy.root.iterdir()]
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{copy.root}: {error.strerror}; name a folder") from error
    for folder in (copy.working, copy.seeds, copy.ledger.parent):
        if folder.is_symlink():
            raise ConfigError(f"{folder}: is a symbolic link; a copy is made of real folders")
    foreign = [name for name in names if not name.startswith(".") and name not in _FOREIGN]
    if foreign and not copy.ledger.exists() and not copy.copying.exists():
        raise ConfigError(
            f"{copy.root}: is not empty and no archive: {foreign[0]!r} is there. Name a new folder"
        )


class _Copying:
    """One call of the stage, the copy's lock held."""

    def __init__(
        self,
        source: Layout,
        copy: Layout,
        check: bool,
        observe: Callable[[ReplicateProgress], None],
        interrupted: Callable[[], bool],
    ) -> None:
        self._source = source
        self._copy = copy
        self._check = check
        self._observe = observe
        self._interrupted = interrupted
        self._report = ReplicateReport(to=str(copy.root), findings=[])

    def run(self) -> ReplicateReport:
        account, extra = self._snapshot()
        sealed_there = self._sealed_there()
        durable.replace(self._copy.copying, b"")
        durable.replace(self._copy.copy, b"")
        self._working_files()
        total = len(account.objects)
        for number, sealed in enumerate(account.objects.values(), 1):
            if self._interrupted():
                self._report.interrupted = True
                return self._report
            self._one(sealed, sealed_there)
            self._observe(
                ReplicateProgress(files=number, total=total, bytes_copied=self._report.bytes)
            )
        copying.settle(self._copy.root, ledger.NAME)
        listed = Manifest(entries={e.path: e.sha256 for e in account.objects.values()})
        manifest.write(self._copy.manifest, listed)
        for path, data in extra.items():
            durable.replace(self._copy.root / path, data)
        self._copy.copying.unlink()
        return self._report

    def _snapshot(self) -> tuple[Ledger, Mapping[str, bytes]]:
        """Write the ledger as it is now beside the copy's, and read the small files with it."""
        target = copying.temporary(self._copy.root, ledger.NAME)
        for _ in range(_READINGS):
            # first, so that a checkpoint is never ahead of its ledger
            extra = self._extra()
            with copying.create(self._copy.root, ledger.NAME) as out:
                copying.copy_lines(self._source.root, ledger.NAME, out)
                durable.sync(out.fileno())
            account = ledger.read(target)
            listed = manifest.read(self._source.manifest)
            found = [*audit.accounts(listed, account)]
            if not any(finding.severity == "error" for finding in found):
                break
        faults = [*(account.faults if account else ()), *(listed.faults if listed else ())]
        trouble = [each for each in (*faults, *found) if each.severity == "error"]
        if account is None or not account.size or trouble:
            why = f"{trouble[0].path}: {trouble[0].message}" if trouble else "nothing is sealed yet"
            target.unlink(missing_ok=True)
            raise IntegrityError(
                f"{self._source.root}: not copied: {why}. Run holdfast verify, then holdfast"
                " repair; a copy's ledger and manifest are never replaced by damaged ones"
            )
        return account, extra

    def _extra(self) -> dict[str, bytes]:
        # what was checked here says nothing of the copy
        known = (ledger.NAME, manifest.NAME, checks.NAME)
        return {
            path: (self._source.root / path).read_bytes()
            for path in copying.plain_files(self._source.root, "fixity")
            if path not in known and not path.endswith(TEMPORARY)
        }

    def _sealed_there(self) -> Mapping[str, SealedFile]:
        before = ledger.read(self._copy.ledger)
        if before is None:
            return {}
        found = lineage.compare(copying.temporary(self._copy.root, ledger.NAME), self._copy.ledger)
        if found.relation not in ("same", "behind"):
            how = (
                "it has sealed more than this archive"
                if found.relation == "ahead"
                else f"line {(found.parted or 0) + 1} of its ledger is another than here"
            )
            copying.temporary(self._copy.root, ledger.NAME).unlink()
            raise IntegrityError(
                f"{self._copy.root}: is no copy of this archive: {how}. Nothing was written:"
                " holdfast verify --replica compares the two"
            )
        return before.objects

    def _working_files(self) -> None:
        paths = ["config.toml", *copying.plain_files(self._source.root, "seeds")]
        for path in paths:
            source = self._source.root / path
            if path.endswith(TEMPORARY) or source.is_symlink() or not source.is_file():
                continue
            data, there = source.read_bytes(), disk.digest(self._copy.root, path)
            if there.trouble or sha256(data) != f"sha256:{there.sha256}":
                durable.replace(self._copy.root / path, data)

    def _one(self, sealed: SealedFile, sealed_there: Mapping[str, SealedFile]) -> None:
        report, there = self._report, disk.look(self._copy.root, sealed.path)
        listed = sealed.path in sealed_there
        if there.trouble is None and (self._check or not listed):
            # what the copy's ledger does not vouch for is not believed for its size
            there = disk.digest(self._copy.root, sealed.path)
        same = there.size == sealed.size and there.sha256 in ("", sealed.sha256)
        if there.trouble is None and same:
            report.kept += 1
        elif there.trouble not in (None, "missing") or (there.trouble is None and listed):
            code = "E404" if there.trouble == "not-plain" else "E461"
            detail = there.detail or "it is left as it is; repair the copy from this archive"
            report.findings.append(Finding.of(code, sealed.path, f"{self._copy.root}: {detail}"))
        elif why := copying.fetch(self._source.root, sealed, self._copy.root):
            code = "E401" if why == copying.MISSING else "E402"
            report.findings.append(Finding.of(code, sealed.path, f"not copied: {why}"))
        else:
            copying.settle(self._copy.root, sealed.path)
            report.copied += 1
            report.bytes += sealed.size
