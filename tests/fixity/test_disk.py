"""Nothing outside the archive is ever read, whatever a manifest or a link says."""

from __future__ import annotations

import hashlib
import os

import pytest

from pipeline.fixity import disk


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "archive"
    (root / "warc" / "c").mkdir(parents=True)
    (root / "warc" / "c" / "a").write_bytes(b"abc")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"secret")
    return root


def test_a_plain_file_is_digested(root):
    seen = disk.digest(root, "warc/c/a")
    assert (seen.size, seen.sha256, seen.trouble) == (3, hashlib.sha256(b"abc").hexdigest(), None)


def test_a_large_file_is_digested(root):
    data = os.urandom(3_000_001)
    (root / "warc" / "c" / "a").write_bytes(data)
    seen = disk.digest(root, "warc/c/a")
    assert (seen.size, seen.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_links_are_not_followed(root):
    (root / "warc" / "c" / "link").symlink_to(root / "warc" / "c" / "a")
    (root / "warc" / "away").symlink_to(root.parent / "outside")
    for path in ("warc/c/link", "warc/away/a", "warc/away"):
        assert disk.digest(root, path).trouble == "not-plain"
    assert {path for path, seen in disk.files(root) if seen.trouble == "not-plain"} == {
        "warc/c/link",
        "warc/away",
    }
    assert "warc/away/a" not in dict(disk.files(root))


def test_a_linked_top_folder_is_not_followed(root):
    (root / "extracted").symlink_to(root.parent / "outside")
    assert dict(disk.files(root))["extracted"].trouble == "not-plain"
    assert disk.digest(root, "extracted/a").trouble == "not-plain"


def test_pipes_and_folders_are_no_files(root):
    os.mkfifo(root / "warc" / "c" / "pipe")
    assert disk.digest(root, "warc/c/pipe").trouble == "not-plain"
    assert disk.digest(root, "warc/c").trouble == "not-plain"


def test_what_is_missing_is_missing(root):
    assert disk.digest(root, "warc/c/b").trouble == "missing"
    assert disk.digest(root, "warc/c/a/b").trouble == "missing"


def test_odd_names_can_be_printed(root):
    with open(os.fsencode(root / "warc" / "c") + b"/\xff", "wb"):  # noqa: PTH123 - bytes path
        pass
    assert "warc/c/\\xff" in dict(disk.files(root))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: run as another user")
def test_a_file_that_may_not_be_read_is_denied(root):
    (root / "warc" / "c" / "a").chmod(0)
    assert disk.digest(root, "warc/c/a").trouble == "denied"


def test_refusals_are_told_apart():
    assert disk.refusal(PermissionError(13, "Permission denied")).trouble == "denied"
    assert disk.refusal(OSError(5, "Input/output error")).trouble == "unreadable"


def test_names_that_begin_with_a_dot_are_passed_over(root):
    (root / "warc" / ".gitkeep").write_bytes(b"")
    (root / "warc" / "c" / ".DS_Store").write_bytes(b"x")
    (root / "warc" / ".snapshot" / "c").mkdir(parents=True)
    (root / "warc" / ".snapshot" / "c" / "a").write_bytes(b"x")
    assert [path for path, _ in disk.files(root)] == ["warc/c/a"]
