"""What a worker remembers of payloads: its own at once, those of others after its next commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.crawl.frontier.catalogue import Catalogue, Known
from pipeline.model.records import Original
from pipeline.stages import memory as module
from pipeline.stages.memory import Memory


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def entry(payload: str, warc: str, offset: int = 100, *, chunked: bool = False) -> Known:
    url = f"http://example.org/{payload}"
    here = Original(
        record_id=f"urn:uuid:00000000-0000-4000-8000-{offset:012d}",
        url=url,
        date="2026-01-01T00:00:00.001Z",
        chunked=chunked,
    )
    return Known(
        url=url,
        original=here,
        payload_digest=digest(payload),
        status=200,
        etag=None,
        modified=None,
        warc=warc,
        offset=offset,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "working" / "catalogue.sqlite"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    opened = Memory(Catalogue(path, "c"), enabled=True)
    yield opened
    opened.close()


def commit(memory: Memory, made: Known) -> None:
    memory.note(made)
    memory.enter(memory.take())


def find(memory: Memory, made: Known, *, chunked: bool = True) -> Original | None:
    return memory.original(made.payload_digest, chunked=chunked)


def test_its_own_payloads_are_known_before_and_after_the_commit(memory: Memory) -> None:
    mine = entry("mine", "c-1-w0")
    assert find(memory, mine) is None
    memory.note(mine)
    assert find(memory, mine) == mine.original
    memory.enter(memory.take())
    assert find(memory, mine) == mine.original
    assert find(memory, entry("never", "c-1-w0")) is None


def test_what_another_worker_entered_is_known_after_the_next_commit(
    memory: Memory, path: Path
) -> None:
    other, theirs = Memory(Catalogue(path, "c"), enabled=True), entry("theirs", "c-1-w1")
    commit(other, theirs)
    commit(memory, entry("mine", "c-1-w0"))
    assert find(memory, theirs) == theirs.original
    other.close()


def test_a_payload_in_chunks_is_not_given_for_one_that_is_not(memory: Memory) -> None:
    pieces = entry("pieces", "c-1-w0", chunked=True)
    commit(memory, pieces)
    assert find(memory, pieces, chunked=False) is None
    assert find(memory, pieces, chunked=True) == pieces.original


def test_a_later_run_knows_the_payloads_of_earlier_ones(memory: Memory, path: Path) -> None:
    old = entry("old", "c-1-w0")
    commit(memory, old)
    later = Memory(Catalogue(path, "c"), enabled=True)
    assert find(later, old) == old.original
    later.close()


def test_with_too_many_to_keep_in_mind_all_are_found_still(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_KEYS", 2)
    made = [entry(f"page{n}", "c-1-w0", 100 * n) for n in range(5)]
    for each in made:
        commit(memory, each)
    assert [find(memory, each) for each in made] == [each.original for each in made]
    assert find(memory, entry("never", "c-1-w0")) is None


def test_where_revisits_are_off_nothing_is_known(path: Path) -> None:
    memory, mine = Memory(Catalogue(path, "c"), enabled=False), entry("mine", "c-1-w0")
    commit(memory, mine)
    assert find(memory, mine) is None
    memory.close()
