"""WARC and ARC files of other writers, laid out anew as FORMAT.md has it: a gzip member a record.

For import. Blocks stay as they are, byte for byte, and so do all fields of a WARC record; their
names are spelt as the standard does, `<uri>` loses its brackets, and a missing block digest is
added. What an ARC record does not have (id, type, digests) is made from what it is. The original
stays beside the copy and is the one to be believed.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Final

from pipeline.archive.compose import Composer, Provenance
from pipeline.archive.fields import spelt
from pipeline.archive.foreign import ForeignWalk
from pipeline.archive.member import Members
from pipeline.archive.member import Record as Written
from pipeline.archive.reader import BLOCK_LIMIT, Damage, Fields, Record, bare_uri
from pipeline.archive.writer import OpenWarc
from pipeline.errors import IntegrityError
from pipeline.model.digest import sha256
from pipeline.model.http import PayloadStream, read_message
from pipeline.model.policy import WarcPolicy

_PIECE: Final = 256 * 1024
_HTTP = "application/http;msgtype=response"


def normalise(
    source: Path,
    target: Path,
    provenance: Provenance,
    policy: WarcPolicy,
    now: datetime,
    spool_folder: Path,
) -> None:
    """Write the records of `source` to the new file `target`, after a warcinfo of the copy's own.

    Args:
        source: a file in which the validator has found no error.
        target: NAME.warc.gz with the ending of a file that is being written.
        provenance: what the warcinfo says.
        policy: how to compress.
        now: the warcinfo's date, as an aware datetime.
        spool_folder: where blocks of more than 4 MiB wait.

    Raises:
        IntegrityError: `source` was changed since it was validated.
        OSError: it cannot be read.
        StorageError: the disk refused.

    """
    ids = _ids(source)
    info_id = next(ids)
    composer = Composer(lambda: info_id)
    filename = target.name.removesuffix(target.suffix)
    with closing(OpenWarc(target)) as out:
        opening = composer.opening(filename, provenance, now)
        out.append(Members(opening, policy.codec, policy.level))
        for found in ForeignWalk(source, open_sink=lambda fields: _Spool(fields, spool_folder)):
            if isinstance(found, Damage):
                raise IntegrityError(f"{source}: {found.message}; import it again")
            written = _written(found, info_id, ids)
            if written is not None:
                out.append(Members([written], policy.codec, policy.level, spool_folder))
            if isinstance(found.sink, _Spool):
                found.sink.close()


def _ids(source: Path) -> Iterator[str]:
    """Give record ids that follow from the file, so that it always gives the same copy."""
    with source.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    number = 0
    while True:
        yield f"<{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:sha256:{digest}#{number}').urn}>"
        number += 1


class _Spool:
    """Keeps a block that is too large for memory, and digests it and its payload on the way."""

    def __init__(self, fields: Fields, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 see close
        self._block = hashlib.sha256()
        self._payload = hashlib.sha256()
        self._stream = PayloadStream() if fields.version == "ARC" else None

    def feed(self, piece: memoryview) -> None:
        self._file.write(piece)
        self._block.update(piece)
        if self._stream is not None:
            self._payload.update(self._stream.feed(bytes(piece)))

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    @property
    def block_digest(self) -> str:
        return "sha256:" + self._block.hexdigest()

    @property
    def payload_digest(self) -> str | None:
        """Give the digest of the payload of an ARC record that is an HTTP response."""
        if self._stream is None:
            return None
        self._payload.update(self._stream.finish())
        return "sha256:" + self._payload.hexdigest() if self._stream.head else None

    def close(self) -> None:
        self._file.close()


def _written(found: Record, info_id: str, ids: Iterator[str]) -> Written | None:
    """Lay out a record; None for the head of an ARC file, which describes no capture."""
    spool = found.sink if isinstance(found.sink, _Spool) else None
    if spool is None and not found.whole:
        raise AssertionError(f"a block of more than {BLOCK_LIMIT} bytes was not spooled")
    block_digest = spool.block_digest if spool else sha256(found.block)
    if found.fields.version != "ARC":
        fields = _of_warc(found.fields)
        if found.get("warc-block-digest") is None:
            fields.append(("WARC-Block-Digest", block_digest))
    elif found.get("warc-type") == "warcinfo":
        return None
    else:
        payload_digest = spool.payload_digest if spool else _payload_digest(found.block)
        fields = _of_arc(found.fields, next(ids), info_id, payload_digest)
        fields.append(("WARC-Block-Digest", block_digest))
    return Written(fields, spool.chunks() if spool else found.block, found.size)


def _of_warc(fields: Fields) -> list[tuple[str, str]]:
    first = dict(fields.first)
    del first["content-length"]
    if "warc-target-uri" in first:
        first["warc-target-uri"] = bare_uri(first["warc-target-uri"]) or ""
    return [(spelt(name), value) for name, value in (*first.items(), *fields.repeated)]


def _of_arc(
    fields: Fields, record_id: str, info_id: str, payload_digest: str | None
) -> list[tuple[str, str]]:
    """Make the fields of a response, or, where the block is no HTTP, of a resource."""
    first = fields.first
    made = [
        ("WARC-Type", "response" if payload_digest else "resource"),
        ("WARC-Record-ID", record_id),
        ("WARC-Warcinfo-ID", info_id),
        ("WARC-Target-URI", first["warc-target-uri"]),
        ("WARC-Date", first["warc-date"]),
    ]
    if _is_address(first["warc-ip-address"]):
        made.append(("WARC-IP-Address", first["warc-ip-address"]))
    if payload_digest:
        return [*made, ("Content-Type", _HTTP), ("WARC-Payload-Digest", payload_digest)]
    return [*made, ("Content-Type", first["content-type"] or "application/octet-stream")]


def _payload_digest(block: bytes) -> str | None:
    message = read_message(block)
    return sha256(message.payload) if message.head else None


def _is_address(value: str) -> bool:
    """Tell whether an ARC record knows the server: 0.0.0.0 is how crawlers say that they do not."""
    try:
        return not ip_address(value).is_unspecified
    except ValueError:
        return False
