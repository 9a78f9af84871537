"""Verification of whole archives: every fault is noticed, named, and nothing else is."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import durable
from pipeline.archive.index import capture_line, member_line
from pipeline.archive.reader import Record, walk
from pipeline.archive.validator import inspect
from pipeline.errors import HoldfastError
from pipeline.fixity import ledger, manifest
from pipeline.fixity.ledger import Event, SealedFile
from pipeline.fixity.manifest import Manifest
from pipeline.model.layout import Layout
from pipeline.stages.verify import VerifyProgress, verify
from pipeline.stages.verify_report import LEFT

NAME = "c-20260203040506-00000-w0"
WARC = f"warc/c/{NAME}.warc.gz"
DOCUMENTS = f"extracted/c/{NAME}.jsonl.gz"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def member(number: int, kind: str, block: bytes, **more: str) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{number}>",
        "WARC-Date": "2026-02-03T04:05:06Z",
        "Content-Type": "application/warc-fields",
        "WARC-Block-Digest": f"sha256:{sha256(block)}",
        "Content-Length": str(len(block)),
    }
    if kind != "warcinfo":
        fields["WARC-Warcinfo-ID"] = "<urn:uuid:0>"
    for name, value in more.items():
        fields[name.replace("_", "-")] = value
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    content = b"WARC/1.1\r\n" + head.encode() + b"\r\n" + block + b"\r\n\r\n"
    return stream.compress(content) + stream.flush()


def site_members(pages: int, first: int = 0) -> list[bytes]:
    """Give a warcinfo record and, for each page, a response, a request and a metadata record."""
    members = [member(first, "warcinfo", b"software: test\r\n")]
    for page in range(pages):
        number = first + 1 + 3 * page
        uri = f"http://example.org/{page}"
        body = b"<html>" + random.Random(number).randbytes(150).hex().encode()
        block = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        info = f"<urn:uuid:{first}>"
        members.append(
            member(
                number,
                "response",
                block,
                Content_Type="application/http;msgtype=response",
                WARC_Target_URI=uri,
                WARC_Warcinfo_ID=info,
                WARC_Payload_Digest=f"sha256:{sha256(body)}",
            )
        )
        together = {
            "WARC_Target_URI": uri,
            "WARC_Concurrent_To": f"<urn:uuid:{number}>",
            "WARC_Warcinfo_ID": info,
        }
        members.append(member(number + 1, "request", b"GET / HTTP/1.1\r\n\r\n", **together))
        members.append(member(number + 2, "metadata", b"fetchTimeMs: 1\r\n", **together))
    return members


def seal(layout: Layout, *paths: str) -> None:
    """Enter files into ledger and manifest."""
    files = tuple(
        SealedFile(
            path=path,
            sha256=sha256((layout.root / path).read_bytes()),
            size=(layout.root / path).stat().st_size,
        )
        for path in paths
    )
    event = Event(
        identifier=f"urn:uuid:{len(paths)}",
        type="capture" if paths else "creation",
        at=datetime(2026, 2, 3, tzinfo=UTC),
        outcome="success",
        agent="test",
        objects=files,
    )
    ledger.append(layout.ledger, event)
    before = manifest.read(layout.manifest) or Manifest(entries={})
    manifest.write(layout.manifest, before.adding({each.path: each.sha256 for each in files}))


def store(layout: Layout, name: str, members: list[bytes]) -> list[str]:
    """Write a WARC file, its sidecars and the documents of its responses."""
    folder = layout.warc("c")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.warc.gz"
    path.write_bytes(b"".join(members))
    found = inspect(path, f"warc/c/{name}.warc.gz")
    assert found.findings == ()
    (folder / f"{name}.members.jsonl").write_bytes(b"".join(map(member_line, found.members)))
    (folder / f"{name}.cdxj").write_bytes(b"".join(map(capture_line, found.captures)))
    documents = b"".join(
        json.dumps(
            {
                "id": f"doc-{each.record_id.rpartition(':')[2]}",
                "provenance": {"record_id": each.record_id, "offset": each.offset},
            }
        ).encode()
        + b"\n"
        for each in found.members
        if each.type == "response"
    )
    extracted = layout.extracted("c")
    extracted.mkdir(parents=True, exist_ok=True)
    (extracted / f"{name}.jsonl.gz").write_bytes(gzip.compress(documents, mtime=0))
    sidecars = [f"warc/c/{name}{suffix}" for suffix in (".warc.gz", ".members.jsonl", ".cdxj")]
    return [*sidecars, f"extracted/c/{name}.jsonl.gz"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give an archive with one WARC file of 25 members, its sidecars and eight documents."""
    layout = Layout(tmp_path / "archive")
    layout.root.mkdir()
    seal(layout)
    seal(layout, *store(layout, NAME, site_members(8)))
    return layout


def codes(report) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in report.findings]


@pytest.mark.parametrize("level", ["files", "records"])
def test_a_sound_archive_passes_and_says_what_was_checked(layout, level):
    report = verify(layout, level, None)
    told = json.loads(json.dumps(report.as_json()))
    assert report.exit_code == 0
    assert told["ok"] is True
    assert told["level"] == level
    assert told["findings"] == []
    nothing = ("in_progress", "earlier", "unreadable", "unfinished", *LEFT)
    assert told["not_checked"] == dict.fromkeys(nothing, 0)
    inner = {"members": 25, "records": 25, "documents": 8}
    assert told["checked"] == {
        "files": 4,
        **(inner if level == "records" else dict.fromkeys(inner, 0)),
    }
    assert told["checkpoint"]["size"] == 2
    assert len(told["checkpoint"]["root"]) == 64
    assert told["checkpoint"]["signed_by"] is None
    sealed = ledger.read(layout.ledger).objects.values()
    assert told["bytes_read"] == sum(each.size for each in sealed)
    assert "INTACT" in report.as_text()
    assert told["not_proven"]


def test_an_empty_folder_is_nothing_checked(tmp_path):
    report = verify(Layout(tmp_path), "records", None)
    assert (report.exit_code, report.ok) == (3, False)
    assert report.checkpoint is None
    assert "NOTHING WAS CHECKED" in report.as_text()


def test_an_archive_without_sealed_files_is_nothing_checked(tmp_path):
    layout = Layout(tmp_path)
    seal(layout)
    report = verify(layout, "files", None)
    assert (report.exit_code, report.ok, report.findings) == (3, False, [])


def test_processes_find_what_one_process_finds(layout):
    more = [store(layout, f"{NAME}-{n}", site_members(4, 100 * n)) for n in range(1, 4)]
    for paths in more:
        seal(layout, *paths)
    damage(layout, f"warc/c/{NAME}-2.warc.gz", lambda data: data[:900] + b"\0" + data[901:])
    alone = verify(layout, "records", None, workers=1)
    assert alone.exit_code == 4
    assert verify(layout, "records", None, workers=3).as_json() == alone.as_json()


def test_progress_is_told_after_each_file(layout):
    told: list[VerifyProgress] = []
    verify(layout, "files", told.append)
    assert [each.files for each in told] == [1, 2, 3, 4]
    assert {each.total for each in told} == {4}
    assert all(isinstance(each.facts()[1][1], str) for each in told)


def damage(layout: Layout, path: str, change: Callable[[bytes], bytes]) -> None:
    file = layout.root / path
    before = file.read_bytes()
    after = change(before)
    assert after != before
    file.write_bytes(after)


@dataclass(frozen=True)
class Fault:
    """A damaged file, and which members are not as they were sealed, by number."""

    data: bytes
    hurt: set[int]


def bit_flip(members: list[bytes], chance: random.Random) -> Fault:
    data = bytearray(b"".join(members))
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    return Fault(bytes(data), {_member_at(members, at)})


def header_flip(members: list[bytes], chance: random.Random) -> Fault:
    number = chance.randrange(len(members))
    data = bytearray(b"".join(members))
    at = sum(map(len, members[:number])) + chance.randrange(10)
    data[at] ^= 1 << chance.randrange(8)
    return Fault(bytes(data), {number})


def truncation(members: list[bytes], chance: random.Random) -> Fault:
    data = b"".join(members)
    at = chance.randrange(1, len(data))
    return Fault(data[:at], set(range(_member_at(members, at), len(members))))


def clean_truncation(members: list[bytes], chance: random.Random) -> Fault:
    keep = chance.randrange(1, len(members))
    return Fault(b"".join(members[:keep]), set(range(keep, len(members))))


def removal(members: list[bytes], chance: random.Random) -> Fault:
    number = chance.randrange(len(members))
    return Fault(b"".join(members[:number] + members[number + 1 :]), {number})


def duplicate(members: list[bytes], chance: random.Random) -> Fault:
    number = chance.randrange(len(members))
    return Fault(b"".join(members[: number + 1] + members[number:]), set())


def swap(members: list[bytes], chance: random.Random) -> Fault:
    one, other = sorted(chance.sample(range(len(members)), 2))
    swapped = list(members)
    swapped[one], swapped[other] = members[other], members[one]
    return Fault(b"".join(swapped), set())


def forgery(members: list[bytes], chance: random.Random) -> Fault:
    """Replace a record by another that is right in itself, digests and all."""
    number = chance.randrange(1, len(members))
    forged = list(members)
    forged[number] = member(number, "metadata", b"a: forged one\r\n")
    return Fault(b"".join(forged), {number})


def garbage(members: list[bytes], chance: random.Random) -> Fault:
    return Fault(b"".join(members) + chance.randbytes(chance.randrange(1, 99)), set())


def zeroed_sector(members: list[bytes], chance: random.Random) -> Fault:
    data = bytearray(b"".join(members))
    start = chance.randrange(len(data) - 512)
    data[start : start + 512] = bytes(512)
    first, last = _member_at(members, start), _member_at(members, start + 511)
    return Fault(bytes(data), set(range(first, last + 1)))


def _member_at(members: list[bytes], at: int) -> int:
    for number, each in enumerate(members):
        at -= len(each)
        if at < 0:
            return number
    raise AssertionError


FAULTS = [
    (bit_flip, 120),
    (header_flip, 40),
    (truncation, 40),
    (clean_truncation, 15),
    (removal, 15),
    (duplicate, 15),
    (swap, 15),
    (forgery, 15),
    (garbage, 15),
    (zeroed_sector, 15),
]


@pytest.mark.parametrize(("inject", "times"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_every_fault_is_noticed_and_every_hurt_member_named(layout, inject, times):
    members = site_members(8)
    ends = [sum(map(len, members[: n + 1])) for n in range(len(members))]
    path = layout.root / WARC
    chance = random.Random(20260203)
    for turn in range(times):
        fault = inject(members, chance)
        path.write_bytes(fault.data)
        report = verify(layout, "records" if turn % 3 == 0 else "files", None)
        assert report.exit_code == 4
        assert report.findings[0].code == "E402"
        assert {finding.path for finding in report.findings} == {WARC}
        named = {
            ends.index((f.offset or 0) + f.length) if f.offset is not None else None
            for f in report.findings
            if f.record_id and f.severity == "error" and f.code != "E406" and f.length
        }
        assert fault.hurt <= named
        for finding in report.findings:
            if finding.offset is not None and finding.code != "E406":
                number = ends.index(finding.offset + finding.length) if finding.record_id else -1
                if number in fault.hurt:
                    assert finding.record_id == f"urn:uuid:{number}"
                    assert finding.affected == ((f"doc-{number}",) if number % 3 == 1 else ())
        # what was not hurt can still be read, by whoever has nothing but the file
        read = {found.sha256 for found in walk(path) if isinstance(found, Record)}
        whole = {sha256(each) for number, each in enumerate(members) if number not in fault.hurt}
        assert whole <= read


@pytest.mark.parametrize(
    ("inject", "times"),
    [
        (bit_flip, 150),
        (header_flip, 60),
        (truncation, 40),
        (garbage, 20),
        (zeroed_sector, 20),
        (duplicate, 10),
    ],
)
def test_a_file_without_any_manifest_shows_these_faults_by_itself(tmp_path, inject, times):
    members = site_members(8)
    path = tmp_path / "t.warc.gz"
    chance = random.Random(5)
    for _ in range(times):
        fault = inject(members, chance)
        path.write_bytes(fault.data)
        # the compressor's bytes XFL and OS say nothing about the content, and are free
        at = next(
            (
                n
                for n, (a, b) in enumerate(zip(fault.data, b"".join(members), strict=False))
                if a != b
            ),
            -1,
        )
        start = sum(map(len, members[: _member_at(members, at)])) if at >= 0 else 0
        if inject in (bit_flip, header_flip) and at - start in (8, 9):
            continue
        assert inspect(path, "t").findings


def test_damage_in_place_names_everything_that_hangs_on_it(layout):
    members = site_members(8)
    start = sum(map(len, members[:4]))
    damage(layout, WARC, lambda data: data[: start + 60] + b"\xff\xff" + data[start + 62 :])
    for level in ("files", "records"):
        report = verify(layout, level, None)
        whole, inner = report.findings
        assert (whole.code, whole.offset, whole.affected) == ("E402", None, ("doc-4",))
        assert inner.code in ("E102", "E103")
        assert (inner.offset, inner.length) == (start, len(members[4]))
        assert (inner.record_id, inner.affected) == ("urn:uuid:4", ("doc-4",))
        assert "doc-4" in report.as_text()


def test_without_an_intact_index_the_file_still_tells_what_it_can(layout):
    start = sum(map(len, site_members(8)[:4]))
    damage(layout, WARC, lambda data: data[: start + 60] + b"\xff\xff" + data[start + 62 :])
    damage(layout, WARC.replace(".warc.gz", ".members.jsonl"), lambda data: data[:-3])
    found = verify(layout, "files", None).findings
    assert [finding.code for finding in found if finding.path.endswith(".jsonl")] == ["E402"]
    (inner,) = (finding for finding in found if finding.offset is not None)
    assert (inner.offset, inner.affected) == (start, ("doc-4",))


@pytest.mark.parametrize(
    "path", [WARC, DOCUMENTS, f"warc/c/{NAME}.cdxj", f"warc/c/{NAME}.members.jsonl"]
)
@pytest.mark.parametrize("level", ["files", "records"])
def test_a_missing_file_is_named(layout, path, level):
    (layout.root / path).unlink()
    report = verify(layout, level, None)
    assert codes(report) == [("E401", path)]
    assert report.exit_code == 4
    # where the documents themselves are gone, the indexes tell what they were made of
    prefix = {WARC: "doc-", DOCUMENTS: "urn:uuid:"}.get(path)
    hurt = tuple(f"{prefix}{1 + 3 * n}" for n in range(8)) if prefix else ()
    assert report.findings[0].affected == hurt


@pytest.mark.parametrize("path", [WARC, DOCUMENTS, f"warc/c/{NAME}.cdxj"])
def test_a_link_in_place_of_a_file_is_not_followed(layout, path):
    real = layout.root / path
    moved = layout.root.parent / "elsewhere"
    real.rename(moved)
    real.symlink_to(moved)
    for level in ("files", "records"):
        assert codes(verify(layout, level, None)) == [("E404", path)]


def test_a_path_that_leads_out_is_never_opened(layout):
    secret = layout.root.parent / "secret"
    secret.write_bytes(b"x")
    with layout.manifest.open("a") as out:
        out.write(f"{sha256(b'x')}  warc/../../secret\n")
    assert [code for code, _ in codes(verify(layout, "files", None))] == ["E412"]


def test_a_file_in_no_manifest_is_named(layout):
    for name in ("warc/c/planted.warc.gz", "extracted/new.jsonl.gz", "warc/x"):
        (layout.root / name).write_bytes(b"x")
    found = verify(layout, "files", None)
    assert codes(found) == [
        ("E403", "extracted/new.jsonl.gz"),
        ("E403", "warc/c/planted.warc.gz"),
        ("E403", "warc/x"),
    ]
    assert found.exit_code == 4


def test_files_being_written_are_not_part_of_the_archive(layout):
    (layout.root / "warc" / "c" / "n.warc.gz.open").write_bytes(b"x")
    (layout.root / "extracted" / "c" / "n.jsonl.gz.tmp").write_bytes(b"x")
    with durable.exclusive(layout.lock, 0):
        report = verify(layout, "files", None)
    assert (report.exit_code, report.findings) == (0, [])


def test_what_nobody_goes_on_writing_is_named_and_makes_the_result_incomplete(layout):
    for name in ("warc/c/n.warc.gz.open", "extracted/c/n.jsonl.gz.tmp"):
        (layout.root / name).write_bytes(b"x")
    report = verify(layout, "files", None)
    assert codes(report) == [
        ("W403", "extracted/c/n.jsonl.gz.tmp"),
        ("W403", "warc/c/n.warc.gz.open"),
    ]
    assert (report.exit_code, report.as_json()["not_checked"]["unfinished"]) == (3, 2)
    assert "INCOMPLETE" in report.as_text() and "holdfast crawl" in report.as_text()


def test_a_ledger_that_begins_later_than_the_archive_is_noticed(layout):
    layout.ledger.unlink()
    sealed = manifest.read(layout.manifest).entries
    seal(layout, *sealed)
    report = verify(layout, "files", None)
    assert codes(report) == [("W422", "fixity/ledger.jsonl")]
    assert report.exit_code == 0


@pytest.mark.parametrize("collection", ["news.jsonl", "a.warc.gz", "b.r2"])
def test_a_collection_may_be_called_like_a_file(layout, collection):
    for path in sorted(layout.root.glob("*/c")):
        path.rename(path.with_name(collection))
    reseal(layout, "")
    warc = f"warc/{collection}/{NAME}.warc.gz"
    more = layout.root / f"extracted/{collection}/{NAME}0.jsonl.gz"
    more.write_bytes(gzip.compress(b'{"id":"other","provenance":{"offset":0}}\n'))
    seal(layout, layout.relative(more))
    (layout.root / warc).unlink()
    (finding,) = verify(layout, "records", None).findings
    assert (finding.code, finding.path) == ("E401", warc)
    assert finding.affected == tuple(f"doc-{1 + 3 * n}" for n in range(8))


def test_a_killed_process_is_told_and_how_to_do_without(layout):
    def kill_all() -> None:
        while len(children := multiprocessing.active_children()) < 2:
            time.sleep(0.001)
        for child in children:
            child.kill()

    killer = threading.Thread(target=kill_all, daemon=True)
    killer.start()
    with pytest.raises(HoldfastError, match="--workers 1"):
        verify(layout, "files", None, workers=2)
    killer.join()


def test_what_a_writer_has_not_entered_yet_is_in_progress(layout):
    (layout.root / "warc" / "c" / "new.warc.gz").write_bytes(b"x")
    with durable.exclusive(layout.lock, 0):
        report = verify(layout, "files", None)
    assert report.findings == []
    assert report.as_json()["not_checked"]["in_progress"] == 1
    assert report.exit_code == 3
    assert verify(layout, "files", None).exit_code == 4


def test_what_is_sealed_meanwhile_is_checked_too(layout):
    sealed: list[str] = []

    def seal_another(_progress: VerifyProgress) -> None:
        if not sealed:
            sealed.extend(store(layout, f"{NAME}-1", site_members(2, 100)))
            seal(layout, *sealed)

    report = verify(layout, "records", seal_another)
    assert (report.exit_code, report.findings) == (0, [])
    assert report.checked.files == 8


def test_a_crash_between_ledger_and_manifest_is_no_damage(layout):
    before = layout.manifest.read_bytes()
    paths = store(layout, f"{NAME}-1", site_members(2, 100))
    seal(layout, *paths)
    layout.manifest.write_bytes(before)
    report = verify(layout, "records", None)
    assert codes(report) == [("W413", path) for path in sorted(paths)]
    assert (report.exit_code, report.checked.files) == (0, 8)


def test_a_torn_ledger_line_is_no_damage(layout):
    with layout.ledger.open("ab") as out:
        out.write(b'{"eventDateTime')
    report = verify(layout, "files", None)
    assert codes(report) == [("W421", "fixity/ledger.jsonl")]
    assert report.exit_code == 0


def test_a_rolled_back_ledger_is_noticed(layout):
    lines = layout.ledger.read_bytes().splitlines(keepends=True)
    layout.ledger.write_bytes(b"".join(lines[:-1]))
    assert {code for code, _ in codes(verify(layout, "files", None))} == {"E413"}


@pytest.mark.parametrize(("lost", "code"), [("manifest", "E414"), ("ledger", "E423")])
def test_one_account_alone_still_guards_the_files(layout, lost, code):
    path: Path = getattr(layout, lost)
    path.unlink()
    report = verify(layout, "files", None)
    assert codes(report) == [(code, layout.relative(path))]
    assert report.checked.files == 4
    damage(layout, DOCUMENTS, lambda data: data[:-1])
    assert ("E402", DOCUMENTS) in codes(verify(layout, "files", None))


def test_an_account_that_is_a_folder_is_a_finding(layout):
    layout.manifest.unlink()
    layout.manifest.mkdir()
    report = verify(layout, "files", None)
    assert codes(report) == [("E106", "fixity/manifest-sha256.txt")]
    assert report.exit_code == 4


def reseal(layout: Layout, path: str) -> None:
    """Make ledger and manifest anew, as somebody might who hides a change."""
    layout.ledger.unlink()
    layout.manifest.unlink()
    seal(layout)
    everything = [p for p in layout.root.rglob("*") if p.is_file()]
    seal(layout, *(layout.relative(p) for p in everything if "fixity" not in p.parts))


@pytest.mark.parametrize(
    ("suffix", "code", "change"),
    [
        (
            ".members.jsonl",
            "E431",
            lambda data: data.replace(b'"type":"request"', b'"type":"reques"', 1),
        ),
        (".members.jsonl", "E431", lambda data: b"".join(data.splitlines(keepends=True)[1:])),
        (".cdxj", "E432", lambda data: data.replace(b'"200"', b'"404"', 1)),
        (".cdxj", "E432", lambda data: b"".join(data.splitlines(keepends=True)[1:])),
        (".cdxj", "E432", lambda data: data + data.splitlines(keepends=True)[-1]),
        (".cdxj", "E432", lambda data: b"nonsense\n"),
        (".cdxj", "W432", lambda data: data.replace(b"org,example)", b"org,example,)")),
    ],
)
def test_an_index_that_does_not_describe_its_file_is_noticed_even_when_sealed(
    layout, suffix, code, change
):
    path = f"warc/c/{NAME}{suffix}"
    damage(layout, path, change)
    reseal(layout, path)
    assert verify(layout, "files", None).exit_code == 0
    report = verify(layout, "records", None)
    assert codes(report) == [(code, path)]
    assert report.exit_code == (0 if code == "W432" else 4)


def test_an_index_that_lists_answers_304_is_of_another_version(layout):
    path = f"warc/c/{NAME}.cdxj"

    def with_304(data):
        line = data.splitlines(keepends=True)[0].replace(b'"200"', b'"304"')
        return b"".join(sorted([*data.splitlines(keepends=True), line]))

    damage(layout, path, with_304)
    reseal(layout, path)
    report = verify(layout, "records", None)
    assert (codes(report), report.exit_code) == ([("W432", path)], 0)


def test_a_record_changed_before_sealing_is_noticed_at_level_records(layout):
    data = (
        (layout.root / WARC)
        .read_bytes()
        .replace(
            site_members(8)[5],
            member(
                5,
                "request",
                b"x",
                WARC_Block_Digest="sha256:" + "0" * 64,
                WARC_Target_URI="http://example.org/1",
            ),
        )
    )
    (layout.root / WARC).write_bytes(data)
    reseal(layout, WARC)
    assert verify(layout, "files", None).exit_code == 0
    assert "E301" in {code for code, _ in codes(verify(layout, "records", None))}


def test_damaged_documents_are_noticed_even_when_sealed(layout):
    damage(layout, DOCUMENTS, lambda data: data[:-4])
    reseal(layout, DOCUMENTS)
    assert codes(verify(layout, "records", None)) == [("E441", DOCUMENTS)]


def test_a_warc_without_sealed_sidecars_is_noticed_at_level_records(layout):
    for suffix in (".cdxj", ".members.jsonl"):
        (layout.root / f"warc/c/{NAME}{suffix}").unlink()
    reseal(layout, WARC)
    assert sorted(code for code, _ in codes(verify(layout, "records", None))) == ["E431", "E432"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: run as another user")
def test_a_file_that_may_not_be_read_makes_the_result_incomplete(layout):
    (layout.root / WARC).chmod(0)
    report = verify(layout, "files", None)
    assert codes(report) == [("W106", WARC)]
    assert (report.exit_code, report.as_json()["not_checked"]["unreadable"]) == (3, 1)


def test_verify_writes_nothing(layout):
    before = {path: path.stat().st_mtime_ns for path in layout.root.rglob("*")}
    verify(layout, "records", None)
    assert {path: path.stat().st_mtime_ns for path in layout.root.rglob("*")} == before


def test_a_copy_of_an_archive_is_as_good(layout, tmp_path):
    copy = Layout(tmp_path / "copy")
    shutil.copytree(layout.root, copy.root)
    assert verify(copy, "records", None).as_json() == verify(layout, "records", None).as_json()


def test_the_verb_loads_no_library_that_only_a_crawl_needs():
    script = (
        "import sys, pipeline.stages.verify; "
        "print([name for name in ('requests', 'lxml', 'trafilatura', 'rich', 'warcio', 'bs4', "
        "'sqlite3') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
