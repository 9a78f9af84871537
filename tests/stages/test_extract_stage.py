"""The extract stage: documents beside each sealed WARC file, in order, sealed, and repeatable."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ArchiveLocked, StorageError
from pipeline.extract.policy import ExtractPolicy
from pipeline.fixity import manifest
from pipeline.fixity.documents import DocumentLines
from pipeline.model.document import MAX_LINE
from pipeline.model.layout import Layout
from pipeline.stages import sealing
from pipeline.stages.extract import extract
from pipeline.stages.extract_report import ExtractReport, Progress

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
PAGE = b"<html><title>%s</title><p>Fog until four.</html>"


def http(body: bytes, kind: str = "text/html", status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + body


@dataclass
class Warc:
    """The records of a WARC file as gzip members."""

    members: list[bytes] = field(default_factory=list)

    def add(self, block: bytes, kind: str = "response", **more: str) -> Warc:
        number = len(self.members)
        fields = {
            "WARC-Type": kind,
            "WARC-Record-ID": f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>",
            "WARC-Date": "2026-01-02T03:04:05Z",
            "WARC-Target-URI": f"http://log.example/{number}.html",
            "Content-Type": "application/http;msgtype=response",
            "Content-Length": str(len(block)),
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        stream = zlib.compressobj(6, zlib.DEFLATED, 31)
        content = head.encode() + b"\r\n" + block + b"\r\n\r\n"
        self.members.append(stream.compress(content) + stream.flush())
        return self


@dataclass
class Archive:
    """An archive in a folder, whose WARC files the tests write and seal."""

    layout: Layout
    policy: ExtractPolicy = field(default_factory=ExtractPolicy)
    seen: list[Progress] = field(default_factory=list)

    def seal(
        self, warc: Warc, name: str = "log-20260102030405-00000-w0", collection: str = "log"
    ) -> Path:
        path = self.layout.warc(collection) / f"{name}.warc.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(warc.members))
        sealing.enter(self.layout, [path], event_type="capture", detail={}, now=NOW)
        return path

    def extract(self, **options: Any) -> ExtractReport:
        settings: dict[str, Any] = {"everything": False, "workers": 2, "now": NOW, **options}
        names = settings.pop("collections", ["log"])
        return extract(self.layout, self.policy, names, observe=self.seen.append, **settings)

    def listed(self) -> set[str]:
        read = manifest.read(self.layout.manifest)
        return set(read.entries) if read else set()

    def documents(self, path: str) -> list[dict[str, Any]]:
        lines = gzip.decompress((self.layout.root / path).read_bytes()).splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    layout = Layout(tmp_path)
    sealing.recover(layout, NOW)
    return Archive(layout)


FILE = "extracted/log/log-20260102030405-00000-w0.jsonl.gz"


def test_pages_become_documents_in_record_order_and_the_rest_is_counted(archive: Archive) -> None:
    warc = Warc()
    warc.add(b"software: x\r\n", "warcinfo")
    for number in range(12):
        warc.add(http(PAGE % b"page %d" % number))
        warc.add(b"GET / HTTP/1.1\r\n\r\n", "request")
    warc.add(http(b"gone", status="404 Not Found"))
    warc.add(http(b"", status="301 Moved", more="Location: /\r\n"))
    warc.add(http(b"GIF89a...", "image/gif"))
    warc.add(http(b"Fog.\r\n", "text/plain"))
    warc.add(http(b""), "revisit")
    warc.add(b"\0\1", WARC_Target_URI="dns:log.example")
    warc.add(b"HTTP/1.1 200 OK\r\nContent-")
    archive.seal(warc)

    report = archive.extract()

    assert report.as_json() == {
        "documents": 13,
        "skipped": {
            "status-404": 1,
            "redirect": 1,
            "media-type image/gif": 1,
            "revisit": 1,
            "not-http": 1,
            "no-http-head": 1,
        },
        "anomalies": {},
        "files": [FILE],
        "damaged": [],
    }
    assert report.exit_code == 0
    documents = archive.documents(FILE)
    titles = [document["title"]["value"] for document in documents[:-1]]
    assert titles == [f"page {number}" for number in range(12)]
    assert documents[-1]["text"] == "Fog.\n"


def test_a_document_points_at_the_member_it_was_made_from(archive: Archive) -> None:
    warc = Warc().add(b"x: y\r\n", "warcinfo")
    warc.add(http(PAGE % b"t"), WARC_Payload_Digest="sha256:ab", WARC_Block_Digest="sha256:cd")
    path = archive.seal(warc)

    archive.extract()

    (document,) = archive.documents(FILE)
    where = document["provenance"]
    member = path.read_bytes()[where["offset"] : where["offset"] + where["length"]]
    assert PAGE % b"t" in gzip.decompress(member)
    assert where["warc"] == "warc/log/log-20260102030405-00000-w0.warc.gz"
    assert where["record_id"] == document["id"] == "urn:uuid:00000000-0000-4000-8000-000000000001"
    assert (where["payload_digest"], where["block_digest"]) == ("sha256:ab", "sha256:cd")
    assert document["captured_at"] == "2026-01-02T03:04:05Z"


def test_the_file_is_sealed_and_the_ledger_tells_how_it_was_made(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"t")))

    archive.extract()

    check = subprocess.run(
        ["sha256sum", "-c", "--strict", "fixity/manifest-sha256.txt"],
        cwd=archive.layout.root,
        capture_output=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr
    event = json.loads(archive.layout.ledger.read_text().splitlines()[-1])
    assert (event["eventType"], event["eventOutcome"]) == ("extraction", "success")
    assert [each["path"] for each in event["linkingObject"]] == [FILE]
    detail = event["eventDetail"]
    assert detail["warc"] == "warc/log/log-20260102030405-00000-w0.warc.gz"
    assert detail["documents"] == 1
    assert detail["environment"]["trafilatura"]
    assert not list(archive.layout.root.rglob("*.tmp"))


def test_only_what_is_new_is_extracted(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"one")))
    archive.extract()
    archive.seal(Warc().add(http(PAGE % b"two")), "log-20260102030405-00001-w0")

    report = archive.extract()

    assert report.files == ("extracted/log/log-20260102030405-00001-w0.jsonl.gz",)
    assert archive.extract().files == ()


def test_a_file_that_was_never_sealed_is_written_again(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"t")))
    leftover = archive.layout.root / FILE
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"cut sho")

    archive.extract()

    assert archive.documents(FILE)[0]["title"]["value"] == "t"


_KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline.extract.policy import ExtractPolicy
from pipeline.model.layout import Layout
from pipeline.stages import sealing
from pipeline.stages.extract import extract

sealing.enter = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
extract(
    Layout(Path(sys.argv[1])), ExtractPolicy(max_links=7), ["log"], everything=True, workers=2,
    observe=lambda _: None, now=datetime(2026, 2, 3, tzinfo=UTC),
)
"""


@pytest.mark.parametrize("revision", [1, 2])
def test_what_a_kill_between_rename_and_seal_left_is_removed(
    archive: Archive, revision: int
) -> None:
    """The worker processes end too: else they would hold the pipe that is read here."""
    archive.seal(Warc().add(http(PAGE % b"t")))
    if revision == 2:
        archive.extract()
    left = archive.layout.root / (FILE if revision == 1 else FILE.replace(".jsonl", ".r2.jsonl"))

    child = subprocess.run(
        [sys.executable, "-c", _KILLED, str(archive.layout.root)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert child.returncode == -9, child.stderr.decode()
    assert left.exists()

    report = archive.extract()

    assert report.files == ((FILE,) if revision == 1 else ())
    assert left.exists() is (revision == 1)
    assert archive.documents(FILE)[0]["title"]["value"] == "t"
    on_disk = archive.layout.root.glob("extracted/log/*")
    assert [archive.layout.relative(path) for path in on_disk] == [FILE]
    assert FILE in archive.listed()


def test_leftovers_are_removed_and_what_is_not_ours_is_kept(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"t")))
    archive.extract()
    folder = archive.layout.extracted("log")
    stem = FILE.rpartition("/")[2].removesuffix(".jsonl.gz")
    ours = [f"{stem}.r3.jsonl.gz", f"{stem}.r2.jsonl.gz.tmp", f"{stem}.jsonl.gz.tmp"]
    theirs = ["notes.jsonl.gz", "README.txt", ".gitkeep", f"{stem}.csv"]
    for name in (*ours, *theirs):
        (folder / name).write_bytes(b"x")

    archive.extract()

    assert {path.name for path in folder.iterdir()} == {f"{stem}.jsonl.gz", *theirs}


def test_a_collection_may_be_called_like_a_file(archive: Archive) -> None:
    name = "news.jsonl-20260102030405-00000-w0"
    archive.seal(Warc().add(http(PAGE % b"t")), name, "news.jsonl")
    first = f"extracted/news.jsonl/{name}.jsonl.gz"
    second = f"extracted/news.jsonl/{name}.r2.jsonl.gz"

    assert archive.extract(collections=["news.jsonl"]).files == (first,)
    assert archive.extract(collections=["news.jsonl"]).files == ()
    archive.policy = ExtractPolicy(max_links=7)
    again = archive.extract(collections=["news.jsonl"], everything=True)
    assert again.files == (second,)
    assert archive.listed() >= {first, second}


def test_all_writes_a_revision_only_where_documents_differ(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"t")))
    archive.extract()
    first = (archive.layout.root / FILE).read_bytes()

    assert archive.extract(everything=True).files == ()

    archive.policy = ExtractPolicy(max_links=7)
    second = FILE.replace(".jsonl.gz", ".r2.jsonl.gz")
    assert archive.extract(everything=True).files == (second,)
    assert archive.extract(everything=True).files == ()
    assert archive.extract().files == ()
    assert (archive.layout.root / FILE).read_bytes() == first
    assert not list(archive.layout.root.rglob("*.tmp"))


def test_worker_count_does_not_show_in_the_bytes(archive: Archive, tmp_path: Path) -> None:
    warc = Warc()
    for number in range(20):
        warc.add(http(PAGE % b"page %d" % number))
    archive.seal(warc)
    other = Archive(Layout(tmp_path / "other"))
    sealing.recover(other.layout, NOW)
    other.seal(warc)

    archive.extract(workers=1)
    other.extract(workers=3)

    assert (archive.layout.root / FILE).read_bytes() == (other.layout.root / FILE).read_bytes()


def test_damage_costs_one_record_and_exit_3(archive: Archive) -> None:
    warc = Warc()
    for number in range(3):
        warc.add(http(PAGE % b"page %d" % number))
    member = bytearray(warc.members[1])
    member[len(member) // 2] ^= 0xFF
    offset = len(warc.members[0])
    warc.members[1] = bytes(member)
    archive.seal(warc)

    report = archive.extract()

    titles = [document["title"]["value"] for document in archive.documents(FILE)]
    assert titles == ["page 0", "page 2"]
    assert report.exit_code == 3
    assert [(each.offset, each.length) for each in report.damaged] == [(offset, len(member))]
    event = json.loads(archive.layout.ledger.read_text().splitlines()[-1])
    assert event["eventOutcome"] == "incomplete"
    assert "Not readable" in report.as_text()


def test_a_missing_warc_is_reported(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"t"))).unlink()

    report = archive.extract()

    assert report.exit_code == 3
    assert [each.offset for each in report.damaged] == [None]


@pytest.mark.parametrize(
    ("block", "more", "code"),
    [
        (
            http(b"\x1f\x8b broken", more="Content-Encoding: gzip\r\n"),
            {},
            "content-encoding-broken",
        ),
        (http(b"<p>x", more="Content-Encoding: br\r\n"), {}, "content-encoding-unsupported"),
        (http(b"<p>x", more="Content-Length: 99\r\n"), {}, "truncated"),
        (http(b"<p>x"), {"WARC_Truncated": "length"}, "truncated"),
        (http(b"<p>" + b"word " * 1_000), {}, "content-too-large"),
    ],
)
def test_what_is_not_whole_is_said(
    archive: Archive, block: bytes, more: dict[str, str], code: str
) -> None:
    archive.policy = ExtractPolicy(max_document_bytes=2_000)
    archive.seal(Warc().add(block, **more))

    assert archive.extract().anomalies == {code: 1}


def test_content_and_transfer_codings_are_undone(archive: Archive) -> None:
    packed = gzip.compress(PAGE % b"packed")
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    more = "Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"
    archive.seal(Warc().add(http(chunked, more=more)))

    archive.extract()

    assert archive.documents(FILE)[0]["title"]["value"] == "packed"


def test_an_answer_without_a_head_is_read_as_what_it_is(archive: Archive) -> None:
    """HTTP/0.9 has no status line and no fields."""
    archive.seal(Warc().add(PAGE % b"old"))

    archive.extract()

    (document,) = archive.documents(FILE)
    assert (document["title"]["value"], document["media_type"]["http"]) == ("old", None)


def test_a_page_that_uses_up_its_time_costs_one_document(archive: Archive) -> None:
    """The kernel ends the worker; the pages beside it are made all the same."""
    archive.policy = ExtractPolicy(max_cpu_s=1, max_document_bytes=10_000_000)
    warc = Warc().add(http(PAGE % b"before"))
    warc.add(http(b"<html><body>" + b"<p><b>word</b> word</p>\n" * 400_000))
    for number in range(4):
        warc.add(http(PAGE % b"after %d" % number))
    archive.seal(warc)

    report = archive.extract()

    assert report.anomalies == {"worker-died": 1}
    assert (report.documents, report.exit_code) == (6, 0)
    documents = archive.documents(FILE)
    assert [document["text_method"] for document in documents] == ["full", "none"] + ["full"] * 4
    assert documents[1]["text"] == ""


def test_an_interruption_leaves_nothing_half_done(archive: Archive) -> None:
    warc = Warc()
    for number in range(30):
        warc.add(http(PAGE % b"page %d" % number))
    archive.seal(warc)

    report = archive.extract(interrupted=lambda: len(archive.seen) > 3)

    assert (report.exit_code, report.files) == (130, ())
    assert not list((archive.layout.root / "extracted").rglob("*.*"))
    assert archive.extract().documents == 30


def test_an_interruption_after_the_rename_still_seals(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"one")))
    archive.seal(Warc().add(http(PAGE % b"two")), "log-20260102030405-00001-w0")

    report = archive.extract(interrupted=(archive.layout.root / FILE).exists)

    assert (report.exit_code, report.files) == (130, (FILE,))
    assert {path for path in archive.listed() if path.startswith("extracted/")} == {FILE}
    assert archive.extract().files == (FILE.replace("00000-w0", "00001-w0"),)


def test_an_interruption_that_stopped_nothing_is_none(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"one")))

    report = archive.extract(interrupted=(archive.layout.root / FILE).exists)

    assert (report.exit_code, report.interrupted, report.files) == (0, False, (FILE,))


def test_a_document_that_would_be_too_long_a_line_says_so(archive: Archive) -> None:
    """Each of these control characters is six in JSON, and a document holds its text twice."""
    archive.seal(
        Warc().add(http(PAGE % b"t")).add(http(b"log " * 400 + b"\1" * 7_900_000, "text/plain"))
    )

    report = archive.extract()

    assert report.anomalies == {"document-too-large": 1}
    documents = archive.documents(FILE)
    assert [each["text_method"] for each in documents] == ["full", "none"]
    assert (documents[1]["text"], documents[1]["text_full"]) == ("", "")
    assert str(MAX_LINE) in documents[1]["anomalies"][0]["detail"]
    lines = DocumentLines(archive.layout.root / FILE)
    assert [len(line) < 10_000 for line in lines] == [True, True]
    assert lines.trouble == ""


_NOISE = random.Random(9).randbytes(5_000)


@pytest.mark.parametrize(
    ("coding", "payload", "reason"),
    [
        ("br", _NOISE, "content-encoding-unsupported"),
        ("br", bytes.fromhex("8b01803c703e7803"), "content-encoding-unsupported"),
        ("zstd", bytes.fromhex("28b52ffd0404210000") + b"<p>x", "content-encoding-unsupported"),
        ("br, gzip", gzip.compress(_NOISE), "content-encoding-unsupported"),
        ("gzip", _NOISE, "content-encoding-broken"),
        ("deflate", _NOISE, "content-encoding-broken"),
    ],
)
@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_a_coding_that_nobody_undid_gives_no_text(
    archive: Archive, coding: str, payload: bytes, reason: str, kind: str
) -> None:
    archive.seal(Warc().add(http(payload, kind, more=f"Content-Encoding: {coding}\r\n")))

    report = archive.extract()

    assert (report.documents, report.skipped) == (0, {reason: 1})


@pytest.mark.parametrize(
    ("coding", "payload", "title", "code"),
    [
        ("utf-8", PAGE % "Nebel für vier".encode(), "Nebel für vier", "unsupported"),
        ("iso-8859-1", b"\r\n" + PAGE % b"Caf\xe9", "Café", "unsupported"),
        ("br", PAGE % b"plain", "plain", "unsupported"),
        ("gzip", PAGE % b"plain", "plain", "broken"),
        ("gzip", gzip.compress(PAGE % b"cut" + _NOISE.hex().encode())[:-1_000], "cut", "broken"),
    ],
)
def test_a_text_with_a_wrong_label_is_read(
    archive: Archive, coding: str, payload: bytes, title: str, code: str
) -> None:
    archive.seal(Warc().add(http(payload, more=f"Content-Encoding: {coding}\r\n")))

    report = archive.extract()

    assert report.anomalies == {f"content-encoding-{code}": 1}
    assert archive.documents(FILE)[0]["title"]["value"] == title


def test_progress_counts_up(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"a")).add(http(b"", status="404 x")))

    archive.extract()

    assert [(step.documents, step.skipped) for step in archive.seen] == [(1, 0), (1, 1)]
    assert archive.seen[0].facts()[0][0].startswith("extracting log-")


def test_another_writer_keeps_extraction_out(archive: Archive, monkeypatch: Any) -> None:
    from pipeline import durable

    monkeypatch.setattr("pipeline.stages.sealing.LOCK_WAIT_S", 0.0)
    with durable.exclusive(archive.layout.lock, 0.0), pytest.raises(ArchiveLocked):
        archive.extract()


def test_a_disk_that_refuses_is_a_storage_error(archive: Archive) -> None:
    archive.seal(Warc().add(http(PAGE % b"t")))
    (archive.layout.root / "extracted").write_bytes(b"in the way")

    with pytest.raises(StorageError):
        archive.extract()

    listed = manifest.read(archive.layout.manifest)
    assert listed is not None
    assert not any(path.startswith("extracted/") for path in listed.entries)
