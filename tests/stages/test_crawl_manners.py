"""How a crawl behaves towards hosts: pauses, back-off, retries, hosts set aside, who is asking."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any


def gaps(site: Any) -> list[float]:
    times = [moment for moment, _ in site.log]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def test_crawl_delay_is_obeyed_up_to_the_cap(archive: Any, site: Any) -> None:
    site.link_chain(2)
    site.add("/robots.txt", "User-agent: *\nCrawl-delay: 0.4\n", media_type="text/plain")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    # the pause between robots.txt and the next request is ours, for the rule came with the first
    assert all(gap >= 0.4 for gap in gaps(site)[1:])


def test_an_absurd_crawl_delay_is_capped(archive: Any, site: Any) -> None:
    archive.settings("crawl", max_delay_s=0.3)
    site.add("/robots.txt", "User-agent: *\nCrawl-delay: 86400\n", media_type="text/plain")
    site.link_chain(2)
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")
    assert all(gap >= 0.3 for gap in gaps(site)[1:])


def test_a_slow_host_gets_longer_pauses(archive: Any, site: Any) -> None:
    archive.settings("crawl", delay_factor=3)
    site.link_chain(2, delay_s=0.2)
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl", "--delay", "0.05")
    # p0 and p1 are slow: each is followed by three times as long a pause
    moments = {path: moment for moment, path in site.log}
    later = sorted(moment for moment in moments.values() if moment > moments["/p0.html"])
    assert later[0] - moments["/p0.html"] >= 0.8


def test_retry_after_is_obeyed_and_every_answer_is_archived(archive: Any, site: Any) -> None:
    site.add("/", "<p>here at last")
    later = site.pages["/"]
    site.add("/", "busy", status=503, headers={"Retry-After": "1"}, then=later)
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl")
    assert told["failed"] == 0
    first, second = (moment for moment, path in site.log if path == "/")
    assert second - first >= 1
    statuses = [each["status"] for each in archive.captures() if each["url"] == f"{site.address}/"]
    assert sorted(statuses) == ["200", "503"]
    archive.assert_sound()


def test_a_date_in_retry_after_is_understood(archive: Any, site: Any) -> None:
    site.add("/", "<p>ok")
    at = int(time.time()) + 4
    date = formatdate(at, usegmt=True)
    site.add("/", "slow down", status=429, headers={"Retry-After": date}, then=site.pages["/"])
    archive.collection("c", f"{site.address}/\n")
    assert archive.json("crawl")["failed"] == 0
    first, second = (moment for moment, path in site.log if path == "/")
    assert first < at <= second


def test_a_page_that_only_gives_errors_is_tried_again_and_explained(
    archive: Any, site: Any
) -> None:
    site.add("/", '<a href="/broken">x</a><a href="/fine">y</a>')
    site.add("/broken", "oops", status=500)
    site.add("/fine", "<p>fine")
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl", exit_code=3)
    assert told["runs"][0]["failures"] == {"server-error": 1}
    assert len(site.asked("/broken")) == 2
    assert [each["status"] for each in archive.captures()].count("500") == 2
    accounts = [block for f, block in archive.records() if f["WARC-Type"] == "metadata"]
    assert any(b"outcome: failed\r\nreason: server-error\r\n" in block for block in accounts)


def test_a_host_that_only_fails_is_set_aside_and_does_not_stall_the_rest(
    archive: Any, site: Any
) -> None:
    archive.settings("crawl", host_failures=3)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    site.link_chain(10)
    seeds = [f"{site.address}/", *(f"{dead}/{number}" for number in range(20))]
    site.add("/robots.txt", "", media_type="text/plain")
    archive.collection("c", "\n".join(seeds) + "\n")
    told = archive.json("crawl", exit_code=3)
    assert told["waiting"] == 0
    assert (
        told["discovered"] == told["captures"] + told["revisits"] + told["failed"] + told["refused"]
    )
    lines = {line["url"]: line for line in archive.log()}
    assert {lines[f"{dead}/{number}"]["outcome"] for number in range(20)} <= {"failed", "refused"}
    archive.assert_sound()


def test_a_host_whose_pages_all_fail_is_asked_no_more_in_this_run(archive: Any, site: Any) -> None:
    config = archive.root / "config.toml"
    text = config.read_text().replace("retries = 1", "retries = 0\nhost_failures = 4")
    config.write_text(text)
    links = "".join(f'<a href="/{number}">x</a>' for number in range(40))
    site.add("/", links)
    for number in range(40):
        site.add(f"/{number}", "overloaded", status=503)
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl", exit_code=3)
    failures = told["runs"][0]["failures"]
    assert failures["host-failing"] >= 30 and told["runs"][0]["hosts_set_aside"] == 1
    assert told["waiting"] == 0 and len(site.log) < 12
    # a later run asks again
    for number in range(40):
        site.add(f"/{number}", f"<p>{number}")
    assert archive.json("crawl")["failed"] == 0


def test_several_requests_in_flight_are_a_choice_of_the_seed_file(archive: Any, site: Any) -> None:
    site.link_chain(40, delay_s=0.05)
    archive.collection("c", f'seeds = ["{site.address}/"]\n[crawl]\nin_flight = 3\n')
    archive.json("crawl")
    assert 1 < site.most_in_flight <= 3


def test_strangers_are_not_asked_without_a_contact(archive: Any) -> None:
    (archive.root / "config.toml").write_text("")
    archive.collection("c", "http://www.example.org/\n")
    done = archive.run("crawl")
    assert done.returncode == 2
    assert "contact" in done.stderr and "config.toml" in done.stderr


def test_sites_of_our_own_are_asked_without_a_contact(archive: Any, site: Any) -> None:
    (archive.root / "config.toml").write_text("[crawl]\ndelay_s = 0\n")
    site.add("/", "<p>home")
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl")


def test_cookies_go_back_to_the_host_that_set_them_and_stay_out_of_the_archive(
    archive: Any, serve: Callable[[str], Any]
) -> None:
    home, other = serve("127.0.0.2"), serve("127.0.0.3")
    home.add(
        "/", f'<a href="/b">x</a><img src="{other.address}/i.gif">', headers={"Set-Cookie": "k=v1"}
    )
    home.add("/b", "<p>b")
    other.add("/i.gif", b"GIF89a", media_type="image/gif")
    archive.collection("c", f'seeds = ["{home.address}/"]\n')
    archive.json("crawl")
    sent = {path: fields.get("cookie") for path, fields in home.headers}
    assert sent["/b"] == "k=v1"
    assert all("cookie" not in fields for _, fields in other.headers)
    requests = [(f, block) for f, block in archive.records() if f["WARC-Type"] == "request"]
    assert not any(b"k=v1" in block for _, block in requests)
    withheld = {f["WARC-Target-URI"]: f.get("Holdfast-Withheld") for f, _ in requests}
    assert withheld[f"{home.address}/b"] == "Cookie" and withheld[f"{home.address}/"] is None
    kept = b"".join(path.read_bytes() for path in (archive.root / ".holdfast").iterdir())
    assert b'"v1"' not in kept
    archive.assert_sound()


def test_a_login_is_sent_to_its_origin_alone_and_stays_out_of_the_archive(
    archive: Any, serve: Callable[[str], Any]
) -> None:
    home, other = serve("127.0.0.2"), serve("127.0.0.3")
    home.add("/", f'<img src="{other.address}/i.gif">')
    other.add("/i.gif", b"GIF89a", media_type="image/gif")
    secrets = archive.root / "members.secret"
    secrets.write_text(f'[[login]]\norigin = "{home.address}"\nuser = "u"\npassword = "hush99"\n')
    secrets.chmod(0o600)
    archive.collection("c", f'seeds = ["{home.address}/"]\n[access]\nsecrets = "members.secret"\n')
    archive.json("crawl")
    assert dict(home.headers)["/"]["authorization"].startswith("Basic ")
    assert all("authorization" not in fields for _, fields in other.headers)
    for _, block in archive.records():
        assert b"hush99" not in block and b"Basic" not in block
    archive.assert_sound()
