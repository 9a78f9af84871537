"""Extraction killed at each of its writes, and writers that meet: nothing is half done."""

from __future__ import annotations

import itertools
import shutil
from datetime import UTC, datetime

import pytest

from pipeline import durable
from pipeline.extract.policy import ExtractPolicy
from pipeline.model.layout import Layout
from pipeline.stages.extract import extract
from pipeline.stages.verify import verify

NOW = datetime(2026, 6, 2, tzinfo=UTC)


def run(layout: Layout):
    return extract(
        layout,
        ExtractPolicy(),
        ["c"],
        everything=False,
        workers=1,
        observe=lambda _: None,
        now=NOW,
    )


@pytest.mark.slow
def test_killed_at_any_step_the_next_extraction_completes_it(shelf, tmp_path, kill):
    begun = shelf.begin()
    html = b"<html><p>some words for a document"
    begun.add("http://example.org/", html, ["Content-Type: text/html"])
    name = begun.seal()
    for step in itertools.count():
        layout = Layout(tmp_path / f"archive{step}")
        shutil.copytree(shelf.layout.root, layout.root)
        was_killed = kill(lambda layout=layout: run(layout), step)
        seen = verify(layout, "files")
        errors = [each for each in seen.findings if each.severity == "error"]
        # renamed and not yet in the ledger
        assert [(each.code, each.path) for each in errors] in ([], [("E403", name.documents())])
        report = run(layout)
        assert report.exit_code == 0
        assert verify(layout, "records").ok
        assert (layout.root / name.documents()).exists()
        assert list(layout.root.rglob("*.tmp")) == []
        if not was_killed:
            break
    assert step > 10


@pytest.mark.parametrize("verb", [("crawl",), ("extract",), ("run",), ("repair",)])
def test_a_second_writer_is_sent_away(archive, verb):
    archive.collection("c", "http://127.0.0.1:9/\n")
    with durable.exclusive(Layout(archive.root).lock, 0):
        done = archive.run(*verb)
    assert done.returncode == 11, done.stderr
    assert "another holdfast process" in done.stderr
    assert list(archive.root.glob("warc/*/*")) == []
