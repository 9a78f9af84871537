"""Files of other writers, taken into an archive: byte for byte, or not at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import durable

TEXT = b"The lamp was lit at dusk. " * 20
PAGE = b"<html><title>Kept</title><body><p>%s</body></html>" % TEXT
URL = "http://www.example.org/kept.html"
LARGE = bytes(range(256)) * 20_000  # more than what is kept in memory


def record(kind: str, number: int, uri: str, block: bytes, *more: str) -> bytes:
    """Give the bytes of a record."""
    fields = [
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012d}>",
        "WARC-Date: 2020-02-03T04:05:06Z",
        *([f"WARC-Target-URI: {uri}"] if uri else []),
        *more,
        f"Content-Length: {len(block)}",
    ]
    return "\r\n".join(["WARC/1.1", *fields, "", ""]).encode() + block + b"\r\n\r\n"


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body


def sha1(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def records(*, large: bool = False) -> list[bytes]:
    """Give a warcinfo and a response with digests as most writers make them; and a large one."""
    page, http = answer(PAGE), "Content-Type: application/http;msgtype=response"
    digests = f"WARC-Block-Digest: {sha1(page)}", f"WARC-Payload-Digest: {sha1(PAGE)}"
    info = "Content-Type: application/warc-fields", "WARC-Filename: kept.warc.gz"
    found = [
        record("warcinfo", 0, "", b"software: test\r\n", *info),
        record("response", 1, URL, page, http, *digests),
    ]
    if large:
        found.append(record("response", 2, "http://www.example.org/large", answer(LARGE), http))
    return found


def packed(members: list[bytes]) -> bytes:
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def arc(*, page: bytes = PAGE) -> bytes:
    """Write an ARC file of two records (Internet Archive, ARC 1.0)."""
    about = b"1 0 test\nURL IP-address Archive-date Content-type Archive-length\n"
    names = b"20020304050607\nwww.example.org 192.0.2.1\n"
    return (
        b"filedesc://kept.arc 0.0.0.0 20020304050607 text/plain %d\n%s\n" % (len(about), about)
        + b"dns:www.example.org 0.0.0.0 20020304050607 text/dns %d\n%s\n" % (len(names), names)
        + b"%s 192.0.2.1 20020304050608 text/html %d\n%s\n"
        % (URL.encode(), len(answer(page)), answer(page))
    )


PLAIN = b"".join(records())

FORMS = {
    "kept.warc.gz": packed(records()),
    "old.warc.gz": packed([each.replace(b"WARC/1.1", b"WARC/1.0") for each in records()]),
    "plain.warc": PLAIN,
    "large.warc": b"".join(records(large=True)),
    "one-member.warc.gz": gzip.compress(PLAIN, mtime=0),
    "brackets.warc": PLAIN.replace(f" {URL}\r".encode(), f" <{URL}>\r".encode()),
    "kept.arc": arc(),
    "large.arc": arc(page=LARGE),
    "kept.arc.gz": gzip.compress(arc(), mtime=0),
    "no-ending": PLAIN,
}
AS_OURS = ("kept.warc.gz", "old.warc.gz")


@pytest.fixture
def take(archive: Any, tmp_path: Path) -> Callable[..., Any]:
    """Import bytes as a file of a name."""

    def take(name: str, data: bytes, *options: str, exit_code: int = 0) -> Any:
        file = tmp_path / name
        file.write_bytes(data)
        return archive.json("import", str(file), *options, exit_code=exit_code)

    return take


def sealed(root: Path) -> set[str]:
    lines = (root / "fixity" / "manifest-sha256.txt").read_text().splitlines()
    return {line.split("  ", 1)[1] for line in lines}


def left(root: Path) -> list[Path]:
    return [path for folder in ("warc", "extracted") for path in (root / folder).rglob("*")]


@pytest.mark.parametrize("name", FORMS)
def test_any_form_comes_in_untouched_and_is_found_checked_and_read(
    archive: Any, take: Callable[..., Any], name: str
) -> None:
    data = FORMS[name]
    (imported,) = take(name, data, "--collection", "old")["imported"]
    path = archive.root / imported["path"]
    assert path.read_bytes() == data
    assert imported["sha256"] == hashlib.sha256(data).hexdigest()
    assert (".original." in imported["path"]) == (name not in AS_OURS)
    assert imported["path"] in sealed(archive.root)
    archive.assert_sound()
    archive.json("extract")
    shown = archive.json("show", URL)
    assert [capture["status"] for capture in shown["captures"]] == ["200"]
    if name != "large.arc":
        assert "lamp was lit" in archive.run("show", "--text", URL).stdout
    (event,) = [
        event
        for line in (archive.root / "fixity" / "ledger.jsonl").read_text().splitlines()
        if (event := json.loads(line))["eventType"] == "ingestion"
    ]
    assert event["eventDetail"]["source"] == name


def test_blocks_and_fields_are_the_same_in_a_normalised_copy(
    archive: Any, take: Callable[..., Any]
) -> None:
    take("large.warc", FORMS["large.warc"])
    (_, about), _, (page, first), (image, second) = archive.records()
    assert "normalised copy of warc/large/large.original.warc" in about.decode()
    assert [block.partition(b"\r\n\r\n")[2] for block in (first, second)] == [PAGE, LARGE]
    assert page["WARC-Block-Digest"].startswith("sha1:")
    assert image["WARC-Block-Digest"] == "sha256:" + hashlib.sha256(second).hexdigest()
    assert image["WARC-Record-ID"].endswith("000000000002>")


def test_an_arc_record_becomes_a_response_with_digests(
    archive: Any, take: Callable[..., Any]
) -> None:
    take("kept.arc", arc())
    by_type = {fields["WARC-Type"]: (fields, block) for fields, block in archive.records()}
    fields, block = by_type["response"]
    assert fields["WARC-Target-URI"] == URL and fields["WARC-IP-Address"] == "192.0.2.1"
    assert fields["WARC-Date"] == "2002-03-04T05:06:08Z"
    assert fields["WARC-Payload-Digest"] == "sha256:" + hashlib.sha256(PAGE).hexdigest()
    assert block.endswith(PAGE) and block.startswith(b"HTTP/1.1 200 OK")
    fields, _ = by_type["resource"]
    assert (fields["WARC-Target-URI"], fields["Content-Type"]) == (
        "dns:www.example.org",
        "text/dns",
    )
    assert "WARC-IP-Address" not in fields


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("name", "data", "exit_code", "words"),
    [
        ("flip.warc.gz", flipped(FORMS["kept.warc.gz"]), 4, "E1"),
        ("cut.warc.gz", FORMS["kept.warc.gz"][:-9], 4, "E104"),
        ("cut.warc", FORMS["plain.warc"][:-100], 4, "E114"),
        ("cut.arc", FORMS["kept.arc"][:-100], 4, "E114"),
        ("wrong.warc", FORMS["plain.warc"].replace(b"dusk", b"dawn", 1), 4, "E301"),
        ("page.warc.gz", PAGE, 2, "only WARC and ARC"),
        ("empty.warc.gz", b"", 2, "only WARC and ARC"),
        ("other.warc.gz", gzip.compress(PAGE), 2, "only WARC and ARC"),
    ],
)
def test_a_bad_file_is_refused_and_leaves_nothing(
    archive: Any, take: Callable[..., Any], name: str, data: bytes, exit_code: int, words: str
) -> None:
    told = take(name, data, exit_code=exit_code)
    assert told["imported"] == []
    (refused,) = told["refused"]
    assert words in refused["reason"] and refused["exit_code"] == exit_code
    assert left(archive.root) == []
    assert sealed(archive.root) == set()


def test_what_is_no_file_is_refused_and_the_others_come_in(archive: Any, tmp_path: Path) -> None:
    good, folder = tmp_path / "good.warc.gz", tmp_path / "folder"
    good.write_bytes(FORMS["kept.warc.gz"])
    folder.mkdir()
    told = archive.json("import", str(folder), str(tmp_path / "none.warc"), str(good), exit_code=2)
    assert [each["source"] for each in told["imported"]] == [str(good)]
    assert ["folder" in r["reason"] or "no such" in r["reason"] for r in told["refused"]] == [
        True,
        True,
    ]
    archive.assert_sound()


def test_the_same_bytes_come_in_once_and_others_of_the_name_under_another(
    archive: Any, take: Callable[..., Any]
) -> None:
    take("kept.warc.gz", FORMS["kept.warc.gz"])
    events = len((archive.root / "fixity" / "ledger.jsonl").read_bytes().splitlines())
    (again,) = take("kept.warc.gz", FORMS["kept.warc.gz"])["imported"]
    assert again["was_there"] and again["path"] == "warc/kept/kept.warc.gz"
    assert len((archive.root / "fixity" / "ledger.jsonl").read_bytes().splitlines()) == events
    (other,) = take("kept.warc.gz", FORMS["old.warc.gz"])["imported"]
    assert other["path"] == "warc/kept/kept-2.warc.gz"
    archive.assert_sound()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Ärger mit Ü.warc.gz", "warc/rger-mit-/rger-mit-.warc.gz"),
        (".hidden.warc.gz", "warc/hidden/hidden.warc.gz"),
        ("...warc.gz", "warc/imported/imported.warc.gz"),
        ("site-log.warc.gz", "warc/site-log/site-log-import.warc.gz"),
        ("site.r2.warc.gz", "warc/site.r2/site.r2-import.warc.gz"),
        ("x.original.warc.gz", "warc/x.original/x.original-import.warc.gz"),
        ("A" * 240 + ".warc.gz", f"warc/{'a' * 64}/{'A' * 200}.warc.gz"),
    ],
)
def test_names_that_an_archive_cannot_have_are_changed(
    archive: Any, take: Callable[..., Any], name: str, path: str
) -> None:
    (imported,) = take(name, FORMS["kept.warc.gz"])["imported"]
    assert imported["path"] == path
    archive.json("extract")
    archive.assert_sound()
    assert "lamp was lit" in archive.run("show", "--text", URL).stdout


@pytest.mark.parametrize("name", ["../up", "Upper", "", "a/b", "-x", "x" * 65])
def test_a_collection_that_cannot_be_called_so_is_refused(
    archive: Any, take: Callable[..., Any], name: str
) -> None:
    told = take("kept.warc.gz", FORMS["kept.warc.gz"], f"--collection={name}", exit_code=2)
    assert "--collection" in told["error"]
    assert left(archive.root) == []


@pytest.mark.parametrize("step", ["members", "cdxj", "warc", "original", "ledger", "manifest"])
@pytest.mark.parametrize("name", ["kept.warc.gz", "plain.warc"])
def test_an_import_that_was_cut_short_is_finished_by_the_next(
    archive: Any,
    take: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    step: str,
) -> None:
    from datetime import UTC, datetime

    from pipeline.config import load
    from pipeline.model.layout import Layout
    from pipeline.stages.ingest import ingest

    file = archive.root.parent / name
    file.write_bytes(FORMS[name])
    layout = Layout(archive.root)
    marks = {
        "members": ".members.jsonl",
        "cdxj": ".cdxj",
        "warc": ".warc.gz",
        "original": ".original.warc",
        "ledger": "ledger.jsonl",
        "manifest": "sha256.txt",
    }

    class Cut(BaseException):
        pass

    def cutting(write: Callable[..., None]) -> Callable[..., None]:
        def cut(*arguments: Any) -> None:
            target = arguments[1] if isinstance(arguments[1], Path) else arguments[0]
            if target.name.endswith(marks[step]) and sealed_once:
                raise Cut
            write(*arguments)

        return cut

    sealed_once: list[str] = []
    take("first.warc.gz", FORMS["old.warc.gz"])
    sealed_once.append("first")
    for function in ("replace", "rename", "append"):
        monkeypatch.setattr(durable, function, cutting(getattr(durable, function)))
    try:
        ingest(layout, load(layout.root, {}), [str(file)], None, datetime.now(UTC))
    except Cut:
        pass
    else:
        assert step == "original" and name == "kept.warc.gz"
    monkeypatch.undo()
    told = archive.json("import", str(file))
    (imported,) = told["imported"]
    assert (archive.root / imported["path"]).read_bytes() == FORMS[name]
    archive.assert_sound()


def test_a_second_writer_is_turned_away(archive: Any, tmp_path: Path) -> None:
    file = tmp_path / "kept.warc.gz"
    file.write_bytes(FORMS["kept.warc.gz"])
    with durable.exclusive(archive.root / ".holdfast" / "lock", 1):
        assert archive.run("import", str(file)).returncode == 11


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    archive: Any, tmp_path: Path
) -> None:
    file = tmp_path / "\x1b[31mred.warc.gz"
    file.write_bytes(FORMS["kept.warc.gz"])
    done = archive.run("import", str(file))
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr
    subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", "fixity/manifest-sha256.txt"],
        cwd=archive.root,
        check=True,
    )
