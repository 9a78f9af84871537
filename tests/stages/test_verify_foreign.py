"""`holdfast verify FILE…`: files of other writers, outside of any archive."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

HOLDFAST = Path(sys.executable).with_name("holdfast")
START = b"WARC/1.1\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:x:%d>\r\n"
REST = (
    b"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: urn:x:y\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n"
)


def resource(number: int, block: bytes) -> bytes:
    return START % number + REST % len(block) + block + b"\r\n\r\n"


def verify(
    *files: Path | str, exit_code: int, folder: Path | None = None, options: tuple[str, ...] = ()
) -> dict[str, Any]:
    command = [HOLDFAST, "--json", "verify", *options, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == exit_code, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def codes(told: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in told["findings"]}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.warc.gz"
    path.write_bytes(b"".join(gzip.compress(resource(n, b"x" * n), mtime=0) for n in range(9)))
    return path


def test_a_sound_file_is_checked_where_no_archive_is(sound, tmp_path):
    told = verify("sound.warc.gz", exit_code=0, folder=tmp_path)
    assert told["ok"] and told["level"] == "records"
    assert told["checked"] == {"files": 1, "members": 9, "records": 9, "documents": 0}
    assert told["bytes_read"] == sound.stat().st_size
    assert {each["severity"] for each in told["findings"]} == {"warning"}
    assert {each["path"] for each in told["findings"]} == {"sound.warc.gz"}
    assert told["not_proven"]
    assert [each.name for each in tmp_path.iterdir()] == ["sound.warc.gz"]


def test_the_report_has_the_keys_of_verify(sound, archive):
    assert set(verify(sound, exit_code=0)) == set(archive.json("verify", exit_code=3))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_damage_is_named_in_the_file_that_has_it(sound, tmp_path, workers):
    data = bytearray(sound.read_bytes())
    data[-5] ^= 1
    hurt = tmp_path / "hurt.warc.gz"
    hurt.write_bytes(data)
    told = verify(sound, hurt, exit_code=4, options=("--workers", workers))
    wrong = [each for each in told["findings"] if each["severity"] == "error"]
    assert [(each["code"], each["path"]) for each in wrong] == [("E103", str(hurt))]
    assert told["checked"]["records"] == 17
    assert told["checked"]["files"] == 2


def test_where_nothing_was_checked_the_verdict_is_incomplete(sound, tmp_path):
    for name, data in (("empty", b""), ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(9_000))):
        path = tmp_path / name
        path.write_bytes(data)
        told = verify(sound, path, exit_code=3)
        assert not told["ok"]
        assert "W107" in codes(told)


def test_a_file_that_is_cut_is_damaged_even_where_it_has_no_whole_record(tmp_path):
    path = tmp_path / "t.warc.gz"
    path.write_bytes(gzip.compress(resource(1, os.urandom(2000)))[:-900])
    assert codes(verify(path, exit_code=4)) == {"E104"}


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_a_mistake_in_the_call(tmp_path, what):
    path = tmp_path / "x"
    if what == "folder":
        path.mkdir()
    if what == "pipe":
        os.mkfifo(path)
    assert str(path) in verify(path, exit_code=2)["error"]


def test_a_name_and_a_record_cannot_write_on_the_terminal(tmp_path):
    path = tmp_path / "\x1b[2Jt.warc"
    path.write_bytes(resource(1, b"x").replace(b"urn:x:y", b"urn:x:\x1b[31my"))
    done = subprocess.run([HOLDFAST, "verify", path], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout


def test_a_large_record_takes_little_memory(tmp_path):
    path = tmp_path / "large.warc"
    size = 300 * 1024 * 1024
    head = START % 1 + REST % size
    with path.open("wb") as file:
        file.write(head)
        # a hole: bytes that read as zeros and take no room
        file.seek(len(head) + size)
        file.write(b"\r\n\r\n")
    assert peak_kilobytes(path) - peak_kilobytes(tmp_path / "none") < 64 * 1024


@pytest.mark.slow
def test_two_gigabytes_in_one_compressed_record_take_little_memory(tmp_path):
    path = tmp_path / "large.warc.gz"
    pieces, piece = 2048, os.urandom(64 * 1024) * 16
    stream = zlib.compressobj(0, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(stream.compress(START % 1 + REST % (pieces * len(piece))))
        for _ in range(pieces):
            file.write(stream.compress(piece))
        file.write(stream.compress(b"\r\n\r\n") + stream.flush())
    assert peak_kilobytes(path) - peak_kilobytes(tmp_path / "none") < 64 * 1024


def peak_kilobytes(path: Path) -> int:
    """Verify a file in one process and give the most memory that this took, Python's included."""
    script = (
        "import resource, sys\nfrom pipeline.stages.verify_foreign import check\n"
        "seen = check(sys.argv[1])\nassert seen.records or not seen.read\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


# --- what other tools write --------------------------------------------------------------------


@pytest.fixture
def busy_site(site):
    site.add("/", '<a href="/a.html">a</a> <a href="/b.css">b</a> <a href="/gone">gone</a>')
    site.add("/a.html", "<p>" + "text " * 2000)
    site.add("/b.css", "body {}", media_type="text/css")
    site.add("/robots.txt", "", media_type="text/plain")
    return site


@pytest.mark.skipif(not shutil.which("wget"), reason="wget is not installed")
@pytest.mark.parametrize("more", [(), ("--no-warc-compression",), ("--warc-cdx",)])
def test_what_wget_writes_is_sound(busy_site, tmp_path, more):
    command = ["wget", "-q", "-r", "-P", "pages", "--warc-file=w", *more, busy_site.address + "/"]
    subprocess.run(command, cwd=tmp_path, check=False, timeout=60)
    (path,) = tmp_path.glob("w.warc*")
    told = verify(path, exit_code=0)
    assert told["checked"]["records"] >= 9
    assert codes(told) >= {"W110", "W203"}
    assert ("W117" in codes(told)) == ("--no-warc-compression" in more)


def test_what_warcio_captures_is_sound(busy_site, tmp_path):
    path = tmp_path / "w.warc.gz"
    script = (
        "import sys\nfrom warcio.capture_http import capture_http\nimport requests\n"
        "with capture_http(sys.argv[1], warc_version='1.1'):\n"
        "    for path in ('/', '/a.html', '/gone'):\n"
        "        requests.get(sys.argv[2] + path, headers={'Accept-Encoding': 'identity'})\n"
    )
    subprocess.run([sys.executable, "-c", script, path, busy_site.address], check=True, timeout=60)
    told = verify(path, exit_code=0)
    assert told["checked"]["records"] == 6


def test_our_own_files_are_sound_as_files_of_a_stranger(busy_site, archive):
    archive.collection("c", busy_site.address + "/\n")
    archive.json("crawl")
    files = sorted(archive.root.glob("warc/*/*.warc.gz"))
    told = verify(*files, exit_code=0)
    assert told["findings"] == []
    assert told["checked"]["files"] == len(files) > 0
