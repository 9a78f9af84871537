"""Bytes of sealed files brought from one disk to another, and believed only when read back.

For replication and repair. A source may be damaged, hostile, or growing while it is read: nothing
gets its name before its digest is the recorded one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Final

from pipeline import durable
from pipeline.errors import StorageError
from pipeline.fixity import disk
from pipeline.fixity.ledger import SealedFile
from pipeline.model.names import TEMPORARY
from pipeline.model.wording import size

STEP: Final = 1 << 20
MISSING: Final = "it is missing"
_SPARE = 1 << 20  # for ledger, manifest and the file system's own tables


def temporary(root: Path, path: str) -> Path:
    """Give the name under which the file at `path` is written."""
    return root / (path + TEMPORARY)


def require_room(root: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        StorageError: there is no room.

    """
    free = shutil.disk_usage(root).free
    if free < needed + _SPARE:
        raise StorageError(
            f"{root}: only {size(free)} are free, and the next file needs {size(needed)}."
            " What was written is kept: make room, then run it again to go on"
        )


def create(root: Path, path: str) -> FileIO:
    """Make a new file under the temporary name of `path`, over what an earlier attempt has left.

    Raises:
        OSError: the disk refused, or a folder on the way is a symbolic link.

    """
    target = temporary(root, path)
    make_folder(root, path)
    target.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return FileIO(os.open(target, flags, 0o644), "r+")


def make_folder(root: Path, path: str) -> None:
    """Make the folder in which `path` lies, and never follow a link on the way to it.

    Raises:
        OSError: the disk refused, or a folder on the way is a symbolic link.

    """
    for folder in reversed(Path(path).parents):
        if (root / folder).is_symlink() and folder != Path():
            raise OSError(errno.ELOOP, "is a symbolic link; put a real folder there", str(folder))
    (root / path).parent.mkdir(parents=True, exist_ok=True)


def fetch(source: Path, sealed: SealedFile, root: Path) -> str:
    """Copy a sealed file out of the archive at `source` to its temporary name in that at `root`.

    Returns:
        Why the source's file is not the one that was sealed; empty where it is, and then what was
        written was read back and is, too.

    Raises:
        StorageError: the disk at `root` refused, or did not keep what was written.

    """
    seen = disk.look(source, sealed.path)
    if seen.trouble:
        return seen.detail or MISSING
    if seen.size != sealed.size:
        return f"it has {seen.size} bytes and should have {sealed.size}"
    require_room(root, sealed.size)
    target = temporary(root, sealed.path)
    digest = hashlib.sha256()
    trouble: list[str] = []
    try:
        with create(root, sealed.path) as out:
            for piece in _pieces(source, sealed, trouble):
                digest.update(piece)
                write(out, piece)
            if not trouble and digest.hexdigest() == sealed.sha256:
                durable.sync(out.fileno())
                confirm(out, target, sealed)
                return ""
        target.unlink()
    except OSError as error:
        raise StorageError(
            f"{target}: could not be written: {error.strerror}. What was written before is kept:"
            " see to it, then run it again to go on"
        ) from error
    return trouble[0] if trouble else f"its sha256 is {digest.hexdigest()}"


def _pieces(source: Path, sealed: SealedFile, trouble: list[str]) -> Iterator[bytes]:
    """Give at most as many bytes as were sealed; trouble of the source is told, not raised."""
    left = sealed.size
    try:
        with disk.open_plain(source, sealed.path) as data:
            while left and (piece := data.read(min(STEP, left))):
                left -= len(piece)
                yield piece
    except OSError as error:
        trouble.append(error.strerror or str(error))


def write(out: FileIO, data: bytes) -> None:
    """Write all of `data`."""
    view = memoryview(data)
    while view:
        view = view[out.write(view) :]


def confirm(out: FileIO, path: Path, sealed: SealedFile) -> None:
    """Read back, from the disk where that can be asked for, what was written and synced.

    Raises:
        StorageError: it is not what was written.

    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    out.seek(0)
    digest = hashlib.sha256()
    for piece in iter(lambda: out.read(STEP), b""):
        digest.update(piece)
    if digest.hexdigest() != sealed.sha256 or out.tell() != sealed.size:
        raise StorageError(
            f"{path}: read back, it is not what was written. The disk or the memory is failing:"
            " nothing was replaced; use another disk"
        )


def settle(root: Path, path: str) -> None:
    """Give a file that was fetched its name.

    Raises:
        StorageError: the disk refused.

    """
    try:
        durable.rename(temporary(root, path), root / path)
    except OSError as error:
        raise StorageError(f"{root / path}: could not be renamed: {error.strerror}") from error


def copy_lines(source: Path, path: str, out: FileIO) -> None:
    """Copy the whole lines that a file, which may be growing, has now.

    Raises:
        OSError: one of the two cannot be read or written.

    """
    with disk.open_plain(source, path) as data:
        left = os.fstat(data.fileno()).st_size
        while left and (piece := data.read(min(STEP, left))):
            left -= len(piece)
            write(out, piece)
    out.seek(0)
    end = 0
    while piece := out.read(STEP):
        if (found := piece.rfind(b"\n")) >= 0:
            end = out.tell() - len(piece) + found + 1
    out.truncate(end)


def plain_files(root: Path, folder: str) -> Iterable[str]:
    """Give the paths of the plain files in a folder, and of none below it."""
    if (root / folder).is_symlink() or not (root / folder).is_dir():
        return
    for entry in sorted((root / folder).iterdir()):
        if entry.is_file() and not entry.is_symlink() and not entry.name.startswith("."):
            yield f"{folder}/{entry.name}"
