"""From bytes to text, with the evidence: which encoding, who said so, and what speaks against it.

For pages of any age. The order is: byte order mark, strict UTF-8, the declared encoding if the
bytes allow it, detection. Never raises, whatever the bytes are; never asks the machine's locale.
"""

from __future__ import annotations

import codecs
import re

import chardet
from msgspec import Struct

from pipeline.model.document import Charset, CharsetMethod, legible
from pipeline.model.encodings import CODECS, canonical_name, is_latin_1

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
)
_HTTP_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.ASCII | re.IGNORECASE)
_META_CHARSET = re.compile(
    rb"<meta\b[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]+)"
    rb"|<\?xml\b[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)
_DECLARATIONS = re.compile(rb"<meta\b[^>]{0,2000}>|<\?xml[^>]{0,200}>", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_TAG = re.compile(rb"<[^<>]{0,4000}>")
_HIGH = re.compile(rb"[\x80-\xff]")
_ASCII_LETTERS = bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))
_HIGH_BYTES = bytes(range(0x80, 0x100))
_C1_BYTES = re.compile(rb"[\x80-\x9f]")
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_ISO_2022_ESCAPE = re.compile(rb"\x1b[$(]")

_PRESCAN_BYTES = 16_384
_SAMPLE_BYTES = 100_000
# Above this share of bytes > 7F among letters a text is not in a Latin script: Czech stays below
# a fifth, Cyrillic and Greek are near one.
_DENSE_PERCENT = 25
_DENSE_LEAST = 8
# UTF-8 with damage is still UTF-8 while whole sequences outnumber broken ones by this factor
_UTF8_GOOD_PER_BAD = 4
# Code page 1252 has five holes. Old converters left such bytes behind here and there; where they
# are more than one in so many high bytes they are letters of another encoding.
_HOLES = b"\x81\x8d\x8f\x90\x9d"
_HIGH_PER_HOLE = 10
_WINDOWS_1252 = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in _HOLES
}


class Decoded(Struct, frozen=True, kw_only=True):
    """A text, how it was read, and flags for what a reader should doubt."""

    text: str
    charset: Charset
    flags: tuple[str, ...]


class _Declared(Struct, frozen=True):
    http: str | None
    meta: str | None
    raw: str | None  # the label that would win, as written


class _Choice(Struct, frozen=True):
    used: str
    method: CharsetMethod
    text: str
    detected: str | None = None


def decode(
    data: bytes,
    content_type: str | None,
    *,
    undeclared: tuple[str, ...] = ("windows-1252", "macintosh"),
    markup: bool = True,
) -> Decoded:
    """Read `data` as text.

    Args:
        data: the payload, all codings removed.
        content_type: the raw HTTP field.
        undeclared: WHATWG names considered where nothing is declared and few bytes are above 7F.
        markup: look for a declaration in the text itself (`<meta>`, `<?xml?>`).

    """
    declared = _declared(data, content_type, markup=markup)
    choice = _by_bytes(data, declared) or _by_declaration(data, declared, undeclared)
    text = legible(choice.text)
    charset = Charset(
        used=choice.used,
        http=declared.http,
        meta=declared.meta,
        detected=choice.detected,
        method=choice.method,
        alternatives=_alternatives(data, choice, declared, undeclared),
        replaced=text.count("\ufffd"),
    )
    return Decoded(text=text, charset=charset, flags=_flags(data, text, charset, declared))


def _declared(data: bytes, content_type: str | None, *, markup: bool) -> _Declared:
    in_header = _HTTP_CHARSET.search(content_type or "")
    http_label = in_header.group(1) if in_header else None
    meta_label = _meta_label(data) if markup else None
    meta = canonical_name(meta_label)
    if meta in ("utf-16le", "utf-16be"):
        meta = "utf-8"  # HTML §13.2.3.2: a page read far enough to find this is not UTF-16
    http = canonical_name(http_label)
    return _Declared(http, meta, http_label if http else meta_label)


def _meta_label(data: bytes) -> str | None:
    found = _META_CHARSET.search(_COMMENT.sub(b"", data[:_PRESCAN_BYTES]))
    return (found.group(1) or found.group(2)).decode("ascii", "replace") if found else None


def _by_bytes(data: bytes, declared: _Declared) -> _Choice | None:
    """Decide where the bytes alone are proof enough."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _Choice(name, "bom", data[len(mark) :].decode(CODECS[name], "replace"))
    utf_16 = _utf_16_pattern(data)
    if utf_16:
        return _Choice(utf_16, "nul-pattern", data.decode(CODECS[utf_16], "replace"))
    if data.isascii():
        return _seven_bit(data, declared)
    text = _strict(data, "utf-8")
    return _Choice("utf-8", "utf-8", text) if text is not None else None


def _seven_bit(data: bytes, declared: _Declared) -> _Choice:
    if _ISO_2022_ESCAPE.search(data) and "iso-2022-jp" in (declared.http, declared.meta):
        text = _strict(data, "iso-2022-jp")
        if text is not None:
            method: CharsetMethod = "http" if declared.http == "iso-2022-jp" else "meta"
            return _Choice("iso-2022-jp", method, text)
    return _Choice("utf-8", "ascii", data.decode("ascii"))


def _utf_16_pattern(data: bytes) -> str | None:
    """Name UTF-16 without a byte order mark: Latin text then has a NUL in every other byte."""
    head = data[:512]
    half = len(head) // 2
    if half < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd * 10 > half * 7 and even * 10 < half:
        return "utf-16le"
    return "utf-16be" if even * 10 > half * 7 and odd * 10 < half else None


def _by_declaration(data: bytes, declared: _Declared, undeclared: tuple[str, ...]) -> _Choice:
    detected = _detect(data, undeclared)
    candidates: tuple[tuple[str | None, CharsetMethod], ...] = (
        (declared.http, "http"),
        (declared.meta, "meta"),
    )
    for name, method in candidates:
        text = _fitting(data, name) if name else None
        if name and text is not None:
            return _Choice(name, method, text, detected)
    damaged = _damaged_utf_8(data, declared)
    if damaged is not None:
        return _Choice("utf-8", damaged[0], damaged[1], detected)
    if set(data.translate(None, bytes(range(0x80)))) == {0xA0}:
        return _Choice("windows-1252", "no-break-space", _windows_1252(data), detected)
    if detected:
        return _Choice(detected, "detected", _lenient(data, detected), detected)
    return _Choice("windows-1252", "default", _windows_1252(data))


def _damaged_utf_8(data: bytes, declared: _Declared) -> tuple[CharsetMethod, str] | None:
    """Read UTF-8 that was cut or has stray bytes in it, if it is UTF-8 for the most part."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(1 for character in text if character > "\x7f") - bad
    if good < bad * _UTF8_GOOD_PER_BAD:
        return None
    if declared.http == "utf-8":
        return "http", text
    return ("meta" if declared.meta == "utf-8" else "utf-8"), text


def _detect(data: bytes, undeclared: tuple[str, ...]) -> str | None:
    """Ask chardet, told which encodings are possible at all.

    chardet believes a `<meta charset>` even against the bytes, so it does not get to see one.
    """
    start = _HIGH.search(data)
    at = max(0, start.start() - 2_000) if start else 0
    sample = _DECLARATIONS.sub(b"", data[at : at + _SAMPLE_BYTES])
    if not _HIGH.search(sample):
        return None
    possible = sorted(CODECS)
    if not _is_dense(sample):
        possible = ["ascii", "utf-8", *undeclared]
        sample = sample if _has_many_holes(sample) else sample.translate(None, _HOLES)
    answer = chardet.detect(sample, include_encodings=possible, compat_names=False)["encoding"]
    name = canonical_name(answer.replace("_", "-")) if answer else None
    return None if name == "utf-8" or answer == "ascii" else name


def _is_dense(sample: bytes) -> bool:
    text = _TAG.sub(b" ", sample)
    high = len(text) - len(text.translate(None, _HIGH_BYTES))
    letters = len(text) - len(text.translate(None, _ASCII_LETTERS))
    return high >= _DENSE_LEAST and high * 100 > (letters + high) * _DENSE_PERCENT


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(CODECS[name])
    except UnicodeError:
        return None


def _fitting(data: bytes, name: str) -> str | None:
    """Decode by a declared encoding if the bytes allow it; stray holes of windows-1252 do."""
    if name == "windows-1252" and not _has_many_holes(data):
        return _windows_1252(data)
    return _strict(data, name)


def _has_many_holes(data: bytes) -> bool:
    high = data.translate(None, bytes(range(0x80)))
    return (len(high) - len(high.translate(None, _HOLES))) * _HIGH_PER_HOLE > len(high)


def _lenient(data: bytes, name: str) -> str:
    if name == "windows-1252":
        return _windows_1252(data)
    return data.decode(CODECS[name], "replace")


def _windows_1252(data: bytes) -> str:
    """Decode as the WHATWG standard does: the five holes of code page 1252 become C1 controls."""
    text = _strict(data, "windows-1252")
    return data.decode("latin-1").translate(_WINDOWS_1252) if text is None else text


def _alternatives(
    data: bytes, choice: _Choice, declared: _Declared, undeclared: tuple[str, ...]
) -> tuple[str, ...]:
    """Name the encodings that were in question and read the bytes as another text."""
    named = [declared.http, declared.meta, choice.detected]
    if choice.method in ("detected", "no-break-space", "default"):
        named += undeclared
    found = []
    for name in dict.fromkeys(named):
        if name and name != choice.used and not data.startswith(codecs.BOM_UTF8):
            text = _fitting(data, name)
            if text is not None and text != choice.text:
                found.append(name)
    return tuple(found)


def _flags(data: bytes, text: str, charset: Charset, declared: _Declared) -> tuple[str, ...]:
    said = [name for name in (charset.http, charset.meta) if name]
    differing = set(said) - {charset.used} if charset.method != "ascii" else set()
    by_label = charset.method in ("http", "meta")
    latin_1 = by_label and is_latin_1(declared.raw) and _C1_BYTES.search(data)
    doubt = by_label and charset.detected is not None and charset.detected != charset.used
    held = {
        "charset-conflict": bool(differing),
        "charset-doubt": doubt,
        "latin-1-means-windows-1252": bool(latin_1),
        "c1-controls": bool(_C1_CONTROLS.search(text)),
        "replaced-characters": charset.replaced > 0,
    }
    return tuple(name for name, holds in held.items() if holds)
