"""The page of a crawl report: one file that stands alone, whatever the web has put into it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stages.crawl_chart import TimeAxis, span
from pipeline.stages.crawl_page import page
from pipeline.stages.crawl_report import thinned

EVIL = "</title><script src=//x>\x1b\u202e&\"'"
VOID = {"meta", "link", "br", "img", "input"}


def report(minutes: int = 90, names: int = 3, mark: str = "") -> dict[str, Any]:
    points, step = thinned([(29_800_000 + n, n % 7 + 1, 1000 * n) for n in range(minutes)])
    host = {"origin": f"http://h{mark}:80", "asked": 9, "failed": 2, "average_ms": 40, "bytes": 5}
    counts = {f"{mark}{n}": n + 1 for n in range(names)}
    made = {
        "collection": f"c{mark}",
        "run_id": "c-20270115080000",
        "started_at": "2027-01-15T08:00:00Z",
        "finished_at": "2027-01-15T09:30:00Z",
        "active_s": 5400,
        "ended_by": f"max_bytes{mark}",
        "captures": 12,
        "revisits": 3,
        "refused": 1,
        "failed": 2,
        "bytes": 123456,
        "hosts": 2,
        "hosts_set_aside": 40,
        "new": 5,
        "changed": 1,
        "vanished": 1,
        "declined": 6,
        "declined_by": counts,
        "failures": counts,
        "refusals": counts,
        "status": {"200": 10, "404": 2},
        "types": {f"text/{mark}{n}": {"captures": 1, "bytes": 2} for n in range(names)},
        "slowest_hosts": [host] * 20,
        "failing_hosts": [host] * 20,
        "set_aside_hosts": [host] * 20,
        "minutes": points,
        "minutes_step": step,
        "warcs": [f"warc/c/c-20270115080000-{n:05d}-w0.warc.gz" for n in range(names)],
    }
    told: dict[str, Any] = json.loads(json.dumps(made))
    return told


class Reader(HTMLParser):
    """Reads a page as a browser does, and fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_the_web_sent_is_only_text() -> None:
    text = page(report(mark=EVIL))
    read = Reader(text)
    assert "script" not in {tag for tag, _ in read.tags}
    assert "</title><script src=//x>" in read.text
    assert not {"\x1b", "\u202e"} & set(text)


def test_the_page_needs_nothing_from_outside() -> None:
    read = Reader(page(report()))
    assert not [a for _, a in read.tags if {"src", "href", "srcset", "xlink:href"} & a.keys()]
    (policy,) = [a for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "url(" not in read.text and "@import" not in read.text


@pytest.mark.parametrize("minutes", [0, 1, 2, 3, 30, 5000])
def test_the_page_is_small_however_big_the_run(minutes: int) -> None:
    text = page(report(minutes, names=200, mark="m" * 300))
    assert len(text.encode()) < 60_000
    assert text == page(report(minutes, names=200, mark="m" * 300))


def test_charts_say_what_they_show() -> None:
    text = page(report())
    charts = [
        ElementTree.fromstring(text[start : text.index("</svg>", start) + 6])
        for start in range(len(text))
        if text.startswith('<svg class="time"', start)
    ]
    assert len(charts) == 2
    for chart in charts:
        title, description = chart[0], chart[1]
        assert (title.tag, description.tag) == ("title", "desc") and description.text
        assert chart.attrib["aria-labelledby"].split() == [
            title.attrib["id"],
            description.attrib["id"],
        ]
    assert "<summary>The numbers as a table</summary>" in text


def test_an_earlier_or_empty_report_gives_a_page() -> None:
    Reader(page({"run_id": "c-1", "collection": "c", "captures": 0}))


def test_a_long_pause_is_a_break_in_the_axis() -> None:
    axis = TimeAxis.of([*range(100, 130), *range(9000, 9030)], 1)
    ((place, room, minutes),) = axis.pauses
    assert (place, minutes, axis.width) == (30, 8870, 60 + room)


def test_a_quiet_while_is_no_pause() -> None:
    assert TimeAxis.of([100, 110, 125], 1).pauses == []


times = st.lists(st.integers(29_000_000, 29_900_000), min_size=1, max_size=60, unique=True)


@settings(max_examples=40, deadline=None)
@given(times, st.sampled_from([1, 5, 60, 1440, 5760]))
def test_everything_stands_on_the_chart(minutes: list[int], step: int) -> None:
    axis = TimeAxis.of(sorted({m // step * step for m in minutes}), step)
    edges = [axis.x(place) for place in (*axis.places, axis.width)]
    assert edges == sorted(set(edges))
    ticks = [x for x, _ in axis.ticks()]
    assert all(axis.x(0) <= x <= axis.x(axis.width) for x in ticks)
    assert all(b - a >= 60 for a, b in pairwise(ticks))


def test_spans_in_words() -> None:
    assert [span(s) for s in (0, 59, 60, 3661, 90_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "1 d 1 h",
    ]
