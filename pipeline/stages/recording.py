"""A worker's WARC files, one after the other, each with its provenance and its composer.

The worker decides when to sync and commit; this part only writes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pipeline.archive.compose import Composer, Provenance
from pipeline.archive.member import Members, Record
from pipeline.archive.writer import OpenWarc
from pipeline.crawl.frontier.runs import Run
from pipeline.crawl.frontier.share import Share
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, Name
from pipeline.model.policy import WarcPolicy


def record_id() -> str:
    """Give a new record id: a random UUID (RFC 9562 §5.4), at a third of the cost of `uuid`'s."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return (
        f"<urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}"
        f"-{variant}{digits[17:20]}-{digits[20:]}>"
    )


class Recorder:
    """Writes records into the worker's open WARC file.

    Attributes:
        warc: the open file.
        number: its number in the frontier.
        name: its NAME (FORMAT.md §1).
        composer: makes its records; another one after the file was changed.

    """

    warc: OpenWarc
    number: int
    name: str
    composer: Composer

    def __init__(self, layout: Layout, run: Run, share: Share, policy: WarcPolicy) -> None:
        self._layout = layout
        self._run = run
        self._share = share
        self._policy = policy

    @property
    def is_full(self) -> bool:
        """Tell whether the next file is due."""
        return self.warc.size >= self._policy.max_file_bytes

    def begin(self, provenance: Provenance, now: float) -> None:
        """Begin the next WARC file; nobody may append meanwhile."""
        moment = datetime.fromtimestamp(now, UTC)
        self.number, self.name = self._share.reserve_warc(
            self._run.name, moment.strftime("%Y%m%d%H%M%S")
        )
        path = self._layout.root / (Name(self._run.collection, self.name).warc + OPEN)
        self.composer = Composer(record_id)
        self.warc = OpenWarc(path)
        opening = self.composer.opening(path.name.removesuffix(OPEN), provenance, moment)
        self.warc.append(self._encode(opening))
        self.warc.sync()
        self._share.opened_warc(self.number, self.warc.size)

    def append(
        self,
        compose: Callable[[Composer], Sequence[Record]],
        lock: threading.Lock,
        then: Callable[[int, Members], None],
    ) -> None:
        """Append the records that `compose` makes, then call `then` with their offset and them.

        Compression happens outside `lock`; appending and `then` are one step under it.
        """
        while True:
            composer = self.composer
            members = self._encode(compose(composer))
            with lock:
                if composer is self.composer:
                    then(self.warc.append(members), members)
                    return
            # the file was changed meanwhile, and records must name the warcinfo of their own file
            members.close()

    def _encode(self, records: Sequence[Record]) -> Members:
        policy = self._policy
        return Members(records, policy.codec, policy.level, self._layout.working)
