"""The Merkle tree hash of RFC 6962 §2.1: one digest that stands for a whole ledger.

For verification and checkpoints. Pure; memory grows with the logarithm of the number of leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def root(leaves: Iterable[bytes]) -> bytes:
    """Give MTH of the leaves in order (RFC 6962 §2.1); of no leaves, the digest of nothing."""
    # the roots of the perfect trees that the leaves so far fall into, the largest first
    peaks: list[bytes] = []
    for number, leaf in enumerate(leaves):
        node = hashlib.sha256(b"\x00" + leaf).digest()
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


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
