"""The archive beside a copy of it: whose history goes on, and which files differ on which side.

For `verify --replica`. Reads both, writes nothing, and believes nothing that the copy says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from msgspec import structs

from pipeline.archive.concordance import diagnose
from pipeline.errors import ConfigError
from pipeline.fixity import audit, disk, ledger, lineage
from pipeline.fixity.audit import Expected
from pipeline.fixity.ledger import Ledger, SealedFile
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.model.names import parse
from pipeline.stages.replica_report import ReplicaReport
from pipeline.stages.verify import Observer, VerifyProgress
from pipeline.stages.verify_report import VerifyReport

_DAMAGE = ("E401", "E402", "E404", "E106")


def with_replicas(
    report: VerifyReport, layout: Layout, replicas: Sequence[Path], observe: Observer
) -> VerifyReport:
    """Add to a report on the archive what its copies are worth.

    Raises:
        ConfigError: one of them is no folder, or the archive itself.

    """
    damaged = {finding.path for finding in report.findings if finding.code in _DAMAGE}
    done = 0

    def next_file(_path: str) -> None:
        nonlocal done
        done += 1
        observe(VerifyProgress(files=done, total=done, bytes_read=0, findings=0))

    found = [compare(layout, replica, damaged, next_file) for replica in replicas]
    findings = [*report.findings, *(each for copy in found for each in copy.findings)]
    return structs.replace(report, replicas=found, findings=findings)


def compare(
    layout: Layout,
    replica: Path,
    damaged_here: Collection[str],
    observe: Callable[[str], None] = lambda _: None,
) -> ReplicaReport:
    """Compare an archive with the copy in the folder `replica`.

    Args:
        layout: the archive.
        replica: the copy.
        damaged_here: paths of files that are not what was sealed here.
        observe: told the path of each file before it is read.

    Raises:
        ConfigError: it is no folder, or this archive itself.

    """
    if not replica.is_dir() or replica.resolve() == layout.root.resolve():
        raise ConfigError(f"{replica}: is no folder with a copy of this archive")
    root = replica.resolve()
    ours = _ledger(layout)
    theirs = _ledger(Layout(root))
    relation, findings = _histories(layout, replica, ours, theirs)
    counts = {"intact": 0, "missing": 0, "damaged": 0}
    repairs = []
    behind = relation == "behind" and theirs is not None
    for sealed in ours.objects.values() if ours else ():
        observe(sealed.path)
        expected = Expected(path=sealed.path, sha256=sealed.sha256, size=sealed.size)
        seen = disk.look(root, sealed.path)
        if seen.trouble is None and seen.size == sealed.size:
            seen = disk.digest(root, sealed.path)
        wrong = audit.file(expected, seen)
        if wrong is None:
            counts["intact"] += 1
            repairs += [sealed.path] if sealed.path in damaged_here else []
        elif seen.trouble == "missing":
            counts["missing"] += 1
            if not (behind and theirs and sealed.path not in theirs.objects):
                findings.append(Finding.of("E462", sealed.path, str(replica)))
        else:
            counts["damaged"] += 1
            findings.append(Finding.of("E461", sealed.path, f"{replica}: {wrong.message}"))
            findings += _members(layout, replica, root, sealed, ours) if not seen.trouble else ()
    return ReplicaReport(
        path=str(replica),
        ledger=relation,
        repairs=tuple(repairs),
        findings=tuple(findings),
        **counts,
    )


def _ledger(layout: Layout) -> Ledger | None:
    try:
        seen = disk.look(layout.root, ledger.NAME)
        return None if seen.trouble else ledger.read(layout.ledger)
    except OSError:
        return None


def _histories(
    layout: Layout, replica: Path, ours: Ledger | None, theirs: Ledger | None
) -> tuple[str, list[Finding]]:
    if theirs is None:
        return "missing", [Finding.of("E462", ledger.NAME, str(replica))]
    if ours is None:
        return "unknown", []
    found = lineage.compare(layout.ledger, Layout(replica).ledger)
    if theirs.faults:
        return "damaged", [
            Finding.of("E461", ledger.NAME, f"{replica}: {theirs.faults[0].message}")
        ]
    if found.relation == "behind":
        detail = f"{replica}: {found.ours - found.theirs} events; holdfast replicate brings them"
        return found.relation, [Finding.of("W461", ledger.NAME, detail)]
    if found.relation == "ahead":
        detail = f"{replica}: {found.theirs - found.ours} events; was this one restored?"
        return found.relation, [Finding.of("W462", ledger.NAME, detail)]
    if found.parted is not None:
        detail = f"{replica}: its ledger differs from line {found.parted + 1} on"
        return found.relation, [Finding.of("E463", ledger.NAME, detail)]
    return found.relation, []


def _members(
    layout: Layout, replica: Path, root: Path, sealed: SealedFile, ours: Ledger | None
) -> list[Finding]:
    """Name the members that are hurt in a copy's WARC file, by our own list of them."""
    part = parse(sealed.path)
    if part is None or part.kind != "warc" or ours is None:
        return []
    members = ours.objects.get(part.name.members)
    if members is None or disk.digest(layout.root, members.path).sha256 != members.sha256:
        return []
    try:
        hurt = diagnose(root / sealed.path, sealed.path, layout.root / members.path)
    except OSError:
        return []
    return [
        structs.replace(each, code="E461", message=f"file in a copy: {replica}: {each.message}")
        for each in hurt
        if each.record_id and each.severity == "error"
    ]
