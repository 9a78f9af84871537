"""What must be in the archive compared with what is there. Pure: values in, findings out.

For verification. Manifest and ledger are two accounts of the same files; each is held against the
other, and both against the disk, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from pipeline.fixity.ledger import NAME as LEDGER
from pipeline.fixity.ledger import Ledger
from pipeline.fixity.manifest import NAME as MANIFEST
from pipeline.fixity.manifest import Manifest
from pipeline.model.finding import Finding
from pipeline.model.names import OPEN

Trouble = Literal["missing", "not-plain", "denied", "unreadable"]

CREATION = "creation"
"""Type of the first event of every ledger (FORMAT.md §8)."""


class Expected(Struct, frozen=True, kw_only=True):
    """A sealed file as manifest and ledger have it; `size` is None if only the manifest knows."""

    path: str
    sha256: str
    size: int | None


class Observed(Struct, frozen=True, kw_only=True):
    """A file as it is on the disk, or the trouble that kept it from being read."""

    size: int = 0
    sha256: str = ""
    trouble: Trouble | None = None
    detail: str = ""


def expect(manifest: Manifest | None, ledger: Ledger | None) -> dict[str, Expected]:
    """Give every file that either account lists; where they differ, as the chained one has it."""
    expected = {
        path: Expected(path=path, sha256=digest, size=None)
        for path, digest in (manifest.entries if manifest else {}).items()
    }
    for path, sealed in (ledger.objects if ledger else {}).items():
        expected[path] = Expected(path=path, sha256=sealed.sha256, size=sealed.size)
    return expected


def accounts(manifest: Manifest | None, ledger: Ledger | None) -> Iterator[Finding]:
    """Compare manifest and ledger with each other (FORMAT.md §8)."""
    listed = manifest.entries if manifest else {}
    sealed = ledger.objects if ledger else {}
    if manifest is None and sealed:
        yield Finding.of("E414", MANIFEST, "write it again from the ledger: holdfast crawl does")
        return
    if ledger is None and listed:
        yield Finding.of("E423", LEDGER, "nothing tells what happened; restore it from a copy")
        return
    behind = sealed.keys() - listed.keys()
    # the ledger is written first, so a crash between the two leaves exactly this
    interrupted = ledger is not None and behind and behind <= ledger.last
    for path in sorted(behind):
        yield Finding.of(
            "W413" if interrupted else "E413", path, "the ledger has it, the manifest not"
        )
    for path in sorted(listed.keys() - sealed.keys()):
        yield Finding.of("E413", path, "the manifest has it, the ledger not")
    for path in sorted(listed.keys() & sealed.keys()):
        if listed[path] != sealed[path].sha256:
            yield Finding.of("E413", path, "they have different digests")


def file(expected: Expected, observed: Observed) -> Finding | None:
    """Compare one sealed file with what is there; None where it is as it was sealed."""
    if observed.trouble is not None:
        code = {"missing": "E401", "not-plain": "E404", "denied": "W106", "unreadable": "E106"}
        return Finding.of(code[observed.trouble], expected.path, observed.detail)
    if expected.size is not None and observed.size != expected.size:
        return Finding.of(
            "E402", expected.path, f"{expected.size} bytes were sealed, {observed.size} are there"
        )
    if observed.sha256 != expected.sha256:
        return Finding.of("E402", expected.path, f"its sha256 is now {observed.sha256}")
    return None


def unlisted(paths: Iterable[str]) -> Iterator[Finding]:
    """Name the files that are there and in neither account."""
    for path in sorted(paths):
        yield Finding.of(
            "E403", path, "from something else, or a run was cut short: holdfast crawl finishes it"
        )


def unfinished(paths: Iterable[str]) -> Iterator[Finding]:
    """Name the files that somebody began to write and nobody writes now."""
    for path in sorted(paths):
        detail = "run the verb again that was cut short; then it may be deleted"
        if path.endswith(OPEN):
            detail = "nothing protects its captures; holdfast crawl seals what was committed"
        yield Finding.of("W403", path, detail)


def unfinished_copy() -> Finding:
    """Say that this copy of an archive is still to be brought up to date."""
    return Finding.of("W463", LEDGER, "run holdfast replicate again, in the archive it is of")


def beginning(ledger: Ledger) -> Iterator[Finding]:
    """Say that the ledger's first event is not the one that every ledger begins with."""
    if ledger.begins not in ("", CREATION):
        yield Finding.of("W422", LEDGER, f"its first event is {ledger.begins[:40]!r}")


def torn(size: int) -> Finding:
    """Say that the ledger's last line was never finished."""
    return Finding.of("W421", LEDGER, f"{size} bytes, which the next writer cuts off")
