"""What extraction is given: one capture, its decoded payload, and where it came from."""

from __future__ import annotations

from msgspec import Struct

from pipeline.model.document import Anomaly, Provenance


class Source(Struct, frozen=True, kw_only=True):
    """A capture that answered with status 200, ready to be read.

    Attributes:
        captured_at: WARC-Date as written (RFC 3339, UTC).
        content_type: the raw value of the HTTP field, None where there is none.
        content_language: the raw value of the HTTP field, None where there is none.
        payload: the body with transfer and content coding removed.
        problems: what was already found wrong on the way here.

    """

    url: str
    collection: str
    captured_at: str
    content_type: str | None
    content_language: str | None
    payload: bytes
    provenance: Provenance
    problems: tuple[Anomaly, ...] = ()
