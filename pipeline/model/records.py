"""What a WARC file holds, as values: members, captures, and where to find them."""

from __future__ import annotations

from msgspec import Struct


class Member(Struct, frozen=True, omit_defaults=True):
    """One line of NAME.members.jsonl (FORMAT.md §3): a gzip member that holds one record."""

    offset: int
    length: int
    sha256: str
    type: str
    record_id: str
    date: str
    uri: str | None = None
    block_digest: str | None = None
    payload_digest: str | None = None


class Capture(Struct, frozen=True, kw_only=True):
    """One line of NAME.cdxj (FORMAT.md §4): a response or revisit record that can be shown."""

    key: str
    timestamp: str
    url: str
    mime: str
    status: str | None
    digest: str | None
    offset: int
    length: int
    filename: str


class Original(Struct, frozen=True, kw_only=True):
    """A response record that holds a payload which revisit records refer to (WARC 1.1 §5.11-5.13).

    Attributes:
        record_id: its URI without angle brackets.
        url: its WARC-Target-URI.
        date: its WARC-Date, as written.
        chunked: its body is in chunks (RFC 9112 §7.1). pywb shows the payload under the head of the
            revisit; where only the original is chunked, it would show the chunks.

    """

    record_id: str
    url: str
    date: str
    chunked: bool = False
