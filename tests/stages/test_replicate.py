"""Copies of an archive: whole at every moment, or with a word about what is unfinished."""

from __future__ import annotations

import itertools
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import durable
from pipeline.errors import ArchiveLocked, ConfigError, IntegrityError, StorageError
from pipeline.fixity import ledger
from pipeline.model.layout import Layout
from pipeline.stages import sealing
from pipeline.stages.repair import repair
from pipeline.stages.replicate import replicate
from pipeline.stages.verify import verify

NOW = datetime(2026, 6, 2, tzinfo=UTC)


def add(shelf, pages=2):
    begun = shelf.begin()
    for page in range(pages):
        begun.add(f"http://example.org/{shelf.days}/{page}", b"<p>page %d" % page)
    return begun.seal()


@pytest.fixture
def layout(shelf):
    add(shelf)
    (shelf.layout.root / "seeds").mkdir()
    shelf.layout.config.write_text("[archive]\n")
    (shelf.layout.seeds / "c.txt").write_text("http://example.org/\n")
    return shelf.layout


def tree(root: Path) -> dict[str, bytes]:
    """Give all that belongs to an archive."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".holdfast" not in path.parts
    }


def test_a_copy_is_the_archive_and_grows_with_it(shelf, layout, tmp_path):
    copy = tmp_path / "copy"
    layout.working.mkdir()
    (layout.working / "frontier.sqlite").write_bytes(b"working state")
    first = replicate(layout, copy)
    assert (first.exit_code, first.copied, first.kept) == (0, 3, 0)
    sealed = ledger.read(layout.ledger).objects.values()
    assert first.bytes == sum(each.size for each in sealed)
    assert tree(copy) == tree(layout.root)
    assert not (copy / ".holdfast" / "frontier.sqlite").exists()
    assert verify(Layout(copy), "records").ok
    add(shelf)
    (layout.root / "warc" / "c" / "n.warc.gz.open").write_bytes(b"being written")
    again = replicate(layout, copy)
    assert (again.copied, again.kept) == (3, 3)
    (layout.root / "warc" / "c" / "n.warc.gz.open").unlink()
    assert tree(copy) == tree(layout.root)
    assert verify(Layout(copy), "records").ok


def test_what_only_the_ledger_of_a_running_writer_has_is_copied_with_it(layout, tmp_path):
    with durable.exclusive(layout.lock, 0):
        assert replicate(layout, tmp_path / "copy").exit_code == 0


def test_the_command_tells_what_it_did(archive, shelf, tmp_path):
    shutil.rmtree(shelf.layout.root, ignore_errors=True)
    shelf.layout = Layout(archive.root)
    add(shelf)
    archive.collection("c", "http://example.org/\n")
    told = archive.json("replicate", str(tmp_path / "copy"))
    assert {key: told[key] for key in ("ok", "copied", "kept", "failed", "findings")} == {
        "ok": True,
        "copied": 3,
        "kept": 0,
        "failed": 0,
        "findings": [],
    }
    compared = archive.json("verify", "--replica", str(tmp_path / "copy"))
    assert compared["replicas"] == [
        {
            "path": str(tmp_path / "copy"),
            "ledger": "same",
            "intact": 3,
            "missing": 0,
            "damaged": 0,
            "repairs": [],
        }
    ]
    refused = archive.run("replicate", str(archive.root / "inside"))
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    with durable.exclusive(Layout(tmp_path / "copy").lock, 0):
        assert archive.run("replicate", str(tmp_path / "copy")).returncode == 11


def test_damage_is_not_copied_and_all_else_is(shelf, layout, tmp_path):
    add(shelf)
    bad, gone = shelf.sealed[0], shelf.sealed[4]
    damage(layout.root / bad)
    (layout.root / gone).unlink()
    report = replicate(layout, tmp_path / "copy")
    assert report.exit_code == 4
    assert {(each.code, each.path) for each in report.findings} == {("E402", bad), ("E401", gone)}
    assert report.copied == 4
    assert not (tmp_path / "copy" / bad).exists()
    assert not list((tmp_path / "copy").rglob("*.tmp"))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def test_a_good_file_is_not_replaced_by_a_damaged_one(shelf, layout, tmp_path):
    copy = tmp_path / "copy"
    replicate(layout, copy)
    before = tree(copy)
    damage(layout.root / shelf.sealed[0])
    assert replicate(layout, copy, check=True).exit_code == 0
    assert tree(copy) == before


def test_what_is_damaged_in_the_copy_is_named_and_left_until_it_is_repaired(
    shelf, layout, tmp_path
):
    copy = tmp_path / "copy"
    replicate(layout, copy)
    damage(copy / shelf.sealed[0])
    hurt = (copy / shelf.sealed[0]).read_bytes()
    assert replicate(layout, copy).exit_code == 0  # its size is believed
    report = replicate(layout, copy, check=True)
    assert [(each.code, each.path) for each in report.findings] == [("E461", shelf.sealed[0])]
    assert (copy / shelf.sealed[0]).read_bytes() == hurt
    (copy / shelf.sealed[1]).write_bytes(b"shorter")
    assert replicate(layout, copy).exit_code == 4
    events = ledger.read(Layout(copy).ledger).size
    assert repair(Layout(copy), [layout.root], dry_run=False, now=NOW).exit_code == 0
    # the copy has no history of its own, so it can go on being one
    assert ledger.read(Layout(copy).ledger).size == events
    add(shelf)
    assert replicate(layout, copy, check=True).exit_code == 0
    assert verify(Layout(copy), "records").ok


def test_another_archive_and_what_is_none_are_refused(shelf, layout, tmp_path):
    copy = tmp_path / "copy"
    replicate(layout, copy)
    with sealing.writing(Layout(copy), NOW):
        (copy / "warc/c/extra").write_bytes(b"x")
        sealing.enter(
            Layout(copy), [copy / "warc/c/extra"], event_type="capture", detail={}, now=NOW
        )
    before = tree(copy)
    with pytest.raises(IntegrityError, match="more than this archive"):
        replicate(layout, copy)
    assert tree(copy) == before
    assert verify(Layout(copy), "files").ok
    other = tmp_path / "other"
    with sealing.writing(Layout(other), NOW):
        pass
    with pytest.raises(IntegrityError, match="line 1"):
        replicate(layout, other)
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "to-grandmother.txt").write_text("dear")
    with pytest.raises(ConfigError, match="to-grandmother"):
        replicate(layout, letters)
    assert list(letters.iterdir()) == [letters / "to-grandmother.txt"]
    for place in (layout.root, layout.root / "x" / "y", layout.root.parent):
        with pytest.raises(ConfigError):
            replicate(layout, place)


def test_a_damaged_ledger_or_manifest_replaces_nothing(shelf, layout, tmp_path):
    copy = tmp_path / "copy"
    replicate(layout, copy)
    before = tree(copy)
    add(shelf)
    for path in (layout.ledger, layout.manifest):
        whole = path.read_bytes()
        damage(path)
        with pytest.raises(IntegrityError, match="holdfast verify"):
            replicate(layout, copy)
        path.write_bytes(whole)
        assert tree(copy) == before
        assert verify(Layout(copy), "files").exit_code == 0
    assert replicate(layout, copy).exit_code == 0


def test_an_archive_without_a_ledger_is_not_copied(layout, tmp_path):
    with pytest.raises(ConfigError, match="crawl first"):
        replicate(Layout(tmp_path / "new"), tmp_path / "copy")
    layout.ledger.unlink()
    with pytest.raises(IntegrityError, match="repair"):
        replicate(layout, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_busy_copy_is_left_alone(layout, tmp_path):
    with durable.exclusive(Layout(tmp_path / "copy").lock, 0), pytest.raises(ArchiveLocked):
        replicate(layout, tmp_path / "copy")


def test_links_in_the_copy_lead_nowhere(shelf, layout, tmp_path):
    copy, outside = tmp_path / "copy", tmp_path / "outside"
    replicate(layout, copy)
    shutil.move(copy / "warc" / "c", outside)
    (copy / "warc" / "c").symlink_to(outside)
    before = tree(outside)
    add(shelf)
    report = replicate(layout, copy)
    assert {each.code for each in report.findings} == {"E404"}
    assert tree(outside) == before


def test_no_room_is_said_and_it_goes_on_later(layout, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as small:
        small.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(StorageError, match="make room") as refused:
            replicate(layout, tmp_path / "copy")
    assert refused.value.exit_code == 3
    unfinished = verify(Layout(tmp_path / "copy"), "files")
    assert [each.code for each in unfinished.findings] == ["W463"]
    assert unfinished.exit_code == 3
    assert replicate(layout, tmp_path / "copy").exit_code == 0


def test_interrupted_it_goes_on(layout, tmp_path):
    copy = tmp_path / "copy"
    asked = itertools.count()
    report = replicate(layout, copy, interrupted=lambda: next(asked) == 1)
    assert (report.exit_code, report.copied) == (130, 1)
    assert verify(Layout(copy), "files").exit_code == 3
    again = replicate(layout, copy)
    assert (again.copied, again.kept) == (2, 1)
    assert verify(Layout(copy), "files").ok


@pytest.mark.slow
def test_killed_at_any_step_the_copy_says_what_it_is_and_goes_on(shelf, layout, tmp_path, kill):
    old = tmp_path / "old"
    replicate(layout, old)
    add(shelf)
    for start in (None, old):
        for step in itertools.count():
            copy = tmp_path / f"copy-{start is None}-{step}"
            if start:
                shutil.copytree(start, copy)
            was_killed = kill(lambda copy=copy: replicate(layout, copy), step)
            if copy.exists():
                seen = verify(Layout(copy), "files")
                assert [each for each in seen.findings if each.severity == "error"] == []
                assert seen.exit_code in (0, 3)
            assert replicate(layout, copy).exit_code == 0
            assert tree(copy) == tree(layout.root)
            assert verify(Layout(copy), "files").ok
            shutil.rmtree(copy)
            if not was_killed:
                break
        assert step > 30


def test_copies_that_differ_are_told_apart(shelf, layout, tmp_path, archive):
    copy = tmp_path / "copy"
    replicate(layout, copy)
    add(shelf)
    command = type(archive)(layout.root)
    told = command.json("verify", "--replica", str(copy))
    assert told["replicas"][0]["ledger"] == "behind" and told["replicas"][0]["missing"] == 3
    assert [each["code"] for each in told["findings"]] == ["W461"]
    damage(copy / shelf.sealed[0])
    damage(layout.root / shelf.sealed[1])
    (copy / shelf.sealed[2]).unlink()
    told = command.json("verify", "--replica", str(copy), exit_code=4)
    assert told["replicas"][0]["repairs"] == [shelf.sealed[1]]
    found = {(each["code"], each["path"]) for each in told["findings"]}
    assert {("E461", shelf.sealed[0]), ("E462", shelf.sealed[2])} <= found
    lines = Layout(copy).ledger.read_bytes().splitlines(keepends=True)
    event = json.loads(lines[-1])
    event["eventDetail"] = {"forged": 1}
    forged = json.dumps(event, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    Layout(copy).ledger.write_bytes(b"".join([*lines[:-1], forged]))
    told = command.json("verify", "--replica", str(copy), exit_code=4)
    assert told["replicas"][0]["ledger"] == "forked"
    assert "E463" in {each["code"] for each in told["findings"]}
