"""A good and a bad file for each rule that a WARC file is held to, made from raw bytes.

    python tests/archive/make_rule_files.py FOLDER

writes FOLDER/CODE/good/NAME and FOLDER/CODE/bad/NAME. Nothing of the package is used: what it must
find is not written by it. The bad file breaks the rule of its folder, and besides only those that
`Case.also` names; the good one is as near to it as can be and breaks none.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NAME = "t.warc.gz"
URI = "http://example.org/"
DATE = "2026-02-03T04:05:06Z"
INFO = "<urn:uuid:00000000-0000-4000-8000-000000000000>"
PROFILES = "http://netpreserve.org/warc/1.1/revisit/"
BODY = b"<html>body</html>"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
PAGE = HEAD % len(BODY) + BODY
GZIPPED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"


def member(content: bytes) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    return stream.compress(content) + stream.flush()


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def name_of(number: int) -> str:
    return f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"


def record(kind: str, number: int, block: bytes, **changed: str | None) -> bytes:
    """Give the bytes of a record; `None` leaves a field out, `_` in a name stands for `-`."""
    fields: dict[str, str | None] = {
        "WARC-Type": kind,
        "WARC-Record-ID": name_of(number),
        "WARC-Date": DATE,
        "WARC-Warcinfo-ID": None if kind == "warcinfo" else INFO,
        "WARC-Target-URI": None if kind == "warcinfo" else URI,
        "Content-Type": {
            "response": "application/http;msgtype=response",
            "revisit": "application/http;msgtype=response",
            "request": "application/http;msgtype=request",
        }.get(kind, "application/warc-fields"),
        "WARC-Block-Digest": sha256(block),
        "Content-Length": str(len(block)),
    }
    version = changed.pop("version", "WARC/1.1")
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{version}\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def info(block: bytes = b"software: test/1\r\n", **changed: str | None) -> bytes:
    return record("warcinfo", 0, block, **{"WARC_Filename": NAME, **changed})


def response(number: int = 1, block: bytes = PAGE, **changed: str | None) -> bytes:
    given = {"WARC_Payload_Digest": sha256(block.partition(b"\r\n\r\n")[2])}
    return record("response", number, block, **{**given, **changed})


def request(number: int = 2, to: int | None = 1, **changed: str | None) -> bytes:
    joined = {"WARC_Concurrent_To": name_of(to)} if to is not None else {}
    return record("request", number, b"GET / HTTP/1.1\r\n\r\n", **{**joined, **changed})


def metadata(number: int = 3, block: bytes = b"fetchTimeMs: 1\r\n", **changed: str | None) -> bytes:
    return record("metadata", number, block, **changed)


def revisit(number: int = 4, **changed: str | None) -> bytes:
    given = {
        "WARC_Profile": PROFILES + "identical-payload-digest",
        "WARC_Refers_To": name_of(1),
        "WARC_Refers_To_Target_URI": URI,
        "WARC_Refers_To_Date": DATE,
        "WARC_Payload_Digest": sha256(BODY),
        "WARC_Truncated": "length",
    }
    return record("revisit", number, HEAD % len(BODY), **{**given, **changed})


def file(*records: bytes) -> bytes:
    return b"".join(map(member, (info(), *records)))


def spoilt(position: int, value: bytes) -> bytes:
    """Give a file whose middle member has other bytes at `position`."""
    middle = bytearray(member(response()))
    position %= len(middle)
    middle[position : position + len(value)] = value
    return member(info()) + bytes(middle) + member(request())


def chunked(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks)


def folded(more: str) -> bytes:
    """Give a file with a metadata record that has more header lines."""
    return file(metadata().replace(b"\r\n", b"\r\n" + more.encode("latin-1") + b"\r\n", 1))


SOUND = file(response(), request(), metadata())
ARC = (
    b"filedesc://t.arc 0.0.0.0 20260203040506 text/plain 77\n1 0 InternetArchive\n"
    b"URL IP-address Archive-date Content-type Archive-length\n\n\n"
)
ARC_PAGE = b"%s 192.0.2.1 20260203040506 text/html %d\n%s\n" % (URI.encode(), len(PAGE), PAGE)


@dataclass(frozen=True)
class Case:
    """A rule, a file that breaks it, and one that does not.

    `foreign` tells that the file is to be read as one of another writer.
    """

    code: str
    bad: bytes
    good: bytes = SOUND
    also: tuple[str, ...] = ()
    foreign: bool = False
    name: str = NAME


def changed(make: Callable[..., bytes], **fields: str | None) -> bytes:
    """Give a file with one record that has other fields."""
    return file(make(**fields)) if make is not info else member(info(**fields)) + member(response())


LONE = "<urn:uuid:00000000-0000-4000-8000-000000000099>"
OTHER = sha256(b"other")
_WHOLE = member(info()) + member(response())
_TWO = member(info() + response())
_PLAIN = info() + response()

CASES = (
    # E1: gzip members and records
    Case("E101", SOUND + b"surplus"),
    # a block of a type that deflate does not have (RFC 1951 §3.2.3)
    Case("E102", spoilt(10, b"\xff")),
    Case("E103", spoilt(-8, bytes(8))),
    Case("E104", SOUND[:-9]),
    Case("E110", file(b"HTTP/1.1 200 OK\r\n\r\nabc\r\n\r\n")),
    Case("E111", file(b"WARC/1.1\r\nWARC-Type: metadata\r\n")),
    Case("E112", file(metadata().replace(b"\r\n", b"\r\nno field\r\n", 1))),
    Case("E113", changed(metadata, Content_Length="many")),
    Case("E114", changed(metadata, Content_Length="99")),
    Case("E115", file(metadata()[:-2])),
    Case("E116", _TWO, good=_WHOLE),
    Case(
        "E117",
        ARC + b"no line of an ARC file\n",
        good=b"",
        also=("W118",),
        foreign=True,
        name="t.arc",
    ),
    Case(
        "E199",
        member(info()) + member(metadata(WARC_Date="now")) * 1002,
        also=("E204", "E205"),
    ),
    # E2: fields
    Case("E201", changed(metadata, WARC_Date=None)),
    Case("E202", folded(f"WARC-Date: {DATE}"), good=folded("X-Own: 1\r\nX-Own: 2")),
    Case("E203", changed(metadata, WARC_Record_ID="urn:uuid:1")),
    Case("E204", file(metadata(3), metadata(3)), good=file(metadata(3), metadata(4))),
    Case("E205", changed(metadata, WARC_Date="2026-02-30 04:05:06")),
    Case("E206", changed(response, WARC_Target_URI=None)),
    Case("E207", changed(metadata, WARC_Warcinfo_ID=LONE)),
    Case("E208", changed(metadata, WARC_Concurrent_To=LONE)),
    Case(
        "E209",
        file(response(block=HEAD % 99 + BODY)),
        good=file(response(block=HEAD % 99 + BODY, WARC_Truncated="disconnect")),
    ),
    Case(
        "E210",
        changed(response, WARC_Refers_To=name_of(0)),
        good=changed(metadata, WARC_Refers_To=name_of(0)),
    ),
    Case("E211", changed(metadata, WARC_Segment_Number="0"), also=("W225",)),
    # E3: digests
    Case("E301", changed(metadata, WARC_Block_Digest=OTHER)),
    Case("E302", changed(response, WARC_Payload_Digest=OTHER)),
    Case("E303", changed(response, WARC_Payload_Digest="sha256:xyz")),
    # W1: the form of the file
    Case("W102", (named := bytearray(SOUND))[:4] + b"\x01" + named[5:]),
    Case("W107", b"no archive at all", foreign=True),
    Case("W110", changed(metadata, version="WARC/1.0")),
    Case("W111", folded("X-Own: a\r\n b"), good=folded("X-Own: a b")),
    Case("W112", folded("X-Own: caf\xe9"), good=folded("X-Own: caf\xc3\xa9")),
    Case(
        "W113",
        member(info()) + member(metadata().replace(b"\r\n", b"\n", metadata().count(b"\r\n") - 3)),
        foreign=True,
    ),
    Case("W114", folded("X-Own: =?utf-8?q?caf=C3=A9?="), good=folded("X-Own: /?=?a=?")),
    Case("W116", _TWO, good=_WHOLE, foreign=True),
    Case("W117", _PLAIN, good=_WHOLE, foreign=True),
    Case("W118", ARC + ARC_PAGE, good=_WHOLE, foreign=True),
    # W2: fields
    Case("W201", member(response(WARC_Warcinfo_ID=None)), also=("W202",)),
    Case("W202", changed(metadata, WARC_Warcinfo_ID=None)),
    Case("W203", changed(metadata, WARC_Target_URI=f"<{URI}>")),
    Case("W204", changed(metadata, WARC_Block_Digest=None)),
    Case("W205", changed(metadata, Content_Type=None)),
    Case(
        "W206",
        file(response(), revisit(WARC_Refers_To_Date=None)),
        good=file(response(), revisit()),
    ),
    Case("W207", changed(metadata, WARC_Target_URI=URI + "a b")),
    Case(
        "W208",
        file(response(), request(WARC_Date="2026-02-03T04:05:07Z")),
        good=file(response(), request()),
    ),
    Case("W209", changed(info, WARC_Filename="other.warc.gz")),
    Case("W210", changed(metadata, WARC_Truncated="because")),
    Case("W211", member(info(b"operator: x\r\n"))),
    Case("W212", file(metadata(block=b"no field\r\n"))),
    Case(
        "W213",
        changed(response, WARC_IP_Address="2001:DB8:0:0::1"),
        good=changed(response, WARC_IP_Address="2001:db8::1"),
    ),
    Case(
        "W214",
        changed(response, Content_Type="application/http;msgtype=request"),
        good=changed(response, Content_Type='application/http; msgtype="response"'),
    ),
    Case("W215", file(response(), request(to=None)), good=file(response(), request())),
    Case(
        "W216",
        file(response(), revisit(WARC_Profile="urn:x:own")),
        good=file(response(), revisit()),
    ),
    Case(
        "W217",
        file(response(), revisit(WARC_Truncated=None)),
        good=file(response(), revisit()),
    ),
    Case(
        "W218",
        file(response(), revisit(), revisit(5, WARC_Refers_To=name_of(4))),
        good=file(response(), revisit(), revisit(5)),
    ),
    Case(
        "W219",
        file(response(), revisit(WARC_Payload_Digest=sha256(b""))),
        good=file(response(), revisit()),
    ),
    Case(
        "W220",
        file(metadata(block=b"hopsFromSeed: far\r\n")),
        good=file(metadata(block=b"via: http://x.org/\r\nhopsFromSeed: 12+LLRE\r\n")),
    ),
    Case(
        "W221",
        changed(response, WARC_Protocol="http/1.1, tls/1.3"),
        good=folded("WARC-Protocol: h2\r\nWARC-Protocol: tls/1.3"),
    ),
    Case(
        "W222",
        changed(response, WARC_Cipher_Suite="ECDHE-RSA-AES128-SHA"),
        good=changed(response, WARC_Cipher_Suite="TLS_AES_128_GCM_SHA256"),
    ),
    Case(
        "W223",
        changed(response, WARC_Identified_Payload_Type="HTML"),
        good=changed(response, WARC_Identified_Payload_Type="text/html"),
    ),
    Case("W224", file(record("screenshot", 5, b"x"))),
    Case("W225", changed(metadata, WARC_Segment_Number="1")),
    Case(
        "W226",
        file(response(block=GZIPPED + BODY)),
        good=file(
            response(block=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + member(b"x"))
        ),
        foreign=True,
    ),
    Case(
        "W227",
        file(response(block=b"HTTP/2 200\r\n\r\nbody")),
        good=file(response(block=b"HTTP/1.1 200\r\n\r\nbody", WARC_Protocol="h2")),
        foreign=True,
    ),
    # W3: digests
    Case(
        "W302",
        file(
            response(
                block=chunked(BODY, b""),
                WARC_Payload_Digest=sha256(chunked(BODY, b"").partition(b"\r\n\r\n")[2]),
            )
        ),
        good=file(response(block=chunked(BODY, b""), WARC_Payload_Digest=sha256(BODY))),
    ),
    Case(
        "W303",
        changed(response, WARC_Payload_Digest="sha1:" + hashlib.sha1(BODY).hexdigest()),
        good=changed(
            response,
            WARC_Payload_Digest="sha1:" + base64.b32encode(hashlib.sha1(BODY).digest()).decode(),
        ),
    ),
    Case("W304", changed(metadata, WARC_Payload_Digest=sha256(b"fetchTimeMs: 1\r\n"))),
)


def write(folder: Path, case: Case) -> tuple[Path, Path]:
    """Write the two files of a rule; each has its own folder, because a file knows its name."""
    paths = []
    for kind, data in (("good", case.good), ("bad", case.bad)):
        place = folder / case.code / kind
        place.mkdir(parents=True)
        path = place / case.name
        path.write_bytes(data)
        paths.append(path)
    return paths[0], paths[1]


if __name__ == "__main__":
    for each in CASES:
        write(Path(sys.argv[1]), each)
