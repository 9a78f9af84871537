"""A document: the clean text of one capture, what is known of it, and where each claim stood.

For everybody who reads `extracted/`. Values only: nothing here parses a page. docs/document.md
explains each field; `pipeline/extract/document.schema.json` is the contract.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from msgspec import Struct

SCHEMA = "holdfast/document/1"

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of the longest line of documents, its LF included: none is written longer or read further.

A document holds its text twice, and JSON spells a control character in six bytes: from the largest
payload that may be read (`[extract] max_document_bytes`) a longer line could be made.
"""

TextMethod = Literal["trafilatura", "full", "plain", "none"]
CharsetMethod = Literal[
    "bom", "ascii", "utf-8", "http", "meta", "detected", "no-break-space", "nul-pattern", "default"
]
Precision = Literal["year", "month", "day"]

_NO_SCALAR_VALUE = re.compile("[\x00\ud800-\udfff]")


def legible(text: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD: neither can be stored as UTF-8 text and read back.

    Source: Unicode 15 §3.9 D76 (scalar values); HTML §13.2.3.5 for NUL.
    """
    return _NO_SCALAR_VALUE.sub("\ufffd", text)


class Anomaly(Struct, frozen=True, kw_only=True):
    """Something that went wrong with this capture or its extraction, and was survived."""

    code: str
    detail: str


class MediaType(Struct, frozen=True, kw_only=True):
    """What the server called the payload, and what its bytes look like (`type/subtype`)."""

    http: str | None
    sniffed: str | None


class Charset(Struct, frozen=True, kw_only=True):
    """Which encoding the text was read in, and all evidence for it, in WHATWG names.

    Attributes:
        method: the evidence that decided.
        alternatives: encodings that somebody named or guessed, that fit the bytes as well, and
            that give another text.
        replaced: number of U+FFFD put where bytes had no meaning.

    """

    used: str
    http: str | None
    meta: str | None
    detected: str | None
    method: CharsetMethod
    alternatives: tuple[str, ...]
    replaced: int


class Claim(Struct, frozen=True, kw_only=True):
    """A value the page states about itself: tidied, as written, and where it stood."""

    value: str
    raw: str
    source: str


class DateClaim(Struct, frozen=True, kw_only=True):
    """A date the page states: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, never finer than written.

    `value` and `precision` are None where something was written that has no certain reading.
    """

    value: str | None
    precision: Precision | None
    raw: str
    source: str


class Language(Struct, frozen=True, kw_only=True):
    """The language that page or server declares (a BCP 47 tag as written), and where."""

    declared: str
    source: str


class Link(Struct, frozen=True, kw_only=True):
    """A reference from the page: absolute URL, `rel` tokens, element name, visible text."""

    url: str
    rel: str | None
    tag: str
    text: str


class Frame(Struct, frozen=True, kw_only=True):
    """A frame of a frameset: absolute URL and the name that links aim at."""

    url: str
    name: str | None


class Provenance(Struct, frozen=True, kw_only=True):
    """The record the document was made from: WARC path, member position, id, stored digests."""

    warc: str
    offset: int
    length: int
    record_id: str
    payload_digest: str | None
    block_digest: str | None


class Extractor(Struct, frozen=True, kw_only=True):
    """What made the document: software, its settings, and the libraries by one digest."""

    name: str
    version: str
    config_digest: str
    environment: str


class Document(Struct, frozen=True, kw_only=True):
    """One line of `extracted/<collection>/NAME.jsonl.gz`; docs/document.md gives each meaning.

    Attributes:
        coverage: words of `text` per thousand words of `text_full`; None where there are none.
        simhash: 64-bit similarity hash of `text` as 16 hex digits; None for an empty text.

    """

    id: str
    url: str
    final_url: str
    site: str | None
    collection: str
    captured_at: str
    media_type: MediaType
    charset: Charset | None
    title: Claim | None
    heading: Claim | None
    authors: tuple[Claim, ...]
    date_published: DateClaim | None
    date_modified: DateClaim | None
    language: Language | None
    description: Claim | None
    keywords: tuple[str, ...]
    license: Claim | None
    text: str
    text_full: str
    text_method: TextMethod
    coverage: int | None
    links: tuple[Link, ...]
    frames: tuple[Frame, ...]
    flags: tuple[str, ...]
    anomalies: tuple[Anomaly, ...]
    text_sha256: str
    simhash: str | None
    provenance: Provenance
    extractor: Extractor

    def as_json(self) -> dict[str, Any]:
        """Give the object of `document.schema.json`: strings, integers, lists and null only."""
        return {"schema": SCHEMA, **_plain(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return legible(value)
    return value
