"""The crawl verb: seeds -> frontier -> workers -> sealed WARC files and a report.

The supervisor: it starts and watches the worker processes, seals what they close, and ends the run
when the frontier is exhausted. It fetches nothing and writes no WARC itself.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.archive import codec
from pipeline.archive.compose import Provenance
from pipeline.config import Config
from pipeline.crawl.frontier.runs import Frontier, Run, WarcState
from pipeline.crawl.frontier.share import Share
from pipeline.crawl.rules.seeds import Collection
from pipeline.errors import HoldfastError
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.model.policy import CrawlPolicy
from pipeline.model.url import origin, robots_url
from pipeline.stages import sealing
from pipeline.stages.crawl_report import CrawlProgress, CrawlReport
from pipeline.stages.worker import Order, work

_LOOK_S = 0.5
_MOST_RESTARTS = 5
_NAMED_FAILURES = 20
_SOFTWARE = ("warcio", "protego")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlOptions:
    """What the command line overrides; None is as configured."""

    workers: int | None = None
    delay_s: float | None = None


Observe = Callable[[CrawlProgress], None]
Interrupted = Callable[[], bool]


def crawl(
    layout: Layout,
    config: Config,
    collections: Sequence[Collection],
    options: CrawlOptions,
    observe: Observe,
    interrupted: Interrupted,
) -> list[CrawlReport]:
    """Crawl collections one after another; each run that was interrupted goes on.

    Raises:
        ArchiveLocked: another process writes to this archive.
        StorageError: the disk refused; run it again when there is room.

    """
    reports = []
    with sealing.writing(layout, datetime.now(UTC)):
        _seal_abandoned(layout)
        for collection in collections:
            if not interrupted():
                supervisor = _Supervisor(layout, config, collection, options)
                reports.append(supervisor.run(observe, interrupted))
    return reports


def _seal_abandoned(layout: Layout) -> None:
    """Seal what a crawl that was killed had committed."""
    with closing(Frontier(layout.frontier)) as frontier:
        sealing.seal_warcs(layout, frontier, frontier.warcs("open", "closed"), datetime.now(UTC))


class _Supervisor:
    """One run of one collection."""

    def __init__(
        self, layout: Layout, config: Config, collection: Collection, options: CrawlOptions
    ) -> None:
        self._layout = layout
        self._config = config
        self._collection = collection
        self._policy = _policy(config, collection, options)
        # fork shares what is imported already; elsewhere it is not safe and spawn is the rule
        self._context: Any = multiprocessing.get_context(
            "fork" if sys.platform == "linux" else "spawn"
        )
        self._begun = time.monotonic()
        self._restarts = 0

    def run(self, observe: Observe, interrupted: Interrupted) -> CrawlReport:
        """Bring the run to its end, or to where it was interrupted."""
        # no database handle may cross a fork, so each part opens its own
        with self._frontier() as frontier:
            run = self._start(frontier)
            unfinished = not frontier.exhausted(run)
        if unfinished:
            self._work(run, observe, interrupted)
        with self._frontier() as frontier:
            if frontier.exhausted(run):
                return self._finish(run, frontier)
            return self._report(run, frontier, None)

    def _frontier(self) -> closing[Frontier]:
        return closing(Frontier(self._layout.frontier))

    def _start(self, frontier: Frontier) -> Run:
        collection = self._collection.name
        run = frontier.unfinished(collection) or frontier.start(
            collection, self._new_name(), time.time()
        )
        share = Share(self._layout.frontier, run.id, 0, origin, robots_url)
        with closing(share):
            share.plant(seed.url for seed in self._collection.seeds)
        frontier.register(range(self._workers()), time.time())
        return run

    def _new_name(self) -> str:
        """Name a run by the second; the next one, if the last run began and ended in this one."""
        while True:
            name = f"{self._collection.name}-{datetime.now(UTC):%Y%m%d%H%M%S}"
            if not self._report_path(name).exists():
                return name
            time.sleep(0.05)

    def _report_path(self, run: str) -> Path:
        return self._layout.root / Name(self._collection.name, run).report

    def _workers(self) -> int:
        """Take one worker a core, but no more than there are hosts to ask."""
        hosts = len({origin(seed.url) for seed in self._collection.seeds})
        return max(1, min(self._policy.workers or os.cpu_count() or 1, hosts))

    def _work(self, run: Run, observe: Observe, interrupted: Interrupted) -> None:
        """Run the worker processes until each has ended, sealing what they close."""
        stop = self._context.Event()
        lifeline = self._context.Pipe(duplex=False)
        failures: SimpleQueue[HoldfastError] = self._context.SimpleQueue()

        def start(number: int) -> BaseProcess:
            process: BaseProcess = self._context.Process(
                target=work, args=(self._order(run, number), stop, lifeline, failures), daemon=True
            )
            process.start()
            return process

        # what is imported stays for good: no garbage collection, here or in a worker, need look
        gc.freeze()
        processes = {number: start(number) for number in range(self._workers())}
        try:
            while processes:
                for number in self._watch(run, processes, stop, failures, observe, interrupted):
                    processes[number] = start(number)
        except KeyboardInterrupt:  # asked twice: what is in flight is given up
            for process in processes.values():
                process.kill()
            raise
        finally:
            stop.set()
            for process in processes.values():
                process.join()
            with self._frontier() as frontier:
                self._seal(frontier, "open", "closed")
            for end in lifeline:
                end.close()

    def _watch(
        self,
        run: Run,
        processes: dict[int, BaseProcess],
        stop: Event,
        failures: SimpleQueue[HoldfastError],
        observe: Observe,
        interrupted: Interrupted,
    ) -> list[int]:
        """Look after the workers until all have ended, or some were killed: it gives those."""
        with self._frontier() as frontier:
            while processes:
                connection.wait([process.sentinel for process in processes.values()], _LOOK_S)
                if interrupted():
                    stop.set()
                ended = [n for n, process in processes.items() if process.exitcode is not None]
                killed = [n for n in ended if processes.pop(n).exitcode]
                for number in killed:
                    self._reap(frontier, number, failures)
                observe(self._progress(run, frontier))
                self._seal(frontier, "closed")
                if killed:
                    return killed
        return []

    def _seal(self, frontier: Frontier, *states: WarcState) -> None:
        sealing.seal_warcs(self._layout, frontier, frontier.warcs(*states), datetime.now(UTC))

    def _reap(self, frontier: Frontier, number: int, failures: SimpleQueue[HoldfastError]) -> None:
        """Give back what a worker that was killed had leased; another may take its place.

        Raises:
            HoldfastError: it ended with an error of its own, or too many were killed.

        """
        if not failures.empty():
            raise failures.get()
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            raise HoldfastError(
                f"workers were killed {self._restarts} times (out of memory?);"
                " what was committed is kept: run holdfast crawl again, perhaps with --workers 1"
            )
        frontier.reap(number, time.time(), self._policy.delay_s)

    def _order(self, run: Run, number: int) -> Order:
        return Order(
            layout=self._layout,
            run=run,
            number=number,
            crawl=self._policy,
            warc=self._config.warc,
            scope=self._collection.scope,
            provenance=self._provenance(run),
        )

    def _provenance(self, run: Run) -> Provenance:
        archive = self._config.archive
        info = [
            ("software", f"Holdfast/{__version__}"),
            ("format", "WARC File Format 1.1"),
            (
                "conformsTo",
                "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
            ),
            ("operator", archive.operator),
            ("contact", archive.contact),
            ("robots", "obey"),
            ("http-header-user-agent", self._policy.user_agent),
            ("isPartOf", run.name),
            ("description", self._collection.title),
            ("config-digest", self._config.digest),
            ("seeds-digest", self._collection.digest),
            ("host-python", platform.python_version()),
            *(("software-version", f"{name} {version(name)}") for name in _SOFTWARE),
            ("software-version", codec.name(self._config.warc.codec)),
        ]
        seeds = self._collection.path.name
        seeds_type = "application/toml" if seeds.endswith(".toml") else "text/plain"
        return Provenance(
            info=[(name, value) for name, value in info if value],
            resources=(
                (f"urn:holdfast:{run.name}:config.toml", "application/toml", self._config.raw),
                (f"urn:holdfast:{run.name}:seeds/{seeds}", seeds_type, self._collection.raw),
            ),
        )

    def _progress(self, run: Run, frontier: Frontier) -> CrawlProgress:
        return CrawlProgress(
            collection=run.collection,
            counts=frontier.counts(run),
            hosts=frontier.active_hosts(run),
            elapsed_s=time.monotonic() - self._begun,
        )

    def _finish(self, run: Run, frontier: Frontier) -> CrawlReport:
        """Seal the run's report; after that the run is over."""
        now = datetime.now(UTC)
        report = self._report(run, frontier, f"{now:%Y-%m-%dT%H:%M:%SZ}")
        path = self._report_path(run.name)
        sealing.seal_report(self._layout, path, canonical.line(report.sealed()), now)
        frontier.finish(run, now.timestamp())
        return report

    def _report(self, run: Run, frontier: Frontier, finished_at: str | None) -> CrawlReport:
        counts = frontier.counts(run)
        return CrawlReport(
            collection=run.collection,
            run_id=run.name,
            started_at=f"{datetime.fromtimestamp(run.started_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
            finished_at=finished_at,
            captures=counts.captured,
            revisits=counts.revisit,
            refused=counts.refused,
            failed=counts.failed,
            bytes=counts.received,
            discovered=counts.discovered,
            waiting=counts.waiting,
            status=frontier.tally(run, "status", "captured"),
            failures=frontier.tally(run, "reason", "failed"),
            refusals=frontier.tally(run, "reason", "refused"),
            warcs=tuple(Name(run.collection, name).warc for name in frontier.sealed_names(run)),
            failed_urls=tuple(frontier.failures(run, _NAMED_FAILURES)),
        )


def _policy(config: Config, collection: Collection, options: CrawlOptions) -> CrawlPolicy:
    """Lay the collection's overrides, then the command line's, over config.toml."""
    policy = collection.overrides.over(config.crawl)
    if options.workers is not None:
        policy = msgspec.structs.replace(policy, workers=options.workers)
    if options.delay_s is not None:
        policy = msgspec.structs.replace(policy, delay_s=options.delay_s)
    return policy
