"""Every kind of damage done to a WARC file by dice: what is noticed, and whether it is named.

In an archive all of it must be noticed and the member named. A file alone has only what it says of
itself: the table at the end of docs/findings.md says what that cannot show, and is held to it here.
"""

from __future__ import annotations

import hashlib
import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.stages.verify import verify
from pipeline.stages.verify_foreign import check

CAPTURES = 66
SEED = 4
HOW_MANY = {
    "bit": 200,
    "byte": 100,
    "cut inside": 50,
    "cut between": 20,
    "twice": 20,
    "removed": 20,
    "swapped": 20,
    "forged": 20,
    "appended": 20,
    "zeroed": 10,
}


@dataclass
class Original:
    """The sealed file, member by member."""

    layout: Layout
    path: Path
    members: list[bytes]

    @property
    def data(self) -> bytes:
        return b"".join(self.members)

    def place(self, number: int) -> tuple[int, int]:
        return sum(map(len, self.members[:number])), len(self.members[number])

    def member_at(self, position: int) -> int:
        end = 0
        for number, member in enumerate(self.members):
            end += len(member)
            if position < end:
                return number
        raise AssertionError("behind the end")


@dataclass
class Mutant:
    """A damaged copy, and the members that were hurt or are gone, as they were sealed."""

    kind: str
    data: bytes
    hurt: list[int]
    members: list[bytes] | None = None
    """The members of the copy, where it has whole ones only."""


def members_of(data: bytes) -> list[bytes]:
    found = []
    while data:
        stream = zlib.decompressobj(31)
        stream.decompress(data)
        found.append(data[: len(data) - len(stream.unused_data)])
        data = stream.unused_data
    return found


@pytest.fixture(scope="module")
def original(tmp_path_factory, shelf_at) -> Original:
    layout = Layout(tmp_path_factory.mktemp("faults") / "archive")
    warc = shelf_at(layout.root).begin()
    dice = random.Random(SEED)
    for number in range(CAPTURES):
        words = [dice.choice(["wind", "lamp", "tide", "rope", "salt"]) for _ in range(200)]
        body = f"<html><p>{number} {' '.join(words)}</html>".encode()
        warc.add(f"http://example.org/{number}", body, ["Content-Type: text/html"])
    path = layout.root / warc.seal().warc
    return Original(layout, path, members_of(path.read_bytes()))


def mutants(original: Original) -> Iterator[Mutant]:
    dice = random.Random(SEED)
    for kind, count in HOW_MANY.items():
        for _ in range(count):
            yield MAKERS[kind](kind, original, dice)
    # every bit of the ten bytes that a gzip member begins with
    number = dice.randrange(len(original.members))
    for bit in range(80):
        yield flipped("gzip header", original, original.place(number)[0] * 8 + bit)


def flipped(kind: str, original: Original, bit: int) -> Mutant:
    data = bytearray(original.data)
    data[bit // 8] ^= 1 << bit % 8
    return Mutant(kind, bytes(data), [original.member_at(bit // 8)])


def bit(kind: str, original: Original, dice: random.Random) -> Mutant:
    return flipped(kind, original, dice.randrange(8 * len(original.data)))


def byte(kind: str, original: Original, dice: random.Random) -> Mutant:
    data = bytearray(original.data)
    at = dice.randrange(len(data))
    data[at] ^= dice.randrange(1, 256)
    return Mutant(kind, bytes(data), [original.member_at(at)])


def cut_inside(kind: str, original: Original, dice: random.Random) -> Mutant:
    number = dice.randrange(len(original.members))
    offset, length = original.place(number)
    data = original.data[: offset + dice.randrange(1, length)]
    return Mutant(kind, data, list(range(number, len(original.members))))


def whole(kind: str, members: list[bytes], hurt: list[int]) -> Mutant:
    return Mutant(kind, b"".join(members), hurt, members)


def cut_between(kind: str, original: Original, dice: random.Random) -> Mutant:
    number = dice.randrange(1, len(original.members))
    return whole(kind, original.members[:number], list(range(number, len(original.members))))


def twice(kind: str, original: Original, dice: random.Random) -> Mutant:
    number, at = (dice.randrange(len(original.members)) for _ in range(2))
    members = list(original.members)
    members.insert(at, original.members[number])
    return whole(kind, members, [])


def removed(kind: str, original: Original, dice: random.Random) -> Mutant:
    # one in four is a warcinfo or a response
    number = dice.choice([0, dice.randrange(len(original.members)), dice.randrange(100, 190)])
    members = list(original.members)
    del members[number]
    return whole(kind, members, [number])


def swapped(kind: str, original: Original, dice: random.Random) -> Mutant:
    one, other = sorted(dice.sample(range(len(original.members)), 2))
    one = dice.choice([one, one, one, 0])
    members = list(original.members)
    members[one], members[other] = members[other], members[one]
    return whole(kind, members, [])


def forged(kind: str, original: Original, dice: random.Random) -> Mutant:
    pages = range(1, len(original.members), 3)
    number = dice.choice(pages)
    content = zlib.decompress(original.members[number], 31)
    head, _, block = content.partition(b"\r\n\r\n")
    block = block.removesuffix(b"\r\n\r\n").replace(b"tide", b"lies")
    for name, of in ((b"Block", block), (b"Payload", block.partition(b"\r\n\r\n")[2])):
        digest = hashlib.sha256(of).hexdigest().encode()
        head = re.sub(b"(WARC-%s-Digest: sha256:)\\w+" % name, b"\\g<1>" + digest, head)
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    members = list(original.members)
    members[number] = stream.compress(head + b"\r\n\r\n" + block + b"\r\n\r\n") + stream.flush()
    assert members[number] != original.members[number]
    return whole(kind, members, [number])


def appended(kind: str, original: Original, dice: random.Random) -> Mutant:
    return Mutant(kind, original.data + dice.randbytes(dice.randrange(1, 2000)), [])


def zeroed(kind: str, original: Original, dice: random.Random) -> Mutant:
    data = bytearray(original.data)
    at = 4096 * dice.randrange(len(data) // 4096)
    data[at : at + 4096] = bytes(4096)
    first, last = original.member_at(at), original.member_at(at + 4095)
    return Mutant(kind, bytes(data), list(range(first, last + 1)))


MAKERS: dict[str, Callable[[str, Original, random.Random], Mutant]] = {
    "bit": bit,
    "byte": byte,
    "cut inside": cut_inside,
    "cut between": cut_between,
    "twice": twice,
    "removed": removed,
    "swapped": swapped,
    "forged": forged,
    "appended": appended,
    "zeroed": zeroed,
}


def test_the_dice_do_what_they_promise(original):
    made = list(mutants(original))
    assert len(original.members) == 3 * CAPTURES + 1
    assert len(made) == sum(HOW_MANY.values()) + 80 == 560
    assert all(mutant.data != original.data for mutant in made)


@pytest.mark.parametrize("level", ["files", "records"])
def test_in_an_archive_all_is_noticed_and_the_member_named(original, level):
    # at this level a damaged file is looked into in the same way
    every = 1 if level == "files" else 8
    name = original.path.relative_to(original.layout.root).as_posix()
    sound = original.path.read_bytes()
    try:
        for number, mutant in enumerate(mutants(original)):
            if number % every:
                continue
            original.path.write_bytes(mutant.data)
            report = verify(original.layout, level, workers=1)
            assert report.exit_code == 4, mutant.kind
            found = [each for each in report.findings if each.path == name]
            assert_named(original, mutant, found)
    finally:
        original.path.write_bytes(sound)
    assert verify(original.layout, level, workers=1).findings == []


def assert_named(original: Original, mutant: Mutant, found: list[Finding]) -> None:
    assert "E402" in {each.code for each in found}
    named = {(each.offset, each.length) for each in found}
    assert {original.place(number) for number in mutant.hurt} <= named, mutant.kind
    codes = {each.code for each in found}
    if mutant.kind == "twice":
        assert "E406" in codes
    elif mutant.kind == "swapped":
        assert "E405" in codes
    elif mutant.kind == "appended":
        assert len(original.data) in {each.offset for each in found}


def test_a_file_alone_shows_what_the_table_says_and_no_more(original, tmp_path):
    path = tmp_path / original.path.name
    path.write_bytes(original.data)
    assert check(str(path)).findings == ()
    seen: dict[str, list[bool]] = {}
    for mutant in mutants(original):
        path.write_bytes(mutant.data)
        found = check(str(path)).findings
        assert bool(found) == can_be_seen(original, mutant), (mutant.kind, found)
        seen.setdefault(mutant.kind, []).append(bool(found))
        if found and mutant.kind in ("bit", "byte", "gzip header"):
            offset, _ = original.place(mutant.hurt[0])
            assert offset in {each.offset for each in found}
    for kind in ("cut inside", "twice", "appended", "zeroed"):
        assert all(seen[kind]), kind
    assert not any(seen["forged"])
    assert not any(seen["cut between"])
    assert {True, False} == set(seen["removed"]) == set(seen["swapped"]) == set(seen["gzip header"])


def can_be_seen(original: Original, mutant: Mutant) -> bool:
    """Say, without the package's help, whether a mutant contradicts itself."""
    if mutant.kind in ("bit", "byte", "gzip header"):
        (number,) = mutant.hurt
        offset, length = original.place(number)
        member = mutant.data[offset : offset + length]
        return member[:8] != original.members[number][:8] or not inflates_to(
            member, zlib.decompress(original.members[number], 31)
        )
    if mutant.members is None:
        return True
    ids, references = [], set()
    for member in mutant.members:
        head = zlib.decompress(member, 31).partition(b"\r\n\r\n")[0]
        ids += re.findall(rb"WARC-Record-ID: (\S+)", head)
        references.update(re.findall(rb"WARC-(?:Concurrent-To|Warcinfo-ID): (\S+)", head))
    is_first = b"WARC-Type: warcinfo" in zlib.decompress(mutant.members[0], 31)
    return len(ids) > len(set(ids)) or not references <= set(ids) or not is_first


def inflates_to(member: bytes, content: bytes) -> bool:
    stream = zlib.decompressobj(31)
    try:
        return stream.decompress(member) == content and stream.eof and not stream.unused_data
    except zlib.error:
        return False
