"""Earlier captures read back from the archive, for crawls that ask only for what has changed.

`payload_of` gives a page again whose server says that it is the same, so that its links can be
followed. `refresh` brings the catalogue in line with the sealed WARC files, and so makes it anew
after the working folder was deleted. Sealed files are only read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Final

from msgspec import Struct, structs

from pipeline.archive.index import BadLine, members_in
from pipeline.archive.reader import bare_uri
from pipeline.crawl.frontier.catalogue import Catalogue, Known, remove
from pipeline.errors import ConfigError, StorageError
from pipeline.model.content import decode_content
from pipeline.model.http import Head, PayloadStream, framing
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, Name, parse
from pipeline.model.records import Member, Original
from pipeline.stages.stored import StoredRecord, Unreadable

MAX_PAYLOAD: Final = 32 * 1024 * 1024
"""Bytes of a page that are given; all of it is read, to check its digest."""

_BATCH = 1000
_SHA256 = "sha256:"


def payload_of(layout: Layout, known: Known, limit: int = MAX_PAYLOAD) -> tuple[Head, bytes] | None:
    """Give the page that a URL's last capture holds: its head, and its content, decoded.

    Args:
        layout: the archive.
        known: the capture.
        limit: bytes of the payload, and of the content, to give.

    Returns:
        None where the record is not there, cannot be read, or is not what the catalogue says.

    """
    # FORMAT.md §1: the collection, the time, a serial, the worker
    name = Name(known.warc.rsplit("-", 3)[0], known.warc)
    # a file that is being written may be sealed between one look and the next
    for path in (name.warc, name.warc + OPEN, name.warc):
        try:
            with (layout.root / path).open("rb") as file:
                return _payload(StoredRecord(file, known.offset), known, limit)
        except FileNotFoundError:
            continue
        except (OSError, Unreadable):
            return None
    return None


def refresh(layout: Layout, collection: str, sealed: Iterable[str]) -> None:
    """Bring a collection's catalogue in line with the archive, if need be from the beginning.

    Only the process that holds the archive's lock may call this, while no worker runs.

    Args:
        layout: the archive.
        collection: whose captures.
        sealed: paths of all sealed files.

    Raises:
        StorageError: the disk refused.

    """
    paths = list(sealed)
    try:
        _refresh(layout, collection, paths)
    except (ConfigError, StorageError):
        # of another version, or damaged: it holds nothing that the WARC files do not
        remove(layout.catalogue)
        _refresh(layout, collection, paths)


def _refresh(layout: Layout, collection: str, sealed: Iterable[str]) -> None:
    with closing(Catalogue(layout.catalogue, collection)) as catalogue:
        catch_up(layout, catalogue, collection, sealed)


def catch_up(layout: Layout, catalogue: Catalogue, collection: str, sealed: Iterable[str]) -> None:
    """Forget what is not in the archive any more and enter what the catalogue has missed.

    It costs one look at the size of each WARC file where nothing was missed. Files are read in the
    order of their names, which is that of time.

    Raises:
        StorageError: the disk refused, or the catalogue is damaged.

    """
    parts = (parse(path) for path in sealed)
    names = sorted(
        part.name.name
        for part in parts
        if part and part.kind == "warc" and part.name.collection == collection
    )
    known = catalogue.warcs()
    # no worker runs: a file that is still open was found unsound, and is no part of the archive
    catalogue.forget(sorted(known.keys() - names))
    orphans: list[_Repeat] = []
    for name in names:
        orphans += _catch_up_with(layout, catalogue, Name(collection, name), known.get(name, 0))
    # what one worker found to be in another's file, which was opened later
    catalogue.enter([entry for each in orphans if (entry := each.entry(catalogue))])


class _Repeat(Struct, frozen=True, kw_only=True):
    """A revisit record, as the catalogue may come to know it."""

    url: str
    original: Original
    payload_digest: str | None
    head: Head | None

    def entry(self, catalogue: Catalogue) -> Known | None:
        """Say what is known of the URL after this check; None if its original is not known."""
        etag, modified = validators(self.head)
        known = catalogue.latest(self.original.url)
        if known is not None and known.original.record_id != self.original.record_id:
            known = None
        if self.payload_digest is None:
            # a 304: what it does not say is as it was (RFC 9111 §3.2)
            if known is None:
                return None
            etag, modified = etag or known.etag, modified or known.modified
            return _entry(
                self.url, known.original, known.payload_digest, known.status, etag, modified
            )
        original = known.original if known else catalogue.original(self.payload_digest)
        if original is None or self.head is None:
            return None
        status = self.head.status
        return _entry(self.url, original, self.payload_digest, status, etag, modified)


def _catch_up_with(layout: Layout, catalogue: Catalogue, name: Name, covered: int) -> list[_Repeat]:
    """Enter the captures of one sealed file; give the revisits whose original is not known yet."""
    orphans: list[_Repeat] = []
    try:
        size = (layout.root / name.warc).stat().st_size
        if covered > size:
            # power was lost between two commits: captures that were cut off never happened
            catalogue.forget([name.name], beyond=size)
        if covered < size:
            captures = _captures(layout, name, covered)
            while batch := list(islice(captures, _BATCH)):
                catalogue.enter([found for found in batch if isinstance(found, Known)])
                repeats = [found for found in batch if isinstance(found, _Repeat)]
                entries = [(repeat, repeat.entry(catalogue)) for repeat in repeats]
                catalogue.enter([entry for _, entry in entries if entry])
                orphans += [repeat for repeat, entry in entries if not entry]
            catalogue.cover(name.name, size)
    except (OSError, BadLine):
        # for verification to report; what cannot be read is not referred to
        return orphans
    return orphans


def _captures(layout: Layout, name: Name, start: int) -> Iterator[Known | _Repeat]:
    """Give the captures of a sealed file from byte `start` on that may stand for others."""
    with (layout.root / name.warc).open("rb") as file:
        for member in members_in(layout.root / name.members):
            if member.offset < start or not member.uri:
                continue
            if member.type in ("response", "revisit"):
                try:
                    found = _capture(StoredRecord(file, member.offset), member, name.name)
                except Unreadable:
                    continue
                if found:
                    yield found


def _capture(record: StoredRecord, member: Member, warc: str) -> Known | _Repeat | None:
    head, url, digest = record.http_head(), member.uri or "", member.payload_digest
    if member.type == "revisit":
        original = record.original
        if original is None:
            return None
        return _Repeat(url=url, original=original, payload_digest=digest, head=head)
    if head is None or digest is None or not digest.startswith(_SHA256):
        return None
    if "warc-truncated" in record.fields:
        return None
    here = Original(
        record_id=member.record_id,
        url=url,
        date=member.date,
        chunked=is_chunked(head),
    )
    found = _entry(url, here, digest, head.status, *validators(head))
    return structs.replace(found, warc=warc, offset=member.offset)


def is_chunked(head: Head) -> bool:
    """Tell whether chunk sizes stand between the payload's bytes."""
    return framing(head).kind == "chunked"


def validators(head: Head | None) -> tuple[str | None, str | None]:
    """Give ETag and Last-Modified of a response (RFC 9110 §8.8)."""
    found = (head.get(name) if head else None for name in (b"etag", b"last-modified"))
    etag, modified = (None if value is None else value.decode("latin-1") for value in found)
    return etag, modified


def _entry(
    url: str,
    original: Original,
    payload_digest: str,
    status: int,
    etag: str | None,
    modified: str | None,
) -> Known:
    """Make an entry that leaves it to the catalogue to find where its original lies."""
    return Known(
        url=url,
        original=original,
        payload_digest=payload_digest,
        status=status,
        etag=etag,
        modified=modified,
        warc="",
        offset=-1,
    )


def _payload(record: StoredRecord, known: Known, limit: int) -> tuple[Head, bytes] | None:
    """Read the whole payload, check it, and give the beginning of its content."""
    if bare_uri(record.fields.get("warc-record-id")) != known.original.record_id:
        return None
    stream, digest, begun = PayloadStream(), hashlib.sha256(), bytearray()
    for piece in record.block():
        data = stream.feed(piece)
        digest.update(data)
        begun += data[: limit - len(begun)]
    held = stream.finish()
    digest.update(held)
    if stream.head is None or _SHA256 + digest.hexdigest() != known.payload_digest:
        return None
    return stream.head, decode_content(begun or held, stream.head, limit).data
