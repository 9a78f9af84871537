"""The demo: its site is served as an old server would, and its story is the archive's own."""

from __future__ import annotations

import http.client
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

from pipeline.stages.demo_server import serve

HERE = Path(__file__).parent
SITE = HERE.parents[1] / "pipeline" / "demo_site"
HOLDFAST = Path(sys.executable).parent / "holdfast"


@pytest.fixture(scope="module")
def connection() -> Iterator[http.client.HTTPConnection]:
    with serve() as address:
        host = urlsplit(address).netloc
        opened = http.client.HTTPConnection(host, timeout=10)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_demo_pages", HERE / "make_demo_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, dict[str, str], bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_the_committed_pages_are_those_that_the_script_makes(maker: ModuleType) -> None:
    for name, data in maker.pages().items():
        assert (SITE / name).read_bytes() == data, name


def test_the_other_pages_are_plain_ascii(maker: ModuleType) -> None:
    made = maker.pages()
    for path in SITE.rglob("*.*"):
        if path.relative_to(SITE).as_posix() not in made:
            assert path.read_bytes().isascii(), path


@pytest.mark.parametrize(
    ("path", "media_type", "contains"),
    [
        ("/", "text/html", b"<FRAMESET"),
        ("/log/storm.html", "text/html", b"<PRE>"),
        ("/history.htm", "text/html", b"\x93If the loft goes"),
        ("/letters/keeper's%20letter.html", "text/html", b"\xd2a machine for making dust\xd3"),
        ("/notes/lamp-oil.txt", "text/plain", b"\xc2\xa31"),
        ("/lamp.gif", "image/gif", b"GIF87a"),
        ("/robots.txt", "text/plain", b"Disallow: /members/"),
        ("/members/register.html", "text/html", b"Register"),
    ],
)
def test_a_page_is_served_without_naming_a_charset(
    connection: http.client.HTTPConnection, path: str, media_type: str, contains: bytes
) -> None:
    status, headers, body = ask(connection, path)
    assert (status, headers["Content-Type"]) == (200, media_type)
    assert contains in body


@pytest.mark.parametrize(
    "path", ["/letters/caf%C3%A9%20ledger.html", "/letters/caf%E9%20ledger.html"]
)
def test_a_name_outside_ascii_is_found_in_both_spellings(
    connection: http.client.HTTPConnection, path: str
) -> None:
    assert ask(connection, path)[0] == 200


def test_what_moved_and_what_is_gone(connection: http.client.HTTPConnection) -> None:
    status, headers, _ = ask(connection, "/old-news.html")
    assert (status, headers["Location"]) == (301, "/news.html")
    assert ask(connection, "/tides/1998.html")[0] == 404


@pytest.mark.parametrize("path", ["/../demo.py", "/%2e%2e/demo.py", "/letters/", "//etc/passwd"])
def test_nothing_else_on_the_disk_can_be_reached(
    connection: http.client.HTTPConnection, path: str
) -> None:
    assert ask(connection, path)[0] == 404


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[str, object]]:
    """Run the installed command twice: for its story and for its JSON."""
    folder = tmp_path_factory.mktemp("demo")
    story = subprocess.run(
        [HOLDFAST, "demo", "told"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert story.returncode == 0, story.stdout + story.stderr
    answer = subprocess.run(
        [HOLDFAST, "--json", "demo", "answered"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder / "told", story.stdout, json.loads(answer.stdout)


@pytest.mark.parametrize(
    "told",
    [
        "Captured: 16 answers",
        "404  text/html   /tides/1998.html",
        "301  text/html   /old-news.html",
        "200  text/html   /letters/caf\u00e9 ledger.html",
        "200  text/plain  /robots.txt",
        "refused  robots  /members/register.html",
        "menu is /menu.html, main is /welcome.html",
        "/letters/keeper's letter.html  macintosh",
        "\u201cIf the loft goes, they go,\u201d",
        "\u201ca machine for making dust\u201d",
        "sha256sum -c --strict, which knows nothing of Holdfast: whole",
        "-C told verify --level records",
    ],
)
def test_the_story_tells(archived: tuple[Path, str, object], told: str) -> None:
    assert told in archived[1]


def test_no_line_of_the_story_is_wider_than_a_terminal(archived: tuple[Path, str, object]) -> None:
    wide = [line for line in archived[1].splitlines() if len(line) > 100]
    assert wide == []


def test_the_json_counts_what_the_story_tells(
    archived: tuple[Path, str, dict[str, object]],
) -> None:
    answer = archived[2]
    assert (answer["captures"], answer["refused"], answer["failed"]) == (16, 1, 0)


def test_the_archive_verifies_record_by_record(archived: tuple[Path, str, object]) -> None:
    verified = subprocess.run(
        [HOLDFAST, "-C", archived[0], "verify", "--level", "records"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("five years of work\n")
    refused = subprocess.run(
        [HOLDFAST, "demo", tmp_path], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
