"""An HTML page, from decoded text to its reading: texts, statements, links.

The page is parsed once by Beautiful Soup, which keeps the text of any depth and disorder, and once
more by trafilatura where it has the structure in which main text can be found.
"""

from __future__ import annotations

from bs4 import BeautifulSoup

from pipeline.extract.charset import Decoded
from pipeline.extract.links import References, references
from pipeline.extract.main_text import has_modern_structure, main_text
from pipeline.extract.markup import parse, repair
from pipeline.extract.metadata import read_metadata
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.reading import Reading
from pipeline.extract.source import Source
from pipeline.extract.visible import visible_text
from pipeline.model.document import Anomaly, TextMethod
from pipeline.model.encodings import CODECS
from pipeline.model.url import Rejected, absolute


def read_html(decoded: Decoded, source: Source, policy: ExtractPolicy) -> Reading:
    """Read an HTML or XHTML page."""
    markup = repair(decoded.text)
    page = parse(markup.text)
    full = visible_text(page)
    method, text, trouble = _choose_text(page, markup.text, full, source, policy)
    found = _references(page, source, CODECS[decoded.charset.used], policy.max_links)
    return Reading(
        method=method,
        text=text,
        full=full,
        charset=decoded.charset,
        metadata=read_metadata(page, full, source.captured_at, source.content_language),
        references=found,
        flags=(*decoded.flags, *markup.flags),
        anomalies=(*trouble, *_left_out(found)),
    )


def _choose_text(
    page: BeautifulSoup, markup: str, full: str, source: Source, policy: ExtractPolicy
) -> tuple[TextMethod, str, tuple[Anomaly, ...]]:
    """Take the main text where the page has structure to find it by, else all visible text."""
    if not full or not has_modern_structure(page):
        return "full", full, ()
    if len(markup) > policy.max_main_text_chars:
        detail = f"{len(markup)} characters of markup"
        return "full", full, (Anomaly(code="main-text-not-sought", detail=detail),)
    found = main_text(markup, source.captured_at)
    if found.text:
        return "trafilatura", found.text, ()
    if found.failure:
        return "full", full, (Anomaly(code="main-text-failed", detail=found.failure),)
    return "full", full, (Anomaly(code="main-text-empty", detail="trafilatura found none"),)


def _references(page: BeautifulSoup, source: Source, codec: str, limit: int) -> References:
    url = absolute(source.url)
    if isinstance(url, Rejected):
        return References(links=(), frames=(), unreadable=0, surplus=0)
    return references(page, url, codec, limit)


def _left_out(found: References) -> tuple[Anomaly, ...]:
    anomalies = []
    if found.unreadable:
        anomalies.append(
            Anomaly(code="unreadable-links", detail=f"{found.unreadable} references are no URLs")
        )
    if found.surplus:
        anomalies.append(
            Anomaly(code="too-many-links", detail=f"{found.surplus} references left out")
        )
    return tuple(anomalies)
