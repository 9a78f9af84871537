"""From a WARC record to what extraction is given, or the reason why it is given nothing."""

from __future__ import annotations

from typing import Final

from pipeline.archive.reader import Record, bare_uri
from pipeline.extract.extractor import Skipped, skipped
from pipeline.extract.sniff import is_legible
from pipeline.extract.source import Source
from pipeline.model.content import decode_content
from pipeline.model.document import Anomaly, Provenance
from pipeline.model.http import Head, read_message

HEAD_ROOM: Final = 512 * 1024
"""Bytes that a block may have more than its payload: an HTTP head and chunk framing."""

_PROBLEMS = {
    "content-too-large": "only the beginning was read",
    "content-encoding-broken": "what could be decoded was read",
    "content-encoding-unsupported": "the coding is not known; the bytes were read as they are",
}
_CODING_PROBLEMS = ("content-encoding-broken", "content-encoding-unsupported")


def source_of(
    record: Record, warc: str, collection: str, max_bytes: int
) -> Source | Skipped | None:
    """Read a record as a page.

    Args:
        record: a sound record.
        warc: the file's path relative to the archive's root.
        collection: the file's collection.
        max_bytes: decoded bytes to read.

    Returns:
        None for records that hold no capture (requests, metadata and the like).

    """
    kind = record.get("warc-type")
    if kind == "revisit":
        return Skipped("revisit")
    if kind != "response":
        return None
    url, record_id = record.get("warc-target-uri"), bare_uri(record.get("warc-record-id"))
    if not url or not record_id or not url.startswith(("http:", "https:")):
        return Skipped("not-http")
    message = read_message(record.block)
    reason = _unwanted(url, message.head, record.block)
    if reason:
        return Skipped(reason)
    decoded = decode_content(message.payload, message.head, max_bytes)
    if decoded.problem in _CODING_PROBLEMS and not is_legible(decoded.data):
        return Skipped(decoded.problem)
    problems = [] if decoded.problem is None else [_problem(decoded.problem)]
    if not record.whole and decoded.problem != "content-too-large":
        problems.append(_problem("content-too-large"))
    problems += _incomplete(record, message.complete)
    source = Source(
        url=url,
        collection=collection,
        captured_at=record.get("warc-date") or "",
        content_type=_field(message.head, b"content-type"),
        content_language=_field(message.head, b"content-language"),
        payload=decoded.data,
        provenance=Provenance(
            warc=warc,
            offset=record.offset,
            length=record.length,
            record_id=record_id,
            payload_digest=record.get("warc-payload-digest"),
            block_digest=record.get("warc-block-digest"),
        ),
        problems=tuple(problems),
    )
    return skipped(source) or source


def _unwanted(url: str, head: Head | None, block: bytes) -> str | None:
    if url.split("/", 3)[3:] == ["robots.txt"]:
        # kept because it explains what was not crawled; it is no text of the site
        return "robots-txt"
    if head is None:
        # HTTP/0.9 has no head at all; a head that was cut short is no page
        return "no-http-head" if block.startswith(b"HTTP/") or not block else None
    if head.status == 200:
        return None
    return "redirect" if 300 <= head.status < 400 else f"status-{head.status}"


def _incomplete(record: Record, complete: bool) -> list[Anomaly]:
    truncated = record.get("warc-truncated")
    if truncated:
        return [Anomaly(code="truncated", detail=f"the capture was cut short: {truncated}")]
    if record.whole and not complete:
        return [Anomaly(code="truncated", detail="the body is not whole")]
    return []


def _problem(code: str) -> Anomaly:
    return Anomaly(code=code, detail=_PROBLEMS[code])


def _field(head: Head | None, name: bytes) -> str | None:
    value = head.get(name) if head else None
    return value.decode("latin-1")[:1_000] if value is not None else None
