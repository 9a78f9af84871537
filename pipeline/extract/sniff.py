"""What a payload is, by its bytes: a server's word about old files is often a guess.

Never more than the first bytes are looked at. Where the bytes say nothing clear, the HTTP type
stands.
"""

from __future__ import annotations

import codecs
import re

HTML = "text/html"
XHTML = "application/xhtml+xml"
PLAIN = "text/plain"
_BINARY = "application/octet-stream"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS", "application/postscript"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "application/ogg"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
# MIME Sniffing Standard §3: bytes that no text has
_BINARY_BYTES = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
_HEAD_BYTES = 1_500
_HEAD_CHARS = 4_000

_ANY_CASE = re.ASCII | re.IGNORECASE
_PROLOGUE = re.compile(r"(?:\s+|\ufeff|<!--.*?-->|<\?xml[^>]*>)+", re.DOTALL)
_SURE_HTML = re.compile(
    r"<(?:!doctype\s+html|html|head|body|title|frameset)(?=[\s/>]|$)", _ANY_CASE
)
_LIKELY_HTML = re.compile(
    r"</?(?:a|b|i|p|h[1-6]|br|hr|div|font|table|ul|ol|center|script|style|meta|link|img|pre|base)"
    r"(?=[\s/>])",
    _ANY_CASE,
)
_ANY_TAG = re.compile(r"<[a-z!/?]", _ANY_CASE)
_XHTML_ROOT = re.compile(r"<html[^>]*xmlns", _ANY_CASE)


def essence(content_type: str | None) -> str | None:
    """Give `type/subtype` of a Content-Type field in lower case, None where it names none."""
    kind = (content_type or "").split(";")[0].strip().lower()
    return kind if re.fullmatch(r"[\w.+-]{1,80}/[\w.+-]{1,80}", kind, re.ASCII) else None


def binary_type(payload: bytes, http: str | None) -> str | None:
    """Name the type of a payload that is certainly no text; None where it may be text."""
    for magic, kind in _MAGIC:
        if payload.startswith(magic):
            return kind
    if payload.startswith(b"RIFF"):
        return _RIFF.get(payload[8:12])
    if payload.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    head = payload[:_HEAD_BYTES]
    odd = len(head) - len(head.translate(None, _BINARY_BYTES))
    # a text served as text may hold a stray control byte; half of UTF-16 is NUL
    said_text = http is None or http.startswith("text/") or http == XHTML
    allowed = len(head) * 6 // 10 if said_text and b"\x00<" not in head[:2] else 0
    return _BINARY if odd > allowed else None


def is_legible(data: bytes) -> bool:
    """Tell whether bytes, of which nobody knows the coding, read as a text as they are.

    They begin as markup or are UTF-8, and one in a hundred at most is a byte that no text has; of
    compressed data it is one in ten.
    """
    odd = len(data) - len(data.translate(None, _BINARY_BYTES))
    return odd * 100 <= len(data) and (data.lstrip().startswith(b"<") or _is_utf_8(data))


def _is_utf_8(data: bytes) -> bool:
    try:
        # the last character may have been cut off
        codecs.getincrementaldecoder("utf-8")().decode(data, final=False)
    except UnicodeDecodeError:
        return False
    return True


def text_type(text: str, http: str | None) -> str | None:
    """Name the type of a decoded text by its beginning; None where only the HTTP type can tell."""
    head = text[:_HEAD_CHARS]
    prologue = _PROLOGUE.match(head)
    start = head[prologue.end() if prologue else 0 :]
    if _SURE_HTML.match(start):
        return XHTML if http == XHTML and _XHTML_ROOT.search(start) else HTML
    if head.lstrip("\ufeff \t\r\n").startswith("<?xml"):
        return HTML if _SURE_HTML.search(head) else "application/xml"
    if http in (HTML, XHTML):
        return HTML if _ANY_TAG.search(text) or not text.strip() else PLAIN
    if http is None or http == _BINARY:
        return _unlabelled(start)
    return PLAIN if http == PLAIN else None


def _unlabelled(start: str) -> str:
    if _LIKELY_HTML.match(start) or len(_LIKELY_HTML.findall(start)) > 4:
        return HTML
    return "application/json" if start.startswith(("{", "[{", '["')) else PLAIN
