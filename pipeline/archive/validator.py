"""A whole WARC file held to the rules, in one pass, and its two sidecars derived on the way.

For sealing (a file is inspected before it is sealed, and its sidecars say what is really on disk)
and for `verify --level records`. It reads one file and nothing else; it repairs nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.archive.block import SOUND, Judgement, LargeBlock, judge
from pipeline.archive.index import capture_line, is_listed, parse_capture
from pipeline.archive.reader import Damage, Fields, Record, Walk, bare_uri
from pipeline.model.finding import Finding
from pipeline.model.http import Head
from pipeline.model.records import Capture, Member
from pipeline.model.surt import surt

MAX_FINDINGS: Final = 1000
"""Findings kept of one file; a file that is wrong in more ways needs no longer list."""

_STANDARD = frozenset(
    (
        "warc-type",
        "warc-record-id",
        "warc-date",
        "content-type",
        "content-length",
        "warc-block-digest",
        "warc-payload-digest",
        "warc-ip-address",
        "warc-refers-to",
        "warc-refers-to-target-uri",
        "warc-refers-to-date",
        "warc-target-uri",
        "warc-truncated",
        "warc-warcinfo-id",
        "warc-filename",
        "warc-profile",
        "warc-identified-payload-type",
        "warc-segment-number",
        "warc-segment-origin-id",
        "warc-segment-total-length",
    )
)
_RECORD_ID = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]+>")
_DATE = re.compile(
    r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?)?Z)?)?)?"
)
_HAS_TARGET = ("response", "resource", "request", "revisit", "conversion", "continuation")
_TRUNCATED = ("length", "time", "disconnect", "unspecified")
_REVISIT = ("warc-profile", "warc-refers-to-target-uri", "warc-refers-to-date")
_SEPARATORS = dict.fromkeys(map(ord, "-:TZ"))
_PADDING = "00000101000000"


class Inspection(Struct, frozen=True, kw_only=True):
    """What one pass over a WARC file found.

    Attributes:
        size: bytes of the file.
        sha256: hex digest of the whole file.
        members: lines of NAME.members.jsonl, in file order; empty if they were given to `take`.
        index: lines of NAME.cdxj, sorted.
        counts: sound records by type.
        findings: what is wrong, in file order; at most MAX_FINDINGS and one more that says so.

    """

    size: int
    sha256: str
    members: tuple[Member, ...]
    index: tuple[bytes, ...]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def captures(self) -> tuple[Capture, ...]:
        """Give the captures in the order of the index."""
        return tuple(map(parse_capture, self.index))

    @property
    def ok(self) -> bool:
        """Tell whether nothing is wrong; warnings do not count."""
        return all(finding.severity == "warning" for finding in self.findings)


def inspect(
    path: Path,
    name: str,
    *,
    filename: str | None = None,
    hints: Sequence[int] = (),
    take: Callable[[Member], None] | None = None,
) -> Inspection:
    """Inspect the WARC file at `path`, which findings call `name`.

    Args:
        path: the file, maybe still `.open`; the caller has made sure that it may be followed.
        name: its path in the archive, for findings.
        filename: NAME.warc.gz, for the index; by default the last part of `name`.
        hints: sorted offsets at which members are known to begin, used after damage.
        take: is given each member in file order instead of keeping them (400,000 members of a
            large file take 300 MB).

    Raises:
        OSError: the file cannot be opened or read.

    """
    walk = Walk(path, hints=hints, open_sink=LargeBlock)
    inspector = _Inspector(name, filename or name.rpartition("/")[2], take)
    for found in walk:
        if isinstance(found, Damage):
            inspector.damage(found)
        else:
            inspector.record(found)
    return inspector.result(walk)


class _Inspector:
    """The rules that need memory of what came before in the file."""

    def __init__(self, path: str, filename: str, take: Callable[[Member], None] | None) -> None:
        self._path = path
        self._filename = filename
        self._members: list[Member] = []
        self._take = take or self._members.append
        # lines and not values: a list of values keeps the garbage collector busy
        self._index: list[bytes] = []
        self._counts: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._ids: set[str] = set()
        self._unresolved: list[tuple[str, str, Record]] = []
        self._damaged = False
        self._last_date = ""
        self._silenced = 0

    def damage(self, damage: Damage) -> None:
        self._damaged = True
        self._add(damage.code, damage.detail, damage.offset, damage.length, damage.record_id)

    def record(self, record: Record) -> None:
        """Hold one sound record to all rules and derive its lines in the sidecars."""
        fields = record.fields
        get = fields.first.get
        kind = get("warc-type", "")
        if not (record.plain and _as_ours(fields)):
            self._form(record)
        self._identity(record, kind)
        self._references(record, kind)
        uri = self._target(record, kind)
        sink = record.sink
        judged = sink.judgement() if isinstance(sink, LargeBlock) else judge(fields, record.block)
        if judged is not SOUND or "warc-truncated" in fields.first:
            self._digests(record, judged, kind)
        self._counts[kind] += 1
        date = get("warc-date", "")
        self._take(
            Member(
                record.offset,
                record.length,
                record.sha256,
                kind,
                bare_uri(get("warc-record-id", "")) or "",
                date,
                uri,
                get("warc-block-digest"),
                get("warc-payload-digest"),
            )
        )
        # an index is sorted by time: what has none cannot be found in it
        if uri and kind in ("response", "revisit") and _DATE.fullmatch(date):
            capture = self._capture(record, kind, uri, date, judged.head)
            if is_listed(capture):
                self._index.append(capture_line(capture))

    def result(self, walk: Walk) -> Inspection:
        # where a record is damaged, a reference to it is no second fault
        for code, target, record in () if self._damaged else self._unresolved:
            if target not in self._ids:
                self._report(code, record, target)
        if self._silenced:
            self._findings.append(Finding.of("E199", self._path, f"{self._silenced} more"))
        return Inspection(
            size=walk.size,
            sha256=walk.sha256,
            members=tuple(self._members),
            index=tuple(sorted(self._index)),
            counts=dict(self._counts),
            findings=tuple(self._findings),
        )

    def _form(self, record: Record) -> None:
        fields = record.fields
        if not record.plain:
            self._report("W102", record)
        if fields.version != "WARC/1.1":
            self._report("W110", record)
        if fields.folded:
            self._report("W111", record)
        if not fields.utf8:
            self._report("W112", record)
        for name, _ in fields.repeated:
            if name in _STANDARD:
                self._report("E202", record, name)

    def _identity(self, record: Record, kind: str) -> None:
        first = record.fields.first
        record_id = first.get("warc-record-id")
        date = first.get("warc-date")
        if not kind:
            self._report("E201", record, "WARC-Type")
        if record_id is None:
            self._report("E201", record, "WARC-Record-ID")
        elif record_id in self._ids:
            self._report("E204", record)
        else:
            if not _RECORD_ID.fullmatch(record_id):
                self._report("E203", record, record_id)
            self._ids.add(record_id)
        if date is None:
            self._report("E201", record, "WARC-Date")
        elif date != self._last_date:
            if not _DATE.fullmatch(date):
                self._report("E205", record, date)
            self._last_date = date
        if record.size and "content-type" not in first and kind != "continuation":
            self._report("W205", record)

    def _references(self, record: Record, kind: str) -> None:
        first = record.fields.first
        if kind != "warcinfo":
            if record.offset == 0:
                self._report("W201", record)
            info = first.get("warc-warcinfo-id")
            if info is None:
                self._report("W202", record)
            elif info not in self._ids:
                self._refers("E207", info, record)
        together = first.get("warc-concurrent-to")
        if together is None:
            return
        more = [value for name, value in record.fields.repeated if name == "warc-concurrent-to"]
        for target in (together, *more):
            if target not in self._ids:
                self._refers("E208", target, record)

    def _refers(self, code: str, target: str, record: Record) -> None:
        """Remember a reference to what has not been seen yet, without the record's block."""
        self._unresolved.append((code, target, record._replace(block=b"", sink=None)))

    def _target(self, record: Record, kind: str) -> str | None:
        uri = record.fields.first.get("warc-target-uri")
        if uri is None:
            if kind in _HAS_TARGET:
                self._report("E206", record, f"a {kind} record must name what it is of")
            return None
        if kind == "warcinfo":
            self._report("E206", record, "a warcinfo record is of no URI")
        if uri[:1] == "<":
            self._report("W203", record)
            return bare_uri(uri)
        return uri

    def _digests(self, record: Record, judged: Judgement, kind: str) -> None:
        if judged.block != "same":
            code = {"absent": "W204", "different": "E301"}.get(judged.block, "E303")
            self._report(code, record, record.get("warc-block-digest") or "")
        if judged.payload not in ("same", "absent"):
            code = {"undecoded": "W302", "different": "E302"}.get(judged.payload, "E303")
            self._report(code, record, record.get("warc-payload-digest") or "")
        truncated = record.fields.first.get("warc-truncated")
        if truncated is not None and truncated not in _TRUNCATED:
            self._report("W210", record, truncated)
        if not judged.complete and truncated is None:
            self._report("E209", record)
        if kind == "revisit":
            missing = [name for name in _REVISIT if record.get(name) is None]
            if missing:
                self._report("W206", record, ", ".join(missing))

    def _capture(
        self, record: Record, kind: str, uri: str, date: str, head: Head | None
    ) -> Capture:
        digits = date[:19].translate(_SEPARATORS)
        return Capture(
            key=surt(uri),
            timestamp=digits + _PADDING[len(digits) :],
            url=uri,
            mime="warc/revisit" if kind == "revisit" else _mime(head),
            status=str(head.status) if head else None,
            digest=record.get("warc-payload-digest"),
            offset=record.offset,
            length=record.length,
            filename=self._filename,
        )

    def _report(self, code: str, record: Record, detail: str = "") -> None:
        record_id = bare_uri(record.get("warc-record-id"))
        self._add(code, detail[:200], record.offset, record.length, record_id)

    def _add(self, code: str, detail: str, offset: int, length: int, record_id: str | None) -> None:
        if len(self._findings) >= MAX_FINDINGS:
            self._silenced += 1
            return
        found = Finding.of(
            code, self._path, detail, offset=offset, length=length, record_id=record_id
        )
        self._findings.append(found)


def _as_ours(fields: Fields) -> bool:
    """Tell whether a header is laid out as FORMAT.md says, as nearly all are."""
    return fields.version == "WARC/1.1" and fields.utf8 and not (fields.repeated or fields.folded)


def _mime(head: Head | None) -> str:
    """Give the media type as indexes have it: as written, without parameters."""
    value = (head.get(b"content-type") if head else None) or b""
    value = value.partition(b";")[0].strip()
    try:
        return value.decode() or "unk"
    except UnicodeDecodeError:
        return value.decode("latin-1")
