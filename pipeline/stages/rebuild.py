"""A WARC file put together again, member by member, from several copies that are all damaged.

For repair. The sealed members.jsonl tells offset, length and digest of each member; a member is
taken from whichever copy has it, in its place or elsewhere. Nobody votes: a digest decides.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from msgspec import Struct, field

from pipeline.archive.index import BadLine, members_in
from pipeline.archive.reader import Record, walk
from pipeline.fixity import disk
from pipeline.fixity.ledger import SealedFile
from pipeline.model.records import Member
from pipeline.stages.copying import STEP, write

_MOVED_ROOM = 64 << 20  # a copy that has grown by more is not searched


class Copy(Struct, frozen=True, kw_only=True):
    """An archive to take bytes from: this one, or a replica.

    Attributes:
        label: what the operator called it.

    """

    label: str
    root: Path


class Rebuilt(Struct, kw_only=True):
    """What became of a rebuilding.

    Attributes:
        taken: members by the label of the copy they came from.
        lost: members that no copy has.
        described: an intact members.jsonl was there to go by.

    """

    taken: Counter[str] = field(default_factory=Counter)
    lost: list[Member] = field(default_factory=list)
    described: bool = True


def rebuild(
    sealed: SealedFile, members: SealedFile | None, copies: Sequence[Copy], out: FileIO | None
) -> Rebuilt:
    """Write to `out` every member that some copy has.

    Args:
        sealed: the WARC file.
        members: its members.jsonl.
        copies: where to look, the first choice first.
        out: an empty file; None to only find out what could be had.

    Raises:
        OSError: `out` cannot be written. Trouble of a copy only means that it has less to give.

    """
    lists = [copy for copy in copies if members and _has(copy, members)]
    if members is None or not lists:
        return Rebuilt(described=False)
    rebuilt = Rebuilt()
    with _Sources(sealed.path, copies) as sources:
        for member in _tiles(lists[0].root / members.path, sealed.size):
            if label := sources.take(member, out):
                rebuilt.taken[label] += 1
            else:
                rebuilt.lost.append(member)
        if rebuilt.lost:
            _search(sealed, sources, rebuilt, out)
    return rebuilt


def _has(copy: Copy, sealed: SealedFile) -> bool:
    seen = disk.look(copy.root, sealed.path)
    if seen.trouble or seen.size != sealed.size:
        return False
    return disk.digest(copy.root, sealed.path).sha256 == sealed.sha256


def _tiles(path: Path, size: int) -> Iterator[Member]:
    """Give the members as far as they tile a file of `size` bytes (FORMAT.md §3)."""
    end = 0
    with suppress(BadLine):
        for member in members_in(path):
            if member.offset != end or member.length < 1 or end + member.length > size:
                return
            end += member.length
            yield member


class _Sources:
    """One file in each of the copies that have it, open for reading."""

    def __init__(self, path: str, copies: Sequence[Copy]) -> None:
        self.path = path
        self._copies = copies
        self.open: list[tuple[Copy, FileIO]] = []

    def __enter__(self) -> _Sources:
        for copy in self._copies:
            if disk.look(copy.root, self.path).trouble is None:
                with suppress(OSError):
                    self.open.append((copy, disk.open_plain(copy.root, self.path)))
        return self

    def __exit__(self, *_: object) -> None:
        for _copy, data in self.open:
            data.close()

    def take(self, member: Member, out: FileIO | None) -> str:
        """Take a member from the first copy that has it in its place; give that copy's label."""
        for copy, data in self.open:
            if _copied(data, member.offset, member, out):
                return copy.label
        return ""


def _copied(data: FileIO, offset: int, member: Member, out: FileIO | None) -> bool:
    """Copy the member that may lie at `offset` to its own place; tell whether it was the one."""
    digest, done = hashlib.sha256(), 0
    if out:
        out.seek(member.offset)
    while done < member.length:
        try:
            piece = os.pread(data.fileno(), min(STEP, member.length - done), offset + done)
        except OSError:
            return False
        if not piece:
            return False
        digest.update(piece)
        done += len(piece)
        if out:
            write(out, piece)
    return digest.hexdigest() == member.sha256


def _search(sealed: SealedFile, sources: _Sources, rebuilt: Rebuilt, out: FileIO | None) -> None:
    """Look for members that bytes put in or taken out before them have moved."""
    for copy, data in sources.open:
        if os.fstat(data.fileno()).st_size > sealed.size + _MOVED_ROOM:
            continue
        wanted = {member.sha256 for member in rebuilt.lost}
        found: dict[str, int] = {}
        with suppress(OSError):
            for record in walk(copy.root / sealed.path):
                if isinstance(record, Record) and record.sha256 in wanted:
                    found.setdefault(record.sha256, record.offset)
        lost = []
        for member in rebuilt.lost:
            at = found.get(member.sha256)
            if at is not None and _copied(data, at, member, out):
                rebuilt.taken[copy.label] += 1
            else:
                lost.append(member)
        rebuilt.lost = lost
