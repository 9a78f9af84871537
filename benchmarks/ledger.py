"""The ledger alone: appending to it, checking it, and how long a proof of one line is.

A ledger of a million lines is written, each a WARC file that was sealed with its two sidecars or,
every second one, the documents that were made of it. Then lines are appended as sealing does it,
fsync included and left out; the ledger is read and checked in a process of its own, chain and
Merkle root included; and the proof that a line is in it is measured. Beside it `sha256sum` reads
the same file. Goals: 1 ms to append, 10 s of CPU to check, 1 kB for a proof.

    python benchmarks/ledger.py [LINES]
"""

from __future__ import annotations

import base64
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.fixity import ledger
from pipeline.fixity.ledger import Event, SealedFile

AT = datetime(2026, 1, 1, tzinfo=UTC)
APPENDED = 200

CHECK = """
import json, resource, sys, time
from pathlib import Path
from pipeline.fixity import ledger
begun = time.process_time()
read = ledger.read(Path(sys.argv[1]))
root = read.root
spent = time.process_time() - begun
size = int(sys.argv[2])
path = read.tree.inclusion(size // 3, size)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([spent, len(read.faults), [each.hex() for each in path], memory]))
"""


def event(number: int) -> Event:
    name = f"c/c-20260101000000-{number // 2:07d}-w0"
    kind = "creation" if number == 0 else "extraction" if number % 2 else "capture"
    endings = (".warc.gz", ".members.jsonl", ".cdxj")
    paths = [f"extracted/{name}.jsonl.gz"] if number % 2 else [f"warc/{name}{e}" for e in endings]
    return Event(
        identifier=uuid.UUID(int=number).urn,
        type=kind,
        at=AT,
        outcome="success",
        agent="0.1.0",
        detail={"run_id": "c-20260101000000", "collection": "c"},
        objects=tuple(
            SealedFile(path=path, sha256=hashlib.sha256(path.encode()).hexdigest(), size=number)
            for path in paths
        ),
    )


def fill(path: Path, lines: int) -> None:
    previous = ledger.FIRST
    with path.open("wb") as out:
        for number in range(lines):
            line = event(number).line(number, previous)
            previous = hashlib.sha256(line).hexdigest()
            out.write(line)


def appending(path: Path, first: int, clock: Callable[[], float]) -> float:
    """Give the median of seconds that one append takes."""
    taken = []
    for number in range(first, first + APPENDED):
        new = event(number)
        begun = clock()
        ledger.append(path, new)
        taken.append(clock() - begun)
    return statistics.median(taken)


def bare_append(path: Path) -> float:
    """Give the median of seconds that writing as much and fsync take alone."""
    taken = []
    for _ in range(APPENDED):
        begun = time.perf_counter()
        durable.append(path, b"x" * 500)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def checking(path: Path, lines: int) -> list[Any]:
    command = [sys.executable, "-c", CHECK, str(path), str(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(done.stdout)
    assert found[1] == 0, "the ledger has faults"
    return found


def sha256sum(path: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["sha256sum", path], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="holdfast-ledger-") as folder:
        path = Path(folder, "ledger.jsonl")
        fill(path, lines)
        size = path.stat().st_size
        spent, _, proof, memory = checking(path, lines)
        beside = sha256sum(path)
        cpu = appending(path, lines, time.process_time)
        wall = appending(path, lines + APPENDED, time.perf_counter)
        bare = bare_append(Path(folder, "bare"))
    told = sum(len(base64.b64encode(bytes.fromhex(each))) + 1 for each in proof)
    print(f"{lines:,} lines, {size / 1e6:.0f} MB\n")
    print("| | Holdfast | beside | goal |\n|---|---|---|---|")
    print(f"| append, CPU | {cpu * 1e3:.2f} ms | | |")
    print(f"| append, with fsync | {wall * 1e3:.2f} ms | fsync alone {bare * 1e3:.2f} ms | 1 ms |")
    print(f"| check: lines, chain, root, CPU | {spent:.1f} s | sha256sum {beside:.1f} s | 10 s |")
    print(f"| the same, memory | {memory / 1024:.0f} MB | | |")
    print(f"| proof of one line, in Base64 | {told} bytes, {len(proof)} digests | | 1,000 bytes |")


if __name__ == "__main__":
    main()
