"""How far a crawl goes, and that every URL which it met and did not take up is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def asked(site: Any) -> set[str]:
    return set(site.asked()) - {"/robots.txt", "/sitemap.xml"}


def declined(archive: Any) -> dict[str, str]:
    return {line["url"]: line["reason"] for line in archive.log() if line["outcome"] == "declined"}


@pytest.fixture
def pair(serve: Callable[[str], Any]) -> tuple[Any, Any]:
    """A site whose pages embed, link to and redirect to another host."""
    home, other = serve("127.0.0.2"), serve("127.0.0.3")
    home.add(
        "/a/",
        '<a href="/a/in.html">1</a> <a href="/b/out.html">2</a>'
        f'<a href="{other.address}/far">3</a>'
        f'<img src="{other.address}/pic.gif"><link rel=stylesheet href="{other.address}/x.css">'
        '<a href="/a/moved">4</a>',
    )
    home.add("/a/in.html", "<p>in")
    home.add("/a/moved", "", status=302, headers={"Location": f"{other.address}/new"})
    other.add("/pic.gif", b"GIF89a", media_type="image/gif")
    other.add("/x.css", "@import 'y.css';", media_type="text/css")
    other.add("/y.css", "p { background: url(deep.gif) }", media_type="text/css")
    other.add("/new", '<a href="/never">x</a>')
    return home, other


def test_what_a_page_embeds_is_fetched_from_elsewhere_and_what_it_links_to_is_not(
    archive: Any, pair: tuple[Any, Any]
) -> None:
    home, other = pair
    archive.collection("c", f'seeds = ["{home.address}/a/"]\n')
    told = archive.json("crawl")
    assert asked(home) == {"/a/", "/a/in.html", "/a/moved"}
    # the third step from the page, the image of a style sheet's style sheet, is one too many
    assert asked(other) == {"/pic.gif", "/x.css", "/y.css", "/new"}
    assert declined(archive) == {
        f"{home.address}/b/out.html": "scope",
        f"{other.address}/far": "scope",
        f"{other.address}/deep.gif": "scope",
        f"{other.address}/never": "scope",
    }
    assert told["runs"][0]["declined"] == 4
    archive.assert_sound()


def test_embeds_and_redirects_stay_at_home_if_the_seed_file_says_so(
    archive: Any, pair: tuple[Any, Any]
) -> None:
    home, other = pair
    rules = '[scope]\nembed_hops = 0\nredirects = "stay"\n'
    archive.collection("c", f'seeds = ["{home.address}/a/"]\n{rules}')
    archive.json("crawl")
    assert asked(other) == set()
    assert f"{other.address}/new" in declined(archive)


def test_a_page_is_its_seed_and_what_it_embeds_a_list_is_what_it_lists(
    archive: Any, pair: tuple[Any, Any]
) -> None:
    home, other = pair
    archive.collection("page", f'seeds = ["{home.address}/a/"]\n[scope]\ntype = "page"\n')
    archive.json("crawl")
    assert asked(home) == {"/a/"} and asked(other) == {"/pic.gif", "/x.css", "/y.css"}
    other.log.clear()
    (archive.root / "seeds" / "page.toml").unlink()
    archive.collection("list", f'seeds = ["{home.address}/a/"]\n[scope]\ntype = "list"\n')
    archive.json("crawl")
    assert asked(home) == {"/a/"} and asked(other) == set()


def test_no_page_further_than_max_hops_is_asked_for(archive: Any, site: Any) -> None:
    for number in range(6):
        site.add(f"/{number}", f'<a href="/{number + 1}">next</a><img src="/i{number}.gif">')
        site.add(f"/i{number}.gif", b"GIF89a%d" % number, media_type="image/gif")
    archive.collection("c", f'seeds = ["{site.address}/0"]\n[scope]\nmax_hops = 2\n')
    archive.json("crawl")
    assert asked(site) == {"/0", "/1", "/2", "/i0.gif", "/i1.gif", "/i2.gif"}
    assert declined(archive) == {f"{site.address}/3": "hops"}


def test_an_excluded_pattern_wins(archive: Any, site: Any) -> None:
    site.add("/", '<a href="/keep/x">1</a><a href="/calendar/y">2</a><img src="/calendar/i.gif">')
    site.add("/keep/x", "<p>x")
    rules = f'[scope]\nexclude = ["{site.address}/calendar/*"]\n'
    archive.collection("c", f'seeds = ["{site.address}/"]\n{rules}')
    archive.json("crawl")
    assert asked(site) == {"/", "/keep/x"}


def test_sitemaps_are_found_and_their_pages_crawled(archive: Any, site: Any) -> None:
    site.add("/robots.txt", f"Sitemap: {site.address}/maps.xml\n", media_type="text/plain")
    site.add(
        "/maps.xml",
        f"<sitemapindex><sitemap><loc>{site.address}/sitemap-1.xml</loc></sitemap></sitemapindex>",
        media_type="application/xml",
    )
    site.add(
        "/sitemap-1.xml",
        f"<urlset><url><loc>{site.address}/hidden.html</loc></url>"
        "<url><loc>http://127.0.0.9/elsewhere</loc></url></urlset>",
        media_type="application/xml",
    )
    site.add("/", "<p>no links")
    site.add("/hidden.html", "<p>found")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    assert "/hidden.html" in site.asked()
    assert declined(archive) == {"http://127.0.0.9/elsewhere": "scope"}
    hops = {line["url"].removeprefix(site.address): line["hops"] for line in archive.log()}
    # the N by which the scope knows a sitemap of an index stays in the frontier
    assert (hops["/maps.xml"], hops["/hidden.html"]) == ("PM", "PMMM")
    accounts = [block for f, block in archive.records() if f["WARC-Type"] == "metadata"]
    assert any(b"hopsFromSeed: PMMM" in block for block in accounts)


def test_an_index_of_sitemaps_leads_to_its_parts_also_where_only_a_folder_is_collected(
    archive: Any, site: Any
) -> None:
    def answer(path: str, kind: str, *entries: str) -> None:
        listed = "".join(f"<x><loc>{site.address}{entry}</loc></x>" for entry in entries)
        site.add(path, f"<{kind}>{listed}</{kind}>", media_type="application/xml")

    site.add("/sitemap.xml", "", status=301, headers={"Location": "/wp/index"})
    answer("/wp/index", "sitemapindex", "/wp/part?1", "/wp/part?2")
    answer("/wp/part?1", "urlset", "/paper/hidden.html", "/wp/part?3")
    answer("/wp/part?2", "urlset")
    site.add("/paper/", "<p>no links")
    site.add("/paper/hidden.html", "<p>found")
    archive.collection("c", f'seeds = ["{site.address}/paper/"]\n')
    archive.json("crawl")
    assert asked(site) == {
        *("/wp/index", "/wp/part?1", "/wp/part?2", "/paper/", "/paper/hidden.html")
    }
    assert declined(archive) == {f"{site.address}/wp/part?3": "scope"}


def test_seeds_come_from_a_sitemap_or_feed(archive: Any, site: Any) -> None:
    site.add(
        "/feed",
        "<rss><channel><item><link>/one.html</link></item></channel></rss>",
        media_type="application/rss+xml",
    )
    site.add("/one.html", '<a href="/two.html">x</a>')
    rules = '[scope]\ntype = "list"\n'
    archive.collection("c", f'seeds_from = ["{site.address}/feed"]\n{rules}')
    archive.json("crawl")
    assert asked(site) == {"/feed", "/one.html"}


EMPTY_FEED = "<rss><channel></channel></rss>"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"body": "gone", "status": 404}, "the answer is 404"),
        ({"body": '<a href="/x">x</a>'}, "what came is text/html"),
        ({"body": EMPTY_FEED, "media_type": "text/xml"}, "what came is text/xml"),
        ({"body": "", "status": 301, "headers": {"Location": "/moved"}}, "the answer is 404"),
    ],
    ids=["missing", "page", "empty", "moved"],
)
def test_a_source_that_lists_no_seed_is_told(
    archive: Any, site: Any, answer: dict[str, Any], words: str
) -> None:
    site.add("/feed", **answer)
    # a link to it lies outside of the collection, and is declined as such
    site.add("/in/", '<a href="/feed">news</a><a href="/moved">old news</a>')
    seeds = f'seeds = ["{site.address}/in/"]\nseeds_from = ["{site.address}/feed"]\n'
    archive.collection("c", seeds)
    done = archive.run("crawl")
    assert done.returncode == 3
    url = f"{site.address}/{'moved' if 'headers' in answer else 'feed'}"
    assert f"{url}: {words}" in done.stdout and "seeds_from" in done.stdout
    (line,) = (line for line in archive.log() if line.get("reason") == "source")
    assert line["url"] == url
    archive.assert_sound()


def test_a_source_that_robots_txt_forbids_is_told(archive: Any, site: Any) -> None:
    site.add("/robots.txt", "User-agent: *\nDisallow: /feed", media_type="text/plain")
    archive.collection("c", f'seeds_from = ["{site.address}/feed"]\n')
    told = archive.json("crawl", exit_code=3)
    ((url, words),) = told["runs"][0]["empty_sources"]
    assert url == f"{site.address}/feed" and "disallowed by robots.txt" in words


def test_a_source_whose_entries_are_known_already_is_not_empty(archive: Any, site: Any) -> None:
    for path in ("/a.txt", "/b.txt"):
        site.add(path, f"{site.address}/one.html\n", media_type="text/plain")
    site.add("/one.html", "<p>one")
    sources = f'"{site.address}/a.txt", "{site.address}/b.txt"'
    archive.collection("c", f"seeds_from = [{sources}]\n")
    assert archive.json("crawl")["runs"][0]["empty_sources"] == []


def test_a_list_of_seeds_may_have_moved(archive: Any, site: Any) -> None:
    site.add("/list.txt", "", status=301, headers={"Location": "/there.txt"})
    site.add("/there.txt", "", status=302, headers={"Location": "/here.txt"})
    site.add("/here.txt", f"{site.address}/one.html\n", media_type="text/plain")
    site.add("/one.html", "<p>one")
    rules = '[scope]\ntype = "list"\n'
    archive.collection("c", f'seeds_from = ["{site.address}/list.txt"]\n{rules}')
    archive.json("crawl")
    assert "/one.html" in site.asked()


def test_session_ids_do_not_make_new_pages(archive: Any, site: Any) -> None:
    def sid(number: int) -> str:
        return f"PHPSESSID={number:032x}"

    for number in range(1, 30):
        links = "".join(f'<a href="{page}?{sid(number + 1)}">x</a>' for page in ("/", "/a"))
        for page in ("/", "/a"):
            site.add(f"{page}?{sid(number)}", links)
    site.add("/", f'<a href="/?{sid(1)}">x</a><a href="/a?{sid(1)}">y</a>')
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    assert asked(site) == {"/", f"/a?{sid(1)}"}


def test_endless_copies_of_a_page_come_to_an_end(archive: Any, site: Any) -> None:
    class Endless(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            return self["/tree"] if path.startswith("/tree") else super().get(path, default)

    site.pages = Endless(site.pages)
    same = "".join(f'<a href="{name}/">x</a>' for name in ("oak", "ash", "elm"))
    site.add("/tree", same)
    rules = "[scope]\ntraps = false\n"
    archive.collection("c", f'seeds = ["{site.address}/tree/"]\n{rules}')
    told = archive.json("crawl")
    assert told["captures"] + told["revisits"] < 300
    assert "trap-content" in declined(archive).values()


def test_a_path_that_repeats_itself_is_left_with_its_rule(archive: Any, site: Any) -> None:
    path = "/a/"
    for _ in range(12):
        site.add(path, f'<a href="a/">{path}</a>')
        path += "a/"
    archive.collection("c", f"{site.address}/a/\n")
    told = archive.json("crawl")
    assert "trap-path" in declined(archive).values()
    assert len(asked(site)) < 8
    assert sum(told["runs"][0]["declined_by"].values()) == told["runs"][0]["declined"]


def test_a_declined_url_is_explained(archive: Any, pair: tuple[Any, Any]) -> None:
    home, other = pair
    archive.collection("c", f'seeds = ["{home.address}/a/"]\n')
    archive.json("crawl")
    told = archive.run("show", f"{other.address}/far")
    assert "scope" in told.stdout + told.stderr and "Traceback" not in told.stderr


def test_new_rules_hold_while_the_crawl_runs(archive: Any, site: Any) -> None:
    site.link_chain(60)
    archive.collection("c", f'seeds = ["{site.address}/"]\n[crawl]\ndelay_s = 0.1\n')
    crawl = archive.start("crawl")
    while len(site.log) < 5:
        assert crawl.poll() is None
    seeds: Path = archive.root / "seeds" / "c.toml"
    site.add("/extra", "<p>a new seed")
    seeds.write_text(
        f'seeds = ["{site.address}/", "{site.address}/extra"]\n'
        f'[scope]\nexclude = ["{site.address}/p[3-9]*", "re:/p[2-9][0-9]"]\n[crawl]\ndelay_s = 0\n'
    )
    _, said = crawl.communicate(timeout=60)
    assert crawl.returncode == 0, said
    assert "Read anew" in said
    assert "/extra" in site.asked() and "/p59.html" not in site.asked()
    refused = [line for line in archive.log() if line["outcome"] == "refused"]
    assert f"{site.address}/p59.html" in {line["url"] for line in refused}
    # each file begins with the rules that hold for it
    rules: dict[str, bytes] = {}
    for fields, block in archive.records():
        uri = fields.get("WARC-Target-URI", "")
        if uri.endswith("/c.toml"):
            rules[fields["WARC-Warcinfo-ID"]] = block
        if uri.endswith("/extra"):
            assert b"exclude" in rules[fields["WARC-Warcinfo-ID"]]
        if uri.endswith("/p0.html"):
            assert b"exclude" not in rules[fields["WARC-Warcinfo-ID"]]
    archive.assert_sound()


def test_what_was_declined_is_taken_up_when_the_rules_let_it_in(archive: Any, site: Any) -> None:
    site.link_chain(60)
    seed, wanted = f"{site.address}/", f"{site.address}/p7.html"
    archive.collection(
        "c", f'seeds = ["{seed}"]\n[scope]\nexclude = ["{wanted}"]\n[crawl]\ndelay_s = 0.1\n'
    )
    crawl = archive.start("crawl")
    while len(site.log) < 5:
        assert crawl.poll() is None
    (archive.root / "seeds" / "c.toml").write_text(f'seeds = ["{seed}"]\n[crawl]\ndelay_s = 0\n')
    _, said = crawl.communicate(timeout=60)
    assert crawl.returncode == 0, said
    assert site.asked("/p7.html")
    assert "declined" not in {line["outcome"] for line in archive.log()}


def test_rules_with_a_mistake_leave_the_crawl_as_it_is(archive: Any, site: Any) -> None:
    site.link_chain(30)
    archive.collection("c", f'seeds = ["{site.address}/"]\n[crawl]\ndelay_s = 0.1\n')
    crawl = archive.start("crawl")
    while len(site.log) < 5:
        assert crawl.poll() is None
    (archive.root / "seeds" / "c.toml").write_text("seeds = [\n")
    _, said = crawl.communicate(timeout=60)
    assert crawl.returncode == 0 and "goes on by the rules it had" in said
    assert len(set(site.asked())) == 33
