"""Blocks of type `application/warc-fields`: what a warcinfo and a metadata record tell.

For the validator (WARC 1.1 §6.2, §6.6; Heritrix for the letters of `hopsFromSeed`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.archive.fields import Broken

MEDIA_TYPE = "application/warc-fields"

_HOPS = re.compile(rb"(?:[0-9]+\+)?[LEXRPIMS]*")
# what a crawl of ours writes for nearly every capture
_USUAL = re.compile(
    rb"(?:via: [!-~]+\r\n)?hopsFromSeed: (?:[0-9]+\+)?[LEXRPIMS]*\r\nfetchTimeMs: [0-9]+\r\n"
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def broken_account(block: bytes) -> Iterator[Broken]:
    """Give what is wrong with the block of a metadata record."""
    if _USUAL.fullmatch(block):
        return
    for name, value in _fields(block):
        if not _NAME.fullmatch(name):
            yield "W212", repr(name[:80])[1:]
        elif name.lower() == b"hopsfromseed" and not _HOPS.fullmatch(value):
            yield "W220", f"hopsFromSeed {value[:40]!r}"
        elif name.lower() == b"fetchtimems" and not value.isdigit():
            yield "W220", f"fetchTimeMs {value[:40]!r}"


def broken_info(block: bytes, media_type: str) -> Iterator[Broken]:
    """Give what is wrong with the block of a warcinfo record.

    The standard leaves all its fields to the writer; without the software nobody can tell which
    faults to expect of the file.
    """
    if not media_type.lower().startswith(MEDIA_TYPE):
        yield "W211", f"it is {media_type or 'of no type'}"
        return
    fields = list(_fields(block))
    for name, _ in fields:
        if not _NAME.fullmatch(name):
            yield "W212", repr(name[:80])[1:]
    if not any(name.lower() == b"software" and value for name, value in fields):
        yield "W211", "it does not name the software"


def _fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give names and values; lines that go on with a blank belong to the field before."""
    for line in block.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").splitlines():
        if line:
            name, colon, value = line.partition(b":")
            yield (name, value.strip()) if colon else (line + b" ", b"")
