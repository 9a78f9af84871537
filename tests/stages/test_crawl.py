"""The crawl verb as it is used: the command, real sockets, real files, and signals."""

from __future__ import annotations

import gzip
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def wait_until(condition: Callable[[], bool], limit_s: float = 30) -> None:
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.01)


def paths_of(archive: Any, site: Any) -> list[str]:
    return sorted(each["url"].removeprefix(site.address) for each in archive.captures())


def plain(archive: Any) -> bytes:
    return b"".join(gzip.decompress(p.read_bytes()) for p in archive.root.glob("warc/*/*.warc.gz"))


def test_every_page_linked_from_the_seed_is_captured_once(archive: Any, site: Any) -> None:
    site.link_chain(40)
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl")
    assert told["captures"] + told["revisits"] == 43  # seed, forty pages, robots.txt, sitemap.xml
    assert told["collection"] == "c" and told["failed"] == told["refused"] == 0
    assert set(Counter(site.asked()).values()) == {1}
    archive.assert_sound()


def test_frames_images_redirects_and_refreshes_are_followed_with_their_hop_letters(
    archive: Any, site: Any
) -> None:
    site.add(
        "/a/",
        '<FRAMESET><FRAME SRC=menu.html><NOFRAMES><A HREF="no frames.html">x</A></NOFRAMES>'
        "</FRAMESET>",
    )
    site.add("/a/menu.html", '<IMG SRC=../a/i.gif><A HREF="../../a/old#top">o</A>')
    site.add("/a/i.gif", b"GIF89a", media_type="image/gif")
    site.add("/a/old", "", status=301, headers={"Location": "new.html"})
    site.add("/a/new.html", '<META HTTP-EQUIV=refresh CONTENT="0; URL=last.html">')
    site.add("/a/last.html", "<p>the end")
    site.add("/a/no%20frames.html", "<p>for text browsers")
    archive.collection("c", f'seeds = ["{site.address}/a/"]\n[scope]\ntype = "prefix"\n')
    archive.json("crawl")
    told = plain(archive).decode("latin-1")
    hops = dict(
        re.findall(
            r"WARC-Target-URI: \S+?:\d+(/\S*)\r\n[^\n]*\n[^\n]*\n(?:[^\n]*\n)*?\r\n"
            r"(?:via: \S+\r\n)?hopsFromSeed: (\w*)\r\n",
            told,
        )
    )
    assert hops == {
        "/robots.txt": "P",
        "/sitemap.xml": "PM",
        "/a/": "",
        "/a/menu.html": "E",
        "/a/no%20frames.html": "L",
        "/a/i.gif": "EE",
        "/a/old": "EL",
        "/a/new.html": "ELR",
        "/a/last.html": "ELRR",
    }


def test_links_are_encoded_by_the_charset_of_their_page(archive: Any, site: Any) -> None:
    site.add("/", b'<a href="latin.html">1</a><a href="utf8.html">2</a>')
    site.add(
        "/latin.html", b'<a href="caf\xe9.html">x</a>', media_type="text/html; charset=iso-8859-1"
    )
    site.add("/utf8.html", '<meta charset=utf-8><a href="café.html">x</a>'.encode())
    site.add("/caf%E9.html", "one")
    site.add("/caf%C3%A9.html", "other")
    archive.collection("c", f"{site.address}/\n")
    assert archive.json("crawl")["runs"][0]["status"] == {"200": 5, "404": 2}


def test_what_robots_txt_forbids_is_not_asked_for_and_the_refusal_is_recorded(
    archive: Any, site: Any
) -> None:
    site.add("/robots.txt", "User-agent: *\nDisallow: /secret/\n", media_type="text/plain")
    site.add("/", '<a href="/secret/x.html">x</a><a href="/open.html">y</a>')
    site.add("/open.html", "<p>open")
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl")
    assert (told["captures"], told["refused"]) == (4, 1)
    assert told["runs"][0]["refusals"] == {"robots": 1}
    assert not site.asked("/secret/x.html")
    assert b"outcome: refused\r\nreason: robots\r\n" in plain(archive)


def test_a_host_whose_robots_txt_has_a_server_error_is_asked_nothing_else(
    archive: Any, site: Any
) -> None:
    site.add("/robots.txt", "oops", status=503)
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl", exit_code=3)
    assert (told["captures"], told["failed"]) == (0, 1)
    assert told["runs"][0]["refusals"] == {"robots-unavailable": 1}
    assert site.asked() == ["/robots.txt"] * 2  # it is asked again, as for any page
    assert {each["status"] for each in archive.captures()} == {"503"}


def test_a_robots_txt_that_moved_is_found(archive: Any, site: Any) -> None:
    site.add("/robots.txt", "", status=301, headers={"Location": "/rules.txt"})
    site.add("/rules.txt", "User-agent: *\nDisallow: /x\n", media_type="text/plain")
    site.add("/", '<a href="/x">x</a>')
    archive.collection("c", f"{site.address}/\n")
    assert archive.json("crawl")["refused"] == 1
    assert "/rules.txt" in paths_of(archive, site)


def test_a_dead_host_is_tried_again_then_explained_and_exits_3(archive: Any, site: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    site.add("/", "<p>alive")
    archive.collection("c", f"{site.address}/\nhttp://127.0.0.1:{port}/\n")
    told = archive.json("crawl", exit_code=3)
    assert told["failed"] == 1 and told["runs"][0]["failures"] == {"connect": 1}
    assert b"outcome: failed\r\nreason: connect\r\n" in plain(archive)
    archive.assert_sound()


def test_an_answer_cut_in_the_middle_is_kept_and_says_so(archive: Any, site: Any) -> None:
    site.add("/", "<p>half", headers={"Connection": "close", "X-Note": "short"})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        seed = f"http://127.0.0.1:{port}/"
        archive.collection("c", f'seeds = ["{seed}"]\n[links]\nsitemaps = false\n')
        crawl = archive.start("crawl")
        for answer in (
            b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this",
        ):
            client, _ = server.accept()
            client.recv(65536)
            client.sendall(answer)
            client.close()
        assert crawl.wait(30) == 0
        crawl.communicate()
    assert b"WARC-Truncated: disconnect\r\n" in plain(archive)
    archive.assert_sound()


def test_one_host_has_one_request_in_flight_whatever_the_workers(archive: Any, site: Any) -> None:
    site.link_chain(30, delay_s=0.005)
    archive.collection("c", f"{site.address}/\n{site.address}/p1.html\n")
    archive.json("crawl", "--workers", "4")
    assert site.most_in_flight == 1


def test_the_delay_lies_between_the_end_of_an_answer_and_the_next_request(
    archive: Any, site: Any
) -> None:
    site.link_chain(4)
    archive.collection("c", f"{site.address}/\n")
    archive.json("crawl", "--delay", "0.3")
    times = [moment for moment, _ in site.log]
    assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(times))


def test_a_finished_collection_is_crawled_anew(archive: Any, site: Any) -> None:
    site.link_chain(3)
    archive.collection("c", f"{site.address}/\n")
    first = archive.json("crawl")
    second = archive.json("crawl")
    assert first["run_id"] != second["run_id"]
    assert second["captures"] + second["revisits"] == 6 and len(archive.captures()) == 12


def test_files_rotate_when_they_are_full(archive: Any, site: Any) -> None:
    with (archive.root / "config.toml").open("a") as config:
        config.write("[warc]\nmax_file_bytes = 20000\n")
    site.add("/", "".join(f'<a href="n{i}">x</a>' for i in range(30)))
    for i in range(30):
        site.add(f"/n{i}", random.Random(i).randbytes(3000), media_type="image/gif")
    archive.collection("c", f"{site.address}/\n")
    told = archive.json("crawl", "--delay", "0.05")
    assert len(told["warcs"]) > 2 and told["captures"] == 32
    archive.assert_sound()


def test_two_collections_are_crawled_one_after_the_other(
    archive: Any, serve: Callable[[str], Any]
) -> None:
    for name, host in (("a", "127.0.0.3"), ("b", "127.0.0.4")):
        other = serve(host)
        other.link_chain(2)
        archive.collection(name, f"{other.address}/\n")
    told = archive.json("crawl")
    assert [run["collection"] for run in told["runs"]] == ["a", "b"]
    assert told["captures"] == 8 and told["collection"] is None
    archive.assert_sound()


def test_a_second_writer_is_told_that_the_archive_is_locked(archive: Any, site: Any) -> None:
    site.link_chain(200, delay_s=0.05)
    archive.collection("c", f"{site.address}/\n")
    first = archive.start("crawl")
    wait_until(lambda: len(site.log) > 3)
    assert archive.run("crawl").returncode == 11
    status = archive.json("status")
    assert status["writing"] and status["collections"][0]["unfinished_run"]["captured"] >= 0
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 130
    first.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_crawl_seals_what_it_has_and_goes_on_later(
    archive: Any, site: Any, number: signal.Signals
) -> None:
    site.link_chain(60, delay_s=0.02)
    archive.collection("c", f"{site.address}/\n")
    crawl = archive.start("crawl")
    wait_until(lambda: len(site.log) > 20)
    crawl.send_signal(number)
    assert crawl.wait(30) == 130
    crawl.communicate()
    archive.assert_sound()
    assert 0 < len(archive.captures()) < 63
    told = archive.json("crawl")
    assert told["waiting"] == 0
    assert set(Counter(site.asked()).values()) == {1}
    assert len(archive.captures()) == 63
    archive.assert_sound()


@pytest.mark.parametrize("whole_group", [True, False])
def test_a_killed_crawl_goes_on_and_loses_nothing_committed(
    archive: Any, site: Any, whole_group: bool
) -> None:
    site.link_chain(150, delay_s=0.01)
    archive.collection("c", f"{site.address}/\n")
    chance = random.Random(7)
    for _ in range(4):
        crawl = archive.start("crawl")
        before = len(site.log)
        wait_until(lambda before=before: len(site.log) > before)
        time.sleep(chance.uniform(0.05, 1.2))
        if whole_group:
            os.killpg(crawl.pid, signal.SIGKILL)
        else:
            crawl.kill()
        crawl.wait(10)
        crawl.communicate()
    assert archive.json("crawl")["waiting"] == 0
    assert Counter(paths_of(archive, site)) == Counter(
        dict.fromkeys(site.pages, 1) | {"/robots.txt": 1, "/sitemap.xml": 1}
    )
    archive.assert_sound()


def test_a_killed_worker_is_replaced_and_its_host_goes_on(archive: Any, site: Any) -> None:
    site.link_chain(100, delay_s=0.02)
    archive.collection("c", f"{site.address}/\n")
    crawl = archive.start("crawl")
    wait_until(lambda: len(site.log) > 20)
    (worker,) = children_of(crawl.pid)
    os.kill(worker, signal.SIGKILL)
    assert crawl.wait(60) == 0
    crawl.communicate()
    assert len(archive.captures()) == 103
    archive.assert_sound()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_failing_disk_is_told_plainly_and_the_next_crawl_goes_on(archive: Any, site: Any) -> None:
    site.add("/", "".join(f'<a href="n{i}">x</a>' for i in range(20)))
    for i in range(20):
        site.add(f"/n{i}", random.Random(i).randbytes(20_000), media_type="image/gif")
    archive.collection("c", f"{site.address}/\n")
    limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *archive.command("crawl")]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "nothing committed is lost" in done.stderr and "Traceback" not in done.stderr
    archive.json("crawl")
    assert Counter(paths_of(archive, site)) == Counter(
        dict.fromkeys(site.pages, 1) | {"/robots.txt": 1, "/sitemap.xml": 1}
    )
    archive.assert_sound()


def test_quiet_says_nothing_on_standard_error(archive: Any, site: Any) -> None:
    site.link_chain(2)
    archive.collection("c", f"{site.address}/\n")
    assert archive.run("-q", "crawl").stderr == ""
