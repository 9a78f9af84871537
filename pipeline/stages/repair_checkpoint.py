"""Checkpoint, signature and allowed_signers restored: from a copy, or made again from the ledger.

For repair, once the ledger is sound: as long as these are hurt, no writer goes on. What a copy has
is taken only if it holds against our ledger. Without a copy, the checkpoint of an archive that is
not signed is made again, if the ledger goes on from what was seen of it here before; in a signed
one only the operator can sign again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline import durable
from pipeline.fixity import checkpoint, signers
from pipeline.fixity.checkpoint import Checkpoint
from pipeline.fixity.ledger import Ledger
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.stages.checkpoint_files import Seen, read_small, read_stored, recall
from pipeline.stages.quarantine import put_away
from pipeline.stages.rebuild import Copy
from pipeline.stages.repair_accounts import Restored
from pipeline.stages.verify_checkpoint import examine

# these tell of a ledger that was set back, forked or taken over: no copy may paper over that
_NOT_OURS_TO_MEND: Final = {"E453", "E454", "E458", "E459"}
_PATHS: Final = (checkpoint.NAME, checkpoint.SIGNATURE, signers.NAME)
_MAX_BYTES: Final = 4 * 1024 * 1024


def restore_checkpoint(
    layout: Layout, account: Ledger, replicas: Sequence[Copy], done: Restored, *, dry_run: bool
) -> None:
    """See to the three files, and note in `done` what became of them.

    Raises:
        StorageError: the disk refused.

    """
    examined = examine(layout, account, writing=True)
    wrong = [each for each in examined.findings if each.severity == "error"]
    if not wrong or any(each.code in _NOT_OURS_TO_MEND for each in wrong):
        return
    for copy in replicas:
        files = _of_copy(Layout(copy.root), account)
        if files:
            _place(layout, files, copy.label, done, dry_run=dry_run)
            return
    if not examined.signers and _goes_on(account, recall(layout)):
        made = Checkpoint(origin=account.origin, size=account.size, root=account.root)
        _place(layout, {checkpoint.NAME: made.encode()}, "the ledger", done, dry_run=dry_run)
        return
    path = wrong[0].path if wrong[0].path in _PATHS else checkpoint.NAME
    then = "run holdfast sign" if examined.signers else f"delete {checkpoint.NAME}"
    detail = f"{wrong[0].code}: {wrong[0].message}; name a copy that has it, or look and {then}"
    done.findings.append(Finding.of("E464", path, detail))
    # nothing else is touched before it is settled what the archive is
    done.objects = {}


def _goes_on(account: Ledger, seen: Seen | None) -> bool:
    """Tell whether a ledger continues what was seen of it."""
    if seen is None or seen.origin != account.origin or seen.size > account.size:
        return False
    return account.tree.root(seen.size).hex() == seen.root


def _of_copy(copy: Layout, account: Ledger) -> dict[str, bytes] | None:
    """Give the three files as a copy has them, if they hold against our ledger."""
    stored = read_stored(copy).checkpoint
    if stored is None or stored.size > account.size:
        return None
    if any(each.severity == "error" for each in examine(copy, account, writing=True).findings):
        return None
    files = {path: read_small(copy, copy.root / path, _MAX_BYTES) for path in _PATHS}
    # the checkpoint that was judged, also where a new one was about to take its place
    return {path: data for path, data in files.items() if data} | {checkpoint.NAME: stored.encode()}


def _place(
    layout: Layout, files: dict[str, bytes], source: str, done: Restored, *, dry_run: bool
) -> None:
    for path in _PATHS:
        is_same = files.get(path) == read_small(layout, layout.root / path, _MAX_BYTES)
        if is_same:
            continue
        done.sources[path] = source
        if dry_run:
            continue
        done.quarantined += put_away(layout, path)
        if path in files:
            durable.replace(layout.root / path, files[path])
