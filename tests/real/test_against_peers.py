"""What wget and a browser ask for on real sites, the crawl asks for too, or there is a reason.

nginx's log tells what each has asked for; all run against the same server, one after the other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import bed
import linkwalk

pytestmark = pytest.mark.real

TREES = [bed.handbook(), bed.POSTGRESQL, bed.APACHE, bed.PYTHON]
PAGES_OF_EACH = 10
LIMIT_S = 60

# What a peer may ask for that the crawl does not: expression on the path, and why.
WGET_ONLY: dict[str, str] = {}
CHROMIUM_ONLY = {
    r"/favicon\.ico": "a browser asks for it unbidden; the crawl does where a page links to it",
    r"/_static/plus\.png": "doctools.js puts the name together from that of another image",
}


@dataclass(frozen=True)
class Asked:
    """The server, and what the crawl asked it for, by address."""

    bed: bed.Bed
    folder: Path
    crawl: frozenset[tuple[str, str]]

    def more(self, since: int, reasons: dict[str, str]) -> list[str]:
        """Give what was asked for since a line of the log and neither crawled nor explained."""
        others = _requests(self.bed.hits()[since:])
        assert others, "the peer asked for nothing"
        return [
            f"{address}{path}"
            for address, path in sorted(others - self.crawl)
            if not any(re.fullmatch(known, path) for known in reasons)
        ]


def _requests(hits: Sequence[bed.Hit]) -> frozenset[tuple[str, str]]:
    return frozenset((hit.address, linkwalk.path_of(hit.path)) for hit in hits)


@pytest.fixture(scope="module")
def asked(
    need: Callable[[Sequence[bed.Tree]], None],
    run: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Asked]:
    need(TREES)
    folder = tmp_path_factory.mktemp("peers")
    root = folder / "archive"
    with bed.serve(TREES, tmp_path_factory.mktemp("nginx")) as server:
        assert run("holdfast", "init", root).returncode == 0
        for seeds in (root / "seeds").iterdir():
            seeds.unlink()
        (root / "seeds" / "all.txt").write_text("\n".join(server.urls), "utf-8")
        crawled = run("holdfast", "-C", root, "crawl", "--delay", "0")
        assert crawled.returncode == 0, crawled.stderr
        yield Asked(server, folder, _requests(server.hits()))


@pytest.mark.parametrize("number", range(len(TREES)), ids=[tree.package for tree in TREES])
def test_what_wget_finds_was_crawled(asked: Asked, number: int) -> None:
    wget = need_command("wget")
    since = len(asked.bed.hits())
    command = [wget, "--no-config", "--quiet", "--recursive", "--level=inf", "--page-requisites"]
    command += ["--delete-after", f"--directory-prefix={asked.folder}", asked.bed.urls[number]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 8), done.stderr  # 8: the server answered some with an error
    assert len(asked.bed.hits()) - since > 150
    assert asked.more(since, WGET_ONLY) == []


@pytest.mark.parametrize("number", range(len(TREES)), ids=[tree.package for tree in TREES])
def test_what_a_browser_loads_for_a_page_was_crawled(
    asked: Asked, number: int, tmp_path: Path
) -> None:
    """Scripts run: what only they ask for needs a reason in the table above."""
    chromium = need_command("chromium")
    address, tree = list(asked.bed.sites.items())[number]
    known = linkwalk.linked(tree.root, tree.start)
    pages = sorted(path for path, there in known.items() if there and path.endswith(".html"))
    since = len(asked.bed.hits())
    for path in pages[:: max(1, len(pages) // PAGES_OF_EACH)][:PAGES_OF_EACH]:
        load(chromium, f"http://{address}:{asked.bed.port}{path}", address, tmp_path)
    assert len(asked.bed.hits()) - since >= PAGES_OF_EACH
    assert asked.more(since, CHROMIUM_ONLY) == []


def load(chromium: str, url: str, address: str, profile: Path) -> None:
    """Load a page in a browser that can reach one address of loopback and nothing else."""
    switches = [
        "headless=new",
        "no-sandbox",  # root in a container; the pages are those of Debian packages
        "disable-gpu",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-default-apps",
        "disable-extensions",
        "disable-sync",
        "no-proxy-server",
        f"host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {address}",
        "window-size=1200,9000",  # images further down are loaded when they come into view
        f"user-data-dir={profile}",
        "virtual-time-budget=2000",
        f"screenshot={profile / 'page.png'}",  # it is drawn: what it needs has been asked for
    ]
    done = subprocess.run(
        [chromium, *(f"--{switch}" for switch in switches), url],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0 and (profile / "page.png").exists(), done.stderr[-2000:]
    (profile / "page.png").unlink()


def need_command(name: str) -> str:
    """Give a command's path; skip without it, or fail in CI."""
    found = shutil.which(name)
    if found is None and os.environ.get("HOLDFAST_REQUIRE_REAL"):
        pytest.fail(f"HOLDFAST_REQUIRE_REAL is set and {name} is missing")
    if found is None:
        pytest.skip(f"{name} is not on this machine: apt-get install {name}")
    return found
