"""The verify verb: the whole archive against its manifest and ledger, in both directions.

Needs no lock and writes nothing but which checkpoint it has seen, so it works on a read-only copy
and beside a running crawl. What a writer seals meanwhile is checked too, or counted as in progress;
it is never called damage.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field, structs

from pipeline import durable
from pipeline.errors import HoldfastError
from pipeline.fixity import audit, disk, ledger, manifest
from pipeline.fixity.audit import Expected
from pipeline.fixity.ledger import Ledger
from pipeline.fixity.manifest import Manifest
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, TEMPORARY, Name, parse
from pipeline.model.wording import size
from pipeline.stages.verify_checkpoint import check_ledger
from pipeline.stages.verify_file import Checked, Level, Task, check
from pipeline.stages.verify_report import Checkpoint, Counts, VerifyReport

# below this, starting processes costs more than they save
_WORTH_PROCESSES = 32 * 1024 * 1024
_MAX_READINGS = 5

_Read = TypeVar("_Read")


class VerifyProgress(Struct, frozen=True, kw_only=True):
    """How far verification has come."""

    files: int
    total: int
    bytes_read: int
    findings: int

    def facts(self) -> Sequence[tuple[str, str]]:
        """Give the title and the numbers for a display."""
        return (
            ("verifying", ""),
            ("files", f"{self.files}/{self.total}"),
            ("read", size(self.bytes_read)),
            ("findings", str(self.findings)),
        )


Observer = Callable[[VerifyProgress], None]
Examine = Callable[[Task], Checked]


def verify(
    layout: Layout,
    level: Level = "files",
    observe: Observer | None = None,
    workers: int | None = None,
    earlier: Collection[str] = (),
    examine: Examine = check,
    against: Path | None = None,
) -> VerifyReport:
    """Check the archive.

    Args:
        layout: the archive.
        level: `quick` looks at names and sizes; `files` reads every byte; `records` also reads
            every WARC record and its indexes. For the other two there is `verify_deep`.
        observe: is told the progress after each file.
        workers: processes; None means one per core where there is enough to do.
        earlier: paths of sealed files that are not to be read this time.
        examine: checks one file.
        against: a checkpoint that was kept elsewhere, which the ledger must continue.

    Raises:
        ConfigError: `against` is no checkpoint.
        HoldfastError: a process that was checking files was killed.

    """
    tally = _Tally(observe)
    accounts = read_accounts(layout)
    expected = audit.expect(accounts.manifest, accounts.ledger)
    everything = tasks_for(layout.root, expected, level, accounts.ledger)
    tasks = [task for task in everything if task.name not in earlier]
    left_out = len(expected) - len(tasks)
    _check_all(tasks, workers, tally, examine)

    on_disk = dict(disk.files(layout.root))
    if set(on_disk) - set(expected):
        accounts = read_accounts(layout)
        now = audit.expect(accounts.manifest, accounts.ledger)
        sealed_meanwhile = {path: now[path] for path in now.keys() - expected.keys()}
        tasks = tasks_for(layout.root, now, level, accounts.ledger)
        tasks = [task for task in tasks if task.name in sealed_meanwhile]
        _check_all(tasks, workers, tally, examine)
        expected = expected | sealed_meanwhile
    in_progress = _unlisted(layout.root, on_disk, expected, accounts, tally)
    if layout.copying.exists() and not durable.is_held(layout.lock):
        tally.findings.append(audit.unfinished_copy())
        tally.unfinished += 1
    disagreements = accounts.disagreements()
    if accounts.writing:
        in_progress += len(disagreements)
    else:
        tally.findings += disagreements
    tally.findings += accounts.faults()
    tally.unreadable += len(accounts.refused)
    checkpoint = check_ledger(
        layout, accounts.ledger, writing=accounts.writing, against=against, findings=tally.findings
    )
    return _report(level, tally, in_progress, left_out, checkpoint)


class Accounts(Struct, frozen=True, kw_only=True):
    """Manifest and ledger, read while a writer may be at work."""

    manifest: Manifest | None
    ledger: Ledger | None
    writing: bool
    refused: tuple[Finding, ...]

    def disagreements(self) -> list[Finding]:
        """Give how the two differ; nothing can be said where one cannot be read."""
        return [] if self.refused else list(audit.accounts(self.manifest, self.ledger))

    def faults(self) -> Iterator[Finding]:
        """Give what is wrong with each of them."""
        yield from self.refused
        if self.manifest:
            yield from self.manifest.faults
        if self.ledger:
            yield from self.ledger.faults
            yield from audit.beginning(self.ledger)
            if self.ledger.torn and not self.writing:
                yield audit.torn(self.ledger.torn)


def read_accounts(layout: Layout) -> Accounts:
    """Read both accounts, again where a writer was between the two."""
    for _ in range(_MAX_READINGS):
        # asked first: a writer that has ended by now has written both
        writing = durable.is_held(layout.lock) or layout.copying.exists()
        refused: list[Finding] = []
        accounts = Accounts(
            manifest=_unless_refused(layout, manifest.NAME, manifest.read, refused),
            ledger=_unless_refused(layout, ledger.NAME, ledger.read, refused),
            writing=writing,
            refused=tuple(refused),
        )
        if not writing or not accounts.disagreements():
            break
    return accounts


def _unless_refused(
    layout: Layout, name: str, read: Callable[[Path], _Read], refused: list[Finding]
) -> _Read | None:
    seen = disk.look(layout.root, name)
    try:
        # a link may lead to what has no end; a folder is for the reading itself to refuse
        if seen.trouble != "not-plain" or (layout.root / name).is_dir():
            return read(layout.root / name)
    except OSError as error:
        seen = disk.refusal(error)
    finding = audit.file(Expected(path=name, sha256="", size=None), seen)
    refused += [finding] if finding else []
    return None


class _Tally(Struct):
    """What has been checked so far."""

    observe: Observer | None
    files: int = 0
    members: int = 0
    records: int = 0
    documents: int = 0
    unreadable: int = 0
    unfinished: int = 0
    left: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    total: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, checked: Checked) -> None:
        self.files += checked.read
        self.unreadable += not checked.read
        self.members += checked.members
        self.records += checked.records
        self.documents += checked.documents
        self.left.update(checked.left)
        self.bytes_read += checked.bytes_read
        self.findings += checked.findings
        if self.observe:
            self.observe(
                VerifyProgress(
                    files=self.files + self.unreadable,
                    total=self.total,
                    bytes_read=self.bytes_read,
                    findings=len(self.findings),
                )
            )


def tasks_for(
    root: Path, expected: dict[str, Expected], level: Level, last: Ledger | None
) -> list[Task]:
    """Make the tasks, the largest file first, so that no process is left alone with it."""
    extractions = last.extractions if last else {}
    parts = {path: parse(path) for path in expected}
    documents: dict[Name, list[str]] = {}
    for path, part in parts.items():
        if part and part.kind == "documents":
            documents.setdefault(part.name, []).append(path)
    tasks = []
    for path, part in parts.items():
        task = Task(root=root, expected=expected[path], level=level, part=part)
        if part and part.kind == "warc":
            task = structs.replace(
                task,
                members=expected.get(part.name.members),
                index=expected.get(part.name.cdxj),
                documents=tuple(sorted(documents.get(part.name, ()))),
            )
        elif part and part.kind == "documents":
            task = structs.replace(
                task,
                documents=tuple(sorted({*documents[part.name]} - {path}, reverse=True)),
                warc=expected.get(part.name.warc),
                extraction=extractions.get(path),
            )
        tasks.append(task)
    return sorted(tasks, key=lambda task: (-(task.expected.size or 0), task.name))


def _check_all(tasks: Sequence[Task], workers: int | None, tally: _Tally, examine: Examine) -> None:
    tally.total += len(tasks)
    with _mapping(tasks, workers, examine) as results:
        for checked in results:
            tally.add(checked)


@contextmanager
def _mapping(
    tasks: Sequence[Task], workers: int | None, examine: Examine
) -> Iterator[Iterable[Checked]]:
    """Give the results in the order of the tasks, from processes where they pay."""
    wanted = workers or os.cpu_count() or 1
    enough = workers is not None or sum(t.expected.size or 0 for t in tasks) > _WORTH_PROCESSES
    count = min(wanted, len(tasks)) if enough else 1
    if count < 2:
        yield map(examine, tasks)
        return
    # threads of a display make fork unsafe
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_ignore_interrupt)
    try:
        yield pool.map(examine, tasks)
    except BrokenProcessPool:
        raise HoldfastError(
            "a process that was checking files was killed, maybe because memory ran out;"
            " use fewer: holdfast verify --workers 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _unlisted(
    root: Path,
    on_disk: dict[str, audit.Observed],
    expected: dict[str, Expected],
    accounts: Accounts,
    tally: _Tally,
) -> int:
    """Report what is there and in no account; give how much of it a writer may be sealing."""
    plain: list[str] = []
    begun: list[str] = []
    for path in sorted(set(on_disk) - set(expected)):
        trouble = on_disk[path].trouble
        if trouble is None:
            (begun if path.endswith((OPEN, TEMPORARY)) else plain).append(path)
        elif trouble != "missing":
            finding = audit.file(Expected(path=path, sha256="", size=None), on_disk[path])
            tally.findings += [finding] if finding else []
            tally.unreadable += trouble in ("denied", "unreadable")
    if accounts.writing:
        return len(plain)
    tally.findings += audit.unlisted(plain)
    # a writer that has ended since the folder was listed has renamed what it began
    left = [path for path in begun if disk.look(root, path).trouble != "missing"]
    tally.findings += audit.unfinished(left)
    tally.unfinished = len(left)
    return 0


def _report(
    level: Level, tally: _Tally, in_progress: int, earlier: int, checkpoint: Checkpoint | None
) -> VerifyReport:
    return VerifyReport(
        level=level,
        checked=Counts(
            files=tally.files,
            members=tally.members,
            records=tally.records,
            documents=tally.documents,
        ),
        in_progress=in_progress,
        earlier=earlier,
        unreadable=tally.unreadable,
        unfinished=tally.unfinished,
        left=dict(tally.left),
        findings=sorted(tally.findings, key=_place),
        checkpoint=checkpoint,
        bytes_read=tally.bytes_read,
    )


def _place(finding: Finding) -> tuple[str, int, str]:
    return finding.path, -1 if finding.offset is None else finding.offset, finding.code
