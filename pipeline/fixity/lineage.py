"""Two ledgers side by side: is one of them the other's beginning, or did they part?

For copies of an archive. Lines are compared as bytes. Because each line holds the digest of the one
before, one line that both have proves all lines before it in whichever ledger is sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from msgspec import Struct

Relation = Literal["same", "behind", "ahead", "forked"]

_MAX_LINE = 64 * 1024 * 1024


class Lineage(Struct, frozen=True, kw_only=True):
    """How two ledgers lie to each other; a last line without LF does not count.

    Attributes:
        ours, theirs: whole lines of each.
        parted: number of the first line in which they differ; None where one begins the other.
        last_common: number of the last line that is the same in both; -1 where none is.

    """

    ours: int
    theirs: int
    parted: int | None
    last_common: int

    @property
    def relation(self) -> Relation:
        """Say what theirs is, seen from ours."""
        if self.parted is not None:
            return "forked"
        if self.ours == self.theirs:
            return "same"
        return "behind" if self.theirs < self.ours else "ahead"


def compare(ours: Path, theirs: Path) -> Lineage:
    """Compare the ledgers in two files.

    Raises:
        OSError: one of them cannot be read.

    """
    counts = [0, 0]
    parted, last_common = None, -1
    with ours.open("rb") as one, theirs.open("rb") as other:
        sides = _lines(one), _lines(other)
        while True:
            pair = [next(side, b"") for side in sides]
            if not any(pair):
                break
            number = max(counts)
            counts = [count + bool(line) for count, line in zip(counts, pair, strict=True)]
            if pair[0] == pair[1]:
                last_common = number
            elif all(pair) and parted is None:
                parted = number
    return Lineage(ours=counts[0], theirs=counts[1], parted=parted, last_common=last_common)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while (line := file.readline(_MAX_LINE)).endswith(b"\n"):
        yield line
