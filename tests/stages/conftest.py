"""A small archive for tests: captures and revisits written by our own writer, and sealed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.archive.compose import Composer, Profile, Provenance, Revisit, Trail
from pipeline.archive.index import member_line
from pipeline.archive.member import Members
from pipeline.archive.validator import inspect
from pipeline.archive.writer import OpenWarc
from pipeline.model.digest import sha256
from pipeline.model.exchange import Block, Exchange, Truncated
from pipeline.model.http import read_message
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, Name
from pipeline.model.records import Original
from pipeline.stages import sealing

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Shelf:
    """Writes WARC files of a collection, one day after the other."""

    layout: Layout
    collection: str = "c"
    sealed: list[str] = field(default_factory=list)
    days: int = 0

    def begin(self) -> Shelved:
        """Begin the file of the next day."""
        self.days += 1
        moment = BEGUN + timedelta(days=self.days)
        name = Name(self.collection, f"{self.collection}-{moment:%Y%m%d%H%M%S}-00000-w0")
        return Shelved(self, name, moment)


class Shelved:
    """One WARC file."""

    def __init__(self, shelf: Shelf, name: Name, moment: datetime) -> None:
        self.name = name
        self.offsets: list[int] = []
        self._shelf = shelf
        self._moment = moment
        self._composer = Composer(lambda: f"<{uuid.uuid4().urn}>")
        self._warc = OpenWarc(shelf.layout.root / (name.warc + OPEN))
        info = Provenance(info=[("software", "test")])
        opening = self._composer.opening(f"{name.name}.warc.gz", info, moment)
        self._warc.append(Members(opening, "auto", 6))

    def add(
        self,
        url: str,
        body: bytes = b"",
        fields: Sequence[str] = (),
        *,
        status: str = "200 OK",
        repeats: tuple[Profile, Original] | None = None,
        truncated: Truncated | None = None,
        raw: bytes | None = None,
    ) -> Original:
        """Add a capture, or a revisit of `repeats`; give what a later one may refer to."""
        lines = [f"HTTP/1.1 {status}", *fields]
        if not status.startswith("304"):
            lines.append(f"Content-Length: {len(body)}")
        response = "\r\n".join(lines).encode() + b"\r\n\r\n" + body if raw is None else raw
        message = read_message(response)
        self._moment += timedelta(seconds=1)
        exchange = Exchange(
            url=url,
            started_at=self._moment,
            duration_ms=1,
            ip_address="192.0.2.1",
            tls=None,
            request=b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
            response=Block(response),
            head=message.head,
            truncated=truncated,
            block_digest=sha256(response),
            payload_digest=sha256(message.payload),
            payload_size=len(message.payload),
        )
        revisit = Revisit(*repeats) if repeats else None
        records = self._composer.capture(exchange, Trail(url=url, via=None, hops=""), revisit)
        self.offsets.append(self._warc.append(Members(records, "auto", 6)))
        told = dict(records[0].fields)
        return Original(
            record_id=told["WARC-Record-ID"].strip("<>"), url=url, date=told["WARC-Date"]
        )

    @property
    def open_path(self) -> Path:
        return self._warc.path

    def close(self) -> None:
        """Leave the file as a worker does that was killed."""
        self._warc.close()

    def seal(self) -> Name:
        """Make the file part of the archive."""
        self.close()
        root, name = self._shelf.layout.root, self.name
        inspection = inspect(self.open_path, name.warc)
        assert inspection.findings == ()
        (root / name.members).write_bytes(b"".join(map(member_line, inspection.members)))
        (root / name.cdxj).write_bytes(b"".join(inspection.index))
        self.open_path.rename(root / name.warc)
        files = [root / path for path in (name.warc, name.members, name.cdxj)]
        now = datetime(2026, 6, 1, tzinfo=UTC)
        sealing.recover(self._shelf.layout, now)
        sealing.enter(self._shelf.layout, files, event_type="capture", detail={}, now=now)
        self._shelf.sealed += [name.warc, name.members, name.cdxj]
        return name


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Layout(tmp_path / "shelf"))


@pytest.fixture(scope="session")
def shelf_in() -> Callable[[Path], Shelf]:
    """Make a shelf in a folder that several tests share."""
    return lambda folder: Shelf(Layout(folder))
