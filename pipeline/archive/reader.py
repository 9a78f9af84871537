"""WARC records read strictly from `.warc.gz`: what is sound as `Record`, what is not as `Damage`.

For everything that reads an archive: validation, extraction, display. Strict means FORMAT.md §2:
one gzip member per record, nothing between members, Content-Length true, CRLF CRLF at the end.
Damage never ends the reading: the walk goes on at the next member. It never interprets a block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from pipeline.archive.inflate import BadMember, Inflater, Search, Window
from pipeline.model.rules import explain

BLOCK_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a block that are kept in memory unless the caller wants another limit."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of a WARC header; a longer one is damage."""

_PIECE = 256 * 1024
_END = b"\r\n\r\n"
# the drafts are read like WARC 1.0, which changed nothing in the form of a record
_VERSIONS = ("WARC/1.1", "WARC/1.0", "WARC/0.18", "WARC/0.17")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2, as WARC 1.1 §4 has it
# RFC 2047 §2; WARC 1.1 §4 lets writers use it, and hardly a reader knows it
_ENCODED = re.compile(r".*=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=.*")
_DIGITS = 20  # of a Content-Length; one less is enough for every file there can be
# names as nearly all writers spell them, and as they are looked up
_KNOWN = {
    name: name.lower()
    for name in (
        "WARC-Type",
        "WARC-Record-ID",
        "WARC-Warcinfo-ID",
        "WARC-Concurrent-To",
        "WARC-Target-URI",
        "WARC-Date",
        "WARC-IP-Address",
        "WARC-Protocol",
        "WARC-Block-Digest",
        "WARC-Payload-Digest",
        "WARC-Truncated",
        "WARC-Filename",
        "WARC-Cipher-Suite",
        "WARC-Profile",
        "WARC-Refers-To",
        "WARC-Refers-To-Target-URI",
        "WARC-Refers-To-Date",
        "Content-Type",
        "Content-Length",
    )
}


class Sink(Protocol):
    """Takes a block that is too large for memory."""

    def feed(self, piece: memoryview) -> None:
        """Take the next bytes of the block."""


class Fields(Struct, frozen=True):
    """The header of a record.

    Attributes:
        version: the version line, `WARC/1.1`.
        first: the first value of each field, by its name in lower case.
        repeated: fields that came again: name in lower case and value, in order.
        utf8: the header is UTF-8 (WARC 1.1 §4); where it is not, it was read as ISO-8859-1.
        folded: a value goes on in a line that begins with a blank (WARC 1.1 §4, LWS); the line
            break was read as one blank.
        odd: other rules (docs/findings.md) that its layout breaks without being unreadable.

    """

    version: str
    first: Mapping[str, str]
    repeated: tuple[tuple[str, str], ...]
    utf8: bool
    folded: bool = False
    odd: tuple[str, ...] = ()


class Record(Struct, frozen=True):
    """One sound record and the gzip member that holds it.

    Attributes:
        offset: first byte of the member in the file.
        length: bytes of the member in the file.
        sha256: hex digest of the member's compressed bytes.
        plain: the gzip header has no flags and no time (FORMAT.md §2).
        size: bytes of the block (Content-Length).
        block: the block, or only its beginning where it is larger than the limit.
        sink: what took the whole block, where it is larger than the limit and a sink was opened.

    """

    offset: int
    length: int
    sha256: str
    plain: bool
    fields: Fields
    size: int
    block: bytes
    sink: Sink | None = None

    @property
    def whole(self) -> bool:
        """Tell whether `block` is the whole block."""
        return len(self.block) == self.size

    def get(self, name: str) -> str | None:
        """Give the first value of the field `name`, which is written in lower case here."""
        return self.fields.first.get(name)


class Damage(Struct, frozen=True, kw_only=True):
    """Bytes of a file that are no sound record.

    Attributes:
        code: the rule that is broken (docs/findings.md).
        detail: how, where that helps.
        record_id: the record's URI without angle brackets, where the member's checksum holds and
            its header could be read.

    """

    offset: int
    length: int
    code: str
    detail: str = ""
    record_id: str | None = None

    @property
    def message(self) -> str:
        """Say in one line what is wrong."""
        return explain(self.code, self.detail)


OpenSink = Callable[[Fields], Sink | None]
"""Makes the taker of one large block from the record's header; None where nobody wants it."""


def no_sink(_fields: Fields) -> None:
    """Let nobody take large blocks."""


class Walk:
    """One pass over a `.warc.gz` file. Iterate it once, then ask for `size` and `sha256`.

    Args:
        path: the file; the caller has made sure that it may be followed.
        limit: bytes of each block to keep.
        hints: sorted offsets at which members are known to begin, tried first after damage.
        open_sink: makes the taker of a block that is larger than `limit`.

    Attributes:
        size: bytes of the file.
        sha256: hex digest of the whole file.

    """

    def __init__(
        self,
        path: Path,
        *,
        limit: int = BLOCK_LIMIT,
        hints: Sequence[int] = (),
        open_sink: OpenSink = no_sink,
    ) -> None:
        self.size = 0
        self.sha256 = ""
        self._path = path
        self._limit = limit
        self._hints = hints
        self._open_sink = open_sink

    def __iter__(self) -> Iterator[Record | Damage]:
        """Give records and damages in file order; together they cover the whole file.

        Raises:
            OSError: the file cannot be opened or read.

        """
        with self._path.open("rb", buffering=0) as handle:
            window = Window(handle.fileno())
            search = Search(window, b"WARC/", self._hints)
            self.size = window.size
            offset = 0
            while offset < window.size:
                found: Record | Damage
                try:
                    found = read_member(window, offset, self._limit, self._open_sink)
                except BadMember as bad:
                    found = damage(bad, offset, (bad.end or search.after(offset)) - offset)
                yield found
                offset += found.length
            self.sha256 = window.sha256()


def walk(path: Path, *, limit: int = BLOCK_LIMIT) -> Iterator[Record | Damage]:
    """Give every record of a `.warc.gz` file, and every damage, in file order (see `Walk`)."""
    return iter(Walk(path, limit=limit))


def bare_uri(value: str | None) -> str | None:
    """Take the angle brackets off `<uri>` (WARC 1.1 §4); other values are given as they are."""
    if value is not None and value[:1] == "<" and value[-1:] == ">":
        return value[1:-1]
    return value


class BadRecord(BadMember):
    """The gzip member is sound, the record in it is not."""

    def __init__(self, code: str, detail: str, end: int | None, fields: Fields) -> None:
        super().__init__(code, detail, end)
        self.record_id = bare_uri(fields.first.get("warc-record-id"))


def damage(bad: BadMember, offset: int, length: int) -> Damage:
    """Say of bytes of a file that they are no sound record."""
    return Damage(
        offset=offset,
        length=length,
        code=bad.code,
        detail=bad.detail,
        record_id=bad.record_id if isinstance(bad, BadRecord) else None,
    )


def read_member(window: Window, offset: int, limit: int, open_sink: OpenSink) -> Record:
    """Read the one record of the gzip member at `offset`; the arguments are those of `Walk`.

    Raises:
        BadMember: there is no sound member, or not one sound record in it.

    """
    inflater = Inflater(window, offset)
    content = inflater.read_first(limit + MAX_HEAD)
    end = inflater.position if inflater.finished else None
    fields, start = read_head(content, end)
    size = content_length(fields, end)
    sink = open_sink(fields) if size > limit else None
    if end is None:
        _drain(inflater, memoryview(content)[start:], size, fields, sink)
    else:
        _expect_end(content, start + size, fields, end)
        if sink:
            sink.feed(memoryview(content)[start : start + size])
    return Record(
        offset,
        inflater.position - offset,
        inflater.sha256(),
        inflater.plain,
        fields,
        size,
        content[start : start + min(size, limit)],
        sink,
    )


def read_head(content: bytes, end: int | None) -> tuple[Fields, int]:
    """Read the header; give it and where the block begins. `end` is the member's, if known.

    Raises:
        BadMember: there is no header, or it is not as WARC 1.1 §4 has it.

    """
    blank = content.find(_END, 0, MAX_HEAD)
    if blank < 0:
        raise BadMember("E111", _no_head(content), end)
    head = content[:blank]
    try:
        text, utf8 = head.decode(), True
    except UnicodeDecodeError:
        text, utf8 = head.decode("latin-1"), False
    version, *lines = text.split("\r\n")
    if version not in _VERSIONS:
        raise BadMember("E110", f"it begins with {version[:40]!r}", end)
    if not text.count("\n") == text.count("\r") == len(lines):
        raise BadMember("E112", "a bare CR or LF", end)
    start = blank + len(_END)
    usual = _usual_fields(text, lines)
    if usual is not None:
        return Fields(version, usual, (), utf8), start
    unfolded = _unfolded(lines)
    first, repeated = _any_fields(unfolded, end)
    odd = ("W114",) if any(map(_ENCODED.fullmatch, first.values())) else ()
    return Fields(version, first, repeated, utf8, len(unfolded) < len(lines), odd), start


def _usual_fields(text: str, lines: list[str]) -> dict[str, str] | None:
    """Read fields spelt as nearly all writers do, twice as fast; None where one is not."""
    if "\t" in text or " \r" in text or ":  " in text or "=?" in text or text.endswith(" "):
        return None
    try:
        first = {_KNOWN[name]: value for name, value in [line.split(": ", 1) for line in lines]}
    except (KeyError, ValueError):
        return None
    return first if len(first) == len(lines) else None


def _unfolded(lines: list[str]) -> list[str]:
    """Join each line that begins with a blank to the field before it (WARC 1.1 §4, LWS)."""
    fields: list[list[str]] = []
    for line in lines:
        if fields and line[:1] in (" ", "\t"):
            fields[-1].append(line.strip(" \t"))
        else:
            fields.append([line])
    return [" ".join(parts) for parts in fields]


def _any_fields(
    lines: list[str], end: int | None
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Read fields in any spelling (WARC 1.1 §4): the first of each name, and the repetitions."""
    first: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    for line in lines:
        written, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(written):
            raise BadMember("E112", f"{line[:80]!r}", end)
        name = written.lower()
        if name in first:
            repeated.append((name, value.strip(" \t")))
        else:
            first[name] = value.strip(" \t")
    return first, tuple(repeated)


def _no_head(content: bytes) -> str:
    if not content:
        return "the gzip member is empty"
    if len(content) > MAX_HEAD:
        return f"it does not end within {MAX_HEAD} bytes"
    return "it does not end"


def content_length(fields: Fields, end: int | None) -> int:
    """Give the length of the block (WARC 1.1 §5.3).

    Raises:
        BadRecord: it is not stated, or more than once.

    """
    value = fields.first.get("content-length")
    if value is None or not (value.isascii() and value.isdigit() and len(value) < _DIGITS):
        raise BadRecord("E113", f"it is {value!r}", end, fields)
    if fields.repeated and any(name == "content-length" for name, _ in fields.repeated):
        raise BadRecord("E113", "it is there twice", end, fields)
    return int(value)


def _expect_end(content: bytes, block_end: int, fields: Fields, end: int | None) -> None:
    """Check that the block is followed by CRLF CRLF and nothing else."""
    if content[block_end:] == _END:
        return
    if len(content) < block_end:
        missing = block_end - len(content)
        raise BadRecord("E114", f"{missing} bytes are missing", end, fields)
    if content.startswith(_END, block_end):
        raise BadRecord("E116", "", end, fields)
    raise BadRecord("E115", "", end, fields)


def _drain(
    inflater: Inflater, begun: memoryview, size: int, fields: Fields, sink: Sink | None
) -> None:
    """Pass a large block to its sink piece by piece and check how the record ends."""
    left = size
    tail = b""
    piece = begun
    while True:
        if sink and left:
            sink.feed(piece[:left])
        if len(piece) > left:
            tail += piece[left:]
        left = max(0, left - len(piece))
        if inflater.finished or len(tail) > len(_END):
            break
        piece = memoryview(inflater.read(_PIECE))
    end = inflater.position if inflater.finished else None
    # the block itself is gone; what is left to judge is how much of it is missing and the tail
    _expect_end(tail, left, fields, end)
