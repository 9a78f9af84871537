"""The crawl verb: seeds -> frontier -> workers -> sealed WARC files and a report.

The supervisor: it starts and watches the worker processes, seals what they close, and ends the run
when the frontier is exhausted. It fetches nothing.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pipeline.config import Config
from pipeline.crawl.frontier.account import Account
from pipeline.crawl.frontier.runs import Frontier, Run, WarcState
from pipeline.crawl.frontier.share import Share
from pipeline.crawl.rules import secrets
from pipeline.crawl.rules.addresses import is_public_host
from pipeline.crawl.rules.seeds import Collection
from pipeline.errors import ConfigError, StorageError
from pipeline.fixity import manifest
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.model.names import Name
from pipeline.model.url import origin, robots_url
from pipeline.model.wording import size
from pipeline.stages import crawl_page, metrics, recall, sealing
from pipeline.stages.crawl_log import write_log
from pipeline.stages.crawl_report import CrawlProgress, CrawlReport, report_of
from pipeline.stages.crew import Crew
from pipeline.stages.rules import CrawlOptions, Rules, RulesWatch
from pipeline.stages.worker import Order

_LOOK_S = 0.5
_METRICS_S = 5.0

Observe = Callable[[CrawlProgress], None]
Interrupted = Callable[[], bool]
Tell = Callable[[str], None]


def crawl(
    layout: Layout,
    config: Config,
    collections: Sequence[Collection],
    options: CrawlOptions,
    observe: Observe,
    interrupted: Interrupted,
    tell: Tell,
) -> list[CrawlReport]:
    """Crawl collections one after another; each run that was interrupted goes on.

    Args:
        layout: the archive.
        config: its settings.
        collections: what to crawl.
        options: what the command line overrides.
        observe: takes the progress, twice a second.
        interrupted: tells whether the operator wants an end.
        tell: takes what the operator should hear at once, a line at a time.

    Raises:
        ConfigError: sites of others would be asked without a contact; a file of secrets is wrong.
        ArchiveLocked: another process writes to this archive.
        StorageError: the disk refused or is nearly full; run it again when there is room.

    """
    rules = [Rules.of(config, collection, options) for collection in collections]
    for each in rules:
        _demand_contact(each)
        secrets.load(layout.root, each.collection.secrets, os.environ)
    with sealing.writing(layout, datetime.now(UTC)):
        _seal_abandoned(layout)
        return [
            _Supervisor(layout, each, tell).run(observe, interrupted)
            for each in rules
            if not interrupted()
        ]


def _demand_contact(rules: Rules) -> None:
    """Refuse to ask strangers' sites in nobody's name.

    Raises:
        ConfigError: see above.

    """
    agent = rules.policy.user_agent
    if rules.config.archive.contact or "@" in agent or "://" in agent:
        return
    public = next((s.url for s in rules.collection.seeds if is_public_host(s.url)), None)
    if public:
        raise ConfigError(
            "config.toml: archive.contact: expected a page or mail address where the owners of"
            f" crawled sites can reach you, got none; {rules.collection.name} asks {public}."
            ' Set contact = "https://…" or "name@…", then crawl again'
        )


def _seal_abandoned(layout: Layout) -> None:
    """Seal what a crawl that was killed had committed."""
    with closing(Frontier(layout.frontier)) as frontier:
        sealing.seal_warcs(layout, frontier, frontier.warcs("open", "closed"), datetime.now(UTC))


class _Supervisor:
    """One run of one collection."""

    def __init__(self, layout: Layout, rules: Rules, tell: Tell) -> None:
        self._layout = layout
        self._rules = rules
        self._tell = tell
        self._watch = RulesWatch(layout, rules)
        self._begun = self._looked = time.monotonic()
        self._metrics_at = 0.0
        self._shortage: StorageError | None = None

    def run(self, observe: Observe, interrupted: Interrupted) -> CrawlReport:
        """Bring the run to its end, or to where it was interrupted."""
        if shortage := self._find_shortage():
            raise shortage
        # no database handle may cross a fork, so each part opens its own
        with self._frontier() as frontier:
            run = self._start(frontier)
            unfinished = not frontier.exhausted(run)
        if unfinished:
            self._work(run, observe, interrupted)
        with self._frontier() as frontier:
            if frontier.ended_by(run):
                frontier.cut(run, time.time())
            if frontier.exhausted(run):
                return self._finish(run, frontier)
        if self._shortage:
            raise self._shortage
        return self._report(run, None)

    def _frontier(self) -> closing[Frontier]:
        return closing(Frontier(self._layout.frontier))

    def _start(self, frontier: Frontier) -> Run:
        collection = self._rules.collection
        resumed = frontier.unfinished(collection.name)
        run = resumed or frontier.start(collection.name, self._new_name(), time.time())
        # the rules may have been changed during the pause
        self._plant(run, anew=resumed is not None)
        frontier.register(range(self._workers()), time.time())
        if self._rules.policy.revisits:
            sealed = manifest.read(self._layout.manifest)
            recall.refresh(self._layout, collection.name, sealed.entries if sealed else ())
        return run

    def _plant(self, run: Run, *, anew: bool = False) -> None:
        """Offer the seeds, and if the rules are new, what the old ones declined."""
        collection = self._rules.collection
        share = Share(
            self._layout.frontier,
            run.id,
            0,
            origin,
            robots_url,
            canonical=collection.scope.canonical,
            limits=collection.limits,
        )
        with closing(share):
            now = time.time()
            share.plant((seed.url for seed in collection.seeds), now)
            if anew:
                scope = collection.scope
                share.readmit(lambda url, hops: scope.decide(url, hops).accepted, now)

    def _new_name(self) -> str:
        """Name a run by the second, a later one than any file of the last run bears."""
        folder = self._layout.warc(self._rules.collection.name)
        while True:
            name = f"{self._rules.collection.name}-{datetime.now(UTC):%Y%m%d%H%M%S}"
            if not any(folder.glob(f"{name}[.-]*")):
                return name
            time.sleep(0.05)

    def _name(self, run: str) -> Name:
        return Name(self._rules.collection.name, run)

    def _path(self, relative: str) -> Path:
        return self._layout.root / relative

    def _workers(self) -> int:
        """Take one worker a core, but no more than there are hosts to ask."""
        collection = self._rules.collection
        wanted = self._rules.policy.workers or os.cpu_count() or 1
        if collection.scope.type == "domain":
            return max(1, wanted)
        hosts = len({origin(seed.url) for seed in collection.seeds})
        return max(1, min(wanted, hosts))

    def _find_shortage(self) -> StorageError | None:
        """Say that the disk is nearly full and the crawl pauses; None where there is room."""
        free, least = shutil.disk_usage(self._layout.root).free, self._rules.policy.min_free_bytes
        if free >= least:
            return None
        return StorageError(
            f"{self._layout.root}: {size(free)} free on the disk, and crawl.min_free_bytes is"
            f" {size(least)}: the crawl of {self._rules.collection.name} pauses. Nothing is lost:"
            " make room, then run it again to go on"
        )

    def _work(self, run: Run, observe: Observe, interrupted: Interrupted) -> None:
        """Run the worker processes until each has ended, sealing what they close."""
        crew = Crew(self._workers(), lambda number: self._order(run, number))
        try:
            while crew.is_at_work:
                for number in self._look_after(run, crew, observe, interrupted):
                    crew.replace(number)
        except KeyboardInterrupt:  # asked twice: what is in flight is given up
            crew.kill()
            raise
        finally:
            crew.dismiss()
            with self._frontier() as frontier:
                self._seal(frontier, "open", "closed")

    def _look_after(
        self, run: Run, crew: Crew, observe: Observe, interrupted: Interrupted
    ) -> list[int]:
        """Watch the workers until all have ended, or some were killed: it gives those."""
        with self._frontier() as frontier, self._account() as account:
            while crew.is_at_work:
                killed = crew.wait(_LOOK_S)
                for number in killed:
                    frontier.reap(number, time.time(), self._rules.policy.delay_s)
                    self._tell(f"Worker {number} was killed; another takes its place.")
                # found once, it holds: what the workers leave behind as they end may make room
                self._shortage = self._shortage or self._find_shortage()
                if interrupted() or self._shortage:
                    crew.stop()
                self._spend(run, frontier)
                self._take_up_rules(run)
                self._show(run, account, observe)
                self._seal(frontier, "closed")
                if killed:
                    return killed
        return []

    def _spend(self, run: Run, frontier: Frontier) -> None:
        now = time.monotonic()
        frontier.spend(run, now - self._looked)
        self._looked = now

    def _take_up_rules(self, run: Run) -> None:
        """Go by new rules from now on: new seeds, and what was declined before."""
        try:
            rules = self._watch.changed()
            if rules is not None:
                _demand_contact(rules)
        except ConfigError as error:
            self._tell(f"{error}\nThe crawl goes on by the rules it had.")
            return
        if rules is not None:
            self._rules = rules
            self._plant(run, anew=True)
            self._tell(f"Read anew: config.toml and seeds/{rules.collection.path.name}")

    def _show(self, run: Run, account: Account, observe: Observe) -> None:
        now = time.monotonic()
        observe(CrawlProgress.of(account, run, now - self._begun, time.time()))
        if now >= self._metrics_at:
            self._metrics_at = now + _METRICS_S
            self._write_metrics(account)

    def _write_metrics(self, account: Account) -> None:
        metrics.write(self._layout, metrics.metrics(metrics.measure(account)))

    def _seal(self, frontier: Frontier, *states: WarcState) -> None:
        sealing.seal_warcs(self._layout, frontier, frontier.warcs(*states), datetime.now(UTC))

    def _order(self, run: Run, number: int) -> Order:
        return Order(layout=self._layout, run=run, number=number, rules=self._rules)

    def _finish(self, run: Run, frontier: Frontier) -> CrawlReport:
        """Seal the crawl log and the run's report; after that the run is over."""
        now = datetime.now(UTC)
        rules, name = self._rules, self._name(run.name)
        canonical_url = rules.collection.scope.canonical
        write_log(self._layout, run, rules.provenance(run), rules.config.warc, now, canonical_url)
        self._seal(frontier, "open", "closed")
        report = self._report(run, f"{now:%Y-%m-%dT%H:%M:%SZ}", name.page)
        told = report.sealed()
        pages = {
            self._path(name.report): canonical.line(told),
            self._path(name.page): crawl_page.page(told).encode(),
        }
        sealing.seal_report(self._layout, pages, now)
        frontier.finish(run, now.timestamp())
        with self._account() as account:
            self._write_metrics(account)
        return report

    def _report(self, run: Run, finished_at: str | None, page: str = "") -> CrawlReport:
        with self._account() as account:
            return report_of(account, run, finished_at, page)

    def _account(self) -> closing[Account]:
        return closing(Account(self._layout.frontier))
