"""The front door: which captures become documents, and that no page breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.extract.environment import environment
from pipeline.extract.extractor import Skipped, extract, unread
from pipeline.extract.links import MAX_LINK_CHARS
from pipeline.extract.markup import repair
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.model import canonical
from pipeline.model.document import Anomaly

Read = Callable[..., Any]
MakeSource = Callable[..., Source]
_TAGS = """<html> <head> <title> <body> <p> <div> <pre> <table> <tr> <td> <a> <b> <ul> <li> <br>
    <h1> </p> </div> </td> </table> </body> </title> </pre> <!-- --> <frameset> <noframes> <script>
    </script> <![CDATA[ <?xml?> &#xD800; &#0; &amp; > text"""
_PIECES = st.sampled_from(
    [
        *_TAGS.split(),
        *('<a href="', "<meta charset=", "<!doctype [", "\0", "\r", "\n", " ", "<base href='//['>"),
        *('<script type="application/ld+json">', '{"@type":"Article","author":"\\ud800"}'),
        "<meta name=date content='31/12/1999'>",
    ]
)


@pytest.mark.parametrize(
    ("payload", "content_type", "outcome"),
    [
        (b"<html><p>x", "text/html", "text/html"),
        (b"<html><p>x", None, "text/html"),
        (b"<!DOCTYPE html><p>x", "text/plain", "text/html"),
        (b"<p>x <b>y", "text/plain", "text/plain"),
        (b"no tags at all", "text/html", "text/plain"),
        (b"no tags at all", None, "text/plain"),
        (
            b"<?xml version='1.0'?><html xmlns='x'><p>x</html>",
            "application/xhtml+xml",
            "application/xhtml+xml",
        ),
        (b"<?xml version='1.0'?><rss><item/></rss>", "text/html", "media-type application/xml"),
        (b"<?xml version='1.0'?><rss><item/></rss>", "text/xml", "media-type application/xml"),
        (b"%PDF-1.4", "text/html", "media-type application/pdf"),
        (b"GIF89a\1\0", "text/html", "media-type image/gif"),
        (b"PK\3\4....", None, "media-type application/zip"),
        (b"\1\2\3\4" * 50, "text/html", "media-type application/octet-stream"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "media-type image/webp"),
        (b"body { color: red }", "text/css", "media-type text/css"),
        (b'{"a": 1}', "application/json", "media-type application/json"),
        (b'{"a": 1}', None, "media-type application/json"),
        (b"", "text/html", "text/html"),
    ],
)
def test_bytes_and_server_together_decide_what_a_capture_is(
    read: Read, payload: bytes, content_type: str | None, outcome: str
) -> None:
    made = read(payload, content_type)

    assert outcome == (made if isinstance(made, str) else made["media_type"]["sniffed"])


@given(st.lists(_PIECES, max_size=40))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_soup_of_tags_breaks_extraction(read: Read, pieces: list[str]) -> None:
    made = read("<html>" + "".join(pieces))

    assert isinstance(made["text_full"], str)


@given(st.binary(max_size=300))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_break_extraction(read: Read, payload: bytes) -> None:
    made = read(b"<html>" + payload)

    assert isinstance(made, str) or made["schema"] == "holdfast/document/1"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"<div>" * 20_000 + b"deep", "deep"),
        (b"<font>" * 20_000 + b"deep", "deep"),
        (b"<table><tr><td>" * 4_000 + b"deep", "deep"),
        (b"".join(b"<a href=x%d><b>y" % number for number in range(5_000)), "y" * 5_000),
        (b"<p>" * 20_000 + b"<h1>" * 20_000 + b"deep", "deep"),
        (b"start" + b"<!--" * 20_000, "start"),
        (b"start" + b"<!doctype [" * 20_000, "start"),
        (b"start" + b"<p " + b"a " * 50_000, "start"),
        (b"start<script type=application/ld+json>" + b"[" * 50_000 + b"</script>", "start"),
    ],
    ids=lambda value: value[:12].decode() if isinstance(value, bytes) else "",
)
def test_bombs_are_read_to_their_text(read: Read, page: bytes, text: str) -> None:
    """Whoever makes a step quadratic again will wait for this test for minutes."""
    assert read(b"<html><body>" + page)["text_full"] == text


def test_a_payload_above_the_limit_is_cut_and_says_so(read: Read) -> None:
    made = read("<p>" + "word " * 1_000, policy=ExtractPolicy(max_document_bytes=1_000))

    assert [anomaly["code"] for anomaly in made["anomalies"]] == ["content-too-large"]
    assert len(made["text"]) < 1_000


def test_markup_above_the_limit_is_not_searched_for_main_text(read: Read) -> None:
    page = "<div>" + "<p>Fog until four, then a clear sky.</p>" * 50

    made = read(page, policy=ExtractPolicy(max_main_text_chars=1_000))

    assert made["text_method"] == "full"
    assert [anomaly["code"] for anomaly in made["anomalies"]] == ["main-text-not-sought"]


def test_links_beyond_the_limit_are_counted(read: Read) -> None:
    made = read("<a href=a>a<a href=b>b<a href=c>c", policy=ExtractPolicy(max_links=2))

    assert [link["text"] for link in made["links"]] == ["a", "b"]
    assert made["anomalies"] == [{"code": "too-many-links", "detail": "1 references left out"}]


@pytest.mark.parametrize("element", ["<a href=%d>", "<img src=x alt='%d'>", "<frame src=x>"])
def test_a_long_base_does_not_swell_the_links(read: Read, element: str) -> None:
    """Each short reference becomes a URL of 8 kB: what is kept is bounded in characters."""
    numbered = element if "%d" in element else element + "<!--%d-->"
    base = f"http://log.example/{'b' * 8_000}/"
    page = f"<base href='{base}'>" + "".join(numbered % number for number in range(3_000))

    made = read(page, policy=ExtractPolicy(max_links=1_000_000))

    kept = [*made["links"], *made["frames"]]
    assert 0 < sum(len(text) for each in kept for text in each.values() if text) <= MAX_LINK_CHARS
    if element == "<frame src=x>":
        assert (len(made["links"]), len(made["frames"]), made["anomalies"]) == (1, 1, [])
    else:
        assert made["anomalies"] == [
            {"code": "too-many-links", "detail": f"{3_000 - len(kept)} references left out"}
        ]


def test_problems_found_on_the_way_come_first(read: Read) -> None:
    made = read("<p>Fog.", problems=(Anomaly(code="truncated", detail="length"),))

    assert made["anomalies"] == [{"code": "truncated", "detail": "length"}]


def test_a_capture_nobody_could_read_is_still_a_document(make_source: MakeSource) -> None:
    anomaly = Anomaly(code="worker-died", detail="x")

    document = unread(make_source(b"<p>Fog."), ExtractPolicy(), anomaly)

    assert (document.text, document.text_method) == ("", "none")
    assert document.anomalies == (anomaly,)


def test_lone_surrogates_never_reach_the_stored_line(make_source: MakeSource) -> None:
    page = (
        b'<script type="application/ld+json">{"@type":"Article","author":"A\\ud800B"}</script><p>x'
    )
    made = extract(make_source(page), ExtractPolicy())
    assert not isinstance(made, Skipped)

    assert json.loads(canonical.line(made.as_json()))["authors"][0]["value"] == "A\ufffdB"


@pytest.mark.parametrize(
    "text",
    [
        "a <tıtle>b",
        "a <frameſet>b",
        "a <noframeſ>b</noframeſ>",
        "<title>a</title> <titleé>b",
        "<!doctYPE\u212a [x] b",
    ],
)
def test_letters_that_only_look_like_a_tag_are_left_alone(text: str) -> None:
    """Without re.ASCII, IGNORECASE takes ſ for s, ı for i and the Kelvin sign for k."""
    made = repair(text)

    assert (made.text, made.flags) == (text, ())


def test_what_is_no_tag_in_ascii_makes_no_html(read: Read) -> None:
    assert read("1 <ſ 2")["media_type"]["sniffed"] == "text/plain"


def test_every_library_that_shapes_documents_is_named() -> None:
    """idna decides how the host of a link is spelled."""
    assert {"idna", "lxml", "trafilatura", "beautifulsoup4"} <= set(environment())


def test_the_digest_of_settings_covers_what_changes_documents_only() -> None:
    assert ExtractPolicy().digest() == ExtractPolicy(workers=3).digest()
    assert ExtractPolicy().digest() != ExtractPolicy(max_links=3).digest()


def test_readers_comments_are_no_main_text(read: Read) -> None:
    article = "".join(
        f"<p>{n}. {'Fog until four, then a clear sky over the bay. ' * 5}</p>" for n in range(5)
    )
    page = (
        f"<html><body><article><h1>Log</h1>{article}</article>"
        "<div id=comments class=comments><h2>Comments</h2><div class=comment><p>"
        f"{'First! I like fog very much indeed, said a reader. ' * 4}</p></div></div></body></html>"
    )

    made = read(page)

    assert made["text_method"] == "trafilatura"
    assert "First!" not in made["text"]
    assert "First!" in made["text_full"]
