"""The front door of extraction: one capture in, one document or the reason for none out.

For the extract stage, for verification by repetition, and for research on pages. Pure: no file,
socket, clock or memory of earlier pages is touched, so the same capture, settings and library
versions give the same document. Odd pages become flags and anomalies; nothing is raised.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct, structs

from pipeline import __version__
from pipeline.extract import charset, sniff
from pipeline.extract.environment import environment_digest
from pipeline.extract.html import read_html
from pipeline.extract.metadata import Metadata, header_language
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.reading import Reading
from pipeline.extract.simhash import simhash
from pipeline.extract.source import Source
from pipeline.model.digest import sha256
from pipeline.model.document import (
    Anomaly,
    Document,
    Extractor,
    MediaType,
)
from pipeline.model.url import Rejected, absolute

_WORD = re.compile(r"\w+")


class Skipped(Struct, frozen=True):
    """No document is made of this capture; `reason` is a stable word to count by."""

    reason: str


def extract(source: Source, policy: ExtractPolicy) -> Document | Skipped:
    """Make a document of a capture whose payload is HTML or plain text."""
    text = _as_text(source, policy)
    if isinstance(text, Skipped):
        return text
    if text.kind == sniff.PLAIN:
        reading = _read_plain(text.decoded, source)
    else:
        reading = read_html(text.decoded, source, policy)
    if text.size < len(source.payload):
        reading = structs.replace(reading, anomalies=(_cut(source, text.size), *reading.anomalies))
    media_type = MediaType(http=sniff.essence(source.content_type), sniffed=text.kind)
    return _document(source, policy, media_type, reading)


def passed_over(source: Source, policy: ExtractPolicy) -> Skipped | None:
    """Tell why `extract` makes no document of a capture, without parsing it; None if it does."""
    text = _as_text(source, policy)
    return text if isinstance(text, Skipped) else None


def skipped(source: Source) -> Skipped | None:
    """Tell without much work that a capture is certainly no text."""
    binary = sniff.binary_type(source.payload, sniff.essence(source.content_type))
    return Skipped(f"media-type {binary}") if binary else None


def unread(source: Source, policy: ExtractPolicy, anomaly: Anomaly) -> Document:
    """Make the document of a capture whose extraction came to no end: no text, and why."""
    media_type = MediaType(http=sniff.essence(source.content_type), sniffed=None)
    return _document(source, policy, media_type, Reading(method="none", anomalies=(anomaly,)))


def _read_plain(decoded: charset.Decoded, source: Source) -> Reading:
    """Keep a text file as it is; only line ends become LF. It has no title of its own."""
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return Reading(
        method="plain",
        text=text,
        full=text,
        charset=decoded.charset,
        flags=decoded.flags,
        metadata=Metadata(language=header_language(source.content_language)),
    )


class _Text(Struct, frozen=True):
    """A payload that is text: its media type, the text, and how many bytes of it were decoded."""

    kind: str
    decoded: charset.Decoded
    size: int


def _as_text(source: Source, policy: ExtractPolicy) -> _Text | Skipped:
    not_text = skipped(source)
    if not_text:
        return not_text
    http = sniff.essence(source.content_type)
    payload = source.payload[: policy.max_document_bytes]
    markup = http != sniff.PLAIN or payload.lstrip()[:1] == b"<"
    decoded = charset.decode(
        payload, source.content_type, undeclared=policy.undeclared_encodings, markup=markup
    )
    kind = sniff.text_type(decoded.text, http)
    if kind not in (sniff.HTML, sniff.XHTML, sniff.PLAIN):
        return Skipped(f"media-type {kind or http}")
    return _Text(kind, decoded, len(payload))


def _cut(source: Source, size: int) -> Anomaly:
    detail = f"{size} of {len(source.payload)} bytes were read"
    return Anomaly(code="content-too-large", detail=detail)


def _document(
    source: Source, policy: ExtractPolicy, media_type: MediaType, reading: Reading
) -> Document:
    words = _WORD.findall(reading.text)
    words_full = len(words) if reading.text is reading.full else len(_WORD.findall(reading.full))
    metadata = reading.metadata
    return Document(
        id=source.provenance.record_id,
        url=source.url,
        final_url=source.url,
        site=_site(source.url),
        collection=source.collection,
        captured_at=source.captured_at,
        media_type=media_type,
        charset=reading.charset,
        title=metadata.title,
        heading=metadata.heading,
        authors=metadata.authors,
        date_published=metadata.published,
        date_modified=metadata.modified,
        language=metadata.language,
        description=metadata.description,
        keywords=metadata.keywords,
        license=metadata.license,
        text=reading.text,
        text_full=reading.full,
        text_method=reading.method,
        coverage=len(words) * 1000 // words_full if words_full else None,
        links=reading.references.links if reading.references else (),
        frames=reading.references.frames if reading.references else (),
        flags=tuple(sorted({*reading.flags, *(() if words_full else ("empty",))})),
        anomalies=(*source.problems, *reading.anomalies, *metadata.anomalies),
        text_sha256=sha256(reading.text.encode()),
        simhash=simhash(words),
        provenance=source.provenance,
        extractor=extractor(policy),
    )


def _site(url: str) -> str | None:
    normal = absolute(url)
    return None if isinstance(normal, Rejected) else normal.split("/")[2]


@lru_cache(maxsize=8)
def extractor(policy: ExtractPolicy) -> Extractor:
    """Give what documents made here and now name as their maker."""
    return Extractor(
        name="holdfast",
        version=__version__,
        config_digest=policy.digest(),
        environment=environment_digest(),
    )
