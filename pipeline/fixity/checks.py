"""fixity/checks.jsonl: which sealed file was checked when, and what came of it (FORMAT.md).

For scrubbing and status. It is a memory of work and no evidence: what is lost of it is checked
again, and nothing is believed because it stands here. So it is not chained and not in the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, structs

from pipeline import durable
from pipeline.errors import StorageError
from pipeline.fixity import disk
from pipeline.fixity.audit import Expected
from pipeline.model import canonical
from pipeline.model.amount import DAY_S

NAME = "fixity/checks.jsonl"
MAX_AGE_S: Final = 90 * DAY_S
"""Seconds after which a file is to be checked again, unless somebody says otherwise."""

Outcome = Literal["intact", "transient", "damaged"]

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_MAX_LINE = 1 << 16
_PACE_S = 30 * DAY_S


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file checked.

    Attributes:
        at: when the check ended (UTC).
        bytes: how many were read.
        codes: what was found, by the codes of docs/findings.md.
        level: how deep it was looked at.
        outcome: `transient`: a first reading found damage, and a second one past the cache none.
        sha256: digest of the file as it was sealed.

    """

    at: Annotated[str, Meta(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z\Z")]
    bytes: Annotated[int, Meta(ge=0)]
    codes: tuple[str, ...]
    level: str
    outcome: Outcome
    path: str
    sha256: str

    @property
    def moment(self) -> float:
        """The Unix time of `at`."""
        return datetime.strptime(self.at, _TIME).replace(tzinfo=UTC).timestamp()


class History(Struct, frozen=True, kw_only=True):
    """What is remembered of the files that are sealed now.

    Attributes:
        last: the latest check of each file, by path.
        pace: bytes a second that were checked in the last thirty days, or since the first of
            these checks, but at least over a day; 0 where there was none.

    """

    last: Mapping[str, Check]
    pace: float


class Coverage(Struct, frozen=True, kw_only=True):
    """How well the sealed files are covered by checks.

    Attributes:
        oldest: Unix time of the check that is longest ago; None where no file was checked.
        never: files that were never checked.
        bad: paths of those that the latest check found damaged.
        due: paths that are to be checked, in this order: bad ones, those never checked, the oldest.
        covered_by: Unix time at which all of these will have been checked at the pace of the last
            scrubs; None where nothing is due or there is no pace to reckon with.

    """

    oldest: float | None
    never: int
    bad: Sequence[str]
    due: Sequence[str]
    covered_by: float | None


def read(root: Path, sealed: Mapping[str, Expected], now: float) -> History:
    """Read what is remembered; a line that is no check of a sealed file is passed over.

    Args:
        root: the archive.
        sealed: its files; a check counts for the digest that it was made against.
        now: Unix time; a check from the future does not count, because it would never grow old.

    """
    last: dict[str, Check] = {}
    recent, since = 0, now
    for check in _lines(root):
        known = sealed.get(check.path)
        moment = check.moment
        if known is None or known.sha256 != check.sha256 or moment > now:
            continue
        last[check.path] = check
        if moment > now - _PACE_S:
            recent += check.bytes
            since = min(since, moment)
    return History(last=last, pace=recent / max(now - since, DAY_S))


def coverage(
    history: History, sealed: Mapping[str, Expected], now: float, max_age_s: int
) -> Coverage:
    """Say what is due, and how the archive stands."""
    last = {path: history.last.get(path) for path in sealed}
    ages = {path: check.moment for path, check in last.items() if check}
    bad = sorted(path for path, check in last.items() if check and check.outcome == "damaged")
    never = sorted(path for path, check in last.items() if not check)
    old = sorted(ages, key=lambda path: (ages[path], path))
    overdue = [path for path in old if now - ages[path] > max_age_s and path not in set(bad)]
    due = [*bad, *never, *overdue]
    left = sum(sealed[path].size or 0 for path in due)
    return Coverage(
        oldest=ages[old[0]] if old else None,
        never=len(never),
        bad=bad,
        due=due,
        covered_by=now + left / history.pace if due and history.pace else None,
    )


def made(
    expected: Expected, outcome: Outcome, codes: Iterable[str], count: int, now: float
) -> Check:
    """Make the check of a file that was read just now, `count` bytes of it, at level `records`."""
    return Check(
        at=datetime.fromtimestamp(now, UTC).strftime(_TIME),
        bytes=count,
        codes=tuple(sorted(set(codes))),
        level="records",
        outcome=outcome,
        path=expected.path,
        sha256=expected.sha256,
    )


class Memory:
    """Takes checks and keeps them.

    Attributes:
        refusal: why nothing can be kept; empty where it can.

    """

    def __init__(self, descriptor: int | None, refusal: str = "") -> None:
        self.refusal = refusal
        self._descriptor = descriptor

    def keep(self, check: Check) -> None:
        """Return when the check is on the disk, if it can be kept at all.

        Raises:
            StorageError: the disk refused; the next scrub cuts off what was half written.

        """
        if self._descriptor is None:
            return
        line = memoryview(canonical.line(structs.asdict(check)))
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            durable.sync(self._descriptor)
        except OSError as error:
            raise StorageError(f"{NAME}: could not be written: {error.strerror}") from error


@contextmanager
def opened(root: Path) -> Iterator[Memory]:
    """Open the memory for one scrub; where the archive cannot be written, for none at all.

    Raises:
        ArchiveLocked: another scrub is keeping its checks there.

    """
    seen = disk.look(root, NAME)
    if seen.trouble not in (None, "missing"):
        yield Memory(None, seen.detail)
        return
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(root / NAME, flags, 0o666)
    except OSError as error:
        yield Memory(None, error.strerror or str(error))
        return
    try:
        durable.acquire(descriptor, 0, f"{root}: another holdfast scrub is at work here")
        _cut_torn_line(descriptor)
        durable.sync_folder((root / NAME).parent)
        yield Memory(descriptor)
    finally:
        os.close(descriptor)


def _cut_torn_line(descriptor: int) -> None:
    """Cut off what power loss or a kill left of a last line."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _MAX_LINE, max(0, size - _MAX_LINE))
    whole = size - len(tail) + tail.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
        durable.sync(descriptor)


def _lines(root: Path) -> Iterator[Check]:
    if disk.look(root, NAME).trouble:
        return
    decoder = msgspec.json.Decoder(Check)
    try:
        with (root / NAME).open("rb") as lines:
            while line := lines.readline(_MAX_LINE):
                try:
                    check = decoder.decode(line)
                    _ = check.moment
                except (ValueError, RecursionError):
                    continue
                if line.endswith(b"\n"):
                    yield check
    except OSError:
        return  # what cannot be read is not remembered
