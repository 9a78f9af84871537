"""What a crawl tells while it runs and at its end: its account, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, structs

from pipeline.crawl.frontier.account import Account, Counts, HostState
from pipeline.crawl.frontier.runs import Run
from pipeline.crawl.rules.decision import SOURCE
from pipeline.model.names import Name
from pipeline.model.wording import printable, size, table

_SUMMED = (
    *("captures", "revisits", "refused", "failed", "bytes", "discovered", "waiting", "declined"),
    *("new", "changed", "unchanged", "vanished"),
)
_ON_SCREEN_ONLY = ("waiting", "failed_urls", "empty_sources")
_SEALED_ONLY = ("minutes", "minutes_step")

_NAMED_FAILURES = 20
_NAMED_HOSTS = 20
_SHOWN_HOSTS = 8
_NAMED_TYPES = 50
_NAMED_RULES = 200
_LISTED_RULES = 5
_LISTED_HOSTS = 5
_MOST_POINTS = 500
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
_MOST_NAME = 100

_LIMITS = {
    "max_captures": "the number of captures",
    "max_bytes": "the bytes received",
    "max_time_s": "the time spent",
}


class CrawlProgress(Struct, frozen=True, kw_only=True):
    """How far a crawl has come, for the display; `hosts_shown` are those with most to do."""

    collection: str
    counts: Counts
    hosts: int
    elapsed_s: float
    hosts_shown: Sequence[HostState] = ()

    @classmethod
    def of(cls, account: Account, run: Run, elapsed_s: float, now: float) -> CrawlProgress:
        """Look how far a run has come in `elapsed_s` seconds of this session, at `now`."""
        return cls(
            collection=run.collection,
            counts=account.counts(run),
            hosts=account.host_counts(run).active,
            elapsed_s=elapsed_s,
            hosts_shown=account.hosts(run, _SHOWN_HOSTS, now),
        )

    def facts(self) -> list[tuple[str, str]]:
        """Give the numbers of the progress display, the title first."""
        rate = self.counts.captured / self.elapsed_s if self.elapsed_s else 0
        return [
            (f"crawling {self.collection}", ""),
            ("captures", f"{self.counts.captured:,}"),
            ("a second", f"{rate:.1f}"),
            ("waiting", f"{self.counts.waiting:,}"),
            ("hosts", f"{self.hosts:,}"),
            ("received", size(self.counts.received)),
            ("failed", f"{self.counts.failed:,}"),
        ]

    def details(self) -> list[tuple[str, str, str]]:
        """Give the lines below them: host, what waits there, and why."""
        return [(host.origin, f"{host.waiting:,}", host.state) for host in self.hosts_shown]


class CrawlReport(Struct, frozen=True, kw_only=True):
    """The account of one run, or of the part of it that was done before an interruption.

    The fields are explained in FORMAT.md §5.
    """

    collection: str
    run_id: str
    started_at: str
    finished_at: str | None
    active_s: int
    ended_by: str
    captures: int
    revisits: int
    refused: int
    failed: int
    bytes: int
    discovered: int
    waiting: int
    new: int
    changed: int
    unchanged: int
    vanished: int
    declined: int
    declined_by: dict[str, int]
    status: dict[str, int]
    types: dict[str, dict[str, int]]
    failures: dict[str, int]
    refusals: dict[str, int]
    hosts: int
    hosts_set_aside: int
    slowest_hosts: tuple[dict[str, Any], ...]
    failing_hosts: tuple[dict[str, Any], ...]
    set_aside_hosts: tuple[dict[str, Any], ...]
    minutes: tuple[tuple[str, int, int], ...]
    minutes_step: int
    warcs: tuple[str, ...]
    page: str
    failed_urls: tuple[tuple[str, str], ...]
    empty_sources: tuple[tuple[str, str], ...] = ()

    @property
    def exit_code(self) -> int:
        """Give 0, or 3 when something is missing that may come later, or 130 when interrupted.

        That a limit ended the run is what the operator asked for, and no lack.
        """
        if self.finished_at is None:
            return 130
        nothing = not self.captures + self.revisits
        held_back = "robots-unavailable" in self.refusals or self.hosts_set_aside
        return 3 if self.failed or held_back or nothing or self.empty_sources else 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json crawl` prints for this run."""
        return self._without(_SEALED_ONLY)

    def sealed(self) -> dict[str, Any]:
        """Give what RUN.report.json holds (FORMAT.md §5): all but what only a screen needs."""
        return self._without((*_ON_SCREEN_ONLY, "page"))

    def _without(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: value for name, value in structs.asdict(self).items() if name not in names}


def report_of(account: Account, run: Run, finished_at: str | None, page: str = "") -> CrawlReport:
    """Take the account of a run.

    Args:
        account: the frontier's.
        run: the run.
        finished_at: as FORMAT.md writes times; None after an interruption.
        page: path of the report's HTML page; empty where none was made.

    """
    counts = account.counts(run)
    tally = account.tally(run)
    hosts = account.host_counts(run)
    ended_by, active_s = account.ending(run)
    minutes, step = thinned(account.minutes(run))
    return CrawlReport(
        collection=run.collection,
        run_id=run.name,
        started_at=_moment(run.started_at),
        finished_at=finished_at,
        active_s=active_s,
        ended_by=ended_by,
        captures=counts.captured,
        revisits=counts.revisit,
        refused=counts.refused,
        failed=counts.failed,
        bytes=counts.received,
        discovered=counts.discovered,
        waiting=counts.waiting,
        new=counts.new,
        changed=counts.changed,
        unchanged=counts.unchanged,
        vanished=counts.vanished,
        declined=counts.declined,
        declined_by=account.declined_by_rule(run, _NAMED_RULES),
        status=tally.status,
        types=_types(account, run),
        failures=tally.failures,
        refusals=tally.refusals,
        hosts=hosts.met,
        hosts_set_aside=hosts.set_aside,
        slowest_hosts=_told(account.slowest(run, _NAMED_HOSTS)),
        failing_hosts=_told(account.failing(run, _NAMED_HOSTS)),
        set_aside_hosts=_told(account.set_aside(run, _NAMED_HOSTS)),
        minutes=minutes,
        minutes_step=step,
        warcs=tuple(
            Name(run.collection, name).warc
            for name, state in account.warcs(run)
            if state == "sealed"
        ),
        page=page,
        failed_urls=tuple(account.failures(run, _NAMED_FAILURES)),
        empty_sources=tuple(
            (url, words.removeprefix(f"{SOURCE}: "))
            for url, words in account.empty_sources(run, _NAMED_FAILURES)
        ),
    )


def thinned(
    minutes: Sequence[tuple[int, int, int]],
) -> tuple[tuple[tuple[str, int, int], ...], int]:
    """Merge minutes (Unix time // 60, captures, bytes) until there are few enough for a chart.

    Returns:
        The points, each with the moment at which it begins, and the minutes that each stands for.

    """
    step = _STEPS[0]
    for step in (*_STEPS, *(_STEPS[-1] * 2**power for power in range(1, 30))):
        if len({at // step for at, _, _ in minutes}) <= _MOST_POINTS:
            break
    merged: dict[int, tuple[int, int]] = {}
    for at, captures, received in minutes:
        before = merged.get(at // step, (0, 0))
        merged[at // step] = before[0] + captures, before[1] + received
    points = tuple((_moment(at * step * 60), *merged[at]) for at in sorted(merged))
    return points, step


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _types(account: Account, run: Run) -> dict[str, dict[str, int]]:
    """Count by media type; the web may send anything as one, so each name is made fit to read."""
    told: dict[str, dict[str, int]] = {}
    for each in account.types(run, _NAMED_TYPES):
        counts = told.setdefault(printable(each.mime)[:_MOST_NAME], {"captures": 0, "bytes": 0})
        counts["captures"] += each.captures
        counts["bytes"] += each.bytes
    return told


def _told(hosts: Sequence[HostState]) -> tuple[dict[str, Any], ...]:
    names = ("origin", "asked", "failed", "average_ms")
    return tuple({**{n: getattr(h, n) for n in names}, "bytes": h.received} for h in hosts)


class CrawlSummary(Struct, frozen=True):
    """The reports of the collections that were crawled together."""

    reports: Sequence[CrawlReport]

    @property
    def exit_code(self) -> int:
        """Give 130 after an interruption, 3 where something is missing, else 0."""
        codes = [report.exit_code for report in self.reports] or [3]
        return max(codes)

    def as_json(self) -> dict[str, Any]:
        """Give one object for one or many runs: sums on top, each run under `runs`."""
        only = self.reports[0] if len(self.reports) == 1 else None
        return {
            "collection": only.collection if only else None,
            "run_id": only.run_id if only else None,
            **{name: sum(getattr(r, name) for r in self.reports) for name in _SUMMED},
            "warcs": [path for report in self.reports for path in report.warcs],
            "runs": [report.as_json() for report in self.reports],
        }

    def as_text(self) -> str:
        """Give the accounts for people, with the next step."""
        if self.reports and self.exit_code != 130:
            return self.accounts() + "\n\nNext: holdfast extract, then holdfast verify"
        return self.accounts()

    def accounts(self) -> str:
        """Give the account of each run for people."""
        parts = [_account(report) for report in self.reports]
        if self.exit_code == 130:
            parts.append("Interrupted. Nothing is lost: run it again to go on.")
        elif not self.reports:
            parts.append("Nothing to crawl: add a seed file to seeds/, see holdfast seeds check.")
        return "\n\n".join(parts)


def _account(report: CrawlReport) -> str:
    lines = [report.run_id, table(_rows(report))]
    if report.declined_by:
        lines.append("Declined by rule:")
        lines += listed(report.declined_by, _LISTED_RULES)
    lines += _missing(report)
    if report.ended_by:
        what = _LIMITS.get(report.ended_by, report.ended_by)
        lines.append(
            f"Ended by a limit on {what}: raise {report.ended_by} in [limits] of"
            f" seeds/{report.collection}.toml to collect the rest"
        )
    if report.page:
        lines.append(f"Report with charts: {report.page}")
    return "\n".join(lines)


def _rows(report: CrawlReport) -> list[tuple[str, str]]:
    codes = _codes(report.status)
    rows = [("captures", f"{report.captures:,}" + (codes if not report.revisits else ""))]
    if report.revisits:
        rows += [("revisits", f"{report.revisits:,}"), ("status codes", codes.strip(" ()"))]
    changes = {
        name: count
        for name in ("new", "changed", "unchanged", "vanished")
        if (count := getattr(report, name))
    }
    if set(changes) - {"new"}:
        told = ", ".join(f"{count:,} {name}" for name, count in changes.items())
        rows.append(("since last time", told))
    rows += [
        ("refused", f"{report.refused:,}" + _codes(report.refusals)),
        ("failed", f"{report.failed:,}" + _codes(report.failures)),
    ]
    if report.declined:
        rows.append(("declined", f"{report.declined:,} URLs met and not taken up"))
    rows += [("received", size(report.bytes)), ("WARC files", f"{len(report.warcs):,}")]
    if report.waiting:
        rows.append(("still waiting", f"{report.waiting:,}"))
    return rows


def _missing(report: CrawlReport) -> list[str]:
    """Tell what may come later: failures, sources without seeds, hosts that were set aside."""
    lines = []
    if report.empty_sources:
        lines.append("Sources in which no seed is listed:")
        lines += [f"  {printable(url)}: {printable(why)}" for url, why in report.empty_sources]
        lines.append(
            "A source (seeds_from, or a feed of an OPML file) is a sitemap, a feed or a plain list"
            " of URLs: correct its address in the seed file, or write its URLs there as seeds;"
            " [links] may have switched its kind off"
        )
    if report.failed_urls:
        lines.append("Not captured (each has a record with the reason; a later run tries again):")
        lines += [f"  {reason:<10} {printable(url)}" for url, reason in report.failed_urls]
    if report.failed > len(report.failed_urls):
        lines.append(f"  ... and {report.failed - len(report.failed_urls):,} more")
    if "tls" in report.failures:
        lines.append(
            "tls: a certificate is not trusted. Extra roots: [crawl] ca_bundle in config.toml;"
            ' to capture all the same and say so: tls = "record" in [crawl] of the seed file'
        )
    if report.hosts_set_aside:
        named = report.set_aside_hosts[:_LISTED_HOSTS]
        hosts = ", ".join(printable(host["origin"]) for host in named)
        more = report.hosts_set_aside - len(named)
        lines.append(
            f"Set aside until the next run, because they kept failing: {hosts}"
            + (f" and {more:,} more" if more else "")
        )
    return lines


def listed(counts: dict[str, int], most: int) -> list[str]:
    """Lay out counts by name, the largest first and at most so many, as lines for people."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    lines = [f"  {count:>9,}  {printable(name)}" for name, count in ordered[:most]]
    if len(ordered) > most:
        rest = sum(count for _, count in ordered[most:])
        lines.append(f"  {rest:>9,}  by {len(ordered) - most:,} other rules")
    return lines


def _codes(counts: dict[str, int]) -> str:
    told = ", ".join(f"{count:,} x {code}" for code, count in sorted(counts.items()))
    return f"  ({told})" if told else ""
