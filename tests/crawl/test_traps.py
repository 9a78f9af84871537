"""crawl/rules/traps.py: URLs without end are told by their looks, those of honest sites are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.rules.traps import MAX_FOLDERS, MAX_LENGTH, trap
from pipeline.model.url import Rejected, absolute

YEAR = 2026
SITE = "https://www.example.org"

TRAPS = {
    "/" + "x" * 2000: "trap-length",
    "/news/news/news/news/": "trap-path",
    "/a1b/x/a1b/y/a1b/z/a1b.html/a1b": "trap-path",
    "/a/b/a/b/a/b": "trap-path",
    "/start/one/two/three/one/two/three/one/two/three/": "trap-path",
    "/0" * 8: "trap-path",
    "/" + "/".join(map(str, range(MAX_FOLDERS + 1))): "trap-path",
    "/one/two/one/six/two/one/two/six/six/ten/ten": "trap-path",
    "/x?a=1&b=2&a=1&a=1": "trap-query",
    "/x?a&a=&a=&a=": "trap-query",
    "/x?y&z&y&y": "trap-query",
    "/2028/01/": "trap-calendar",
    "/events/2099-12-24": "trap-calendar",
    "/blog/2100/12?x": "trap-calendar",
    "/calendar/2040/7": "trap-calendar",
    "/calendar/1969/12/": "trap-calendar",
    "/cal.php?year=1890&x=1": "trap-calendar",
    "/x.php?month=3&year=2050": "trap-calendar",
    "/x?m=203001": "trap-calendar",
    "/x?date=2031-02-03": "trap-calendar",
    "/x?week=2031-W07": "trap-calendar",
}


@pytest.mark.parametrize(("path", "reason"), TRAPS.items(), ids=[path[:40] for path in TRAPS])
def test_what_has_no_end_is_a_trap(path: str, reason: str) -> None:
    told = trap(SITE + path, "L", YEAR)
    assert told is not None
    assert (told.accepted, told.reason) == (False, reason)
    assert told.rule.startswith("trap: ")


HONEST = [
    "/",
    "/a/a/a",
    "/a/b/a/b/",
    "/images/0/0/0/0/17.png",
    "/00/00/00/00/00/12.jpg",
    "/archive/lenin/works/1917/10/25.htm",
    "/archive/trotsky/1938/09/vanzler.htm",
    "/newspaper/1863-07-04/page/1",
    "/paper?date=1938-09-03",
    "/topic/4512/2",
    "/topic/2150/3",
    "/2003/12/31/x.html",
    "/2027/12/",
    "/calendar/2026/12",
    "/calendar/1970/01/",
    "/x?year=2050",
    "/x?id=203001",
    "/x?cat[]=1&cat[]=2&cat[]=3&cat[]=4",
    "/x?a=1&a=1",
    "/x?&&&&a=1",
    "/x?a=&b=&c=&d=",
    "/viewvc/foo/trunk/foo/src/main/java/org/foo/core/Foo.java",
    "/maven/org/foo/bar/1.0/javadoc/org/foo/bar/class-use/Bar.html",
    "/" + "x" * (MAX_LENGTH - len(SITE) - 1),
    "/" + "/".join(map(str, range(MAX_FOLDERS))),
    "/special/2040/total",
]


@pytest.mark.parametrize("path", HONEST, ids=[path[:40] for path in HONEST])
def test_honest_urls_are_no_traps(path: str) -> None:
    assert trap(SITE + path, "L", YEAR) is None


def test_a_year_is_far_or_not_by_the_year_of_the_run() -> None:
    assert trap(SITE + "/2028/01/", "L", 2026) is not None
    assert trap(SITE + "/2028/01/", "L", 2027) is None


DOCUMENTATION = ("postgresql-doc-15", "python3.11-doc", "apache2-doc", "debian-handbook")


@pytest.mark.parametrize("package", DOCUMENTATION)
def test_no_page_of_real_documentation_is_a_trap(package: str) -> None:
    root = Path("/usr/share/doc") / package
    if not root.is_dir():
        pytest.skip(f"{package} is not installed")
    count = 0
    for folder, _, files in os.walk(root, followlinks=True):
        for name in files:
            url = absolute(f"{SITE}/doc/{Path(folder, name).relative_to(root.parent)}")
            assert not isinstance(url, Rejected)
            assert trap(url, "L", YEAR) is None, url
            count += 1
    assert count > 100


PIECES = st.lists(
    st.sampled_from(["/", "a", "b", "2040", "01", "?", "&", "=", "year=", ";", "calendar", "%"]),
    max_size=60,
).map("".join)


@settings(max_examples=300)
@given(PIECES, st.integers(1990, 2100))
def test_any_url_is_looked_at_without_trouble(rest: str, year: int) -> None:
    told = trap(f"{SITE}/{rest}", "L", year)
    assert told is None or (not told.accepted and told.reason.startswith("trap-"))


def test_sitemaps_in_one_another_come_to_an_end() -> None:
    assert trap(f"{SITE}/maps/9.xml", "PMMMMM", YEAR) is None
    told = trap(f"{SITE}/maps/9.xml", "PMMMMMM", YEAR)
    assert told is not None and told.reason == "trap-sitemap"
    assert trap(f"{SITE}/6.xml", "PMNNNN", YEAR) is None
    told = trap(f"{SITE}/7.xml", "PMNNRNNN", YEAR)
    assert told is not None and told.reason == "trap-sitemap"
    # a page that leads to a feed begins anew
    assert trap(f"{SITE}/feed.xml", "MMMMMLM", YEAR) is None


def test_a_query_that_grows_comes_to_an_end() -> None:
    query = "&".join(f"p{number}={number}" for number in range(41))
    assert trap(f"{SITE}/?{query}", "L", YEAR) is not None
    assert trap(f"{SITE}/?{query.rpartition('&')[0]}", "L", YEAR) is None
