"""One file of documents held against the records it was made from: the level `extracts`.

Documents and records are walked in step, so that memory does not grow with the file. Nothing that
a document says leads anywhere: the only files opened are the two that the ledger names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import structs

from pipeline.archive.docket import MAX_FINDINGS
from pipeline.archive.reader import Damage, Record, Walk, bare_uri
from pipeline.extract.extractor import Skipped, extractor, passed_over
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.fixity import disk
from pipeline.fixity.documents import DocumentLines, paired, place_of
from pipeline.model.digest import sha256
from pipeline.model.document import Document
from pipeline.model.finding import Finding
from pipeline.model.names import Name
from pipeline.stages.extract_source import HEAD_ROOM, source_of
from pipeline.stages.verify_documents import Shelf, unread
from pipeline.stages.verify_file import Checked, Task, check

# of wrong lines no more are read: a file of a billion of them is wrong enough
_MAX_WRONG = 1_000


def check_extracts(policy: ExtractPolicy, task: Task) -> Checked:
    """Check one file up to the level `extracts`.

    Args:
        policy: the archive's settings for extraction; with others than a file was made with, only
            the number of its reasons for making no document is checked, not each of them.
        task: the file; where it is a WARC, that there are documents of it.

    """
    checked = check(task)
    if task.holds("warc") and task.part:
        late = not task.documents and not task.part.name.is_log
        return structs.replace(checked, left={"not_extracted": 1}) if late else checked
    shelf = task.shelf
    if shelf is None or disk.look(task.root, task.name).trouble or not checked.read:
        return checked
    comparison = _Comparison(policy, task, shelf)
    known = {finding.code for finding in checked.findings}
    try:
        comparison.walk()
    except OSError as error:
        comparison.lines.trouble = error.strerror or str(error)
    findings = [each for each in comparison.findings() if each.code not in known]
    return structs.replace(
        checked,
        findings=(*checked.findings, *findings),
        documents=comparison.checked,
        left={
            "documents": comparison.unchecked,
            "not_extracted": comparison.behind and task.is_latest,
        },
    )


class _Comparison:
    """One walk along the documents and the captures of a WARC file.

    Attributes:
        lines: the documents.

    """

    def __init__(self, policy: ExtractPolicy, task: Task, shelf: Shelf) -> None:
        self.lines = DocumentLines(task.file)
        self._policy = policy
        self._task = task
        self._shelf = shelf
        self._name: Name = shelf.name
        self._read = 0
        self._ids: list[str] = []
        self._wrong: list[Finding] = []
        self._astray: list[Finding] = []
        self._texts: list[Finding] = []
        self._reasons: Counter[str] = Counter()
        self._without = 0
        self._whole = False

    @property
    def checked(self) -> int:
        """Lines that were read and, if they are documents, held against their record."""
        return self._read - self.unchecked

    @property
    def unchecked(self) -> int:
        """Documents whose record cannot be read as it was sealed."""
        return 0 if self._whole else len(self._astray)

    def walk(self) -> None:
        """Read both files.

        Raises:
            OSError: the documents cannot be read.

        """
        for record, document in paired(self._captures(), self._documents()):
            if document is None and record is not None:
                self._account_for(record)
            elif document is not None:
                self._compare(record, document)

    def findings(self) -> Iterator[Finding]:
        """Say what is wrong; what follows from a damaged WARC file is left to its own findings."""
        if self.lines.trouble:
            yield unread(self._shelf, self.lines, self._ids)
        yield from self._wrong[:MAX_FINDINGS]
        if self._whole:
            yield from self._astray[:MAX_FINDINGS]
            yield from self._unexplained()
        if len(self._wrong) > MAX_FINDINGS or len(self._astray) > MAX_FINDINGS:
            yield Finding.of("E199", self._task.name)

    def _captures(self) -> Iterator[tuple[int, Record]]:
        """Give the records that documents can be made of, as far as the WARC file can be read."""
        sealed = self._task.warc
        if sealed is None or disk.look(self._task.root, sealed.path).trouble:
            return
        limit = self._policy.max_document_bytes + HEAD_ROOM
        walk = Walk(self._task.root / sealed.path, limit=limit)
        try:
            for found in walk:
                if isinstance(found, Damage):
                    continue
                if found.get("warc-type") in ("response", "revisit"):
                    yield found.offset, found
        except OSError:
            return  # its own task says so
        self._whole = walk.sha256 == sealed.sha256

    def _documents(self) -> Iterator[tuple[int, Document]]:
        for line in self.lines:
            self._read += 1
            try:
                document = Document.parse(line)
            except ValueError as error:
                self._not_one(line, str(error))
                if len(self._wrong) > _MAX_WRONG:
                    self.lines.trouble = "too many lines that are no documents"
                    return
                continue
            self._ids.append(document.id)
            yield document.provenance.offset, document

    def _not_one(self, line: bytes, why: str) -> None:
        finding = Finding.of("E442", self._task.name, f"line {self._read}: {why[:200]}")
        place = place_of(line)
        if place is not None:
            self._ids.append(place.id)
            finding = finding.with_affected((place.id,))
        self._wrong.append(finding)

    def _compare(self, record: Record | None, document: Document) -> None:
        """Hold a document against the record that begins where it says it came from."""
        if sha256(document.text.encode()) != document.text_sha256:
            self._wrong.append(self._finding("E444", "", document))
        if amiss := self._amiss(document):
            self._wrong.append(self._finding("E443", f"wrong {', '.join(amiss)}", document))
        offset = document.provenance.offset
        if record is None:
            detail = (
                f"no capture begins at byte {offset} of {self._name.warc}, or it has one before"
            )
            self._astray.append(self._finding("E443", detail, document))
        elif differing := _differing(record, document):
            detail = f"its record at byte {offset} has another {', '.join(differing)}"
            self._astray.append(self._finding("E443", detail, document))

    def _amiss(self, document: Document) -> list[str]:
        """Name what a document says against the rules, whatever its record says."""
        extraction = self._task.extraction
        rules = {
            "id": document.id == document.provenance.record_id,
            "final_url": document.final_url == document.url,
            "collection": document.collection == self._name.collection,
            "provenance.warc": document.provenance.warc == self._name.warc,
            "extractor": extraction is None or document.extractor == extraction.maker,
        }
        return [name for name, kept in rules.items() if not kept]

    def _finding(self, code: str, detail: str, document: Document) -> Finding:
        finding = Finding.of(code, self._task.name, detail, record_id=document.provenance.record_id)
        return finding.with_affected((document.id,))

    def _account_for(self, record: Record) -> None:
        """Find out why there is no document of a capture."""
        reason = _reason(record, self._name, self._policy)
        if reason is not None:
            self._reasons[reason] += 1
            return
        self._without += 1
        if len(self._texts) < MAX_FINDINGS:
            self._texts.append(
                Finding.of(
                    "E445",
                    self._name.warc,
                    f"see {self._task.name}",
                    offset=record.offset,
                    length=record.length,
                    record_id=bare_uri(record.get("warc-record-id")),
                )
            )

    @property
    def behind(self) -> bool:
        """Tell whether the WARC file was damaged when it was extracted, and gives more now."""
        extraction = self._task.extraction
        hurt = extraction is not None and extraction.damaged > 0
        return hurt and self._whole and not self._explained()

    def _explained(self) -> bool:
        """Hold the captures without a document against the reasons that the ledger has for them."""
        extraction = self._task.extraction
        told = extraction.skipped if extraction else {}
        if self._without + self._reasons.total() != sum(told.values()):
            return False
        same = extraction is not None and extraction.maker == extractor(self._policy)
        return not same or self._reasons == Counter(told)

    def _unexplained(self) -> Iterator[Finding]:
        extraction = self._task.extraction
        if self._explained() or self.behind:
            return
        if self._texts or extraction is None or self.lines.trouble:
            yield from self._texts
            return
        yield Finding.of(
            "E445",
            self._task.name,
            f"{self._reasons.total()} captures have no document; the ledger has"
            f" {sum(extraction.skipped.values())} reasons, or others",
        )


def _differing(record: Record, document: Document) -> list[str]:
    """Name what a document says of its record that is not so."""
    told = document.provenance
    pairs = {
        "type": (record.get("warc-type"), "response"),
        "length": (record.length, told.length),
        "record id": (bare_uri(record.get("warc-record-id")), told.record_id),
        "payload digest": (record.get("warc-payload-digest"), told.payload_digest),
        "block digest": (record.get("warc-block-digest"), told.block_digest),
        "URL": (record.get("warc-target-uri"), document.url),
        "date": (record.get("warc-date") or "", document.captured_at),
    }
    return [name for name, (has, says) in pairs.items() if has != says]


def _reason(record: Record, name: Name, policy: ExtractPolicy) -> str | None:
    """Give the reason for which the extractor makes no document; None where it makes one."""
    source = source_of(record, name.warc, name.collection, policy.max_document_bytes)
    if isinstance(source, Source):
        source = passed_over(source, policy)
    return source.reason if isinstance(source, Skipped) else None
