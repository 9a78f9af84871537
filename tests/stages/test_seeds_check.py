"""The verb `seeds check`: what would be crawled, and why a URL is in or out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
        "  out  list: scope: no seed has this host\n"
        "       but fetched as the embed or the redirect of a page that is in"
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
                "seeds_from": [],
                "scope": "prefix",
                "rules": ["scope: prefix https://example.org/~ann/"],
                "exclude": [],
                "max_hops": None,
                "embed_hops": 2,
                "redirects": "follow",
                "links": {
                    "forms": False,
                    "scripts": False,
                    "text": False,
                    "pdf": True,
                    "feeds": True,
                    "sitemaps": True,
                },
                "limits": {"max_captures": None, "max_bytes": None, "max_time_s": None},
                "secrets": "",
                "delay_s": 5.0,
                "accepted": False,
                "rule": "scope: on a seed's host, but in no seed's folder",
                "accepted_as_embed": True,
                "accepted_as_redirect": True,
            }
        ],
    }


FULL = """\
seeds = ["https://example.org/"]
seeds_from = ["https://example.net/feed"]
[scope]
type = "domain"
include = ["*.pdf"]
exclude = ["*/print/*", "re:[?&]sort="]
max_hops = 3
embed_hops = 0
redirects = "stay"
ignore_parameters = ["ref", "from"]
traps = false
[links]
forms = true
[limits]
max_captures = 50_000
max_time_s = 3600
[access]
secrets = "secrets/full.toml"
"""


def write_full(layout: Layout) -> None:
    (layout.seeds / "full.toml").write_text(FULL)
    secrets = layout.root / "secrets" / "full.toml"
    secrets.parent.mkdir()
    secrets.touch(0o600)


def test_it_tells_what_a_collection_does_otherwise(layout: Layout) -> None:
    write_full(layout)
    assert report(layout, "full").as_text().splitlines()[:-2] == [
        "full",
        "  file   seeds/full.toml",
        "  seeds  https://example.org/",
        "  from   https://example.net/feed",
        "  scope  domain: everything on the domains of the seeds and their subdomains",
        "  in     https://example.org/",
        "         *.pdf",
        "  out    */print/*",
        "         re:[?&]sort=",
        "  also   at most 3 links from a seed",
        "         what pages embed elsewhere: 0 steps far",
        "         redirects that lead out are not followed",
        "         parameters that do not count: from, ref",
        "         no trap is avoided",
        "  links  forms: yes",
        "  limit  max_captures: 50,000",
        "         max_time_s: 3,600",
        "  login  secrets/full.toml",
        "  delay  2 s between two requests to one host",
    ]
    assert json.dumps(report(layout, "full", url="http://x.example/").as_json())


@pytest.mark.parametrize(
    ("url", "answer"),
    {
        "https://example.org/": ["  in   full: scope: seed"],
        "https://www.example.org/x": ["  in   full: scope: domain https://example.org/"],
        "https://other.example/x.pdf": ["  in   full: scope: include *.pdf"],
        "https://example.org/print/x": ["  out  full: exclude: */print/*"],
        "https://other.example/x": ["  out  full: scope: no seed has this domain"],
    }.items(),
)
def test_the_answer_names_the_rule_that_decided(
    layout: Layout, url: str, answer: list[str]
) -> None:
    write_full(layout)
    assert report(layout, "full", url=url).as_text().splitlines()[1:] == answer


def test_seeds_that_are_excluded_are_not_passed_over_in_silence(layout: Layout) -> None:
    (layout.seeds / "odd.toml").write_text(
        'seeds = ["http://a.example/", "http://b.example/"]\nscope.exclude = ["*://b.example/*"]\n'
    )
    assert "  never  1 of the seeds, being excluded" in report(layout, "odd").as_text()


def test_a_calendar_is_measured_from_today(layout: Layout) -> None:
    text = report(layout, "list", url="http://example.net:8080/2150/01/").as_text()
    assert "out  list: trap: a calendar far from today" in text
    assert "but fetched" not in text


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
    assert text == "No collections: there is no .toml, .txt, .csv or .opml file in seeds/."


def test_an_address_that_is_not_public_is_refused_in_so_many_words(archive: Any) -> None:
    archive.collection("c", 'seeds = ["https://example.org/"]\n')
    for url in ("http://169.254.169.254/latest", "http://[::1]/", "http://localhost/"):
        (told,) = archive.json("seeds", "check", "--url", url)["collections"]
        assert not told["accepted_as_embed"] and not told["accepted_as_redirect"]


def test_a_file_of_secrets_that_is_not_there_is_a_mistake(archive: Any) -> None:
    archive.collection("c", 'seeds = ["https://example.org/"]\n[access]\nsecrets = "none.toml"\n')
    done = archive.run("seeds", "check")
    assert done.returncode == 2 and "none.toml" in done.stderr
