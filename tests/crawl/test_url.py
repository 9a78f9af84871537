"""model/url.py: what a page wrote, made into the URL that is asked for."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.model import url
from pipeline.model.url import MAX_LENGTH, Rejected, absolute, folder, origin, resolve, robots_url

PAGE = "http://www.example.org/a/b/page.html?q=1"

RESOLVED = {
    # RFC 3986 §5.4, for the base http://www.example.org/a/b/page.html?q=1
    "g": "http://www.example.org/a/b/g",
    "./g": "http://www.example.org/a/b/g",
    "g/": "http://www.example.org/a/b/g/",
    "/g": "http://www.example.org/g",
    "//g": "http://g/",
    "?y": "http://www.example.org/a/b/page.html?y",
    "g?y": "http://www.example.org/a/b/g?y",
    "#s": PAGE,
    "": PAGE,
    "g#s": "http://www.example.org/a/b/g",
    "g?y#s": "http://www.example.org/a/b/g?y",
    ";x": "http://www.example.org/a/b/;x",
    ".": "http://www.example.org/a/b/",
    "./": "http://www.example.org/a/b/",
    "..": "http://www.example.org/a/",
    "../g": "http://www.example.org/a/g",
    "../..": "http://www.example.org/",
    "../../../../g": "http://www.example.org/g",
    "/./g": "http://www.example.org/g",
    "/../g": "http://www.example.org/g",
    "g.": "http://www.example.org/a/b/g.",
    ".g": "http://www.example.org/a/b/.g",
    "g..": "http://www.example.org/a/b/g..",
    "..g": "http://www.example.org/a/b/..g",
    "./../g": "http://www.example.org/a/g",
    "./g/.": "http://www.example.org/a/b/g/",
    "g/./h": "http://www.example.org/a/b/g/h",
    "g/../h": "http://www.example.org/a/b/h",
    "g?y/../x": "http://www.example.org/a/b/g?y/../x",
    # as browsers read what people wrote
    "  g.html \n": "http://www.example.org/a/b/g.html",
    "long\r\n\tname.html": "http://www.example.org/a/b/longname.html",
    "my page.html": "http://www.example.org/a/b/my%20page.html",
    "%7Euser/%c3%a9": "http://www.example.org/a/b/%7Euser/%c3%a9",
    "100%.html": "http://www.example.org/a/b/100%.html",
    "%2e%2E/g": "http://www.example.org/a/g",
    "pics\\logo.gif": "http://www.example.org/a/b/pics/logo.gif",
    "\\\\Other.example\\x\\y?a\\b": "http://other.example/x/y?a%5Cb",
    'a"b<c>d`e{f|g}h^i': "http://www.example.org/a/b/a%22b%3Cc%3Ed%60e%7Bf%7Cg%7Dh%5Ei",
    "a[1]=2": "http://www.example.org/a/b/a[1]=2",
    "http:g": "http://www.example.org/a/b/g",
    "http:/g": "http://www.example.org/g",
    "https:g/h": "https://g/h",
    "http:///g/h": "http://g/h",
    "HTTP://WWW.Example.COM": "http://www.example.com/",
    "http://www.example.com?x": "http://www.example.com/?x",
    "http://example.com:80/": "http://example.com/",
    "https://example.com:443/": "https://example.com/",
    "http://example.com:443/": "http://example.com:443/",
    "http://example.com:00080/": "http://example.com/",
    "http://example.com:/": "http://example.com/",
    "http://user:pass@example.com/": "http://example.com/",
    "http://a@b@example.com/": "http://example.com/",
    "http://ex%61mple.com/": "http://example.com/",
    "http://bücher.example/": "http://xn--bcher-kva.example/",
    "http://BÜCHER.example:8080/": "http://xn--bcher-kva.example:8080/",
    "http://under_score.example/": "http://under_score.example/",
    "http://example.com./": "http://example.com./",
    "http://192.0.2.7/x": "http://192.0.2.7/x",
    "http://[2001:DB8::0:1]:8080/x": "http://[2001:db8::1]:8080/x",
}


@pytest.mark.parametrize(("href", "expected"), RESOLVED.items(), ids=map(repr, RESOLVED))
def test_a_reference_means_what_browsers_take_it_for(href: str, expected: str) -> None:
    assert resolve(href, PAGE) == expected


REJECTED = {
    "mailto:a@example.org": Rejected.SCHEME,
    "javascript:open('x')": Rejected.SCHEME,
    "DATA:text/html,x": Rejected.SCHEME,
    "c:\\windows\\x.htm": Rejected.SCHEME,
    "file:///etc/passwd": Rejected.SCHEME,
    "http:": Rejected.HOST,
    "http:?x": Rejected.HOST,
    "http://": Rejected.HOST,
    "http://?x": Rejected.HOST,
    "http://a..b/": Rejected.HOST,
    "http://exa mple.com/": Rejected.HOST,
    "http://a%2fb/": Rejected.HOST,
    "http://" + "a" * 64 + ".example/": Rejected.HOST,
    "http://" + "a." * 130 + "example/": Rejected.HOST,
    "http://" + "u" * 5000 + "@example.org/": Rejected.HOST,
    "http://[::1/": Rejected.HOST,
    "http://[::1%25eth0]/": Rejected.HOST,
    "http://[v1.x]/": Rejected.HOST,
    "http://\u00ad/": Rejected.HOST,
    # other spellings of 127.0.0.1, and what is no address at all
    "http://2130706433/": Rejected.HOST,
    "http://0x7f.1/": Rejected.HOST,
    "http://0177.0.0.1/": Rejected.HOST,
    "http://1.2.3.256/": Rejected.HOST,
    "http://example.com:0/": Rejected.PORT,
    "http://example.com:65536/": Rejected.PORT,
    "http://example.com:99999999999999999999/": Rejected.PORT,
    "http://example.com:8o/": Rejected.PORT,
    "http://example.com:\u0668\u0660/": Rejected.PORT,
    "a\0b": Rejected.NUL,
    "a" * (MAX_LENGTH + 1): Rejected.LENGTH,
    "é" * (MAX_LENGTH // 4): Rejected.LENGTH,
}


@pytest.mark.parametrize(
    ("href", "expected"), REJECTED.items(), ids=[repr(href[:30]) for href in REJECTED]
)
def test_what_cannot_be_asked_for_is_rejected_with_its_reason(
    href: str, expected: Rejected
) -> None:
    assert resolve(href, PAGE) is expected


def test_the_longest_url_is_taken_and_one_character_more_is_not() -> None:
    room = MAX_LENGTH - len("http://h/")
    assert resolve("a" * room, "http://h/") == "http://h/" + "a" * room
    assert resolve("a" * (room + 1), "http://h/") is Rejected.LENGTH


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "caf%C3%A9.html?%C3%A9"),
        ("cp1252", "caf%E9.html?%E9"),
        ("mac-roman", "caf%8E.html?%8E"),
        ("cp1251", "caf%C3%A9.html?%C3%A9"),  # has no é
        ("no-such-codec", "caf%C3%A9.html?%C3%A9"),
    ],
)
def test_path_and_query_are_encoded_by_the_charset_of_the_page(
    encoding: str, expected: str
) -> None:
    assert resolve("café.html?é", PAGE, encoding) == f"http://www.example.org/a/b/{expected}"


def test_bytes_that_could_not_be_decoded_are_encoded_as_they_are() -> None:
    for encoding in ("utf-8", "cp932", "iso8859-2"):
        written = b"caf\xe9.html".decode("utf-8", "surrogateescape")
        assert resolve(written, "http://h/", encoding) == "http://h/caf%E9.html"


def test_an_absolute_url_needs_no_page() -> None:
    assert absolute("  HTTP://Example.org ") == "http://example.org/"
    assert absolute("example.org/x") is Rejected.RELATIVE
    assert absolute("//example.org/x") is Rejected.RELATIVE
    assert absolute("") is Rejected.RELATIVE


def test_origins_always_have_a_port() -> None:
    assert origin("http://example.org/x:1/") == "http://example.org:80"
    assert origin("https://example.org/") == "https://example.org:443"
    assert origin("https://example.org:8080/?a") == "https://example.org:8080"
    assert origin("http://[::1]:81/") == "http://[::1]:81"


def test_a_url_is_taken_apart_for_the_request() -> None:
    parts = url.split("https://example.org/a//b?c=/d")
    assert parts == ("https", "example.org", 443, "/a//b?c=/d")
    with pytest.raises(ValueError, match="not a normal URL"):
        url.split("HTTP://example.org")


def test_robots_txt_lies_at_the_root_of_the_origin() -> None:
    assert robots_url("http://example.org:80") == "http://example.org/robots.txt"
    assert robots_url("https://[::1]:8443") == "https://[::1]:8443/robots.txt"


def test_a_folder_ends_with_the_last_slash_of_the_path() -> None:
    assert folder("http://h/a/b?c/d") == "http://h/a/"
    assert folder("http://h/a/b/") == "http://h/a/b/"
    assert folder("http://h/") == "http://h/"


HREFS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="abz.:/\\?#%2eE@[]1é \t\n", max_size=40),
    st.builds("http://{}/{}".format, st.text(max_size=20), st.text(max_size=20)),
    st.builds("//{}".format, st.text(alphabet="a1.:[]@%x-_é", max_size=20)),
)
ENCODINGS = st.sampled_from(["utf-8", "cp1252", "cp932", "gb18030", "big5hkscs", "iso2022_jp"])


@settings(max_examples=400)
@given(HREFS, ENCODINGS)
@example("\ud800.html", "cp1252")
@example("http:x", "utf-8")
def test_a_resolved_url_is_normal_and_resolves_to_itself(href: str, encoding: str) -> None:
    found = resolve(href, PAGE, encoding)
    if isinstance(found, Rejected):
        return
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert "#" not in found
    assert resolve(found, "https://elsewhere.example/x/y", encoding) == found
    assert absolute(found) == found
    parts = url.split(found)
    assert origin(found) == f"{parts.scheme}://{parts.host}:{parts.port}"
    assert not {".", ".."} & set(parts.target.partition("?")[0].split("/"))


@settings(max_examples=200)
@given(HREFS)
def test_the_folder_of_a_page_is_as_good_as_the_page(href: str) -> None:
    """What the cache relies on: only an empty path or a lone query look at the page's own name."""
    if href.strip(url._BLANKS)[:1] not in "?#":
        assert url._resolve(href.strip(url._BLANKS), PAGE, "utf-8") == url._resolve(
            href.strip(url._BLANKS), folder(PAGE), "utf-8"
        )
