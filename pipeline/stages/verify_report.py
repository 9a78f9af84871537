"""What verification found, for programs and for people, and the exit code that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, Final

from msgspec import Struct, field

from pipeline.model.finding import Finding
from pipeline.model.wording import printable, size, table
from pipeline.stages.replica_report import ReplicaReport
from pipeline.stages.verify_file import Level

NOT_PROVEN: Final[dict[Level, str]] = {
    "quick": (
        "This level proves that manifest and ledger agree, and that every sealed file is there in"
        " its size and no other. No file was read: contents may be damaged (holdfast verify)."
    ),
    "files": (
        "This level proves that every sealed file is byte for byte what was sealed. It does not"
        " look into WARC records or documents (--level records), and it cannot tell whether"
        " somebody who can write to the archive made files, manifest and ledger anew: hold it"
        " against a checkpoint kept elsewhere (--against), or know whose key it is signed with."
    ),
    "records": (
        "This level proves that every sealed file is what was sealed, that every WARC record is"
        " whole and matches its digests, and that the indexes describe the files. It does not"
        " derive the documents again, and it cannot tell whether somebody who can write to the"
        " archive made everything anew: hold it against a checkpoint kept elsewhere"
        " (--against), or know whose key it is signed with."
    ),
    "extracts": (
        "This level proves what --level records does, and that every document is in the published"
        " form, names a record that is there with the digests it has there, and that every text"
        " has a document or a reason. It does not derive the documents again (--level reproduce),"
        " and it cannot tell whether somebody who can write to the archive made everything anew:"
        " compare the ledger's root with one kept elsewhere."
    ),
    "reproduce": (
        "This level proves what --level extracts does, and that the documents come out the same"
        " when they are derived again; of a WARC file extracted more than once, those of the latest"
        " revision. It cannot tell whether somebody who can write to the archive made everything"
        " anew: compare the ledger's root with one kept elsewhere."
    ),
}

LEFT: Final[dict[str, tuple[str, str]]] = {
    "contents": ("contents", "files not read, only looked at: holdfast verify reads them"),
    "not_extracted": (
        "not extracted",
        "WARC files have no documents yet (holdfast extract), or were damaged when they were"
        " extracted (holdfast extract --all)",
    ),
    "documents": (
        "unchecked documents",
        "documents could not be held against their records: see to the files named above first",
    ),
    "not_comparable": (
        "not comparable",
        "documents were made with other versions or settings: install those, or make a new"
        " revision with holdfast extract --all",
    ),
    "superseded": ("superseded", "documents of earlier revisions were not derived again"),
}
"""What a file's check may leave out, by its key in `not_checked`: title, and what it means."""

_BY_DESIGN = ("contents", "superseded")
"""What a level does not promise to check, and may so leave out in a whole result."""

_DIFFERENT = "E5"
_SHOWN = 50
_SHOWN_AFFECTED = 5


class Counts(Struct, frozen=True, kw_only=True):
    """How much was really checked."""

    files: int = 0
    members: int = 0
    records: int = 0
    documents: int = 0

    def as_json(self) -> dict[str, int]:
        """Give the object `checked` of `holdfast --json verify`."""
        return {
            "files": self.files,
            "members": self.members,
            "records": self.records,
            "documents": self.documents,
        }


class Checkpoint(Struct, frozen=True, kw_only=True):
    """The ledger in one digest (RFC 6962 §2.1), and who vouches for it.

    Attributes:
        size: number of its lines that are checked against the root.
        signed_by: fingerprint of the key whose signature over size and root holds.
        unsigned: in an archive that is signed, lines that no signature covers.
        notes: what else is to be said of it, a line each.

    """

    size: int
    root: str
    signed_by: str | None = None
    unsigned: int = 0
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the object `checkpoint` of `holdfast --json verify`."""
        return {
            "size": self.size,
            "root": self.root,
            "signed_by": self.signed_by,
            "unsigned": self.unsigned,
            "notes": list(self.notes),
        }

    def rows(self) -> list[tuple[str, str]]:
        """Give the same for people."""
        rows = [("ledger", f"{self.size} events, root {self.root}")]
        if self.signed_by:
            rows.append(("signed by", self.signed_by))
        if self.unsigned:
            rows.append(("not signed", f"the last {self.unsigned} events: holdfast sign does it"))
        return rows + [("", note) for note in self.notes]


class VerifyReport(Struct, frozen=True, kw_only=True):
    """The result of the verify verb.

    Attributes:
        in_progress: files and entries that a running writer had not finished sealing.
        earlier: files that were sealed earlier and, as asked, were not read this time.
        unreadable: files that could not be read.
        unfinished: files that somebody began to write and nobody finished or sealed.
        left: what was not checked, by the keys of LEFT.
        reproduced: documents that were derived again and compared; None below that level.
        bytes_read: bytes of sealed files that were read.
        replicas: copies that were compared; their findings are among the others.

    """

    level: Level
    checked: Counts
    in_progress: int
    earlier: int
    unreadable: int
    unfinished: int
    findings: Sequence[Finding]
    checkpoint: Checkpoint | None
    bytes_read: int
    left: Mapping[str, int] = field(default_factory=dict)
    reproduced: int | None = None
    replicas: Sequence[ReplicaReport] = ()

    @property
    def exit_code(self) -> int:
        """Give the gravest of 4 damage, 5 not reproducible, 3 not everything checked or nothing."""
        errors = [finding.code for finding in self.findings if finding.severity == "error"]
        if errors:
            return 5 if all(code.startswith(_DIFFERENT) for code in errors) else 4
        return 0 if self.checked.files and not self._left_out else 3

    @property
    def _left_out(self) -> int:
        left = sum(count for key, count in self.left.items() if key not in _BY_DESIGN)
        unsigned = self.checkpoint.unsigned if self.checkpoint else 0
        return self.in_progress + self.unreadable + self.unfinished + left + unsigned

    @property
    def ok(self) -> bool:
        """Tell whether everything was checked and nothing is damaged."""
        return self.exit_code == 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json verify` prints."""
        checkpoint = self.checkpoint
        return {
            "ok": self.ok,
            "level": self.level,
            "checked": self._checked(),
            "not_checked": {
                "in_progress": self.in_progress,
                "earlier": self.earlier,
                "unreadable": self.unreadable,
                "unfinished": self.unfinished,
                **{key: self.left.get(key, 0) for key in LEFT},
            },
            "findings": [finding.as_json() for finding in self.findings],
            "checkpoint": checkpoint and checkpoint.as_json(),
            "bytes_read": self.bytes_read,
            "replicas": [replica.as_json() for replica in self.replicas],
            "not_proven": NOT_PROVEN[self.level],
        }

    def as_text(self) -> str:
        """Give the account for people: findings first, what it means last."""
        lines = [finding_text(finding) for finding in self.findings[:_SHOWN]]
        if len(self.findings) > _SHOWN:
            lines.append(f"… and {len(self.findings) - _SHOWN} more (--json lists all)")
        rows = [(name, f"{count:,}") for name, count in self._checked().items() if count]
        rows.append(("read", size(self.bytes_read)))
        if self.in_progress:
            rows.append(
                ("in progress", f"{self.in_progress} not checked: a writer is sealing them")
            )
        if self.unreadable:
            rows.append(("unreadable", f"{self.unreadable} not checked"))
        if self.unfinished:
            rows.append(("unfinished", f"{self.unfinished} not checked: they were never sealed"))
        rows += [
            (title, f"{self.left[key]:,} {meaning}")
            for key, (title, meaning) in LEFT.items()
            if self.left.get(key)
        ]
        if self.checkpoint:
            rows += self.checkpoint.rows()
        rows += [replica.as_row() for replica in self.replicas]
        lines += [self._verdict(), table(rows), fill(NOT_PROVEN[self.level], 80)]
        return "\n".join(lines)

    def _checked(self) -> dict[str, int]:
        more = {} if self.reproduced is None else {"reproduced": self.reproduced}
        return {**self.checked.as_json(), **more}

    def _verdict(self) -> str:
        if self.exit_code == 5:
            return (
                "NOT REPRODUCIBLE: everything is as it was sealed, but documents come out otherwise"
                " when they are derived again. docs/findings.md says what to do about E501."
            )
        errors = sum(finding.severity == "error" for finding in self.findings)
        if errors:
            documents = {name for finding in self.findings for name in finding.affected}
            return (
                f"DAMAGED: {errors} findings, {len(documents)} documents affected."
                " docs/findings.md says what each code means and what to do."
            )
        if self.checked.files == 0:
            return "NOTHING WAS CHECKED: no sealed file could be read, or none is there yet."
        if self._left_out:
            return "INCOMPLETE: what was checked is intact, but not everything was checked."
        if self.earlier:
            return (
                f"INTACT: every file written by this run was checked (level {self.level});"
                f" {self.earlier:,} sealed earlier were not read (holdfast verify does)."
            )
        if self.level == "quick":
            return "PRESENT: every sealed file is there in its size. Contents were not read."
        return f"INTACT: every sealed file was checked (level {self.level})."


def finding_text(finding: Finding) -> str:
    """Give a finding in one line, and in a second one what it affects."""
    place = finding.path
    if finding.offset is not None:
        place += f" at byte {finding.offset}"
        if finding.length is not None:
            place += f", {finding.length} bytes"
    line = f"{finding.code} {place}: {finding.message}"
    if finding.record_id:
        line += f" [{finding.record_id}]"
    if finding.affected:
        shown = ", ".join(finding.affected[:_SHOWN_AFFECTED])
        more = len(finding.affected) - _SHOWN_AFFECTED
        line += f"\n     affected: {shown}" + (f" and {more} more" if more > 0 else "")
    return printable(line)
