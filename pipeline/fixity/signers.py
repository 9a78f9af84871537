"""Whose signature counts, and from which line of the ledger on (FORMAT.md §8, §10).

For signing, verification and proofs. The ledger's `key rotation` events say it; allowed_signers is
the same in the form that `ssh-keygen` reads, and is made from them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

from msgspec import Struct

from pipeline.fixity.checkpoint import Checkpoint
from pipeline.fixity.ledger import NAME as LEDGER
from pipeline.fixity.ledger import Rotation
from pipeline.fixity.sshsig import PublicKey
from pipeline.model.finding import Finding

NAME: Final = "fixity/allowed_signers"
PRINCIPAL: Final = "holdfast"
NAMESPACE: Final = "ledger@holdfast"
"""What a signature under a checkpoint is for (SSHSIG namespace)."""

ROTATION: Final = "rotation@holdfast"
"""What a signature is for by which a key vouches for the next one."""

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_MAX_FAULTS = 100


class Signer(Struct, frozen=True, kw_only=True):
    """A key that signs checkpoints which hold line `seq` of the ledger, until the next one does.

    Attributes:
        at: when that was, `YYYY-MM-DDThh:mm:ssZ`.
        voucher: armored signature of the key before over `statement`; empty for the first key.

    """

    seq: int
    at: str
    key: PublicKey
    voucher: str


def read(rotations: Iterable[Rotation]) -> tuple[list[Signer], list[Finding]]:
    """Read the events that name keys; those that name none are findings."""
    signers: list[Signer] = []
    faults: list[Finding] = []
    for event in rotations:
        key, voucher = PublicKey.parse(event.detail.get("key")), event.detail.get("voucher", "")
        if key and isinstance(voucher, str) and _MOMENT.fullmatch(event.at):
            signers.append(Signer(seq=event.seq, at=event.at, key=key, voucher=voucher))
        elif len(faults) < _MAX_FAULTS:
            faults.append(Finding.of("E459", LEDGER, f"line {event.seq + 1} names no key"))
    return signers, faults


def in_force(signers: Sequence[Signer], size: int) -> Signer | None:
    """Give the key that signs a ledger of `size` lines; None before there was one."""
    return next((each for each in reversed(signers) if each.seq < size), None)


def statement(before: Checkpoint, key: PublicKey) -> bytes:
    """Give what the old key signs to vouch for the new one: the ledger so far, and the new key."""
    return before.encode() + key.line.encode() + b"\n"


def allowed_signers(signers: Sequence[Signer]) -> bytes:
    """Give the file that `ssh-keygen -Y verify -f` reads (ssh-keygen(1), ALLOWED SIGNERS)."""
    ends = [each.at for each in signers[1:]]
    return "".join(line(each, end) + "\n" for each, end in zip_longest(signers, ends)).encode()


def line(signer: Signer, until: str | None = None) -> str:
    """Give one line of that file, without its LF."""
    times = f'valid-after="{_digits(signer.at)}"'
    if until:
        times += f',valid-before="{_digits(until)}"'
    return f'{PRINCIPAL} {times},namespaces="{NAMESPACE},{ROTATION}" {signer.key.line}'


def _digits(moment: str) -> str:
    return re.sub(r"[-T:]", "", moment)
