"""The sign verb: a signature under the ledger's checkpoint, and going over to another key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline import config
from pipeline.errors import ConfigError, NoArchive
from pipeline.fixity.checkpoint import Checkpoint
from pipeline.model.layout import Layout
from pipeline.model.wording import table
from pipeline.stages import sealing, ssh
from pipeline.stages.checkpoints import Signing


class SignReport(Struct, frozen=True, kw_only=True):
    """What was signed, and with which key; `previous` is the key that vouches for a new one."""

    checkpoint: Checkpoint
    signed_by: str
    previous: str | None

    @property
    def exit_code(self) -> int:
        """Give 0: what could not be signed is an error, not a report."""
        return 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json sign` prints."""
        return {
            "checkpoint": {
                "origin": self.checkpoint.origin,
                "size": self.checkpoint.size,
                "root": self.checkpoint.root.hex(),
                "signed_by": self.signed_by,
            },
            "previous": self.previous,
        }

    def as_text(self) -> str:
        """Tell a person what was signed and what to do with it."""
        rows = [
            ("ledger", f"{self.checkpoint.size} events, root {self.checkpoint.root.hex()}"),
            ("signed by", self.signed_by),
        ]
        if self.previous:
            rows.append(("instead of", f"{self.previous}, which vouches for it"))
        return "\n".join(
            [
                table(rows),
                "Keep copies of fixity/checkpoint and fixity/checkpoint.sig where nobody who can"
                " write to this archive can change them;",
                "holdfast verify --against COPY then proves that nothing before it was changed.",
            ]
        )


def sign(
    layout: Layout, named: Path | None, environ: Mapping[str, str], now: datetime
) -> SignReport:
    """Sign the checkpoint with the key `named`, or else with that of the settings.

    Where the ledger knows the key of the settings, and another one is named, that one is taken from
    now on, and the old key vouches for it.

    Raises:
        NoArchive: there is none.
        ConfigError: no key is named, or it cannot be used.
        IntegrityError: the ledger is not what it was; nothing is signed.

    """
    if not layout.config.is_file():
        raise NoArchive(f"{layout.root}: no archive here (there is no config.toml)")
    usual = config.signing_key(layout.root, environ)
    path = named or usual
    if path is None:
        raise ConfigError(
            "no key to sign with: name one with --key, [signing] key in config.toml or"
            f" {config.SIGNING_KEY_VARIABLE}; ssh-keygen -t ed25519 -f FILE makes one"
        )
    key = ssh.load(path, layout.root)
    old = ssh.load(usual, layout.root) if usual and named else None
    with sealing.writing(layout, now, Signing(key=key, old=old, anew=True)) as ending:
        before = ending.current_key
    return SignReport(
        checkpoint=ending.checkpoint,
        signed_by=key.public.fingerprint,
        previous=before.fingerprint if before and before != key.public else None,
    )
