"""fixity/ledger.jsonl: what happened, each line chained to the one before (FORMAT.md §8).

For sealing and verification. Append-only: the one thing that is ever cut off is a last line that
power loss kept from becoming one. It says what was sealed; it never looks at the files themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from pipeline import durable
from pipeline.errors import IntegrityError
from pipeline.fixity.extraction import Extraction, extraction_of
from pipeline.fixity.manifest import is_safe
from pipeline.fixity.merkle import Tree
from pipeline.model import canonical
from pipeline.model.finding import Finding

NAME = "fixity/ledger.jsonl"
FIRST: Final = "0" * 64
"""`previous` of the first line."""

EXTRACTION: Final = "extraction"
"""Type of the events that seal documents (FORMAT.md §8)."""

KEY_ROTATION: Final = "key rotation"
"""Type of the event from which on another key signs, or the first one does (FORMAT.md §8)."""

_MAX_LINE = 4 * 1024 * 1024  # an event has some kB; as values a line takes up to 25 times as much
_TAIL = 65536
_MAX_FAULTS = 100
_KEYS = frozenset(
    (
        "seq",
        "previous",
        "eventIdentifier",
        "eventType",
        "eventDateTime",
        "eventOutcome",
        "eventDetail",
        "linkingAgent",
        "linkingObject",
    )
)


class SealedFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A file as it was when it was sealed: path in the archive, hex digest, bytes."""

    path: str
    sha256: str
    size: int


class Rotation(Struct, frozen=True, kw_only=True):
    """A `key rotation` event, as it stands in line `seq`; its detail is not yet looked at."""

    seq: int
    at: str
    detail: Mapping[str, Any]


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, not yet chained (PREMIS 3, event entity).

    Attributes:
        identifier: `urn:uuid:…`.
        type: a word of the PREMIS event types (FORMAT.md §8).
        agent: version of the Holdfast that did it.

    """

    identifier: str
    type: str
    at: datetime
    outcome: Literal["success", "incomplete"]
    agent: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[SealedFile, ...] = ()

    def line(self, seq: int, previous: str) -> bytes:
        """Write the event as line `seq` of a ledger, after the line with hex digest `previous`."""
        return canonical.line(
            {
                "seq": seq,
                "previous": previous,
                "eventIdentifier": self.identifier,
                "eventType": self.type,
                "eventDateTime": self._moment,
                "eventOutcome": self.outcome,
                "eventDetail": dict(self.detail),
                "linkingAgent": {"name": "holdfast", "version": self.agent},
                "linkingObject": [
                    {"path": each.path, "sha256": each.sha256, "size": each.size}
                    for each in self.objects
                ],
            }
        )

    def as_rotation(self, seq: int) -> Rotation:
        """Give what a reader will find of a `key rotation` in line `seq`."""
        return Rotation(seq=seq, at=self._moment, detail=self.detail)

    @property
    def _moment(self) -> str:
        return self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Ledger(Struct, frozen=True, kw_only=True):
    """A ledger that was read and checked.

    Attributes:
        tree: the Merkle tree over the lines, their LF included (RFC 6962 §2.1).
        end: bytes of all whole lines.
        origin: name of this ledger in checkpoints: `holdfast/` and the digest of its first line.
        begins: type of the first event, which is to be `creation`; empty where there is none.
        objects: every sealed file by path.
        last: paths that the last event sealed.
        rotations: the events that name keys.
        torn: bytes of a last line without LF, which never happened.
        faults: lines that are not what they must be.
        extractions: how each file of documents was made, by its path.

    """

    tree: Tree
    end: int
    origin: str
    begins: str
    objects: Mapping[str, SealedFile]
    last: frozenset[str]
    rotations: tuple[Rotation, ...]
    torn: int
    faults: tuple[Finding, ...]
    extractions: Mapping[str, Extraction] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of whole lines."""
        return self.tree.size

    @property
    def root(self) -> bytes:
        """The Merkle root over all whole lines."""
        return self.tree.root()


def read(path: Path) -> Ledger | None:
    """Read and check the ledger at `path`; None where there is none.

    Raises:
        OSError: it is there and cannot be read.

    """
    try:
        with path.open("rb") as file:
            return check(iter(lambda: file.readline(_MAX_LINE), b""))
    except FileNotFoundError:
        return None


def check(lines: Iterable[bytes]) -> Ledger:
    """Check the lines of a ledger."""
    reading = _Reading()
    for line in lines:
        reading.take(line)
    return reading.ledger()


def read_on(path: Path, tree: Tree, end: int) -> int:
    """Add the lines after byte `end` to the tree of those before; give where the last one ends.

    For the writer, which holds the lock and has written them itself.

    Raises:
        OSError: the ledger cannot be read.

    """
    with path.open("rb") as lines:
        lines.seek(end)
        for line in lines:
            tree.append(line)
            end += len(line)
    return end


def append(path: Path, event: Event) -> None:
    """Append `event` to the ledger at `path`, created if need be. The caller holds the lock.

    Raises:
        IntegrityError: the ledger's last line is none; `recover` was not called, or it was damaged.
        StorageError: the disk refused; `recover` cuts off what was half written.

    """
    seq, previous = 0, FIRST
    if last := _last_line(path):
        try:
            seq = int(json.loads(last)["seq"]) + 1
        except (ValueError, KeyError, TypeError):
            raise IntegrityError(
                f"{path}: the last line is damaged; run holdfast verify before anything is added"
            ) from None
        previous = hashlib.sha256(last).hexdigest()
    durable.append(path, event.line(seq, previous))


def recover(path: Path) -> int:
    """Cut off a last line without LF and give its length. The caller holds the lock.

    Raises:
        OSError: the file cannot be read or cut.

    """
    try:
        with path.open("r+b") as ledger:
            size = ledger.seek(0, os.SEEK_END)
            whole = size
            while whole:
                start = max(0, whole - _TAIL)
                ledger.seek(start)
                line_end = ledger.read(whole - start).rfind(b"\n")
                if line_end >= 0:
                    whole = start + line_end + 1
                    break
                whole = start
            if whole < size:
                ledger.truncate(whole)
                os.fsync(ledger.fileno())
            return size - whole
    except FileNotFoundError:
        return 0


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """An event as it is written (FORMAT.md §8), in the order of its keys."""

    eventDateTime: str  # noqa: N815 - PREMIS spells it so
    eventDetail: dict[str, Any]  # noqa: N815
    eventIdentifier: str  # noqa: N815
    eventOutcome: str  # noqa: N815
    eventType: str  # noqa: N815
    linkingAgent: dict[str, Any]  # noqa: N815
    linkingObject: list[SealedFile]  # noqa: N815
    previous: str
    seq: int


def _no_fraction(text: str) -> float:
    raise ValueError(f"a fraction: {text}")


_decoder = msgspec.json.Decoder(Line, float_hook=_no_fraction)
_encoder = msgspec.json.Encoder(order="sorted")


def parse_line(line: bytes) -> Line | None:
    """Read one line, its LF included; None where it is not the one spelling of an event."""
    try:
        event = _decoder.decode(line)
        # three times faster than json, and the same spelling (tests/fixity/test_ledger.py)
        return event if _encoder.encode(event) + b"\n" == line else None
    except (ValueError, RecursionError):
        return None


class _Reading:
    """Lines being checked one after the other."""

    def __init__(self) -> None:
        self._tree = Tree()
        self._size = 0
        self._end = 0
        self._origin = self._begins = ""
        self._objects: dict[str, SealedFile] = {}
        self._extractions: dict[str, Extraction] = {}
        self._last: list[SealedFile] = []
        self._rotations: list[Rotation] = []
        self._torn = 0
        self._faults: list[Finding] = []
        self._previous = FIRST

    def take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            # a line longer than the limit is cut by us; it goes on, and is torn no less
            self._torn += len(line)
            return
        digest = hashlib.sha256(line).hexdigest()
        if self._size == 0:
            self._origin = f"holdfast/{digest}"
        self._check(line)
        self._previous = digest
        self._size += 1
        self._end += len(line)
        self._tree.append(line)

    def ledger(self) -> Ledger:
        return Ledger(
            tree=self._tree,
            end=self._end,
            origin=self._origin,
            begins=self._begins,
            objects=self._objects,
            extractions=self._extractions,
            last=frozenset(each.path for each in self._last),
            rotations=tuple(self._rotations),
            torn=self._torn,
            faults=tuple(self._faults),
        )

    def _check(self, line: bytes) -> None:
        event = parse_line(line)
        if event is None:
            self._fault("E421", "not canonical JSON of an event")
            return
        if self._size == 0:
            self._begins = event.eventType
        if event.seq != self._size:
            self._fault("E422", f"seq is {event.seq!r}")
        if event.previous != self._previous:
            self._fault("E422", "the line before it is not the one it was chained to")
        if event.eventType == KEY_ROTATION:
            detail = event.eventDetail if isinstance(event.eventDetail, dict) else {}
            self._rotations.append(Rotation(seq=self._size, at=event.eventDateTime, detail=detail))
        objects, self._last = self._objects, event.linkingObject
        if event.eventType == EXTRACTION:
            made = extraction_of(event.eventDetail, event.linkingAgent)
            paths = [each.path for each in event.linkingObject]
            self._extractions.update(dict.fromkeys(paths, made) if made else {})
        for each in event.linkingObject:
            path = each.path
            if not is_safe(path):
                self._fault("E412", repr(path[:80]))
            elif path not in objects:
                objects[path] = each
            elif objects[path] != each:
                self._fault("E413", f"{path} was sealed before with another digest")

    def _fault(self, code: str, detail: str) -> None:
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append(Finding.of(code, NAME, f"line {self._size + 1}: {detail}"))


def _last_line(path: Path) -> bytes:
    """Give the last line with its LF; nothing where there is no line.

    Raises:
        IntegrityError: the file does not end with LF.

    """
    try:
        with path.open("rb") as ledger:
            size = ledger.seek(0, os.SEEK_END)
            tail = b""
            while size > len(tail) and tail.count(b"\n") < 2:
                ledger.seek(-min(size, max(_TAIL, 2 * len(tail))), os.SEEK_END)
                tail = ledger.read()
    except FileNotFoundError:
        return b""
    if tail and not tail.endswith(b"\n"):
        raise IntegrityError(f"{path}: the last line has no end; it must be cut off first")
    return tail[tail.rfind(b"\n", 0, -1) + 1 :]
