"""The end of every writing verb: the ledger's checkpoint, and the signature under it.

For sealing. The ledger is read once, when the verb begins, and held against its checkpoint; at the
end only the lines are read that were added since. So nobody's signature covers lines that somebody
else has put in between.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from pipeline import __version__, config, durable
from pipeline.errors import ConfigError, IntegrityError
from pipeline.fixity import ledger, signers
from pipeline.fixity.checkpoint import Checkpoint
from pipeline.fixity.ledger import Event, Ledger
from pipeline.fixity.signers import NAMESPACE, ROTATION, Signer
from pipeline.fixity.sshsig import PublicKey
from pipeline.model.layout import Layout
from pipeline.stages import ssh
from pipeline.stages.checkpoint_files import remember
from pipeline.stages.ssh import SigningKey
from pipeline.stages.verify_checkpoint import examine

_MENDED_BY_SIGNING: Final = {"E450", "E451", "E456", "E457", "E458"}


class Signing(Struct, frozen=True, kw_only=True):
    """What to sign with.

    Attributes:
        key: the key; None signs nothing.
        old: the key that may vouch for it, if the ledger knows another one.
        anew: sign although a signature is missing or does not hold: the operator has looked.

    """

    key: SigningKey | None
    old: SigningKey | None = None
    anew: bool = False


def configured(layout: Layout) -> Signing:
    """Give what the operator's settings say.

    Raises:
        ConfigError: the key cannot be used.

    """
    path = config.signing_key(layout.root)
    return Signing(key=ssh.load(path, layout.root) if path else None)


class Ending:
    """The checkpoint of one archive, from the beginning of a writing verb to its end."""

    def __init__(self, layout: Layout, account: Ledger, signing: Signing) -> None:
        """Look at the ledger before anything is added to it.

        Raises:
            ConfigError: the key is not the one that this archive is signed with.
            IntegrityError: the ledger is not what its checkpoint says, or what was seen before.

        """
        examined = examine(layout, account, writing=True)
        mended = _MENDED_BY_SIGNING if signing.anew else set()
        for finding in examined.findings:
            if finding.severity == "error" and finding.code not in mended:
                raise IntegrityError(
                    f"{layout.root / finding.path}: {finding.code} {finding.message}."
                    " Nothing was written: run holdfast verify"
                )
        self._layout = layout
        self._tree = account.tree
        self._end = account.end
        self._origin = account.origin
        self._signers = list(examined.signers)
        self._stored = examined.checkpoint
        self._signed_by = examined.signed_by
        self._signing = signing
        self._refuse_strangers()

    @property
    def checkpoint(self) -> Checkpoint:
        """The ledger as far as it was read."""
        return Checkpoint(origin=self._origin, size=self._tree.size, root=self._tree.root())

    @property
    def current_key(self) -> PublicKey | None:
        """The key that the ledger names last."""
        return self._signers[-1].key if self._signers else None

    def write(self, now: datetime) -> None:
        """Write the checkpoint of all lines, signed if there is a key.

        An archive that is signed keeps its last signed checkpoint where there is none: who has the
        key signs the rest.

        Raises:
            ConfigError: the key could not be used; all lines are in the ledger all the same.
            StorageError: the disk refused; the next writer writes it.

        """
        self._read_on()
        key = self._signing.key
        if key is not None:
            self._enter(key, now)
        elif self._signers:
            return
        now_is, signed_by = self.checkpoint, key.public.fingerprint if key else None
        if now_is != self._stored or signed_by != self._signed_by:
            _put(self._layout, now_is, key)
        self._stored, self._signed_by = now_is, signed_by
        remember(self._layout, now_is, signed_by)

    def _refuse_strangers(self) -> None:
        key, old, last = self._signing.key, self._signing.old, self.current_key
        if key is None or last is None or last in (key.public, old and old.public):
            return
        raise ConfigError(
            f"{key.path}: is {key.public.fingerprint}, and this archive is signed with"
            f" {last.fingerprint}. To go over to another key, leave the old one in config.toml or"
            " HOLDFAST_SIGNING_KEY, run holdfast sign --key NEW, and then set the new one"
        )

    def _read_on(self) -> None:
        self._end = ledger.read_on(self._layout.ledger, self._tree, self._end)

    def _enter(self, key: SigningKey, now: datetime) -> None:
        """Enter the key in the ledger where it is new, and see that allowed_signers has it."""
        if self.current_key != key.public:
            event = _rotation(self.checkpoint, self._signers, key, self._signing.old, now)
            seq = self._tree.size
            ledger.append(self._layout.ledger, event)
            self._read_on()
            self._signers += signers.read([event.as_rotation(seq)])[0]
        right = signers.allowed_signers(self._signers)
        path = self._layout.allowed_signers
        if not path.is_file() or path.read_bytes() != right:
            durable.replace(path, right)


def _rotation(
    before: Checkpoint,
    known: list[Signer],
    key: SigningKey,
    old: SigningKey | None,
    now: datetime,
) -> Event:
    detail: dict[str, Any] = {"key": key.public.line, "fingerprint": key.public.fingerprint}
    if known and old:
        statement = signers.statement(before, key.public)
        detail["previous"] = old.public.fingerprint
        detail["voucher"] = ssh.sign(old, ROTATION, statement).decode("ascii")
    return Event(
        identifier=uuid.uuid4().urn,
        type=ledger.KEY_ROTATION,
        at=now,
        outcome="success",
        agent=__version__,
        detail=detail,
    )


def _put(layout: Layout, checkpoint: Checkpoint, key: SigningKey | None) -> None:
    """Put checkpoint and signature in their places; at every moment a pair of them matches."""
    data = checkpoint.encode()
    if key is None:
        durable.replace(layout.checkpoint, data)
        return
    signature = ssh.sign(key, NAMESPACE, data)
    durable.replace(layout.next_checkpoint, data)
    durable.replace(layout.signature, signature)
    durable.rename(layout.next_checkpoint, layout.checkpoint)
