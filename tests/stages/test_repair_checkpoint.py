"""Checkpoint, signature and allowed_signers that are hurt: repaired, or left for the operator."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FILES = ("checkpoint", "checkpoint.sig", "allowed_signers")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.fixture
def sealed(archive: Any, tmp_path: Path) -> Any:
    """Give an archive with something in it."""
    record = b"WARC/1.1\r\nWARC-Type: warcinfo\r\nWARC-Date: 2020-02-03T04:05:06Z\r\n"
    record += b"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>\r\n"
    record += b"Content-Type: application/warc-fields\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
    (tmp_path / "one.warc.gz").write_bytes(gzip.compress(record, mtime=0))
    archive.json("import", str(tmp_path / "one.warc.gz"))
    return archive


@pytest.fixture
def signed(sealed: Any, tmp_path: Path) -> Any:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    sealed.json("sign", "--key", str(key))
    return sealed


def told_in_ledger(root: Path) -> dict[str, str]:
    last = (root / "fixity" / "ledger.jsonl").read_bytes().splitlines()[-1]
    event = json.loads(last)
    assert event["eventType"] == "repair"
    accounts: dict[str, str] = event["eventDetail"]["accounts"]
    return accounts


@pytest.mark.parametrize("hurt", [flip, empty])
def test_the_checkpoint_of_an_unsigned_archive_follows_from_its_ledger(
    sealed: Any, hurt: Any
) -> None:
    path = sealed.root / "fixity" / "checkpoint"
    hurt(path)
    damaged = path.read_bytes()
    assert not sealed.json("verify", exit_code=4)["ok"]
    assert sealed.json("repair", "--dry-run")["repaired"][0]["path"] == "fixity/checkpoint"
    assert path.read_bytes() == damaged
    sealed.json("repair")
    assert sealed.json("verify")["ok"]
    assert told_in_ledger(sealed.root) == {"fixity/checkpoint": "the ledger"}
    kept = list((sealed.root / "quarantine" / "fixity").iterdir())
    assert [each.read_bytes() for each in kept] == [damaged]


@pytest.mark.parametrize("hurt", [flip, empty, remove])
@pytest.mark.parametrize("name", FILES)
def test_what_vouches_for_a_signed_archive_comes_back_from_a_copy(
    signed: Any, tmp_path: Path, name: str, hurt: Any
) -> None:
    copy = tmp_path / "copy"
    signed.json("replicate", str(copy))
    before = {each: (signed.root / "fixity" / each).read_bytes() for each in FILES}
    hurt(signed.root / "fixity" / name)
    assert not signed.json("verify", exit_code=4)["ok"]
    signed.json("repair", "--from", str(copy))
    assert {each: (signed.root / "fixity" / each).read_bytes() for each in FILES} == before
    assert told_in_ledger(signed.root) == {f"fixity/{name}": str(copy)}
    # nobody has signed the event that tells of the repair yet
    told = signed.json("verify", exit_code=3)
    assert [each["code"] for each in told["findings"]] == ["W451"]


@pytest.mark.parametrize("name", FILES)
def test_without_a_copy_only_the_operator_signs_again(signed: Any, name: str) -> None:
    flip(signed.root / "fixity" / name)
    hurt = (signed.root / "fixity" / name).read_bytes()
    done = signed.run("repair")
    assert done.returncode in (3, 4) and "holdfast sign" in done.stdout + done.stderr
    assert (signed.root / "fixity" / name).read_bytes() == hurt


def test_a_copy_that_is_hurt_itself_gives_nothing(signed: Any, tmp_path: Path) -> None:
    copies = [tmp_path / "one", tmp_path / "two"]
    for copy in copies:
        signed.json("replicate", str(copy))
    flip(copies[0] / "fixity" / "checkpoint.sig")
    right = (signed.root / "fixity" / "checkpoint.sig").read_bytes()
    remove(signed.root / "fixity" / "checkpoint.sig")
    signed.json("repair", "--from", str(copies[0]), str(copies[1]))
    assert (signed.root / "fixity" / "checkpoint.sig").read_bytes() == right
    assert told_in_ledger(signed.root) == {"fixity/checkpoint.sig": str(copies[1])}


def test_a_ledger_that_was_set_back_is_not_papered_over(sealed: Any, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(sealed.root / "fixity", earlier)
    sealed.collection("c", "http://127.0.0.1:9/\n")
    sealed.run("crawl")
    assert (sealed.root / "fixity" / "ledger.jsonl").stat().st_size > (
        earlier / "ledger.jsonl"
    ).stat().st_size
    for name in ("ledger.jsonl", "checkpoint", "manifest-sha256.txt"):
        shutil.copy(earlier / name, sealed.root / "fixity" / name)
    flip(sealed.root / "fixity" / "checkpoint")
    hurt = (sealed.root / "fixity" / "checkpoint").read_bytes()
    assert sealed.run("repair").returncode == 4
    assert (sealed.root / "fixity" / "checkpoint").read_bytes() == hurt
