"""What a crawl goes by: config.toml, a seed file and the command line, laid over each other.

The supervisor and each worker watch the two files while a crawl runs, so that an operator can stop
a trap, or slow down, without ending the crawl.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline import __version__
from pipeline.archive import codec
from pipeline.archive.compose import Provenance
from pipeline.config import Config, load
from pipeline.crawl.frontier.runs import Run
from pipeline.crawl.rules.seeds import Collection, load_collections
from pipeline.model.layout import Layout
from pipeline.model.policy import CrawlPolicy

_SOFTWARE = ("warcio", "protego")
_MEDIA_TYPES = {".toml": "application/toml", ".csv": "text/csv", ".opml": "text/x-opml"}


class CrawlOptions(Struct, frozen=True, kw_only=True):
    """What the command line overrides; None is as configured."""

    workers: int | None = None
    delay_s: float | None = None


class Rules(Struct, frozen=True, kw_only=True):
    """The rules of one crawl of one collection."""

    config: Config
    collection: Collection
    options: CrawlOptions
    policy: CrawlPolicy

    @classmethod
    def of(cls, config: Config, collection: Collection, options: CrawlOptions) -> Rules:
        """Lay the collection's overrides, then the command line's, over config.toml."""
        changes = {"workers": options.workers, "delay_s": options.delay_s}
        policy = msgspec.structs.replace(
            collection.overrides.over(config.crawl),
            **{name: value for name, value in changes.items() if value is not None},
        )
        return cls(config=config, collection=collection, options=options, policy=policy)

    def provenance(self, run: Run) -> Provenance:
        """Say what begins each WARC file of a run that is crawled by these rules."""
        archive, collection = self.config.archive, self.collection
        info = [
            ("software", f"Holdfast/{__version__}"),
            ("format", "WARC File Format 1.1"),
            (
                "conformsTo",
                "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
            ),
            ("operator", archive.operator),
            ("contact", archive.contact),
            ("robots", "obey"),
            ("http-header-user-agent", self.policy.user_agent),
            ("isPartOf", run.name),
            ("description", collection.title),
            ("config-digest", self.config.digest),
            ("seeds-digest", collection.digest),
            ("host-python", platform.python_version()),
            *(("software-version", f"{name} {version(name)}") for name in _SOFTWARE),
            *(("software-version", name) for name in codec.names(self.config.warc.codec)),
        ]
        seeds = collection.path.name
        seeds_type = _MEDIA_TYPES.get(collection.path.suffix, "text/plain")
        return Provenance(
            info=[(name, value) for name, value in info if value],
            resources=(
                (f"urn:holdfast:{run.name}:config.toml", "application/toml", self.config.raw),
                (f"urn:holdfast:{run.name}:seeds/{seeds}", seeds_type, collection.raw),
            ),
        )


class RulesWatch:
    """Reads the rules anew when one of their files has changed."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        self._layout = layout
        self._rules = rules
        self._stamps = self._look()

    def changed(self) -> Rules | None:
        """Give the new rules if a file says something else than before.

        Raises:
            ConfigError: a file has a mistake; the old rules hold until it is mended.

        """
        stamps = self._look()
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        old = self._rules
        config = load(self._layout.root, os.environ)
        year = datetime.now(UTC).year
        collection = load_collections(self._layout.seeds, [old.collection.name], year=year)[0]
        if (config.digest, collection.digest) == (old.config.digest, old.collection.digest):
            return None
        self._rules = Rules.of(config, collection, old.options)
        return self._rules

    def _look(self) -> Sequence[tuple[int, int, int] | None]:
        return [_stamp(path) for path in (self._layout.config, self._rules.collection.path)]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None  # an editor may be between deleting and renaming
    return status.st_ino, status.st_size, status.st_mtime_ns
