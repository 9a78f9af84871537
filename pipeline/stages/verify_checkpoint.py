"""The ledger against its checkpoint, the signature under it, and what was seen of it before.

For verification, and for every writer before it adds to a ledger: nobody may sign what somebody
else has put in. What was seen is remembered in `.holdfast/`, which is how a ledger that was set
back together with its checkpoint is noticed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from pipeline.fixity import ledger, signers
from pipeline.fixity.checkpoint import NAME, SIGNATURE, Checkpoint
from pipeline.fixity.ledger import Ledger
from pipeline.fixity.signers import NAMESPACE, ROTATION, Signer
from pipeline.fixity.sshsig import Signature
from pipeline.model.finding import Finding
from pipeline.model.layout import Layout
from pipeline.stages import ssh
from pipeline.stages.checkpoint_files import (
    Kept,
    Seen,
    Stored,
    read_kept,
    read_small,
    read_stored,
    recall,
    remember,
)
from pipeline.stages.verify_report import Checkpoint as Told

_MAX_SIGNERS: Final = 4 * 1024 * 1024
_MOST_KEYS: Final = 1000


class Examined(Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        checkpoint: the newest checkpoint, if there is one.
        signed_by: fingerprint of the key whose signature under it holds.
        signers: the keys that the ledger names.
        behind: lines of the ledger that came after it.

    """

    checkpoint: Checkpoint | None
    signed_by: str | None
    signers: Sequence[Signer]
    behind: int
    findings: Sequence[Finding]


def examine(
    layout: Layout, account: Ledger, *, writing: bool = False, against: Path | None = None
) -> Examined:
    """Hold a ledger that was read against its checkpoint and against what was seen of it.

    Args:
        layout: the archive.
        account: its ledger.
        writing: another process may be writing: what it has not come to is not missing.
        against: a checkpoint that was kept elsewhere, its signature beside it if there is one.

    Raises:
        ConfigError: `against` cannot be read, or is none.

    """
    kept = read_kept(against) if against else None
    found = read_stored(layout)
    if found.checkpoint and found.checkpoint.size > account.size:
        # a writer may have added lines since the ledger was read
        account = ledger.read(layout.ledger) or account
    examination = _Examination(layout, account, found, recall(layout))
    findings = list(examination.findings())
    if kept:
        findings += examination.kept_elsewhere(kept)
    newest = found.checkpoint
    behind = account.size - newest.size if newest else 0
    if behind > 0 and not writing:
        findings.append(Finding.of("W451", NAME, f"by {behind} of {account.size} events"))
    return Examined(
        checkpoint=newest,
        signed_by=examination.signed_by,
        signers=examination.signers,
        behind=max(0, behind),
        findings=findings,
    )


def check_ledger(
    layout: Layout,
    account: Ledger | None,
    *,
    writing: bool,
    against: Path | None,
    findings: list[Finding],
) -> Told | None:
    """Examine the ledger for verification, add what was found, and remember what was seen.

    Gives the newest checkpoint, or where there is none the ledger as it is.

    Raises:
        ConfigError: see `examine`.

    """
    if account is None:
        kept = read_kept(against).checkpoint if against else None
        known = kept or read_stored(layout).checkpoint or recall(layout)
        # one that is there and cannot be read is a finding already
        if known and not os.path.lexists(layout.ledger):
            detail = f"there is none, and a checkpoint of it has {known.size}"
            findings.append(Finding.of("E453", ledger.NAME, detail))
        return None
    examined = examine(layout, account, writing=writing, against=against)
    findings += examined.findings
    newest = examined.checkpoint
    unsound = any(each.severity == "error" for each in (*account.faults, *examined.findings))
    notes = []
    if not examined.signers:
        notes.append("integrity only, no authenticity: the archive is not signed")
    sound = newest if newest and not unsound and not writing else None
    if sound and not remember(layout, sound, examined.signed_by):
        notes.append("could not be remembered here: .holdfast/ cannot be written")
    unchecked = any(each.code == "W452" for each in examined.findings)
    told = newest if newest and newest.size <= account.size else None
    size = told.size if told else account.size
    return Told(
        size=size,
        root=(told.root if told else account.root).hex(),
        signed_by=examined.signed_by if told else None,
        unsigned=size if unchecked else examined.behind if examined.signers else 0,
        notes=tuple(notes),
    )


class _Examination(Struct):
    """One ledger beside everything that is known of it."""

    layout: Layout
    account: Ledger
    stored: Stored
    seen: Seen | None
    signers: list[Signer] = field(default_factory=list)
    signed_by: str | None = None

    def findings(self) -> Iterator[Finding]:
        self.signers, faults = signers.read(self.account.rotations)
        yield from faults
        yield from self._unvouched()
        yield from self._allowed_signers()
        if self.seen:
            before = Checkpoint(
                origin=self.seen.origin, size=self.seen.size, root=bytes.fromhex(self.seen.root)
            )
            yield from self._continues(before, "E454", "as seen here before")
        if self.stored.checkpoint:
            yield from self._continues(self.stored.checkpoint, "E452", "as its checkpoint says")
        elif self.stored.data is not None or self.signers or self.seen:
            detail = "it is no checkpoint" if self.stored.data is not None else "it is not there"
            yield Finding.of("E451", NAME, detail)
        yield from self._signature()

    def kept_elsewhere(self, kept: Kept) -> Iterator[Finding]:
        yield from self._continues(kept.checkpoint, "E454", f"as in {kept.name}")
        if kept.signature is not None:
            yield from self._signed(kept.checkpoint, kept.signature, f"{kept.name}.sig: ")

    def _continues(self, before: Checkpoint, code: str, whence: str) -> Iterator[Finding]:
        """Compare the ledger with an earlier state of it, from the lines that are there now."""
        tree = self.account.tree
        if before.origin != self.account.origin:
            now = self.account.origin or "nothing"
            yield Finding.of("E455", ledger.NAME, f"it is {now}, not {before.origin} {whence}")
        elif before.size > tree.size:
            detail = f"it has {tree.size} lines, not {before.size} {whence}"
            yield Finding.of("E453", ledger.NAME, detail)
        elif tree.root(before.size) != before.root:
            detail = f"its first {before.size} lines are not the same {whence}"
            yield Finding.of(code, ledger.NAME, detail)

    def _unvouched(self) -> Iterator[Finding]:
        """Find keys that put themselves in the place of the one before."""
        if len(self.signers) > _MOST_KEYS:
            yield Finding.of("E459", ledger.NAME, f"{len(self.signers)} keys are too many to check")
            return
        for before, signer in zip(self.signers, self.signers[1:], strict=False):
            tree, origin = self.account.tree, self.account.origin
            state = Checkpoint(origin=origin, size=signer.seq, root=tree.root(signer.seq))
            said = signers.statement(state, signer.key)
            detail = (
                f"line {signer.seq + 1}: {before.key.fingerprint} does not vouch"
                f" for {signer.key.fingerprint}"
            )
            broken = Finding.of("E459", ledger.NAME, detail)
            yield from self._holds(before, ROTATION, said, signer.voucher.encode(), broken)

    def _allowed_signers(self) -> Iterator[Finding]:
        written = read_small(self.layout, self.layout.allowed_signers, _MAX_SIGNERS) or b""
        right = [signers.allowed_signers(self.signers)]
        newest = self.stored.checkpoint
        if self.signers and (newest is None or newest.size <= self.signers[-1].seq):
            # a crash between the event and this file; the next writer completes it
            right.append(signers.allowed_signers(self.signers[:-1]))
        if written not in right:
            keys = ", ".join(each.key.fingerprint for each in self.signers) or "no key"
            yield Finding.of("E450", signers.NAME, f"the ledger names {keys}")

    def _signature(self) -> Iterator[Finding]:
        newest, armored = self.stored.checkpoint, self.stored.signature
        if newest is None:
            return
        signer = signers.in_force(self.signers, newest.size)
        if armored is not None:
            yield from self._signed(newest, armored, "")
        elif signer or (self.seen and self.seen.signed_by and not self.signers):
            was = signer.key.fingerprint if signer else self.seen and self.seen.signed_by
            yield Finding.of("E456", SIGNATURE, f"of {was}")

    def _signed(self, state: Checkpoint, armored: bytes, place: str) -> Iterator[Finding]:
        """Check the signature under a checkpoint, and that its key counted at that line."""
        made = Signature.parse(armored)
        if made is None or made.namespace != NAMESPACE:
            detail = "it is no signature for a ledger" if made else "it cannot be read"
            yield Finding.of("E457", SIGNATURE, place + detail)
            return
        signer = signers.in_force(self.signers, state.size)
        if signer is None or made.key != signer.key:
            known = any(made.key == each.key for each in self.signers)
            detail = f"{place}{made.key.fingerprint}, at line {state.size}"
            yield Finding.of("E459" if known else "E458", SIGNATURE, detail)
            return
        broken = Finding.of("E457", SIGNATURE, f"{place}by {made.key.fingerprint}")
        failed = list(self._holds(signer, NAMESPACE, state.encode(), armored, broken))
        yield from failed
        if not place and not failed:
            self.signed_by = made.key.fingerprint

    def _holds(
        self, signer: Signer, purpose: str, data: bytes, armored: bytes, broken: Finding
    ) -> Iterator[Finding]:
        if not ssh.is_here():
            yield Finding.of("W452", SIGNATURE, f"{ssh.PROGRAM} is not installed on this machine")
            return
        try:
            if not ssh.holds(signer.key, purpose, data, armored):
                yield broken
        except OSError as error:
            yield Finding.of("W452", SIGNATURE, f"{ssh.PROGRAM} could not be run: {error}")
