"""A whole WARC file held to the rules, in one pass, and its two sidecars derived on the way.

For sealing (a file is inspected before it is sealed, and its sidecars say what is really on disk)
and for `verify --level records`. It reads one file and nothing else; it repairs nothing.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.archive import fields as rules
from pipeline.archive.block import BLOCK, PAYLOAD, SOUND, Judgement, LargeBlock, doubts, judge
from pipeline.archive.docket import Docket
from pipeline.archive.foreign import ForeignWalk
from pipeline.archive.index import capture_line, is_listed, parse_capture
from pipeline.archive.reader import Damage, Fields, Record, Walk, bare_uri
from pipeline.archive.references import DATE, References
from pipeline.archive.warc_fields import MEDIA_TYPE, broken_account, broken_info
from pipeline.model.digest import Digest
from pipeline.model.finding import Finding
from pipeline.model.http import Head
from pipeline.model.records import Capture, Member
from pipeline.model.surt import surt

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
_NO_BYTES = frozenset(
    spelling
    for name in ("sha1", "sha256", "sha512", "md5")
    for raw in (hashlib.new(name, usedforsecurity=False).digest(),)
    for spelling in (f"{name}:{raw.hex()}", f"{name}:{b32encode(raw).decode()}")
)
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
        gzip_members: of a file of another writer, its gzip members; several records may share one.
        findings: what is wrong, in file order; at most MAX_FINDINGS, and some more that
            say how many are left out (`archive.docket`).

    """

    size: int
    sha256: str
    members: tuple[Member, ...]
    index: tuple[bytes, ...]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    gzip_members: int = 0

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
    foreign: bool = False,
) -> Inspection:
    """Inspect the WARC file at `path`, which findings call `name`.

    Args:
        path: the file, maybe still `.open`; the caller has made sure that it may be followed.
        name: its path in the archive, for findings.
        filename: NAME.warc.gz, for the index; by default the last part of `name`.
        hints: sorted offsets at which members are known to begin, used after damage.
        take: is given each member in file order instead of keeping them (400,000 members of a
            large file take 300 MB).
        foreign: the file is of another writer, so it may have other forms (`archive.foreign`), what
            its records say of themselves is doubted, and no index is made of it.

    Raises:
        OSError: the file cannot be opened or read.

    """
    walk: Walk | ForeignWalk = (
        ForeignWalk(path, open_sink=LargeBlock)
        if foreign
        else Walk(path, hints=hints, open_sink=LargeBlock)
    )
    inspector = _Inspector(name, filename or name.rpartition("/")[2], take, foreign=foreign)
    for found in walk:
        if isinstance(found, Damage):
            inspector.damage(found)
        else:
            inspector.record(found)
    return inspector.result(walk)


class _Inspector:
    """Holds the records of one file to the rules, and derives its sidecars."""

    def __init__(
        self,
        path: str,
        filename: str,
        take: Callable[[Member], None] | None,
        *,
        foreign: bool,
    ) -> None:
        self._filename = filename
        self._foreign = foreign
        self._members: list[Member] = []
        self._take = take or self._members.append
        # lines and not values: a list of values keeps the garbage collector busy
        self._index: list[bytes] = []
        self._counts: Counter[str] = Counter()
        self._docket = Docket(path)
        self._references = References(self._docket)
        self._shapes = rules.Shapes()
        self._damaged = False
        self._last_uri = ""

    def damage(self, damage: Damage) -> None:
        self._damaged = True
        self._docket.add(damage.code, damage.detail, damage.offset, damage.length, damage.record_id)

    def record(self, record: Record) -> None:
        """Hold one sound record to all rules and derive its lines in the sidecars."""
        fields = record.fields
        first = fields.first
        kind = first.get("warc-type", "")
        if not (record.plain and _as_ours(fields)):
            if fields.version == "ARC":
                self._arc(record, kind)
                return
            self._form(record)
        # several records of a foreign file may share one member
        if record.offset == 0 and not self._counts and kind != "warcinfo":
            self._docket.report("W201", record)
        self._fields(record, kind)
        self._references.record(record, kind)
        uri = self._target(record)
        sink = record.sink
        judged = sink.judgement() if isinstance(sink, LargeBlock) else judge(fields, record.block)
        if judged is not SOUND:
            self._digests(record, judged)
        if kind == "metadata" or kind == "warcinfo":
            self._account(record, kind)
        elif kind == "revisit":
            self._revisit(record, judged)
        self._counts[kind] += 1
        date = first.get("warc-date", "")
        self._take(
            Member(
                record.offset,
                record.length,
                record.sha256,
                kind,
                bare_uri(first.get("warc-record-id", "")) or "",
                date,
                uri or None,
                first.get("warc-block-digest"),
                first.get("warc-payload-digest"),
            )
        )
        # an index is sorted by time: what has none cannot be found in it
        if uri and kind in ("response", "revisit") and not self._foreign and DATE.fullmatch(date):
            capture = self._capture(record, kind, uri, date, judged.head)
            if is_listed(capture):
                self._index.append(capture_line(capture))

    def result(self, walk: Walk | ForeignWalk) -> Inspection:
        self._references.settle(damaged=self._damaged)
        if isinstance(walk, ForeignWalk) and not self._counts:
            self._docket.no_archive(walk.what)
        return Inspection(
            size=walk.size,
            sha256=walk.sha256,
            members=tuple(self._members),
            index=tuple(sorted(self._index)),
            counts=dict(self._counts),
            findings=self._docket.findings(),
            gzip_members=walk.members if isinstance(walk, ForeignWalk) else 0,
        )

    def _arc(self, record: Record, kind: str) -> None:
        """Take a record that states no more than its target, date and length."""
        if not self._counts:
            self._docket.report("W118", record)
        if not DATE.fullmatch(record.fields.first["warc-date"]):
            self._docket.report("E205", record, record.fields.first["warc-date"])
        self._counts[kind] += 1

    def _form(self, record: Record) -> None:
        fields, report = record.fields, self._docket.report
        if not record.plain:
            report("W102", record)
        if fields.version != "WARC/1.1":
            report("W110", record, fields.version)
        if fields.folded:
            report("W111", record)
        if not fields.utf8:
            report("W112", record)
        for code in fields.odd:
            report(code, record)
        for name, value in fields.repeated:
            if name in _STANDARD:
                report("E202", record, rules.spelt(name))
            elif broken := rules.judge_repeated(name, value):
                report(broken[0], record, broken[1])

    def _fields(self, record: Record, kind: str) -> None:
        first = record.fields.first
        shape = self._shapes.of(kind, first)
        for code, detail in shape.broken:
            self._docket.report(code, record, detail)
        for name, judge_value, right in shape.values:
            value = first[name]
            if value not in right and (broken := rules.broken_value(value, judge_value, right)):
                self._docket.report(broken[0], record, broken[1])
        if record.size and "content-type" not in first and kind != "continuation":
            self._docket.report("W205", record)

    def _target(self, record: Record) -> str | None:
        uri = record.fields.first.get("warc-target-uri")
        # the records of a capture have one target
        if uri is None or uri == self._last_uri:
            return uri
        if uri[:1] == "<":
            self._docket.report("W203", record)
            uri = bare_uri(uri) or ""
        if not rules.is_uri(uri):
            self._docket.report("W207", record, uri)
        else:
            self._last_uri = uri
        return uri

    def _digests(self, record: Record, judged: Judgement) -> None:
        report, first = self._docket.report, record.fields.first
        for name in (BLOCK, PAYLOAD):
            stated = first.get(name)
            # what cannot be read at all is worse than unusual
            if stated and not rules.is_usual_digest(stated) and Digest.parse(stated):
                report("W303", record, stated)
        if judged.block != "same":
            code = {"absent": "W204", "different": "E301"}.get(judged.block, "E303")
            report(code, record, first.get(BLOCK, ""))
        # the payload, and its end, may be in the segments that follow (WARC 1.1 §5.9, §7)
        is_whole = "warc-segment-number" not in first
        if judged.payload not in ("same", "absent") and is_whole:
            code = {"undecoded": "W302", "different": "E302"}.get(judged.payload, "E303")
            report(code, record, first.get(PAYLOAD, ""))
        if not judged.complete and "warc-truncated" not in first and is_whole:
            if judged.head and record.size == judged.head.end:
                self._references.without_body(record)
            else:
                report("E209", record)
        if self._foreign and judged.head:
            for code, detail in doubts(record.block, judged.head):
                report(code, record, detail)

    def _account(self, record: Record, kind: str) -> None:
        """Look into the block of a warcinfo or metadata record."""
        media_type = record.get("content-type") or ""
        if not record.whole:
            return
        broken: Iterable[rules.Broken] = ()
        if kind == "warcinfo":
            broken = broken_info(record.block, media_type)
            name = record.get("warc-filename")
            # where WARC files were joined, later ones have the names of their origin
            is_first = record.offset == 0 and not self._counts
            if is_first and name is not None and name != self._filename:
                self._docket.report("W209", record, name)
        elif media_type.startswith(MEDIA_TYPE):
            broken = broken_account(record.block)
        for code, detail in broken:
            self._docket.report(code, record, detail)

    def _revisit(self, record: Record, judged: Judgement) -> None:
        if rules.profile(record.get("warc-profile")) != rules.IDENTICAL:
            return
        digest = record.get(PAYLOAD)
        if digest is None:
            self._docket.report("E201", record, rules.spelt(PAYLOAD))
        elif digest in _NO_BYTES:
            self._docket.report("W219", record)
        if record.get("warc-truncated") != "length" or judged.head is None:
            self._docket.report("W217", record)

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


def _as_ours(fields: Fields) -> bool:
    """Tell whether a header is laid out as FORMAT.md says, as nearly all are."""
    return (
        fields.version == "WARC/1.1"
        and fields.utf8
        and not (fields.repeated or fields.folded or fields.odd)
    )


def _mime(head: Head | None) -> str:
    """Give the media type as indexes have it: as written, without parameters."""
    value = (head.get(b"content-type") if head else None) or b""
    value = value.partition(b";")[0].strip()
    try:
        return value.decode() or "unk"
    except UnicodeDecodeError:
        return value.decode("latin-1")
