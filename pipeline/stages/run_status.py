"""How far an unfinished run has come, host by host: a part of what the status verb tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from pipeline.crawl.frontier.account import Account, Counts, Hosts, HostState, Tally
from pipeline.crawl.frontier.runs import Run
from pipeline.model.wording import size
from pipeline.stages.crawl_report import listed

_KEPT_HOSTS = 1000
_SHOWN_HOSTS = 15
_SHOWN_RULES = 10
_RECENT_MIN = 5
_MOST_ORIGIN = 60


class RunStatus(Struct, frozen=True, kw_only=True):
    """One unfinished run at one moment.

    Attributes:
        recent: captures and bytes of the last minutes, and how many seconds these are.
        active_s: seconds of crawling so far.
        ended_by: the limit that was reached, if one was.

    """

    run: Run
    counts: Counts
    hosts: Hosts
    listed_hosts: Sequence[HostState]
    tally: Tally
    declined_by: dict[str, int]
    recent: tuple[int, int, int]
    active_s: int
    ended_by: str

    def as_json(self) -> dict[str, Any]:
        """Give the run's part of the status object."""
        return {
            "run_id": self.run.name,
            **structs.asdict(self.counts),
            "waiting": self.counts.waiting,
            "active_s": self.active_s,
            "ended_by": self.ended_by,
            "host_counts": structs.asdict(self.hosts),
            "hosts": [structs.asdict(host) for host in self.listed_hosts],
            "status": self.tally.status,
            "failures": self.tally.failures,
            "refusals": self.tally.refusals,
            "declined_by": self.declined_by,
            "recent": {
                "seconds": self.recent[2],
                "captures": self.recent[0],
                "bytes": self.recent[1],
            },
        }

    def headline(self) -> str:
        """Give the counts in one line."""
        counts = self.counts
        told = [f"{counts.captured:,} captured"]
        told += [f"{counts.revisit:,} revisits"] if counts.revisit else []
        told += [f"{counts.refused:,} refused", f"{counts.failed:,} failed"]
        told += [f"{counts.waiting:,} waiting"]
        return f"{self.run.name}: {', '.join(told)}"

    def lines(self) -> list[str]:
        """Give the rest, for people."""
        captures, got, seconds = self.recent
        minutes = max(seconds, 1) / 60
        lines = [
            f"  lately: {captures / minutes:,.1f} captures a minute,"
            f" {size(round(got / minutes))} a minute; {self.hosts.active:,} of {self.hosts.met:,}"
            f" hosts have something to do, {self.hosts.set_aside:,} are set aside"
        ]
        for title, counts in (
            ("failed, by reason", self.tally.failures),
            ("refused, by reason", self.tally.refusals),
            ("declined, by rule", self.declined_by),
        ):
            if counts:
                lines += [f"  {title}:", *listed(counts, _SHOWN_RULES)]
        return lines + self._host_lines()

    def _host_lines(self) -> list[str]:
        shown = [host for host in self.listed_hosts if host.waiting][:_SHOWN_HOSTS]
        if not shown:
            return []
        names = [host.origin[:_MOST_ORIGIN] for host in shown]
        width = max(map(len, names))
        lines = ["  hosts, those with most to do first:"]
        lines += [
            f"    {name:<{width}}  {host.waiting:>9,} waiting  {host.state}"
            for name, host in zip(names, shown, strict=True)
        ]
        more = self.hosts.active - len(shown)
        return [*lines, f"    and {more:,} more"] if more > 0 else lines


def run_status(account: Account, run: Run, now: float) -> RunStatus:
    """Look how far a run has come at `now` (Unix time)."""
    this_minute = int(now) // 60
    recent = [
        (captures, got)
        for minute, captures, got in account.minutes(run)
        if this_minute - _RECENT_MIN <= minute
    ]
    # the first of these minutes had begun before, unless the run began in it
    since = max((this_minute - _RECENT_MIN) * 60, run.started_at)
    ended_by, active_s = account.ending(run)
    return RunStatus(
        run=run,
        counts=account.counts(run),
        hosts=account.host_counts(run),
        listed_hosts=account.hosts(run, _KEPT_HOSTS, now),
        tally=account.tally(run),
        declined_by=account.declined_by_rule(run),
        recent=(sum(c for c, _ in recent), sum(b for _, b in recent), int(now - since)),
        active_s=active_s,
        ended_by=ended_by,
    )
