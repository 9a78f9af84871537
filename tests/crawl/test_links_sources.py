"""crawl/links: what leads on besides the plain links of a page, one case for each source."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.links.outlinks import Misfit, Outlinks, outlinks, robots_sitemaps
from pipeline.model.policy import LinkPolicy
from pipeline.model.url import absolute

SITE = "http://www.example.org"
PAGE = SITE + "/a/page.html"
ALL = LinkPolicy(forms=True, scripts=True, text=True)


def read(
    payload: str | bytes,
    content_type: str | None = "text/html",
    *,
    policy: LinkPolicy = ALL,
    hops: str = "",
    url: str = PAGE,
    fields: tuple[tuple[bytes, bytes], ...] = (),
) -> Outlinks:
    if content_type is not None:
        fields = ((b"Content-Type", content_type.encode()), *fields)
    body = payload if isinstance(payload, bytes) else payload.encode()
    return outlinks(body, url, fields, hops, policy)


def found(
    payload: str | bytes, content_type: str | None = "text/html", **more: object
) -> list[str]:
    """Give the links as `hop path`, those on the page's own site without the host."""
    links = read(payload, content_type, **more).found  # type: ignore[arg-type]
    return [f"{link.hop} {link.url.removeprefix(SITE)}" for link in links]


MARKUP = {
    "<IMG SRC=a.gif LOWSRC=b.gif LONGDESC=c.html>": ["E /a/a.gif", "E /a/b.gif", "L /a/c.html"],
    "<img srcset='a.png 1x, b,c.png 2x,d.png'>": ["E /a/a.png", "E /a/b,c.png", "E /a/d.png"],
    "<img srcset='a.png, b.png (x, y) 3w'>": ["E /a/a.png", "E /a/b.png"],
    "<img data-src=a.png data-srcset='b.png 2x' data-original=c.png data-lazy-src=d.png>": [
        "E /a/a.png",
        "E /a/b.png",
        "E /a/c.png",
        "E /a/d.png",
    ],
    "<img src=''><input type=image src=' '>": [],
    "<input type=IMAGE src=a.gif><input src=b.gif>": ["E /a/a.gif"],
    "<picture><source srcset=a.webp><img src=a.jpg></picture>": ["E /a/a.webp", "E /a/a.jpg"],
    "<video src=a.mp4 poster=a.jpg><track src=a.vtt></video><audio src=b.mp3>": [
        "E /a/a.mp4",
        "E /a/a.jpg",
        "E /a/a.vtt",
        "E /a/b.mp3",
    ],
    "<BODY BACKGROUND=a.gif><TABLE background='b.gif'><tr background=c.gif><TD\nBackGround=d.gif>"
    "<th background=e.gif>": [
        "E /a/a.gif",
        "E /a/b.gif",
        "E /a/c.gif",
        "E /a/d.gif",
        "E /a/e.gif",
    ],
    "<object data=a.swf codebase=/b/ archive='c.zip d.zip'>": [
        "E /b/a.swf",
        "E /b/c.zip",
        "E /b/d.zip",
    ],
    "<object classid='clsid:1'><param name=Movie value=a.swf><param name=quality value=high>": [
        "E /a/a.swf"
    ],
    "<embed src=a.mid>": ["E /a/a.mid"],
    "<applet code=org.x.Show codebase=classes archive='a.jar, b.jar'>": [
        "E /a/classes/org/x/Show.class",
        "E /a/classes/a.jar",
        "E /a/classes/b.jar",
    ],
    "<applet code=Show.class>": ["E /a/Show.class"],
    "<q cite=a.html><blockquote cite=b.html><ins cite=c.html><del cite=d.html>": [
        "L /a/a.html",
        "L /a/b.html",
        "L /a/c.html",
        "L /a/d.html",
    ],
    "<form action=a.cgi><form method=GET action=b.cgi><form method=post action=c.cgi>": [
        "L /a/a.cgi",
        "L /a/b.cgi",
    ],
    "<link rel='preload' href=a.css imagesrcset='b.png 1x'>": ["E /a/a.css", "E /a/b.png"],
    "<link rel=dns-prefetch href=//x.example><link rel=preconnect href=//y.example>": [],
    "<a rel=nofollow href=a.html><meta name=robots content=nofollow><a href=b.html>": [
        "L /a/a.html",
        "L /a/b.html",
    ],
    "<iframe srcdoc='&lt;a href=&quot;a.html?b&amp;amp;c&quot;>'>": ["L /a/a.html?b&c"],
    "<!--[if lt IE 7]><link rel=stylesheet href=ie.css><![endif]-->": ["E /a/ie.css"],
    "<svg><image xlink:href=a.png /><use href='b.svg#c'/><a xlink:href='d.html'></a></svg>": [
        "E /a/a.png",
        "E /a/b.svg",
        "L /a/d.html",
    ],
    "<p style='background:url(a.gif)'><P STYLE=\"x:URL(&quot;b.gif&quot;)\">": [
        "E /a/a.gif",
        "E /a/b.gif",
    ],
    '<a href="x.html" style="b:url(a.gif)"><i style="b:url(c.gif)">': [
        "L /a/x.html",
        "E /a/a.gif",
        "E /a/c.gif",
    ],
    "<style>@import 'a.css';</style><STYLE>b{c:url(d.png)}</STYLE>": ["E /a/a.css", "E /a/d.png"],
    "<script>u = '/x/y.html', no = 'text/html', v = \"http:\\/\\/www.example.org\\/z\"</script>": [
        "X /x/y.html",
        "X /z",
    ],
    "<td style='x:url(a.gif' background=b.gif><a href=c.html>": [
        "E /a/b.gif",
        "E /a/a.gif",
        "L /a/c.html",
    ],
}


@pytest.mark.parametrize(("html", "expected"), MARKUP.items(), ids=MARKUP)
def test_markup_leads_where_browsers_of_its_time_went(html: str, expected: list[str]) -> None:
    assert found(html) == expected


def test_forms_and_scripts_are_left_alone_unless_asked_for() -> None:
    html = "<form action=a.cgi></form><script>x('b.html')</script>"
    assert found(html, policy=LinkPolicy()) == []
    assert found("x('b.html')", "text/javascript", policy=LinkPolicy()) == []
    assert found("http://x.example/", "text/plain", policy=LinkPolicy()) == []


STYLES = {
    "a{b:url(c.png)}": ["E /a/c.png"],
    "a{b:URL( 'c d.png' )}": ["E /a/c%20d.png"],
    'a{b:url("c\\29 .png")}': ["E /a/c).png"],
    "a{b:url(c\\(d\\).png)}": ["E /a/c(d).png"],
    "@import 'a.css'; @IMPORT url(b.css) print; @import\"c.css\";": [
        "E /a/a.css",
        "E /a/b.css",
        "E /a/c.css",
    ],
    "/* url(no.png) */ a{b:url(c.png)} /* never closed url(no.png)": ["E /a/c.png"],
    "a{content:'url(no.png) /*'} b{c:url(d.png)}": ["E /a/d.png"],
    "a{content:'never closed\n} b{c:url(d.png)}": ["E /a/d.png"],
    "a{b:-webkit-image-set('c.png' 1x, url(d.png) 2x)}": ["E /a/c.png", "E /a/d.png"],
    "@namespace svg url(http://www.w3.org/2000/svg); a{b:url(c.png)}": ["E /a/c.png"],
    "a{b:url(#mask);c:url(data:image/png;base64,AAAA)}": [],
    "a{src:url(c.eot?#iefix) format('x'),url(c.woff)}": ["E /a/c.eot?", "E /a/c.woff"],
}


@pytest.mark.parametrize(("css", "expected"), STYLES.items(), ids=STYLES)
def test_style_sheets_lead_to_what_they_show(css: str, expected: list[str]) -> None:
    assert found(css, "text/css", url=SITE + "/a/style.css") == expected
    assert found(f"<style>{css}</style>")[: len(expected)] == expected


def test_bytes_outside_ascii_stay_as_they_stand_in_a_style_sheet() -> None:
    assert found(b"a{b:url(caf\xe9.png)}", "text/css") == ["E /a/caf%E9.png"]
    assert found("a{b:url(café.png)}", "text/css") == ["E /a/caf%C3%A9.png"]


FIELDS = {
    (b"Link", b'<a.css>; rel="stylesheet", </b>; rel=next'): ["E /a/a.css", "L /b"],
    (b"link", b'<c;d,e>; title="x, <y>; rel=z"; rel="preload"'): ["E /a/c;d,e"],
    (b"LINK", b"<//x.example>; rel=preconnect, <f>"): ["L /a/f"],
    (b"Refresh", b"5; URL='r.html'"): ["R /a/r.html"],
    (b"refresh", b"5"): [],
}


@pytest.mark.parametrize(("field", "expected"), FIELDS.items(), ids=map(str, FIELDS))
def test_fields_of_the_head_lead_on(field: tuple[bytes, bytes], expected: list[str]) -> None:
    assert found(b"", "image/gif", fields=(field,)) == expected


SVG = """<?xml version="1.0"?><?xml-stylesheet type="text/css" href="s.css"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<style><![CDATA[ a { b: url(c.png) } ]]></style><image xlink:href="i.png"/>
<a xlink:href="l.html"><use xlink:href="#x"/></a></svg>"""


def test_an_svg_image_leads_on() -> None:
    assert found(SVG, "image/svg+xml", url=SITE + "/a/i.svg") == [
        "E /a/s.css",
        "E /a/c.png",
        "E /a/i.png",
        "L /a/l.html",
    ]


def test_urls_in_plain_text_end_before_punctuation() -> None:
    text = "See <URL:http://x.example/a>, (http://x.example/b) or HTTP://x.example/c_(d)."
    urls = [link.url for link in read(text, "text/plain").found]
    assert urls == ["http://x.example/a", "http://x.example/b", "http://x.example/c_(d)"]


def test_what_is_called_plain_text_is_no_page() -> None:
    assert found("<html><a href=x.html>", "text/plain") == []
    assert found("a{b:url(c.png)}", "text/plain", url=SITE + "/a/old.css") == ["E /a/c.png"]


def test_a_misfit_is_told_and_a_foreign_scheme_is_not() -> None:
    html = (
        "<a href='http://x.example:99999/'><img src='a&#0;b\0.gif'><a href='http://[x/'>"
        "<a href=mailto:me@x.example><a href=data:,x><a href='/" + "x" * 9000 + "'><a href=ok>"
    )
    result = read(html)
    assert [link.url for link in result.found] == [SITE + "/a/ok"]
    assert [(misfit.written[:8], misfit.hop) for misfit in result.misfits] == [
        ("http://x", "L"),
        ("a\ufffdb\0.gif", "E"),
        ("http://[", "L"),
        ("/xxxxxxx", "L"),
    ]
    assert all(len(misfit.written) <= 200 for misfit in result.misfits)
    assert "port" in result.misfits[0].why
    assert isinstance(result.misfits[0], Misfit)


RSS = """<?xml version="1.0"?><rss version="2.0"><channel><link>http://www.example.org/</link>
<image><url>http://www.example.org/logo.gif</url></image>
<item><link><![CDATA[http://www.example.org/1?a&b]]></link><guid isPermaLink="false">http://no/</guid>
<enclosure url="http://www.example.org/1.mp3?x=1&amp;y=2" length="1"/>
<description>&lt;img src="/i.png"&gt; &lt;a href="/2?a=1&amp;amp;b=2"&gt;</description></item>
<item><guid>http://www.example.org/3</guid><comments>/3c</comments></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://www.example.org/b/">
<link rel="self" href="feed.atom"/><logo>l.png</logo><entry><link href='e1'/>
<link rel="enclosure" href="e1.mp3"/><content type="html"><![CDATA[<img src="p.png">]]></content>
</entry></feed>"""


def test_a_feed_leads_to_its_items_and_what_they_show() -> None:
    expected = [
        "M /",
        "E /logo.gif",
        "M /1?a&b",
        "E /1.mp3?x=1&y=2",
        "E /i.png",
        "L /2?a=1&b=2",
        "M /3",
        "M /3c",
    ]
    for media_type in ("application/rss+xml", "text/xml", "text/html", None):
        assert found(RSS, media_type) == expected
    assert found(ATOM, "application/atom+xml") == [
        "M /b/feed.atom",
        "E /b/l.png",
        "M /b/e1",
        "E /b/e1.mp3",
        "E /b/p.png",
    ]
    assert found(RSS, "text/xml", policy=LinkPolicy(feeds=False)) == []


def test_a_json_feed_leads_to_its_items_and_what_they_show() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "home_page_url": SITE + "/",
        "items": [
            {
                "url": "/1",
                "content_html": '<img src="/i.png">',
                "attachments": [{"url": "/a.mp3", "mime_type": "audio/mpeg"}],
            },
            {"url": "/2", "image": "/2.png"},
        ],
    }
    for media_type in ("application/feed+json", "application/json"):
        assert found(json.dumps(feed), media_type, policy=LinkPolicy()) == [
            "M /",
            "M /1",
            "E /i.png",
            "E /a.mp3",
            "M /2",
            "E /2.png",
        ]


SITEMAP = b"""<?xml version="1.0" encoding="UTF-8"?><urlset
 xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="i" xmlns:xhtml="x">
<url><loc> http://www.example.org/1?a&amp;b </loc><image:image><image:loc>/i.png</image:loc>
</image:image><xhtml:link rel="alternate" hreflang="de" href="/de/1"/></url>
<url><loc><![CDATA[http://www.example.org/2]]></loc></url><!-- <loc>http://no/</loc> --></urlset>"""
LISTED = ["M /1?a&b", "E /i.png", "M /de/1", "M /2"]


def test_a_sitemap_leads_to_what_it_lists() -> None:
    assert found(SITEMAP, "application/xml") == LISTED
    assert found(SITEMAP, "text/xml", policy=LinkPolicy(sitemaps=False)) == []
    index = b"<s:sitemapindex><s:sitemap><s:loc>/s1.xml.gz</s:loc></s:sitemap></s:sitemapindex>"
    assert found(index, "text/xml") == ["N /s1.xml.gz"]
    assert found(gzip.compress(b"<?xml?><!-- x -->" + index), "") == ["N /s1.xml.gz"]


def test_a_packed_sitemap_is_unpacked() -> None:
    assert found(gzip.compress(SITEMAP), "application/x-gzip") == LISTED
    assert found(gzip.compress(SITEMAP)[:-30], "application/x-gzip")[:1] == LISTED[:1]
    assert found(gzip.compress(b"<html><a href=x>"), "application/x-gzip") == []


def test_a_plain_list_counts_as_a_sitemap_only_where_one_was_expected() -> None:
    listing = b"\xef\xbb\xbfhttp://www.example.org/1\r\nhttp://www.example.org/2\nno link"
    policy = LinkPolicy()
    assert found(listing, "text/plain", hops="PM", policy=policy) == ["M /1", "M /2"]
    assert found(gzip.compress(listing), "application/gzip", hops="M") == ["M /1", "M /2"]
    assert found(listing, "text/plain", hops="PMN", policy=policy) == ["M /1", "M /2"]
    assert found(listing, "text/plain", hops="L", policy=policy) == []


def test_entities_of_a_sitemap_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset><loc>/&b;</loc></urlset>'
    assert found(bomb, "text/xml") == ["M /&b;"]


def test_a_sitemap_that_never_ends_is_read_as_far_as_its_links_are_taken() -> None:
    many = b"<urlset>" + b"".join(b"<loc>/%d</loc>" % n for n in range(150_000))
    for payload in (many, gzip.compress(many)):
        result = read(payload, "text/xml")
        assert len(result.found) == 100_000
        assert result.cut
    assert read(gzip.compress(bytes(60_000_000)), "application/gzip", hops="M").found == []


def test_robots_txt_names_sitemaps() -> None:
    body = b"\xef\xbb\xbfSitemap: http://x.example/s.xml # x\nAllow: *\n SITEMAP : /t.xml\n"
    assert robots_sitemaps(body, SITE + "/robots.txt") == [
        "http://x.example/s.xml",
        SITE + "/t.xml",
    ]
    assert len(robots_sitemaps(b"".join(b"Sitemap: /%d\n" % n for n in range(999)), PAGE)) == 100


OPEN_ACTION = (
    b"<</S/URI/URI(http://x.example/a\\)b\\050)>> <</URI <687474703A2F2F782E6578616D706C65>>>"
)


def test_a_pdf_leads_to_its_uri_actions_open_or_packed() -> None:
    packed = zlib.compress(b"1 0 <</S/URI/URI(http://x.example/c)>>")
    pdf = (
        b"%PDF-1.5\n" + OPEN_ACTION + b"<</Type/ObjStm/Filter/FlateDecode/Length 9>>stream\r\n"
        b"broken\nendstream <</Type/ObjStm /N 1>>\nstream\n" + packed + b"\nendstream"
    )
    expected = ["L http://x.example/a)b(", "L http://x.example/", "L http://x.example/c"]
    for media_type in ("application/pdf", "application/octet-stream", None):
        assert found(pdf, media_type) == expected
    assert found(pdf + b"/Encrypt 5 0 R", "application/pdf") == []
    assert found(pdf, "application/pdf", policy=LinkPolicy(pdf=False)) == []


def test_object_streams_are_unpacked_within_bounds() -> None:
    bomb = zlib.compress(b"<</URI(http://x.example/z)>>" + bytes(200_000_000), 9)
    pdf = b"%PDF-1.5\n" + (b"<</Type/ObjStm>>stream\n" + bomb) * 3
    assert found(pdf, "application/pdf") == ["L http://x.example/z"]
    assert read(b"%PDF-" + b"/ObjStm stream\nx\x9c" * 200_000, "application/pdf").found == []


PIECES = [
    "<a href=", "<loc>", "</loc>", "<![CDATA[", "]]>", "<!--", "-->", "<urlset>", "<rss>", "<link ",
    "<description>", "&lt;", "&amp;", "'", '"', "(", ")", "url(", "@import ", "image-set(", "/*",
    "\\", "/URI", "<", ">", "/ObjStm", "stream\n", "x.html", "//x.example/", "http://", "\0", "é",
    "\n", "<td ", "<i ", " ", '"url":', '"attachments":[', "<style>", "</style>", "<script>",
    "</script>", "style=", "srcset=",
]  # fmt: skip
TYPES = [
    "text/html", "text/css", "text/plain", "text/javascript", "application/pdf", "text/xml",
    "application/feed+json", "image/svg+xml", "application/rss+xml", None,
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        ["", "<urlset>", "<rss>", "%PDF-", '{"version": "https://jsonfeed.org/version/1"']
    ),
    st.one_of(st.binary(max_size=100), st.lists(st.sampled_from(PIECES)).map("".join)),
    st.sampled_from(TYPES),
    st.booleans(),
    st.sampled_from(["", "PM"]),
)
def test_whatever_the_bytes_are_the_links_are_normal_urls(
    start: str, piece: str | bytes, media_type: str | None, packed: bool, hops: str
) -> None:
    body = start.encode() + (piece if isinstance(piece, bytes) else piece.encode())
    result = read(gzip.compress(body) if packed else body, media_type, hops=hops)
    for link in result.found:
        assert absolute(link.url) == link.url
        assert link.hop in "LERXM"
    assert not result.cut


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("media_type", [kind for kind in TYPES if kind])
def test_hostile_repetition_costs_no_more_than_its_size(piece: str, media_type: str) -> None:
    """An algorithm that is not linear would take minutes for each."""
    start = b"<style x=url()>" if media_type == "text/html" else b""
    start = b"<urlset>" if media_type == "text/xml" else b"<rss>" if "rss" in media_type else start
    read(start + piece.encode() * (400_000 // len(piece.encode())), media_type)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=2, max_size=4).map("".join), st.sampled_from(TYPES)
)
def test_hostile_patterns_cost_no_more_than_their_size(piece: str, media_type: str | None) -> None:
    read("<rss>" + piece * (200_000 // len(piece)), media_type)


OLD = "http://example.org/"


def test_sounds_and_layers_of_old_browsers_are_found() -> None:
    html = (
        b"<bgsound src=a.mid><layer src=b.html background=c.gif><ilayer src=d.html></ilayer>"
        b"<fig src=e.gif><overlay src=f.gif></fig>"
    )
    found = outlinks(
        html, "http://example.org/", [(b"content-type", b"text/html")], "", LinkPolicy()
    )
    assert [link.url.rpartition("/")[2] for link in found.found] == [
        "a.mid", "b.html", "c.gif", "d.html", "e.gif", "f.gif"
    ]  # fmt: skip


def test_tags_that_never_end_are_read_in_linear_time() -> None:
    # quadratic, this would take minutes
    html = b"<p style='background: url(x.gif)'>" + b"<b" * 300_000
    found = outlinks(
        html, "http://example.org/", [(b"content-type", b"text/html")], "", LinkPolicy()
    )
    assert [link.url for link in found.found] == ["http://example.org/x.gif"]


def test_every_object_stream_of_a_pdf_is_read() -> None:
    streams = b"".join(
        b"%d 0 obj <</Type/ObjStm/Filter/FlateDecode/Length 9>> stream\n%b\nendstream endobj\n"
        % (number, zlib.compress(b"<</S/URI/URI(http://example.org/%d)>>" % number))
        for number in range(400)
    )
    pdf = b"%PDF-1.7\n" + streams + b"%" + bytes(1_000_000)
    found = outlinks(
        pdf, "http://example.org/", [(b"content-type", b"application/pdf")], "", LinkPolicy()
    )
    assert len(found.found) == 400
