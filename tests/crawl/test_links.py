"""crawl/links/html.py: every link of a page, however badly it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pipeline.crawl.links import outlinks as links
from pipeline.crawl.links.outlinks import MAX_LINKS, Outlink, Outlinks, redirect_target
from pipeline.crawl.links.tokens import MAX_ATTRIBUTES
from pipeline.model.policy import LinkPolicy
from pipeline.model.url import Rejected, absolute, resolve

PAGE = "http://www.example.org/a/page.html"
HTML = b"text/html"


def outlinks(payload: bytes, url: str, content_type: bytes | None) -> list[Outlink]:
    return read(payload, url, content_type).found


def read(
    payload: bytes,
    url: str = PAGE,
    content_type: bytes | None = HTML,
    policy: LinkPolicy | None = None,
) -> Outlinks:
    fields = [] if content_type is None else [(b"Content-type", content_type)]
    return links.outlinks(payload, url, fields, "", policy or LinkPolicy())


def found(html: str | bytes, content_type: bytes | None = HTML) -> list[str]:
    """Give the links as `hop path`, those on the page's own site without the host."""
    payload = html if isinstance(html, bytes) else html.encode("utf-8")
    return [
        f"{link.hop} {link.url.removeprefix('http://www.example.org')}"
        for link in outlinks(payload, PAGE, content_type)
    ]


def test_each_kind_of_link_has_its_hop_letter_and_its_tag() -> None:
    html = (
        "<link rel='Shortcut ICON' href=i.ico><link rel=next href=n.html><script src=s.js></script>"
        "<meta http-equiv=Refresh content='5; URL=r.html'>"
        "<frameset><frame src=f.html><noframes><a href=nf.html>x</a></noframes></frameset>"
        "<iframe src=if.html><a href=in.html></iframe><img src=p.gif><map><area href=m.html></map>"
        "<noscript><a href=ns.html></a></noscript>"
    )
    base = "http://www.example.org/a/"
    assert outlinks(html.encode(), PAGE, HTML) == [
        Outlink(base + "i.ico", "E", "link"),
        Outlink(base + "n.html", "L", "link"),
        Outlink(base + "s.js", "E", "script"),
        Outlink(base + "r.html", "R", "meta"),
        Outlink(base + "f.html", "E", "frame"),
        Outlink(base + "nf.html", "L", "a"),
        Outlink(base + "if.html", "E", "iframe"),
        Outlink(base + "in.html", "L", "a"),
        Outlink(base + "p.gif", "E", "img"),
        Outlink(base + "m.html", "L", "area"),
        Outlink(base + "ns.html", "L", "a"),
    ]


ODD_MARKUP = {
    "<A HREF=X.html>": ["L /a/X.html"],
    "<a\nhref\n=\n'x.html'\n>": ["L /a/x.html"],
    "<a/href=x.html/>": ["L /a/x.html/"],
    "<a title='>' class=b href=\"x.html\">": ["L /a/x.html"],
    "<a title=\"it's\" href='x.html'>": ["L /a/x.html"],
    "<a name=top nowrap href=x.html>": ["L /a/x.html"],
    "<a href=x.html href=y.html>": ["L /a/x.html"],
    "<a data-href=y.html href=x.html>": ["L /a/x.html"],
    '<a href="x.html"">a</a><a href="y.html">': ["L /a/x.html", "L /a/y.html"],
    "<a href=don't.html><a href=y.html>": ["L /a/don't.html", "L /a/y.html"],
    "<font face=\"Arial'><a href='x.html'>": ["L /a/x.html"],
    "<a href = ' x\n.html '>": ["L /a/x.html"],
    "<a><a href><a href=''><a href=#top><a name=x>": [],
    "<abbr href=x.html><address href=y.html>": [],
    "</a href=x.html>": [],
    "<a href=x.html#one><a href=x.html#two>": ["L /a/x.html"],
    "<a href=x.gif><img src=x.gif>": ["L /a/x.gif", "E /a/x.gif"],
    "<a href=mailto:me@example.org><a href='javascript:go()'>": [],
    "<a href=page.html>": [],
    # the closing quote is missing: a browser would lose both pages
    '<a href="x.html>X</a> <a href="y.html">Y</a>': ["L /a/x.html", "L /a/y.html"],
    "<img src='x.gif><a href='y.html'>Y</a>": ["E /a/x.gif", "L /a/y.html"],
    '<a href="x.html>': ["L /a/x.html"],
    '<a href="x.html': ["L /a/x.html"],
    "<a href=x.html": ["L /a/x.html"],
    # comments and raw text
    "<!-- <a href=no.html> --><a href=x.html>": ["L /a/x.html"],
    "<!--><a href=x.html>-->": ["L /a/x.html"],
    "<!-- a --!><a href=x.html>": ["L /a/x.html"],
    "<!-- never closed <a href=x.html>": ["L /a/x.html"],
    "<script>document.write('<a href=no.html>')</SCRIPT ><a href=x.html>": ["L /a/x.html"],
    "<script src=s.js>var a='<a href=no.html>'</script>": ["E /a/s.js"],
    "<script src=s.js /><a href=x.html>": ["E /a/s.js", "L /a/x.html"],
    "<script>if (a<b) <a href=x.html>": ["L /a/x.html"],
    "<style><a href=no.html></style><title><a href=no.html></title><a href=x.html>": [
        "L /a/x.html"
    ],
    "<textarea><a href=no.html></textarea><xmp><a href=no.html></xmp>": [],
    # character references, as HTML reads them in attributes
    "<a href='?a=1&amp;b=2'>": ["L /a/page.html?a=1&b=2"],
    "<a href='?a=1&b=2&copy=3&lt;=4&notit=5'>": ["L /a/page.html?a=1&b=2&copy=3%3C=4&notit=5"],
    "<a href='a&#98;c&#x64;.html'>": ["L /a/abcd.html"],
    "<a href='x.html&#35;top'>": ["L /a/x.html"],
    "<a href='a&#0;b&#99999999;c&#xD800;'>": ["L /a/a%EF%BF%BDb%EF%BF%BDc%EF%BF%BD"],
    "<a href='java&#10;script:x()'>": [],
    # meta refresh
    "<meta http-equiv=refresh content='0'>": [],
    "<meta http-equiv=refresh content=\"0;url='x.html' y\">": ["R /a/x.html"],
    "<meta http-equiv=refresh content='0.5 , URL = x.html '>": ["R /a/x.html"],
    "<meta http-equiv=refresh content='3 x.html'>": ["R /a/x.html"],
    "<meta http-equiv=refresh content='url=x.html'>": ["R /a/x.html"],
    "<meta http-equiv=refresh content='see x.html'>": [],
    "<meta name=refresh content='0;url=x.html'>": [],
}


@pytest.mark.parametrize(("html", "expected"), ODD_MARKUP.items(), ids=ODD_MARKUP)
def test_odd_markup_is_read_as_it_was_meant(html: str, expected: list[str]) -> None:
    assert found(html) == expected


def test_the_first_base_counts_for_the_whole_page() -> None:
    html = "<a href=x.html><base target=_top><base href='/b/?q'><base href=/c/><img src=y.gif>"
    assert found(html) == ["L /b/x.html", "E /b/y.gif"]
    assert found("<base href='http://other.example/'><a href=x>") == ["L http://other.example/x"]
    assert found("<base href='javascript:1'><a href=x>") == ["L /a/x"]
    assert found("<base href=/b/i.html><a href=#top>") == ["L /b/i.html"]


CAFE = "<a href='café.html'>"
CHARSETS = {
    "the bytes are kept": (CAFE.encode("cp1252"), b"", "%E9"),
    "also against what HTTP says": (CAFE.encode("cp1252"), b"; charset=utf-8", "%E9"),
    "UTF-8": (CAFE.encode(), b"", "%C3%A9"),
    "UTF-8 with a byte order mark": (b"\xef\xbb\xbf" + CAFE.encode(), b"", "%C3%A9"),
    "UTF-16 with a byte order mark": (("\ufeff" + CAFE).encode("utf-16-le"), b"", "%C3%A9"),
    "UTF-16 by HTTP": (CAFE.encode("utf-16-be"), b"; charset=utf-16be", "%C3%A9"),
}


@pytest.mark.parametrize(
    ("payload", "parameter", "expected"), CHARSETS.values(), ids=CHARSETS.keys()
)
def test_letters_outside_ascii_are_encoded_as_the_page_has_them(
    payload: bytes, parameter: bytes, expected: str
) -> None:
    assert found(payload, HTML + parameter) == [f"L /a/caf{expected}.html"]


ENTITY = b"<a href='caf&eacute;.html'>"
DECLARATIONS = {
    "HTTP": (ENTITY, b'; Charset="ISO-8859-2"', "%E9"),
    "meta": (b"<meta charset=macintosh>" + ENTITY, b"", "%8E"),
    "meta after the link": (ENTITY + b"<meta charset=macintosh>", b"", "%8E"),
    "http-equiv": (
        b"<meta http-equiv='Content-Type' content='text/html; charset=x-mac-roman'>" + ENTITY,
        b"",
        "%8E",
    ),
    "XML": (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + ENTITY, b"", "%E9"),
    "HTTP before meta": (b"<meta charset=macintosh>" + ENTITY, b"; charset=latin1", "%E9"),
    "an unknown one is passed over": (
        b"<meta charset=macintosh>" + ENTITY,
        b"; charset=hex",
        "%8E",
    ),
    "none, and the page is UTF-8": (ENTITY + "ж".encode(), b"", "%C3%A9"),
    "none, and the page is not UTF-8": (ENTITY + b"\x93", b"", "%E9"),
    "a letter the charset lacks": (b"<meta charset=koi8-r>" + ENTITY, b"", "%C3%A9"),
}


@pytest.mark.parametrize(
    ("payload", "parameter", "expected"), DECLARATIONS.values(), ids=DECLARATIONS.keys()
)
def test_character_references_are_encoded_by_the_declared_charset(
    payload: bytes, parameter: bytes, expected: str
) -> None:
    assert found(payload, HTML + parameter) == [f"L /a/caf{expected}.html"]


def test_encodings_that_reuse_the_bytes_of_ascii_do_not_confuse_the_scanner() -> None:
    shift_jis = "<a href='表.html'>".encode("cp932")  # its second byte is a backslash
    assert found(shift_jis, HTML + b"; charset=shift_jis") == ["L /a/%95%5C.html"]
    iso_2022_jp = "<p title='粗筋'><a href=x.html>".encode("iso2022_jp")
    assert found(iso_2022_jp) == ["L /a/x.html"]


@pytest.mark.parametrize(
    ("content_type", "scanned"),
    [
        (b"text/html", True),
        (b" Text/HTML ;charset=x", True),
        (b"application/xhtml+xml", True),
        (b"text/plain", False),
        (b"image/gif", False),
        (None, True),
        (b"", True),
    ],
)
def test_only_html_is_scanned(content_type: bytes | None, scanned: bool) -> None:
    assert bool(found("<html><a href=x.html>", content_type)) is scanned


def test_without_a_content_type_the_payload_must_look_like_html() -> None:
    assert found(b"\r\n<?xml version='1.0'?><!-- a - b --><HTML ><a href=x>", None) == ["L /a/x"]
    assert found(b"GIF89a<a href=x>", None) == []
    assert found(b"See <a href=x>", None) == []
    assert found(b"", None) == []


def test_a_page_with_too_many_links_gives_the_first_ones() -> None:
    payload = b"".join(b"<a href=%d>" % number for number in range(MAX_LINKS + 10))
    taken = read(payload)
    assert len(taken.found) == MAX_LINKS
    assert taken.found[-1].url.endswith(f"/{MAX_LINKS - 1}")
    assert taken.cut
    assert not read(b"<a href=x>").cut


LOCATIONS = {
    b"http://other.example/x": "http://other.example/x",
    b"/x y#z": "http://www.example.org/x%20y",
    b"caf\xe9": "http://www.example.org/a/caf%E9",
    b"caf\xc3\xa9": "http://www.example.org/a/caf%C3%A9",
    b"?p": "http://www.example.org/a/page.html?p",
    b"http://b\xc3\xbccher.example/": "http://xn--bcher-kva.example/",
    b"": PAGE,
    b"ftp://x/": None,
    b"/a\0b": None,
    b"http://b\xfccher.example/": None,
}


@pytest.mark.parametrize(("location", "expected"), LOCATIONS.items(), ids=map(repr, LOCATIONS))
def test_a_redirect_leads_where_its_location_says(location: bytes, expected: str | None) -> None:
    assert redirect_target(location, PAGE) == expected


SNIPPETS = [
    "<a href=", "<a ", "<A HREF='", "<img src=\"", "x.html", "'", '"', ">", "<", "<!--", "-->", "&",
    "&amp;", "&#", "=", " ", "/", "<script>", "</script>", "<base href=", "<meta charset=koi8-r>",
    "<meta http-equiv=refresh content='0;url=", "é", "\x1b$", "<title>", "</title>", "#", "\0",
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(SNIPPETS)).map("".join)),
    st.sampled_from([HTML, b"text/html;charset=utf-16", b"text/html;charset=gb18030", None]),
)
def test_whatever_the_bytes_are_the_links_are_normal_urls(
    page: str | bytes, content_type: bytes | None
) -> None:
    payload = page if isinstance(page, bytes) else page.encode("utf-8")
    for link in outlinks(payload, PAGE, content_type):
        assert absolute(link.url) == link.url
        assert link.hop in "LER"


HOSTILE = {
    "open tags": b"<a ",
    "open values": b"<a href=",
    "open quotes": b'<a href="',
    "quotes that never seem to close": b"<a href='>' <b",
    "comments": b"<!--",
    "scripts": b"<script>",
    "half-closed scripts": b"<script>x</script",
    "ampersands": b"<a href='&a",
    "names": b"<a x",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_page_costs_no_more_than_its_size(piece: bytes) -> None:
    """Four megabytes: an algorithm that is not linear would take hours."""
    outlinks(piece * (4_000_000 // len(piece)), PAGE, HTML)
    outlinks(b"<a href='" + piece * (1_000_000 // len(piece)) + b"'>", PAGE, HTML)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.sampled_from(
            ["<a href='x1.html'>x</a>", "<IMG SRC=x2.gif>", "text &amp; more", "<br>", "<p>"]
        ),
        lambda inner: st.builds(
            "<{0} class='c' title=\"t > u\">{1}</{0}>".format,
            st.sampled_from(["div", "b", "table", "pre", "center", "noscript"]),
            st.lists(inner, max_size=4).map(" ".join),
        ),
    )
)
def test_it_finds_what_a_tree_builder_finds(html: str) -> None:
    page = f"<html><body>{html}</body></html>"
    tree = etree.HTML(page)
    expected = set()
    for element in tree.iter("a", "img"):
        target = resolve(element.get("href") or element.get("src"), PAGE)
        assert not isinstance(target, Rejected)
        expected.add(target)
    assert {link.url for link in outlinks(page.encode(), PAGE, HTML)} == expected


def test_links_are_found_at_any_depth() -> None:
    """A tree builder stops at some hundreds of levels."""
    deep = "<div>" * 5000 + "<a href=x.html>"
    assert found(deep) == ["L /a/x.html"]


def test_a_tag_of_many_megabytes_is_read_only_in_part() -> None:
    huge = b"<a href=x.html " + b"y " * (2 * MAX_ATTRIBUTES) + b"><a href=z.html>"
    assert found(huge) == ["L /a/x.html", "L /a/z.html"]
