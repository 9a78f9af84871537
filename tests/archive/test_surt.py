"""Keys are those of the tools that other archives index with."""

from __future__ import annotations

import pytest
import surt as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.surt import surt

HOSTS = """
example.com www.Example.COM WWW2.foo.org www.com foo.org:80 foo.org:8080 foo.org:443 localhost
user:pw@foo.org u@foo.org:81 127.0.0.1 127.0.0.1:8080 [::1] [2001:db8::1]:8080 bücher.de
xn--bcher-kva.de foo.org. .foo..org foo_bar.org 3279880203 a.b-c.d.co.uk ex%41mple.org
""".split()  # noqa: SIM905 - a table of words
SEGMENTS = """
a B . .. ~u %7Eu %41 %25 é %C3%A9 %E9 a%20b x.html INDEX.HTM %2f %2F %3F %23 a;b=c a,b)c (x) a+b
a&b 'q' %zz % a:b @ * $ ! %2525 a=b (S(abcdefghijklmnopqrstuvwx)) default.aspx
""".split()  # noqa: SIM905 - a table of words
_ID = "0123456789abcdef0123456789abcdef"
PAIRS = (
    f"a=1|b=2|A=0|b|=||x=%41|x=%26|y=a+b|u=http://x.org/%2e?z|é=ü|c d|sid={_ID}|PHPSESSID={_ID}|%|"
    f"jsessionid={_ID}|cfid=12&cftoken=34|%23|ASPSESSIONIDAABBCCDD=ABCDEFGHIJKLMNOPQRSTUVWX"
).split("|")

urls = st.builds(
    lambda scheme, host, path, query, fragment: (
        f"{scheme}://{host}"
        + "".join("/" + segment for segment in path)
        + ("" if query is None else "?" + "&".join(query))
        + fragment
    ),
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from([*SEGMENTS, "", "a b"]), max_size=5),
    st.none() | st.lists(st.sampled_from(PAIRS), max_size=4),
    st.sampled_from(["", "#frag"]),
)


@settings(max_examples=500, deadline=None)
@given(urls)
def test_keys_equal_the_surt_package(url):
    assert surt(url) == oracle.surt(url)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://www.Example.org/A/b?c=D#e", "org,example)/a/b?c=d"),
        ("http://example.org", "org,example)/"),
        ("example.org/a", "org,example)/a"),
        ("http:/example.org/a", "org,example)/a"),
        ("urn:uuid:ABC", "urn:uuid:ABC"),
        ("dns:example.org", "dns:example.org"),
        ("mailto:a b@c", "mailto:a%20b@c"),
        (" http://example.org/ ", "org,example)/"),
        ("http://example.org:99999/", "org,example:99999)/"),
        ("http://[::1/a", "::1)/a"),
        ("http://u:p@w@example.org:81/a", "org,example:81)/a"),
        ("http://000000000001/", "1,0,0,0)/"),
        ("http://4294967296/", "4294967296)/"),
    ],
)
def test_keys_of_odd_urls(url, key):
    assert surt(url) == key


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(max_size=40).map("http://".__add__))
def test_any_text_has_a_key_that_fits_into_an_index_line(url):
    key = surt(url)
    assert key.isascii()
    assert not set(key) & set(" \n\r\t\0")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/?" + "cfid=" * 200_000,
        "http://example.org" + "/(abcdefghijklmnopqrstuvwx)" * 50_000 + "/.aspx?",
        "http://example.org/" + "%25" * 300_000 + "41",
        "http://" + "1" * 1_000_000 + "/",
        "http://" + "0" * 5_000 + "/",
        "http://" + "@" * 200_000 + ":x/",
        "http://" + "@:" * 200_000 + "/",
        "http://" + "[@" * 200_000 + "/",
        "http://" + "\u00fc" * 200_000 + "/",
        "http://" + "\u00fc." * 200_000 + "/",
        "http://example.org" + "/.." * 300_000,
    ],
)
def test_hostile_length_costs_no_more_than_its_reading(url):
    assert surt(url)
