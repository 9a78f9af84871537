"""Checkpoints where they lie: in the archive, in `.holdfast/`, or kept elsewhere (FORMAT.md §9).

For verification and sealing. Reads what may be in the middle of being replaced, and never more
than a few kilobytes of it; judges nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pipeline import durable
from pipeline.errors import ConfigError, StorageError
from pipeline.fixity import disk
from pipeline.fixity.checkpoint import MAX_BYTES, NAME, Checkpoint
from pipeline.fixity.signers import NAMESPACE
from pipeline.fixity.sshsig import MAX_BYTES as MAX_SIGNATURE
from pipeline.fixity.sshsig import Signature
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.stages import ssh

_TRIES: Final = 3


class Seen(Struct, frozen=True, forbid_unknown_fields=True):
    """The highest checkpoint that was seen here, and who had signed it."""

    origin: str
    root: Annotated[str, Meta(pattern="^[0-9a-f]{64}\\Z")]
    signed_by: str | None
    size: Annotated[int, Meta(ge=0)]


def recall(layout: Layout) -> Seen | None:
    """Give the highest checkpoint that was seen here; None where nothing is remembered."""
    data = read_small(layout, layout.seen, MAX_BYTES)
    try:
        return msgspec.json.decode(data, type=Seen) if data else None
    except msgspec.DecodeError:
        return None


def remember(layout: Layout, checkpoint: Checkpoint, signed_by: str | None) -> bool:
    """Remember a checkpoint, unless a higher one was seen; tell whether that could be done."""
    seen = Seen(checkpoint.origin, checkpoint.root.hex(), signed_by, checkpoint.size)
    before = recall(layout)
    if before == seen or (before and before.size > seen.size):
        return True
    try:
        durable.replace(layout.seen, canonical.line(msgspec.structs.asdict(seen)))
    except (StorageError, OSError):
        return False
    return True


class Stored(Struct, frozen=True, kw_only=True):
    """The checkpoint in the archive and the signature that belongs to it."""

    data: bytes | None
    checkpoint: Checkpoint | None
    signature: bytes | None


def read_stored(layout: Layout) -> Stored:
    """Read checkpoint and signature, in whichever of its steps a writer may be or have ended.

    The new signature takes its place before the new checkpoint does (FORMAT.md §9).
    """
    for _ in range(_TRIES):
        signature = read_small(layout, layout.signature, MAX_SIGNATURE)
        following = read_small(layout, layout.next_checkpoint, MAX_BYTES)
        data = read_small(layout, layout.checkpoint, MAX_BYTES)
        if signature == read_small(layout, layout.signature, MAX_SIGNATURE):
            break
    if signature and following and following != data and _matches(following, signature):
        data = following
    return Stored(
        data=data, checkpoint=Checkpoint.parse(data) if data else None, signature=signature
    )


def _matches(data: bytes, armored: bytes) -> bool:
    made = Signature.parse(armored)
    try:
        return made is not None and ssh.holds(made.key, NAMESPACE, data, armored)
    except OSError:
        return False


class Kept(Struct, frozen=True, kw_only=True):
    """A checkpoint that was kept outside of the archive, and the signature beside it, if any."""

    name: str
    checkpoint: Checkpoint
    signature: bytes | None


def read_kept(path: Path) -> Kept:
    """Read a checkpoint that was kept elsewhere.

    Raises:
        ConfigError: there is none.

    """
    beside = path.with_name(path.name + ".sig")
    try:
        with path.open("rb") as file:
            checkpoint = Checkpoint.parse(file.read(MAX_BYTES + 1))
        signature = None
        if beside.exists():
            with beside.open("rb") as file:
                signature = file.read(MAX_SIGNATURE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: could not be read: {error.strerror}") from None
    if checkpoint is None:
        raise ConfigError(
            f"{path}: no checkpoint; expected a copy of {NAME} of some earlier day: three lines,"
            " with the ledger's name, its number of lines, and its root"
        )
    return Kept(name=path.name, checkpoint=checkpoint, signature=signature)


def read_small(layout: Layout, path: Path, limit: int) -> bytes | None:
    """Read a small file of the archive; None where there is none, nothing where it cannot be."""
    trouble = disk.look(layout.root, layout.relative(path)).trouble
    if trouble:
        return None if trouble == "missing" else b""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError:
        return b""
    return data if len(data) <= limit else b""
