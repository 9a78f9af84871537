"""Documents derived again from their WARC file and compared, byte for byte: the level `reproduce`.

It is what the extract verb does, in fresh processes, with a comparison in the place of the file.
What other versions or settings made is not compared: that it differs would mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.archive.docket import MAX_FINDINGS
from pipeline.archive.reader import Damage, Walk
from pipeline.extract.extractor import Skipped, extractor
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.fixity import disk
from pipeline.fixity.audit import Expected
from pipeline.fixity.documents import DocumentLines, paired, place_of
from pipeline.model.document import Extractor
from pipeline.model.finding import Finding
from pipeline.stages.extract_source import HEAD_ROOM, source_of
from pipeline.stages.extract_workers import Line, Workers
from pipeline.stages.verify_file import Checked, Task


def reproduce(task: Task, policy: ExtractPolicy, pool: Workers) -> Checked:
    """Derive the documents of one file again.

    Args:
        task: a file of documents; trouble in reading it is left to the levels before.
        policy: the archive's settings for extraction.
        pool: makes documents.

    Raises:
        OSError: the file cannot be read any more.

    """
    warc, extraction = task.warc, task.extraction
    if warc is None or disk.digest(task.root, task.name).sha256 != task.expected.sha256:
        return Checked(read=True, findings=(), left={"documents": 1})
    if extraction is None:
        detail = "the ledger does not say what made them"
        return _not_comparable(task, detail, sum(1 for _ in DocumentLines(task.file)))
    if extraction.maker != extractor(policy):
        detail = _difference(extraction.maker, extractor(policy))
        return _not_comparable(task, detail, extraction.documents)
    again = _Again(task, policy, warc)
    return again.compared(pool)


def _not_comparable(task: Task, detail: str, documents: int) -> Checked:
    finding = Finding.of("W501", task.name, detail)
    return Checked(read=True, findings=(finding,), left={"not_comparable": documents})


def _difference(made: Extractor, here: Extractor) -> str:
    parts = []
    if (made.name, made.version) != (here.name, here.version):
        parts.append(f"made by {made.name} {made.version}, this is {here.name} {here.version}")
    if made.environment != here.environment:
        parts.append("other versions of libraries (eventDetail.environment in the ledger)")
    if made.config_digest != here.config_digest:
        parts.append("other settings in [extract] of config.toml")
    return "; ".join(parts)


class _Again:
    """The documents of one WARC file beside those that were sealed."""

    def __init__(self, task: Task, policy: ExtractPolicy, warc: Expected) -> None:
        self._task = task
        self._policy = policy
        self._warc = warc
        self._whole = False

    def compared(self, pool: Workers) -> Checked:
        """Compare all of them; where the WARC file is hurt, those that it still gives."""
        same, differing = 0, []
        extraction = self._task.extraction
        # the levels before say that the WARC file gives more than it gave then
        partial = extraction is not None and extraction.damaged > 0
        for ours, sealed in paired(self._derived(pool), self._sealed()):
            if ours == sealed:
                same += 1
                continue
            if partial and sealed is None:
                continue
            detail = "" if ours and sealed else "none is made" if sealed else "it was not made"
            place = place_of(sealed or ours or b"")
            finding = Finding.of(
                "E501",
                self._task.name,
                detail,
                record_id=place.provenance.record_id if place else None,
            )
            differing.append(finding.with_affected((place.id,) if place else ()))
        if not self._whole:
            return Checked(
                read=True, findings=(), documents=same, left={"documents": len(differing)}
            )
        more = [Finding.of("E199", self._task.name)] if len(differing) > MAX_FINDINGS else []
        return Checked(
            read=True,
            findings=(*differing[:MAX_FINDINGS], *more),
            documents=same + len(differing),
        )

    def _sealed(self) -> Iterator[tuple[int, bytes]]:
        for line in DocumentLines(self._task.file):
            place = place_of(line)
            if place is not None:
                yield place.provenance.offset, line

    def _derived(self, pool: Workers) -> Iterator[tuple[int, bytes]]:
        for made in pool.make(self._sources()):
            if isinstance(made, Line):
                line = made.data[:-1]
                place = place_of(line)
                if place is not None:
                    yield place.provenance.offset, line

    def _sources(self) -> Iterator[Source | Skipped]:
        task, limit = self._task, self._policy.max_document_bytes
        if task.part is None or disk.look(task.root, self._warc.path).trouble:
            return
        walk = Walk(task.root / self._warc.path, limit=limit + HEAD_ROOM)
        try:
            for found in walk:
                if isinstance(found, Damage):
                    continue
                collection = task.part.name.collection
                source = source_of(found, self._warc.path, collection, limit)
                if source is not None:
                    yield source
        except OSError:
            return  # the levels before say so
        self._whole = walk.sha256 == self._warc.sha256
