"""What a page says of itself in schema.org JSON-LD, as far as a document has fields for it."""

from __future__ import annotations

import json
from typing import Any

from bs4 import BeautifulSoup
from msgspec import Struct

_ARTICLES = frozenset(
    {
        "AnalysisNewsArticle",
        "Article",
        "BlogPosting",
        "LiveBlogPosting",
        "NewsArticle",
        "OpinionNewsArticle",
        "Report",
        "ReportageNewsArticle",
        "ScholarlyArticle",
        "SocialMediaPosting",
        "TechArticle",
        "WebPage",
    }
)
_MAX_CHARS = 500_000
_MAX_OBJECTS = 200


class Statement(Struct, frozen=True, kw_only=True):
    """The properties of the first article object of a page, as written."""

    published: str | None = None
    modified: str | None = None
    authors: tuple[str, ...] = ()
    broken: bool = False


def read_statement(page: BeautifulSoup) -> Statement:
    """Read the page's JSON-LD; where none names an article, all is None."""
    broken = False
    objects: list[dict[str, Any]] = []
    for script in page.find_all("script", type="application/ld+json"):
        text = script.string or ""
        if len(text) > _MAX_CHARS:
            continue
        try:
            objects += _objects(json.loads(text))
        except (ValueError, RecursionError):
            broken = True
    articles = [each for each in objects[:_MAX_OBJECTS] if _ARTICLES & set(_types(each))]
    # WebPage describes the page round an article: it speaks only where no article does
    articles.sort(key=lambda each: set(_types(each)) <= {"WebPage"})
    if not articles:
        return Statement(broken=broken)
    article = articles[0]
    return Statement(
        published=_text(article.get("datePublished")),
        modified=_text(article.get("dateModified")),
        authors=_names(article.get("author")),
        broken=broken,
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            found.append(each)
            graph = each.get("@graph")
            members = graph if isinstance(graph, list) else []
            found += [member for member in members if isinstance(member, dict)]
    return found


def _types(value: dict[str, Any]) -> list[str]:
    kind = value.get("@type")
    return [each for each in (kind if isinstance(kind, list) else [kind]) if isinstance(each, str)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _names(value: Any) -> tuple[str, ...]:
    names = []
    for each in (value if isinstance(value, list) else [value])[:50]:
        name = _text(each.get("name") if isinstance(each, dict) else each)
        if name and not name.startswith(("http:", "https:")):
            names.append(name)
    return tuple(names)
