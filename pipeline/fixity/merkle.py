"""The Merkle tree of RFC 6962 §2.1: one digest that stands for a whole ledger, and short proofs.

For sealing, verification and proofs. Pure: nothing here knows what a leaf means. A *path* is a list
of digests in the order of the standard, from the leaves up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

DIGEST: Final = 32
"""Bytes of a digest."""


class Tree:
    """A tree that grows by one leaf after the other; of each leaf its hash alone is kept."""

    def __init__(self) -> None:
        self._leaves = bytearray()
        self._roots: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._leaves) // DIGEST

    def append(self, leaf: bytes) -> None:
        """Add the next leaf."""
        self._leaves += leaf_hash(leaf)

    def root(self, size: int | None = None) -> bytes:
        """Give MTH of the first `size` leaves, or of all (§2.1).

        Raises:
            ValueError: there are not so many.

        """
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise ValueError(f"no root at {size}: the tree has {self.size} leaves")
        if size not in self._roots:
            self._roots[size] = self._hash(0, size)
        return self._roots[size]

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Give PATH(index, D[size]): what proves that a leaf is one of the first `size` (§2.1.1).

        Raises:
            ValueError: there is no such leaf among them.

        """
        if not 0 <= index < size <= self.size:
            raise ValueError(f"no leaf {index} among {size} of {self.size}")
        path = []
        first, last = 0, size
        while last - first > 1:
            middle = first + _split(last - first)
            if index < middle:
                path.append(self._hash(middle, last))
                last = middle
            else:
                path.append(self._hash(first, middle))
                first = middle
        return path[::-1]

    def consistency(self, earlier: int, size: int) -> list[bytes]:
        """Give PROOF(earlier, D[size]): the proof that the tree of `earlier` leaves grew (§2.1.2).

        Raises:
            ValueError: there was no such tree.

        """
        if not 0 < earlier <= size <= self.size:
            raise ValueError(f"no tree of {earlier} among {size} of {self.size} leaves")
        path = []
        first, last = 0, size
        while earlier != last:
            middle = first + _split(last - first)
            if earlier <= middle:
                path.append(self._hash(middle, last))
                last = middle
            else:
                path.append(self._hash(first, middle))
                first = middle
        if first > 0:
            path.append(self._hash(first, last))
        return path[::-1]

    def _hash(self, first: int, last: int) -> bytes:
        """Give MTH of the leaves from `first` up to but not including `last`."""
        leaves = self._leaves
        return _join(
            bytes(leaves[at : at + DIGEST]) for at in range(first * DIGEST, last * DIGEST, DIGEST)
        )


def leaf_hash(leaf: bytes) -> bytes:
    """Give the hash of one leaf; it differs from that of a node with the same bytes (§2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Give MTH of the leaves in order (§2.1); of no leaves, the digest of nothing."""
    return _join(map(leaf_hash, leaves))


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Give the root of a tree of `size` leaves that has `leaf` at `index`, if `path` is right.

    Whoever checks a proof compares it with the root he trusts. None where no such path is possible
    (RFC 9162 §2.1.3.2 has the same steps).
    """
    if not 0 <= index < size:
        return None
    node, number, last = leaf_hash(leaf), index, size - 1
    for sibling in path:
        if last == 0 or len(sibling) != DIGEST:
            return None
        if number & 1 or number == last:
            node = _parent(sibling, node)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            node = _parent(node, sibling)
        number, last = number >> 1, last >> 1
    return node if last == 0 else None


def is_consistent(
    earlier: int, earlier_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> bool:
    """Tell whether `path` proves that a tree of `earlier` leaves grew into one of `size` (§2.1.2).

    The steps are those of RFC 9162 §2.1.4.2.
    """
    if not 0 < earlier <= size or any(len(each) != DIGEST for each in path):
        return False
    if earlier == size:
        return not path and earlier_root == root
    # a whole subtree is its own proof, and is left out of the path
    nodes = list(path) if earlier & (earlier - 1) else [earlier_root, *path]
    if not nodes:
        return False
    number, last = earlier - 1, size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    before = after = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            before, after = _parent(node, before), _parent(node, after)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            after = _parent(after, node)
        number, last = number >> 1, last >> 1
    return last == 0 and before == earlier_root and after == root


def _join(hashes: Iterable[bytes]) -> bytes:
    # the roots of the perfect trees that the leaves so far fall into, the largest first
    peaks: list[bytes] = []
    for number, leaf in enumerate(hashes):
        node = leaf
        merges = number
        while merges & 1:
            node = _parent(peaks.pop(), node)
            merges >>= 1
        peaks.append(node)
    if not peaks:
        return hashlib.sha256(b"").digest()
    node = peaks.pop()
    while peaks:
        node = _parent(peaks.pop(), node)
    return node


def _split(size: int) -> int:
    """Give the largest power of two that is smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
