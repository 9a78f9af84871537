"""config.toml: the operator's settings, read once, checked at the door, and handed out in slices.

For every stage. An archive is a folder with a config.toml; this is where a folder that is none is
told apart. Never writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from pipeline.errors import ConfigError, NoArchive
from pipeline.extract.policy import ExtractPolicy
from pipeline.model import toml
from pipeline.model.digest import sha256
from pipeline.model.layout import Layout
from pipeline.model.policy import (
    ArchivePolicy,
    CrawlPolicy,
    SigningPolicy,
    WarcPolicy,
    default_user_agent,
)

CA_BUNDLE_VARIABLE: Final = "HOLDFAST_CA_BUNDLE"
"""Environment variable that names a file of extra root certificates; it wins over the file."""

SIGNING_KEY_VARIABLE: Final = "HOLDFAST_SIGNING_KEY"
"""Environment variable that names the key to sign with; it wins over the file."""


class ConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tables of config.toml."""

    archive: ArchivePolicy = ArchivePolicy()
    crawl: CrawlPolicy = CrawlPolicy()
    warc: WarcPolicy = WarcPolicy()
    extract: ExtractPolicy = ExtractPolicy()
    signing: SigningPolicy = SigningPolicy()


class Config(Struct, frozen=True, kw_only=True):
    """The settings of one archive.

    Attributes:
        crawl: with the user agent filled in and the path of the CA bundle absolute.
        signing_key: the key to sign with, if there is one.
        raw: config.toml as it is on the disk.
        digest: labelled SHA-256 of `raw`.

    """

    archive: ArchivePolicy
    crawl: CrawlPolicy
    warc: WarcPolicy
    extract: ExtractPolicy
    signing_key: Path | None
    raw: bytes
    digest: str


def load(root: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings of the archive at `root`.

    Raises:
        NoArchive: there is no config.toml.
        ConfigError: it has mistakes; the message has a line for each.

    """
    path = Layout(root).config
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: could not be read: it is no plain file")
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NoArchive(
            f"{root}: no archive here (there is no config.toml); run `holdfast init {root}` to make"
            " one, or name the archive with -C"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: could not be read: {error.strerror}") from None
    return parse(raw, root, environ)


def parse(raw: bytes, root: Path, environ: Mapping[str, str]) -> Config:
    """Read the bytes of a config.toml that lies, or will lie, in `root`.

    Raises:
        ConfigError: it has mistakes; the message has a line for each.

    """
    tables = toml.read(raw, ConfigFile, "config.toml")
    crawl = msgspec.structs.replace(
        tables.crawl,
        user_agent=tables.crawl.user_agent or default_user_agent(tables.archive.contact),
        ca_bundle=_ca_bundle(raw, tables.crawl.ca_bundle, root, environ),
    )
    return Config(
        archive=tables.archive,
        crawl=crawl,
        warc=tables.warc,
        extract=tables.extract,
        signing_key=_signing_key(tables.signing.key, root, environ),
        raw=raw,
        digest=sha256(raw),
    )


def signing_key(root: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Give the key that the archive at `root` is to be signed with, also while it is being made.

    Raises:
        ConfigError: config.toml has mistakes.

    """
    if Layout(root).config.is_file():
        return load(root, environ).signing_key
    return _signing_key("", root, environ)


def _signing_key(configured: str, root: Path, environ: Mapping[str, str]) -> Path | None:
    if from_environment := environ.get(SIGNING_KEY_VARIABLE, ""):
        return Path(from_environment).expanduser().absolute()
    return (root / Path(configured).expanduser()).absolute() if configured else None


def _ca_bundle(raw: bytes, configured: str, root: Path, environ: Mapping[str, str]) -> str:
    """Give the absolute path of the extra root certificates, empty if there are none."""
    from_environment = environ.get(CA_BUNDLE_VARIABLE, "")
    named = from_environment or configured
    if not named:
        return ""
    path = Path(named).absolute() if from_environment else (root / named).absolute()
    if not path.is_file():
        expected = (
            f"expected a file of root certificates (PEM), got {toml.shown(named)}: no such file"
        )
        if from_environment:
            raise ConfigError(f"{CA_BUNDLE_VARIABLE}: {expected}")
        line = toml.line_of(toml.decode(raw, "config.toml"), "crawl.ca_bundle")
        message = f"crawl.ca_bundle: {expected}"
        raise ConfigError(str(toml.Problem(file="config.toml", line=line, message=message)))
    return str(path)
