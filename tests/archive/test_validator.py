"""Each rule, broken by one record, gives its code at that record; sound files give nothing."""

from __future__ import annotations

import base64
import gc
import gzip
import hashlib
import io
import re
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.archive.block import LargeBlock, judge
from pipeline.archive.docket import MAX_ALIKE, MAX_FINDINGS
from pipeline.archive.index import capture_line
from pipeline.archive.reader import walk
from pipeline.archive.validator import inspect
from pipeline.model.rules import MEANING

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def codes(builder, folder: Path) -> list[str]:
    return [found.code for found in inspect(builder.write(folder), "warc/c/t.warc.gz").findings]


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_sound_file_has_no_findings_and_implies_both_sidecars(site, tmp_path):
    found = inspect(site.write(tmp_path), "warc/c/t.warc.gz")
    assert found.findings == ()
    assert found.ok
    assert found.counts == {"warcinfo": 1, "response": 8, "request": 8, "metadata": 8}
    assert (found.size, found.sha256) == (len(site.data), hashlib.sha256(site.data).hexdigest())
    assert [member.sha256 for member in found.members] == [
        hashlib.sha256(member).hexdigest() for member in site.members
    ]
    assert [capture.url for capture in found.captures] == [
        f"http://example.org/page/{n}" for n in range(8)
    ]
    first = found.captures[0]
    assert (first.mime, first.status, first.timestamp) == ("text/html", "200", "20260203040506")
    assert (first.filename, first.offset) == ("t.warc.gz", site.offset(1))
    lines = [capture_line(capture) for capture in found.captures]
    assert lines == sorted(lines)


def test_members_go_to_the_taker_instead_of_memory(site, tmp_path):
    taken = []
    path = site.write(tmp_path)
    assert inspect(path, "t", take=taken.append).members == ()
    assert tuple(taken) == inspect(path, "t").members


RULES = [
    ("E201", {"WARC_Type": None}),
    ("E201", {"WARC_Date": None}),
    ("E201", {"WARC_Record_ID": None}),
    ("E203", {"WARC_Record_ID": "urn:uuid:1"}),
    ("E203", {"WARC_Record_ID": "<urn:uuid: 1>"}),
    ("E205", {"WARC_Date": "2026-13-03T04:05:06Z"}),
    ("E205", {"WARC_Date": "2026-02-03 04:05:06"}),
    ("E205", {"WARC_Date": "2026-02-03T04:05:06+01:00"}),
    ("E206", {"WARC_Target_URI": None}),
    ("E207", {"WARC_Warcinfo_ID": "<urn:uuid:other>"}),
    ("E208", {"WARC_Concurrent_To": "<urn:uuid:other>"}),
    ("E301", {"WARC_Block_Digest": sha256(b"other")}),
    ("E302", {"WARC_Payload_Digest": sha256(b"other")}),
    ("E303", {"WARC_Payload_Digest": "sha256:xyz"}),
    ("E303", {"WARC_Block_Digest": "blake9:00"}),
    ("W110", {"version": "WARC/1.0"}),
    ("W202", {"WARC_Warcinfo_ID": None}),
    ("W203", {"WARC_Target_URI": "<http://example.org/a>"}),
    ("W111", {"Content_Type": "application/http;\r\n msgtype=response"}),
    ("W204", {"WARC_Block_Digest": None}),
    ("W210", {"WARC_Truncated": "because"}),
    ("W205", {"Content_Type": None, "WARC_Payload_Digest": None}),
]


@pytest.mark.parametrize(("code", "changed"), RULES)
def test_a_record_that_breaks_a_rule_is_named(warc, tmp_path, code, changed):
    warc.warcinfo().capture("http://example.org/0", b"zero")
    warc.response("http://example.org/a", b"body", **changed).capture("http://example.org/b", b"b")
    (finding,) = inspect(warc.write(tmp_path), "warc/c/t.warc.gz").findings
    assert finding.code == code
    assert finding.severity == ("warning" if code.startswith("W") else "error")
    assert (finding.path, finding.offset, finding.length) == (
        "warc/c/t.warc.gz",
        warc.offset(4),
        len(warc.members[4]),
    )
    assert finding.message.startswith(MEANING[code])
    if "WARC_Record_ID" not in changed:
        assert finding.record_id == warc.ids[4][1:-1]


@pytest.mark.parametrize(
    "spelling",
    [
        lambda body: "sha1:" + base64.b32encode(hashlib.sha1(body).digest()).decode(),
        lambda body: "sha1:" + hashlib.sha1(body).hexdigest(),
        lambda body: "sha-256:" + hashlib.sha256(body).hexdigest(),
        lambda body: "SHA256:" + hashlib.sha256(body).hexdigest().upper(),
        lambda body: "sha256:" + base64.b32encode(hashlib.sha256(body).digest()).decode(),
        lambda body: "md5:" + hashlib.md5(body).hexdigest(),
        lambda body: "sha512:" + hashlib.sha512(body).hexdigest(),
    ],
)
def test_digests_of_other_writers_are_read(warc, tmp_path, spelling):
    warc.warcinfo().response("http://x.org/", b"body", WARC_Payload_Digest=spelling(b"body"))
    warc.response("http://x.org/", b"body", WARC_Payload_Digest=spelling(b"other"))
    assert [code for code in codes(warc, tmp_path) if code != "W303"] == ["E302"]


def test_a_record_id_used_twice_is_named(warc, tmp_path):
    warc.warcinfo().response("http://x.org/", b"1")
    warc.response("http://x.org/", b"1", WARC_Record_ID=warc.ids[-1])
    assert codes(warc, tmp_path) == ["E204"]


def test_fields_that_may_repeat_do_and_others_do_not(warc, tmp_path, gzip_member):
    warc.warcinfo()
    content = warc.content("metadata", b"a: b\r\n", WARC_Concurrent_To=warc.ids[0])
    more = b"WARC-Protocol: h2\r\nWARC-Protocol: tls/1.3\r\nX-Own: 1\r\nX-Own: 2\r\n"
    more += f"WARC-Concurrent-To: {warc.ids[0]}\r\n".encode()
    warc.members.append(gzip_member(content.replace(b"\r\n", b"\r\n" + more, 1)))
    assert codes(warc, tmp_path) == []
    more = b"WARC-Date: 2026-02-03T04:05:06Z\r\n"
    content = warc.content("metadata", b"a: b\r\n")
    warc.members.append(gzip_member(content.replace(b"\r\n", b"\r\n" + more, 1)))
    assert codes(warc, tmp_path) == ["E202"]


def test_every_concurrent_record_must_be_there(warc, tmp_path, gzip_member):
    warc.warcinfo()
    content = warc.content("metadata", b"a: b\r\n", WARC_Concurrent_To=warc.ids[0])
    more = b"WARC-Concurrent-To: <urn:x:gone>\r\n"
    warc.members.append(gzip_member(content.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n", 1)))
    assert codes(warc, tmp_path) == ["E208"]


def test_a_request_may_precede_its_response(warc, tmp_path):
    warc.warcinfo()
    coming = "<urn:uuid:00000000-0000-4000-8000-000000000002>"
    warc.add(
        "request",
        b"GET / HTTP/1.1\r\n\r\n",
        WARC_Target_URI="http://x.org/",
        WARC_Concurrent_To=coming,
    )
    warc.response("http://x.org/", b"body")
    assert warc.ids[-1] == coming
    assert codes(warc, tmp_path) == []


def test_references_to_a_damaged_record_are_no_second_fault(site, tmp_path):
    site.members[0] = site.members[0][:-8] + bytes(8)
    site.members[4] = site.members[4][:-8] + bytes(8)
    found = codes(site, tmp_path)
    assert found == ["E103", "E103"]


def test_a_file_that_does_not_begin_with_a_warcinfo_is_named(warc, tmp_path):
    warc.response("http://x.org/", b"body", WARC_Warcinfo_ID=None)
    assert codes(warc, tmp_path) == ["W201", "W202"]


def test_a_warcinfo_is_of_no_uri(warc, tmp_path):
    warc.add("warcinfo", b"software: b\r\n", WARC_Target_URI="http://x.org/")
    assert codes(warc, tmp_path) == ["E206"]


def test_a_revisit_must_say_of_what(warc, tmp_path):
    warc.warcinfo()
    head = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"
    full = {
        "WARC_Target_URI": "http://x.org/",
        "WARC_Profile": "http://netpreserve.org/warc/1.1/revisit/server-not-modified",
        "WARC_Refers_To_Target_URI": "http://x.org/",
        "WARC_Refers_To_Date": "2026-01-01T00:00:00Z",
        "WARC_Payload_Digest": sha256(b"the earlier body"),
    }
    warc.add("revisit", head, **full)
    found = inspect(warc.write(tmp_path), "t.warc.gz")
    assert found.findings == ()
    assert found.captures == () and found.counts["revisit"] == 1
    warc.add("revisit", head, **{**full, "WARC_Refers_To_Date": None})
    assert codes(warc, tmp_path) == ["W206"]


BODIES = [
    ("whole", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"body", b"body", True),
    ("short", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"body", b"body", False),
    ("surplus", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"body", b"bo", True),
    ("until close", b"HTTP/1.0 200 OK\r\n\r\n", b"body", b"body", True),
    ("chunked", CHUNKED, b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", b"body", True),
    ("chunks end early", CHUNKED, b"2\r\nbo\r\n2\r\nd", b"bod", False),
    ("no body", b"HTTP/1.1 204 No Content\r\n\r\n", b"", b"", True),
    (
        "interim",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
        b"x",
        b"x",
        True,
    ),
    ("HTTP/0.9", b"<html>", b"hello", b"<html>hello", True),
    ("cut in the head", b"HTTP/1.1 200 OK\r\nConte", b"", None, False),
]


@pytest.mark.parametrize(
    ("head", "body", "payload", "complete"), [pytest.param(*b[1:], id=b[0]) for b in BODIES]
)
def test_the_payload_is_the_body_without_its_transfer_coding(
    warc, tmp_path, head, body, payload, complete
):
    digest = None if payload is None else sha256(payload)
    warc.warcinfo().response("http://x.org/", body, head, WARC_Payload_Digest=digest)
    assert codes(warc, tmp_path) == ([] if complete else ["E209"])
    warc.members.pop()
    warc.response(
        "http://x.org/", body, head, WARC_Payload_Digest=digest, WARC_Truncated="disconnect"
    )
    assert codes(warc, tmp_path) == []


def test_a_digest_over_the_undecoded_body_is_a_warning_that_says_so(warc, tmp_path):
    body = b"4\r\nbody\r\n0\r\n\r\n"
    warc.warcinfo().response("http://x.org/", body, CHUNKED, WARC_Payload_Digest=sha256(body))
    assert codes(warc, tmp_path) == ["W302"]
    warc.response("http://x.org/", body, CHUNKED, WARC_Payload_Digest=sha256(b"nothing"))
    assert codes(warc, tmp_path) == ["W302", "E302"]


@pytest.mark.parametrize("piece", [1_000, 70_000])
@pytest.mark.parametrize(
    ("head", "body", "payload", "complete"), [pytest.param(*b[1:], id=b[0]) for b in BODIES if b[3]]
)
def test_large_blocks_are_judged_like_small_ones(
    warc, tmp_path, head, body, payload, complete, piece
):
    for stated in (sha256(payload), sha256(body), sha256(b"other"), "sha256:odd"):
        warc.members.clear()
        warc.response("http://x.org/", body, head, WARC_Payload_Digest=stated)
        (record,) = walk(warc.write(tmp_path))
        large = LargeBlock(record.fields)
        view = memoryview(record.block)
        for start in range(0, len(view), piece):
            large.feed(view[start : start + piece])
        whole, streamed = judge(record.fields, record.block), large.judgement()
        if stated == sha256(body) and b"chunked" not in head:
            continue  # bytes after a declared length are told apart for small blocks only
        assert streamed == whole


def test_a_large_response_is_inspected(warc, tmp_path):
    body = b"0123456789abcdef" * 400_000
    chunks = b"".join(
        b"186a0\r\n%s\r\n" % body[at : at + 100_000] for at in range(0, len(body), 100_000)
    )
    chunks += b"0\r\n\r\n"
    warc.warcinfo()
    warc.response("http://x.org/1", body).response(
        "http://x.org/2", body[:-1], b"HTTP/1.1 200 OK\r\nContent-Length: 6400000\r\n\r\n"
    )
    warc.response("http://x.org/3", chunks, CHUNKED, WARC_Payload_Digest=sha256(body))
    warc.response("http://x.org/4", chunks, CHUNKED, WARC_Payload_Digest=sha256(chunks))
    warc.response("http://x.org/5", body, WARC_Payload_Digest=sha256(body + b"x"))
    found = inspect(warc.write(tmp_path), "t.warc.gz")
    assert [each.code for each in found.findings] == ["E209", "W302", "E302"]
    assert [each.offset for each in found.findings] == [warc.offset(n) for n in (2, 4, 5)]
    assert [each.status for each in found.captures] == ["200"] * 5


def test_a_resource_is_its_own_payload(warc, tmp_path):
    warc.warcinfo().add(
        "resource", b"abc", WARC_Target_URI="urn:x:1", WARC_Payload_Digest=sha256(b"abc")
    )
    assert codes(warc, tmp_path) == []


def test_findings_of_one_file_are_bounded(warc, tmp_path):
    warc.warcinfo()
    warc.members += [warc.add("metadata", b"x", WARC_Date="now").members.pop()] * (MAX_FINDINGS + 5)
    found = inspect(warc.write(tmp_path), "t.warc.gz").findings
    assert len(found) == MAX_FINDINGS + 2
    assert found[-1].code == "E199"


def test_a_habit_of_the_writer_is_told_ten_times_and_then_counted(warc, tmp_path):
    warc.warcinfo()
    for number in range(1_015):
        warc.response(f"http://x.org/{number}", b"body", WARC_Warcinfo_ID=None)
    found = inspect(warc.write(tmp_path), "t.warc.gz")
    assert [each.code for each in found.findings] == ["W202"] * (MAX_ALIKE + 1)
    assert found.findings[-1].message.endswith(
        f"{MAX_FINDINGS + 15 - MAX_ALIKE:,} more in this file"
    )
    assert found.ok


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_warcio_writes_has_no_errors(tmp_path):
    path = tmp_path / "w.warc.gz"
    with path.open("wb") as out:
        writer = WARCWriter(out, gzip=True, warc_version="WARC/1.1")
        writer.write_record(writer.create_warcinfo_record("w.warc.gz", {"software": "x"}))
        for number, coding in enumerate(("identity", "chunked")):
            body = b"4\r\nbody\r\n0\r\n\r\n" if coding == "chunked" else b"body"
            head = StatusAndHeaders(
                "200 OK", [("Transfer-Encoding", coding)] if number else [], protocol="HTTP/1.1"
            )
            response = writer.create_warc_record(
                f"http://example.org/{number}",
                "response",
                payload=io.BytesIO(body),
                http_headers=head,
            )
            request = writer.create_warc_record(
                f"http://example.org/{number}",
                "request",
                http_headers=StatusAndHeaders(
                    "GET / HTTP/1.1", [("Host", "example.org")], is_http_request=True
                ),
            )
            writer.write_request_response_pair(request, response)
    del writer, response, request
    gc.collect()  # warcio leaves its temporary files to the collector
    found = inspect(path, "w.warc.gz")
    assert found.ok
    assert {each.code for each in found.findings} == {"W202", "W302"}
    assert len(found.captures) == 2
    assert gzip.decompress(path.read_bytes()).count(b"WARC/1.1\r\n") == len(found.members)


def test_every_code_is_documented_once():
    text = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()
    documented = re.findall(r"^\| (?:`)?([EW][0-9]{3})(?:`)? ", text, re.MULTILINE)
    assert sorted(documented) == sorted(MEANING)
