"""The status verb: what is in the archive, what a crawl is doing now, what to do next.

Reads without the lock, also while a crawl runs: sealed files from the manifest, progress from the
frontier, and what nobody sealed from the folders. It judges nothing; that is verification.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import durable
from pipeline.crawl.frontier.runs import Counts, Run, peek
from pipeline.fixity import disk, ledger, manifest
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, parse
from pipeline.model.wording import printable, size, table


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """What is sealed of one collection, and how far its unfinished run has come."""

    name: str
    warcs: int
    warc_bytes: int
    document_files: int
    runs: int
    captures: int
    unfinished: tuple[Run, Counts] | None

    def as_json(self) -> dict[str, Any]:
        """Give the collection's part of the status object."""
        told = {
            name: getattr(self, name)
            for name in ("name", "warcs", "warc_bytes", "document_files", "runs", "captures")
        }
        told["unfinished_run"] = None
        if self.unfinished:
            run, counts = self.unfinished
            told["unfinished_run"] = {
                "run_id": run.name,
                **asdict(counts),
                "waiting": counts.waiting,
            }
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The state of an archive.

    Attributes:
        left_over: paths of WARC files that no unfinished run goes on with, and that nobody sealed.

    """

    root: str
    writing: bool
    events: int
    sealed_files: int
    collections: Sequence[CollectionStatus]
    left_over: Sequence[str]

    exit_code = 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json status` prints."""
        return {
            "writing": self.writing,
            "ledger_events": self.events,
            "sealed_files": self.sealed_files,
            "collections": [collection.as_json() for collection in self.collections],
            "left_over": list(self.left_over),
            "next": self.next_steps(),
        }

    def as_text(self) -> str:
        """Give the state for people."""
        lines = [
            f"{self.root}: {self.sealed_files:,} sealed files, {self.events:,} ledger events"
            + ("; a holdfast process is writing now" if self.writing else "")
        ]
        for collection in self.collections:
            lines.append(f"\n{collection.name}")
            lines.append(table(_rows(collection)))
        lines += [
            "",
            *(
                f"Left over: {path}, not sealed; no run goes on with it: keep it, and read"
                " about W403 in docs/findings.md"
                for path in self.left_over
            ),
        ]
        lines += [f"Next: {step}" for step in self.next_steps()]
        return printable("\n".join(lines))

    def next_steps(self) -> list[str]:
        """Say what the operator may want to do now."""
        steps = []
        stopped = [c.name for c in self.collections if c.unfinished]
        if stopped and not self.writing:
            steps.append(f"holdfast crawl {' '.join(stopped)}  (goes on where it stopped)")
        new = [c.name for c in self.collections if not c.runs and not c.unfinished]
        if new:
            steps.append(f"holdfast run {' '.join(new)}  (never crawled)")
        behind = [c.name for c in self.collections if c.document_files < c.warcs]
        if behind:
            steps.append(f"holdfast extract {' '.join(behind)}  (new WARC files)")
        if not self.collections:
            return ["write a seed file into seeds/ (FILE.toml or FILE.txt), then holdfast run"]
        return steps or ["holdfast verify --level records"]


def status(layout: Layout, collections: Sequence[str]) -> StatusReport:
    """Read the state of the archive; `collections` are those that have a seed file.

    Raises:
        StorageError: the frontier cannot be read.
        ConfigError: another version of Holdfast made the frontier.

    """
    account = ledger.read(layout.ledger)
    objects = account.objects if account else {}
    listed = manifest.read(layout.manifest)
    sealed = listed.entries if listed else {}
    running = {run.collection: (run, counts) for run, counts in peek(layout.frontier)}
    kinds: Counter[tuple[str, str]] = Counter()
    for path in sealed:
        part = parse(path)
        # a later revision of the same documents is not another WARC's
        if part is None or part.revision > 1:
            continue
        collection = part.name.collection
        kinds[collection, part.kind] += 1
        if part.kind == "warc":
            kinds[collection, "bytes"] += objects[path].size if path in objects else 0
        if part.kind == "report":
            kinds[collection, "captures"] += _captures(layout, path)
    names = sorted({*collections, *running, *(collection for collection, _ in kinds)})
    return StatusReport(
        root=str(layout.root.resolve()),
        writing=durable.is_held(layout.lock),
        events=account.size if account else 0,
        sealed_files=len(sealed),
        collections=[
            CollectionStatus(
                name=name,
                warcs=kinds[name, "warc"],
                warc_bytes=kinds[name, "bytes"],
                document_files=kinds[name, "documents"],
                runs=kinds[name, "report"],
                captures=kinds[name, "captures"],
                unfinished=running.get(name),
            )
            for name in names
        ],
        left_over=_left_over(layout, running),
    )


def _left_over(layout: Layout, running: Collection[str]) -> list[str]:
    """Give the paths of open WARC files in the folders of collections that no run is crawling."""
    opened = (path for path, _ in disk.files(layout.root) if path.endswith(OPEN))
    return sorted(path for path in opened if path.split("/")[1] not in running)


def _captures(layout: Layout, report: str) -> int:
    try:
        return int(json.loads((layout.root / report).read_bytes())["captures"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0  # holdfast verify names a damaged report


def _rows(collection: CollectionStatus) -> list[tuple[str, str]]:
    rows = [
        ("finished runs", f"{collection.runs:,} with {collection.captures:,} captures"),
        ("WARC files", f"{collection.warcs:,} ({size(collection.warc_bytes)})"),
        ("document files", f"{collection.document_files:,}"),
    ]
    if collection.unfinished:
        run, counts = collection.unfinished
        rows.append(
            (
                "unfinished run",
                f"{run.name}: {counts.captured:,} captured, {counts.refused:,} refused,"
                f" {counts.failed:,} failed, {counts.waiting:,} waiting",
            )
        )
    return rows
