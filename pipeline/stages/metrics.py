"""How crawls stand, as a text file for Prometheus: `.holdfast/crawl.prom`, for a node's collector.

Working state, no part of the archive. The format is Prometheus' text exposition format 0.0.4.
Written every few seconds, so that nothing here may be dear: see `Account.tally`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.crawl.frontier.account import Account, Counts, Hosts, Tally
from pipeline.crawl.frontier.runs import Run
from pipeline.errors import StorageError
from pipeline.model.layout import Layout

FILE: Final = "crawl.prom"

_Sample = tuple[tuple[tuple[str, str], ...], int | float]


class RunMetrics(Struct, frozen=True, kw_only=True):
    """How one run stands; times are Unix seconds, `finished_at` is None before its end."""

    collection: str
    started_at: float
    finished_at: float | None
    counts: Counts
    hosts: Hosts
    tally: Tally


def measure(account: Account) -> list[RunMetrics]:
    """Count what the metrics tell of the latest run of each collection."""
    return [_measure(account, *run) for run in account.runs()]


def _measure(account: Account, run: Run, finished_at: float | None) -> RunMetrics:
    return RunMetrics(
        collection=run.collection,
        started_at=run.started_at,
        finished_at=finished_at,
        counts=account.counts(run),
        hosts=account.host_counts(run),
        tally=account.tally(run),
    )


def metrics(runs: Sequence[RunMetrics]) -> str:
    """Write the metrics of runs, one of each collection; counters begin anew with a run."""
    return "".join(_families(runs))


def write(layout: Layout, text: str) -> None:
    """Replace the file as a whole, so that a collector never reads half of it; no fsync.

    Raises:
        StorageError: the disk refused.

    """
    path = metrics_path(layout)
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)  # noqa: PTH105 it says that the target may be there
    except OSError as error:
        raise StorageError(f"{path}: could not be written: {error.strerror}") from error


def metrics_path(layout: Layout) -> Path:
    """Tell where the file lies."""
    return layout.working / FILE


def _families(runs: Sequence[RunMetrics]) -> Iterator[str]:
    for name, kind, words, value in (
        ("captures_total", "counter", "Responses stored in full.", "captured"),
        ("revisits_total", "counter", "Responses stored by reference.", "revisit"),
        ("received_bytes_total", "counter", "Bytes received on the wire.", "received"),
        ("declined_total", "counter", "URLs met and not taken up.", "declined"),
        ("discovered_total", "counter", "URLs taken up.", "discovered"),
        ("waiting", "gauge", "URLs taken up and not yet settled.", "waiting"),
    ):
        samples = [(_labels(run), getattr(run.counts, value)) for run in runs]
        yield _family(name, kind, words, samples)
    for name, words, label, value in (
        ("responses_total", "Responses by HTTP status code.", "code", "status"),
        ("refused_total", "URLs not asked for, by reason.", "reason", "refusals"),
        ("failed_total", "URLs asked for in vain, by reason.", "reason", "failures"),
    ):
        samples = [
            (_labels(run, (label, code)), count)
            for run in runs
            for code, count in getattr(run.tally, value).items()
        ]
        yield _family(name, "counter", words, samples)
    for name, words, value in (
        ("hosts_active", "Hosts with something left to ask for.", "active"),
        ("hosts_set_aside", "Hosts set aside because they kept failing.", "set_aside"),
    ):
        samples = [(_labels(run), getattr(run.hosts, value)) for run in runs]
        yield _family(name, "gauge", words, samples)
    yield from _times(runs)


def _times(runs: Sequence[RunMetrics]) -> Iterator[str]:
    for name, words, value in (
        ("run_started_timestamp_seconds", "When the run began.", "started_at"),
        ("run_finished_timestamp_seconds", "When the run came to its end.", "finished_at"),
    ):
        samples = [
            (_labels(run), moment) for run in runs if (moment := getattr(run, value)) is not None
        ]
        yield _family(name, "gauge", words, samples)


def _labels(run: RunMetrics, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return ("collection", run.collection), *more


def _family(name: str, kind: str, words: str, samples: Sequence[_Sample]) -> str:
    """Write one metric: its samples stand together, after what it means."""
    if not samples:
        return ""
    name = f"holdfast_{name}"
    lines = [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{{{_written(labels)}}} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _written(labels: Sequence[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
