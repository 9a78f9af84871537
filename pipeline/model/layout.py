"""Where each file of an archive lies (FORMAT.md). Paths only: nothing here touches the disk."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Layout(Struct, frozen=True):
    """The paths of the archive at `root`."""

    root: Path

    @property
    def config(self) -> Path:
        """The operator's settings."""
        return self.root / "config.toml"

    @property
    def seeds(self) -> Path:
        """The folder of seed files, one per collection."""
        return self.root / "seeds"

    def warc(self, collection: str) -> Path:
        """The folder of a collection's WARC files and their sidecars."""
        return self.root / "warc" / collection

    def extracted(self, collection: str) -> Path:
        """The folder of a collection's documents."""
        return self.root / "extracted" / collection

    @property
    def manifest(self) -> Path:
        """Digest and path of every sealed file."""
        return self.root / "fixity" / "manifest-sha256.txt"

    @property
    def ledger(self) -> Path:
        """What happened, hash-chained."""
        return self.root / "fixity" / "ledger.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The ledger in three lines."""
        return self.root / "fixity" / "checkpoint"

    @property
    def next_checkpoint(self) -> Path:
        """The checkpoint that is about to take the place of that one."""
        return self.root / "fixity" / "checkpoint.next"

    @property
    def signature(self) -> Path:
        """The signature under the checkpoint."""
        return self.root / "fixity" / "checkpoint.sig"

    @property
    def allowed_signers(self) -> Path:
        """Whose signature counts."""
        return self.root / "fixity" / "allowed_signers"

    @property
    def working(self) -> Path:
        """The folder of working state, which is no part of the archive."""
        return self.root / ".holdfast"

    @property
    def frontier(self) -> Path:
        """What is still to be fetched."""
        return self.working / "frontier.sqlite"

    @property
    def catalogue(self) -> Path:
        """Which payloads the archive holds already."""
        return self.working / "catalogue.sqlite"

    @property
    def copy(self) -> Path:
        """There where this archive is a copy that has not been written to by itself."""
        return self.working / "copy"

    @property
    def copying(self) -> Path:
        """There while a copy of another archive is being made here."""
        return self.working / "copying"

    @property
    def quarantine(self) -> Path:
        """The folder of damaged bytes that were replaced."""
        return self.root / "quarantine"

    @property
    def seen(self) -> Path:
        """The highest checkpoint that was seen here."""
        return self.working / "checkpoint.json"

    @property
    def lock(self) -> Path:
        """Held by the process that may write."""
        return self.working / "lock"

    def relative(self, path: Path) -> str:
        """Give `path` as it is written in manifests, ledgers and findings."""
        return path.relative_to(self.root).as_posix()
