"""The commands of docs/verify.md, run as they stand there, on sound and on damaged archives."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "verify.md").read_text("utf-8")
PARTS = {
    title[0]: re.findall(r"```bash\n(.*?)```", body, re.DOTALL)
    for title, body in re.findall(r"^## (\d.*?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
}
RECORD = (
    b"WARC/1.1\r\nWARC-Type: resource\r\nWARC-Date: 2020-02-03T04:05:06Z\r\n"
    b"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-%012d>\r\n"
    b"WARC-Target-URI: urn:x\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nkept\r\n\r\n"
)


@pytest.fixture
def signed(archive: Any, tmp_path: Path) -> Path:
    """Make a signed archive of three WARC files."""
    for number in range(3):
        members = [gzip.compress(RECORD % (10 * number + each), mtime=0) for each in range(3)]
        file = tmp_path / f"{number}.warc.gz"
        file.write_bytes(b"".join(members))
        archive.json("import", "--collection", "c", str(file))
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    archive.json("sign", "--key", str(key))
    root: Path = archive.root
    (root / "extracted").mkdir(exist_ok=True)
    return root


def failing(root: Path) -> set[str]:
    """Give the parts of which a command says no."""
    return {
        part
        for part, commands in PARTS.items()
        for command in commands
        if subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=root, capture_output=True, check=False
        ).returncode
    }


def test_a_sound_archive_passes_every_command(signed: Path) -> None:
    assert list(PARTS) == list("12345678")
    assert failing(signed) == set()


def flip(root: Path, path: str, at: int) -> None:
    data = bytearray((root / path).read_bytes())
    data[at] ^= 1
    (root / path).write_bytes(data)


def drop_a_line(root: Path) -> None:
    lines = (root / "fixity" / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (root / "fixity" / "ledger.jsonl").write_bytes(b"".join(lines[:2] + lines[3:]))


DEEDS: dict[str, tuple[Callable[[Path], Any], set[str]]] = {
    "a record changed": (lambda root: flip(root, "warc/c/1.warc.gz", 40), {"1", "3", "8"}),
    "a file gone": (lambda root: (root / "warc/c/1.cdxj").unlink(), {"1", "2"}),
    "a file put in": (lambda root: (root / "warc/c/new.warc").write_bytes(b""), {"2"}),
    "a line of the ledger gone": (drop_a_line, {"4", "5", "6"}),
    "the checkpoint changed": (lambda root: flip(root, "fixity/checkpoint", 12), {"6", "7"}),
    "the root changed": (lambda root: flip(root, "fixity/checkpoint", -10), {"6", "7"}),
    "the signature changed": (lambda root: flip(root, "fixity/checkpoint.sig", 200), {"7"}),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_wrong_is_seen_by_the_commands_that_are_about_it(signed: Path, deed: str) -> None:
    commit, seen = DEEDS[deed]
    commit(signed)
    assert failing(signed) == seen
