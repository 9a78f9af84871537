"""Scrubbing: what is due comes in order, is remembered file by file, and nothing is forgotten."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.fixity import checks
from pipeline.model.amount import DAY_S, Budget
from pipeline.model.layout import Layout
from pipeline.stages.scrub import Clock, scrub
from pipeline.stages.scrub_report import ScrubReport
from pipeline.stages.status import status

BEGAN = 1_800_000_000.0
NO_LIMIT = Budget()


@pytest.fixture(scope="module")
def original(tmp_path_factory, shelf_at) -> Layout:
    """Give an archive of three WARC files with their sidecars."""
    shelf = shelf_at(tmp_path_factory.mktemp("scrub") / "archive")
    for day in range(3):
        warc = shelf.begin()
        for number in range(3):
            warc.add(
                f"http://example.org/{day}/{number}", b"fog" * 99, ("Content-Type: text/plain",)
            )
        warc.seal()
    (shelf.layout.root / "config.toml").write_text(
        '[archive]\noperator = "Test"\ncontact = "mailto:test@example.org"\n'
    )
    return shelf.layout


@pytest.fixture
def layout(original, tmp_path) -> Layout:
    copy = Layout(tmp_path / "archive")
    shutil.copytree(original.root, copy.root)
    return copy


def run(
    layout: Layout,
    budget: Budget = NO_LIMIT,
    *,
    day: float = 0,
    age: int = 90 * DAY_S,
    elapsed: Iterator[float] | None = None,
    seen: list[str] | None = None,
) -> ScrubReport:
    ticks = elapsed or itertools.repeat(0.0)
    clock = Clock(lambda: BEGAN + day * DAY_S, lambda: next(ticks))
    return scrub(layout, budget, age, clock, lambda _: None)


def kept(layout: Layout) -> list[dict]:
    path = layout.root / checks.NAME
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def order(layout: Layout) -> list[str]:
    return [each["path"] for each in kept(layout)]


def warcs(layout: Layout) -> list[str]:
    return sorted(layout.relative(path) for path in layout.root.glob("warc/c/*.warc.gz"))


def spoil(layout: Layout, path: str) -> bytes:
    before = (layout.root / path).read_bytes()
    (layout.root / path).write_bytes(before[:200] + b"\xff\xfe" + before[202:])
    return before


def test_all_that_is_due_is_checked_and_then_nothing_is(layout):
    ledger = layout.ledger.read_bytes()
    report = run(layout)
    assert (report.exit_code, report.checked.files, report.coverage.never) == (0, 9, 0)
    assert report.checked.records == 3 * (1 + 3 * 3)
    again = run(layout, day=89)
    assert (again.exit_code, again.checked.files) == (0, 0)
    assert "NOTHING IS DUE" in again.as_text()
    assert run(layout, day=91).checked.files == 9
    assert run(layout, day=92, age=0).checked.files == 9
    assert layout.ledger.read_bytes() == ledger
    assert len(kept(layout)) == 27


def test_an_archive_without_files_is_nothing_checked(tmp_path):
    report = run(Layout(tmp_path))
    assert (report.exit_code, report.as_json()["ok"]) == (3, False)
    assert "NOTHING WAS CHECKED" in report.as_text()
    assert list(tmp_path.iterdir()) == []


def test_a_budget_of_bytes_ends_a_scrub_and_the_next_goes_on(layout):
    paths = []
    while True:
        report = run(layout, Budget(bytes=3_000))
        paths.append(order(layout)[sum(map(len, paths)) :])
        assert report.overdue == 9 - sum(map(len, paths))
        assert report.exit_code == (3 if report.overdue else 0)
        if not report.overdue:
            break
    assert len(paths) > 2
    assert all(paths)
    assert len(set(order(layout))) == 9


def test_a_budget_of_time_ends_a_scrub(layout):
    report = run(layout, Budget(seconds=3), elapsed=itertools.count().__iter__())
    # the clock is asked at the beginning and before each file but the first: 0, 1, 2, 3
    assert (report.checked.files, report.overdue, report.exit_code) == (3, 6, 3)


def test_the_known_bad_come_first_then_the_never_checked_then_the_oldest(layout, shelf_at):
    one, _, third = warcs(layout)
    run(layout)
    spoil(layout, third)
    run(layout, day=100)
    shelf = shelf_at(layout.root)
    shelf.days = 20
    new = shelf.begin().seal()
    spoil(layout, one)
    before = len(kept(layout))
    assert run(layout, Budget(bytes=1), day=300).exit_code == 4
    assert order(layout)[before:] == [third]
    run(layout, day=300)
    assert order(layout)[before + 1 : before + 5] == [third, new.cdxj, new.members, new.warc]
    assert {each["path"] for each in kept(layout) if each["outcome"] == "damaged"} == {one, third}
    assert run(layout, day=301).coverage.bad == [one, third]


def test_damage_is_named_as_verify_names_it_and_remembered_until_it_is_mended(layout):
    _, path, _ = warcs(layout)
    good = spoil(layout, path)
    report = run(layout)
    assert report.exit_code == 4
    assert "E402" in {finding.code for finding in report.findings}
    assert any(finding.offset is not None and finding.record_id for finding in report.findings)
    assert report.checked.files == 9
    told = status(layout, ["c"], BEGAN + 3 * DAY_S).as_json()["coverage"]
    assert told["known_bad"] == [path]
    (layout.root / path).write_bytes(good)
    report = run(layout, day=1)
    assert (report.exit_code, report.checked.files, report.coverage.bad) == (0, 1, [])


def test_a_reading_that_was_wrong_once_is_transient(layout, monkeypatch):
    """The system is asked to forget the file, and the disk then shows the right bytes."""
    _, path, _ = warcs(layout)
    good = spoil(layout, path)

    def forget(*_: object) -> None:
        (layout.root / path).write_bytes(good)

    monkeypatch.setattr(os, "posix_fadvise", forget)
    report = run(layout)
    assert [(finding.code, finding.path) for finding in report.findings] == [("W402", path)]
    assert (report.exit_code, report.transient) == (3, 1)
    assert [each["path"] for each in kept(layout) if each["outcome"] == "transient"] == [path]
    assert "DOUBTFUL" in report.as_text()
    assert run(layout).exit_code == 0


def test_what_may_not_be_read_is_not_taken_for_checked(layout):
    path = warcs(layout)[0]
    (layout.root / path).unlink()
    (layout.root / path).mkdir()
    assert run(layout).exit_code == 4
    assert {each["path"]: each["codes"] for each in kept(layout)}[path] == ["E404"]


def test_a_torn_line_is_cut_off_and_odd_ones_are_passed_over(layout):
    run(layout)
    path = layout.root / checks.NAME
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    odd = [b"x" * 200_000 + b"\n", b"[" * 60_000 + b"\n", b"{}\n", b"\xff\n"]
    future = lines[1].replace(b'"at":"2', b'"at":"9')
    no_date = lines[1].replace(b'"at":"2027-01-15', b'"at":"2027-13-15')
    path.write_bytes(b"".join([lines[0], *odd, future, no_date, *lines[2:-1], lines[-1][:-9]]))
    report = run(layout)
    assert (report.exit_code, report.checked.files) == (0, 2)
    assert path.read_bytes().count(b"\n") == len(kept_lines(path))
    assert run(layout).checked.files == 0


def kept_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_a_file_sealed_anew_under_its_name_was_never_checked(layout):
    run(layout)
    path = layout.root / checks.NAME
    digest = kept(layout)[0]["sha256"]
    path.write_bytes(path.read_bytes().replace(digest.encode(), b"0" * 64))
    assert run(layout).checked.files == 1


@pytest.mark.parametrize("place", ["folder", "link", "link to a folder"])
def test_where_nothing_can_be_kept_files_are_checked_all_the_same(layout, tmp_path, place):
    path = layout.root / checks.NAME
    outside = tmp_path / "outside"
    if place == "folder":
        path.mkdir()
    elif place == "link":
        path.symlink_to(outside)
    else:
        path.parent.rename(outside)
        path.parent.symlink_to(outside)
    before = sorted(outside.iterdir()) if outside.exists() else None
    report = run(layout)
    if place != "link to a folder":
        assert (report.exit_code, report.checked.files) == (0, 9)
    assert report.as_json()["remembered"] is False
    assert "Nothing was remembered" in report.as_text()
    assert (sorted(outside.iterdir()) if outside.exists() else None) == before


def test_status_tells_how_well_the_archive_is_covered(layout):
    told = status(layout, ["c"], BEGAN).as_json()
    assert told["coverage"] == {
        "oldest_check": None,
        "never_checked": 9,
        "known_bad": [],
        "due": 9,
        "covered_by": None,
    }
    first = run(layout, Budget(bytes=3_000))
    assert any("holdfast scrub" in step for step in status(layout, ["c"], BEGAN).next_steps())
    sizes = {path: (layout.root / path).stat().st_size for path in first.coverage.due}
    report = status(layout, ["c"], BEGAN + 2 * DAY_S)
    told = report.as_json()["coverage"]
    assert told["oldest_check"] == "2027-01-15T08:00:00Z"
    assert told["never_checked"] == len(sizes) < 9
    pace = first.bytes_read / (2 * DAY_S)
    expected = BEGAN + 2 * DAY_S + sum(sizes.values()) / pace
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expected))
    assert told["covered_by"] == shown
    assert "2 days ago" in report.as_text() and shown in report.as_text()


def command(layout: Layout, *words: str) -> list[str]:
    holdfast = Path(sys.executable).with_name("holdfast")
    return [str(holdfast), "-q", "-C", str(layout.root), "scrub", *words]


def test_a_second_scrub_is_refused_while_the_first_is_at_work(layout):
    with checks.opened(layout.root):
        done = subprocess.run(command(layout), capture_output=True, text=True, check=False)
    assert done.returncode == 11
    assert "another holdfast scrub" in done.stderr
    assert subprocess.run(command(layout), capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("words", [["--budget", "much"], ["--max-age", "old"]])
def test_a_budget_that_cannot_be_read_is_a_wrong_call(layout, words):
    done = subprocess.run(command(layout, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and words[1] in done.stderr


def test_a_scrub_that_was_killed_loses_nothing_that_it_had_kept(layout):
    """Killed as soon as the first checks are on the disk, again and again."""
    path = layout.root / checks.NAME
    known = 0
    for _ in range(20):
        scrubbing = subprocess.Popen(command(layout), start_new_session=True)
        while scrubbing.poll() is None and (
            not path.exists() or path.read_bytes().count(b"\n") <= known
        ):
            time.sleep(0.0005)
        scrubbing.send_signal(signal.SIGKILL)
        ended = scrubbing.wait()
        whole = path.read_bytes()[: path.read_bytes().rfind(b"\n") + 1]
        assert whole.count(b"\n") >= known
        known = whole.count(b"\n")
        paths = [json.loads(line)["path"] for line in whole.splitlines()]
        # none was forgotten, so none had to be checked again
        assert len(set(paths)) == len(paths)
        if ended == 0:
            break
    assert subprocess.run(command(layout), check=False).returncode == 0
    assert len(set(order(layout))) == 9


@pytest.fixture
def read_only(layout: Layout) -> Iterator[Layout]:
    """Mount the archive read-only, which only root on Linux may do."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root on Linux can mount a folder read-only")
    steps = [["mount", "--bind", layout.root, layout.root]]
    steps.append(["mount", "-o", "remount,ro,bind", layout.root])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    yield layout
    subprocess.run(["umount", "--lazy", layout.root], check=True)


@pytest.mark.real
def test_a_read_only_archive_is_checked_and_nothing_remembered(read_only):
    report = run(read_only)
    assert (report.exit_code, report.checked.files) == (0, 9)
    assert "Read-only" in report.not_remembered
