"""What earlier captures of a collection hold: one SQLite file, shared by its worker processes.

The crawl asks it which validators to send for a URL, and whether a payload is in the archive
already. It is entered after the commit that makes a capture real, and it can be made again from
the sealed WARC files (`stages/recall.py`). It holds no payload, and nothing here is part of the
archive.

A URL's key is 63 bits of a hash over collection and URL; the text is compared as well, so that a
collision costs a request without conditions and never a wrong reference.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from pipeline.crawl.frontier.database import connect, transaction
from pipeline.errors import StorageError
from pipeline.model.digest import sha256
from pipeline.model.records import Original

NO_PAYLOAD: Final = sha256(b"")
"""The digest of an empty payload, which stands for nothing."""

_SCHEMA = """
CREATE TABLE warc(
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, name TEXT NOT NULL,
    covered INTEGER NOT NULL DEFAULT 0, UNIQUE(collection, name));
CREATE TABLE response(
    warc INTEGER NOT NULL, offset INTEGER NOT NULL, record BLOB NOT NULL, date TEXT NOT NULL,
    url TEXT NOT NULL, payload INTEGER NOT NULL, payload_rest BLOB NOT NULL,
    chunked INTEGER NOT NULL,
    PRIMARY KEY(warc, offset)) WITHOUT ROWID;
CREATE INDEX response_payload ON response(payload);
CREATE TABLE latest(
    key INTEGER PRIMARY KEY, warc INTEGER NOT NULL, offset INTEGER NOT NULL,
    status INTEGER NOT NULL, etag TEXT, modified TEXT, url TEXT);
"""
_VERSION = 1
_LABEL = "sha256:"
_URN = "urn:uuid:"
_VALIDATOR = re.compile(r"[ -~]{1,500}")


class Known(Struct, frozen=True, kw_only=True):
    """The last capture of a URL.

    Attributes:
        url: as it was asked for.
        original: the response record that holds its payload; never a revisit.
        payload_digest: `sha256:…` of that payload.
        status: HTTP status code of the last response that was no 304.
        etag, modified: validators of the last check (RFC 9110 §8.8), if conditions may be set.
        warc: NAME of the file that holds `original`; empty where only the catalogue knows it.
        offset: where that record's member begins in the file.

    """

    url: str
    original: Original
    payload_digest: str
    status: int
    etag: str | None
    modified: str | None
    warc: str
    offset: int

    @property
    def is_conditional(self) -> bool:
        """Tell whether the server can be asked for the page only if it has changed."""
        return bool(self.etag or self.modified)

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Give the header fields that ask so (RFC 9110 §13.1.2, §13.1.3)."""
        if self.etag:
            yield "If-None-Match", self.etag
        if self.modified:
            yield "If-Modified-Since", self.modified


class Catalogue:
    """One collection's part of the file at `path`. Threads may use it side by side.

    Raises:
        ConfigError: another version of Holdfast made the file.
        StorageError: from any method: the disk refused, or the file is damaged.

    """

    def __init__(self, path: Path, collection: str) -> None:
        self._db = connect(path, _SCHEMA, _VERSION)
        self._collection = collection
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def is_empty(self) -> bool:
        """Tell whether no capture of the collection is known."""
        return not self.warcs()

    def latest(self, url: str) -> Known | None:
        """Give the last capture of `url`."""
        with self._lock:
            row = self._db.execute(
                "SELECT ifnull(latest.url, response.url), status, etag, modified, name,"
                " response.offset, record, date, response.url, chunked, payload, payload_rest"
                " FROM latest JOIN response USING (warc, offset) JOIN warc ON warc.id = warc"
                " WHERE key = ?",
                (_key(self._collection, url),),
            ).fetchone()
        if row is None or row[0] != url:
            return None
        known, status, etag, modified, name, offset, *original, payload, rest = row
        return Known(
            url=known,
            original=_original(*original),
            payload_digest=_joined(payload, rest),
            status=status,
            etag=etag,
            modified=modified,
            warc=name,
            offset=offset,
        )

    def original(self, payload_digest: str, *, chunked: bool = True) -> Original | None:
        """Give a response record of the collection that holds this payload, whole and not empty.

        Args:
            payload_digest: `sha256:…`.
            chunked: whether the response that repeats it is in chunks; if not, the original is not.

        """
        if payload_digest == NO_PAYLOAD:
            return None
        with self._lock:
            row = self._db.execute(
                "SELECT record, date, url, chunked FROM response JOIN warc ON warc.id = warc"
                " WHERE payload = ? AND payload_rest = ? AND collection = ? AND chunked <= ?"
                " LIMIT 1",
                (*_split(payload_digest), self._collection, chunked),
            ).fetchone()
        return _original(*row) if row else None

    def keys_since(self, ends: dict[str, int]) -> list[int]:
        """Give the `payload_key` of each response record that was entered lately.

        Args:
            ends: how far each WARC file was read by earlier calls, which is brought up to date.

        """
        keys: list[int] = []
        for name, covered in self.warcs().items():
            end = ends.get(name, 0)
            if covered > end:
                ends[name] = covered
                keys += self._keys(name, end)
        return keys

    def _keys(self, name: str, offset: int) -> list[int]:
        with self._lock:
            rows = self._db.execute(
                "SELECT payload FROM response WHERE warc = ? AND offset >= ?",
                (self._number(name), offset),
            ).fetchall()
        return [key for (key,) in rows]

    def enter(self, entries: Sequence[Known]) -> None:
        """Enter captures whose records are committed; all of them or, if it fails, none.

        An entry is of a whole response with a head (FORMAT.md §2). One without `warc` is of a
        revisit, and is passed over where its original is not known. Entering again does no harm.
        """
        held = [entry for entry in entries if entry.warc]
        with self._lock:
            for name in {entry.warc for entry in held}:
                self._number(name)
        with self._lock, transaction(self._db):
            self._keep(held)
            rows = [self._latest_row(entry, self._place(entry)) for entry in entries]
            self._db.executemany(
                "INSERT OR REPLACE INTO latest(key, warc, offset, status, etag, modified, url)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [row for row in rows if row],
            )

    def warcs(self) -> Mapping[str, int]:
        """Give the NAMEs of the WARC files that are known, and how far: up to which byte."""
        with self._lock:
            rows = self._db.execute(
                "SELECT name, covered FROM warc WHERE collection = ?", (self._collection,)
            ).fetchall()
        return dict(rows)

    def cover(self, name: str, size: int) -> None:
        """Note that all captures in the first `size` bytes of a WARC file have been entered."""
        with self._lock:
            self._db.execute("UPDATE warc SET covered = ? WHERE id = ?", (size, self._number(name)))

    def forget(self, names: Iterable[str], *, beyond: int = 0) -> None:
        """Forget the captures that WARC files hold at byte `beyond` and later; by default all."""
        with self._lock, transaction(self._db):
            for name in names:
                number = self._number(name)
                for table in ("latest", "response"):
                    self._db.execute(
                        f"DELETE FROM {table} WHERE warc = ? AND offset >= ?", (number, beyond)
                    )
                self._db.execute(
                    "UPDATE warc SET covered = min(covered, ?) WHERE id = ?", (beyond, number)
                )
                if not beyond:
                    self._db.execute("DELETE FROM warc WHERE id = ?", (number,))
                    del self._numbers[name]

    def _keep(self, entries: Sequence[Known]) -> None:
        """Enter the response records; those that are known already stay as they are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO response"
            "(warc, offset, record, date, url, payload, payload_rest, chunked)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    self._numbers[entry.warc],
                    entry.offset,
                    _packed(entry.original.record_id),
                    entry.original.date,
                    entry.original.url,
                    *_split(entry.payload_digest),
                    entry.original.chunked,
                )
                for entry in entries
            ],
        )
        ends: dict[str, int] = {}
        for entry in entries:
            ends[entry.warc] = max(entry.offset + 1, ends.get(entry.warc, 0))
        for name, end in ends.items():
            self._db.execute(
                "UPDATE warc SET covered = max(covered, ?) WHERE id = ?", (end, self._numbers[name])
            )

    def _place(self, entry: Known) -> tuple[int, int] | None:
        """Give the file and offset of the response record that an entry refers to."""
        if entry.warc:
            return self._numbers[entry.warc], entry.offset
        place: tuple[int, int] | None = self._db.execute(
            "SELECT warc, offset FROM response"
            " WHERE payload = ? AND payload_rest = ? AND record = ? LIMIT 1",
            (*_split(entry.payload_digest), _packed(entry.original.record_id)),
        ).fetchone()
        return place

    def _latest_row(self, entry: Known, place: tuple[int, int] | None) -> tuple[Any, ...] | None:
        if place is None:
            return None
        # conditions make sense for a page that is there, and only where we hold its content
        conditional = entry.status == 200 and entry.payload_digest != NO_PAYLOAD
        return (
            _key(self._collection, entry.url),
            *place,
            entry.status,
            _validator(entry.etag) if conditional else None,
            _validator(entry.modified) if conditional else None,
            None if entry.url == entry.original.url else entry.url,
        )

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            self._db.execute(
                "INSERT OR IGNORE INTO warc(collection, name) VALUES (?, ?)",
                (self._collection, name),
            )
            number = self._numbers[name] = self._db.execute(
                "SELECT id FROM warc WHERE collection = ? AND name = ?", (self._collection, name)
            ).fetchone()[0]
        return number


def remove(path: Path) -> None:
    """Remove a catalogue that cannot be used; nobody may have it open.

    Raises:
        StorageError: the disk refused.

    """
    try:
        for ending in ("-wal", "-shm", ""):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: could not be removed: {error.strerror}") from error


def _key(collection: str, url: str) -> int:
    digest = hashlib.blake2b(f"{collection} {url}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def payload_key(payload_digest: str) -> int:
    """Give the first 64 bits of a digest `sha256:…`, by which response records are found."""
    return _split(payload_digest)[0]


def _split(payload_digest: str) -> tuple[int, bytes]:
    """Split a digest into what is indexed and the rest."""
    raw = bytes.fromhex(payload_digest[len(_LABEL) :])
    return int.from_bytes(raw[:8], "big", signed=True), raw[8:]


def _joined(indexed: int, rest: bytes) -> str:
    return f"{_LABEL}{indexed.to_bytes(8, 'big', signed=True).hex()}{rest.hex()}"


def _original(record: bytes | str, date: str, url: str, chunked: int) -> Original:
    return Original(record_id=_unpacked(record), url=url, date=date, chunked=bool(chunked))


def _packed(record_id: str) -> bytes | str:
    """Give a record id in 16 bytes if it is a UUID as we write them, else as it is."""
    if len(record_id) == 45 and record_id.startswith(_URN):
        with suppress(ValueError):
            packed = bytes.fromhex(record_id[len(_URN) :].replace("-", ""))
            if _unpacked(packed) == record_id:
                return packed
    return record_id


def _unpacked(packed: bytes | str) -> str:
    if isinstance(packed, str):
        return packed
    digits = packed.hex()
    return f"{_URN}{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _validator(value: str | None) -> str | None:
    """Keep what may be sent back in a header field: one line of plain ASCII text."""
    return value if value and _VALIDATOR.fullmatch(value) else None
