"""A document: the clean text of one capture, what is known of it, and where each claim stood.

For everybody who reads `extracted/`. Values only: nothing here parses a page. docs/document.md
explains each field; `pipeline/extract/document.schema.json` is the contract, and `Document.parse`
holds a line to it: what these types allow is what the schema allows.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.model import canonical

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

# \Z and not $: in Python $ also matches before a line end
Stated = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]
Code = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]

_NO_SCALAR_VALUE = re.compile("[\x00\ud800-\udfff]")


def legible(text: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD: neither can be stored as UTF-8 text and read back.

    Source: Unicode 15 §3.9 D76 (scalar values); HTML §13.2.3.5 for NUL.
    """
    return _NO_SCALAR_VALUE.sub("\ufffd", text)


class Anomaly(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that went wrong with this capture or its extraction, and was survived."""

    code: Code
    detail: str


class MediaType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server called the payload, and what its bytes look like (`type/subtype`)."""

    http: str | None
    sniffed: str | None


class Charset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which encoding the text was read in, and all evidence for it, in WHATWG names.

    Attributes:
        method: the evidence that decided.
        alternatives: encodings that somebody named or guessed, that fit the bytes as well, and
            that give another text.
        replaced: number of U+FFFD put where bytes had no meaning.

    """

    used: Stated
    http: str | None
    meta: str | None
    detected: str | None
    method: CharsetMethod
    alternatives: tuple[Stated, ...]
    replaced: Count


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value the page states about itself: tidied, as written, and where it stood."""

    value: Stated
    raw: str
    source: Stated


class DateClaim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A date the page states: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, never finer than written.

    `value` and `precision` are None where something was written that has no certain reading.
    """

    value: Annotated[str, Meta(pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?\Z")] | None
    precision: Precision | None
    raw: str
    source: Stated


class Language(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The language that page or server declares (a BCP 47 tag as written), and where."""

    declared: Stated
    source: Stated


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reference from the page: absolute URL, `rel` tokens, element name, visible text."""

    url: Stated
    rel: str | None
    tag: Stated
    text: str


class Frame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frame of a frameset: absolute URL and the name that links aim at."""

    url: Stated
    name: str | None


class Provenance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record the document was made from: WARC path, member position, id, stored digests."""

    warc: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._/-]+\Z")]
    offset: Count
    length: Annotated[int, Meta(ge=1)]
    record_id: Stated
    payload_digest: str | None
    block_digest: str | None


class Extractor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What made the document: software, its settings, and the libraries by one digest."""

    name: Stated
    version: Stated
    config_digest: Sha256
    environment: Sha256


class Document(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="schema",
    tag=SCHEMA,
):
    """One line of `extracted/<collection>/NAME.jsonl.gz`; docs/document.md gives each meaning.

    Attributes:
        coverage: words of `text` per thousand words of `text_full`; None where there are none.
        simhash: 64-bit similarity hash of `text` as 16 hex digits; None for an empty text.

    """

    id: Stated
    url: Stated
    final_url: Stated
    site: str | None
    collection: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*\Z")]
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
    keywords: tuple[Stated, ...]
    license: Claim | None
    text: str
    text_full: str
    text_method: TextMethod
    coverage: Count | None
    links: tuple[Link, ...]
    frames: tuple[Frame, ...]
    flags: tuple[Code, ...]
    anomalies: tuple[Anomaly, ...]
    text_sha256: Sha256
    simhash: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")] | None
    provenance: Provenance
    extractor: Extractor

    @classmethod
    def parse(cls, line: bytes) -> Document:
        """Read a line of documents, without its LF, as strictly as the contract says.

        Memory stays within a few times the length of the line: what the schema does not know is
        refused before it becomes a value.

        Raises:
            ValueError: it is no such line; the message says why.

        """
        try:
            document = msgspec.json.decode(line, type=cls)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        alternatives = document.charset.alternatives if document.charset else ()
        sets = (document.keywords, document.flags, alternatives)
        if any(len(set(values)) < len(values) for values in sets):
            raise ValueError("a list holds a value twice that must be there once")
        if canonical.line(document.as_json())[:-1] != line:
            raise ValueError("not canonical JSON of what it says")
        return document

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
