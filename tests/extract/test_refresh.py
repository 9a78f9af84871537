"""A refresh is read in one way, however it is written, and whatever is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.refresh import refresh_url


@pytest.mark.parametrize(
    ("content", "url"),
    [
        ("5; URL=next.html", "next.html"),
        ("0.5 , url = next.html", "next.html"),
        ("0;url='next.html' more", "next.html"),
        ('0;url="next.html', "next.html"),
        ("3 next.html", "next.html"),
        ("url=next.html", "next.html"),
        ("0", None),
        ("0;", None),
        ("300 ; ", None),
        ("0;url=", None),
        ("", None),
        ("see next.html", None),
        ("０;url=next.html", None),
    ],
)
def test_the_url_of_a_refresh(content: str, url: str | None) -> None:
    assert refresh_url(content) == url


@given(st.text("0.;,url='\" \t\nx", max_size=30))
def test_no_content_raises_and_nothing_is_invented(content: str) -> None:
    url = refresh_url(content)

    assert url is None or url in content


@pytest.mark.parametrize(
    ("content", "urls"),
    [
        ("0;url='a b.html' c", ["http://log.example/dir/a%20b.html"]),
        ("0; url=it's.html", ["http://log.example/dir/it's.html"]),
        ("0; url=" + "x" * 300, ["http://log.example/dir/" + "x" * 300]),
        ("see a.html", []),
    ],
)
def test_a_document_lists_the_refresh(
    read: Callable[..., Any], content: str, urls: list[str]
) -> None:
    made = read(f'<meta http-equiv=Refresh content="{content}"><p>x')

    assert [(link["url"], link["rel"]) for link in made["links"]] == [
        (url, "refresh") for url in urls
    ]
