"""The links of an HTML page, in page order, each with its hop letter.

For the crawl, and for whoever derives the same links again from an archived payload. A scanner of
HTML tokens finds them, not a tree builder, for three reasons. A tree builder decides what is in the
document and drops what it dislikes (frames beside a body, what is nested too deeply); an archive
wants these too. One missing quote makes it swallow the page up to the next one. And it costs twice
as much, on a path that every page of a crawl takes. The price: what looks like a link in another
tag's attribute value is taken for one too.

Attribute values are percent-encoded as the bytes that stand in the page. The page's charset matters
only for the character references among them (`caf&eacute;.html`), so it is looked for only then.

Pure. Linear in the size of the page, bounded, and it never raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from typing import Final, NamedTuple

from pipeline.model.encodings import CODECS, canonical_name
from pipeline.model.refresh import refresh_url
from pipeline.model.url import Rejected, resolve

MAX_LINKS: Final = 100_000
"""Different references taken from one page; what follows is left."""

MAX_CHARACTERS: Final = 16_000_000
"""Characters of all URLs taken from one page: a long base makes each short reference long."""

_MOST_ATTRIBUTES = 256 * 1024  # characters of one tag that are read

_ENDS = {
    "!--": re.compile(r"--!?>"),
    **{
        name: re.compile(rf"</{name}(?=[\s/>])", re.ASCII | re.IGNORECASE)
        for name in ("script", "style", "textarea", "title", "xmp")
    },
}
_EMBEDDING = frozenset(
    {"apple-touch-icon", "icon", "manifest", "mask-icon", "modulepreload", "preload", "stylesheet"}
)

# A comment's beginning, or a start tag that matters here, to its end (HTML §13.2.5). The look-ahead
# lets the search pass over other tags quickly; all repetition is possessive, so nothing backtracks.
# A quote that is never closed is an ordinary character, and so the tag ends at the next `>`.
_TOKEN = re.compile(
    r"""<(?=[!abfilmstx])(?:!--
    |(a|area|base|frame|iframe|img|link|meta|script|style|textarea|title|xmp)(?=[\s/>])
     ((?: [^>=]++ | =\s*+(?: "[^"]*+" | '[^']*+' | [^\s>"'][^\s>]*+ |) )*+) >?+)""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_ASSIGNED = r"""\s*+=\s*+ (?: "([^"]*+)" | '([^']*+)' | ["']?+([^\s>]*+) )"""
_ATTRIBUTE = re.compile(rf"([^\s/>=]++) (?:{_ASSIGNED})?+", re.ASCII | re.VERBOSE)
_SKIPPED = _ASSIGNED.replace("([", "(?:[")
# The first attribute of a name in a tag, because the first one counts (HTML §13.2.5.33).
_FIRST = {
    name: re.compile(
        rf"(?: [\s/=]++ | (?!{name}[\s=])[^\s/>=]++ (?:{_SKIPPED})?+ )*+ {name}{_ASSIGNED}",
        re.ASCII | re.IGNORECASE | re.VERBOSE,
    )
    for name in ("charset", "content", "href", "http-equiv", "rel", "src")
}
_LINKING = {
    "a": ("href", "L"),
    "area": ("href", "L"),
    "frame": ("src", "F"),
    "iframe": ("src", "F"),
    "img": ("src", "E"),
    "link": ("href", "E"),
    "script": ("src", "E"),
}
# What a URL seems to hold when its closing quote is missing: the tag's end, then more tags.
_SWALLOWED = re.compile(r"([^>]*+)>[^<]*+<")
_CHARACTER_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,9}+;?|#[xX][0-9A-Fa-f]{1,8}+;?|([A-Za-z][A-Za-z0-9]*+(?:;|(?![;=]))))"
)
_CHARSET = re.compile(r"charset\s*+=\s*+[\"']?([^\s\"';,>]{1,40})", re.ASCII | re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""\s*+<\?xml[^>]{1,200}?encoding\s*=\s*["']([\w.:-]{1,40})""")
_HTML_START = re.compile(
    rb"""[\s\xef\xbb\xbf]*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?:[^-]|-(?!->))*+-->\s*+)*+
    <(?:!doctype\ html|html|head|title|body|frameset|script|meta|base|link|style|iframe|h[1-6]|div
    |font|table|center|a|br|b|p|hr|img|pre|ul)[\s/>]""",
    re.IGNORECASE | re.VERBOSE,
)
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_NOT_ASCII = frozenset({"utf-16-le", "utf-16-be", "iso2022_jp"})


class Outlink(NamedTuple):
    """Where a page leads: a normal URL, its hop letter (FORMAT.md §2), and the tag it stands in."""

    url: str
    hop: str
    tag: str


def outlinks(payload: bytes, url: str, content_type: bytes | None) -> list[Outlink]:
    """Find what the page at the normal URL `url` links to; nothing in what is not HTML.

    A URL is given once for each hop letter, where it comes first; the page itself is left out.

    `payload` is the body with transfer and content coding removed; it may be cut short.
    `content_type` is the value of the Content-Type header; without one, the payload is scanned if
    it looks like HTML (WHATWG MIME Sniffing §7.1).
    """
    media_type, charset = _parse_content_type(content_type)
    if media_type not in _HTML_TYPES and (media_type or not _HTML_START.match(payload[:4096])):
        return []
    text = _Text(payload, charset)
    references = _collect(text)
    base = text.resolve(references.base, url) if references.base is not None else url
    if isinstance(base, Rejected):
        base = url
    found: dict[tuple[str, str], Outlink] = {}
    room = MAX_CHARACTERS
    for written, hop, tag in references.written:
        target = text.resolve(written, base)
        if isinstance(target, Rejected) or target == url or (target, hop) in found:
            continue
        room -= len(target)
        if room < 0:
            break
        found[target, hop] = Outlink(target, hop, tag)
    return list(found.values())


def redirect_target(location: bytes, url: str) -> str | None:
    """Give the normal URL that a Location header means (RFC 9110 §10.2.2), None if there is none.

    Bytes outside ASCII, which the header may not hold but does, are percent-encoded as they are.
    """
    target = resolve(location.decode("utf-8", "surrogateescape"), url)
    return None if isinstance(target, Rejected) else target


class _Text:
    """A page as text to be scanned, and the way from a value in that text to what it means.

    Attributes:
        whole: one character for each byte, except in encodings where the bytes of ASCII characters
            can mean something else; those are decoded.
        labels: names of charsets, the one to be believed first in front; more may be added.

    """

    def __init__(self, payload: bytes, charset: str | None) -> None:
        xml = _XML_ENCODING.match(payload)
        self.labels = [charset, xml and xml[1].decode("latin-1")]
        self._payload = payload
        self._codec = next((codec for bom, codec in _BOMS if payload.startswith(bom)), None)
        if self._codec is None and b"\x1b" in payload and b"\x1b$" in payload:
            self._codec = "iso2022_jp"
        elif self._codec is None:
            self._codec = CODECS.get(canonical_name(charset) or "")
        self._is_decoded = self._codec in _NOT_ASCII
        decoder = self._codec if self._codec and self._is_decoded else "latin-1"
        self.whole = payload.decode(decoder, "replace")

    def resolve(self, written: str, base: str) -> str | Rejected:
        """Give the normal URL that an attribute value means on a page at `base`."""
        if "&" not in written and written.isascii():
            return resolve(written, base)
        value = written
        if not self._is_decoded:
            value = written.encode("latin-1").decode(self._encoding, "surrogateescape")
        return resolve(_CHARACTER_REFERENCE.sub(_character, value), base, self._encoding)

    @property
    def _encoding(self) -> str:
        """The page's charset: byte order mark, HTTP, XML, <meta>, strict UTF-8, windows-1252."""
        if self._codec is None:
            names = (canonical_name(label) for label in self.labels)
            declared = (CODECS[name] for name in names if name)
            self._codec = next((codec for codec in declared if codec not in _NOT_ASCII), None)
            self._codec = self._codec or ("utf-8" if _is_utf8(self._payload) else "cp1252")
        return "utf-8" if self._codec.startswith("utf-16") else self._codec


class _References(NamedTuple):
    """Of one page: values as they stand in the text, with hop letter and tag; and the <base>."""

    written: dict[tuple[str, str, str], None]
    base: str | None


def _collect(text: _Text) -> _References:
    written: dict[tuple[str, str, str], None] = {}
    base: str | None = None
    for tag, body in _start_tags(text.whole):
        if tag in _LINKING:
            name, hop = _LINKING[tag]
            value = _value(body, name)
            if tag == "link" and not _embeds(_value(body, "rel")):
                hop = "L"
        elif tag == "meta":
            hop = "R"
            value = _read_meta(body, text.labels)
        elif tag == "base" and base is None:
            base = _value(body, "href")
            continue
        else:
            continue
        if value is None:
            continue
        if "#" in value and "&" not in value:
            value = value.partition("#")[0]
        written[value, hop, tag] = None
        if len(written) >= MAX_LINKS:
            break
    return _References(written, base)


def _start_tags(text: str) -> Iterator[tuple[str, str]]:
    """Give the start tags that matter here: name in lower case, and the text of the attributes.

    Comments and raw text are passed over. Where one is never closed, what follows is read as if it
    had not begun: old browsers did so, and the links in it are worth having.
    """
    position = 0
    endless: set[str] = set()  # what is known to have no end from here on: looked for only once
    spare = len(text)  # how much may be read a second time, which keeps the whole linear
    while match := _TOKEN.search(text, position):
        position = match.end()
        tag, body = (match[1] or "!--").lower(), match[2] or ""
        if tag != "!--":
            if len(body) > _MOST_ATTRIBUTES:
                body = body[:_MOST_ATTRIBUTES]
            if "<" in body and spare > 0 and (cut := _broken_quote(body)):
                spare -= position - match.start(2) - cut
                position = match.start(2) + cut + 1
                body = body[:cut]
            yield tag, body
        if tag in _ENDS and tag not in endless and not body.endswith("/"):
            # two characters back, because `<!-->` is a whole comment
            end = _ENDS[tag].search(text, position - 2)
            if end:
                position = end.end()
            else:
                endless.add(tag)


def _broken_quote(body: str) -> int | None:
    """Find where a tag was meant to end whose URL lacks its closing quote, and swallows others."""
    for match in _ATTRIBUTE.finditer(body):
        if match[1].lower() in ("href", "src"):
            group = 2 if match[2] else 3
            swallowed = _SWALLOWED.match(match[group] or "")
            if swallowed:
                return match.start(group) + swallowed.end(1)
    return None


def _value(body: str, name: str) -> str | None:
    match = _FIRST[name].match(body)
    return match[match.lastindex or 0] if match else None


def _embeds(relation: str | None) -> bool:
    return bool(relation) and not _EMBEDDING.isdisjoint(str(relation).lower().split())


def _read_meta(body: str, labels: list[str | None]) -> str | None:
    """Give the URL of a refresh (HTML §4.2.5.3); a charset that is declared goes to `labels`."""
    pragma = (_value(body, "http-equiv") or "").strip().lower()
    content = _value(body, "content") or ""
    if pragma == "refresh":
        return refresh_url(content)
    if pragma == "content-type":
        labels.append(_charset_in(content))
    labels.append(_value(body, "charset"))
    return None


def _parse_content_type(value: bytes | None) -> tuple[str, str | None]:
    text = (value or b"").decode("latin-1")
    return text.partition(";")[0].strip().lower(), _charset_in(text)


def _charset_in(text: str) -> str | None:
    match = _CHARSET.search(text)
    return match[1] if match else None


def _character(reference: re.Match[str]) -> str:
    """Replace a character reference in an attribute, where `&copy=` is none (HTML §13.2.5.73)."""
    name = reference[1]
    return unescape(reference[0]) if name is None else html5.get(name, reference[0])


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
