"""fixity/manifest-sha256.txt: digest and path of every sealed file (FORMAT.md §7).

For sealing and verification. `sha256sum -c --strict` reads the same file. Which paths may be in it
is decided here, before anything is opened: a manifest is input like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from pipeline import durable
from pipeline.model.finding import Finding

NAME = "fixity/manifest-sha256.txt"

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_ALLOWED = re.compile(r"(?:warc|extracted)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_MAX_PATH = 1024
_MAX_FAULTS = 100
_MAX_SIZE = 256 * 1024 * 1024  # some two million files


class Manifest(Struct, frozen=True, kw_only=True):
    """The sealed files: hex digest by path.

    Attributes:
        faults: lines that cannot be used.

    """

    entries: Mapping[str, str]
    faults: tuple[Finding, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read a manifest; lines that are none become faults."""
        entries: dict[str, str] = {}
        faults: list[Finding] = []
        previous = ""
        lines = data.decode("utf-8", "replace").split("\n")
        if lines.pop():
            faults.append(Finding.of("E411", NAME, "the last line has no line end"))
        for number, line in enumerate(lines, 1):
            match = _LINE.fullmatch(line)
            if len(faults) >= _MAX_FAULTS:
                break
            if match is None:
                faults.append(Finding.of("E411", NAME, f"line {number}: {line[:80]!r}"))
            elif not is_safe(match[2]):
                faults.append(Finding.of("E412", NAME, f"line {number}: {match[2][:80]!r}"))
            elif match[2] <= previous:
                faults.append(
                    Finding.of("E411", NAME, f"line {number}: not sorted, or there twice")
                )
                entries.setdefault(match[2], match[1])
            else:
                previous = match[2]
                entries[previous] = match[1]
        return cls(entries=entries, faults=tuple(faults))

    def encode(self) -> bytes:
        """Give the bytes of the file."""
        lines = (f"{self.entries[path]}  {path}\n" for path in sorted(self.entries))
        return "".join(lines).encode("ascii")

    def adding(self, sealed: Mapping[str, str]) -> Manifest:
        """Give the manifest that also has `sealed`, hex digests by path.

        Raises:
            ValueError: a path is not allowed, or is sealed already with another digest (a bug).

        """
        for path, digest in sealed.items():
            if not is_safe(path):
                raise ValueError(f"not a path of an archive: {path!r}")
            if self.entries.get(path, digest) != digest:
                raise ValueError(f"a sealed file cannot change: {path}")
        return Manifest(entries={**self.entries, **sealed}, faults=self.faults)


def read(path: Path) -> Manifest | None:
    """Read the manifest at `path`; None where there is none.

    Raises:
        OSError: it is there and cannot be read.

    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    if len(data) <= _MAX_SIZE:
        return Manifest.parse(data)
    begun = Manifest.parse(data[: data.rfind(b"\n") + 1])
    too_long = Finding.of("E411", NAME, f"it has more than {_MAX_SIZE} bytes; the rest is not read")
    return Manifest(entries=begun.entries, faults=(too_long, *begun.faults))


def write(path: Path, manifest: Manifest) -> None:
    """Replace the manifest at `path` as a whole.

    Raises:
        StorageError: the disk refused; the old one is still there.

    """
    durable.replace(path, manifest.encode())


def is_safe(path: str) -> bool:
    """Tell whether `path` may name a sealed file: relative, plain characters, no leading dots."""
    return len(path) <= _MAX_PATH and _ALLOWED.fullmatch(path) is not None
