"""Sites that send each visitor to an address with a number of their own."""

from __future__ import annotations

from typing import Any

import pytest


def sid(number: int) -> str:
    return f"PHPSESSID={number:032x}"


def test_a_page_that_sends_us_on_to_its_own_name_with_a_session_is_captured(
    archive: Any, site: Any
) -> None:
    site.add("/", "", status=302, headers={"Location": f"/?{sid(1)}"})
    site.add(f"/?{sid(1)}", f'<a href="/a?{sid(1)}">x</a>')
    site.add(f"/a?{sid(1)}", "<p>a")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    assert site.asked(f"/?{sid(1)}") and site.asked(f"/a?{sid(1)}")


@pytest.mark.parametrize(
    "onward",
    ["/in/page;jsessionid=0A1B", "/in/(S(abcdefghijklmnopqrstuvwx))/page", "/in/page?ref=1"],
)
def test_so_is_it_however_the_other_name_is_written(archive: Any, site: Any, onward: str) -> None:
    site.add("/in/page", "", status=302, headers={"Location": onward})
    site.add(onward, '<a href="/in/next">x</a>')
    site.add("/in/next", "<p>next")
    seeds = f'seeds = ["{site.address}/in/page"]\n'
    archive.collection("c", f'{seeds}[scope]\nignore_parameters = ["ref"]\n')
    archive.json("crawl")
    assert site.asked(onward) and site.asked("/in/next")


def test_a_site_that_never_stops_handing_out_sessions_comes_to_an_end(
    archive: Any, site: Any
) -> None:
    for number in range(60):
        path = f"/?{sid(number)}" if number else "/"
        site.add(path, "", status=302, headers={"Location": f"/?{sid(number + 1)}"})
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    assert len(site.log) < 30
    assert "redirects" in {line.get("reason") for line in archive.log()}


def test_a_redirect_to_no_url_is_told(archive: Any, site: Any) -> None:
    site.add("/", "", status=302, headers={"Location": "http://[bad/"})
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    told = {line["url"]: line.get("reason") for line in archive.log()}
    assert told["http://[bad/"] == "url"


def test_a_seed_that_stands_for_others_may_be_a_plain_list(archive: Any, site: Any) -> None:
    site.add("/list.txt", f"{site.address}/one\n{site.address}/two\n", media_type="text/plain")
    for path in ("/one", "/two"):
        site.add(path, f"<p>{path}")
    archive.collection("c", f'seeds_from = ["{site.address}/list.txt"]\n[scope]\ntype = "list"\n')
    archive.json("crawl")
    assert site.asked("/one") and site.asked("/two")


def test_a_site_that_wants_its_cookie_back_is_captured(archive: Any, site: Any) -> None:
    page = '<a href="/a">x</a>'
    site.add("/", page)
    home = site.pages["/"]
    site.add("/", "", status=302, headers={"Location": "/", "Set-Cookie": "seen=1"}, then=home)
    site.add("/a", "", status=302, headers={"Location": "/cookie"})
    away = site.pages["/a"]
    site.add("/a", "<p>behind the wall")
    away.then = site.pages["/a"]
    site.pages["/a"] = away
    site.add("/cookie", "", status=302, headers={"Location": "/a", "Set-Cookie": "more=2"})
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    urls = [each["url"].removeprefix(site.address) for each in archive.captures()]
    assert urls.count("/") == 2 and urls.count("/a") == 2
    sent = [fields.get("cookie") for path, fields in site.headers if path == "/a"]
    assert sent == ["seen=1", "seen=1; more=2"]


def test_a_cookie_wall_that_never_opens_comes_to_an_end(archive: Any, site: Any) -> None:
    site.add("/", "", status=302, headers={"Location": "/", "Set-Cookie": "seen=1"})
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    assert len(site.asked("/")) < 30
