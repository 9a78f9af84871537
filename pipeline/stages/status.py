"""The status verb: what is in the archive, what a crawl is doing now, what to do next.

Reads without the lock, also while a crawl runs: sealed files from the manifest, progress from the
frontier, and what nobody sealed from the folders. It judges nothing; that is verification.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from msgspec import Struct

from pipeline import durable
from pipeline.crawl.frontier.account import Account
from pipeline.fixity import audit, checks, disk, ledger, manifest
from pipeline.fixity.audit import Expected
from pipeline.fixity.checks import Coverage
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, WARC, parse
from pipeline.model.wording import printable, size, table
from pipeline.stages.run_status import RunStatus, run_status
from pipeline.stages.scrub_report import coverage_json, coverage_rows

_SUMMARY = (
    *("run_id", "started_at", "finished_at", "ended_by", "captures", "revisits", "refused"),
    *("failed", "declined", "bytes", "new", "changed", "unchanged", "vanished"),
    *("hosts", "hosts_set_aside"),
)


class CollectionStatus(Struct, frozen=True, kw_only=True):
    """What is sealed of one collection, and how far its unfinished run has come.

    Attributes:
        logs: of the WARC files, those that hold crawl logs: no documents are made of them.
        last_run: the numbers of the newest report that can be read, as it has them.

    """

    name: str
    has_seeds: bool
    warcs: int
    logs: int
    warc_bytes: int
    document_files: int
    runs: int
    captures: int
    last_run: dict[str, Any] | None
    unfinished: RunStatus | None

    def as_json(self) -> dict[str, Any]:
        """Give the collection's part of the status object."""
        names = ("name", "warcs", "warc_bytes", "document_files", "runs", "captures", "last_run")
        told = {name: getattr(self, name) for name in names}
        told["unfinished_run"] = self.unfinished.as_json() if self.unfinished else None
        return told


class StatusReport(Struct, frozen=True, kw_only=True):
    """The state of an archive.

    Attributes:
        left_over: paths of WARC files that no crawl is writing or will seal.
        coverage: what scrubs have checked, and when.
        now: Unix time.

    """

    root: str
    writing: bool
    events: int
    sealed_files: int
    collections: Sequence[CollectionStatus]
    left_over: Sequence[str]
    coverage: Coverage
    now: float

    exit_code = 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json status` prints."""
        return {
            "writing": self.writing,
            "ledger_events": self.events,
            "sealed_files": self.sealed_files,
            "collections": [collection.as_json() for collection in self.collections],
            "left_over": list(self.left_over),
            "coverage": coverage_json(self.coverage),
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
            if collection.unfinished:
                lines += ["", *collection.unfinished.lines()]
        if self.sealed_files:
            lines += ["\nchecks", table(coverage_rows(self.coverage, self.now))]
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
        if self.writing:
            return []  # a crawl or the like is doing it
        steps = []
        unfinished = [c for c in self.collections if c.unfinished]
        stopped = [c.name for c in unfinished if c.has_seeds]
        if stopped:
            steps.append(f"holdfast crawl {' '.join(stopped)}  (goes on where it stopped)")
        steps += [
            f"put the seed file of {c.name} back into seeds/, then holdfast crawl {c.name}"
            "  (its run is not finished)"
            for c in unfinished
            if not c.has_seeds
        ]
        new = [c.name for c in self.collections if not c.runs and not c.unfinished]
        if new:
            steps.append(f"holdfast run {' '.join(new)}  (never crawled)")
        behind = [c.name for c in self.collections if c.document_files < c.warcs - c.logs]
        if behind:
            steps.append(f"holdfast extract {' '.join(behind)}  (new WARC files)")
        if not self.collections:
            return ["write a seed file into seeds/ (FILE.toml or FILE.txt), then holdfast run"]
        if self.coverage.bad:
            steps.append("holdfast verify  (names what is damaged), then restore it from a copy")
        # where scrubs are not used, nothing is overdue
        if self.coverage.due and self.coverage.oldest is not None:
            steps.append("holdfast scrub  (checks what is due)")
        return steps or ["holdfast verify --level records"]


def status(layout: Layout, collections: Sequence[str], now: float) -> StatusReport:
    """Read the state of the archive.

    Args:
        layout: where it lies.
        collections: those that have a seed file.
        now: Unix time.

    Raises:
        StorageError: the frontier cannot be read.
        ConfigError: another version of Holdfast made the frontier.

    """
    account = ledger.read(layout.ledger)
    objects = account.objects if account else {}
    listed = manifest.read(layout.manifest)
    sealed = listed.entries if listed else {}
    running, known = _frontier(layout, now)
    kinds: Counter[tuple[str, str]] = Counter()
    reports: dict[str, dict[str, Any]] = {}
    for path in sorted(sealed):
        part = parse(path)
        # a later revision of the same documents is not another WARC's
        if part is None or part.revision > 1:
            continue
        collection = part.name.collection
        kinds[collection, part.kind] += 1
        if part.kind == "warc":
            kinds[collection, "bytes"] += objects[path].size if path in objects else 0
            kinds[collection, "logs"] += part.name.is_log
        if part.kind == "report" and (told := _report(layout, path)):
            kinds[collection, "captures"] += told["captures"]
            reports[collection] = told
    names = sorted({*collections, *running, *(collection for collection, _ in kinds)})
    return StatusReport(
        root=str(layout.root.resolve()),
        writing=durable.is_held(layout.lock),
        events=account.size if account else 0,
        sealed_files=len(sealed),
        collections=[
            CollectionStatus(
                name=name,
                has_seeds=name in collections,
                warcs=kinds[name, "warc"],
                logs=kinds[name, "logs"],
                warc_bytes=kinds[name, "bytes"],
                document_files=kinds[name, "documents"],
                runs=kinds[name, "report"],
                captures=kinds[name, "captures"],
                last_run=reports.get(name),
                unfinished=running.get(name),
            )
            for name in names
        ],
        left_over=sorted(_left_over(layout, known)),
        coverage=_coverage(layout, audit.expect(listed, account), now),
        now=now,
    )


def _coverage(layout: Layout, sealed: Mapping[str, Expected], now: float) -> Coverage:
    history = checks.read(layout.root, sealed, now)
    return checks.coverage(history, sealed, now, checks.MAX_AGE_S)


def _frontier(layout: Layout, now: float) -> tuple[dict[str, RunStatus], Collection[str]]:
    """Give the unfinished run of each collection, and the NAMEs that some crawl will seal."""
    if not layout.frontier.exists():
        return {}, ()
    with closing(Account(layout.frontier)) as account, account.snapshot():
        running = {run.collection: run_status(account, run, now) for run in account.unfinished()}
        return running, account.open_warcs()


def _left_over(layout: Layout, known: Collection[str]) -> Iterable[str]:
    """Give the paths of open WARC files that the frontier does not know."""
    ending = WARC + OPEN
    for path, _ in disk.files(layout.root):
        if path.endswith(OPEN) and path.rpartition("/")[2].removesuffix(ending) not in known:
            yield path


def _report(layout: Layout, path: str) -> dict[str, Any] | None:
    """Read the numbers of a report; None where it is no report: holdfast verify names those."""
    try:
        told = json.loads((layout.root / path).read_bytes())
        summary = {name: told[name] for name in _SUMMARY if name in told}
        return {**summary, "captures": int(told["captures"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _rows(collection: CollectionStatus) -> list[tuple[str, str]]:
    rows = [
        ("finished runs", f"{collection.runs:,} with {collection.captures:,} captures"),
        ("WARC files", f"{collection.warcs:,} ({size(collection.warc_bytes)})"),
        ("document files", f"{collection.document_files:,}"),
    ]
    if last := collection.last_run:
        counts = ("captures", "revisits", "refused", "failed", "declined")
        told = ", ".join(f"{last[name]:,} {name}" for name in counts if last.get(name))
        ended = f"; ended by {last['ended_by']}" if last.get("ended_by") else ""
        rows.append(("last run", f"{last.get('finished_at')}: {told or 'nothing'}{ended}"))
    if collection.unfinished:
        rows.append(("unfinished run", collection.unfinished.headline()))
    return rows
