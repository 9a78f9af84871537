"""Sitemaps (sitemaps.org 0.9) and the Sitemap lines of robots.txt (RFC 9309 §2.2.4).

What a sitemap lists is hop M, but N if it is an index, for that lists sitemaps; the pictures and
films that it says stand on a page are embeds. A sitemap may be packed with gzip; it is unpacked
piece by piece, and no further than its links are taken. Entities are not expanded. Pure, bounded,
never raises.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from pipeline.crawl.links import plain
from pipeline.crawl.links.gather import Gathering
from pipeline.crawl.links.markup import content
from pipeline.crawl.links.sniff import is_index
from pipeline.model.url import Rejected, resolve

MAX_UNPACKED: Final = 50 * 1024 * 1024
"""Bytes of a packed sitemap that are looked at: as many as the protocol allows it to have."""

MAX_ROBOTS_SITEMAPS: Final = 100
"""Sitemap lines of one robots.txt that are heeded."""

_PIECE = 64 * 1024
_MAX_ELEMENT = 32 * 1024  # bytes of an unfinished element that are kept for the next piece

_ELEMENT = re.compile(
    rb"""<!--(?:[^-]++|-(?!->))*+(?:-->)?+
    | <(?:([\w.-]++):)?+(loc|thumbnail_loc|content_loc|player_loc)(?:\s[^<>]*+)?>
      ((?:[^<]++|<!\[CDATA\[(?:[^\]<]++|\](?!\]>))*+\]\]>)*+)</
    | <(?:[\w.-]++:)?+link\s[^<>]*?\bhref\s*+=\s*+["']([^"'<>]*+)""",
    re.VERBOSE,
)
_SITEMAP_LINE = re.compile(
    rb"^[ \t\xef\xbb\xbf]*+site-?map[ \t]*+:[ \t]*+([^\s#][^\s#]*+)", re.IGNORECASE | re.MULTILINE
)


def scan(payload: bytes, gathering: Gathering) -> None:
    """Take what a sitemap or an index of sitemaps lists."""
    rest, hop = b"", ""
    for piece in _pieces(payload):
        window = rest + piece
        hop = hop or ("N" if is_index(window) else "M")
        end = 0
        for match in _ELEMENT.finditer(window):
            end = match.end()
            _take(match, hop, gathering)
            if gathering.full:
                return
        rest = window[max(end, len(window) - _MAX_ELEMENT) :]


def scan_list(payload: bytes, gathering: Gathering) -> None:
    """Take the URLs of a sitemap that is a plain list, one on each line."""
    rest = b""
    for piece in _pieces(payload):
        window, _, rest = (rest + piece).rpartition(b"\n")
        for url in plain.lines(window.decode("utf-8", "surrogateescape")):
            gathering.add(url, "M", "sitemap")
            if gathering.full:
                return
        rest = rest[:_MAX_ELEMENT]
    for url in plain.lines(rest.decode("utf-8", "surrogateescape")):
        gathering.add(url, "M", "sitemap")


def robots_sitemaps(body: bytes, url: str) -> list[str]:
    """Give the normal URLs of the Sitemap lines in the robots.txt at `url`, each one once."""
    found: dict[str, None] = {}
    for match in _SITEMAP_LINE.finditer(body):
        if len(found) >= MAX_ROBOTS_SITEMAPS:
            break
        target = resolve(match[1].decode("utf-8", "surrogateescape"), url)
        if not isinstance(target, Rejected):
            found[target] = None
    return list(found)


def _take(match: re.Match[bytes], hop: str, gathering: Gathering) -> None:
    prefix, name, inner, href = match.groups()
    if href is not None:
        gathering.add(_text(href), "M", "sitemap")
    elif name is not None:
        embedded = name != b"loc" or prefix == b"image"
        gathering.add(_text(inner), "E" if embedded else hop, "sitemap")


def _text(value: bytes) -> str:
    return content(value.decode("utf-8", "surrogateescape"))


def _pieces(payload: bytes) -> Iterator[bytes]:
    """Give the payload, unpacked where it is packed, to its end or to the first thing broken."""
    if not payload.startswith(b"\x1f\x8b"):
        yield payload
        return
    stream = zlib.decompressobj(31)
    room = MAX_UNPACKED
    position = 0
    while room > 0 and not stream.eof:
        fed = stream.unconsumed_tail or payload[position : position + _PIECE]
        if not stream.unconsumed_tail:
            position += _PIECE
        if not fed:
            return
        try:
            piece = stream.decompress(fed, min(_PIECE * 4, room))
        except zlib.error:
            return
        room -= len(piece)
        yield piece
