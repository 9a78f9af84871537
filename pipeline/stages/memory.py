"""What a worker knows of earlier captures: those of the catalogue, and its own of this second.

A capture is entered in the catalogue after the commit that makes it real. Until then only this
worker may refer to it: its own records follow in the same file, and what cuts off the one cuts off
the other.
"""

from __future__ import annotations

from typing import Final

from pipeline.crawl.frontier.catalogue import Catalogue, Known, payload_key
from pipeline.model.records import Original

_MOST_KEYS: Final = 200_000
"""Payloads of a first run that are kept in mind, about 14 MB; then the catalogue is asked."""


class Memory:
    """Earlier captures of one collection.

    Threads may ask side by side; `note` and `take` are called under the worker's lock.
    """

    def __init__(self, catalogue: Catalogue, *, enabled: bool) -> None:
        self._catalogue = catalogue
        self._enabled = enabled
        # in a first run no URL has an earlier capture, and asking costs
        self._is_recrawl = enabled and not catalogue.is_empty()
        # most payloads of a first run are new: a set says so at a hundredth of a look-up's cost
        self._keys: set[int] | None = set() if enabled and not self._is_recrawl else None
        self._read: dict[str, int] = {}
        self._fresh: dict[str, Original] = {}
        self._entries: list[Known] = []

    def known(self, url: str) -> Known | None:
        """Give the last capture of `url` in an earlier run."""
        return self._catalogue.latest(url) if self._is_recrawl else None

    def original(self, payload_digest: str, *, chunked: bool) -> Original | None:
        """Give the record that holds a payload, if there is one.

        In a first run what other workers have entered is met after this worker's next commit.

        Args:
            payload_digest: of the payload.
            chunked: whether the response at hand is chunked; one that is not may not refer to one
                that is (FORMAT.md §2).

        """
        if not self._enabled:
            return None
        fresh = self._fresh.get(payload_digest)
        if fresh is not None and (chunked or not fresh.chunked):
            return fresh
        keys = self._keys
        if keys is not None and payload_key(payload_digest) not in keys:
            return None
        return self._catalogue.original(payload_digest, chunked=chunked)

    def note(self, entry: Known) -> None:
        """Remember what was just appended to the worker's WARC file."""
        if self._enabled:
            self._entries.append(entry)
            self._fresh.setdefault(entry.payload_digest, entry.original)

    def take(self) -> list[Known]:
        """Give what the commit that follows will make real."""
        entries, self._entries = self._entries, []
        return entries

    def enter(self, entries: list[Known]) -> None:
        """Enter in the catalogue what was committed."""
        if entries:
            self._catalogue.enter(entries)
            self._learn()
            # only now: until here each of them was known as fresh
            for entry in entries:
                self._fresh.pop(entry.payload_digest, None)

    def _learn(self) -> None:
        """Take in what this worker and the others have entered since the last time."""
        if self._keys is not None:
            self._keys.update(self._catalogue.keys_since(self._read))
            if len(self._keys) > _MOST_KEYS:
                self._keys = None

    def close(self) -> None:
        """Let go of the catalogue."""
        self._catalogue.close()
