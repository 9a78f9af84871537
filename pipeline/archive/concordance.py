"""A WARC file against its two sidecars: do they describe it, and if not, which members are hurt.

For verification. A sidecar that is intact remembers each member's digest, so it can name what a
digest of the whole file cannot: the member that changed, the one that is gone, the one too many.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, structs

from pipeline.archive.docket import MAX_FINDINGS
from pipeline.archive.index import BadLine, is_listed, member_line, members_in, parse_capture
from pipeline.archive.validator import Inspection, inspect
from pipeline.model.finding import Finding
from pipeline.model.records import Capture, Member

# E204 record id used twice, E207 and E208 reference to a record that is not there
_CONSEQUENCES = ("E204", "E207", "E208")


class ImpliedSidecars:
    """The digests that the sidecars of an inspected WARC must have; give it to `inspect` as `take`.

    Attributes:
        members: lines of members.jsonl so far.

    """

    def __init__(self) -> None:
        self.members = 0
        self._digest = hashlib.sha256()

    def __call__(self, member: Member) -> None:
        """Take the next member of the WARC file."""
        self.members += 1
        self._digest.update(member_line(member))

    def members_sha256(self) -> str:
        """Give the hex digest of NAME.members.jsonl as the WARC implies it."""
        return self._digest.hexdigest()


def index_is_out_of_date(path: Path, captures: Sequence[Capture]) -> bool:
    """Tell whether the index at `path` is right but for its keys, their order, and lines of 304.

    How a key is made from a URL, and what is listed, may change from one release to the next; an
    old index is then out of date, and no fact in it is wrong.
    """
    try:
        with path.open("rb") as lines:
            sealed = [capture for capture in map(parse_capture, lines) if is_listed(capture)]
    except (BadLine, OSError):
        return False
    return _without_keys(sealed) == _without_keys(captures)


def _without_keys(captures: Iterable[Capture]) -> list[Capture]:
    return sorted((structs.replace(capture, key="") for capture in captures), key=_place)


def _place(capture: Capture) -> int:
    return capture.offset


class _Comparison(Struct, frozen=True, kw_only=True):
    changed: list[Member]
    moved: list[Member]
    added: list[Member]


def diagnose(path: Path, name: str, members_path: Path | None) -> tuple[Finding, ...]:
    """Say what is wrong inside the WARC file at `path`, which findings call `name`.

    Args:
        path: the file.
        name: its path in the archive.
        members_path: its members.jsonl as it was sealed; None if that is gone or was changed too,
            and then only what the file says about itself can be found.

    Raises:
        OSError: the WARC file cannot be read.

    """
    sealed = _sealed_members(members_path)
    inspection = inspect(path, name, hints=[member.offset for member in sealed])
    if not sealed:
        return inspection.findings
    compared = _compare(sealed, inspection.members)
    return tuple(_explain(name, sealed, compared, inspection))[: MAX_FINDINGS + 1]


def _sealed_members(path: Path | None) -> list[Member]:
    if path is None:
        return []
    try:
        return list(members_in(path))
    except (BadLine, OSError):
        return []


def _compare(sealed: Sequence[Member], found: Sequence[Member]) -> _Comparison:
    here = {member.offset: member.sha256 for member in found}
    spare = Counter(member.sha256 for member in found)
    spare.subtract(member.sha256 for member in sealed if here.get(member.offset) == member.sha256)
    displaced = [member for member in sealed if here.get(member.offset) != member.sha256]
    changed, moved = [], []
    for member in displaced:
        if spare[member.sha256] > 0:
            spare[member.sha256] -= 1
            moved.append(member)
        else:
            changed.append(member)
    begins = {member.offset for member in changed}
    in_place = {member.offset: member.sha256 for member in sealed}
    added = []
    for member in found:
        stayed = in_place.get(member.offset) == member.sha256
        if not stayed and spare[member.sha256] > 0:
            spare[member.sha256] -= 1
            # a member that lies where a changed one began is that one, changed
            if member.offset not in begins:
                added.append(member)
    return _Comparison(changed=changed, moved=moved, added=added)


def _explain(
    name: str, sealed: Sequence[Member], compared: _Comparison, inspection: Inspection
) -> Iterator[Finding]:
    inner: dict[int, Finding] = {}
    for finding in inspection.findings:
        if finding.offset is not None and finding.severity == "error":
            inner.setdefault(finding.offset, finding)
    changed = {member.offset for member in compared.changed}
    for member in compared.changed:
        known = inner.get(member.offset)
        finding = known or Finding.of("E405", name, "its bytes are not those that were sealed")
        yield structs.replace(
            finding, offset=member.offset, length=member.length, record_id=member.record_id
        )
    if compared.moved:
        first = compared.moved[0]
        count = len(compared.moved)
        detail = f"{count} intact members lie elsewhere, from {first.record_id} on"
        yield Finding.of("E405", name, detail)
    for member in compared.added:
        yield Finding.of(
            "E406",
            name,
            offset=member.offset,
            length=member.length,
            record_id=member.record_id,
        )
    as_sealed = {member.sha256 for member in sealed}
    intact = {member.offset for member in inspection.members if member.sha256 in as_sealed}
    for finding in inspection.findings:
        # an intact record that refers to a hurt one, or is there twice, has no fault of its own
        follows = finding.code in _CONSEQUENCES and finding.offset in intact
        if finding.offset not in changed and not follows:
            yield finding
