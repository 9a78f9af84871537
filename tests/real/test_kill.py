"""A crawl that is killed at any moment goes on at the next start, and the archive is whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import bed
import linkwalk

pytestmark = [pytest.mark.real, pytest.mark.slow]

TREES = [bed.POSTGRESQL, bed.handbook()]
KILLS = 7
"""In each of eight crawls, of which one may be over early: fifty in all are tried, and more."""
SECOND_S = 1.0
"""What a crawl may lose: its last batch (DESIGN.md section 5)."""
SLACK_S = 1.5
"""For a batch to be written and synced on a busy machine, and for orphans to notice."""


@dataclass
class Crawl:
    """One archive under construction, and what has been done to it."""

    root: Path
    bed: bed.Bed
    holdfast: Path
    kills: list[float] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the crawl in a process group of its own, so that all of it can be killed."""
        with (self.root / "said").open("ab") as said:
            return subprocess.Popen(
                [self.holdfast, "-C", self.root, "crawl", "--delay", "0.005"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    def finish(self) -> int:
        """Crawl to the end, waiting for orphans of a killed supervisor to let go of the lock."""
        give_up = time.monotonic() + 60
        while (code := self.start().wait()) == 11 and time.monotonic() < give_up:
            pass
        return code

    def wait_for_hits(self, process: subprocess.Popen[bytes], more: int) -> bool:
        """Wait until the server has answered `more` requests; tell whether the crawl still runs."""
        enough = len(self.bed.hits()) + more
        while process.poll() is None:
            if len(self.bed.hits()) >= enough:
                return True
            time.sleep(0.01)
        return False

    def said(self) -> str:
        """Give what the crawl has told so far."""
        return (self.root / "said").read_text("utf-8", "replace")


@pytest.fixture
def crawl(
    need: Callable[[Sequence[bed.Tree]], None],
    run: Callable[..., Any],
    holdfast: Path,
    tmp_path: Path,
) -> Iterator[Crawl]:
    need(TREES)
    root = tmp_path / "archive"
    (tmp_path / "nginx").mkdir()
    with bed.serve(TREES, tmp_path / "nginx") as server:
        made = run("holdfast", "init", root)
        assert made.returncode == 0, made.stderr
        for seeds in (root / "seeds").iterdir():
            seeds.unlink()
        (root / "seeds" / "books.txt").write_text("\n".join(server.urls), "utf-8")
        yield Crawl(root, server, holdfast)


def kill_all(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_supervisor(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    process.kill()


def kill_worker(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if children:
        os.kill(int(chance.choice(children)), signal.SIGKILL)


def kill_any(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    chance.choice([kill_all, kill_supervisor, kill_worker])(process, chance)


@pytest.mark.parametrize("kill", [kill_all, kill_supervisor, kill_worker, kill_any])
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_nothing_is_lost_and_little_is_fetched_twice(
    crawl: Crawl,
    run: Callable[..., Any],
    kill: Callable[[subprocess.Popen[bytes], random.Random], None],
    seed: int,
) -> None:
    chance = random.Random(seed)
    for _ in range(KILLS):
        process = crawl.start()
        if crawl.wait_for_hits(process, chance.randrange(0, 150)):
            # anywhere between two commits, and between a capture and its commit
            time.sleep(chance.uniform(0, 0.2))
            crawl.kills.append(time.time())
            kill(process, chance)
        if kill is kill_worker:
            crawl.wait_for_hits(process, 20)
            process.terminate()
            assert process.wait() in (0, 3, 130), crawl.said()
        else:
            end(process)
    assert len(crawl.kills) >= KILLS - 1, "the crawl was over before it could be killed"
    assert crawl.finish() == 0, crawl.said()
    assert_whole(crawl, run)
    assert too_often(crawl) == []


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a supervisor that was killed; one that lives, as only a worker was, is killed."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_seals_and_goes_on_without_fetching_anything_twice(
    crawl: Crawl, run: Callable[..., Any], sent: signal.Signals
) -> None:
    process = crawl.start()
    assert crawl.wait_for_hits(process, 150), crawl.said()
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does it
    else:
        process.send_signal(sent)
    assert process.wait() == 130, crawl.said()
    assert list(crawl.root.rglob("*.open")) == []
    half = len(captured(crawl.root))
    assert half >= 100
    assert_sound(crawl, run)
    assert crawl.finish() == 0, crawl.said()
    assert_whole(crawl, run)
    assert [hit for hit, count in pages_asked(crawl).items() if count > 1] == []


def captured(root: Path) -> list[str]:
    """Give the URL of every capture in the sealed files, robots.txt left out."""
    urls = [
        json.loads(line.split(" ", 2)[2])["url"]
        for index in root.glob("warc/*/*.cdxj")
        for line in index.read_text("utf-8").splitlines()
    ]
    return [url for url in urls if not url.endswith("/robots.txt")]


def pages_asked(crawl: Crawl) -> Counter[tuple[str, str]]:
    """Count the server's answers by address and path, robots.txt left out."""
    return Counter((hit.address, hit.path) for hit in crawl.bed.hits() if hit.path != "/robots.txt")


def assert_whole(crawl: Crawl, run: Callable[..., Any]) -> None:
    """Every linked URL is captured exactly once, and every file is sound."""
    urls = captured(crawl.root)
    assert [url for url, count in Counter(urls).items() if count > 1] == []
    stored = {(url.split("/", 3)[2], linkwalk.path_of(url)) for url in urls}
    for address, tree in crawl.bed.sites.items():
        host = f"{address}:{crawl.bed.port}"
        missed = [
            path for path in linkwalk.linked(tree.root, tree.start) if (host, path) not in stored
        ]
        assert missed == []
    assert_sound(crawl, run)


def assert_sound(crawl: Crawl, run: Callable[..., Any]) -> None:
    """Three independent tools find nothing wrong with what is sealed."""
    warcs = sorted(crawl.root.glob("warc/*/*.warc.gz"))
    assert warcs
    for check in (
        run("gzip", "-t", *warcs),
        run("warcio", "check", *warcs),
        run("sha256sum", "-c", "--quiet", "fixity/manifest-sha256.txt", cwd=crawl.root),
        run("holdfast", "-C", crawl.root, "verify", "--level", "records"),
    ):
        assert check.returncode == 0, (check.args, check.stdout[-2000:], check.stderr[-2000:])


def too_often(crawl: Crawl) -> list[tuple[str, float]]:
    """Give what was fetched again although its first fetch was not shortly before a kill."""
    first: dict[tuple[str, str], float] = {}
    found = []
    for hit in crawl.bed.hits():
        if hit.path == "/robots.txt":
            continue
        before = first.get((hit.address, hit.path))
        first[hit.address, hit.path] = hit.at
        if before is not None and not any(
            -SLACK_S - SECOND_S <= before - kill <= SLACK_S for kill in crawl.kills
        ):
            found.append((hit.path, before))
    return found
