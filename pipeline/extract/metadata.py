"""What a page says of itself: title, authors, dates, language, licence; each with its source.

Nothing is inferred: a value stands in the markup or is printed as a line of its own, else it is
None. Which of several sources is believed is a fixed order, the more explicit first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bs4 import BeautifulSoup, Tag
from msgspec import Struct

from pipeline.extract.dates import read_date
from pipeline.extract.jsonld import read_statement
from pipeline.extract.visible import inner_text
from pipeline.model.document import Anomaly, Claim, DateClaim, Language

_MAX_CHARS = 2_000
_MAX_KEYWORDS = 100
_MAX_TRIED = 20
_PUBLISHED = (
    "article:published_time",
    "dcterms.issued",
    "dc.date.issued",
    "dcterms.created",
    "dc.date.created",
    "citation_publication_date",
    "citation_date",
    "datepublished",
    "dcterms.date",
    "dc.date",
    "pubdate",
    "date",
)
_MODIFIED = (
    "article:modified_time",
    "dcterms.modified",
    "dc.date.modified",
    "datemodified",
    "og:updated_time",
    "last-modified",
    "revised",
)
_AUTHORS = ("citation_author", "dcterms.creator", "dc.creator", "author", "article:author")
_DESCRIPTIONS = ("description", "dcterms.description", "dc.description", "og:description")
_RIGHTS = ("dcterms.license", "dcterms.rights", "dc.rights", "copyright")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_SPACES = re.compile(r"\s+")

# a byline or a date counts where it is a line of its own, near the beginning or the end of the page
_LINES_AT_TOP = 15
_LINES_AT_END = 8
_MAX_PRINTED = 80
_NAME = r"[A-Z\u00c0-\u00de][\w'’.-]*"
_PARTICLE = r"(?:al|bin|da|de|den|der|du|la|le|van|von)"
_BYLINE = re.compile(rf"[Bb][Yy]:?\s+({_NAME}(?:\s+(?:{_PARTICLE}\s+)*{_NAME}){{1,4}})")
_PRINTED_PUBLISHED = re.compile(
    r"(?:(?:first\s+)?(?:published|posted|written|date)(?:\s+on)?\s*:?\s+)?(.+)",
    re.ASCII | re.IGNORECASE,
)
_PRINTED_MODIFIED = re.compile(
    r"(?:this\s+page\s+(?:was\s+)?)?(?:last\s+)?"
    r"(?:updated|modified|revised|changed)(?:\s+on)?\s*:?\s+(.+)",
    re.ASCII | re.IGNORECASE,
)


class Metadata(Struct, frozen=True, kw_only=True):
    """The page's statements about itself; see docs/document.md for each."""

    title: Claim | None = None
    heading: Claim | None = None
    authors: tuple[Claim, ...] = ()
    published: DateClaim | None = None
    modified: DateClaim | None = None
    language: Language | None = None
    description: Claim | None = None
    keywords: tuple[str, ...] = ()
    license: Claim | None = None
    anomalies: tuple[Anomaly, ...] = ()


class _Meta:
    """The `<meta>` elements of a page, by `name`, `property`, `itemprop` or `http-equiv`."""

    def __init__(self, page: BeautifulSoup) -> None:
        self._contents: dict[str, list[str]] = {}
        for tag in page.find_all("meta", content=True):
            for key in ("name", "property", "itemprop", "http-equiv"):
                name = str(tag.get(key) or "").strip().lower()
                content = str(tag["content"])
                if name and content.strip():
                    self._contents.setdefault(name, []).append(content)

    def all(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Give (source, content) of every element with one of `names`, in the order of `names`."""
        return [
            (f"meta:{name}", content) for name in names for content in self._contents.get(name, [])
        ]

    def claim(self, names: Iterable[str]) -> Claim | None:
        """Give the first content that is not blank."""
        found = self.all(names)
        return claim(found[0][1], found[0][0]) if found else None


def read_metadata(
    page: BeautifulSoup, full_text: str, captured_at: str, content_language: str | None
) -> Metadata:
    """Collect the statements of a page; `full_text` is its visible text."""
    meta = _Meta(page)
    statement = read_statement(page)
    top, end = _outer_lines(full_text)
    published = [
        *meta.all(_PUBLISHED[:1]),
        *_labelled("json-ld:datePublished", statement.published),
        *_marked_times(page, "datePublished"),
        *meta.all(_PUBLISHED[1:]),
    ]
    modified = [
        *meta.all(_MODIFIED[:1]),
        *_labelled("json-ld:dateModified", statement.modified),
        *_marked_times(page, "dateModified"),
        *meta.all(_MODIFIED[1:]),
    ]
    anomalies = (
        [Anomaly(code="json-ld-broken", detail="a JSON-LD block is no JSON")]
        if statement.broken
        else []
    )
    dates = _Dates(captured_at, anomalies)
    return Metadata(
        title=_title(page) or meta.claim(("og:title", "dcterms.title", "dc.title")),
        heading=_heading(page),
        authors=_authors(page, meta, statement.authors, top),
        published=dates.read(published) or dates.printed(_PRINTED_PUBLISHED, [*top, *end]),
        modified=dates.read(modified) or dates.printed(_PRINTED_MODIFIED, [*end, *top]),
        language=_language(page, meta, content_language),
        description=meta.claim(_DESCRIPTIONS),
        keywords=_keywords(meta),
        license=_license(page) or meta.claim(_RIGHTS),
        anomalies=tuple(anomalies),
    )


def header_language(content_language: str | None) -> Language | None:
    """Give the language of the HTTP field, if it names exactly one (RFC 9110 §8.5)."""
    tag = (content_language or "").strip()
    return Language(declared=tag, source="http") if _LANGUAGE_TAG.fullmatch(tag) else None


def claim(raw: str, source: str) -> Claim | None:
    """Make a claim of what is written: white space folded; None where nothing else is there."""
    raw = raw[:_MAX_CHARS]
    value = _SPACES.sub(" ", raw).strip()
    return Claim(value=value, raw=raw, source=source) if value else None


def _labelled(source: str, content: str | None) -> list[tuple[str, str]]:
    return [(source, content)] if content else []


def _title(page: BeautifulSoup) -> Claim | None:
    # an SVG has titles too
    for tag in page.find_all("title", limit=_MAX_TRIED):
        if tag.find_parent("svg") is None:
            return claim(inner_text(tag, _MAX_CHARS), "title")
    return None


def _heading(page: BeautifulSoup) -> Claim | None:
    for name in ("h1", "h2"):
        for tag in page.find_all(name, limit=_MAX_TRIED):
            found = claim(inner_text(tag, _MAX_CHARS), name)
            if found:
                return found
    return None


def _authors(
    page: BeautifulSoup, meta: _Meta, stated: tuple[str, ...], top: list[str]
) -> tuple[Claim, ...]:
    """Take the authors from the first kind of source that has any."""
    linked = [
        ("a:author", inner_text(tag, _MAX_CHARS))
        for tag in page.find_all("a", rel="author", limit=_MAX_TRIED)
    ]
    bylines = [match for line in top if (match := _BYLINE.fullmatch(line))]
    kinds = (
        meta.all(_AUTHORS[:3]),
        [("json-ld:author", name) for name in stated],
        [(source, text) for source, text in meta.all(_AUTHORS[3:]) if "://" not in text],
        linked,
    )
    for kind in kinds:
        claims = [found for source, text in kind if (found := claim(text, source))]
        if claims:
            return tuple({each.value: each for each in claims}.values())
    return tuple(Claim(value=match[1], raw=match[0], source="byline") for match in bylines[:1])


def _marked_times(page: BeautifulSoup, itemprop: str) -> list[tuple[str, str]]:
    found = []
    for tag in page.find_all(itemprop=itemprop, limit=_MAX_TRIED):
        if tag.name != "meta":
            written = str(tag.get("datetime") or tag.get("content") or inner_text(tag, _MAX_CHARS))
            found.append((f"itemprop:{itemprop}", written))
    if itemprop == "datePublished":
        times = page.find_all("time", pubdate=True, datetime=True, limit=_MAX_TRIED)
        found += [("time:pubdate", str(tag["datetime"])) for tag in times]
    return found


def _language(page: BeautifulSoup, meta: _Meta, header: str | None) -> Language | None:
    html = page.find("html")
    said = [
        (source, str(html.get(source.removeprefix("html:")) or ""))
        for source in ("html:lang", "html:xml:lang")
        if isinstance(html, Tag)
    ]
    said += meta.all(("content-language", "dcterms.language", "dc.language", "language"))
    for source, written in said:
        if _LANGUAGE_TAG.fullmatch(written.strip()):
            return Language(declared=written.strip(), source=source)
    return header_language(header)


def _keywords(meta: _Meta) -> tuple[str, ...]:
    found = meta.claim(("keywords",))
    words = [word.strip() for word in found.value.split(",")] if found else []
    return tuple(dict.fromkeys(word for word in words if word))[:_MAX_KEYWORDS]


def _license(page: BeautifulSoup) -> Claim | None:
    tag = page.find(["link", "a"], rel="license", href=True)
    return claim(str(tag["href"]), f"{tag.name}:license") if isinstance(tag, Tag) else None


def _outer_lines(text: str) -> tuple[list[str], list[str]]:
    lines = [line.strip() for line in text[:20_000].split("\n") if line.strip()]
    last = [line.strip() for line in text[-10_000:].split("\n") if line.strip()]
    top = [line for line in lines[:_LINES_AT_TOP] if len(line) <= _MAX_PRINTED]
    return top, [line for line in last[-_LINES_AT_END:] if len(line) <= _MAX_PRINTED]


class _Dates:
    """Reads dates that must not lie after the capture."""

    def __init__(self, captured_at: str, anomalies: list[Anomaly]) -> None:
        self._captured_on = captured_at[:10]
        self._anomalies = anomalies

    def read(self, written: Iterable[tuple[str, str]]) -> DateClaim | None:
        """Take the first source with a certain date, else the first that says anything."""
        unread: DateClaim | None = None
        for source, raw in written:
            raw = raw[:_MAX_CHARS]
            found = read_date(raw)
            if found and not self._too_late(found[0], source):
                return DateClaim(value=found[0], precision=found[1], raw=raw, source=source)
            unread = unread or DateClaim(value=None, precision=None, raw=raw, source=source)
        return unread

    def printed(self, label: re.Pattern[str], lines: Iterable[str]) -> DateClaim | None:
        """Take the first line that is a date and nothing else but its label."""
        for line in lines:
            match = label.fullmatch(_SPACES.sub(" ", line))
            found = read_date(match[1]) if match else None
            # a bare number of four digits may be anything
            if found and found[1] != "year" and found[0] <= self._captured_on[: len(found[0])]:
                return DateClaim(value=found[0], precision=found[1], raw=line, source="printed")
        return None

    def _too_late(self, value: str, source: str) -> bool:
        late = value > self._captured_on[: len(value)]
        if late:
            detail = f"{source} says {value}; the page was captured on {self._captured_on}"
            self._anomalies.append(Anomaly(code="date-after-capture", detail=detail))
        return late
