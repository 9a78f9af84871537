"""The walk over a WARC file: strict, complete, and never stopped by damage."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archive.reader import MAX_HEAD, Damage, Record, Walk, walk


def test_every_member_is_given_with_its_place_and_digest(site, tmp_path):
    path = site.write(tmp_path)
    records = list(walk(path))
    assert [type(found) for found in records] == [Record] * 25
    assert [found.length for found in records] == [len(member) for member in site.members]
    assert [found.offset for found in records] == [site.offset(n) for n in range(25)]
    assert [found.sha256 for found in records] == [
        hashlib.sha256(member).hexdigest() for member in site.members
    ]
    assert records[1].get("warc-target-uri") == "http://example.org/page/0"
    assert records[1].block.startswith(b"HTTP/1.1 200 OK\r\n")
    assert records[1].whole


def test_the_walk_knows_size_and_digest_of_the_whole_file(site, tmp_path):
    path = site.write(tmp_path)
    one_pass = Walk(path)
    for _ in one_pass:
        pass
    assert one_pass.size == len(site.data)
    assert one_pass.sha256 == hashlib.sha256(site.data).hexdigest()


def test_the_digest_covers_what_the_walk_jumped_over(site, tmp_path):
    hole = os.urandom(3_000_000)
    data = site.members[0] + hole + site.members[1]
    path = tmp_path / "t.warc.gz"
    path.write_bytes(data)
    one_pass = Walk(path, hints=[0, len(site.members[0]) + len(hole)])
    assert [type(found) for found in one_pass] == [Record, Damage, Record]
    assert one_pass.sha256 == hashlib.sha256(data).hexdigest()


def test_an_empty_file_has_no_records(tmp_path):
    path = tmp_path / "t.warc.gz"
    path.write_bytes(b"")
    assert list(walk(path)) == []


def crc_flipped(member: bytes) -> bytes:
    return member[:-8] + bytes([member[-8] ^ 1]) + member[-7:]


def size_flipped(member: bytes) -> bytes:
    return member[:-1] + bytes([member[-1] ^ 1])


def data_damaged(member: bytes) -> bytes:
    middle = len(member) // 2
    return member[:middle] + b"\xff" * 8 + member[middle + 8 :]


@pytest.mark.parametrize(
    ("spoil", "codes"),
    [
        (crc_flipped, {"E103"}),
        (size_flipped, {"E103"}),
        (data_damaged, {"E102", "E103"}),
        (lambda member: b"\0" * len(member), {"E101"}),
        (lambda member: member[: len(member) // 2], {"E102", "E103"}),
        (lambda member: b"\x1f\x8b\x00" + member[3:], {"E101"}),
    ],
)
def test_a_damaged_member_is_named_and_all_others_are_read(site, tmp_path, spoil, codes):
    whole = list(site.members)
    site.members[7] = spoil(site.members[7])
    found = list(walk(site.write(tmp_path)))
    damages = [each for each in found if isinstance(each, Damage)]
    assert [(each.offset, each.length) for each in damages] == [
        (site.offset(7), len(site.members[7]))
    ]
    assert damages[0].code in codes
    assert [each.sha256 for each in found if isinstance(each, Record)] == [
        hashlib.sha256(member).hexdigest() for n, member in enumerate(whole) if n != 7
    ]


@pytest.mark.parametrize(
    ("tail", "code"), [(b"garbage", "E101"), (b"\0" * 512, "E101"), (b"\x1f\x8b\x08\0\0", "E104")]
)
def test_what_follows_the_last_member_is_damage(site, tmp_path, tail, code):
    end = len(site.data)
    site.members.append(tail)
    last = list(walk(site.write(tmp_path)))[-1]
    assert isinstance(last, Damage)
    assert (last.code, last.offset, last.length) == (code, end, len(tail))


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 60])
def test_a_file_that_ends_inside_its_last_member_is_noticed(site, tmp_path, cut):
    path = tmp_path / "t.warc.gz"
    path.write_bytes(site.data[:-cut])
    last = list(walk(path))[-1]
    assert isinstance(last, Damage)
    assert last.code == "E104"
    assert last.offset == site.offset(24)


def broken_records():
    head = b"WARC/1.1\r\nWARC-Type: metadata\r\nWARC-Record-ID: <urn:x:1>\r\n"
    length = b"Content-Length: 3\r\n\r\n"
    return [
        ("empty member", b"", "E111", None),
        ("no version", b"HTTP/1.1 200 OK\r\n\r\nabc\r\n\r\n", "E110", None),
        ("old version", b"WARC/0.9\r\n" + length + b"abc\r\n\r\n", "E110", None),
        ("head without end", head, "E111", None),
        ("head too long", head + b"X-A: b\r\n" * 10_000 + length + b"abc\r\n\r\n", "E111", None),
        ("line without colon", head + b"nonsense\r\n" + length + b"abc\r\n\r\n", "E112", None),
        (
            "fold of nothing",
            b"WARC/1.1\r\n folded: x\r\n" + length + b"abc\r\n\r\n",
            "E112",
            None,
        ),
        ("bare LF", head + b"A: b\nC: d\r\n" + length + b"abc\r\n\r\n", "E112", None),
        ("no length", head + b"\r\nabc\r\n\r\n", "E113", "urn:x:1"),
        (
            "length twice",
            head + b"Content-Length: 3\r\n" + length + b"abc\r\n\r\n",
            "E113",
            "urn:x:1",
        ),
        ("length negative", head + b"Content-Length: -3\r\n\r\nabc\r\n\r\n", "E113", "urn:x:1"),
        (
            "length not ASCII",
            head + "Content-Length: ٣\r\n\r\nabc\r\n\r\n".encode(),
            "E113",
            "urn:x:1",
        ),
        (
            "length vast",
            head + b"Content-Length: 9223372036854775808\r\n\r\nabc\r\n\r\n",
            "E114",
            "urn:x:1",
        ),
        ("block short", head + b"Content-Length: 9\r\n\r\nabc\r\n\r\n", "E114", "urn:x:1"),
        ("no end", head + length + b"abc", "E115", "urn:x:1"),
        ("half an end", head + length + b"abc\r\n", "E115", "urn:x:1"),
        ("block long", head + length + b"abcdef\r\n\r\n", "E115", "urn:x:1"),
        ("two records", 2 * (head + length + b"abc\r\n\r\n"), "E116", "urn:x:1"),
    ]


@pytest.mark.parametrize(
    ("content", "code", "record_id"),
    [pytest.param(*case[1:], id=case[0]) for case in broken_records()],
)
def test_a_sound_member_without_a_sound_record_is_damage_of_just_that_member(
    site, tmp_path, gzip_member, content, code, record_id
):
    site.members.insert(3, gzip_member(content))
    found = list(walk(site.write(tmp_path)))
    assert len(found) == 26
    damage = found.pop(3)
    assert isinstance(damage, Damage)
    assert (damage.code, damage.offset, damage.length, damage.record_id) == (
        code,
        site.offset(3),
        len(site.members[3]),
        record_id,
    )
    assert all(isinstance(each, Record) for each in found)


def test_a_header_with_a_file_name_is_read_and_remembered(site, tmp_path, gzip_member):
    plain = site.members[2]
    site.members[2] = plain[:3] + b"\x08" + plain[4:10] + b"name\0" + plain[10:]
    found = list(walk(site.write(tmp_path)))
    assert [each.plain for each in found] == [n != 2 for n in range(25)]


def test_header_names_are_found_in_any_case_and_repetitions_are_kept(warc, tmp_path, gzip_member):
    content = (
        b"WARC/1.1\r\nwarc-TYPE:metadata\r\nWARC-Protocol: a\r\nWARC-Protocol:\tb \r\n"
        b"Content-Length: 0\r\n\r\n\r\n\r\n"
    )
    warc.members.append(gzip_member(content))
    (record,) = walk(warc.write(tmp_path))
    assert record.get("warc-type") == "metadata"
    assert record.fields.repeated == (("warc-protocol", "b"),)


value = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
name = st.sampled_from(["WARC-Type", "warc-type", "WARC-Date", "X-Own", "WARC-Protocol"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(name, st.sampled_from([":", ": ", ":  ", ":\t"]), value), max_size=5))
def test_fields_mean_the_same_in_every_spelling(tmp_path_factory, given_fields):
    lines = "".join(f"{name}{colon}{value}\r\n" for name, colon, value in given_fields)
    path = tmp_path_factory.mktemp("fields") / "t.warc.gz"
    path.write_bytes(
        gzip.compress(f"WARC/1.1\r\n{lines}Content-Length: 0\r\n\r\n\r\n\r\n".encode())
    )
    (record,) = walk(path)
    told = [*record.fields.first.items(), *record.fields.repeated]
    expected = [(name.lower(), value.strip(" \t")) for name, _, value in given_fields]
    assert sorted(told) == sorted([*expected, ("content-length", "0")])
    for name, _ in expected:
        assert record.get(name) == next(v for n, v in expected if n == name)


def test_a_folded_field_is_read_as_one_line_and_remembered(warc, tmp_path, gzip_member):
    content = (
        b"WARC/1.1\r\nWARC-Type: meta\r\n \tdata: x \r\n\ty\r\nWARC-Date: d\r\n"
        b"Content-Length: 0\r\n\r\n\r\n\r\n"
    )
    warc.members.append(gzip_member(content))
    (record,) = walk(warc.write(tmp_path))
    assert record.get("warc-type") == "meta data: x y"
    assert record.get("warc-date") == "d"
    assert record.fields.folded


def test_a_header_that_is_not_utf8_is_read_as_latin_1(warc, tmp_path, gzip_member):
    content = b"WARC/1.1\r\nWARC-Type: caf\xe9\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
    warc.members.append(gzip_member(content))
    (record,) = walk(warc.write(tmp_path))
    assert record.get("warc-type") == "caf\xe9"
    assert not record.fields.utf8


class Collector:
    def __init__(self):
        self.digest = hashlib.sha256()
        self.largest = 0

    def feed(self, piece):
        self.largest = max(self.largest, len(piece))
        self.digest.update(piece)


@pytest.mark.parametrize("size", [0, 999, 1000, 1001, 1000 + MAX_HEAD, 3_000_000])
def test_a_large_block_goes_to_its_sink_and_only_its_beginning_is_kept(warc, tmp_path, size):
    block = random.Random(size).randbytes(size // 2) + b"x" * (size - size // 2)
    warc.warcinfo().add("resource", block, WARC_Target_URI="urn:x:1").warcinfo()
    path = warc.write(tmp_path)
    sinks = []
    one_pass = Walk(
        path, limit=1000, open_sink=lambda fields: sinks.append(Collector()) or sinks[-1]
    )
    found = list(one_pass)
    assert [type(each) for each in found] == [Record] * 3
    assert found[1].size == size
    assert found[1].block == block[:1000]
    assert found[1].sha256 == hashlib.sha256(warc.members[1]).hexdigest()
    if size > 1000:
        assert found[1].sink is sinks[0]
        assert sinks[0].digest.digest() == hashlib.sha256(block).digest()
        assert sinks[0].largest <= max(1000 + MAX_HEAD, 256 * 1024)
    else:
        assert found[1].sink is None


@pytest.mark.parametrize("spoil", [crc_flipped, lambda member: member[: len(member) // 2]])
def test_damage_in_a_large_block_is_noticed(warc, tmp_path, spoil):
    block = random.Random(5).randbytes(2_000_000)
    warc.warcinfo().add("resource", block, WARC_Target_URI="urn:x:1").warcinfo()
    warc.members[1] = spoil(warc.members[1])
    found = list(Walk(warc.write(tmp_path), limit=1000))
    assert [type(each) for each in found] == [Record, Damage, Record]
    assert found[1].code in ("E102", "E103", "E104")
    assert found[1].length == len(warc.members[1])


@pytest.mark.parametrize("surplus", [-5_000, -1, 1, 5_000_000])
def test_a_wrong_length_of_a_large_block_is_noticed(warc, tmp_path, surplus):
    length = str(1_000_000 - surplus)
    warc.warcinfo().add(
        "resource",
        b"a" * 1_000_000 if surplus < 1e6 else b"a" * 6_000_000,
        WARC_Target_URI="urn:x:1",
        Content_Length=length if surplus < 1e6 else "1000000",
    ).warcinfo()
    found = list(Walk(warc.write(tmp_path), limit=1000))
    assert [type(each) for each in found] == [Record, Damage, Record]
    assert found[1].code in ("E114", "E115")
    assert (found[1].offset, found[1].length) == (warc.offset(1), len(warc.members[1]))


def test_a_bomb_with_a_small_declared_length_is_not_inflated(warc, tmp_path):
    head = b"WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: 10\r\n\r\n"
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = stream.compress(head)
    for _ in range(300):
        bomb += stream.compress(b"\0" * 1_000_000)
    warc.warcinfo().members.append(bomb + stream.flush())
    warc.warcinfo()
    found = list(walk(warc.write(tmp_path)))
    assert [type(each) for each in found] == [Record, Damage, Record]


def test_a_file_full_of_gzip_magic_is_given_up_in_time(tmp_path):
    path = tmp_path / "t.warc.gz"
    path.write_bytes(b"\x1f\x8b\x08" * 400_000)
    (damage,) = walk(path)
    assert isinstance(damage, Damage)
    assert damage.length == 1_200_000


def test_hints_keep_a_warc_inside_a_damaged_record_from_being_taken_for_members(warc, tmp_path):
    """An archived .warc.gz is incompressible, so its members lie in ours byte for byte."""
    inner = type(warc)().site(3).data
    stored = zlib.compressobj(0, zlib.DEFLATED, 31)
    warc.warcinfo()
    content = warc.content("resource", inner, WARC_Target_URI="urn:x:1")
    warc.members.append(stored.compress(content) + stored.flush())
    warc.warcinfo()
    warc.members[1] = crc_flipped(warc.members[1])
    path = warc.write(tmp_path)
    assert len(list(walk(path))) > 3
    found = list(Walk(path, hints=[warc.offset(n) for n in range(3)]))
    assert [type(each) for each in found] == [Record, Damage, Record]


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), gzipped=st.booleans(), begun=st.booleans())
def test_no_bytes_raise_and_what_is_given_covers_the_file(data, gzipped, begun, tmp_path_factory):
    if begun:
        data = b"WARC/1.1\r\nContent-Length: 5\r\n" + data
    if gzipped:
        stream = zlib.compressobj(6, zlib.DEFLATED, 31)
        data = stream.compress(data) + stream.flush() + data
    path = tmp_path_factory.mktemp("soup") / "t.warc.gz"
    path.write_bytes(data)
    end = 0
    for found in walk(path):
        assert found.offset == end
        assert found.length > 0
        end += found.length
    assert end == len(data)
