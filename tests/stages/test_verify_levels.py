"""The levels of verification: what each one finds, what it leaves out, and that it says so."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.extract.policy import ExtractPolicy
from pipeline.fixity import ledger, manifest
from pipeline.fixity.ledger import FIRST
from pipeline.fixity.manifest import Manifest
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.stages.extract import extract
from pipeline.stages.verify import verify
from pipeline.stages.verify_deep import verify_deep
from pipeline.stages.verify_report import LEFT, VerifyReport

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
POLICY = ExtractPolicy()
HTML = ("Content-Type: text/html",)


def page(number: int) -> bytes:
    return b"<html><title>Log %d</title><p>Fog until four, and rain.</html>" % number


def extract_all(layout: Layout, policy: ExtractPolicy = POLICY) -> None:
    extract(
        layout,
        policy,
        ["c"],
        everything=True,
        workers=1,
        observe=lambda _: None,
        now=NOW,
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory, shelf_at) -> tuple[Layout, list[Name]]:
    """Give an archive of two WARC files with three documents each, and what has none."""
    shelf = shelf_at(tmp_path_factory.mktemp("levels") / "archive")
    names = []
    for day in range(2):
        warc = shelf.begin()
        for number in range(3):
            warc.add(f"http://example.org/{day}/{number}.html", page(number), HTML)
        warc.add("http://example.org/robots.txt", b"User-agent: *", ("Content-Type: text/plain",))
        warc.add(f"http://example.org/{day}/x", b"gone", HTML, status="404 Not Found")
        warc.add(f"http://example.org/{day}/i.gif", b"GIF89a....", ("Content-Type: image/gif",))
        warc.add(f"http://example.org/{day}/s.css", b"p {top: 0}", ("Content-Type: text/css",))
        names.append(warc.seal())
    extract_all(shelf.layout)
    return shelf.layout, names


@pytest.fixture
def archive_of(original, tmp_path) -> tuple[Layout, Name, Name]:
    layout, (one, other) = original
    copy = Layout(tmp_path / "archive")
    shutil.copytree(layout.root, copy.root, dirs_exist_ok=True)
    return copy, one, other


def deep(layout: Layout, level: Any = "extracts", policy: ExtractPolicy = POLICY) -> VerifyReport:
    return verify_deep(layout, policy, level, lambda _: None, workers=1)


def codes(report: VerifyReport) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in report.findings]


def reseal(layout: Layout, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Make the chain of the ledger and the manifest anew, as somebody might who hides a change."""
    # of an archive that is not signed, on a machine that has not seen it before
    layout.checkpoint.unlink(missing_ok=True)
    layout.seen.unlink(missing_ok=True)
    events = [json.loads(line) for line in layout.ledger.read_bytes().splitlines()]
    previous, lines, entries = FIRST, [], {}
    for event in events:
        change(event)
        event["previous"] = previous
        for each in event["linkingObject"]:
            data = (layout.root / each["path"]).read_bytes()
            each["sha256"], each["size"] = hashlib.sha256(data).hexdigest(), len(data)
            entries[each["path"]] = each["sha256"]
        lines.append(canonical.line(event))
        previous = hashlib.sha256(lines[-1]).hexdigest()
    layout.ledger.write_bytes(b"".join(lines))
    manifest.write(layout.manifest, Manifest(entries=entries))


def rewrite(layout: Layout, path: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of a file of documents, and seal it as if it had always been so."""
    file = layout.root / path
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    changed = change(lines)
    assert changed != lines
    file.write_bytes(gzip.compress(b"".join(changed), mtime=0))
    reseal(layout)


def edited(number: int, **values: Any) -> Callable[[list[bytes]], list[bytes]]:
    """Change fields of one document; a name with two underscores is a field of provenance."""

    def change(lines: list[bytes]) -> list[bytes]:
        document = json.loads(lines[number])
        for name, value in values.items():
            holder = document["provenance"] if name.startswith("from__") else document
            holder[name.removeprefix("from__")] = value
        return [*lines[:number], canonical.line(document), *lines[number + 1 :]]

    return change


def ids(layout: Layout, path: str) -> list[str]:
    return [
        json.loads(line)["id"]
        for line in gzip.decompress((layout.root / path).read_bytes()).splitlines()
    ]


def spoil(layout: Layout, path: str, at: int, data: bytes = b"\xff\xff") -> None:
    before = (layout.root / path).read_bytes()
    after = before[:at] + data + before[at + len(data) :]
    assert after != before
    (layout.root / path).write_bytes(after)


def test_quick_reads_no_file_and_says_so(archive_of):
    layout, one, _ = archive_of
    spoil(layout, one.warc, 300)
    report = verify(layout, "quick")
    told = report.as_json()
    assert (report.exit_code, told["findings"]) == (0, [])
    assert told["checked"] == {"files": 8, "members": 0, "records": 0, "documents": 0}
    assert (told["not_checked"]["contents"], told["bytes_read"]) == (8, 0)
    assert "not read" in report.as_text() and "not read" in told["not_proven"].replace("was", "not")


def test_quick_finds_what_names_and_sizes_show(archive_of):
    layout, one, other = archive_of
    (layout.root / one.cdxj).unlink()
    with (layout.root / other.warc).open("ab") as out:
        out.write(b"x")
    (layout.root / "warc/c/more").write_bytes(b"")
    (layout.root / other.members).unlink()
    (layout.root / other.members).symlink_to("/dev/zero")
    report = verify(layout, "quick")
    assert codes(report) == [
        ("E401", one.cdxj),
        ("E404", other.members),
        ("E402", other.warc),
        ("E403", "warc/c/more"),
    ]
    assert report.exit_code == 4


@pytest.mark.parametrize("level", ["quick", "extracts", "reproduce"])
def test_nothing_checked_is_never_a_success(tmp_path, level):
    layout = Layout(tmp_path)
    report = verify(layout, level) if level == "quick" else deep(layout, level)
    assert (report.exit_code, report.ok) == (3, False)


def test_a_sound_archive_passes_every_level(archive_of):
    layout, _, _ = archive_of
    for level in ("extracts", "reproduce"):
        report = deep(layout, level)
        told = report.as_json()
        assert (report.exit_code, codes(report)) == (0, [])
        assert (told["checked"]["files"], told["checked"]["documents"]) == (8, 6)
        assert told["checked"].get("reproduced") == (6 if level == "reproduce" else None)
        assert {told["not_checked"][key] for key in LEFT} == {0}
        assert "INTACT" in report.as_text()


def test_a_warc_that_was_not_extracted_yet_is_not_damage(archive_of, shelf_at):
    layout, _, _ = archive_of
    shelf = shelf_at(layout.root)
    shelf.days = 7
    shelf.begin().seal()
    report = deep(layout)
    # the shelf seals and, unlike a verb, leaves the checkpoint for the next writer
    assert (report.exit_code, [each.code for each in report.findings]) == (3, ["W451"])
    assert report.as_json()["not_checked"]["not_extracted"] == 1
    assert "holdfast extract" in report.as_text()


def test_a_warc_that_was_mended_after_it_was_extracted_is_not_damage(archive_of):
    layout, one, _ = archive_of
    whole = (layout.root / one.warc).read_bytes()
    members = [json.loads(line) for line in (layout.root / one.members).read_bytes().splitlines()]
    spoil(layout, one.warc, [each for each in members if each["type"] == "response"][1]["offset"])
    extract_all(layout)
    (layout.root / one.warc).write_bytes(whole)
    report = deep(layout)
    assert (report.exit_code, report.findings) == (3, [])
    assert report.as_json()["not_checked"]["not_extracted"] == 1
    assert deep(layout, "reproduce").findings == []
    extract_all(layout)
    report = deep(layout, "reproduce")
    assert (report.exit_code, report.findings, report.reproduced) == (0, [], 6)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edited(1, text="Something else."), {"E444"}),
        (edited(1, from__offset=10), {"E443", "E445"}),
        (edited(1, from__length=10), {"E443"}),
        (edited(1, from__record_id="urn:uuid:other", id="urn:uuid:other"), {"E443"}),
        (edited(1, id="urn:uuid:other"), {"E443"}),
        (edited(1, from__payload_digest="sha256:" + "0" * 64), {"E443"}),
        (edited(1, from__block_digest=None), {"E443"}),
        (edited(1, from__warc="../../../etc/passwd"), {"E443"}),
        (edited(1, from__warc="warc/c/other.warc.gz"), {"E443"}),
        (edited(1, url="http://example.org/x", final_url="http://example.org/x"), {"E443"}),
        (edited(1, final_url="http://example.org/x"), {"E443"}),
        (edited(1, collection="d"), {"E443"}),
        (edited(1, captured_at="1999-01-01T00:00:00Z"), {"E443"}),
        (edited(1, more="x"), {"E442", "E445"}),
        (edited(1, coverage=-1), {"E442", "E445"}),
        (edited(1, text_method="guessed"), {"E442", "E445"}),
        (lambda lines: [lines[0], lines[1].replace(b":", b": ", 1), lines[2]], {"E442", "E445"}),
        (lambda lines: [lines[0], b"[" * 100_000 + b"\n", lines[2]], {"E442", "E445"}),
        (lambda lines: [lines[0], b"\n", lines[1], lines[2]], {"E442"}),
        (lambda lines: [lines[0], lines[2]], {"E445"}),
        (lambda lines: [], {"E445"}),
        (lambda lines: [lines[1], lines[0], lines[2]], {"E443", "E445"}),
        (lambda lines: [*lines, lines[2]], {"E443"}),
    ],
)
def test_documents_that_were_tampered_with_are_named(archive_of, change, expected):
    layout, one, _ = archive_of
    path = one.documents()
    rewrite(layout, path, change)
    assert verify(layout, "records").exit_code == 0
    report = deep(layout)
    assert report.exit_code == 4
    assert {code for code, _ in codes(report)} == expected
    assert {found for _, found in codes(report)} <= {path, one.warc}
    missing = [finding for finding in report.findings if finding.code == "E445"]
    assert all(finding.record_id and finding.length for finding in missing)
    if expected in ({"E443"}, {"E444"}):
        (finding,) = report.findings
        assert finding.affected[0] in ids(layout, path)


def test_a_made_up_reason_is_noticed(archive_of):
    layout, one, _ = archive_of

    def lie(event: dict[str, Any]) -> None:
        detail = event["eventDetail"]
        if detail.get("warc") == one.warc:
            detail["skipped"]["status-404"] -= 1
            detail["skipped"]["status-410"] = 1

    reseal(layout, lie)
    assert codes(deep(layout)) == [("E445", one.documents())]


def test_a_document_that_names_another_maker_than_the_ledger_is_named(archive_of):
    layout, one, _ = archive_of

    def change(lines: list[bytes]) -> list[bytes]:
        return [line.replace(b'"version":"', b'"version":"9') for line in lines]

    rewrite(layout, one.documents(), change)
    report = deep(layout, "reproduce")
    assert {code for code, _ in codes(report)} == {"E443", "E501"}
    assert report.exit_code == 4


def test_other_settings_make_documents_that_cannot_be_compared(archive_of):
    layout, one, other = archive_of
    report = deep(layout, "reproduce", ExtractPolicy(max_links=5))
    assert codes(report) == [("W501", one.documents()), ("W501", other.documents())]
    told = report.as_json()
    assert (report.exit_code, told["checked"]["reproduced"]) == (3, 0)
    assert told["not_checked"]["not_comparable"] == 6
    assert "[extract]" in report.findings[0].message and "extract --all" in report.as_text()


def test_another_version_makes_documents_that_cannot_be_compared(archive_of):
    layout, one, _ = archive_of

    def of_old(event: dict[str, Any]) -> None:
        if event["eventDetail"].get("warc") == one.warc:
            event["linkingAgent"]["version"] = "0.0.1"

    def change(lines: list[bytes]) -> list[bytes]:
        return [
            canonical.line(
                {
                    **(told := json.loads(line)),
                    "extractor": {**told["extractor"], "version": "0.0.1"},
                }
            )
            for line in lines
        ]

    rewrite(layout, one.documents(), change)
    reseal(layout, of_old)
    report = deep(layout, "reproduce")
    assert codes(report) == [("W501", one.documents())]
    assert "0.0.1" in report.findings[0].message
    assert (report.exit_code, report.reproduced) == (3, 3)


def test_a_document_that_comes_out_otherwise_is_exit_5(archive_of):
    layout, one, _ = archive_of
    path = one.documents()
    text = "Fog until five."
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    rewrite(layout, path, edited(1, text=text, text_sha256=digest))
    assert deep(layout).exit_code == 0
    report = deep(layout, "reproduce")
    assert codes(report) == [("E501", path)]
    assert report.findings[0].affected == (ids(layout, path)[1],)
    assert (report.exit_code, report.ok) == (5, False)
    assert "NOT REPRODUCIBLE" in report.as_text()
    (layout.root / one.cdxj).unlink()
    assert deep(layout, "reproduce").exit_code == 4


def test_of_several_revisions_the_latest_is_derived_again(archive_of):
    layout, _, _ = archive_of
    policy = ExtractPolicy(max_links=5)
    extract_all(layout, policy)
    report = deep(layout, "reproduce", policy)
    told = report.as_json()
    assert (report.exit_code, codes(report)) == (0, [])
    assert (told["checked"]["documents"], told["checked"]["reproduced"]) == (12, 6)
    assert told["not_checked"]["superseded"] == 6


def test_damage_is_local(archive_of):
    layout, one, other = archive_of
    members = [json.loads(line) for line in (layout.root / one.members).read_bytes().splitlines()]
    hurt = [each for each in members if each["type"] == "response"][1]
    documents = {name: ids(layout, name.documents()) for name in (one, other)}
    spoil(layout, one.warc, hurt["offset"] + 60)
    spoil(layout, other.documents(), (layout.root / other.documents()).stat().st_size // 2)
    report = deep(layout, "reproduce")
    assert report.exit_code == 4
    found = {(finding.code, finding.path): finding for finding in report.findings}
    assert set(found) >= {
        ("E402", one.warc),
        ("E402", other.documents()),
        ("E441", other.documents()),
    }
    inner = next(f for f in report.findings if f.path == one.warc and f.offset is not None)
    assert (inner.offset, inner.length) == (hurt["offset"], hurt["length"])
    assert (inner.record_id, inner.affected) == (hurt["record_id"], (hurt["record_id"],))
    assert found["E402", other.documents()].affected == tuple(documents[other])
    lost = found["E441", other.documents()].affected
    assert lost and set(lost) <= set(documents[other])
    told = report.as_json()
    assert (told["checked"]["files"], told["not_checked"]["documents"] >= 1) == (8, True)
    # all but what came from the damaged member, and what the damaged file lost, was checked
    assert told["checked"]["documents"] == 2 + 3 - len(lost)


def test_an_unreadable_file_of_documents_is_explained_by_another_revision(archive_of):
    layout, one, _ = archive_of
    before = ids(layout, one.documents())
    extract_all(layout, ExtractPolicy(max_links=5))
    (layout.root / one.documents()).write_bytes(b"")
    (layout.root / one.cdxj).unlink()
    found = {f.path: f for f in verify(layout, "files").findings}
    assert found[one.documents()].affected == tuple(before)


def test_a_bomb_of_documents_ends_in_a_finding(archive_of):
    layout, one, _ = archive_of
    bomb = gzip.compress(b"x" * (100 << 20), 9, mtime=0)
    for data in (bomb, gzip.compress(b"{}\n" * 3_000_000, 9, mtime=0)):
        (layout.root / one.documents()).write_bytes(data)
        reseal(layout)
        report = deep(layout)
        assert ("E441", one.documents()) in codes(report)
        assert len(report.findings) < 1_100


def test_a_ledger_of_bombs_is_a_finding(archive_of):
    layout, _, _ = archive_of
    with layout.ledger.open("ab") as out:
        out.write(b'{"seq":' + b"[" * 1_000_000 + b"\n")
        out.write(b"[" + b"[]," * 33_000_000 + b"[]]\n")
    report = verify(layout, "files")
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert {finding.path for finding in errors} == {"fixity/ledger.jsonl"}
    assert report.exit_code == 4 and report.checked.files == 8


def test_accounts_that_are_links_are_not_followed(archive_of):
    layout, _, _ = archive_of
    layout.ledger.unlink()
    layout.ledger.symlink_to("/dev/zero")
    report = verify(layout, "quick")
    assert codes(report) == [("E404", "fixity/ledger.jsonl")]
    assert report.exit_code == 4


def test_a_link_in_place_of_documents_is_not_followed(archive_of, tmp_path):
    layout, one, _ = archive_of
    file = layout.root / one.documents()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    report = deep(layout, "reproduce")
    assert codes(report) == [("E404", one.documents())]
    assert len(report.findings[0].affected) == 3


def test_the_ledger_is_read_as_it_is(archive_of):
    layout, one, _ = archive_of
    extraction = ledger.read(layout.ledger).extractions[one.documents()]
    assert (extraction.documents, extraction.damaged) == (3, 0)
    assert sum(extraction.skipped.values()) == 4


def test_beside_damage_everything_is_extracted_and_shown(archive, archive_of):
    layout, one, other = archive_of
    archive.collection("c", "http://example.org/\n")
    members = [json.loads(line) for line in (layout.root / one.members).read_bytes().splitlines()]
    hurt = [each for each in members if each["type"] == "response"][1]
    spoil(layout, one.warc, hurt["offset"] + 60)
    spoil(layout, other.documents(), 30)
    told = archive.json("verify", "--level", "extracts", exit_code=4)
    affected = {name for finding in told["findings"] for name in finding["affected"]}
    assert affected == {hurt["record_id"], *ids_of(layout, other)}
    assert told["checked"]["files"] == 8

    told = archive.json("extract", "--all", exit_code=3)
    assert told["documents"] == 2 + 3
    assert [(each["path"], each["offset"]) for each in told["damaged"]] == [
        (one.warc, hurt["offset"])
    ]
    for day, number in itertools.product(range(2), range(3)):
        shown = archive.run("show", "--text", f"http://example.org/{day}/{number}.html")
        if (day, number) != (0, 1):
            assert shown.returncode == 0
            assert "Fog until four" in shown.stdout
        assert "Traceback" not in shown.stderr


def ids_of(layout: Layout, name: Name) -> list[str]:
    """Give the ids of the records that documents are made of."""
    lines = (layout.root / name.members).read_bytes().splitlines()
    return [
        told["record_id"]
        for told in map(json.loads, lines)
        if told["type"] == "response" and told["uri"].endswith(".html")
    ]


ROOM_KB = 1_000_000
BOMBS = {
    "nested": lambda: b'{"title":' * 7_000_000,
    "many": lambda: b'{"title":{"more":[' + b"[]," * 21_000_000 + b"[]]}}\n",
    "flags": lambda: b'{"flags":[' + b'"",' * 21_000_000 + b'""]}\n',
    "links": lambda: (
        b'{"links":[' + b'{"rel":null,"tag":"a","text":"","url":"x"},' * 1_500_000 + b"1]}\n"
    ),
    "no end": lambda: b"x" * (100 << 20),
    "lines": lambda: b"{}\n" * 9_000_000,
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory cannot be limited so")
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_of_json_cost_bounded_memory(archive, archive_of, bomb):
    layout, one, _ = archive_of
    (layout.root / one.documents()).write_bytes(gzip.compress(BOMBS[bomb](), 9, mtime=0))
    reseal(layout)
    command = archive.command("-q", "--json", "verify", "--level", "reproduce", "--workers", "1")
    # of this the interpreter and its libraries take a half
    limited = ["sh", "-c", f'ulimit -v {ROOM_KB}; exec "$0" "$@"', *command]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (4, "")
    found = json.loads(done.stdout)["findings"]
    assert {finding["path"] for finding in found} <= {one.documents(), one.warc}
    assert {finding["code"] for finding in found} & {"E441", "E442"}
