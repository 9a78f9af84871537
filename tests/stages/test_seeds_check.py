"""The verb `seeds check`: what would be crawled, and why a URL is in or out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model.layout import Layout
from pipeline.stages.seeds import SeedsReport, check

ANN = """\
title = "Ann's page"
seeds = ["https://example.org/~ann/index.html"]
[crawl]
delay_s = 5
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.seeds.mkdir()
    layout.config.write_text("[crawl]\ndelay_s = 2\n")
    (layout.seeds / "ann.toml").write_text(ANN)
    (layout.seeds / "list.txt").write_text("http://example.net:8080/x\n")
    return layout


def report(layout: Layout, *names: str, url: str | None = None) -> SeedsReport:
    return check(layout, config.load(layout.root, {}), names, url)


def test_it_says_what_would_be_crawled(layout: Layout) -> None:
    (layout.seeds / "notes.md").touch()
    assert report(layout).as_text() == (
        "ann: Ann's page\n"
        "  file   seeds/ann.toml\n"
        "  seeds  https://example.org/~ann/index.html\n"
        "  scope  prefix: what lies in the folder of a seed, or below it\n"
        "  in     https://example.org/~ann/\n"
        "  delay  5 s between two requests to one host\n"
        "\n"
        "list\n"
        "  file   seeds/list.txt\n"
        "  seeds  http://example.net:8080/x\n"
        "  scope  host: everything on the hosts of the seeds\n"
        "  in     http://example.net:8080/\n"
        "  delay  2 s between two requests to one host\n"
        "\n"
        "Sound. robots.txt is asked and obeyed when the crawl runs.\n"
        "\n"
        "Not read, because no seed file: notes.md"
    )
    assert report(layout).exit_code == 0


def test_it_explains_one_url(layout: Layout) -> None:
    assert report(layout, url=" HTTP://Example.org/~ann/a/../b#c ").as_text() == (
        "http://example.org/~ann/b\n"
        "  in   ann: scope: prefix https://example.org/~ann/\n"
        "  out  list: scope: no seed has this host"
    )
    assert report(layout, "list", url="http://example.net:8080/").as_text() == (
        "http://example.net:8080/\n  in   list: scope: host http://example.net:8080/"
    )


def test_it_can_be_read_by_programs(layout: Layout) -> None:
    told = json.loads(json.dumps(report(layout, "ann", url="http://example.org/").as_json()))
    assert told == {
        "url": "http://example.org/",
        "ignored": [],
        "collections": [
            {
                "collection": "ann",
                "path": "seeds/ann.toml",
                "title": "Ann's page",
                "seeds": ["https://example.org/~ann/index.html"],
                "scope": "prefix",
                "rules": ["scope: prefix https://example.org/~ann/"],
                "delay_s": 5.0,
                "accepted": False,
                "rule": "scope: on a seed's host, but in no seed's folder",
            }
        ],
    }


def test_long_lists_are_shown_in_part(layout: Layout) -> None:
    urls = "".join(f"http://h{number}.example/\n" for number in range(30))
    (layout.seeds / "long.txt").write_text(urls)
    text = report(layout, "long").as_text()
    assert text.count("... and 20 more") == 2
    assert len(report(layout, "long").as_json()["collections"][0]["seeds"]) == 30


def test_mistakes_in_all_files_are_told_at_once(layout: Layout) -> None:
    (layout.seeds / "ann.toml").write_text("seeds = []\nx = 1\n")
    (layout.seeds / "list.txt").write_text("nonsense\n")
    with pytest.raises(ConfigError) as raised:
        report(layout)
    assert [line.split(": ")[:2] for line in str(raised.value).splitlines()] == [
        ["seeds/ann.toml", "line 1"],
        ["seeds/ann.toml", "line 2"],
        ["seeds/list.txt", "line 1"],
    ]


def test_a_url_that_is_none_is_a_mistake(layout: Layout) -> None:
    with pytest.raises(ConfigError) as raised:
        report(layout, url="mailto:ann@example.org")
    assert str(raised.value) == (
        '--url: expected an http or https URL, got "mailto:ann@example.org": its scheme is not http'
        " or https"
    )


def test_an_archive_without_collections_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    text = report(Layout(tmp_path)).as_text()
    assert text == "No collections: there is no .toml or .txt file in seeds/."
