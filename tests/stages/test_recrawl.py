"""A collection crawled again: what is unchanged is kept by reference, and changes are counted."""

from __future__ import annotations

import shutil
from typing import Any


def revisits(archive: Any) -> list[dict[str, str]]:
    return [fields for fields, _ in archive.records() if fields["WARC-Type"] == "revisit"]


def counted(told: dict[str, Any]) -> dict[str, int]:
    return {name: told[name] for name in ("new", "changed", "unchanged", "vanished")}


def test_an_unchanged_page_is_asked_for_with_conditions_and_its_links_are_still_followed(
    archive: Any, site: Any
) -> None:
    site.add(
        "/",
        '<a href="/p">x</a>',
        headers={"ETag": '"1"', "Last-Modified": "Mon, 01 Jan 2001 00:00:00 GMT"},
    )
    site.add("/p", "<p>old")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    site.add("/p", "<p>new")
    site.headers.clear()
    told = archive.json("crawl")
    first = dict(site.headers)["/"]
    assert first["if-none-match"] == '"1"'
    assert first["if-modified-since"] == "Mon, 01 Jan 2001 00:00:00 GMT"
    assert "/p" in dict(site.headers)
    assert told["changed"] == 1 and told["new"] == 0
    fields = next(f for f in revisits(archive) if f["WARC-Profile"].endswith("server-not-modified"))
    originals = {
        f["WARC-Record-ID"]: f for f, _ in archive.records() if f["WARC-Type"] == "response"
    }
    original = originals[fields["WARC-Refers-To"]]
    assert fields["WARC-Refers-To-Target-URI"] == original["WARC-Target-URI"] == f"{site.address}/"
    assert fields["WARC-Refers-To-Date"] == original["WARC-Date"]
    archive.assert_sound()


def test_a_third_crawl_refers_to_the_first_not_to_a_revisit(archive: Any, site: Any) -> None:
    site.add("/", "<p>same", headers={"ETag": '"1"'})
    site.add("/robots.txt", "User-agent: *\n", media_type="text/plain")
    archive.collection("c", f"{site.address}/\n")
    for _ in range(3):
        archive.json("crawl")
    responses = {f["WARC-Record-ID"] for f, _ in archive.records() if f["WARC-Type"] == "response"}
    referred = {fields["WARC-Refers-To"] for fields in revisits(archive)}
    assert len(revisits(archive)) >= 4 and referred <= responses


def test_the_same_payload_under_another_url_is_stored_once(archive: Any, site: Any) -> None:
    body = "<p>the same words" * 100
    site.add("/", '<a href="/a">a</a><a href="/b">b</a>')
    site.add("/a", body)
    site.add("/b", body)
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl")
    assert told["revisits"] >= 1
    fields = next(f for f in revisits(archive) if f["WARC-Target-URI"].endswith("/b"))
    assert fields["WARC-Refers-To-Target-URI"] == f"{site.address}/a"
    assert fields["WARC-Truncated"] == "length"
    archive.assert_sound()


def test_new_changed_unchanged_and_vanished_are_counted(archive: Any, site: Any) -> None:
    site.add("/robots.txt", "User-agent: *\n", media_type="text/plain")
    site.add("/sitemap.xml", "<urlset></urlset>", media_type="application/xml")
    site.add("/", "".join(f'<a href="/{n}">x</a>' for n in ("same", "edited", "gone")))
    for name in ("same", "edited", "gone"):
        site.add(f"/{name}", f"<p>{name}")
    archive.collection("c", f"{site.address}/\n")
    first = archive.json("crawl")
    assert counted(first) == {"new": 6, "changed": 0, "unchanged": 0, "vanished": 0}
    site.add("/edited", "<p>other words" + '<a href="/fresh">x</a>')
    site.add("/fresh", "<p>fresh")
    del site.pages["/gone"]
    second = archive.json("crawl")
    assert counted(second) == {"new": 1, "changed": 1, "unchanged": 4, "vanished": 1}


def test_the_catalogue_is_rebuilt_from_the_archive(archive: Any, site: Any) -> None:
    site.add("/", '<a href="/p">x</a>', headers={"ETag": '"1"'})
    site.add("/p", "<p>same")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    shutil.rmtree(archive.root / ".holdfast")
    told = archive.json("crawl")
    assert told["captures"] == 0 and told["revisits"] == told["unchanged"] >= 3
    archive.assert_sound()


def test_a_page_whose_first_capture_is_lost_is_fetched_whole(archive: Any, site: Any) -> None:
    site.add("/", '<a href="/p">x</a>', headers={"ETag": '"1"'})
    site.add("/p", "<p>page")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    # the records are damaged, the sealed names stay: no condition may lead to a page without links
    for path in archive.root.glob("warc/c/*-w0.warc.gz"):
        data = bytearray(path.read_bytes())
        data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
        path.write_bytes(data)
    site.log.clear()
    archive.json("crawl")
    assert site.asked("/p") and len(site.asked("/")) == 2
    # it was stored anew, whole, and the next crawl relies on that
    site.log.clear()
    archive.json("crawl")
    assert site.asked("/p") and len(site.asked("/")) == 1


def test_revisits_can_be_switched_off(archive: Any, site: Any) -> None:
    site.add("/", "<p>same", headers={"ETag": '"1"'})
    archive.collection("c", f'seeds = ["{site.address}/"]\n[crawl]\nrevisits = false\n')
    archive.json("crawl")
    told = archive.json("crawl")
    assert told["revisits"] == 0 and not revisits(archive)
