"""One sealed file checked, in whatever process: the unit of work of the verify and scrub verbs.

Takes and gives plain values, so that it can run in a pool. It reads the archive only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct, field, structs

from pipeline.archive.concordance import (
    ImpliedSidecars,
    diagnose,
    index_is_out_of_date,
)
from pipeline.archive.validator import Inspection, inspect
from pipeline.fixity import audit, disk
from pipeline.fixity.audit import Expected, Observed
from pipeline.fixity.documents import Derivations, DocumentLines
from pipeline.fixity.extraction import Extraction
from pipeline.model.finding import Finding
from pipeline.model.names import Kind, Part, parse
from pipeline.stages.verify_documents import Shelf, all_in_doubt, count

Level = Literal["quick", "files", "records", "extracts", "reproduce"]
"""How deep verification looks; each level holds the ones before it."""


class Task(Struct, frozen=True, kw_only=True):
    """A file to check.

    Attributes:
        part: what its path says it is; None where FORMAT.md knows no such file.
        members: for a WARC file, its sealed members.jsonl.
        index: for a WARC file, its sealed cdxj.
        documents: for a WARC file, paths of the sealed documents derived from it; for a file of
            documents, paths of the other revisions.
        warc: for a file of documents, the sealed WARC file it was derived from.
        extraction: for a file of documents, what the ledger says of its making.

    """

    root: Path
    expected: Expected
    level: Level
    part: Part | None = None
    members: Expected | None = None
    index: Expected | None = None
    documents: tuple[str, ...] = ()
    warc: Expected | None = None
    extraction: Extraction | None = None

    @property
    def name(self) -> str:
        """Give the file's path in the archive."""
        return self.expected.path

    @property
    def file(self) -> Path:
        """Give the file's path on the disk."""
        return self.root / self.expected.path

    @property
    def is_latest(self) -> bool:
        """Tell whether no later revision of these documents is sealed."""
        others = [part.revision for path in self.documents if (part := parse(path))]
        return self.part is not None and self.part.revision >= max(others, default=0)

    @property
    def opens_records(self) -> bool:
        """Tell whether the level asks for what is inside of WARC files and documents."""
        return self.level not in ("quick", "files")

    @property
    def shelf(self) -> Shelf | None:
        """Give where documents lie, if the file holds any."""
        if self.part is None or self.part.kind != "documents":
            return None
        return Shelf(root=self.root, path=self.name, name=self.part.name, revisions=self.documents)

    def holds(self, kind: Kind) -> bool:
        """Tell whether the path says that this is a file of that kind."""
        return self.part is not None and self.part.kind == kind


class Checked(Struct, frozen=True, kw_only=True):
    """What became of a task.

    Attributes:
        read: the whole file was read, or is not there to be read.
        bytes_read: bytes of it that were read.
        members: gzip members compared with members.jsonl.
        records: records whose fields and digests were checked.
        documents: document lines read, or checked where the level asks for that.
        left: what was not checked, by the words of `not_checked` (verify_report).

    """

    read: bool
    findings: tuple[Finding, ...]
    bytes_read: int = 0
    members: int = 0
    records: int = 0
    documents: int = 0
    left: Mapping[str, int] = field(default_factory=dict)


def check(task: Task) -> Checked:
    """Check one file up to the level `records`; trouble in reading it is a finding."""
    if task.level == "quick":
        return _look(task)
    if task.opens_records and task.holds("warc"):
        return _check_records(task)
    observed = disk.digest(task.root, task.name)
    finding = audit.file(task.expected, observed)
    if finding is not None and task.holds("warc"):
        return _result(observed, _with_documents(task, (finding, *_inside(task, observed))))
    findings: tuple[Finding, ...] = () if finding is None else (finding,)
    documents = 0
    if shelf := task.shelf:
        findings = tuple(each.with_affected(all_in_doubt(shelf)) for each in findings)
        if not observed.trouble and (findings or task.level == "records"):
            documents, trouble = count(shelf)
            findings += trouble
    return structs.replace(
        _result(observed, findings), documents=documents if task.opens_records else 0
    )


def _look(task: Task) -> Checked:
    """Check that the file is there in its size; its contents are not read."""
    observed = disk.look(task.root, task.name)
    if not observed.trouble and task.expected.size in (None, observed.size):
        return Checked(read=True, findings=(), left={"contents": 1})
    finding = audit.file(task.expected, observed)
    return structs.replace(_result(observed, (finding,) if finding else ()), bytes_read=0)


def _check_records(task: Task) -> Checked:
    observed = disk.look(task.root, task.name)
    implied = ImpliedSidecars()
    inspection: Inspection | None = None
    if not observed.trouble:
        try:
            inspection = inspect(task.file, task.name, take=implied)
            observed = Observed(size=inspection.size, sha256=inspection.sha256)
        except OSError as error:
            observed = disk.refusal(error)
    finding = audit.file(task.expected, observed)
    if inspection is None or finding is not None or not inspection.ok:
        known = () if finding is None else (finding,)
        findings = _with_documents(task, (*known, *_inside(task, observed)))
    else:
        findings = (*inspection.findings, *_sidecars(task, inspection, implied))
    return structs.replace(
        _result(observed, findings),
        members=implied.members,
        records=sum(inspection.counts.values()) if inspection else 0,
    )


def _result(observed: Observed, findings: tuple[Finding, ...]) -> Checked:
    read = observed.trouble not in ("denied", "unreadable")
    return Checked(read=read, findings=findings, bytes_read=observed.size)


def _inside(task: Task, observed: Observed) -> tuple[Finding, ...]:
    """Find out what is wrong inside a WARC file that is not what was sealed."""
    if observed.trouble:
        return ()
    sealed = task.members
    members: Path | None = None
    if sealed and disk.digest(task.root, sealed.path).sha256 == sealed.sha256:
        members = task.root / sealed.path
    try:
        return diagnose(task.file, task.name, members)
    except OSError as error:
        finding = audit.file(task.expected, disk.refusal(error))
        return () if finding is None else (finding,)


def _sidecars(task: Task, inspection: Inspection, implied: ImpliedSidecars) -> tuple[Finding, ...]:
    """Compare a sound WARC file with its sidecars as they were sealed (FORMAT.md §3, §4)."""
    if task.part is None:
        return ()
    found: list[Finding] = []
    name, members, index = task.part.name, task.members, task.index
    if members is None or members.sha256 != implied.members_sha256():
        found.append(_sidecar_finding("E431", name.members, members))
    if index is None or index.sha256 != _sha256(inspection.index):
        old = index is not None and index_is_out_of_date(
            task.root / index.path, inspection.captures
        )
        found.append(_sidecar_finding("W432" if old else "E432", name.cdxj, index))
    return tuple(found)


def _sha256(lines: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()


def _sidecar_finding(code: str, path: str, sealed: Expected | None) -> Finding:
    return Finding.of(code, path, "" if sealed else "none was sealed with the WARC file")


def _with_documents(task: Task, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Name, in each finding, the documents that were derived from what it says is damaged."""
    derived = Derivations()
    for path in task.documents:
        if disk.look(task.root, path).trouble is None:
            # a file that cannot be read is reported by its own task
            with suppress(OSError):
                derived.read(DocumentLines(task.root / path))
    told = [_affecting(finding, derived) for finding in findings]
    hurt = {name for finding in told if finding.severity == "error" for name in finding.affected}
    whole_file = tuple(name for name in derived.names if name in hurt)
    return tuple(
        finding.with_affected(whole_file) if finding.code == "E402" else finding for finding in told
    )


def _affecting(finding: Finding, derived: Derivations) -> Finding:
    if finding.code == "E401":
        return finding.with_affected(tuple(derived.names))
    # nothing was derived from a member that was put in after sealing
    if finding.offset is None or finding.code == "E406":
        return finding
    return finding.with_affected(derived.of(finding.offset, finding.length or 1, finding.record_id))
