"""fixity/ledger.jsonl: what happened, each line chained to the one before (FORMAT.md §8).

For sealing and verification. Append-only: the one thing that is ever cut off is a last line that
power loss kept from becoming one. It says what was sealed; it never looks at the files themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct, field

from pipeline import durable
from pipeline.errors import IntegrityError
from pipeline.fixity import merkle
from pipeline.fixity.extraction import Extraction, extraction_of
from pipeline.fixity.manifest import is_safe
from pipeline.model import canonical
from pipeline.model.finding import Finding

NAME = "fixity/ledger.jsonl"
FIRST: Final = "0" * 64
"""`previous` of the first line."""

EXTRACTION: Final = "extraction"
"""Type of the events that seal documents (FORMAT.md §8)."""

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


class SealedFile(Struct, frozen=True, kw_only=True):
    """A file as it was when it was sealed: path in the archive, hex digest, bytes."""

    path: str
    sha256: str
    size: int


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, not yet chained (PREMIS 3, event entity).

    Attributes:
        identifier: `urn:uuid:…`.
        type: `creation`, `capture` or `extraction`.
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
                "eventDateTime": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "eventOutcome": self.outcome,
                "eventDetail": dict(self.detail),
                "linkingAgent": {"name": "holdfast", "version": self.agent},
                "linkingObject": [
                    {"path": each.path, "sha256": each.sha256, "size": each.size}
                    for each in self.objects
                ],
            }
        )


class Ledger(Struct, frozen=True, kw_only=True):
    """A ledger that was read and checked.

    Attributes:
        size: whole lines.
        root: Merkle root over the lines, their LF included (RFC 6962 §2.1).
        begins: type of the first event, which is to be `creation`; empty where there is none.
        objects: every sealed file by path.
        last: paths that the last event sealed.
        torn: bytes of a last line without LF, which never happened.
        faults: lines that are not what they must be.
        extractions: how each file of documents was made, by its path.

    """

    size: int
    root: bytes
    begins: str
    objects: Mapping[str, SealedFile]
    last: frozenset[str]
    torn: int
    faults: tuple[Finding, ...]
    extractions: Mapping[str, Extraction] = field(default_factory=dict)


def read(path: Path) -> Ledger | None:
    """Read and check the ledger at `path`; None where there is none.

    Raises:
        OSError: it is there and cannot be read.

    """
    reading = _Reading()
    try:
        with path.open("rb") as lines:
            root = merkle.root(reading.leaves(iter(lambda: lines.readline(_MAX_LINE), b"")))
    except FileNotFoundError:
        return None
    return Ledger(
        size=reading.size,
        root=root,
        begins=reading.begins,
        objects=reading.objects,
        extractions=reading.extractions,
        last=frozenset(reading.last),
        torn=reading.torn,
        faults=tuple(reading.faults),
    )


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


class _Reading:
    """Lines being checked one after the other."""

    def __init__(self) -> None:
        self.size = 0
        self.begins = ""
        self.objects: dict[str, SealedFile] = {}
        self.extractions: dict[str, Extraction] = {}
        self.last: set[str] = set()
        self.torn = 0
        self.faults: list[Finding] = []
        self._previous = FIRST

    def leaves(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for line in lines:
            if not line.endswith(b"\n"):
                # a line longer than the limit is cut by us; it goes on, and is torn no less
                self.torn += len(line)
                continue
            self._check(line)
            self._previous = hashlib.sha256(line).hexdigest()
            self.size += 1
            yield line

    def _check(self, line: bytes) -> None:
        try:
            value = json.loads(line)
            files = _files(value)
            sound = value.keys() == _KEYS and canonical.line(value) == line
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            sound = False
        if not sound:
            self._fault("E421", "not canonical JSON of an event")
            return
        if self.size == 0:
            self.begins = str(value["eventType"])
        if value["seq"] != self.size:
            self._fault("E422", f"seq is {value['seq']!r}")
        if value["previous"] != self._previous:
            self._fault("E422", "the line before it is not the one it was chained to")
        self.last = {each.path for each in files}
        if value["eventType"] == EXTRACTION:
            made = extraction_of(value["eventDetail"], value["linkingAgent"])
            self.extractions.update(dict.fromkeys(self.last, made) if made else {})
        for each in files:
            if not is_safe(each.path):
                self._fault("E412", repr(each.path[:80]))
            elif self.objects.setdefault(each.path, each) != each:
                self._fault("E413", f"{each.path} was sealed before with another digest")

    def _fault(self, code: str, detail: str) -> None:
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append(Finding.of(code, NAME, f"line {self.size + 1}: {detail}"))


def _files(value: dict[str, Any]) -> list[SealedFile]:
    files = []
    for each in value["linkingObject"]:
        path, digest, size = each["path"], each["sha256"], each["size"]
        if not (isinstance(path, str) and isinstance(digest, str) and type(size) is int):
            raise ValueError("not a sealed file")
        files.append(SealedFile(path=path, sha256=digest, size=size))
    return files


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
