"""A page's statements are taken with their source, never finer or surer than they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.extract.dates import read_date

Read = Callable[..., Any]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2004-05-12", ("2004-05-12", "day")),
        ("2004-05-12T23:30:00-05:00", ("2004-05-12", "day")),
        ("2004-05", ("2004-05", "month")),
        ("1996", ("1996", "year")),
        ("May 1996", ("1996-05", "month")),
        ("12 May 1996", ("1996-05-12", "day")),
        ("May 12th, 1996", ("1996-05-12", "day")),
        ("Tue, 14 May 1996 10:00:00 GMT", ("1996-05-14", "day")),
        ("12-Sep-1998", ("1998-09-12", "day")),
        ("1998/9/2", ("1998-09-02", "day")),
        ("25.12.1998", ("1998-12-25", "day")),
        ("12/25/1998", ("1998-12-25", "day")),
        ("3/4/2005", None),
        ("3/4/05", None),
        ("31 February 1999", None),
        ("2004-13-01", None),
        ("2004-00-00", None),
        ("2004-00", None),
        ("2004-05-00", None),
        ("12\u00a0May\u00a01996", ("1996-05-12", "day")),
        ("1 Auguſt 1799", None),
        ("1 Aprıl 1799", None),
        ("1 AprİL 1799", None),
        ("１２ May 1996", None),
        ("２００４-05-12", None),
        ("३/१२/1998", None),
        ("yesterday", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_a_date_is_read_as_far_as_it_is_certain(written: str, read: object) -> None:
    assert read_date(written) == read


def test_an_explicit_source_wins_over_a_vague_one(read: Read) -> None:
    made = read(
        "<meta name=date content=1999-01-01>"
        "<meta property='article:published_time' content='2004-05-12T01:00Z'><p>3 May 2001"
    )

    assert made["date_published"]["value"] == "2004-05-12"
    assert made["date_published"]["source"] == "meta:article:published_time"


def test_an_unreadable_date_keeps_what_was_written(read: Read) -> None:
    made = read("<meta name=date content='3/4/05'>")

    assert made["date_published"] == {
        "value": None,
        "precision": None,
        "raw": "3/4/05",
        "source": "meta:date",
    }


@pytest.mark.parametrize(
    ("body", "published", "modified"),
    [
        ("<p>12 May 1996<p>text", "1996-05-12", None),
        ("<p>text<p>Last updated: 12 May 1996", None, "1996-05-12"),
        ("<p>text<p>This page was last modified on May 12, 1996", None, "1996-05-12"),
        ("<p>1996<p>text", None, None),
        ("<p>It happened on 12 May 1996.", None, None),
        ("<p>12 May 2031<p>text", None, None),
        ("<p>1 Auguſt 1799<p>text", None, None),
        ("<p>Poſted: 12 May 1996<p>text", None, None),
        ("<p>text<p>Last&nbsp;updated:&nbsp;12&nbsp;May&nbsp;1996", None, "1996-05-12"),
    ],
)
def test_a_printed_date_counts_only_as_a_line_of_its_own(
    read: Read, body: str, published: str | None, modified: str | None
) -> None:
    made = read(body)

    assert (made["date_published"] or {}).get("value") == published
    assert (made["date_modified"] or {}).get("value") == modified


@pytest.mark.parametrize(
    ("body", "authors"),
    [
        ("<h1>Log</h1><p>by Ada Lamb", [("Ada Lamb", "byline")]),
        ("<h1>Log</h1>By: Ada de la Lamb", [("Ada de la Lamb", "byline")]),
        ("<p>by the sea<p>By", []),
        ("<p>It was written by Ada Lamb", []),
        ("<meta name=author content='Lamb, Ada'><p>by John Smith", [("Lamb, Ada", "meta:author")]),
        ("<meta name=author content='https://x.example/a'>", []),
        ("<a rel=author href=a>Ada  Lamb</a>", [("Ada Lamb", "a:author")]),
        (
            "<meta name=citation_author content='A'><meta name=citation_author content='B'>",
            [("A", "meta:citation_author"), ("B", "meta:citation_author")],
        ),
        (
            '<script type="application/ld+json">{"@graph":[{"@type":"WebPage","author":"W"},'
            '{"@type":["Article"],"author":{"name":"Ada"}}]}</script>',
            [("Ada", "json-ld:author")],
        ),
    ],
)
def test_authors(read: Read, body: str, authors: list[tuple[str, str]]) -> None:
    found = read("<html>" + body)["authors"]

    assert [(author["value"], author["source"]) for author in found] == authors


def test_title_and_heading_are_kept_apart(read: Read) -> None:
    made = read("<title>\n The  Log | Site</title><h1>The <i>Log</i></h1>")

    assert made["title"] == {
        "value": "The Log | Site",
        "raw": "\n The  Log | Site",
        "source": "title",
    }
    assert made["heading"]["value"] == "The Log"


def test_nothing_is_invented(read: Read) -> None:
    made = read("<p>Fog until four.")

    unknown = ("title", "heading", "date_published", "date_modified", "language", "license")
    assert [made[name] for name in unknown] == [None] * len(unknown)
    assert (made["authors"], made["keywords"]) == ([], [])


@pytest.mark.parametrize(
    ("page", "header", "language"),
    [
        ("<html lang=de><p>x", "fr", {"declared": "de", "source": "html:lang"}),
        ("<html><p>x", "fr", {"declared": "fr", "source": "http"}),
        ("<html><p>x", "fr, de", None),
        ("<html lang=''><p>x", None, None),
        (
            "<meta http-equiv=Content-Language content=en-us><p>x",
            None,
            {"declared": "en-us", "source": "meta:content-language"},
        ),
    ],
)
def test_language_is_what_is_declared(
    make_source: Any, page: str, header: str | None, language: object
) -> None:
    from msgspec.structs import replace

    from pipeline.extract.extractor import extract
    from pipeline.extract.policy import ExtractPolicy

    source = replace(make_source(page.encode()), content_language=header)

    assert extract(source, ExtractPolicy()).as_json()["language"] == language
