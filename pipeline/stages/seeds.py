"""The `seeds check` verb: what would be crawled, how far, how politely, and why a URL is in or out.

Reads config.toml and the seed files; asks no server and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config import Config
from pipeline.crawl.rules.scope import Decision
from pipeline.crawl.rules.seeds import Collection, load_collections, other_files
from pipeline.errors import ConfigError
from pipeline.model.layout import Layout
from pipeline.model.toml import shown
from pipeline.model.url import Rejected, absolute

_SHOWN_SEEDS = 10

_IN_WORDS = {
    "prefix": "what lies in the folder of a seed, or below it",
    "host": "everything on the hosts of the seeds",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCheck:
    """What the crawl of one collection would be.

    Attributes:
        rules: the rules that let a URL in.
        delay_s: pause between two requests to one host.
        decision: of the URL that was asked about, if one was.

    """

    name: str
    path: str
    title: str
    seeds: tuple[str, ...]
    scope: str
    rules: tuple[str, ...]
    delay_s: float
    decision: Decision | None

    @classmethod
    def of(cls, collection: Collection, config: Config, url: str | None) -> CollectionCheck:
        """Look at one collection, and ask its scope about a normal URL."""
        return cls(
            name=collection.name,
            path=f"seeds/{collection.path.name}",
            title=collection.title,
            seeds=tuple(seed.url for seed in collection.seeds),
            scope=collection.scope.type,
            rules=collection.scope.rules,
            delay_s=collection.overrides.over(config.crawl).delay_s,
            decision=collection.scope.decide(url) if url else None,
        )

    def as_json(self) -> dict[str, Any]:
        """Give one object of the list `collections`."""
        described: dict[str, Any] = {
            "collection": self.name,
            "path": self.path,
            "title": self.title,
            "seeds": list(self.seeds),
            "scope": self.scope,
            "rules": list(self.rules),
            "delay_s": self.delay_s,
        }
        if self.decision:
            described["accepted"] = self.decision.accepted
            described["rule"] = self.decision.rule
        return described

    def as_lines(self) -> list[str]:
        """Describe the collection to a person."""
        heading = self.name if self.title == self.name else f"{self.name}: {self.title}"
        return [
            heading,
            f"  file   {self.path}",
            *_column("seeds", self.seeds),
            f"  scope  {self.scope}: {_IN_WORDS[self.scope]}",
            *_column("in", tuple(rule.rpartition(" ")[2] for rule in self.rules)),
            f"  delay  {self.delay_s:g} s between two requests to one host",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsReport:
    """What `seeds check` found; the seed files are all sound.

    Attributes:
        url: the URL that was asked about, normal.
        ignored: names of files in seeds/ that are no seed files.

    """

    collections: tuple[CollectionCheck, ...]
    url: str | None
    ignored: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Give 0; mistakes in seed files are raised, not reported."""
        return 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json seeds check` prints."""
        return {
            "collections": [collection.as_json() for collection in self.collections],
            "ignored": list(self.ignored),
            "url": self.url,
        }

    def as_text(self) -> str:
        """Tell it to a person: the collections, or what they say to the URL."""
        lines = self._answers() if self.url else self._descriptions()
        if self.ignored:
            lines += ["", f"Not read, because no seed file: {', '.join(self.ignored)}"]
        return "\n".join(lines)

    def _descriptions(self) -> list[str]:
        if not self.collections:
            return ["No collections: there is no .toml or .txt file in seeds/."]
        lines = []
        for collection in self.collections:
            lines += [*collection.as_lines(), ""]
        return [*lines, "Sound. robots.txt is asked and obeyed when the crawl runs."]

    def _answers(self) -> list[str]:
        lines = [str(self.url)]
        for collection in self.collections:
            if collection.decision:
                verdict = "in " if collection.decision.accepted else "out"
                lines.append(f"  {verdict}  {collection.name}: {collection.decision.rule}")
        return lines


def check(
    layout: Layout, config: Config, names: Sequence[str] = (), url: str | None = None
) -> SeedsReport:
    """Read the seed files of the named collections, or of all, and explain what they mean.

    Raises:
        ConfigError: one line for each mistake in a seed file; or `url` is no URL.

    """
    normal = absolute(url) if url is not None else None
    if isinstance(normal, Rejected):
        raise ConfigError(f"--url: expected an http or https URL, got {shown(url)}: {normal.value}")
    collections = load_collections(layout.seeds, names)
    return SeedsReport(
        collections=tuple(CollectionCheck.of(each, config, normal) for each in collections),
        url=normal,
        ignored=tuple(other_files(layout.seeds)),
    )


def _column(name: str, values: tuple[str, ...]) -> list[str]:
    shown_values = list(values[:_SHOWN_SEEDS])
    if len(values) > _SHOWN_SEEDS:
        shown_values.append(f"... and {len(values) - _SHOWN_SEEDS} more")
    return [
        f"  {name if number == 0 else '':5}  {value}" for number, value in enumerate(shown_values)
    ]
