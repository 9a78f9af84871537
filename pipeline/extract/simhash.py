"""A 64-bit similarity hash: near-identical texts differ in few bits.

Source: M. Charikar, "Similarity estimation techniques from rounding algorithms" (2002), over
three-word shingles hashed by BLAKE2b.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_SHINGLE_WORDS = 3
_LANE = 32  # bits of one counter: texts have fewer than 2**32 words
# for each byte: its eight bits, each in a lane of its own, so that one addition counts eight bits
_SPREAD = tuple(
    sum(((byte >> bit) & 1) << (bit * _LANE) for bit in range(8)) for byte in range(256)
)


def simhash(words: Sequence[str]) -> str | None:
    """Give the similarity hash of a text's words as 16 hex digits; None where there are none."""
    if not words:
        return None
    folded = [word.casefold() for word in words]
    last = max(1, len(folded) - _SHINGLE_WORDS + 1)
    counts = [0] * 8
    for start in range(last):
        shingle = " ".join(folded[start : start + _SHINGLE_WORDS])
        digest = hashlib.blake2b(shingle.encode("utf-8", "replace"), digest_size=8).digest()
        for at, byte in enumerate(digest):
            counts[at] += _SPREAD[byte]
    return "".join(f"{_majority(count, last):02x}" for count in counts)


def _majority(count: int, total: int) -> int:
    mask = (1 << _LANE) - 1
    return sum(1 << bit for bit in range(8) if 2 * ((count >> (bit * _LANE)) & mask) > total)
