"""All visible text comes out in reading order, with its lines and paragraphs."""

from __future__ import annotations

import pytest

from pipeline.extract.markup import parse, repair
from pipeline.extract.simhash import simhash
from pipeline.extract.visible import visible_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>a<p>b", "a\n\nb"),
        ("a<br>b<br><br>c<br><br><br>d", "a\nb\n\nc\n\nd"),
        ("a <b> b</b>\n\n c", "a b c"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "a\nb\n\nc"),
        ("<dl><dt>term<dd>meaning</dl>", "term\nmeaning"),
        ("<pre>\n  a\n\n\n b </pre>c", "  a\n\n\n b\n\nc"),
        ("x<pre>a<br>b<i>c</i>\td</pre>", "x\n\na\nbc\td"),
        ("<pre>a\r\nb\rc</pre>", "a\nb\nc"),
        ("<table><tr><td>a<td>b<tr><td><td>d</table>", "a\tb\n\td"),
        ("<table><tr><td>menu<br>more<td>text</table>", "menu\nmore\ntext"),
        ("<table><tr><td><table><tr><td>1<td>2</table><td>x</table>", "1\t2\n\nx"),
        ("a<script>x()</script><style>y{}</style><!-- z -->b", "ab"),
        ("<head><title>t</title></head><body>b", "b"),
        ("<select><option>one<option>two</select>", "one\ntwo"),
        ("a&nbsp;b&#147;c&#148;", "a\xa0b“c”"),
        ("<h1>Big</h1>text before any P<p>after", "Big\n\ntext before any P\n\nafter"),
        ("<font size=6>T</font>he end", "The end"),
    ],
)
def test_visible_text(markup: str, text: str) -> None:
    assert visible_text(parse(markup)) == text


@pytest.mark.parametrize(
    ("markup", "repaired", "flags"),
    [
        ("<title>a<p>b", "<title>a</title><p>b", ("title-unclosed",)),
        ("<title>a</title>", "<title>a</title>", ()),
        ("a<!-- b -->c<!-- d > e", "a<!-- b -->c<!-- d --> e", ("comment-unclosed",)),
        ("<noframes><p>x</noframes>", "<p>x", ()),
        ("<frameset><noframes>x", "<frameset>x", ("frameset",)),
        ("<?xml version='1.0'?><html>", "<html>", ()),
        ("<!DOCTYPE html [<!ENTITY a 'b'>]><p>", "<!DOCTYPE html ><p>", ()),
    ],
)
def test_repairs(markup: str, repaired: str, flags: tuple[str, ...]) -> None:
    assert repair(markup).text == repaired
    assert repair(markup).flags == flags


def test_similar_texts_differ_in_few_bits() -> None:
    words = [f"word{number % 97}" for number in range(600)]
    changed = [*words[:300], "another", *words[301:]]
    other = [f"else{number % 89}" for number in range(600)]

    def bits(a: list[str], b: list[str]) -> int:
        return (int(simhash(a) or "", 16) ^ int(simhash(b) or "", 16)).bit_count()

    assert bits(words, changed) <= 6
    assert bits(words, other) >= 16
    assert simhash([]) is None
    assert simhash(["one"]) == simhash(["ONE"])
