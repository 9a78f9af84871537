"""The repair verb: damaged and missing files brought back, each to the digest it was sealed with.

(1) ledger and manifest (2) each sealed file that is not what was sealed: whole from a replica, or
member by member from several damaged copies, or derived again from the WARC file (3) the ledger is
told (4) the damaged bytes go to quarantine and the good file gets the name. A crash between two of
these loses nothing: the next repair begins with what is damaged then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from pipeline import durable
from pipeline.archive.index import member_line
from pipeline.archive.validator import inspect
from pipeline.errors import ConfigError, StorageError
from pipeline.fixity import disk, ledger
from pipeline.fixity.documents import Derivations, DocumentLines
from pipeline.fixity.ledger import SealedFile
from pipeline.model.digest import sha256
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.model.names import Part, parse
from pipeline.stages import copying, sealing
from pipeline.stages.quarantine import name_of, put_away
from pipeline.stages.rebuild import Copy, Rebuilt, rebuild
from pipeline.stages.repair_accounts import Restored, restore_accounts
from pipeline.stages.repair_checkpoint import restore_checkpoint
from pipeline.stages.repair_report import Mended, RepairProgress, RepairReport

EVENT = "repair"
HERE = "this archive"

_BATCH_FILES = 1000
_BATCH_BYTES = 1 << 30
_MAX_LOST = 1000


class _Ready(Struct, frozen=True, kw_only=True):
    """A good file that lies beside the damaged one under its temporary name."""

    sealed: SealedFile
    mended: Mended


def repair(
    layout: Layout,
    replicas: Sequence[Path],
    *,
    dry_run: bool,
    now: datetime,
    observe: Callable[[RepairProgress], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> RepairReport:
    """Repair what can be repaired.

    Args:
        layout: the archive.
        replicas: folders of copies, the first choice first; any of them may be damaged or hostile.
        dry_run: only tell what would be done; nothing is written and no lock is needed.
        now: the time that the ledger gives.
        observe: told after each file.
        interrupted: asked between files.

    Raises:
        ConfigError: a replica is no folder, or is this archive.
        ArchiveLocked: another process writes to this archive.
        StorageError: the disk refused; run it again to go on.

    """
    copies = [_copy(layout, path) for path in replicas]
    work = _Repair(layout, copies, dry_run, now, observe, interrupted)
    if dry_run:
        return work.over(_restored(layout, copies, dry_run=True))
    with durable.exclusive(layout.lock, sealing.LOCK_WAIT_S):
        restored = _restored(layout, copies, dry_run=False)
        if layout.copy.exists() or not restored.objects:
            return work.over(restored)
    with sealing.writing(layout, now):
        return work.over(restored)


def _restored(layout: Layout, copies: Sequence[Copy], *, dry_run: bool) -> Restored:
    """See to what vouches for all other files, before any of them is looked at."""
    restored = restore_accounts(layout, copies, dry_run=dry_run)
    account = ledger.read(layout.ledger) if restored.objects else None
    if account is not None and not account.faults:
        restore_checkpoint(layout, account, copies, restored, dry_run=dry_run)
    return restored


def _copy(layout: Layout, path: Path) -> Copy:
    if not path.is_dir():
        raise ConfigError(f"{path}: is no folder; --from names the root of a copy")
    if path.resolve() == layout.root.resolve():
        raise ConfigError(f"{path}: is this archive itself; --from names a copy")
    return Copy(label=str(path), root=path.resolve())


class _Repair:
    """One call of the stage."""

    def __init__(
        self,
        layout: Layout,
        copies: Sequence[Copy],
        dry_run: bool,
        now: datetime,
        observe: Callable[[RepairProgress], None],
        interrupted: Callable[[], bool],
    ) -> None:
        self._layout = layout
        self._copies = copies
        self._dry_run = dry_run
        self._now = now
        self._observe = observe
        self._interrupted = interrupted
        self._report = RepairReport(dry_run=dry_run)
        self._objects: dict[str, SealedFile] = {}
        self._ready: list[_Ready] = []

    def over(self, restored: Restored) -> RepairReport:
        report = self._report
        report.findings += restored.findings
        self._objects = restored.objects
        report.mended += [
            Mended(path=path, method="copied", sources={source: 1})
            for path, source in restored.sources.items()
        ]
        report.quarantined += restored.quarantined
        if restored.sources and not self._dry_run and self._objects:
            self._tell([], restored.sources)
        for number, sealed in enumerate(sorted(self._objects.values(), key=_turn), 1):
            if self._interrupted():
                report.interrupted = True
                break
            self._one(sealed)
            self._observe(
                RepairProgress(
                    files=number,
                    total=len(self._objects),
                    mended=len(report.mended) + len(self._ready),
                )
            )
        self._finish()
        return report

    def _one(self, sealed: SealedFile) -> None:
        here = disk.digest(self._layout.root, sealed.path)
        if (here.size, here.sha256) == (sealed.size, sealed.sha256):
            self._report.intact += 1
            return
        if here.trouble == "denied":
            self._give_up(sealed, "it may not be read: run repair as a user who may")
            return
        try:
            mended = self._mend(sealed)
        except OSError as error:
            raise StorageError(
                f"{sealed.path}: could not be written: {error.strerror}. What was repaired before"
                " is kept: see to it, then run it again to go on"
            ) from error
        if mended is None:
            return
        if self._dry_run:
            self._report.mended.append(mended)
            return
        self._ready.append(_Ready(sealed=sealed, mended=mended))
        size = sum(each.sealed.size for each in self._ready)
        if len(self._ready) >= _BATCH_FILES or size >= _BATCH_BYTES:
            self._finish()

    def _mend(self, sealed: SealedFile) -> Mended | None:
        """Lay the good file under its temporary name, and say where it came from."""
        if not self._dry_run:
            copying.make_folder(self._layout.root, sealed.path)
        troubles = []
        for copy in self._copies:
            why = self._whole(copy, sealed)
            if not why:
                return Mended(path=sealed.path, method="copied", sources={copy.label: 1})
            troubles.append(f"{copy.label}: {why}")
        part = parse(sealed.path)
        if part and part.kind == "warc":
            return self._rebuilt(sealed, part, troubles)
        sidecar = part is not None and part.kind in ("members", "cdxj")
        if part and sidecar and (mended := self._derived(sealed, part)):
            return mended
        hint = ""
        if part and part.kind == "documents":
            hint = "; holdfast extract --all makes its documents again, in a new revision"
        self._give_up(sealed, "; ".join(troubles) + hint)
        return None

    def _whole(self, copy: Copy, sealed: SealedFile) -> str:
        if not self._dry_run:
            return copying.fetch(copy.root, sealed, self._layout.root)
        seen = disk.look(copy.root, sealed.path)
        if seen.trouble is None and seen.size == sealed.size:
            seen = disk.digest(copy.root, sealed.path)
        if (seen.size, seen.sha256) == (sealed.size, sealed.sha256):
            return ""
        return seen.detail or (copying.MISSING if seen.trouble else "it is damaged there, too")

    def _rebuilt(self, sealed: SealedFile, part: Part, troubles: Sequence[str]) -> Mended | None:
        copies = [Copy(label=HERE, root=self._layout.root), *self._copies]
        members = self._objects.get(part.name.members)
        if self._dry_run:
            result = rebuild(sealed, members, copies, None)
        else:
            copying.require_room(self._layout.root, sealed.size)
            target = copying.temporary(self._layout.root, sealed.path)
            with copying.create(self._layout.root, sealed.path) as out:
                result = rebuild(sealed, members, copies, out)
                if _is_whole(result):
                    durable.sync(out.fileno())
                    copying.confirm(out, target, sealed)
            if not _is_whole(result):
                target.unlink()
        if _is_whole(result):
            return Mended(path=sealed.path, method="rebuilt", sources=dict(result.taken))
        if not result.described:
            troubles = [*troubles, "no copy has an intact list of its members"]
        self._give_up(sealed, "; ".join(troubles))
        self._report.findings += self._lost(part, result)
        return None

    def _lost(self, part: Part, result: Rebuilt) -> Iterator[Finding]:
        derived = Derivations()
        for path, sealed in self._objects.items():
            other = parse(path)
            if other and other.kind == "documents" and other.name == part.name:
                for copy in (Copy(label=HERE, root=self._layout.root), *self._copies):
                    if disk.digest(copy.root, path).sha256 == sealed.sha256:
                        derived.read(DocumentLines(copy.root / path))
                        break
        for member in result.lost[:_MAX_LOST]:
            finding = Finding.of(
                "E465",
                part.name.warc,
                f"a {member.type} record" + (f" of {member.uri}" if member.uri else ""),
                offset=member.offset,
                length=member.length,
                record_id=member.record_id,
            )
            documents = derived.of(member.offset, member.length, member.record_id)
            yield finding.with_affected(tuple(dict.fromkeys(documents)))

    def _derived(self, sealed: SealedFile, part: Part) -> Mended | None:
        """Derive a sidecar from its WARC file; None where that does not give the sealed bytes."""
        self._finish()
        warc = self._objects.get(part.name.warc)
        if warc is None or disk.digest(self._layout.root, warc.path).sha256 != warc.sha256:
            return None
        found = inspect(self._layout.root / warc.path, warc.path)
        lines = found.index if part.kind == "cdxj" else map(member_line, found.members)
        data = b"".join(lines)
        if sha256(data) != f"sha256:{sealed.sha256}":
            return None
        if not self._dry_run:
            with copying.create(self._layout.root, sealed.path) as out:
                copying.write(out, data)
                durable.sync(out.fileno())
        return Mended(path=sealed.path, method="derived", sources={warc.path: 1})

    def _give_up(self, sealed: SealedFile, why: str) -> None:
        self._report.findings.append(Finding.of("E464", sealed.path, why))

    def _finish(self) -> None:
        """Tell the ledger, then put the good files in the place of the damaged ones."""
        ready, self._ready = self._ready, []
        if not ready:
            return
        self._tell(ready, {})
        for each in ready:
            self._report.quarantined += put_away(self._layout, each.sealed.path)
            copying.settle(self._layout.root, each.sealed.path)
            self._report.mended.append(each.mended)

    def _tell(self, ready: Sequence[_Ready], accounts: dict[str, str]) -> None:
        if self._layout.copy.exists():
            # a copy's ledger is the archive's; with an event of its own it would be another
            return
        detail: dict[str, object] = {
            "repaired": {each.sealed.path: each.mended.as_detail() for each in ready},
            "quarantine": [
                name_of(self._layout, each.sealed.path)
                for each in ready
                if disk.look(self._layout.root, each.sealed.path).trouble != "missing"
            ]
            or list(self._report.quarantined if accounts else ()),
        }
        if accounts:
            detail["accounts"] = accounts
        sealing.enter(
            self._layout,
            [],
            event_type=EVENT,
            detail=detail,
            now=self._now,
            digested=[each.sealed for each in ready],
        )


def _is_whole(result: Rebuilt) -> bool:
    return result.described and not result.lost


def _turn(sealed: SealedFile) -> tuple[bool, str]:
    """WARC files first: their sidecars can be derived from them."""
    part = parse(sealed.path)
    return part is None or part.kind != "warc", sealed.path
