"""Which URLs a worker has met lately: most links of a page lead where the page before led, too.

A memory, not the truth: what it has forgotten, the frontier still knows.
"""

from __future__ import annotations

from typing import Final

GENERATION: Final = 50_000
"""URLs of one generation; two are remembered, about 12 MB."""


class Seen:
    """URLs met lately, exact and bounded. Threads may share it: the worst they do is meet twice."""

    def __init__(self) -> None:
        self._young: set[str] = set()
        self._old: set[str] = set()

    def knows(self, url: str) -> bool:
        """Tell whether `url` was met lately, without remembering it."""
        return url in self._young or url in self._old

    def meets(self, url: str) -> bool:
        """Remember `url`; tell whether it is met for the first time in a while."""
        if url in self._young or url in self._old:
            return False
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, set()
        self._young.add(url)
        return True
