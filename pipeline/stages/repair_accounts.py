"""Ledger and manifest restored: each from the other, or from a copy that goes on from what is here.

For repair, which trusts no digest before these two are sound. The ledger is never made shorter, and
never replaced by one that contradicts what is intact of this one; the old bytes are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct, field

from pipeline import durable
from pipeline.fixity import audit, disk, ledger, lineage, manifest
from pipeline.fixity.ledger import Ledger, SealedFile
from pipeline.fixity.lineage import Lineage
from pipeline.fixity.manifest import Manifest
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.stages import copying
from pipeline.stages.quarantine import put_away
from pipeline.stages.rebuild import Copy

_UNKNOWN = Lineage(ours=0, theirs=0, parted=None, last_common=-1)


class Restored(Struct, kw_only=True):
    """What became of ledger and manifest.

    Attributes:
        objects: every sealed file, as a sound ledger has it; empty where there is none.
        sources: what each restored file was restored from, by path.
        quarantined: paths where their old bytes are kept.
        findings: why something could not be restored.

    """

    objects: dict[str, SealedFile] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    quarantined: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class _Candidate(NamedTuple):
    copy: Copy
    account: Ledger
    lineage: Lineage


def restore_accounts(layout: Layout, replicas: Sequence[Copy], *, dry_run: bool) -> Restored:
    """See to ledger and manifest; the caller holds the archive's lock, or asks for a dry run.

    Raises:
        StorageError: the disk refused.
        OSError: the disk reports an error.

    """
    done = Restored()
    account = _ledger(layout)
    listed = manifest.read(layout.manifest) if _plain(layout, manifest.NAME) else None
    if account is None or account.faults or not account.size or _lies(layout, account, listed):
        chosen = _choose(layout, account, listed, replicas, done)
        if chosen is None:
            return done
        account = chosen.account
        done.sources[ledger.NAME] = chosen.copy.label
        if not dry_run and not _take_ledger(layout, chosen, done):
            return done
    done.objects = dict(account.objects)
    entries = {path: sealed.sha256 for path, sealed in account.objects.items()}
    if listed is None or listed.faults or listed.entries != entries:
        # the next writer would complete a manifest that is only behind, without a word
        behind = listed is not None and not listed.faults
        interrupted = behind and not _errors(listed, account)
        if not interrupted:
            done.sources[manifest.NAME] = ledger.NAME
        if not dry_run:
            if not interrupted:
                done.quarantined += put_away(layout, manifest.NAME)
            manifest.write(layout.manifest, Manifest(entries=entries))
    return done


def _plain(layout: Layout, path: str) -> bool:
    return disk.look(layout.root, path).trouble is None


def _ledger(layout: Layout) -> Ledger | None:
    return ledger.read(layout.ledger) if _plain(layout, ledger.NAME) else None


def _errors(listed: Manifest | None, account: Ledger) -> list[Finding]:
    return [each for each in audit.accounts(listed, account) if each.severity == "error"]


def _lies(layout: Layout, account: Ledger, listed: Manifest | None) -> bool:
    """Tell whether a ledger with a sound chain has lost its end, or was changed in its last line.

    No line follows that one to prove it. The manifest knows its digests, a file its own size.
    """
    for path in account.last:
        seen, sealed = disk.look(layout.root, path), account.objects[path]
        other_size = not seen.trouble and seen.size != sealed.size
        if other_size and disk.digest(layout.root, path).sha256 == sealed.sha256:
            return True
    entries = listed.entries if listed else {}
    unlisted = {each.sha256 for each in account.objects.values() if each.path not in entries}
    for path, digest in entries.items():
        known = account.objects.get(path)
        # with its digest at another path, the manifest has the path wrong
        if known is None and digest not in unlisted:
            return True
        differs = known and known.sha256 != digest and path in account.last
        if differs and disk.digest(layout.root, path).sha256 == digest:
            return True
    return False


def _choose(
    layout: Layout,
    account: Ledger | None,
    listed: Manifest | None,
    replicas: Sequence[Copy],
    done: Restored,
) -> _Candidate | None:
    """Choose the longest ledger that goes on from what is intact here."""
    fitting: list[_Candidate] = []
    for copy in replicas:
        there = Layout(copy.root)
        theirs = _ledger(there)
        if theirs is None or theirs.faults or not theirs.size:
            continue
        found = _UNKNOWN if account is None else lineage.compare(layout.ledger, there.ledger)
        if _continues(account, listed, theirs, found):
            fitting.append(_Candidate(copy, theirs, found))
    fitting.sort(key=lambda each: -each.account.size)
    for other in fitting[1:]:
        first = Layout(fitting[0].copy.root), Layout(other.copy.root)
        if lineage.compare(first[0].ledger, first[1].ledger).relation == "forked":
            detail = f"{fitting[0].copy.label} and {other.copy.label} have different ledgers"
            done.findings.append(Finding.of("E463", ledger.NAME, detail))
            return None
    if not fitting:
        detail = (
            "no copy has a sound ledger that goes on from what is intact here. Nothing was"
            " repaired: without a ledger there is no digest to repair by"
        )
        done.findings.append(Finding.of("E464", ledger.NAME, detail))
        return None
    return fitting[0]


def _continues(
    account: Ledger | None, listed: Manifest | None, theirs: Ledger, found: Lineage
) -> bool:
    witness = listed is not None and not listed.faults
    agrees = listed is not None and _vouches(listed, theirs)
    if account is None or not account.size:
        return agrees or not witness
    if found.theirs < found.ours:
        return False
    # a line that both have proves all lines before it; what comes after has the manifest's word
    if account.faults and found.last_common == found.ours - 1:
        return True
    return found.last_common >= 0 and agrees and (witness or not account.faults)


def _vouches(listed: Manifest, theirs: Ledger) -> bool:
    """Tell whether a manifest knows nothing that a ledger does not, but for one damaged line."""
    digests = {sealed.sha256 for sealed in theirs.objects.values()}
    odd = [
        (path, digest)
        for path, digest in listed.entries.items()
        if path not in theirs.objects or theirs.objects[path].sha256 != digest
    ]
    return len(odd) < 2 and all(p in theirs.objects or digest in digests for p, digest in odd)


def _take_ledger(layout: Layout, chosen: _Candidate, done: Restored) -> bool:
    target = copying.temporary(layout.root, ledger.NAME)
    with copying.create(layout.root, ledger.NAME) as out:
        copying.copy_lines(chosen.copy.root, ledger.NAME, out)
        durable.sync(out.fileno())
    if (read_back := ledger.read(target)) is None or read_back.root != chosen.account.root:
        target.unlink()
        done.findings.append(
            Finding.of("E464", ledger.NAME, f"{chosen.copy.label} changed while it was read")
        )
        return False
    done.quarantined += put_away(layout, ledger.NAME)
    copying.settle(layout.root, ledger.NAME)
    return True
