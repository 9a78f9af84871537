"""Seed files: what a collection is, where its crawl begins, and how far it goes.

`seeds/NAME.toml` describes a collection; `seeds/NAME.txt` is a plain list of URLs, whose hosts are
its scope. For the crawl and for `seeds check`. Every mistake is told, with its line; none is mended
by guessing.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pipeline.crawl.rules.scope import Scope, ScopeType
from pipeline.errors import ConfigError
from pipeline.model import toml
from pipeline.model.digest import sha256
from pipeline.model.policy import CrawlOverrides, Line
from pipeline.model.toml import Problem
from pipeline.model.url import Rejected, absolute

ENDINGS: Final = (".toml", ".txt")
"""Other files in seeds/ are left alone."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MOST_SHOWN = 200
_USERINFO = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:[/\\]*[^/\\?#]*@")

Text = Annotated[str, Meta(max_length=10_000, description="a text of at most 10000 characters")]
Urls = Annotated[
    tuple[str, ...],
    Meta(min_length=1, description='a list of one or more URLs, such as ["https://example.org/"]'),
]


class _ScopeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: Annotated[ScopeType, Meta(description='"prefix" or "host"')] = "prefix"


class _SeedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: Line = ""
    notice: Text = ""
    note: Text = ""
    seeds: Urls
    scope: _ScopeTable = _ScopeTable()
    crawl: CrawlOverrides = CrawlOverrides()


@dataclass(frozen=True, slots=True)
class Seed:
    """Where a crawl begins: a normal URL."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One seed file, read.

    Attributes:
        name: the file's name without its ending (FORMAT.md §1).
        title: for people; the name where the file gives none.
        notice: text that the source puts on its pages (a banner), empty if there is none.
        note: what people should know about the source; written nowhere else.
        overrides: what differs from config.toml.
        raw: the file as it is on the disk.
        digest: labelled SHA-256 of `raw`.

    """

    name: str
    path: Path
    title: str
    notice: str
    note: str
    seeds: tuple[Seed, ...]
    scope: Scope
    overrides: CrawlOverrides
    raw: bytes
    digest: str


def load_collections(folder: Path, names: Sequence[str] = ()) -> list[Collection]:
    """Read the seed files of the named collections, or of all, sorted by name.

    Raises:
        ConfigError: one line for each mistake in any of them, and for each name without a file.

    """
    paths = _seed_paths(folder)
    problems = [_no_such(name, paths) for name in names if name not in {p.stem for p in paths}]
    if names:
        paths = [path for path in paths if path.stem in names]
    problems += _clashes(paths)
    collections = []
    for path in paths:
        try:
            collections.append(parse(path, _read(path)))
        except OSError as error:
            problems.append(f"{_label(path)}: could not be read: {error.strerror}")
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return collections


def other_files(folder: Path) -> list[str]:
    """Name the files in the folder of seed files that are none, hidden ones left out."""
    if not folder.is_dir():
        return []
    names = (path.name for path in folder.iterdir() if path.suffix not in ENDINGS)
    return sorted(name for name in names if name[0] != ".")


def parse(path: Path, raw: bytes) -> Collection:
    """Read the bytes of the seed file at `path`.

    Raises:
        ConfigError: one line for each mistake.

    """
    label = _label(path)
    if not _NAME.fullmatch(path.stem):
        raise ConfigError(
            f"{label}: the name of a collection is the file's name; expected small letters, digits,"
            " `.`, `_` or `-`, the first one a letter or digit, at most 64; rename the file"
        )
    if path.suffix == ".txt":
        listed = list(_listed(toml.decode(raw, label)))
        file = _SeedFile(seeds=tuple(url for _, url in listed), scope=_ScopeTable(type="host"))
        seeds = _seeds(listed, label, "")
    else:
        file = toml.read(raw, _SeedFile, label)
        seeds = _seeds(_with_lines(file.seeds, toml.decode(raw, label)), label, "seeds: ")
    return Collection(
        name=path.stem,
        path=path,
        title=file.title or path.stem,
        notice=file.notice,
        note=file.note,
        seeds=seeds,
        scope=Scope.of(file.scope.type, (seed.url for seed in seeds)),
        overrides=file.crawl,
        raw=raw,
        digest=sha256(raw),
    )


def _seed_paths(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    try:
        named = [path for path in folder.iterdir() if path.suffix in ENDINGS]
    except OSError as error:
        raise ConfigError(f"{folder}: could not be read: {error.strerror}") from None
    return sorted(path for path in named if path.name[0] != ".")


def _read(path: Path) -> bytes:
    """Read a seed file; what is no plain file must not be passed over in silence.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe or a link that leads nowhere.

    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "it is no file, or a link to none")
    return path.read_bytes()


def _label(path: Path) -> str:
    return f"seeds/{path.name}"


def _no_such(name: str, paths: list[Path]) -> str:
    known = [path.stem for path in paths]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
    return f"{toml.shown(name)[1:-1]}: no collection of this name in seeds/; {hint}"


def _clashes(paths: list[Path]) -> Iterator[str]:
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(path.stem, path)
        if other is not path:
            yield (
                f"{_label(path)}: the collection {path.stem} is described in {_label(other)} too;"
                " keep one of the two files"
            )


def _listed(text: str) -> Iterator[tuple[int, str]]:
    """Give the URLs of a plain list with their lines; comments begin a line or follow a blank."""
    for number, line in enumerate(text.splitlines(), 1):
        url = _COMMENT.sub("", line).strip()
        if url:
            yield number, url


def _with_lines(urls: tuple[str, ...], text: str) -> Iterator[tuple[int | None, str]]:
    """Find the line of each URL of a TOML file, as far as it is written there plainly."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for quoted in _QUOTED.findall(line):
            lines.setdefault(quoted[1:-1], number)
    for url in urls:
        yield lines.get(url), url


def _seeds(urls: Iterable[tuple[int | None, str]], label: str, key: str) -> tuple[Seed, ...]:
    """Read each URL once.

    Raises:
        ConfigError: some are no seeds, or there are none.

    """
    seeds: dict[str, Seed] = {}
    problems = []
    for line, written in urls:
        url = absolute(written)
        why = "it holds a user name, and a seed file becomes part of the archive"
        if isinstance(url, Rejected):
            why = url.value
        elif not _USERINFO.match(written):
            seeds[url] = Seed(url)
            continue
        message = f"{key}expected an http or https URL, got {_without_user(written)}: {why}"
        problems.append(Problem(file=label, line=line, message=message))
    if not seeds and not problems:
        message = f"{key}expected one or more URLs, got none"
        problems.append(Problem(file=label, line=None, message=message))
    toml.fail(problems)
    return tuple(seeds.values())


def _without_user(written: str) -> str:
    """Show a URL, but not its password: messages end in log files."""
    user = _USERINFO.match(written)
    if user:
        written = f"{user[0].partition(':')[0]}://…@{written[user.end() :]}"
    return toml.shown(written[:_MOST_SHOWN])
