"""A file of documents that is damaged or gone: which documents that costs, as far as can be told.

For verification, of levels below `extracts` too, so nothing here loads what extraction needs. What
a damaged file cannot tell any more, another revision of it may, and the index of its WARC file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from pipeline.archive.index import BadLine, members_in, parse_capture
from pipeline.fixity import disk
from pipeline.fixity.documents import Derivations, DocumentLines
from pipeline.model.finding import Finding
from pipeline.model.names import Name

# media types as servers name them that documents are made of; of the unnamed it must be assumed
_MAX_LINE = 1 << 20
_TEXT = ("text/html", "application/xhtml+xml", "text/plain", "unk")


class Shelf(Struct, frozen=True, kw_only=True):
    """Where the documents of one WARC file lie, and what else knows of them.

    Attributes:
        path: the file in question, relative to the archive's root.
        name: the NAME of the WARC file.
        revisions: paths of the other files made from it.

    """

    root: Path
    path: str
    name: Name
    revisions: Sequence[str]


def count(shelf: Shelf) -> tuple[int, tuple[Finding, ...]]:
    """Give how many lines can be read, and what keeps the rest from it."""
    lines = DocumentLines(shelf.root / shelf.path)
    derived = Derivations()
    _read(lines, derived)
    if not lines.trouble:
        return lines.count, ()
    return lines.count, (unread(shelf, lines, derived.names),)


def unread(shelf: Shelf, lines: DocumentLines, read: Sequence[str]) -> Finding:
    """Say that a file could be read to a point only, and name the documents that are lost.

    Args:
        shelf: where it lies.
        lines: its lines, read as far as they can be.
        read: ids of the documents that were read.

    """
    detail = f"{lines.trouble}, after {lines.count} whole documents"
    had = set(read)
    lost = tuple(each for each in _told_elsewhere(shelf) if each not in had)
    return Finding.of("E441", shelf.path, detail).with_affected(lost)


def all_in_doubt(shelf: Shelf) -> tuple[str, ...]:
    """Give the ids of all documents that the file holds or held."""
    derived = Derivations()
    if disk.look(shelf.root, shelf.path).trouble is None:
        _read(DocumentLines(shelf.root / shelf.path), derived)
    return tuple(dict.fromkeys([*derived.names, *_told_elsewhere(shelf)]))


def _read(lines: DocumentLines, derived: Derivations) -> None:
    try:
        derived.read(lines)
    except OSError as error:
        lines.trouble = error.strerror or str(error)


def _told_elsewhere(shelf: Shelf) -> list[str]:
    for path in shelf.revisions:
        if disk.look(shelf.root, path).trouble is None:
            lines, derived = DocumentLines(shelf.root / path), Derivations()
            _read(lines, derived)
            if derived.names and not lines.trouble:
                return derived.names
    with suppress(OSError, BadLine):
        return list(_captures_of_text(shelf.root, shelf.name))
    return []


def _captures_of_text(root: Path, name: Name) -> Iterator[str]:
    """Give the ids of the records that documents are made of, by what the WARC's indexes say."""
    if any(disk.look(root, path).trouble for path in (name.cdxj, name.members)):
        return
    with (root / name.cdxj).open("rb") as lines:
        offsets = {
            capture.offset
            for capture in map(parse_capture, iter(lambda: lines.readline(_MAX_LINE), b""))
            if capture.status in ("200", None)
            if capture.mime.lower() in _TEXT
            if capture.url.split("/", 3)[3:] != ["robots.txt"]
        }
    for member in members_in(root / name.members):
        if member.offset in offsets:
            yield member.record_id
