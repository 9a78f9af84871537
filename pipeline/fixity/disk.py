"""What is on the disk under warc/ and extracted/, seen without ever leaving the archive.

For verification. Symbolic links, devices and pipes are told apart from files before anything is
opened: a path in a manifest may come from anybody. Nothing here knows what ought to be there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

from pipeline.fixity.audit import Observed, Trouble

FOLDERS = ("warc", "extracted")

_STEP = 1 << 20


def look(root: Path, path: str) -> Observed:
    """Give the size of the plain file at `path`, without reading it, or why it is none.

    Each folder on the way must be a real one: a link could lead out of the archive.
    """
    found = root
    try:
        for part in path.split("/"):
            status = (found := found / part).lstat()
            if stat.S_ISLNK(status.st_mode):
                return _trouble("not-plain", f"{part} is a symbolic link; links are not followed")
    except OSError as error:
        return refusal(error)
    if not stat.S_ISREG(status.st_mode):
        return _trouble("not-plain", "a folder, device or pipe")
    return Observed(size=status.st_size)


def digest(root: Path, path: str) -> Observed:
    """Read the plain file at `path` and give its size and hex digest, or why that cannot be."""
    seen = look(root, path)
    if seen.trouble:
        return seen
    hashed, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_STEP))
    try:
        with open_plain(root, path) as data:
            while got := data.readinto(buffer):
                hashed.update(buffer[:got])
                size += got
    except OSError as error:
        return refusal(error)
    return Observed(size=size, sha256=hashed.hexdigest())


def forget(root: Path, path: str) -> None:
    """Ask the system to read the file from the disk the next time, and not from memory.

    Where that cannot be asked for, nothing happens.
    """
    if not hasattr(os, "posix_fadvise") or look(root, path).trouble:
        return
    with suppress(OSError):
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def open_plain(root: Path, path: str) -> FileIO:
    """Open the plain file at `path` for reading, without following a link anywhere below `root`.

    Raises:
        OSError: it is not there, is no plain file, or may not be read.

    """
    *folders, name = path.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for each in folders:
            inner = os.open(each, flags | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        # a pipe that took the file's place must not keep us waiting
        descriptor = os.open(name, flags | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    opened = FileIO(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, "no plain file", path)
    return opened


def refusal(error: OSError) -> Observed:
    """Give the trouble that an error of the operating system means."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _trouble("missing", "")
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError):
        return _trouble("denied", f"{reason}; run verify as a user who may read it")
    return _trouble("unreadable", f"{reason}; copy what can be read to another disk now")


def files(root: Path) -> Iterator[tuple[str, Observed]]:
    """Give every name under warc/ and extracted/, and what it is.

    Names that begin with a dot are no part of an archive (FORMAT.md, common rules), nor is what
    lies in a folder of such a name: some file systems keep snapshots there.
    A folder that cannot be listed is given with the trouble that kept it from being listed.
    """
    pending = [folder for folder in FOLDERS if os.path.lexists(root / folder)]
    while pending:
        folder = pending.pop()
        if (root / folder).is_symlink():
            yield folder, _trouble("not-plain", "a symbolic link; links are not followed")
            continue
        try:
            with os.scandir(root / folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield folder, refusal(error)
            continue
        for entry in found:
            if entry.name.startswith("."):
                continue
            path = f"{folder}/{_printable(entry.name)}"
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{folder}/{entry.name}")
            else:
                plain = entry.is_file(follow_symlinks=False)
                yield path, Observed() if plain else _trouble("not-plain", "no plain file")


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _trouble(kind: Trouble, detail: str) -> Observed:
    return Observed(trouble=kind, detail=detail)
