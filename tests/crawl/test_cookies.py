"""Cookies: kept as RFC 6265 has it, sent to their own host only, bounded, and never a new line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.rules.cookies import MAX_AGE_S, MAX_COOKIE_BYTES, MAX_COOKIES, Cookie, Jar

NOW = 1_700_000_000.0
PAGE = "http://example.org/a/b?q=/x/"


def jar_of(*lines: str | bytes, url: str = PAGE, now: float = NOW) -> Jar:
    jar = Jar()
    give(jar, *lines, url=url, now=now)
    return jar


def give(jar: Jar, *lines: str | bytes, url: str = PAGE, now: float = NOW) -> bool:
    raw = [line.encode("latin-1") if isinstance(line, str) else line for line in lines]
    return jar.take([(b"Set-Cookie", line) for line in raw], url, now)


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("a=1", "a=1"),
        ("a=1; HttpOnly; SameSite=Lax; Unknown=x", "a=1"),
        (' a = "1 2" ;Path=/', 'a="1 2"'),
        ("a=", "a="),
        ("=1", "1"),
        ("alone", "alone"),
        ("a=b=c", "a=b=c"),
        ("a=1, b=2", "a=1, b=2"),
        (b"a=\xe9", "a=\xe9"),
        ("", None),
        (";a=1", None),
        ("a=1\x00", None),
        ("a=1\nSet-Cookie: b=2", None),
        ("a=1\r", None),
        ("a=\x7f", None),
        (f"a={'x' * MAX_COOKIE_BYTES}", None),
        ("a=1; Max-Age=10", "a=1"),
        ("a=1; Max-Age=0", None),
        ("a=1; Max-Age=-5", None),
        ("a=1; Max-Age=soon", "a=1"),
        (f"a=1; Max-Age={'9' * 3000}", "a=1"),
        ("a=1; Expires=Wed, 15 Nov 2023 00:00:00 GMT", "a=1"),
        ("a=1; Expires=Tue, 14 Nov 2023 00:00:00 GMT", None),
        ("a=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT", None),
        ("a=1; Expires=Thu Nov 15 01:02:03 2023", "a=1"),
        ("a=1; Expires=15-Nov-99 01:02:03", None),
        ("a=1; Expires=99 99 99", "a=1"),
        ("a=1; Expires=31 Feb 2024 00:00:00", "a=1"),
        ("a=1; Expires=Wed, 15 Nov 9999 00:00:00 GMT", "a=1"),
        ("a=1; Max-Age=10; Expires=Thu, 01-Jan-1970 00:00:01 GMT", "a=1"),
        ("a=1; Path=/a", "a=1"),
        ("a=1; Path=/a/", "a=1"),
        ("a=1; Path=/a/b", "a=1"),
        ("a=1; Path=/a/b/c", None),
        ("a=1; Path=/x", None),
        ("a=1; Path=relative", "a=1"),
        ("a=1; Path=/a; Path=/x", None),
        ("a=1; Domain=example.org", "a=1"),
        ("a=1; Domain=.Example.ORG", "a=1"),
        ("a=1; Domain=org", "a=1"),
        ("a=1; Domain=www.example.org", None),
        ("a=1; Domain=ample.org", None),
        ("a=1; Domain=example.com", None),
        ("a=1; Secure", None),
        ("__Secure-a=1", None),
        ("__Host-a=1; Path=/", None),
    ],
)
def test_one_cookie_and_what_is_sent_back(line, sent):
    assert jar_of(line).header(PAGE, NOW) == sent


def test_a_cookie_goes_to_its_own_host_only_and_to_all_its_ports():
    jar = jar_of("a=1; Domain=example.org; Path=/")
    assert jar.header("http://example.org:8080/", NOW) == "a=1"
    for host in ("www.example.org", "org", "example.org.evil.example", "xexample.org"):
        assert jar.header(f"http://{host}/", NOW) is None


def test_a_secure_cookie_goes_over_tls_only_and_is_not_overwritten_without():
    secure = "https://example.org/"
    jar = jar_of("a=1; Secure", "__Host-b=2; Secure; Path=/", "__Secure-c=3", url=secure)
    assert jar.header(secure, NOW) == "a=1; __Host-b=2"
    assert jar.header("http://example.org/", NOW) is None
    assert not give(jar, "a=evil", "a=gone; Max-Age=0", url="http://example.org/")
    assert jar.header(secure, NOW) == "a=1; __Host-b=2"


def test_the_default_path_is_the_folder_of_the_page():
    jar = jar_of("a=1", url="http://example.org/one/two/page.html?x=/y/z")
    assert jar.header("http://example.org/one/two/", NOW) == "a=1"
    assert jar.header("http://example.org/one/two", NOW) == "a=1"
    assert jar.header("http://example.org/one/twofold", NOW) is None
    assert jar.header("http://example.org/?/one/two/", NOW) is None


def test_longer_paths_go_first_then_older_cookies():
    jar = jar_of("a=1; Path=/", "b=2; Path=/a", "c=3; Path=/", "d=4; Path=/a")
    assert jar.header(PAGE, NOW) == "b=2; d=4; a=1; c=3"
    assert give(jar, "a=9; Path=/")
    assert jar.header(PAGE, NOW) == "b=2; d=4; a=9; c=3"


def test_a_cookie_ends_when_it_says_and_no_later_than_400_days_on():
    jar = jar_of("a=1; Max-Age=10", "b=2; Max-Age=99999999999", "c=3")
    assert jar.header(PAGE, NOW + 9) == "a=1; b=2; c=3"
    assert jar.header(PAGE, NOW + 10) == "b=2; c=3"
    assert jar.header(PAGE, NOW + MAX_AGE_S) == "c=3"


def test_a_cookie_is_taken_back():
    jar = jar_of("a=1", "b=2")
    assert give(jar, "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    assert jar.header(PAGE, NOW) == "b=2"


def test_only_what_changes_the_jar_changes_it():
    jar = Jar()
    assert not jar.take([(b"Content-Type", b"text/html"), (b"Set-Bookie", b"a=1")], PAGE, NOW)
    assert not give(jar, "a=1\0")
    assert give(jar, "a=1")
    assert not give(jar, "a=1")
    assert jar.take([(b"sEt-cOOkie", b"a=2")], PAGE, NOW)


def test_a_host_has_room_for_so_many_cookies_and_the_oldest_goes():
    jar = jar_of(*(f"n{number}=x" for number in range(MAX_COOKIES)))
    give(jar, "other=y", url="http://other.example/")
    give(jar, "last=z")
    names = jar.header(PAGE, NOW).split("; ")
    assert (len(names), names[0], names[-1]) == (MAX_COOKIES, "n1=x", "last=z")
    assert jar.header("http://other.example/", NOW) == "other=y"


def test_a_jar_is_written_and_read_back():
    jar = jar_of("a=1; Max-Age=60", b"b=\xe9\xff; Path=/a", "c")
    data = jar.dump()
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    again = Jar.load(data)
    assert again.dump() == data
    assert again.header(PAGE, NOW) == jar.header(PAGE, NOW)


EMPTY = Jar().dump()
BAD = [None, b"", b"{", b"[]", b"[" * 100_000, b'{"cookies":[1]}', b'{"cookies":[{"host":"a"}]}']
BAD += [b'{"cookies":[{"host":"a","name":"n","value":"a\\r\\nb"}]}', b"\xff", b"null"]
BAD += [b'{"cookies":[{"host":"a","name":"n","value":7}]}', b'{"cookies":{"a":1}}']
BAD += [b'{"cookies":[{"host":"a","name":"n","value":"v","expires":"soon"}]}']


@pytest.mark.parametrize("data", BAD)
def test_a_jar_that_nobody_can_read_is_empty(data):
    assert Jar.load(data).dump() == EMPTY


def test_a_cookie_does_not_show_its_value():
    assert "hush" not in repr(Cookie(host="h", name="n", value="hush"))


lines = st.lists(st.binary(max_size=60) | st.text("a=;1 ,PathMax-Age=/\t\r\n\0é", max_size=60))


@settings(max_examples=150, deadline=None)
@given(lines)
def test_no_line_breaks_a_request_or_the_jar(soup):
    raw = [line.encode("utf-8") if isinstance(line, str) else line for line in soup]
    jar = jar_of(*raw)
    header = jar.header(PAGE, NOW)
    assert header is None or re.fullmatch(r"[\t\x20-\x7e\x80-\xff]+", header)
    assert Jar.load(jar.dump()).header(PAGE, NOW) == header
