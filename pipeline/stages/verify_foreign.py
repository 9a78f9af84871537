"""The verify verb for single files: any WARC or ARC, ours or not, inside of an archive or not.

Nothing vouches for such a file but itself: what its records say of their own bytes is checked, and
the report tells what that cannot prove (docs/findings.md, last section).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from msgspec import Struct, field

from pipeline.archive.validator import inspect
from pipeline.errors import ConfigError, HoldfastError
from pipeline.fixity import disk
from pipeline.fixity.audit import Expected, file
from pipeline.model.finding import Finding
from pipeline.model.wording import size, table
from pipeline.stages.verify import Observer, VerifyProgress
from pipeline.stages.verify_report import Counts, finding_text

NOT_PROVEN: Final = (
    "Only what each file says of itself was checked. That cannot show whether whole records were"
    " removed or put in another order, whether the file ends where it was written to end, or"
    " whether somebody changed a record and made its digests anew. A digest of the file that was"
    " kept elsewhere can."
)

_SHOWN: Final = 50


class Seen(Struct, frozen=True, kw_only=True):
    """What one file turned out to be; `bytes_read` counts what was checked of it."""

    path: str
    findings: tuple[Finding, ...]
    bytes_read: int = 0
    members: int = 0
    records: int = 0
    read: bool = True


class ForeignReport(Struct, frozen=True, kw_only=True):
    """The result of `holdfast verify FILE…`."""

    files: Sequence[Seen] = field(default_factory=tuple)

    @property
    def findings(self) -> list[Finding]:
        """Give what is wrong, file after file as they were named."""
        return [finding for each in self.files for finding in each.findings]

    @property
    def exit_code(self) -> int:
        """Give 4 for damage, 3 where of a file nothing was checked, else 0."""
        if any(finding.severity == "error" for finding in self.findings):
            return 4
        return 0 if all(each.records for each in self.files) else 3

    @property
    def ok(self) -> bool:
        """Tell whether every file was checked and none is damaged."""
        return self.exit_code == 0

    @property
    def checked(self) -> Counts:
        """Count what was really checked."""
        return Counts(
            files=sum(each.read for each in self.files),
            members=sum(each.members for each in self.files),
            records=sum(each.records for each in self.files),
        )

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json verify FILE…` prints, in the form of `verify`."""
        return {
            "ok": self.ok,
            "level": "records",
            "checked": self.checked.as_json(),
            "not_checked": {
                "in_progress": 0,
                "earlier": 0,
                "unreadable": sum(not each.read for each in self.files),
                "unfinished": 0,
            },
            "findings": [finding.as_json() for finding in self.findings],
            "checkpoint": None,
            "replicas": [],
            "bytes_read": sum(each.bytes_read for each in self.files),
            "not_proven": NOT_PROVEN,
        }

    def as_text(self) -> str:
        """Give the account for people: findings first, what it means last."""
        findings = self.findings
        lines = [finding_text(finding) for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            lines.append(f"… and {len(findings) - _SHOWN} more (--json lists all)")
        rows = [(name, f"{count:,}") for name, count in self.checked.as_json().items() if count]
        rows.append(("read", size(sum(each.bytes_read for each in self.files))))
        return "\n".join([*lines, self._verdict(), table(rows), fill(NOT_PROVEN, 80)])

    def _verdict(self) -> str:
        errors = sum(finding.severity == "error" for finding in self.findings)
        if errors:
            return f"DAMAGED: {errors} findings. docs/findings.md says what each code means."
        empty = sum(not each.records for each in self.files)
        if empty:
            return f"INCOMPLETE: in {empty} of {len(self.files)} files no record could be checked."
        return "SOUND: every record is whole and matches the digests that it states."


def verify_files(
    paths: Sequence[str], observe: Observer | None = None, workers: int | None = None
) -> ForeignReport:
    """Check WARC and ARC files of any writer.

    Args:
        paths: the files, as the operator named them.
        observe: is told the progress after each file.
        workers: processes; None means one per core, and never more than there are files.

    Raises:
        ConfigError: a path is no file.
        HoldfastError: a process that was checking files was killed.

    """
    for path in paths:
        expect_file(path)
    seen: list[Seen] = []
    for each in _all(paths, min(workers or os.cpu_count() or 1, len(paths))):
        seen.append(each)
        if observe:
            observe(
                VerifyProgress(
                    files=len(seen),
                    total=len(paths),
                    bytes_read=sum(one.bytes_read for one in seen),
                    findings=sum(len(one.findings) for one in seen),
                )
            )
    return ForeignReport(files=seen)


def check(path: str) -> Seen:
    """Check one file; trouble in reading it is a finding."""
    try:
        found = inspect(Path(path), path, filename=Path(path).name, take=_forget, foreign=True)
    except OSError as error:
        expected = Expected(path=path, sha256="", size=None)
        finding = file(expected, disk.refusal(error))
        return Seen(path=path, findings=(finding,) if finding else (), read=False)
    return Seen(
        path=path,
        findings=found.findings,
        bytes_read=found.size,
        members=found.gzip_members,
        records=sum(found.counts.values()),
    )


def _forget(_member: object) -> None:
    """Keep no list of members."""


def expect_file(path: str) -> None:
    """Refuse what is no plain file.

    Raises:
        ConfigError: see above.

    """
    # a device or a pipe has no end that could be checked
    if Path(path).is_dir():
        raise ConfigError(
            f"{path}: is a folder; name the files in it, or verify an archive with"
            f" holdfast -C {path} verify"
        )
    if not Path(path).exists():
        raise ConfigError(f"{path}: no such file")
    if not Path(path).is_file():
        raise ConfigError(f"{path}: is not a plain file")


def _all(paths: Sequence[str], workers: int) -> Iterator[Seen]:
    if workers < 2:
        yield from map(check, paths)
        return
    # threads of a display make fork unsafe
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt)
    try:
        yield from pool.map(check, paths)
    except BrokenProcessPool:
        raise HoldfastError(
            "a process that was checking files was killed, maybe because memory ran out;"
            " use fewer: holdfast verify --workers 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
