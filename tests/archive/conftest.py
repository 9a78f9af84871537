"""A WARC writer of the tests' own, so that the reader is not judged by the package's writer."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest


def member_of(content: bytes) -> bytes:
    """Compress bytes as one gzip member without name and time."""
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    return stream.compress(content) + stream.flush()


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sha1(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


@dataclass
class WarcBuilder:
    """Builds a WARC file member by member; every field can be replaced, added or left out."""

    members: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    info: str = ""

    def content(
        self, kind: str, block: bytes, *, version: str = "WARC/1.1", **changed: str | None
    ) -> bytes:
        """Give the bytes of one record; `None` leaves a field out, `_` stands for `-`."""
        record_id = f"<urn:uuid:00000000-0000-4000-8000-{len(self.ids):012d}>"
        self.ids.append(record_id)
        fields: dict[str, str | None] = {
            "WARC-Type": kind,
            "WARC-Record-ID": record_id,
            "WARC-Date": "2026-02-03T04:05:06.789012Z",
            "Content-Type": {
                "response": "application/http;msgtype=response",
                "revisit": "application/http;msgtype=response",
                "request": "application/http;msgtype=request",
            }.get(kind, "application/warc-fields"),
            "WARC-Block-Digest": sha256(block),
            "Content-Length": str(len(block)),
        }
        if kind == "warcinfo":
            self.info = record_id
        else:
            fields["WARC-Warcinfo-ID"] = self.info
        for name, value in changed.items():
            fields[_name(name)] = value
        head = "".join(
            f"{name}: {value}\r\n" for name, value in fields.items() if value is not None
        )
        return f"{version}\r\n{head}\r\n".encode() + block + b"\r\n\r\n"

    def add(self, kind: str, block: bytes, **changed: str | None) -> WarcBuilder:
        """Add one record as one member."""
        self.members.append(member_of(self.content(kind, block, **changed)))
        return self

    def warcinfo(self) -> WarcBuilder:
        return self.add("warcinfo", b"software: test\r\n", WARC_Filename="t.warc.gz")

    def response(
        self, uri: str, body: bytes, head: bytes = b"", **changed: str | None
    ) -> WarcBuilder:
        """Add a response with a Content-Length of its body."""
        head = head or (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=x\r\nContent-Length: %d\r\n\r\n"
            % len(body)
        )
        given = {"WARC_Target_URI": uri, "WARC_Payload_Digest": sha256(body)}
        return self.add("response", head + body, **{**given, **changed})

    def capture(self, uri: str, body: bytes) -> WarcBuilder:
        """Add a response, its request and its metadata."""
        self.response(uri, body)
        together = self.ids[-1]
        self.add(
            "request", b"GET / HTTP/1.1\r\n\r\n", WARC_Target_URI=uri, WARC_Concurrent_To=together
        )
        return self.add(
            "metadata", b"fetchTimeMs: 1\r\n", WARC_Target_URI=uri, WARC_Concurrent_To=together
        )

    def site(self, pages: int) -> WarcBuilder:
        """Add a warcinfo record and some captures of different pages."""
        self.warcinfo()
        for number in range(pages):
            body = b"<html>" + b"".join(
                b"<p>page %d line %d %d" % (number, line, line * line * (number + 7))
                for line in range(40)
            )
            self.capture(f"http://example.org/page/{number}", body)
        return self

    @property
    def data(self) -> bytes:
        return b"".join(self.members)

    def offset(self, number: int) -> int:
        """Give where member `number` begins."""
        return sum(map(len, self.members[:number]))

    def write(self, folder: Path, name: str = "t.warc.gz") -> Path:
        path = folder / name
        path.write_bytes(self.data)
        return path


def _name(keyword: str) -> str:
    return keyword.replace("_", "-")


@pytest.fixture
def warc() -> WarcBuilder:
    return WarcBuilder()


@pytest.fixture
def site() -> WarcBuilder:
    """Give a file of one warcinfo record and eight captures: 25 members."""
    return WarcBuilder().site(8)


@pytest.fixture
def gzip_member():
    return member_of
