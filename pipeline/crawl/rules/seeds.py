"""Seed files: what a collection is, where its crawl begins, and how far it goes.

`seeds/NAME.toml` describes a collection; a mere list (`sources`) has the hosts of its URLs as its
scope. For the crawl and for `seeds check`. Every mistake is told, with its line; none is mended by
guessing. docs/seeds.md explains the file to those who write one.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pipeline.crawl.rules.patterns import PatternError, Patterns
from pipeline.crawl.rules.scope import SOME_YEAR, Scope, ScopeTable
from pipeline.crawl.rules.sources import READERS, Listed
from pipeline.errors import ConfigError
from pipeline.model import toml
from pipeline.model.digest import sha256
from pipeline.model.policy import CrawlOverrides, Line, LinkPolicy, RunLimits
from pipeline.model.toml import Problem
from pipeline.model.url import Rejected, absolute

ENDINGS: Final = (".toml", *READERS)
"""Other files in seeds/ are left alone."""

MAX_BYTES: Final = 64 << 20
"""Size of the largest seed file: about a million URLs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MOST_SHOWN = 200
_MOST_PROBLEMS = 50
_USERINFO = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:[/\\]*[^/\\?#]*@")
_PUBLISHED = ("warc", "extracted", "fixity", "seeds", "config.toml")

Text = Annotated[str, Meta(max_length=10_000, description="a text of at most 10000 characters")]
_EXPECTED_URLS = 'a list of one or more URLs, such as ["https://example.org/"]'
Urls = Annotated[tuple[str, ...], Meta(min_length=1, description=_EXPECTED_URLS)]


class _AccessTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    secrets: Line = ""


class _SeedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: Line = ""
    notice: Text = ""
    note: Text = ""
    seeds: Urls = ()
    seeds_from: Urls = ()
    scope: ScopeTable = ScopeTable()
    links: LinkPolicy = LinkPolicy()
    limits: RunLimits = RunLimits()
    crawl: CrawlOverrides = CrawlOverrides()
    access: _AccessTable = _AccessTable()


class Seed(Struct, frozen=True):
    """Where a crawl begins: a normal URL.

    Attributes:
        is_source: it is a sitemap or feed whose entries are seeds.

    """

    url: str
    is_source: bool = False


class Collection(Struct, frozen=True, kw_only=True):
    """One seed file, read.

    Attributes:
        name: the file's name without its ending (FORMAT.md §1).
        title: for people; the name where the file gives none.
        notice: text that the source puts on its pages (a banner), empty if there is none.
        note: what people should know about the source; written nowhere else.
        links: where links are sought.
        limits: when a run ends although URLs are waiting.
        overrides: what differs from config.toml.
        secrets: path of the file with proxy, logins and cookies, relative to the archive or
            absolute; empty if there is none.
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
    links: LinkPolicy
    limits: RunLimits
    overrides: CrawlOverrides
    secrets: str
    raw: bytes
    digest: str


def load_collections(
    folder: Path, names: Sequence[str] = (), *, year: int = SOME_YEAR
) -> list[Collection]:
    """Read the seed files of the named collections, or of all, sorted by name; `year` is today's.

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
            collections.append(parse(path, _read(path), year=year))
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


def parse(path: Path, raw: bytes, *, year: int = SOME_YEAR) -> Collection:
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
    reader = READERS.get(path.suffix)
    if reader is not None:
        file = _SeedFile(scope=ScopeTable(type="host"))
        problems: list[Problem] = []
        seeds = _seeds(reader(raw, label), label, "", problems)
    else:
        file = toml.read(raw, _SeedFile, label)
        text = toml.decode(raw, label)
        lines = _lines(text)
        problems = [*_wrong_patterns(file.scope, lines, label), *_wrong_secrets(file, path, text)]
        listed = [Listed(lines.get(url), url) for url in file.seeds]
        listed += [Listed(lines.get(url), url, is_source=True) for url in file.seeds_from]
        seeds = _seeds(listed, label, "seeds: ", problems)
    toml.fail(problems)
    spanning = [seed.url for seed in seeds if not seed.is_source]
    return Collection(
        name=path.stem,
        path=path,
        title=file.title or path.stem,
        notice=file.notice,
        note=file.note,
        seeds=seeds,
        scope=Scope.of(
            file.scope,
            # a feed often lies elsewhere than what it lists, so that it spans only for want of more
            spanning or [seed.url for seed in seeds],
            has_sources=len(spanning) < len(seeds),
            year=year,
        ),
        links=file.links,
        limits=file.limits,
        overrides=file.crawl,
        secrets=file.access.secrets,
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
        OSError: it cannot be read, is too large, a folder, a pipe or a link that leads nowhere.

    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "it is no file, or a link to none")
    if path.stat().st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MiB; split it")
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


def _lines(text: str) -> dict[str, int]:
    """Give the line of each string of a TOML file that is written plainly."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for quoted in _QUOTED.findall(line):
            lines.setdefault(quoted[1:-1], number)
    return lines


def _seeds(
    listed: Iterable[Listed], label: str, key: str, problems: list[Problem]
) -> tuple[Seed, ...]:
    """Read each URL once, and add what is wrong to the problems."""
    seeds: dict[str, Seed] = {}
    wrong = []
    for line, written, is_source in listed:
        url = absolute(written)
        why = "it holds a user name, and a seed file becomes part of the archive"
        if isinstance(url, Rejected):
            why = url.value
        elif not _USERINFO.match(written):
            seeds.setdefault(url, Seed(url, is_source))
            continue
        name = "seeds_from: " if key and is_source else key
        message = f"{name}expected an http or https URL, got {_without_user(written)}: {why}"
        wrong.append(Problem(file=label, line=line, message=message))
    if not seeds and not wrong:
        message = (
            f"{key}missing; expected {_EXPECTED_URLS}, or seeds_from"
            if key
            else ("expected one or more URLs, got none")
        )
        wrong.append(Problem(file=label, line=None, message=message))
    if len(wrong) > _MOST_PROBLEMS:
        message = f"{len(wrong) - _MOST_PROBLEMS} more URLs like these"
        wrong[_MOST_PROBLEMS:] = [Problem(file=label, line=None, message=message)]
    problems += wrong
    return tuple(seeds.values())


def _wrong_patterns(scope: ScopeTable, lines: dict[str, int], label: str) -> Iterator[Problem]:
    for name, patterns in (("include", scope.include), ("exclude", scope.exclude)):
        for pattern in patterns:
            try:
                Patterns.of([pattern])
            except PatternError as error:
                message = f"scope.{name}: expected {error}, got {toml.shown(pattern)}"
                yield Problem(file=label, line=lines.get(pattern), message=message)


def _wrong_secrets(file: _SeedFile, path: Path, text: str) -> Iterator[Problem]:
    """Refuse to take passwords from where they would be archived or published."""
    root = path.parent.parent.absolute()
    secrets = Path(os.path.normpath(root / file.access.secrets))
    if not file.access.secrets or not secrets.is_relative_to(root):
        return
    first = next(iter(secrets.relative_to(root).parts), "")
    if first.casefold() not in _PUBLISHED:
        return
    message = (
        "access.secrets: expected a file that does not become part of the archive, such as"
        f' "secrets/{path.stem}.toml", got {toml.shown(file.access.secrets)}'
    )
    line = toml.line_of(text, "access.secrets")
    yield Problem(file=_label(path), line=line, message=message)


def _without_user(written: str) -> str:
    """Show a URL, but not its password: messages end in log files."""
    user = _USERINFO.match(written)
    if user:
        written = f"{user[0].partition(':')[0]}://…@{written[user.end() :]}"
    return toml.shown(written[:_MOST_SHOWN])
