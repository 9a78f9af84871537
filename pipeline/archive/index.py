"""The two sidecars of a WARC file: NAME.members.jsonl and NAME.cdxj (FORMAT.md §3, §4).

For sealing, verification and look-up: lines from values, values from lines, the captures of one URL
by bisection, and its members by a search. Lines are built by hand because an archive has millions;
they are canonical JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from json.encoder import encode_basestring as _quote
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pipeline.model.records import Capture, Member
from pipeline.model.surt import surt

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Member).decode
_MAX_LINE = 512 * 1024
_BLOCK = 4096
_PIECE = 1024 * 1024
_EARLIEST = "00000101000000"  # completes a time that says no more than the year
_NOT_MODIFIED = "304"
_TIMESTAMP = re.compile(r"(?!0000)[0-9]{4}(?:0[1-9]|1[0-2])[0-9]{8}")


class BadLine(Exception):  # noqa: N818 - a message inside the package, never an error shown
    """A line of a sidecar is not what FORMAT.md says."""


def member_line(member: Member) -> bytes:
    """Write one line of NAME.members.jsonl."""
    return _encode(member) + b"\n"


def parse_member(line: bytes) -> Member:
    """Read one line of NAME.members.jsonl.

    Raises:
        BadLine: it is no such line.

    """
    try:
        member = _decode(line)
    except (msgspec.DecodeError, RecursionError):
        member = None
    # what is spelt otherwise is no canonical JSON, or has keys that no line has
    if member is None or member_line(member) != line:
        raise BadLine("not a line of members.jsonl in canonical JSON")
    return member


def members_in(path: Path) -> Iterator[Member]:
    """Read NAME.members.jsonl.

    Raises:
        BadLine: a line is not what it must be; the message names it.
        OSError: the file cannot be read.

    """
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(_MAX_LINE):
            number += 1
            try:
                yield parse_member(line)
            except BadLine as bad:
                raise BadLine(f"line {number}: {bad}") from None


def find_members(path: Path, uri: str) -> Iterator[Member]:
    """Give the members in NAME.members.jsonl that have exactly this target URI, in file order.

    Lines that cannot be read are passed over; verification reports them.

    Raises:
        OSError: the file cannot be read.

    """
    # the URI is the last key of a line
    wanted = f',"uri":{_quote(uri)}}}\n'.encode()
    with path.open("rb") as file:
        for line in _lines_ending(file, wanted):
            with suppress(BadLine):
                yield parse_member(line)


def _lines_ending(file: BinaryIO, wanted: bytes) -> Iterator[bytes]:
    """Give the lines that end so, without looking at each of millions."""
    rest = b""
    while piece := file.read(_PIECE):
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        lines += newline
        end = 0
        while (found := lines.find(wanted, end)) >= 0:
            begin, end = lines.rfind(b"\n", end, found) + 1 or end, found + len(wanted)
            yield lines[begin:end]
        if len(rest) > _MAX_LINE:
            rest = b""


def is_listed(capture: Capture) -> bool:
    """Tell whether NAME.cdxj has a line for a capture: for all but 304 Not Modified.

    That answer has no payload (RFC 9110 §15.4.5). pywb would give it for the page, and hide the
    capture before, which is the page.
    """
    return capture.status != _NOT_MODIFIED


def timestamp(date: str) -> str:
    """Write a date (WARC 1.1 §5.4) as indexes have it; what it leaves open is the earliest."""
    digits = "".join(filter(str.isdigit, date))[:14]
    return digits + _EARLIEST[len(digits) :]


def capture_line(capture: Capture) -> bytes:
    """Write one line of NAME.cdxj."""
    digest = f'"digest":{_quote(capture.digest)},' if capture.digest else ""
    status = f'"status":{_quote(capture.status)},' if capture.status else ""
    return (
        f'{capture.key} {capture.timestamp} {{{digest}"filename":{_quote(capture.filename)},'
        f'"length":"{capture.length}","mime":{_quote(capture.mime)},"offset":"{capture.offset}",'
        f'{status}"url":{_quote(capture.url)}}}\n'
    ).encode()


def parse_capture(line: bytes) -> Capture:
    """Read one line of a cdxj index, ours or another tool's.

    Raises:
        BadLine: it is no such line.

    """
    try:
        key, timestamp, _ = line.decode().split(" ", 2)
        found = _json_object(line[len(key.encode()) + len(timestamp) + 2 :])
        return Capture(
            key=key,
            timestamp=_timestamp(timestamp),
            url=_text(found["url"]),
            mime=_text(found.get("mime", "unk")),
            status=_text(found["status"]) if "status" in found else None,
            digest=_text(found["digest"]) if "digest" in found else None,
            offset=_count(found["offset"]),
            length=_count(found["length"]),
            filename=_text(found["filename"]),
        )
    except (KeyError, ValueError):
        raise BadLine("not a line of a cdxj index") from None


def find_captures(path: Path, url: str) -> Iterator[Capture]:
    """Give the captures in the index at `path` that have the key of `url`.

    Keys ignore case and more, so a capture may be of another URL. Lines that cannot be read are
    passed over; verification reports them.

    Raises:
        OSError: the index cannot be read.

    """
    prefix = surt(url).encode() + b" "
    with path.open("rb") as index:
        for line in _lines_from(index, prefix):
            if not line.startswith(prefix):
                break
            with suppress(BadLine):
                yield parse_capture(line)


def _lines_from(index: BinaryIO, wanted: bytes) -> Iterator[bytes]:
    """Give the lines of a sorted file from the first that is not below `wanted`, by bisection."""
    low, high = 0, index.seek(0, 2)
    while high - low > _BLOCK:
        middle = (low + high) // 2
        index.seek(middle)
        index.readline(_MAX_LINE)
        line = index.readline(_MAX_LINE)
        if line and line < wanted:
            low = middle
        else:
            high = middle
    index.seek(low)
    if low:
        index.readline(_MAX_LINE)
    while line := index.readline(_MAX_LINE):
        if line >= wanted:
            yield line


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _timestamp(text: str) -> str:
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError("not YYYYMMDDhhmmss")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")
    return value


def _count(value: object) -> int:
    number = int(_text(value))
    if number < 0:
        raise ValueError("negative")
    return number
