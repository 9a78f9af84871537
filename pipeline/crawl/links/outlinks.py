"""The front door of this room: where a captured resource leads, whatever kind of file it is.

For the crawl, and for whoever derives the same links again from an archived payload. It chooses the
scanner; each scanner's module says what it takes. Pure: the same bytes give the same links. Bounded
in time and memory by the size of the payload, and it never raises, whatever the bytes.

Hop letters are those of Heritrix: L a reader may go there, E it is part of the resource, R it leads
on by itself, X a guess, M listed by a feed or sitemap. N is ours and for the scope alone: a sitemap
listed by an index of sitemaps, which may lie where pages may not; archives have it as M.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.crawl.links import css, feed, header, html, pdf, plain, script, sitemap
from pipeline.crawl.links.decoding import Text, charset_in
from pipeline.crawl.links.gather import MAX_LINKS, Gathering, Misfit, Outlink, Outlinks
from pipeline.crawl.links.header import redirect_target
from pipeline.crawl.links.sitemap import robots_sitemaps
from pipeline.crawl.links.sniff import format_of, peek
from pipeline.model.policy import LinkPolicy

__all__ = [
    "MAX_LINKS",
    "Misfit",
    "Outlink",
    "Outlinks",
    "outlinks",
    "redirect_target",
    "robots_sitemaps",
]

_GZIP = b"\x1f\x8b"


def outlinks(
    payload: bytes,
    url: str,
    fields: Sequence[tuple[bytes, bytes]],
    hops: str,
    policy: LinkPolicy,
) -> Outlinks:
    """Find where the resource at the normal URL `url` leads.

    A URL is given once for each hop letter, where it comes first; the resource itself is left out.

    Args:
        payload: the body with transfer and content coding removed; it may be cut short.
        url: a normal URL.
        fields: names and values of the response's header fields, in order.
        hops: the way on which the resource was reached. Where it ends in M or N, a plain list of
            URLs is a sitemap.
        policy: where links are sought.

    """
    gathering = Gathering(url)
    header.scan(fields, gathering)
    media_type, charset = _content_type(fields)
    listed = hops.endswith(("M", "N")) and policy.sitemaps
    if payload.startswith(_GZIP):
        if policy.sitemaps:
            _scan_packed(payload, listed, gathering)
    elif payload:
        kind = format_of(media_type, payload, url)
        if kind == "text" and listed:
            sitemap.scan_list(payload, gathering)
        elif kind == "sitemap":
            if policy.sitemaps:
                sitemap.scan(payload, gathering)
        elif kind == "pdf":
            _scan_pdf(payload, gathering, policy)
        elif kind:
            _scan_text(kind, Text(payload, charset), gathering, policy)
    return gathering.outlinks()


def _scan_text(kind: str, text: Text, gathering: Gathering, policy: LinkPolicy) -> None:
    if kind == "html":
        html.scan(text, gathering, policy)
    elif kind == "xml":
        html.scan_prologue(text, gathering)
        html.scan(text, gathering, policy)
    elif kind == "css":
        _take(css.references(text.whole), "E", "css", text, gathering)
    elif kind == "script" and policy.scripts:
        _take(script.references(text.whole), "X", "script", text, gathering)
    elif kind == "text" and policy.text:
        _take(plain.references(text.whole), "L", "text", text, gathering)
    elif kind == "feed" and policy.feeds:
        html.scan_prologue(text, gathering)
        feed.scan(text, gathering, policy)
    elif kind == "json-feed" and policy.feeds:
        feed.scan_json(text, gathering, policy)


def _take(references: Iterable[str], hop: str, tag: str, text: Text, gathering: Gathering) -> None:
    for written in references:
        gathering.add(text.read(written), hop, tag, None, text.encoding)
        if gathering.full:
            return


def _scan_pdf(payload: bytes, gathering: Gathering, policy: LinkPolicy) -> None:
    if not policy.pdf:
        return
    for written in pdf.references(payload):
        gathering.add(written, "L", "pdf")
        if gathering.full:
            return


def _scan_packed(payload: bytes, listed: bool, gathering: Gathering) -> None:
    """Scan a file that is packed itself, which only sitemaps are."""
    begun = peek(payload)
    if format_of("text/xml", begun, "") == "sitemap":
        sitemap.scan(payload, gathering)
    elif listed:
        sitemap.scan_list(payload, gathering)


def _content_type(fields: Sequence[tuple[bytes, bytes]]) -> tuple[str, str | None]:
    for name, value in fields:
        if len(name) == 12 and name.lower() == b"content-type":
            text = value.decode("latin-1")
            return text.partition(";")[0].strip().lower(), charset_in(text)
    return "", None
