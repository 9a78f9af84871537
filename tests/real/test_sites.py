"""Real documentation sites, archived by the installed command, checked with others' tools."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastwarc.warc import ArchiveIterator

import bed
import linkwalk

pytestmark = pytest.mark.real

# postgresql and apache each have pages that link to nothing there; python has pages of 2 MB
COLLECTIONS = {
    "books": [bed.handbook(), bed.POSTGRESQL],
    "manuals": [bed.APACHE, bed.PYTHON],
}
TREES = [tree for trees in COLLECTIONS.values() for tree in trees]


@dataclass(frozen=True)
class Archived:
    """The archive under test, the server it was made from, and what the commands answered."""

    root: Path
    bed: bed.Bed
    crawl: dict[str, Any]
    cdxj: list[dict[str, str]]

    @property
    def warcs(self) -> list[Path]:
        return sorted(self.root.glob("warc/*/*.warc.gz"))


def read_cdxj(root: Path) -> list[dict[str, str]]:
    """Read the JSON part of every line of every index of an archive."""
    return [
        json.loads(line.split(" ", 2)[2])
        for index in sorted(root.glob("warc/*/*.cdxj"))
        for line in index.read_text("utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def archived(
    need: Callable[[Sequence[bed.Tree]], None],
    run: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Archived]:
    need(TREES)
    root = tmp_path_factory.mktemp("real") / "archive"
    with bed.serve(TREES, tmp_path_factory.mktemp("nginx")) as server:
        made = run("holdfast", "init", root)
        assert made.returncode == 0, made.stderr
        for seeds in (root / "seeds").iterdir():
            seeds.unlink()
        urls = iter(server.urls)
        for name, trees in COLLECTIONS.items():
            lines = "".join(f"{next(urls)}\n" for _ in trees)
            (root / "seeds" / f"{name}.txt").write_text(lines, "utf-8")
        ran = run("holdfast", "-C", root, "--json", "run", "--delay", "0")
        assert ran.returncode == 0, ran.stderr
        yield Archived(root, server, json.loads(ran.stdout), read_cdxj(root))


def test_every_linked_page_is_captured(archived: Archived) -> None:
    captured = {
        (line["url"].split("/", 3)[2], linkwalk.path_of(line["url"])): line.get("status")
        for line in archived.cdxj
    }
    for address, tree in archived.bed.sites.items():
        host = f"{address}:{archived.bed.port}"
        linked = linkwalk.linked(tree.root, tree.start)
        assert len(linked) > 150, "the walk itself found no site"
        missed = [path for path in linked if (host, path) not in captured]
        assert missed == []
        # a folder asked for without its slash is a redirect, and leads to the folder
        folders = {f"{path}/" for path in linked if (tree.root / path[1:]).is_dir()}
        more = {path for where, path in captured if where == host} - linked.keys()
        # what style sheets name is beyond the walk; there is nothing else that is not there
        absent = {path for path in more if not (tree.root / path[1:]).exists()}
        assert absent == {"/robots.txt", "/sitemap.xml"}
        assert folders - linked.keys() <= more
        wrong = [
            path for path, exists in linked.items() if (captured[host, path] == "200") is not exists
        ]
        assert wrong == [], "captured with another status than the file gives"


def test_nothing_is_captured_twice(archived: Archived) -> None:
    again = [
        url for url, count in Counter(line["url"] for line in archived.cdxj).items() if count > 1
    ]
    assert again == []


def test_gzip_finds_every_file_sound(archived: Archived, run: Callable[..., Any]) -> None:
    tested = run("gzip", "-t", *archived.warcs, *archived.root.glob("extracted/*/*.gz"))
    assert (tested.returncode, tested.stderr) == (0, "")


def test_sha256sum_checks_the_manifest(archived: Archived, run: Callable[..., Any]) -> None:
    checked = run("sha256sum", "-c", "--strict", "fixity/manifest-sha256.txt", cwd=archived.root)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = {line.split(": ")[0] for line in checked.stdout.splitlines()}
    assert listed == {
        path.relative_to(archived.root).as_posix()
        for folder in ("warc", "extracted")
        for path in (archived.root / folder).rglob("*")
        if path.is_file()
    }


def test_warcio_check_agrees(archived: Archived, run: Callable[..., Any]) -> None:
    checked = run("warcio", "check", *archived.warcs)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_fastwarc_check_agrees(archived: Archived) -> None:
    kinds: Counter[str] = Counter()
    for warc in archived.warcs:
        with warc.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                kinds[record.headers["WARC-Type"]] += 1
                assert record.verify_block_digest(consume=False), record.headers
                if record.headers["WARC-Type"] == "response":
                    record.parse_http()
                    assert record.verify_payload_digest(), record.headers
    captures = kinds["response"] + kinds["revisit"]
    assert captures == kinds["request"] == len(archived.cdxj)


def test_cdxj_indexer_finds_the_same_captures(archived: Archived, run: Callable[..., Any]) -> None:
    for warc in archived.warcs:
        indexed = run("cdxj-indexer", "--records", "response,revisit", warc)
        assert indexed.returncode == 0, indexed.stderr
        theirs = indexed.stdout.splitlines()
        ours = (
            warc.with_name(warc.name.replace(".warc.gz", ".cdxj")).read_text("utf-8").splitlines()
        )
        assert sorted(map(parsed, ours)) == sorted(map(parsed, theirs))


def parsed(line: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Split a line of an index, so that the order of its JSON fields does not matter."""
    key, timestamp, fields = line.split(" ", 2)
    return key, timestamp, sorted(json.loads(fields).items())


def test_every_html_page_has_a_document(archived: Archived) -> None:
    pages = {
        line["url"]
        for line in archived.cdxj
        if line.get("status") == "200" and line["mime"] == "text/html"
    }
    documents: dict[str, dict[str, Any]] = {}
    for file in archived.root.glob("extracted/*/*.jsonl.gz"):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                document = json.loads(line)
                documents[document["url"]] = document
    assert pages - documents.keys() == set()
    empty = [url for url in pages if not documents[url]["text_full"].strip()]
    assert len(empty) <= len(pages) // 1000, empty


def test_our_own_verification_agrees(archived: Archived, run: Callable[..., Any]) -> None:
    verified = run("holdfast", "-C", archived.root, "--json", "verify", "--level", "records")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    answer = json.loads(verified.stdout)
    assert answer["ok"]
    assert answer["findings"] == []
    assert answer["checked"]["records"] >= 3 * len(archived.cdxj)


def test_every_log_line_of_the_server_is_a_capture(archived: Archived) -> None:
    """What crossed the wire is what is stored: same requests, robots.txt included."""
    asked = Counter((hit.address, linkwalk.path_of(hit.path)) for hit in archived.bed.hits())
    stored = Counter(
        (re.split(r"[:/]+", line["url"])[1], linkwalk.path_of(line["url"]))
        for line in archived.cdxj
    )
    assert asked == stored
