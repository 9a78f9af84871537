"""Which scanner a payload is for: by what the server says it is, and by how it begins.

For the dispatcher. A server's word counts where it is precise; it is not believed where it says
nothing (no Content-Type, application/octet-stream) or only that the payload is XML. What is called
plain text stays text, whatever it looks like (WHATWG MIME Sniffing §7.1), but for style sheets and
scripts: many old servers knew no better name for them. Pure; looks at the first kilobytes only.
"""

from __future__ import annotations

import re
import zlib
from typing import Literal

Format = Literal["html", "xml", "css", "script", "text", "feed", "json-feed", "sitemap", "pdf", ""]
"""A kind of payload, as the scanners know them; empty where none of them does."""

_HEAD = 4096
_HTML_START = re.compile(
    rb"""[\s\xef\xbb\xbf]*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?:[^-]|-(?!->))*+-->\s*+)*+
    <(?:!doctype\ html|html|head|title|body|frameset|script|meta|base|link|style|iframe|h[1-6]|div
    |font|table|center|a|br|b|p|hr|img|pre|ul)[\s/>]""",
    re.IGNORECASE | re.VERBOSE,
)
_XML_START = re.compile(rb"[\s\xef\xbb\xbf]*+<(?:\?xml|rss|feed|urlset|sitemapindex|rdf:RDF|svg)\b")
_ROOT = re.compile(
    rb"""[\s\xef\xbb\xbf]*+(?: <\?[^>]*+>\s*+ | <!--(?:[^-]|-(?!->))*+-->\s*+
    | <![^>\[]*+(?:\[[^\]]*+\]\s*+)?+>\s*+ )*+ <(?:[\w.-]++:)?+([\w.-]++)""",
    re.VERBOSE,
)
_ROOTS: dict[bytes, Format] = {
    b"RDF": "feed",
    b"channel": "feed",
    b"feed": "feed",
    b"rss": "feed",
    b"sitemapindex": "sitemap",
    b"urlset": "sitemap",
    b"html": "html",
}
_TYPES: dict[str, Format] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/css": "css",
    "text/plain": "text",
    "application/pdf": "pdf",
    "application/x-pdf": "pdf",
    "application/feed+json": "json-feed",
    "application/javascript": "script",
    "application/ecmascript": "script",
    "application/x-javascript": "script",
    "application/json": "script",
    "application/ld+json": "script",
    "text/javascript": "script",
    "text/ecmascript": "script",
    "text/x-javascript": "script",
    "text/json": "script",
}
_VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain"})
_ENDINGS: dict[str, Format] = {
    "css": "css",
    "js": "script",
    "mjs": "script",
    "json": "script",
    "pdf": "pdf",
}
_ENDING = re.compile(r"\.([a-z]{2,4})(?:\?|\Z)")
_JSON_FEED = re.compile(rb'"version"\s*:\s*"https?:\\?/\\?/jsonfeed\.org\\?/version\\?/')


def format_of(media_type: str, payload: bytes, url: str) -> Format:
    """Tell for which scanner `payload` is, served at `url` as `media_type` (lower case)."""
    known = _TYPES.get(media_type, "")
    if known == "html":
        # feeds and sitemaps under this name are common, and have nothing else in them
        return _by_root(payload) if _XML_START.match(payload) else known
    if media_type.endswith(("/xml", "+xml")):
        return _by_root(payload)
    if media_type in _VAGUE:
        ending = _ENDING.search(url[-200:].lower())
        known = _ENDINGS.get(ending[1], known) if ending else known
        if media_type != "text/plain":
            known = known or _by_beginning(payload)
    if known == "script" and _JSON_FEED.search(payload, 0, _HEAD):
        return "json-feed"
    return known


def peek(payload: bytes) -> bytes:
    """Give the beginning of what a gzip file holds; empty if it is none (RFC 1952)."""
    try:
        return zlib.decompressobj(31).decompress(payload[: 4 * _HEAD], _HEAD)
    except zlib.error:
        return b""


def is_index(begun: bytes) -> bool:
    """Tell by its beginning whether a sitemap is an index of others."""
    root = _ROOT.match(begun[:_HEAD])
    return root is not None and root[1] == b"sitemapindex"


def _by_beginning(payload: bytes) -> Format:
    head = payload[:_HEAD]
    if head.startswith(b"%PDF-"):
        return "pdf"
    if _XML_START.match(head):
        return _by_root(head)
    return "html" if _HTML_START.match(head) else ""


def _by_root(payload: bytes) -> Format:
    head = payload[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16-le" if head[0] == 0xFF else "utf-16-be"
        head = head.decode(codec, "ignore").lstrip("\ufeff").encode("utf-8", "replace")
    root = _ROOT.match(head)
    return _ROOTS.get(root[1], "xml") if root else "xml"
