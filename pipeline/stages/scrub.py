"""The scrub verb: sealed files checked again, a part each time, so that all get their turn.

Each file is checked as `verify --level records` does, one after the other and in one process: a
scrub is to be a gentle guest. What was checked is remembered as a set, file by file, and never as
a place in a list: lists change. It needs no lock, and works on what it cannot write to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct, field, structs

from pipeline.fixity import audit, checks, disk
from pipeline.fixity.checks import Memory, Outcome
from pipeline.model.amount import Budget
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.stages.scrub_report import ScrubReport
from pipeline.stages.verify import VerifyProgress, read_accounts, tasks_for
from pipeline.stages.verify_file import Checked, Task, check
from pipeline.stages.verify_report import Counts


class Clock(Struct, frozen=True):
    """Where time comes from: Unix time, and seconds that nobody sets back."""

    now: Callable[[], float]
    elapsed: Callable[[], float]


def scrub(
    layout: Layout,
    budget: Budget,
    max_age_s: int,
    clock: Clock,
    observe: Callable[[VerifyProgress], None],
    interrupted: Callable[[], bool] = lambda: False,
) -> ScrubReport:
    """Check what is due, the known bad first, then what was never checked, then the oldest.

    Args:
        layout: the archive.
        budget: no file is begun that does not fit into it any more, but for the first.
        max_age_s: seconds after which a file is due again.
        clock: what time it is.
        observe: is told the progress after each file.
        interrupted: asked between files.

    Raises:
        ArchiveLocked: another scrub is at work.
        StorageError: what was checked could not be remembered, though it could at first.

    """
    accounts = read_accounts(layout)
    sealed = audit.expect(accounts.manifest, accounts.ledger)
    tasks = {task.name: task for task in tasks_for(layout.root, sealed, "records", accounts.ledger)}
    told = [] if accounts.writing else accounts.disagreements()
    with checks.opened(layout.root) as memory:
        # in whole seconds, as checks are kept: what is checked from now on is not due again
        began = int(clock.now())
        history = checks.read(layout.root, sealed, began)
        due = checks.coverage(history, sealed, began, max_age_s).due
        run = _Run(memory, clock, [*accounts.faults(), *told])
        within = _Allowance(budget, clock)
        for number, path in enumerate(due):
            if interrupted() or not within.allows(tasks[path], run.bytes_read):
                break
            run.check(tasks[path])
            observe(run.progress(number + 1, len(due)))
    now = clock.now()
    after = checks.History(last={**history.last, **run.checked}, pace=history.pace)
    if not memory.refusal:
        after = checks.read(layout.root, sealed, now)
    return ScrubReport(
        checked=run.counts,
        sealed=len(sealed),
        overdue=len(due) - run.files - run.unread,
        unread=run.unread,
        transient=run.outcomes["transient"],
        findings=run.findings,
        coverage=checks.coverage(after, sealed, began, max_age_s),
        now=now,
        max_age_s=max_age_s,
        bytes_read=run.bytes_read,
        not_remembered=memory.refusal,
        interrupted=interrupted(),
    )


class _Allowance:
    """What is left of a budget."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self._began = clock.elapsed()

    def allows(self, task: Task, used: int) -> bool:
        """Tell whether the next file may be begun after `used` bytes; the first always may."""
        if not used:
            return True
        seconds, count = self._budget.seconds, self._budget.bytes
        if seconds is not None and self._clock.elapsed() - self._began >= seconds:
            return False
        return count is None or used + (task.expected.size or 0) <= count


class _Run(Struct):
    """One scrub under way."""

    memory: Memory
    clock: Clock
    findings: list[Finding]
    checked: dict[str, checks.Check] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    counts: Counts = field(default_factory=Counts)
    bytes_read: int = 0
    unread: int = 0

    @property
    def files(self) -> int:
        return self.counts.files

    def check(self, task: Task) -> None:
        """Check a file, twice where the first reading finds damage, and remember it."""
        result, outcome = _twice(task)
        self.findings += result.findings
        self.bytes_read += result.bytes_read
        if not result.read:
            self.unread += 1
            if not _errors(result.findings):
                return
        self.counts = structs.replace(
            self.counts,
            files=self.counts.files + result.read,
            members=self.counts.members + result.members,
            records=self.counts.records + result.records,
            documents=self.counts.documents + result.documents,
        )
        self.outcomes[outcome] += 1
        codes = [finding.code for finding in result.findings]
        kept = checks.made(task.expected, outcome, codes, result.bytes_read, self.clock.now())
        self.checked[task.name] = kept
        self.memory.keep(kept)

    def progress(self, done: int, total: int) -> VerifyProgress:
        return VerifyProgress(
            files=done, total=total, bytes_read=self.bytes_read, findings=len(self.findings)
        )


def _twice(task: Task) -> tuple[Checked, Outcome]:
    """Check a file; where it seems damaged, once more and past the page cache.

    Memory errs as well as disks do: damage that the disk does not show is told apart.
    """
    first = check(task)
    wrong = _errors(first.findings)
    if not wrong:
        return first, "intact"
    for part in (task.expected, task.members, task.index):
        if part is not None:
            disk.forget(task.root, part.path)
    second = check(task)
    read = first.bytes_read + second.bytes_read
    if _errors(second.findings) or not second.read:
        return structs.replace(second, bytes_read=read), "damaged"
    once = Finding.of("W402", task.name, f"the first reading found {wrong[0].message}")
    return structs.replace(second, bytes_read=read, findings=(*second.findings, once)), "transient"


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]
