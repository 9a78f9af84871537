"""Repair from damaged copies: the recorded bytes come back, or what is lost is named."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from pipeline import durable
from pipeline.archive.index import member_line, members_in
from pipeline.errors import ArchiveLocked, ConfigError, StorageError
from pipeline.fixity import ledger
from pipeline.fixity.ledger import SealedFile
from pipeline.model.layout import Layout
from pipeline.stages.rebuild import Copy, rebuild
from pipeline.stages.repair import repair
from pipeline.stages.replicate import replicate
from pipeline.stages.verify import verify

NOW = datetime(2026, 6, 2, tzinfo=UTC)
PAGES = 4


@pytest.fixture
def layout(shelf):
    for _ in range(2):
        begun = shelf.begin()
        for page in range(PAGES):
            body = random.Random(page + 10 * shelf.days).randbytes(300)
            begun.add(f"http://example.org/{shelf.days}/{page}", body)
        begun.seal()
    (shelf.layout.root / "config.toml").write_text("[archive]\n")
    return shelf.layout


@pytest.fixture
def copies(layout, tmp_path):
    for number in (1, 2):
        replicate(layout, tmp_path / f"copy{number}")
    return [tmp_path / "copy1", tmp_path / "copy2"]


def mend(layout, copies, **options):
    return repair(layout, copies, dry_run=False, now=NOW, **options)


def sealed_bytes(root: Path) -> dict[str, bytes]:
    return {
        f"{folder}/{path.relative_to(root / folder)}": path.read_bytes()
        for folder in ("warc", "extracted")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)


def damage(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def test_damaged_and_missing_files_come_back_and_nothing_is_thrown_away(shelf, layout, copies):
    before = sealed_bytes(layout.root)
    first, second = shelf.sealed[0], shelf.sealed[4]
    damage(layout.root / first)
    hurt = (layout.root / first).read_bytes()
    (layout.root / second).unlink()
    plan = repair(layout, copies, dry_run=True, now=NOW)
    assert {each.path for each in plan.mended} == {first, second}
    assert (layout.root / first).read_bytes() == hurt
    assert not layout.quarantine.exists()
    report = mend(layout, copies)
    assert report.exit_code == 0
    assert sealed_bytes(layout.root) == before
    (kept,) = report.quarantined
    assert (layout.root / kept).read_bytes() == hurt
    assert verify(layout, "records").ok
    event = json.loads(layout.ledger.read_bytes().splitlines()[-1])
    assert event["eventType"] == "repair"
    assert {each["path"] for each in event["linkingObject"]} == {first, second}
    assert event["eventDetail"]["quarantine"] == [kept]
    assert event["eventDetail"]["repaired"][first]["sources"] == {str(copies[0]): 1}
    size = layout.ledger.stat().st_size
    again = mend(layout, copies)
    assert (again.mended, again.intact, layout.ledger.stat().st_size) == ([], 6, size)


def test_the_command_repairs_and_says_what_is_next(shelf, layout, copies, archive):
    command = type(archive)(layout.root)
    damage(layout.root / shelf.sealed[0])
    told = command.json("repair", "--from", str(copies[0]), str(copies[1]), "--dry-run")
    assert told["dry_run"] and len(told["repaired"]) == 1
    assert command.json("verify", exit_code=4)
    done = command.run("repair", "--from", str(copies[0]))
    assert done.returncode == 0 and "holdfast verify" in done.stdout
    assert command.json("verify")["ok"]
    damage(layout.root / shelf.sealed[0])
    alone = command.json("repair", exit_code=3)
    assert {each["code"] for each in alone["findings"]} == {"E464", "E465"}
    assert command.run("repair", "--from", str(layout.root)).returncode == 2
    with durable.exclusive(layout.lock, 0):
        assert command.run("repair", "--from", str(copies[0])).returncode == 11


DAMAGES = st.lists(
    st.tuples(
        st.integers(0, 12),  # the member
        st.integers(0, 2),  # the archive that keeps it
        st.sampled_from([0, 0, 0, 1, 2]),  # how many of the other two are spared, too
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each[0],
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damages=DAMAGES, lost=st.sets(st.integers(0, 12), max_size=2), seed=st.integers(0, 99))
def test_each_member_that_survives_somewhere_comes_back(shelf, layout, copies, damages, lost, seed):
    warc, lists = shelf.sealed[0], shelf.sealed[1]
    roots = [layout.root, *copies]
    pristine = (copies[0] / warc).read_bytes()
    members = list(members_in(layout.root / lists))
    assert len(members) == 1 + 3 * PAGES
    chance = random.Random(seed)
    try:
        for number, keeper, spared in damages:
            others = [root for n, root in enumerate(roots) if n != keeper][spared:]
            for root in others:
                _hurt(root / warc, members[number], chance)
        hurt_everywhere = {members[number].record_id for number in lost}
        for number in lost:
            for root in roots:
                _hurt(root / warc, members[number], chance)
        before = [(root / warc).read_bytes() for root in roots]
        report = mend(layout, copies)
        if not lost:
            assert (layout.root / warc).read_bytes() == pristine
            assert report.exit_code == 0
        else:
            named = [each.record_id for each in report.findings if each.code == "E465"]
            assert set(named) == hurt_everywhere and len(named) == len(hurt_everywhere)
            assert report.exit_code == 3
            assert (layout.root / warc).read_bytes() == before[0]
        assert [(root / warc).read_bytes() for root in roots[1:]] == before[1:]
        assert not list(layout.root.rglob("*.tmp"))
    finally:
        for root in roots:
            (root / warc).write_bytes(pristine)


def _hurt(path: Path, member, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    at = member.offset + chance.randrange(member.length)
    data[at] = (data[at] + chance.randrange(1, 255)) % 256
    if data[at] == path.read_bytes()[at]:
        data[at] ^= 1
    path.write_bytes(data)


def test_members_that_have_moved_are_found(shelf, layout, copies):
    warc, lists = shelf.sealed[0], shelf.sealed[1]
    pristine = (layout.root / warc).read_bytes()
    members = list(members_in(layout.root / lists))
    cut = members[3]
    # here all but the last member are gone; in the copies a member is gone, or garbage was put in
    (layout.root / warc).write_bytes(pristine[members[-1].offset :])
    (copies[0] / warc).write_bytes(pristine[: cut.offset] + pristine[cut.offset + cut.length :])
    flipped = bytearray(pristine)
    flipped[members[5].offset + 20] ^= 1
    (copies[1] / warc).write_bytes(b"garbage" + flipped)
    report = mend(layout, copies)
    assert report.exit_code == 0, report.as_text()
    assert (layout.root / warc).read_bytes() == pristine
    assert report.mended[0].method == "rebuilt"
    assert sum(report.mended[0].sources.values()) == len(members)


def test_what_is_lost_is_named_with_its_documents_and_all_else_is_repaired(
    archive, shelf, tmp_path
):
    shelf.layout = layout = Layout(archive.root)
    begun = shelf.begin()
    for page in range(PAGES):
        text = f"<html><p>page {page} of many words".encode()
        begun.add(f"http://example.org/{page}", text, ["Content-Type: text/html"])
    begun.seal()
    archive.collection("c", "http://example.org/\n")
    assert archive.json("extract")["documents"] == PAGES
    copy = tmp_path / "copy"
    replicate(layout, copy)
    warc, lists, index = shelf.sealed
    member = list(members_in(layout.root / lists))[4]
    assert member.type == "response"
    for root in (layout.root, copy):
        flip(root / warc, member.offset + member.length // 2)
    (layout.root / index).unlink()
    told = archive.json("repair", "--from", str(copy), exit_code=3)
    (lost,) = (each for each in told["findings"] if each["code"] == "E465")
    assert (lost["offset"], lost["length"]) == (member.offset, member.length)
    assert lost["record_id"] == member.record_id and len(lost["affected"]) == 1
    assert [each["path"] for each in told["repaired"]] == [index]
    assert {each["path"] for each in archive.json("verify", exit_code=4)["findings"]} == {warc}


def test_sidecars_that_nobody_has_are_derived_again(shelf, layout):
    before = sealed_bytes(layout.root)
    (layout.root / shelf.sealed[1]).unlink()
    damage(layout.root / shelf.sealed[2])
    report = mend(layout, [])
    assert report.exit_code == 0
    assert {each.method for each in report.mended} == {"derived"}
    assert sealed_bytes(layout.root) == before
    assert verify(layout, "records").ok


def test_a_manifest_is_restored_from_the_ledger(layout):
    whole = layout.manifest.read_bytes()
    for broken in (None, whole[:-70], b"nonsense\n" + whole):
        if broken is None:
            layout.manifest.unlink()
        else:
            layout.manifest.write_bytes(broken)
        report = mend(layout, [])
        assert report.exit_code == 0
        assert layout.manifest.read_bytes() == whole
        assert verify(layout, "files").ok
        if broken is not None:
            assert (layout.root / report.quarantined[0]).read_bytes() == broken
    event = json.loads(layout.ledger.read_bytes().splitlines()[-1])
    assert event["eventDetail"]["accounts"] == {"fixity/manifest-sha256.txt": "fixity/ledger.jsonl"}


def ledger_damages(data: bytes) -> list[bytes]:
    lines = data.splitlines(keepends=True)
    middle = len(lines[0]) + len(lines[1]) // 2
    digit = data.rindex(b'"size":') + 7
    return [
        b"",
        data[: len(data) // 2],
        data[:middle] + b"?" + data[middle + 1 :],
        lines[0] + lines[2],
        b"".join(lines[:-1]),
        data[:digit] + (b"1" if data[digit : digit + 1] != b"1" else b"2") + data[digit + 1 :],
        bytes(200) + data[200:],
    ]


@pytest.mark.parametrize("which", range(7))
def test_a_ledger_is_restored_from_a_copy_that_goes_on_from_it(layout, copies, which):
    whole = layout.ledger.read_bytes()
    broken = ledger_damages(whole)[which]
    layout.ledger.write_bytes(broken)
    report = mend(layout, copies)
    assert report.exit_code == 0, report.as_text()
    assert layout.ledger.read_bytes().startswith(whole)
    assert ledger.read(layout.ledger).size == 4  # and the repair is in it
    assert (layout.root / report.quarantined[0]).read_bytes() == broken
    assert verify(layout, "records").ok


def test_a_ledger_is_never_replaced_by_another_or_a_shorter_one(shelf, layout, copies, tmp_path):
    whole = layout.ledger.read_bytes()
    lines = whole.splitlines(keepends=True)
    broken = lines[0] + lines[1][:50] + b"?" + lines[1][51:] + lines[2]
    layout.ledger.write_bytes(broken)
    for copy in copies:
        Layout(copy).ledger.write_bytes(b"".join(lines[:-1]))
    report = mend(layout, copies)
    assert report.exit_code == 3
    assert [each.code for each in report.findings] == ["E464"]
    assert layout.ledger.read_bytes() == broken
    for copy in copies:
        Layout(copy).ledger.write_bytes(b"")
    assert mend(layout, copies).exit_code == 3
    assert layout.ledger.read_bytes() == broken


def test_nothing_of_a_hostile_copy_is_believed_or_followed(shelf, layout, copies, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    warc, lists, index = shelf.sealed[:3]
    pristine = sealed_bytes(layout.root)
    hostile, good = copies
    for path in shelf.sealed[:3]:
        damage(layout.root / path)
        (hostile / path).unlink()
    (hostile / warc).symlink_to(secret)
    os.mkfifo(hostile / lists)
    (hostile / index).symlink_to("/dev/zero")
    manifest = hostile / "fixity" / "manifest-sha256.txt"
    manifest.write_text(f"{'0' * 64}  warc/../../secret\n")
    report = mend(layout, [hostile])
    assert report.exit_code == 3 and report.mended == []
    (hostile / lists).unlink()
    line = b'{"date":"x","length":9223372036854775808,"offset":0,"record_id":"x","sha256":"%s",'
    (hostile / lists).write_bytes((line + b'"type":"x"}\n') % (b"0" * 64))
    assert mend(layout, [hostile]).mended == []
    assert mend(layout, [hostile, good]).exit_code == 0
    assert sealed_bytes(layout.root) == pristine
    assert secret.read_bytes() == b"secret"


def test_a_lying_list_of_members_that_was_sealed_reaches_nowhere(shelf, layout, copies):
    """Offsets that do not tile the file are not followed, whoever sealed them."""
    warc, lists = shelf.sealed[:2]
    member = next(iter(members_in(layout.root / lists)))
    for lie in (
        structs.replace(member, offset=2**63),
        structs.replace(member, length=2**63),
        structs.replace(member, offset=-1),
        structs.replace(member, length=0),
    ):
        data = member_line(lie)
        (layout.root / lists).write_bytes(data)
        sealed = ledger.read(layout.ledger).objects[warc]
        digest = hashlib.sha256(data).hexdigest()
        told = SealedFile(path=lists, sha256=digest, size=len(data))
        found = rebuild(sealed, told, [Copy(label="here", root=layout.root)], None)
        assert not found.taken and not found.lost


def test_links_on_our_own_side_are_not_written_through(shelf, layout, copies, tmp_path):
    outside = tmp_path / "outside"
    shutil.move(layout.root / "warc" / "c", outside)
    (layout.root / "warc" / "c").symlink_to(outside)
    damage(outside / Path(shelf.sealed[0]).name)
    before = {path: path.read_bytes() for path in outside.iterdir()}
    with pytest.raises(StorageError, match="symbolic link"):
        mend(layout, copies)
    assert {path: path.read_bytes() for path in outside.iterdir()} == before


def test_a_link_in_the_place_of_a_file_is_replaced_and_kept(shelf, layout, copies, tmp_path):
    path = layout.root / shelf.sealed[0]
    elsewhere = tmp_path / "elsewhere"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    report = mend(layout, copies)
    assert report.exit_code == 0
    assert not path.is_symlink() and elsewhere.exists()
    assert (layout.root / report.quarantined[0]).is_symlink()
    assert verify(layout, "records").ok


def test_who_writes_is_alone(layout, copies):
    with durable.exclusive(layout.lock, 0), pytest.raises(ArchiveLocked):
        mend(layout, copies)
    with pytest.raises(ConfigError):
        mend(layout, [layout.root / "nowhere"])


@pytest.mark.slow
def test_killed_at_any_step_nothing_is_lost_and_the_next_repair_completes_it(
    shelf, layout, copies, tmp_path, kill
):
    whole = sealed_bytes(layout.root)
    damage(layout.root / shelf.sealed[0])
    damage(copies[0] / shelf.sealed[0])
    flip(copies[1] / shelf.sealed[0], 5)
    (layout.root / shelf.sealed[1]).unlink()
    damage(layout.root / shelf.sealed[3])
    damage(layout.manifest)
    broken_ledger = layout.ledger.read_bytes()[:-40]
    layout.ledger.write_bytes(broken_ledger)
    hurt = [(layout.root / shelf.sealed[n]).read_bytes() for n in (0, 3)]
    for step in itertools.count():
        work = Layout(tmp_path / f"work{step}")
        shutil.copytree(layout.root, work.root)
        was_killed = kill(lambda work=work: mend(work, copies), step)
        there = [path.read_bytes() for path in work.root.rglob("*") if path.is_file()]
        assert all(each in there for each in hurt)
        report = mend(work, copies)
        assert report.exit_code == 0, report.as_text()
        assert sealed_bytes(work.root) == whole
        assert verify(work, "records").exit_code == 0
        shutil.rmtree(work.root)
        if not was_killed:
            break
    assert step > 30


def test_a_manifest_that_is_wrong_in_one_sound_line_is_outdone_by_the_ledger(layout):
    whole = layout.manifest.read_bytes()
    digit = b"1" if whole[:1] != b"1" else b"2"
    other_path = whole.replace(b"c-2026", b"c-2036", 1)
    for broken in (digit + whole[1:], b"".join(sorted(other_path.splitlines(True), key=_path))):
        assert broken != whole
        layout.manifest.write_bytes(broken)
        assert verify(layout, "files").exit_code == 4
        assert mend(layout, []).exit_code == 0
        assert layout.manifest.read_bytes() == whole
        assert verify(layout, "files").ok


def _path(line: bytes) -> bytes:
    return line[66:]


def test_a_ledger_that_lost_its_end_is_not_made_the_manifest_s_measure(layout, copies):
    lines = layout.ledger.read_bytes().splitlines(keepends=True)
    for root in (layout.root, *copies):
        Layout(root).ledger.write_bytes(b"".join(lines[:-1]))
    listed = layout.manifest.read_bytes()
    report = mend(layout, copies)
    assert [(each.code, each.path) for each in report.findings] == [("E464", ledger.NAME)]
    assert layout.manifest.read_bytes() == listed


def test_documents_that_nobody_has_can_be_extracted_anew(archive, shelf):
    shelf.layout = layout = Layout(archive.root)
    begun = shelf.begin()
    begun.add("http://example.org/", b"<html><p>many words", ["Content-Type: text/html"])
    name = begun.seal()
    archive.collection("c", "http://example.org/\n")
    archive.json("extract")
    (layout.root / name.documents()).unlink()
    told = archive.json("repair", exit_code=3)
    assert "extract --all" in told["findings"][0]["message"]
    assert archive.json("extract", "--all")["files"] == [name.documents(2)]
