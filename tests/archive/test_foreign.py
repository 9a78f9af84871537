"""Files of other writers in every form: the same records, no false alarm, damage named, no bomb."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import fastwarc.warc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from pipeline.archive.foreign import ForeignWalk
from pipeline.archive.reader import Damage, Record
from pipeline.archive.validator import Inspection, inspect

FORMS = ("a member for each", "one member", "some in a member", "plain")
FORM_CODES = {"W102", "W116", "W117"}


def member_of(content: bytes) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    return stream.compress(content) + stream.flush()


def laid_out(records: list[bytes], form: str) -> bytes:
    """Put records into a file of the given form."""
    if form == "plain":
        return b"".join(records)
    size = {"a member for each": 1, "one member": len(records), "some in a member": 3}[form]
    return b"".join(
        member_of(b"".join(records[at : at + size])) for at in range(0, len(records), size)
    )


def contents_of(site) -> list[bytes]:
    return [gzip.decompress(member) for member in site.members]


def look(path: Path) -> Inspection:
    return inspect(path, path.name, foreign=True)


def errors(found: Inspection) -> list[str]:
    return [each.code for each in found.findings if each.severity == "error"]


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_file_changes_nothing_about_its_records(site, tmp_path, form):
    strict = inspect(site.write(tmp_path), "t.warc.gz")
    data = laid_out(contents_of(site), form)
    path = tmp_path / "t.warc.gz"
    path.write_bytes(data)
    found = look(path)
    assert found.counts == strict.counts
    assert {each.code for each in found.findings} == {
        "a member for each": set(),
        "plain": {"W117"},
    }.get(form, {"W116"})
    assert [(m.record_id, m.block_digest) for m in found.members] == [
        (m.record_id, m.block_digest) for m in strict.members
    ]
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert found.gzip_members == (0 if form == "plain" else len(data.split(b"\x1f\x8b\x08")) - 1)


def test_records_of_a_plain_file_tile_it(site, tmp_path):
    contents = contents_of(site)
    path = tmp_path / "t.warc"
    path.write_bytes(b"".join(contents))
    found = list(ForeignWalk(path))
    assert [each.length for each in found] == [len(each) for each in contents]
    assert all(isinstance(each, Record) for each in found)


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_block_is_named_in_every_form(site, tmp_path, form):
    contents = contents_of(site)
    contents[10] = contents[10].replace(b"page 3 line 7", b"page 3 line 8")
    path = tmp_path / "t.warc.gz"
    path.write_bytes(laid_out(contents, form))
    wrong = [each for each in look(path).findings if each.severity == "error"]
    assert [each.code for each in wrong] == ["E301", "E302"]
    assert {each.record_id for each in wrong} == {site.ids[10][1:-1]}


@pytest.mark.parametrize("form", ["one member", "some in a member", "plain"])
@pytest.mark.parametrize(
    ("what", "codes"),
    [
        ((b"Content-Length: ", b"Content-Length: 1"), {"E114", "E115"}),
        ((b"Content-Length: ", b"Content-Length: -"), {"E113"}),
        ((b"WARC/1.1", b"WARC 1.1"), {"E110", "E115"}),
        ((b"WARC-Date: ", b"WARC-Date; "), {"E112"}),
    ],
)
def test_a_broken_record_costs_itself_only(site, tmp_path, form, what, codes):
    contents = contents_of(site)
    contents[13] = contents[13].replace(*what, 1)
    path = tmp_path / "t.warc.gz"
    path.write_bytes(laid_out(contents, form))
    found = list(ForeignWalk(path))
    damages = [each for each in found if isinstance(each, Damage)]
    assert damages and {each.code for each in damages} <= codes
    read = {each.get("warc-record-id") for each in found if isinstance(each, Record)}
    lost = set(site.ids) - read
    if form == "plain" or codes != {"E114", "E115"}:
        assert lost == {site.ids[13]}
    else:
        # what a wrong length has swallowed cannot be read again where the data is compressed
        assert site.ids[13] in lost


def test_a_plain_file_that_is_cut_is_named(site, tmp_path):
    path = tmp_path / "t.warc"
    whole = b"".join(contents_of(site))
    for cut, code in ((10, "E114"), (3, "E115"), (len(contents_of(site)[-1]) - 30, "E111")):
        path.write_bytes(whole[:-cut])
        assert errors(look(path)) == [code], cut


def test_a_plain_file_whose_beginning_is_overwritten_is_still_read(site, tmp_path):
    path = tmp_path / "t.warc"
    whole = b"".join(contents_of(site))
    path.write_bytes(bytes(100) + whole[100:])
    found = look(path)
    assert errors(found) == ["E110"]
    assert sum(found.counts.values()) == 24
    path.write_bytes(bytes(100) + site.data[100:])
    found = look(path)
    assert errors(found) == ["E101"]
    assert sum(found.counts.values()) == 24


NO_ARCHIVES = [
    ("empty", b"", "it is empty"),
    ("text", b"hello\n" * 100_000, ""),
    ("zip", b"PK\x03\x04" + bytes(50), "ZIP"),
    ("zstd", b"\x28\xb5\x2f\xfd" + bytes(50), "zstd"),
    ("gzip of text", gzip.compress(b"hello\n" * 1000), ""),
    ("many members of text", gzip.compress(b"hello\n") * 100, ""),
]


@pytest.mark.parametrize(("data", "told"), [pytest.param(*e[1:], id=e[0]) for e in NO_ARCHIVES])
def test_a_file_that_is_no_archive_is_told_from_a_damaged_one(tmp_path, data, told):
    path = tmp_path / "x"
    path.write_bytes(data)
    found = look(path)
    assert [each.code for each in found.findings] == ["W107"]
    assert told in found.findings[0].message
    assert not found.counts


ARC_1 = "URL IP-address Archive-date Content-type Archive-length"
ARC_2 = (
    "URL IP-address Archive-date Content-type Result-code Checksum Location Offset Filename"
    " Archive-length"
)


def arc_records(version: int) -> list[bytes]:
    fields = ARC_1 if version == 1 else ARC_2
    about = f"{version} 0 InternetArchive\n{fields}\n\n".encode()
    more = "" if version == 1 else " 200 - - 0 t.arc"
    records = [
        f"filedesc://t.arc 0.0.0.0 20080430204825 text/plain{more} {len(about)}\n".encode() + about
    ]
    for number in range(5):
        body = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>%d\n\nhttp://x.org/\n" % number
        )
        line = f"http://example.org/{number} 192.0.2.1 20080430204826 text/html{more} {len(body)}\n"
        records.append(line.encode() + body)
    return [record + b"\n" for record in records]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_arc_files_are_understood(tmp_path, version, form):
    path = tmp_path / "t.arc.gz"
    path.write_bytes(laid_out(arc_records(version), form))
    found = look(path)
    assert [each.code for each in found.findings] == ["W118"]
    assert found.counts == {"warcinfo": 1, "response": 5}
    if form in ("plain", "a member for each"):
        with path.open("rb") as stream:
            theirs = [record.rec_type for record in ArchiveIterator(stream, arc2warc=True)]
        assert len(theirs) == 6


def test_damage_in_an_arc_file_is_named_and_read_over(tmp_path):
    records = arc_records(1)
    records[3] = records[3].replace(b" 192.0.2.1 ", b" ")
    path = tmp_path / "t.arc"
    path.write_bytes(b"".join(records))
    found = look(path)
    assert errors(found) == ["E117"]
    assert found.counts == {"warcinfo": 1, "response": 4}
    path.write_bytes(b"".join(records[:3])[:-20])
    assert errors(look(path)) == ["E114"]


# --- files of varied shape, none of which is damaged -------------------------------------------


def base32(name: str, data: bytes) -> str:
    return f"{name}:{base64.b32encode(hashlib.new(name, data).digest()).decode().rstrip('=')}"


def in_hex(name: str, data: bytes) -> str:
    return f"{name}:{hashlib.new(name, data).hexdigest()}"


SPELLINGS = {
    "sha1 base32": lambda data: base32("sha1", data),
    "sha1 hex": lambda data: in_hex("sha1", data),
    "sha256 hex": lambda data: in_hex("sha256", data),
    "sha256 base32": lambda data: base32("sha256", data),
    "md5 hex": lambda data: in_hex("md5", data),
    "none": lambda data: None,
}


@dataclass
class Shape:
    """How one generated file is written."""

    form: str
    version: str
    spelling: str
    raw_chunks: bool
    brackets: bool
    lower: bool
    info: bool
    captures: list[tuple[bytes, str]] = field(default_factory=list)


shapes = st.builds(
    Shape,
    form=st.sampled_from(FORMS),
    version=st.sampled_from(["WARC/1.1", "WARC/1.0", "WARC/0.18"]),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    raw_chunks=st.booleans(),
    brackets=st.booleans(),
    lower=st.booleans(),
    info=st.booleans(),
    captures=st.lists(
        st.tuples(
            st.binary(max_size=300) | st.sampled_from([b"", b"WARC/1.1\r\n\r\n", b"\r\n\r\n" * 9]),
            st.sampled_from(["length", "close", "chunked", "gzip", "204", "0.9"]),
        ),
        min_size=1,
        max_size=6,
    ),
)


def response_of(body: bytes, kind: str) -> tuple[bytes, bytes]:
    """Give the bytes that came over the wire after the head, and the block."""
    if kind == "chunked":
        sent = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[:7], body[7:]) if c)
        sent += b"0\r\n\r\n"
        return sent, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent
    if kind == "gzip":
        sent = gzip.compress(body, mtime=0)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        return sent, head % len(sent) + sent
    if kind == "204":
        return b"", b"HTTP/1.1 204 No Content\r\n\r\n"
    if kind == "close":
        return body, b"HTTP/1.0 200 OK\r\nX-Caf\xe9: \xff\r\n\r\n" + body
    if kind == "0.9":
        return b"<html>" + body, b"<html>" + body
    return body, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def record_of(shape: Shape, fields: list[tuple[str, str | None]], block: bytes) -> bytes:
    lines = [(name.lower() if shape.lower else name, value) for name, value in fields if value]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return (
        f"{shape.version}\r\n{head}Content-Length: {len(block)}\r\n\r\n".encode()
        + block
        + b"\r\n\r\n"
    )


def records_of(shape: Shape) -> list[bytes]:
    digest = SPELLINGS[shape.spelling]
    records = []
    if shape.info:
        block = b"software: x\r\n"
        records.append(
            record_of(
                shape,
                [
                    ("WARC-Type", "warcinfo"),
                    ("WARC-Record-ID", "<urn:x:info>"),
                    ("WARC-Date", "2020-01-01T00:00:00Z"),
                    ("Content-Type", "application/warc-fields"),
                ],
                block,
            )
        )
    for number, (body, kind) in enumerate(shape.captures):
        sent, block = response_of(body, kind)
        payload = sent if shape.raw_chunks or kind != "chunked" else body
        uri = f"http://example.org/{number}"
        common = [
            ("WARC-Date", f"2020-01-01T00:00:{number:02d}Z"),
            ("WARC-Target-URI", f"<{uri}>" if shape.brackets else uri),
        ]
        request = b"GET / HTTP/1.1\r\n\r\n"
        records.append(
            record_of(
                shape,
                [
                    ("WARC-Type", "request"),
                    ("WARC-Record-ID", f"<urn:x:q{number}>"),
                    ("WARC-Concurrent-To", f"<urn:x:r{number}>"),
                    ("Content-Type", "application/http; msgtype=request"),
                    ("WARC-Block-Digest", digest(request)),
                    *common,
                ],
                request,
            )
        )
        records.append(
            record_of(
                shape,
                [
                    ("WARC-Type", "response"),
                    ("WARC-Record-ID", f"<urn:x:r{number}>"),
                    ("Content-Type", "application/http; msgtype=response"),
                    ("WARC-Block-Digest", digest(block)),
                    ("WARC-Payload-Digest", None if kind == "0.9" else digest(payload)),
                    *common,
                ],
                block,
            )
        )
    return records


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shapes)
def test_no_sound_file_of_any_shape_is_called_damaged(tmp_path_factory, shape):
    records = records_of(shape)
    path = tmp_path_factory.mktemp("shape") / "t.warc.gz"
    path.write_bytes(laid_out(records, shape.form))
    found = look(path)
    assert errors(found) == []
    assert sum(found.counts.values()) == len(records)
    usual = shape.version != "WARC/0.18" and not shape.lower
    if shape.form in ("a member for each", "plain") and usual:
        assert warcio_reads(path) == len(records)
        assert fastwarc_reads(path) == len(records)


def warcio_reads(path: Path) -> int:
    count = 0
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, no_record_parse=True):
            record.raw_stream.read()
            count += 1
    return count


def fastwarc_reads(path: Path) -> int:
    count = 0
    with path.open("rb") as stream:
        for record in fastwarc.warc.ArchiveIterator(stream, parse_http=False):
            count += 1
            stated = record.headers.get("WARC-Block-Digest")
            if stated and stated.startswith("sha1:") and len(stated) == 37:
                assert record.verify_block_digest()
    return count


# --- hostile files -----------------------------------------------------------------------------

START = b"WARC/1.1\r\nWARC-Type: resource\r\n"
HOSTILE = {
    "vast length": START + b"Content-Length: 9223372036854775808\r\n\r\nx\r\n\r\n",
    "length near 2^63": START + b"Content-Length: 9223372036854775807\r\n\r\nx\r\n\r\n",
    "header of 10 MB": START + b"X-Long: " + b"x" * 10_000_000 + b"\r\n\r\n",
    "header of many lines": START + b"X: y\r\n" * 1_000_000 + b"\r\n",
    "not UTF-8": b"\xff\xfeWARC/1.1\r\n" + START,
    "versions only": b"WARC/1.1\r\n" * 200_000,
    "versions and blank lines": b"WARC/1.1\r\n\r\n" * 100_000,
    "blank lines": START + b"\r\n" * 5_000_000,
    "lengths that lie": (START + b"Content-Length: 4000000\r\n\r\n") * 20_000,
}


@pytest.mark.parametrize("form", ["plain", "gzip"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_named_and_left(tmp_path, name, form):
    data = HOSTILE[name]
    path = tmp_path / "t.warc.gz"
    path.write_bytes(data if form == "plain" else member_of(data))
    found = look(path)
    assert found.findings
    assert sum(found.counts.values()) <= 1
    assert len(found.findings) <= 1100


def test_a_bomb_after_a_small_record_is_not_inflated(tmp_path):
    content = START + b"Content-Length: 1\r\n\r\nx\r\n\r\n"
    stream = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [stream.compress(content)]
    packed += [stream.compress(bytes(1 << 20)) for _ in range(200)]
    data = b"".join(packed) + stream.flush()
    path = tmp_path / "t.warc.gz"
    # whoever inflates all of it finds that the checksum is wrong
    path.write_bytes(data[:-8] + bytes(8))
    record, damage = ForeignWalk(path)
    assert isinstance(record, Record)
    assert isinstance(damage, Damage)
    assert (damage.code, damage.offset, damage.length) == ("E110", 0, len(data))
