"""The state of an archive as the status verb tells it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pipeline.crawl.frontier.runs import Frontier
from pipeline.errors import HoldfastError
from pipeline.fixity import manifest
from pipeline.fixity.manifest import Manifest
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.stages.status import status


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "warc" / "c").mkdir(parents=True)
    return Layout(tmp_path)


def test_later_revisions_of_documents_are_not_counted_as_of_other_warcs(layout):
    name = Name("c.r2", "n")
    paths = (name.warc, name.cdxj, name.members, name.documents(), name.documents(2), name.report)
    manifest.write(layout.manifest, Manifest(entries=dict.fromkeys(paths, "a" * 64)))
    (collection,) = status(layout, []).collections
    assert (collection.name, collection.warcs, collection.document_files) == ("c.r2", 1, 1)


def test_an_open_file_that_no_run_goes_on_with_is_left_over(layout):
    path = "warc/c/c-20260203040506-00000-w0.warc.gz.open"
    (layout.root / path).write_bytes(b"x")
    report = status(layout, ["c"])
    assert report.as_json()["left_over"] == [path]
    assert f"Left over: {path}" in report.as_text()
    frontier = Frontier(layout.frontier)
    run = frontier.start("c", "c-20260203040506", 0.0)
    assert status(layout, ["c"]).left_over == []
    frontier.finish(run, 1.0)
    frontier.close()
    assert status(layout, ["c"]).left_over == [path]


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE cake(id)")
    database.close()


def of_another_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database " * 1000),
        lambda path: path.mkdir(),
        foreign,
        of_another_version,
    ],
    ids=["garbage", "folder", "foreign", "version"],
)
def test_a_frontier_that_cannot_be_read_is_one_clear_message(archive: Any, spoil) -> None:
    layout = Layout(archive.root)
    archive.collection("c", "http://127.0.0.1:9/\n")
    layout.frontier.parent.mkdir()
    spoil(layout.frontier)
    with pytest.raises(HoldfastError, match=r"frontier\.sqlite"):
        status(layout, ["c"])
    done = archive.run("status")
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("holdfast: ") and "Traceback" not in done.stderr
