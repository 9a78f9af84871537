"""WARC and ARC files of other writers: whatever their form, the same records and damages.

For `holdfast verify FILE`. Known are `.warc.gz` with one record per gzip member, as ours; members
with several records, up to a whole file in one; uncompressed WARC; ARC, compressed or not. The form
is told by the first bytes, never by the file's name. The rules of the validator are the same for
all; what is a matter of form only is noted on the record (`Fields.odd`), and is no damage.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final, Literal

from msgspec import structs

from pipeline.archive.inflate import BadMember, Inflater, Search, Window
from pipeline.archive.reader import (
    BLOCK_LIMIT,
    MAX_HEAD,
    Damage,
    OpenSink,
    Record,
    damage,
    no_sink,
    read_member,
)
from pipeline.archive.stream import ARC, WARC, Grammar, Loose, Stream, find

Form = Literal["gzip", "plain"]

_GZIP = b"\x1f\x8b\x08"
_FILEDESC = b"filedesc:"
_BEGINNING: Final = 16
_NOT_INFLATED = ("E101", "E102", "E103", "E104")
# bytes that may be read in vain for the sake of damage: a hostile file could make us read for ever
_PATIENCE: Final = 64 * 1024 * 1024
_OTHERS = (
    (b"PK\x03\x04", "it is a ZIP file; a WACZ file has its WARC files inside"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; decompress it first"),
    (b"\x5d\x2a\x4d\x18", "it is compressed with zstd; decompress it first"),
    (b"BZh", "it is compressed with bzip2; decompress it first"),
    (b"\xfd7zXZ", "it is compressed with xz; decompress it first"),
)


class ForeignWalk:
    """One pass over a file. Iterate it once, then ask for the rest.

    Args:
        path: the file; the caller has made sure that it may be followed.
        limit: bytes of each block to keep.
        open_sink: makes the taker of a block that is larger than `limit`.

    Attributes:
        size: bytes of the file.
        sha256: hex digest of the whole file.
        members: gzip members that were read.
        what: what the file is, where it holds no record.

    """

    def __init__(
        self, path: Path, *, limit: int = BLOCK_LIMIT, open_sink: OpenSink = no_sink
    ) -> None:
        self.size = 0
        self.sha256 = ""
        self.members = 0
        self.what = ""
        self._path = path
        self._limit = limit
        self._open_sink = open_sink
        self._grammar: Grammar = WARC
        self._patience = _PATIENCE

    def __iter__(self) -> Iterator[Record | Damage]:
        """Give records and damages in file order.

        A record that shares its gzip member with others has that member's offset; its length ends
        where the record does, as far as that can be told in compressed bytes, and its digest is
        empty.

        Raises:
            OSError: the file cannot be opened or read.

        """
        with self._path.open("rb", buffering=0) as handle:
            window = Window(handle.fileno())
            self.size = window.size
            self._patience += window.size
            form = self._recognise(window)
            if form == "gzip":
                yield from self._members(window)
            elif form == "plain":
                yield from self._plain(window)
            self.sha256 = window.sha256()

    def _recognise(self, window: Window) -> Form | None:
        begin = bytes(window.view(0, _BEGINNING))
        if begin.startswith(_GZIP):
            try:
                content = Inflater(window, 0).read(len(_FILEDESC))
            except BadMember:
                content = b""
            if content == _FILEDESC:
                self._grammar = ARC
            return "gzip"
        if begin.startswith(_FILEDESC):
            self._grammar = ARC
            return "plain"
        if begin.startswith(b"WARC/"):
            return "plain"
        self.what = next((what for magic, what in _OTHERS if begin.startswith(magic)), "")
        if not begin:
            self.what = "it is empty"
        if self.what:
            return None
        # of a file that is damaged at its beginning the rest can still be read
        if Search(window, b"WARC/", ()).after(0) < window.size:
            return "gzip"
        return None if find(WARC.begins, window, 0) is None else "plain"

    def _members(self, window: Window) -> Iterator[Record | Damage]:
        search = Search(window, b"WARC/" if self._grammar is WARC else b"", ())
        offset = 0
        while offset < window.size:
            self.members += 1
            try:
                if self._grammar is not WARC:
                    raise BadMember("E116")
                found = read_member(window, offset, self._limit, self._open_sink)
            except BadMember as bad:
                if bad.code not in _NOT_INFLATED:
                    offset = yield from self._member(window, search, offset, bad)
                    continue
                end = search.after(offset)
                yield damage(bad, offset, end - offset)
                offset = end
            else:
                yield found
                offset += found.length

    def _member(
        self, window: Window, search: Search, offset: int, strictly: BadMember
    ) -> Generator[Record | Damage, None, int]:
        """Give the records of a member that is not just one; return where it ends."""
        inflater = Inflater(window, offset)
        stream = Stream(lambda size: b"" if inflater.finished else inflater.read(size))
        odd = ("W116",) if strictly.code == "E116" and self._grammar is WARC else ()
        nothing = True
        try:
            while stream.skip_blank_lines():
                nothing = False
                try:
                    loose = self._grammar.read(stream, self._limit, self._open_sink)
                except BadMember as bad:
                    if bad.code in _NOT_INFLATED:
                        raise
                    begin = stream.offset
                    on = stream.skip_to(self._grammar.begins, self._patience)
                    self._patience -= stream.offset - begin + MAX_HEAD
                    if not on or self._patience < 0:
                        raise
                    yield damage(bad, offset, inflater.position - offset)
                else:
                    length = inflater.position - offset
                    yield _record(loose, offset, length, odd, plain=inflater.plain)
                    odd = ()
        except BadMember as bad:
            end = search.after(offset)
            yield damage(bad, offset, end - offset)
            return end
        if nothing:
            yield damage(strictly, offset, inflater.position - offset)
        return inflater.position

    def _plain(self, window: Window) -> Iterator[Record | Damage]:
        odd = ("W117",) if self._grammar is WARC else ()
        base = 0
        stream = _from(window, base)
        while stream.skip_blank_lines():
            begin = base + stream.offset
            try:
                loose = self._grammar.read(stream, self._limit, self._open_sink)
            except BadMember as bad:
                self._patience -= base + stream.offset - begin + MAX_HEAD
                # a wrong length may have swallowed the records that follow
                on = self._patience > 0 and find(self._grammar.begins, window, begin + 1)
                base = on or window.size
                stream = _from(window, base)
                yield damage(bad, begin, base - begin)
            else:
                yield _record(loose, begin, base + stream.offset - begin, odd, plain=True)
                odd = ()


def _record(loose: Loose, offset: int, length: int, odd: tuple[str, ...], *, plain: bool) -> Record:
    fields = structs.replace(loose.fields, odd=(*loose.fields.odd, *odd))
    return Record(offset, length, "", plain, fields, loose.size, loose.block, loose.sink)


def _from(window: Window, base: int) -> Stream:
    """Read the file itself from `base` on."""
    position = base

    def more(size: int) -> bytes:
        nonlocal position
        data = bytes(window.view(position, size))
        position += len(data)
        return data

    return Stream(more)
